/*
 * On a twin: the connection to the first machine (docs/twin.md). Passes questions that the process that keeps asks, and
 * brings back answers, unread. Holds its TLS key and one socket; no file, no key of the vault.
 */
#ifndef FANAL_RELAY_PULL_H
#define FANAL_RELAY_PULL_H

#include "base/log.h"
#include "channel/channel.h"
#include "channel/pinned.h"

#define PULL_CONNECT_MS 10000
#define PULL_ANSWER_MS  45000 /* a question may wait 30 s for news */

/* Borrowed. */
struct pull_settings {
    struct span address; /* "10.0.0.5:7443", "[fd00::5]:7443" */
    struct span key, certificate;
    char pin[FINGERPRINT_SIZE]; /* of the first */
    const struct log *log;
};

struct pull;

/* What opens files is done here: before the sandbox. */
struct pull *pull_new(const struct pull_settings *settings, struct error *err);
void pull_free(struct pull *p);

/* Takes one FETCH from the channel, answers it. False where the conversation is over. */
bool pull_one(struct pull *p, struct channel *vault, int timeout_ms, struct error *err);

int pull_role_run(int control_fd);

#endif
