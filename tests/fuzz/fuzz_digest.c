/* Two digests of an object: one byte picks the transfer syntax, one how it is cut, the rest is the data set. */
#include "base/reader.h"
#include "lens/digest.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    static const char *const syntaxes[] = {
        "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.5", "1.2.840.10008.1.2.4.70",
    };
    static struct digest *digest;
    struct reader r = reader_over(span_of(bytes, len));
    uint8_t syntax = read_u8(&r), cut = read_u8(&r);
    struct span object = span_part(r.bytes, r.at, len);
    struct digest_result result;
    struct error err;
    bool ok;

    if (digest == NULL)
        digest = digest_new(&err);
    ok = digest != NULL && digest_begin(digest, span_str(syntaxes[syntax % COUNT_OF(syntaxes)]), &err);
    for (size_t at = 0; ok && at < object.len; at += (size_t)cut + 1)
        ok = digest_feed(digest, span_part(object, at, (size_t)cut + 1), &err);
    if (ok)
        (void)digest_finish(digest, &result, &err);
    return 0;
}
