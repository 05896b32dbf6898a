/*
 * Value representations and the data dictionary (PS3.5 §6.2, PS3.6), UIDs (PS3.6 Annex A).
 *
 * Constant tables, made by tools/gen_tables.py of data/attributes.tsv and data/uids.tsv. A tag is one
 * number: group << 16 | element.
 */
#ifndef FANAL_DICOM_DICTIONARY_H
#define FANAL_DICOM_DICTIONARY_H

#include "base/span.h"

#define TAG(group, element) ((uint32_t)(group) << 16 | (uint32_t)(element))

enum vr {
    VR_NONE, /* not a VR */
    VR_AE,
    VR_AS,
    VR_AT,
    VR_CS,
    VR_DA,
    VR_DS,
    VR_DT,
    VR_FD,
    VR_FL,
    VR_IS,
    VR_LO,
    VR_LT,
    VR_OB,
    VR_OD,
    VR_OF,
    VR_OL,
    VR_OV,
    VR_OW,
    VR_PN,
    VR_SH,
    VR_SL,
    VR_SQ,
    VR_SS,
    VR_ST,
    VR_SV,
    VR_TM,
    VR_UC,
    VR_UI,
    VR_UL,
    VR_UN,
    VR_UR,
    VR_US,
    VR_UT,
    VR_UV,
    /* of the dictionary only: which one it is, other attributes decide (PS3.5 Annex A) */
    VR_US_SS,
    VR_US_OW,
    VR_US_SS_OW,
    VR_OB_OW,
    VR_COUNT
};

/* The VR of two letters on the wire; VR_NONE where it is none that we know. */
enum vr vr_of_letters(uint8_t first, uint8_t second);

/* "LO"; "US/SS" for one of the dictionary's. Constant. */
const char *vr_name(enum vr vr);

/* Whether an explicit VR header has a 32-bit length behind two reserved bytes (PS3.5 Table 7.1-1). */
bool vr_has_long_header(enum vr vr);

/* Characters, as opposed to numbers and bytes (PS3.5 Table 6.2-1). */
bool vr_is_text(enum vr vr);

/* Text whose characters Specific Character Set says: LO LT PN SH ST UC UT (PS3.5 §6.1.2.2). */
bool vr_uses_character_set(enum vr vr);

/* Text in which a backslash parts values: not LT ST UT UR (PS3.5 §6.2). */
bool vr_is_multi_valued(enum vr vr);

/* Bytes that change place between byte orders: 1, 2, 4 or 8 (PS3.5 §7.3). OW, and what may be OW, counts 2. */
size_t vr_unit_bytes(enum vr vr);

/*
 * The dictionary's VR: PS3.6, repeating groups, group lengths (UL), private creators (LO).
 * VR_UN for every other private tag and for what the edition does not know.
 */
enum vr dictionary_vr(uint32_t tag);

static inline bool tag_is_private(uint32_t tag)
{
    return (tag >> 16) % 2 == 1;
}

enum uid_kind {
    UID_TRANSFER_SYNTAX,
    UID_STORAGE, /* a SOP class of the Storage Service, retired ones too */
    UID_SOP_CLASS,
    UID_META_SOP_CLASS,
    UID_SOP_INSTANCE,
    UID_APPLICATION_CONTEXT,
};

struct uid_entry {
    const char *uid;
    const char *keyword;
    enum uid_kind kind;
    bool retired;
};

/* NULL where PS3.6 has none of that name. uid: without padding. */
const struct uid_entry *uid_find(struct span uid);

/* Whether PS3.4 Annex B or GG makes it a class that C-STORE sends. uid: without padding. */
bool sop_class_is_storage(struct span uid);

#define UID_MAX 64 /* PS3.5 §9.1 */

/*
 * Digits and dots, 1 to UID_MAX of them, without empty components. Leading zeros of a component are let
 * through: devices send them, and nothing here depends on their absence.
 */
bool uid_is_valid(struct span uid);

/* Without the NUL (or the space that some devices send) that pads to even length. */
struct span uid_trim(struct span uid);

#endif
