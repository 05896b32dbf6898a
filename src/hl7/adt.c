/*
 * Who a message is about: PID, PV1, EVN and MRG (HL7 v2.5.1 chapter 3) as field lists. See facts.h.
 */
#include "hl7/facts.h"

/* Longer than any text of ours before cutting; a writer past it has failed and is cut as well. */
#define SCRATCH_MAX (HL7_MESSAGE_MAX * 4)

/* ---- common ---- */

/* The longest prefix of at most `max` bytes that ends between two characters. */
static struct span utf8_prefix(struct span text, size_t max)
{
    size_t len = max;

    if (text.len <= max)
        return text;
    while (len > 0 && (text.ptr[len] & 0xc0) == 0x80)
        len--;
    return span_part(text, 0, len);
}

void hl7_put_writer(struct writer *w, enum field f, struct writer *text)
{
    struct span value = writer_span(text);

    if (value.len > HL7_VALUE_MAX || text->failed) {
        struct writer cut = writer_new(HL7_VALUE_MAX + sizeof HL7_VALUE_CUT);

        write_span(&cut, utf8_prefix(value, HL7_VALUE_MAX));
        write_str(&cut, HL7_VALUE_CUT);
        field_put_some(w, f, writer_span(&cut));
        writer_done(&cut);
    } else {
        field_put_some(w, f, value);
    }
    writer_done(text);
}

void hl7_put(const struct hl7_message *m, struct writer *w, enum field f, struct span value)
{
    struct writer text = writer_new(SCRATCH_MAX);

    if (!hl7_is_null(value))
        hl7_text(m, value, &text);
    hl7_put_writer(w, f, &text);
}

void hl7_put_value(const struct hl7_message *m, struct writer *w, enum field f, const struct hl7_segment *s,
                   unsigned field, unsigned component)
{
    hl7_put(m, w, f, hl7_value(m, s, field, component));
}

void hl7_header_facts(const struct hl7_message *m, struct span default_zone, struct writer *w)
{
    const struct hl7_segment *msh = &m->segments[0];
    struct span time = hl7_value(m, msh, 7, 1);
    size_t sign = span_index(time, '+') < time.len ? span_index(time, '+') : span_index(time, '-');

    hl7_put_value(m, w, FIELD_MESSAGE_TYPE, msh, 9, 1);
    hl7_put_value(m, w, FIELD_TRIGGER, msh, 9, 2);
    hl7_put_value(m, w, FIELD_CONTROL_ID, msh, 10, 1);
    hl7_put_value(m, w, FIELD_VERSION, msh, 12, 1);
    hl7_put_value(m, w, FIELD_SENDING_APPLICATION, msh, 3, 1);
    hl7_put_value(m, w, FIELD_SENDING_FACILITY, msh, 4, 1);
    hl7_put(m, w, FIELD_MESSAGE_TIME, time);
    /* MSH-7: "if the time zone is specified, it will be used throughout the message as the default". */
    if (time.len - sign == 5)
        hl7_put(m, w, FIELD_ZONE, span_part(time, sign, 5));
    else
        field_put_some(w, FIELD_ZONE, default_zone);
}

/* ---- PID ---- */

/* The assigning authority of a CX: its namespace, else its universal ID (an OID). */
static struct span issuer_of(const struct hl7_message *m, struct span cx)
{
    struct span authority = hl7_component(m, cx, 4);
    struct span name = hl7_subcomponent(m, authority, 1);

    return name.len > 0 ? name : hl7_subcomponent(m, authority, 2);
}

static void put_identifier(const struct hl7_message *m, struct writer *w, struct span cx)
{
    hl7_put(m, w, FIELD_PATIENT_ID, hl7_subcomponent(m, hl7_component(m, cx, 1), 1));
    hl7_put(m, w, FIELD_ISSUER, issuer_of(m, cx));
}

/* As hl7_next_repetition(), for the first HL7_IDENTIFIERS_MAX that have an identifier. */
static bool next_identifier(const struct hl7_message *m, struct span *rest, size_t *count, struct span *repetition)
{
    while (*count < HL7_IDENTIFIERS_MAX && hl7_next_repetition(m, rest, repetition))
        if (hl7_names_identifier(m, *repetition)) {
            ++*count;
            return true;
        }
    return false;
}

/* Table 0203: the hospital's own numbers go before a national one (INS, NH) or another's. */
static bool is_internal(struct span type)
{
    return span_equal(type, SPAN_LIT("PI")) || span_equal(type, SPAN_LIT("MR"));
}

/* The repetition that identifies the patient here: the first PI or MR, else the first. */
static struct span main_identifier(const struct hl7_message *m, struct span field)
{
    struct span first = { 0 }, repetition;
    size_t count = 0;

    while (next_identifier(m, &field, &count, &repetition)) {
        if (is_internal(hl7_component(m, repetition, 5)))
            return repetition;
        if (first.ptr == NULL)
            first = repetition;
    }
    return first;
}

static void put_identifiers(const struct hl7_message *m, const struct hl7_segment *pid, struct writer *w)
{
    unsigned number = hl7_identifier_field(m, pid);
    struct span field = number > 0 ? hl7_field(m, pid, number) : (struct span){ 0 };
    struct span main = main_identifier(m, field), repetition;
    size_t count = 0;

    if (main.ptr == NULL)
        return;
    put_identifier(m, w, main);
    hl7_put(m, w, FIELD_ID_TYPE, hl7_component(m, main, 5));
    while (next_identifier(m, &field, &count, &repetition)) {
        size_t group;

        if (repetition.ptr == main.ptr)
            continue;
        group = field_group_begin(w, FIELD_OTHER_ID);
        put_identifier(m, w, repetition);
        hl7_put(m, w, FIELD_ID_TYPE, hl7_component(m, repetition, 5));
        field_group_end(w, group);
    }
}

/*
 * XPN as a DICOM PN: family^given^middle^prefix^suffix (HL7 has suffix before prefix), so that the same person
 * compares equal in both. Of a family name only the name itself (FN.1), not the parts repeated behind it.
 */
static void write_name(const struct hl7_message *m, struct span name, struct writer *text)
{
    static const unsigned order[] = { 1, 2, 3, 5, 4 };
    size_t carets = 0;

    for (size_t i = 0; i < COUNT_OF(order); i++) {
        struct span part = hl7_subcomponent(m, hl7_component(m, name, order[i]), 1);

        if (part.len > 0 && !hl7_is_null(part)) {
            write_fill(text, '^', carets);
            carets = 0;
            hl7_text(m, part, text);
        }
        carets++;
    }
}

/*
 * The first repetition, and behind = what else says by its representation code (XPN.8, table 0465) that it is the same
 * name in ideographs (I), then as it sounds (P): the component groups of a PN (PS3.5 §6.2.1). Aliases are left out.
 */
static void put_name(const struct hl7_message *m, const struct hl7_segment *pid, struct writer *w)
{
    static const uint8_t codes[] = { 'I', 'P' };
    struct span field = hl7_field(m, pid, 5), first, name;
    struct writer text = writer_new(SCRATCH_MAX);
    size_t equals = 0;

    if (!hl7_next_repetition(m, &field, &first))
        return;
    write_name(m, first, &text);
    for (size_t i = 0; i < COUNT_OF(codes); i++) {
        struct span rest = field;

        equals++;
        while (hl7_next_repetition(m, &rest, &name))
            if (span_equal(hl7_component(m, name, 8), span_of(&codes[i], 1))) {
                write_fill(&text, '=', equals);
                equals = 0;
                write_name(m, name, &text);
                break;
            }
    }
    hl7_put_writer(w, FIELD_PATIENT_NAME, &text);
}

/* YYYYMMDD as far as known; the hyphens of an ISO 8601 date are dropped. */
static void put_birth_date(const struct hl7_message *m, const struct hl7_segment *pid, struct writer *w)
{
    struct span sent = hl7_value(m, pid, 7, 1);
    struct writer digits = writer_new(8);

    for (size_t i = 0; i < sent.len && digits.len < 8; i++) {
        if (sent.ptr[i] == '-')
            continue;
        if (sent.ptr[i] < '0' || sent.ptr[i] > '9')
            break;
        write_u8(&digits, sent.ptr[i]);
    }
    hl7_put_writer(w, FIELD_BIRTH_DATE, &digits);
}

/* NTE behind the segment at `index`: its notes, until something else comes. */
static void put_notes(const struct hl7_message *m, size_t index, struct writer *w)
{
    for (size_t i = index + 1; i < m->segment_count; i++) {
        const struct hl7_segment *s = &m->segments[i];

        if (hl7_segment_is(m, s, "NTE"))
            hl7_put(m, w, FIELD_NOTE, hl7_field(m, s, 3));
        else if (!hl7_segment_is(m, s, "PD1"))
            return;
    }
}

/* ---- PV1, EVN ---- */

/* PL: point of care, room, bed, facility as words. */
static void put_location(const struct hl7_message *m, const struct hl7_segment *pv1, struct writer *w)
{
    struct writer text = writer_new(SCRATCH_MAX);

    for (unsigned n = 1; n <= 4; n++) {
        struct span part = hl7_subcomponent(m, hl7_value(m, pv1, 3, n), 1);

        if (part.len == 0 || hl7_is_null(part))
            continue;
        if (text.len > 0)
            write_u8(&text, ' ');
        hl7_text(m, part, &text);
    }
    hl7_put_writer(w, FIELD_LOCATION, &text);
}

static void put_encounter(const struct hl7_message *m, struct writer *w)
{
    size_t index = hl7_segment_find(m, "PV1", 0);
    const struct hl7_segment *pv1;
    size_t group;

    if (index == m->segment_count)
        return;
    pv1 = &m->segments[index];
    group = field_group_begin(w, FIELD_ENCOUNTER);
    hl7_put_value(m, w, FIELD_VISIT_NUMBER, pv1, 19, 1);
    hl7_put_value(m, w, FIELD_PATIENT_CLASS, pv1, 2, 1);
    put_location(m, pv1, w);
    hl7_put_value(m, w, FIELD_ADMITTED, pv1, 44, 1);
    hl7_put_value(m, w, FIELD_DISCHARGED, pv1, 45, 1);
    field_group_end(w, group);
}

void hl7_patient_facts(const struct hl7_message *m, struct writer *w)
{
    size_t index = hl7_segment_find(m, "PID", 0);
    size_t evn = hl7_segment_find(m, "EVN", 0);

    if (index < m->segment_count) {
        const struct hl7_segment *pid = &m->segments[index];

        put_identifiers(m, pid, w);
        put_name(m, pid, w);
        put_birth_date(m, pid, w);
        hl7_put_value(m, w, FIELD_SEX, pid, 8, 1);
        put_notes(m, index, w);
    }
    if (evn < m->segment_count)
        hl7_put_value(m, w, FIELD_EVENT_TIME, &m->segments[evn], 2, 1);
    if (hl7_kind_of(m) != HL7_PERSON) /* A28 and A31 carry a PV1 that says "not applicable" */
        put_encounter(m, w);
}

/* ---- MRG ---- */

/* Whether the PID names that very identifier too: then it does not end. */
static bool survives(const struct hl7_message *m, struct span cx)
{
    size_t index = hl7_segment_find(m, "PID", 0);
    struct span field = index < m->segment_count ? hl7_field(m, &m->segments[index], 3) : (struct span){ 0 };
    struct span repetition;
    size_t count = 0;

    while (next_identifier(m, &field, &count, &repetition))
        if (span_equal(hl7_component(m, repetition, 1), hl7_component(m, cx, 1))
            && span_equal(issuer_of(m, repetition), issuer_of(m, cx)))
            return true;
    return false;
}

void hl7_merge_facts(const struct hl7_message *m, struct writer *w)
{
    for (size_t i = hl7_segment_find(m, "MRG", 0); i < m->segment_count; i = hl7_segment_find(m, "MRG", i + 1)) {
        struct span field = hl7_field(m, &m->segments[i], 1), repetition;
        size_t count = 0;

        while (next_identifier(m, &field, &count, &repetition)) {
            size_t group;

            if (survives(m, repetition))
                continue;
            group = field_group_begin(w, FIELD_PRIOR);
            put_identifier(m, w, repetition);
            field_group_end(w, group);
        }
    }
}

void hl7_facts(const struct hl7_message *m, struct writer *w)
{
    enum hl7_kind kind = hl7_kind_of(m);

    if (kind == HL7_OTHER)
        return;
    hl7_patient_facts(m, w);
    if (kind == HL7_MERGE)
        hl7_merge_facts(m, w);
    if (kind == HL7_RESULTS)
        hl7_result_facts(m, w);
}

void hl7_person(const struct hl7_message *m, struct span repetition, unsigned family, struct writer *text)
{
    for (unsigned n = family; n <= family + 1; n++) {
        struct span part = hl7_subcomponent(m, hl7_component(m, repetition, n), 1);

        if (part.len == 0 || hl7_is_null(part))
            continue;
        if (n > family && text->len > 0)
            write_u8(text, ' ');
        hl7_text(m, part, text);
    }
}
