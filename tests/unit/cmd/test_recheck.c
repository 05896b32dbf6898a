/*
 * The second walk. A room with a real store, a gate that lies (a session that puts facts of its own making), and a process
 * that walks again, here a thread. And what differs, field by field.
 */
#include <dirent.h>
#include <pthread.h>
#include <sodium.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../dicom/elements.h"
#include "../test.h"
#include "base/file.h"
#include "channel/session.h"
#include "cmd/room/facts_differ.h"
#include "cmd/room/recheck.h"
#include "cmd/room/serve.h"
#include "recheck/serve.h"
#include "recheck/walk.h"

/* ---- field by field ---- */

static struct span list_of(struct writer *w, const char *text)
{
    *w = writer_new(65536);
    while (*text != '\0') { /* "patient_id=1;zone=X;" */
        const char *equals = strchr(text, '='), *end = strchr(text, ';');

        for (int f = 1; f < 600; f++) {
            const char *name = field_name((enum field)f);

            if (name != NULL && strlen(name) == (size_t)(equals - text) && memcmp(name, text, strlen(name)) == 0)
                field_put_text(w, (enum field)f, span_of(equals + 1, (size_t)(end - equals - 1)));
        }
        text = end + 1;
    }
    return writer_span(w);
}

TEST(what_differs_is_named)
{
    static const struct {
        const char *name, *stored, *walked, *issuer, *want;
        bool is_message, not_understood;
    } rows[] = {
        { "the same", "patient_id=1;modality=CT;kind=dicom;source=CT1;address=1.2.3.4;issuer=H;state=stored;",
          "patient_id=1;modality=CT;", "H", "", false, false },
        { "another patient", "patient_id=2;issuer=H;state=stored;", "patient_id=1;", "H", "patient_id", false, false },
        { "a patient where there is none", "patient_id=2;issuer=H;", "modality=CT;", "H", "patient_id modality", false,
          false },
        { "a value left out", "modality=CT;", "patient_id=1;modality=CT;", "H", "patient_id", false, false },
        { "a value twice", "modality=CT;modality=MR;", "modality=CT;", "H", "modality", false, false },
        { "an issuer of the gate's own", "patient_id=1;issuer=OTHER;", "patient_id=1;", "H", "issuer", false, false },
        { "the object's own issuer", "patient_id=1;issuer=X;", "patient_id=1;issuer=X;", "H", "", false, false },
        { "the object's issuer left out", "patient_id=1;issuer=H;", "patient_id=1;issuer=X;", "H", "issuer", false,
          false },
        { "a source that is gone", "patient_id=1;issuer=OLD;", "patient_id=1;", "", "", false, false },
        { "what the association said", "patient_id=1;calling_ae=A;called_ae=B;command_sop_uid=1.2;reason=x;",
          "patient_id=1;", "H", "", false, false },
        { "a class from the command", "sop_class=1.2;", "patient_id=1;", "H", "patient_id", false, false },
        { "another class", "sop_class=1.2;", "sop_class=1.3;", "H", "sop_class", false, false },
        { "called good", "patient_id=1;state=stored;", "patient_id=1;", "H", "state", false, true },
        { "a conflict called good", "patient_id=1;state=conflict;", "patient_id=1;", "H", "state", false, true },
        { "called refused", "patient_id=1;state=refused;", "patient_id=1;", "H", "", false, true },
        { "a message's zones", "zone=+0100;ack_code=AA;zone=Europe/Paris;", "zone=+0100;", "H", "", true, false },
        { "another zone", "zone=+0900;zone=Europe/Paris;", "zone=+0100;", "H", "zone", true, false },
    };
    EACH(row, rows)
    {
        struct writer a, b;
        struct walked w = { .facts = list_of(&b, row->walked), .understood = !row->not_understood };
        enum field out[DIFFERENCES_MAX];
        size_t n = facts_differ(list_of(&a, row->stored), &w, span_str(row->issuer), row->is_message, out);
        char names[200] = "";

        for (size_t i = 0; i < n; i++)
            (void)snprintf(names + strlen(names), sizeof names - strlen(names), "%s%s", i > 0 ? " " : "",
                           field_name(out[i]));
        if (strcmp(names, row->want) != 0)
            print_error("got \"%s\"\n", names);
        CHECK_ROW(row->name, strcmp(names, row->want) == 0);
        writer_done(&a);
        writer_done(&b);
    }
}

TEST(broken_lists_differ_and_do_no_harm)
{
    const uint8_t broken[] = { 30, 0, 255, 255, 255, 255, 'x' };
    struct walked w = { .facts = span_of(broken, sizeof broken), .understood = true };
    enum field out[DIFFERENCES_MAX];
    struct writer a, many = writer_new(1 << 20);

    CHECK(facts_differ(list_of(&a, "patient_id=1;"), &w, span_str(""), false, out) == 1);
    for (int f = 50; f < 120; f++)
        field_put_str(&many, (enum field)f, "x");
    w.facts = span_of(NULL, 0);
    CHECK(facts_differ(writer_span(&many), &w, span_str(""), false, out) == DIFFERENCES_MAX);
    writer_done(&a);
    writer_done(&many);
}

/* ---- the room ---- */

#define MUST(err, claim)                                                                                               \
    do {                                                                                                               \
        if (!(claim))                                                                                                  \
            fail_msg("%s: %s", #claim, (err).text);                                                                    \
    } while (0)


struct world {
    char dir[64];
    struct room *room;
    pthread_t room_thread, walker_thread;
    struct channel walker; /* the walking thread's end */
    bool walker_lies;
    bool walker_dies;
};

static const struct log no_log = { .fd = -1, .least = LOG_ERROR, .clock = &clock_system };

static void *serve_room(void *context)
{
    struct world *w = context;
    struct error err = { 0 };

    (void)room_serve(w->room, NULL, &err);
    return NULL;
}

/* What a walk that was taken over says: "as announced". */
static void lie(struct channel *c, uint32_t id)
{
    struct writer w = writer_new(256);

    field_put_uint(&w, FIELD_RESULT, ERR_NONE);
    field_put_uint(&w, FIELD_LENGTH, SESSION_BUFFER_BYTES + 1); /* facts outside of the buffer */
    field_put_str(&w, FIELD_STATE, "stored");
    (void)channel_send(c, VERB_REPLY, id, writer_span(&w), NULL, 0, NULL);
    writer_done(&w);
}

static void *walk_all(void *context)
{
    struct world *w = context;
    uint8_t *buffer = malloc(CHANNEL_MESSAGE_MAX);
    struct message m;
    struct error err = { 0 };

    while (buffer != NULL && channel_receive(&w->walker, buffer, CHANNEL_MESSAGE_MAX, &m, -1, &err)) {
        if (m.verb == VERB_PUT_DATA) { /* of a walk that was given up */
            message_done(&m);
            continue;
        }
        if (w->walker_lies) {
            lie(&w->walker, m.id);
        } else if (w->walker_dies) {
            message_done(&m);
            break;
        } else if (!recheck_serve(&w->walker, &m, buffer, &err)) {
            print_error("# walk: %s\n", err.text);
        }
        message_done(&m);
    }
    channel_close(&w->walker);
    free(buffer);
    return NULL;
}

static void remove_tree(const char *path)
{
    DIR *d = opendir(path);

    for (struct dirent *e; d != NULL && (e = readdir(d)) != NULL;) {
        char child[600];

        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        (void)snprintf(child, sizeof child, "%.300s/%.255s", path, e->d_name);
        if (unlink(child) != 0)
            remove_tree(child);
    }
    if (d != NULL)
        (void)closedir(d);
    (void)rmdir(path);
}

static struct vault_options options_of(struct world *w)
{
    return (struct vault_options){
        .store = { .clock = &clock_system, .log = &w->room->log, .secret = SPAN_LIT("key:0123456789abcdef0123456789abcdef") },
        .timezone = "UTC",
    };
}

static void world_open(struct world *w)
{
    struct vault_options options;
    struct error err = { 0 };

    w->room = calloc(1, sizeof *w->room);
    assert_non_null(w->room);
    w->room->log = no_log;
    w->room->epoll_fd = -1;
    MUST(err, conf_parse(SPAN_LIT("[peer CT1]\nae = CT1\naddress = 127.0.0.1\nissuer = H\n"), &w->room->conf, &err));
    options = options_of(w);
    MUST(err, room_open(w->room, w->dir, &options, &err));
}

static void world_new(struct world *w)
{
    struct vault_options options;
    struct room room = { .log = no_log };
    struct error err = { 0 };

    *w = (struct world){ .dir = "/tmp/fanal-recheck-XXXXXX", .room = &room };
    assert_true(sodium_init() >= 0);
    assert_non_null(mkdtemp(w->dir));
    options = options_of(w);
    MUST(err, vault_create(w->dir, &options, &err));
    world_open(w);
}

/* Takes a conversation of a CT's association, as if it had been admitted. */
static struct session *gate_of(struct world *w)
{
    int pair[2];
    struct session *s;

    assert_true(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0);
    s = session_new(w->room, PROCESS_DICOM_ASSOCIATION, pair[0], SPAN_LIT("127.0.0.1"));
    assert_non_null(s);
    s->rights = (struct rights){ .admitted = true, .store = true, .source = "CT1", .issuer = "H", .actor = "CT1" };
    return (struct session *)(intptr_t)pair[1];
}

/* The room and the walk run from here on; the caller talks over *asker, a command's conversation. */
static void world_run(struct world *w, bool with_walk, int *asker)
{
    int pair[2];
    struct error err = { 0 };
    struct channel near;

    assert_true(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0);
    room_admit_local(w->room, pair[0]);
    *asker = pair[1];
    if (with_walk) {
        w->room->recheck = recheck_new(w->room, &err);
        assert_non_null(w->room->recheck);
        assert_true(channel_pair(&near, &w->walker, &err));
        recheck_offer(w->room->recheck, near.fd);
        assert_int_equal(pthread_create(&w->walker_thread, NULL, walk_all, w), 0);
        recheck_begin_at(w->room->recheck, 0);
    }
    assert_int_equal(pthread_create(&w->room_thread, NULL, serve_room, w), 0);
}

static void world_end(struct world *w, bool with_walk)
{
    (void)pthread_join(w->room_thread, NULL);
    room_close(w->room);
    free(w->room);
    if (with_walk)
        (void)pthread_join(w->walker_thread, NULL);
}

/* ---- gates, asking ---- */

static struct span data_set_of(struct builder *b, const char *patient_id)
{
    *b = builder_new(EXPLICIT);
    put_text(b, 0x00080018, VR_UI, "1.2.3.4");
    put_text(b, 0x00080060, VR_CS, "CT");
    put_text(b, 0x00100020, VR_LO, patient_id);
    put_text(b, 0x0020000D, VR_UI, "1.2.3");
    put_text(b, 0x0020000E, VR_UI, "1.2.3.1");
    return writer_span(&b->w);
}

static void put_object(int fd, struct span body, const char *unit, const char *facts)
{
    struct error err = { 0 };
    struct session *s = session_attach(fd, &err);
    struct writer w, begin = writer_new(1000);
    struct span reply;
    uint8_t *to;
    size_t room;

    assert_non_null(s);
    field_put_uint(&begin, FIELD_BODY_CLASS, BODY_IMAGES);
    field_put_str(&begin, FIELD_UNIT, unit);
    MUST(err, session_put_begin(s, writer_span(&begin), &err));
    to = session_put_room(s, body.len, &room, &err);
    assert_non_null(to);
    memcpy(to, body.ptr, body.len);
    MUST(err, session_put_fill(s, body.len, &err)
                            && session_put_end(s, list_of(&w, facts), &reply, &err));
    session_free(s);
    writer_done(&w);
    writer_done(&begin);
}

struct seen {
    size_t count;
    char state[32], differences[200];
};

static bool see(void *context, struct span row)
{
    struct seen *s = context;

    s->count++;
    (void)span_to_str(fields_text(row, FIELD_STATE), s->state, sizeof s->state);
    (void)span_to_str(fields_text(row, FIELD_DIFFERENCE), s->differences, sizeof s->differences);
    return true;
}

static struct seen attention(struct session *asker)
{
    struct writer request = writer_new(256);
    struct seen seen = { 0 };
    struct error err = { 0 };

    field_put_str(&request, FIELD_QUERY, "attention");
    MUST(err, session_find(asker, writer_span(&request), see, &seen, &err));
    writer_done(&request);
    return seen;
}

/* Asks until there is something to look at; the walk's own pace decides when. */
static struct seen attention_soon(struct session *asker)
{
    struct seen seen = { 0 };

    for (unsigned i = 0; i < 600 && seen.count == 0; i++) {
        (void)usleep(50000);
        seen = attention(asker);
    }
    return seen;
}

static bool checked_row(void *context, struct span row)
{
    *(uint64_t *)context = fields_uint(row, FIELD_CHECKED, 0);
    return true;
}

static uint64_t checked(struct session *asker)
{
    struct writer request = writer_new(256);
    struct error err = { 0 };
    uint64_t value = 0;

    field_put_str(&request, FIELD_QUERY, "status");
    MUST(err, session_find(asker, writer_span(&request), checked_row, &value, &err));
    writer_done(&request);
    return value;
}

#define TRUE_FACTS                                                                                                     \
    "patient_id=4711;study_uid=1.2.3;series_uid=1.2.3.1;sop_uid=1.2.3.4;modality=CT;"                                  \
    "transfer_syntax=1.2.840.10008.1.2.1;calling_ae=CT1;"

/* One object with these facts; what is to be looked at then. */
static struct seen announced(const char *facts, struct span body, bool lies, bool dies)
{
    struct world w;
    struct session *asker;
    struct error err = { 0 };
    struct seen seen;
    int gate, fd;

    world_new(&w);
    w.walker_lies = lies;
    w.walker_dies = dies;
    gate = (int)(intptr_t)gate_of(&w);
    world_run(&w, true, &fd);
    asker = session_attach(fd, &err);
    assert_non_null(asker);
    put_object(gate, body, "study:1.2.3", facts);
    seen = attention_soon(asker);
    session_free(asker);
    world_end(&w, true);
    remove_tree(w.dir);
    return seen;
}

TEST(a_gate_that_lies_is_found_out)
{
    static const struct {
        const char *name, *facts, *want;
    } rows[] = {
        { "another patient", "patient_id=1234;study_uid=1.2.3;series_uid=1.2.3.1;sop_uid=1.2.3.4;modality=CT;"
                             "transfer_syntax=1.2.840.10008.1.2.1;", "patient_id" },
        { "another issuer", TRUE_FACTS "issuer=OTHER;", "issuer" },
        { "another study", "patient_id=4711;study_uid=9.9;series_uid=1.2.3.1;sop_uid=1.2.3.4;modality=CT;"
                           "transfer_syntax=1.2.840.10008.1.2.1;", "study_uid" },
        { "a name of its own", TRUE_FACTS "patient_name=SOMEBODY^ELSE;", "patient_name" },
    };
    EACH(row, rows)
    {
        struct builder b;
        struct seen seen = announced(row->facts, data_set_of(&b, "4711"), false, false);

        if (strcmp(seen.differences, row->want) != 0)
            print_error("got %zu \"%s\" \"%s\"\n", seen.count, seen.state, seen.differences);
        CHECK_ROW(row->name, seen.count == 1 && strcmp(seen.state, "facts-differ") == 0);
        CHECK_ROW(row->name, strcmp(seen.differences, row->want) == 0);
        writer_done(&b.w);
    }
}

TEST(a_walk_that_lies_about_lengths_or_dies_is_no_proof)
{
    struct builder b;
    struct span body = data_set_of(&b, "4711");
    struct seen seen = announced(TRUE_FACTS, body, true, false);

    CHECK(seen.count == 1 && strcmp(seen.state, "facts-differ") == 0 && strcmp(seen.differences, "unreadable") == 0);
    writer_done(&b.w);
}

TEST(what_was_announced_truly_is_passed_and_remembered)
{
    struct world w;
    struct session *asker;
    struct error err = { 0 };
    struct builder b;
    int gate, fd;

    world_new(&w);
    gate = (int)(intptr_t)gate_of(&w);
    world_run(&w, true, &fd);
    asker = session_attach(fd, &err);
    assert_non_null(asker);
    put_object(gate, data_set_of(&b, "4711"), "study:1.2.3", TRUE_FACTS);
    for (unsigned i = 0; i < 600 && recheck_position(w.room->recheck) == 0; i++)
        (void)usleep(50000);
    CHECK(recheck_position(w.room->recheck) > 0 && attention(asker).count == 0);
    session_free(asker);
    world_end(&w, true);
    world_open(&w);
    world_run(&w, false, &fd);
    asker = session_attach(fd, &err);
    assert_non_null(asker);
    CHECK(attention(asker).count == 0);
    CHECK(checked(asker) > 0);
    session_free(asker);
    world_end(&w, false);
    remove_tree(w.dir);
    writer_done(&b.w);
}

TESTS(T(what_differs_is_named), T(broken_lists_differ_and_do_no_harm), T(a_gate_that_lies_is_found_out),
      T(a_walk_that_lies_about_lengths_or_dies_is_no_proof), T(what_was_announced_truly_is_passed_and_remembered))
