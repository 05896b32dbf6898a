/*
 * How fast views fold and answer, printed as ratios of the goals of docs/views.md ("Measured"); not a test.
 *
 *   build/tests/unit/vault/bench_views [instances]
 */
#include <time.h>

#include "vault_fixture.h"

/* Processor time: the machine may have others to serve. */
static double now_s(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void put_image(struct store *s, unsigned i)
{
    char facts[1024];
    const unsigned patient = i / 200, series = i / 50;

    (void)snprintf(facts, sizeof facts,
                   "source=CT1;address=10.0.0.1;patient_id=P%u;issuer=HOSPITAL;patient_name=NAME%u^FIRST%u;birth_date=19%02u0%u1%u;"
                   "sex=M;study_uid=1.2.840.99999.%u;series_uid=1.2.840.99999.%u.%u;sop_uid=1.2.840.99999.%u.%u.%u;modality=CT;"
                   "study_date=20231110;study_time=101500;study_description=Abdomen;accession=A%u;series_number=%u;"
                   "sop_class=1.2.840.10008.5.1.4.1.1.2;transfer_syntax=1.2.840.10008.1.2.1;instance_number=%u;rows=512;columns=512;"
                   "samples_per_pixel=1;photometric=MONOCHROME2;bits_allocated=16;bits_stored=12;high_bit=11;pixel_representation=0;"
                   "window_center=40;window_width=400;rescale_intercept=-1024;rescale_slope=1;image_orientation=1\\0\\0\\0\\1\\0;"
                   "image_position=-250\\-250\\%u.5;pixel_spacing=0.9\\0.9;pixel_offset=1500;pixel_length=524288",
                   patient, patient, patient * 7 % 100, patient % 90, 1 + patient % 9, patient % 10, patient, patient, series,
                   patient, series, i, patient, series % 9, i % 50, i % 50);
    (void)fake_store_put(s, RECORD_DICOM, 1700000000000000 + i, fields_of(facts));
}

static void put_result(struct store *s, unsigned i)
{
    char facts[1024];

    (void)snprintf(facts, sizeof facts,
                   "source=LIS;message_type=ORU;trigger=R01;control_id=%u;message_time=20231110%02u%02u%02u;patient_id=P%u;"
                   "issuer=HOSPITAL;patient_name=NAME%u^FIRST;report{filler_order=F%u;service_text=Iono;collected=20231110080000;"
                   "observation{code=2823-3;code_system=LN;code_text=K;value=4.%u;units=mmol/L;reference_range=3.5-5;status=F};"
                   "observation{code=2951-2;code_system=LN;code_text=Na;value=14%u;units=mmol/L;status=F};"
                   "observation{code=2160-0;code_system=LN;code_text=Crea;value=7%u;units=umol/L;status=F}}",
                   i, i / 3600 % 24, i / 60 % 60, i % 60, i / 20, i / 20, i, i % 10, i % 10, i % 10);
    (void)fake_store_put(s, RECORD_HL7, 1700000000000000 + i, fields_of(facts));
}

static void time_query(struct fixture *f, const char *request)
{
    enum { TIMES = 200 };
    double begin;
    size_t rows = find_count(f, request);

    begin = now_s();
    for (int i = 0; i < TIMES; i++)
        (void)find(f, request);
    print_message("%8.3f ms %5zu rows  %s\n", (now_s() - begin) / TIMES * 1000, rows, request);
}

int main(int argc, char **argv)
{
    const unsigned count = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 20000;
    struct fixture f;
    struct store *s;
    char key[40], request[128];
    double begin;

    fixture_init(&f);
    s = vault_store(f.vault);
    fixture_close(&f);
    for (unsigned i = 0; i < count; i++)
        put_image(s, i);
    begin = now_s();
    f.vault = vault_open(f.dir, &f.options, &f.err);
    f.reader = vault_reader_new(f.vault, &f.err);
    print_message("%8.0f instances/s folded\n", count / (now_s() - begin));
    fixture_close(&f);
    for (unsigned i = 0; i < count / 4; i++)
        put_result(s, i);
    begin = now_s();
    f.vault = vault_open(f.dir, &f.options, &f.err);
    f.reader = vault_reader_new(f.vault, &f.err);
    print_message("%8.0f messages/s folded (3 observations each)\n", count / 4 / (now_s() - begin));
    fixture_close(&f);
    begin = now_s();
    (void)vault_rebuild(f.dir, &f.options, &f.err);
    print_message("%8.0f records/s rebuilt\n", count * 1.25 / (now_s() - begin));
    f.vault = vault_open(f.dir, &f.options, &f.err);
    f.reader = vault_reader_new(f.vault, &f.err);
    (void)snprintf(key, sizeof key, "%s", key_of(&f, "P5"));
    time_query(&f, "query=patients;birth_date=19050616;text_query=nam");
    time_query(&f, "query=patients;birth_date=1905;text_query=nam");
    time_query(&f, "query=patients;patient_name=name5");
    time_query(&f, "query=patients;patient_name=first5 name5");
    time_query(&f, "query=patients;patient_id=P5;issuer=HOSPITAL");
    (void)snprintf(request, sizeof request, "query=studies;patient_key=%s", key);
    time_query(&f, request);
    time_query(&f, "query=series;study_uid=1.2.840.99999.5");
    time_query(&f, "query=instances;series_uid=1.2.840.99999.5.20");
    time_query(&f, "query=instance;position=1001");
    (void)snprintf(request, sizeof request, "query=observations;patient_key=%s", key);
    time_query(&f, request);
    (void)snprintf(request, sizeof request, "query=reports;patient_key=%s", key);
    time_query(&f, request);
    time_query(&f, "query=list;limit=100");
    time_query(&f, "query=attention");
    time_query(&f, "query=sources");
    time_query(&f, "query=status");
    fixture_done(&f);
    return 0;
}
