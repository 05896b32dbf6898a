/* Command sets: what decodes can be encoded again and means the same; every one can be answered. */
#include <assert.h>

#include "dicom/dimse.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct writer w = writer_new(len + 1024), rsp = writer_new(2 * len + 1024);
    struct command_set c, again;

    if (command_set_decode(span_of(bytes, len), &c, NULL)) {
        struct command_set answer = response_to(&c, STATUS_SUCCESS);

        command_set_encode(&w, &c);
        assert(writer_ok(&w, NULL, "command") && command_set_decode(writer_span(&w), &again, NULL));
        assert(again.present == c.present && again.command_field == c.command_field && again.status == c.status);
        command_set_encode(&rsp, &answer);
        assert(writer_ok(&rsp, NULL, "response") && command_set_decode(writer_span(&rsp), &again, NULL));
    }
    writer_done(&w);
    writer_done(&rsp);
    return 0;
}
