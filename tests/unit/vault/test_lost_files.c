/* Files that somebody took away: what is lost is named, and nothing else is lost with it. */
#include <sys/wait.h>

#include "store_test.h"

#define CONFIRMED 40u
#define BEHIND    10u /* acknowledged, and not confirmed when the process is killed */

static int told_to = -1; /* where the next store logs; -1: nowhere */

static struct store *open_store(const char *dir, bool confirms, struct error *err)
{
    struct store_options o = test_options();
    static struct tuning tuning;
    static struct log log;

    tuning = TUNING_DEFAULT;
    tuning.segment_bytes = 4000;
    tuning.no_idle_confirm = !confirms;
    o.tuning = &tuning;
    if (told_to >= 0) {
        log = (struct log){ .fd = told_to, .least = LOG_ERROR, .clock = &test_clock };
        o.log = &log;
    }
    return store_open(dir, &o, err);
}

static void append(struct store *s, unsigned from, unsigned count, size_t len)
{
    struct error err = { 0 };
    uint64_t position;

    for (unsigned i = from; i < from + count; i++)
        if (!test_append(s, RECORD_DICOM, "study:1", i, len, &position, &err) || test_wait(s, 1) != 1)
            abort();
}

/* A process that is killed behind its last acknowledgement. */
static void make_and_kill(const char *dir, size_t len)
{
    struct store_options plain = test_options();
    struct error err = { 0 };
    int status = -1;
    pid_t pid;

    if (!store_create(dir, &plain, &err))
        abort();
    pid = fork();
    if (pid == 0) {
        struct store *s = open_store(dir, true, &err);

        append(s, 0, CONFIRMED, len);
        store_close(s);
        append(open_store(dir, false, &err), CONFIRMED, BEHIND, len);
        _exit(0);
    }
    if (waitpid(pid, &status, 0) != pid || status != 0)
        abort();
}

static void take_away(const char *dir, const char *name)
{
    char path[700];

    (void)snprintf(path, sizeof path, "%s/vault/%s", dir, name);
    if (unlink(path) != 0)
        abort();
}

TEST(a_lost_segment_takes_only_its_own_records)
{
    char dir[TEST_DIR_SIZE];
    struct error err = { 0 };
    struct store *s;

    test_dir(dir);
    make_and_kill(dir, 100);
    take_away(dir, "log/00000001.seg"); /* long confirmed */
    s = open_store(dir, true, &err);
    CHECK_OK(err, s != NULL);
    CHECK(store_committed_size(s) == CONFIRMED + BEHIND);
    for (unsigned i = CONFIRMED; i < CONFIRMED + BEHIND; i++)
        CHECK_OK(err, test_same(s, i, i, 100, &err));
    append(s, CONFIRMED + BEHIND, 1, 100);
    store_close(s);
    test_remove(dir);
}

TEST(nothing_is_cut_behind_a_hole_in_what_is_not_confirmed)
{
    char dir[TEST_DIR_SIZE], from[200], to[200];
    struct error err = { 0 };
    struct store *s;

    test_dir(dir);
    make_and_kill(dir, 100);
    take_away(dir, "confirm.0");
    take_away(dir, "confirm.1"); /* so that everything is walked */
    (void)snprintf(from, sizeof from, "%s/vault/log/00000001.seg", dir);
    (void)snprintf(to, sizeof to, "%s/kept", dir);
    CHECK(rename(from, to) == 0);
    CHECK(open_store(dir, true, &err) == NULL && err.code == ERR_DAMAGED && strstr(err.text, "00000001.seg") != NULL);
    CHECK(rename(to, from) == 0);
    s = open_store(dir, true, &err);
    CHECK_OK(err, s != NULL);
    CHECK(store_committed_size(s) == CONFIRMED + BEHIND);
    store_close(s);
    test_remove(dir);
}

TEST(a_lost_large_body_does_not_keep_the_store_from_going_on)
{
    char dir[TEST_DIR_SIZE], path[600];
    struct error err = { 0 };
    struct dirent *e;
    struct store *s;
    struct writer said = writer_new(1u << 20);
    struct timespec oldest = { .tv_sec = INT32_MAX };
    char part[600] = "", log_path[100];
    struct stat st;
    DIR *d;

    test_dir(dir);
    make_and_kill(dir, (3u << 20) + 1);
    (void)snprintf(path, sizeof path, "%s/vault/body/large", dir);
    d = opendir(path);
    while ((e = readdir(d)) != NULL) { /* the oldest of those that have no name for good yet: not the last commit's */
        if (strstr(e->d_name, ".part") == NULL || fstatat(dirfd(d), e->d_name, &st, 0) != 0
            || st.st_mtim.tv_sec > oldest.tv_sec
            || (st.st_mtim.tv_sec == oldest.tv_sec && st.st_mtim.tv_nsec >= oldest.tv_nsec))
            continue;
        oldest = st.st_mtim;
        (void)snprintf(part, sizeof part, "body/large/%.255s", e->d_name);
    }
    (void)closedir(d);
    CHECK(part[0] != '\0');
    take_away(dir, part);
    (void)snprintf(log_path, sizeof log_path, "%s/log", dir);
    told_to = open(log_path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    CHECK(told_to >= 0);
    s = open_store(dir, true, &err);
    CHECK_OK(err, s != NULL);
    if (store_committed_size(s) == CONFIRMED + BEHIND) /* it was not the last commit's */
        append(s, CONFIRMED + BEHIND, 2, 100);
    else
        append(s, CONFIRMED + BEHIND - 1, 2, 100);
    store_close(s);
    s = open_store(dir, true, &err);
    CHECK_OK(err, s != NULL);
    append(s, 1000, 1, 100);
    store_close(s);
    file_close(&told_to);
    CHECK(file_slurp(log_path, &said, &err));
    write_u8(&said, 0);
    CHECK(!said.failed && strstr((char *)said.ptr, " error body.lost file=body/large/") != NULL);
    writer_done(&said);
    test_remove(dir);
}

TESTS(T(a_lost_segment_takes_only_its_own_records), T(nothing_is_cut_behind_a_hole_in_what_is_not_confirmed),
      T(a_lost_large_body_does_not_keep_the_store_from_going_on))
