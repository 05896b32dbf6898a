/*
 * Prints what the HL7 codec makes of message files, one JSON object a line, for comparison with another parser:
 *   hl7_dump FILE…
 *   {"file": …, "answer": "AA", "judgement": "AA", "code": 0, "location": "", "reason": "", "facts": {…}}
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "hl7/acknowledge.h"
#include "hl7/facts.h"
#include "hl7/mllp.h"

static void print_text(struct span s)
{
    putchar('"');
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] == '"' || s.ptr[i] == '\\')
            printf("\\%c", s.ptr[i]);
        else if (s.ptr[i] < ' ')
            printf("\\u%04x", s.ptr[i]);
        else
            putchar(s.ptr[i]);
    }
    putchar('"');
}

static void print_fields(struct span list)
{
    struct fields_reader r = fields_over(list);
    struct field_value v;
    const char *between = "";

    /* A list of pairs, because fields repeat. */
    putchar('[');
    while (fields_next(&r, &v)) {
        printf("%s[\"%s\", ", between, field_name(v.field));
        if (field_type_of(v.field) == FIELD_TYPE_GROUP)
            print_fields(v.value);
        else if (field_type_of(v.field) == FIELD_TYPE_UINT)
            printf("%llu", (unsigned long long)field_uint(v.value));
        else
            print_text(v.value);
        putchar(']');
        between = ", ";
    }
    putchar(']');
}

static void dump(const char *path, struct span bytes)
{
    static const char *const verdicts[] = { "AA", "AE", "AR", "none" };
    struct arena arena = arena_new(HL7_ARENA_MAX);
    struct writer facts = writer_new(HL7_ARENA_MAX);
    struct hl7_message m;
    struct hl7_judgement j;
    struct error err = { 0 };
    char location[HL7_LOCATION_SIZE];
    bool parsed = hl7_message_parse(&arena, bytes, &m, &err);
    const char *answer;

    j = parsed ? hl7_judge(&m) : hl7_judge_no_message(bytes, err.code);
    answer = hl7_answer_code(parsed ? &m : NULL, j.verdict);
    hl7_location(&j, location);
    if (parsed) {
        hl7_header_facts(&m, (struct span){ 0 }, &facts);
        hl7_facts(&m, &facts);
    }
    printf("{\"file\": ");
    print_text(span_str(path));
    printf(", \"answer\": \"%s\", \"judgement\": \"%s\", \"code\": %d, \"location\": \"%s\", \"reason\": ",
           answer != NULL ? answer : "none", verdicts[j.verdict], j.condition, location);
    print_text(span_str(j.reason));
    printf(", \"facts\": ");
    print_fields(writer_span(&facts));
    printf("}\n");
    writer_done(&facts);
    arena_done(&arena);
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        struct writer file = writer_new(HL7_MESSAGE_MAX);
        struct mllp frame = mllp_new(HL7_MESSAGE_MAX);
        struct error err = { 0 };
        struct span input;

        if (!file_slurp(argv[i], &file, &err)) {
            fprintf(stderr, "%s\n", err.text);
            return EXIT_FAILURE;
        }
        input = writer_span(&file);
        /* A file that is framed itself is taken out of its frame, as the gate would. */
        if (input.len > 0 && input.ptr[0] == MLLP_START && mllp_take(&frame, &input) == MLLP_MESSAGE)
            dump(argv[i], mllp_message(&frame));
        else
            dump(argv[i], writer_span(&file));
        mllp_done(&frame);
        writer_done(&file);
    }
    return EXIT_SUCCESS;
}
