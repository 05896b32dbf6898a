/* A back-up of the keyring: refused with a reason, or its parts lie within it. */
#include <stdlib.h>

#include "vault/store_backup.h"

static bool lies_in(struct span part, const uint8_t *bytes, size_t len)
{
    return part.ptr >= bytes && part.len <= len && (size_t)(part.ptr - bytes) <= len - part.len;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct error err = { 0 };
    struct backup_info info;

    if (!backup_parse(span_of(bytes, len), &info, &err)) {
        if (err.code == ERR_NONE)
            abort();
        return 0;
    }
    if (!lies_in(info.keyring, bytes, len) || !lies_in(info.conf, bytes, len) || !lies_in(info.checkpoint, bytes, len))
        abort();
    return 0;
}
