/* A custodian's share as text: refused, or the same words come out again. */
#include <stdlib.h>

#include "vault/share.h"

static bool is_space(uint8_t c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct error err = { 0 };
    struct share s, again;
    char text[SHARE_TEXT_SIZE];
    size_t at = 0;

    if (!share_of_text(span_of(bytes, len), &s, &err)) {
        if (err.code == ERR_NONE)
            abort(); /* refused without a word */
        return 0;
    }
    share_to_text(&s, text);
    for (size_t i = 0; i < len; i++) {
        if (is_space(bytes[i]))
            continue;
        while (text[at] == ' ')
            at++;
        if ((bytes[i] | 0x20) != text[at++])
            abort();
    }
    if (!share_of_text(span_str(text), &again, &err) || again.number != s.number)
        abort();
    return 0;
}
