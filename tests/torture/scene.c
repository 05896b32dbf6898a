/* The verbs of a scenario. See scene.h. */
#include "scene.h"

#include <time.h>

#include "../unit/vault/store_test.h"

static struct store_options options_of(const struct scene *x)
{
    struct store_options o = test_options();

    o.secret = span_str(x->secret);
    o.tuning = &x->tuning;
    o.scrub = x->scrub;
    return o;
}

void scene_begin(struct scene *x, const char *dir, struct tape *tape, const struct scenario *s)
{
    *x = (struct scene){ .dir = dir,
                         .tape = tape,
                         .secret = "key:0123456789abcdef0123456789abcdef",
                         .views = s->views,
                         .seed = 1,
                         .tuning = { .files = &tape_ops,
                                     .files_context = tape,
                                     .segment_bytes = 6000,
                                     .body_file_bytes = 160000,
                                     .confirm_entries = 12,
                                     .no_idle_confirm = true } };
}

void scene_prepare(struct scene *x, const char *dir, struct tape *tape, const struct scenario *s)
{
    struct store_options o = test_options();
    struct tape before;
    unsigned seed = 1;

    if (!s->from_nothing && !store_create(dir, &o, NULL))
        abort();
    tape_begin(&before, dir, NULL, 0);
    if (!s->from_nothing)
        tape_mark(&before, &(struct mark){ .type = MARK_CREATED });
    if (s->before != NULL) {
        scene_begin(x, dir, &before, s);
        s->before(x);
        scene_end(x);
        seed = x->seed;
    }
    tape_begin(tape, dir, &before, before.count);
    tape_end(&before);
    scene_begin(x, dir, tape, s);
    x->seed = seed;
}

void scene_end(struct scene *x)
{
    scene_close(x);
}

static void say(struct scene *x, enum mark_type type, uint64_t position)
{
    tape_mark(x->tape, &(struct mark){ .type = type, .position = position });
}

bool scene_create(struct scene *x)
{
    struct store_options o = options_of(x);
    struct error err = { 0 };

    if (!store_create(x->dir, &o, &err)) {
        x->refused++;
        return false;
    }
    say(x, MARK_CREATED, 0);
    return true;
}

bool scene_open(struct scene *x)
{
    struct vault_options o = { .store = options_of(x) };
    struct error err = { 0 };

    if (x->views) {
        x->vault = vault_open(x->dir, &o, &err);
        x->store = x->vault != NULL ? vault_store(x->vault) : NULL;
    } else {
        x->store = store_open(x->dir, &o.store, &err);
    }
    x->refused += x->store == NULL ? 1 : 0;
    return x->store != NULL;
}

void scene_close(struct scene *x)
{
    if (x->vault != NULL)
        vault_close(x->vault);
    else
        store_close(x->store);
    x->vault = NULL;
    x->store = NULL;
    x->waiting_count = 0;
    x->tape->dead = false;
    x->tape->kill_in = 0;
}

void scene_kill_in(struct scene *x, long deeds)
{
    pthread_mutex_lock(&x->tape->lock);
    x->tape->kill_in = deeds;
    pthread_mutex_unlock(&x->tape->lock);
}

static bool fill_body(struct body *b, unsigned seed, size_t len, struct error *err)
{
    uint8_t *bytes;
    bool ok;

    tape_spares++;
    bytes = malloc(len + 1);
    tape_spares--;
    if (bytes == NULL)
        abort();
    test_fill(bytes, len, seed);
    ok = body_add(b, span_of(bytes, len), err);
    free(bytes);
    return ok;
}

bool scene_put(struct scene *x, enum record_kind kind, const char *unit, size_t len)
{
    struct mark m = { .type = MARK_APPENDED, .kind = kind, .seed = x->seed++, .len = len };
    struct writer facts = writer_new(4096);
    struct append a = { .kind = kind, .unit = span_str(unit), .received_us = test_wall_us };
    struct error err = { 0 };
    bool ok = x->store != NULL && x->waiting_count < SCENE_WAITING_MAX;

    (void)snprintf(m.text, sizeof m.text, "%s", unit);
    tape_spares++;
    field_put_str(&facts, FIELD_EVENT, "torture");
    field_put_str(&facts, FIELD_DETAIL, "what was sent");
    field_put_uint(&facts, FIELD_COUNT, m.seed);
    tape_spares--;
    a.facts = writer_span(&facts);
    a.cookie = (void *)(uintptr_t)m.seed;
    if (ok && len != SCENE_NO_BODY) {
        a.body = body_new(x->store, kind == RECORD_HL7 ? BODY_RESULTS : BODY_IMAGES, a.unit, &err);
        ok = a.body != NULL && fill_body(a.body, m.seed, len, &err);
        if (!ok)
            body_free(a.body);
    }
    ok = ok && (x->vault != NULL ? vault_append(x->vault, &a, &m.position, &err)
                                 : store_append(x->store, &a, &m.position, &err));
    writer_done(&facts);
    if (!ok) {
        x->refused++;
        return false;
    }
    tape_mark(x->tape, &m);
    x->waiting[x->waiting_count++] = m;
    return true;
}

static void settle(struct scene *x, const struct completion *c)
{
    for (size_t i = 0; i < x->waiting_count; i++) {
        struct mark *m = &x->waiting[i];

        if (m->seed != (unsigned)(uintptr_t)c->cookie)
            continue;
        m->type = MARK_ACKED;
        if (c->committed)
            tape_mark(x->tape, m);
        else
            x->refused++;
        memmove(m, m + 1, (--x->waiting_count - i) * sizeof *m);
        return;
    }
    abort(); /* told twice, or never put */
}

void scene_commit(struct scene *x)
{
    struct mark root = { .type = MARK_ROOT };
    struct store_status status;

    while (x->store != NULL && x->waiting_count > 0) {
        struct completion c[16];
        size_t n;

        store_kick(x->store);
        n = x->vault != NULL ? vault_completed(x->vault, c, COUNT_OF(c)) : store_completed(x->store, c, COUNT_OF(c));
        for (size_t i = 0; i < n; i++)
            settle(x, &c[i]);
        if (n == 0) {
            struct pollfd p = { .fd = store_event_fd(x->store), .events = POLLIN };

            (void)poll(&p, 1, 1000);
        }
    }
    if (x->store == NULL)
        return;
    store_status(x->store, &status);
    root.position = status.size;
    memcpy(root.root, status.root, sizeof root.root);
    tape_mark(x->tape, &root);
}

static void ignore(void *context, const char *text)
{
    (void)context;
    (void)text;
}

void scene_repair(struct scene *x)
{
    struct store_repair done;
    struct error err;

    if (x->store != NULL && !store_repair(x->store, NULL, ignore, NULL, &done, &err))
        x->refused++;
}

static bool ignore_row(void *context, struct span row)
{
    (void)context;
    (void)row;
    return false;
}

void scene_folded(struct scene *x)
{
    struct vault_reader *r;
    struct error err = { 0 };
    struct writer request = writer_new(100);

    if (x->vault == NULL)
        return;
    r = vault_reader_new(x->vault, &err);
    field_put_str(&request, FIELD_QUERY, "sources");
    if (r != NULL)
        (void)vault_find(r, writer_span(&request), ignore_row, NULL, &err);
    vault_reader_free(r);
    writer_done(&request);
}

/* For a while: under a failure it may never be. */
void scene_sealed(struct scene *x, uint64_t files)
{
    struct store_status status;

    for (int i = 0; x->store != NULL && i < 200; i++) {
        store_status(x->store, &status);
        if (status.sealed_files >= files)
            return;
        (void)nanosleep(&(struct timespec){ .tv_nsec = 5000000 }, NULL);
    }
}

void scene_release(struct scene *x, uint64_t position)
{
    say(x, MARK_RELEASED, position);
}

void scene_promise(struct scene *x, mark_claim *claim, uint64_t what)
{
    tape_mark(x->tape, &(struct mark){ .type = MARK_PROMISE, .position = what, .claim = claim });
}

void scene_secret_begin(struct scene *x, const char *secret)
{
    struct mark m = { .type = MARK_SECRET };

    (void)snprintf(m.text, sizeof m.text, "%s", secret);
    tape_mark(x->tape, &m);
}

void scene_secret_done(struct scene *x)
{
    struct mark m = { .type = MARK_NO_SECRET };

    (void)snprintf(m.text, sizeof m.text, "%s", x->secret);
    tape_mark(x->tape, &m);
}
