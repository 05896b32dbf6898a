/* A document in a message: the input up to the first NUL is what stands before the data, the rest the data. */
#include "gate/web/document.h"

#define FUZZ_DOCUMENT_MAX ((size_t)1 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct span input = span_of(bytes, len);
    size_t end = span_index(input, 0);
    struct writer out = writer_new(FUZZ_DOCUMENT_MAX);
    struct document document;
    struct error err;

    if (document_describe(SPAN_LIT("MSH|^~\\&"), span_part(input, 0, end), &document, &err)) {
        struct document_decoder d = { .document = &document, .out = &out };

        (void)document_decode(&d, span_part(input, end + 1, len), &err);
    }
    writer_done(&out);
    return 0;
}
