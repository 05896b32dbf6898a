/*
 * Retention (docs/erasure.md): a rule is asked for and approved like an erasure; what it makes due goes the way of an
 * erasure that everybody who set the rule has approved: request, approval and tombstone stand in the log.
 */
#include <inttypes.h>
#include <stdio.h>

#include "cmd/room/erase_work.h"

#define RETENTION_ACTOR "retention"

/* ---- rules ---- */

static void put_rule(struct writer *facts, enum retained kind, uint64_t months)
{
    field_put_str(facts, FIELD_CLASS, retained_names[kind]);
    field_put_uint(facts, FIELD_MONTHS, months);
}

static void answer_rule(struct room *room, struct change *c)
{
    (void)snprintf(c->detail, sizeof c->detail, "%" PRIu64, c->position);
    change_answer(room, c);
}

static void answer_asked(struct room *room, struct change *c)
{
    field_put_uint(&c->reply, FIELD_REQUEST, c->position);
    answer_rule(room, c);
}

/* One person may have things kept longer; that they are kept shorter takes two. */
void retention_ask(struct room *room, struct change *c)
{
    struct retention rules[RETAINED_COUNT];
    enum retained kind = retained_of(change_text(c, FIELD_CLASS));
    uint64_t months = fields_uint(writer_span(&c->request), FIELD_MONTHS, UINT64_MAX);
    struct writer facts = writer_new(1024);
    bool shorter;

    vault_retention(room->vault, rules);
    if (kind == RETAINED_COUNT) {
        change_refuse(room, c, ERR_REFUSED, "a class is images, results, events or recordings");
    } else if (months > RETENTION_MONTHS_MAX) {
        change_refuse(room, c, ERR_REFUSED, "a period is 1 to 1200 months, or always");
    } else {
        shorter = retention_is_shorter((uint32_t)months, rules[kind].months);
        put_rule(&facts, kind, months);
        if (shorter)
            field_put_uint(&facts, FIELD_UNTIL, clock_wall_us(room->clock) + REQUEST_DAYS * DAY_US);
        change_append(room, c, shorter ? "retention-asked" : "retention-set", writer_span(&facts),
                      shorter ? answer_asked : answer_rule);
    }
    writer_done(&facts);
}

void retention_approve(struct room *room, struct change *c)
{
    struct retention rules[RETAINED_COUNT];
    uint64_t number = fields_uint(writer_span(&c->request), FIELD_REQUEST, 0);
    struct writer facts = writer_new(1024);
    enum retained kind = RETAINED_IMAGES;
    const char *why = NULL;

    vault_retention(room->vault, rules);
    while (kind < RETAINED_COUNT && (number == 0 || rules[kind].asked.position != number))
        kind++;
    if (kind == RETAINED_COUNT)
        why = "there is no open request of that number";
    else if (clock_wall_us(room->clock) > rules[kind].asked.until_us)
        why = "the request is too old: ask again";
    else
        why = why_not_second(room, rules[kind].asked.actor, c->actor, number);
    if (why != NULL) {
        change_refuse(room, c, kind == RETAINED_COUNT ? ERR_NOT_FOUND : ERR_REFUSED, why);
    } else {
        put_rule(&facts, kind, rules[kind].asked.months);
        field_put_uint(&facts, FIELD_REQUEST, number);
        change_append(room, c, "retention-set", writer_span(&facts), answer_rule);
    }
    writer_done(&facts);
}

/* ---- what is due ---- */

static void finish(struct room *room, struct change *c)
{
    struct work *w = c->more;

    field_put_uint(&c->reply, FIELD_FILES, w->expired.files);
    (void)snprintf(c->detail, sizeof c->detail, "%zu units, %" PRIu64 " files, %" PRIu64 " bytes", w->erasure.unit_count,
                   w->expired.files, w->expired.bytes);
    if (w->erasure.unit_count > 0 || w->expired.files > 0)
        log_info(&room->log, "retention.done", f_uint("units", w->erasure.unit_count), f_uint("files", w->expired.files),
                 f_uint("bytes", w->expired.bytes));
    change_answer(room, c);
}

static void remove_files(struct job *job, struct vault_reader *reader)
{
    struct change *c = (struct change *)job;
    struct work *w = c->more;

    (void)reader;
    (void)store_remove_erased(vault_store(w->vault), &w->expired, &c->err);
    c->ran = true;
}

static void keys_are_gone(struct room *room, struct change *c)
{
    change_run(room, c, room->longest, remove_files, finish);
}

static void select_due(struct job *job, struct vault_reader *reader)
{
    struct change *c = (struct change *)job;
    struct work *w = c->more;

    (void)reader;
    (void)selection_due(w->vault, w->rules, w->now_us, &w->selection, &c->err);
    c->ran = true;
}

static void asked(struct room *room, struct change *c)
{
    struct work *w = c->more;

    for (size_t i = 0; vault_erasure_at(room->vault, i, &w->erasure); i++)
        if (w->erasure.position == c->position) {
            erasure_carry_out(room, c);
            return;
        }
    change_refuse(room, c, ERR_IO, "its own request is not there");
}

static void selected(struct room *room, struct change *c)
{
    struct work *w = c->more;
    struct writer facts = writer_new(FACTS_OF_CHANGE_MAX);

    if (c->err.code != ERR_NONE) {
        change_answer(room, c);
    } else if (w->selection.unit_count == 0) { /* what was erased before may have left files */
        keys_are_gone(room, c);
    } else {
        put_request(room, w, SPAN_LIT("kept as long as the rules of retention say"), &facts);
        change_append(room, c, "erasure-requested", writer_span(&facts), asked);
    }
    writer_done(&facts);
}

void retention_run(struct room *room, struct change *c)
{
    struct work *w = work_new(room, c);

    if (w == NULL)
        return;
    /* The rules decided, not who is in a hurry. */
    (void)snprintf(c->actor, sizeof c->actor, RETENTION_ACTOR);
    w->now_us = clock_wall_us(room->clock);
    vault_retention(room->vault, w->rules);
    w->afterwards = keys_are_gone;
    change_run(room, c, room->longest, select_due, selected);
}

/* ---- what would be due ---- */

static void planned(struct room *room, struct change *c)
{
    const struct selection *s = &((struct work *)c->more)->selection;
    uint64_t records = 0, oldest = UINT64_MAX, newest = 0;

    for (size_t i = 0; i < s->unit_count; i++) {
        records += s->units[i].count;
        oldest = s->received[i][0] < oldest ? s->received[i][0] : oldest;
        newest = s->received[i][1] > newest ? s->received[i][1] : newest;
    }
    field_put_uint(&c->reply, FIELD_COUNT, s->unit_count);
    field_put_uint(&c->reply, FIELD_RECORDS, records);
    field_put_uint(&c->reply, FIELD_LEFT_OUT, s->left_out);
    if (s->unit_count > 0) {
        field_put_uint(&c->reply, FIELD_OLDEST, oldest);
        field_put_uint(&c->reply, FIELD_NEWEST, newest);
    }
    (void)snprintf(c->detail, sizeof c->detail, "%zu units, %" PRIu64 " records", s->unit_count, records);
    change_answer(room, c);
}

/* What would be erased now, by the rules there are and, where it is given, one more. Changes nothing. */
void retention_plan(struct room *room, struct change *c)
{
    struct span class = change_text(c, FIELD_CLASS);
    enum retained kind = retained_of(class);
    uint64_t months = fields_uint(writer_span(&c->request), FIELD_MONTHS, UINT64_MAX);
    struct work *w = work_new(room, c);

    if (w == NULL)
        return;
    w->now_us = clock_wall_us(room->clock);
    vault_retention(room->vault, w->rules);
    if (class.len > 0 && (kind == RETAINED_COUNT || months > RETENTION_MONTHS_MAX)) {
        change_refuse(room, c, ERR_REFUSED, kind == RETAINED_COUNT ? "a class is images, results, events or recordings"
                                                                   : "a period is 1 to 1200 months, or always");
        return;
    }
    if (class.len > 0)
        w->rules[kind].months = (uint32_t)months;
    change_run(room, c, room->longest, select_due, planned);
}

static bool is_set(struct room *room)
{
    struct retention rules[RETAINED_COUNT];
    bool set = false;

    vault_retention(room->vault, rules);
    for (size_t i = 0; i < RETAINED_COUNT; i++)
        set = set || rules[i].months > 0;
    return set;
}

void retention_tick(struct room *room)
{
    uint64_t now = clock_monotonic_ms(room->clock);
    struct change *c;

    if (room->retention_due_ms == 0)
        room->retention_due_ms = now + RETENTION_FIRST_MS;
    if (now < room->retention_due_ms || room->own != NULL) /* a twin erases what its first did */
        return;
    room->retention_due_ms = now + RETENTION_EVERY_MS;
    c = is_set(room) ? change_own(room, "retention-run", RETENTION_ACTOR) : NULL;
    if (c != NULL)
        retention_run(room, c);
}
