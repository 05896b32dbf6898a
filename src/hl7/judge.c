/*
 * May this message be understood? See judge.h. docs/hl7-profiles.md numbers the rules as here.
 */
#include "hl7/judge.h"

#include <stdio.h>

static const char *const versions[] = { "2.1", "2.2", "2.3", "2.3.1", "2.4", "2.5", "2.5.1", "2.6",
                                        "2.7", "2.7.1", "2.8", "2.8.1", "2.8.2" };

/* MSH-9 and what we make of it. An ORU without event is what version 2.1 called R01. */
static const struct {
    const char *type, *event;
    enum hl7_kind kind;
} events[] = {
    { "ORU", "R01", HL7_RESULTS }, { "ORU", "", HL7_RESULTS },   { "ADT", "A01", HL7_VISIT },
    { "ADT", "A03", HL7_VISIT },   { "ADT", "A04", HL7_VISIT },  { "ADT", "A08", HL7_VISIT },
    { "ADT", "A28", HL7_PERSON },  { "ADT", "A31", HL7_PERSON }, { "ADT", "A40", HL7_MERGE },
};

static bool is(struct span value, const char *text)
{
    return span_equal(value, span_str(text));
}

static const struct hl7_segment *header(const struct hl7_message *m)
{
    return &m->segments[0];
}

static bool version_up_to_2_3(const struct hl7_message *m)
{
    struct span version = hl7_value(m, header(m), 12, 1);

    return is(version, "2.1") || is(version, "2.2") || is(version, "2.3");
}

enum hl7_kind hl7_kind_of(const struct hl7_message *m)
{
    struct span type = hl7_value(m, header(m), 9, 1), event = hl7_value(m, header(m), 9, 2);

    for (size_t i = 0; i < COUNT_OF(events); i++)
        if (is(type, events[i].type) && is(event, events[i].event))
            return events[i].kind;
    return HL7_OTHER;
}

/* ---- saying no ---- */

static unsigned occurrence_of(const struct hl7_message *m, size_t index)
{
    unsigned n = 0;

    for (size_t i = 0; i <= index; i++)
        n += span_equal(hl7_segment_id(m, &m->segments[i]), hl7_segment_id(m, &m->segments[index]));
    return n;
}

/* Always false, so that checks read as chains; the segment at `index` is to blame. */
static bool blame(struct hl7_judgement *j, const struct hl7_message *m, size_t index, unsigned field,
                  enum hl7_verdict verdict, enum hl7_condition condition, const char *reason)
{
    struct span id = hl7_segment_id(m, &m->segments[index]);

    *j = (struct hl7_judgement){ verdict, condition, { 0 }, occurrence_of(m, index), field, reason };
    (void)span_to_str(id, j->segment, sizeof j->segment);
    return false;
}

static bool missing_segment(struct hl7_judgement *j, const char *id, const char *reason)
{
    *j = (struct hl7_judgement){ HL7_ERROR, HL7_SEGMENT_SEQUENCE, { 0 }, 1, 0, reason };
    (void)span_to_str(span_str(id), j->segment, sizeof j->segment);
    return false;
}

static bool required(struct hl7_judgement *j, const struct hl7_message *m, size_t index, unsigned field)
{
    return hl7_field(m, &m->segments[index], field).len > 0
           || blame(j, m, index, field, HL7_ERROR, HL7_REQUIRED_FIELD, "required field is empty");
}

/* ---- rules 1 to 5: the header ---- */

static bool is_answer(const struct hl7_message *m)
{
    struct span type = hl7_value(m, header(m), 9, 1);

    return is(type, "ACK") || is(type, "MCF") || hl7_segment_find(m, "MSA", 0) < m->segment_count;
}

static bool version_is_known(const struct hl7_message *m)
{
    for (size_t i = 0; i < COUNT_OF(versions); i++)
        if (is(hl7_value(m, header(m), 12, 1), versions[i]))
            return true;
    return false;
}

static bool judge_header(const struct hl7_message *m, struct hl7_judgement *j)
{
    struct span type = hl7_value(m, header(m), 9, 1);

    if (type.len == 0)
        return blame(j, m, 0, 9, HL7_REJECT, HL7_REQUIRED_FIELD, "required field is empty");
    if (is_answer(m)) {
        *j = (struct hl7_judgement){ .verdict = HL7_SILENT, .reason = "an answer is never answered" };
        return false;
    }
    if (hl7_value(m, header(m), 12, 1).len == 0)
        return blame(j, m, 0, 12, HL7_REJECT, HL7_REQUIRED_FIELD, "required field is empty");
    if (!version_is_known(m))
        return blame(j, m, 0, 12, HL7_REJECT, HL7_UNSUPPORTED_VERSION, "version not supported");
    if (!is(type, "ORU") && !is(type, "ADT"))
        return blame(j, m, 0, 9, HL7_REJECT, HL7_UNSUPPORTED_TYPE, "message type not supported");
    if (hl7_kind_of(m) == HL7_OTHER)
        return blame(j, m, 0, 9, HL7_REJECT, HL7_UNSUPPORTED_EVENT, "event not supported");
    return required(j, m, 0, 10);
}

/* ---- rule 6: lines ---- */

static bool judge_lines(const struct hl7_message *m, struct hl7_judgement *j)
{
    for (size_t i = 1; i < m->segment_count; i++) {
        struct span id = hl7_segment_id(m, &m->segments[i]);

        if (id.len == 0)
            return blame(j, m, i - 1, 0, HL7_ERROR, HL7_SEGMENT_SEQUENCE, "a line behind it is no segment");
        if (is(id, "MSH"))
            return blame(j, m, i, 0, HL7_ERROR, HL7_SEGMENT_SEQUENCE, "a second MSH in one frame");
    }
    return true;
}

/* ---- rule 7: whose message ---- */

bool hl7_names_identifier(const struct hl7_message *m, struct span repetition)
{
    struct span id = hl7_subcomponent(m, hl7_component(m, repetition, 1), 1);

    return id.len > 0 && !hl7_is_null(id);
}

static bool field_names_identifier(const struct hl7_message *m, struct span field)
{
    struct span repetition;

    while (hl7_next_repetition(m, &field, &repetition))
        if (hl7_names_identifier(m, repetition))
            return true;
    return false;
}

unsigned hl7_identifier_field(const struct hl7_message *m, const struct hl7_segment *pid)
{
    static const unsigned fields[] = { 3, 2, 4 }; /* 2 "external", 4 "alternate": gone into PID-3 with 2.3.1 */

    for (size_t i = 0; i < (version_up_to_2_3(m) ? COUNT_OF(fields) : 1); i++)
        if (field_names_identifier(m, hl7_field(m, pid, fields[i])))
            return fields[i];
    return 0;
}

static bool has_name(const struct hl7_message *m, const struct hl7_segment *pid)
{
    struct span name = hl7_field(m, pid, 5);
    bool some = false;

    for (size_t i = 0; i < name.len && !some; i++) {
        uint8_t c = name.ptr[i];

        some = c != m->delimiters.component && c != m->delimiters.repetition && c != m->delimiters.subcomponent
               && c != ' ';
    }
    return some && !hl7_is_null(name);
}

static bool same_patient(const struct hl7_message *m, const struct hl7_segment *a, const struct hl7_segment *b)
{
    return span_equal(hl7_value(m, a, 3, 1), hl7_value(m, b, 3, 1))
           && span_equal(hl7_value(m, a, 3, 4), hl7_value(m, b, 3, 4));
}

static bool judge_patient(const struct hl7_message *m, enum hl7_kind kind, struct hl7_judgement *j)
{
    size_t first = hl7_segment_find(m, "PID", 0);

    if (first == m->segment_count)
        return missing_segment(j, "PID", "PID is missing");
    for (size_t i = first; i < m->segment_count; i = hl7_segment_find(m, "PID", i + 1)) {
        const struct hl7_segment *pid = &m->segments[i];

        if (i > first && (kind == HL7_VISIT || kind == HL7_PERSON))
            return blame(j, m, i, 0, HL7_ERROR, HL7_SEGMENT_SEQUENCE, "a second PID");
        if (hl7_identifier_field(m, pid) == 0 && !(kind == HL7_RESULTS && has_name(m, pid)))
            return blame(j, m, i, 3, HL7_ERROR, HL7_REQUIRED_FIELD,
                         kind == HL7_RESULTS ? "no identifier and no name" : "no identifier");
        if (!same_patient(m, pid, &m->segments[first]))
            return blame(j, m, i, 3, HL7_ERROR, HL7_INTERNAL_ERROR, "more than one patient in one message");
    }
    return true;
}

/* ---- rule 8: A40 ---- */

static bool judge_merge(const struct hl7_message *m, struct hl7_judgement *j)
{
    bool awaited = false;

    for (size_t i = 0; i < m->segment_count; i++) {
        bool is_pid = hl7_segment_is(m, &m->segments[i], "PID");

        if (is_pid && awaited)
            break;
        if (is_pid)
            awaited = true;
        if (!hl7_segment_is(m, &m->segments[i], "MRG"))
            continue;
        awaited = false;
        if (!field_names_identifier(m, hl7_field(m, &m->segments[i], 1)))
            return blame(j, m, i, 1, HL7_ERROR, HL7_REQUIRED_FIELD, "no identifier");
    }
    return !awaited || missing_segment(j, "MRG", "MRG is missing");
}

/* ---- rule 9: results ---- */

static bool judge_observation(const struct hl7_message *m, size_t index, struct hl7_judgement *j)
{
    const struct hl7_segment *obx = &m->segments[index];

    if (!required(j, m, index, 3))
        return false;
    if (hl7_field(m, obx, 2).len == 0 && hl7_field(m, obx, 5).len > 0)
        return blame(j, m, index, 2, HL7_ERROR, HL7_REQUIRED_FIELD, "a value without its type");
    /* OBX-11 is optional in 2.1 only: elsewhere a result that does not say how final it is would look final. */
    return is(hl7_value(m, header(m), 12, 1), "2.1") || required(j, m, index, 11);
}

static bool judge_results(const struct hl7_message *m, struct hl7_judgement *j)
{
    size_t first_obr = hl7_segment_find(m, "OBR", 0);

    if (first_obr == m->segment_count)
        return missing_segment(j, "OBR", "OBR is missing");
    for (size_t i = 0; i < m->segment_count; i++) {
        bool is_obx = hl7_segment_is(m, &m->segments[i], "OBX");

        if (is_obx && i < first_obr)
            return blame(j, m, i, 0, HL7_ERROR, HL7_SEGMENT_SEQUENCE, "OBX before the first OBR");
        if (hl7_segment_is(m, &m->segments[i], "OBR") && !required(j, m, i, 4))
            return false;
        if (is_obx && !judge_observation(m, i, j))
            return false;
    }
    return true;
}

struct hl7_judgement hl7_judge(const struct hl7_message *m)
{
    struct hl7_judgement j = { .verdict = HL7_ACCEPT, .reason = "" };
    enum hl7_kind kind = hl7_kind_of(m);

    if (judge_header(m, &j) && judge_lines(m, &j) && judge_patient(m, kind, &j)
        && (kind != HL7_MERGE || judge_merge(m, &j)) && (kind != HL7_RESULTS || judge_results(m, &j)))
        j.reason = "";
    return j;
}

struct hl7_judgement hl7_judge_no_message(struct span bytes, enum error_code code)
{
    struct hl7_judgement j = { HL7_REJECT, HL7_SEGMENT_SEQUENCE, "MSH", 1, 0, "does not begin with MSH" };
    struct span text = span_trim(bytes, " \t\r\n\x0b");

    if (code == ERR_MEMORY) {
        j = (struct hl7_judgement){ HL7_ERROR, HL7_INTERNAL_ERROR, "", 1, 0, "out of memory: try again later" };
    } else if (code != ERR_MALFORMED) {
        j = (struct hl7_judgement){ HL7_REJECT, HL7_INTERNAL_ERROR, "", 1, 0, "larger than a limit of this receiver" };
    } else if (span_starts(text, SPAN_LIT("FHS")) || span_starts(text, SPAN_LIT("BHS"))) {
        j.reason = "a batch: send its messages one by one";
    } else if (span_starts(text, SPAN_LIT("H|"))) {
        j.reason = "HPRIM, not HL7 v2";
    } else if (span_starts(text, SPAN_LIT("MSH")) && text.len > 4) {
        j.condition = HL7_REQUIRED_FIELD;
        j.field = 2;
        j.reason = "MSH-2 is missing or unusable";
    }
    return j;
}

void hl7_location(const struct hl7_judgement *j, char out[HL7_LOCATION_SIZE])
{
    struct writer w = writer_new(HL7_LOCATION_SIZE - 1);

    write_str(&w, j->segment);
    if (j->occurrence > 1)
        write_printf(&w, "[%u]", j->occurrence);
    if (j->field > 0)
        write_printf(&w, "-%u", j->field);
    if (w.failed || !span_to_str(writer_span(&w), out, HL7_LOCATION_SIZE))
        out[0] = '\0';
    writer_done(&w);
}
