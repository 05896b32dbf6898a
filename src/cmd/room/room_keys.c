/*
 * KEYS: who may open the vault, a new master key, a back-up of keyring and configuration (docs/channel.md, "Keys").
 *
 * What takes long (Argon2id, every slot wrapped anew) runs in a job; what was done is a fact or an event of the same
 * call, and the answer waits for its commit.
 */
#include <fcntl.h>
#include <sodium.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/file.h"
#include "cmd/room/room.h"
#include "vault/rules_keys.h"
#include "vault/store_backup.h"

#define SECRET_BYTES_MAX 65536

static const struct span nothing = { NULL, 0 };

enum deed { DEED_LIST, DEED_ADD, DEED_REMOVE, DEED_ROTATE, DEED_BACKUP };

static const struct {
    const char *name;
    size_t fds;
    const char *event; /* of the journal; NULL: it changes nothing */
} deeds[] = {
    [DEED_LIST] = { "list", 0, NULL },
    [DEED_ADD] = { "add", 1, "keys.added" },
    [DEED_REMOVE] = { "remove", 0, "keys.removed" },
    [DEED_ROTATE] = { "rotate", 0, "keys.rotated" },
    [DEED_BACKUP] = { "back-up", 1, "keys.backed-up" },
};

struct keys_job {
    struct job job;
    struct awaited awaited; /* the commit of its fact */
    struct room *room;
    struct session *session; /* held */
    uint32_t id;
    enum deed deed;
    unsigned number;            /* of the unlocker, from 1 */
    unsigned threshold, shares; /* of custodians */
    int fd;                     /* owned: the new secret, or the file of a back-up; -1 */
    struct writer conf;         /* of a back-up, and then the back-up itself … */
    struct writer bytes;
    struct key_backup backup; /* … what it says of itself */
    struct error err;
};

static void keys_end(struct room *room, struct keys_job *j)
{
    struct writer w = writer_new(CHANNEL_MESSAGE_MAX);
    struct keyring_info info;

    store_keys(room->store, &info);
    field_put_bytes(&w, FIELD_VAULT_ID, span_of(info.vault_id, sizeof info.vault_id));
    field_put_uint(&w, FIELD_GENERATION, info.generation);
    field_put_uint(&w, FIELD_MASTER_GENERATION, info.master_generation);
    field_put_uint(&w, FIELD_UNLOCKER_NUMBER, j->number);
    if (j->deed == DEED_BACKUP) {
        field_put_bytes(&w, FIELD_BACKUP_ID, span_of(j->backup.id, BACKUP_ID_BYTES));
        field_put_uint(&w, FIELD_EXPIRES, j->backup.expires_us);
        field_put_uint(&w, FIELD_MADE, j->backup.made_us);
    }
    for (unsigned i = 0; i < KEYRING_UNLOCKERS; i++) {
        const struct unlocker *u = &info.unlockers[i];
        size_t mark;

        if (u->kind == UNLOCKER_NONE)
            continue;
        mark = field_group_begin(&w, FIELD_UNLOCKER);
        field_put_uint(&w, FIELD_UNLOCKER_NUMBER, i + 1);
        field_put_str(&w, FIELD_UNLOCKER_KIND, unlocker_kind_name(u->kind));
        field_put_uint(&w, FIELD_THRESHOLD, u->threshold);
        field_put_uint(&w, FIELD_SHARES, u->shares);
        field_put_uint(&w, FIELD_ADDED, u->added);
        field_put_uint(&w, FIELD_ADDED_US, u->added_us);
        field_group_end(&w, mark);
    }
    if (!session_reply(j->session, j->id, &j->err, writer_span(&w)))
        session_end(room, j->session);
    writer_done(&w);
    session_release(room, j->session);
    file_close(&j->fd);
    writer_done(&j->conf);
    writer_done(&j->bytes);
    free(j);
}

/* The file is written once the log says that it exists: no copy of the keys is about that erasure does not know. */
static void write_backup(struct job *job, struct vault_reader *reader)
{
    struct keys_job *j = (struct keys_job *)job;

    (void)reader;
    j->err = (struct error){ .code = ERR_NONE };
    (void)(file_write_all(j->fd, writer_span(&j->bytes), &j->err) && file_sync(j->fd, &j->err));
}

static void backup_written(struct job *job, void *context)
{
    keys_end(context, (struct keys_job *)job);
}

static void fact_committed(struct room *room, struct awaited *self, const struct completion *c)
{
    struct keys_job *j = (struct keys_job *)((char *)self - offsetof(struct keys_job, awaited));

    if (!c->committed)
        (void)error_set(&j->err, ERR_IO, "it could not be recorded");
    if (c->committed && j->deed == DEED_BACKUP) {
        j->job = (struct job){ .run = write_backup, .done = backup_written };
        j->err = (struct error){ .code = ERR_CLOSED, .text = "the vault is stopping" };
        if (jobs_add(room->slow, &j->job))
            return;
        (void)error_set(&j->err, ERR_BUSY, "too many requests wait");
    }
    keys_end(room, j);
}

static bool append_backed_up(struct room *room, struct keys_job *j, struct error *err)
{
    struct append a = { .kind = RECORD_RULE,
                        .unit = SPAN_LIT("rules"),
                        .received_us = clock_wall_us(room->clock),
                        .cookie = &j->awaited };
    struct writer w = writer_new(1024);
    uint64_t position;
    bool ok;

    field_put_str(&w, FIELD_FACT, "keys-backed-up");
    field_put_str(&w, FIELD_ACTOR, j->session->rights.actor);
    field_put_bytes(&w, FIELD_BACKUP_ID, span_of(j->backup.id, BACKUP_ID_BYTES));
    field_put_uint(&w, FIELD_MADE, j->backup.made_us);
    field_put_uint(&w, FIELD_EXPIRES, j->backup.expires_us);
    field_put_uint(&w, FIELD_GENERATION, j->backup.generation);
    a.facts = writer_span(&w);
    ok = writer_ok(&w, err, "fact") && vault_append(room->vault, &a, &position, err);
    store_kick(room->store);
    writer_done(&w);
    return ok;
}

/* What was done, and what the keyring is now, as a rule: an older keyring is known by it. cookie: who waits for its
 * commit, or NULL. deed: NULL where only the keyring tells of it. */
static bool append_changed(struct room *room, const char *fact, const char *deed, unsigned number, const char *actor,
                           struct awaited *cookie, struct error *err)
{
    struct append a = {
        .kind = RECORD_RULE, .unit = SPAN_LIT("rules"), .received_us = clock_wall_us(room->clock), .cookie = cookie
    };
    struct writer w = writer_new(1024);
    struct keyring_info info;
    uint64_t position;
    bool ok;

    store_keys(room->store, &info);
    field_put_str(&w, FIELD_FACT, fact);
    field_put_str(&w, FIELD_ACTOR, actor);
    if (deed != NULL)
        field_put_str(&w, FIELD_KEY_DEED, deed);
    if (number > 0)
        field_put_uint(&w, FIELD_UNLOCKER_NUMBER, number);
    field_put_uint(&w, FIELD_GENERATION, info.generation);
    field_put_uint(&w, FIELD_MASTER_GENERATION, info.master_generation);
    a.facts = writer_span(&w);
    ok = writer_ok(&w, err, "fact") && vault_append(room->vault, &a, &position, err);
    store_kick(room->store);
    writer_done(&w);
    return ok;
}

static bool append_deed(struct room *room, struct keys_job *j)
{
    const char *actor = j->session->rights.actor;

    if (j->deed == DEED_BACKUP)
        return append_backed_up(room, j, &j->err);
    return append_changed(room, j->deed == DEED_ROTATE ? "keys-rotated" : "keys-changed", deeds[j->deed].name, j->number,
                          actor, &j->awaited, &j->err);
}

static void keys_done(struct job *job, void *context)
{
    struct keys_job *j = (struct keys_job *)job;
    struct room *room = context;
    struct writer more = writer_new(256);
    bool ok = j->err.code == ERR_NONE;

    if (j->number > 0)
        field_put_uint(&more, FIELD_UNLOCKER_NUMBER, j->number);
    if (deeds[j->deed].event != NULL) {
        event_record(room, deeds[j->deed].event, j->session, ok ? "success" : "failed",
                     ok ? NULL : error_name(j->err.code), writer_span(&more));
        log_info(&room->log, "keys.changed", f_str("deed", deeds[j->deed].name),
                 f_str("outcome", ok ? "success" : error_name(j->err.code)), f_uint("unlocker", j->number));
    }
    writer_done(&more);
    if (ok && j->deed != DEED_LIST && append_deed(room, j))
        return; /* fact_committed() answers */
    keys_end(room, j);
}

static bool read_secret(int fd, struct writer *out, struct error *err)
{
    uint64_t size;
    uint8_t *room;

    if (!file_size(fd, &size, err))
        return error_within(err, "new secret");
    if (size == 0 || size > SECRET_BYTES_MAX)
        return error_set(err, ERR_USAGE, "a secret of %llu bytes", (unsigned long long)size);
    room = write_room(out, (size_t)size);
    return writer_ok(out, err, "new secret") && file_read_at(fd, room, (size_t)size, 0, err);
}

static void add(struct keys_job *j)
{
    struct writer secret = writer_new(SECRET_BYTES_MAX);
    struct new_unlocker new = { .threshold = j->threshold,
                                .shares = j->shares,
                                .now_us = clock_wall_us(j->room->clock) };
    unsigned place;

    if (read_secret(j->fd, &secret, &j->err)) {
        new.secret = writer_span(&secret);
        if (store_keys_add(j->room->store, &new, &place, &j->err))
            j->number = place + 1;
    }
    if (secret.ptr != NULL)
        sodium_memzero(secret.ptr, secret.cap);
    writer_done(&secret);
}

static void keys_run(struct job *job, struct vault_reader *reader)
{
    struct keys_job *j = (struct keys_job *)job;

    (void)reader;
    j->err = (struct error){ .code = ERR_NONE };
    switch (j->deed) {
    case DEED_LIST:
        break;
    case DEED_ADD:
        add(j);
        break;
    case DEED_REMOVE:
        (void)store_keys_remove(j->room->store, j->number - 1, &j->err);
        break;
    case DEED_ROTATE:
        (void)store_keys_rotate(j->room->store, &j->err);
        break;
    case DEED_BACKUP:
        (void)store_backup(j->room->store, writer_span(&j->conf), j->backup.expires_us, &j->backup, &j->bytes, &j->err);
        break;
    }
}

static bool deed_of(struct span name, enum deed *out)
{
    for (size_t i = 0; i < COUNT_OF(deeds); i++)
        if (span_equal(name, span_str(deeds[i].name))) {
            *out = (enum deed)i;
            return true;
        }
    return false;
}

static void refuse(struct room *room, struct session *s, uint32_t id, enum error_code code, const char *why)
{
    struct error err = { 0 };

    (void)error_set(&err, code, "%s", why);
    if (!session_reply(s, id, &err, nothing))
        session_end(room, s);
}

void ask_keys(struct room *room, struct session *s, const struct message *m)
{
    struct message *own = (struct message *)m; /* the descriptor is taken out of it */
    uint64_t number = fields_uint(m->fields, FIELD_UNLOCKER_NUMBER, 0);
    struct keys_job *j;
    enum deed deed;

    if (!deed_of(fields_text(m->fields, FIELD_KEY_DEED), &deed) || m->fd_count != deeds[deed].fds
        || (deed == DEED_REMOVE && (number < 1 || number > KEYRING_UNLOCKERS))) {
        refuse(room, s, m->id, ERR_USAGE, "no such deed with keys");
        return;
    }
    j = calloc(1, sizeof *j);
    if (j == NULL) {
        refuse(room, s, m->id, ERR_MEMORY, "keys");
        return;
    }
    *j = (struct keys_job){ .job = { .run = keys_run, .done = keys_done },
                            .awaited = { fact_committed },
                            .room = room,
                            .session = s,
                            .id = m->id,
                            .deed = deed,
                            .number = deed == DEED_REMOVE ? (unsigned)number : 0,
                            .threshold = (unsigned)(fields_uint(m->fields, FIELD_THRESHOLD, 0) & 0xff),
                            .shares = (unsigned)(fields_uint(m->fields, FIELD_SHARES, 0) & 0xff),
                            .fd = -1,
                            .conf = writer_new(BACKUP_CONF_MAX),
                            .bytes = writer_new(BACKUP_BYTES_MAX),
                            .backup = { .expires_us = fields_uint(m->fields, FIELD_EXPIRES, 0) },
                            .err = { .code = ERR_CLOSED, .text = "the vault is stopping" } }; /* until it has run */
    if (deeds[deed].fds == 1) {
        j->fd = own->fds[0];
        own->fds[0] = -1;
    }
    write_span(&j->conf, fields_text(m->fields, FIELD_CONFIGURATION));
    session_hold(room, s);
    if (jobs_add(room->slow, &j->job))
        return;
    (void)error_set(&j->err, ERR_BUSY, "too many requests wait");
    keys_end(room, j);
}

/* ---- at the start ---- */

void keys_compare(struct room *room)
{
    struct keys_said *said = calloc(1, sizeof *said);
    struct keyring_info info;
    struct error err = { 0 };

    if (said == NULL)
        return;
    vault_keys_said(room->vault, said);
    store_keys(room->store, &info);
    if (said->generation > info.generation || said->master_generation > info.master_generation) {
        log_error(&room->log, "keys.older", f_uint("generation", info.generation), f_uint("recorded", said->generation),
                  f_uint("master_generation", info.master_generation),
                  f_uint("recorded_master", said->master_generation));
        event_record(room, "keys.older", NULL, "failed", "the keyring is older than its last recorded change", nothing);
    } else if (info.generation > 1 && said->generation < info.generation) {
        /* The power went between the change and its record. */
        bool rotated = info.master_generation > 1 && said->master_generation < info.master_generation;
        const char *fact = rotated ? "keys-rotated" : "keys-changed";

        log_warn(&room->log, "keys.found", f_uint("generation", info.generation), f_uint("recorded", said->generation));
        if (!append_changed(room, fact, NULL, 0, "fanal", NULL, &err))
            log_error(&room->log, "event.not-recorded", f_str("event", fact), f_err(&err));
    }
    free(said);
}
