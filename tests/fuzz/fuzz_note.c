/* A signed note, a verifier key, the body of add-checkpoint: what is taken is written back as it came. */
#include <assert.h>

#include "record/note.h"

static void try_note(struct span bytes)
{
    struct note n;
    struct note_signature s;
    struct checkpoint c;
    size_t count = 0;

    if (!note_parse(bytes, &n, NULL))
        return;
    assert(n.text.len + 1 + n.signatures.len == bytes.len && n.text.ptr[n.text.len - 1] == '\n');
    if (checkpoint_parse(n.text, &c, NULL))
        assert(c.origin.len > 0);
    while (note_signature_next(&n.signatures, &s)) {
        assert(s.name.len > 0 && s.len <= sizeof s.bytes && (s.len == 0 || s.len > 4));
        count++;
    }
    assert(count > 0 && count <= NOTE_SIGNATURES_MAX && n.signatures.len == 0);
}

static void try_vkey(struct span bytes)
{
    struct writer w = writer_new(1024);
    struct vkey v;

    if (vkey_parse(bytes, &v, NULL)) {
        vkey_write(&v, &w);
        assert(span_equal(writer_span(&w), bytes));
    }
    writer_done(&w);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct writer w = writer_new(len + 4096);
    struct witness_request r;

    try_note(span_of(bytes, len));
    try_vkey(span_of(bytes, len));
    if (witness_request_parse(span_of(bytes, len), &r, NULL)) {
        assert(r.proof_count <= WITNESS_PROOF_MAX);
        witness_request_write(&r, &w);
        assert(span_equal(writer_span(&w), span_of(bytes, len)));
        try_note(r.note);
    }
    writer_done(&w);
    return 0;
}
