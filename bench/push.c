/*
 * push N HOST PORT CALLING CALLED LIST [ROUNDS]: the files of LIST over N associations, one thread each, with as little
 * work as a correct C-STORE client can do (mapped files, writev). Prints one line of JSON. In each further round the
 * same files are other objects: a SOP Instance UID has a component of ROUND_DIGITS digits that is counted up.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "wire.h"

#define LINE_BYTES 4096
#define ASSOCIATIONS_MAX 64
#define ROUND_DIGITS 4
#define ROUND_MARK ".1000." /* in the first round */
#define ROUNDS_MAX 1000u

struct object {
    struct span data_set; /* mapped for the life of the process */
    size_t round_in_uid;  /* where its digits are; 0: none */
    uint8_t *round_in_data;
    char sop_class[65], sop_uid[65], syntax[65];
};

struct load {
    struct object *objects;
    size_t count;
    const char *host, *calling, *called;
    uint16_t port;
    unsigned associations, rounds;
};

struct worker {
    const struct load *load;
    unsigned number;
    pthread_t thread;
    uint64_t bytes, stored, refused;
    double *latencies;
    size_t latency_count;
};

static double now(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* Group 2 of a Part 10 file (PS3.10 §7.1): what an association must know of it. */
static void describe(struct object *o, struct span file)
{
    struct reader r = reader_over(file);
    uint8_t *at;
    char *mark;

    read_skip(&r, 132);
    while (reader_left(&r) >= 8 && file.ptr[r.at] == 2 && file.ptr[r.at + 1] == 0) {
        uint16_t number;
        bool long_form;
        struct span value;

        read_skip(&r, 2);
        number = read_u16le(&r);
        long_form = span_equal(read_span(&r, 2), SPAN_LIT("OB"));
        if (long_form)
            read_skip(&r, 2);
        value = span_trim(read_span(&r, long_form ? read_u32le(&r) : read_u16le(&r)), " ");
        if (number == 0x02)
            (void)span_to_str(value, o->sop_class, sizeof o->sop_class);
        else if (number == 0x03)
            (void)span_to_str(value, o->sop_uid, sizeof o->sop_uid);
        else if (number == 0x10)
            (void)span_to_str(value, o->syntax, sizeof o->syntax);
    }
    o->data_set = span_part(file, r.at, file.len);
    at = memmem(o->data_set.ptr, o->data_set.len, o->sop_uid, strlen(o->sop_uid));
    mark = strstr(o->sop_uid, ROUND_MARK);
    if (at != NULL && mark != NULL) {
        o->round_in_uid = (size_t)(mark + 1 - o->sop_uid);
        o->round_in_data = at + o->round_in_uid;
    }
}

/* Makes another object of it. */
static void set_round(struct object *o, unsigned round)
{
    char digits[16];

    if (o->round_in_uid == 0)
        die("a UID without a round");
    (void)snprintf(digits, sizeof digits, "%u", 1000 + round);
    memcpy(o->sop_uid + o->round_in_uid, digits, ROUND_DIGITS);
    memcpy(o->round_in_data, digits, ROUND_DIGITS);
}

static void map_object(struct object *o, const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;
    void *p;

    if (fd < 0 || fstat(fd, &st) != 0)
        die(path);
    p = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_POPULATE, fd, 0);
    if (p == MAP_FAILED)
        die(path);
    (void)close(fd);
    describe(o, span_of(p, (size_t)st.st_size));
}

static void read_list(struct load *load, const char *list)
{
    FILE *f = fopen(list, "re");
    char line[LINE_BYTES];

    if (f == NULL)
        die(list);
    while (fgets(line, sizeof line, f) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        load->objects = realloc(load->objects, (load->count + 1) * sizeof *load->objects);
        if (load->objects == NULL)
            die("memory");
        load->objects[load->count] = (struct object){ .sop_class = "" };
        map_object(&load->objects[load->count++], line);
    }
    (void)fclose(f);
}

static void title(struct writer *w, const char *ae)
{
    write_str(w, ae);
    write_fill(w, ' ', 16 - strlen(ae));
}

/* One context, of the first object: a bench load is of one class and syntax. */
static void associate_rq(struct writer *w, const struct load *load)
{
    struct writer context = writer_new(1024);

    write_u16be(w, 0x0100);
    write_u32be(w, 0);
    write_u32be(w, 0x00010000);
    title(w, load->called);
    title(w, load->calling);
    write_fill(w, 0, 32);
    item(w, 0x10, SPAN_LIT("1.2.840.10008.3.1.1.1"));
    write_u32be(&context, 1u << 24);
    item(&context, 0x30, span_str(load->objects[0].sop_class));
    item(&context, 0x40, span_str(load->objects[0].syntax));
    item(w, 0x20, writer_span(&context));
    user_item(w);
    write_patch_u32be(w, 2, (uint32_t)(w->len - 6));
    writer_done(&context);
}

/* Maximum length (51H) of an A-ASSOCIATE-AC; 0 means any, and ours is enough. */
static uint32_t peer_pdu(struct span ac)
{
    static const uint8_t head[4] = { 0x51, 0, 0, 4 };
    const uint8_t *at = memmem(ac.ptr, ac.len, head, sizeof head);
    struct reader r = reader_over(at == NULL ? span_of(NULL, 0) : span_part(ac, (size_t)(at - ac.ptr) + 4, 4));
    uint32_t n = read_u32be(&r);

    return at == NULL ? 16384 : n == 0 || n > 1024 * 1024 ? 1024 * 1024 : n;
}

static int associate(const struct load *load, uint8_t *buffer, uint32_t *max_pdu)
{
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(load->port) };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;
    struct writer w = writer_new(4096);
    uint8_t kind;

    if (fd < 0 || inet_pton(AF_INET, load->host, &to.sin_addr) != 1 || connect(fd, (struct sockaddr *)&to, sizeof to) != 0)
        die("connect");
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    associate_rq(&w, load);
    send_span(fd, writer_span(&w));
    writer_done(&w);
    *max_pdu = peer_pdu(receive_pdu(fd, buffer, &kind));
    if (kind != 2)
        die("association refused");
    return fd;
}

static void store_rq(struct writer *w, const struct object *o, uint16_t message)
{
    struct writer f = writer_new(1024);

    element(&f, 2, span_str(o->sop_class));
    element_us(&f, 0x100, 1);
    element_us(&f, 0x110, message);
    element_us(&f, 0x700, 0);
    element_us(&f, 0x800, 1);
    element(&f, 0x1000, span_str(o->sop_uid));
    command_pdu(w, writer_span(&f));
    writer_done(&f);
}

static void send_object(int fd, const struct object *o, uint16_t message, uint32_t max_pdu)
{
    struct writer command = writer_new(2048), header = writer_new(64);
    struct span left = o->data_set;

    store_rq(&command, o, message);
    while (left.len > 0) {
        size_t n = left.len < max_pdu - 6 ? left.len : max_pdu - 6;
        struct iovec v[3];

        writer_reset(&header);
        write_u16be(&header, 0x0400);
        write_u32be(&header, (uint32_t)n + 6);
        write_u32be(&header, (uint32_t)n + 2);
        write_u16be(&header, n == left.len ? 0x0102 : 0x0100);
        v[0] = (struct iovec){ command.ptr, command.len };
        v[1] = (struct iovec){ header.ptr, header.len };
        v[2] = (struct iovec){ (void *)(uintptr_t)left.ptr, n };
        send_vector(fd, v, 3);
        left = span_part(left, n, left.len);
        writer_reset(&command); /* only before the first piece */
    }
    writer_done(&command);
    writer_done(&header);
}

static uint16_t answered_status(struct span pdu)
{
    struct reader r = reader_over(span_part(pdu, 6, pdu.len));

    while (reader_left(&r) >= 8) {
        uint32_t tag = read_u32le(&r);
        struct span value = read_span(&r, read_u32le(&r));

        if (tag == 0x09000000u && value.len == 2)
            return (uint16_t)(value.ptr[0] | value.ptr[1] << 8);
    }
    return 0xffff;
}

static void *work(void *context)
{
    struct worker *w = context;
    uint8_t *buffer = malloc(OWN_PDU_BYTES), kind;
    uint32_t max_pdu;
    uint16_t message = 0;
    int fd;

    if (buffer == NULL)
        die("memory");
    fd = associate(w->load, buffer, &max_pdu);
    for (size_t n = 0; n < w->load->rounds * w->load->count; n++) {
        size_t i = n % w->load->count, round = n / w->load->count;
        struct object *o = &w->load->objects[i];
        double begun = now();

        if (i % w->load->associations != w->number) /* an object is one worker's */
            continue;
        if (round > 0)
            set_round(o, (unsigned)round);
        send_object(fd, o, ++message, max_pdu);
        if (answered_status(receive_pdu(fd, buffer, &kind)) == 0 && kind == 4) {
            w->stored++;
            w->bytes += o->data_set.len;
        } else {
            w->refused++;
        }
        w->latencies[w->latency_count++] = (now() - begun) * 1e3;
    }
    send_span(fd, span_of("\5\0\0\0\0\4\0\0\0", 10));
    (void)receive_pdu(fd, buffer, &kind);
    (void)close(fd);
    free(buffer);
    return NULL;
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return x < y ? -1 : x > y;
}

static double seconds_of(struct timeval t)
{
    return (double)t.tv_sec + (double)t.tv_usec * 1e-6;
}

static void report(struct worker *workers, const struct load *load, double seconds)
{
    double *all = calloc(load->rounds * load->count, sizeof *all);
    struct worker sum = { .bytes = 0 };
    struct rusage u;

    if (all == NULL)
        die("memory");
    for (unsigned i = 0; i < load->associations; i++) {
        memcpy(all + sum.latency_count, workers[i].latencies, workers[i].latency_count * sizeof *all);
        sum.latency_count += workers[i].latency_count;
        sum.bytes += workers[i].bytes;
        sum.stored += workers[i].stored;
        sum.refused += workers[i].refused;
    }
    qsort(all, sum.latency_count, sizeof *all, compare_doubles);
    (void)getrusage(RUSAGE_SELF, &u);
    (void)printf("{\"bytes\": %llu, \"objects\": %llu, \"refused\": %llu, \"seconds\": %.6f, \"p50_ms\": %.3f, \"p99_ms\": %.3f, "
                 "\"cpu_seconds\": %.3f}\n",
                 (unsigned long long)sum.bytes, (unsigned long long)sum.stored, (unsigned long long)sum.refused, seconds,
                 all[sum.latency_count / 2], all[sum.latency_count * 99 / 100], seconds_of(u.ru_utime) + seconds_of(u.ru_stime));
    free(all);
}

int main(int argc, char **argv)
{
    struct load load = { .associations = 1 };
    struct worker workers[ASSOCIATIONS_MAX] = { 0 };
    double begun;

    if (argc != 7 && argc != 8) {
        (void)fputs("push N HOST PORT CALLING CALLED LIST [ROUNDS]\n", stderr);
        return 2;
    }
    (void)signal(SIGPIPE, SIG_IGN);
    load = (struct load){ .associations = (unsigned)strtoul(argv[1], NULL, 10), .host = argv[2], .calling = argv[4],
                          .port = (uint16_t)strtoul(argv[3], NULL, 10), .called = argv[5],
                          .rounds = argc == 8 ? (unsigned)strtoul(argv[7], NULL, 10) : 1 };
    read_list(&load, argv[6]);
    if (load.count == 0 || load.rounds == 0 || load.rounds > ROUNDS_MAX || load.associations == 0 || load.associations > ASSOCIATIONS_MAX)
        die("nothing to send");
    begun = now();
    for (unsigned i = 0; i < load.associations; i++) {
        workers[i] = (struct worker){ .load = &load, .number = i, .latencies = calloc(load.rounds * load.count, sizeof(double)) };
        if (workers[i].latencies == NULL || pthread_create(&workers[i].thread, NULL, work, &workers[i]) != 0)
            die("thread");
    }
    for (unsigned i = 0; i < load.associations; i++)
        (void)pthread_join(workers[i].thread, NULL);
    report(workers, &load, now() - begun);
    return 0;
}
