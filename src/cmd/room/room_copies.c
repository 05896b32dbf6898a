/* Copies of the keys outside this machine: people declare them, and say how far each has come (docs/erasure.md). */
#include <inttypes.h>
#include <stdio.h>

#include "cmd/room/change.h"
#include "vault/copies.h"

static bool name_of(struct room *room, struct change *c, bool known, struct span *name)
{
    *name = change_text(c, FIELD_NAME);
    if (name->len == 0 || name->len > COPY_NAME_MAX) {
        change_refuse(room, c, ERR_REFUSED, "a copy has a name of 1 to 64 characters");
        return false;
    }
    (void)snprintf(c->detail, sizeof c->detail, "%.*s", (int)name->len, (const char *)name->ptr);
    if (vault_has_copy(room->vault, *name) != known) {
        change_refuse(room, c, known ? ERR_NOT_FOUND : ERR_EXISTS,
                      known ? "there is no copy of that name" : "there is a copy of that name");
        return false;
    }
    return true;
}

static void append_name(struct room *room, struct change *c, struct span name, const uint64_t *position)
{
    struct writer facts = writer_new(256);

    field_put_text(&facts, FIELD_NAME, name);
    if (position != NULL)
        field_put_uint(&facts, FIELD_POSITION, *position);
    change_append(room, c, c->rule->fact, writer_span(&facts), change_answer);
    writer_done(&facts);
}

void copy_add(struct room *room, struct change *c)
{
    struct span name;

    if (name_of(room, c, false, &name))
        append_name(room, c, name, NULL);
}

void copy_remove(struct room *room, struct change *c)
{
    struct span name;

    if (name_of(room, c, true, &name))
        append_name(room, c, name, NULL);
}

void copy_applied(struct room *room, struct change *c)
{
    uint64_t position = fields_uint(writer_span(&c->request), FIELD_POSITION, UINT64_MAX);
    struct span name;

    if (!name_of(room, c, true, &name))
        return;
    if (position > store_committed_size(room->store))
        change_refuse(room, c, ERR_REFUSED, "the log does not reach that position");
    else
        append_name(room, c, name, &position);
}
