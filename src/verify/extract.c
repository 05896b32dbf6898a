/* Documents and facts as files. See extract.h. */
#include "extract.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "words.h"

#define UID_BYTES_MAX 64

static FILE *create(struct extract *x, uint64_t position, const char *ending, struct why *why)
{
    char name[48];
    FILE *f = NULL;
    int fd;

    (void)snprintf(name, sizeof name, "%llu.%s", (unsigned long long)position, ending);
    fd = openat(x->dir_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd >= 0)
        f = fdopen(fd, "w");
    if (f == NULL && fd >= 0)
        (void)close(fd);
    if (f == NULL)
        (void)no(why, "%s cannot be made (files are not overwritten)", name);
    return f;
}

/* A data element of the File Meta Information (PS3.10 §7.1): Explicit VR little endian, even length. */
static size_t element(uint8_t *out, unsigned number, const char *vr, struct bytes value)
{
    size_t even = value.len + value.len % 2;

    out[0] = 0x02;
    out[1] = 0;
    out[2] = (uint8_t)number;
    out[3] = 0;
    memcpy(out + 4, vr, 2);
    out[6] = (uint8_t)even;
    out[7] = 0;
    out[8 + value.len] = 0;
    memcpy(out + 8, value.ptr, value.len);
    return 8 + even;
}

static bool part10_header(FILE *f, struct bytes facts)
{
    static const uint8_t version[] = { 2, 0, 1, 0, 'O', 'B', 0, 0, 2, 0, 0, 0, 0, 1 };
    uint8_t group[1024], length[12], preamble[128] = { 0 };
    struct bytes uid = fact_find(facts, FACT_SOP_UID), sop_class = fact_find(facts, FACT_SOP_CLASS);
    struct bytes syntax = fact_find(facts, FACT_TRANSFER_SYNTAX);
    size_t n = sizeof version;

    if (uid.len == 0)
        uid = fact_find(facts, FACT_COMMAND_SOP_UID);
    memcpy(group, version, sizeof version);
    n += element(group + n, 0x02, "UI", part(sop_class, 0, UID_BYTES_MAX));
    n += element(group + n, 0x03, "UI", part(uid, 0, UID_BYTES_MAX));
    n += element(group + n, 0x10, "UI", part(syntax, 0, UID_BYTES_MAX));
    n += element(group + n, 0x12, "UI", LIT("2.25.226410312893747921946180716417034301249"));
    memcpy(length, "\x02\x00\x00\x00UL\x04\x00", 8);
    for (int i = 0; i < 4; i++)
        length[8 + i] = (uint8_t)(n >> (8 * i));
    return fwrite(preamble, 1, sizeof preamble, f) == sizeof preamble && fwrite("DICM", 1, 4, f) == 4
           && fwrite(length, 1, sizeof length, f) == sizeof length && fwrite(group, 1, n, f) == n;
}

bool extract_record(struct extract *x, const struct entry *e, uint64_t position, struct bytes facts, struct why *why)
{
    FILE *words;

    if (x->dir_fd < 0 || e == NULL || facts.len == 0)
        return true;
    words = create(x, position, "txt", why);
    if (words == NULL)
        return false;
    print_facts(words, facts);
    if (fclose(words) != 0)
        return no(why, "it cannot be written");
    if (!e->has_body || (e->kind != KIND_DICOM && e->kind != KIND_HL7))
        return true;
    x->document = create(x, position, e->kind == KIND_DICOM ? "dcm" : "hl7", why);
    if (x->document == NULL)
        return false;
    return e->kind != KIND_DICOM || part10_header(x->document, facts) || no(why, "it cannot be written");
}

bool extract_body(struct extract *x, struct bytes clear, struct why *why)
{
    if (x->document == NULL || fwrite(clear.ptr, 1, clear.len, x->document) == clear.len)
        return true;
    return no(why, "it cannot be written");
}

bool extract_end(struct extract *x, struct why *why)
{
    bool ok = true;

    if (x->document != NULL) {
        ok = fclose(x->document) == 0;
        x->written++;
    }
    x->document = NULL;
    return ok || no(why, "it cannot be written");
}
