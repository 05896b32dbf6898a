/*
 * DIR: what lies in it, who has it, and whose it is.
 *
 *   DIR/fanal.conf       0600
 *   DIR/vault/           the store and its views (docs/format.md); the unprivileged user's where serve was started as
 * root DIR/run/lock         held by the one that serves DIR/run/ports        "dicom 127.0.0.1:11112": what is listened
 * on, a line each DIR/run/fanal.sock   for commands on this machine (0600: root and the owner)
 */
#ifndef FANAL_CMD_DATA_DIR_H
#define FANAL_CMD_DATA_DIR_H

#include <sys/types.h>

#include "base/error.h"
#include "base/writer.h"

struct data_dir {
    int fd;      /* DIR; owned */
    int run_fd;  /* DIR/run; owned; -1 until data_dir_lock() */
    int lock_fd; /* owned; -1 until data_dir_lock() */
    uid_t owner;
    gid_t group;
};

/* ERR_NOT_FOUND where there is no such directory. */
bool data_dir_open(const char *path, struct data_dir *out, struct error *err);
void data_dir_close(struct data_dir *d);

/* Appends DIR/fanal.conf to *text. */
bool data_dir_read_conf(const struct data_dir *d, struct writer *text, struct error *err);

/* Makes DIR/run where it is missing and takes the lock. ERR_BUSY where another serve has it. */
bool data_dir_lock(struct data_dir *d, struct error *err);

/* Writes DIR/run/ports, new or in place of an older one, at once. */
bool data_dir_write_ports(const struct data_dir *d, struct span text, struct error *err);

/* Listens on DIR/run/fanal.sock; -1 on error. */
int data_dir_listen(const struct data_dir *d, struct error *err);

#endif
