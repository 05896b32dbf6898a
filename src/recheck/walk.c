/* Facts made again from bytes. See walk.h. */
#include "recheck/walk.h"

#include <stdlib.h>

#include "dicom/walker.h"
#include "hl7/facts.h"

/* Facts of one message: what a gate can send (gate/hl7/receipt.h); more is not understood there. */
#define MESSAGE_FACTS_MAX ((size_t)127 * 1024)

struct walk {
    struct walk_request request;
    struct walker *walker; /* of a data set; owned */
    struct error fault;    /* the first thing wrong with a data set */
    struct writer message; /* the bytes of a message */
};

struct walk *walk_new(const struct walk_request *request, struct error *err)
{
    struct walk *w = calloc(1, sizeof *w);
    const struct transfer_syntax *syntax = transfer_syntax_find(request->transfer_syntax);

    if (w == NULL) {
        error_set(err, ERR_MEMORY, "walk");
        return NULL;
    }
    w->request = *request;
    w->message = writer_new(HL7_MESSAGE_MAX);
    if (request->is_message)
        return w;
    if (syntax == NULL)
        error_set(&w->fault, ERR_UNSUPPORTED, "no such transfer syntax");
    w->walker = walker_new(err);
    if (w->walker != NULL && (syntax == NULL || walker_begin(w->walker, syntax, err)))
        return w;
    walk_free(w);
    return NULL;
}

void walk_free(struct walk *w)
{
    if (w == NULL)
        return;
    walker_free(w->walker);
    writer_done(&w->message);
    free(w);
}

void walk_feed(struct walk *w, struct span bytes)
{
    if (w->request.is_message)
        write_span(&w->message, span_part(bytes, 0, HL7_MESSAGE_MAX - w->message.len)); /* no gate keeps more */
    else if (w->fault.code == ERR_NONE)
        (void)walker_feed(w->walker, bytes, &w->fault);
}

static bool data_set_facts(struct walk *w, struct writer *facts, bool *understood, const char **why, struct error *err)
{
    if (w->fault.code == ERR_UNSUPPORTED && transfer_syntax_find(w->request.transfer_syntax) == NULL) {
        *understood = false;
        *why = w->fault.text;
        return true;
    }
    if (w->fault.code == ERR_NONE)
        (void)walker_finish(w->walker, &w->fault);
    if (w->fault.code == ERR_MEMORY)
        return error_set(err, ERR_MEMORY, "%s", w->fault.text);
    *understood = w->fault.code == ERR_NONE;
    *why = w->fault.text;
    if (*understood
        && (walker_value(w->walker, FIELD_STUDY_UID).len == 0 || walker_value(w->walker, FIELD_SOP_UID).len == 0)) {
        *understood = false;
        *why = "no Study or SOP Instance UID";
    }
    return walker_facts(w->walker, facts, err);
}

static bool message_facts(struct walk *w, struct writer *facts, bool *understood, const char **why, struct error *err)
{
    struct arena arena = arena_new(HL7_ARENA_MAX);
    struct hl7_message m;
    struct hl7_judgement j;
    bool ok = writer_ok(&w->message, err, "message");

    if (ok && !hl7_message_parse(&arena, writer_span(&w->message), &m, err)) {
        ok = err->code != ERR_MEMORY;
        *understood = false;
        *why = "no HL7 message";
    } else if (ok) {
        j = hl7_judge(&m);
        *understood = j.verdict == HL7_ACCEPT || j.verdict == HL7_SILENT;
        *why = j.reason;
        hl7_header_facts(&m, w->request.zone, facts);
        if (j.verdict == HL7_ACCEPT && w->request.claimed_understood)
            hl7_facts(&m, facts);
        if (facts->len > MESSAGE_FACTS_MAX) {
            *understood = false;
            *why = "more results than one message may hold";
        }
    }
    arena_done(&arena);
    return ok;
}

bool walk_finish(struct walk *w, struct writer *facts, bool *understood, const char **why, struct error *err)
{
    bool ok = w->request.is_message ? message_facts(w, facts, understood, why, err)
                                    : data_set_facts(w, facts, understood, why, err);

    return ok && writer_ok(facts, err, "facts");
}
