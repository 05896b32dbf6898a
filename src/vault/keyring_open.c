/*
 * Which of the two headers of a keyring is to be believed, and opening it with a secret. See keyring.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "vault/keyring_header.h"
#include "vault/keyring_internal.h"
#include "vault/locked.h"

#define COPY_BYTES ((size_t)64 << 10) /* read and written at once */

static const char *const header_damaged[KEYRING_COPIES] = { "keyring.0: header is damaged or missing",
                                                            "keyring.1: header is damaged or missing" };

/* The two headers as they were read. */
struct headers {
    uint8_t bytes[KEYRING_COPIES][KEYRING_HEADER_BYTES];
    bool whole[KEYRING_COPIES];
    int best; /* the whole one with the highest generation, copy 0 of two equals; -1 without one */
};

static void headers_read(struct headers *h, const int fd[KEYRING_COPIES])
{
    h->best = -1;
    for (int i = 0; i < KEYRING_COPIES; i++) {
        h->whole[i] = fd[i] >= 0 && file_read_at(fd[i], h->bytes[i], KEYRING_HEADER_BYTES, 0, NULL)
                      && header_is_whole(h->bytes[i]);
        if (h->whole[i] && (h->best < 0 || header_generation(h->bytes[i]) > header_generation(h->bytes[h->best])))
            h->best = i;
    }
}

static bool headers_differ(const struct headers *h)
{
    return !h->whole[0] || !h->whole[1] || memcmp(h->bytes[0], h->bytes[1], KEYRING_HEADER_BYTES) != 0;
}

/*
 * Opens the best header. Another one is tried only where that one is damaged behind its SHA-256 and no worse: a secret
 * that is too old for it must not open an older copy. *used is the copy.
 */
static bool headers_open(const struct headers *h, struct seal *s, struct span secret, struct vault_keys *keys,
                         unsigned *place, int *used, struct error *err)
{
    int other = 1 - h->best;

    if (h->best < 0)
        return error_set(err, ERR_DAMAGED, "the header of the keyring is damaged in both copies");
    *used = h->best;
    if (header_open(s, h->bytes[h->best], secret, keys, place, err))
        return true;
    if (err->code != ERR_DAMAGED || !h->whole[other] || !headers_differ(h))
        return false;
    *used = other;
    return header_open(s, h->bytes[other], secret, keys, place, err);
}

/* ---- without an open keyring ---- */

static bool read_from_disk(const struct disk *d, struct headers *h, struct error *err)
{
    int fd[KEYRING_COPIES];
    struct error why[KEYRING_COPIES] = { 0 };

    for (int i = 0; i < KEYRING_COPIES; i++)
        fd[i] = disk_open(d, keyring_copy_names[i], O_RDONLY, &why[i]);
    headers_read(h, fd);
    for (int i = 0; i < KEYRING_COPIES; i++)
        disk_close(d, &fd[i]);
    if (h->best >= 0)
        return true;
    if (why[0].code == ERR_NOT_FOUND && why[1].code == ERR_NOT_FOUND)
        return error_set(err, ERR_NOT_FOUND, "no keyring");
    return error_set(err, ERR_DAMAGED, "the header of the keyring is damaged in both copies");
}

bool keyring_info_read(const struct disk *d, struct keyring_info *out, struct error *err)
{
    struct headers h;

    if (!read_from_disk(d, &h, err))
        return false;
    header_info(h.bytes[h.best], out);
    return true;
}

bool keyring_opens(const struct disk *d, const struct seal_suite *suite, struct span secret, unsigned *place,
                   struct error *err)
{
    struct vault_keys *keys = locked_new(sizeof *keys, err);
    struct headers h;
    struct seal s;
    int used;
    bool ok = false;

    if (keys != NULL && read_from_disk(d, &h, err) && seal_init(&s, suite, err)) {
        ok = headers_open(&h, &s, secret, keys, place, &used, err);
        seal_done(&s);
    }
    locked_free(keys);
    return ok;
}

/* ---- opening ---- */

bool keyring_file_copy(const struct disk *d, int from, const char *to, struct error *err)
{
    uint8_t *bytes = malloc(COPY_BYTES);
    int fd = disk_open(d, to, O_WRONLY | O_CREAT | O_TRUNC, err);
    uint64_t size = 0, at = 0;
    bool ok = fd >= 0 && file_size(from, &size, err);

    if (bytes == NULL)
        ok = error_set(err, ERR_MEMORY, "no memory to copy the keyring");
    while (ok && at < size) {
        size_t len = size - at < COPY_BYTES ? (size_t)(size - at) : COPY_BYTES;

        ok = file_read_at(from, bytes, len, at, err) && disk_write_at(d, fd, span_of(bytes, len), at, err);
        at += len;
    }
    ok = ok && disk_sync(d, fd, err);
    disk_close(d, &fd);
    free(bytes);
    return ok || error_within(err, "%s", to);
}

bool keyring_copy_remake(struct keyring *k, int copy, struct error *err)
{
    char fresh[32];

    keyring_fresh_name(copy, fresh);
    disk_close(k->disk, &k->fd[copy]);
    if (!keyring_file_copy(k->disk, k->fd[1 - copy], fresh, err)
        || !disk_rename(k->disk, fresh, keyring_copy_names[copy], err) || !disk_sync_dir(k->disk, ".", err))
        return false;
    k->fd[copy] = disk_open(k->disk, keyring_copy_names[copy], O_RDWR, err);
    return k->fd[copy] >= 0;
}

/* The copy that a cut kept from becoming as new as the other: made again, or (reading only) looked at no more. */
static bool catch_up(struct keyring *k, int older, bool read_only, struct error *err)
{
    if (!read_only)
        return keyring_copy_remake(k, older, err);
    disk_close(k->disk, &k->fd[older]);
    k->fd[older] = fcntl(k->fd[1 - older], F_DUPFD_CLOEXEC, 0);
    return k->fd[older] >= 0 || error_errno(err, "%s", keyring_copy_names[1 - older]);
}

/* What a cut left between writing and renaming. */
static void remove_fresh(const struct keyring *k)
{
    char fresh[32];

    for (int i = 0; i < KEYRING_COPIES; i++) {
        keyring_fresh_name(i, fresh);
        if (disk_exists(k->disk, fresh))
            (void)disk_unlink(k->disk, fresh, NULL);
    }
}

bool keyring_unseal(struct keyring *k, struct span secret, bool read_only, keyring_finding *report, void *context,
                    struct error *err)
{
    struct headers h;
    int used = 0, other;

    headers_read(&h, k->fd);
    if (!headers_open(&h, &k->seal, secret, &k->secrets->keys, NULL, &used, err))
        return false;
    memcpy(k->header, h.bytes[used], KEYRING_HEADER_BYTES);
    keyring_bind(k);
    if (!read_only)
        remove_fresh(k);
    if (!headers_differ(&h))
        return true;
    other = 1 - used;
    if (used == h.best && h.whole[other] && header_generation(h.bytes[other]) < header_generation(h.bytes[used]))
        return catch_up(k, other, read_only, err);
    report(context, header_damaged[other]);
    return true;
}

bool keyring_mend_headers(struct keyring *k, keyring_finding *report, void *context, struct error *err)
{
    struct headers h;

    headers_read(&h, k->fd);
    for (int i = 0; i < KEYRING_COPIES; i++) {
        if (h.whole[i] && memcmp(h.bytes[i], k->header, KEYRING_HEADER_BYTES) == 0)
            continue;
        report(context, header_damaged[i]);
        if (!disk_write_at(k->disk, k->fd[i], span_of(k->header, KEYRING_HEADER_BYTES), 0, err)
            || !disk_sync(k->disk, k->fd[i], err))
            return error_within(err, "%s", keyring_copy_names[i]);
    }
    return true;
}

void keyring_headers_check(struct keyring *k, keyring_finding *report, void *context)
{
    struct headers h;

    headers_read(&h, k->fd);
    for (int i = 0; i < KEYRING_COPIES; i++)
        if (!h.whole[i] || memcmp(h.bytes[i], k->header, KEYRING_HEADER_BYTES) != 0)
            report(context, header_damaged[i]);
}
