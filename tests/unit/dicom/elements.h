/*
 * Puts data sets together for tests: one list of elements in any of the uncompressed syntaxes.
 */
#ifndef FANAL_TESTS_DICOM_ELEMENTS_H
#define FANAL_TESTS_DICOM_ELEMENTS_H

#include "base/writer.h"
#include "dicom/dictionary.h"
#include "dicom/transfer_syntax.h"

#define IMPLICIT "1.2.840.10008.1.2"
#define EXPLICIT "1.2.840.10008.1.2.1"
#define DEFLATED "1.2.840.10008.1.2.1.99"
#define BIG      "1.2.840.10008.1.2.2"
#define BASELINE "1.2.840.10008.1.2.4.50"

struct builder {
    struct writer w;
    const struct transfer_syntax *syntax;
};

static inline struct builder builder_new(const char *syntax)
{
    return (struct builder){ writer_new((size_t)1 << 24), transfer_syntax_find(span_str(syntax)) };
}

static inline void put_u16(struct builder *b, uint16_t v)
{
    if (b->syntax->big_endian)
        write_u16be(&b->w, v);
    else
        write_u16le(&b->w, v);
}

static inline void put_u32(struct builder *b, uint32_t v)
{
    if (b->syntax->big_endian)
        write_u32be(&b->w, v);
    else
        write_u32le(&b->w, v);
}

static inline void put_header(struct builder *b, uint32_t tag, enum vr vr, uint32_t length)
{
    put_u16(b, (uint16_t)(tag >> 16));
    put_u16(b, (uint16_t)tag);
    if (!b->syntax->explicit_vr || tag >> 16 == 0xFFFE) {
        put_u32(b, length);
        return;
    }
    write_str(&b->w, vr_name(vr));
    if (!vr_has_long_header(vr)) {
        put_u16(b, (uint16_t)length);
        return;
    }
    write_u16le(&b->w, 0);
    put_u32(b, length);
}

/* Text, padded with a space (UI: with a NUL) to even length. */
static inline void put_text(struct builder *b, uint32_t tag, enum vr vr, const char *text)
{
    size_t len = strlen(text);

    put_header(b, tag, vr, (uint32_t)(len + len % 2));
    write_str(&b->w, text);
    write_fill(&b->w, vr == VR_UI ? 0 : ' ', len % 2);
}

static inline void put_words(struct builder *b, uint32_t tag, enum vr vr, const uint16_t *words, size_t count)
{
    put_header(b, tag, vr, (uint32_t)(2 * count));
    for (size_t i = 0; i < count; i++)
        put_u16(b, words[i]);
}

static inline void put_word(struct builder *b, uint32_t tag, uint16_t word)
{
    put_words(b, tag, VR_US, &word, 1);
}

/* Sequences, items and their ends, of undefined length. */
static inline void begin_sequence(struct builder *b, uint32_t tag)
{
    put_header(b, tag, VR_SQ, UINT32_MAX);
}

static inline void begin_item(struct builder *b)
{
    put_header(b, TAG(0xFFFE, 0xE000), VR_NONE, UINT32_MAX);
}

static inline void end_item(struct builder *b)
{
    put_header(b, TAG(0xFFFE, 0xE00D), VR_NONE, 0);
}

static inline void end_sequence(struct builder *b)
{
    put_header(b, TAG(0xFFFE, 0xE0DD), VR_NONE, 0);
}

#endif
