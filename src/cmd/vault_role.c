/*
 * The vault role: opens the store with the secret it is given, gives up what it does not need, serves.
 */
#include <malloc.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "cmd/roles.h"
#include "cmd/room/serve.h"
#include "cmd/tuned.h"
#include "channel/sandbox.h"
#include "record/moment.h"
#include "vault/twin.h"

/* A passphrase or key file; longer ones are refused when they are read. */
#define SECRET_BYTES_MAX 65536
#define HOUR_US          UINT64_C(3600000000)
#define LOCK_PATIENCE_MS 3000u /* the vault of a serve that was killed just now gives its memory back before its lock */

static bool read_secret(int fd, struct writer *out, struct error *err)
{
    uint64_t size;
    uint8_t *room;

    if (!file_size(fd, &size, err))
        return error_within(err, "secret");
    if (size == 0 || size > SECRET_BYTES_MAX)
        return error_set(err, ERR_SEALED, "a secret of %llu bytes", (unsigned long long)size);
    room = write_room(out, (size_t)size);
    return writer_ok(out, err, "secret") && file_read_at(fd, room, (size_t)size, 0, err);
}

static bool configure(struct room *room, const struct role *role, char *dir, size_t cap, struct error *err)
{
    if (role->fd_count != 1 || !span_to_str(fields_text(role->fields, FIELD_DIRECTORY), dir, cap))
        return error_set(err, ERR_MALFORMED, "START without a directory and a secret");
    room->start = role->fields;
    room->conf_text = fields_text(role->fields, FIELD_CONFIGURATION);
    return conf_parse(room->conf_text, &room->conf, err);
}

static bool open_sealed(struct room *room, const struct role *role, const char *dir, struct error *err)
{
    struct writer secret = writer_new(SECRET_BYTES_MAX);
    const struct tuning tuning = conf_tuning(&room->conf);
    const struct scrub_options scrub = { .rate = room->conf.scrub_rate,
                                         .interval_us = room->conf.scrub_interval_hours * HOUR_US };
    struct vault_options options = {
        .store = { .clock = &clock_system, .log = &room->log, .reserve_bytes = room->conf.disk_reserve,
                   .tuning = &tuning, .scrub = &scrub, .lock_patience_ms = LOCK_PATIENCE_MS },
        .twin = twin_is_here(dir),
        .timezone = room->conf.timezone,
    };
    bool ok = read_secret(role->fds[0], &secret, err);

    options.store.secret = writer_span(&secret);
    ok = ok && room_open(room, dir, &options, err);
    if (secret.ptr != NULL)
        sodium_memzero(secret.ptr, secret.cap);
    writer_done(&secret);
    return ok;
}

static bool confine(const struct room *room, const char *dir, struct error *err)
{
    char vault[PATH_MAX];
    struct sandbox_paths paths = { .writable = { vault }, .readable = { ZONE_DIRECTORY } };

    return path_join(vault, sizeof vault, dir, "vault", err) && sandbox_enter(SANDBOX_VAULT, &paths, &room->log, err);
}

static int exit_status(const struct error *err)
{
    switch (err->code) {
    case ERR_SEALED:
    case ERR_NOT_FOUND:
    case ERR_BUSY:
    case ERR_USAGE:
        return ROLE_EXIT_REFUSED; /* another try would end the same */
    default:
        return ROLE_EXIT_FAILED;
    }
}

/*
 * Bodies of half a megabyte come and go some thousand times a second: memory given back to the kernel each time would
 * cost a page fault for every 4 KiB (a sixth of the vault's time).
 */
static void keep_memory(void)
{
    (void)mallopt(M_MMAP_THRESHOLD, 64 << 20);
    (void)mallopt(M_TRIM_THRESHOLD, 64 << 20);
    (void)mallopt(M_ARENA_MAX, 2);
}

int vault_role_run(int control_fd)
{
    struct room *room = calloc(1, sizeof *room);
    struct role role;
    struct error err = { 0 };
    char dir[PATH_MAX];
    bool ok;

    keep_memory();
    if (room == NULL || sodium_init() < 0 || !role_begin(&role, "vault", control_fd, &err))
        return ROLE_EXIT_FAILED;
    room->log = role.log;
    room->epoll_fd = -1;
    /* Confined first: Landlock holds for the threads that the store and the views start afterwards. */
    ok = configure(room, &role, dir, sizeof dir, &err) && confine(room, dir, &err)
         && open_sealed(room, &role, dir, &err) && room_prepare(room, &err);
    file_close(&role.fds[0]); /* the secret: the master key is open, nobody needs it here any more */
    if (ok && room->accounts.enrolment_code[0] != '\0')
        log_info(&room->log, "enrolment.offered", f_str("code", room->accounts.enrolment_code));
    ok = ok && room_serve(room, &role, &err);
    if (!ok)
        log_error(&room->log, "vault.failed", f_str("code", error_name(err.code)), f_err(&err));
    room_close(room);
    role_end(&role);
    free(room);
    return ok ? ROLE_EXIT_OK : exit_status(&err);
}
