/*
 * Supervisor and vault for a test of the web gate: starts a real gate and a real lens, answers from a folder.
 *
 *   fake_vault FOLDER      prints "port N"; commands on standard input, end of input stops all
 *
 * FOLDER/key.pem, cert.pem       the TLS key
 * FOLDER/QUERY.rows              rows of a FIND; instance and patient rows in QUERY-KEY.rows. A row is lines "name
 * value", "name {" and "}" around a group; a blank line ends it. \n in a value is a line feed FOLDER/N.body the body at
 * position N Users: doc / secret. news → a NEWS to who watches; drop → every session ends; kill-lens → the lens dies, a
 * new one comes
 */
#include <arpa/inet.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "channel/session.h"
#include "gate/web/role.h"
#include "lens/role.h"

#define SESSIONS_MAX 64
#define TOKEN        SPAN_LIT("0123456789abcdef")

struct fake_session {
    bool open, admitted, watching;
    struct channel channel;
    struct shared_buffer buffer;
};

static struct fake_session sessions[SESSIONS_MAX];
static struct channel web_control, lens_control, own;
static const char *folder;
static bool enrolled = true, token_is_good = true;
static pid_t web_pid, lens_pid;

static void die(const char *what)
{
    perror(what);
    exit(2);
}

static enum field field_named(const char *name)
{
    for (unsigned f = 1; f < 400; f++)
        if (field_name((enum field)f) != NULL && strcmp(field_name((enum field)f), name) == 0)
            return (enum field)f;
    (void)fprintf(stderr, "fake_vault: no field %s\n", name);
    exit(2);
}

static bool slurp(const char *name, struct writer *w)
{
    char path[4096];
    struct error err;

    return path_join(path, sizeof path, folder, name, &err) && file_slurp(path, w, &err);
}

/* ---- rows ---- */

static void put_line(struct writer *row, char *line)
{
    static size_t marks[8], depth;
    char *value = strchr(line, ' ');
    enum field f;

    if (strcmp(line, "}") == 0) {
        field_group_end(row, marks[--depth]);
        return;
    }
    if (value == NULL)
        die(line);
    *value++ = '\0';
    f = field_named(line);
    for (char *p = value; (p = strstr(p, "\\n")) != NULL;) {
        *p = '\n';
        memmove(p + 1, p + 2, strlen(p + 2) + 1);
    }
    if (strcmp(value, "{") == 0)
        marks[depth++] = field_group_begin(row, f);
    else if (field_type_of(f) == FIELD_TYPE_UINT)
        field_put_uint(row, f, strtoull(value, NULL, 10));
    else
        field_put_str(row, f, value);
}

static unsigned send_rows(struct channel *c, uint32_t id, const char *name)
{
    struct writer text = writer_new(1 << 20), row = writer_new(1 << 16);
    struct error err;
    unsigned count = 0;

    if (slurp(name, &text)) {
        write_u8(&text, '\n');
        write_u8(&text, 0);
        for (char *p = (char *)text.ptr; *p != '\0';) {
            char *end = strchr(p, '\n');

            *end = '\0';
            if (*p != '\0')
                put_line(&row, p);
            if ((*p == '\0' || end[1] == '\0') && row.len > 0) {
                (void)channel_send(c, VERB_ROW, id, writer_span(&row), NULL, 0, &err);
                writer_reset(&row);
                count++;
            }
            p = end + 1;
        }
    }
    writer_done(&text);
    writer_done(&row);
    return count;
}

static void reply(struct channel *c, uint32_t id, enum error_code code, struct span more)
{
    struct writer w = writer_new(1 << 16);
    struct error err;

    field_put_uint(&w, FIELD_RESULT, code);
    if (code != ERR_NONE)
        field_put_str(&w, FIELD_ERROR_TEXT, "the fake vault says no");
    write_span(&w, more);
    (void)channel_send(c, VERB_REPLY, id, writer_span(&w), NULL, 0, &err);
    writer_done(&w);
}

static void find(struct channel *c, const struct message *m)
{
    char query[64], name[256], key[128];
    struct span k = fields_text(m->fields, FIELD_PATIENT_KEY);
    uint64_t position = fields_uint(m->fields, FIELD_POSITION, UINT64_MAX);

    (void)span_to_str(fields_text(m->fields, FIELD_QUERY), query, sizeof query);
    if (position != UINT64_MAX)
        (void)snprintf(name, sizeof name, "%s-%llu.rows", query, (unsigned long long)position);
    else if (strcmp(query, "patient") == 0 && span_to_str(k, key, sizeof key))
        (void)snprintf(name, sizeof name, "%s-%s.rows", query, key);
    else
        (void)snprintf(name, sizeof name, "%s.rows", query);
    if (strcmp(query, "status") == 0) {
        struct writer row = writer_new(1000);
        struct error err;

        field_put_str(&row, FIELD_STATE, enrolled ? "enrolled" : "new");
        (void)channel_send(c, VERB_ROW, m->id, writer_span(&row), NULL, 0, &err);
        writer_done(&row);
    } else if (strcmp(query, "tls-key") == 0) {
        struct writer row = writer_new(1 << 16), key_pem = writer_new(1 << 16), certificate = writer_new(1 << 16);
        struct error err;

        if (!slurp("key.pem", &key_pem) || !slurp("cert.pem", &certificate))
            die("key.pem, cert.pem");
        field_put_bytes(&row, FIELD_TLS_KEY, writer_span(&key_pem));
        field_put_bytes(&row, FIELD_TLS_CERTIFICATE, writer_span(&certificate));
        (void)channel_send(c, VERB_ROW, m->id, writer_span(&row), NULL, 0, &err);
        writer_done(&row);
        writer_done(&key_pem);
        writer_done(&certificate);
    } else {
        (void)send_rows(c, m->id, name);
    }
    reply(c, m->id, ERR_NONE, (struct span){ 0 });
}

/* ---- sessions ---- */

static void open_session(struct message *m)
{
    struct error err;

    for (size_t i = 0; i < SESSIONS_MAX; i++)
        if (!sessions[i].open) {
            struct fake_session *s = &sessions[i];
            struct writer w = writer_new(100);

            *s = (struct fake_session){ .open = true, .channel = { m->fds[0] } };
            m->fds[0] = -1;
            if (!shared_buffer_new(&s->buffer, &err))
                die(err.text);
            field_put_uint(&w, FIELD_RESULT, ERR_NONE);
            (void)channel_send(&s->channel, VERB_REPLY, 0, writer_span(&w), &s->buffer.fd, 1, &err);
            writer_done(&w);
            return;
        }
}

static void close_session(struct fake_session *s)
{
    channel_close(&s->channel);
    shared_buffer_done(&s->buffer);
    s->open = false;
}

static void admit(struct fake_session *s, const struct message *m)
{
    struct span token = fields_text(m->fields, FIELD_TOKEN), code = fields_text(m->fields, FIELD_ENROLMENT_CODE);
    struct span password = fields_text(m->fields, FIELD_PASSWORD);
    struct writer w = writer_new(1000);
    enum error_code result = ERR_REFUSED;

    if (token.len > 0)
        result = token_is_good && span_equal(token, TOKEN) ? ERR_NONE : ERR_REFUSED;
    else if (span_equal(password, SPAN_LIT("hurry")))
        result = ERR_BUSY;
    else if (code.len > 0 ? span_equal(code, SPAN_LIT("123")) : span_equal(password, SPAN_LIT("secret")))
        result = ERR_NONE;
    if (result == ERR_BUSY)
        field_put_uint(&w, FIELD_AFTER, 17);
    if (result == ERR_NONE) {
        if (token.len == 0)
            token_is_good = true;
        s->admitted = true;
        field_put_bytes(&w, FIELD_TOKEN, TOKEN);
        field_put_str(&w, FIELD_USER, "doc");
        field_put_str(&w, FIELD_DISPLAY_NAME, "Dr É");
        field_put_str(&w, FIELD_ROLE, "physician");
    }
    reply(&s->channel, m->id, result, writer_span(&w));
    writer_done(&w);
}

static void get(struct fake_session *s, const struct message *m)
{
    char name[64];
    struct writer body = writer_new(1 << 30), w = writer_new(100);
    struct span part;

    (void)snprintf(name, sizeof name, "%llu.body", (unsigned long long)fields_uint(m->fields, FIELD_POSITION, 0));
    if (!slurp(name, &body)) {
        reply(&s->channel, m->id, ERR_NOT_FOUND, (struct span){ 0 });
    } else {
        part = span_part(writer_span(&body), fields_uint(m->fields, FIELD_OFFSET, 0),
                         fields_uint(m->fields, FIELD_LENGTH, 0));
        memcpy(s->buffer.ptr, part.ptr, part.len);
        field_put_uint(&w, FIELD_LENGTH, part.len);
        reply(&s->channel, m->id, ERR_NONE, writer_span(&w));
    }
    writer_done(&body);
    writer_done(&w);
}

static void serve(struct fake_session *s, uint8_t *buffer)
{
    struct message m;
    struct error err;

    if (!channel_receive(&s->channel, buffer, CHANNEL_MESSAGE_MAX, &m, 0, &err)) {
        close_session(s);
        return;
    }
    if (m.verb == VERB_ADMIT)
        admit(s, &m);
    else if (!s->admitted || !token_is_good || !span_equal(fields_text(m.fields, FIELD_TOKEN), TOKEN))
        reply(&s->channel, m.id, ERR_REFUSED, (struct span){ 0 });
    else if (m.verb == VERB_FIND)
        find(&s->channel, &m);
    else if (m.verb == VERB_GET)
        get(s, &m);
    else {
        s->watching |= m.verb == VERB_WATCH;
        if (m.verb == VERB_TELL)
            token_is_good = false; /* sign-out */
        reply(&s->channel, m.id, ERR_NONE, (struct span){ 0 });
    }
    message_done(&m);
}

/* ---- supervisor ---- */

static pid_t start(int (*run)(int), struct channel *control, int listen_fd)
{
    struct writer w = writer_new(1000);
    struct channel far;
    struct error err;
    pid_t pid;

    if (!channel_pair(control, &far, &err))
        die(err.text);
    pid = fork();
    if (pid == 0) {
        channel_close(control);
        _exit(run(far.fd));
    }
    channel_close(&far);
    field_put_uint(&w, FIELD_CONNECTIONS_MAX, 20);
    field_put_uint(&w, FIELD_CONNECTIONS_PER_ADDRESS_MAX, 12);
    if (!channel_send(control, VERB_START, 0, writer_span(&w), &listen_fd, listen_fd >= 0, &err))
        die(err.text);
    writer_done(&w);
    return pid;
}

static void join(struct channel *control, enum process_kind kind, int fd)
{
    struct writer w = writer_new(1000);
    struct error err;

    field_put_uint(&w, FIELD_PROCESS, kind);
    field_put_uint(&w, FIELD_PROCESS_ID, 0);
    if (!channel_send(control, VERB_JOIN, 0, writer_span(&w), &fd, 1, &err))
        die(err.text);
    writer_done(&w);
}

static void start_lens(void)
{
    struct channel a, b;
    struct error err;

    lens_pid = start(lens_role_run, &lens_control, -1);
    if (!channel_pair(&a, &b, &err))
        die(err.text);
    join(&web_control, PROCESS_LENS, a.fd);
    join(&lens_control, PROCESS_WEB, b.fd);
    channel_close(&a);
    channel_close(&b);
}

static void send_news(void)
{
    struct writer w = writer_new(1000);
    struct error err;

    field_put_uint(&w, FIELD_POSITION, 7);
    field_put_str(&w, FIELD_KIND, "dicom");
    field_put_str(&w, FIELD_PATIENT_KEY, "k1");
    for (size_t i = 0; i < SESSIONS_MAX; i++)
        if (sessions[i].open && sessions[i].watching)
            (void)channel_send(&sessions[i].channel, VERB_NEWS, 0, writer_span(&w), NULL, 0, &err);
    writer_done(&w);
}

/* False at the end of input. */
static bool command(void)
{
    char line[64];

    if (fgets(line, sizeof line, stdin) == NULL)
        return false;
    if (strcmp(line, "news\n") == 0)
        send_news();
    else if (strcmp(line, "drop\n") == 0) {
        for (size_t i = 0; i < SESSIONS_MAX; i++)
            if (sessions[i].open)
                close_session(&sessions[i]);
    } else if (strcmp(line, "kill-lens\n") == 0) {
        (void)kill(lens_pid, SIGKILL);
        (void)waitpid(lens_pid, NULL, 0);
        channel_close(&lens_control);
        start_lens();
    }
    (void)puts("done");
    return true;
}

static int listen_somewhere(void)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
    socklen_t len = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof a) != 0 || listen(fd, 64) != 0
        || getsockname(fd, (struct sockaddr *)&a, &len) != 0)
        die("listen");
    (void)printf("port %u\n", ntohs(a.sin_port));
    return fd;
}

static void loop(uint8_t *buffer)
{
    for (;;) {
        struct pollfd fds[SESSIONS_MAX + 2] = { { .fd = STDIN_FILENO, .events = POLLIN },
                                                { .fd = own.fd, .events = POLLIN } };
        struct message m;
        struct error err;

        for (size_t i = 0; i < SESSIONS_MAX; i++)
            fds[i + 2] = (struct pollfd){ .fd = sessions[i].open ? sessions[i].channel.fd : -1, .events = POLLIN };
        if (poll(fds, SESSIONS_MAX + 2, -1) < 0)
            continue;
        for (size_t i = 0; i < SESSIONS_MAX; i++)
            if (fds[i + 2].revents != 0)
                serve(&sessions[i], buffer);
        if (fds[1].revents != 0) {
            if (!channel_receive(&own, buffer, CHANNEL_MESSAGE_MAX, &m, 0, &err))
                return;
            if (m.verb == VERB_OPEN)
                open_session(&m);
            else if (m.verb == VERB_FIND)
                find(&own, &m);
            message_done(&m);
        }
        if (fds[0].revents != 0 && !command())
            return;
    }
}

int main(int argc, char **argv)
{
    uint8_t *buffer = malloc(CHANNEL_MESSAGE_MAX);
    struct channel far;
    struct error err;
    int listen_fd, status = 0;

    (void)setvbuf(stdout, NULL, _IONBF, 0);
    (void)signal(SIGPIPE, SIG_IGN);
    if (argc != 2 || buffer == NULL)
        return 2;
    folder = argv[1];
    listen_fd = listen_somewhere();
    web_pid = start(web_role_run, &web_control, listen_fd);
    (void)close(listen_fd);
    if (!channel_pair(&own, &far, &err))
        die(err.text);
    join(&web_control, PROCESS_VAULT, far.fd);
    channel_close(&far);
    start_lens();
    loop(buffer);
    (void)channel_send(&web_control, VERB_STOP, 0, (struct span){ 0 }, NULL, 0, &err);
    (void)channel_send(&lens_control, VERB_STOP, 0, (struct span){ 0 }, NULL, 0, &err);
    if (waitpid(web_pid, &status, 0) != web_pid || status != 0)
        (void)printf("web ended with status %d\n", status);
    if (waitpid(lens_pid, &status, 0) != lens_pid || status != 0)
        (void)printf("lens ended with status %d\n", status);
    (void)puts("bye");
    free(buffer);
    return 0;
}
