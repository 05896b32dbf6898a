/* The beginning of a file: what is found lies inside it. */
#include <stdlib.h>

#include "dicom/part10.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct part10 file;
    struct error err = { 0 };

    if (!part10_read(span_of(bytes, len), &file, &err))
        return err.code == ERR_NONE ? abort(), 0 : 0;
    if (file.data_set_offset > len || file.transfer_syntax_uid.len == 0 || file.sop_class_uid.len > len
        || (file.syntax != NULL && !span_equal(file.transfer_syntax_uid, span_str(file.syntax->uid))))
        abort();
    return 0;
}
