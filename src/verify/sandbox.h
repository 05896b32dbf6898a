/*
 * From here on only what is open is read and written: a pack comes from anybody.
 */
#ifndef VERIFY_SANDBOX_H
#define VERIFY_SANDBOX_H

#include <stdbool.h>

/* may_create: files of --extract. False where the system has no seccomp: then the program goes on without. */
bool sandbox_enter(bool may_create);

#endif
