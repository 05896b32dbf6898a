/*
 * Not a test: what sealing and scrubbing cost. bench_seal DIR [MiB]: a store of that many MiB of half-megabyte bodies is
 * sealed, then looked at twice (store_repair(): check, seal; then check alone), and one group is repaired.
 */
#include <sys/resource.h>
#include <time.h>

#include "store_test.h"

static double seconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double cpu(void)
{
    struct rusage u;

    getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) + (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static void ignore(void *context, const char *text)
{
    (void)context;
    (void)text;
}

static void run(struct store *s, const char *what, double gigabytes)
{
    double t = seconds(), c = cpu();
    struct store_repair done;
    struct error err = { 0 };
    struct rusage u;

    if (!store_repair(s, NULL, ignore, NULL, &done, &err)) {
        printf("%s: %s\n", what, err.text);
        exit(1);
    }
    t = seconds() - t;
    c = cpu() - c;
    getrusage(RUSAGE_SELF, &u);
    printf("%-28s %6.2f s, %6.0f MB/s, %5.2f CPU s/GB; %llu seals, %llu sectors repaired; peak %ld MiB\n", what, t,
           gigabytes * 1000 / t, c / gigabytes, (unsigned long long)done.seals, (unsigned long long)done.sectors,
           u.ru_maxrss / 1024);
}

int main(int argc, char **argv)
{
    unsigned mib = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 2200;
    struct store_options o = test_options();
    struct error err = { 0 };
    uint64_t position;
    struct store *s;
    char path[300];
    int fd;

    if (argc < 2 || !store_create(argv[1], &o, &err) || (s = store_open(argv[1], &o, &err)) == NULL) {
        printf("bench_seal DIR [MiB]: %s\n", err.text);
        return 2;
    }
    for (unsigned i = 0; i < mib * 2; i++) {
        if (!test_append(s, RECORD_DICOM, "study:1", i, 524000, &position, &err)) {
            printf("append: %s\n", err.text);
            return 1;
        }
        if (i % 8 == 7)
            (void)test_wait(s, 8);
    }
    store_close(s);
    s = store_open(argv[1], &o, &err);
    run(s, "check and seal", (double)(mib / 1024) * 1.0737);
    run(s, "check of sealed files", (double)mib * 524000 * 2 / 1e9);
    snprintf(path, sizeof path, "%.200s/vault/body/images/202611-00000001.body", argv[1]);
    fd = open(path, O_RDWR);
    if (fd >= 0) {
        static const uint8_t zeros[1 << 20];

        (void)!pwrite(fd, zeros, sizeof zeros, 300 << 20);
        close(fd);
    }
    run(s, "the same, a megabyte zeroed", (double)mib * 524000 * 2 / 1e9);
    store_close(s);
    return 0;
}
