/*
 * Copies of the vault's keys, and how far each has applied the log's tombstones (docs/erasure.md, "Copies"): back-ups of
 * files that people declare, back-ups of the keyring that expire by themselves. RECORD_RULE facts, folded at each start;
 * part of the rules, whoever holds them holds their lock.
 */
#ifndef FANAL_VAULT_COPIES_H
#define FANAL_VAULT_COPIES_H

#include "base/writer.h"

#define COPIES_MAX     1000 /* declared and not removed; and as many back-ups of the keyring */
#define COPY_NAME_MAX  64

struct copy {
    char name[COPY_NAME_MAX + 1];
    uint64_t added;   /* position: what was erased before it was declared is not in it */
    uint64_t applied; /* tombstones below this position are applied there */
};

struct keyring_backup {
    uint64_t position;
    uint64_t expires_us; /* 0: never */
};

/* A twin, known by its certificate: a name of the configuration may be another machine's tomorrow. */
#define TWINS_LISTED_MAX 8
#define TWINS_SAID_MAX   64 /* that ever said something; beyond it the one that is furthest behind is forgotten */
#define COPY_CERTIFICATE_SIZE 65
struct twin_said {
    char certificate[COPY_CERTIFICATE_SIZE]; /* SHA-256, hex */
    uint64_t applied; /* tombstones below this position are applied there: the twin's word */
};
struct twin_listed {
    char name[COPY_NAME_MAX + 1];
    char certificate[COPY_CERTIFICATE_SIZE];
};

struct copies {
    struct twin_said said[TWINS_SAID_MAX];
    size_t said_count;
    struct twin_listed twins[TWINS_LISTED_MAX]; /* of the configuration: pending until they have applied it */
    size_t twin_count;
    struct copy list[COPIES_MAX];
    size_t count;
    struct keyring_backup backups[COPIES_MAX]; /* the newest */
    size_t backup_count;
};

/* One fact, newer than all before it. A fact it does not know changes nothing. ERR_LIMIT, ERR_NOT_FOUND, ERR_EXISTS. */
bool copies_apply(struct copies *c, uint64_t position, struct span facts, struct error *err);

const struct copy *copies_find(const struct copies *c, struct span name);

/* A twin of the configuration. ERR_LIMIT. */
bool copies_list_twin(struct copies *c, const char *name, const char *certificate, struct error *err);
/* What the twin with that certificate said last; 0: nothing. */
uint64_t copies_twin_applied(const struct copies *c, struct span certificate);

/*
 * Which copies may still hold the keys of a tombstone, as text: names with commas between them. A back-up of the keyring
 * counts until its expiry. now_us: wall time.
 */
void copies_pending(const struct copies *c, uint64_t tombstone, uint64_t now_us, struct writer *out);

#endif
