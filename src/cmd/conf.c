/*
 * fanal.conf: the grammar is inih's (libinih); what it means is the table of keys in conf_keys.c. See conf.h.
 */
#include <ini.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "cmd/conf_parse.h"

static bool peer_new(struct parse *p, struct span name);
static bool sender_new(struct parse *p, struct span name);
static bool twin_new(struct parse *p, struct span name);

static const struct {
    const char *name;
    bool named; /* [peer X]: may come many times, each with its own X */
    bool (*begun)(struct parse *p, struct span name);
} sections[SECTION_COUNT] = {
    [SECTION_NONE] = { "", false, NULL },         [SECTION_SITE] = { "site", false, NULL },
    [SECTION_LISTEN] = { "listen", false, NULL }, [SECTION_DICOM] = { "dicom", false, NULL },
    [SECTION_LIMITS] = { "limits", false, NULL }, [SECTION_DISK] = { "disk", false, NULL },
    [SECTION_SCRUB] = { "scrub", false, NULL },   [SECTION_STORE] = { "store", false, NULL },
    [SECTION_UNSEAL] = { "unseal", false, NULL },
    [SECTION_PEER] = { "peer", true, peer_new },
    [SECTION_SENDER] = { "sender", true, sender_new },  [SECTION_WITNESS] = { "witness", true, conf_witness_new },
    [SECTION_TIMESTAMP] = { "timestamp", true, conf_timestamp_new }, [SECTION_LOG] = { "log", true, conf_log_new },
    [SECTION_TWIN] = { "twin", true, twin_new },        [SECTION_FOLLOW] = { "follow", false, NULL },
};

/* Keeps the first error only. */
bool conf_wrong(struct parse *p, unsigned line, const char *format, ...)
{
    char text[160];
    va_list args;

    if (p->err.code != ERR_NONE)
        return false;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return error_set(&p->err, ERR_USAGE, "line %u: %s%s%s", line, p->key != NULL ? p->key : "",
                     p->key != NULL ? ": " : "", text);
}

/* ---- sections ---- */

/* A section has ended: is all there that it needs? */
static bool section_end(struct parse *p)
{
    for (size_t i = 0; i < conf_key_count; i++)
        if (conf_keys[i].section == p->section && conf_keys[i].required && (p->keys_seen >> i & 1) == 0)
            return conf_wrong(p, p->section_line, "section [%s …] lacks %s", sections[p->section].name, conf_keys[i].name);
    return true;
}

static bool peer_new(struct parse *p, struct span name)
{
    struct conf *c = &p->conf;

    for (size_t i = 0; i < c->peer_count; i++)
        if (span_equal(name, span_str(c->peers[i].name)))
            return conf_wrong(p, p->line, "section is there already");
    if (c->peer_count == CONF_PEERS_MAX)
        return conf_wrong(p, p->line, "more than %d peers", CONF_PEERS_MAX);
    c->peers[c->peer_count] = (struct conf_peer){ .may_store = true };
    (void)span_to_str(name, c->peers[c->peer_count++].name, CONF_NAME_SIZE); /* fits: section_begin() has looked */
    return true;
}

static bool sender_new(struct parse *p, struct span name)
{
    struct conf *c = &p->conf;

    for (size_t i = 0; i < c->sender_count; i++)
        if (span_equal(name, span_str(c->senders[i].name)))
            return conf_wrong(p, p->line, "section is there already");
    if (c->sender_count == CONF_SENDERS_MAX)
        return conf_wrong(p, p->line, "more than %d senders", CONF_SENDERS_MAX);
    c->senders[c->sender_count] = (struct conf_sender){ .keep_unsupported = false };
    (void)span_to_str(name, c->senders[c->sender_count++].name, CONF_NAME_SIZE);
    return true;
}

static bool twin_new(struct parse *p, struct span name)
{
    struct conf *c = &p->conf;

    for (size_t i = 0; i < c->twin_count; i++)
        if (span_equal(name, span_str(c->twins[i].name)))
            return conf_wrong(p, p->line, "section is there already");
    if (c->twin_count == CONF_TWINS_MAX)
        return conf_wrong(p, p->line, "more than %d twins", CONF_TWINS_MAX);
    c->twins[c->twin_count] = (struct conf_twin){ .alarm_minutes = CONF_TWIN_ALARM_DEFAULT };
    (void)span_to_str(name, c->twins[c->twin_count++].name, CONF_NAME_SIZE);
    return true;
}

/* title: what stands between [ and ]. */
static bool section_begin(struct parse *p, struct span title)
{
    struct span kind = span_part(title, 0, span_index(title, ' '));
    struct span name = span_trim(span_part(title, kind.len, title.len), " \t");
    enum section s = SECTION_SITE;

    if (!section_end(p))
        return false;
    while (s < SECTION_COUNT && !span_equal(kind, span_str(sections[s].name)))
        s++;
    if (s == SECTION_COUNT)
        return conf_wrong(p, p->line, "unknown section");
    if (sections[s].named ? (!conf_is_name(name) || name.len >= CONF_NAME_SIZE) : name.len > 0)
        return conf_wrong(p, p->line, "[%s]%s", sections[s].name,
                     sections[s].named ? " wants a name of at most 32 letters, digits, - _ ." : " has no name");
    if (!sections[s].named && p->section_seen[s])
        return conf_wrong(p, p->line, "section is there already");
    p->section_seen[s] = true;
    p->section = s;
    p->section_line = p->line;
    p->keys_seen = 0;
    return sections[s].begun == NULL || sections[s].begun(p, name);
}

/* ---- inih ---- */

/* inih shows neither empty sections nor what follows a ], and cuts long lines: what it hides is looked at here. */
static bool look_at_line(struct parse *p, struct span line, size_t most)
{
    struct span text = span_trim(line, " \t\r\n");
    size_t close = span_index(text, ']');
    struct span behind = span_trim(span_part(text, close + 1, text.len), " \t");

    if (line.len > most)
        return conf_wrong(p, p->line, "line is longer than %zu bytes", most);
    for (size_t i = 0; i < line.len; i++)
        if (line.ptr[i] == 0)
            return conf_wrong(p, p->line, "line holds a NUL");
    if (text.len == 0 || text.ptr[0] != '[')
        return true;
    if (line.ptr[0] != '[')
        return conf_wrong(p, p->line, "section is indented");
    if (close == text.len || (behind.len > 0 && behind.ptr[0] != ';' && behind.ptr[0] != '#'))
        return conf_wrong(p, p->line, "section is not [like this]");
    return section_begin(p, span_part(text, 1, close - 1));
}

/* ini_reader: the next line into out[cap]. NULL ends the parsing. */
static char *next_line(char *out, int cap, void *context)
{
    struct parse *p = context;
    size_t end = span_index(p->left, '\n');
    struct span line = span_part(p->left, 0, end < p->left.len ? end + 1 : end);

    if (p->left.len == 0 || p->err.code != ERR_NONE)
        return NULL;
    p->line++;
    if (!look_at_line(p, line, (size_t)cap - 1) || !span_to_str(line, out, (size_t)cap))
        return NULL;
    p->left = span_part(p->left, line.len, p->left.len);
    return out;
}

/* ini_handler: 1 is good. */
static int take_key(void *context, const char *section, const char *name, const char *value)
{
    struct parse *p = context;

    (void)section; /* look_at_line() knows it */
    if (p->section == SECTION_NONE)
        return conf_wrong(p, p->line, "key before any section");
    for (size_t i = 0; i < conf_key_count; i++) {
        if (conf_keys[i].section != p->section || strcmp(conf_keys[i].name, name) != 0)
            continue;
        if (!conf_keys[i].list && (p->keys_seen >> i & 1) != 0)
            return conf_wrong(p, p->line, "%s is there already", conf_keys[i].name);
        p->keys_seen |= (uint64_t)1 << i;
        p->key = conf_keys[i].name;
        if (!conf_keys[i].set(p, span_str(value)))
            return false;
        p->key = NULL;
        return true;
    }
    return conf_wrong(p, p->line, "unknown key \"%.40s\" in [%s]", name, sections[p->section].name);
}

/* ---- the whole ---- */

static bool networks_overlap(const struct conf_networks *a, const struct conf_networks *b)
{
    for (size_t i = 0; i < a->count; i++)
        for (size_t j = 0; j < b->count; j++)
            if (conf_network_overlap(&a->items[i], &b->items[j]))
                return true;
    return false;
}

/* Who is there must have one answer. */
static bool nobody_is_two(struct parse *p)
{
    const struct conf *c = &p->conf;

    for (size_t i = 0; i < c->peer_count; i++)
        for (size_t j = 0; j < i; j++)
            if (strcmp(c->peers[i].ae, c->peers[j].ae) == 0
                && networks_overlap(&c->peers[i].address, &c->peers[j].address))
                return conf_wrong(p, p->line, "[peer %s] and [peer %s] have the same ae and addresses in common",
                             c->peers[j].name, c->peers[i].name);
    for (size_t i = 0; i < c->sender_count; i++)
        for (size_t j = 0; j < i; j++)
            if (networks_overlap(&c->senders[i].address, &c->senders[j].address))
                return conf_wrong(p, p->line, "[sender %s] and [sender %s] have addresses in common", c->senders[j].name,
                             c->senders[i].name);
    return true;
}

static bool all_local(const struct conf_service *s)
{
    for (size_t i = 0; i < s->address_count; i++)
        if (!conf_address_is_local(&s->addresses[i]))
            return false;
    return true;
}

static bool listen_is_allowed(struct parse *p)
{
    const struct conf *c = &p->conf;

    if (c->listen_public
        || (all_local(&c->dicom) && all_local(&c->hl7) && all_local(&c->https) && all_local(&c->witness)
            && all_local(&c->follow)))
        return true;
    return conf_wrong(p, p->line, "[listen] has an address that is neither loopback nor private; public = yes allows it");
}

bool conf_parse(struct span text, struct conf *out, struct error *err)
{
    struct parse p = { .conf = { .timezone = "UTC", .ae = "FANAL" }, .left = text, .err = { .code = ERR_NONE } };
    struct conf_service *services[] = { &p.conf.dicom, &p.conf.hl7, &p.conf.https, &p.conf.witness, &p.conf.follow };
    int bad_line;

    if (text.len > CONF_BYTES_MAX)
        return error_set(err, ERR_LIMIT, "configuration is longer than %zu bytes", CONF_BYTES_MAX);
    for (size_t i = 0; i < COUNT_OF(services); i++) {
        services[i]->connections = CONF_CONNECTIONS_DEFAULT;
        services[i]->connections_per_address = CONF_CONNECTIONS_PER_ADDRESS_DEFAULT;
    }
    p.conf.following.alarm_minutes = CONF_TWIN_ALARM_DEFAULT;
    p.conf.scrub_rate = CONF_SCRUB_RATE_DEFAULT;
    p.conf.scrub_interval_hours = CONF_SCRUB_INTERVAL_DEFAULT;
    p.conf.peers = calloc(CONF_PEERS_MAX, sizeof *p.conf.peers);
    p.conf.senders = calloc(CONF_SENDERS_MAX, sizeof *p.conf.senders);
    if (p.conf.peers == NULL || p.conf.senders == NULL) {
        conf_done(&p.conf);
        return error_set(err, ERR_MEMORY, "configuration");
    }
    bad_line = ini_parse_stream(next_line, &p, take_key, &p);
    if (bad_line > 0)
        (void)conf_wrong(&p, (unsigned)bad_line, "neither [section] nor key = value nor comment");
    else if (bad_line < 0)
        (void)error_set(&p.err, ERR_MEMORY, "configuration");
    if (p.err.code != ERR_NONE || !section_end(&p) || !nobody_is_two(&p) || !listen_is_allowed(&p)
        || !conf_anchors_whole(&p)) {
        conf_done(&p.conf);
        return error_set(err, p.err.code, "%s", p.err.text);
    }
    *out = p.conf;
    return true;
}

void conf_done(struct conf *c)
{
    free(c->peers);
    free(c->senders);
    free(c->anchors);
    free(c->logs);
    c->anchors = NULL;
    c->logs = NULL;
    c->anchor_count = c->log_count = 0;
    c->peers = NULL;
    c->senders = NULL;
    c->peer_count = c->sender_count = 0;
}
