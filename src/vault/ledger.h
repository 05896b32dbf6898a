/*
 * The ledger: leaf hashes of all entries as a tree, as C2SP tiles, and the index from position to address.
 *
 * What is committed is appended in memory; ledger_flush() writes full tiles and index, from where the confirm files
 * take over (docs/format.md, "Ledger"). The commit thread appends and flushes; ledger_address() is for any thread.
 */
#ifndef FANAL_VAULT_LEDGER_H
#define FANAL_VAULT_LEDGER_H

#include <pthread.h>

#include "base/reader.h"
#include "vault/disk.h"
#include "vault/format.h"

#define TILE_HASHES 256u
#define TILE_LEVELS 5u /* 256^5 entries */

struct tile_edge {
    uint32_t count; /* < TILE_HASHES */
    struct hash hashes[TILE_HASHES];
};

struct full_tile;

struct ledger {
    const struct disk *disk;
    struct merkle tree;
    struct tile_edge levels[TILE_LEVELS];
    struct full_tile *full; /* waiting to be written; owned */
    size_t full_count, full_cap;
    bool keep_tiles; /* false: nothing will be written (read only) */
    int index_fd;
    pthread_mutex_t lock; /* the rest */
    uint64_t indexed;     /* positions that the index file holds */
    address *tail;        /* of the positions behind; owned */
    size_t tail_count, tail_cap;
};

/* Empty, or as a confirm file has it (ledger_load). The index file is opened; it may be missing or short. */
bool ledger_open(struct ledger *l, const struct disk *d, bool read_only, struct error *err);
void ledger_close(struct ledger *l);

/* Room for n more entries, so that appending them cannot fail for memory. */
bool ledger_reserve(struct ledger *l, size_t n, struct error *err);
bool ledger_append(struct ledger *l, struct seal *s, const struct hash *leaf, address where, struct error *err);

/* Writes full tiles and index of everything appended, synced. */
bool ledger_flush(struct ledger *l, struct error *err);
/* Where a ledger that was flushed stands, to go back there. Owned by the caller (free()). ERR_MEMORY. */
struct ledger_mark *ledger_mark_new(const struct ledger *l, struct error *err);
/* Forgets what was appended and flushed since; what the files hold behind it is written over by what comes. */
void ledger_go_back(struct ledger *l, const struct ledger_mark *m);
bool ledger_wants_flush(const struct ledger *l); /* while recovery appends very much */

/* The edge for a confirm file, and back. */
void ledger_save(const struct ledger *l, struct writer *w);
bool ledger_load(struct ledger *l, struct reader *r, uint64_t size, struct error *err);

/* 0 where the index does not know. A wrong one is noticed by who reads the entry. ERR_MEMORY. */
bool ledger_find(struct ledger *l, uint64_t position, address *out, struct error *err);
/* The same; 0 for a want of memory, too. */
address ledger_address(struct ledger *l, uint64_t position);
/* Positions that the index file holds. Any thread. */
uint64_t ledger_indexed(struct ledger *l);
uint64_t ledger_size_of_index_file(const struct ledger *l);

#define TILE_NAME_MAX 96
void tile_name(unsigned level, uint64_t number, char out[TILE_NAME_MAX]);
/* ERR_DAMAGED where it is missing or not a full tile; another code where nobody knows (no memory, no descriptor). */
bool tile_read(const struct disk *d, unsigned level, uint64_t number, struct hash out[TILE_HASHES], struct error *err);
bool tile_write(const struct disk *d, unsigned level, uint64_t number, const struct hash hashes[TILE_HASHES],
                struct error *err);

#endif
