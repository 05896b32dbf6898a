/*
 * From root to somebody who may do little, before any role is started.
 *
 * Who: `[site] user`; else the owner of DIR; where that is root, "fanal" where there is such a user, else "nobody".
 * What he needs of DIR is given to him first: DIR/vault is his, DIR itself stays root's and lets his group pass,
 * nothing more.
 */
#ifndef FANAL_CMD_PRIVILEGES_H
#define FANAL_CMD_PRIVILEGES_H

#include "cmd/conf.h"
#include "cmd/data_dir.h"

/*
 * Does nothing where the process is not root's. Otherwise every right is gone afterwards, for ever, and only the
 * descriptors that are open stay. ERR_USAGE where the user does not exist or is root.
 */
bool privileges_drop(const struct conf *conf, const struct data_dir *d, struct error *err);

#endif
