/* A character set, a VR and a text: what comes out is UTF-8, and pieces change nothing. */
#include <stdlib.h>

#include "dicom/charset.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    static const enum vr vrs[] = { VR_LO, VR_PN, VR_LT, VR_UC };
    struct span input = span_of(bytes, len);
    size_t end = span_index(input, '|'); /* the character set's */
    struct writer out = writer_new((size_t)1 << 22), again = writer_new((size_t)1 << 22);
    struct charset_decoder d;
    struct charset charset;
    struct span text;
    enum vr vr;

    if (len < 1)
        return 0;
    vr = vrs[bytes[0] % COUNT_OF(vrs)];
    charset = charset_of(span_part(input, 1, end > 0 ? end - 1 : 0));
    text = span_part(input, end, len);
    (void)charset_to_utf8(charset, vr, text, &out);
    charset_decoder_init(&d, charset, vr, false);
    for (size_t i = 0; i < text.len; i++)
        charset_decode(&d, span_part(text, i, 1), &again);
    charset_decode_end(&d, &again);
    if (!span_equal(writer_span(&out), writer_span(&again)))
        abort();
    writer_reset(&again);
    if (!charset_to_utf8(charset_of(span_str("ISO_IR 192")), VR_LT, writer_span(&out), &again))
        abort(); /* what was written is no UTF-8 */
    writer_done(&out);
    writer_done(&again);
    return 0;
}
