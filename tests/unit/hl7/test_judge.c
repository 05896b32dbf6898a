/* The rules of docs/hl7-profiles.md, one row each; the shared set is held to them by tests/e2e/test_hl7_codec.py. */
#include "hl7/judge.h"

#include "../test.h"

#define MSH(type, id, version) "MSH|^~\\&|LIS|LAB|||2026||" type "|" id "|P|" version "\r"
#define ORU MSH("ORU^R01", "1", "2.5")
#define ADT(event) MSH("ADT^" event, "1", "2.5")
#define PID "PID|1||7^^^H\r"

TEST(each_rule_names_verdict_condition_and_place)
{
    static const struct {
        const char *name, *message;
        enum hl7_verdict verdict;
        int condition;
        const char *location;
    } rows[] = {
        { "1 no type", MSH("", "1", "2.5"), HL7_REJECT, 101, "MSH-9" },
        { "2 an acknowledgement", MSH("ACK^A01", "", ""), HL7_SILENT, 0, "" },
        { "2 a delayed acknowledgement", MSH("MCF", "", "2.2"), HL7_SILENT, 0, "" },
        { "2 a response", MSH("ORL^O22", "1", "2.5") "MSA|AA|1\r", HL7_SILENT, 0, "" },
        { "3 no version", MSH("ORU^R01", "1", ""), HL7_REJECT, 101, "MSH-12" },
        { "3 version", MSH("ORU^R01", "1", "3.0"), HL7_REJECT, 203, "MSH-12" },
        { "4 type", MSH("SIU^S12", "1", "2.5"), HL7_REJECT, 200, "MSH-9" },
        { "4 event", MSH("ADT^A02", "1", "2.5"), HL7_REJECT, 201, "MSH-9" },
        { "4 no event", MSH("ADT", "1", "2.5"), HL7_REJECT, 201, "MSH-9" },
        { "5 no control ID", MSH("ORU^R01", "", "2.5"), HL7_ERROR, 101, "MSH-10" },
        { "6 a broken line", ORU PID "OBR|1|||X\rgarbage\r", HL7_ERROR, 100, "OBR" },
        { "6 a second MSH", ORU PID ORU, HL7_ERROR, 100, "MSH[2]" },
        { "7 no PID", ORU "OBR|1|||X\r", HL7_ERROR, 100, "PID" },
        { "7 nobody", ORU "PID|1\rOBR|1|||X\r", HL7_ERROR, 101, "PID-3" },
        { "7 a name is enough for results", ORU "PID|1||||DOE\rOBR|1|||X\r", HL7_ACCEPT, 0, "" },
        { "7 but delimiters are no name", ORU "PID|1||^^^H||^~^&\rOBR|1|||X\r", HL7_ERROR, 101, "PID-3" },
        { "7 nor is null", ORU "PID|1||\"\"||\"\"\rOBR|1|||X\r", HL7_ERROR, 101, "PID-3" },
        { "7 a name is not enough for a visit", ADT("A01") "PID|1||||DOE\r", HL7_ERROR, 101, "PID-3" },
        { "7 PID-4 is not looked at in 2.5", ADT("A01") "PID|1|||7\r", HL7_ERROR, 101, "PID-3" },
        { "7 PID-4 in 2.2", MSH("ADT^A01", "1", "2.2") "PID|1|||7\r", HL7_ACCEPT, 0, "" },
        { "7 PID-2 in 2.3", MSH("ADT^A08", "1", "2.3") "PID|1|7\r", HL7_ACCEPT, 0, "" },
        { "7 a second PID", ADT("A01") PID PID, HL7_ERROR, 100, "PID[2]" },
        { "7 another patient", ORU PID "OBR|1|||X\rPID|2||8^^^H\rOBR|2|||X\r", HL7_ERROR, 207, "PID[2]-3" },
        { "7 the same patient", ORU PID "OBR|1|||X\r" PID "OBR|2|||X\r", HL7_ACCEPT, 0, "" },
        { "8 no MRG", ADT("A40") PID, HL7_ERROR, 100, "MRG" },
        { "8 MRG of the second pair", ADT("A40") PID "MRG|1\r" PID, HL7_ERROR, 100, "MRG" },
        { "8 MRG-1", ADT("A40") PID "MRG|^^^H\r", HL7_ERROR, 101, "MRG-1" },
        { "8 merge", ADT("A40") PID "PD1|1\rMRG|1\r", HL7_ACCEPT, 0, "" },
        { "9 no OBR", ORU PID "OBX|1|NM|C||1|||||F\r", HL7_ERROR, 100, "OBR" },
        { "9 OBX first", ORU PID "OBX|1|NM|C||1||||||F\rOBR|1|||X\r", HL7_ERROR, 100, "OBX" },
        { "9 OBR-4", ORU PID "OBR|1\r", HL7_ERROR, 101, "OBR-4" },
        { "9 OBX-3", ORU PID "OBR|1|||X\rOBX|1|NM|A||1||||||F\rOBX|2|NM|||1||||||F\r", HL7_ERROR, 101, "OBX[2]-3" },
        { "9 OBX-2", ORU PID "OBR|1|||X\rOBX|1||A||1||||||F\r", HL7_ERROR, 101, "OBX-2" },
        { "9 OBX-2 without value", ORU PID "OBR|1|||X\rOBX|1||A||||||||X\r", HL7_ACCEPT, 0, "" },
        { "9 OBX-11", ORU PID "OBR|1|||X\rOBX|1|NM|A||1\r", HL7_ERROR, 101, "OBX-11" },
        { "9 OBX-11 in 2.1", MSH("ORU", "1", "2.1") PID "OBR|1|||X\rOBX|1|NM|A||1\r", HL7_ACCEPT, 0, "" },
        { "an OBR without OBX", ORU PID "OBR|1|||X\r", HL7_ACCEPT, 0, "" },
        { "a visit", ADT("A04") PID, HL7_ACCEPT, 0, "" },
        { "a person", ADT("A31") PID, HL7_ACCEPT, 0, "" },
    };

    EACH (row, rows) {
        struct arena arena = arena_new(HL7_ARENA_MAX);
        struct hl7_message m;
        struct hl7_judgement j;
        char location[HL7_LOCATION_SIZE];

        CHECK_ROW(row->name, hl7_message_parse(&arena, span_str(row->message), &m, NULL));
        j = hl7_judge(&m);
        hl7_location(&j, location);
        CHECK_ROW(row->name, j.verdict == row->verdict && (int)j.condition == row->condition);
        CHECK_ROW(row->name, strcmp(location, row->location) == 0);
        CHECK_ROW(row->name, (j.reason[0] != '\0') == (j.verdict != HL7_ACCEPT));
        arena_done(&arena);
    }
}

TEST(what_is_no_message_is_named)
{
    static const struct {
        const char *bytes;
        enum error_code code;
        const char *reason;
    } rows[] = {
        { "", ERR_MALFORMED, "does not begin with MSH" },
        { "\x0b\r\nBHS|^~\\&|", ERR_MALFORMED, "a batch: send its messages one by one" },
        { "FHS|^~\\&|", ERR_MALFORMED, "a batch: send its messages one by one" },
        { "H|~^\\&|", ERR_MALFORMED, "HPRIM, not HL7 v2" },
        { "MSH||A", ERR_MALFORMED, "MSH-2 is missing or unusable" },
        { "MSH|^~\\&|A", ERR_LIMIT, "larger than a limit of this receiver" },
        { "MSH|^~\\&|B", ERR_MEMORY, "out of memory: try again later" },
    };

    EACH (row, rows) {
        struct hl7_judgement j = hl7_judge_no_message(span_str(row->bytes), row->code);

        CHECK_ROW(row->bytes, j.verdict == (row->code == ERR_MEMORY ? HL7_ERROR : HL7_REJECT) && strcmp(j.reason, row->reason) == 0);
    }
}

TESTS(T(each_rule_names_verdict_condition_and_place), T(what_is_no_message_is_named))
