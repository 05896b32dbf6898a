/*
 * Files and descriptors: whole reads and writes, syncs, and release by scope.
 *
 * Everything here restarts after EINTR and says in the error which call failed. No name from the wire
 * ever becomes a path; paths here are ours.
 */
#ifndef FANAL_BASE_FILE_H
#define FANAL_BASE_FILE_H

#include <sys/types.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/span.h"
#include "base/writer.h"

/* Closes *fd unless it is negative, and sets it to -1. For CLEANUP(file_close). */
void file_close(int *fd);

bool file_write_all(int fd, struct span bytes, struct error *err);
bool file_write_at(int fd, struct span bytes, uint64_t offset, struct error *err);

/* Exactly len bytes, else ERR_TRUNCATED at the end of the file. */
bool file_read_all(int fd, uint8_t *out, size_t len, struct error *err);
bool file_read_at(int fd, uint8_t *out, size_t len, uint64_t offset, struct error *err);

/* fdatasync(2). After a failure nothing may be trusted that was written since the last success. */
bool file_sync(int fd, struct error *err);

bool file_size(int fd, uint64_t *out, struct error *err);

/* Appends the whole file named path to *w (bounded by its limit). */
bool file_slurp(const char *path, struct writer *w, struct error *err);

/* Syncs the directory that path is in: a name is there after a power cut once that is done. */
bool file_sync_name(const char *path, struct error *err);
/* Makes the file, for its owner alone, with bytes in it; durable, its name too. ERR_EXISTS where there is one. */
bool file_write_new(const char *path, struct span bytes, struct error *err);

/* Sets *out[cap] to "dir/name"; false with ERR_LIMIT where it does not fit. */
bool path_join(char *out, size_t cap, const char *dir, const char *name, struct error *err);

#endif
