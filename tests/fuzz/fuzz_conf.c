/* A fanal.conf: taken, and then within every limit, or refused with a line. */
#include <assert.h>
#include <string.h>

#include "cmd/conf.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct conf c;
    struct error err = { ERR_NONE, "" };

    if (!conf_parse(span_of(bytes, len), &c, &err)) {
        assert(err.code == ERR_LIMIT || (err.code == ERR_USAGE && strncmp(err.text, "line ", 5) == 0));
        return 0;
    }
    assert(c.peer_count <= CONF_PEERS_MAX && c.sender_count <= CONF_SENDERS_MAX && c.ae[0] != '\0');
    assert(c.dicom.address_count <= CONF_LISTEN_MAX && c.storage_class_count <= CONF_STORAGE_CLASSES_MAX);
    for (size_t i = 0; i < c.peer_count; i++) {
        const struct conf_peer *p = &c.peers[i];

        assert(p->ae[0] != '\0' && p->issuer[0] != '\0' && p->address.count > 0
               && p->address.count <= CONF_NETWORKS_MAX);
    }
    for (size_t i = 0; i < c.sender_count; i++)
        assert(c.senders[i].issuer[0] != '\0' && c.senders[i].address.count > 0);
    (void)conf_peer_match(&c, span_of(bytes, len < 16 ? len : 16), SPAN_LIT("10.0.0.1"));
    (void)conf_sender_match(&c, span_of(bytes, len < 39 ? len : 39));
    conf_done(&c);
    return 0;
}
