/*
 * The disk: looked at every few seconds, its alarms recorded, and what it had no room for recorded when it has
 * (docs/operations.md, "The disk").
 *
 * How long it lasts is computed by the vault's status query; here is only what follows from it.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/timerfd.h>

#include "base/file.h"
#include "cmd/room/recheck.h"
#include "cmd/room/room.h"

#define MEASURE_MS        60000      /* the forecast */
#define MEASURE_FULL_MS   4000       /* … while nothing is taken: the end of that is worth knowing */
#define DIRECTORIES_EVERY 10         /* measures: reading directories may take a while */
#define LATE_HEAD_BYTES   ((size_t)12)

bool space_watch_start(struct room *room, struct error *err)
{
    const struct itimerspec every = { .it_interval = { .tv_sec = SPACE_TICK_S }, .it_value = { .tv_sec = 1 } };

    room->space.timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (room->space.timer_fd < 0 || timerfd_settime(room->space.timer_fd, 0, &every, NULL) != 0)
        return error_errno(err, "timer");
    return true;
}

void space_watch_done(struct room *room)
{
    writer_done(&room->space.late.events);
    file_close(&room->space.timer_fd);
}

/* ---- events that come late ---- */

void space_event_late(struct room *room, uint64_t received_us, struct span facts)
{
    struct late *l = &room->space.late;

    if (l->kept + l->counted == 0) {
        l->since = received_us;
        log_error(&room->log, "space.events-wait", f_uint("since_us", received_us));
    }
    if (facts.len == 0 || l->counted > 0 || l->events.len + LATE_HEAD_BYTES + facts.len > LATE_BYTES_MAX) {
        l->counted++;
        return;
    }
    write_u64le(&l->events, received_us);
    write_u32le(&l->events, (uint32_t)facts.len);
    write_span(&l->events, facts);
    l->kept++;
    if (l->events.failed) { /* no memory either */
        l->counted += l->kept;
        l->kept = 0;
        writer_reset(&l->events);
    }
}

/* Appends what was kept, oldest first, until the disk is full again; what remains stays. */
static void append_kept(struct room *room, struct error *err)
{
    struct late *l = &room->space.late;
    struct reader r = reader_over(writer_span(&l->events));
    size_t done = 0;

    while (l->kept > 0) {
        uint64_t received_us = read_u64le(&r);
        struct span facts = read_span(&r, read_u32le(&r));

        if (!event_append(room, received_us, facts, err))
            break;
        done += LATE_HEAD_BYTES + facts.len;
        l->kept--;
    }
    if (done > 0) {
        memmove(l->events.ptr, l->events.ptr + done, l->events.len - done);
        l->events.len -= done;
    }
}

/* The count of those of which no more is known. */
static void append_count(struct room *room, struct error *err)
{
    struct late *l = &room->space.late;
    struct writer w = writer_new(1024);

    field_put_str(&w, FIELD_EVENT, "space.unrecorded");
    field_put_str(&w, FIELD_ACTOR, "fanal");
    field_put_str(&w, FIELD_OUTCOME, "failed");
    field_put_str(&w, FIELD_REASON, "no space: so many events are missing");
    field_put_uint(&w, FIELD_COUNT, l->counted);
    field_put_uint(&w, FIELD_SINCE, l->since);
    if (writer_ok(&w, err, "event") && event_append(room, clock_wall_us(room->clock), writer_span(&w), err))
        l->counted = 0;
    writer_done(&w);
}

static void tell_late(struct room *room)
{
    struct late *l = &room->space.late;
    const uint64_t waited = l->kept, counted = l->counted;
    struct error err = { 0 };

    if (waited + counted == 0)
        return;
    append_kept(room, &err);
    if (l->kept == 0 && l->counted > 0)
        append_count(room, &err);
    if (l->kept + l->counted == 0)
        log_info(&room->log, "space.events-recorded", f_uint("events", waited), f_uint("missing", counted));
}

void space_watch_stop(struct room *room)
{
    struct late *l = &room->space.late;

    tell_late(room);
    if (l->kept + l->counted > 0)
        log_error(&room->log, "space.events-lost", f_uint("events", l->kept + l->counted), f_uint("since_us", l->since));
}

/* ---- alarms ---- */

static void record_level(struct room *room, enum space_level level, struct span figures)
{
    const bool worse = level > room->space.level;
    struct writer more = writer_new(1024);

    field_put_uint(&more, FIELD_SPACE_LEVEL, level);
    field_put_str(&more, FIELD_SPACE_STATE, space_level_name(level));
    field_put_str(&more, FIELD_DETAIL, space_level_name(level));
    write_span(&more, figures);
    event_record(room, worse ? "space.alarm" : "space.relieved", NULL, worse ? "failed" : "success", NULL,
                 writer_span(&more));
    if (worse)
        log_warn(&room->log, "space.alarm", f_str("state", space_level_name(level)));
    else
        log_info(&room->log, "space.relieved", f_str("state", space_level_name(level)));
    room->space.level = level;
    writer_done(&more);
}

void space_refused(struct room *room)
{
    if (room->space.level < SPACE_FULL)
        record_level(room, SPACE_FULL, (struct span){ NULL, 0 });
}

struct measuring {
    struct job job;
    struct room *room;
    bool directories;
    bool ok;
    uint64_t free_bytes, reserve_bytes, bytes_per_day, recorded, checked;
};

/* free_bytes is one of the figures: groups {name, count}. */
static uint64_t figure(struct span row, const char *name)
{
    struct fields_reader r = fields_over(row);
    struct field_value v;

    while (fields_next(&r, &v))
        if (v.field == FIELD_ROW && span_equal(fields_text(v.value, FIELD_NAME), span_str(name)))
            return fields_uint(v.value, FIELD_COUNT, 0);
    return 0;
}

static bool take_status(void *context, struct span row)
{
    struct measuring *m = context;

    m->free_bytes = figure(row, "free_bytes");
    m->reserve_bytes = fields_uint(row, FIELD_RESERVE_BYTES, 0);
    m->bytes_per_day = fields_uint(row, FIELD_BYTES_PER_DAY, 0);
    m->recorded = fields_uint(row, FIELD_SPACE_LEVEL, SPACE_FINE);
    m->checked = fields_uint(row, FIELD_CHECKED, 0);
    m->ok = true;
    return true;
}

static void measure(struct job *job, struct vault_reader *reader)
{
    struct measuring *m = (struct measuring *)job;
    struct writer request = writer_new(256);
    struct error err = { 0 };

    if (m->directories)
        store_measure(m->room->store);
    field_put_str(&request, FIELD_QUERY, "status");
    (void)vault_find(reader, writer_span(&request), take_status, m, &err);
    writer_done(&request);
}

static void measured(struct job *job, void *context)
{
    struct measuring *m = (struct measuring *)job;
    struct room *room = context;
    struct space_watch *w = &room->space;
    const struct space_figures f = { .free_bytes = m->free_bytes,
                                     .reserve_bytes = m->reserve_bytes,
                                     .bytes_per_day = m->bytes_per_day };
    enum space_level level;
    struct writer figures = writer_new(256);

    w->measuring = false;
    if (m->ok && w->measured_ms == 0 && m->recorded <= SPACE_FULL && m->recorded > w->level)
        w->level = (enum space_level)m->recorded; /* what was recorded before this process began */
    if (m->ok && room->recheck != NULL)
        recheck_begin_at(room->recheck, m->checked); /* the first time */
    level = space_level_next(w->level, &f);
    if (m->ok)
        w->measured_ms = clock_monotonic_ms(room->clock) + 1;
    if (m->ok && level != w->level) {
        if (space_days_left(&f) != SPACE_DAYS_UNKNOWN)
            field_put_uint(&figures, FIELD_DAYS_LEFT, space_days_left(&f));
        field_put_uint(&figures, FIELD_BYTES_PER_DAY, f.bytes_per_day);
        record_level(room, level, writer_span(&figures));
    }
    writer_done(&figures);
    free(m);
}

static void begin_measure(struct room *room)
{
    struct measuring *m = calloc(1, sizeof *m);

    if (m == NULL)
        return; /* the next turn */
    m->job = (struct job){ .run = measure, .done = measured };
    m->room = room;
    m->directories = room->space.measured_ms / MEASURE_MS % DIRECTORIES_EVERY == 0;
    room->space.measuring = jobs_add(room->quick, &m->job);
    if (!room->space.measuring)
        free(m);
}

void space_watch_turn(struct room *room)
{
    const struct space_watch *w = &room->space;
    const uint64_t every_ms = w->level == SPACE_FULL ? MEASURE_FULL_MS : MEASURE_MS;

    tell_late(room);
    retention_tick(room);
    if (!w->measuring
        && (w->measured_ms == 0 || clock_monotonic_ms(room->clock) - (w->measured_ms - 1) >= every_ms))
        begin_measure(room);
}
