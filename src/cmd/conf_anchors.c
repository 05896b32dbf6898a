/* [witness X], [timestamp X] and [log X] of fanal.conf: who keeps our checkpoints, and whose we keep. See conf_parse.h. */
#include <stdio.h>
#include <stdlib.h>

#include "cmd/conf_parse.h"
#include "relay/http.h"
#include "vault/cosign.h"

static struct conf_anchor *this_anchor(struct parse *p)
{
    return &p->conf.anchors[p->conf.anchor_count - 1];
}

/* ---- sections ---- */

static bool anchor_new(struct parse *p, struct span name, bool is_witness)
{
    struct conf *c = &p->conf;
    struct conf_anchor *a;

    for (size_t i = 0; i < c->anchor_count; i++)
        if (c->anchors[i].is_witness == is_witness && span_equal(name, span_str(c->anchors[i].name)))
            return conf_wrong(p, p->line, "section is there already");
    if (c->anchor_count == CONF_ANCHORS_MAX)
        return conf_wrong(p, p->line, "more than %d witnesses and time stamps", CONF_ANCHORS_MAX);
    if (c->anchors == NULL && (c->anchors = calloc(CONF_ANCHORS_MAX, sizeof *c->anchors)) == NULL)
        return error_set(&p->err, ERR_MEMORY, "configuration");
    a = &c->anchors[c->anchor_count++];
    a->is_witness = is_witness;
    a->every_s = is_witness ? CONF_WITNESS_EVERY_S : CONF_TIMESTAMP_EVERY_S;
    a->line = p->line;
    return span_to_str(name, a->name, sizeof a->name);
}

bool conf_witness_new(struct parse *p, struct span name)
{
    return anchor_new(p, name, true);
}

bool conf_timestamp_new(struct parse *p, struct span name)
{
    return anchor_new(p, name, false);
}

bool conf_log_new(struct parse *p, struct span name)
{
    struct conf *c = &p->conf;

    for (size_t i = 0; i < c->log_count; i++)
        if (span_equal(name, span_str(c->logs[i].name)))
            return conf_wrong(p, p->line, "section is there already");
    if (c->log_count == CONF_LOGS_MAX)
        return conf_wrong(p, p->line, "more than %d logs", CONF_LOGS_MAX);
    if (c->logs == NULL && (c->logs = calloc(CONF_LOGS_MAX, sizeof *c->logs)) == NULL)
        return error_set(&p->err, ERR_MEMORY, "configuration");
    return span_to_str(name, c->logs[c->log_count++].name, CONF_NAME_SIZE);
}

/* ---- keys ---- */

bool conf_anchor_url(struct parse *p, struct span value)
{
    struct http_url url;
    struct error err = { 0 };

    if (!http_url_parse(value, &url, &err))
        return conf_wrong(p, p->line, "%s", err.text);
    return span_to_str(value, this_anchor(p)->url, CONF_URL_SIZE) || conf_wrong(p, p->line, "a shorter URL belongs here");
}

bool conf_anchor_address(struct parse *p, struct span value)
{
    struct sockaddr_storage address;

    if (!http_address_parse(value, 1, &address) || !span_to_str(value, this_anchor(p)->address, CONF_ADDRESS_SIZE))
        return conf_wrong(p, p->line, "an IPv4 or IPv6 address belongs here, like 10.1.2.3");
    return true;
}

bool conf_anchor_ca(struct parse *p, struct span value)
{
    return (value.len > 0 && span_to_str(value, this_anchor(p)->ca, CONF_PATH_SIZE))
           || conf_wrong(p, p->line, "the path of a file in PEM form belongs here");
}

bool conf_duration_parse(struct span text, unsigned least_s, unsigned most_s, unsigned *out)
{
    static const struct {
        const char *unit;
        unsigned seconds;
    } units[] = { { "s", 1 }, { "min", 60 }, { "h", 3600 }, { "d", 86400 } };
    const size_t digits = span_index(text, ' ');
    const struct span unit = span_trim(span_part(text, digits, text.len), " ");
    unsigned n;

    if (!conf_number_parse(span_part(text, 0, digits), 1, 99999, &n))
        return false;
    for (size_t i = 0; i < COUNT_OF(units); i++)
        if (span_equal(unit, span_str(units[i].unit)) && (uint64_t)n * units[i].seconds <= most_s) {
            *out = n * units[i].seconds;
            return *out >= least_s;
        }
    return false;
}

bool conf_anchor_every(struct parse *p, struct span value)
{
    return conf_duration_parse(value, CONF_EVERY_LEAST_S, CONF_EVERY_MOST_S, &this_anchor(p)->every_s)
           || conf_wrong(p, p->line, "a time from 1 s to 31 d belongs here, like 1 min");
}

bool conf_witness_key(struct parse *p, struct span value)
{
    struct vkey *key = &this_anchor(p)->key;
    struct error err = { 0 };

    if (!vkey_read(value, key, &err))
        return conf_wrong(p, p->line, "%s", err.text);
    return key->type == NOTE_COSIGNATURE || conf_wrong(p, p->line, "the key of a witness (type 4) belongs here");
}

bool conf_log_vkey(struct parse *p, struct span value)
{
    struct conf *c = &p->conf;
    struct vkey *key = &c->logs[c->log_count - 1].key;
    struct error err = { 0 };

    if (!vkey_read(value, key, &err))
        return conf_wrong(p, p->line, "%s", err.text);
    for (size_t i = 0; i + 1 < c->log_count; i++)
        if (strcmp(c->logs[i].key.name, key->name) == 0)
            return conf_wrong(p, p->line, "[log %s] has this origin already", c->logs[i].name);
    return key->type == NOTE_ED25519 || conf_wrong(p, p->line, "the key of a log (type 1) belongs here");
}

/* ---- the whole ---- */

/* Nothing resolves names, and nobody is believed without a trust anchor. */
bool conf_anchors_whole(struct parse *p)
{
    for (size_t i = 0; i < p->conf.anchor_count; i++) {
        const struct conf_anchor *a = &p->conf.anchors[i];
        const char *kind = a->is_witness ? "witness" : "timestamp";
        struct http_url url;

        if (!http_url_parse(span_str(a->url), &url, NULL))
            return conf_wrong(p, a->line, "[%s %s] has no url", kind, a->name);
        if (!url.numeric && a->address[0] == '\0')
            return conf_wrong(p, a->line, "[%s %s] names a host: address says where it is", kind, a->name);
        if (a->ca[0] == '\0' && (url.tls || !a->is_witness))
            return conf_wrong(p, a->line, "[%s %s] lacks ca", kind, a->name);
    }
    return true;
}
