/*
 * Character sets of text to UTF-8 (PS3.3 §C.12.1.1.2, PS3.5 §6.1), without files at run time.
 *
 * Every defined term: single sets, code extensions of ISO 2022 (Latin, Cyrillic, Arabic, Greek, Hebrew,
 * Thai, Japanese, Korean, Chinese), UTF-8, GB18030, GBK. Bytes that have no meaning become U+FFFD and are
 * reported, never an error: a name with one bad letter is still a name.
 */
#ifndef FANAL_DICOM_CHARSET_H
#define FANAL_DICOM_CHARSET_H

#include "base/writer.h"
#include "dicom/dictionary.h"

enum code_set {
    CODE_NONE,
    CODE_ASCII,        /* G0: ISO-IR 6 */
    CODE_JIS_ROMAJI,   /* G0: JIS X 0201, ISO-IR 14 */
    CODE_JIS_X_0208,   /* G0: two bytes, ISO-IR 87 */
    CODE_JIS_X_0212,   /* G0: two bytes, ISO-IR 159 */
    CODE_JIS_KATAKANA, /* G1: JIS X 0201, ISO-IR 13 */
    CODE_KS_X_1001,    /* G1: two bytes, ISO-IR 149 */
    CODE_GB_2312,      /* G1: two bytes, ISO-IR 58 */
    CODE_LATIN_1,      /* G1, and so the following: ISO-IR 100 */
    CODE_LATIN_2,      /* 101 */
    CODE_LATIN_3,      /* 109 */
    CODE_LATIN_4,      /* 110 */
    CODE_CYRILLIC,     /* 144 */
    CODE_ARABIC,       /* 127 */
    CODE_GREEK,        /* 126 */
    CODE_HEBREW,       /* 138 */
    CODE_LATIN_5,      /* 148 */
    CODE_LATIN_9,      /* 203 */
    CODE_THAI,         /* 166 */
    CODE_UTF_8,        /* not ISO 2022: of the whole text, ISO-IR 192 */
    CODE_GB18030,      /* the same; GBK is a part of it */
};

/* What value 1 of Specific Character Set makes active at the beginning, and after each delimiter. */
struct charset {
    enum code_set g0;
    enum code_set g1;
    bool known; /* false: value 1 is no defined term; read as ASCII */
};

/*
 * (0008,0005) as sent. Only value 1 matters: the others announce escape sequences, which say for themselves what
 * they are. Spelling is taken as devices do it ("ISO-IR 100", "ISO_2022_IR_6").
 */
struct charset charset_of(struct span specific_character_set);

#define CHARSET_PENDING_MAX 4 /* the longest character (GB18030) or escape sequence (ISO-IR 159) */

/* Text being decoded, piece by piece. */
struct charset_decoder {
    struct charset charset;
    enum code_set g0; /* active now */
    enum code_set g1;
    bool multi_valued; /* a backslash parts values */
    bool person_name;  /* ^ and = part components and groups */
    bool exact;        /* see charset_decoder_init() */
    bool damaged;      /* something had no meaning */
    uint8_t pending[CHARSET_PENDING_MAX];
    size_t pending_len;
};

/*
 * exact: what has no meaning becomes the byte FF and itself instead of U+FFFD, so that different bytes stay
 * different: for digests, it is not UTF-8 then.
 */
void charset_decoder_init(struct charset_decoder *d, struct charset charset, enum vr vr, bool exact);
void charset_decode(struct charset_decoder *d, struct span text, struct writer *out);
/* What is left half becomes U+FFFD. */
void charset_decode_end(struct charset_decoder *d, struct writer *out);

/* A whole value; false where something had no meaning (the value is written all the same). */
bool charset_to_utf8(struct charset charset, enum vr vr, struct span text, struct writer *out);

#endif
