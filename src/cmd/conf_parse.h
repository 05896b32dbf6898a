/*
 * What the files that read a fanal.conf share: the state of a parse and the table of keys.
 *
 * conf.c reads sections and lines, conf_keys.c and conf_anchors.c say what each key takes.
 */
#ifndef FANAL_CMD_CONF_PARSE_H
#define FANAL_CMD_CONF_PARSE_H

#include "cmd/conf.h"

enum section {
    SECTION_NONE,
    SECTION_SITE,
    SECTION_LISTEN,
    SECTION_DICOM,
    SECTION_LIMITS,
    SECTION_DISK,
    SECTION_SCRUB,
    SECTION_STORE,
    SECTION_UNSEAL,
    SECTION_PEER,
    SECTION_SENDER,
    SECTION_WITNESS,
    SECTION_TIMESTAMP,
    SECTION_LOG,
    SECTION_TWIN,
    SECTION_FOLLOW,
    SECTION_COUNT,
};

struct parse {
    struct conf conf;
    struct span left; /* text not read yet */
    unsigned line;    /* of what is being read, from 1 */
    const char *key;  /* whose value is being read; NULL between */
    enum section section;
    unsigned section_line;
    bool section_seen[SECTION_COUNT];
    uint64_t keys_seen; /* of this section: bits, by row of conf_keys[] */
    struct error err;   /* first thing that is wrong */
};

/* Sets p->err to "line N: key: what", once: the first error is kept. Returns false. */
bool conf_wrong(struct parse *p, unsigned line, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Says what it takes where the value is wrong. */
typedef bool set_value(struct parse *p, struct span value);

struct conf_key {
    enum section section;
    const char *name;
    set_value *set;
    bool list;     /* may come again in its section, or go on in indented lines: adds to the list */
    bool required; /* wherever the section is */
};

extern const struct conf_key conf_keys[];
extern const size_t conf_key_count; /* at most 64: a bit each in keys_seen */

/* ---- conf_anchors.c: [witness X], [timestamp X], [log X] ---- */
bool conf_witness_new(struct parse *p, struct span name);
bool conf_timestamp_new(struct parse *p, struct span name);
bool conf_log_new(struct parse *p, struct span name);
set_value conf_anchor_url, conf_anchor_address, conf_anchor_ca, conf_anchor_every, conf_witness_key, conf_log_vkey;
/* What no single key can tell. */
bool conf_anchors_whole(struct parse *p);

/* X of [peer X]: letters, digits, - _ . */
bool conf_is_name(struct span s);

#endif
