/*
 * Erasure by two people, and holds (docs/erasure.md): one asks, another approves, then the keys go.
 *
 * An approval is: nothing new to the units' slots, the approval committed, the log walked again (did anything come since
 * it was asked? does somebody hold it?), the tombstone committed, the keys overwritten, the views made without them.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "cmd/room/erase_work.h"
#include "vault/keyring.h"

static void work_free(void *more)
{
    struct work *w = more;

    selection_done(&w->selection);
    free(w->slots);
    free(w);
}

struct work *work_new(struct room *room, struct change *c)
{
    struct work *w = calloc(1, sizeof *w);

    if (w == NULL) {
        change_refuse(room, c, ERR_MEMORY, "no memory for it");
        return NULL;
    }
    w->vault = room->vault;
    c->more = w;
    c->more_done = work_free;
    return w;
}

/* A reason stands in the log for ever, and is not erased with what it speaks of. */
static bool reason_is_sound(struct room *room, struct change *c)
{
    struct span reason = change_text(c, FIELD_REASON);

    if (reason.len > 0 && reason.len <= CHANGE_REASON_MAX)
        return true;
    change_refuse(room, c, ERR_REFUSED, "a reason of 1 to 400 characters, without a patient's name, has to be given");
    return false;
}

/* ---- asking ---- */

static void select_units(struct job *job, struct vault_reader *reader)
{
    struct change *c = (struct change *)job;
    struct work *w = c->more;

    (void)selection_make(w->vault, reader, writer_span(&c->request), &w->selection, &c->err);
    c->ran = true;
}

static void put_units(struct writer *facts, const struct erasure_unit *units, size_t count)
{
    for (size_t i = 0; i < count; i++)
        erasure_unit_put(facts, &units[i]);
}

void put_request(struct room *room, struct work *w, struct span reason, struct writer *facts)
{
    field_put_text(facts, FIELD_REASON, reason);
    field_put_uint(facts, FIELD_UNTIL, clock_wall_us(room->clock) + REQUEST_DAYS * DAY_US);
    field_put_uint(facts, FIELD_AFTER, w->selection.walked);
    put_units(facts, w->selection.units, w->selection.unit_count);
}

static void answer_number(struct room *room, struct change *c)
{
    field_put_uint(&c->reply, strcmp(c->rule->fact, "hold-set") == 0 ? FIELD_HOLD : FIELD_REQUEST, c->position);
    (void)snprintf(c->detail, sizeof c->detail, "%" PRIu64, c->position);
    change_answer(room, c);
}

static void append_selection(struct room *room, struct change *c)
{
    struct work *w = c->more;
    bool hold = strcmp(c->rule->fact, "hold-set") == 0;
    struct writer facts = writer_new(FACTS_OF_CHANGE_MAX);

    if (c->err.code == ERR_NONE && w->selection.unit_count == 0 && (!hold || w->selection.tag_count == 0))
        (void)error_set(&c->err, ERR_NOT_FOUND, "nothing is stored there that could be erased");
    if (c->err.code != ERR_NONE) {
        change_answer(room, c);
    } else {
        put_request(room, w, change_text(c, FIELD_REASON), &facts);
        for (size_t i = 0; hold && i < w->selection.tag_count; i++)
            field_put_bytes(&facts, FIELD_PATIENT_TAG, span_of(w->selection.tags[i], KEYRING_TAG_BYTES));
        change_append(room, c, c->rule->fact, writer_span(&facts), answer_number);
    }
    writer_done(&facts);
}

void erasure_request(struct room *room, struct change *c)
{
    if (reason_is_sound(room, c) && work_new(room, c) != NULL)
        change_run(room, c, room->longest, select_units, append_selection);
}

void hold_set(struct room *room, struct change *c)
{
    erasure_request(room, c);
}

/* ---- the second person ---- */

/*
 * Two accounts are two people only if neither gave the other its password, and if both were there before the request: an
 * administrator could otherwise make the second person he needs.
 */
const char *why_not_second(struct room *room, const char *first, const char *second, uint64_t asked_at)
{
    struct account a, b;

    if (strcmp(first, second) == 0)
        return "another person has to do this: whoever asked cannot";
    if (!vault_account(room->vault, span_str(second), &b) || b.password_at > asked_at)
        return "this account got its password after it was asked: somebody else has to do this";
    if (strcmp(b.password_by, first) == 0)
        return "whoever asked gave this account its password: somebody else has to do this";
    if (vault_account(room->vault, span_str(first), &a) && strcmp(a.password_by, second) == 0)
        return "this account gave the password of whoever asked: somebody else has to do this";
    return NULL;
}

static bool find_erasure(struct room *room, struct change *c, struct erasure *out)
{
    uint64_t number = fields_uint(writer_span(&c->request), FIELD_REQUEST, UINT64_MAX);

    (void)snprintf(c->detail, sizeof c->detail, "%" PRIu64, number);
    for (size_t i = 0; vault_erasure_at(room->vault, i, out); i++)
        if (out->position == number)
            return true;
    change_refuse(room, c, ERR_NOT_FOUND, "there is no request of that number");
    return false;
}

void erasure_withdraw(struct room *room, struct change *c)
{
    struct writer facts = writer_new(1024);
    struct erasure e;

    if (find_erasure(room, c, &e)) {
        field_put_uint(&facts, FIELD_REQUEST, e.position);
        field_put_some(&facts, FIELD_REASON, span_part(change_text(c, FIELD_REASON), 0, CHANGE_REASON_MAX));
        if (e.state != ERASURE_REQUESTED)
            change_refuse(room, c, ERR_REFUSED, "the request is not open any more");
        else
            change_append(room, c, "erasure-withdrawn", writer_span(&facts), change_answer);
    }
    writer_done(&facts);
}

/* ---- approving ---- */

/* Everything stays as it is: the units take new records again. */
static void stay(struct room *room, struct change *c)
{
    struct work *w = c->more;

    if (w->closed)
        store_reopen_units(room->store, w->slots, w->erasure.unit_count);
    w->closed = false;
    change_answer(room, c);
}

static void destroy(struct job *job, struct vault_reader *reader)
{
    struct change *c = (struct change *)job;
    struct work *w = c->more;

    (void)reader;
    (void)vault_erase(w->vault, &w->erasure, &c->err);
    c->ran = true;
}

static void destroyed(struct room *room, struct change *c)
{
    struct work *w = c->more;

    if (c->err.code != ERR_NONE)
        room->broken = true; /* the tombstone is committed: opening the vault again applies it */
    log_info(&room->log, "erasure.done", f_uint("request", w->erasure.position), f_uint("units", w->erasure.unit_count));
    field_put_uint(&c->reply, FIELD_COUNT, w->erasure.unit_count);
    if (c->err.code == ERR_NONE && w->afterwards != NULL)
        w->afterwards(room, c);
    else
        change_answer(room, c);
}

static void tombstone_is_there(struct room *room, struct change *c)
{
    change_run(room, c, room->longest, destroy, destroyed);
}

static void check_again(struct job *job, struct vault_reader *reader)
{
    struct change *c = (struct change *)job;
    struct work *w = c->more;

    (void)reader;
    (void)selection_check(w->vault, w->erasure.units, w->erasure.unit_count, w->erasure.walked, &w->still, &c->err);
    c->ran = true;
}

static void checked(struct room *room, struct change *c)
{
    struct work *w = c->more;
    struct writer facts = writer_new(FACTS_OF_CHANGE_MAX);
    bool tombstone;

    if (c->err.code == ERR_NONE && w->still.hold != UINT64_MAX)
        (void)error_set(&c->err, ERR_REFUSED, "hold %" PRIu64 " is on it", w->still.hold);
    else if (c->err.code == ERR_NONE && w->still.newcomers > 0)
        (void)error_set(&c->err, ERR_REFUSED, "%" PRIu64 " records have come to it since it was asked: ask again",
                        w->still.newcomers);
    tombstone = c->err.code == ERR_NONE;
    field_put_uint(&facts, FIELD_REQUEST, w->erasure.position);
    if (tombstone)
        put_units(&facts, w->erasure.units, w->erasure.unit_count);
    else
        field_put_str(&facts, FIELD_REASON, c->err.text);
    change_append(room, c, tombstone ? "units-erased" : "erasure-withdrawn", writer_span(&facts),
                  tombstone ? tombstone_is_there : stay);
    writer_done(&facts);
}

static void approved(struct room *room, struct change *c)
{
    change_run(room, c, room->longest, check_again, checked);
}

static bool close_units(struct room *room, struct work *w, struct error *err)
{
    w->slots = calloc(w->erasure.unit_count + 1, sizeof *w->slots);
    if (w->slots == NULL)
        return error_set(err, ERR_MEMORY, "no memory to erase");
    for (size_t i = 0; i < w->erasure.unit_count; i++) {
        w->slots[i].slot = w->erasure.units[i].slot;
        memcpy(w->slots[i].tag, w->erasure.units[i].tag, KEYRING_TAG_BYTES);
    }
    w->closed = store_close_units(room->store, w->slots, w->erasure.unit_count, err);
    return w->closed;
}

void erasure_carry_out(struct room *room, struct change *c)
{
    struct work *w = c->more;
    struct writer facts = writer_new(256);

    if (!close_units(room, w, &c->err)) {
        change_answer(room, c);
    } else {
        field_put_uint(&facts, FIELD_REQUEST, w->erasure.position);
        change_append(room, c, "erasure-approved", writer_span(&facts), approved);
    }
    writer_done(&facts);
}

void erasure_approve(struct room *room, struct change *c)
{
    struct erasure e;
    struct work *w;
    const char *why;

    if (!find_erasure(room, c, &e))
        return;
    why = why_not_second(room, e.actor, c->actor, e.position);
    if (e.state == ERASURE_DONE || e.state == ERASURE_WITHDRAWN)
        why = "the request is not open any more";
    else if (clock_wall_us(room->clock) > e.until_us)
        why = "the request is too old: ask again";
    if (why != NULL) {
        change_refuse(room, c, ERR_REFUSED, why);
        return;
    }
    if ((w = work_new(room, c)) == NULL)
        return;
    w->erasure = e;
    erasure_carry_out(room, c);
}

/* ---- lifting a hold ---- */

/* The first account asks, the second one lifts. */
void hold_lift(struct room *room, struct change *c)
{
    uint64_t number = fields_uint(writer_span(&c->request), FIELD_HOLD, UINT64_MAX);
    struct writer facts = writer_new(1024);
    struct hold h = { .position = UINT64_MAX };
    bool found = false, second;
    const char *why = NULL;

    for (size_t i = 0; !found && vault_hold_at(room->vault, i, &h); i++)
        found = h.position == number;
    (void)snprintf(c->detail, sizeof c->detail, "%" PRIu64, number);
    second = found && h.lift_asked_at != 0;
    if (!found)
        why = "there is no hold of that number";
    else if (h.lifted)
        why = "the hold is lifted already";
    else if (second)
        why = why_not_second(room, h.lift_asked_by, c->actor, h.lift_asked_at);
    if (why != NULL) {
        change_refuse(room, c, found ? ERR_REFUSED : ERR_NOT_FOUND, why);
    } else {
        field_put_uint(&facts, FIELD_HOLD, number);
        field_put_some(&facts, FIELD_REASON, span_part(change_text(c, FIELD_REASON), 0, CHANGE_REASON_MAX));
        field_put_str(&c->reply, FIELD_STATE, second ? "lifted" : "lift-asked");
        change_append(room, c, second ? "hold-lifted" : "hold-lift-asked", writer_span(&facts), change_answer);
    }
    writer_done(&facts);
}
