/*
 * A time-stamp token of anybody and the certificates of an authority: length of the note (4), length of the token (4), note, token,
 * certificates.
 */
#include <stdlib.h>

#include "verify/stamp.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct cursor c = { { bytes, len }, false };
    size_t note_bytes = (size_t)take_le(&c, 4), token_bytes = (size_t)take_le(&c, 4);
    struct bytes note = take(&c, note_bytes), token = take(&c, token_bytes), authorities = c.left;
    struct why why = { "" };
    struct stamp s;

    if (c.dry)
        return 0;
    if (!stamp_verify(token, note, authorities, &s, &why) && why.text[0] == '\0')
        abort();
    return 0;
}
