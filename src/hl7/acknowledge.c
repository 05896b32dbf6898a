/*
 * Acknowledgements: see acknowledge.h.
 */
#include "hl7/acknowledge.h"

#include "base/clock.h"

#define OUR_NAME "FANAL"
/* Where the sender's version is missing or unknown. */
#define OUR_VERSION "2.5"

static const struct hl7_delimiters usual = { '|', '^', '~', '\\', '&', 0 };

/* What changes from version to version. */
static const struct form {
    const char *version;
    bool event_in_msh_9;     /* ACK^R01 */
    bool structure_in_msh_9; /* ACK^R01^ACK */
    bool text_in_msa_3;      /* withdrawn in 2.7 */
    bool err_2_to_8;         /* ERR-2, -3, -4, -7; before 2.5 all is in ERR-1 */
} forms[] = {
    { "2.1", false, false, true, false },  { "2.2", false, false, true, false },
    { "2.3", true, false, true, false },   { "2.3.1", true, true, true, false },
    { "2.4", true, true, true, false },    { "2.5", true, true, true, true },
    { "2.5.1", true, true, true, true },   { "2.6", true, true, true, true },
    { "2.7", true, true, false, true },    { "2.7.1", true, true, false, true },
    { "2.8", true, true, false, true },    { "2.8.1", true, true, false, true },
    { "2.8.2", true, true, false, true },
};

static const struct {
    enum hl7_condition condition;
    const char *text;
} conditions[] = {
    { HL7_SEGMENT_SEQUENCE, "Segment sequence error" },
    { HL7_REQUIRED_FIELD, "Required field missing" },
    { HL7_UNSUPPORTED_TYPE, "Unsupported message type" },
    { HL7_UNSUPPORTED_EVENT, "Unsupported event code" },
    { HL7_UNSUPPORTED_VERSION, "Unsupported version id" },
    { HL7_INTERNAL_ERROR, "Application internal error" },
};

/* ---- whether ---- */

static bool is_due(struct span condition, bool positive)
{
    return span_equal(condition, SPAN_LIT("AL")) || (positive && span_equal(condition, SPAN_LIT("SU")))
           || (!positive && span_equal(condition, SPAN_LIT("ER")));
}

const char *hl7_answer_code(const struct hl7_message *m, enum hl7_verdict verdict)
{
    static const char *const application[] = { [HL7_ACCEPT] = "AA", [HL7_ERROR] = "AE", [HL7_REJECT] = "AR" };
    static const char *const accept[] = { [HL7_ACCEPT] = "CA", [HL7_ERROR] = "CE", [HL7_REJECT] = "CR" };
    struct span msh_15, msh_16;

    if (verdict == HL7_SILENT)
        return NULL;
    if (m == NULL)
        return application[verdict];
    msh_15 = hl7_field(m, &m->segments[0], 15);
    msh_16 = hl7_field(m, &m->segments[0], 16);
    if (msh_15.len == 0 && msh_16.len == 0)
        return application[verdict];
    if (is_due(msh_15, verdict == HL7_ACCEPT))
        return accept[verdict];
    return is_due(msh_16, verdict == HL7_ACCEPT) ? application[verdict] : NULL;
}

/* ---- what ---- */

/* The sender's bytes without control characters: they share the frame with our own segment ends. */
static void copy(struct writer *w, struct span sent)
{
    for (size_t i = 0; i < sent.len && i < HL7_ACK_FIELD_MAX; i++)
        if (sent.ptr[i] >= ' ')
            write_u8(w, sent.ptr[i]);
}

/* Text of ours; a delimiter in it is escaped, or a blank where the sender has no escape character. */
static void say(struct writer *w, const struct hl7_delimiters *d, const char *text)
{
    const struct { uint8_t delimiter; char letter; } escapes[] = {
        { d->field, 'F' }, { d->component, 'S' }, { d->repetition, 'R' }, { d->escape, 'E' }, { d->subcomponent, 'T' },
    };

    for (; *text != '\0'; text++) {
        char letter = 0;

        for (size_t i = 0; i < COUNT_OF(escapes); i++)
            if (escapes[i].delimiter == (uint8_t)*text)
                letter = escapes[i].letter;
        if (letter == 0)
            write_u8(w, (uint8_t)*text);
        else if (d->escape == 0)
            write_u8(w, ' ');
        else
            write_printf(w, "%c%c%c", d->escape, letter, d->escape);
    }
}

static const struct form *form_of(const struct hl7_message *m)
{
    struct span version = m != NULL ? hl7_value(m, &m->segments[0], 12, 1) : (struct span){ 0 };
    const struct form *fallback = &forms[0];

    for (size_t i = 0; i < COUNT_OF(forms); i++) {
        if (span_equal(version, span_str(forms[i].version)))
            return &forms[i];
        if (strcmp(forms[i].version, OUR_VERSION) == 0)
            fallback = &forms[i];
    }
    return fallback;
}

static struct span msh(const struct hl7_message *m, unsigned field)
{
    return m != NULL ? hl7_field(m, &m->segments[0], field) : (struct span){ 0 };
}

static void write_time(struct writer *w, uint64_t wall_us)
{
    char text[CLOCK_RFC3339_SIZE];
    struct span seconds = span_str(clock_rfc3339(wall_us, text));

    seconds = span_part(seconds, 0, span_index(seconds, '.'));
    for (size_t i = 0; i < seconds.len; i++)
        if (seconds.ptr[i] >= '0' && seconds.ptr[i] <= '9')
            write_u8(w, seconds.ptr[i]);
    write_str(w, "+0000");
}

static void write_message_type(struct writer *w, const struct hl7_message *m, const struct hl7_delimiters *d,
                               const struct form *form)
{
    struct span event = m != NULL ? hl7_value(m, &m->segments[0], 9, 2) : (struct span){ 0 };

    write_str(w, "ACK");
    if (event.len == 0 || !form->event_in_msh_9)
        return;
    write_u8(w, d->component);
    copy(w, event);
    if (form->structure_in_msh_9)
        write_printf(w, "%cACK", d->component);
}

static void write_msh(struct writer *w, const struct hl7_message *m, const struct hl7_delimiters *d,
                      const struct form *form, const struct hl7_acknowledgement *ack)
{
    const uint8_t encoding[] = { d->component, d->repetition, d->escape, d->subcomponent, d->truncation };
    const uint8_t f = d->field;

    write_str(w, "MSH");
    write_u8(w, f);
    for (size_t i = 0; i < COUNT_OF(encoding) && encoding[i] != 0; i++)
        write_u8(w, encoding[i]);
    write_u8(w, f);
    if (msh(m, 5).len > 0)
        copy(w, msh(m, 5)); /* who was addressed answers */
    else
        say(w, d, OUR_NAME);
    write_u8(w, f);
    copy(w, msh(m, 6));
    write_u8(w, f);
    copy(w, msh(m, 3));
    write_u8(w, f);
    copy(w, msh(m, 4));
    write_u8(w, f);
    write_time(w, ack->wall_us);
    write_fill(w, f, 2);
    write_message_type(w, m, d, form);
    write_u8(w, f);
    say(w, d, ack->control_id);
    write_u8(w, f);
    copy(w, msh(m, 11).len > 0 ? msh(m, 11) : SPAN_LIT("P"));
    write_u8(w, f);
    write_str(w, form->version);
    if (msh(m, 18).len > 0) {
        write_fill(w, f, 6);
        copy(w, msh(m, 18));
    }
    write_u8(w, '\r');
}

static const char *condition_text(enum hl7_condition condition)
{
    for (size_t i = 0; i < COUNT_OF(conditions); i++)
        if (conditions[i].condition == condition)
            return conditions[i].text;
    return "";
}

/* SEG^1^3; the field is left out where the whole segment is meant. */
static void write_location(struct writer *w, const struct hl7_delimiters *d, const struct hl7_judgement *why)
{
    if (why->segment[0] == '\0')
        return;
    write_printf(w, "%s%c%u", why->segment, d->component, why->occurrence);
    if (why->field > 0)
        write_printf(w, "%c%u", d->component, why->field);
}

static void write_err(struct writer *w, const struct hl7_delimiters *d, const struct form *form,
                      const struct hl7_judgement *why)
{
    const uint8_t f = d->field, c = d->component;

    write_printf(w, "ERR%c", f);
    if (form->err_2_to_8) {
        write_u8(w, f);
        write_location(w, d, why);
        write_printf(w, "%c%d%c", f, why->condition, c);
        say(w, d, condition_text(why->condition));
        write_printf(w, "%cHL70357%cE%c%c%c", c, f, f, f, f);
        say(w, d, why->reason);
    } else {
        /* CM or ELD: segment ^ sequence ^ field ^ code & text & table */
        write_location(w, d, why);
        write_fill(w, c, why->segment[0] == '\0' ? 3 : why->field > 0 ? 1 : 2);
        write_printf(w, "%d", why->condition);
        if (d->subcomponent != 0) {
            write_u8(w, d->subcomponent);
            say(w, d, condition_text(why->condition));
            write_printf(w, "%cHL70357", d->subcomponent);
        }
    }
    write_u8(w, '\r');
}

void hl7_acknowledge(const struct hl7_message *m, const struct hl7_acknowledgement *ack, struct writer *w)
{
    const struct hl7_delimiters *d = m != NULL ? &m->delimiters : &usual;
    const struct form *form = form_of(m);
    bool positive = ack->why->verdict == HL7_ACCEPT;

    write_msh(w, m, d, form, ack);
    write_printf(w, "MSA%c%s%c", d->field, ack->code, d->field);
    copy(w, msh(m, 10));
    if (!positive && form->text_in_msa_3) {
        write_u8(w, d->field);
        say(w, d, ack->why->reason);
    }
    write_u8(w, '\r');
    if (!positive && ack->why->condition != HL7_NO_CONDITION)
        write_err(w, d, form, ack->why);
}
