/* Memory for keys. See locked.h. */
#include "vault/locked.h"

#include <sodium.h>
#include <string.h>
#include <sys/mman.h>

#define LOCKED_ALIGNMENT 16 /* of anything that C has */

void *locked_new(size_t size, struct error *err)
{
    void *memory;

    size =
        (size + LOCKED_ALIGNMENT - 1) / LOCKED_ALIGNMENT * LOCKED_ALIGNMENT; /* it ends where the guard page begins */
    memory = sodium_init() < 0
                 ? NULL
                 : sodium_malloc(size); /* locks and leaves out of dumps, but does not say where that failed */
    if (memory == NULL) {
        (void)error_set(err, ERR_MEMORY, "no memory for keys");
        return NULL;
    }
    if (mlock(memory, size) != 0) {
        (void)error_errno(err, "memory for keys cannot be locked (RLIMIT_MEMLOCK)");
        if (err != NULL)
            err->code = ERR_MEMORY;
        sodium_free(memory);
        return NULL;
    }
    memset(memory, 0, size);
    return memory;
}

void locked_free(void *memory)
{
    sodium_free(memory);
}
