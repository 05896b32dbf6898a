/*
 * docs/format.md as C: headers of files, entries and markers, to bytes and back.
 *
 * Decoding checks everything a header can say about itself (magic, version, checksums, reserved bytes, limits, and the
 * HMAC where there is one); whether it belongs where it was found is the caller's question.
 */
#ifndef FANAL_VAULT_FORMAT_H
#define FANAL_VAULT_FORMAT_H

#include "base/writer.h"
#include "record/kind.h"
#include "vault/merkle.h"

#define VAULT_ID_BYTES       16
#define RECORD_ALIGN         32u
#define ENTRY_HEADER_BYTES   192u
#define MARKER_FIXED_BYTES   192u /* before the leaves */
#define MARKER_BYTES_MAX     (MARKER_FIXED_BYTES + HASH_BYTES * COMMIT_ENTRIES_MAX + HASH_BYTES)
#define SEGMENT_HEADER_BYTES 128u
#define BODY_HEADER_BYTES    64u
#define BODY_BLOCK_BYTES     4096u
#define CHUNK_BYTES          32768u
#define CHUNK_STORED_BYTES   (CHUNK_BYTES + TAG_BYTES)
#define FACTS_BYTES_MAX      ((size_t)1 << 20)
/* Facts as stored at their longest: length of the unit, its name, the list, the tag. */
#define FACTS_STORED_MAX   (2u + 512u + FACTS_BYTES_MAX + TAG_BYTES)
#define ENTRY_BYTES_MAX    (ENTRY_HEADER_BYTES + FACTS_STORED_MAX + RECORD_ALIGN)
#define COMMIT_ENTRIES_MAX 4096u
#define BODY_CLASS_COUNT   4u /* BODY_IMAGES … BODY_HELD */
#define BODY_BYTES_MAX     ((uint64_t)CHUNK_BYTES * UINT32_MAX)
#define LARGE_NAME_BYTES   16

/* Segment number × 2^32 + offset. */
typedef uint64_t address;

static inline uint32_t address_segment(address a)
{
    return (uint32_t)(a >> 32);
}

static inline uint32_t address_offset(address a)
{
    return (uint32_t)a;
}

static inline address address_of(uint32_t segment, uint32_t offset)
{
    return (address)segment << 32 | offset;
}

/* CRC-32C (Castagnoli, RFC 3720 B.4). */
uint32_t crc32c(struct span bytes);

/* Which body file, and where in it. */
struct body_file {
    uint32_t month;  /* yyyymm */
    uint32_t number; /* 0: none yet */
    uint64_t length; /* of a file in use; in an entry: offset of the body */
};

struct entry_header {
    uint64_t position;
    uint64_t received_us;
    enum record_kind kind;
    bool has_body;
    bool large; /* the body has its own file */
    enum body_class body_class;
    uint32_t slot;
    uint8_t salt[32];
    uint8_t commitment[HASH_BYTES];
    uint32_t facts_bytes; /* stored */
    uint32_t length;
    uint64_t body_bytes;
    struct body_file place;         /* unless large */
    uint8_t name[LARGE_NAME_BYTES]; /* where large */
    struct hash body_root;
    uint64_t previous_rule; /* + 1 */
};

#define ENTRY_AAD_FROM 8u
#define ENTRY_ROOT_AT  128u

/* Length of the entry for that many bytes of stored facts. */
uint32_t entry_length(uint32_t facts_bytes);
void entry_header_encode(const struct entry_header *h, uint8_t out[ENTRY_HEADER_BYTES]);
/* Completes an encoded header that was made before its body had been hashed. */
void entry_header_set_root(uint8_t header[ENTRY_HEADER_BYTES], const struct hash *root);
/* bytes: at least the header. ERR_DAMAGED. */
bool entry_header_decode(struct span bytes, struct entry_header *out, struct error *err);
/*
 * Where bodies may begin in a shared file: on blocks where objects are large, so that they can be written past the page
 * cache; without gaps where they are small. What lies between is zero.
 */
static inline uint64_t body_alignment(enum body_class body_class)
{
    return body_class == BODY_RESULTS ? 1 : BODY_BLOCK_BYTES;
}

static inline uint64_t body_aligned(enum body_class body_class, uint64_t offset)
{
    uint64_t a = body_alignment(body_class);

    return (offset + a - 1) / a * a;
}

/* Offset of the first body in a shared file. */
static inline uint64_t body_file_start(enum body_class body_class)
{
    return body_aligned(body_class, BODY_HEADER_BYTES);
}

/* Stored bytes of a body, tags included. */
uint64_t body_stored_bytes(uint64_t body_bytes);
uint32_t body_chunk_count(uint64_t body_bytes);

struct marker {
    uint64_t size;
    uint64_t commit;
    uint64_t newest_rule; /* + 1 */
    struct hash root;
    struct hash previous;
    address batch;
    struct body_file in_use[BODY_CLASS_COUNT];
    uint64_t written_us;
    uint32_t count;
};

static inline uint32_t marker_length(uint32_t count)
{
    return MARKER_FIXED_BYTES + HASH_BYTES * count + HASH_BYTES;
}

/* Appends the whole marker. */
void marker_encode(const struct marker *m, const struct hash *leaves, const uint8_t key[KEY_BYTES], struct writer *w);
void marker_fixed_encode(const struct marker *m, uint8_t out[MARKER_FIXED_BYTES]);
/* The fixed part alone, without its HMAC: for finding the length, and for the confirm file's copy. */
bool marker_fixed_decode(struct span bytes, struct marker *out, struct error *err);
/* bytes: exactly the marker; leaves (count of them) borrow from it. */
bool marker_decode(struct span bytes, const uint8_t key[KEY_BYTES], struct marker *out, struct span *leaves,
                   struct error *err);

struct segment_header {
    uint64_t number;
    uint64_t first_position;
    uint8_t vault_id[VAULT_ID_BYTES];
    struct hash previous;
};
void segment_header_encode(const struct segment_header *h, const uint8_t key[KEY_BYTES],
                           uint8_t out[SEGMENT_HEADER_BYTES]);
bool segment_header_decode(struct span bytes, const uint8_t key[KEY_BYTES], struct segment_header *out,
                           struct error *err);

/* The header of a shared body file is a function of what it is; a reader compares. */
void body_header_encode(enum body_class body_class, const struct body_file *f, const uint8_t vault_id[VAULT_ID_BYTES],
                        const uint8_t key[KEY_BYTES], uint8_t out[BODY_HEADER_BYTES]);

#define NAME_BYTES_MAX 96
void segment_name(uint32_t number, char out[NAME_BYTES_MAX]);
void body_name(enum body_class body_class, const struct body_file *f, char out[NAME_BYTES_MAX]);
/* confirmed: ".body", else ".part" */
void large_name(const uint8_t name[LARGE_NAME_BYTES], bool confirmed, char out[NAME_BYTES_MAX]);
extern const char *const body_class_dirs[BODY_CLASS_COUNT + 1]; /* by enum body_class: "body/images" … */

/* yyyymm of a time, UTC. */
uint32_t month_of(uint64_t wall_us);

#endif
