/*
 * What a gate claimed of an object against what its bytes say (docs/channel.md, "The second walk").
 */
#ifndef FANAL_CMD_ROOM_FACTS_DIFFER_H
#define FANAL_CMD_ROOM_FACTS_DIFFER_H

#include "base/span.h"
#include "record/field.h"

#define DIFFERENCES_MAX 16 /* named; more are not counted */

/* Fields that only the vault may say: never taken from a claim. */
bool field_is_the_vaults(enum field f);

struct walked {
    struct span facts; /* as made again */
    bool understood;   /* false: should have been kept as refused or not understood */
};

/*
 * The fields of which `stored` (the facts of a record) says otherwise than the bytes; 0: none. What the association or
 * the vault added is passed over. source_issuer: what the vault gives objects of this source that name none; empty
 * where the source is not known any more.
 */
size_t facts_differ(struct span stored, const struct walked *walked, struct span source_issuer, bool is_message,
                    enum field out[DIFFERENCES_MAX]);

/* The zone that the vault gave a message: the last one, behind the message's own. */
struct span facts_zone(struct span stored);

#endif
