/* DICOM files. See part10.h. */
#include "dicom/part10.h"

#include "base/reader.h"
#include "dicom/dictionary.h"

#define PREAMBLE_BYTES 128
#define AE_TITLE_MAX   16 /* PS3.5 Table 6.2-1 */

#define SYNTAX_IMPLICIT   "1.2.840.10008.1.2"
#define SYNTAX_EXPLICIT   "1.2.840.10008.1.2.1"
#define SYNTAX_BIG_ENDIAN "1.2.840.10008.1.2.2"

static bool looks_like_vr(struct span letters)
{
    return letters.len == 2 && vr_of_letters(letters.ptr[0], letters.ptr[1]) != VR_NONE;
}

/*
 * The syntax of a data set without File Meta Information, by its first element: groups are small numbers,
 * so the order of the bytes shows, and so do the letters of a VR. Empty: it is none.
 */
static struct span guess_syntax(struct span data_set)
{
    struct reader little = reader_over(data_set), big = reader_over(data_set);
    uint16_t group_le = read_u16le(&little), group_be = read_u16be(&big);
    bool explicit_vr = looks_like_vr(span_part(data_set, 4, 2));

    if (data_set.len < 8)
        return (struct span){ NULL, 0 };
    if (group_le != 0 && group_le <= 0x00FF)
        return explicit_vr ? SPAN_LIT(SYNTAX_EXPLICIT) : SPAN_LIT(SYNTAX_IMPLICIT);
    if (group_be != 0 && group_be <= 0x00FF && explicit_vr)
        return SPAN_LIT(SYNTAX_BIG_ENDIAN);
    return (struct span){ NULL, 0 };
}

/* The value of the next element of group 0002: explicit VR little endian, though some write implicit VR. */
static struct span read_meta_element(struct reader *r, uint32_t *tag)
{
    uint32_t group = read_u16le(r);
    struct span rest = span_part(r->bytes, r->at + 2, 2);
    enum vr vr = rest.len == 2 ? vr_of_letters(rest.ptr[0], rest.ptr[1]) : VR_NONE;

    *tag = group << 16 | read_u16le(r);
    if (vr == VR_NONE)
        return read_span(r, read_u32le(r));
    read_skip(r, 2);
    if (!vr_has_long_header(vr))
        return read_span(r, read_u16le(r));
    read_skip(r, 2);
    return read_span(r, read_u32le(r));
}

static bool at_group_2(const struct reader *r)
{
    struct reader ahead = *r;

    return read_u16le(&ahead) == 0x0002 && !ahead.dry;
}

bool part10_read(struct span head, struct part10 *out, struct error *err)
{
    struct reader r = reader_over(head);
    struct part10 file = { 0 };

    if (span_equal(span_part(head, PREAMBLE_BYTES, 4), SPAN_LIT("DICM")))
        read_skip(&r, PREAMBLE_BYTES + 4);
    while (at_group_2(&r)) {
        uint32_t tag;
        struct span value = read_meta_element(&r, &tag);

        file.has_meta = true;
        if (tag == TAG(0x0002, 0x0002))
            file.sop_class_uid = uid_trim(value);
        else if (tag == TAG(0x0002, 0x0003))
            file.sop_instance_uid = uid_trim(value);
        else if (tag == TAG(0x0002, 0x0010))
            file.transfer_syntax_uid = uid_trim(value);
    }
    if (!reader_complete(&r, err, "file meta information"))
        return false;
    file.data_set_offset = r.at;
    if (file.transfer_syntax_uid.len == 0)
        file.transfer_syntax_uid = guess_syntax(span_part(head, r.at, head.len));
    if (file.transfer_syntax_uid.len == 0)
        return error_set(err, ERR_MALFORMED, "not a DICOM file");
    file.syntax = transfer_syntax_find(file.transfer_syntax_uid);
    *out = file;
    return true;
}

/* An element with a short header, padded to even length. */
static void put_element(struct writer *out, uint16_t element, const char *vr, struct span value, uint8_t padding)
{
    write_u16le(out, 0x0002);
    write_u16le(out, element);
    write_str(out, vr);
    write_u16le(out, (uint16_t)(value.len + value.len % 2));
    write_span(out, value);
    write_fill(out, padding, value.len % 2);
}

bool part10_header(struct writer *out, struct span sop_class, struct span sop_uid, struct span transfer_syntax,
                   struct span source_ae, struct error *err)
{
    size_t length_at;

    if (!uid_is_valid(sop_class) || !uid_is_valid(sop_uid) || !uid_is_valid(transfer_syntax))
        return error_set(err, ERR_MALFORMED, "a file needs three valid UIDs");
    write_fill(out, 0, PREAMBLE_BYTES);
    write_str(out, "DICM");
    put_element(out, 0x0000, "UL", SPAN_LIT("\0\0\0\0"), 0);
    length_at = out->len - 4;
    write_span(out, SPAN_LIT("\x02\x00\x01\x00OB\x00\x00\x02\x00\x00\x00\x00\x01")); /* version 1 */
    put_element(out, 0x0002, "UI", sop_class, 0);
    put_element(out, 0x0003, "UI", sop_uid, 0);
    put_element(out, 0x0010, "UI", transfer_syntax, 0);
    put_element(out, 0x0012, "UI", SPAN_LIT(IMPLEMENTATION_CLASS_UID), 0);
    put_element(out, 0x0013, "SH", SPAN_LIT(IMPLEMENTATION_VERSION_NAME), ' ');
    if (source_ae.len > 0 && source_ae.len <= AE_TITLE_MAX)
        put_element(out, 0x0016, "AE", source_ae, ' ');
    if (!writer_ok(out, err, "file meta information"))
        return false;
    write_patch_u32le(out, length_at, (uint32_t)(out->len - length_at - 4));
    return true;
}
