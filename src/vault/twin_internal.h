/*
 * What the files of the twin share: its state on disk (twin_state.c), a round under way (twin_round.c, twin_body.c).
 */
#ifndef FANAL_VAULT_TWIN_INTERNAL_H
#define FANAL_VAULT_TWIN_INTERNAL_H

#include "vault/store_internal.h"
#include "vault/twin.h"

#define TWIN_NAME      "twin"
#define PROMOTING_NAME "promoting"
/* Idle rounds write their time at most that often. */
#define TWIN_IDLE_SAVE_US UINT64_C(5000000)
/* A segment of the first's log: at most 1 GiB and a commit. Offsets in it stay far below 2^32, whatever comes. */
#define TWIN_SEGMENT_BYTES_MAX ((uint32_t)INT32_MAX)

/* What vault/twin says beside log end and ledger. */
struct twin_known {
    uint8_t vault_id[VAULT_ID_BYTES];
    uint8_t public_key[FOLLOW_PUBLIC_KEY_BYTES];
    uint64_t round_us, current_us;
    uint64_t applied; /* tombstones below this position are applied */
    uint32_t keyring_slots, keyrings_kept, missing;
    uint8_t keyring_digest[HASH_BYTES];
};

struct twin {
    struct store *store; /* owned */
    struct seal seal;    /* of the thread that pulls */
    bool unsealed;
    pthread_mutex_t lock; /* known, as figures show it, and what else others say and ask */
    struct twin_known known;
    uint64_t erased;      /* as twin_erased() said; a round takes it into known */
    bool keyring_changed; /* since it was opened */
    int former[2];        /* the keyring that it has open, where another took its place on the disk; or -1 */
    uint64_t saved_us; /* when vault/twin was written */
};

/* Bytes of the log that came and are not taken in: of one segment, from `from` on. */
struct twin_window {
    struct writer bytes;
    uint32_t segment, from;
    bool ended; /* the source has no more of this segment */
};

struct twin_leaf {
    struct hash leaf;
    address where;
};

struct twin_round {
    struct twin *t;
    const struct twin_source *source;
    struct follow_head head;
    struct hash root; /* of the head, signed */
    struct twin_known known;
    struct log_end end; /* as it will be */
    struct merkle tree;
    struct twin_window window;
    struct twin_leaf *leaves; /* owned */
    size_t leaf_count, leaf_cap;
    struct body_file files[BODY_CLASS_COUNT];
    struct open_file body_out[BODY_CLASS_COUNT];
    uint64_t fetched[BODY_CLASS_COUNT]; /* bytes that the file in use has, those of later bodies included */
    uint64_t ended[BODY_CLASS_COUNT];   /* where the file before it ends */
    bool body_new[BODY_CLASS_COUNT]; /* a file was made in its directory */
    int log_fd;
    bool log_new;
    struct writer large; /* names to be given */
    bool large_there;    /* one had its name already; whether that is durable, nobody knows */
    uint64_t log_bytes, body_bytes; /* written */
    uint64_t new_files;
    uint8_t *piece; /* TWIN_READ_MAX; owned */
};

/* ---- twin_state.c ---- */
bool twin_state_write(struct twin *t, const struct twin_known *known, const struct log_end *end, struct error *err);
bool twin_state_read(struct store *s, const char *name, struct twin_known *known, struct error *err);

/* ---- twin.c ---- */
/* The keyring's signing key is that of the checkpoints that were followed. */
bool twin_key_is_pinned(struct twin *t, struct error *err);
bool twin_open_keyring(struct twin *t, struct span secret, bool read_only, struct error *err);
struct twin *twin_alloc(const char *dir, const struct store_options *options, struct error *err);

/* ---- twin_keyring.c ---- */
/* Slots beyond ours, or a whole keyring where the header is another. Into r->known. */
bool twin_take_keyring(struct twin_round *r, struct error *err);

/* ---- twin_body.c ---- */
/* The stored body of an entry that is not the twin's yet; checked. */
bool twin_take_body(struct twin_round *r, const struct entry_header *h, struct error *err);
/* What a marker says of a body file and no entry has brought. */
bool twin_take_rest(struct twin_round *r, enum body_class c, const struct body_file *want, struct error *err);
/* Syncs what was written, gives large bodies their names. */
bool twin_sync_bodies(struct twin_round *r, struct error *err);
void twin_close_bodies(struct twin_round *r);

/* ---- twin_commit.c ---- */
/* The next commit of the log, or the head of the next segment. *end: the source has no more. */
bool twin_take_commit(struct twin_round *r, struct error *err);

#endif
