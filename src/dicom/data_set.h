/*
 * A push parser for data sets (PS3.5 §7, Annex A): bytes in, in pieces cut anywhere, events out.
 *
 * Knows tags, VRs, lengths, sequences, items and fragments; not what a value means. Holds no value:
 * a piece of one is handed on as it came. Iterative, constant memory.
 *
 * Taken as devices send it: odd lengths, tags that do not ascend, group lengths, VR letters that are
 * none, delimiters where the length was defined. Not taken: a length that points past what encloses it.
 */
#ifndef FANAL_DICOM_DATA_SET_H
#define FANAL_DICOM_DATA_SET_H

#include "base/error.h"
#include "base/reader.h"
#include "dicom/dictionary.h"
#include "dicom/transfer_syntax.h"

/*
 * Sequences within sequences. PS3.5 sets no bound; the deepest real objects (structured reports) stay
 * below 20. One more is ERR_LIMIT.
 */
#define DATA_SET_DEPTH_MAX 32

#define LENGTH_UNDEFINED UINT32_MAX /* PS3.5 §7.1.1 */
#define TAG_PIXEL_DATA   TAG(0x7FE0, 0x0010)

struct data_element {
    uint32_t tag;
    enum vr vr;            /* effective: as sent, else (implicit, UN, unknown letters) the dictionary's */
    uint32_t length;       /* LENGTH_UNDEFINED for fragments and such sequences */
    uint64_t value_offset; /* of the value's first byte in the data set */
    bool big_endian;       /* how numbers in the value lie */
};

enum data_set_event_kind {
    EVENT_ELEMENT,   /* value follows: EVENT_BYTES, EVENT_END */
    EVENT_FRAGMENTS, /* encapsulated: EVENT_FRAGMENT, EVENT_BYTES …, EVENT_END */
    EVENT_FRAGMENT,  /* length in element->length; the first one is the Basic Offset Table (A.4) */
    EVENT_SEQUENCE,  /* EVENT_ITEM … EVENT_ITEM_END, EVENT_END */
    EVENT_ITEM,
    EVENT_ITEM_END,
    EVENT_BYTES, /* a piece of the value or fragment */
    EVENT_END,   /* of the element, the fragments or the sequence */
};

struct data_set_event {
    enum data_set_event_kind kind;
    const struct data_element *element; /* ELEMENT, FRAGMENTS, FRAGMENT, SEQUENCE, BYTES, END; until the call returns */
    struct span bytes;                  /* EVENT_BYTES: borrowed until the call returns */
    unsigned depth;                     /* sequences around the element or item; 0 at the top level */
};

/* False with *err ends the parse. */
typedef bool data_set_handler(void *context, const struct data_set_event *event, struct error *err);

struct data_set_level {
    enum { LEVEL_ROOT, LEVEL_SEQUENCE, LEVEL_ITEM, LEVEL_FRAGMENTS } kind;
    bool defined;     /* ends at `end`; otherwise at its delimiter, which must come before `end` */
    bool guessed;     /* a sequence that only its first bytes tell (sent as UN with a length) */
    bool explicit_vr; /* how the elements inside are encoded */
    bool big_endian;
    uint64_t end;
    struct data_element element; /* of a sequence or fragments */
};

/* Root, a sequence and an item for each step down, fragments. */
#define DATA_SET_LEVELS_MAX (2 * DATA_SET_DEPTH_MAX + 2)

struct data_set_parser {
    data_set_handler *handler;
    void *context;
    bool tolerant; /* see data_set_parser_init() */
    bool handler_failed;
    uint64_t offset;
    struct data_set_level levels[DATA_SET_LEVELS_MAX];
    size_t level_count;
    uint8_t head[20]; /* an element's header, and the 8 bytes behind it where they are looked at */
    size_t head_len;
    struct data_element element; /* whose value or fragment is being read */
    bool in_value;
    bool skipping; /* what is left of a value that was taken for a sequence */
    uint64_t value_left;
};

/*
 * tolerant: a value sent as UN that looks like a sequence and turns out not to be one is skipped over; without
 * it (for digests) it is an error, and private values of unknown VR are looked at in the same way.
 * context goes to every call of handler. The syntax must not be deflated: inflate first (inflate.h).
 */
void data_set_parser_init(struct data_set_parser *p, const struct transfer_syntax *syntax, bool tolerant,
                          data_set_handler *handler, void *context);

/* ERR_MALFORMED, ERR_TRUNCATED, ERR_LIMIT, or the handler's own. Not to be called again after a failure. */
bool data_set_feed(struct data_set_parser *p, struct span bytes, struct error *err);

/* ERR_TRUNCATED where the data set ends inside a header, a value or a sequence. */
bool data_set_finish(struct data_set_parser *p, struct error *err);

#endif
