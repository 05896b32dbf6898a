/* Events: what happened, as records of the log (RECORD_EVENT), one erasure unit a month. */
#include <stdio.h>
#include <time.h>

#include "cmd/room/room.h"

static void events_unit(uint64_t wall_us, char *out, size_t cap)
{
    time_t seconds = (time_t)(wall_us / 1000000);
    struct tm tm = { 0 };

    (void)gmtime_r(&seconds, &tm);
    (void)snprintf(out, cap, "events:%04d-%02d", tm.tm_year + 1900, tm.tm_mon + 1);
}

void event_record(struct room *room, const char *event, const struct session *s, const char *outcome, const char *reason,
                  struct span more)
{
    struct writer w = writer_new(CHANNEL_MESSAGE_MAX);
    struct error err = { 0 };
    char unit[32];
    uint64_t position;
    struct append a = { .kind = RECORD_EVENT, .received_us = clock_wall_us(room->clock) };

    field_put_str(&w, FIELD_EVENT, event);
    field_put_str(&w, FIELD_ACTOR, s != NULL && s->rights.actor[0] != '\0' ? s->rights.actor : "fanal");
    if (s != NULL)
        field_put_some(&w, FIELD_ADDRESS, span_str(s->address));
    field_put_str(&w, FIELD_OUTCOME, outcome);
    if (reason != NULL)
        field_put_str(&w, FIELD_REASON, reason);
    write_span(&w, more);
    events_unit(a.received_us, unit, sizeof unit);
    a.unit = span_str(unit);
    a.facts = writer_span(&w);
    if (!writer_ok(&w, &err, event) || !vault_append(room->vault, &a, &position, &err))
        log_error(&room->log, "event.not-recorded", f_str("event", event), f_err(&err));
    else
        store_kick(room->store);
    writer_done(&w);
}
