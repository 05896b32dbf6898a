/*
 * Memory for keys: never swapped, left out of core dumps, between guard pages, wiped when it is given back.
 */
#ifndef FANAL_VAULT_LOCKED_H
#define FANAL_VAULT_LOCKED_H

#include <stddef.h>

#include "base/error.h"

/*
 * size bytes of zeros. NULL with ERR_MEMORY, also where the memory is there but cannot be locked: keys that may reach
 * the swap are worse than a start that says why it did not happen.
 */
void *locked_new(size_t size, struct error *err);
void locked_free(void *memory); /* wipes; NULL allowed */

#endif
