/*
 * An evidence pack (docs/evidence.md): read block by block, every claim checked in the order of the page.
 */
#ifndef VERIFY_PACK_H
#define VERIFY_PACK_H

#include "note.h"
#include "record.h"

#define WITNESSES_MAX     8
#define RECORDS_MAX       1000000u
#define ANCHORS_MAX       64
#define SUBJECT_BYTES_MAX 1024
#define TOKEN_BYTES_MAX   65536
#define PAGE_BYTES_MAX    ((uint64_t)1 << 30)

enum question { ASKED_STUDY = 1, ASKED_RESULT, ASKED_OBJECT, ASKED_ACCESS, ASKED_PERIOD };

/* What comes from outside the pack. */
struct trust {
    bool has_key;
    struct key key;          /* of the log */
    bool has_checkpoint;
    struct checkpoint checkpoint;
    struct key witnesses[WITNESSES_MAX];
    size_t witness_count;
    struct bytes authorities; /* DER certificates one after the other; empty: tokens are not judged */
};

/* What is told of a pack while it is read. Any of them may be NULL. */
struct telling {
    void *context;
    /* A record; facts are empty unless it is shown. Followed by its body, piece by piece, then by the end. */
    bool (*record)(void *context, const struct entry *e, uint64_t position, struct bytes facts, struct why *why);
    body_sink *body;
    bool (*end)(void *context, struct why *why);
    /* A checkpoint that somebody outside has seen; size is that of its tree. */
    void (*cosigned)(void *context, uint64_t size, const struct key *by, uint64_t time_s);
    void (*stamped)(void *context, uint64_t size, struct bytes by, struct bytes time);
};

struct verdict {
    enum question question;
    bool hashes_only;
    uint64_t size; /* of the tree */
    uint64_t shown, sealed, hashes, bodies;
    uint64_t sealed_events; /* of the sealed: what a period shows that happened, and does not open */
    uint64_t cosigned, stamped;
    struct bytes origin;  /* borrows from the pack */
    struct bytes subject; /* the same */
};

/* True only where everything holds that was asked for; *why says what does not. */
bool pack_verify(struct bytes pack, struct bytes page, const struct trust *trust, const struct telling *tell,
                 struct verdict *out, struct why *why);

#endif
