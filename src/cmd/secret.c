/* See secret.h. */
#include "cmd/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <termios.h>
#include <unistd.h>

#include "base/file.h"
#include "cmd/secret_shares.h"
#include "vault/store_keys.h"

const char secret_of_custodians[] = "--shares";

bool secret_room(struct writer *out, struct error *err)
{
    static const struct rlimit none = { 0, 0 };

    if (prctl(PR_SET_DUMPABLE, 0) != 0 || setrlimit(RLIMIT_CORE, &none) != 0)
        return error_errno(err, "leaving no core");
    if (out->cap == 0) { /* all of it at once: memory that moves would leave a copy behind */
        (void)write_room(out, SECRET_BYTES_MAX);
        out->len = 0;
    }
    if (!writer_ok(out, err, "secret"))
        return false;
    if (mlock(out->ptr, out->cap) == 0)
        return true;
    (void)error_errno(err, "memory for the secret cannot be locked (RLIMIT_MEMLOCK)");
    if (err != NULL)
        err->code = ERR_MEMORY;
    return false;
}

/* Reads fd to its end, at most SECRET_BYTES_MAX bytes, into memory that never moves (a copy left behind could not be
 * wiped). */
static bool read_whole(int fd, struct writer *out, struct error *err)
{
    uint8_t more;
    uint8_t *room;
    size_t len = 0;
    ssize_t n = 1;

    if (!secret_room(out, err))
        return false;
    room = out->ptr;
    while (n != 0) {
        n = len < SECRET_BYTES_MAX ? read(fd, room + len, SECRET_BYTES_MAX - len) : read(fd, &more, 1);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return error_errno(err, "read of the secret");
        if (n > 0 && len == SECRET_BYTES_MAX)
            return error_set(err, ERR_LIMIT, "secret is longer than %d bytes", SECRET_BYTES_MAX);
        len += (size_t)n;
    }
    out->len = len;
    return true;
}

static bool read_file(const char *path, struct writer *out, struct error *err)
{
    CLEANUP(file_close) int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return error_errno(err, "%s", path);
    return read_whole(fd, out, err) || error_within(err, "%s", path);
}

static void drop_newline(struct writer *w)
{
    if (w->len > 0 && w->ptr[w->len - 1] == '\n')
        w->len--;
    if (w->len > 0 && w->ptr[w->len - 1] == '\r')
        w->len--;
}

bool secret_ask(int tty, const char *prompt, struct writer *out, struct error *err)
{
    struct termios shown, hidden;
    ssize_t n;

    if (!secret_room(out, err))
        return false;
    if (tcgetattr(tty, &shown) != 0)
        return error_errno(err, "terminal");
    hidden = shown;
    hidden.c_lflag &= ~(tcflag_t)ECHO;
    if (!file_write_all(tty, span_str(prompt), err) || tcsetattr(tty, TCSAFLUSH, &hidden) != 0)
        return error_errno(err, "terminal");
    do
        n = read(tty, out->ptr, SECRET_BYTES_MAX); /* a terminal gives one line a read */
    while (n < 0 && errno == EINTR);
    (void)tcsetattr(tty, TCSAFLUSH, &shown);
    (void)file_write_all(tty, SPAN_LIT("\n"), NULL);
    if (n < 0)
        return error_errno(err, "read of the passphrase");
    out->len = (size_t)n;
    drop_newline(out);
    return true;
}

static bool ask_for(const char *prompt, bool twice, struct writer *out, struct error *err)
{
    CLEANUP(file_close) int tty = open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC);
    struct writer again = writer_new(SECRET_BYTES_MAX);
    bool good;

    if (tty < 0)
        return error_set(err, ERR_USAGE, "neither a file to read the secret from nor a terminal to ask on");
    good = secret_ask(tty, prompt, out, err);
    if (good && twice) {
        good = secret_ask(tty, "The same again: ", &again, err);
        if (good && !span_equal(writer_span(out), writer_span(&again)))
            good = error_set(err, ERR_USAGE, "the two differ");
    }
    secret_wipe(&again);
    return good;
}

static bool not_empty(const struct writer *w, struct error *err)
{
    return w->len > 0 || error_set(err, ERR_USAGE, "the secret is empty");
}

static bool read_passphrase_file(const char *path, struct writer *out, struct error *err)
{
    if (!read_file(path, out, err))
        return false;
    drop_newline(out);
    return true;
}

/* Asking for a passphrase where none opens would be asking in vain. */
static bool only_custodians_open(const char *dir)
{
    struct keyring_info info;
    bool custodians = false, passphrase = false;

    if (!store_keys_peek(dir, &info, NULL))
        return false;
    for (unsigned i = 0; i < KEYRING_UNLOCKERS; i++) {
        custodians |= info.unlockers[i].kind == UNLOCKER_CUSTODIANS;
        passphrase |= info.unlockers[i].kind == UNLOCKER_PASSPHRASE;
    }
    return custodians && !passphrase;
}

bool secret_read(const char *dir, const char *key_file, struct writer *out, struct error *err)
{
    const char *passphrase_file = getenv("FANAL_PASSPHRASE_FILE");
    bool good;

    if (key_file == secret_of_custodians)
        good = shares_read(dir, out, err);
    else if (key_file != NULL)
        good = read_file(key_file, out, err);
    else if (passphrase_file != NULL)
        good = read_passphrase_file(passphrase_file, out, err);
    else if (getenv("FANAL_SHARES_FILE") != NULL || only_custodians_open(dir))
        good = shares_read(dir, out, err);
    else
        good = ask_for("Passphrase: ", false, out, err);
    return good && not_empty(out, err);
}

bool secret_read_new(const char *key_file, struct writer *out, struct error *err)
{
    const char *passphrase_file = getenv("FANAL_PASSPHRASE_FILE");
    bool good;

    if (key_file != NULL)
        good = read_file(key_file, out, err);
    else
        good = passphrase_file != NULL ? read_passphrase_file(passphrase_file, out, err) : ask_for("Passphrase: ", true, out, err);
    return good && not_empty(out, err);
}

bool secret_read_password(const char *file, const char *prompt, bool is_new, struct writer *out, struct error *err)
{
    bool good = file != NULL ? read_file(file, out, err) : ask_for(prompt, is_new, out, err);

    if (file != NULL)
        drop_newline(out);
    if (good && out->len == 0)
        good = error_set(err, ERR_USAGE, "the password is empty");
    return good;
}

void secret_wipe(struct writer *secret)
{
    if (secret->ptr != NULL)
        explicit_bzero(secret->ptr, secret->cap); /* free() unlocks nothing; what lies there then is no secret */
    writer_done(secret);
}

bool secret_seal(const struct writer *secret, int *fd, struct error *err)
{
    CLEANUP(file_close) int memfd = memfd_create("fanal-secret", MFD_CLOEXEC | MFD_ALLOW_SEALING);

    if (memfd < 0)
        return error_errno(err, "memfd_create");
    if (!file_write_all(memfd, writer_span(secret), err))
        return false;
    if (fcntl(memfd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) != 0)
        return error_errno(err, "sealing the secret");
    *fd = memfd;
    memfd = -1;
    return true;
}
