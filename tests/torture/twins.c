/*
 * Scenarios of a twin: it follows, it is promoted. The first machine is none of the disk that is cut: it lies beside, as it
 * was at several times. What its records are is said at the beginning; that the twin has them, when a round has ended.
 *
 * What the first encrypts, before and after the twin left it, is remembered with what the promoted twin encrypts
 * (nonces.h): the two never share a (key, nonce) pair.
 */
#include "twins.h"

#include <stdlib.h>

#include "../unit/vault/store_test.h"
#include "vault/keyring.h"
#include "vault/twin.h"

#define IMAGES    3 /* of the first, from 1 on: what a round finds */
#define MARKS_MAX 64

static struct {
    char dir[TEST_DIR_SIZE]; /* now, and the images */
    struct mark told[MARKS_MAX]; /* what the first acknowledged, and the roots of its trees */
    size_t count;
    uint64_t size;
} first;

static unsigned judged; /* twins: every other one is promoted as it lies there, without its first */

static struct store_options options_of(const struct tuning *t, bool unsealed)
{
    struct store_options o = test_options();

    o.tuning = t;
    if (!unsealed)
        o.secret = span_of(NULL, 0);
    return o;
}

/* ---- the first ---- */

static void path_of(unsigned image, char path[100])
{
    (void)snprintf(path, 100, "%s/%u", first.dir, image);
}

static void copy_image(unsigned from, unsigned to)
{
    char a[100], b[100];

    path_of(from, a);
    path_of(to, b);
    test_copy(a, b);
}

/* What the first said, for later; and that it may be found. */
static void learn(struct scene *x, const struct tape *t)
{
    for (size_t i = 0; i < t->count; i++) {
        const struct mark *m = t->deeds[i].mark;

        if (t->deeds[i].type != DEED_MARK)
            continue;
        if (m->type == MARK_APPENDED)
            tape_mark(x->tape, m);
        else if (first.count < MARKS_MAX)
            first.told[first.count++] = *m;
        if (m->type == MARK_ROOT)
            first.size = m->position;
    }
}

static void put_all(struct scene *f, const size_t *lengths, size_t count)
{
    char unit[32];

    for (size_t i = 0; i < count; i++) {
        (void)snprintf(unit, sizeof unit, "study:%u", f->seed % 4);
        (void)scene_put(f, lengths[i] == SCENE_NO_BODY ? RECORD_EVENT : i % 2 == 0 ? RECORD_DICOM : RECORD_HL7, unit,
                        lengths[i]);
        if (i % 3 == 2)
            scene_commit(f);
    }
    scene_commit(f);
}

/* The master key of a first is made anew: its keyring has another header from then on. */
static void rotate(const char *dir)
{
    struct disk d = { .ops = &file_ops_system };
    struct seal_suite suite;
    struct keyring *k;

    (void)snprintf(d.root, sizeof d.root, "%s/vault", dir);
    if (!seal_suite_init(&suite, NULL))
        abort();
    k = keyring_open(&d, &suite, TEST_SECRET, false, NULL, NULL, NULL);
    if (k == NULL || !keyring_rotate(k, NULL))
        abort();
    keyring_close(k);
    seal_suite_done(&suite);
}

/* One more life of the first, in its image. */
static void live(struct scene *x, unsigned image, const size_t *lengths, size_t count, bool learnt)
{
    static const struct scenario plain = { .name = "first" };
    struct scene f;
    struct tape t;
    char dir[100];

    path_of(image, dir);
    tape_begin(&t, dir, NULL, 0);
    scene_begin(&f, dir, &t, &plain);
    f.tuning.segment_bytes = 3000;
    f.seed = x->seed;
    if (!scene_open(&f))
        abort();
    put_all(&f, lengths, count);
    scene_close(&f);
    x->seed = f.seed;
    if (learnt)
        learn(x, &t);
    tape_end(&t);
}

void twins_done(void)
{
    if (first.dir[0] != '\0')
        test_remove(first.dir);
    memset(&first, 0, sizeof first);
}

static void make_first(struct scene *x, bool large)
{
    static const size_t one[] = { SCENE_SMALL, SCENE_NO_BODY, SCENE_CHUNKS, SCENE_NO_BODY };
    static const size_t more[] = { SCENE_SMALL, 1000, SCENE_NO_BODY, 0, SCENE_LARGE };
    static const size_t last[] = { SCENE_NO_BODY, SCENE_SMALL };
    struct store_options o = test_options();
    char dir[100];

    twins_done();
    test_dir(first.dir);
    path_of(1, dir);
    if (mkdir(dir, 0700) != 0 || !store_create(dir, &o, NULL))
        abort();
    live(x, 1, one, COUNT_OF(one), true);
    copy_image(1, 2);
    live(x, 2, more, COUNT_OF(more) - (large ? 0 : 1), true);
    copy_image(2, 3);
    path_of(3, dir);
    rotate(dir);
    live(x, 3, last, COUNT_OF(last), true);
    copy_image(3, 4);
    live(x, 4, more, COUNT_OF(more) - 1, false); /* … and still lives when the twin is promoted */
}

/* ---- the link ---- */

static bool link_head(void *context, address from, uint64_t position, uint64_t applied, struct follow_head *out,
                      struct error *err)
{
    (void)applied;
    return store_follow_head(context, from, position, out, err);
}

static bool link_read(void *context, const struct follow_range *range, uint8_t *out, size_t len, size_t *got,
                      struct error *err)
{
    return store_follow_read(context, range, out, len, got, err);
}

/* ---- the twin ---- */

/* Everything that image of the first has; *size is what the twin has then. */
static bool follow(const char *dir, const struct tuning *t, unsigned image, bool unsealed, uint64_t *size,
                   struct error *err)
{
    struct store_options o = options_of(t, unsealed), of_first = test_options();
    struct twin *twin = twin_open(dir, &o, err);
    char path[100];
    struct store *s;
    bool more = true, ok = twin != NULL;

    path_of(image, path);
    of_first.read_only = true;
    s = ok ? store_open(path, &of_first, err) : NULL;
    ok = s != NULL;
    while (ok && more)
        ok = twin_round(twin, &(struct twin_source){ s, link_head, link_read }, &more, err);
    if (ok)
        *size = store_committed_size(twin_store(twin));
    store_close(s);
    twin_close(twin);
    return ok;
}

static void no_finding(void *context, const char *text)
{
    struct error *err = context;

    if (err->code == ERR_NONE)
        (void)error_set(err, ERR_DAMAGED, "promotion: %s", text);
}

static bool promote(const char *dir, const struct tuning *t, struct error *err)
{
    struct store_options o = options_of(t, true);
    struct error found = { 0 };
    struct twin_promotion p;
    struct store *s;

    if (!twin_promote(dir, &o, no_finding, &found, &p, err))
        return false;
    if (found.code != ERR_NONE) {
        *err = found;
        return false;
    }
    o.promoting = true;
    s = store_open(dir, &o, err);
    store_close(s);
    o.promoting = false;
    return s != NULL && twin_promoted(dir, &o, err);
}

/* What the first acknowledged of what the twin has now, the twin has acknowledged. */
static void promise(struct scene *x, uint64_t size)
{
    for (size_t i = 0; i < first.count; i++) {
        const struct mark *m = &first.told[i];

        if ((m->type == MARK_ACKED && m->position < size) || (m->type == MARK_ROOT && m->position == size))
            tape_mark(x->tape, m);
    }
}

static bool create(struct scene *x)
{
    struct store_options o = options_of(&x->tuning, false);

    if (!twin_create(x->dir, &o, NULL))
        return false;
    tape_mark(x->tape, &(struct mark){ .type = MARK_CREATED });
    return true;
}

static void follow_on(struct scene *x, unsigned image, bool unsealed)
{
    struct error err = { 0 };
    uint64_t size;

    if (follow(x->dir, &x->tuning, image, unsealed, &size, &err))
        promise(x, size);
    else
        x->refused++;
}

/* ---- the scenarios ---- */

void twins_follow_before(struct scene *x)
{
    make_first(x, true);
}

void twins_follow(struct scene *x)
{
    if (!create(x))
        return;
    for (unsigned image = 1; image <= IMAGES; image++)
        follow_on(x, image, image == 2); /* with its secret once: it may not have one */
    follow_on(x, IMAGES, false);
}

void twins_promote_before(struct scene *x)
{
    make_first(x, false);
    if (!create(x))
        abort();
    for (unsigned image = 1; image <= IMAGES; image++)
        follow_on(x, image, false);
}

static void go_on(struct scene *x)
{
    if (!scene_open(x))
        return;
    (void)scene_put(x, RECORD_HL7, "study:1", SCENE_SMALL); /* a unit that the first knows, and one that both make */
    (void)scene_put(x, RECORD_DICOM, "study:new", SCENE_SMALL);
    scene_commit(x);
    scene_close(x);
}

void twins_promote(struct scene *x)
{
    struct error err = { 0 };

    if (promote(x->dir, &x->tuning, &err))
        go_on(x);
    else
        x->refused++;
}

/* ---- after the power is back ---- */

static bool is_there(const char *dir, const char *name)
{
    char path[300];

    (void)snprintf(path, sizeof path, "%s/vault/%s", dir, name);
    return access(path, F_OK) == 0;
}

void twins_again(struct scene *x)
{
    bool promoting = twin_is_promoting(x->dir);

    if (!promoting && !twin_is_here(x->dir) && !is_there(x->dir, "keyring.0") && !create(x))
        return;
    if (twin_is_here(x->dir))
        follow_on(x, IMAGES, is_there(x->dir, "keyring.0"));
    if (promoting || twin_is_here(x->dir))
        twins_promote(x);
    else
        go_on(x);
}

/* The twin has what it acknowledged before it asks anybody for anything. */
static bool has_kept(const char *dir, const struct tuning *t, const struct promises *p, struct error *err)
{
    struct store_options o = options_of(t, false);
    struct twin *twin = twin_open(dir, &o, err);
    uint64_t size = twin != NULL ? store_committed_size(twin_store(twin)) : 0;
    bool ok = twin != NULL;

    for (size_t i = 0; ok && i < p->count; i++)
        if (p->records[i].acked && p->records[i].mark->position >= size)
            ok = error_set(err, ERR_DAMAGED, "acknowledged record %llu is lost: the twin has %llu",
                           (unsigned long long)p->records[i].mark->position, (unsigned long long)size);
    twin_close(twin);
    return ok;
}

/* … and verify finds nothing in what it took then. */
static bool is_whole(const char *dir, const struct tuning *t, const struct promises *p, struct error *err)
{
    struct store_options o = options_of(t, true);
    struct twin *twin = twin_open(dir, &o, err);
    struct error found = { 0 };
    uint64_t findings = 0;
    bool ok = twin != NULL && judge_records(twin_store(twin), p, err)
              && store_verify(twin_store(twin), no_finding, &found, &findings, err);

    if (ok && findings > 0) {
        *err = found;
        ok = false;
    }
    twin_close(twin);
    return ok;
}

/* It follows to the end. */
static bool catches_up(const char *dir, const struct tuning *t, struct error *err)
{
    uint64_t size;

    return follow(dir, t, IMAGES, false, &size, err)
           && (size == first.size || error_set(err, ERR_DAMAGED, "the twin has %llu records of %llu", (unsigned long long)size,
                                               (unsigned long long)first.size));
}

/* A step that was cut may have brought a keyring and nothing that it belongs to. */
static bool says_that_it_has_nothing(const char *dir, const struct tuning *t, struct error *err)
{
    struct store_options o = options_of(t, true);
    struct error why = { 0 };
    struct twin *twin = twin_open(dir, &o, &why);
    bool ok = twin == NULL && why.code == ERR_NOT_FOUND;

    twin_close(twin);
    return ok || error_set(err, ERR_DAMAGED, "a twin that has nothing says: %s", why.text);
}

/* A twin that has something is whole with its secret, as it is; so it is when it has followed. */
static bool judge_twin(const char *dir, const struct tuning *t, const struct promises *p, struct error *err)
{
    struct twin_figures had;

    if (!has_kept(dir, t, p, err) || !twin_figures_of(dir, &had, err))
        return false;
    if (had.size > 0 ? !is_whole(dir, t, p, err) : !says_that_it_has_nothing(dir, t, err))
        return false;
    return (had.size > 0 && judged++ % 2 == 0) || (catches_up(dir, t, err) && is_whole(dir, t, p, err));
}

bool twins_ready(const char *dir, const struct tuning *t, const struct promises *p, struct error *err)
{
    if (!twin_is_here(dir) && !twin_is_promoting(dir)) {
        struct store_options o = options_of(t, false);

        if (is_there(dir, "keyring.0")) /* a first machine: judged as one */
            return true;
        if (p->created)
            return error_set(err, ERR_DAMAGED, "the twin is gone");
        if (!twin_create(dir, &o, err))
            return error_within(err, "a twin half made cannot be made again");
    }
    if (twin_is_here(dir) && !judge_twin(dir, t, p, err))
        return error_within(err, "the twin");
    return promote(dir, t, err) || error_within(err, "promotion");
}
