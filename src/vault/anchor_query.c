/* The query `checkpoint`. See anchor_query.h. */
#include "vault/anchor_query.h"

#include "record/field.h"

const char *anchor_verdict_name(enum anchor_verdict v)
{
    switch (v) {
    case ANCHOR_HOLDS:
        return "holds";
    case ANCHOR_ROLLED_BACK:
        return "rolled-back";
    case ANCHOR_OTHER_HISTORY:
        return "other-history";
    }
    return "";
}

static void put_vkey(struct writer *w, const struct vkey *key)
{
    const size_t before = w->len + 6;

    field_put_str(w, FIELD_VKEY, ""); /* its length is written when it is known */
    vkey_write(key, w);
    write_patch_u32le(w, before - 4, (uint32_t)(w->len - before));
}

static bool put_comparison(struct store *s, struct span request, struct writer *w, struct error *err)
{
    const struct span root = fields_text(request, FIELD_TREE_ROOT);
    enum anchor_verdict verdict;
    uint64_t size;

    if (root.len == 0)
        return true;
    if (root.len != ROOT_BYTES)
        return error_set(err, ERR_MALFORMED, "a root of %zu bytes", root.len);
    if (!anchor_compare(s, fields_uint(request, FIELD_TREE_SIZE, 0), root.ptr, &verdict, &size, err))
        return false;
    field_put_str(w, FIELD_STATE, anchor_verdict_name(verdict));
    return true;
}

bool anchor_query(struct store *s, struct span request, vault_row *row, void *context, struct error *err)
{
    struct writer w = writer_new(2 * NOTE_BYTES_MAX);
    struct anchor_head h;
    struct vkey checkpoints, witness;
    char origin[NOTE_NAME_MAX + 1];
    uint8_t id[STORE_ID_BYTES];
    bool ok = anchor_head_read(s, 0, &h, err);

    if (ok) {
        ok = store_vkeys(s, &checkpoints, &witness, err) && put_comparison(s, request, &w, err);
        store_origin(s, id, origin);
        field_put_str(&w, FIELD_ORIGIN, origin);
        field_put_bytes(&w, FIELD_VAULT_ID, span_of(id, sizeof id));
        field_put_uint(&w, FIELD_TREE_SIZE, h.size);
        field_put_bytes(&w, FIELD_TREE_ROOT, span_of(h.root, ROOT_BYTES));
        field_put_text(&w, FIELD_SIGNED_NOTE, h.request.note);
        anchor_head_done(&h);
    }
    if (ok) {
        put_vkey(&w, &checkpoints); /* first that of checkpoints, then that of cosignatures */
        put_vkey(&w, &witness);
        ok = writer_ok(&w, err, "checkpoint");
    }
    if (ok)
        (void)row(context, writer_span(&w));
    writer_done(&w);
    return ok;
}
