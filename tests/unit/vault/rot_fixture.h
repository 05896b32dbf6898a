/*
 * A small store whose files are full, what to do to them, and whether they are as they were made.
 */
#ifndef FANAL_ROT_FIXTURE_H
#define FANAL_ROT_FIXTURE_H

#include "store_test.h"

#define ROT_FILES       3 /* looked at: a log segment, a shared body file, a large body */
#define ROT_RECORDS_MAX 2000

struct rot_record {
    uint64_t position;
    unsigned seed;
    size_t len;
};

struct rot {
    char dir[TEST_DIR_SIZE], copy_dir[TEST_DIR_SIZE], copy[TEST_DIR_SIZE + 8];
    struct tuning tuning;
    struct file_ops files_failing;
    struct store *store;
    char files[ROT_FILES][80];
    uint8_t *made[ROT_FILES]; /* the files' bytes */
    size_t made_len[ROT_FILES];
    struct rot_record records[ROT_RECORDS_MAX];
    size_t record_count;
    struct store_repair done;
    long calls_left; /* file calls until one fails with fail_with; 0: none fails */
    int fail_with;
    char said[400000]; /* by the last verify */
    size_t said_len;
    uint64_t named;  /* records that it named */
};

void rot_make(struct rot *r);
void rot_done(struct rot *r);
void rot_reopen(struct rot *r);

bool rot_repair(struct rot *r, const char *copy); /* false: it could not run */
uint64_t rot_verify(struct rot *r);               /* findings */
uint64_t rot_all_serve(struct rot *r);            /* records that do not; aborts where one serves other bytes */
bool rot_is_as_made(struct rot *r, const char *name);
bool rot_reseal(struct rot *r, const char *name); /* from nothing */
/* Whether store_repair() ran, while the n-th call that changes the disk fails, and those after it. */
bool rot_repair_failing(struct rot *r, long n, int error);

bool rot_exists(struct rot *r, const char *name, const char *suffix);
uint64_t rot_size(struct rot *r, const char *name);
uint64_t rot_size_of(struct rot *r, const char *name, const char *suffix);
uint64_t rot_blocks(struct rot *r, const char *name); /* of the tables of its seal */

void rot_destroy(struct rot *r, const char *name, const char *suffix, unsigned per_cent); /* sectors, at random */
void rot_zero(struct rot *r, const char *name, uint64_t from, uint64_t len);
void rot_zero_of(struct rot *r, const char *name, const char *suffix, uint64_t from, uint64_t len);
void rot_flip(struct rot *r, const char *name, const char *suffix, uint64_t at);
void rot_cut(struct rot *r, const char *name, const char *suffix, uint64_t len);
void rot_append(struct rot *r, const char *name, size_t len);
void rot_drop(struct rot *r, const char *name, const char *suffix);
void rot_restore(struct rot *r, const char *name);
/* Another sector, and its CRC in both copies of the tables, block checksums included. */
void rot_forge(struct rot *r, const char *name, uint64_t sector);
void rot_copy(struct rot *r);
void rot_copy_destroy(struct rot *r, const char *name, unsigned per_cent);

#endif
