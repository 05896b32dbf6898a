/*
 * An evidence pack of anybody. Its log's key is taken to be trusted, so that what lies behind the first signature is reached:
 * records are read before the pack's own signature is. What is told lies inside the pack.
 */
#include <stdlib.h>
#include <string.h>

#include "verify/pack.h"

#define HEAD_KEY_AT (16 + 16 + 80)

static struct bytes pack;

static bool inside(struct bytes b)
{
    return b.len == 0 || (b.ptr >= pack.ptr && b.ptr + b.len <= pack.ptr + pack.len);
}

static bool record(void *context, const struct entry *e, uint64_t position, struct bytes facts, struct why *why)
{
    struct cursor c = { facts, false };
    struct fact f;

    (void)context;
    (void)position;
    (void)why;
    if (e != NULL && !inside(e->raw))
        abort();
    while (c.left.len > 0 && fact_next(&c, &f))
        if (f.value.len > facts.len)
            abort();
    return true;
}

static void stamped(void *context, uint64_t size, struct bytes by, struct bytes time)
{
    (void)context;
    (void)size;
    if (!inside(by) || !inside(time))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    const struct telling tell = { .record = record, .stamped = stamped };
    struct trust trust = { .has_key = true };
    struct why why = { "" };
    struct verdict v;
    const uint8_t *note;
    size_t name = 0;

    pack = (struct bytes){ bytes, len };
    note = memmem(bytes, len, "CKPT", 4);
    if (note == NULL || len < HEAD_KEY_AT + 32 || (size_t)(note - bytes) + 16 > len)
        return 0;
    note += 16;
    while (note + name < bytes + len && note[name] != '\n')
        name++;
    key_of((struct bytes){ note, name }, KEY_ED25519, bytes + HEAD_KEY_AT, &trust.key);
    if (!pack_verify(pack, (struct bytes){ NULL, 0 }, &trust, &tell, &v, &why) && why.text[0] == '\0')
        abort(); /* a no without a reason */
    return 0;
}
