/* Numbers, addresses and ranges of addresses in fanal.conf. See conf.h. */
#include <arpa/inet.h>

#include "cmd/conf.h"

#define MAPPED_BITS 96 /* ::ffff:0:0/96 holds the IPv4 addresses */

static void map_ipv4(const struct in_addr *in, uint8_t out[16])
{
    memset(out, 0, 10);
    out[10] = out[11] = 0xff;
    memcpy(out + 12, in, 4);
}

bool conf_number_parse(struct span text, unsigned least, unsigned most, unsigned *out)
{
    unsigned n = 0;

    if (text.len == 0 || text.len > 8) /* eight digits fit any unsigned */
        return false;
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9')
            return false;
        n = n * 10 + (unsigned)(text.ptr[i] - '0');
    }
    *out = n;
    return n >= least && n <= most;
}

/* *bits: of the whole address in its own family. */
static bool address_parse(struct span text, uint8_t out[16], unsigned *bits)
{
    char name[INET6_ADDRSTRLEN];
    struct in_addr v4;

    if (!span_to_str(text, name, sizeof name))
        return false;
    if (inet_pton(AF_INET, name, &v4) == 1) {
        map_ipv4(&v4, out);
        *bits = 32;
        return true;
    }
    *bits = 128;
    return inet_pton(AF_INET6, name, out) == 1;
}

static bool same_prefix(const uint8_t a[16], const uint8_t b[16], unsigned bits)
{
    unsigned whole = bits / 8, rest = bits % 8;
    unsigned mask = 0xffu << (8 - rest) & 0xffu;

    return memcmp(a, b, whole) == 0 && (rest == 0 || (a[whole] & mask) == (b[whole] & mask));
}

bool conf_network_parse(struct span text, struct conf_network *out)
{
    size_t slash = span_index(text, '/');
    struct conf_network n;
    uint8_t masked[16] = { 0 };
    unsigned bits, prefix;

    if (!address_parse(span_part(text, 0, slash), n.bytes, &bits))
        return false;
    prefix = bits;
    if (slash < text.len && !conf_number_parse(span_part(text, slash + 1, text.len), 0, bits, &prefix))
        return false;
    n.prefix_bits = prefix + (bits == 32 ? MAPPED_BITS : 0);
    for (unsigned i = 0; i < n.prefix_bits; i++)
        masked[i / 8] |= (uint8_t)(n.bytes[i / 8] & 0x80u >> i % 8);
    if (memcmp(masked, n.bytes, sizeof masked) != 0) /* 10.0.0.1/8: which of the two was meant? */
        return false;
    *out = n;
    return true;
}

bool conf_listen_parse(struct span text, struct sockaddr_storage *out)
{
    char host[INET6_ADDRSTRLEN];
    struct sockaddr_in v4 = { .sin_family = AF_INET };
    struct sockaddr_in6 v6 = { .sin6_family = AF_INET6 };
    size_t colon = text.len;
    unsigned port;

    while (colon > 0 && text.ptr[colon - 1] != ':')
        colon--;
    if (colon == 0 || !conf_number_parse(span_part(text, colon, text.len), 0, UINT16_MAX, &port))
        return false;
    text = span_part(text, 0, colon - 1);
    if (text.len > 2 && text.ptr[0] == '[' && text.ptr[text.len - 1] == ']') {
        v6.sin6_port = htons((uint16_t)port);
        if (!span_to_str(span_part(text, 1, text.len - 2), host, sizeof host)
            || inet_pton(AF_INET6, host, &v6.sin6_addr) != 1)
            return false;
        memcpy(out, &v6, sizeof v6);
        return true;
    }
    v4.sin_port = htons((uint16_t)port);
    if (!span_to_str(text, host, sizeof host) || inet_pton(AF_INET, host, &v4.sin_addr) != 1)
        return false;
    memcpy(out, &v4, sizeof v4);
    return true;
}

bool conf_size_parse(struct span text, uint64_t least, uint64_t most, uint64_t *out)
{
    static const struct {
        const char *name;
        unsigned shift;
    } units[] = { { "MiB", 20 }, { "GiB", 30 }, { "TiB", 40 } };
    size_t digits = 0;
    unsigned number;

    while (digits < text.len && text.ptr[digits] >= '0' && text.ptr[digits] <= '9')
        digits++;
    if (!conf_number_parse(span_part(text, 0, digits), 1, 99999999, &number))
        return false;
    for (size_t i = 0; i < COUNT_OF(units); i++)
        if (span_equal(span_trim(span_part(text, digits, text.len), " \t"), span_str(units[i].name))
            && number <= most >> units[i].shift && (uint64_t)number << units[i].shift >= least) {
            *out = (uint64_t)number << units[i].shift;
            return true;
        }
    return false;
}

bool conf_network_overlap(const struct conf_network *a, const struct conf_network *b)
{
    return same_prefix(a->bytes, b->bytes, a->prefix_bits < b->prefix_bits ? a->prefix_bits : b->prefix_bits);
}

bool conf_networks_hold(const struct conf_networks *n, struct span address)
{
    uint8_t bytes[16];
    unsigned bits;

    if (!address_parse(span_part(address, 0, span_index(address, '%')), bytes, &bits))
        return false;
    for (size_t i = 0; i < n->count; i++)
        if (same_prefix(bytes, n->items[i].bytes, n->items[i].prefix_bits))
            return true;
    return false;
}

bool conf_address_is_local(const struct sockaddr_storage *address)
{
    static const char *const ranges[] = { "127.0.0.0/8",    "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16",
                                          "169.254.0.0/16", "::1",        "fc00::/7",      "fe80::/10" };
    uint8_t bytes[16];

    if (address->ss_family == AF_INET)
        map_ipv4(&((const struct sockaddr_in *)address)->sin_addr, bytes);
    else
        memcpy(bytes, &((const struct sockaddr_in6 *)address)->sin6_addr, sizeof bytes);
    for (size_t i = 0; i < COUNT_OF(ranges); i++) {
        struct conf_network n;

        if (conf_network_parse(span_str(ranges[i]), &n) && same_prefix(bytes, n.bytes, n.prefix_bits))
            return true;
    }
    return false;
}

const struct conf_peer *conf_peer_match(const struct conf *c, struct span calling_ae, struct span address)
{
    struct span ae = span_trim(calling_ae, " ");

    for (size_t i = 0; i < c->peer_count; i++)
        if (span_equal(ae, span_str(c->peers[i].ae)) && conf_networks_hold(&c->peers[i].address, address))
            return &c->peers[i];
    return NULL;
}

const struct conf_sender *conf_sender_match(const struct conf *c, struct span address)
{
    for (size_t i = 0; i < c->sender_count; i++)
        if (conf_networks_hold(&c->senders[i].address, address))
            return &c->senders[i];
    return NULL;
}

bool conf_is_our_ae(const struct conf *c, struct span called_ae)
{
    return span_equal(span_trim(called_ae, " "), span_str(c->ae));
}
