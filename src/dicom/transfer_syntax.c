/* Transfer syntaxes. See transfer_syntax.h. */
#include "dicom/transfer_syntax.h"

#include "syntaxes_table.inc"

const struct transfer_syntax *transfer_syntax_find(struct span uid)
{
    for (size_t i = 0; i < COUNT_OF(syntax_rows); i++)
        if (span_equal(span_str(syntax_rows[i].uid), uid))
            return &syntax_rows[i];
    return NULL;
}

unsigned transfer_syntax_rank(const struct transfer_syntax *syntax)
{
    if (syntax->loss == LOSS_LOSSY)
        return 6;
    if (syntax->encapsulated)
        return 5;
    if (syntax->deflated)
        return 4;
    if (syntax->big_endian || syntax->coding != FRAME_NATIVE)
        return 3;
    return syntax->explicit_vr ? 1 : 2;
}
