/*
 * Goes through the disks that power cuts may leave of a tape, and holds the store on each to what was said.
 *
 * After every deed: nothing and everything of what is not synced; each thing alone, and all but it; each file at each
 * moment since its last sync; the last write torn at its sectors, lengths without their data; and random mixtures. On
 * some of these disks a second tape is made of the recovery, and cut in turn, and once more on some of those.
 */
#ifndef FANAL_TORTURE_WALK_H
#define FANAL_TORTURE_WALK_H

#include "hash_set.h"
#include "judge.h"
#include "scene.h"
#include "shelf.h"

#define WALK_DEPTH_MAX 2

struct walk {
    const struct scenario *scenario;
    uint64_t seed;
    unsigned worker, workers; /* this one looks at the disks whose hash falls to it */
    bool counting;            /* nothing is looked at: only how often it would be */
    uint64_t looks;
    unsigned long per_million; /* … of so many of a million looks, chosen at random */
    unsigned torn;            /* of so many torn ones, one; 0: each */
    unsigned mixtures;        /* random ones after each deed */
    unsigned nested;          /* of so many disks looked at, one is opened and cut again; 0: none */
    struct hash_set distinct; /* disks looked at */
    struct hash_set looked;   /* … and what was promised then */
    uint64_t judged;
    uint64_t deeds;
    uint64_t cut_again;
    bool failed;
    struct shelf shelf[WALK_DEPTH_MAX + 1];
};

void walk_begin(struct walk *w);
void walk_end(struct walk *w);
/* False, with words on stdout, on the first disk that breaks a promise. */
bool walk_tape(struct walk *w, const struct tape *t, unsigned depth);

#endif
