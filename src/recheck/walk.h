/*
 * The second walk: what a stored object says, read again from its bytes (docs/channel.md, "The second walk").
 *
 * A gate claims the facts of what it sends; this makes them once more, from the codecs of src/dicom and src/hl7 alone.
 * Who compares, and what follows, is the vault's business. One object at a time.
 */
#ifndef FANAL_RECHECK_WALK_H
#define FANAL_RECHECK_WALK_H

#include "base/error.h"
#include "base/writer.h"

#define RECHECK_FACTS_MAX ((size_t)1024 * 1024) /* as a gate may claim: docs/channel.md, "Storing" */

struct walk;

/* What is asked: fields of RECHECK. Borrowed until walk_free(). */
struct walk_request {
    bool is_message;            /* an HL7 message, else a DICOM data set */
    struct span transfer_syntax; /* of a data set */
    struct span zone;           /* of a message whose MSH-7 has none */
    bool claimed_understood;    /* of a message: false where its gate kept no more than its header */
};

/* NULL with ERR_MEMORY. */
struct walk *walk_new(const struct walk_request *request, struct error *err);
void walk_free(struct walk *w);

/* The next bytes, cut anywhere. What is wrong with them is found at the end. */
void walk_feed(struct walk *w, struct span bytes);

/*
 * That was all: the facts, as its gate has to claim them, without what only the association and the vault know.
 * *understood false, and why, where the object should have been kept as refused or not understood. ERR_MEMORY, ERR_LIMIT.
 */
bool walk_finish(struct walk *w, struct writer *facts, bool *understood, const char **why, struct error *err);

#endif
