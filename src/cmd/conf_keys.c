/* What each key of fanal.conf takes: the table of keys and its setters. See conf_parse.h; man/fanal.conf.5 explains each. */
#include <stdio.h>

#include "base/file.h"
#include "channel/pinned.h"
#include "cmd/conf_parse.h"
#include "vault/space.h"

static struct conf_peer *this_peer(struct parse *p)
{
    return &p->conf.peers[p->conf.peer_count - 1];
}

static struct conf_sender *this_sender(struct parse *p)
{
    return &p->conf.senders[p->conf.sender_count - 1];
}

/* ---- values: each setter says what it takes where the value is wrong ---- */

bool conf_is_name(struct span s)
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
        return conf_wrong(p, p->line, "yes or no belongs here");
    *out = span_equal(value, SPAN_LIT("yes"));
    return true;
}

static bool set_number(struct parse *p, struct span value, unsigned least, unsigned most, unsigned *out)
{
    return conf_number_parse(value, least, most, out)
           || conf_wrong(p, p->line, "a number from %u to %u belongs here", least, most);
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
        return conf_wrong(p, p->line, "UTC or a time zone of this machine belongs here, like Europe/Paris");
    return true;
}

static bool set_user(struct parse *p, struct span value)
{
    if (!conf_is_name(value) || !span_to_str(value, p->conf.user, sizeof p->conf.user))
        return conf_wrong(p, p->line, "a user of this machine belongs here");
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
            return conf_wrong(p, p->line, "address:port belongs here, like 127.0.0.1:11112 or [::1]:11112, or off");
        if (s->address_count == CONF_LISTEN_MAX)
            return conf_wrong(p, p->line, "more than %d addresses", CONF_LISTEN_MAX);
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

static bool set_listen_witness(struct parse *p, struct span value)
{
    return set_listen(p, value, &p->conf.witness);
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
        return conf_wrong(p, p->line, "an AE title of at most 16 characters belongs here");
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
            return conf_wrong(p, p->line, "more than %d storage classes", CONF_STORAGE_CLASSES_MAX);
        if (!is_uid(item) || !span_to_str(item, p->conf.storage_classes[p->conf.storage_class_count], CONF_UID_SIZE))
            return conf_wrong(p, p->line, "SOP Class UIDs belong here");
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
            return conf_wrong(p, p->line, "more than %d addresses", CONF_NETWORKS_MAX);
        if (!conf_network_parse(item, &n->items[n->count]))
            return conf_wrong(p, p->line, "IPv4 or IPv6 addresses or CIDR ranges belong here, like 10.1.2.0/24");
        n->count++;
    }
    return true;
}

static bool set_issuer(struct parse *p, struct span value, char out[CONF_ISSUER_SIZE])
{
    if (value.len == 0 || !span_to_str(value, out, CONF_ISSUER_SIZE))
        return conf_wrong(p, p->line, "an issuer of at most %d bytes belongs here", CONF_ISSUER_SIZE - 1);
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
            return conf_wrong(p, p->line, "store, query, retrieve belong here");
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
        return conf_wrong(p, p->line, "keep or reject belongs here");
    this_sender(p)->keep_unsupported = span_equal(value, SPAN_LIT("keep"));
    return true;
}

static bool set_at_start(struct parse *p, struct span value)
{
    static const char *const names[] = {
        [UNSEAL_ASK] = "ask",
        [UNSEAL_CREDENTIAL] = "credential",
        [UNSEAL_STAY_SEALED] = "stay-sealed",
    };

    for (size_t i = 0; i < COUNT_OF(names); i++)
        if (span_equal(value, span_str(names[i]))) {
            p->conf.at_start = (enum conf_unseal)i;
            return true;
        }
    return conf_wrong(p, p->line, "ask, credential or stay-sealed belongs here");
}

static bool set_disk_reserve(struct parse *p, struct span value)
{
    return conf_size_parse(value, SPACE_RESERVE_LEAST, SPACE_RESERVE_MOST, &p->conf.disk_reserve)
           || conf_wrong(p, p->line, "a size from 16 MiB to 1 TiB belongs here, like 2 GiB");
}

static bool set_scrub_rate(struct parse *p, struct span value)
{
    if (span_equal(value, SPAN_LIT("off"))) {
        p->conf.scrub_rate = 0;
        return true;
    }
    return conf_size_parse(value, CONF_SCRUB_RATE_LEAST, CONF_SCRUB_RATE_MOST, &p->conf.scrub_rate)
           || conf_wrong(p, p->line, "a size from 1 MiB to 1 GiB, each second, belongs here, or off");
}

static bool set_scrub_interval(struct parse *p, struct span value)
{
    return set_number(p, value, 0, CONF_SCRUB_INTERVAL_MOST, &p->conf.scrub_interval_hours);
}

static bool set_segment_size(struct parse *p, struct span value)
{
    return conf_size_parse(value, CONF_SEGMENT_LEAST, CONF_SEGMENT_MOST, &p->conf.segment_bytes)
           || conf_wrong(p, p->line, "a size from 1 MiB to 1 GiB belongs here, like 256 MiB");
}

static bool set_body_file_size(struct parse *p, struct span value)
{
    return conf_size_parse(value, CONF_BODY_FILE_LEAST, CONF_BODY_FILE_MOST, &p->conf.body_file_bytes)
           || conf_wrong(p, p->line, "a size from 1 MiB to 16 GiB belongs here, like 1 GiB");
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

static bool set_listen_follow(struct parse *p, struct span value)
{
    return set_listen(p, value, &p->conf.follow);
}

static bool set_fingerprint(struct parse *p, struct span value, char out[CONF_FINGERPRINT_SIZE])
{
    return fingerprint_parse(value, out)
           || conf_wrong(p, p->line, "the SHA-256 of a certificate belongs here: 64 hex digits");
}

static bool set_twin_certificate(struct parse *p, struct span value)
{
    return set_fingerprint(p, value, p->conf.twins[p->conf.twin_count - 1].certificate);
}

static bool set_twin_alarm(struct parse *p, struct span value)
{
    return set_number(p, value, 1, 100000, &p->conf.twins[p->conf.twin_count - 1].alarm_minutes);
}

static bool set_follow_first(struct parse *p, struct span value)
{
    struct sockaddr_storage address;

    if (!conf_listen_parse(value, &address) || !span_to_str(value, p->conf.following.first, CONF_ENDPOINT_SIZE))
        return conf_wrong(p, p->line, "address:port of the first machine belongs here, like 10.0.0.5:7443");
    return true;
}

static bool set_follow_pin(struct parse *p, struct span value)
{
    return set_fingerprint(p, value, p->conf.following.pin);
}

static bool set_follow_alarm(struct parse *p, struct span value)
{
    return set_number(p, value, 1, 100000, &p->conf.following.alarm_minutes);
}

/* ---- the table ---- */

const struct conf_key conf_keys[] = {
    { SECTION_SITE, "timezone", set_timezone, false, false },
    { SECTION_SITE, "user", set_user, false, false },
    { SECTION_LISTEN, "dicom", set_listen_dicom, true, false },
    { SECTION_LISTEN, "hl7", set_listen_hl7, true, false },
    { SECTION_LISTEN, "https", set_listen_https, true, false },
    { SECTION_LISTEN, "witness", set_listen_witness, true, false },
    { SECTION_LISTEN, "follow", set_listen_follow, true, false },
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
    { SECTION_SCRUB, "rate", set_scrub_rate, false, false },
    { SECTION_SCRUB, "interval", set_scrub_interval, false, false },
    { SECTION_STORE, "segment_size", set_segment_size, false, false },
    { SECTION_STORE, "body_file_size", set_body_file_size, false, false },
    { SECTION_UNSEAL, "at_start", set_at_start, false, false },
    { SECTION_PEER, "ae", set_peer_ae, false, true },
    { SECTION_PEER, "address", set_peer_address, true, true },
    { SECTION_PEER, "may", set_peer_may, false, false },
    { SECTION_PEER, "issuer", set_peer_issuer, false, true },
    { SECTION_SENDER, "address", set_sender_address, true, true },
    { SECTION_SENDER, "issuer", set_sender_issuer, false, true },
    { SECTION_SENDER, "unsupported", set_sender_unsupported, false, false },
    { SECTION_WITNESS, "url", conf_anchor_url, false, true },
    { SECTION_WITNESS, "address", conf_anchor_address, false, false },
    { SECTION_WITNESS, "key", conf_witness_key, false, true },
    { SECTION_WITNESS, "ca", conf_anchor_ca, false, false },
    { SECTION_WITNESS, "every", conf_anchor_every, false, false },
    { SECTION_TIMESTAMP, "url", conf_anchor_url, false, true },
    { SECTION_TIMESTAMP, "address", conf_anchor_address, false, false },
    { SECTION_TIMESTAMP, "ca", conf_anchor_ca, false, true },
    { SECTION_TIMESTAMP, "every", conf_anchor_every, false, false },
    { SECTION_LOG, "vkey", conf_log_vkey, false, true },
    { SECTION_TWIN, "certificate", set_twin_certificate, false, true },
    { SECTION_TWIN, "alarm", set_twin_alarm, false, false },
    { SECTION_FOLLOW, "first", set_follow_first, false, false },
    { SECTION_FOLLOW, "pin", set_follow_pin, false, false },
    { SECTION_FOLLOW, "alarm", set_follow_alarm, false, false },
};

const size_t conf_key_count = COUNT_OF(conf_keys);

_Static_assert(COUNT_OF(conf_keys) <= 64, "keys_seen has a bit for each key");
