/* PDU codec of the DICOM Upper Layer (PS3.8 §9.3): see pdu.h. */
#include "dicom/pdu.h"

#include <assert.h>

/* PS3.8 §9.3.2, §9.3.3 and PS3.7 Annex D.3.3 */
enum item_type {
    ITEM_APPLICATION_CONTEXT = 0x10,
    ITEM_PRESENTATION_CONTEXT_RQ = 0x20,
    ITEM_PRESENTATION_CONTEXT_AC = 0x21,
    ITEM_ABSTRACT_SYNTAX = 0x30,
    ITEM_TRANSFER_SYNTAX = 0x40,
    ITEM_USER_INFORMATION = 0x50,
    ITEM_MAXIMUM_LENGTH = 0x51,
    ITEM_IMPLEMENTATION_CLASS_UID = 0x52,
    ITEM_ASYNCHRONOUS_OPERATIONS = 0x53,
    ITEM_ROLE_SELECTION = 0x54,
    ITEM_IMPLEMENTATION_VERSION_NAME = 0x55,
    ITEM_EXTENDED_NEGOTIATION = 0x56,
    ITEM_COMMON_EXTENDED_NEGOTIATION = 0x57,
    ITEM_USER_IDENTITY_RQ = 0x58,
    ITEM_USER_IDENTITY_AC = 0x59,
};

#define RESERVED_BYTES 32 /* bytes 43-74 of Tables 9-11 and 9-17 */

struct item {
    uint8_t type;
    struct span body;
};

/* The next item or sub-item: type, reserved, u16 length, body. False at the end or where it is cut. */
static bool item_next(struct reader *r, struct item *out)
{
    if (reader_left(r) == 0 || r->dry)
        return false;
    out->type = read_u8(r);
    read_skip(r, 1);
    out->body = read_span(r, read_u16be(r));
    return !r->dry;
}

static size_t items_of_type(struct span list, uint8_t type)
{
    struct reader r = reader_over(list);
    struct item item;
    size_t count = 0;

    while (item_next(&r, &item))
        count += item.type == type;
    return count;
}

/* A UID as sent in an item: §9.3.1 forbids padding, devices do pad. */
static struct span uid_value(struct span body)
{
    return span_trim(body, " ");
}

struct pdu_header pdu_header_decode(const uint8_t header[PDU_HEADER_BYTES])
{
    struct reader r = reader_over(span_of(header, PDU_HEADER_BYTES));
    struct pdu_header h = { .type = read_u8(&r) };

    read_skip(&r, 1);
    h.length = read_u32be(&r);
    return h;
}

bool pdu_header_check(struct pdu_header h, struct error *err)
{
    switch (h.type) {
    case PDU_A_ASSOCIATE_RQ:
    case PDU_A_ASSOCIATE_AC:
        if (h.length > PDU_ASSOCIATE_MAX_BYTES)
            return error_set(err, ERR_LIMIT, "A-ASSOCIATE of %u bytes", h.length);
        return true;
    case PDU_P_DATA_TF:
        if (h.length > PDU_P_DATA_MAX_BYTES)
            return error_set(err, ERR_LIMIT, "P-DATA-TF of %u bytes", h.length);
        return true;
    case PDU_A_ASSOCIATE_RJ:
    case PDU_A_RELEASE_RQ:
    case PDU_A_RELEASE_RP:
    case PDU_A_ABORT:
        if (h.length != PDU_SHORT_BYTES)
            return error_set(err, ERR_MALFORMED, "PDU type %u of %u bytes, not 4", h.type, h.length);
        return true;
    }
    return error_set(err, ERR_UNSUPPORTED, "PDU type %u is unknown", h.type);
}

struct span ae_title(struct span field)
{
    return span_trim(field, " ");
}

/* ---- decoding A-ASSOCIATE ---- */

/* The sub-items of a presentation context; §9.3.2.2.1 and .2. */
static bool decode_syntaxes(struct span list, struct arena *arena, struct presentation_context *pc, struct error *err)
{
    struct reader r = reader_over(list);
    struct item item;
    size_t count = items_of_type(list, ITEM_TRANSFER_SYNTAX);

    if (count > TRANSFER_SYNTAXES_MAX)
        return error_set(err, ERR_LIMIT, "%zu transfer syntaxes", count);
    pc->transfer_syntaxes = count ? arena_alloc(arena, count * sizeof *pc->transfer_syntaxes) : NULL;
    if (count && !pc->transfer_syntaxes)
        return error_set(err, ERR_MEMORY, "no memory for %zu transfer syntaxes", count);
    while (item_next(&r, &item)) {
        if (item.type == ITEM_TRANSFER_SYNTAX) {
            pc->transfer_syntaxes[pc->transfer_syntax_count++] = uid_value(item.body);
        } else if (item.type == ITEM_ABSTRACT_SYNTAX) {
            if (pc->abstract_syntax.ptr)
                return error_set(err, ERR_MALFORMED, "two abstract syntaxes");
            pc->abstract_syntax = uid_value(item.body);
        }
    }
    return reader_complete(&r, err, "syntax sub-item");
}

/* Table 9-13 (RQ) or 9-18 (AC). */
static bool decode_presentation_context(struct span body, bool proposed, struct arena *arena,
                                        struct presentation_context *out, struct error *err)
{
    struct reader r = reader_over(body);
    struct presentation_context pc = { .id = read_u8(&r) };

    read_skip(&r, 1);
    pc.result = read_u8(&r);
    read_skip(&r, 1);
    if (!reader_complete(&r, err, "presentation context"))
        return false;
    if (pc.id % 2 == 0)
        return error_set(err, ERR_MALFORMED, "presentation context ID %u is even", pc.id);
    if (!decode_syntaxes(read_span(&r, reader_left(&r)), arena, &pc, err))
        return error_within(err, "presentation context %u", pc.id);
    if (proposed && (pc.abstract_syntax.len == 0 || pc.transfer_syntax_count == 0))
        return error_set(err, ERR_MALFORMED, "presentation context %u lacks a syntax", pc.id);
    if (!proposed && pc.result == PRESENTATION_ACCEPTED && pc.transfer_syntax_count != 1)
        return error_set(err, ERR_MALFORMED, "presentation context %u accepts %zu transfer syntaxes", pc.id,
                         pc.transfer_syntax_count);
    *out = pc;
    return true;
}

static bool decode_role(struct span body, struct role_selection *out, struct error *err)
{
    struct reader r = reader_over(body);

    out->sop_class_uid = uid_value(read_span(&r, read_u16be(&r)));
    out->scu = read_u8(&r) == 1;
    out->scp = read_u8(&r) == 1;
    return reader_complete(&r, err, "role selection");
}

static bool decode_extended(struct item item, struct extended_negotiation *out, struct error *err)
{
    struct reader r = reader_over(item.body);

    out->common = item.type == ITEM_COMMON_EXTENDED_NEGOTIATION;
    out->sop_class_uid = uid_value(read_span(&r, read_u16be(&r)));
    if (!reader_complete(&r, err, "extended negotiation"))
        return false;
    out->application_information = read_span(&r, reader_left(&r));
    return true;
}

static bool decode_identity(struct item item, struct user_identity *out, struct error *err)
{
    struct reader r = reader_over(item.body);
    struct user_identity id = { .present = true };

    if (item.type == ITEM_USER_IDENTITY_RQ) {
        id.type = read_u8(&r);
        id.response_requested = read_u8(&r) == 1;
        id.primary = read_span(&r, read_u16be(&r));
        id.secondary = read_span(&r, read_u16be(&r));
    } else {
        id.primary = read_span(&r, read_u16be(&r));
    }
    if (!reader_complete(&r, err, "user identity"))
        return false;
    *out = id;
    return true;
}

static bool decode_user_item(struct item item, struct user_information *u, struct error *err)
{
    struct reader r = reader_over(item.body);

    switch (item.type) {
    case ITEM_MAXIMUM_LENGTH:
        u->max_pdu_bytes = read_u32be(&r);
        u->has_max_pdu_bytes = true;
        return reader_complete(&r, err, "maximum length");
    case ITEM_IMPLEMENTATION_CLASS_UID:
        u->implementation_class_uid = uid_value(item.body);
        return true;
    case ITEM_IMPLEMENTATION_VERSION_NAME:
        u->implementation_version_name = span_trim(item.body, " ");
        return true;
    case ITEM_ASYNCHRONOUS_OPERATIONS:
        u->max_operations_invoked = read_u16be(&r);
        u->max_operations_performed = read_u16be(&r);
        u->has_async_operations = true;
        return reader_complete(&r, err, "asynchronous operations window");
    case ITEM_ROLE_SELECTION:
        return decode_role(item.body, &u->roles[u->role_count++], err);
    case ITEM_EXTENDED_NEGOTIATION:
    case ITEM_COMMON_EXTENDED_NEGOTIATION:
        return decode_extended(item, &u->extended[u->extended_count++], err);
    case ITEM_USER_IDENTITY_RQ:
    case ITEM_USER_IDENTITY_AC:
        return decode_identity(item, &u->identity, err);
    }
    return true; /* §9.3.1: unrecognized items are ignored */
}

static bool decode_user_information(struct span body, struct arena *arena, struct user_information *out,
                                    struct error *err)
{
    struct reader r = reader_over(body);
    struct item item;
    struct user_information u = { 0 };
    size_t roles = items_of_type(body, ITEM_ROLE_SELECTION);
    size_t extended =
        items_of_type(body, ITEM_EXTENDED_NEGOTIATION) + items_of_type(body, ITEM_COMMON_EXTENDED_NEGOTIATION);

    if (roles > USER_ITEMS_MAX || extended > USER_ITEMS_MAX)
        return error_set(err, ERR_LIMIT, "%zu role selections, %zu extended negotiations", roles, extended);
    u.roles = roles ? arena_alloc(arena, roles * sizeof *u.roles) : NULL;
    u.extended = extended ? arena_alloc(arena, extended * sizeof *u.extended) : NULL;
    if ((roles && !u.roles) || (extended && !u.extended))
        return error_set(err, ERR_MEMORY, "no memory for user information");
    while (item_next(&r, &item))
        if (!decode_user_item(item, &u, err))
            return false;
    if (!reader_complete(&r, err, "user information sub-item"))
        return false;
    *out = u;
    return true;
}

static bool context_id_repeats(const struct associate *a, uint8_t id)
{
    for (size_t i = 0; i < a->context_count; i++)
        if (a->contexts[i].id == id)
            return true;
    return false;
}

static bool decode_associate_item(enum pdu_type type, struct item item, struct arena *arena, struct associate *a,
                                  struct error *err)
{
    bool proposed = type == PDU_A_ASSOCIATE_RQ;

    if (item.type == ITEM_APPLICATION_CONTEXT) {
        if (a->application_context.ptr)
            return error_set(err, ERR_MALFORMED, "two application contexts");
        a->application_context = uid_value(item.body);
    } else if (item.type == (proposed ? ITEM_PRESENTATION_CONTEXT_RQ : ITEM_PRESENTATION_CONTEXT_AC)) {
        struct presentation_context *pc = &a->contexts[a->context_count];

        if (!decode_presentation_context(item.body, proposed, arena, pc, err))
            return false;
        if (context_id_repeats(a, pc->id))
            return error_set(err, ERR_MALFORMED, "presentation context ID %u comes twice", pc->id);
        a->context_count++;
    } else if (item.type == ITEM_USER_INFORMATION) {
        return decode_user_information(item.body, arena, &a->user, err);
    }
    return true; /* §9.3.1: unrecognized items are ignored */
}

bool associate_decode(enum pdu_type type, struct span body, struct arena *arena, struct associate *out,
                      struct error *err)
{
    struct reader r = reader_over(body);
    struct associate a = { .protocol_version = read_u16be(&r) };
    struct span items;
    struct item item;
    size_t contexts;

    assert(type == PDU_A_ASSOCIATE_RQ || type == PDU_A_ASSOCIATE_AC);
    read_skip(&r, 2);
    a.called_ae = read_span(&r, AE_TITLE_BYTES);
    a.calling_ae = read_span(&r, AE_TITLE_BYTES);
    a.reserved = read_span(&r, RESERVED_BYTES);
    if (!reader_complete(&r, err, "A-ASSOCIATE"))
        return false;
    items = read_span(&r, reader_left(&r));
    contexts = items_of_type(
        items, type == PDU_A_ASSOCIATE_RQ ? ITEM_PRESENTATION_CONTEXT_RQ : ITEM_PRESENTATION_CONTEXT_AC);
    if (contexts > PRESENTATION_CONTEXTS_MAX)
        return error_set(err, ERR_LIMIT, "%zu presentation contexts", contexts);
    a.contexts = arena_alloc(arena, (contexts + 1) * sizeof *a.contexts);
    if (!a.contexts)
        return error_set(err, ERR_MEMORY, "no memory for %zu presentation contexts", contexts);
    r = reader_over(items);
    while (item_next(&r, &item))
        if (!decode_associate_item(type, item, arena, &a, err))
            return error_within(err, "A-ASSOCIATE");
    if (!reader_complete(&r, err, "A-ASSOCIATE item"))
        return false;
    *out = a;
    return true;
}

/* ---- encoding A-ASSOCIATE ---- */

static size_t item_begin(struct writer *w, uint8_t type)
{
    write_u8(w, type);
    write_u8(w, 0);
    write_u16be(w, 0);
    return w->len;
}

static void item_end(struct writer *w, size_t begin)
{
    size_t length = w->len - begin;

    if (length > UINT16_MAX)
        w->failed = true; /* no item can say so; our own lists are shorter */
    if (!w->failed)
        write_patch_u16be(w, begin - 2, (uint16_t)length);
}

static void encode_item(struct writer *w, uint8_t type, struct span body)
{
    size_t begin = item_begin(w, type);

    write_span(w, body);
    item_end(w, begin);
}

static void encode_presentation_context(struct writer *w, bool proposed, const struct presentation_context *pc)
{
    size_t begin = item_begin(w, proposed ? ITEM_PRESENTATION_CONTEXT_RQ : ITEM_PRESENTATION_CONTEXT_AC);

    write_u8(w, pc->id);
    write_u8(w, 0);
    write_u8(w, proposed ? 0 : pc->result);
    write_u8(w, 0);
    if (proposed)
        encode_item(w, ITEM_ABSTRACT_SYNTAX, pc->abstract_syntax);
    for (size_t i = 0; i < pc->transfer_syntax_count; i++)
        encode_item(w, ITEM_TRANSFER_SYNTAX, pc->transfer_syntaxes[i]);
    item_end(w, begin);
}

static void encode_identity(struct writer *w, bool request, const struct user_identity *id)
{
    size_t begin = item_begin(w, request ? ITEM_USER_IDENTITY_RQ : ITEM_USER_IDENTITY_AC);

    if (request) {
        write_u8(w, id->type);
        write_u8(w, id->response_requested);
    }
    write_u16be(w, (uint16_t)id->primary.len);
    write_span(w, id->primary);
    if (request) {
        write_u16be(w, (uint16_t)id->secondary.len);
        write_span(w, id->secondary);
    }
    item_end(w, begin);
}

/* Sub-items in the order of their types, as PS3.7 D.3.3 lists them. */
static void encode_user_information(struct writer *w, bool request, const struct user_information *u)
{
    size_t begin = item_begin(w, ITEM_USER_INFORMATION);

    if (u->has_max_pdu_bytes) {
        size_t item = item_begin(w, ITEM_MAXIMUM_LENGTH);

        write_u32be(w, u->max_pdu_bytes);
        item_end(w, item);
    }
    encode_item(w, ITEM_IMPLEMENTATION_CLASS_UID, u->implementation_class_uid);
    if (u->has_async_operations) {
        size_t item = item_begin(w, ITEM_ASYNCHRONOUS_OPERATIONS);

        write_u16be(w, u->max_operations_invoked);
        write_u16be(w, u->max_operations_performed);
        item_end(w, item);
    }
    for (size_t i = 0; i < u->role_count; i++) {
        size_t item = item_begin(w, ITEM_ROLE_SELECTION);

        write_u16be(w, (uint16_t)u->roles[i].sop_class_uid.len);
        write_span(w, u->roles[i].sop_class_uid);
        write_u8(w, u->roles[i].scu);
        write_u8(w, u->roles[i].scp);
        item_end(w, item);
    }
    if (u->implementation_version_name.len > 0)
        encode_item(w, ITEM_IMPLEMENTATION_VERSION_NAME, u->implementation_version_name);
    for (size_t i = 0; i < u->extended_count; i++) {
        size_t item =
            item_begin(w, u->extended[i].common ? ITEM_COMMON_EXTENDED_NEGOTIATION : ITEM_EXTENDED_NEGOTIATION);

        write_u16be(w, (uint16_t)u->extended[i].sop_class_uid.len);
        write_span(w, u->extended[i].sop_class_uid);
        write_span(w, u->extended[i].application_information);
        item_end(w, item);
    }
    if (u->identity.present)
        encode_identity(w, request, &u->identity);
    item_end(w, begin);
}

static size_t pdu_begin(struct writer *w, enum pdu_type type)
{
    write_u8(w, type);
    write_u8(w, 0);
    write_u32be(w, 0);
    return w->len;
}

static void pdu_end(struct writer *w, size_t begin)
{
    if (!w->failed)
        write_patch_u32be(w, begin - 4, (uint32_t)(w->len - begin));
}

static void encode_padded(struct writer *w, struct span value, size_t width, uint8_t padding)
{
    struct span part = span_part(value, 0, width);

    write_span(w, part);
    write_fill(w, padding, width - part.len);
}

void associate_encode(struct writer *w, enum pdu_type type, const struct associate *a)
{
    bool proposed = type == PDU_A_ASSOCIATE_RQ;
    size_t begin = pdu_begin(w, type);

    assert(proposed || type == PDU_A_ASSOCIATE_AC);
    write_u16be(w, a->protocol_version);
    write_u16be(w, 0);
    encode_padded(w, a->called_ae, AE_TITLE_BYTES, ' ');
    encode_padded(w, a->calling_ae, AE_TITLE_BYTES, ' ');
    encode_padded(w, a->reserved, RESERVED_BYTES, 0);
    encode_item(w, ITEM_APPLICATION_CONTEXT, a->application_context);
    for (size_t i = 0; i < a->context_count; i++)
        encode_presentation_context(w, proposed, &a->contexts[i]);
    encode_user_information(w, proposed, &a->user);
    pdu_end(w, begin);
}

/* ---- the short ones ---- */

bool associate_reject_decode(struct span body, struct associate_reject *out, struct error *err)
{
    struct reader r = reader_over(body);
    struct associate_reject v = { 0 };

    read_skip(&r, 1);
    v.result = read_u8(&r);
    v.source = read_u8(&r);
    v.reason = read_u8(&r);
    if (!reader_complete(&r, err, "A-ASSOCIATE-RJ"))
        return false;
    *out = v;
    return true;
}

void associate_reject_encode(struct writer *w, struct associate_reject v)
{
    size_t begin = pdu_begin(w, PDU_A_ASSOCIATE_RJ);

    write_u8(w, 0);
    write_u8(w, v.result);
    write_u8(w, v.source);
    write_u8(w, v.reason);
    pdu_end(w, begin);
}

void release_encode(struct writer *w, enum pdu_type type)
{
    size_t begin = pdu_begin(w, type);

    assert(type == PDU_A_RELEASE_RQ || type == PDU_A_RELEASE_RP);
    write_u32be(w, 0);
    pdu_end(w, begin);
}

bool abort_decode(struct span body, struct associate_abort *out, struct error *err)
{
    struct reader r = reader_over(body);
    struct associate_abort v = { 0 };

    read_skip(&r, 2);
    v.source = read_u8(&r);
    v.reason = read_u8(&r);
    if (!reader_complete(&r, err, "A-ABORT"))
        return false;
    *out = v;
    return true;
}

void abort_encode(struct writer *w, struct associate_abort v)
{
    size_t begin = pdu_begin(w, PDU_A_ABORT);

    write_u16be(w, 0);
    write_u8(w, v.source);
    write_u8(w, v.reason);
    pdu_end(w, begin);
}

/* ---- P-DATA-TF ---- */

enum { CONTROL_COMMAND = 0x01, CONTROL_LAST = 0x02 }; /* E.2 */

bool pdv_header_decode(const uint8_t header[PDV_HEADER_BYTES], uint32_t pdu_left, struct pdv_header *out,
                       struct error *err)
{
    struct reader r = reader_over(span_of(header, PDV_HEADER_BYTES));
    struct pdv_header h = { .length = read_u32be(&r) };
    uint8_t control;

    h.context_id = read_u8(&r);
    control = read_u8(&r);
    h.command = control & CONTROL_COMMAND;
    h.last = control & CONTROL_LAST;
    if (h.length < 2)
        return error_set(err, ERR_MALFORMED, "PDV item of %u bytes", h.length);
    if (h.length > pdu_left || pdu_left - h.length < 4)
        return error_set(err, ERR_TRUNCATED, "PDV item of %u bytes in the last %u of a PDU", h.length, pdu_left);
    if (h.context_id % 2 == 0)
        return error_set(err, ERR_MALFORMED, "presentation context ID %u is even", h.context_id);
    *out = h;
    return true;
}

/* The four bytes of a length, big endian. */
static void put_u32be(uint8_t *out, uint32_t v)
{
    out[0] = (uint8_t)(v >> 24);
    out[1] = (uint8_t)(v >> 16);
    out[2] = (uint8_t)(v >> 8);
    out[3] = (uint8_t)v;
}

void p_data_header_encode(uint8_t out[P_DATA_HEADERS_BYTES], uint8_t context_id, bool command, bool last,
                          uint32_t fragment_bytes)
{
    out[0] = PDU_P_DATA_TF;
    out[1] = 0;
    put_u32be(&out[2], fragment_bytes + PDV_HEADER_BYTES);
    put_u32be(&out[6], fragment_bytes + 2);
    out[10] = context_id;
    out[11] = (uint8_t)((command ? CONTROL_COMMAND : 0) | (last ? CONTROL_LAST : 0));
}

uint32_t p_data_fragment_max(uint32_t max_pdu_bytes)
{
    if (max_pdu_bytes == 0 || max_pdu_bytes > PDU_P_DATA_MAX_BYTES)
        max_pdu_bytes = PDU_P_DATA_MAX_BYTES;
    if (max_pdu_bytes <= PDV_HEADER_BYTES) /* nothing fits: the smallest PDU that carries anything */
        max_pdu_bytes = PDV_HEADER_BYTES + 1;
    return max_pdu_bytes - PDV_HEADER_BYTES;
}

void p_data_encode(struct writer *w, uint8_t context_id, bool command, struct span bytes, uint32_t max_pdu_bytes)
{
    uint32_t most = p_data_fragment_max(max_pdu_bytes);
    size_t at = 0;

    do {
        struct span fragment = span_part(bytes, at, most);
        uint8_t header[P_DATA_HEADERS_BYTES];

        at += fragment.len;
        p_data_header_encode(header, context_id, command, at == bytes.len, (uint32_t)fragment.len);
        write_span(w, span_of(header, sizeof header));
        write_span(w, fragment);
    } while (at < bytes.len);
}
