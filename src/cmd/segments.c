/*
 * fanal segments [--from POSITION] DIR OUT: what is new since the last time, as files for a twin behind a one-way link
 * (docs/twin.md, "One way"). Asks the vault what a twin asks, through the local socket of a running serve or a vault of its
 * own: signed heads, committed bytes. Keeps DIR/segments.state; constant memory.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/file.h"
#include "cmd/conf.h"
#include "cmd/local.h"
#include "cmd/options.h"
#include "cmd/roles.h"
#include "cmd/room/follow_fields.h"
#include "cmd/segments_state.h"
#include "cmd/step_file.h"
#include "cmd/step_log.h"
#include "vault/keyring.h"

#define STATE_NAME "segments.state"
#define PART_NAME  ".writing.step.part"

struct segments {
    struct local local;
    const char *dir, *out;
    char state_path[PATH_MAX];
    int out_fd; /* locked while this runs */
    struct segments_state state;
    uint64_t from; /* --from; UINT64_MAX: what is new */
    uint64_t files, records;
};

/* ---- questions ---- */

static bool ask_head(struct segments *s, struct follow_head *out, struct error *err)
{
    struct follow_question q = { .from = s->state.end, .position = s->state.records };
    struct writer w = writer_new(1024);
    struct span reply;
    bool ok;

    follow_question_write(&q, 0, &w);
    ok = writer_ok(&w, err, "question") && session_call(s->local.session, VERB_FOLLOW_STATE, writer_span(&w), &reply, err)
         && follow_head_read(reply, out, err);
    writer_done(&w);
    return ok;
}

/* *bytes borrow until the next question; empty behind the end. *absent (NULL allowed): it is not there any more. */
static bool ask_bytes(struct segments *s, const struct follow_range *range, size_t len, struct span *bytes, bool *absent,
                      struct error *err)
{
    struct writer w = writer_new(1024);
    struct span reply;
    bool ok;

    follow_range_write(range, len, &w);
    ok = writer_ok(&w, err, "question")
         && session_fetch(s->local.session, VERB_FOLLOW_READ, writer_span(&w), &reply, bytes, err);
    writer_done(&w);
    if (absent != NULL) {
        *absent = !ok && err->code == ERR_NOT_FOUND;
        if (*absent)
            *bytes = span_of(NULL, 0);
        return ok || *absent;
    }
    return ok;
}

/* ---- one step ---- */

static bool write_conf(struct segments *s, struct step_writer *w, struct error *err)
{
    struct follow_range range = { .part = FOLLOW_CONF };
    struct writer text = writer_new(CONF_BYTES_MAX);
    char path[PATH_MAX];
    bool ok = path_join(path, sizeof path, s->dir, "fanal.conf", err) && file_slurp(path, &text, err)
              && (text.len > STEP_PIECE_MAX || step_write_part(w, &range, false, writer_span(&text), err));

    writer_done(&text);
    return ok;
}

/* Slots that are new; all of it where the header is another. */
static bool write_keyring(struct segments *s, struct step_writer *w, const struct follow_head *head, struct error *err)
{
    bool same = s->state.begun && memcmp(s->state.keyring_digest, head->keyring_digest, HASH_BYTES) == 0;
    struct follow_range range = { .part = FOLLOW_KEYRING };
    uint64_t end = KEYRING_HEADER_BYTES + (uint64_t)head->keyring_slots * KEYRING_SLOT_BYTES;
    struct span bytes;

    if (!same && (!ask_bytes(s, &range, STEP_PIECE_MAX, &bytes, NULL, err) || !step_write_part(w, &range, false, bytes, err)))
        return false;
    range.offset = KEYRING_HEADER_BYTES + (same ? (uint64_t)s->state.keyring_slots * KEYRING_SLOT_BYTES : 0);
    while (range.offset < end) {
        if (!ask_bytes(s, &range, STEP_PIECE_MAX, &bytes, NULL, err))
            return false;
        if (bytes.len > end - range.offset)
            bytes = span_part(bytes, 0, (size_t)(end - range.offset));
        if (bytes.len == 0)
            return error_set(err, ERR_DAMAGED, "the keyring ends early");
        if (!step_write_part(w, &range, false, bytes, err))
            return false;
        range.offset += bytes.len;
    }
    return true;
}

/* The log from s->state.end until the marker of l->target; w NULL: only read. *end: where it stopped. */
static bool pass_log(struct segments *s, struct step_writer *w, struct step_log *l, address *end, struct error *err)
{
    struct follow_range range = { .part = FOLLOW_LOG, .segment = address_segment(s->state.end),
                                  .offset = address_offset(s->state.end) };
    bool empty = false;

    if (range.offset == 0)
        step_log_segment(l);
    while (!l->stopped) {
        struct span bytes;
        size_t used = 0;

        if (!ask_bytes(s, &range, STEP_PIECE_MAX, &bytes, NULL, err))
            return false;
        if (bytes.len == 0) {
            if (empty || l->have > 0 || l->skip > 0)
                return error_set(err, ERR_DAMAGED, "log segment %u ends within a record, behind record %" PRIu64,
                                 range.segment, l->records);
            range.segment++;
            range.offset = 0;
            step_log_segment(l);
            empty = true;
            continue;
        }
        empty = false;
        if (!step_log_take(l, bytes, &used, err)
            || (w != NULL && !step_write_part(w, &range, false, span_part(bytes, 0, used), err)))
            return false;
        range.offset += used;
    }
    *end = address_of(range.segment, (uint32_t)range.offset);
    return true;
}

static bool write_body(struct segments *s, struct step_writer *w, const struct step_body *b, struct error *err)
{
    struct follow_range range = b->range;
    bool absent = false;

    while (range.offset < b->end) {
        size_t want = b->end - range.offset < STEP_PIECE_MAX ? (size_t)(b->end - range.offset) : STEP_PIECE_MAX;
        struct span bytes;

        if (!ask_bytes(s, &range, want, &bytes, &absent, err))
            return false;
        if (bytes.len == 0 && !absent)
            return b->end == UINT64_MAX || error_set(err, ERR_DAMAGED, "the bytes of a body end early");
        if (!step_write_part(w, &range, absent, bytes, err))
            return false;
        if (absent)
            return true;
        range.offset += bytes.len;
    }
    return true;
}

static bool fill(struct segments *s, int fd, const struct follow_head *head, struct segments_state *after, struct error *err)
{
    struct step_writer w;
    struct step_log l;
    bool ok;

    step_log_begin(&l, s->state.records, s->state.in_use, head->size);
    ok = step_write_begin(&w, fd, head, s->state.records, s->state.end, err) && write_conf(s, &w, err)
         && write_keyring(s, &w, head, err) && pass_log(s, &w, &l, &after->end, err);
    for (size_t i = 0; ok && i < l.body_count; i++)
        ok = write_body(s, &w, &l.bodies[i], err);
    ok = ok && step_write_end(&w, err);
    if (ok) {
        after->begun = true;
        after->records = l.marker.size;
        after->keyring_slots = head->keyring_slots;
        memcpy(after->in_use, l.marker.in_use, sizeof after->in_use);
        memcpy(after->vault_id, head->vault_id, VAULT_ID_BYTES);
        memcpy(after->keyring_digest, head->keyring_digest, HASH_BYTES);
    }
    step_log_done(&l);
    return ok;
}

/* The file has its name once it is durable, and the state follows it: a cut between them writes the same again. */
static bool write_step(struct segments *s, const struct follow_head *head, struct error *err)
{
    struct segments_state after = s->state;
    char name[STEP_NAME_SIZE];

    CLEANUP(file_close)
    int fd = openat(s->out_fd, PART_NAME, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return error_errno(err, "%s/%s", s->out, PART_NAME);
    if (!fill(s, fd, head, &after, err)) {
        (void)unlinkat(s->out_fd, PART_NAME, 0);
        return false;
    }
    step_name(s->state.records, after.records, name);
    if (renameat(s->out_fd, PART_NAME, s->out_fd, name) != 0 || fsync(s->out_fd) != 0)
        return error_errno(err, "%s/%s", s->out, name);
    if (!segments_state_write(s->state_path, &after, err))
        return false;
    (void)puts(name);
    s->files++;
    s->records += after.records - s->state.records;
    s->state = after;
    return true;
}

/* ---- all of them ---- */

/* Back to the last commit that ends at or before --from: the log is read from its beginning, nothing is written. */
static bool go_back(struct segments *s, struct error *err)
{
    struct segments_state at = { .begun = false };

    s->state = at;
    while (at.records < s->from) {
        struct step_log l;
        bool ok;

        step_log_begin(&l, at.records, at.in_use, at.records + 1); /* the next commit */
        ok = pass_log(s, NULL, &l, &at.end, err);
        step_log_done(&l);
        if (!ok)
            return error_within(err, "looking for record %" PRIu64, s->from);
        if (l.marker.size > s->from)
            return true;
        at.records = l.marker.size;
        memcpy(at.in_use, l.marker.in_use, sizeof at.in_use);
        s->state = at;
    }
    return true;
}

static bool is_ours(const struct segments *s, const struct follow_head *head, struct error *err)
{
    if (s->state.begun && memcmp(s->state.vault_id, head->vault_id, VAULT_ID_BYTES) != 0)
        return error_set(err, ERR_REFUSED, "%s speaks of another vault", s->state_path);
    if (head->size < s->state.records)
        return error_set(err, ERR_REFUSED, "the log has %" PRIu64 " records, %" PRIu64 " were written: it was rolled back",
                         head->size, s->state.records);
    return true;
}

/* Up to what is committed when it begins: under load it would go on for ever. */
static bool write_all(struct segments *s, struct error *err)
{
    struct follow_head head;
    uint64_t until;

    if (!ask_head(s, &head, err) || !is_ours(s, &head, err))
        return false;
    until = head.committed;
    if (s->from != UINT64_MAX && s->from > until)
        return error_set(err, ERR_NOT_FOUND, "the log has %" PRIu64 " records", until);
    if (s->from != UINT64_MAX && !go_back(s, err))
        return false;
    while (s->state.records < until)
        if (!ask_head(s, &head, err) || !is_ours(s, &head, err) || !write_step(s, &head, err))
            return false;
    return true;
}

static bool open_folders(struct segments *s, struct error *err)
{
    if (twin_is_here(s->dir))
        return error_set(err, ERR_REFUSED, "%s is a twin: its first writes segments", s->dir);
    if (!path_join(s->state_path, sizeof s->state_path, s->dir, STATE_NAME, err)
        || !segments_state_read(s->state_path, &s->state, err))
        return false;
    s->out_fd = open(s->out, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (s->out_fd < 0)
        return error_errno(err, "%s", s->out);
    if (flock(s->out_fd, LOCK_EX | LOCK_NB) != 0)
        return error_set(err, ERR_BUSY, "another fanal segments writes into %s", s->out);
    (void)unlinkat(s->out_fd, PART_NAME, 0); /* of one that was interrupted */
    return true;
}

static bool parse_from(const char *text, uint64_t *out)
{
    char *end;

    errno = 0;
    *out = strtoull(text, &end, 10);
    return errno == 0 && end != text && *end == '\0' && text[0] != '-' && *out < UINT64_MAX;
}

int cmd_segments(int argc, char **argv)
{
    struct segments s = { .out_fd = -1, .from = UINT64_MAX };
    struct error err = { 0 };
    struct options o;
    bool ok;

    if (!options_parse(argc, argv, 2, OPTION_FROM, &o))
        return 2;
    s.dir = o.arguments[0];
    s.out = o.arguments[1];
    if (o.from != NULL && !parse_from(o.from, &s.from)) {
        (void)fprintf(stderr, "fanal segments: --from takes a position; see fanal segments --help\n");
        return 2;
    }
    ok = (sodium_init() >= 0 || error_set(&err, ERR_IO, "libsodium does not start")) && open_folders(&s, &err)
         && local_open(&s.local, s.dir, o.key_file, &err) && write_all(&s, &err);
    local_close(&s.local);
    file_close(&s.out_fd);
    if (ok)
        (void)printf("%" PRIu64 " records in %" PRIu64 " files, up to %" PRIu64 "\n", s.records, s.files, s.state.records);
    return ok ? 0 : command_failed("segments", &err);
}
