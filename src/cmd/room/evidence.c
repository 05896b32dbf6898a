/* Rows of evidence. See evidence.h. */
#include "cmd/room/evidence.h"

#include <sodium.h>
#include <stdlib.h>
#include <time.h>

#include "record/field.h"
#include "vault/evidence.h"
#include "vault/proof.h"

/* How long a pack waits for what is committed to be confirmed: it is within 100 ms of quiet. */
#define CONFIRM_WAIT_MS 10000
/* Facts of a record that the page says in words; each is cut there. */
#define WORD_BYTES_MAX 200
/* Newest checkpoints that others have seen, and the oldest that covers what is shown. */
#define NEWEST_ANCHORS (EVIDENCE_ANCHORS_MAX - 2)

struct making {
    struct store *store;
    struct vault_reader *reader;
    struct span request;
    vault_row *row;
    void *context;
    struct proof_tree *tree;
    const struct proof_source *source;
    bool keys;              /* else hashes only */
    bool whole_range;       /* a period: what is no event is sealed */
    bool documents;         /* bodies go with what is shown */
    uint64_t from, until;   /* a range, or */
    struct writer listed;   /* positions, u64 each; owned */
    struct writer out;      /* the row being made; owned */
    unsigned anchors;
    struct writer covering; /* fields of the oldest anchor that covers all; owned */
    bool stopped;           /* nobody reads on */
};

static bool give(struct making *m, struct error *err)
{
    if (!writer_ok(&m->out, err, "evidence"))
        return false;
    m->stopped = !m->row(m->context, writer_span(&m->out));
    sodium_memzero(m->out.ptr, m->out.len); /* it holds a key */
    writer_reset(&m->out);
    return !m->stopped || error_set(err, ERR_CLOSED, "nobody reads on");
}

/* ---- which records ---- */

static bool take_position(void *context, struct span row)
{
    struct making *m = context;

    if (fields_find(row, FIELD_FROM_POSITION, &(struct span){ NULL, 0 })) {
        m->from = fields_uint(row, FIELD_FROM_POSITION, 0);
        m->until = fields_uint(row, FIELD_UNTIL_POSITION, 0);
        return true;
    }
    write_u64le(&m->listed, fields_uint(row, FIELD_POSITION, 0));
    return !m->listed.failed;
}

static bool ask_views(struct making *m, struct error *err)
{
    struct writer request = writer_new(8192);
    bool ok;

    field_put_str(&request, FIELD_QUERY, "evidence-positions");
    write_span(&request, m->request); /* its own query comes second and is not looked at */
    ok = writer_ok(&request, err, "request") && vault_find(m->reader, writer_span(&request), take_position, m, err)
         && writer_ok(&m->listed, err, "more records than a pack holds");
    writer_done(&request);
    return ok;
}

static uint64_t count_of(const struct making *m)
{
    return m->whole_range ? m->until - m->from : m->listed.len / 8;
}

static uint64_t nth(const struct making *m, uint64_t n)
{
    struct reader r = reader_over(span_part(writer_span(&m->listed), (size_t)n * 8, 8));

    return m->whole_range ? m->from + n : read_u64le(&r);
}

/* A damaged one may be: it is shown by its hash. */
static bool is_result(const struct making *m, uint64_t position, struct error *err)
{
    struct error why = { 0 };
    struct entry e;

    if (!store_read_header(m->store, position, &e, &why))
        return !error_is_want(why.code) || error_set(err, why.code, "%s", why.text);
    return e.kind == RECORD_HL7 || error_set(err, ERR_NOT_FOUND, "no result message is at that position");
}

static bool choose(struct making *m, struct error *err)
{
    struct span asked = fields_text(m->request, FIELD_EVIDENCE), position;
    bool range = fields_find(m->request, FIELD_UNTIL_POSITION, &position);

    m->keys = !span_equal(fields_text(m->request, FIELD_FORM), SPAN_LIT("hashes"));
    m->whole_range = span_equal(asked, SPAN_LIT("period"));
    m->documents = !m->whole_range && !span_equal(asked, SPAN_LIT("access"));
    if (m->whole_range && range) {
        m->from = fields_uint(m->request, FIELD_FROM_POSITION, 0);
        m->until = field_uint(position);
    } else if (fields_find(m->request, FIELD_POSITION, &position)) {
        write_u64le(&m->listed, field_uint(position));
    } else if (!ask_views(m, err)) {
        return false;
    }
    if (m->whole_range && (m->from >= m->until || m->until - m->from > EVIDENCE_RECORDS_MAX))
        return error_set(err, ERR_LIMIT, "a period of more than %u records, or of none", EVIDENCE_RECORDS_MAX);
    if (span_equal(asked, SPAN_LIT("result")) && !is_result(m, nth(m, 0), err))
        return false;
    return m->whole_range || m->listed.len > 0 || error_set(err, ERR_NOT_FOUND, "no record is about that");
}

/* ---- checkpoints ---- */

/* The confirmed tree, once it has what is committed now. */
static bool open_tree(struct making *m, struct error *err)
{
    static const struct timespec pause = { .tv_nsec = 20000000 };
    uint64_t want = store_committed_size(m->store);

    for (int waited = 0; waited < CONFIRM_WAIT_MS; waited += 20) {
        m->tree = proof_tree_open(m->store, err);
        if (m->tree == NULL)
            return false;
        m->source = proof_tree_source(m->tree);
        if (m->source->size >= want)
            return true;
        proof_tree_close(m->tree);
        m->tree = NULL;
        (void)nanosleep(&pause, NULL);
    }
    return error_set(err, ERR_BUSY, "what was stored last is not confirmed yet: try again");
}

static bool give_head(struct making *m, struct error *err)
{
    struct writer note = writer_new(NOTE_BYTES_MAX), text = writer_new(512);
    struct vkey key;
    struct hash root;
    bool ok = proof_root(m->source, m->source->size, &root, err) && evidence_log_key(m->store, &key, err)
              && evidence_checkpoint(m->store, m->source->size, &root, &note, err);

    if (ok) {
        vkey_write(&key, &text);
        field_put_text(&m->out, FIELD_SIGNED_NOTE, writer_span(&note));
        field_put_uint(&m->out, FIELD_TREE_SIZE, m->source->size);
        field_put_bytes(&m->out, FIELD_PUBLIC_KEY, span_of(key.key, sizeof key.key));
        field_put_text(&m->out, FIELD_VKEY, writer_span(&text));
        field_put_str(&m->out, FIELD_ORIGIN, key.name);
        field_put_uint(&m->out, FIELD_COUNT, count_of(m));
        field_put_uint(&m->out, FIELD_FROM_POSITION, m->from);
        field_put_uint(&m->out, FIELD_UNTIL_POSITION, m->until);
        ok = give(m, err);
    }
    writer_done(&note);
    writer_done(&text);
    return ok;
}

/* An ANCR: note, consistency with the tree, token or nothing. False where it is none of this log's. */
static bool put_anchor(struct making *m, struct span note, struct span token, uint64_t *size)
{
    struct checkpoint c;
    struct proof proof;
    struct hash root;
    struct note n;

    if (!note_parse(note, &n, NULL) || !checkpoint_parse(n.text, &c, NULL) || c.size == 0 || c.size > m->source->size
        || !proof_root(m->source, c.size, &root, NULL) || memcmp(root.bytes, c.root, HASH_BYTES) != 0
        || !proof_consistency(m->source, c.size, m->source->size, &proof, NULL))
        return false;
    *size = c.size;
    field_put_uint(&m->out, FIELD_TREE_SIZE, c.size);
    field_put_text(&m->out, FIELD_SIGNED_NOTE, note);
    field_put_bytes(&m->out, FIELD_CONSISTENCY, span_of(proof.hashes->bytes, proof.count * HASH_BYTES));
    if (token.len > 0)
        field_put_bytes(&m->out, FIELD_STAMP_TOKEN, token);
    return true;
}

static bool take_fact(void *context, struct span facts)
{
    struct making *m = context;
    struct span fact = fields_text(facts, FIELD_FACT), note = fields_text(facts, FIELD_SIGNED_NOTE);
    struct span lines = fields_text(facts, FIELD_COSIGNATURE);
    struct writer whole = writer_new(NOTE_BYTES_MAX);
    uint64_t size;

    if (!span_equal(fact, SPAN_LIT("checkpoint-cosigned")) && !span_equal(fact, SPAN_LIT("checkpoint-stamped")))
        return true;
    write_span(&whole, note);
    write_span(&whole, lines);
    if (!whole.failed && put_anchor(m, writer_span(&whole), fields_text(facts, FIELD_STAMP_TOKEN), &size)) {
        if (m->anchors < NEWEST_ANCHORS) {
            m->anchors++;
            (void)give(m, NULL);
        } else if (size > nth(m, count_of(m) - 1)) {
            writer_reset(&m->covering);
            write_span(&m->covering, writer_span(&m->out));
        }
    }
    writer_reset(&m->out);
    writer_done(&whole);
    return !m->stopped;
}

/* What was given from outside is shown as a checkpoint of ours of that size, if it is. */
static bool give_outside(struct making *m, struct span text, struct error *err)
{
    struct writer note = writer_new(NOTE_BYTES_MAX);
    struct checkpoint c;
    struct hash root;
    struct note n;
    uint64_t size;
    bool ok;

    if (text.len == 0)
        return true;
    ok = checkpoint_parse(note_parse(text, &n, NULL) ? n.text : text, &c, err);
    if (ok && c.size > m->source->size)
        ok = error_set(err, ERR_REFUSED, "the checkpoint speaks of %llu records, the log has %llu: it was rolled back",
                       (unsigned long long)c.size, (unsigned long long)m->source->size);
    ok = ok && proof_root(m->source, c.size, &root, err);
    if (ok && memcmp(root.bytes, c.root, HASH_BYTES) != 0)
        ok = error_set(err, ERR_REFUSED, "the checkpoint is of another history: the root of %llu records differs",
                       (unsigned long long)c.size);
    ok = ok && evidence_checkpoint(m->store, c.size, &root, &note, err)
         && (put_anchor(m, writer_span(&note), (struct span){ NULL, 0 }, &size)
             || error_set(err, ERR_DAMAGED, "no proof from the checkpoint given"))
         && give(m, err);
    writer_done(&note);
    return ok;
}

static bool give_anchors(struct making *m, struct error *err)
{
    if (!give_outside(m, fields_text(m->request, FIELD_SIGNED_NOTE), err)
        || !evidence_walk_facts(m->store, m->source->size, EVIDENCE_ANCHOR_SEARCH_MAX, take_fact, m, err))
        return false;
    write_span(&m->out, writer_span(&m->covering));
    return m->covering.len == 0 || give(m, err);
}

/* ---- records ---- */

static void put_words(struct making *m, struct span facts)
{
    static const enum field words[] = {
        FIELD_EVENT,     FIELD_ACTOR,     FIELD_OUTCOME,  FIELD_ADDRESS,      FIELD_REASON,        FIELD_SOURCE,
        FIELD_STATE,     FIELD_FACT,      FIELD_STUDY_UID, FIELD_SERIES_UID,  FIELD_SOP_UID,       FIELD_SOP_CLASS,
        FIELD_PATIENT_ID, FIELD_ISSUER,   FIELD_PATIENT_NAME, FIELD_MODALITY, FIELD_INSTANCE_NUMBER, FIELD_MESSAGE_TYPE,
        FIELD_TRIGGER,   FIELD_CONTROL_ID, FIELD_DETAIL,  FIELD_STUDY_DESCRIPTION,
    };
    struct span about;

    if (fields_find(facts, FIELD_POSITION, &about)) /* of an event: the record it is about; the row's own is its position */
        field_put_uint(&m->out, FIELD_FIRST_POSITION, field_uint(about));

    for (size_t i = 0; i < COUNT_OF(words); i++)
        field_put_some(&m->out, words[i], span_part(fields_text(facts, words[i]), 0, WORD_BYTES_MAX));
}

/* A document whose body is damaged, or gone by rule, is sealed: a pack never holds what a verifier must refuse. */
static bool is_shown(const struct making *m, const struct evidence_record *r, uint64_t position, struct span facts,
                     struct error *why)
{
    struct span study = fields_text(m->request, FIELD_STUDY_UID);

    if (!r->opened || (m->whole_range && r->kind != RECORD_EVENT))
        return false;
    if (study.len > 0 && !span_equal(study, fields_text(facts, FIELD_STUDY_UID)))
        return false; /* a version that names another study: that it is there is shown, not what it says of others */
    return !m->documents || !r->has_body || evidence_body_whole(m->store, position, why);
}

/*
 * Shape and what belongs to it (docs/evidence.md, "RECD"). A record whose bytes are damaged has its leaf. False where it
 * is not known what it is (no memory, no descriptor): a pack that says less than there is would be signed.
 */
static bool put_shape(struct making *m, uint64_t position, const struct hash *leaf, struct error *err)
{
    struct error why = { 0 };
    struct writer facts = writer_new(SIZE_MAX / 2);
    struct evidence_record r = { .opened = false };
    bool there = m->keys && evidence_record(m->store, position, leaf, &r, &facts, &why);
    bool shown = there && is_shown(m, &r, position, writer_span(&facts), &why);

    field_put_uint(&m->out, FIELD_SHAPE, shown ? 1 : there ? 2 : 3);
    if (there) {
        field_put_uint(&m->out, FIELD_RECORD_KIND, r.kind);
        field_put_uint(&m->out, FIELD_RECEIVED, r.received_us);
        field_put_uint(&m->out, FIELD_BODY_CLASS, r.has_body ? 1 : 0);
    } else {
        field_put_bytes(&m->out, FIELD_LEAF, span_of(leaf->bytes, HASH_BYTES));
    }
    if (shown) {
        field_put_bytes(&m->out, FIELD_RECORD_KEY, span_of(r.key, sizeof r.key));
        put_words(m, writer_span(&facts));
    }
    sodium_memzero(&r, sizeof r);
    if (facts.ptr != NULL)
        sodium_memzero(facts.ptr, facts.cap);
    writer_done(&facts);
    return !error_is_want(why.code) || error_set(err, why.code, "%s", why.text);
}

static bool give_record(struct making *m, uint64_t position, struct error *err)
{
    struct proof proof;
    struct hash leaf;

    if (!proof_inclusion(m->source, position, m->source->size, &proof, err)
        || !proof_tree_leaf(m->tree, position, &leaf, err))
        return error_within(err, "record %llu", (unsigned long long)position);
    field_put_uint(&m->out, FIELD_POSITION, position);
    field_put_bytes(&m->out, FIELD_INCLUSION, span_of(proof.hashes->bytes, proof.count * HASH_BYTES));
    return put_shape(m, position, &leaf, err) && give(m, err);
}

static bool give_all(struct making *m, struct error *err)
{
    if (!open_tree(m, err) || !choose(m, err) || !give_head(m, err) || !give_anchors(m, err))
        return false;
    for (uint64_t i = 0; i < count_of(m); i++)
        if (!give_record(m, nth(m, i), err))
            return false;
    return true;
}

static bool give_signature(struct making *m, struct error *err)
{
    struct span digest = fields_text(m->request, FIELD_DIGEST);
    struct writer note = writer_new(NOTE_BYTES_MAX);
    bool ok = digest.len == HASH_BYTES || error_set(err, ERR_MALFORMED, "no SHA-256");

    ok = ok && evidence_sign(m->store, digest.ptr, &note, err);
    if (ok) {
        field_put_text(&m->out, FIELD_SIGNED_NOTE, writer_span(&note));
        ok = give(m, err);
    }
    writer_done(&note);
    return ok;
}

bool evidence_find(struct store *store, struct vault_reader *reader, struct span request, vault_row *row, void *context,
                   struct error *err)
{
    struct making m = { .store = store, .reader = reader, .request = request, .row = row, .context = context };
    bool sign = span_equal(fields_text(request, FIELD_QUERY), SPAN_LIT("evidence-signature"));
    bool ok;

    m.listed = writer_new((size_t)EVIDENCE_RECORDS_MAX * 8);
    m.out = writer_new((size_t)127 * 1024);
    m.covering = writer_new((size_t)127 * 1024);
    ok = sign ? give_signature(&m, err) : give_all(&m, err);
    proof_tree_close(m.tree);
    writer_done(&m.listed);
    writer_done(&m.out);
    writer_done(&m.covering);
    return ok;
}

bool evidence_stored(struct store *store, bool body, uint64_t position, uint64_t offset, uint8_t *out, size_t len,
                     size_t *got, struct error *err)
{
    struct writer entry = writer_new(SIZE_MAX / 2);
    struct span part;
    bool ok;

    if (body)
        return evidence_body(store, position, offset, out, len, got, err);
    ok = evidence_entry(store, position, &entry, err);
    part = span_part(writer_span(&entry), (size_t)offset, len);
    if (ok && part.len > 0)
        memcpy(out, part.ptr, part.len);
    if (ok)
        *got = part.len;
    writer_done(&entry);
    return ok;
}
