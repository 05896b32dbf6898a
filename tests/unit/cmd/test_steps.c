/* Step files: there and back; cut anywhere, changed anywhere they are refused; the log tells which bodies a step needs. */
#include "cmd/step_file.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "cmd/segments_state.h"
#include "cmd/step_log.h"
#include "vault/seal.h"

#include "../test.h"

#define PIECE 700

static struct follow_head head_of(uint64_t size)
{
    struct follow_head h = { .size = size, .committed = size + 5, .keyring_slots = 256, .written_us = 9, .note = "a\nnote\n" };

    memset(h.vault_id, 4, sizeof h.vault_id);
    return h;
}

static const struct follow_range ranges[] = {
    { .part = FOLLOW_CONF },
    { .part = FOLLOW_KEYRING, .offset = 2048 },
    { .part = FOLLOW_LOG, .segment = 3, .offset = 6400 },
    { .part = FOLLOW_LOG, .segment = 3, .offset = 6400 + PIECE },
    { .part = FOLLOW_LOG, .segment = 4 },
    { .part = FOLLOW_BODY_FILE, .body_class = BODY_IMAGES, .month = 202611, .number = 7, .offset = 4096 },
    { .part = FOLLOW_BODY_FILE, .body_class = BODY_RESULTS, .month = 202611, .number = 7 },
    { .part = FOLLOW_LARGE, .position = 31 },
};

/* A file of these ranges, PIECE bytes each, byte i of the n-th is n + i; one absent large body. */
static int make(void)
{
    struct follow_head head = head_of(40);
    struct follow_range gone = { .part = FOLLOW_LARGE, .position = 32 };
    struct step_writer w;
    struct error err = { 0 };
    int fd = memfd_create("step", MFD_CLOEXEC);

    if (fd < 0 || !step_write_begin(&w, fd, &head, 30, address_of(3, 6400), &err))
        abort();
    for (size_t n = 0; n < COUNT_OF(ranges); n++) {
        uint8_t bytes[PIECE];

        for (size_t i = 0; i < sizeof bytes; i++)
            bytes[i] = (uint8_t)(n + i);
        if (!step_write_part(&w, &ranges[n], false, span_of(bytes, sizeof bytes), &err))
            abort();
    }
    if (!step_write_part(&w, &gone, true, span_of(NULL, 0), &err) || !step_write_end(&w, &err))
        abort();
    return fd;
}

TEST(a_step_comes_back_as_it_was)
{
    const uint8_t key[FOLLOW_PUBLIC_KEY_BYTES] = { 9 };
    struct follow_range gone = { .part = FOLLOW_LARGE, .position = 32 }, far = { .part = FOLLOW_LOG, .segment = 5 };
    struct follow_range next = { .part = FOLLOW_LOG, .segment = 3, .offset = 6400 + 2 * PIECE };
    struct error err = { 0 };
    struct step_file *f = step_read(make(), "x", &err);
    struct twin_source source;
    struct follow_head head;
    uint8_t out[2 * PIECE];
    size_t got = 1;

    CHECK(f != NULL && step_from(f) == 30 && step_head(f)->size == 40);
    source = step_source(f, key);
    CHECK(source.head(source.context, 0, 0, 0, &head, &err) && head.committed == 40 && head.public_key[0] == 9);
    for (size_t n = 0; n < COUNT_OF(ranges); n++) {
        struct follow_range r = ranges[n];

        CHECK(source.read(source.context, &r, out, sizeof out, &got, &err) && got == PIECE && out[0] == (uint8_t)n);
        r.offset += 10; /* within */
        CHECK(source.read(source.context, &r, out, 20, &got, &err) && got == 20 && out[0] == (uint8_t)(n + 10));
    }
    CHECK(source.read(source.context, &next, out, sizeof out, &got, &err) && got == 0); /* the segment ends there */
    CHECK(!source.read(source.context, &gone, out, sizeof out, &got, &err) && err.code == ERR_NOT_FOUND);
    CHECK(!source.read(source.context, &far, out, sizeof out, &got, &err) && err.code == ERR_DAMAGED);
    step_close(f);
}

static int copy_of(int from, uint64_t len, uint64_t flip)
{
    uint8_t *bytes = malloc(len + 1);
    int fd = memfd_create("step", MFD_CLOEXEC);

    if (bytes == NULL || fd < 0 || !file_read_at(from, bytes, len, 0, NULL))
        abort();
    if (flip < len)
        bytes[flip] ^= 0x20;
    if (!file_write_all(fd, span_of(bytes, len), NULL))
        abort();
    free(bytes);
    return fd;
}

TEST(cut_or_changed_anywhere_it_is_refused)
{
    int fd = make();
    struct error err = { 0 };
    uint64_t size = 0;

    CHECK(file_size(fd, &size, &err));
    for (uint64_t at = 0; at < size; at++) {
        CHECK(step_read(copy_of(fd, at, UINT64_MAX), "x", &err) == NULL && err.code == ERR_TRUNCATED);
        CHECK(step_read(copy_of(fd, size, at), "x", &err) == NULL);
        CHECK(err.code == ERR_TRUNCATED || err.code == ERR_DAMAGED || err.code == ERR_MALFORMED || err.code == ERR_UNSUPPORTED);
    }
    close(fd);
}

TEST(names_are_of_one_form)
{
    char name[STEP_NAME_SIZE];
    uint64_t from = 0, to = 0;

    step_name(12, 345678, name);
    CHECK(strcmp(name, "00000000000000000012-00000000000000345678.step") == 0);
    CHECK(step_name_parse(name, &from, &to) && from == 12 && to == 345678);
    step_name(0, UINT64_MAX / 10, name);
    CHECK(step_name_parse(name, &from, &to) && to == UINT64_MAX / 10);
    CHECK(!step_name_parse("12-34.step", &from, &to) && !step_name_parse("", &from, &to));
    CHECK(!step_name_parse("00000000000000000012-00000000000000345678.part", &from, &to));
    CHECK(!step_name_parse("99999999999999999999-99999999999999999999.step", &from, &to));
}

/* ---- the log ---- */

static void put_entry(struct writer *w, uint64_t position, uint64_t body_bytes, const struct body_file *place)
{
    uint8_t header[ENTRY_HEADER_BYTES];
    struct entry_header h = { .position = position, .kind = RECORD_DICOM, .slot = 1, .facts_bytes = 50, .has_body = body_bytes > 0,
                              .body_bytes = body_bytes, .body_class = body_bytes > 0 ? BODY_IMAGES : (enum body_class)0 };

    h.length = entry_length(h.facts_bytes);
    if (body_bytes > 0 && place != NULL)
        h.place = *place;
    h.large = body_bytes > 0 && place == NULL;
    entry_header_encode(&h, header);
    write_span(w, span_of(header, sizeof header));
    for (uint32_t i = ENTRY_HEADER_BYTES; i < h.length; i++)
        write_u8(w, 0xaa);
}

static void put_marker(struct writer *w, uint64_t size, uint32_t count, const struct body_file *in_use)
{
    const uint8_t key[KEY_BYTES] = { 0 };
    struct hash leaves[8] = { { { 0 } } };
    struct marker m = { .size = size, .count = count };

    if (in_use != NULL)
        m.in_use[BODY_IMAGES - 1] = *in_use;
    marker_encode(&m, leaves, key, w);
}

TEST(the_log_tells_which_bodies_a_step_needs)
{
    struct writer w = writer_new(1 << 20);
    struct body_file before[BODY_CLASS_COUNT] = { { .month = 202611, .number = 2, .length = 90000 } };
    struct body_file p1 = { 202611, 2, 94208 }, p2 = { 202611, 4, 4096 }, end1 = { 202611, 2, 94208 + 1016 },
                     end2 = { 202611, 4, 4096 + 2016 };

    put_entry(&w, 10, 1000, &p1);
    put_entry(&w, 11, 5 << 20, NULL); /* a file of its own */
    put_marker(&w, 12, 2, &end1);
    put_entry(&w, 12, 0, NULL);
    put_entry(&w, 13, 2000, &p2); /* the next file */
    put_marker(&w, 14, 2, &end2);
    put_entry(&w, 14, 0, NULL); /* not of this step */
    for (size_t step = 1; step < w.len; step = step * 3 + 1) {
        struct step_log l;
        struct error err = { 0 };
        size_t used = 0, at = 0;

        step_log_begin(&l, 10, before, 14);
        while (!l.stopped && at < w.len) {
            size_t n = w.len - at < step ? w.len - at : step;

            CHECK(step_log_take(&l, span_part(writer_span(&w), at, n), &used, &err));
            at += used;
        }
        CHECK(l.stopped && l.marker.size == 14 && l.records == 14);
        CHECK(at == w.len - entry_length(50)); /* right behind the marker */
        CHECK(l.body_count == 3);
        CHECK(l.bodies[0].range.number == 2 && l.bodies[0].range.offset == 90000 && l.bodies[0].end == UINT64_MAX);
        CHECK(l.bodies[1].range.part == FOLLOW_LARGE && l.bodies[1].range.position == 11
              && l.bodies[1].end == body_stored_bytes(5 << 20));
        CHECK(l.bodies[2].range.number == 4 && l.bodies[2].range.offset == 0 && l.bodies[2].end == 4096 + 2016);
        step_log_done(&l);
    }
    writer_done(&w);
}

TEST(a_damaged_log_names_its_record)
{
    const struct body_file none[BODY_CLASS_COUNT] = { { .number = 0 } };
    struct writer w = writer_new(1 << 20);
    struct error err = { 0 };
    struct step_log l;
    size_t used;

    put_entry(&w, 0, 0, NULL);
    put_entry(&w, 1, 0, NULL);
    w.ptr[entry_length(50) + 60] ^= 1;
    step_log_begin(&l, 0, none, 2);
    CHECK(!step_log_take(&l, writer_span(&w), &used, &err) && err.code == ERR_DAMAGED && strstr(err.text, "record 1") != NULL);
    step_log_done(&l);
    writer_reset(&w);
    put_entry(&w, 0, 0, NULL);
    put_marker(&w, 5, 1, NULL);
    step_log_begin(&l, 0, none, 5);
    CHECK(!step_log_take(&l, writer_span(&w), &used, &err) && err.code == ERR_DAMAGED);
    step_log_done(&l);
    writer_done(&w);
}

/* ---- the state ---- */

TEST(the_state_is_whole_or_refused)
{
    char dir[] = "/tmp/fanal-steps-XXXXXX", path[64];
    struct segments_state s = { .begun = true, .records = 77, .end = address_of(2, 640), .keyring_slots = 512 }, got;
    struct error err = { 0 };
    struct writer w = writer_new(4096);

    s.in_use[1] = (struct body_file){ 202611, 3, 12345 };
    memset(s.vault_id, 6, sizeof s.vault_id);
    CHECK(sodium_init() >= 0 && mkdtemp(dir) != NULL);
    (void)snprintf(path, sizeof path, "%s/state", dir);
    CHECK(segments_state_read(path, &got, &err) && !got.begun && got.records == 0);
    CHECK(segments_state_write(path, &s, &err) && segments_state_read(path, &got, &err));
    CHECK(got.begun && got.records == 77 && got.end == s.end && got.in_use[1].length == 12345 && got.keyring_slots == 512
          && got.vault_id[5] == 6);
    CHECK(file_slurp(path, &w, &err));
    for (size_t i = 0; i < w.len; i++) {
        int fd;

        w.ptr[i] ^= 4;
        fd = open(path, O_WRONLY | O_TRUNC);
        CHECK(fd >= 0 && file_write_all(fd, writer_span(&w), &err));
        close(fd);
        w.ptr[i] ^= 4;
        CHECK(!segments_state_read(path, &got, &err) && err.code == ERR_DAMAGED);
    }
    CHECK(truncate(path, 20) == 0 && !segments_state_read(path, &got, &err) && err.code == ERR_DAMAGED);
    writer_done(&w);
    (void)unlink(path);
    (void)rmdir(dir);
}

TESTS(T(a_step_comes_back_as_it_was), T(cut_or_changed_anywhere_it_is_refused), T(names_are_of_one_form),
      T(the_log_tells_which_bodies_a_step_needs), T(a_damaged_log_names_its_record), T(the_state_is_whole_or_refused))
