/*
 * The vault: the store and the views folded from it, behind calls that already know who asks.
 *
 * Used by the vault process (src/cmd/vault_role.c), which authenticates, calls and answers. Field lists in
 * and out are those of record/field.h; the queries are in docs/channel.md ("Finding").
 */
#ifndef FANAL_VAULT_VAULT_H
#define FANAL_VAULT_VAULT_H

#include "vault/retention.h"
#include "vault/store.h"

struct twin;

struct vault;

struct vault_options {
    struct store_options store;
    bool twin;            /* open a twin (vault/twin.h), read-only */
    const char *timezone; /* [site] timezone: for times sent without a zone */
};

bool vault_create(const char *dir, const struct vault_options *options, struct error *err);
/*
 * Opens store and views, catches up. Views that do not open, lie ahead of the store or were folded from another log
 * are made again. Views need the store's lock: ERR_USAGE for a read-only store.
 */
struct vault *vault_open(const char *dir, const struct vault_options *options, struct error *err);
void vault_close(struct vault *v);

struct store *vault_store(struct vault *v);
/* NULL where this is a first machine. On a twin nothing can be appended; vault_completed() sees what rounds brought. */
struct twin *vault_twin(struct vault *v);

/*
 * Appends through the store. Folding follows the commit on the vault's own thread.
 * For RECORD_DICOM with a body the caller has settled duplicates first: vault_same_uid().
 */
bool vault_append(struct vault *v, const struct append *a, uint64_t *position, struct error *err);

/*
 * As store_completed(), which the owner calls no more: also settles what vault_same_uid() calls pending, takes
 * committed rules into the accounts, and wakes folding.
 */
size_t vault_completed(struct vault *v, struct completion *out, size_t max);
/*
 * Opening the vault again would know more rules: one that could not be read when it was opened can be now, or one could not
 * be taken in for want of memory. Looks at one record. The owner's, now and then.
 */
bool vault_would_know_more(struct vault *v);

/*
 * What is stored or on its way under a SOP Instance UID. *first: position of the served version.
 * pending: one of them is appended and not committed yet (a resend waits for it: it may be the same).
 */
struct same_uid {
    bool found;
    bool pending;
    uint64_t first;
    uint64_t versions[16]; /* all versions, first included, at most 16 looked at */
    size_t version_count;
};
/* The owner's. ERR_BUSY while views are being made again: nothing can be said then. */
bool vault_same_uid(struct vault *v, struct span sop_uid, struct same_uid *out, struct error *err);

/*
 * Runs the named query (FIELD_QUERY and its parameters in request) once the views have reached every position
 * committed before the call; ERR_TIMEOUT after VAULT_WAIT_MS. row() gets one field list per row; false from it ends
 * the query early. Any one thread at a time per vault_reader.
 */
#define VAULT_WAIT_MS 10000
struct vault_reader;
struct vault_reader *vault_reader_new(struct vault *v, struct error *err);
void vault_reader_free(struct vault_reader *r);
typedef bool vault_row(void *context, struct span row);
bool vault_find(struct vault_reader *r, struct span request, vault_row *row, void *context, struct error *err);

/*
 * What was folded since last asked, for NEWS: called by the owner when vault_event_fd() is readable. Each news is
 * a field list (position, kind, patient_key, study_uid, series_uid). At most VAULT_NEWS_MAX wait; what came beyond
 * is one last news with its `count`.
 */
#define VAULT_NEWS_MAX 1000
int vault_event_fd(const struct vault *v);
void vault_news(struct vault *v, vault_row *news, void *context);

/* Throws the views of `dir` away and folds them again from the log. */
bool vault_rebuild(const char *dir, const struct vault_options *options, struct error *err);
/* Canonical dump of the views (every table, ordered, one line a row), the same whether folded or rebuilt. */
bool vault_dump(struct vault_reader *r, int fd, struct error *err);

/* ---- accounts (RECORD_RULE records, in memory) ---- */

struct account {
    char user[65];
    char display_name[129];
    char password_hash[129]; /* argon2id string of libsodium; empty: may not sign in */
    char role[17];           /* "physician", "admin", "dpo" */
    char password_by[65];    /* who gave it the password it has; "local": root or the owner, at the machine */
    uint64_t password_at;    /* position of the record that did, + 1 */
};

#define ROLE_PHYSICIAN "physician" /* reads what is kept */
#define ROLE_ADMIN     "admin"     /* the same, and accounts, rules and requests for erasure */
#define ROLE_DPO       "dpo"       /* requests and approves erasures, reads the journal; sees no patient's data */

/* ---- erasing (docs/erasure.md): requests, tombstones and holds, from the same records ---- */

struct erasure;
struct hold;

/* The n-th request or hold in log order, a copy whose lists live as long as the vault. False behind the last. */
bool vault_erasure_at(struct vault *v, size_t n, struct erasure *out);
bool vault_hold_at(struct vault *v, size_t n, struct hold *out);
/* The rules of retention in force, and what is asked for. Any thread. */
void vault_retention(struct vault *v, struct retention out[RETAINED_COUNT]);
/*
 * Its tombstone is committed: destroys the data keys of its units and makes the views again without them. Any thread but
 * the owner's; takes as long as folding the log. ERR_IO: opening the vault again does the rest.
 */
bool vault_erase(struct vault *v, const struct erasure *e, struct error *err);
/*
 * On a twin: tombstones came with the log. Destroys what they name and has the views made again, beside those that are read
 * meanwhile. Once they are, the twin is told how far it is. The owner's; vault_completed() does it, too. False with *err: tried again at the
 * next call, or when the vault is opened (ERR_SEALED: only then).
 */
bool vault_follow_erasures(struct vault *v, struct error *err);
/*
 * On a first: a twin of the configuration, named with every erasure that it has not said it has applied. Before it is
 * asked for erasures. ERR_LIMIT past 8.
 */
bool vault_list_twin(struct vault *v, const char *name, const char *certificate, struct error *err);
/*
 * The twin with that certificate says that it has applied every tombstone below `applied`: recorded where that is news of a
 * tombstone. *told: what was said before, kept by the caller for each twin, 0 at first. The owner's.
 */
bool vault_twin_says(struct vault *v, const char *name, const char *certificate, uint64_t applied, uint64_t now_us,
                     uint64_t *told, struct error *err);
/* What it said that is recorded; 0: nothing. */
uint64_t vault_twin_applied(struct vault *v, const char *certificate);

/* A copy of the keys of that name is declared. */
bool vault_has_copy(struct vault *v, struct span name);
/* Units whose key had to be erased again when the vault was opened: the keyring is older than a tombstone. */
uint64_t vault_reapplied(const struct vault *v);

/* False where there is none. */
bool vault_account(struct vault *v, struct span user, struct account *out);
size_t vault_account_count(const struct vault *v);
/* How many of that role may sign in. */
size_t vault_accounts_with_role(struct vault *v, const char *role);
/* The newest TLS key and certificate rule (PEM); false where there is none. */
bool vault_tls(struct vault *v, struct span *key, struct span *certificate);

/* ---- being a witness (docs/anchors.md) ---- */

/* What was cosigned last of the log of that origin; false (and 0 records) where nothing was. */
/* What was seen last is not known for sure (rules_witness_in_doubt()): vault_witness() refuses with ERR_BUSY. */
bool vault_witness_in_doubt(struct vault *v);
bool vault_witnessed(struct vault *v, struct span origin, uint64_t *size, uint8_t root[32]);
/*
 * Appends the rule that this much was seen of it. Once it is committed, vault_witnessed() says so and a cosignature may
 * leave. The owner's; one at a time: not before the last one's completion.
 */
bool vault_witness(struct vault *v, struct span origin, uint64_t size, const uint8_t root[32], uint64_t now_us, void *cookie,
                   uint64_t *position, struct error *err);

/* What the log says of the keyring: its newest rotation, and the back-ups of it (rules_keys.h). Any thread. */
struct keys_said;
void vault_keys_said(struct vault *v, struct keys_said *out);

#endif
