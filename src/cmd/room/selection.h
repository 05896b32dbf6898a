/*
 * What a request means: which erasure units hold records of a study, a patient or a unit, and what else lies in them.
 *
 * One walk over the whole log, so that nothing depends on the views; the views only say which identities are linked.
 */
#ifndef FANAL_CMD_ROOM_SELECTION_H
#define FANAL_CMD_ROOM_SELECTION_H

#include "vault/erasures.h"
#include "vault/vault.h"

#define SELECTION_IDENTITIES_MAX 1000u /* of one patient, links included */

struct selection {
    struct erasure_unit *units; /* owned */
    size_t unit_count;
    uint64_t walked;                      /* records below this were looked at */
    uint64_t (*received)[2];              /* owned, of selection_due(): of each unit, when its oldest and newest record came, µs */
    size_t left_out;                      /* of selection_due(): units that would be due and are held, or too many */
    uint8_t (*tags)[KEYRING_TAG_BYTES];   /* owned: of the patient's identities */
    size_t tag_count;
};

void selection_done(struct selection *s);

/*
 * request: study_uid, or issuer and patient_id, or unit. ERR_NOT_FOUND where nothing is there, ERR_REFUSED for a unit of
 * Fanal's own (accounts, events), ERR_LIMIT past ERASURE_UNITS_MAX. A job's thread.
 */
bool selection_make(struct vault *vault, struct vault_reader *reader, struct span request, struct selection *out,
                    struct error *err);

/*
 * The units of which everything has been kept as long as the rules say, but for those that are held: at most
 * ERASURE_UNITS_MAX, the others come next time. Ages are counted in time that was lived through: of a gap between two
 * records no more than SELECTION_GAP_US counts, so that a clock that jumps ahead makes nothing old.
 */
#define SELECTION_GAP_US ((uint64_t)7 * 86400 * 1000000)
bool selection_due(struct vault *vault, const struct retention rules[RETAINED_COUNT], uint64_t now_us,
                   struct selection *out, struct error *err);

/* What stands for a patient in a hold. */
void patient_tag(struct store *s, struct span issuer, struct span patient_id, uint8_t out[KEYRING_TAG_BYTES]);

/* Position of a hold that covers the unit, or the patient of one of its records; UINT64_MAX: none. */
uint64_t selection_hold(struct vault *vault, const struct erasure_unit *u, struct span facts);
/* The unit of a slot, of units in the order of their slots; `count` where there is none. */
size_t selection_unit(const struct erasure_unit *units, size_t count, uint32_t slot);

/* What came to these units since `since`, and whether a hold is on any of their records. A job's thread. */
struct still {
    uint64_t newcomers;
    uint64_t hold; /* position of the hold that covers one of them; UINT64_MAX: none */
};
bool selection_check(struct vault *vault, const struct erasure_unit *units, size_t count, uint64_t since,
                     struct still *out, struct error *err);

#endif
