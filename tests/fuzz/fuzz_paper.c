/* Typed text of a checkpoint: taken, and then it reads the same when it is printed again, or refused with a line. */
#include <assert.h>

#include "record/paper.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct writer w = writer_new(1024);
    struct error err = { 0 };
    struct paper p, again;

    if (paper_parse(span_of(bytes, len), &p, &err)) {
        paper_write(&p, &w);
        assert(paper_parse(writer_span(&w), &again, NULL) && again.size == p.size && again.time_s == p.time_s);
        assert(memcmp(again.root, p.root, sizeof p.root) == 0);
    } else {
        assert(err.code == ERR_USAGE && err.text[0] != '\0');
    }
    writer_done(&w);
    return 0;
}
