/* HL7 messages: parsed, judged, told as facts, acknowledged, whatever they are. */
#include <assert.h>

#include "hl7/acknowledge.h"
#include "hl7/facts.h"

#define FUZZ_FACTS_MAX ((size_t)128 * 1024)

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct arena arena = arena_new(HL7_ARENA_MAX);
    struct writer facts = writer_new(FUZZ_FACTS_MAX), answer = writer_new((size_t)64 * 1024);
    struct span message = span_of(bytes, len);
    struct hl7_message m;
    struct error err;
    bool parsed = hl7_message_parse(&arena, message, &m, &err);
    struct hl7_judgement j = parsed ? hl7_judge(&m) : hl7_judge_no_message(message, err.code);
    const char *code = hl7_answer_code(parsed ? &m : NULL, j.verdict);
    char location[HL7_LOCATION_SIZE];

    hl7_location(&j, location);
    if (parsed) {
        hl7_header_facts(&m, SPAN_LIT("+0100"), &facts);
        hl7_facts(&m, &facts);
        hl7_result_facts(&m, &facts); /* also of messages that are refused */
        hl7_merge_facts(&m, &facts);
    }
    if (code != NULL) {
        hl7_acknowledge(parsed ? &m : NULL, &(struct hl7_acknowledgement){ code, &j, 0, "ID" }, &answer);
        assert(!answer.failed && answer.len > 4); /* an answer always fits */
    }
    for (struct fields_reader r = fields_over(facts.failed ? (struct span){ 0 } : writer_span(&facts));;) {
        struct field_value v;

        if (!fields_next(&r, &v)) {
            assert(fields_complete(&r, NULL));
            break;
        }
        if (field_type_of(v.field) == FIELD_TYPE_TEXT)
            assert(utf8_is_valid(v.value));
    }
    writer_done(&facts);
    writer_done(&answer);
    arena_done(&arena);
    return 0;
}
