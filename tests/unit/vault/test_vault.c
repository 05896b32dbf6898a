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


/* ---- duplicates ---- */

static uint64_t append(struct fixture *f, const char *facts)
{
    struct append a = { .kind = RECORD_DICOM, .facts = fields_of(facts), .received_us = 1 };
    uint64_t position = UINT64_MAX;

    (void)vault_append(f->vault, &a, &position, &f->err);
    return position;
}

static size_t settle(struct fixture *f)
{
    struct completion done[16];
    size_t n, all = 0;

    while ((n = vault_completed(f->vault, done, COUNT_OF(done))) > 0)
        all += n;
    return all;
}

TEST(two_that_send_the_same_uid_are_settled_in_order)
{
    struct fixture f;
    struct same_uid same;

    fixture_init(&f);
    CHECK(vault_same_uid(f.vault, SPAN_LIT("1.2.3.7"), &same, &f.err) && !same.found);
    CHECK(append(&f, CT("7")) == 0);
    CHECK(append(&f, CT("8")) == 1);
    CHECK(vault_same_uid(f.vault, SPAN_LIT("1.2.3.7"), &same, &f.err));
    CHECK(same.found && same.pending && same.first == 0 && same.version_count == 1);
    CHECK(append(&f, CT("7") ";state=conflict;first_position=0") == 2);
    CHECK(vault_same_uid(f.vault, SPAN_LIT("1.2.3.7"), &same, &f.err));
    CHECK(same.pending && same.first == 0 && same.version_count == 2 && same.versions[1] == 2);
    store_kick(vault_store(f.vault));
    CHECK(settle(&f) == 3);
    for (int folded = 0; folded < 2; folded++) {
        CHECK(vault_same_uid(f.vault, SPAN_LIT("1.2.3.7"), &same, &f.err));
        CHECK(same.found && !same.pending && same.first == 0 && same.version_count == 2 && same.versions[1] == 2);
        (void)find(&f, "query=sources");
        CHECK(settle(&f) == 0);
    }
    CHECK(append(&f, CT("9") ";state=refused") == 3);
    CHECK(vault_same_uid(f.vault, SPAN_LIT("1.2.3.9"), &same, &f.err) && !same.found);
    fixture_done(&f);
}

TEST(what_never_was_committed_is_no_version)
{
    struct fixture f;
    struct same_uid same;

    fixture_init(&f);
    CHECK(append(&f, CT("7")) == 0 && append(&f, CT("8")) == 1);
    fake_store_fail_commit(vault_store(f.vault));
    CHECK(settle(&f) == 2);
    CHECK(vault_same_uid(f.vault, SPAN_LIT("1.2.3.7"), &same, &f.err) && !same.found);
    CHECK(vault_same_uid(f.vault, SPAN_LIT("1.2.3.8"), &same, &f.err) && !same.found);
    fixture_done(&f);
}

TEST(at_most_sixteen_versions_are_looked_at)
{
    struct fixture f;
    struct same_uid same;

    fixture_init(&f);
    put(&f, RECORD_DICOM, CT("7"));
    for (int i = 0; i < 12; i++)
        put(&f, RECORD_DICOM, CT("7") ";state=alternate;first_position=0");
    (void)find(&f, "query=sources");
    for (int i = 0; i < 12; i++)
        CHECK(append(&f, CT("7") ";state=alternate;first_position=0") != UINT64_MAX);
    CHECK(vault_same_uid(f.vault, SPAN_LIT("1.2.3.7"), &same, &f.err));
    CHECK(same.version_count == 16 && same.first == 0 && same.pending);
    fixture_done(&f);
}

/* ---- accounts ---- */

TEST(accounts_come_from_the_log)
{
    struct fixture f;
    struct account a;
    struct span key, certificate;

    fixture_init(&f);
    CHECK(vault_account_count(f.vault) == 0 && !vault_tls(f.vault, &key, &certificate));
    CHECK(strcmp(find(&f, "query=tls-key"), "error: not-found") == 0);
    put(&f, RECORD_RULE, "fact=account-added;user=dr;display_name=Dr A;role=physician;password_hash=h1");
    put(&f, RECORD_RULE, "fact=account-changed;user=dr;role=admin");
    put(&f, RECORD_RULE, "fact=account-added;user=dr2;password_hash=h2");
    put(&f, RECORD_RULE, "fact=account-disabled;user=dr2");
    put(&f, RECORD_RULE, "fact=account-changed;user=nobody;role=admin");
    put(&f, RECORD_RULE, "fact=account-added;display_name=without a name");
    put(&f, RECORD_RULE, "fact=of-a-later-version;user=dr;role=physician");
    put(&f, RECORD_RULE, "fact=tls-key;tls_key=old;tls_certificate=old");
    put(&f, RECORD_RULE, "fact=tls-key;tls_key=KEY;tls_certificate=CERT");
    put(&f, RECORD_FACT, "fact=account-changed;user=dr;role=physician"); /* a fact is no rule */
    for (int i = 0; i < 2; i++) {
        CHECK(vault_account_count(f.vault) == 2 && vault_account(f.vault, SPAN_LIT("dr"), &a));
        CHECK(strcmp(a.role, "admin") == 0 && strcmp(a.display_name, "Dr A") == 0 && strcmp(a.password_hash, "h1") == 0);
        CHECK(vault_account(f.vault, SPAN_LIT("dr2"), &a) && a.password_hash[0] == '\0');
        CHECK(!vault_account(f.vault, SPAN_LIT("nobody"), &a) && !vault_account(f.vault, SPAN_LIT(""), &a));
        CHECK(vault_tls(f.vault, &key, &certificate) && span_equal(key, SPAN_LIT("KEY")));
        CHECK(find_count(&f, "query=tls-key") == 1);
        fixture_reopen(&f);
    }
    fixture_done(&f);
}

/* ---- news ---- */

struct heard {
    size_t count;
    uint64_t dropped, last;
    char key[40];
};

static bool hear(void *context, struct span news)
{
    struct heard *h = context;

    h->count++;
    h->dropped += fields_uint(news, FIELD_COUNT, 0);
    h->last = fields_uint(news, FIELD_POSITION, h->last);
    (void)span_to_str(fields_text(news, FIELD_PATIENT_KEY), h->key, sizeof h->key);
    return true;
}

TEST(news_tells_what_was_folded)
{
    struct fixture f;
    struct heard h = { 0 };

    fixture_init(&f);
    vault_news(f.vault, hear, &h);
    CHECK(h.count == 0);
    put(&f, RECORD_EVENT, "event=sign-in");
    put(&f, RECORD_DICOM, CT("7"));
    (void)find(&f, "query=sources");
    vault_news(f.vault, hear, &h);
    CHECK(h.count == 1 && h.last == 1 && strcmp(h.key, key_of(&f, "P1")) == 0);
    vault_news(f.vault, hear, &h);
    CHECK(h.count == 1);
    put(&f, RECORD_DICOM, "patient_id=P2;issuer=H;study_uid=9;sop_uid=1.2.3.7;state=conflict;first_position=1");
    (void)find(&f, "query=sources");
    h = (struct heard){ 0 };
    vault_news(f.vault, hear, &h);
    CHECK(h.count == 1 && strcmp(h.key, key_of(&f, "P1")) == 0); /* whose study shows the conflict */
    for (int i = 0; i < VAULT_NEWS_MAX + 500; i++) {
        (void)append(&f, CT("7") ";state=alternate");
        if (i % 100 == 99) {
            store_kick(vault_store(f.vault));
            (void)settle(&f);
            (void)find(&f, "query=sources");
        }
    }
    h = (struct heard){ 0 };
    vault_news(f.vault, hear, &h);
    CHECK(h.count == VAULT_NEWS_MAX + 1 && h.dropped == 500);
    fixture_done(&f);
}

TEST(a_row_that_wants_no_more_ends_the_query)
{
    struct fixture f;
    struct heard h = { 0 };

    fixture_init(&f);
    for (int i = 0; i < 5; i++)
        put(&f, RECORD_EVENT, "event=sign-in");
    CHECK(find_count(&f, "query=journal") == 5);
    CHECK(strcmp(find_value(&f, "query=journal", FIELD_EVENT), "sign-in") == 0); /* its row() says no after one */
    CHECK(find_count(&f, "query=journal") == 5 && h.count == 0);
    fixture_done(&f);
}

TEST(views_ask_for_the_lock_of_the_store)
{
    struct fixture f;

    fixture_init(&f);
    f.options.store.read_only = true;
    CHECK(vault_open(f.dir, &f.options, &f.err) == NULL && f.err.code == ERR_USAGE);
    f.options.store.read_only = false;
    fixture_done(&f);
}

static uint64_t status_of(struct fixture *f, enum field field)
{
    return strtoull(find_value(f, "query=status", field), NULL, 10);
}

static bool state_is(struct fixture *f, const char *state)
{
    return strcmp(find_value(f, "query=status", FIELD_SPACE_STATE), state) == 0;
}

TEST(the_status_says_how_long_the_disk_lasts)
{
    const uint64_t day_s = 20000ull * 86400;
    struct store_status st = { .free_bytes = 1000000, .reserve_bytes = 100000, .now_us = (day_s + 3600) * 1000000 };
    struct fixture f;
    uint64_t rate;

    fixture_init(&f);
    fake_store_status(f.dir, &st);
    CHECK(status_of(&f, FIELD_BYTES_PER_DAY) == 0 && find_value(&f, "query=status", FIELD_DAYS_LEFT)[0] == '\0');
    CHECK(state_is(&f, "ok"));
    (void)put_at(&f, RECORD_EVENT, day_s, "event=vault.started");
    (void)put_at(&f, RECORD_EVENT, day_s + 60, "event=vault.started");
    rate = status_of(&f, FIELD_BYTES_PER_DAY);
    CHECK(rate >= 600 && rate < 800); /* the first hour is not taken times 24 */
    CHECK(status_of(&f, FIELD_DAYS_LEFT) == 900000 / rate && state_is(&f, "ok"));
    st.now_us = (day_s + 4 * 86400) * 1000000;
    fake_store_status(f.dir, &st);
    CHECK(status_of(&f, FIELD_BYTES_PER_DAY) == rate / 4);
    (void)put_at(&f, RECORD_EVENT, day_s + 30 * 86400, "event=vault.started"); /* a clock that was ahead */
    CHECK(status_of(&f, FIELD_BYTES_PER_DAY) == rate / 4);
    st.now_us = (day_s + 10 * 86400) * 1000000; /* nothing in the last seven days */
    fake_store_status(f.dir, &st);
    CHECK(status_of(&f, FIELD_BYTES_PER_DAY) == 0);
    st.now_us = (day_s + 3600) * 1000000;
    st.free_bytes = 100000 + 12 * rate;
    fake_store_status(f.dir, &st);
    CHECK(status_of(&f, FIELD_DAYS_LEFT) == 12 && state_is(&f, "days-15"));
    st.free_bytes = 99999;
    fake_store_status(f.dir, &st);
    CHECK(status_of(&f, FIELD_DAYS_LEFT) == 0 && state_is(&f, "full"));
    fixture_done(&f);
}

TEST(the_alarm_that_was_recorded_is_known_after_a_restart)
{
    struct store_status st = { .free_bytes = 1000, .reserve_bytes = 900, .now_us = 1700000100ull * 1000000 };
    struct fixture f;

    fixture_init(&f);
    (void)put(&f, RECORD_EVENT, "event=space.alarm;space_level=4;space_state=full");
    fake_store_status(f.dir, &st);
    fixture_reopen(&f);
    CHECK(status_of(&f, FIELD_SPACE_LEVEL) == 4);
    st.free_bytes = 920; /* above the reserve, but not to speak of: still said */
    fake_store_status(f.dir, &st);
    CHECK(state_is(&f, "full"));
    (void)put(&f, RECORD_EVENT, "event=space.relieved;space_level=0;space_state=ok");
    CHECK(status_of(&f, FIELD_SPACE_LEVEL) == 0);
    fixture_done(&f);
}

TESTS(T(the_status_says_how_long_the_disk_lasts), T(the_alarm_that_was_recorded_is_known_after_a_restart),
      T(an_image_is_found_after_its_commit), T(a_result_is_found_after_its_commit),
      T(two_that_send_the_same_uid_are_settled_in_order), T(what_never_was_committed_is_no_version),
      T(at_most_sixteen_versions_are_looked_at), T(accounts_come_from_the_log), T(news_tells_what_was_folded),
      T(a_row_that_wants_no_more_ends_the_query), T(views_ask_for_the_lock_of_the_store))
