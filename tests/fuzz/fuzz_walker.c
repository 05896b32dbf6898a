/* A data set, cut by its own first bytes: the walk and the digest end, and the cut changes neither's verdict. */
#include <stdlib.h>

#include "dicom/canonical.h"
#include "dicom/walker.h"

static const char *const syntaxes[] = { "1.2.840.10008.1.2",   "1.2.840.10008.1.2.1",    "1.2.840.10008.1.2.2",
                                        "1.2.840.10008.1.2.5", "1.2.840.10008.1.2.1.99", "1.2.840.113619.5.2" };

static void must(bool claim)
{
    if (!claim)
        abort();
}

/* The error's code; facts are appended to *facts. */
static enum error_code walk(const struct transfer_syntax *syntax, struct span bytes, size_t piece, struct writer *facts)
{
    struct error err = { 0 };
    struct walker *w = walker_new(&err);
    bool ok = walker_begin(w, syntax, &err);

    for (size_t at = 0; at < bytes.len && ok; at += piece)
        ok = walker_feed(w, span_part(bytes, at, piece), &err);
    ok = ok && walker_finish(w, &err);
    must(walker_facts(w, facts, NULL));
    walker_free(w);
    return ok ? ERR_NONE : err.code;
}

static enum error_code digest(const struct transfer_syntax *syntax, struct span bytes, size_t piece,
                              struct canonical_result *out)
{
    struct error err = { 0 };
    struct canonical *c = canonical_new(&err);
    bool ok = canonical_begin(c, syntax, NULL, &err);

    for (size_t at = 0; at < bytes.len && ok; at += piece)
        ok = canonical_feed(c, span_part(bytes, at, piece), &err);
    ok = ok && canonical_finish(c, out, &err);
    canonical_free(c);
    return ok ? ERR_NONE : err.code;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct writer whole = writer_new(WALKER_FACTS_MAX), cut = writer_new(WALKER_FACTS_MAX);
    struct canonical_result one = { 0 }, other = { 0 };
    const struct transfer_syntax *syntax;
    struct span input;
    size_t piece;

    if (len < 2)
        return 0;
    syntax = transfer_syntax_find(span_str(syntaxes[bytes[0] % COUNT_OF(syntaxes)]));
    piece = 1 + bytes[1] % 64;
    input = span_part(span_of(bytes, len), 2, len);
    must(walk(syntax, input, SIZE_MAX / 2, &whole) == walk(syntax, input, piece, &cut));
    must(span_equal(writer_span(&whole), writer_span(&cut)));
    must(digest(syntax, input, SIZE_MAX / 2, &one) == digest(syntax, input, piece, &other));
    must(memcmp(one.digest, other.digest, sizeof one.digest) == 0);
    writer_done(&whole);
    writer_done(&cut);
    return 0;
}
