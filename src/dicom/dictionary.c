/* Lookups in the constant tables of PS3.5 and PS3.6. See dictionary.h. */
#include "dicom/dictionary.h"

struct attribute_row {
    uint32_t tag;
    uint8_t vr;
};

struct repeating_row {
    uint32_t mask;
    uint32_t tag;
    uint8_t vr;
};

#include "attributes_table.inc"
#include "uids_table.inc"

enum { TEXT = 1, CHARSET = 2, MULTI = 4, LONG = 8 };

/* PS3.5 Tables 6.2-1 and 7.1-1. */
static const struct {
    char name[9];
    uint8_t flags;
    uint8_t unit;
} vrs[VR_COUNT] = {
    [VR_NONE] = { "??", 0, 1 },
    [VR_AE] = { "AE", TEXT | MULTI, 1 },
    [VR_AS] = { "AS", TEXT | MULTI, 1 },
    [VR_AT] = { "AT", 0, 2 },
    [VR_CS] = { "CS", TEXT | MULTI, 1 },
    [VR_DA] = { "DA", TEXT | MULTI, 1 },
    [VR_DS] = { "DS", TEXT | MULTI, 1 },
    [VR_DT] = { "DT", TEXT | MULTI, 1 },
    [VR_FD] = { "FD", 0, 8 },
    [VR_FL] = { "FL", 0, 4 },
    [VR_IS] = { "IS", TEXT | MULTI, 1 },
    [VR_LO] = { "LO", TEXT | MULTI | CHARSET, 1 },
    [VR_LT] = { "LT", TEXT | CHARSET, 1 },
    [VR_OB] = { "OB", LONG, 1 },
    [VR_OD] = { "OD", LONG, 8 },
    [VR_OF] = { "OF", LONG, 4 },
    [VR_OL] = { "OL", LONG, 4 },
    [VR_OV] = { "OV", LONG, 8 },
    [VR_OW] = { "OW", LONG, 2 },
    [VR_PN] = { "PN", TEXT | MULTI | CHARSET, 1 },
    [VR_SH] = { "SH", TEXT | MULTI | CHARSET, 1 },
    [VR_SL] = { "SL", 0, 4 },
    [VR_SQ] = { "SQ", LONG, 1 },
    [VR_SS] = { "SS", 0, 2 },
    [VR_ST] = { "ST", TEXT | CHARSET, 1 },
    [VR_SV] = { "SV", LONG, 8 },
    [VR_TM] = { "TM", TEXT | MULTI, 1 },
    [VR_UC] = { "UC", TEXT | MULTI | CHARSET | LONG, 1 },
    [VR_UI] = { "UI", TEXT | MULTI, 1 },
    [VR_UL] = { "UL", 0, 4 },
    [VR_UN] = { "UN", LONG, 1 },
    [VR_UR] = { "UR", TEXT | LONG, 1 },
    [VR_US] = { "US", 0, 2 },
    [VR_UT] = { "UT", TEXT | CHARSET | LONG, 1 },
    [VR_UV] = { "UV", LONG, 8 },
    [VR_US_SS] = { "US/SS", 0, 2 },
    [VR_US_OW] = { "US/OW", LONG, 2 },
    [VR_US_SS_OW] = { "US/SS/OW", LONG, 2 },
    [VR_OB_OW] = { "OB/OW", LONG, 2 },
};

enum vr vr_of_letters(uint8_t first, uint8_t second)
{
    for (enum vr vr = VR_AE; vr < VR_US_SS; vr++)
        if (vrs[vr].name[0] == first && vrs[vr].name[1] == second)
            return vr;
    return VR_NONE;
}

const char *vr_name(enum vr vr)
{
    return vrs[vr].name;
}

bool vr_has_long_header(enum vr vr)
{
    return (vrs[vr].flags & LONG) != 0;
}

bool vr_is_text(enum vr vr)
{
    return (vrs[vr].flags & TEXT) != 0;
}

bool vr_uses_character_set(enum vr vr)
{
    return (vrs[vr].flags & CHARSET) != 0;
}

bool vr_is_multi_valued(enum vr vr)
{
    return (vrs[vr].flags & MULTI) != 0;
}

size_t vr_unit_bytes(enum vr vr)
{
    return vrs[vr].unit;
}

static enum vr find_exact(uint32_t tag)
{
    size_t from = 0, to = COUNT_OF(attribute_rows);

    while (from < to) {
        size_t middle = from + (to - from) / 2;

        if (attribute_rows[middle].tag == tag)
            return (enum vr)attribute_rows[middle].vr;
        if (attribute_rows[middle].tag < tag)
            from = middle + 1;
        else
            to = middle;
    }
    return VR_NONE;
}

static enum vr find_repeating(uint32_t tag)
{
    for (size_t i = 0; i < COUNT_OF(repeating_rows); i++)
        if ((tag & repeating_rows[i].mask) == repeating_rows[i].tag)
            return (enum vr)repeating_rows[i].vr;
    return VR_NONE;
}

enum vr dictionary_vr(uint32_t tag)
{
    uint32_t element = tag & 0xFFFF;
    enum vr vr;

    if (element == 0)
        return VR_UL;        /* group length, PS3.5 §7.2 */
    if (tag_is_private(tag)) /* PS3.5 §7.8.1 */
        return element >= 0x10 && element <= 0xFF ? VR_LO : VR_UN;
    vr = find_exact(tag);
    if (vr == VR_NONE)
        vr = find_repeating(tag);
    return vr == VR_NONE ? VR_UN : vr;
}

const struct uid_entry *uid_find(struct span uid)
{
    size_t from = 0, to = COUNT_OF(uid_rows);

    while (from < to) {
        size_t middle = from + (to - from) / 2;
        int order = span_compare(span_str(uid_rows[middle].uid), uid);

        if (order == 0)
            return &uid_rows[middle];
        if (order < 0)
            from = middle + 1;
        else
            to = middle;
    }
    return NULL;
}

bool sop_class_is_storage(struct span uid)
{
    const struct uid_entry *entry = uid_find(uid);

    return entry != NULL && entry->kind == UID_STORAGE;
}

bool uid_is_valid(struct span uid)
{
    bool digit_before = false;

    if (uid.len == 0 || uid.len > UID_MAX)
        return false;
    for (size_t i = 0; i < uid.len; i++) {
        bool digit = uid.ptr[i] >= '0' && uid.ptr[i] <= '9';

        if (!digit && (uid.ptr[i] != '.' || !digit_before))
            return false;
        digit_before = digit;
    }
    return digit_before;
}

struct span uid_trim(struct span uid)
{
    return span_trim(uid, " ");
}
