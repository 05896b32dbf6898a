/*
 * A directory in memory that takes the shape of one disk image after the other, writing only what differs, and whose
 * file calls notice what a store changes in it meanwhile.
 */
#ifndef FANAL_TORTURE_SHELF_H
#define FANAL_TORTURE_SHELF_H

#include "platter.h"

struct shelf_file {
    char *path; /* relative; owned */
    bool directory;
    bool wanted;
    bool touched; /* by a store: holds we do not know what */
    struct digest digest;
};

struct shelf {
    pthread_mutex_t lock;
    char dir[64];
    struct shelf_file *files;
    size_t count, cap;
    uint64_t deeds; /* calls that changed something since the last image */
};

/* A fresh directory; shelf_end() removes it. */
void shelf_begin(struct shelf *s);
void shelf_end(struct shelf *s);
void shelf_show(struct shelf *s, const struct platter *p, const struct choice *c, const struct platter_image *image);
/* Everything below is unknown from now on: somebody worked in it past the file calls. */
void shelf_forget(struct shelf *s);

extern const struct file_ops shelf_ops; /* its context is the shelf */

#endif
