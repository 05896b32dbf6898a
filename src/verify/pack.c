/* Evidence packs. See pack.h. */
#include "pack.h"

#include <stdlib.h>
#include <string.h>

#include "stamp.h"

struct block {
    struct bytes type;
    struct bytes content;
    size_t from; /* of its header, in the file */
};

struct reading {
    struct bytes file;
    struct cursor blocks;
    const struct trust *trust;
    const struct telling *tell;
    struct verdict verdict;
    struct key key; /* the log's, as HEAD has it */
    struct checkpoint tree;
    uint64_t from, until; /* of a period */
    uint64_t records, next;
    bool outside_met; /* the checkpoint given from outside is one of the pack's */
    bool witnessed[WITNESSES_MAX];
    uint8_t clear[ENTRY_BYTES_MAX];
};

static bool next_block(struct reading *r, struct block *out, struct why *why)
{
    uint64_t length;
    struct bytes zero;

    out->from = r->file.len - r->blocks.left.len;
    out->type = take(&r->blocks, 4);
    zero = take(&r->blocks, 4);
    length = take_le(&r->blocks, 8);
    if (length > r->blocks.left.len || !is_zero(zero))
        return no(why, "the pack is cut short or broken at byte %zu", out->from);
    out->content = take(&r->blocks, (size_t)length);
    return !r->blocks.dry || no(why, "the pack is cut short at byte %zu", out->from);
}

static bool is_type(const struct block *b, const char *type)
{
    return same(b->type, (struct bytes){ (const uint8_t *)type, 4 });
}

static bool expect(struct reading *r, const char *type, struct block *out, struct why *why)
{
    return next_block(r, out, why) && (is_type(out, type) || no(why, "the pack has no %s block where one belongs", type));
}

/* ---- HEAD ---- */

static bool read_head(struct reading *r, struct bytes page, struct why *why)
{
    struct block b;
    struct cursor c;
    struct bytes zero, page_hash, key;
    uint64_t question, form, page_bytes;
    struct hash h;

    if (!expect(r, "HEAD", &b, why))
        return false;
    c = (struct cursor){ b.content, false };
    question = take_le(&c, 1);
    form = take_le(&c, 1);
    zero = take(&c, 6);
    (void)take(&c, 8); /* made */
    r->from = take_le(&c, 8);
    r->until = take_le(&c, 8);
    r->records = take_le(&c, 8);
    page_bytes = take_le(&c, 8);
    page_hash = take(&c, HASH_BYTES);
    key = take(&c, 32);
    if (c.dry || question < ASKED_STUDY || question > ASKED_PERIOD || form < 1 || form > 2 || !is_zero(zero)
        || c.left.len > SUBJECT_BYTES_MAX || r->records > RECORDS_MAX || page_bytes > PAGE_BYTES_MAX
        || (question == ASKED_PERIOD ? r->from > r->until : r->from != 0 || r->until != 0))
        return no(why, "the head of the pack is broken");
    hash_of(page, &h);
    if (page.len != page_bytes || memcmp(h.bytes, page_hash.ptr, HASH_BYTES) != 0)
        return no(why, "index.html is not the page that belongs to this pack");
    r->verdict.question = (enum question)question;
    r->verdict.hashes_only = form == 2;
    r->verdict.subject = c.left;
    key_of((struct bytes){ NULL, 0 }, KEY_ED25519, key.ptr, &r->key);
    return true;
}

/* ---- checkpoints ---- */

/* Is it the one that was given from outside, or does it contradict it? */
static bool compare_outside(struct reading *r, const struct checkpoint *c, struct why *why)
{
    if (!r->trust->has_checkpoint || c->size != r->trust->checkpoint.size)
        return true;
    if (!hash_same(&c->root, &r->trust->checkpoint.root))
        return no(why, "the checkpoint given shows another history: at %llu records its root is not the pack's",
                  (unsigned long long)c->size);
    r->outside_met = true;
    return true;
}

static void look_for_witnesses(struct reading *r, const struct note *n, uint64_t size)
{
    for (size_t i = 0; i < r->trust->witness_count; i++) {
        struct why ignored;
        uint64_t time_s;

        if (!note_signed(n, &r->trust->witnesses[i], &time_s, &ignored))
            continue;
        r->witnessed[i] = true;
        r->verdict.cosigned++;
        if (r->tell->cosigned != NULL)
            r->tell->cosigned(r->tell->context, size, &r->trust->witnesses[i], time_s);
    }
}

static bool right_key(struct reading *r, struct why *why)
{
    key_of(r->tree.origin, KEY_ED25519, r->key.public_key, &r->key);
    if (r->trust->has_key
        && (!same(r->trust->key.name, r->key.name) || r->trust->key.type != KEY_ED25519
            || memcmp(r->trust->key.public_key, r->key.public_key, 32) != 0))
        return no(why, "the pack is of another log, or signed with another key than the one given");
    if (r->trust->has_checkpoint && !same(r->trust->checkpoint.origin, r->tree.origin))
        return no(why, "the checkpoint given is of another log");
    if (!r->trust->has_key && !r->trust->has_checkpoint && r->trust->witness_count == 0)
        return no(why, "nothing from outside the pack was given to compare it with: give --key, --checkpoint or --witness");
    return true;
}

static bool read_checkpoint(struct reading *r, struct why *why)
{
    struct block b;
    struct note n;

    if (!expect(r, "CKPT", &b, why))
        return false;
    if (!note_parse(b.content, &n, why) || !checkpoint_parse(n.text, &r->tree, why) || !right_key(r, why)
        || !note_signed(&n, &r->key, NULL, why))
        return no_within(why, "checkpoint");
    r->verdict.size = r->tree.size;
    r->verdict.origin = r->tree.origin;
    look_for_witnesses(r, &n, r->tree.size);
    return compare_outside(r, &r->tree, why);
}

static bool judge_token(struct reading *r, struct bytes note, struct bytes token, uint64_t size, struct why *why)
{
    struct stamp s;

    if (token.len == 0)
        return true;
    if (!stamp_verify(token, note, r->trust->authorities, &s, why))
        return no_within(why, "time stamp");
    if (r->trust->authorities.len == 0)
        return true; /* it fits, but nobody said whom to believe */
    r->verdict.stamped++;
    if (r->tell->stamped != NULL)
        r->tell->stamped(r->tell->context, size, s.by, s.time);
    return true;
}

static bool read_anchor(struct reading *r, struct bytes content, struct why *why)
{
    struct cursor c = { content, false };
    struct bytes note = take(&c, (size_t)take_le(&c, 4));
    struct bytes path = take(&c, (size_t)take_le(&c, 4) * HASH_BYTES);
    struct bytes token = take(&c, (size_t)take_le(&c, 4));
    struct checkpoint seen;
    struct note n;

    if (c.dry || c.left.len != 0 || token.len > TOKEN_BYTES_MAX)
        return no(why, "its lengths are broken");
    if (!note_parse(note, &n, why) || !checkpoint_parse(n.text, &seen, why))
        return false;
    if (!same(seen.origin, r->tree.origin))
        return no(why, "it is of another log");
    if (note_names(&n, &r->key) && !note_signed(&n, &r->key, NULL, why))
        return false;
    if (!tree_extends(path, seen.size, &seen.root, r->tree.size, &r->tree.root))
        return no(why, "the log of the pack does not go on from it: two histories");
    look_for_witnesses(r, &n, seen.size);
    return compare_outside(r, &seen, why) && judge_token(r, note, token, seen.size, why);
}

/* What was asked for must have been met by the checkpoints. */
static bool all_met(const struct reading *r, struct why *why)
{
    const struct trust *t = r->trust;

    if (t->has_checkpoint && t->checkpoint.size > r->tree.size)
        return no(why, "the checkpoint given speaks of %llu records, the pack's of %llu: the log was rolled back, or the pack is older",
                  (unsigned long long)t->checkpoint.size, (unsigned long long)r->tree.size);
    if (t->has_checkpoint && !r->outside_met)
        return no(why, "the pack holds no proof from the checkpoint given: make it with fanal prove --checkpoint");
    for (size_t i = 0; i < t->witness_count; i++)
        if (!r->witnessed[i])
            return no(why, "no checkpoint of the pack is cosigned by %.*s", (int)t->witnesses[i].name.len,
                      (const char *)t->witnesses[i].name.ptr);
    if (t->authorities.len > 0 && r->verdict.stamped == 0)
        return no(why, "no checkpoint of the pack has a time stamp");
    return true;
}

/* ---- records ---- */

enum shape { SHOWN = 1, SEALED = 2, HASH = 3 };

struct record {
    uint64_t position;
    enum shape shape;
    bool body_follows;
    struct bytes path, key;
    struct hash leaf;
    struct entry entry; /* unless HASH */
};

static bool parse_record(struct bytes content, struct record *out, struct why *why)
{
    struct cursor c = { content, false };
    uint64_t shape, flag, zero, count;
    struct bytes leaf;

    out->position = take_le(&c, 8);
    shape = take_le(&c, 1);
    flag = take_le(&c, 1);
    zero = take_le(&c, 2);
    count = take_le(&c, 4);
    out->path = take(&c, count > PATH_HASHES_MAX ? SIZE_MAX : (size_t)count * HASH_BYTES);
    if (c.dry || shape < SHOWN || shape > HASH || flag > 1 || zero != 0)
        return no(why, "its block is broken");
    out->shape = (enum shape)shape;
    out->body_follows = flag == 1;
    out->key = take(&c, out->shape == SHOWN ? KEY_BYTES : 0);
    if (out->shape == HASH) {
        leaf = take(&c, HASH_BYTES);
        if (c.dry || c.left.len != 0)
            return no(why, "its block is broken");
        memcpy(out->leaf.bytes, leaf.ptr, HASH_BYTES);
        return true;
    }
    hash_leaf(c.left, &out->leaf);
    return c.dry ? no(why, "its block is broken") : entry_parse(c.left, &out->entry, why);
}

static bool read_body(struct reading *r, const struct record *rec, struct why *why)
{
    struct block b;

    if (!rec->body_follows)
        return true;
    if (!expect(r, "BODY", &b, why) || !body_open(&rec->entry, rec->key, b.content, r->tell->body, r->tell->context, why))
        return false;
    r->verdict.bodies++;
    return true;
}

/* Which records have which shape, by what was asked. */
static bool shape_allowed(const struct reading *r, const struct record *rec, struct why *why)
{
    bool documents = r->verdict.question <= ASKED_OBJECT;

    if (r->verdict.hashes_only && rec->shape != HASH)
        return no(why, "it is opened, but the pack says that it holds hashes only");
    if (rec->body_follows != (rec->shape == SHOWN && rec->entry.has_body && documents))
        return no(why, "its body is missing, or there where none belongs");
    return true;
}

/* A pack that says what it is about shows nothing else. */
static bool about_subject(const struct reading *r, const struct record *rec, struct bytes facts, struct why *why)
{
    bool shown = rec->shape == SHOWN;
    uint64_t asked;

    switch (r->verdict.question) {
    case ASKED_STUDY:
        return !shown || same(fact_find(facts, FACT_STUDY_UID), r->verdict.subject) || no(why, "it is of another study");
    case ASKED_RESULT:
    case ASKED_OBJECT:
        if (!decimal(r->verdict.subject, &asked) || rec->position != asked || r->records != 1)
            return no(why, "it is not the one that the pack is about");
        return r->verdict.question == ASKED_OBJECT || rec->shape == HASH || rec->entry.kind == KIND_HL7
               || no(why, "it is no result");
    case ASKED_ACCESS:
    case ASKED_PERIOD:
        return !shown || rec->entry.kind == KIND_EVENT || no(why, "it is no event, and opened all the same");
    }
    return false;
}

static bool open_record(struct reading *r, const struct record *rec, struct why *why)
{
    struct bytes unit, facts = { NULL, 0 };

    if (rec->shape != HASH && rec->entry.position != rec->position)
        return no(why, "its entry is of another position");
    if (!tree_includes(rec->path, &rec->leaf, rec->position, r->tree.size, &r->tree.root))
        return no(why, "it is not in the log that the checkpoint signs");
    if (!shape_allowed(r, rec, why))
        return false;
    if (rec->shape == SHOWN
        && (!entry_key_fits(&rec->entry, rec->key, why) || !entry_open(&rec->entry, rec->key, r->clear, &unit, &facts, why)))
        return false;
    if (!about_subject(r, rec, facts, why))
        return false;
    if (r->tell->record != NULL
        && !r->tell->record(r->tell->context, rec->shape == HASH ? NULL : &rec->entry, rec->position, facts, why))
        return false;
    return read_body(r, rec, why) && (r->tell->end == NULL || r->tell->end(r->tell->context, why));
}

static bool read_record(struct reading *r, struct bytes content, struct why *why)
{
    struct record rec = { .position = 0 };

    if (!parse_record(content, &rec, why))
        return no_within(why, "record %llu", (unsigned long long)rec.position);
    if (r->verdict.shown + r->verdict.sealed + r->verdict.hashes > 0 && rec.position < r->next)
        return no(why, "record %llu is out of order, or there twice", (unsigned long long)rec.position);
    if (r->verdict.question == ASKED_PERIOD && rec.position != r->next)
        return no(why, "record %llu of the period is left out", (unsigned long long)r->next);
    if (!open_record(r, &rec, why))
        return no_within(why, "record %llu", (unsigned long long)rec.position);
    r->next = rec.position + 1;
    r->verdict.shown += rec.shape == SHOWN;
    r->verdict.sealed += rec.shape == SEALED;
    r->verdict.sealed_events += rec.shape == SEALED && rec.entry.kind == KIND_EVENT;
    r->verdict.hashes += rec.shape == HASH;
    return true;
}

static bool check_count(const struct reading *r, struct why *why)
{
    uint64_t count = r->verdict.shown + r->verdict.sealed + r->verdict.hashes;

    if (count != r->records)
        return no(why, "the pack holds %llu records, not the %llu that it promises", (unsigned long long)count,
                  (unsigned long long)r->records);
    if (r->verdict.question == ASKED_PERIOD && r->next != r->until)
        return no(why, "record %llu of the period is left out", (unsigned long long)r->next);
    return true;
}

/* ---- SIGN ---- */

static bool check_sign(struct reading *r, const struct block *b, struct why *why)
{
    struct note n;
    struct cursor c;
    struct bytes line, digest;
    struct hash want, got;
    size_t len;

    if (!note_parse(b->content, &n, why) || !note_signed(&n, &r->key, NULL, why))
        return no_within(why, "signature of the pack");
    c = (struct cursor){ n.text, false };
    line = take_line(&c);
    digest = take_line(&c);
    hash_of(part(r->file, 0, b->from), &want);
    if (c.dry || c.left.len != 0 || line.len < 9 || !same(part(line, line.len - 9, 9), LIT(" evidence"))
        || !same(part(line, 0, line.len - 9), r->tree.origin) || !base64(digest, got.bytes, HASH_BYTES, &len)
        || len != HASH_BYTES)
        return no(why, "signature of the pack: it signs something else");
    if (!hash_same(&want, &got))
        return no(why, "the pack was altered after it was signed");
    return r->blocks.left.len == 0 || no(why, "something was added behind the end of the pack");
}

static bool read_all(struct reading *r, struct bytes page, struct why *why)
{
    unsigned anchors = 0;
    struct block b;

    if (!same(take(&r->blocks, 8), LIT("FANALEVI")) || take_le(&r->blocks, 8) != 1 || r->blocks.dry)
        return no(why, "this is no evidence pack");
    if (!read_head(r, page, why) || !read_checkpoint(r, why) || !next_block(r, &b, why))
        return false;
    for (; is_type(&b, "ANCR"); anchors++) {
        if (anchors == ANCHORS_MAX)
            return no(why, "the pack holds more than %d other checkpoints", ANCHORS_MAX);
        if (!read_anchor(r, b.content, why))
            return no_within(why, "other checkpoint %u", anchors + 1);
        if (!next_block(r, &b, why))
            return false;
    }
    if (!all_met(r, why))
        return false;
    r->next = r->from;
    while (is_type(&b, "RECD"))
        if (!read_record(r, b.content, why) || !next_block(r, &b, why))
            return false;
    if (!is_type(&b, "SIGN"))
        return no(why, "the pack holds a block where none belongs, at byte %zu", b.from);
    return check_count(r, why) && check_sign(r, &b, why);
}

bool pack_verify(struct bytes pack, struct bytes page, const struct trust *trust, const struct telling *tell,
                 struct verdict *out, struct why *why)
{
    struct reading *r = calloc(1, sizeof *r);
    bool ok;

    if (r == NULL)
        return no(why, "no memory");
    r->file = pack;
    r->blocks = (struct cursor){ pack, false };
    r->trust = trust;
    r->tell = tell;
    ok = read_all(r, page, why);
    if (ok)
        *out = r->verdict;
    free(r);
    return ok;
}
