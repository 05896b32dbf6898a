/* The sizes of a store's files as fanal.conf has them: for whoever opens one for writing. */
#ifndef FANAL_CMD_TUNED_H
#define FANAL_CMD_TUNED_H

#include "cmd/conf.h"
#include "vault/tuning.h"

static inline struct tuning conf_tuning(const struct conf *c)
{
    struct tuning t = TUNING_DEFAULT;

    if (c->segment_bytes != 0)
        t.segment_bytes = c->segment_bytes;
    if (c->body_file_bytes != 0)
        t.body_file_bytes = c->body_file_bytes;
    return t;
}

#endif
