/* What a twin asks and a first answers: there and back, and what is refused. And fanal.conf after a promotion. */
#include "channel/wire.h"
#include "cmd/room/follow_fields.h"
#include "cmd/twin_dir.h"

#include "../test.h"

TEST(a_head_comes_back_as_it_was)
{
    struct follow_head h = { .size = 7, .committed = 9, .keyring_slots = 256, .written_us = 5, .note = "a\nnote\n" };
    struct follow_head got;
    struct writer w = writer_new(8192);
    struct error err = { 0 };

    memset(h.public_key, 3, sizeof h.public_key);
    memset(h.vault_id, 4, sizeof h.vault_id);
    memset(h.keyring_digest, 5, sizeof h.keyring_digest);
    follow_head_write(&h, 1, &w);
    CHECK(follow_head_read(writer_span(&w), &got, &err));
    CHECK(got.size == 7 && got.committed == 9 && got.keyring_slots == 256 && strcmp(got.note, h.note) == 0);
    CHECK(memcmp(got.public_key, h.public_key, sizeof h.public_key) == 0);
    for (size_t cut = 0; cut < w.len; cut++)
        (void)follow_head_read(span_part(writer_span(&w), 0, cut), &got, &err);
    writer_done(&w);
}

TEST(a_head_that_lacks_something_is_refused)
{
    struct follow_head got;
    struct writer w = writer_new(8192);
    struct error err = { 0 };
    uint8_t bytes[FOLLOW_NOTE_MAX + 1];

    memset(bytes, 'x', sizeof bytes);
    field_put_bytes(&w, FIELD_VAULT_ID, span_of(bytes, VAULT_ID_BYTES));
    field_put_bytes(&w, FIELD_PUBLIC_KEY, span_of(bytes, 31)); /* a byte short */
    field_put_bytes(&w, FIELD_DIGEST, span_of(bytes, HASH_BYTES));
    CHECK(!follow_head_read(writer_span(&w), &got, &err) && err.code == ERR_MALFORMED);
    writer_reset(&w);
    field_put_bytes(&w, FIELD_VAULT_ID, span_of(bytes, VAULT_ID_BYTES));
    field_put_bytes(&w, FIELD_PUBLIC_KEY, span_of(bytes, 32));
    field_put_bytes(&w, FIELD_DIGEST, span_of(bytes, HASH_BYTES));
    field_put_text(&w, FIELD_CHECKPOINT, span_of(bytes, sizeof bytes)); /* past its limit */
    CHECK(!follow_head_read(writer_span(&w), &got, &err) && err.code == ERR_MALFORMED);
    writer_done(&w);
}

TEST(a_range_names_one_part)
{
    const struct { const char *name; uint64_t part, segment, class, len; enum error_code want; } rows[] = {
        { "a log segment", FOLLOW_LOG, 3, 0, 100, ERR_NONE },
        { "no part", 0, 0, 0, 1, ERR_MALFORMED },
        { "a part of a later version", FOLLOW_CONF + 1, 0, 0, 1, ERR_MALFORMED },
        { "a segment past 32 bits", FOLLOW_LOG, UINT64_C(1) << 32, 0, 1, ERR_MALFORMED },
        { "a class that is none", FOLLOW_BODY_FILE, 0, BODY_CLASS_COUNT + 1, 1, ERR_MALFORMED },
        { "more than a frame holds", FOLLOW_LOG, 0, 0, WIRE_BYTES_MAX + 1, ERR_LIMIT },
    };
    EACH (row, rows) {
        struct writer w = writer_new(1024);
        struct follow_range r;
        struct error err = { 0 };
        size_t len;

        field_put_uint(&w, FIELD_TWIN_PART, row->part);
        field_put_uint(&w, FIELD_LOG_SEGMENT, row->segment);
        field_put_uint(&w, FIELD_BODY_CLASS, row->class);
        field_put_uint(&w, FIELD_LENGTH, row->len);
        CHECK_ROW(row->name, follow_range_read(writer_span(&w), &r, &len, &err) == (row->want == ERR_NONE)
                                 && err.code == row->want);
        writer_done(&w);
    }
}

TEST(a_frame_is_refused_for_its_own_fault)
{
    const struct { const char *name; struct span bytes; enum error_code want; } rows[] = {
        { "a question", HEX("46 4e 4c 57  10 00 00 00  05 00 00 00  00 00 00 00"), ERR_NONE },
        { "cut", HEX("46 4e 4c 57  10 00 00 00  05 00 00 00  00 00 00"), ERR_TRUNCATED },
        { "other magic", HEX("46 4e 4c 58  10 00 00 00  05 00 00 00  00 00 00 00"), ERR_MALFORMED },
        { "a verb of the channel", HEX("46 4e 4c 57  05 00 00 00  05 00 00 00  00 00 00 00"), ERR_MALFORMED },
        { "reserved bits", HEX("46 4e 4c 57  10 00 01 00  05 00 00 00  00 00 00 00"), ERR_MALFORMED },
        { "too many fields", HEX("46 4e 4c 57  10 00 00 00  01 20 00 00  00 00 00 00"), ERR_LIMIT },
        { "too many bytes", HEX("46 4e 4c 57  20 00 00 00  00 00 00 00  01 00 10 00"), ERR_LIMIT },
    };
    EACH (row, rows) {
        struct wire_header h;
        struct error err = { 0 };

        CHECK_ROW(row->name, wire_header_decode(row->bytes, &h, &err) == (row->want == ERR_NONE)
                                 && err.code == row->want);
    }
}

TEST(promoted_it_has_the_peers_of_the_first_and_its_own_doors)
{
    struct writer out = writer_new(CONF_BYTES_MAX);
    struct conf c;
    struct error err = { 0 };

    twin_conf_merge(SPAN_LIT("[follow]\nfirst = 10.0.0.5:7443\n[listen]\ndicom = 127.0.0.1:104\nhttps = 127.0.0.1:443\n"),
                    SPAN_LIT("[site]\ntimezone = UTC\n[listen]\ndicom = 10.0.0.5:104\nfollow = 10.0.0.5:7443\n"
                             "[peer CT1]\nae = CT1\naddress = 10.0.0.9\nissuer = H\n"
                             "[twin B]\ncertificate = "
                             "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\n"),
                    &out);
    CHECK_ROW(err.text, conf_parse(writer_span(&out), &c, &err));
    CHECK(c.peer_count == 1 && c.twin_count == 0 && c.following.first[0] == '\0');
    CHECK(c.dicom.address_count == 1 && c.https.address_count == 1 && c.follow.address_count == 0);
    CHECK(((const struct sockaddr_in *)&c.dicom.addresses[0])->sin_addr.s_addr == 0x0100007f);
    conf_done(&c);
    writer_done(&out);
}

TEST(sections_of_anchors_are_left_out_whole)
{
    static const unsigned lines[] = { 2, 8 };
    struct writer out = writer_new(4096);

    twin_conf_comment(SPAN_LIT("# a\n[witness A]\nurl = x\n\n[witness B]\nurl = y\n\n[timestamp C]\nca = z"), lines, 2, &out);
    CHECK(span_equal(writer_span(&out), SPAN_LIT("# a\n#[witness A]\n#url = x\n#\n[witness B]\nurl = y\n\n#[timestamp C]\n#ca = z")));
    writer_reset(&out);
    twin_conf_comment(SPAN_LIT("[a]\nb = c\n"), lines, 0, &out);
    CHECK(span_equal(writer_span(&out), SPAN_LIT("[a]\nb = c\n")));
    writer_done(&out);
}

TESTS(T(a_head_comes_back_as_it_was), T(a_head_that_lacks_something_is_refused), T(a_range_names_one_part),
      T(a_frame_is_refused_for_its_own_fault), T(promoted_it_has_the_peers_of_the_first_and_its_own_doors),
      T(sections_of_anchors_are_left_out_whole))
