/* Every disk after every deed. See walk.h. */
#include "walk.h"

#include "../unit/vault/store_test.h"

#define MOMENTS_MAX 10u /* of a file's versions tried one by one */
#define TEARS_MAX   12u

/* One tape being walked. */
struct stroll {
    struct walk *w;
    const struct tape *tape;
    unsigned depth;
    struct platter platter;
    struct choice choice;
    struct platter_image image;
    struct promises promises;
    uint64_t random;
};

static uint64_t next_random(struct stroll *s)
{
    s->random ^= s->random << 13;
    s->random ^= s->random >> 7;
    s->random ^= s->random << 17;
    return s->random;
}

static size_t pick_below(struct stroll *s, size_t n)
{
    return (size_t)(next_random(s) >> 11) % n;
}

/* ---- one disk ---- */

static void say_choice(const struct stroll *s)
{
    for (size_t i = 0; i < s->platter.pending_count; i++) {
        const struct deed *d = &s->tape->deeds[s->platter.pending[i]];

        printf("#   %s of %s %s %s\n", d->type == DEED_RENAME ? "rename" : d->type == DEED_UNLINK ? "unlink" : "making", s->tape->paths[d->path],
               d->type == DEED_RENAME ? s->tape->paths[d->to] : "", s->choice.kept[i] ? "kept" : "lost");
    }
    for (int i = 0; i < s->platter.file_count; i++) {
        const struct platter_file *f = &s->platter.files[i];
        const struct pick *k = &s->choice.picks[i];

        if (f->count > 1)
            printf("#   %s: moment %zu of %zu, length of %zu (%zu bytes), %zu sectors%s\n", tape_name(s->tape, s->platter.at, i),
                   k->version, f->count - 1, k->length, f->versions[k->length].len, f->dirty_count,
                   k->torn ? ", torn" : "");
    }
}

static bool broken(struct stroll *s, const struct error *err)
{
    printf("# %s: cut %s%safter deed %zu of %zu: %s\n", s->w->scenario->name, s->depth > 0 ? "in a recovery, " : "",
           s->depth > 1 ? "twice, " : "", s->platter.at, s->tape->count, err->text);
    tape_say(s->tape, s->platter.at, 24);
    say_choice(s);
    s->w->failed = true;
    return false;
}

/* Opens the disk as it is on a tape of its own, goes on a little, and cuts that. */
static bool cut_again(struct stroll *s)
{
    struct shelf *shelf = &s->w->shelf[s->depth + 1];
    struct scene x;
    struct tape t;
    bool ok;

    shelf_forget(shelf);
    shelf_show(shelf, &s->platter, &s->choice, &s->image);
    tape_begin(&t, shelf->dir, s->tape, s->platter.at);
    scene_begin(&x, shelf->dir, &t, s->w->scenario);
    x.seed = 100000 * (s->depth + 1);
    x.secret = s->promises.secrets[0];
    if (s->w->scenario->again != NULL) {
        s->w->scenario->again(&x);
    } else if (scene_open(&x)) {
        (void)scene_put(&x, RECORD_HL7, "unit:again", SCENE_SMALL);
        scene_commit(&x);
    }
    scene_end(&x);
    shelf_forget(shelf);
    s->w->cut_again++;
    ok = walk_tape(s->w, &t, s->depth + 1);
    tape_end(&t);
    return ok;
}

static bool look(struct stroll *s)
{
    struct walk *w = s->w;
    struct judging j = { .ops = &shelf_ops, .go_on = true, .views = w->scenario->views, .ready = w->scenario->ready };
    struct shelf *shelf = &w->shelf[s->depth];
    struct error err = { 0 };
    uint64_t h;

    w->looks++;
    if (w->counting || (w->per_million < 1000000 && pick_below(s, 1000000) >= w->per_million))
        return true;
    image_of(&s->platter, &s->choice, &s->image);
    h = s->image.hash;
    if (h % w->workers != w->worker
        || !hash_set_add(&w->looked, h ^ s->promises.taken * UINT64_C(0x9e3779b97f4a7c15)))
        return true;
    (void)hash_set_add(&w->distinct, h);
    shelf_show(shelf, &s->platter, &s->choice, &s->image);
    j.dir = shelf->dir;
    j.context = shelf;
    j.reopen = (h >> 8) % 4 == 0;
    w->judged++;
    if (!judge(&j, &s->promises, &err))
        return broken(s, &err);
    if (w->nested == 0 || s->depth == WALK_DEPTH_MAX || !s->promises.created || (h >> 32) % w->nested != 0)
        return true;
    return cut_again(s);
}

/* ---- which ---- */

static bool is_unsynced(const struct stroll *s, int inode)
{
    return s->platter.files[inode].count > 1;
}

static void put_file(struct stroll *s, int inode, bool keep)
{
    struct pick *k = &s->choice.picks[inode];

    k->torn = false;
    k->version = k->length = keep ? s->platter.files[inode].count - 1 : 0;
}

/* Each thing alone, and everything but it. */
static bool look_at_each(struct stroll *s)
{
    bool ok = true;

    for (int keep = 0; ok && keep < 2; keep++) {
        for (size_t i = 0; ok && i < s->platter.pending_count; i++) {
            choice_set(&s->choice, &s->platter, keep == 0);
            s->choice.kept[i] = keep == 1;
            ok = look(s);
        }
        for (int i = 0; ok && i < s->platter.file_count; i++) {
            if (!is_unsynced(s, i))
                continue;
            choice_set(&s->choice, &s->platter, keep == 0);
            put_file(s, i, keep == 1);
            ok = look(s);
        }
    }
    return ok;
}

/* Each file at each moment, the rest kept or lost. */
static bool look_at_moments(struct stroll *s, int inode)
{
    size_t moments = s->platter.files[inode].count;
    size_t step = moments / MOMENTS_MAX + 1;
    bool ok = true;

    for (size_t v = 0; ok && v < moments; v += step)
        for (int keep = 0; ok && keep < 2; keep++) {
            choice_set(&s->choice, &s->platter, keep == 1);
            s->choice.picks[inode].version = s->choice.picks[inode].length = v;
            ok = look(s);
            s->choice.picks[inode].length = moments - 1; /* the length, without the rest of the data */
            ok = ok && look(s);
        }
    return ok;
}

/* The newest version of a file with some of its sectors as they were: [from, to) new, or all but those. */
static bool look_at_tear(struct stroll *s, int inode, size_t from, size_t to, bool inside)
{
    const struct platter_file *f = &s->platter.files[inode];
    bool ok = true;

    for (int way = 0; ok && way < 4; way++) {
        struct pick *k;

        if (s->w->torn > 1 && pick_below(s, s->w->torn) != 0)
            continue;
        choice_set(&s->choice, &s->platter, way % 2 == 0);
        k = &s->choice.picks[inode];
        pick_tear(k, f, 0);
        for (size_t i = 0; i < f->dirty_count; i++)
            k->sector[i] = (uint16_t)((i >= from && i < to) == inside ? f->count - 1 : 0);
        k->length = way / 2 == 0 ? f->count - 1 : f->count > 2 ? f->count - 2 : 0;
        ok = look(s);
    }
    return ok;
}

static bool look_at_tears(struct stroll *s, int inode)
{
    size_t sectors = s->platter.files[inode].dirty_count;
    size_t step = sectors / TEARS_MAX + 1;
    bool ok = true;

    for (size_t i = 0; ok && i < sectors; i += step)
        ok = look_at_tear(s, inode, 0, i, true) && look_at_tear(s, inode, i, sectors, true)
             && look_at_tear(s, inode, i, i + 1, false) && look_at_tear(s, inode, i, i + 1, true);
    return ok;
}

static void mix_file(struct stroll *s, int inode)
{
    const struct platter_file *f = &s->platter.files[inode];
    struct pick *k = &s->choice.picks[inode];

    k->version = pick_below(s, f->count);
    k->length = pick_below(s, 2) == 0 ? k->version : pick_below(s, f->count);
    if (pick_below(s, 2) == 0)
        return;
    pick_tear(k, f, k->version);
    for (size_t i = 0; i < f->dirty_count; i++)
        k->sector[i] = (uint16_t)pick_below(s, f->count);
    if (pick_below(s, 2) == 0)
        k->length = f->count - 1;
}

static bool look_at_mixture(struct stroll *s)
{
    choice_set(&s->choice, &s->platter, pick_below(s, 2) == 0);
    for (size_t i = 0; i < s->platter.pending_count; i++)
        if (pick_below(s, 2) == 0)
            s->choice.kept[i] = !s->choice.kept[i];
    for (int i = 0; i < s->platter.file_count; i++)
        if (is_unsynced(s, i) && pick_below(s, 3) != 0)
            mix_file(s, i);
    return look(s);
}

static bool look_at_all(struct stroll *s)
{
    const struct deed *last = &s->tape->deeds[s->platter.at - 1];
    bool ok = true;

    for (int keep = 0; ok && keep < 2; keep++) {
        choice_set(&s->choice, &s->platter, keep == 1);
        ok = look(s);
        for (size_t i = 0; i < s->platter.pending_count; i++) /* the names, without the data; or the data alone */
            s->choice.kept[i] = keep == 0;
        ok = ok && look(s);
    }
    ok = ok && look_at_each(s);
    if (ok && (last->type == DEED_WRITE || last->type == DEED_TRUNCATE) && is_unsynced(s, last->inode))
        ok = look_at_moments(s, last->inode) && look_at_tears(s, last->inode);
    for (unsigned n = 0; ok && n < s->w->mixtures; n++)
        ok = look_at_mixture(s);
    return ok;
}

/* ---- the tape ---- */

bool walk_tape(struct walk *w, const struct tape *t, unsigned depth)
{
    struct stroll s = { .w = w, .tape = t, .depth = depth, .random = w->seed * 2654435761u + depth * 97 + 1 };
    bool ok = true;

    platter_begin(&s.platter, t);
    promises_begin(&s.promises);
    while (ok && s.platter.at < t->count) {
        const struct deed *d = &t->deeds[s.platter.at];

        platter_step(&s.platter);
        if (d->type == DEED_MARK)
            promises_take(&s.promises, d->mark);
        w->deeds += depth == 0 ? 1 : 0;
        if (s.platter.at < t->count && t->deeds[s.platter.at].type == DEED_MARK)
            continue; /* the same disks, and more is promised of them in a moment */
        ok = look_at_all(&s);
    }
    promises_done(&s.promises);
    image_done(&s.image);
    choice_done(&s.choice);
    platter_end(&s.platter);
    return ok;
}

void walk_begin(struct walk *w)
{
    for (size_t i = 0; i <= WALK_DEPTH_MAX; i++)
        shelf_begin(&w->shelf[i]);
}

void walk_end(struct walk *w)
{
    for (size_t i = 0; i <= WALK_DEPTH_MAX; i++)
        shelf_end(&w->shelf[i]);
    hash_set_done(&w->distinct);
    hash_set_done(&w->looked);
}
