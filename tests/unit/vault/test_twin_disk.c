/* A twin whose disk fails it: full, unsure, or with a name that cannot be opened. */
#include <errno.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "twin_test.h"

static void count_verify(void *context, const char *finding)
{
    print_error("%s\n", finding);
    ++*(size_t *)context;
}

/* ---- a disk that is full for a while ---- */

struct full_disk {
    struct file_ops ops;
    struct tuning tuning;
    size_t seen, fail_at; /* writes; the one that finds no space, from 1; 0: none */
};

static ssize_t full_pwrite(void *context, int fd, const void *bytes, size_t len, off_t offset)
{
    struct full_disk *f = context;

    if (++f->seen != f->fail_at)
        return pwrite(fd, bytes, len, offset);
    errno = ENOSPC;
    return -1;
}

/* Whichever write finds no space: the round says so, and the next one of the same open twin takes everything. */
TEST(a_full_disk_delays_a_round_and_no_more)
{
    char dir[TEST_DIR_SIZE];
    struct first f;
    size_t refused = 0;
    bool more = true;

    first_make(&f);
    first_fill(&f, 8);
    for (unsigned i = 0; i < 260; i++) /* a whole tile */
        first_append(&f, NO_BODY);
    CHECK(test_wait(f.store, 260) == 260);
    for (size_t n = 1; more; n++) {
        struct full_disk disk = { .ops = file_ops_system, .tuning = TUNING_DEFAULT };
        struct store_options o = twin_options(false, &disk.tuning);
        struct error err = { 0 };
        struct lie l = { .store = f.store };
        uint64_t findings = 0;
        size_t told = 0;
        struct twin *t;
        bool ok;

        disk.ops.pwrite = full_pwrite;
        disk.tuning.files = &disk.ops;
        disk.tuning.files_context = &disk;
        twin_make(dir);
        t = twin_open(dir, &o, &err);
        CHECK_OK(err, t != NULL);
        disk.fail_at = n;
        ok = follow_all(t, &l, &err);
        more = disk.seen >= n;
        disk.fail_at = 0;
        if (!ok && err.code != ERR_NO_SPACE)
            print_error("write %zu: %s: %s\n", n, error_name(err.code), err.text);
        CHECK(ok || err.code == ERR_NO_SPACE);
        refused += ok ? 0 : 1;
        if (!follow_all(t, &l, &err)) {
            print_error("write %zu found no space, then: %s\n", n, err.text);
            CHECK(false);
        }
        twin_close(t);
        t = twin_at(dir, true, &err);
        CHECK_OK(err, t != NULL && all_there(twin_store(t), &f, &err));
        CHECK_OK(err, store_verify(twin_store(t), count_verify, &told, &findings, &err));
        CHECK(findings == 0);
        twin_close(t);
        test_remove(dir);
    }
    print_message("# %zu writes found no space\n", refused);
    CHECK(refused > 10);
    first_done(&f);
}

static size_t names_synced; /* of large bodies; the first time it fails */

static int sync_dir_later(void *context, const char *path)
{
    const char *large = strstr(path, "body/large");

    (void)context;
    if (large != NULL && ++names_synced == 1) {
        errno = EIO;
        return -1;
    }
    return file_ops_system.sync_dir(NULL, path);
}

/* A large body has its name, and whether that is durable nobody knows: the next round does not count on it. */
TEST(a_name_is_made_durable_before_it_is_told)
{
    struct full_disk disk = { .ops = file_ops_system, .tuning = TUNING_DEFAULT };
    struct store_options o = twin_options(false, &disk.tuning);
    char dir[TEST_DIR_SIZE];
    struct error err = { 0 };
    struct first f;
    struct lie l;
    struct twin *t;

    first_make(&f);
    l = (struct lie){ .store = f.store };
    first_append(&f, 3 << 20);
    CHECK(test_wait(f.store, 1) == 1);
    disk.ops.sync_dir = sync_dir_later;
    disk.tuning.files = &disk.ops;
    twin_make(dir);
    names_synced = 1; /* the directories are made */
    t = twin_open(dir, &o, &err);
    CHECK_OK(err, t != NULL);
    names_synced = 0;
    CHECK(!follow_all(t, &l, &err) && names_synced == 1);
    CHECK_OK(err, follow_all(t, &l, &err));
    CHECK(names_synced > 1);
    twin_close(t);
    first_done(&f);
    test_remove(dir);
}

/* What a round that was cut left cannot be looked at: that is no other body, and is tried again. */
TEST(a_body_that_cannot_be_opened_is_not_called_another)
{
    char dir[TEST_DIR_SIZE], state[100], kept[100], body[200], aside[200], large[100];
    struct sockaddr_un at = { .sun_family = AF_UNIX };
    struct first f;
    struct error err = { 0 };
    struct lie l;
    struct dirent *e;
    struct twin *t;
    DIR *d;
    int fd;

    first_make(&f);
    l = (struct lie){ .store = f.store };
    first_append(&f, NO_BODY);
    CHECK(test_wait(f.store, 1) == 1);
    twin_filled(dir, &f);
    (void)snprintf(state, sizeof state, "%s/vault/twin", dir);
    (void)snprintf(kept, sizeof kept, "%s/kept", dir);
    (void)snprintf(large, sizeof large, "%s/vault/body/large", dir);
    test_copy_file(state, kept);
    first_append(&f, 3 << 20);
    CHECK(test_wait(f.store, 1) == 1);
    t = twin_at(dir, false, &err);
    CHECK_OK(err, t != NULL && follow_all(t, &l, &err));
    twin_close(t);
    test_copy_file(kept, state); /* cut before vault/twin */
    body[0] = '\0';
    d = opendir(large);
    CHECK(d != NULL);
    while ((e = readdir(d)) != NULL)
        if (strstr(e->d_name, ".body") != NULL)
            (void)snprintf(body, sizeof body, "%.99s/%.90s", large, e->d_name);
    (void)closedir(d);
    (void)snprintf(aside, sizeof aside, "%s/aside", dir);
    CHECK(body[0] != '\0' && rename(body, aside) == 0 && strlen(body) < sizeof at.sun_path);
    memcpy(at.sun_path, body, strlen(body) + 1); /* a name that is there and cannot be opened (ENXIO) */
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(fd >= 0 && bind(fd, (struct sockaddr *)&at, sizeof at) == 0);
    file_close(&fd);
    t = twin_at(dir, false, &err);
    CHECK_OK(err, t != NULL);
    CHECK(!follow_all(t, &l, &err) && err.code == ERR_IO);
    CHECK(rename(aside, body) == 0);
    CHECK_OK(err, follow_all(t, &l, &err));
    twin_close(t);
    t = twin_at(dir, true, &err);
    CHECK_OK(err, t != NULL && all_there(twin_store(t), &f, &err));
    twin_close(t);
    first_done(&f);
    test_remove(dir);
}

TESTS(T(a_full_disk_delays_a_round_and_no_more), T(a_name_is_made_durable_before_it_is_told),
      T(a_body_that_cannot_be_opened_is_not_called_another))
