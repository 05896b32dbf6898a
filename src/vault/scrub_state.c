/* The file `scrub`. See scrub_state.h. */
#include "vault/scrub_state.h"

#include <fcntl.h>
#include <string.h>

#include "base/file.h"
#include "base/reader.h"

#define STATE_NAME         "scrub"
#define STATE_BYTES        512u /* without names of damaged files */
#define STATE_BYTES_MAX    (STATE_BYTES + SCRUB_DAMAGED_MAX * SIDECAR_NAME_BYTES)
#define STATE_NAMES_AT     480u

_Static_assert(BODY_CLASS_COUNT <= SCRUB_STATE_CLASSES, "each class has its place in the scrub file");

static bool decode(struct store *s, struct span bytes, struct scrub_state *out)
{
    struct reader r = reader_over(bytes);
    struct scrub_state st = { 0 };
    struct span last;
    size_t macd;

    if (bytes.len < STATE_BYTES || bytes.len > STATE_BYTES_MAX
        || (bytes.len - STATE_BYTES) % SIDECAR_NAME_BYTES != 0)
        return false;
    macd = bytes.len - HASH_BYTES;
    if (memcmp(bytes.ptr, "FANALSCR", 8) != 0
        || !seal_mac_fits(keyring_keys(s->keyring)->file, span_part(bytes, 0, macd), bytes.ptr + macd, HASH_BYTES)
        || memcmp(bytes.ptr + 16, keyring_vault_id(s->keyring), VAULT_ID_BYTES) != 0)
        return false;
    read_skip(&r, 8);
    if (read_u32le(&r) != 1)
        return false;
    st.segments = read_u32le(&r);
    read_skip(&r, VAULT_ID_BYTES);
    st.cursor = read_u64le(&r);
    for (size_t c = 0; c < BODY_CLASS_COUNT; c++) {
        st.classes[c].month = read_u32le(&r);
        st.classes[c].number = read_u32le(&r);
        st.classes[c].first = read_u64le(&r);
    }
    r = reader_over(span_part(bytes, 168, bytes.len - 168));
    st.rounds = read_u64le(&r);
    st.ended_us = read_u64le(&r);
    st.began_us = read_u64le(&r);
    last = read_span(&r, SIDECAR_NAME_BYTES);
    memcpy(st.last, last.ptr, last.len);
    r = reader_over(span_part(bytes, STATE_NAMES_AT, macd - STATE_NAMES_AT));
    while (reader_left(&r) > 0)
        memcpy(st.damaged[st.damaged_count++].name, read_span(&r, SIDECAR_NAME_BYTES).ptr, SIDECAR_NAME_BYTES);
    *out = st;
    return true;
}

/* Without memory of its own: want of it must not look like damage. */
enum scrub_state_read scrub_state_read(struct store *s, struct scrub_state *out)
{
    uint8_t bytes[STATE_BYTES_MAX];
    char path[DISK_PATH_MAX];
    uint64_t size;

    if (!disk_exists(&s->disk, STATE_NAME))
        return SCRUB_STATE_MISSING;
    disk_path(&s->disk, STATE_NAME, path);
    CLEANUP(file_close) int fd = open(path, O_RDONLY | O_CLOEXEC);
    return fd >= 0 && file_size(fd, &size, NULL) && size <= STATE_BYTES_MAX
                   && file_read_at(fd, bytes, (size_t)size, 0, NULL) && decode(s, span_of(bytes, (size_t)size), out)
               ? SCRUB_STATE_WHOLE
               : SCRUB_STATE_DAMAGED;
}

bool scrub_state_write(struct store *s, const struct scrub_state *st, struct error *err)
{
    struct writer w = writer_new(STATE_BYTES_MAX);
    uint8_t mac[HASH_BYTES];
    bool ok;

    write_str(&w, "FANALSCR");
    write_u32le(&w, 1);
    write_u32le(&w, st->segments);
    write_span(&w, span_of(keyring_vault_id(s->keyring), VAULT_ID_BYTES));
    write_u64le(&w, st->cursor);
    for (size_t c = 0; c < BODY_CLASS_COUNT; c++) {
        write_u32le(&w, st->classes[c].month);
        write_u32le(&w, st->classes[c].number);
        write_u64le(&w, st->classes[c].first);
    }
    write_fill(&w, 0, 168 - w.len);
    write_u64le(&w, st->rounds);
    write_u64le(&w, st->ended_us);
    write_u64le(&w, st->began_us);
    write_str(&w, st->last);
    write_fill(&w, 0, STATE_NAMES_AT - w.len);
    for (size_t i = 0; i < st->damaged_count; i++) {
        write_str(&w, st->damaged[i].name);
        write_fill(&w, 0, SIDECAR_NAME_BYTES - strlen(st->damaged[i].name));
    }
    ok = writer_ok(&w, err, "scrub file");
    if (ok) {
        seal_mac(keyring_keys(s->keyring)->file, writer_span(&w), mac);
        write_span(&w, span_of(mac, sizeof mac));
        ok = writer_ok(&w, err, "scrub file") && disk_replace(&s->disk, STATE_NAME, writer_span(&w), err);
    }
    writer_done(&w);
    return ok;
}
