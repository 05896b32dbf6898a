/* What the subcommands of `fanal key` share: their options, and KEYS asked of the vault (docs/channel.md). */
#ifndef FANAL_CMD_KEY_H
#define FANAL_CMD_KEY_H

#include "base/error.h"
#include "base/span.h"
#include "base/writer.h"

struct key_options {
    const char *key_file; /* opens the vault, as in options.h */
    const char *out;      /* --out: file or folder of what is made */
    bool json;
    bool signing;
    unsigned threshold, shares; /* of `add custodians` */
    const char *arguments[3];
    size_t argument_count;
};

/* `fanal key add KIND DIR`: arguments are KIND and DIR. Returns the exit code. */
int key_add(const struct key_options *o);

/*
 * KEYS with the fields of request to the vault in dir, served or not; fd goes along unless it is negative. The fields
 * of the answer are appended to *reply.
 */
bool key_ask(const char *dir, const char *key_file, struct span request, int fd, struct writer *reply,
             struct error *err);

#endif
