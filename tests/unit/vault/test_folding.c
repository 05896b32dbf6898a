/* "Whose result, when": what each kind of record makes of the views (docs/views.md). */
#include "vault_fixture.h"

#define ADT(trigger) "source=HIS;message_type=ADT;trigger=" trigger ";issuer=H;"
#define ORU "source=LIS;message_type=ORU;trigger=R01;issuer=H;"
#define IMAGE "source=CT1;issuer=H;modality=CT;sop_class=1.2.840.10008.5.1.4.1.1.2;transfer_syntax=1.2.840.10008.1.2.1;"

static const char *about(const char *query, const char *key)
{
    static char request[2][160];
    static int next;

    next = !next;
    (void)snprintf(request[next], sizeof request[next], "query=%s;patient_key=%s", query, key);
    return request[next];
}

static const char *of_patient(struct fixture *f, const char *query, const char *patient_id)
{
    return about(query, key_of(f, patient_id));
}

static bool has(const char *text, const char *part)
{
    if (strstr(text, part) == NULL)
        print_message("# \"%s\" is not in\n# %s\n", part, text);
    return strstr(text, part) != NULL;
}

/* ---- patients ---- */

TEST(patients_are_found_by_what_is_typed)
{
    static const struct {
        const char *name, *request;
        size_t count;
    } rows[] = {
        { "birth date and letters", "query=patients;birth_date=19570203;text_query=DUR", 1 },
        { "letters of the given name", "query=patients;birth_date=19570203;text_query=jea", 1 },
        { "accents do not matter", "query=patients;birth_date=19570203;text_query=\xc3\x89lo", 1 },
        { "birth date alone", "query=patients;birth_date=19570203", 2 },
        { "year and letters", "query=patients;birth_date=1957;text_query=du", 1 },
        { "with separators", "query=patients;birth_date=1957-02-03;text_query=du", 1 },
        { "no such letters", "query=patients;birth_date=19570203;text_query=x", 0 },
        { "a percent sign is a percent sign", "query=patients;birth_date=19570203;text_query=%", 0 },
        { "name prefix", "query=patients;patient_name=durand", 1 },
        { "two words in any order", "query=patients;patient_name=jean dur", 1 },
        { "second word does not fit", "query=patients;patient_name=durand paul", 0 },
        { "compound", "query=patients;patient_name=o'brien", 1 },
        { "compound without its sign", "query=patients;patient_name=obrien", 1 },
        { "underscore is no wildcard", "query=patients;patient_name=d_rand", 0 },
        { "Greek without accents", "query=patients;patient_name=\xce\xb4\xce\xb9\xce\xbf\xce\xbd", 1 },
        { "Cyrillic capital", "query=patients;patient_name=\xd0\x9b\xd0\xae\xd0\x9a", 1 },
        { "ideographic group", "query=patients;patient_name=\xe5\xb1\xb1\xe7\x94\xb0", 1 },
        { "alphabetic group of the same", "query=patients;patient_name=yamada", 1 },
        { "identifier", "query=patients;patient_id=7", 2 },
        { "identifier and issuer", "query=patients;patient_id=7;issuer=H", 1 },
        { "part of an identifier", "query=patients;patient_id=%", 0 },
        { "nothing at all", "query=patients", 0 },
    };
    struct fixture f;

    fixture_init(&f);
    put(&f, RECORD_HL7, ADT("A04") "patient_id=1;patient_name=DURAND^Jean^\xc3\x89loi;birth_date=19570203;sex=M");
    put(&f, RECORD_HL7, ADT("A04") "patient_id=2;patient_name=O'BRIEN^Siobh\xc3\xa1n;birth_date=195702031200;sex=F");
    put(&f, RECORD_HL7, ADT("A04") "patient_id=3;patient_name=\xce\x94\xce\xb9\xce\xbf\xce\xbd\xcf\x85\xcf\x83\xce\xb9\xce\xbf\xcf\x82");
    put(&f, RECORD_HL7, ADT("A04") "patient_id=4;patient_name=\xd0\x9b\xd1\x8e\xd0\xba\xd1\x81\xd0\xb5\xd0\xbc\xd0\xb1\xd1\x83\xd1\x80\xd0\xb3");
    put(&f, RECORD_HL7, ADT("A04") "patient_id=5;patient_name=Yamada^Tarou=\xe5\xb1\xb1\xe7\x94\xb0^\xe5\xa4\xaa\xe9\x83\x8e");
    put(&f, RECORD_HL7, ADT("A04") "patient_id=7;patient_name=A");
    put(&f, RECORD_HL7, "source=X;message_type=ADT;trigger=A04;patient_id=7;issuer=OTHER;patient_name=B");
    EACH (row, rows)
        CHECK_ROW(row->name, find_count(&f, row->request) == row->count);
    CHECK(strcmp(find(&f, "query=patients"), "error: malformed") == 0);
    CHECK(strcmp(find(&f, "query=no-such"), "error: not-found") == 0);
    CHECK(strcmp(find(&f, "query=patient;patient_key=00"), "error: not-found") == 0);
    fixture_done(&f);
}

TEST(the_key_is_issuer_and_identifier_never_a_name)
{
    struct fixture f;

    fixture_init(&f);
    put(&f, RECORD_HL7, ADT("A04") "patient_id=1;patient_name=DURAND^Jean;birth_date=19570203");
    put(&f, RECORD_HL7, ADT("A04") "patient_id=2;patient_name=DURAND^Jean;birth_date=19570203");
    CHECK(find_count(&f, "query=patients;patient_name=durand") == 2);
    CHECK(strlen(key_of(&f, "1")) == 32 && strcmp(key_of(&f, "1"), key_of(&f, "2")) != 0);
    fixture_done(&f);
}

TEST(another_birth_date_sex_or_name_is_a_discrepancy)
{
    struct fixture f;
    const char *rows;

    fixture_init(&f);
    put(&f, RECORD_HL7, ADT("A04") "patient_id=1;patient_name=DURAND^Jean;birth_date=19570203;sex=M");
    put(&f, RECORD_DICOM, IMAGE "patient_id=1;patient_name=Durand^JEAN^^M.;birth_date=19570203;sex=M;study_uid=1;"
                                "series_uid=1.1;sop_uid=1.1.1");
    CHECK(strstr(find(&f, "query=patients;patient_id=1"), "discrepancy") == NULL);
    CHECK(strcmp(find_value(&f, "query=patients;patient_id=1", FIELD_PATIENT_NAME), "DURAND^Jean") == 0);
    put(&f, RECORD_DICOM, IMAGE "patient_id=1;patient_name=MARTIN^Luc;birth_date=19600101;sex=F;study_uid=1;"
                                "series_uid=1.1;sop_uid=1.1.2");
    rows = find(&f, "query=patients;patient_id=1");
    CHECK(has(rows, "patient_name=DURAND^Jean") && has(rows, "discrepancy=patient_name: MARTIN^Luc (CT1)"));
    CHECK(has(rows, "discrepancy=birth_date: 19600101 (CT1)") && has(rows, "discrepancy=sex: F (CT1)"));
    CHECK(find_count(&f, "query=patients;birth_date=19600101;text_query=mar") == 1);
    fixture_done(&f);
}

TEST(no_identifier_makes_a_provisional_patient)
{
    struct fixture f;

    fixture_init(&f);
    put(&f, RECORD_DICOM, IMAGE "patient_name=DURAND;study_uid=1;series_uid=1.1;sop_uid=1.1.1");
    put(&f, RECORD_DICOM, IMAGE "patient_name=DURAND;study_uid=1;series_uid=1.1;sop_uid=1.1.2");
    put(&f, RECORD_DICOM, IMAGE "patient_name=DURAND;study_uid=2;series_uid=2.1;sop_uid=2.1.1");
    put(&f, RECORD_HL7, ORU "patient_name=DURAND;report{observation{code=K;value=4}}");
    put(&f, RECORD_HL7, ORU "patient_name=DURAND;report{observation{code=K;value=5}}");
    CHECK(find_count(&f, "query=patients;patient_name=durand") == 4);
    fixture_done(&f);
}

TEST(an_older_message_overwrites_nothing_newer)
{
    struct fixture f;

    fixture_init(&f);
    put(&f, RECORD_HL7, ADT("A04") "patient_id=1;patient_name=OLD^A;sex=M;message_time=20231110100000");
    put(&f, RECORD_HL7, ADT("A08") "patient_id=1;patient_name=NEW^A;message_time=20231110120000");
    put(&f, RECORD_HL7, ADT("A08") "patient_id=1;patient_name=LATE^A;sex=F;message_time=20231110110000");
    CHECK(strcmp(find_value(&f, "query=patients;patient_id=1", FIELD_PATIENT_NAME), "NEW^A") == 0);
    CHECK(strcmp(find_value(&f, "query=patients;patient_id=1", FIELD_SEX), "F") == 0);
    put(&f, RECORD_HL7, ADT("A08") "patient_id=1;patient_name=EVN^A;event_time=20231110121000;message_time=20231110130000");
    put(&f, RECORD_HL7, ADT("A08") "patient_id=1;patient_name=MSH^A;message_time=20231110121500");
    CHECK(strcmp(find_value(&f, "query=patients;patient_id=1", FIELD_PATIENT_NAME), "MSH^A") == 0);
    put(&f, RECORD_HL7, ADT("A08") "patient_id=1;patient_name=TIE^A;message_time=20231110121500");
    CHECK(strcmp(find_value(&f, "query=patients;patient_id=1", FIELD_PATIENT_NAME), "TIE^A") == 0);
    put(&f, RECORD_HL7, ADT("A08") "patient_id=1;patient_name=LIAR^A;message_time=99991231235959");
    put(&f, RECORD_HL7, ADT("A08") "patient_id=1;patient_name=NOW^A");
    CHECK(strcmp(find_value(&f, "query=patients;patient_id=1", FIELD_PATIENT_NAME), "NOW^A") == 0);
    fixture_done(&f);
}

TEST(a_zone_counts_when_times_are_compared)
{
    struct fixture f;

    fixture_init(&f); /* the site is in Europe/Paris, in November an hour ahead of UTC */
    put(&f, RECORD_HL7, ADT("A04") "patient_id=1;patient_name=A;message_time=20231110100000");
    put(&f, RECORD_HL7, ADT("A08") "patient_id=1;patient_name=B;message_time=20231110093000+0000");
    CHECK(strcmp(find_value(&f, "query=patients;patient_id=1", FIELD_PATIENT_NAME), "B") == 0);
    put(&f, RECORD_HL7, ADT("A08") "patient_id=1;patient_name=C;zone=+0500;message_time=20231110140000");
    CHECK(strcmp(find_value(&f, "query=patients;patient_id=1", FIELD_PATIENT_NAME), "B") == 0);
    fixture_done(&f);
}

TEST(encounters_are_kept_up_to_date)
{
    struct fixture f;
    const char *row;

    fixture_init(&f);
    put(&f, RECORD_HL7, ADT("A01") "patient_id=1;message_time=20231110100000;encounter{visit_number=V1;patient_class=I;location=ER;admitted=202311101000}");
    put(&f, RECORD_HL7, ADT("A03") "patient_id=1;message_time=20231111100000;encounter{visit_number=V1;discharged=202311111000}");
    put(&f, RECORD_HL7, ADT("A08") "patient_id=1;message_time=20231110110000;encounter{visit_number=V1;location=ICU}");
    put(&f, RECORD_HL7, ADT("A01") "patient_id=1;message_time=20231114100000;encounter{visit_number=V2;location=WARD};"
                                   "other_id{patient_id=999;issuer=INS;id_type=NH}");
    row = find(&f, of_patient(&f, "patient", "1"));
    CHECK(has(row, "encounter{visit_number=V1;patient_class=I;location=ER;admitted=202311101000;discharged=202311111000}"));
    CHECK(has(row, "encounter{visit_number=V2;location=WARD}"));
    CHECK(has(row, "other_id{patient_id=999;issuer=INS;id_type=NH}"));
    CHECK(find_count(&f, "query=patients;patient_id=999;issuer=INS") == 1);
    fixture_done(&f);
}

TEST(a_peer_cannot_grow_a_patient_without_end)
{
    struct fixture f;
    char facts[2000] = ADT("A40") "patient_id=1";
    size_t discrepancies = 0;

    fixture_init(&f);
    for (int i = 0; i < 40; i++) {
        char one[160];

        (void)snprintf(one, sizeof one, ADT("A08") "patient_id=1;patient_name=N%c%c", 'A' + i / 26, 'A' + i % 26);
        put(&f, RECORD_HL7, one);
    }
    for (const char *p = find(&f, "query=patients;patient_id=1"); (p = strstr(p, "discrepancy")) != NULL; p++)
        discrepancies++;
    CHECK(discrepancies <= 16 && strcmp(find_value(&f, "query=patients;patient_id=1", FIELD_PATIENT_NAME), "NBN") == 0);
    for (int i = 0; i < 40; i++)
        (void)snprintf(facts + strlen(facts), sizeof facts - strlen(facts), ";prior{patient_id=1%02d}", i);
    put(&f, RECORD_HL7, facts);
    CHECK(strcmp(find_value(&f, "query=patients;patient_id=115", FIELD_PATIENT_ID), "1") == 0);
    CHECK(find_count(&f, "query=patients;patient_id=116") == 0);
    fixture_done(&f);
}

TEST(a_group_of_linked_identities_has_an_end)
{
    struct fixture f;
    char last[64];

    fixture_init(&f);
    for (int i = 0; i < 300; i++) {
        char facts[160];

        (void)snprintf(facts, sizeof facts, "fact=identities-linked;patient_id=0;issuer=H;prior{patient_id=%d;issuer=H}", i + 1);
        put(&f, RECORD_FACT, facts);
    }
    CHECK(strcmp(find_value(&f, "query=patients;patient_id=200", FIELD_PATIENT_ID), "0") == 0);
    (void)snprintf(last, sizeof last, "%s", find_value(&f, "query=patients;patient_id=300", FIELD_PATIENT_ID));
    CHECK(strcmp(last, "300") == 0);
    fixture_done(&f);
}

/* ---- links ---- */

static void put_two(struct fixture *f)
{
    put(f, RECORD_DICOM, IMAGE "patient_id=1;patient_name=DURAND^Jean;study_uid=1;series_uid=1.1;sop_uid=1.1.1");
    put(f, RECORD_HL7, ORU "patient_id=2;patient_name=DURAND^Jean;report{filler_order=F1;observation{code=K;value=4}}");
}

TEST(linked_identities_are_one_until_undone)
{
    struct fixture f;
    char prior[64];

    fixture_init(&f);
    put_two(&f);
    (void)snprintf(prior, sizeof prior, "%s", key_of(&f, "1"));
    put(&f, RECORD_HL7, ADT("A40") "patient_id=2;prior{patient_id=1}");
    CHECK(find_count(&f, about("studies", prior)) == 1 && find_count(&f, of_patient(&f, "studies", "2")) == 1);
    CHECK(find_count(&f, about("observations", prior)) == 1);
    CHECK(strcmp(find_value(&f, about("patient", prior), FIELD_PATIENT_ID), "2") == 0);
    CHECK(has(find(&f, about("patient", prior)), "other_id{patient_id=1;issuer=H"));
    CHECK(find_count(&f, "query=patients;patient_name=durand") == 1);
    put(&f, RECORD_FACT, "fact=identities-unlinked;patient_id=2;issuer=H;prior{patient_id=1;issuer=H}");
    CHECK(find_count(&f, about("studies", prior)) == 1 && find_count(&f, of_patient(&f, "studies", "2")) == 0);
    CHECK(find_count(&f, "query=patients;patient_name=durand") == 2);
    put(&f, RECORD_FACT, "fact=identities-linked;patient_id=1;issuer=H;prior{patient_id=2;issuer=H}");
    CHECK(find_count(&f, of_patient(&f, "observations", "1")) == 1);
    CHECK(strcmp(find_value(&f, "query=patients;patient_id=2", FIELD_PATIENT_ID), "1") == 0);
    fixture_done(&f);
}

TEST(links_chain_turn_and_never_loop)
{
    static const struct {
        const char *name;
        const char *links[5]; /* survivor, prior, '-' before: undone */
        const char *roots;    /* of 1, 2, 3 */
    } rows[] = {
        { "a chain", { "21", "32" }, "333" },
        { "a chain, the other way round in time", { "32", "21" }, "333" },
        { "two into one", { "31", "32" }, "333" },
        { "turned round", { "21", "12" }, "113" },
        { "turned round twice", { "21", "12", "21" }, "223" },
        { "a ring", { "21", "32", "13" }, "111" },
        { "the newest word on where it ended", { "21", "31" }, "323" },
        { "which is undone: the older stands", { "21", "31", "-31" }, "223" },
        { "all undone", { "21", "32", "-21", "-32" }, "123" },
        { "undone in the middle", { "21", "32", "-32" }, "223" },
        { "with itself", { "11" }, "123" },
    };

    EACH (row, rows) {
        struct fixture f;

        fixture_init(&f);
        for (int i = 1; i <= 3; i++) {
            char facts[128];

            (void)snprintf(facts, sizeof facts, ADT("A04") "patient_id=%d;patient_name=N%d", i, i);
            put(&f, RECORD_HL7, facts);
        }
        for (size_t i = 0; i < COUNT_OF(row->links) && row->links[i] != NULL; i++) {
            const bool undone = row->links[i][0] == '-';
            const char *pair = row->links[i] + undone;
            char facts[160];

            (void)snprintf(facts, sizeof facts, "fact=identities-%s;patient_id=%c;issuer=H;prior{patient_id=%c;issuer=H}",
                           undone ? "unlinked" : "linked", pair[0], pair[1]);
            put(&f, RECORD_FACT, facts);
        }
        for (int i = 1; i <= 3; i++) {
            char request[64];

            (void)snprintf(request, sizeof request, "query=patients;patient_id=%d", i);
            CHECK_ROW(row->name, find_value(&f, request, FIELD_PATIENT_ID)[0] == row->roots[i - 1]);
        }
        fixture_done(&f);
    }
}

/* ---- results ---- */

#define RESULT(time, value, status)                                                                       \
    ORU "patient_id=1;message_time=" time ";report{filler_order=F1;service_text=Iono;collected=20231110080000;" \
        "reported=" time ";observation{code=2823-3;code_system=LN;value=" value ";units=mmol/L;status=" status "}}"

TEST(a_later_version_replaces_and_shows_what_it_replaced)
{
    struct fixture f;
    const char *row;

    fixture_init(&f);
    put(&f, RECORD_HL7, RESULT("20231110100000", "4.1", "P"));
    put(&f, RECORD_HL7, RESULT("20231110110000", "4.2", "F"));
    put(&f, RECORD_HL7, RESULT("20231110120000", "5.2", "C"));
    CHECK(find_count(&f, of_patient(&f, "observations", "1")) == 1);
    row = find(&f, of_patient(&f, "observations", "1"));
    CHECK(has(row, ";value=5.2;") && has(row, "status=C") && has(row, "service_text=Iono"));
    CHECK(has(row, "replaced{value=4.2;units=mmol/L;status=F") && has(row, "replaced{value=4.1;units=mmol/L;status=P"));
    CHECK(strstr(row, "4.2") < strstr(row, "4.1"));
    put(&f, RECORD_HL7, RESULT("20231110113000", "9.9", "P")); /* comes late, was said before */
    row = find(&f, of_patient(&f, "observations", "1"));
    CHECK(has(row, ";value=5.2;") && has(row, "replaced{value=9.9"));
    put(&f, RECORD_HL7, RESULT("20231110120000", "5.2", "C")); /* sent again */
    CHECK(strstr(find(&f, of_patient(&f, "observations", "1")), "replaced{value=5.2") == NULL);
    put(&f, RECORD_HL7, RESULT("20231110130000", "5.2", "W"));
    CHECK(strcmp(find_value(&f, of_patient(&f, "observations", "1"), FIELD_STATUS), "W") == 0);
    CHECK(find_count(&f, of_patient(&f, "reports", "1")) == 1);
    fixture_done(&f);
}

TEST(what_makes_an_observation_another_one)
{
    static const struct {
        const char *name, *first, *second;
        size_t count;
    } rows[] = {
        { "same order, code, sub-id", "report{filler_order=F;observation{code=K;sub_id=1;value=1}}",
          "report{filler_order=F;observation{code=K;sub_id=1;value=2}}", 1 },
        { "other sub-id", "report{filler_order=F;observation{code=K;sub_id=1;value=1}}",
          "report{filler_order=F;observation{code=K;sub_id=2;value=2}}", 2 },
        { "other code system", "report{filler_order=F;observation{code=K;code_system=LN;value=1}}",
          "report{filler_order=F;observation{code=K;code_system=L;value=2}}", 2 },
        { "other order", "report{filler_order=F;observation{code=K;value=1}}",
          "report{filler_order=G;observation{code=K;value=2}}", 2 },
        { "placer where no filler", "report{placer_order=F;observation{code=K;value=1}}",
          "report{placer_order=F;observation{code=K;value=2}}", 1 },
        { "a placer is no filler", "report{placer_order=F;observation{code=K;value=1}}",
          "report{filler_order=F;observation{code=K;value=2}}", 2 },
        { "no order number", "report{observation{code=K;value=1}}", "report{observation{code=K;value=2}}", 2 },
        { "lines of one text", "report{filler_order=F;observation{code=T;value=a};observation{code=T;value=b}}",
          "report{filler_order=F;observation{code=T;value=a2};observation{code=T;value=b2}}", 2 },
    };

    EACH (row, rows) {
        struct fixture f;
        char facts[512];

        fixture_init(&f);
        (void)snprintf(facts, sizeof facts, ORU "patient_id=1;%s", row->first);
        put(&f, RECORD_HL7, facts);
        (void)snprintf(facts, sizeof facts, ORU "patient_id=1;%s", row->second);
        put(&f, RECORD_HL7, facts);
        CHECK_ROW(row->name, find_count(&f, of_patient(&f, "observations", "1")) == row->count);
        fixture_done(&f);
    }
}

TEST(the_value_before_is_by_collection_time)
{
    static const char *const results[] = {
        "report{filler_order=A;collected=20231101;observation{code=K;code_system=LN;value=1;status=F}}",
        "report{filler_order=B;collected=20231103;observation{code=K;code_system=LN;value=3;status=F}}",
        "report{filler_order=C;collected=20231102;observation{code=K;code_system=LN;value=2;status=P}}",
        "report{filler_order=D;collected=20231104;observation{code=K;code_system=LN;value=4;status=W}}",
        "report{filler_order=E;collected=20231105;observation{code=K;code_system=L;value=0;status=F}}",
        "report{filler_order=G;collected=20231106;observation{code=K;code_system=LN;value=6;status=F}}",
    };
    struct fixture f;
    const char *rows;

    fixture_init(&f);
    for (size_t i = 0; i < COUNT_OF(results); i++) {
        char facts[256];

        (void)snprintf(facts, sizeof facts, ORU "patient_id=1;message_time=20231110;%s", results[i]);
        put(&f, RECORD_HL7, facts);
    }
    rows = find(&f, of_patient(&f, "observations", "1"));
    CHECK(strstr(rows, "previous{value=3;status=F;collected=20231103") != NULL);
    CHECK(strstr(rows, "previous{value=2;status=P") != NULL && strstr(rows, "previous{value=4") == NULL);
    CHECK(find_count(&f, of_patient(&f, "observations", "1")) == 6);
    CHECK(strcmp(find_value(&f, of_patient(&f, "observations", "1"), FIELD_VALUE), "6") == 0);
    fixture_done(&f);
}

TEST(observations_come_page_by_page)
{
    struct fixture f;
    char request[200], after[32] = "0", key[40];
    size_t seen = 0;

    fixture_init(&f);
    put(&f, RECORD_HL7, ORU "patient_id=1;report{filler_order=F;observation{code=A;value=1};observation{code=B;value=2};"
                            "observation{code=C;value=3};observation{code=D;value=4};observation{code=E;value=5}}");
    put(&f, RECORD_HL7, ORU "patient_id=1;report{filler_order=G;observation{code=A;value=6};observation{code=B;value=7}}");
    (void)snprintf(key, sizeof key, "%s", key_of(&f, "1"));
    for (; seen < 10; seen++) {
        (void)snprintf(request, sizeof request, "query=observations;patient_key=%s;limit=1;after=%s", key, after);
        if (find_count(&f, request) == 0)
            break;
        (void)snprintf(after, sizeof after, "%s", find_value(&f, request, FIELD_OBSERVATION_ID));
    }
    CHECK(seen == 7);
    fixture_done(&f);
}

/* ---- imaging ---- */

TEST(versions_of_an_instance)
{
    struct fixture f;
    const char *rows;
    struct same_uid same;

    fixture_init(&f);
    put(&f, RECORD_DICOM, IMAGE "patient_id=1;study_uid=1;series_uid=1.1;sop_uid=1.1.1");
    put(&f, RECORD_DICOM, IMAGE "patient_id=1;study_uid=1;series_uid=1.1;sop_uid=1.1.1;state=alternate;first_position=0");
    CHECK(strcmp(find_value(&f, of_patient(&f, "studies", "1"), FIELD_STATE), "stored") == 0);
    CHECK(find_count(&f, "query=attention") == 0);
    put(&f, RECORD_DICOM, IMAGE "patient_id=9;study_uid=8;series_uid=8.1;sop_uid=1.1.1;state=conflict;first_position=0");
    CHECK(strcmp(find_value(&f, of_patient(&f, "studies", "1"), FIELD_STATE), "conflict") == 0);
    CHECK(strcmp(find_value(&f, of_patient(&f, "studies", "1"), FIELD_COUNT), "1") == 0);
    CHECK(find_count(&f, "query=instances;series_uid=1.1") == 1);
    CHECK(strcmp(find_value(&f, "query=instances;series_uid=1.1", FIELD_STATE), "conflict") == 0);
    CHECK(strcmp(find_value(&f, "query=instances;series_uid=1.1", FIELD_POSITION), "0") == 0);
    CHECK(strcmp(find_value(&f, "query=instance;position=1", FIELD_STATE), "alternate") == 0);
    CHECK(strcmp(find_value(&f, "query=instance;position=2", FIELD_FIRST_POSITION), "0") == 0);
    CHECK(find_count(&f, "query=patients;patient_id=9") == 0);
    CHECK(find_count(&f, "query=study-objects;study_uid=1") == 1);
    put(&f, RECORD_DICOM, IMAGE "patient_id=1;sop_uid=5;state=refused;reason=no study");
    put(&f, RECORD_HL7, "source=LIS;state=not-understood;reason=no MSH;ack_code=AR");
    rows = find(&f, "query=attention");
    CHECK(has(rows, "position=4;kind=hl7;state=not-understood") && has(rows, "reason=no study"));
    CHECK(find_count(&f, "query=attention") == 3 && find_count(&f, "query=list") == 5);
    CHECK(find_count(&f, "query=list;state=refused") == 1 && find_count(&f, "query=list;kind=hl7") == 1);
    CHECK(find_count(&f, "query=list;after=2;limit=1") == 1);
    CHECK(vault_same_uid(f.vault, SPAN_LIT("1.1.1"), &same, &f.err) && same.found && !same.pending);
    CHECK(same.first == 0 && same.version_count == 3);
    CHECK(vault_same_uid(f.vault, SPAN_LIT("5"), &same, &f.err) && !same.found); /* refused is no version */
    put(&f, RECORD_DICOM, IMAGE "patient_id=1;study_uid=1;series_uid=1.1;sop_uid=1.1.1;first_position=0"); /* 0 is damaged */
    CHECK(strcmp(find_value(&f, "query=instances;series_uid=1.1", FIELD_POSITION), "5") == 0);
    CHECK(strcmp(find_value(&f, of_patient(&f, "studies", "1"), FIELD_COUNT), "1") == 0);
    fixture_done(&f);
}

/* Images of one series that name two patients, the prior identity of one of them asking for its own. */
TEST(a_study_of_two_patients_gives_each_its_own)
{
    static const char *const queries[] = { "query=instances;series_uid=1.1", "query=series;study_uid=1",
                                           "query=study-objects;study_uid=1" };
    static const size_t counts[][3] = { { 3, 1, 2 }, { 2, 1, 1 }, { 3, 1, 2 } }; /* all, of 1, of 2 */
    struct fixture f;
    char request[128], prior[64];

    fixture_init(&f);
    put(&f, RECORD_DICOM, IMAGE "patient_id=1;study_uid=1;series_uid=1.1;sop_uid=1.1.1");
    put(&f, RECORD_DICOM, IMAGE "patient_id=2;study_uid=1;series_uid=1.1;sop_uid=1.1.2");
    put(&f, RECORD_DICOM, IMAGE "patient_id=2;study_uid=1;series_uid=1.1;sop_uid=1.1.3");
    (void)snprintf(prior, sizeof prior, "%s", key_of(&f, "1"));
    for (int linked = 0; linked < 2; linked++) {
        for (size_t i = 0; i < COUNT_OF(queries); i++) {
            CHECK(find_count(&f, queries[i]) == counts[i][0]);
            for (unsigned n = 1; n <= 2; n++) {
                (void)snprintf(request, sizeof request, "%s;patient_key=%s", queries[i],
                               linked ? prior : key_of(&f, n == 1 ? "1" : "2"));
                CHECK(find_count(&f, request) == counts[i][linked ? 0 : n]);
            }
            (void)snprintf(request, sizeof request, "%s;patient_key=nobody", queries[i]);
            CHECK(find_count(&f, request) == 0);
        }
        put(&f, RECORD_HL7, ADT("A40") "patient_id=2;prior{patient_id=1}");
    }
    fixture_done(&f);
}

TEST(instances_lie_in_the_order_of_slices)
{
#define SLICE(n, z) "patient_id=1;study_uid=1;series_uid=1.1;sop_uid=1.1." n ";instance_number=" n \
                    ";image_orientation=1\\0\\0\\0\\1\\0;image_position=-100\\-100\\" z
    struct fixture f;
    const char *rows, *a, *b, *c;

    fixture_init(&f);
    put(&f, RECORD_DICOM, IMAGE SLICE("1", "10.0"));
    put(&f, RECORD_DICOM, IMAGE SLICE("2", "-5.5"));
    put(&f, RECORD_DICOM, IMAGE SLICE("3", "2"));
    put(&f, RECORD_DICOM, IMAGE "patient_id=1;study_uid=1;series_uid=1.2;sop_uid=1.2.2;instance_number=10");
    put(&f, RECORD_DICOM, IMAGE "patient_id=1;study_uid=1;series_uid=1.2;sop_uid=1.2.1;instance_number= 9");
    rows = find(&f, "query=instances;series_uid=1.1");
    a = strstr(rows, "sop_uid=1.1.2"), b = strstr(rows, "sop_uid=1.1.3"), c = strstr(rows, "sop_uid=1.1.1;");
    CHECK(a != NULL && b != NULL && c != NULL && a < b && b < c);
    CHECK(strcmp(find_value(&f, "query=instances;series_uid=1.1;limit=1;after=1", FIELD_SOP_UID), "1.1.3") == 0);
    CHECK(strcmp(find_value(&f, "query=instances;series_uid=1.1;limit=1;after=2", FIELD_SOP_UID), "1.1.1") == 0);
    CHECK(find_count(&f, "query=instances;series_uid=1.1;after=0") == 0);
    CHECK(strcmp(find_value(&f, "query=instances;series_uid=1.2", FIELD_SOP_UID), "1.2.1") == 0);
    CHECK(strcmp(find_value(&f, "query=series;study_uid=1", FIELD_POSITION), "2") == 0);
    fixture_done(&f);
}

TEST(a_study_sent_for_two_patients_says_so)
{
    struct fixture f;

    fixture_init(&f);
    put(&f, RECORD_DICOM, IMAGE "patient_id=1;study_uid=1;series_uid=1.1;sop_uid=1.1.1");
    put(&f, RECORD_DICOM, IMAGE "patient_id=2;study_uid=1;series_uid=1.1;sop_uid=1.1.2");
    CHECK(strcmp(find_value(&f, of_patient(&f, "studies", "1"), FIELD_COUNT), "1") == 0);
    CHECK(strcmp(find_value(&f, of_patient(&f, "studies", "1"), FIELD_DISCREPANCY), "patient_id") == 0);
    put(&f, RECORD_FACT, "fact=identities-linked;patient_id=1;issuer=H;prior{patient_id=2;issuer=H}");
    CHECK(strcmp(find_value(&f, of_patient(&f, "studies", "1"), FIELD_DISCREPANCY), "") == 0);
    fixture_done(&f);
}

/* ---- damage ---- */

TEST(damage_is_to_look_at_and_says_when_it_is_repaired)
{
    struct fixture f;
    const char *rows;

    fixture_init(&f);
    put_at(&f, RECORD_DICOM, 1700000000, IMAGE "patient_id=1;sop_uid=5;state=refused;reason=no study");
    put_at(&f, RECORD_EVENT, 1700000100, "event=scrub.damaged;outcome=failed;file=log/00000001.seg;detail=3 sectors");
    put_at(&f, RECORD_EVENT, 1700000200, "event=scrub.repaired;outcome=success;file=log/00000002.seg;detail=1 sectors");
    put_at(&f, RECORD_EVENT, 1700000300, "event=scrub.repaired;outcome=success;detail=of no file");
    put_at(&f, RECORD_EVENT, 1700000400, "event=sign-in.refused;actor=dr;file=log/00000003.seg");
    CHECK(strcmp(find(&f, "query=attention;limit=2"), /* damage that stays stands first */
                 "position=1;kind=file;state=damaged;received=1700000100000000;since=1700000100000000;"
                 "file=log/00000001.seg;detail=3 sectors\n"
                 "position=2;kind=file;state=repaired;received=1700000200000000;since=1700000200000000;"
                 "file=log/00000002.seg;detail=1 sectors\n") == 0);
    CHECK(find_count(&f, "query=attention") == 3);
    put_at(&f, RECORD_EVENT, 1700000500, "event=scrub.damaged;outcome=failed;file=log/00000001.seg;detail=4 sectors");
    CHECK(has(find(&f, "query=attention"), "position=5;kind=file;state=damaged;received=1700000500000000;since=1700000100000000;"));
    put_at(&f, RECORD_EVENT, 1700000600, "event=scrub.repaired;outcome=success;file=log/00000001.seg;detail=whole");
    rows = find(&f, "query=attention");
    CHECK(has(rows, "position=6;kind=file;state=repaired;received=1700000600000000;since=1700000100000000;")
          && strstr(rows, "state=damaged") == NULL);
    put_at(&f, RECORD_EVENT, 1700000700, "event=scrub.damaged;outcome=failed;file=log/00000001.seg;detail=again");
    CHECK(has(find(&f, "query=attention"), "position=7;kind=file;state=damaged;received=1700000700000000;since=1700000700000000;"));
    CHECK(find_count(&f, "query=attention") == 3);
    fixture_done(&f);
}

/* ---- the log itself ---- */

TEST(sources_journal_and_status)
{
    struct fixture f;

    fixture_init(&f);
    put_at(&f, RECORD_DICOM, 1700000100, IMAGE "patient_id=1;study_uid=1;series_uid=1.1;sop_uid=1.1.1");
    put_at(&f, RECORD_HL7, 1700000050, ORU "patient_id=1");
    put_at(&f, RECORD_EVENT, 1700000200, "event=sign-in;actor=dr;outcome=success;address=10.0.0.1");
    CHECK(has(find(&f, "query=sources"), "source=CT1;kind=dicom;latest=1700000100000000;count=1\n"
                                         "source=LIS;kind=hl7;latest=1700000050000000;count=1\n"));
    CHECK(has(find(&f, "query=journal"), "position=2;received=1700000200000000;event=sign-in;actor=dr;outcome=success;address=10.0.0.1"));
    CHECK(find_count(&f, "query=journal;after=2") == 0);
    CHECK(strcmp(find_value(&f, "query=status", FIELD_STATE), "new") == 0);
    CHECK(has(find(&f, "query=status"), "row{name=dicom.stored;count=1}"));
    put(&f, RECORD_RULE, "fact=account-added;user=dr;display_name=Dr;role=admin;password_hash=x");
    CHECK(strcmp(find_value(&f, "query=status", FIELD_STATE), "enrolled") == 0);
    fixture_done(&f);
}

TESTS(T(patients_are_found_by_what_is_typed), T(the_key_is_issuer_and_identifier_never_a_name),
      T(another_birth_date_sex_or_name_is_a_discrepancy), T(no_identifier_makes_a_provisional_patient),
      T(an_older_message_overwrites_nothing_newer), T(a_zone_counts_when_times_are_compared),
      T(encounters_are_kept_up_to_date), T(linked_identities_are_one_until_undone), T(links_chain_turn_and_never_loop),
      T(a_peer_cannot_grow_a_patient_without_end), T(a_group_of_linked_identities_has_an_end),
      T(a_later_version_replaces_and_shows_what_it_replaced), T(what_makes_an_observation_another_one),
      T(the_value_before_is_by_collection_time), T(observations_come_page_by_page), T(versions_of_an_instance),
      T(a_study_of_two_patients_gives_each_its_own), T(instances_lie_in_the_order_of_slices),
      T(a_study_sent_for_two_patients_says_so),
      T(damage_is_to_look_at_and_says_when_it_is_repaired), T(sources_journal_and_status))
