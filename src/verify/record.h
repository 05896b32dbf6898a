/*
 * A record of the log (docs/format.md, "Entry", "Bodies", "Keys"): its header, and what its key opens.
 */
#ifndef VERIFY_RECORD_H
#define VERIFY_RECORD_H

#include "tree.h"

#define ENTRY_HEADER_BYTES 192
#define ENTRY_BYTES_MAX    (ENTRY_HEADER_BYTES + 2 + 512 + (1 << 20) + 16 + 32)
#define CHUNK_BYTES_MAX    65536 /* the vault cuts by 32 KiB; a header says by what it was cut */
#define TAG_BYTES          16
#define KEY_BYTES          32

enum kind { KIND_DICOM = 1, KIND_HL7 = 2, KIND_FACT = 3, KIND_EVENT = 4, KIND_RULE = 5 };
const char *kind_name(unsigned kind);

struct entry {
    struct bytes raw;
    uint64_t position;
    uint64_t received_us;
    unsigned kind;
    bool has_body;
    struct bytes commitment;
    uint32_t facts_bytes; /* stored: with the tag */
    uint64_t body_bytes;  /* in clear */
    uint32_t chunk_bytes; /* of which the body is cut into chunks */
    struct hash body_root;
};

/* raw: exactly one entry; borrowed. */
bool entry_parse(struct bytes raw, struct entry *out, struct why *why);
/* The record key is the one that the header commits to. */
bool entry_key_fits(const struct entry *e, struct bytes key, struct why *why);
/* Decrypts the facts into out[ENTRY_BYTES_MAX]; *unit and *facts borrow from it. */
bool entry_open(const struct entry *e, struct bytes key, uint8_t *out, struct bytes *unit, struct bytes *facts,
                struct why *why);

/* Takes the body's plaintext, a chunk at a time. */
typedef bool body_sink(void *context, struct bytes clear, struct why *why);
/* Checks length, root and tags of the stored chunks; sink may be NULL. */
bool body_open(const struct entry *e, struct bytes key, struct bytes stored, body_sink *sink, void *context,
               struct why *why);

/* ---- facts: number u16, length u32, value (docs/evidence.md names the few that are used here) ---- */
/* The facts this program uses itself. */
enum { FACT_EVENT = 13, FACT_ACTOR = 14, FACT_OUTCOME = 16, FACT_STUDY_UID = 50, FACT_SOP_UID = 80, FACT_SOP_CLASS = 81,
       FACT_TRANSFER_SYNTAX = 82, FACT_COMMAND_SOP_UID = 120 };

struct fact {
    unsigned number;
    struct bytes value;
};
bool fact_next(struct cursor *facts, struct fact *out);
/* The first of that number; empty where there is none. */
struct bytes fact_find(struct bytes facts, unsigned number);

#endif
