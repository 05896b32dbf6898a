/*
 * Verify: reads everything that is committed and names what is not as it was written. Any thread.
 */
#include "vault/store_internal.h"

bool store_verify(struct store *s, verify_report *report, void *context, uint64_t *findings, struct error *err)
{
    (void)err;
    *findings = 0;
    confirm_check(s, report, context, findings);
    return true;
}
