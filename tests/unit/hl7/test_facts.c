/* HL7 fields as our fields, printed as name=value with groups in braces. */
#include "hl7/facts.h"

#include "../test.h"

static void print(struct span list, struct writer *out)
{
    struct fields_reader r = fields_over(list);
    struct field_value v;
    const char *between = "";

    while (fields_next(&r, &v)) {
        write_printf(out, "%s%s=", between, field_name(v.field));
        if (field_type_of(v.field) == FIELD_TYPE_GROUP) {
            write_str(out, "{");
            print(v.value, out);
            write_str(out, "}");
        } else if (field_type_of(v.field) == FIELD_TYPE_UINT) {
            write_printf(out, "%llu", (unsigned long long)field_uint(v.value));
        } else {
            write_span(out, v.value);
        }
        between = " ";
    }
}

static void facts_of(const char *message, struct writer *out)
{
    struct arena arena = arena_new(HL7_ARENA_MAX);
    struct writer facts = writer_new(65536);
    struct hl7_message m;

    assert_true(hl7_message_parse(&arena, span_str(message), &m, NULL));
    hl7_facts(&m, &facts);
    assert_true(writer_ok(&facts, NULL, "facts"));
    print(writer_span(&facts), out);
    writer_done(&facts);
    arena_done(&arena);
}

static bool check_facts(const char *name, const char *message, const char *wanted)
{
    struct writer out = writer_new(65536);
    bool same;

    facts_of(message, &out);
    same = span_equal(writer_span(&out), span_str(wanted));
    if (!same)
        print_error("%s:\n  got  %.*s\n  want %s\n", name, (int)out.len, (const char *)out.ptr, wanted);
    writer_done(&out);
    return same;
}

#define MSH(type) "MSH|^~\\&|LIS|LAB|||2026||" type "|1|P|2.5\r"

TEST(patients_visits_and_merges)
{
    static const struct {
        const char *name, *message, *facts;
    } rows[] = {
        { "the hospital's number goes before the national one",
          MSH("ADT^A08") "PID|1||288^^^INS-NIR&1.2.250.1.213.1.4.8&ISO^INS~12^^^&1.2.3&ISO^PI||DUPONT&DE&X^Anne^B^JR^MME||1980-02-03|F\r",
          "patient_id=12 issuer=1.2.3 id_type=PI other_id={patient_id=288 issuer=INS-NIR id_type=INS} "
          "patient_name=DUPONT^Anne^B^MME^JR birth_date=19800203 sex=F" },
        { "one name in three scripts; an alias is none",
          MSH("ADT^A08") "PID|1||7||DOE^JO^^^^^L^A~KID^^^^^^N~\xe5\xb1\xb1^\xe5\xa4\xaa^^^^^L^I~YAMA^TARO^^^^^L^P\r",
          "patient_id=7 patient_name=DOE^JO=\xe5\xb1\xb1^\xe5\xa4\xaa=YAMA^TARO" },
        { "sounds without ideographs", MSH("ADT^A08") "PID|1||7||DOE~DOO^^^^^^^P\r", "patient_id=7 patient_name=DOE==DOO" },
        { "no type: the first", MSH("ADT^A08") "PID|1||7^^^A~8^^^B\r",
          "patient_id=7 issuer=A other_id={patient_id=8 issuer=B}" },
        { "nulls say nothing", MSH("ADT^A08") "PID|1||7||DOE^\"\"||\"\"|\"\"\r", "patient_id=7 patient_name=DOE" },
        { "old numbers", "MSH|^~\\&|A|B|||2026||ADT^A01|1|P|2.2\rPID|1|EXT|||DOE\r", "patient_id=EXT patient_name=DOE" },
        { "a visit", MSH("ADT^A01") "EVN|A01|20260101\rPID|1||7||||19800\rPV1|1|E|ER^12^A^HOP&1.2||||||||||||||||V1&x^^^H|||||||||||||||||||||||||20260102|20260103\r",
          "patient_id=7 birth_date=19800 event_time=20260101 encounter={visit_number=V1&x patient_class=E location=ER 12 A HOP admitted=20260102 discharged=20260103}" },
        { "a person has no visit", MSH("ADT^A28") "PID|1||7\rPV1|1|N\r", "patient_id=7" },
        { "a merge", MSH("ADT^A40") "PID|1||7^^^H~N1^^^INS\rMRG|8^^^H~N1^^^INS~9^^^K\r",
          "patient_id=7 issuer=H other_id={patient_id=N1 issuer=INS} prior={patient_id=8 issuer=H} prior={patient_id=9 issuer=K}" },
    };

    EACH (row, rows)
        CHECK(check_facts(row->name, row->message, row->facts));
}

#define RESULT(obx) MSH("ORU^R01") "PID|1||7\rOBR|1|P1|F1|GLU^Glucose^L|||20260101\r" obx
#define REPORT(observation) "patient_id=7 report={placer_order=P1 filler_order=F1 service_code=GLU service_text=Glucose service_system=L collected=20260101 observation={" observation "}}"

TEST(values_of_each_type_read_well)
{
    static const struct {
        const char *type, *sent, *value;
    } rows[] = {
        { "NM", "5.10", "5.10" },
        { "NM", "2.5^(25 %)", "2.5^(25 %)" },
        { "ST", "a^b&c", "a^b&c" },
        { "TX", "one~two", "one\ntwo" },
        { "FT", "one\\.br\\two", "one\ntwo" },
        { "CE", "1^Positive^L", "Positive" },
        { "CE", "1", "1" },
        { "CWE", "^^^2^Other^L", "Other" },
        { "CWE", "^^^^^^^^as written", "as written" },
        { "CNE", "A^First~B^Second", "First\nSecond" },
        { "SN", ">^100", ">100" },
        { "SN", "^1^:^128", "1:128" },
        { "SN", "^2^+", "2+" },
        { "TS", "20260101^D", "20260101" },
        { "DT", "20260101", "20260101" },
        { "XPN", "DOE^JANE^^^DR", "DOE JANE DR" },
        { "RP", "p^app^text&x", "p app text&x" },
        { "ZZ", "a^b", "a b" },
    };

    EACH (row, rows) {
        struct writer message = writer_new(1000), wanted = writer_new(1000);

        write_printf(&message, RESULT("OBX|1|%s|C||%s||||||F\r") "%c", row->type, row->sent, 0);
        write_printf(&wanted, REPORT("set_id=1 value_type=%s code=C value=%s status=F observed=20260101") "%c", row->type,
                     row->value, 0);
        CHECK(check_facts(row->type, (const char *)message.ptr, (const char *)wanted.ptr));
        writer_done(&message);
        writer_done(&wanted);
    }
}

TEST(observations_and_reports)
{
    static const struct {
        const char *name, *message, *facts;
    } rows[] = {
        { "everything of an OBX", RESULT("OBX|1|NM|C^Name^L|2|7|mmol/L^x|3.9-5.5|H~A^b|||C|||20260102|P^Lab~Q||M^Method\r"),
          REPORT("set_id=1 value_type=NM code=C code_text=Name code_system=L sub_id=2 value=7 units=mmol/L reference_range=3.9-5.5 "
                 "abnormal_flags=H~A status=C observed=20260102 producer=Lab, Q method=Method") },
        { "an identifier among the alternates", RESULT("OBX|1|NM|^^^ALT^Name^S||7||||||F\r"),
          REPORT("set_id=1 value_type=NM code=ALT code_text=Name code_system=S value=7 status=F observed=20260101") },
        { "units by text only", RESULT("OBX|1|NM|C||7|^mg/L||||||F\r"),
          REPORT("set_id=1 value_type=NM code=C value=7 units=mg/L observed=20260101") },
        { "a null value", RESULT("OBX|1|NM|C||\"\"||||||D\r"),
          REPORT("set_id=1 value_type=NM code=C status=D observed=20260101") },
        { "notes where they belong",
          MSH("ORU^R01") "PID|1||7\rNTE|1||of the patient\rPV1|1|E\rNTE|1||of the visit\rORC|RE|P9|F9\rNTE|1||of the order\r"
          "OBR|1|||X\rNTE|1||of the report\rOBX|1|ST|C||v||||||F\rNTE|1||of the value\\.br\\more\rNTE|2||second\r",
          "patient_id=7 note=of the patient encounter={patient_class=E} report={placer_order=P9 filler_order=F9 service_code=X "
          "note=of the order note=of the report observation={set_id=1 value_type=ST code=C value=v status=F note=of the value\nmore note=second}}" },
        { "two reports, specimen, provider", MSH("ORU^R01") "PID|1||7\rOBR|1|||A|||||||||||SER&Serum&L|9^HOUSE^GREG\rOBX|1|ST|C||v||||||F\r"
          "SPM|1|||BLD^Blood\rOBR|2|||B^^||||||||||||||||||20260105|||F\r",
          "patient_id=7 report={service_code=A specimen=Serum ordering_provider=HOUSE GREG observation={set_id=1 value_type=ST code=C value=v status=F} "
          "specimen=Blood} report={service_code=B reported=20260105 report_status=F}" },
    };

    EACH (row, rows)
        CHECK(check_facts(row->name, row->message, row->facts));
}

TEST(a_document_stays_where_it_is)
{
    static const struct {
        const char *name, *obx_5, *encoding, *mime_type, *document;
    } rows[] = {
        { "PDF", "^application^pdf^Base64^JVBERi0x", "Base64", "application/pdf", "JVBERi0x" },
        { "PDF by its subtype alone", "X^TEXT^PDF^Base64^AAAA", "Base64", "application/pdf", "AAAA" },
        { "octet-stream that is a PDF", "^AP^Octet-stream^Base64^JVBERi0x", "Base64", "application/pdf", "JVBERi0x" },
        { "the bytes alone", "PENsaW5pY2FsRG9jdW1lbnQ", "Base64", "text/xml", "PENsaW5pY2FsRG9jdW1lbnQ" },
        { "unknown", "^x^y^Hex^00ff", "Hex", "application/octet-stream", "00ff" },
    };

    EACH (row, rows) {
        struct arena arena = arena_new(HL7_ARENA_MAX);
        struct writer message = writer_new(1000), facts = writer_new(65536);
        struct hl7_message m;
        struct span report, observation;

        write_printf(&message, "\r\n" RESULT("OBX|1|ED|C||%s||||||F\r"), row->obx_5);
        CHECK_ROW(row->name, hl7_message_parse(&arena, writer_span(&message), &m, NULL));
        hl7_facts(&m, &facts);
        CHECK_ROW(row->name, fields_find(writer_span(&facts), FIELD_REPORT, &report));
        CHECK_ROW(row->name, fields_find(report, FIELD_OBSERVATION, &observation));
        CHECK_ROW(row->name, span_equal(fields_text(observation, FIELD_MIME_TYPE), span_str(row->mime_type)));
        CHECK_ROW(row->name, span_equal(fields_text(observation, FIELD_DOCUMENT_ENCODING), span_str(row->encoding)));
        CHECK_ROW(row->name, span_equal(span_part(writer_span(&message), fields_uint(observation, FIELD_DOCUMENT_OFFSET, 0),
                                                  fields_uint(observation, FIELD_DOCUMENT_LENGTH, 0)),
                                        span_str(row->document)));
        CHECK_ROW(row->name, fields_text(observation, FIELD_VALUE).len == 0);
        writer_done(&message);
        writer_done(&facts);
        arena_done(&arena);
    }
}

TEST(a_long_value_is_cut_between_characters_and_says_so)
{
    struct arena arena = arena_new(HL7_ARENA_MAX);
    struct writer message = writer_new(100000), facts = writer_new(100000);
    struct hl7_message m;
    struct span report, observation = { 0 }, value;

    write_str(&message, RESULT("OBX|1|TX|C||x"));
    for (size_t i = 0; i < HL7_VALUE_MAX; i++)
        write_str(&message, "é");
    write_str(&message, "||||||F\r");
    CHECK(hl7_message_parse(&arena, writer_span(&message), &m, NULL));
    hl7_facts(&m, &facts);
    CHECK(fields_find(writer_span(&facts), FIELD_REPORT, &report) && fields_find(report, FIELD_OBSERVATION, &observation));
    value = fields_text(observation, FIELD_VALUE);
    CHECK(value.len == HL7_VALUE_MAX - 1 + strlen(HL7_VALUE_CUT) && utf8_is_valid(value)); /* x and whole é fill all but a byte */
    CHECK(span_equal(span_part(value, HL7_VALUE_MAX - 1, value.len), span_str(HL7_VALUE_CUT)));
    writer_done(&message);
    writer_done(&facts);
    arena_done(&arena);
}

/* 20,000 numbers against 20,000 would be 400 million comparisons; both are cut at HL7_IDENTIFIERS_MAX. */
TEST(more_identifiers_than_anybody_has_are_not_looked_at)
{
    struct arena arena = arena_new(HL7_ARENA_MAX);
    struct writer message = writer_new(HL7_MESSAGE_MAX), facts = writer_new(65536);
    struct hl7_message m;
    struct fields_reader r;
    struct field_value v;
    size_t others = 0, priors = 0;

    write_str(&message, MSH("ADT^A40") "PID|1||");
    for (int i = 0; i < 20000; i++)
        write_printf(&message, "P%d~", i);
    write_str(&message, "\rMRG|");
    for (int i = 0; i < 20000; i++)
        write_printf(&message, "M%d~", i);
    CHECK(hl7_message_parse(&arena, writer_span(&message), &m, NULL));
    hl7_facts(&m, &facts);
    CHECK(!facts.failed);
    for (r = fields_over(writer_span(&facts)); fields_next(&r, &v);) {
        others += v.field == FIELD_OTHER_ID;
        priors += v.field == FIELD_PRIOR;
    }
    CHECK(others == HL7_IDENTIFIERS_MAX - 1 && priors == HL7_IDENTIFIERS_MAX);
    writer_done(&message);
    writer_done(&facts);
    arena_done(&arena);
}

TEST(the_zone_of_msh_7_holds_for_the_message)
{
    static const struct {
        const char *time, *zone;
    } rows[] = { { "20260101120000+0200", "+0200" }, { "20260101-0530", "-0530" }, { "20260101", "Europe/Paris" },
                 { "2026-01-15T14:30:00", "Europe/Paris" }, { "", "Europe/Paris" } };

    EACH (row, rows) {
        struct arena arena = arena_new(HL7_ARENA_MAX);
        struct writer message = writer_new(1000), facts = writer_new(1000);
        struct hl7_message m;

        write_printf(&message, "MSH|^~\\&|A|B|||%s||ORU^R01|1|P|2.5\r", row->time);
        CHECK(hl7_message_parse(&arena, writer_span(&message), &m, NULL));
        hl7_header_facts(&m, SPAN_LIT("Europe/Paris"), &facts);
        CHECK_ROW(row->time, span_equal(fields_text(writer_span(&facts), FIELD_ZONE), span_str(row->zone)));
        writer_done(&message);
        writer_done(&facts);
        arena_done(&arena);
    }
}

TESTS(T(patients_visits_and_merges), T(values_of_each_type_read_well), T(observations_and_reports),
      T(a_document_stays_where_it_is), T(a_long_value_is_cut_between_characters_and_says_so),
      T(more_identifiers_than_anybody_has_are_not_looked_at), T(the_zone_of_msh_7_holds_for_the_message))
