/* The gate's own conversation with the vault, and what connections share. See gate.h. */
#include "gate/web/gate.h"
#include "base/cleanup.h"

#define VERSION "0.1.0"

void gate_init(struct gate *g, const struct log *log, const struct clock *clock)
{
    *g = (struct gate){ .log = log, .clock = clock, .version = VERSION, .next_id = 1 };
    (void)pthread_mutex_init(&g->lock, NULL);
    lens_pool_init(&g->lenses);
}

void gate_done(struct gate *g)
{
    if (g->vault_present)
        channel_close(&g->vault);
    lens_pool_done(&g->lenses);
    (void)pthread_mutex_destroy(&g->lock);
}

void gate_join_vault(struct gate *g, struct channel vault)
{
    (void)pthread_mutex_lock(&g->lock);
    if (g->vault_present)
        channel_close(&g->vault);
    g->vault = vault;
    g->vault_present = true;
    (void)pthread_mutex_unlock(&g->lock);
}

/* Answers until the last one; rows are appended to *row. The lock is held. */
static bool receive_row(struct gate *g, uint32_t id, int timeout_ms, struct writer *row, uint8_t *buffer,
                        struct error *err)
{
    for (;;) {
        struct message m;
        uint64_t result;

        if (!channel_receive(&g->vault, buffer, CHANNEL_MESSAGE_MAX, &m, timeout_ms, err))
            return false;
        message_done(&m);
        if (m.id != id)
            continue; /* of a request whose answer we did not wait for */
        if (m.verb == VERB_ROW) {
            write_span(row, m.fields);
            continue;
        }
        result = fields_uint(m.fields, FIELD_RESULT, ERR_MALFORMED);
        if (m.verb != VERB_REPLY || result != ERR_NONE)
            return error_set(err, (enum error_code)result, "the vault refused a query of the gate");
        return writer_ok(row, err, "row");
    }
}

bool gate_find_own(struct gate *g, const char *query, int timeout_ms, struct writer *row, struct error *err)
{
    CLEANUP(writer_done) struct writer request = writer_new(REQUEST_BYTES_MAX);
    CLEANUP(writer_done) struct writer buffer = writer_new(CHANNEL_MESSAGE_MAX);
    uint8_t *room = write_room(&buffer, CHANNEL_MESSAGE_MAX);
    bool ok;

    field_put_str(&request, FIELD_QUERY, query);
    if (room == NULL || !writer_ok(&request, err, "request"))
        return error_set(err, ERR_MEMORY, "query of the gate");
    (void)pthread_mutex_lock(&g->lock);
    if (!g->vault_present) {
        ok = error_set(err, ERR_CLOSED, "the vault is not there");
    } else {
        uint32_t id = g->next_id++;

        g->next_id += g->next_id == 0;
        ok = channel_send(&g->vault, VERB_FIND, id, writer_span(&request), NULL, 0, err)
             && receive_row(g, id, timeout_ms, row, room, err);
    }
    (void)pthread_mutex_unlock(&g->lock);
    return ok;
}
