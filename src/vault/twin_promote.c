/*
 * A twin becomes a first machine (docs/twin.md, "Promotion").
 *
 * What could not be checked without the secret is checked now: HMACs of segment headers and markers. What is broken is
 * told and stays where it is; the way back to light does not depend on it.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "vault/scan.h"
#include "vault/twin_internal.h"

struct promotion {
    struct twin *t;
    struct twin_promotion *out;
    verify_report *report;
    void *context;
    struct writer clear;
};

static void find(struct promotion *p, const char *what, address where)
{
    char text[FINDING_MAX];

    (void)snprintf(text, sizeof text, "log/%08u.seg at %u: %s", address_segment(where), address_offset(where), what);
    p->out->findings++;
    p->report(p->context, text);
}

/* Which unit has the slot: the keyring's copy may be older than the entry. */
static bool learn_slot(struct promotion *p, const struct scan_item *item, struct error *err)
{
    struct store *s = p->t->store;
    struct record_keys keys;
    struct span unit, facts;
    struct error why = { 0 };
    bool ok = true;

    if (entry_open(s, &p->t->seal, &item->entry, item->bytes, &p->clear, &unit, &facts, &keys, &why)) {
        ok = keyring_assign(s->keyring, unit, item->entry.slot, err);
    } else {
        keyring_burn(s->keyring, item->entry.slot);
        if (why.code == ERR_DAMAGED)
            find(p, "an entry does not open", item->where);
    }
    seal_wipe(&keys, sizeof keys);
    return ok;
}

static bool walk(struct promotion *p, struct error *err)
{
    struct store *s = p->t->store;
    struct scan_item item;
    struct scan scan;
    bool ok;

    scan_init(&scan, s, 0, address_of(s->end.segment, s->end.offset));
    while ((ok = scan_next(&scan, &item, err)) && item.type != SCAN_END) {
        if (item.type == SCAN_ENTRY)
            ok = learn_slot(p, &item, err);
        else if (item.type == SCAN_GAP)
            find(p, "bytes that are no record of this vault", item.where);
        else if (item.type == SCAN_SEGMENT && item.broken)
            find(p, "the segment's head fails its check", item.where);
        if (!ok)
            break;
    }
    scan_done(&scan);
    return ok;
}

/* Everything that a restart of an ordinary vault looks for. The rename is the moment. */
static bool make_first(struct twin *t, struct error *err)
{
    struct store *s = t->store;

    return keyring_burn_ready(s->keyring, err) && confirm_write(s, err)
           && disk_rename(&s->disk, TWIN_NAME, PROMOTING_NAME, err) && disk_sync_dir(&s->disk, ".", err);
}

static void fill(const struct twin *t, struct twin_promotion *out)
{
    out->size = t->store->end.marker.size;
    out->written_us = t->store->end.marker.written_us;
    out->current_us = t->known.current_us;
}

/* What an interrupted one knew. */
static bool promote_again(const char *dir, const struct store_options *options, struct twin_promotion *out,
                          struct error *err)
{
    struct twin *t = twin_alloc(dir, options, err);
    bool ok = t != NULL && ledger_open(&t->store->ledger, &t->store->disk, true, err)
              && twin_state_read(t->store, PROMOTING_NAME, &t->known, err);

    if (ok)
        fill(t, out);
    twin_close(t);
    return ok;
}

bool twin_promote(const char *dir, const struct store_options *options, verify_report *report, void *context,
                  struct twin_promotion *out, struct error *err)
{
    struct twin_promotion found = { .findings = 0 };
    struct promotion p = { .out = &found, .report = report, .context = context };
    bool ok;

    if (twin_is_promoting(dir))
        return promote_again(dir, options, out, err);
    p.t = twin_open(dir, options, err);
    if (p.t == NULL)
        return false;
    p.clear = writer_new(FACTS_STORED_MAX);
    ok = p.t->unsealed || error_set(err, ERR_SEALED, "promotion needs the secret");
    ok = ok && twin_open_keyring(p.t, options->secret, false, err) && walk(&p, err);
    fill(p.t, &found);
    ok = ok && make_first(p.t, err);
    if (p.clear.ptr != NULL)
        seal_wipe(p.clear.ptr, p.clear.cap);
    writer_done(&p.clear);
    twin_close(p.t);
    if (ok)
        *out = found;
    return ok;
}

bool twin_promoted(const char *dir, const struct store_options *options, struct error *err)
{
    struct twin *t = twin_alloc(dir, options, err);
    bool ok = t != NULL && disk_unlink(&t->store->disk, PROMOTING_NAME, err)
              && disk_sync_dir(&t->store->disk, ".", err);

    twin_close(t);
    return ok;
}
