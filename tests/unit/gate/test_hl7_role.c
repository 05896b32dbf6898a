/* The role `hl7` as a process in its sandbox, with the test as supervisor, vault and sender. */
#include "gate/hl7/role.h"

#include "hl7/mllp.h"

#include "gate_fixture.h"

/* The next framed answer into *out; false at the end of the connection. */
static bool read_answer(int fd, struct mllp *p)
{
    struct pollfd ready = { .fd = fd, .events = POLLIN };
    uint8_t byte;

    while (poll(&ready, 1, PATIENCE_MS) == 1 && read(fd, &byte, 1) == 1) {
        struct span input = span_of(&byte, 1);

        if (mllp_take(p, &input) == MLLP_MESSAGE)
            return true;
    }
    return false;
}

static bool contains(struct span text, const char *what)
{
    struct span wanted = span_str(what);

    for (size_t i = 0; i + wanted.len <= text.len; i++)
        if (span_equal(span_part(text, i, wanted.len), wanted))
            return true;
    return false;
}

static const char oru[] = "MSH|^~\\&|LIS|LAB|FANAL|ER|20260101120000||ORU^R01^ORU_R01|C1|P|2.5\r"
                          "PID|1||4711^^^HOP^PI||DOE^JANE||19800101|F\rOBR|1||F1|GLU^Glucose\r"
                          "OBX|1|NM|GLU^Glucose||5.1|mmol/L|||||F\r";

TEST(a_result_is_kept_as_received_then_answered)
{
    struct house h;
    struct mllp answer = mllp_new(65536);
    struct writer framed = writer_new(65536);
    int fd;

    house_open(&h, hl7_listener_run, PROCESS_HL7_CONNECTION);
    fd = connect_from(&h, 1);
    mllp_frame(span_str(oru), &framed);
    CHECK(file_write_all(fd, span_part(writer_span(&framed), 0, 40), NULL));
    CHECK(file_write_all(fd, span_part(writer_span(&framed), 40, framed.len), NULL));
    CHECK(read_answer(fd, &answer));
    CHECK(contains(mllp_message(&answer), "\rMSA|AA|C1\r"));
    CHECK(span_equal(writer_span(&h.vault->kept), span_str(oru)));
    CHECK(span_equal(writer_span(&h.vault->unit), SPAN_LIT("results:HOP:4711")));
    CHECK(span_equal(fields_text(writer_span(&h.vault->facts), FIELD_ZONE), SPAN_LIT("Europe/Paris")));
    /* the second on the same connection, of another kind */
    writer_reset(&framed);
    mllp_frame(SPAN_LIT("MSH|^~\\&|A|B|||20260101||SIU^S12|C2|P|2.3.1\r"), &framed);
    CHECK(file_write_all(fd, writer_span(&framed), NULL) && read_answer(fd, &answer));
    CHECK(contains(mllp_message(&answer), "\rMSA|AR|C2|"));
    CHECK(span_equal(fields_text(writer_span(&h.vault->facts), FIELD_STATE), SPAN_LIT("not-understood")));
    close(fd);
    house_close(&h);
    mllp_done(&answer);
    writer_done(&framed);
}

TEST(a_message_larger_than_the_ring_arrives_whole)
{
    struct house h;
    struct mllp answer = mllp_new(65536);
    struct writer message = writer_new((size_t)8 * 1024 * 1024), framed = writer_new((size_t)8 * 1024 * 1024);
    int fd;

    house_open(&h, hl7_listener_run, PROCESS_HL7_CONNECTION);
    fd = connect_from(&h, 1);
    write_str(&message, oru);
    write_str(&message, "OBX|2|ED|DOC^Report||^application^pdf^Base64^");
    write_fill(&message, 'A', (size_t)5 * 1024 * 1024);
    write_str(&message, "||||||F\r");
    mllp_frame(writer_span(&message), &framed);
    CHECK(file_write_all(fd, writer_span(&framed), NULL) && read_answer(fd, &answer));
    CHECK(contains(mllp_message(&answer), "\rMSA|AA|C1\r"));
    CHECK(span_equal(writer_span(&h.vault->kept), writer_span(&message)));
    close(fd);
    house_close(&h);
    mllp_done(&answer);
    writer_done(&message);
    writer_done(&framed);
}

TEST(an_unknown_sender_is_closed_unread)
{
    struct house h;
    struct mllp answer = mllp_new(65536);
    struct writer framed = writer_new(65536);
    int fd;

    house_open(&h, hl7_listener_run, PROCESS_HL7_CONNECTION);
    fd = connect_from(&h, 2);
    mllp_frame(span_str(oru), &framed);
    (void)send(fd, framed.ptr, framed.len, MSG_NOSIGNAL);
    CHECK(!read_answer(fd, &answer));
    CHECK(h.vault->kept.len == 0);
    close(fd);
    house_close(&h);
    mllp_done(&answer);
    writer_done(&framed);
}

TESTS(T(a_result_is_kept_as_received_then_answered), T(a_message_larger_than_the_ring_arrives_whole),
      T(an_unknown_sender_is_closed_unread))
