/*
 * What may be on the disk after a power cut: the deeds of a tape up to some point, of which everything synced is there
 * and everything else may be.
 *
 * A file without its sync: each 512-byte sector is as it was at any moment since the last sync, and so is the length,
 * one without the other (a length without its data reads as zeros). A name without its directory's sync: made,
 * replaced or gone, or not, each deed by itself. A sync that failed leaves nothing of what it was for.
 */
#ifndef FANAL_TORTURE_PLATTER_H
#define FANAL_TORTURE_PLATTER_H

#include "tape.h"

#define SECTOR_BYTES 512u

struct digest {
    uint8_t bytes[16];
};

/* A file at one moment. */
struct version {
    uint8_t *bytes; /* owned */
    size_t len;
    size_t deed; /* that led to it */
    struct digest digest;
    bool digested;
};

struct platter_file {
    struct version *versions; /* [0] is durable, the last is the newest; owned */
    size_t count, cap;
    uint8_t *cache; /* as the system shows it; owned */
    size_t cache_len;
    uint32_t *dirty; /* sectors written since the durable version; owned */
    size_t dirty_count, dirty_cap;
    bool directory;
};

struct platter {
    const struct tape *tape;
    struct platter_file *files; /* by inode */
    int file_count;
    int *names; /* durable: inode by path, -1 none */
    int *above; /* by path: its directory's path, -1 none; owned */
    int name_count;
    size_t *pending; /* deeds that change names and are not durable; owned */
    size_t pending_count, pending_cap;
    size_t at; /* deeds taken in */
};

/* One file's part of a choice. */
struct pick {
    size_t length;    /* the version whose length it has */
    size_t version;   /* of every sector, unless torn */
    uint16_t *sector; /* by index in dirty, where torn; owned */
    size_t sector_cap;
    bool torn;
};

/* What of the unsynced got there. */
struct choice {
    bool *kept; /* by index in pending */
    size_t kept_cap;
    struct pick *picks; /* by inode */
    int pick_count;
};

struct platter_image_file {
    const char *path;
    int inode;
    bool directory;
    struct digest digest; /* of path and content */
};

/* Borrows from the platter and the choice it was made of, until either changes. */
struct platter_image {
    struct platter_image_file *files; /* a directory before what is in it; owned */
    size_t count, cap;
    int *names; /* owned */
    uint64_t hash; /* of all */
};

void platter_begin(struct platter *p, const struct tape *t);
void platter_end(struct platter *p);
/* Takes in the next deed. */
void platter_step(struct platter *p);

/* The newest content of a file of a tape that goes on, as the disk will have it; *bytes is the caller's to free. */
void platter_content(const struct tape *t, int inode, uint8_t **bytes, size_t *len);

/* Everything kept (or lost). */
void choice_set(struct choice *c, const struct platter *p, bool keep);
void choice_done(struct choice *c);
/* Makes the file's pick torn, with every sector as `version`. */
void pick_tear(struct pick *k, const struct platter_file *f, size_t version);

void image_of(struct platter *p, const struct choice *c, struct platter_image *out);
void image_done(struct platter_image *image);
/* The content of a file in that image; *bytes is the caller's to free. */
void image_content(const struct platter *p, const struct choice *c, int inode, uint8_t **bytes, size_t *len);

#endif
