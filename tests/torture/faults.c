/* Failing calls. See faults.h. */
#include "faults.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <unistd.h>

static bool fails(struct fault *f, enum fault_call call)
{
    long seen = atomic_fetch_add(&f->seen[call], 1) + 1;

    if (f->call != call || (seen != f->n && !(f->lasting && seen > f->n)))
        return false;
    errno = f->error;
    return true;
}

static int fault_open(void *context, const char *path, int flags)
{
    struct fault *f = context;

    return fails(f, FAULT_OPEN) ? -1 : tape_ops.open(f->tape, path, flags);
}

/* Bytes of the first half of a write, in whole sectors: less than one does not get anywhere alone. */
static size_t half_of(size_t len, off_t offset)
{
    uint64_t middle = ((uint64_t)offset + len / 2) / 512 * 512;

    return middle > (uint64_t)offset ? (size_t)(middle - (uint64_t)offset) : 0;
}

/* Of a write that fails, half gets there. */
static ssize_t fault_pwrite(void *context, int fd, const void *bytes, size_t len, off_t offset)
{
    struct fault *f = context;

    if (fails(f, FAULT_SHORT_WRITE) && len > 1)
        return tape_ops.pwrite(f->tape, fd, bytes, len / 2, offset);
    if (fails(f, FAULT_WRITE)) {
        int error = errno;

        if (half_of(len, offset) > 0)
            (void)tape_ops.pwrite(f->tape, fd, bytes, half_of(len, offset), offset);
        errno = error;
        return -1;
    }
    return tape_ops.pwrite(f->tape, fd, bytes, len, offset);
}

static int fault_fdatasync(void *context, int fd)
{
    struct fault *f = context;

    if (!fails(f, FAULT_SYNC))
        return tape_ops.fdatasync(f->tape, fd);
    tape_sync_failed(f->tape, fd);
    errno = f->error;
    return -1;
}

static int fault_ftruncate(void *context, int fd, off_t len)
{
    struct fault *f = context;

    return fails(f, FAULT_TRUNCATE) ? -1 : tape_ops.ftruncate(f->tape, fd, len);
}

static int fault_rename(void *context, const char *from, const char *to)
{
    struct fault *f = context;

    return fails(f, FAULT_RENAME) ? -1 : tape_ops.rename(f->tape, from, to);
}

static int fault_unlink(void *context, const char *path)
{
    struct fault *f = context;

    return fails(f, FAULT_UNLINK) ? -1 : tape_ops.unlink(f->tape, path);
}

static int fault_mkdir(void *context, const char *path)
{
    struct fault *f = context;

    return fails(f, FAULT_MKDIR) ? -1 : tape_ops.mkdir(f->tape, path);
}

static int fault_sync_dir(void *context, const char *path)
{
    struct fault *f = context;

    return fails(f, FAULT_SYNC_DIR) ? -1 : tape_ops.sync_dir(f->tape, path);
}

static int fault_close(void *context, int fd)
{
    return tape_ops.close(((struct fault *)context)->tape, fd);
}

static void fault_write_behind(void *context, int fd, off_t offset, off_t len)
{
    tape_ops.write_behind(((struct fault *)context)->tape, fd, offset, len);
}

static int fault_free_bytes(void *context, const char *path, uint64_t *out)
{
    struct fault *f = context;

    return fails(f, FAULT_FREE_BYTES) ? -1 : tape_ops.free_bytes(f->tape, path, out);
}

static void fault_reread(void *context, int fd)
{
    tape_ops.reread(((struct fault *)context)->tape, fd);
}

const struct file_ops fault_ops = {
    .open = fault_open,
    .pwrite = fault_pwrite,
    .fdatasync = fault_fdatasync,
    .ftruncate = fault_ftruncate,
    .rename = fault_rename,
    .unlink = fault_unlink,
    .mkdir = fault_mkdir,
    .sync_dir = fault_sync_dir,
    .close = fault_close,
    .write_behind = fault_write_behind,
    .free_bytes = fault_free_bytes,
    .reread = fault_reread,
};

/* ---- allocations: the linker hands us malloc, calloc and realloc first, SQLite is told to ---- */

static struct fault *_Atomic memory;

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t m);
void *__real_realloc(void *p, size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t m);
void *__wrap_realloc(void *p, size_t n);

static bool memory_fails(void)
{
    struct fault *f = atomic_load(&memory);

    return f != NULL && tape_spares == 0 && fails(f, FAULT_MEMORY);
}

void *__wrap_malloc(size_t n)
{
    return memory_fails() ? NULL : __real_malloc(n);
}

void *__wrap_calloc(size_t n, size_t m)
{
    return memory_fails() ? NULL : __real_calloc(n, m);
}

void *__wrap_realloc(void *p, size_t n)
{
    return memory_fails() ? NULL : __real_realloc(p, n);
}

void faults_of_memory(struct fault *f)
{
    atomic_store(&memory, f);
}

static sqlite3_mem_methods sqlite_own;

static void *sqlite_malloc(int n)
{
    return memory_fails() ? NULL : sqlite_own.xMalloc(n);
}

static void *sqlite_realloc(void *p, int n)
{
    return memory_fails() ? NULL : sqlite_own.xRealloc(p, n);
}

void faults_begin(void)
{
    sqlite3_mem_methods ours;

    if (sqlite3_config(SQLITE_CONFIG_GETMALLOC, &sqlite_own) != SQLITE_OK)
        abort();
    ours = sqlite_own;
    ours.xMalloc = sqlite_malloc;
    ours.xRealloc = sqlite_realloc;
    if (sqlite3_config(SQLITE_CONFIG_MALLOC, &ours) != SQLITE_OK)
        abort();
}
