/*
 * floor PORT [DIR]: the floor Fanal is held against. A receiver on loopback that parses just enough to answer C-ECHO
 * and C-STORE; with DIR it writes each object to a file of its own and answers after fdatasync and fsync of DIR. It has
 * no index, no encryption, no proof: a cost, not an archive. One thread an association.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <unistd.h>

#include "wire.h"

struct guest {
    int fd, dir_fd;
    int file;            /* the object that arrives; -1: none, or nothing is kept */
    uint8_t command[2048];
    size_t command_len;
};

static int new_file(int dir_fd)
{
    static atomic_uint next;
    char name[32];
    int fd;

    (void)snprintf(name, sizeof name, "%u", atomic_fetch_add(&next, 1u));
    fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        die("create");
    return fd;
}

static void keep(struct guest *g, struct span bytes)
{
    if (g->dir_fd < 0)
        return;
    if (g->file < 0)
        g->file = new_file(g->dir_fd);
    if (write(g->file, bytes.ptr, bytes.len) != (ssize_t)bytes.len)
        die("write");
}

static void sync_file(struct guest *g)
{
    if (g->file < 0)
        return;
    if (fdatasync(g->file) != 0 || fsync(g->dir_fd) != 0)
        die("sync");
    (void)close(g->file);
    g->file = -1;
}

/* Items of a PDU or of an item, one after another. */
static bool next_item(struct reader *r, uint8_t *kind, struct span *value)
{
    if (reader_left(r) < 4)
        return false;
    *kind = read_u8(r);
    read_skip(r, 1);
    *value = read_span(r, read_u16be(r));
    return !r->dry;
}

/* Every context is accepted in its first transfer syntax. */
static void accept_context(struct writer *w, struct span proposed)
{
    struct reader r = reader_over(proposed);
    struct writer context = writer_new(256);
    struct span value;
    uint8_t kind;

    write_u32be(&context, (uint32_t)read_u8(&r) << 24);
    read_skip(&r, 3);
    while (next_item(&r, &kind, &value))
        if (kind == 0x40) {
            item(&context, kind, value);
            break;
        }
    item(w, 0x21, writer_span(&context));
    writer_done(&context);
}

static void accept_association(int fd, struct span rq)
{
    struct writer w = writer_new(65536);
    struct reader r = reader_over(span_part(rq, 68, rq.len));
    struct span value;
    uint8_t kind;

    write_u16be(&w, 0x0200);
    write_u32be(&w, 0);
    write_span(&w, span_part(rq, 0, 68));
    item(&w, 0x10, SPAN_LIT("1.2.840.10008.3.1.1.1"));
    while (next_item(&r, &kind, &value))
        if (kind == 0x20)
            accept_context(&w, value);
    user_item(&w);
    write_patch_u32be(&w, 2, (uint32_t)(w.len - 6));
    send_span(fd, writer_span(&w));
    writer_done(&w);
}

/* The response to the last command: class, UID and message ID repeated, status 0000. */
static void answer(struct guest *g)
{
    struct writer f = writer_new(1024), w = writer_new(2048);
    struct reader r = reader_over(span_of(g->command, g->command_len));

    while (reader_left(&r) >= 8) {
        uint16_t number;
        struct span value;

        read_skip(&r, 2);
        number = read_u16le(&r);
        value = read_span(&r, read_u32le(&r));
        if (number == 0x0002 || number == 0x1000)
            element(&f, number, value);
        else if (number == 0x0100 && value.len == 2)
            element_us(&f, number, (uint16_t)(0x8000 | value.ptr[0]));
        else if (number == 0x0110) {
            element(&f, 0x0120, value);
            element_us(&f, 0x0800, 0x0101);
            element_us(&f, 0x0900, 0);
        }
    }
    command_pdu(&w, writer_span(&f));
    send_span(g->fd, writer_span(&w));
    writer_done(&f);
    writer_done(&w);
}

static bool is_echo(const struct guest *g)
{
    static const uint8_t command_field[] = { 0, 0, 0, 1, 2, 0, 0, 0, 0x30, 0 };

    return memmem(g->command, g->command_len, command_field, sizeof command_field) != NULL;
}

static void take_pdv(struct guest *g, struct span pdv)
{
    struct reader r = reader_over(pdv);
    uint8_t flags;
    struct span bytes;

    read_skip(&r, 1);
    flags = read_u8(&r);
    bytes = read_span(&r, reader_left(&r));
    if ((flags & 1) != 0) {
        g->command_len = bytes.len < sizeof g->command ? bytes.len : sizeof g->command;
        memcpy(g->command, bytes.ptr, g->command_len);
        if (is_echo(g))
            answer(g);
        return;
    }
    keep(g, bytes);
    if ((flags & 2) != 0) {
        sync_file(g);
        answer(g);
    }
}

static void *host(void *context)
{
    struct guest *g = context;
    uint8_t *buffer = malloc(OWN_PDU_BYTES), kind;
    int one = 1;

    if (buffer == NULL)
        die("memory");
    (void)setsockopt(g->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    for (;;) {
        struct reader r;

        (void)setsockopt(g->fd, IPPROTO_TCP, TCP_QUICKACK, &one, sizeof one);
        if (recv(g->fd, &kind, 1, MSG_PEEK) != 1)
            break;
        r = reader_over(receive_pdu(g->fd, buffer, &kind));
        if (kind == 1)
            accept_association(g->fd, r.bytes);
        else if (kind == 5)
            send_span(g->fd, span_of("\6\0\0\0\0\4\0\0\0", 10));
        while (kind == 4 && reader_left(&r) > 4)
            take_pdv(g, read_span(&r, read_u32be(&r)));
    }
    (void)close(g->fd);
    free(buffer);
    free(g);
    return NULL;
}

int main(int argc, char **argv)
{
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
    int listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1, dir_fd = -1;

    if (argc < 2)
        return 2;
    (void)signal(SIGPIPE, SIG_IGN);
    at.sin_port = htons((uint16_t)strtoul(argv[1], NULL, 10));
    if (argc > 2 && (dir_fd = open(argv[2], O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)
        die(argv[2]);
    (void)setsockopt(listening, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(listening, (struct sockaddr *)&at, sizeof at) != 0 || listen(listening, 64) != 0)
        die("listen");
    for (;;) {
        struct guest *g = calloc(1, sizeof *g);
        pthread_t t = 0;

        if (g == NULL)
            die("memory");
        *g = (struct guest){ accept(listening, NULL, NULL), dir_fd, .file = -1 };
        if (g->fd < 0 || pthread_create(&t, NULL, host, g) != 0)
            die("accept");
        (void)pthread_detach(t);
    }
}
