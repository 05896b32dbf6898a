/* See secret_shares.h. */
#include "cmd/secret_shares.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "cmd/secret.h"
#include "vault/seal.h"
#include "vault/store_keys.h"

#define ROW_WORDS     6u
#define ROW_TRIES_MAX 20 /* of one share: a keyboard that types nonsense ends */
#define LINE_BYTES    512

static bool is_space(uint8_t c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* The next word of *text, which moves behind it; empty at the end. */
static struct span next_word(struct span *text)
{
    size_t from = 0, to;
    struct span word;

    while (from < text->len && is_space(text->ptr[from]))
        from++;
    for (to = from; to < text->len && !is_space(text->ptr[to]);)
        to++;
    word = span_part(*text, from, to - from);
    *text = span_part(*text, to, text->len);
    return word;
}

static unsigned count_words(struct span text)
{
    unsigned n = 0;

    while (next_word(&text).len > 0)
        n++;
    return n;
}

/* ---- from a text ---- */

struct splitter {
    share_taker *take;
    void *context;
    unsigned number;     /* of the share that is being read, from 1 */
    const uint8_t *from; /* where it begins; NULL: not yet */
};

static bool hand_over(struct splitter *s, const uint8_t *end, struct error *err)
{
    const uint8_t *from = s->from;

    s->from = NULL;
    if (from == NULL)
        return true;
    s->number++;
    return s->take(s->context, span_of(from, (size_t)(end - from)), err) || error_within(err, "share %u", s->number);
}

bool shares_of_text(struct span text, share_taker *take, void *context, struct error *err)
{
    struct splitter s = { .take = take, .context = context };

    while (text.len > 0) {
        size_t len = span_index(text, '\n');
        struct span line = span_part(text, 0, len);
        bool ends = count_words(line) == 0 || line.ptr[0] == '#';

        if (ends && !hand_over(&s, line.ptr, err))
            return false;
        if (!ends && s.from == NULL)
            s.from = line.ptr;
        if (!ends && count_words(span_of(s.from, (size_t)(line.ptr + line.len - s.from))) >= SHARE_WORDS
            && !hand_over(&s, line.ptr + line.len, err))
            return false;
        if (len >= text.len)
            return hand_over(&s, text.ptr + text.len, err);
        text = span_part(text, len + 1, text.len);
    }
    return hand_over(&s, text.ptr, err);
}

/* ---- from a terminal ---- */

static bool say(int tty, const char *text, struct error *err)
{
    return file_write_all(tty, span_str(text), err);
}

/* One line, and rubs it out: the next custodian shall not read it. */
static bool read_line(int tty, uint8_t line[LINE_BYTES], struct span *out, struct error *err)
{
    ssize_t n;

    do
        n = read(tty, line, LINE_BYTES); /* a terminal gives one line a read */
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return error_errno(err, "read of a share");
    if (n == 0)
        return error_set(err, ERR_USAGE, "no share was given");
    *out = span_of(line, (size_t)n);
    return say(tty, "\x1b[1A\x1b[2K", err);
}

/* Which word of a row is none, from 1; 0 where all are. */
static unsigned wrong_word(struct span row)
{
    struct span word;
    uint16_t value;

    for (unsigned i = 1; (word = next_word(&row)).len > 0; i++)
        if (!share_word(word, &value))
            return i;
    return 0;
}

/* Appends the words of a row to text: the next ones, or all that are left. */
static bool ask_row(int tty, const char *prompt, struct writer *text, unsigned *have, uint8_t line[LINE_BYTES],
                    struct error *err)
{
    char words[160];
    struct span row;
    unsigned wrong, count;

    (void)snprintf(words, sizeof words, "%.100s, words %u to %u: ", prompt, *have + 1, *have + ROW_WORDS);
    if (!say(tty, words, err) || !read_line(tty, line, &row, err))
        return false;
    count = count_words(row);
    wrong = wrong_word(row);
    if (count > SHARE_WORDS - *have || (wrong == 0 && count != ROW_WORDS && count != SHARE_WORDS - *have)) {
        (void)snprintf(words, sizeof words, "%u words; %u belong here. Once more.\n", count, ROW_WORDS);
        return say(tty, words, err);
    }
    if (wrong != 0) {
        (void)snprintf(words, sizeof words, "Word %u is none: five letters, like \"babad\". The row once more.\n",
                       *have + wrong);
        return say(tty, words, err);
    }
    write_span(text, row);
    write_u8(text, ' ');
    *have += count;
    return writer_ok(text, err, "share");
}

static bool ask_words(int tty, const char *prompt, struct writer *text, uint8_t line[LINE_BYTES], struct error *err)
{
    unsigned have = 0;

    for (int tries = 0; have < SHARE_WORDS; tries++) {
        if (tries == ROW_TRIES_MAX)
            return error_set(err, ERR_USAGE, "no share was given");
        if (!ask_row(tty, prompt, text, &have, line, err))
            return false;
    }
    return true;
}

bool share_ask(int tty, const char *prompt, share_taker *take, void *context, struct error *err)
{
    struct writer text = writer_new(SECRET_BYTES_MAX);
    uint8_t line[LINE_BYTES];
    struct error why = { 0 };
    bool given = false;
    bool ok = secret_room(&text, err);

    for (int tries = 0; ok && !given; tries++) {
        char said[300];

        text.len = 0;
        ok = ask_words(tty, prompt, &text, line, err);
        if (!ok)
            break;
        given = take(context, writer_span(&text), &why);
        if (given)
            break;
        (void)snprintf(said, sizeof said, "%s.\n", why.text);
        ok = tries + 1 < SHARE_TRIES_MAX ? say(tty, said, err) : error_set(err, why.code, "%s", why.text);
    }
    explicit_bzero(line, sizeof line);
    secret_wipe(&text);
    return given;
}

/* ---- enough of them ---- */

static bool give(void *context, struct span text, struct error *err)
{
    struct custody *c = context;

    if (custody_given(c) > 0 && custody_given(c) >= custody_needed(c))
        return true; /* one more than needed */
    return custody_give(c, text, err);
}

static bool collect_from_file(const char *path, struct custody *c, struct error *err)
{
    struct writer text = writer_new(SECRET_BYTES_MAX);
    CLEANUP(file_close) int fd = open(path, O_RDONLY | O_CLOEXEC);
    bool ok = secret_room(&text, err);
    ssize_t n = 1;

    if (fd < 0)
        ok = error_errno(err, "%s", path);
    while (ok && n > 0) {
        n = text.len < text.cap ? read(fd, text.ptr + text.len, text.cap - text.len) : 0;
        if (n < 0)
            ok = error_errno(err, "%s", path);
        text.len += n > 0 ? (size_t)n : 0;
    }
    ok = ok && (shares_of_text(writer_span(&text), give, c, err) || error_within(err, "%s", path));
    secret_wipe(&text);
    return ok;
}

/* A custodian compares it with the page in his hand before he types. */
static bool say_vault(int tty, const struct keyring_info *info, struct error *err)
{
    char hex[2 * VAULT_ID_BYTES + 1], text[128];

    (void)snprintf(text, sizeof text, "Vault %s\n", sodium_bin2hex(hex, sizeof hex, info->vault_id, VAULT_ID_BYTES));
    return say(tty, text, err);
}

static bool collect_from_terminal(const struct keyring_info *info, struct custody *c, struct error *err)
{
    CLEANUP(file_close) int tty = open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC);
    char prompt[64];

    if (tty < 0)
        return error_set(err, ERR_USAGE, "no FANAL_SHARES_FILE, no terminal to ask for shares on");
    if (!say_vault(tty, info, err))
        return false;
    while (custody_given(c) < custody_needed(c)) {
        if (custody_given(c) == 0)
            (void)snprintf(prompt, sizeof prompt, "First share");
        else
            (void)snprintf(prompt, sizeof prompt, "Share %u of %u", custody_given(c) + 1, custody_needed(c));
        if (!share_ask(tty, prompt, give, c, err))
            return false;
    }
    return true;
}

bool shares_read(const char *dir, struct writer *out, struct error *err)
{
    const char *path = getenv("FANAL_SHARES_FILE");
    struct keyring_info info;
    struct custody *c;
    bool ok;

    if (!secret_room(out, err) || !store_keys_peek(dir, &info, err))
        return false;
    c = custody_new(&info, err);
    if (c == NULL)
        return false;
    ok = (path != NULL ? collect_from_file(path, c, err) : collect_from_terminal(&info, c, err))
         && custody_secret(c, out->ptr, err);
    if (ok)
        out->len = CUSTODY_SECRET_BYTES;
    custody_free(c);
    return ok;
}
