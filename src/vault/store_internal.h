/*
 * What the files of the store share: its struct, a commit's batch, and who may touch what.
 *
 * Threads: the owner appends; the commit thread writes, syncs, confirms; the sync thread syncs body files beside it;
 * readers read what is committed. `lock` guards what the owner and the commit thread share; what the commit thread
 * alone touches needs none; readers use the atomics, the ledger and the keyring, which guard themselves.
 */
#ifndef FANAL_VAULT_STORE_INTERNAL_H
#define FANAL_VAULT_STORE_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "vault/disk.h"
#include "vault/hasher.h"
#include "vault/keyring.h"
#include "vault/ledger.h"
#include "vault/space.h"
#include "vault/store.h"
#include "vault/tuning.h"

#define BATCH_LOG_BYTES_MAX ((size_t)32 << 20) /* entries of a commit: keeps offsets in a segment far below 2^32 */
#define BATCH_BODY_BYTES_MAX ((size_t)32 << 20)   /* bodies that wait in memory; then an append waits for the disk */
#define CONFIRM_IDLE_MS      50u                  /* quiet after which a commit is confirmed; the promise is 100 */
#define CONFIRM_RETRY_MS     2000u                /* after one that found no space: nothing promised depends on it */
#define CONFIRM_BYTES_MAX    ((size_t)64 << 10)
#define CUT_SAVED_BYTES_MAX  ((uint64_t)64 << 20)
#define SEGMENTS_MAX         65536u
#define START_FINDINGS_MAX   32u
#define FINDING_MAX          200u

/* Memory kept of buffered bodies that are done: growing it anew costs a copy and a page fault for every 4 KiB. */
#define BODY_SPARES_MAX 16

struct body {
    struct store *store;
    enum body_class body_class;
    uint32_t slot;
    uint8_t salt[32];
    struct record_keys keys;
    struct merkle tree; /* over the stored chunks that are hashed; the hasher's while `hashing` */
    uint64_t sealed, hashed; /* bytes of ciphertext; guarded by the hasher's lock, as what follows */
    bool hashing;
    struct body *hash_next;
    struct error hash_error;
    uint32_t chunks;    /* sealed */
    uint8_t *scratch;   /* CHUNK_BYTES: the chunk that is being filled, in clear; wiped */
    size_t scratch_len;
    uint64_t bytes;       /* plaintext */
    struct writer stored; /* ciphertext from stored_from on */
    uint64_t stored_from; /* what lies before it is in the file */
    bool large;
    int fd; /* where large */
    uint8_t name[LARGE_NAME_BYTES];
    bool failed; /* a chunk is missing: only body_free() is left */
};

/* Gives the spares back. */
void body_spares_done(struct store *s);

/* The ciphertext of a finished body that is not large, filled up with zeros to where the next one may begin. */
struct iovec body_piece(struct body *b);

/* Seals the last chunk. The owner's. */
bool body_finish(struct body *b, struct error *err);

/* Waits until a finished body is hashed. `seal` is the calling thread's. */
bool body_root(struct body *b, struct seal *seal, struct hash *root, struct error *err);

struct batch_item {
    uint64_t position;
    void *cookie;
    uint32_t offset;  /* of the entry in the batch's log bytes */
    uint32_t facts;   /* bytes of facts in clear behind the entry's header; 0: the entry is sealed */
    struct body *body;
    struct body_file place; /* of a shared body */
};

/* The entries of one commit. Filled by the owner under the lock, then the commit thread's, then read for completions.
 */
struct batch {
    struct batch *next;
    struct writer log; /* entries, then the marker */
    size_t count;
    size_t body_bytes;
    size_t waiting; /* bytes of bodies and entries that were granted (space.h) and are not written yet */
    uint64_t newest_rule;
    struct body_file in_use[BODY_CLASS_COUNT]; /* once this is written */
    bool committed;
    enum error_code why; /* where it is not */
    size_t completed; /* items already told */
    /* `count` of each; not cleared for the next commit */
    struct batch_item items[COMMIT_ENTRIES_MAX];
    struct hash leaves[COMMIT_ENTRIES_MAX];
};

/* The end of what is committed. The commit thread's. */
struct log_end {
    struct marker marker;
    struct hash marker_hash;
    uint32_t segment;
    uint32_t offset;
};

struct open_file {
    int fd;
    uint32_t number;
};

/* What the owner fills ahead of the commits: reset to the committed end when one is undone. Under lock. */
struct plan {
    uint64_t position;
    uint64_t newest_rule;
    struct body_file in_use[BODY_CLASS_COUNT];
    uint32_t next_number;
};

struct store {
    const struct clock *clock;
    const struct log *log;
    bool read_only;
    bool twin; /* what it holds comes from a first machine (twin.h); read_only, too */
    struct tuning tuning;
    struct disk disk;
    struct space space;
    uint64_t reserve_bytes;      /* as configured */
    _Atomic uint64_t disk_bytes; /* as last measured */
    int lock_fd;
    struct seal_suite suite;
    struct keyring *keyring;
    struct ledger ledger;

    /* the owner's */
    struct seal owner_seal;
    struct writer facts; /* scratch: envelope and facts in clear */

    pthread_mutex_t lock;
    pthread_cond_t work; /* to the commit thread */
    pthread_cond_t room; /* from it */
    struct batch *open;  /* being filled, or NULL */
    bool kicked;
    struct batch *done, *done_last; /* to be told */
    struct batch *spare_batch;      /* emptied, for the next commit: a new one costs a page fault for every 4 KiB */
    struct plan plan;
    bool stop;
    bool want_growth;
    bool want_confirm; /* a copy of what it writes has rotted */
    enum error_code latched; /* after it nothing is acknowledged */
    struct error growth_error;

    struct hasher hasher;
    pthread_mutex_t spares_lock; /* bodies are made by the owner and freed by the commit thread */
    struct writer spares[BODY_SPARES_MAX]; /* emptied memory of bodies, for the next ones */
    size_t spare_count;

    /* the commit thread's */
    pthread_t commit_thread, sync_thread;
    bool threads;
    struct seal commit_seal;
    struct log_end end;
    int log_fd;
    struct open_file body_out[BODY_CLASS_COUNT];
    uint64_t confirmed_commit;
    uint64_t entries_since_confirm;
    uint64_t confirm_sequence;
    struct writer large_names; /* LARGE_NAME_BYTES each: bodies to be renamed at the next confirm */
    bool unconfirmed;
    bool postponed; /* the last confirm found no space */

    /* between commit and sync thread */
    pthread_mutex_t sync_lock;
    pthread_cond_t sync_work, sync_done;
    struct batch *sync_batch;
    bool sync_ok, sync_stop;
    struct error sync_error;

    pthread_mutex_t
        confirm_lock; /* keyring copies, confirm files, checkpoint, ledger files are at rest while it is held */

    struct sealer *sealer;      /* sealer.h; NULL where nobody seals; the owner's, for others under sealer_lock */
    pthread_mutex_t sealer_lock;
    pthread_mutex_t mend_lock;  /* one reader at a time solves a damaged group … */
    struct mender *readers_mender; /* … with this; NULL until one met damage */
    _Atomic uint32_t confirmed_segment; /* what a confirm file vouches for */
    _Atomic uint64_t confirmed_size;
    _Atomic uint64_t data_files, seals, seal_bytes, scrub_ended_us, repaired_sectors, damaged_files;

    int event_fd;
    _Atomic uint64_t size;        /* committed */
    _Atomic uint64_t newest_rule; /* committed, + 1 */
    _Atomic uint64_t damaged, commits, syncs;
    _Atomic uint64_t log_bytes, body_bytes;
    struct hash root;    /* under lock */
    struct log_end told; /* end as the owner was told; under lock */
    pthread_mutex_t segment_lock;
    int *segment_fds; /* for reading, by number; -1 until wanted; under segment_lock */
    size_t segment_fd_count;

    char start_findings[START_FINDINGS_MAX][FINDING_MAX]; /* what was wrong at the start, for verify */
    size_t start_finding_count;
    struct writer start_events; /* field lists to be recorded once the threads run: length (4), list */
};

/* ---- store.c ---- */
struct store *store_alloc(const char *dir, const struct store_options *o, struct error *err);
bool store_make_dirs(struct store *s, struct error *err);
/* The files of dir/vault, through the calls of t. */
bool store_files(struct disk *d, const struct tuning *t, const char *dir, struct error *err);
/* Until *fd (the caller's to close) is closed; ERR_BUSY. */
bool store_lock(const struct disk *d, bool shared, unsigned patience_ms, int *fd, struct error *err);
void store_add_up(struct store *s); /* bytes of all files, for the status */

/* ---- store.c, with the lock held ---- */
/* An empty batch; NULL without memory. */
struct batch *batch_new(struct store *s);
/* Drops its bodies, and wipes facts that were never sealed. */
void batch_release(struct batch *b);
/* The same; keeps its memory for the next one. NULL allowed. */
void batch_done(struct store *s, struct batch *b);

/* ---- append.c ---- */
/* Encrypts the facts (in clear; they may lie where they go) into the entry behind its encoded header. */
bool entry_seal(struct seal *seal, const struct record_keys *keys, struct span entry, struct span facts,
                struct hash *leaf, struct error *err);

/* ---- commit.c ---- */
bool commit_start(struct store *s, struct error *err);
void commit_stop(struct store *s); /* commits and confirms what is pending, ends the threads */
/* Begins a segment as log_fd. ERR_EXISTS where a file of that number holds more than a header: nothing is written then. */
bool segment_create(struct store *s, uint32_t number, uint64_t first_position, const struct hash *previous,
                    struct error *err);
bool sync_error_latches(struct store *s, const struct error *err);
bool store_has_failed(struct store *s); /* latched; takes the lock */
/* Waits until the keyring has a ready slot for the unit. The owner's. */
bool slot_for_unit(struct store *s, struct span unit, uint32_t *slot, struct error *err);

/* ---- confirm.c ---- */
bool confirm_write(struct store *s, struct error *err);
/* Best of the two copies into s->end and s->ledger; not *found (and an empty ledger) without one. False: ERR_MEMORY. */
bool confirm_read(struct store *s, bool *found, struct error *err);
/* The confirmed tree: its edge and unfinished tiles into *out, which opens nothing. Any thread. */
bool confirm_snapshot(struct store *s, struct ledger *out, struct error *err);
/* The newest whole copy's edge of the tree, into a ledger of zeros that nobody opens. ERR_DAMAGED, ERR_MEMORY. */
bool confirm_edge(struct store *s, struct ledger *out, struct error *err);
/* False where it could not be found out: ERR_MEMORY. */
bool confirm_check(struct store *s, verify_report *report, void *context, uint64_t *findings, struct error *err);
/* The checkpoint's signed note for a tree. */
bool checkpoint_note(struct store *s, struct seal *seal, uint64_t size, const struct hash *root, struct writer *w,
                     struct error *err);
/* The signed note that ends an evidence pack (docs/evidence.md, "SIGN"). */
bool evidence_note(struct store *s, struct seal *seal, const struct hash *digest, struct writer *w, struct error *err);
/*
 * *whole, with the size and root that the checkpoint file claims: it is a note of ours to the last bit. False where that
 * could not be found out: ERR_MEMORY.
 */
bool checkpoint_read(struct store *s, struct seal *seal, bool *whole, uint64_t *size, struct hash *root,
                     struct error *err);

/* ---- segment.c ---- */
/* Whole stored bytes: ERR_DAMAGED where the disk does not give them or the file ends; a want as it is. */
bool stored_read(int fd, uint8_t *out, size_t len, uint64_t offset, struct error *err);
/* A descriptor of the segment, owned by the store; -1: ERR_DAMAGED where it is missing, another code as of error_is_want(). */
int segment_fd(struct store *s, uint32_t number, struct error *err);
uint32_t segment_count(struct store *s);
/* The number behind the last segment that is there without a gap from `first` on. */
uint32_t segments_from(struct store *s, uint32_t first);
bool segment_size(struct store *s, uint32_t number, uint64_t *out, struct error *err); /* 0 where it is missing */
/* ---- read.c ---- */
/* Reads and checks the entry at `where`; position UINT64_MAX: any. *entry gets all its bytes (replacing what it held).
 */
bool entry_at(struct store *s, address where, uint64_t position, struct entry_header *h, struct writer *entry,
              struct error *err);
/* The entry of a position, wherever it is: by the index, else by its neighbour; solved from parity where it is damaged. */
bool entry_find(struct store *s, uint64_t position, struct entry_header *h, struct writer *entry, struct error *err);
/* Keys of an entry, commitment checked; unit and facts (borrowed from *clear). The caller wipes keys. */
bool entry_open(struct store *s, struct seal *seal, const struct entry_header *h, struct span entry,
                struct writer *clear, struct span *unit, struct span *facts, struct record_keys *keys,
                struct error *err);
/* The file of an entry's body, for reading; its stored bytes begin at *from. */
int body_open(struct store *s, const struct entry_header *h, uint64_t *from, struct error *err);
/* The root over the stored chunks; with keys also the tags. What cannot be read is ERR_DAMAGED … */
bool body_check(struct store *s, struct seal *seal, const struct entry_header *h, const struct record_keys *keys,
                struct error *err);
/* … but here ERR_IO: for who would cut what is damaged. Without tags. */
bool body_check_strictly(struct store *s, struct seal *seal, const struct entry_header *h, struct error *err);

/* ---- settle.c ---- */
/* The log from a segment on. */
bool settle_log(struct store *s, uint32_t from, struct error *err);
/* The body of an entry; *files remembers what is settled already. */
struct settled {
    uint32_t number[BODY_CLASS_COUNT]; /* of shared body files */
    bool large_names;
};
bool settle_body(struct store *s, const struct entry_header *h, struct settled *files, struct error *err);

/* The root alone, at a pace: called with the bytes that were read; false from it ends the check (ERR_BUSY). */
typedef bool body_pace(void *context, uint64_t bytes);
bool body_check_paced(struct store *s, struct seal *seal, const struct entry_header *h, body_pace *pace,
                      void *pace_context, struct error *err);
/* The root alone, over a file that is open; its stored bytes begin at `from`. */
bool body_check_at(struct seal *seal, const struct entry_header *h, int fd, uint64_t from, struct error *err);

/* ---- verify_seals.c ---- */
/* Seals against their files, and what should have one and has none. */
bool verify_seals(struct store *s, verify_report *report, void *context, uint64_t *findings, struct error *err);

/* ---- recover.c ---- */
bool recover(struct store *s, struct error *err);
/* ---- recover_cut.c ---- */
/* Cuts what lies behind s->end; keep_parts: the log is broken, so large bodies that no entry names stay. */
bool recovery_cut(struct store *s, bool keep_parts, struct error *err);
/* ---- recover.c ---- */
/* Remembers what was wrong at the start. */
void start_finding(struct store *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
void start_event(struct store *s, const char *event, const char *file, const char *detail);
/* Appends and commits them. The owner's. */
bool start_events_record(struct store *s, struct error *err);

#endif
