/*
 * Which of many byte strings lie anywhere in a file, and what reads as text in it: for tests that look for plaintext in the
 * raw image of a disk, free blocks and journal included. A file of 200 MiB and 50,000 strings take a second.
 *
 *     find_bytes NEEDLES FILE TEXT_MIN
 *
 * NEEDLES: of each string its length (4 bytes, little-endian, 4 to 65,535), then its bytes. Standard output, at most
 * HITS_MAX lines of each kind, offsets in bytes:
 *     needle OFFSET NUMBER      string NUMBER (from 0) lies at OFFSET
 *     text OFFSET HEX           at least TEXT_MIN printable ASCII characters (or tabs) in a row, the first TEXT_SHOWN of them
 *     done BYTES NEEDLES HITS TEXTS    last, always: how much was read, how many strings were looked for, how often one was
 *                               found, how many texts there are: more than HITS_MAX may be counted than are shown
 * Exit status: 0 read whole, 2 not.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define HITS_MAX        20000u
#define NEEDLE_MIN      4u /* bytes that the filter looks at */
#define NEEDLE_MAX      65535u
#define TEXT_SHOWN      512u
#define FILTER_BITS     24
#define FILTER_MULTIPLY 2654435761u /* Knuth: 2^32 / golden ratio */

struct bytes {
    const uint8_t *ptr;
    size_t len;
};

struct needle {
    uint32_t four; /* the bytes of it that are looked up, as the machine reads them */
    uint32_t at;   /* where in it they lie */
    uint32_t number;
    struct bytes what; /* borrows from the mapping */
};

struct needles {
    struct needle *list; /* sorted by `four`; owned */
    size_t count;
    uint8_t *filter; /* a bit for each hash of a `four`; owned */
};

static struct bytes map(const char *path)
{
    struct bytes b = { NULL, 0 };
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    void *at;

    if (fd < 0 || fstat(fd, &st) != 0 || st.st_size <= 0) {
        (void)fprintf(stderr, "find_bytes: %s cannot be read, or is empty\n", path);
        exit(2);
    }
    at = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (at == MAP_FAILED) {
        (void)fprintf(stderr, "find_bytes: %s cannot be mapped\n", path);
        exit(2);
    }
    (void)close(fd);
    b.ptr = at;
    b.len = (size_t)st.st_size;
    return b;
}

static uint32_t four_at(const uint8_t *at)
{
    uint32_t v;

    memcpy(&v, at, sizeof v);
    return v;
}

static uint32_t hash_of(uint32_t four)
{
    return (four * FILTER_MULTIPLY) >> (32 - FILTER_BITS);
}

static int by_four(const void *a, const void *b)
{
    const struct needle *x = a, *y = b;

    return (x->four > y->four) - (x->four < y->four);
}

/* Where in a string four bytes lie that are not a blank: a disk is full of zeros, and a string may begin with them. */
static uint32_t telling(struct bytes b)
{
    for (size_t i = 0; i + NEEDLE_MIN <= b.len; i++)
        if (b.ptr[i] != b.ptr[i + 1] && b.ptr[i + 1] != b.ptr[i + 2] && b.ptr[i + 2] != b.ptr[i + 3] && b.ptr[i] != b.ptr[i + 2])
            return (uint32_t)i;
    return 0;
}

static struct needle needle_of(struct bytes what, uint32_t number)
{
    uint32_t at = telling(what);

    return (struct needle){ four_at(what.ptr + at), at, number, what };
}

static struct needles needles_of(struct bytes b)
{
    struct needles n = { calloc(b.len / (4 + NEEDLE_MIN) + 1, sizeof n.list[0]), 0, calloc(1u << (FILTER_BITS - 3), 1) };
    size_t at = 0;
    uint32_t hash;

    if (n.list == NULL || n.filter == NULL)
        exit(2);
    while (at + 4 <= b.len) {
        uint32_t len = (uint32_t)b.ptr[at] | (uint32_t)b.ptr[at + 1] << 8 | (uint32_t)b.ptr[at + 2] << 16 | (uint32_t)b.ptr[at + 3] << 24;

        if (len < NEEDLE_MIN || len > NEEDLE_MAX || len > b.len - at - 4) {
            (void)fprintf(stderr, "find_bytes: string %zu has %" PRIu32 " bytes\n", n.count, len);
            exit(2);
        }
        n.list[n.count] = needle_of((struct bytes){ b.ptr + at + 4, len }, (uint32_t)n.count);
        hash = hash_of(n.list[n.count].four);
        n.filter[hash / 8] |= (uint8_t)(1u << (hash % 8));
        n.count++;
        at += 4 + len;
    }
    if (at != b.len || n.count == 0) {
        (void)fprintf(stderr, "find_bytes: the strings end in the middle of one, or there are none\n");
        exit(2);
    }
    qsort(n.list, n.count, sizeof n.list[0], by_four);
    return n;
}

/* The four bytes at `at` are those of some string: which of them lie there? */
static void look(const struct needles *n, struct bytes file, size_t at, size_t *hits)
{
    const uint32_t four = four_at(file.ptr + at);
    size_t low = 0, high = n->count;

    while (low < high) { /* the first with these four bytes */
        size_t middle = low + (high - low) / 2;

        if (n->list[middle].four < four)
            low = middle + 1;
        else
            high = middle;
    }
    for (; low < n->count && n->list[low].four == four; low++) {
        const struct needle *one = &n->list[low];
        const size_t begin = at - one->at;

        if (at >= one->at && one->what.len <= file.len - begin && memcmp(file.ptr + begin, one->what.ptr, one->what.len) == 0
            && (*hits)++ < HITS_MAX)
            (void)printf("needle %zu %" PRIu32 "\n", begin, one->number);
    }
}

static void show(struct bytes file, size_t begin, size_t end)
{
    (void)printf("text %zu ", begin);
    for (size_t i = begin; i < end && i < begin + TEXT_SHOWN; i++)
        (void)printf("%02x", file.ptr[i]);
    (void)printf("\n");
}

int main(int argc, char **argv)
{
    struct needles n;
    struct bytes file;
    size_t hits = 0, texts = 0, begin = 0, text_min;

    if (argc != 4) {
        (void)fprintf(stderr, "usage: find_bytes NEEDLES FILE TEXT_MIN\n");
        return 2;
    }
    n = needles_of(map(argv[1]));
    file = map(argv[2]);
    text_min = strtoul(argv[3], NULL, 10);
    for (size_t at = 0; at <= file.len; at++) {
        bool text = at < file.len && ((file.ptr[at] >= 0x20 && file.ptr[at] < 0x7f) || file.ptr[at] == '\t');

        if (!text) {
            if (at - begin >= text_min && texts++ < HITS_MAX)
                show(file, begin, at);
            begin = at + 1;
        }
        if (at + NEEDLE_MIN <= file.len) {
            uint32_t h = hash_of(four_at(file.ptr + at));

            if (n.filter[h / 8] & 1u << (h % 8))
                look(&n, file, at, &hits);
        }
    }
    (void)printf("done %zu %zu %zu %zu\n", file.len, n.count, hits, texts);
    free(n.list);
    free(n.filter);
    return fflush(stdout) == 0 ? 0 : 2;
}
