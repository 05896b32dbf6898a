/*
 * Views can be thrown away: folded in any batches, after any interruption, or made again, they are the same.
 */
#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/file.h"
#include "vault/folder.h"
#include "vault/live_views.h"
#include "vault_fixture.h"
#include "vault/erasures.h"

/* ---- generated records ---- */

static uint64_t seed;

static unsigned roll(unsigned below)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(seed >> 33) % below;
}

static void generate(struct fixture *f, struct store *s)
{
    static const char *const states[] = { "stored", "stored", "stored", "stored", "alternate", "conflict", "refused" };
    static const char *const statuses[] = { "P", "F", "C", "W", "D", "F" };
    static const char *const names[] = { "DURAND^Jean", ("MARTIN^L\xc3\xa9" "a"), "O'NEIL^Pat", "\xe5\xb1\xb1\xe7\x94\xb0^T" };
    char facts[600];
    enum record_kind kind = RECORD_DICOM;
    const unsigned patient = roll(40), time = 20231100 + roll(28);

    (void)f;
    switch (roll(10)) {
    case 0:
        kind = RECORD_EVENT;
        if (roll(2))
            (void)snprintf(facts, sizeof facts, "event=scrub.%s;file=log/%08u.seg;detail=%u sectors",
                           roll(2) ? "damaged" : "repaired", roll(5), roll(100));
        else
            (void)snprintf(facts, sizeof facts, "event=sign-in;actor=u%u;outcome=success", patient);
        break;
    case 1:
        kind = roll(2) ? RECORD_FACT : RECORD_HL7;
        (void)snprintf(facts, sizeof facts,
                       "fact=identities-%slinked;message_type=ADT;trigger=A40;message_time=%u1000;patient_id=P%u;issuer=H;"
                       "prior{patient_id=P%u;issuer=H}",
                       roll(3) ? "" : "un", time, patient, roll(40));
        break;
    case 2:
    case 3:
    case 4:
        kind = RECORD_HL7;
        (void)snprintf(facts, sizeof facts,
                       "source=LIS%u;state=%s;message_type=ORU;message_time=%u;patient_id=%s%u;issuer=H;patient_name=%s;"
                       "birth_date=19%u0101;encounter{visit_number=V%u;location=L%u};report{filler_order=F%u;collected=%u;"
                       "observation{code=K;value=%u;status=%s};observation{code=Na;value=%u;status=F}}",
                       roll(3), roll(9) ? "stored" : "not-understood", time, roll(20) ? "P" : "", patient, names[roll(4)],
                       50 + roll(3), roll(50), roll(5), roll(60), time, roll(100), statuses[roll(6)], roll(100));
        break;
    default:
        (void)snprintf(facts, sizeof facts,
                       "source=CT%u;state=%s;patient_id=P%u;issuer=H;patient_name=%s;sex=%s;study_uid=1.%u;series_uid=1.%u.%u;"
                       "sop_uid=1.9.%u;modality=CT;instance_number=%u;slice_location=%u.5",
                       roll(3), states[roll(7)], patient, names[roll(4)], roll(9) ? "M" : "F", patient, patient, roll(3),
                       roll(800), roll(100), roll(100));
        break;
    }
    (void)fake_store_put(s, kind, 1700000000000000 + roll(1000000), fields_of(facts));
}

/* ---- dumps ---- */

static struct writer dump_of(struct fixture *f)
{
    char path[96];
    struct writer w = writer_new((size_t)1 << 28);
    int fd;

    (void)snprintf(path, sizeof path, "%s/dump", f->dir);
    fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    if (fd < 0 || !vault_dump(f->reader, fd, &f->err) || !file_slurp(path, &w, &f->err))
        print_error("%s\n", f->err.text);
    (void)close(fd);
    return w;
}

/* Same bytes; names the first line that differs. */
static bool same_dump(struct writer *a, struct writer *b)
{
    size_t at = 0, line = 0;

    while (at < a->len && at < b->len && a->ptr[at] == b->ptr[at]) {
        if (a->ptr[at] == '\n')
            line = at + 1;
        at++;
    }
    if (a->len == b->len && at == a->len)
        return true;
    print_error("one:   %.*s\nother: %.*s\n", (int)(span_index(span_part(writer_span(a), line, a->len), '\n')),
                (const char *)a->ptr + line, (int)(span_index(span_part(writer_span(b), line, b->len), '\n')),
                (const char *)b->ptr + line);
    return false;
}

#define RECORDS 4000

TEST(views_are_the_same_however_they_were_folded)
{
    struct fixture f;
    struct writer whole, rebuilt, again;
    struct store *s;

    fixture_init(&f);
    seed = 20261123;
    print_message("# seed %llu\n", (unsigned long long)seed);
    s = vault_store(f.vault);
    for (size_t i = 0; i < RECORDS; i++) {
        generate(&f, s);
        if (roll(50) == 0)
            (void)find(&f, "query=sources"); /* folds what came so far: batches of random size */
        if (roll(700) == 0)
            fixture_reopen(&f);
    }
    whole = dump_of(&f);
    CHECK(whole.len > 100000);
    fixture_close(&f);
    CHECK(vault_rebuild(f.dir, &f.options, &f.err));
    f.vault = vault_open(f.dir, &f.options, &f.err);
    CHECK(f.vault != NULL);
    f.reader = vault_reader_new(f.vault, &f.err);
    rebuilt = dump_of(&f);
    CHECK(same_dump(&whole, &rebuilt));
    fixture_reopen(&f);
    again = dump_of(&f);
    CHECK(same_dump(&whole, &again));
    writer_done(&whole);
    writer_done(&rebuilt);
    writer_done(&again);
    fixture_done(&f);
}

/* ---- what makes views useless ---- */

static size_t files_in(const char *dir, const char *suffix, char *path, size_t cap)
{
    char views[96];
    DIR *d;
    size_t count = 0;

    (void)snprintf(views, sizeof views, "%s/vault/views", dir);
    d = opendir(views);
    for (struct dirent *e; d != NULL && (e = readdir(d)) != NULL;)
        if (strlen(e->d_name) >= strlen(suffix)
            && strcmp(e->d_name + strlen(e->d_name) - strlen(suffix), suffix) == 0) {
            (void)snprintf(path, cap, "%s/%.80s", views, e->d_name);
            count++;
        }
    if (d != NULL)
        (void)closedir(d);
    return count;
}

static void put_some(struct fixture *f, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        char facts[200];

        (void)snprintf(facts, sizeof facts, "source=CT1;patient_id=P%u;issuer=H;patient_name=N%u;study_uid=1.%u;"
                                            "series_uid=1.%u.1;sop_uid=1.%u.1.1", i, i, i, i, i);
        put(f, RECORD_DICOM, facts);
    }
    (void)find(f, "query=sources");
}

TEST(views_that_cannot_be_used_are_made_again)
{
    enum { DAMAGED_FILE, NO_CURRENT, EMPTY_CURRENT, AHEAD, ANOTHER_LOG, COUNT };

    for (int how = 0; how < COUNT; how++) {
        struct fixture f;
        char path[256] = "";
        size_t left = 50;

        fixture_init(&f);
        put_some(&f, 50);
        fixture_close(&f);
        if (how == DAMAGED_FILE) {
            CHECK(files_in(f.dir, ".db", path, sizeof path) == 1);
            CHECK(truncate(path, 5000) == 0);
        } else if (how == NO_CURRENT || how == EMPTY_CURRENT) {
            CHECK(files_in(f.dir, "current", path, sizeof path) == 1);
            CHECK(how == NO_CURRENT ? unlink(path) == 0 : truncate(path, 0) == 0);
        } else {
            struct error err;
            struct store *s = store_open(f.dir, &f.options.store, &err);

            fake_store_cut(s, 40);
            left = 40;
            for (unsigned i = 0; i < 10 && how == ANOTHER_LOG; i++, left++)
                (void)fake_store_put(s, RECORD_EVENT, 1, fields_of("event=recovered"));
        }
        f.vault = vault_open(f.dir, &f.options, &f.err);
        CHECK(f.vault != NULL && (f.reader = vault_reader_new(f.vault, &f.err)) != NULL);
        CHECK(find_count(&f, "query=list;limit=1000") == (how >= AHEAD ? 40 : 50));
        CHECK(left >= 40 && files_in(f.dir, ".db", path, sizeof path) == 1);
        fixture_done(&f);
    }
}

TEST(views_that_turn_out_damaged_are_made_again_at_work)
{
    struct fixture f;
    char path[256] = "";
    uint8_t junk[64] = { 0 };
    int fd;
    bool healed = false;

    fixture_init(&f);
    put_some(&f, 800);
    fixture_reopen(&f); /* the WAL is in the database now */
    CHECK(files_in(f.dir, ".db", path, sizeof path) == 1);
    fd = open(path, O_RDWR);
    for (off_t page = 30; page < 60; page++)
        CHECK(pwrite(fd, junk, sizeof junk, page * 4096 + 50) == sizeof junk);
    (void)close(fd);
    for (int i = 0; i < 3 && !healed; i++)
        healed = find_count(&f, "query=list;limit=1000") == 800;
    for (int i = 0; i < 800; i += 100) {
        char request[64];

        (void)snprintf(request, sizeof request, "query=patients;patient_id=P%d", i);
        if (find_count(&f, request) != 1)
            CHECK(find_count(&f, request) == 1);
    }
    CHECK(healed);
    fixture_done(&f);
}

TEST(a_damaged_entry_is_passed_and_counted)
{
    struct fixture f;

    fixture_init(&f);
    put_some(&f, 10);
    fixture_close(&f);
    {
        struct error err;
        struct store *s = store_open(f.dir, &f.options.store, &err);

        fake_store_damage(s, 5);
        fake_store_damage(s, 9); /* the last: its digest cannot be compared */
    }
    CHECK(vault_rebuild(f.dir, &f.options, &f.err));
    f.vault = vault_open(f.dir, &f.options, &f.err);
    CHECK(f.vault != NULL && (f.reader = vault_reader_new(f.vault, &f.err)) != NULL);
    CHECK(find_count(&f, "query=list") == 8);
    CHECK(strstr(find(&f, "query=status"), "row{name=damaged.entry;count=2}") != NULL);
    fixture_reopen(&f);
    CHECK(find_count(&f, "query=list") == 8);
    fixture_done(&f);
}

#define UNIT(slot) "erasure_unit{slot=" slot ";unit_tag=0123456789abcdef;count=1}"

/* A slot of the fake store is a position. */
TEST(what_was_erased_leaves_the_views_at_once_and_for_ever)
{
    struct fixture f;
    struct erasure e;
    char before[256] = "", after[256] = "";

    fixture_init(&f);
    put_some(&f, 20);
    fixture_reopen(&f);
    CHECK(find_count(&f, "query=patients;patient_id=P3") == 1);
    CHECK(files_in(f.dir, ".db", before, sizeof before) == 1);
    put(&f, RECORD_RULE, "fact=erasure-requested;actor=a;reason=r;" UNIT("3"));
    put(&f, RECORD_RULE, "fact=units-erased;actor=b;request=20;" UNIT("3"));
    CHECK(vault_erasure_at(f.vault, 0, &e) && e.state == ERASURE_DONE && e.unit_count == 1 && !vault_erasure_at(f.vault, 1, &e));
    CHECK(vault_erase(f.vault, &e, &f.err));
    CHECK(find_count(&f, "query=patients;patient_id=P3") == 0 && find_count(&f, "query=patients;patient_id=P4") == 1);
    CHECK(find_count(&f, "query=list;state=erased") == 1 && find_count(&f, "query=list") == 20);
    CHECK(files_in(f.dir, ".db", after, sizeof after) == 1 && strcmp(before, after) != 0); /* another file, another key */
    put(&f, RECORD_RULE, "fact=units-erased;actor=b;request=7;" UNIT("5")); /* and the power goes: nothing is done */
    CHECK(find_count(&f, "query=patients;patient_id=P5") == 1);
    fixture_reopen(&f);
    CHECK(vault_reapplied(f.vault) == 1 && find_count(&f, "query=patients;patient_id=P5") == 0);
    fixture_reopen(&f);
    CHECK(vault_reapplied(f.vault) == 0 && find_count(&f, "query=list;state=erased") == 2);
    put(&f, RECORD_RULE, "fact=units-erased;actor=b;request=8;" UNIT("6")); /* as on a twin: it came with the log */
    CHECK(vault_follow_erasures(f.vault, &f.err));
    CHECK(find_count(&f, "query=list") == 20); /* finds do not wait for it */
    for (int i = 0; i < 3000 && find_count(&f, "query=patients;patient_id=P6") > 0; i++) {
        CHECK(vault_follow_erasures(f.vault, &f.err));
        (void)usleep(10000);
    }
    CHECK(find_count(&f, "query=list;state=erased") == 3 && find_count(&f, "query=patients;patient_id=P6") == 0);
    CHECK(vault_follow_erasures(f.vault, &f.err));
    fixture_done(&f);
}

TESTS(T(views_are_the_same_however_they_were_folded), T(views_that_cannot_be_used_are_made_again),
      T(views_that_turn_out_damaged_are_made_again_at_work), T(a_damaged_entry_is_passed_and_counted),
      T(what_was_erased_leaves_the_views_at_once_and_for_ever))
