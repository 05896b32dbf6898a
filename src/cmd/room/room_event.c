/* Events: what happened, as records of the log (RECORD_EVENT), one erasure unit a month. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "cmd/room/room.h"

static void events_unit(uint64_t wall_us, char *out, size_t cap)
{
    time_t seconds = (time_t)(wall_us / 1000000);
    struct tm tm = { 0 };

    (void)gmtime_r(&seconds, &tm);
    (void)snprintf(out, cap, "events:%04d-%02d", tm.tm_year + 1900, tm.tm_mon + 1);
}

bool event_append(struct room *room, uint64_t received_us, struct span facts, struct error *err)
{
    char unit[32];
    uint64_t position;
    struct append a = { .kind = RECORD_EVENT, .received_us = received_us, .facts = facts };

    events_unit(received_us, unit, sizeof unit);
    a.unit = span_str(unit);
    if (room->own != NULL)
        return follow_own_append(room, &a, err);
    if (!vault_append(room->vault, &a, &position, err))
        return false;
    store_kick(room->store);
    return true;
}

void event_record(struct room *room, const char *event, const struct session *s, const char *outcome, const char *reason,
                  struct span more)
{
    struct writer w = writer_new(CHANNEL_MESSAGE_MAX);
    struct error err = { 0 };
    const uint64_t now = clock_wall_us(room->clock);

    field_put_str(&w, FIELD_EVENT, event);
    field_put_str(&w, FIELD_ACTOR, s != NULL && s->rights.actor[0] != '\0' ? s->rights.actor : "fanal");
    if (s != NULL)
        field_put_some(&w, FIELD_ADDRESS, span_str(s->address));
    field_put_str(&w, FIELD_OUTCOME, outcome);
    if (reason != NULL)
        field_put_str(&w, FIELD_REASON, reason);
    write_span(&w, more);
    if (!writer_ok(&w, &err, event) || !event_append(room, now, writer_span(&w), &err)) {
        if (err.code == ERR_NO_SPACE)
            space_event_late(room, now, writer_span(&w));
        else
            log_error(&room->log, "event.not-recorded", f_str("event", event), f_err(&err));
    }
    writer_done(&w);
}

void store_events_record(struct room *room)
{
    struct store_event e;

    while (store_next_event(room->store, &e)) {
        struct writer more = writer_new(1024);

        field_put_str(&more, FIELD_DETAIL, e.detail);
        field_put_some(&more, FIELD_FILE, span_str(e.file));
        event_record(room, e.event, NULL, e.outcome, NULL, writer_span(&more));
        if (strcmp(e.outcome, "success") != 0)
            log_warn(&room->log, "vault.finding", f_str("finding", e.detail));
        writer_done(&more);
    }
}

static void tell_count(struct room *room, struct stranger *n)
{
    struct writer more = writer_new(256);

    if (n->untold > 0) {
        field_put_str(&more, FIELD_ADDRESS, n->address);
        field_put_uint(&more, FIELD_COUNT, n->untold);
        event_record(room, "refused.more", NULL, "refused", "more of the same address in a minute", writer_span(&more));
        log_warn(&room->log, "refused.more", f_str("address", n->address), f_uint("count", n->untold));
    }
    *n = (struct stranger){ .untold = 0 };
    writer_done(&more);
}

void strangers_tell(struct room *room, bool all)
{
    uint64_t minute = clock_monotonic_ms(room->clock) / 60000;

    for (size_t i = 0; i < STRANGERS_MAX; i++)
        if (all || room->strangers[i].minute != minute)
            tell_count(room, &room->strangers[i]);
}

bool stranger_event_record(struct room *room, const char *event, const struct session *s, const char *outcome,
                           const char *reason, struct span more)
{
    uint32_t hash = 0;
    struct stranger *n;

    for (const char *c = s->address; *c != '\0'; c++)
        hash = hash * 31 + (uint8_t)*c;
    n = &room->strangers[hash % STRANGERS_MAX];
    strangers_tell(room, false);
    if (strcmp(n->address, s->address) != 0) {
        tell_count(room, n);
        (void)snprintf(n->address, sizeof n->address, "%s", s->address);
    }
    n->minute = clock_monotonic_ms(room->clock) / 60000;
    if (++n->events > STRANGER_EVENTS_PER_MINUTE) {
        n->untold++;
        return false;
    }
    event_record(room, event, s, outcome, reason, more);
    return true;
}
