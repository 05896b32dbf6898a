/* A step file as a one-way link brings it, with a hash that fits: parts, ranges, and the log in it as the writer reads one. */
#include <assert.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/file.h"
#include "cmd/step_file.h"
#include "cmd/step_log.h"

static void read_all(struct step_file *f)
{
    const uint8_t key[FOLLOW_PUBLIC_KEY_BYTES] = { 1 };
    struct twin_source source = step_source(f, key);
    struct follow_head head;
    uint8_t *out = malloc(TWIN_READ_MAX);

    assert(out != NULL && source.head(source.context, 0, 0, 0, &head, NULL) && head.committed == head.size);
    for (int part = FOLLOW_LOG; part <= FOLLOW_CONF; part++)
        for (uint32_t n = 0; n < 3; n++) {
            struct follow_range r = { .part = (enum follow_part)part, .segment = n, .number = n, .position = n,
                                      .body_class = (enum body_class)(n + 1) };
            struct error err = { 0 };
            size_t got = 1;

            while (got > 0 && source.read(source.context, &r, out, 1000, &got, &err)) {
                assert(got <= 1000);
                r.offset += got;
            }
        }
    free(out);
}

static void pass_log(struct span bytes)
{
    const struct body_file none[BODY_CLASS_COUNT] = { { .number = 0 } };
    struct step_log whole, pieces;
    struct error err = { 0 };
    size_t used = 0, got = 0;
    bool ok, same = true;

    step_log_begin(&whole, 0, none, 5);
    step_log_begin(&pieces, 0, none, 5);
    ok = step_log_take(&whole, bytes, &used, &err);
    for (size_t at = 0; same && at < bytes.len && !pieces.stopped; at += 7)
        same = step_log_take(&pieces, span_part(bytes, at, 7), &got, &err);
    assert(ok == same && whole.records == pieces.records && whole.body_count == pieces.body_count);
    step_log_done(&whole);
    step_log_done(&pieces);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    uint8_t hash[crypto_hash_sha256_BYTES];
    struct error err = { 0 };
    struct step_file *f;
    int fd;

    if (len == 0)
        return 0;
    pass_log(span_of(bytes, len));
    fd = memfd_create("step", MFD_CLOEXEC);
    (void)crypto_hash_sha256(hash, bytes, len);
    assert(fd >= 0 && file_write_all(fd, span_of(bytes, len), NULL) && file_write_all(fd, span_of(hash, sizeof hash), NULL));
    f = step_read(fd, "step", &err);
    if (f != NULL)
        read_all(f);
    step_close(f);
    return 0;
}
