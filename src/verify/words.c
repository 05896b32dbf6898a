/* Text for people. See words.h. */
#include "words.h"

#include <time.h>

#include "record.h"

void print_text(FILE *out, struct bytes text)
{
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.ptr[i];
        /* C0, DEL, and C1 as UTF-8 (c2 80 to c2 9f): what terminals obey */
        bool control = c < 0x20 || c == 0x7f || (i > 0 && text.ptr[i - 1] == 0xc2 && c < 0xa0);

        (void)fputc(control ? ' ' : c, out);
    }
}

const char *time_text(uint64_t seconds, char out[24])
{
    time_t t = (time_t)(seconds > 253402300799u ? 253402300799u : seconds); /* the end of the year 9999 */
    struct tm tm;

    (void)gmtime_r(&t, &tm);
    (void)strftime(out, 24, "%Y-%m-%dT%H:%M:%SZ", &tm);
    return out;
}

static const struct {
    unsigned number;
    bool is_number;
    const char *name;
} facts_known[] = {
    { 1, true, "position" },           { 3, false, "state" },            { 6, false, "source" },
    { 7, false, "address" },           { 11, false, "reason" },          { 12, false, "fact" },
    { 13, false, "event" },            { 14, false, "actor" },           { 15, false, "detail" },
    { 16, false, "outcome" },          { 30, false, "patient_id" },      { 31, false, "issuer" },
    { 32, false, "patient_name" },     { 33, false, "birth_date" },      { 34, false, "sex" },
    { 35, false, "patient_key" },      { 50, false, "study_uid" },       { 51, false, "series_uid" },
    { 52, false, "accession" },        { 53, false, "study_date" },      { 54, false, "study_time" },
    { 55, false, "study_description" }, { 58, false, "modality" },       { 80, false, "sop_uid" },
    { 81, false, "sop_class" },        { 82, false, "transfer_syntax" }, { 83, false, "instance_number" },
    { 85, true, "rows" },              { 86, true, "columns" },          { 87, true, "frames" },
    { 120, false, "command_sop_uid" }, { 124, false, "calling_ae" },     { 125, false, "called_ae" },
    { 150, false, "message_type" },    { 151, false, "trigger" },        { 152, false, "control_id" },
    { 154, false, "sending_application" }, { 155, false, "sending_facility" }, { 156, false, "message_time" },
    { 157, false, "ack_code" },        { 250, false, "user" },           { 254, false, "role" },
    { 311, false, "text_query" },      { 440, false, "evidence" },
};

const char *fact_name(unsigned number, bool *is_number)
{
    for (size_t i = 0; i < sizeof facts_known / sizeof facts_known[0]; i++)
        if (facts_known[i].number == number) {
            *is_number = facts_known[i].is_number;
            return facts_known[i].name;
        }
    return NULL;
}

void print_facts(FILE *out, struct bytes facts)
{
    struct cursor c = { facts, false };
    struct fact f;

    while (c.left.len > 0 && fact_next(&c, &f)) {
        bool is_number;
        const char *name = fact_name(f.number, &is_number);
        struct cursor value = { f.value, false };

        if (name == NULL)
            continue;
        (void)fprintf(out, "%s: ", name);
        if (is_number)
            (void)fprintf(out, "%llu", (unsigned long long)take_le(&value, 8));
        else
            print_text(out, f.value);
        (void)fputc('\n', out);
    }
}
