/*
 * The memory a session's two ends share: a memfd of SESSION_BUFFER_BYTES, sealed against any change of size, so
 * that neither end can make the other's reads fault.
 *
 * What lies in it may change at any moment: whoever reads it copies first, and decides on the copy.
 */
#ifndef FANAL_CHANNEL_SHARED_BUFFER_H
#define FANAL_CHANNEL_SHARED_BUFFER_H

#include "base/error.h"
#include "base/span.h"

#define SESSION_BUFFER_BYTES ((size_t)1024 * 1024)

struct shared_buffer {
    int fd;       /* owned; -1 once nobody needs to be given it */
    uint8_t *ptr; /* owned mapping, readable and writable; NULL where there is none */
    size_t len;
};

/* The vault's side: makes and maps one. fd is to be passed on, then may be closed with file_close(&fd). */
bool shared_buffer_new(struct shared_buffer *out, struct error *err);

/* The other side: maps what came as a descriptor, which it closes. ERR_MALFORMED where it is no such buffer. */
bool shared_buffer_map(int fd, struct shared_buffer *out, struct error *err);

void shared_buffer_done(struct shared_buffer *b);

/* [offset, offset + len) as another process named it; false where that is not inside. */
bool shared_buffer_part(const struct shared_buffer *b, uint64_t offset, uint64_t len, struct span *out);

#endif
