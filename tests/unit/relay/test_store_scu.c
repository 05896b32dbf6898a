/* The requestor against our own acceptor over a real socket, and against peers that misbehave. */
#include "relay/store_scu.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/file.h"

#include "../gate/dicom_peer.h"

/* A server on a free port of 127.0.0.1 that serves one connection in a thread of its own. */
struct server {
    int listening;
    char port[8];
    pthread_t thread;
    struct stage *stage; /* our acceptor; or, where NULL: */
    struct span script;  /* what a scripted peer says as soon as it has heard something, then closes */
    size_t bytes_heard;
};

static void *serve(void *context)
{
    struct server *s = context;
    int fd = accept(s->listening, NULL, NULL);
    uint8_t buffer[65536];

    if (s->stage) {
        struct tcp_transport tcp = { .fd = fd, .vault_fd = -1 };

        s->stage->transport = tcp_transport(&tcp);
        s->stage->peer.clock = clock_system;
        stage_run(s->stage, true);
        return NULL;
    }
    s->bytes_heard = (size_t)recv(fd, buffer, sizeof buffer, 0);
    (void)send(fd, s->script.ptr, s->script.len, MSG_NOSIGNAL);
    shutdown(fd, SHUT_WR);
    while (recv(fd, buffer, sizeof buffer, 0) > 0)
        ;
    file_close(&fd);
    return NULL;
}

static void server_start(struct server *s)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof a;

    s->listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(s->listening, (struct sockaddr *)&a, sizeof a) != 0 || listen(s->listening, 1) != 0
        || getsockname(s->listening, (struct sockaddr *)&a, &len) != 0)
        abort();
    (void)snprintf(s->port, sizeof s->port, "%u", ntohs(a.sin_port));
    pthread_create(&s->thread, NULL, serve, s);
}

static void server_join(struct server *s)
{
    pthread_join(s->thread, NULL);
    file_close(&s->listening);
}

struct bytes_source {
    struct span left;
    size_t at_once; /* 0: as much as fits */
    bool fails;
};

static bool give(void *context, uint8_t *out, size_t cap, size_t *len, struct error *err)
{
    struct bytes_source *b = context;
    struct span part = span_part(b->left, 0, b->at_once && b->at_once < cap ? b->at_once : cap);

    if (b->fails && part.len == 0)
        return error_set(err, ERR_IO, "unreadable");
    memcpy(out, part.ptr, part.len);
    b->left = span_part(b->left, part.len, SIZE_MAX);
    *len = part.len;
    return true;
}

TEST(what_is_sent_arrives_unchanged)
{
    const struct {
        const char *name;
        uint32_t pixel_bytes;
        size_t at_once;
    } rows[] = { { "small", 100, 0 }, { "several fragments", 700000, 0 }, { "read in odd pieces", 300000, 4097 } };
    EACH (row, rows) {
        struct server server = { .stage = stage_new() };
        struct writer data_set = writer_new(4 << 20);
        struct scu_context contexts[] = {
            { .sop_class_uid = SPAN_LIT("1.2.3.4"), .transfer_syntax_uid = SPAN_LIT(EXPLICIT_LE) },
            { .sop_class_uid = SPAN_LIT(CT_CLASS), .transfer_syntax_uid = SPAN_LIT(EXPLICIT_LE) },
        };
        struct error err = { 0 };
        struct bytes_source source = { .at_once = row->at_once };
        uint16_t status = 1;
        struct scu *scu;

        write_data_set(&data_set, CT_CLASS, "1.2.3.4.5.6", "1.2.3", row->pixel_bytes);
        server_start(&server);
        scu = scu_open("127.0.0.1", server.port, SPAN_LIT("SENDER"), SPAN_LIT("FANAL"), contexts, 2, &err);
        CHECK_ROW(err.text, scu && !contexts[0].accepted && contexts[1].accepted);
        for (int i = 0; i < 3; i++) {
            source.left = writer_span(&data_set);
            CHECK_ROW(row->name, scu_store(scu, 1, SPAN_LIT(CT_CLASS), SPAN_LIT("1.2.3.4.5.6"), give, &source, &status, &err));
            CHECK_ROW(row->name, status == STATUS_SUCCESS);
        }
        scu_close(scu);
        server_join(&server);
        CHECK_ROW(row->name, server.stage->vault.kept == 3 && strcmp(server.stage->vault.calling_ae, "SENDER") == 0);
        CHECK_ROW(row->name, span_equal(writer_span(&server.stage->vault.last_body), writer_span(&data_set)));
        writer_done(&data_set);
        stage_free(server.stage);
    }
}

TEST(a_refusal_is_a_status_and_the_next_goes_on)
{
    struct server server = { .stage = stage_new() };
    struct writer data_set = writer_new(65536);
    struct scu_context contexts[] = { { .sop_class_uid = SPAN_LIT(CT_CLASS),
                                        .transfer_syntax_uid = SPAN_LIT(EXPLICIT_LE) } };
    struct error err = { 0 };
    uint16_t status = 1;
    struct scu *scu;

    write_data_set(&data_set, CT_CLASS, "1.2.3", NULL, 10);
    server_start(&server);
    scu = scu_open("127.0.0.1", server.port, SPAN_LIT("SENDER"), SPAN_LIT("FANAL"), contexts, 1, &err);
    CHECK(scu != NULL);
    for (int i = 0; i < 2; i++) {
        struct bytes_source source = { .left = writer_span(&data_set) };
        CHECK(scu_store(scu, 0, SPAN_LIT(CT_CLASS), SPAN_LIT("1.2.3"), give, &source, &status, &err));
        CHECK(status == STATUS_DATA_SET_DOES_NOT_MATCH);
    }
    scu_close(scu);
    server_join(&server);
    writer_done(&data_set);
    stage_free(server.stage);
}

TEST(a_file_that_cannot_be_read_aborts_and_leaves_nothing)
{
    struct server server = { .stage = stage_new() };
    struct writer data_set = writer_new(65536);
    struct scu_context contexts[] = { { .sop_class_uid = SPAN_LIT(CT_CLASS),
                                        .transfer_syntax_uid = SPAN_LIT(EXPLICIT_LE) } };
    struct error err = { 0 };
    struct bytes_source source = { .fails = true };
    uint16_t status = 1;
    struct scu *scu;

    write_data_set(&data_set, CT_CLASS, "1.2.3", "1.2", 10);
    source.left = writer_span(&data_set);
    server_start(&server);
    scu = scu_open("127.0.0.1", server.port, SPAN_LIT("SENDER"), SPAN_LIT("FANAL"), contexts, 1, &err);
    CHECK(scu && !scu_store(scu, 0, SPAN_LIT(CT_CLASS), SPAN_LIT("1.2.3"), give, &source, &status, &err));
    CHECK(err.code == ERR_IO && !scu_store(scu, 0, SPAN_LIT(CT_CLASS), SPAN_LIT("1.2.3"), give, &source, &status, &err));
    scu_close(scu);
    server_join(&server);
    CHECK(server.stage->vault.kept == 0);
    writer_done(&data_set);
    stage_free(server.stage);
}

TEST(peers_that_misbehave_are_errors)
{
    const struct {
        const char *name;
        struct span says;
        enum error_code want;
    } rows[] = {
        { "a rejection", HEX("03 00 00000004 00 01 01 03"), ERR_REFUSED },
        { "an abort", HEX("07 00 00000004 0000 02 01"), ERR_CLOSED },
        { "silence and a close", HEX(""), ERR_CLOSED },
        { "half a PDU", HEX("02 00 00000100 0001"), ERR_CLOSED },
        { "an unknown PDU", HEX("09 00 00000004 00000000"), ERR_UNSUPPORTED },
        { "a PDU of 4 GiB", HEX("02 00 ffffffff"), ERR_LIMIT },
        { "an answer to a release", HEX("06 00 00000004 00000000"), ERR_CLOSED },
        { "an acceptance that is none", HEX("02 00 00000004 00010000"), ERR_TRUNCATED },
        { "HTTP", SPAN_LIT("HTTP/1.1 400 Bad Request\r\n\r\n"), ERR_UNSUPPORTED },
    };
    EACH (row, rows) {
        struct server server = { .script = row->says };
        struct scu_context contexts[] = { { .sop_class_uid = SPAN_LIT(CT_CLASS),
                                            .transfer_syntax_uid = SPAN_LIT(EXPLICIT_LE) } };
        struct error err = { 0 };

        server_start(&server);
        CHECK_ROW(row->name, !scu_open("127.0.0.1", server.port, SPAN_LIT("SENDER"), SPAN_LIT("FANAL"), contexts, 1, &err));
        server_join(&server);
        CHECK_ROW(row->name, err.code == row->want && server.bytes_heard > 68);
    }
}

TEST(nobody_there_is_an_error)
{
    struct server server = { .listening = -1 };
    struct scu_context contexts[1] = { 0 };
    struct error err = { 0 };

    server_start(&server); /* a port that was free a moment ago */
    shutdown(server.listening, SHUT_RDWR);
    server_join(&server);
    CHECK(!scu_open("127.0.0.1", server.port, SPAN_LIT("A"), SPAN_LIT("B"), contexts, 0, &err) && err.code == ERR_IO);
}

TESTS(T(what_is_sent_arrives_unchanged), T(a_refusal_is_a_status_and_the_next_goes_on),
      T(a_file_that_cannot_be_read_aborts_and_leaves_nothing), T(peers_that_misbehave_are_errors),
      T(nobody_there_is_an_error))
