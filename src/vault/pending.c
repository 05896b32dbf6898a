/* UIDs on their way. See pending.h. */
#include "vault/pending.h"

#include <stdlib.h>

#define BUCKETS 1024 /* what a few seconds of folding may lie behind */

struct waiting {
    struct waiting *later;  /* in log order */
    struct waiting *chain;  /* of its bucket, oldest first */
    uint64_t position;
    bool committed;
    size_t len;
    uint8_t uid[];
};

struct pending {
    struct waiting *oldest, *newest;
    struct waiting *unsettled; /* the oldest that is not committed */
    struct waiting *buckets[BUCKETS];
};

struct pending *pending_new(void)
{
    return calloc(1, sizeof(struct pending));
}

void pending_free(struct pending *p)
{
    if (p == NULL)
        return;
    for (struct waiting *w = p->oldest, *next; w != NULL; w = next) {
        next = w->later;
        free(w);
    }
    free(p);
}

/* FNV-1a: UIDs of one sender share long prefixes. */
static size_t bucket_of(struct span uid)
{
    uint64_t h = 14695981039346656037u;

    for (size_t i = 0; i < uid.len; i++)
        h = (h ^ uid.ptr[i]) * 1099511628211u;
    return (size_t)(h ^ h >> 32) % BUCKETS;
}

static struct span uid_of(const struct waiting *w)
{
    return span_of(w->uid, w->len);
}

bool pending_add(struct pending *p, struct span sop_uid, uint64_t position)
{
    struct waiting *w, **last = &p->buckets[bucket_of(sop_uid)];
    size_t bytes;

    if (!size_add(sizeof *w, sop_uid.len, &bytes) || (w = malloc(bytes)) == NULL)
        return false;
    *w = (struct waiting){ .position = position, .len = sop_uid.len };
    if (sop_uid.len > 0)
        memcpy(w->uid, sop_uid.ptr, sop_uid.len);
    while (*last != NULL)
        last = &(*last)->chain;
    *last = w;
    if (p->newest != NULL)
        p->newest->later = w;
    else
        p->oldest = w;
    p->newest = w;
    if (p->unsettled == NULL)
        p->unsettled = w;
    return true;
}

static void forget(struct pending *p, struct waiting *w)
{
    struct waiting **at = &p->buckets[bucket_of(uid_of(w))];

    while (*at != w)
        at = &(*at)->chain;
    *at = w->chain;
    if (p->oldest == w) {
        p->oldest = w->later;
        if (p->newest == w)
            p->newest = NULL;
    } else {
        struct waiting *before = p->oldest;

        while (before->later != w)
            before = before->later;
        before->later = w->later;
        if (p->newest == w)
            p->newest = before;
    }
    free(w);
}

void pending_settle(struct pending *p, uint64_t position, bool committed)
{
    struct waiting *w = p->unsettled;

    if (w == NULL || w->position != position)
        return; /* an entry without a UID */
    p->unsettled = w->later;
    w->committed = committed;
    if (!committed)
        forget(p, w);
}

void pending_prune(struct pending *p, uint64_t folded)
{
    while (p->oldest != NULL && p->oldest->committed && p->oldest->position < folded)
        forget(p, p->oldest);
}

void pending_find(const struct pending *p, struct span sop_uid, pending_found *found, void *context)
{
    for (const struct waiting *w = p->buckets[bucket_of(sop_uid)]; w != NULL; w = w->chain)
        if (span_equal(uid_of(w), sop_uid))
            found(context, w->position, w->committed);
}
