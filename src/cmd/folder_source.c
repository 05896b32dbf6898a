/* A folder as a source. See folder_source.h. */
#include "cmd/folder_source.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#include "base/file.h"
#include "vault/keyring.h"

/* What is read of a path below the folder; ERR_NOT_FOUND where there is none. */
static bool read_part(const struct folder_source *f, const char *name, uint64_t offset, uint8_t *out, size_t len,
                      size_t *got, struct error *err)
{
    char path[PATH_MAX];
    uint64_t size = 0;

    *got = 0;
    if (!path_join(path, sizeof path, f->path, name, err))
        return false;
    CLEANUP(file_close) int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? error_set(err, ERR_NOT_FOUND, "%s is not there", path) : error_errno(err, "%s", path);
    if (!file_size(fd, &size, err))
        return false;
    if (offset >= size)
        return true;
    if (len > size - offset)
        len = (size_t)(size - offset);
    if (!file_read_at(fd, out, len, offset, err))
        return false;
    *got = len;
    return true;
}

static bool read_range(void *context, const struct follow_range *range, uint8_t *out, size_t len, size_t *got,
                       struct error *err)
{
    struct folder_source *f = context;
    struct body_file file = { .month = range->month, .number = range->number };
    char name[NAME_BYTES_MAX];

    switch (range->part) {
    case FOLLOW_LOG:
        segment_name(range->segment, name);
        break;
    case FOLLOW_BODY_FILE:
        body_name(range->body_class, &file, name);
        break;
    case FOLLOW_LARGE:
        large_name(range->name, true, name);
        if (read_part(f, name, range->offset, out, len, got, err))
            return true;
        large_name(range->name, false, name); /* not confirmed yet when it was copied */
        break;
    case FOLLOW_KEYRING:
        (void)snprintf(name, sizeof name, "keyring.0");
        if (range->offset == 0 && len > KEYRING_HEADER_BYTES)
            len = KEYRING_HEADER_BYTES;
        len = range->offset == 0 ? len : len - len % KEYRING_SLOT_BYTES;
        break;
    case FOLLOW_CONF:
        return error_set(err, ERR_NOT_FOUND, "a folder has no configuration");
    }
    return read_part(f, name, range->offset, out, len, got, err);
}

static bool describe_keyring(struct folder_source *f, struct follow_head *out, struct error *err)
{
    uint8_t header[KEYRING_HEADER_BYTES];
    struct span bytes = span_of(header, sizeof header);
    char path[PATH_MAX];
    uint64_t size = 0;
    size_t got;

    if (!read_part(f, "keyring.0", 0, header, sizeof header, &got, err)
        || !path_join(path, sizeof path, f->path, "keyring.0", err))
        return false;
    CLEANUP(file_close) int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || !file_size(fd, &size, err) || got != sizeof header)
        return error_set(err, ERR_DAMAGED, "%s is cut short", path);
    out->keyring_slots = (uint32_t)((size - KEYRING_HEADER_BYTES) / KEYRING_SLOT_BYTES);
    return seal_hash(f->seal, &bytes, 1, out->keyring_digest, err);
}

/* The copy's checkpoint is its only head. */
static bool read_head(void *context, address from, uint64_t position, uint64_t applied, struct follow_head *out,
                      struct error *err)
{
    struct folder_source *f = context;
    struct follow_head head = { .size = 0 };
    struct vkey key;
    struct hash root;
    size_t got = 0;

    (void)from;
    (void)position;
    (void)applied;
    if (!read_part(f, "checkpoint", 0, (uint8_t *)head.note, sizeof head.note - 1, &got, err))
        return false;
    follow_vkey(f->vault_id, f->public_key, &key);
    if (!follow_note_open(span_of(head.note, got), &key, &head.size, &root, err) || !describe_keyring(f, &head, err))
        return false;
    head.committed = head.size;
    memcpy(head.vault_id, f->vault_id, VAULT_ID_BYTES);
    memcpy(head.public_key, f->public_key, FOLLOW_PUBLIC_KEY_BYTES);
    *out = head;
    return true;
}

struct twin_source folder_source(struct folder_source *f)
{
    return (struct twin_source){ f, read_head, read_range };
}
