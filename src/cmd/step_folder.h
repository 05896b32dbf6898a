/* A folder of step files, as a one-way link brings them: in any order, late, twice, with some missing (docs/twin.md). */
#ifndef FANAL_CMD_STEP_FOLDER_H
#define FANAL_CMD_STEP_FOLDER_H

#include "vault/twin.h"

#define STEP_FOLDER_MAX (1u << 20) /* files of one folder */

/*
 * Takes what is contiguous. What is in a file that cannot be taken is said on standard error and passed over: another may
 * hold the same. ERR_DAMAGED in the end where something is missing (which, the text says); ERR_REFUSED at once for another
 * history. The key is pinned.
 */
bool step_folder_take(struct twin *t, const char *folder, struct error *err);

/* Whether there is a step file in it. */
bool step_folder_is(const char *folder);

#endif
