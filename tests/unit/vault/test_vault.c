/* The vault over the fake store: what is appended is found, whoever asks next. */
#include "vault_fixture.h"

#define CT(n) "source=CT1;patient_id=P1;issuer=H;patient_name=DUPONT^Jean;birth_date=19570203;sex=M;study_uid=1.2;" \
              "series_uid=1.2.3;modality=CT;sop_uid=1.2.3." n ";sop_class=1.2.840.10008.5.1.4.1.1.2;" \
              "transfer_syntax=1.2.840.10008.1.2.1;instance_number=" n ";rows=512;columns=512"

TEST(an_image_is_found_after_its_commit)
{
    struct fixture f;
    char request[128];
    uint64_t position;

    fixture_init(&f);
    position = put(&f, RECORD_DICOM, CT("7"));
    CHECK(position == 0);
    CHECK(find_count(&f, "query=patients;birth_date=19570203;text_query=du") == 1);
    (void)snprintf(request, sizeof request, "query=studies;patient_key=%s", key_of(&f, "P1"));
    CHECK(strcmp(find_value(&f, request, FIELD_STUDY_UID), "1.2") == 0);
    CHECK(strcmp(find_value(&f, "query=series;study_uid=1.2", FIELD_SERIES_UID), "1.2.3") == 0);
    CHECK(strcmp(find_value(&f, "query=instances;series_uid=1.2.3", FIELD_SOP_UID), "1.2.3.7") == 0);
    CHECK(strcmp(find_value(&f, "query=instance;position=0", FIELD_ROWS), "512") == 0);
    CHECK(strcmp(find_value(&f, "query=list", FIELD_PATIENT_NAME), "DUPONT^Jean") == 0);
    fixture_reopen(&f);
    CHECK(strcmp(find_value(&f, "query=instance;position=0", FIELD_ROWS), "512") == 0);
    fixture_done(&f);
}

TEST(a_result_is_found_after_its_commit)
{
    struct fixture f;
    char request[128];

    fixture_init(&f);
    put(&f, RECORD_HL7, "source=LIS;message_type=ORU;trigger=R01;patient_id=P1;issuer=H;patient_name=DUPONT^Jean;"
                        "message_time=20261123101500;report{filler_order=F1;service_text=Ionogramme;"
                        "collected=20261123100000;observation{code=2823-3;code_system=LN;value=4.1;units=mmol/L;status=F}}");
    (void)snprintf(request, sizeof request, "query=observations;patient_key=%s", key_of(&f, "P1"));
    CHECK(strcmp(find_value(&f, request, FIELD_VALUE), "4.1") == 0);
    CHECK(strcmp(find_value(&f, request, FIELD_SERVICE_TEXT), "Ionogramme") == 0);
    (void)snprintf(request, sizeof request, "query=reports;patient_key=%s", key_of(&f, "P1"));
    CHECK(strcmp(find_value(&f, request, FIELD_FILLER_ORDER), "F1") == 0);
    fixture_done(&f);
}

TESTS(T(an_image_is_found_after_its_commit), T(a_result_is_found_after_its_commit))
