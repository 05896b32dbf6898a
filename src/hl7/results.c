/*
 * Results: OBR, OBX and NTE of an ORU^R01 (HL7 v2.5.1 chapter 7) as report groups with observation groups.
 * See facts.h.
 *
 * Observations keep their order. A document (ED) is not decoded: its place in the message as received is noted.
 */
#include "hl7/facts.h"

#define SCRATCH_MAX (HL7_MESSAGE_MAX * 4)

/* ---- values (chapter 2A) ---- */

static void words(const struct hl7_message *m, struct span text, struct writer *w)
{
    if (text.len == 0 || hl7_is_null(text))
        return;
    if (w->len > 0)
        write_u8(w, ' ');
    hl7_text(m, text, w);
}

static void value_as_text(const struct hl7_message *m, struct span repetition, struct writer *w)
{
    if (!hl7_is_null(repetition))
        hl7_text(m, repetition, w);
}

/* TS: the second component is a precision nobody uses any more. */
static void value_as_time(const struct hl7_message *m, struct span repetition, struct writer *w)
{
    value_as_text(m, hl7_component(m, repetition, 1), w);
}

/* Identifier ^ text ^ system ^ alternate identifier, text, system ^ … ^ original text: the first that reads well. */
static void value_as_coded(const struct hl7_message *m, struct span repetition, struct writer *w)
{
    static const unsigned preferred[] = { 2, 5, 9, 1, 4 };

    for (size_t i = 0; i < COUNT_OF(preferred) && w->len == 0; i++)
        value_as_text(m, hl7_component(m, repetition, preferred[i]), w);
}

/* SN: comparator, number, separator or suffix, number: ">100", "1:128", "10-20", "2+". */
static void value_as_structured_number(const struct hl7_message *m, struct span repetition, struct writer *w)
{
    for (unsigned n = 1; n <= 4; n++)
        value_as_text(m, hl7_component(m, repetition, n), w);
}

/* Any other type (XPN, EI, CX, CQ, RP …): what it holds, as words. */
static void value_as_words(const struct hl7_message *m, struct span repetition, struct writer *w)
{
    uint8_t delimiter = m->delimiters.component;

    while (repetition.len > 0) {
        size_t len = delimiter != 0 ? span_index(repetition, delimiter) : repetition.len;

        words(m, hl7_component(m, span_part(repetition, 0, len), 1), w);
        repetition = span_part(repetition, len + 1, repetition.len);
    }
}

typedef void value_writer(const struct hl7_message *m, struct span repetition, struct writer *w);

/* Table 0125. What is not here is written as words. */
static const struct {
    const char *type;
    value_writer *write;
} value_types[] = {
    { "", value_as_text },     { "ST", value_as_text },   { "TX", value_as_text },
    { "FT", value_as_text },   { "NM", value_as_text },   { "ID", value_as_text },
    { "IS", value_as_text },   { "SI", value_as_text },   { "DT", value_as_time },
    { "TM", value_as_time },   { "TS", value_as_time },   { "DTM", value_as_time },
    { "CE", value_as_coded },  { "CWE", value_as_coded }, { "CNE", value_as_coded },
    { "CF", value_as_coded },  { "SN", value_as_structured_number },
};

static void put_text_value(const struct hl7_message *m, struct span type, struct span field, struct writer *w)
{
    struct writer text = writer_new(SCRATCH_MAX);
    value_writer *write = value_as_words;
    struct span repetition;

    for (size_t i = 0; i < COUNT_OF(value_types); i++)
        if (span_equal(type, span_str(value_types[i].type)))
            write = value_types[i].write;
    while (hl7_next_repetition(m, &field, &repetition)) {
        struct writer one = writer_new(SCRATCH_MAX);

        write(m, repetition, &one);
        if (one.len > 0 && text.len > 0)
            write_u8(&text, '\n');
        write_span(&text, writer_span(&one));
        writer_done(&one);
    }
    hl7_put_writer(w, FIELD_VALUE, &text);
}

/* ---- documents (ED) ---- */

/* ED.3 without case; the first that begins it. */
static const struct {
    const char *subtype, *mime_type;
} subtypes[] = {
    { "PDF", "application/pdf" }, { "JPEG", "image/jpeg" }, { "JPG", "image/jpeg" },  { "PNG", "image/png" },
    { "GIF", "image/gif" },       { "TIFF", "image/tiff" }, { "HTML", "text/html" },  { "PLAIN", "text/plain" },
    { "RTF", "application/rtf" }, { "XML", "text/xml" },    { "X-HL7-CDA", "text/xml" }, { "DICOM", "application/dicom" },
};

/* First bytes of a document in Base64, where the sender does not say what it is, or says "octet-stream". */
static const struct {
    const char *bytes, *mime_type;
} beginnings[] = {
    { "JVBERi0", "application/pdf" }, { "/9j/", "image/jpeg" }, { "iVBORw0KGgo", "image/png" },
    { "PD94bW", "text/xml" },         { "PENsaW5pY2FsRG9jdW", "text/xml" },
};

static bool starts_without_case(struct span text, const char *prefix)
{
    struct span head = span_part(text, 0, strlen(prefix));

    if (head.len != strlen(prefix))
        return false;
    for (size_t i = 0; i < head.len; i++)
        if ((head.ptr[i] >= 'a' && head.ptr[i] <= 'z' ? head.ptr[i] - 32 : head.ptr[i]) != prefix[i])
            return false;
    return true;
}

static const char *mime_type_of(struct span subtype, struct span document)
{
    for (size_t i = 0; i < COUNT_OF(subtypes); i++)
        if (starts_without_case(subtype, subtypes[i].subtype))
            return subtypes[i].mime_type;
    for (size_t i = 0; i < COUNT_OF(beginnings); i++)
        if (span_starts(document, span_str(beginnings[i].bytes)))
            return beginnings[i].mime_type;
    return "application/octet-stream";
}

static void put_document(const struct hl7_message *m, struct span field, struct writer *w)
{
    struct span repetition, document, encoding;

    if (!hl7_next_repetition(m, &field, &repetition))
        return;
    document = hl7_component(m, repetition, 5);
    encoding = hl7_component(m, repetition, 4);
    if (span_index(repetition, m->delimiters.component) == repetition.len) {
        /* Some send the bytes alone, without the components around them. */
        document = repetition;
        encoding = SPAN_LIT("Base64");
    }
    field_put_str(w, FIELD_MIME_TYPE, mime_type_of(hl7_component(m, repetition, 3), document));
    if (document.len == 0 || m->transcoded)
        return;
    hl7_put(m, w, FIELD_DOCUMENT_ENCODING, encoding);
    field_put_uint(w, FIELD_DOCUMENT_OFFSET, span_offset(m->bytes, document));
    field_put_uint(w, FIELD_DOCUMENT_LENGTH, document.len);
}

/* ---- OBX ---- */

/* A coded element: its identifier, text and system, or, where it has no identifier, its alternate ones. */
static void put_coded(const struct hl7_message *m, const struct hl7_segment *s, unsigned field, enum field code,
                      enum field text, enum field system, struct writer *w)
{
    unsigned first = hl7_value(m, s, field, 1).len > 0 || hl7_value(m, s, field, 4).len == 0 ? 1 : 4;
    struct span words_of = hl7_value(m, s, field, first + 1);

    if (words_of.len == 0 && first == 1) /* the other text, then the original one */
        words_of = hl7_value(m, s, field, 5).len > 0 ? hl7_value(m, s, field, 5) : hl7_value(m, s, field, 9);
    hl7_put_value(m, w, code, s, field, first);
    hl7_put(m, w, text, words_of);
    hl7_put_value(m, w, system, s, field, first + 2);
}

/* All repetitions of a field, each as `write` has it, with `between` between them. */
static void put_repetitions(const struct hl7_message *m, const struct hl7_segment *s, unsigned field, enum field f,
                            value_writer *write, const char *between, struct writer *w)
{
    struct span rest = hl7_field(m, s, field), repetition;
    struct writer text = writer_new(SCRATCH_MAX);

    while (hl7_next_repetition(m, &rest, &repetition)) {
        struct writer one = writer_new(SCRATCH_MAX);

        write(m, repetition, &one);
        if (one.len > 0 && text.len > 0)
            write_str(&text, between);
        write_span(&text, writer_span(&one));
        writer_done(&one);
    }
    hl7_put_writer(w, f, &text);
}

static void put_units(const struct hl7_message *m, const struct hl7_segment *obx, struct writer *w)
{
    static const unsigned preferred[] = { 1, 2, 4, 5 };
    struct span units = { 0 };

    for (size_t i = 0; i < COUNT_OF(preferred) && units.len == 0; i++)
        units = hl7_value(m, obx, 6, preferred[i]);
    hl7_put(m, w, FIELD_UNITS, units);
}

static void put_observation(const struct hl7_message *m, const struct hl7_segment *obx, const struct hl7_segment *obr,
                            struct writer *w)
{
    struct span type = hl7_field(m, obx, 2), value = hl7_field(m, obx, 5);

    hl7_put_value(m, w, FIELD_SET_ID, obx, 1, 1);
    hl7_put(m, w, FIELD_VALUE_TYPE, type);
    put_coded(m, obx, 3, FIELD_CODE, FIELD_CODE_TEXT, FIELD_CODE_SYSTEM, w);
    hl7_put(m, w, FIELD_SUB_ID, hl7_field(m, obx, 4));
    if (span_equal(type, SPAN_LIT("ED")))
        put_document(m, value, w);
    else
        put_text_value(m, type, value, w);
    put_units(m, obx, w);
    hl7_put(m, w, FIELD_REFERENCE_RANGE, hl7_field(m, obx, 7));
    put_repetitions(m, obx, 8, FIELD_ABNORMAL_FLAGS, value_as_time, "~", w);
    hl7_put_value(m, w, FIELD_STATUS, obx, 11, 1);
    if (hl7_value(m, obx, 14, 1).len > 0)
        hl7_put_value(m, w, FIELD_OBSERVED, obx, 14, 1);
    else if (obr != NULL)
        hl7_put_value(m, w, FIELD_OBSERVED, obr, 7, 1);
    put_repetitions(m, obx, 15, FIELD_PRODUCER, value_as_coded, ", ", w);
    put_repetitions(m, obx, 17, FIELD_METHOD, value_as_coded, ", ", w);
}

/* ---- OBR ---- */

static void put_provider(const struct hl7_message *m, const struct hl7_segment *obr, struct writer *w)
{
    struct span field = hl7_field(m, obr, 16), repetition;
    struct writer text = writer_new(SCRATCH_MAX);

    if (hl7_next_repetition(m, &field, &repetition))
        hl7_person(m, repetition, 2, &text);
    hl7_put_writer(w, FIELD_ORDERING_PROVIDER, &text);
}

/* The ORC of the same order: above the OBR, with at most notes and timing between them. NULL: none. */
static const struct hl7_segment *order_of(const struct hl7_message *m, size_t obr, size_t *index)
{
    for (size_t i = obr; i > 0; i--) {
        const struct hl7_segment *s = &m->segments[i - 1];

        *index = i - 1;
        if (hl7_segment_is(m, s, "ORC"))
            return s;
        if (!hl7_segment_is(m, s, "NTE") && !hl7_segment_is(m, s, "TQ1") && !hl7_segment_is(m, s, "TQ2"))
            break;
    }
    return NULL;
}

static void put_order_number(const struct hl7_message *m, const struct hl7_segment *obr, const struct hl7_segment *orc,
                             unsigned field, enum field f, struct writer *w)
{
    bool from_orc = hl7_value(m, obr, field, 1).len == 0 && orc != NULL;

    hl7_put_value(m, w, f, from_orc ? orc : obr, field, 1);
}

static void put_report_head(const struct hl7_message *m, size_t index, struct writer *w)
{
    const struct hl7_segment *obr = &m->segments[index];
    size_t orc_index = 0;
    const struct hl7_segment *orc = order_of(m, index, &orc_index);
    struct span specimen = hl7_subcomponent(m, hl7_value(m, obr, 15, 1), 2);

    put_order_number(m, obr, orc, 2, FIELD_PLACER_ORDER, w);
    put_order_number(m, obr, orc, 3, FIELD_FILLER_ORDER, w);
    put_coded(m, obr, 4, FIELD_SERVICE_CODE, FIELD_SERVICE_TEXT, FIELD_SERVICE_SYSTEM, w);
    hl7_put_value(m, w, FIELD_COLLECTED, obr, 7, 1);
    hl7_put_value(m, w, FIELD_REPORTED, obr, 22, 1);
    hl7_put_value(m, w, FIELD_REPORT_STATUS, obr, 25, 1);
    hl7_put(m, w, FIELD_SPECIMEN, specimen.len > 0 ? specimen : hl7_subcomponent(m, hl7_value(m, obr, 15, 1), 1));
    put_provider(m, obr, w);
    for (size_t i = orc_index; orc != NULL && i < index; i++)
        if (hl7_segment_is(m, &m->segments[i], "NTE"))
            hl7_put(m, w, FIELD_NOTE, hl7_field(m, &m->segments[i], 3));
}

/* SPM-4: specimen type (2.5 and later, instead of OBR-15). */
static void put_specimen(const struct hl7_message *m, const struct hl7_segment *spm, struct writer *w)
{
    put_repetitions(m, spm, 4, FIELD_SPECIMEN, value_as_coded, ", ", w);
}

/* ---- the walk ---- */

/* Where the walk stands: open groups nest, an observation in a report. */
struct walk {
    const struct hl7_message *m;
    struct writer *w;
    const struct hl7_segment *obr;
    size_t report, observation; /* marks of open groups */
    bool in_report, in_observation;
    bool notes_are_ours; /* NTE belong to what is open, not to a patient, visit or order */
};

static void close_observation(struct walk *k)
{
    if (k->in_observation)
        field_group_end(k->w, k->observation);
    k->in_observation = false;
}

static void close_report(struct walk *k)
{
    close_observation(k);
    if (k->in_report)
        field_group_end(k->w, k->report);
    k->in_report = false;
}

static void open_report(struct walk *k)
{
    close_report(k);
    k->report = field_group_begin(k->w, FIELD_REPORT);
    k->in_report = true;
    k->notes_are_ours = true;
}

static void walk_segment(struct walk *k, size_t index)
{
    const struct hl7_message *m = k->m;
    const struct hl7_segment *s = &m->segments[index];

    if (hl7_segment_is(m, s, "OBR")) {
        open_report(k);
        k->obr = s;
        put_report_head(m, index, k->w);
    } else if (hl7_segment_is(m, s, "OBX")) {
        if (!k->in_report) /* judged as an error; still somebody's value for who asks */
            open_report(k);
        close_observation(k);
        k->observation = field_group_begin(k->w, FIELD_OBSERVATION);
        k->in_observation = true;
        k->notes_are_ours = true;
        put_observation(m, s, k->obr, k->w);
    } else if (hl7_segment_is(m, s, "NTE")) {
        if (k->notes_are_ours)
            hl7_put(m, k->w, FIELD_NOTE, hl7_field(m, s, 3));
    } else if (hl7_segment_is(m, s, "SPM") && k->in_report) {
        close_observation(k);
        put_specimen(m, s, k->w);
    } else if (hl7_segment_is(m, s, "ORC") || hl7_segment_is(m, s, "PID") || hl7_segment_is(m, s, "PV1")) {
        close_report(k);
        k->obr = NULL;
        k->notes_are_ours = false;
    }
}

void hl7_result_facts(const struct hl7_message *m, struct writer *w)
{
    struct walk k = { .m = m, .w = w };

    for (size_t i = 1; i < m->segment_count; i++)
        walk_segment(&k, i);
    close_report(&k);
}
