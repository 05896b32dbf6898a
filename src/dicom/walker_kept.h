/*
 * What a walker keeps of an object: the part that walker.c fills and walker_facts.c writes. Not for others.
 */
#ifndef FANAL_DICOM_WALKER_KEPT_H
#define FANAL_DICOM_WALKER_KEPT_H

#include "dicom/data_set.h"
#include "dicom/inflate.h"
#include "dicom/walker.h"

#define TAG_SPECIFIC_CHARACTER_SET      TAG(0x0008, 0x0005)
#define TAG_PIXEL_REPRESENTATION        TAG(0x0028, 0x0103)
#define TAG_STUDY_INSTANCE_UID          TAG(0x0020, 0x000D)
#define TAG_OTHER_PATIENT_IDS_SEQUENCE  TAG(0x0010, 0x1002)
#define TAG_SHARED_FUNCTIONAL_GROUPS    TAG(0x5200, 0x9229)
#define TAG_PER_FRAME_FUNCTIONAL_GROUPS TAG(0x5200, 0x9230)

/* How a kept value becomes a field. */
enum form {
    FORM_TEXT,
    FORM_UID,    /* text that must be a UID */
    FORM_COUNT,  /* IS of digits → UINT */
    FORM_UINT,   /* US → UINT */
    FORM_NUMBER, /* US or SS → TEXT */
    FORM_PALETTE_DESCRIPTOR,
    FORM_PALETTE_DATA,
};

struct wanted {
    uint32_t tag;
    enum field field;
    enum form form;
};

#define WANTED_TOP_COUNT    68
#define WANTED_GROUPS_COUNT 10
#define OTHER_IDS_MAX       16 /* items of (0010,1002); further ones are left out */

/* Of the top level, by tag. */
extern const struct wanted wanted_top[WANTED_TOP_COUNT];

/* In the first item of a functional group's sequence (PS3.3 C.7.6.16), by its tag and their own. */
struct wanted_group {
    uint32_t sequence;
    uint32_t tag;
    enum field field;
};
extern const struct wanted_group wanted_groups[WANTED_GROUPS_COUNT];

/* Index in wanted_top, or WANTED_TOP_COUNT. */
size_t wanted_top_find(uint32_t tag);

/* A value in the walker's store. */
struct kept {
    bool present;
    bool big_endian;
    enum vr vr;
    size_t at, len;
};

/* A sequence that is open, at depth 0 or 1. */
struct step {
    uint32_t sequence;
    size_t items; /* begun */
};

/* Of one object; zeroed when the next one begins. */
struct found {
    struct error failed;  /* the walk; ERR_NONE: it did not */
    struct error refused; /* a UID that is none; ERR_NONE: all are */
    struct step path[2];
    struct kept top[WANTED_TOP_COUNT];
    struct kept first_frame[WANTED_GROUPS_COUNT];
    struct kept shared[WANTED_GROUPS_COUNT];
    struct {
        struct kept id, issuer;
    } other_ids[OTHER_IDS_MAX];
    struct kept *current; /* where the value being read goes; NULL: nowhere */
    enum form current_form;
    bool study_uid_known;
    bool text_was_damaged;
    bool has_pixels, pixels_encapsulated;
    uint64_t pixel_offset;
    uint32_t pixel_length; /* or LENGTH_UNDEFINED */
    size_t stored;         /* bytes of store in use */
};

struct walker {
    const struct transfer_syntax *syntax;
    struct data_set_parser parser;
    struct inflate inflate;
    struct found found;
    uint8_t store[WALKER_KEPT_MAX];
};

/* The value as sent; empty where it is absent. */
struct span walker_kept(const struct walker *w, const struct kept *k);

#endif
