/*
 * What a test turns and a service leaves alone: the store's file calls and sizes.
 */
#ifndef FANAL_VAULT_TUNING_H
#define FANAL_VAULT_TUNING_H

#include "vault/disk.h"

struct tuning {
    const struct file_ops *files; /* NULL: the system's */
    void *files_context;
    uint64_t segment_bytes;   /* a commit that would begin behind this begins a new segment */
    uint64_t body_file_bytes; /* a body that would pass this begins a new file */
    uint64_t confirm_entries; /* confirmed at least this often */
    bool no_idle_confirm;     /* only then, and at close */
};

#define TUNING_DEFAULT                                                                                                 \
    ((struct tuning){ .files = &file_ops_system,                                                                       \
                      .segment_bytes = (uint64_t)256 << 20,                                                            \
                      .body_file_bytes = (uint64_t)1 << 30,                                                            \
                      .confirm_entries = 4096 })

#endif
