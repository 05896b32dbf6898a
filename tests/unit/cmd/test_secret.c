/* Where the secret comes from, how it is sealed, that nothing of it stays. */
#include "cmd/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/file.h"

#include "../test.h"

static char path[] = "/tmp/fanal-secret-XXXXXX";

static void put(struct span bytes)
{
    int fd = open(path, O_WRONLY | O_TRUNC | O_CREAT | O_CLOEXEC, 0600);

    assert_true(fd >= 0 && file_write_all(fd, bytes, NULL));
    (void)close(fd);
}

TEST(a_key_file_is_taken_as_it_is_and_a_passphrase_without_its_newline)
{
    const struct {
        const char *name, *content, *passphrase;
    } rows[] = {
        { "no newline", "open sesame", "open sesame" },
        { "newline", "open sesame\n", "open sesame" },
        { "CR LF", "open sesame\r\n", "open sesame" },
        { "two newlines", "open sesame\n\n", "open sesame\n" },
        { "spaces are its own", " open sesame \n", " open sesame " },
    };

    EACH(row, rows)
    {
        struct writer w = writer_new(SECRET_BYTES_MAX);
        struct error err = { 0 };

        put(span_str(row->content));
        CHECK_ROW(row->name, secret_read("/nonexistent", path, &w, &err) && span_equal(writer_span(&w), span_str(row->content)));
        secret_wipe(&w);
        w = writer_new(SECRET_BYTES_MAX);
        assert_int_equal(setenv("FANAL_PASSPHRASE_FILE", path, 1), 0);
        CHECK_ROW(row->name, secret_read("/nonexistent", NULL, &w, &err) && span_equal(writer_span(&w), span_str(row->passphrase)));
        assert_int_equal(unsetenv("FANAL_PASSPHRASE_FILE"), 0);
        secret_wipe(&w);
        CHECK_ROW(row->name, w.ptr == NULL && w.len == 0);
    }
}

TEST(what_is_no_secret_is_refused)
{
    struct writer w = writer_new(SECRET_BYTES_MAX);
    struct error err = { 0 };
    static uint8_t big[SECRET_BYTES_MAX + 1];

    put((struct span){ NULL, 0 });
    CHECK(!secret_read("/nonexistent", path, &w, &err) && err.code == ERR_USAGE);
    secret_wipe(&w);
    w = writer_new(SECRET_BYTES_MAX);
    put(span_of(big, sizeof big));
    CHECK(!secret_read("/nonexistent", path, &w, &err) && err.code == ERR_LIMIT);
    secret_wipe(&w);
    w = writer_new(SECRET_BYTES_MAX);
    put(span_of(big, sizeof big - 1));
    CHECK(secret_read("/nonexistent", path, &w, &err) && w.len == SECRET_BYTES_MAX);
    secret_wipe(&w);
    w = writer_new(SECRET_BYTES_MAX);
    CHECK(!secret_read("/nonexistent", "/nonexistent/key", &w, &err) && strstr(err.text, "/nonexistent/key") != NULL);
    secret_wipe(&w);
}

TEST(a_sealed_secret_can_be_read_and_not_changed)
{
    struct writer w = writer_new(SECRET_BYTES_MAX);
    struct error err = { 0 };
    uint8_t back[11];
    int fd = -1;

    put(SPAN_LIT("open sesame"));
    CHECK(secret_read("/nonexistent", path, &w, &err) && secret_seal(&w, &fd, &err));
    CHECK(file_read_at(fd, back, sizeof back, 0, &err) && memcmp(back, "open sesame", 11) == 0);
    CHECK(pwrite(fd, "x", 1, 0) < 0 && errno == EPERM);
    CHECK(ftruncate(fd, 0) < 0 && ftruncate(fd, 100) < 0);
    CHECK(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED);
    CHECK((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
    (void)close(fd);
    secret_wipe(&w);
}

static int make_file(void **state)
{
    int fd = mkstemp(path);

    (void)state;
    (void)unsetenv("FANAL_PASSPHRASE_FILE");
    return fd < 0 || close(fd) != 0 ? -1 : 0;
}

static int remove_file(void **state)
{
    (void)state;
    return unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = { T(a_key_file_is_taken_as_it_is_and_a_passphrase_without_its_newline),
                                        T(what_is_no_secret_is_refused),
                                        T(a_sealed_secret_can_be_read_and_not_changed) };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, make_file, remove_file);
}
