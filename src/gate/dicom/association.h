/*
 * One DICOM association as acceptor: Verification and Storage (PS3.8, PS3.7, PS3.4 Annexes A and B).
 *
 * Reads PDUs from a transport, drives the protocol machine of dicom/upper_layer.h with them, and turns C-STOREs into
 * objects of the vault. Knows no socket and no channel: a test holds it with a transport, a door and a clock of its
 * own. Data sets go from the transport into the vault's buffer without a copy between.
 */
#ifndef FANAL_GATE_DICOM_ASSOCIATION_H
#define FANAL_GATE_DICOM_ASSOCIATION_H

#include "base/clock.h"
#include "base/log.h"
#include "dicom/negotiate.h"
#include "gate/dicom/door.h"
#include "gate/dicom/transport.h"

/* PS3.8 §9.1.5: the whole A-ASSOCIATE-RQ, and later the close of the connection, come within this time. */
#define ARTIM_MS 30000
/* Between two messages. Modalities keep an association open over an examination. */
#define IDLE_MAX_MS (15 * 60 * 1000)
/* From the first byte of a PDU to its last, and from one PDU of a message to the next: 256 KiB at 4 KiB/s. */
#define PDU_MAX_MS 60000
/*
 * The maximum length we offer (PS3.8 D.1.1). A choice: a CT slice of 525 KB comes in three PDUs, and PDU_MAX_MS allows
 * for a slow line. Many senders have a smaller limit of their own (dcmtk: 128 KiB) and keep to it.
 */
#define MAX_PDU_OFFERED ((uint32_t)256 * 1024)

struct association_settings {
    uint32_t artim_ms, idle_max_ms, pdu_max_ms;
    uint32_t max_pdu_bytes;
    const struct span *private_storage_classes; /* borrowed */
    size_t private_storage_class_count;
    void (*established)(void *context); /* called once the peer is admitted and has its A-ASSOCIATE-AC; may be NULL */
    void *established_context;
};

/* The limits above, no private classes. */
struct association_settings association_settings_default(void);

struct association;

/*
 * All borrowed, for the life of the association. door NULL: there is no vault now, the request will be rejected as
 * temporary congestion. NULL with ERR_MEMORY.
 */
struct association *association_new(const struct association_settings *settings, const struct transport *transport,
                                    const struct door *door, const struct clock *clock, const struct log *log,
                                    struct error *err);

/* From the open connection to its end. Whatever the peer does, this returns. */
void association_run(struct association *a);

void association_free(struct association *a);

#endif
