/*
 * A DICOM association as requestor that sends objects: Storage SCU (PS3.4 Annex B) on dicom/upper_layer.h.
 *
 * Blocking, one thread. A data set is read piece by piece and sent as it is; memory does not grow with it.
 */
#ifndef FANAL_RELAY_STORE_SCU_H
#define FANAL_RELAY_STORE_SCU_H

#include "base/error.h"
#include "base/span.h"

/* A peer that neither takes nor answers for this long is given up. */
#define SCU_ANSWER_MAX_MS 60000
#define SCU_CONNECT_MAX_MS 10000

/* One presentation context to propose: ID 2 * index + 1. */
struct scu_context {
    struct span sop_class_uid; /* borrowed until scu_open() returns */
    struct span transfer_syntax_uid;
    bool accepted; /* set by scu_open() */
};

struct scu;

/*
 * Connects to host:port and associates. count <= 128. NULL with ERR_IO or ERR_TIMEOUT where there is no connection,
 * ERR_REFUSED for an A-ASSOCIATE-RJ (the text has result, source, reason), ERR_CLOSED where the peer went away.
 */
struct scu *scu_open(const char *host, const char *port, struct span calling_ae, struct span called_ae,
                     struct scu_context *contexts, size_t count, struct error *err);

/* Gives the next bytes of a data set: at most cap, *len 0 at its end. */
typedef bool scu_source(void *context, uint8_t *out, size_t cap, size_t *len, struct error *err);

/*
 * One C-STORE in the accepted context `index`. *status is what the peer answered. False where the association is over
 * (ERR_CLOSED, ERR_TIMEOUT, ERR_MALFORMED) or the source failed (then it was aborted).
 */
bool scu_store(struct scu *s, size_t index, struct span sop_class_uid, struct span sop_instance_uid,
               scu_source *source, void *context, uint16_t *status, struct error *err);

/* Releases the association if it stands, and frees s. */
void scu_close(struct scu *s);

#endif
