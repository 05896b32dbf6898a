/*
 * The store: an append-only encrypted log of entries, the bodies they name, the keyring that opens them
 * and the ledger that proves them (docs/format.md).
 *
 * Knows kinds, units and plaintext field lists, not what is in them: views.h reads those. One thread (the
 * owner) makes every call unless a function says otherwise; the store's own threads write and sync.
 */
#ifndef FANAL_VAULT_STORE_H
#define FANAL_VAULT_STORE_H

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/span.h"
#include "base/writer.h"
#include "record/kind.h"

struct store;
struct tuning;

/* How full files are sealed and all files scrubbed in the background (sealer.h). */
struct scrub_options {
    uint64_t rate;        /* bytes a second that scrubbing reads; 0: files are sealed, and mended when read, no more */
    uint64_t interval_us; /* from the beginning of one round to that of the next; 0: one after the other */
};

/* What a store is given from outside, so that a test can hold it. All borrowed. */
struct store_options {
    const struct clock *clock;
    const struct log *log;
    struct span secret;          /* passphrase or key file content; wiped by its owner after store_open() */
    bool read_only;              /* verify, list on a store that nobody serves: cuts nothing, writes nothing */
    uint64_t reserve_bytes;      /* free space that objects leave alone; 0: vault/space.h's default */
    unsigned lock_patience_ms;   /* how long another process may still have it open: one that was killed dies slowly */
    bool promoting;              /* a promotion that goes on: twin.h */
    bool restoring;              /* keys are being put back, by who holds the lock: store_backup.h */
    const struct tuning *tuning; /* vault/tuning.h, for tests; NULL: as a service has it */
    const struct scrub_options *scrub; /* NULL: no background: nothing is sealed, scrubbed or mended */
};

/* Makes the empty store `dir`/vault, or finishes making it. ERR_EXISTS where there is one. */
bool store_create(const char *dir, const struct store_options *options, struct error *err);

/*
 * Opens, recovers (cuts only behind the last confirmed marker, and appends an event that says what was cut).
 * ERR_NOT_FOUND where there is none, or one whose making was interrupted. ERR_SEALED for a wrong secret, ERR_BUSY where another process has it open for writing.
 */
struct store *store_open(const char *dir, const struct store_options *options, struct error *err);
void store_close(struct store *s); /* commits and confirms what is pending */

/* ---- bodies: encrypted chunk by chunk while they arrive, memory bounded ---- */

struct body;

#define BODY_BUFFERED_MAX ((size_t)2 * 1024 * 1024) /* larger bodies get a file of their own */
#define UNIT_TEXT_MAX     512

/* unit: the erasure unit ("study:<uid>", "results:<issuer>:<id>", "events:2026-11" …), fixes the data key. */
struct body *body_new(struct store *s, enum body_class body_class, struct span unit, struct error *err);
/* Copies bytes first (they may change under us), then encrypts and hashes. ERR_NO_SPACE, ERR_IO. */
bool body_add(struct body *b, struct span bytes, struct error *err);
uint64_t body_length(const struct body *b); /* plaintext bytes so far */
/* Plaintext of a body that is not appended yet, for comparing. As store_read_body. */
bool body_peek(struct body *b, uint64_t offset, uint8_t *out, size_t len, struct error *err);
void body_free(struct body *b); /* drops it and its file; NULL allowed */

/* ---- appending ---- */

struct append {
    enum record_kind kind;
    struct span unit;  /* of the facts; the same as the body's where there is one */
    struct span facts; /* field list, copied */
    struct body *body; /* NULL, or taken over (freed by the store, whatever the result) */
    uint64_t received_us;
    void *cookie; /* comes back with store_completed() */
};

/*
 * Adds an entry to the open batch and gives its position. It is committed later: store_completed() says so,
 * in log order. ERR_NO_SPACE, ERR_IO (after a failed sync everything is ERR_IO until the store is opened again).
 */
bool store_append(struct store *s, const struct append *a, uint64_t *position, struct error *err);

/* Starts a commit of the open batch unless one is running (then it follows at once). Called before waiting. */
void store_kick(struct store *s);

/* Readable when store_completed() has something to say, or a timer of the store's wants store_kick(). */
int store_event_fd(const struct store *s);

struct completion {
    uint64_t position;
    void *cookie;
    bool committed; /* false: failed, nothing of it is promised */
    enum error_code why; /* … ERR_NO_SPACE, ERR_MEMORY: the store goes on; ERR_IO: it has to be opened again */
};

/* Up to max completions, in log order. */
size_t store_completed(struct store *s, struct completion *out, size_t max);

/* Positions below this are committed. Any thread. */
uint64_t store_committed_size(const struct store *s);

/* ---- reading committed entries: any thread, at the same time ---- */

struct entry {
    uint64_t position;
    enum record_kind kind;
    uint64_t received_us;
    bool has_body;
    enum body_class body_class;
    uint64_t body_bytes; /* plaintext */
};

/*
 * Header and decrypted facts (appended to *facts). ERR_DAMAGED with what is wrong; ERR_NOT_FOUND past the end; ERR_ERASED
 * where its data key was destroyed.
 */
bool store_read_entry(struct store *s, uint64_t position, struct entry *out, struct writer *facts, struct error *err);

/* What the header alone says: also of a record that was erased. */
bool store_read_header(struct store *s, uint64_t position, struct entry *out, struct error *err);

/* Exactly len plaintext bytes from offset; tags checked. ERR_DAMAGED; ERR_NOT_FOUND without body or past its end. */
bool store_read_body(struct store *s, uint64_t position, uint64_t offset, uint8_t *out, size_t len, struct error *err);

/*
 * Walks the RECORD_RULE entries from the newest to the oldest along their authenticated chain (each names the one
 * before, the newest is named by every marker), so that accounts never depend on an index that can be changed.
 */
typedef bool rule_visit(void *context, const struct entry *e, struct span facts);
/*
 * Told of each record that is a rule, or may be one, and cannot be read: the walk goes on behind it. The one that the chain
 * names comes before those around it.
 */
typedef void rule_missed(void *context, uint64_t position);
/* missed: NULL allowed. False for a want (error_is_want()): nothing is passed over for one. */
bool store_walk_rules(struct store *s, rule_visit *visit, rule_missed *missed, void *context, struct error *err);
/* Whether a record that was missed can be read now. Counts as no damage met. Any thread. */
bool store_reads(struct store *s, uint64_t position);

/* 32 bytes derived from the root key for a named purpose ("views", "units" …). */
bool store_derive_key(struct store *s, const char *purpose, uint8_t out[32], struct error *err);

/* ---- erasing (docs/erasure.md) ---- */

struct slot_erasure; /* vault/keyring.h */

/* One record as its unit sees it. */
struct record_seen {
    uint64_t position;
    bool readable;       /* else only what the header says, and `why` */
    enum error_code why; /* ERR_ERASED, ERR_DAMAGED */
    struct entry entry;
    uint32_t slot;             /* of the keyring: 0 where not even the header can be read */
    char unit[UNIT_TEXT_MAX + 1];
};

/* As store_read_entry, and slot and unit; of a record that cannot be read, what its header says. Any thread. */
bool store_read_record(struct store *s, uint64_t position, struct record_seen *out, struct writer *facts,
                       struct error *err);

/* Every record from `from` up to `to`, readable or not. false from visit() ends the walk. Any thread. */
typedef bool store_visit(void *context, const struct record_seen *record, struct span facts);
bool store_walk(struct store *s, uint64_t from, uint64_t to, store_visit *visit, void *context, struct error *err);

/* The slot that records of the unit use now; false where it has none. Any thread. */
bool store_unit_slot(struct store *s, struct span unit, uint32_t *slot);
/* 16 bytes that stand for a text and say nothing without the keys: a unit's tag. Any thread. */
void store_tag(struct store *s, struct span text, uint8_t out[16]);

/*
 * From now on nothing new uses these slots: their units begin others, and what was on its way with them is not
 * appended (ERR_BUSY: it is to be sent again). The owner's.
 */
bool store_close_units(struct store *s, const struct slot_erasure *units, size_t count, struct error *err);
void store_reopen_units(struct store *s, const struct slot_erasure *units, size_t count);
/* Destroys their data keys: both copies are overwritten and synced before it returns. Any thread. */
bool store_erase_units(struct store *s, struct slot_erasure *units, size_t count, struct error *err);

/*
 * Removes the body files whose every entry has lost its data key, and their seals: of what is confirmed, never the file
 * that bodies are put into. Walks the log. Any thread but the owner's; ERR_IO, ERR_MEMORY: called again it does the rest.
 */
struct expired {
    uint64_t files, bytes;
};
bool store_remove_erased(struct store *s, struct expired *out, struct error *err);

/* The vault's directory and the calls that change it, for what else lies in it (views). Lives as long as the store. */
struct disk;
const struct disk *store_disk(const struct store *s);

/* ---- state, verify ---- */

struct store_status {
    uint64_t size;    /* committed entries */
    uint8_t root[32]; /* RFC 9162 root over them */
    uint64_t log_bytes, body_bytes;
    uint64_t free_bytes, total_bytes; /* of the file system */
    uint64_t reserve_bytes;           /* with fewer free bytes no object is taken … */
    uint64_t records_bytes;           /* … and with fewer than these no entry at all */
    uint64_t disk_bytes;              /* of all files of the vault, as last measured: log, bodies, views, ledger */
    uint64_t now_us;
    uint64_t damaged;    /* damaged entries seen since open */
    uint64_t commits, syncs;
    uint64_t data_files;       /* segments and body files … */
    uint64_t sealed_files;     /* … and how many have a seal */
    uint64_t seal_bytes;
    uint64_t scrub_ended_us;   /* the newest full round, µs since 1970; 0: none yet */
    uint64_t repaired_sectors; /* since open, … */
    uint64_t damaged_files;    /* … and files with damage that could not be repaired */
};
void store_status(struct store *s, struct store_status *out);
/* Adds up disk_bytes again: reads directories, so it may take a while. Any thread. */
void store_measure(struct store *s);

#define STORE_EVENT_FILE_MAX 80u

/*
 * What the background did, to be recorded by the owner: `event` and `outcome` are words of ours, detail names files;
 * file: the one that was found damaged or was repaired (FIELD_FILE), or empty.
 */
struct store_event {
    const char *event;
    const char *outcome;
    char file[STORE_EVENT_FILE_MAX + 1];
    char detail[200];
};
/* The next that was not taken yet; store_event_fd() says when to ask. */
bool store_next_event(struct store *s, struct store_event *out);

/* One finding of a verify: a sentence without patient data that names record, or file and offset. */
typedef void verify_report(void *context, const char *finding);

/*
 * Reads everything up to the committed size: framing, tags, hashes, leaves, markers, checkpoint, keyring copies,
 * bodies. Changes nothing. Any thread. *findings counts what was reported. False only where it could not run.
 */
bool store_verify(struct store *s, verify_report *report, void *context, uint64_t *findings, struct error *err);

struct store_verified {
    uint64_t findings; /* what was reported */
    uint64_t erased;   /* records without a key: all but their contents was verified. No finding */
};
/* The same, and counts what was erased. *out is set where it returns true. */
bool store_verify_counted(struct store *s, verify_report *report, void *context, struct store_verified *out,
                          struct error *err);

struct store_repair {
    uint64_t sectors;  /* of 512 bytes: written back */
    uint64_t seals;    /* made again, or taken from the copy */
    uint64_t lost;     /* sectors that stay damaged */
};

/*
 * Repairs everything that can be repaired now, at full speed, and seals what is full. copy: NULL, or the directory `vault`
 * of another copy (a twin, a back-up) to take lost sectors from: believed only where checksum and signed hash fit. Any
 * thread; the background waits meanwhile. False only where it could not run.
 */
bool store_repair(struct store *s, const char *copy, verify_report *report, void *context, struct store_repair *out,
                  struct error *err);

#endif
