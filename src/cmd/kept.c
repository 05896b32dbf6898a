/* A checkpoint kept outside. See kept.h. */
#include "cmd/kept.h"

#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "vault/cosign.h"

#define READ_PIECE 4096

static bool read_all(const char *path, struct writer *w, struct error *err)
{
    const bool standard = strcmp(path, "-") == 0;
    CLEANUP(file_close) int fd = standard ? dup(STDIN_FILENO) : open(path, O_RDONLY | O_CLOEXEC);
    uint8_t piece[READ_PIECE];
    ssize_t n = 1;

    if (fd < 0) {
        (void)error_errno(err, "%s", path);
        err->code = ERR_USAGE;
        return false;
    }
    while ((n = read(fd, piece, sizeof piece)) > 0)
        for (ssize_t i = 0; i < n; i++)
            if (piece[i] != '\r') /* line ends of another system */
                write_u8(w, piece[i]);
    if (n < 0)
        return error_errno(err, "%s", path);
    if (w->len > 0 && w->ptr[w->len - 1] != '\n')
        write_u8(w, '\n');
    return !w->failed || error_set(err, ERR_USAGE, "%s: more than %zu bytes", path, PAPER_TEXT_MAX);
}

/* Scanners put empty lines around a code. */
static struct span without_empty_lines(struct span text)
{
    while (text.len > 0 && text.ptr[0] == '\n')
        text = span_part(text, 1, text.len);
    while (text.len > 1 && text.ptr[text.len - 1] == '\n' && text.ptr[text.len - 2] == '\n')
        text = span_part(text, 0, text.len - 1);
    return text;
}

static bool take_note(struct span text, struct kept *k, struct error *err)
{
    struct note n;
    struct checkpoint c;

    if (!note_parse(text, &n, err) || !checkpoint_parse(n.text, &c, err)
        || !span_to_str(c.origin, k->origin, sizeof k->origin)) {
        err->code = ERR_USAGE;
        return error_within(err, "the note");
    }
    k->size = c.size;
    memcpy(k->root, c.root, sizeof k->root);
    k->signed_note = true;
    return true;
}

static bool take_paper(struct span text, struct kept *k, struct error *err)
{
    struct paper p;
    char hex[2 * PAPER_ID_BYTES + 1];

    if (!paper_parse(text, &p, err))
        return false;
    (void)sodium_bin2hex(hex, sizeof hex, p.vault_id, sizeof p.vault_id);
    (void)snprintf(k->origin, sizeof k->origin, "fanal/%s", hex);
    k->size = p.size;
    k->time_s = p.time_s;
    memcpy(k->root, p.root, sizeof k->root);
    return true;
}

bool kept_read(const char *path, struct kept *out, struct error *err)
{
    struct kept k = { .text = writer_new(PAPER_TEXT_MAX) };
    struct span text;
    bool ok = read_all(path, &k.text, err);

    text = without_empty_lines(writer_span(&k.text));
    if (ok) /* a note begins with its origin, "fanal/…"; a paper never holds a slash */
        ok = span_starts(text, SPAN_LIT("fanal/")) ? take_note(text, &k, err) : take_paper(text, &k, err);
    if (ok)
        *out = k;
    else
        kept_done(&k);
    return ok;
}

void kept_done(struct kept *k)
{
    writer_done(&k->text);
}

/* " of 2026-11-28 03:43 UTC", or nothing. */
static void when(const struct kept *k, char *out, size_t cap)
{
    const time_t t = (time_t)k->time_s;
    struct tm tm;

    out[0] = '\0';
    if (k->time_s != 0 && gmtime_r(&t, &tm) != NULL)
        (void)strftime(out, cap, " of %Y-%m-%d %H:%M UTC", &tm);
}

/* Whether a note is signed by this vault; a paper is believed as it is held in the hand. */
static bool signature_fits(const struct kept *k, const struct vkey *key)
{
    struct error err = { 0 };
    struct note n;

    if (!k->signed_note || !note_parse(without_empty_lines(writer_span(&k->text)), &n, &err) || note_signed_by(&n, key, &err))
        return true;
    if (err.code == ERR_DAMAGED) {
        (void)puts("the note's signature does not fit: it was changed, or not scanned whole");
        return false;
    }
    (void)puts("the note is signed by another key than the vault has now; its content is compared all the same");
    return true;
}

bool kept_say(const struct kept *k, const char *verdict, const char *origin, uint64_t now, const struct vkey *key)
{
    const char *what = k->signed_note ? "note" : "paper";
    char time[40];

    when(k, time, sizeof time);
    if (strcmp(k->origin, origin) != 0) {
        (void)printf("the %s is of another vault (%s): this is %s\n", what, k->origin, origin);
        return false;
    }
    if (!signature_fits(k, key))
        return false;
    if (strcmp(verdict, "holds") == 0) {
        (void)printf("the log holds the %s%s and goes on from it: %llu records then, %llu now\n", what, time,
                     (unsigned long long)k->size, (unsigned long long)now);
        return true;
    }
    if (strcmp(verdict, "rolled-back") == 0)
        (void)printf("ROLLED BACK: the %s%s has %llu records, this log has %llu\n", what, time, (unsigned long long)k->size,
                     (unsigned long long)now);
    else
        (void)printf("ANOTHER HISTORY: the first %llu of this log's %llu records are not those of the %s%s: it was rolled "
                     "back and went on, or was made again\n",
                     (unsigned long long)k->size, (unsigned long long)now, what, time);
    return false;
}
