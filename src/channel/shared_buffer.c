/* A sealed memfd, mapped by two processes. See shared_buffer.h. */
#include "channel/shared_buffer.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/file.h"

#define SIZE_SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

static bool map_buffer(struct shared_buffer *b, struct error *err)
{
    void *at = mmap(NULL, SESSION_BUFFER_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, b->fd, 0);

    if (at == MAP_FAILED)
        return error_errno(err, "mapping of a shared buffer");
    b->ptr = at;
    b->len = SESSION_BUFFER_BYTES;
    return true;
}

bool shared_buffer_new(struct shared_buffer *out, struct error *err)
{
    struct shared_buffer b = { .fd = memfd_create("fanal-session", MFD_CLOEXEC | MFD_ALLOW_SEALING) };

    if (b.fd < 0)
        return error_errno(err, "memfd_create");
    if (ftruncate(b.fd, (off_t)SESSION_BUFFER_BYTES) != 0 || fcntl(b.fd, F_ADD_SEALS, SIZE_SEALS) != 0) {
        (void)error_errno(err, "shared buffer");
        shared_buffer_done(&b);
        return false;
    }
    if (!map_buffer(&b, err)) {
        shared_buffer_done(&b);
        return false;
    }
    *out = b;
    return true;
}

bool shared_buffer_map(int fd, struct shared_buffer *out, struct error *err)
{
    struct shared_buffer b = { .fd = fd };
    uint64_t size;
    bool good;

    good = file_size(fd, &size, err);
    if (good && (size != SESSION_BUFFER_BYTES || fcntl(fd, F_GET_SEALS) != SIZE_SEALS))
        good = error_set(err, ERR_MALFORMED, "descriptor is no shared buffer");
    good = good && map_buffer(&b, err);
    file_close(&b.fd);
    if (!good)
        return false;
    *out = b;
    return true;
}

void shared_buffer_done(struct shared_buffer *b)
{
    if (b->ptr != NULL)
        (void)munmap(b->ptr, b->len);
    b->ptr = NULL;
    b->len = 0;
    file_close(&b->fd);
}

bool shared_buffer_part(const struct shared_buffer *b, uint64_t offset, uint64_t len, struct span *out)
{
    if (offset > b->len || len > b->len - offset)
        return false;
    *out = span_of(b->ptr + offset, (size_t)len);
    return true;
}
