/*
 * fanal.conf: the grammar is inih's (libinih), what it means is the table of keys below. See conf.h.
 */
#include "cmd/conf.h"

#include <ini.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "vault/space.h"

enum section {
    SECTION_NONE,
    SECTION_SITE,
    SECTION_LISTEN,
    SECTION_DICOM,
    SECTION_LIMITS,
    SECTION_DISK,
    SECTION_PEER,
    SECTION_SENDER
};

static const struct {
    const char *name;
    bool named; /* [peer X]: may come many times, each with its own X */
} sections[] = {
    [SECTION_NONE] = { "", false },         [SECTION_SITE] = { "site", false },
    [SECTION_LISTEN] = { "listen", false }, [SECTION_DICOM] = { "dicom", false },
    [SECTION_LIMITS] = { "limits", false }, [SECTION_DISK] = { "disk", false },
    [SECTION_PEER] = { "peer", true },
    [SECTION_SENDER] = { "sender", true },
};

struct parse {
    struct conf conf;
    struct span left; /* text not read yet */
    unsigned line;    /* of what is being read, from 1 */
    const char *key;  /* whose value is being read; NULL between */
    enum section section;
    unsigned section_line;
    bool section_seen[COUNT_OF(sections)];
    uint64_t keys_seen; /* of this section: bits, by row of keys[] */
    struct error err;   /* first thing that is wrong */
};

static bool wrong(struct parse *p, unsigned line, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Keeps the first error only. */
static bool wrong(struct parse *p, unsigned line, const char *format, ...)
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

static struct conf_peer *this_peer(struct parse *p)
{
    return &p->conf.peers[p->conf.peer_count - 1];
}

static struct conf_sender *this_sender(struct parse *p)
{
    return &p->conf.senders[p->conf.sender_count - 1];
}

/* ---- values: each setter says what it takes where the value is wrong ---- */

typedef bool set_value(struct parse *p, struct span value);

static bool is_name(struct span s)
{
    for (size_t i = 0; i < s.len; i++) {
        uint8_t b = s.ptr[i];
        bool letter = (b >= 'a' && b <= 'z') || (b >= 'A' && b <= 'Z') || (b >= '0' && b <= '9');

        if (!letter && b != '-' && b != '_' && b != '.')
            return false;
    }
    return s.len > 0;
}

static bool set_bool(struct parse *p, struct span value, bool *out)
{
    if (!span_equal(value, SPAN_LIT("yes")) && !span_equal(value, SPAN_LIT("no")))
        return wrong(p, p->line, "yes or no belongs here");
    *out = span_equal(value, SPAN_LIT("yes"));
    return true;
}

static bool set_number(struct parse *p, struct span value, unsigned least, unsigned most, unsigned *out)
{
    return conf_number_parse(value, least, most, out)
           || wrong(p, p->line, "a number from %u to %u belongs here", least, most);
}

/* A comma-separated list that is being read. */
struct list {
    struct span left;
    bool ended;
};

/* The next item, trimmed; false at the end. An empty item stays one, to be refused. */
static bool next_item(struct list *list, struct span *item)
{
    size_t comma = span_index(list->left, ',');

    if (list->ended)
        return false;
    *item = span_trim(span_part(list->left, 0, comma), " \t");
    list->ended = comma == list->left.len;
    list->left = span_part(list->left, comma + 1, list->left.len);
    return true;
}

/* The zone must be one that the machine has: /usr/share/zoneinfo/X is a TZif file (RFC 8536). */
static bool zone_exists(const char *name)
{
    char path[128];
    struct writer head = writer_new((size_t)1 << 20);
    bool good = strstr(name, "..") == NULL && name[0] != '/'
                && path_join(path, sizeof path, "/usr/share/zoneinfo", name, NULL) && file_slurp(path, &head, NULL)
                && span_starts(writer_span(&head), SPAN_LIT("TZif"));

    writer_done(&head);
    return good;
}

static bool set_timezone(struct parse *p, struct span value)
{
    char *zone = p->conf.timezone;

    if (!span_to_str(value, zone, sizeof p->conf.timezone) || (strcmp(zone, "UTC") != 0 && !zone_exists(zone)))
        return wrong(p, p->line, "UTC or a time zone of this machine belongs here, like Europe/Paris");
    return true;
}

static bool set_user(struct parse *p, struct span value)
{
    if (!is_name(value) || !span_to_str(value, p->conf.user, sizeof p->conf.user))
        return wrong(p, p->line, "a user of this machine belongs here");
    return true;
}

static bool set_listen(struct parse *p, struct span value, struct conf_service *s)
{
    struct list list = { value, false };
    struct span item;

    if (s->address_count == 0 && span_equal(value, SPAN_LIT("off")))
        return true;
    while (next_item(&list, &item)) {
        struct sockaddr_storage address = { 0 };

        if (!conf_listen_parse(item, &address))
            return wrong(p, p->line, "address:port belongs here, like 127.0.0.1:11112 or [::1]:11112, or off");
        if (s->address_count == CONF_LISTEN_MAX)
            return wrong(p, p->line, "more than %d addresses", CONF_LISTEN_MAX);
        s->addresses[s->address_count++] = address;
    }
    return true;
}

static bool set_listen_dicom(struct parse *p, struct span value)
{
    return set_listen(p, value, &p->conf.dicom);
}

static bool set_listen_hl7(struct parse *p, struct span value)
{
    return set_listen(p, value, &p->conf.hl7);
}

static bool set_listen_https(struct parse *p, struct span value)
{
    return set_listen(p, value, &p->conf.https);
}

static bool set_listen_public(struct parse *p, struct span value)
{
    return set_bool(p, value, &p->conf.listen_public);
}

/* VR AE (PS3.5 Table 6.2-1): 1 to 16 characters of ASCII, no backslash, no control character. */
static bool set_ae(struct parse *p, struct span value, char out[CONF_AE_SIZE])
{
    bool good = value.len > 0;

    for (size_t i = 0; i < value.len; i++)
        good = good && value.ptr[i] >= 0x20 && value.ptr[i] < 0x7f && value.ptr[i] != '\\';
    if (!good || !span_to_str(value, out, CONF_AE_SIZE))
        return wrong(p, p->line, "an AE title of at most 16 characters belongs here");
    return true;
}

static bool set_our_ae(struct parse *p, struct span value)
{
    return set_ae(p, value, p->conf.ae);
}

static bool is_uid(struct span s)
{
    for (size_t i = 0; i < s.len; i++)
        if ((s.ptr[i] < '0' || s.ptr[i] > '9') && s.ptr[i] != '.')
            return false;
    return s.len > 0;
}

static bool set_storage_classes(struct parse *p, struct span value)
{
    struct list list = { value, false };
    struct span item;

    while (next_item(&list, &item)) {
        if (p->conf.storage_class_count == CONF_STORAGE_CLASSES_MAX)
            return wrong(p, p->line, "more than %d storage classes", CONF_STORAGE_CLASSES_MAX);
        if (!is_uid(item) || !span_to_str(item, p->conf.storage_classes[p->conf.storage_class_count], CONF_UID_SIZE))
            return wrong(p, p->line, "SOP Class UIDs belong here");
        p->conf.storage_class_count++;
    }
    return true;
}

static bool set_networks(struct parse *p, struct span value, struct conf_networks *n)
{
    struct list list = { value, false };
    struct span item;

    while (next_item(&list, &item)) {
        if (n->count == CONF_NETWORKS_MAX)
            return wrong(p, p->line, "more than %d addresses", CONF_NETWORKS_MAX);
        if (!conf_network_parse(item, &n->items[n->count]))
            return wrong(p, p->line, "IPv4 or IPv6 addresses or CIDR ranges belong here, like 10.1.2.0/24");
        n->count++;
    }
    return true;
}

static bool set_issuer(struct parse *p, struct span value, char out[CONF_ISSUER_SIZE])
{
    if (value.len == 0 || !span_to_str(value, out, CONF_ISSUER_SIZE))
        return wrong(p, p->line, "an issuer of at most %d bytes belongs here", CONF_ISSUER_SIZE - 1);
    return true;
}

static bool set_peer_ae(struct parse *p, struct span value)
{
    return set_ae(p, value, this_peer(p)->ae);
}

static bool set_peer_address(struct parse *p, struct span value)
{
    return set_networks(p, value, &this_peer(p)->address);
}

static bool set_peer_may(struct parse *p, struct span value)
{
    struct conf_peer *peer = this_peer(p);
    struct list list = { value, false };
    struct span item;

    peer->may_store = false; /* the default gives way to what is said */
    while (next_item(&list, &item)) {
        if (span_equal(item, SPAN_LIT("store")))
            peer->may_store = true;
        else if (span_equal(item, SPAN_LIT("query")))
            peer->may_query = true;
        else if (span_equal(item, SPAN_LIT("retrieve")))
            peer->may_retrieve = true;
        else
            return wrong(p, p->line, "store, query, retrieve belong here");
    }
    return true;
}

static bool set_peer_issuer(struct parse *p, struct span value)
{
    return set_issuer(p, value, this_peer(p)->issuer);
}

static bool set_sender_address(struct parse *p, struct span value)
{
    return set_networks(p, value, &this_sender(p)->address);
}

static bool set_sender_issuer(struct parse *p, struct span value)
{
    return set_issuer(p, value, this_sender(p)->issuer);
}

static bool set_sender_unsupported(struct parse *p, struct span value)
{
    if (!span_equal(value, SPAN_LIT("keep")) && !span_equal(value, SPAN_LIT("reject")))
        return wrong(p, p->line, "keep or reject belongs here");
    this_sender(p)->keep_unsupported = span_equal(value, SPAN_LIT("keep"));
    return true;
}

static bool set_disk_reserve(struct parse *p, struct span value)
{
    return conf_size_parse(value, SPACE_RESERVE_LEAST, SPACE_RESERVE_MOST, &p->conf.disk_reserve)
           || wrong(p, p->line, "a size from 16 MiB to 1 TiB belongs here, like 2 GiB");
}

#define LIMIT_SETTERS(service)                                                                                         \
    static bool set_##service##_connections(struct parse *p, struct span value)                                        \
    {                                                                                                                  \
        return set_number(p, value, 1, CONF_CONNECTIONS_LIMIT, &p->conf.service.connections);                          \
    }                                                                                                                  \
    static bool set_##service##_connections_per_address(struct parse *p, struct span value)                            \
    {                                                                                                                  \
        return set_number(p, value, 1, CONF_CONNECTIONS_LIMIT, &p->conf.service.connections_per_address);              \
    }
LIMIT_SETTERS(dicom)
LIMIT_SETTERS(hl7)
LIMIT_SETTERS(https)

/* ---- the table ---- */

static const struct key {
    enum section section;
    const char *name;
    set_value *set;
    bool list;     /* may come again in its section, or go on in indented lines: adds to the list */
    bool required; /* wherever the section is */
} keys[] = {
    { SECTION_SITE, "timezone", set_timezone, false, false },
    { SECTION_SITE, "user", set_user, false, false },
    { SECTION_LISTEN, "dicom", set_listen_dicom, true, false },
    { SECTION_LISTEN, "hl7", set_listen_hl7, true, false },
    { SECTION_LISTEN, "https", set_listen_https, true, false },
    { SECTION_LISTEN, "public", set_listen_public, false, false },
    { SECTION_DICOM, "ae", set_our_ae, false, false },
    { SECTION_DICOM, "storage_classes", set_storage_classes, true, false },
    { SECTION_LIMITS, "dicom_connections", set_dicom_connections, false, false },
    { SECTION_LIMITS, "dicom_connections_per_address", set_dicom_connections_per_address, false, false },
    { SECTION_LIMITS, "hl7_connections", set_hl7_connections, false, false },
    { SECTION_LIMITS, "hl7_connections_per_address", set_hl7_connections_per_address, false, false },
    { SECTION_LIMITS, "https_connections", set_https_connections, false, false },
    { SECTION_LIMITS, "https_connections_per_address", set_https_connections_per_address, false, false },
    { SECTION_DISK, "reserve", set_disk_reserve, false, false },
    { SECTION_PEER, "ae", set_peer_ae, false, true },
    { SECTION_PEER, "address", set_peer_address, true, true },
    { SECTION_PEER, "may", set_peer_may, false, false },
    { SECTION_PEER, "issuer", set_peer_issuer, false, true },
    { SECTION_SENDER, "address", set_sender_address, true, true },
    { SECTION_SENDER, "issuer", set_sender_issuer, false, true },
    { SECTION_SENDER, "unsupported", set_sender_unsupported, false, false },
};

_Static_assert(COUNT_OF(keys) <= 64, "keys_seen has a bit for each key");

/* ---- sections ---- */

/* A section has ended: is all there that it needs? */
static bool section_end(struct parse *p)
{
    for (size_t i = 0; i < COUNT_OF(keys); i++)
        if (keys[i].section == p->section && keys[i].required && (p->keys_seen >> i & 1) == 0)
            return wrong(p, p->section_line, "section [%s …] lacks %s", sections[p->section].name, keys[i].name);
    return true;
}

static bool peer_new(struct parse *p, struct span name)
{
    struct conf *c = &p->conf;

    for (size_t i = 0; i < c->peer_count; i++)
        if (span_equal(name, span_str(c->peers[i].name)))
            return wrong(p, p->line, "section is there already");
    if (c->peer_count == CONF_PEERS_MAX)
        return wrong(p, p->line, "more than %d peers", CONF_PEERS_MAX);
    c->peers[c->peer_count] = (struct conf_peer){ .may_store = true };
    (void)span_to_str(name, c->peers[c->peer_count++].name, CONF_NAME_SIZE); /* fits: section_begin() has looked */
    return true;
}

static bool sender_new(struct parse *p, struct span name)
{
    struct conf *c = &p->conf;

    for (size_t i = 0; i < c->sender_count; i++)
        if (span_equal(name, span_str(c->senders[i].name)))
            return wrong(p, p->line, "section is there already");
    if (c->sender_count == CONF_SENDERS_MAX)
        return wrong(p, p->line, "more than %d senders", CONF_SENDERS_MAX);
    c->senders[c->sender_count] = (struct conf_sender){ .keep_unsupported = false };
    (void)span_to_str(name, c->senders[c->sender_count++].name, CONF_NAME_SIZE);
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
    while (s < COUNT_OF(sections) && !span_equal(kind, span_str(sections[s].name)))
        s++;
    if (s == COUNT_OF(sections))
        return wrong(p, p->line, "unknown section");
    if (sections[s].named ? (!is_name(name) || name.len >= CONF_NAME_SIZE) : name.len > 0)
        return wrong(p, p->line, "[%s]%s", sections[s].name,
                     sections[s].named ? " wants a name of at most 32 letters, digits, - _ ." : " has no name");
    if (!sections[s].named && p->section_seen[s])
        return wrong(p, p->line, "section is there already");
    p->section_seen[s] = true;
    p->section = s;
    p->section_line = p->line;
    p->keys_seen = 0;
    return s == SECTION_PEER ? peer_new(p, name) : s == SECTION_SENDER ? sender_new(p, name) : true;
}

/* ---- inih ---- */

/* inih shows neither empty sections nor what follows a ], and cuts long lines: what it hides is looked at here. */
static bool look_at_line(struct parse *p, struct span line, size_t most)
{
    struct span text = span_trim(line, " \t\r\n");
    size_t close = span_index(text, ']');
    struct span behind = span_trim(span_part(text, close + 1, text.len), " \t");

    if (line.len > most)
        return wrong(p, p->line, "line is longer than %zu bytes", most);
    for (size_t i = 0; i < line.len; i++)
        if (line.ptr[i] == 0)
            return wrong(p, p->line, "line holds a NUL");
    if (text.len == 0 || text.ptr[0] != '[')
        return true;
    if (line.ptr[0] != '[')
        return wrong(p, p->line, "section is indented");
    if (close == text.len || (behind.len > 0 && behind.ptr[0] != ';' && behind.ptr[0] != '#'))
        return wrong(p, p->line, "section is not [like this]");
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
        return wrong(p, p->line, "key before any section");
    for (size_t i = 0; i < COUNT_OF(keys); i++) {
        if (keys[i].section != p->section || strcmp(keys[i].name, name) != 0)
            continue;
        if (!keys[i].list && (p->keys_seen >> i & 1) != 0)
            return wrong(p, p->line, "%s is there already", keys[i].name);
        p->keys_seen |= (uint64_t)1 << i;
        p->key = keys[i].name;
        if (!keys[i].set(p, span_str(value)))
            return false;
        p->key = NULL;
        return true;
    }
    return wrong(p, p->line, "unknown key \"%.40s\" in [%s]", name, sections[p->section].name);
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
                return wrong(p, p->line, "[peer %s] and [peer %s] have the same ae and addresses in common",
                             c->peers[j].name, c->peers[i].name);
    for (size_t i = 0; i < c->sender_count; i++)
        for (size_t j = 0; j < i; j++)
            if (networks_overlap(&c->senders[i].address, &c->senders[j].address))
                return wrong(p, p->line, "[sender %s] and [sender %s] have addresses in common", c->senders[j].name,
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

    if (c->listen_public || (all_local(&c->dicom) && all_local(&c->hl7) && all_local(&c->https)))
        return true;
    return wrong(p, p->line, "[listen] has an address that is neither loopback nor private; public = yes allows it");
}

bool conf_parse(struct span text, struct conf *out, struct error *err)
{
    struct parse p = { .conf = { .timezone = "UTC", .ae = "FANAL" }, .left = text, .err = { .code = ERR_NONE } };
    struct conf_service *services[] = { &p.conf.dicom, &p.conf.hl7, &p.conf.https };
    int bad_line;

    if (text.len > CONF_BYTES_MAX)
        return error_set(err, ERR_LIMIT, "configuration is longer than %zu bytes", CONF_BYTES_MAX);
    for (size_t i = 0; i < COUNT_OF(services); i++) {
        services[i]->connections = CONF_CONNECTIONS_DEFAULT;
        services[i]->connections_per_address = CONF_CONNECTIONS_PER_ADDRESS_DEFAULT;
    }
    p.conf.peers = calloc(CONF_PEERS_MAX, sizeof *p.conf.peers);
    p.conf.senders = calloc(CONF_SENDERS_MAX, sizeof *p.conf.senders);
    if (p.conf.peers == NULL || p.conf.senders == NULL) {
        conf_done(&p.conf);
        return error_set(err, ERR_MEMORY, "configuration");
    }
    bad_line = ini_parse_stream(next_line, &p, take_key, &p);
    if (bad_line > 0)
        (void)wrong(&p, (unsigned)bad_line, "neither [section] nor key = value nor comment");
    else if (bad_line < 0)
        (void)error_set(&p.err, ERR_MEMORY, "configuration");
    if (p.err.code != ERR_NONE || !section_end(&p) || !nobody_is_two(&p) || !listen_is_allowed(&p)) {
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
    c->peers = NULL;
    c->senders = NULL;
    c->peer_count = c->sender_count = 0;
}
