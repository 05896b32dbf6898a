/* Log segments as files: beginning one, and their descriptors for reading. See store_internal.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#include "base/file.h"
#include "vault/sidecar.h"

bool segment_create(struct store *s, uint32_t number, uint64_t first_position, const struct hash *previous,
                    struct error *err)
{
    struct segment_header h = { .number = number, .first_position = first_position, .previous = *previous };
    uint8_t bytes[SEGMENT_HEADER_BYTES];
    char name[NAME_BYTES_MAX];
    uint64_t size = 0;
    int fd;

    memcpy(h.vault_id, keyring_vault_id(s->keyring), VAULT_ID_BYTES);
    segment_header_encode(&h, keyring_keys(s->keyring)->file, bytes);
    segment_name(number, name);
    fd = disk_open(&s->disk, name, O_RDWR | O_CREAT, err);
    if (fd < 0)
        return false;
    /* One that was begun and holds no commit is begun again; what holds more is never written over. */
    if (!file_size(fd, &size, err) || size > sizeof bytes) {
        disk_close(&s->disk, &fd);
        return error_set(err, size > sizeof bytes ? ERR_EXISTS : ERR_IO, "%s is there already, with %llu bytes", name,
                         (unsigned long long)size);
    }
    if (!sidecar_drop(s, name, err)) {
        disk_close(&s->disk, &fd);
        return false;
    }
    atomic_fetch_add(&s->data_files, 1);
    /* The header is durable before any commit behind it, so recovery never meets a whole commit under a torn header. */
    if (!disk_write_at(&s->disk, fd, span_of(bytes, sizeof bytes), 0, err) || !disk_sync(&s->disk, fd, err)
        || !disk_sync_dir(&s->disk, "log", err)) {
        disk_close(&s->disk, &fd);
        (void)disk_unlink(&s->disk, name, NULL);
        return false;
    }
    disk_close(&s->disk, &s->log_fd);
    s->log_fd = fd;
    return true;
}

/* ---- for reading; any thread ---- */

bool stored_read(int fd, uint8_t *out, size_t len, uint64_t offset, struct error *err)
{
    struct error why = { 0 };

    if (file_read_at(fd, out, len, offset, &why))
        return true;
    return error_set(err, why.code == ERR_TRUNCATED || why.code == ERR_IO ? ERR_DAMAGED : why.code, "%s", why.text);
}

/* Room for the descriptor of a segment. With segment_lock held. */
static bool segment_slot(struct store *s, uint32_t number, struct error *err)
{
    size_t count = (size_t)number + 16;
    int *more;

    if (number < s->segment_fd_count)
        return true;
    if (number >= SEGMENTS_MAX)
        return error_set(err, ERR_DAMAGED, "there is no log segment %u", number);
    more = realloc(s->segment_fds, count * sizeof *more);
    if (more == NULL)
        return error_set(err, ERR_MEMORY, "no memory for the descriptors of the log");
    for (size_t i = s->segment_fd_count; i < count; i++)
        more[i] = -1;
    s->segment_fds = more;
    s->segment_fd_count = count;
    return true;
}

int segment_fd(struct store *s, uint32_t number, struct error *err)
{
    char name[NAME_BYTES_MAX], path[DISK_PATH_MAX];
    int fd = -1;

    (void)pthread_mutex_lock(&s->segment_lock);
    if (segment_slot(s, number, err)) {
        if (s->segment_fds[number] < 0) {
            segment_name(number, name);
            disk_path(&s->disk, name, path);
            s->segment_fds[number] = open(path, O_RDONLY | O_CLOEXEC);
            if (s->segment_fds[number] < 0)
                (void)(errno == ENOENT ? error_set(err, ERR_DAMAGED, "%s is missing", name)
                                       : error_errno(err, "open of %s", name));
        }
        fd = s->segment_fds[number];
    }
    (void)pthread_mutex_unlock(&s->segment_lock);
    return fd;
}

bool segment_size(struct store *s, uint32_t number, uint64_t *out, struct error *err)
{
    struct error why = { 0 };
    int fd = segment_fd(s, number, &why);

    *out = 0;
    if (fd >= 0)
        return file_size(fd, out, err);
    return why.code == ERR_DAMAGED || error_set(err, why.code, "%s", why.text);
}

uint32_t segment_count(struct store *s)
{
    return segments_from(s, 0);
}

uint32_t segments_from(struct store *s, uint32_t first)
{
    char name[NAME_BYTES_MAX];
    uint32_t count = first;

    for (; count < SEGMENTS_MAX; count++) {
        segment_name(count, name);
        if (!disk_exists(&s->disk, name))
            break;
    }
    return count;
}
