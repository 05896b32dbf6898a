/*
 * Seals, as verify sees them: each against its file, and the files that by the scrub file should have one. Reads only.
 */
#include <stdio.h>
#include <stdlib.h>

#include "vault/scrub.h"

struct seals {
    struct store *s;
    struct mender *mender;
    struct scrub_state state; /* zeros where there is none: then nothing should have a seal */
    verify_report *report;
    void *context;
    uint64_t *findings;
    struct erased_files erased; /* looked for when the first seal is missed */
    bool erased_known;
};

static void found(void *context, const char *text)
{
    struct seals *v = context;

    v->report(v->context, text);
    ++*v->findings;
}

/* A file that was sealed by what the scrub file says; of large bodies only their entries know (should_be_sealed()). */
static bool was_sealed(const struct seals *v, size_t directory, const char *name)
{
    unsigned month, number;

    if (directory == 0)
        return sscanf(name, "log/%8u.seg", &number) == 1 && number < v->state.segments;
    if (directory > BODY_CLASS_COUNT)
        return false;
    return sscanf(name + strlen(scrub_directory(directory)), "/%6u-%8u.body", &month, &number) == 2
           && number < v->state.classes[directory - 1].number;
}

/* A file that nobody can read any more is on its way out: its seal goes first (expire.c). */
static bool is_missed(struct seals *v, const char *name, bool *missed, struct error *err)
{
    const char *number = strrchr(name, '-');

    if (!v->erased_known && !erased_files_find(v->s, &v->erased, err))
        return false;
    v->erased_known = true;
    *missed = number == NULL || !erased_files_has(&v->erased, (uint32_t)strtoul(number + 1, NULL, 10));
    return true;
}

static bool check_file(struct seals *v, size_t directory, const char *name, struct error *err)
{
    struct mend_order order = { .name = name, .report = found, .report_context = v };
    struct mend_result r;
    struct error why = { 0 };
    char text[FINDING_MAX];
    bool missed = true;

    if (mend_file(v->mender, &order, &r, &why))
        return true;
    if (why.code == ERR_NOT_FOUND && !was_sealed(v, directory, name))
        return true; /* not sealed yet */
    if (why.code != ERR_NOT_FOUND && why.code != ERR_DAMAGED)
        return error_set(err, why.code, "%s", why.text);
    if (why.code == ERR_NOT_FOUND && !is_missed(v, name, &missed, err))
        return false;
    if (!missed)
        return true;
    (void)snprintf(text, sizeof text, why.code == ERR_NOT_FOUND ? "%.150s: its seal is missing" : "%.190s",
                   why.code == ERR_NOT_FOUND ? name : why.text);
    found(v, text);
    return true;
}

/* Seals whose file is gone: the file's records are named by their entries, this says that some of it may come back. */
static bool check_directory(struct seals *v, size_t directory, struct error *err)
{
    char after[SIDECAR_NAME_BYTES + 1] = "";
    struct name_list l = { .more = true };
    bool ok = true;

    while (ok && l.more) {
        ok = names_load(&l, v->s, scrub_directory(directory), after, err);
        for (; ok && l.at < l.count; l.at++)
            ok = check_file(v, directory, l.names[l.at], err);
        if (ok && l.count > 0)
            memcpy(after, l.names[l.count - 1], sizeof after);
    }
    free(l.names);
    return ok;
}

/* The large bodies that entries below the cursor name. */
static bool check_large(struct seals *v, struct error *err)
{
    struct writer entry = writer_new(ENTRY_BYTES_MAX);
    uint64_t until = v->state.cursor;
    char name[NAME_BYTES_MAX], beside[NAME_BYTES_MAX], text[FINDING_MAX];
    bool ok = true;

    if (until > store_committed_size(v->s))
        until = store_committed_size(v->s);
    for (uint64_t p = 0; ok && p < until; p++) {
        struct error why = { 0 };
        struct entry_header h;

        if (!entry_find(v->s, p, &h, &entry, &why)) { /* damaged: said already */
            ok = !error_is_want(why.code) || error_set(err, why.code, "%s", why.text);
            continue;
        }
        if (!h.large || keyring_slot_state(v->s->keyring, h.slot) == SLOT_ERASED)
            continue;
        large_name(h.name, true, name);
        sidecar_name(name, beside);
        if (disk_exists(&v->s->disk, beside) || !disk_exists(&v->s->disk, name))
            continue;
        (void)snprintf(text, sizeof text, "%.150s: its seal is missing", name);
        found(v, text);
    }
    writer_done(&entry);
    return ok;
}

bool verify_seals(struct store *s, verify_report *report, void *context, uint64_t *findings, struct error *err)
{
    struct seals v = { .s = s, .report = report, .context = context, .findings = findings };
    bool ok;

    if (scrub_state_read(s, &v.state) != SCRUB_STATE_WHOLE) /* a damaged one was named at the start */
        v.state = (struct scrub_state){ 0 };
    v.mender = mender_new(s, err);
    ok = v.mender != NULL;
    for (size_t n = 0; ok && scrub_directory(n) != NULL; n++)
        ok = check_directory(&v, n, err);
    ok = ok && check_large(&v, err);
    mender_free(v.mender);
    erased_files_done(&v.erased);
    return ok;
}
