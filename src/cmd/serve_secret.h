/* Where `fanal serve` gets the secret from, or that it starts sealed ([unseal] at_start). */
#ifndef FANAL_CMD_SERVE_SECRET_H
#define FANAL_CMD_SERVE_SECRET_H

#include "base/log.h"
#include "cmd/conf.h"

/*
 * The secret of the vault in dir as a sealed memfd in *fd, which stays -1 where the machine starts sealed: because at_start
 * says so, or because systemd's credential is not there or does not open the vault. key_file, as in secret_read(), goes
 * before at_start where it is not NULL.
 */
bool serve_secret(const char *dir, const char *key_file, enum conf_unseal at_start, const struct log *log, int *fd,
                  struct error *err);

#endif
