/* The header of a keyring file. See keyring_header.h. */
#include "vault/keyring_header.h"

#include <sodium.h>

#include "base/reader.h"
#include "vault/keyring_format.h"
#include "vault/locked.h"

#define ARGON2_PASSES      3u
#define ARGON2_KIB         65536u
#define KEY_FILE_BYTES_MIN 32u
#define HEX_BYTES          (2 * KEY_BYTES)

/* Where things lie in the header … */
enum {
    AT_VERSION = 8,
    AT_GENERATION = 12,
    AT_VAULT_ID = 16,
    AT_CREATED = 32,
    AT_MASTER_GENERATION = 40,
    AT_ROOT_NONCE = 48, /* what lies before it is the root key's associated data */
    AT_ROOT = 60,
    AT_UNLOCKERS = 128,
    UNLOCKER_BYTES = 256,
    AT_SHA256 = 1984,
    AT_MAC = 2016,
};

/* … and in an unlocker. */
enum {
    AT_KIND = 0,
    AT_THRESHOLD = 1,
    AT_SHARES = 2,
    AT_ADDED = 4,
    AT_ADDED_US = 8,
    AT_SALT = 16,
    AT_PASSES = 32,
    AT_KIB = 36,
    AT_PUBLIC = 40,
    AT_MIX_NONCE = 72, /* what lies before it, behind the vault id, is the associated data of both keys */
    AT_MIX = 84,
    AT_EPHEMERAL = 132,
    AT_MASTER = 164,
};

/* What a secret's KEK gives: in locked memory. */
struct unlocking {
    uint8_t kek[KEY_BYTES];
    uint8_t private_key[KEY_BYTES];
    uint8_t public_key[KEY_BYTES];
    uint8_t mix[KEY_BYTES];
    uint8_t shared[KEY_BYTES + KEY_BYTES + KEY_BYTES]; /* X25519 ‖ ephemeral public ‖ public */
    uint8_t wrap[KEY_BYTES];
};

void vault_keys_derive(struct vault_keys *k)
{
    seal_derive(k->master, "wrap", k->wrap);
    seal_derive(k->root, "keyring", k->keyring);
    seal_derive(k->root, "unit", k->unit);
    seal_derive(k->root, "file", k->file);
    seal_derive(k->root, "marker", k->marker);
    seal_derive(k->root, "confirm", k->confirm);
}

/* ---- secrets ---- */

static bool is_hex_behind(struct span secret, struct span prefix)
{
    if (!span_starts(secret, prefix) || secret.len != prefix.len + HEX_BYTES)
        return false;
    for (size_t i = prefix.len; i < secret.len; i++)
        if (strchr("0123456789abcdef", secret.ptr[i]) == NULL)
            return false;
    return true;
}

static const struct {
    enum unlocker_kind kind;
    struct span prefix;
} prefixes[] = {
    { UNLOCKER_KEY_FILE, SPAN_LIT(SECRET_KEY_FILE_PREFIX) },
    { UNLOCKER_CUSTODIANS, SPAN_LIT(SECRET_SHARES_PREFIX) },
    { UNLOCKER_CREDENTIAL, SPAN_LIT(SECRET_CREDENTIAL_PREFIX) },
};

enum unlocker_kind secret_kind(struct span secret)
{
    if (span_starts(secret, prefixes[0].prefix) && secret.len >= prefixes[0].prefix.len + KEY_FILE_BYTES_MIN)
        return UNLOCKER_KEY_FILE;
    for (size_t i = 1; i < COUNT_OF(prefixes); i++)
        if (is_hex_behind(secret, prefixes[i].prefix))
            return prefixes[i].kind;
    return UNLOCKER_PASSPHRASE;
}

static struct span behind_prefix(struct span secret, enum unlocker_kind kind)
{
    for (size_t i = 0; i < COUNT_OF(prefixes); i++)
        if (prefixes[i].kind == kind)
            return span_part(secret, prefixes[i].prefix.len, secret.len);
    return secret;
}

/* The key-encryption key for an unlocker's kind, salt and parameters. */
static bool kek_of(struct span secret, const uint8_t *u, uint8_t kek[KEY_BYTES], struct error *err)
{
    uint64_t passes = get_u32(u + AT_PASSES);
    uint64_t kib = get_u32(u + AT_KIB);
    uint8_t salt[KEY_BYTES] = { 0 };

    memcpy(salt, u + AT_SALT, 16);
    if (u[AT_KIND] != UNLOCKER_PASSPHRASE) {
        seal_mac(salt, behind_prefix(secret, (enum unlocker_kind)u[AT_KIND]), kek);
        return true;
    }
    if (passes != ARGON2_PASSES || kib != ARGON2_KIB)
        return error_set(err, ERR_DAMAGED, "keyring header: Argon2id parameters are not ours");
    if (crypto_pwhash(kek, KEY_BYTES, (const char *)secret.ptr, secret.len, salt, passes, kib * 1024,
                      crypto_pwhash_ALG_ARGON2ID13)
        != 0)
        return error_set(err, ERR_MEMORY, "Argon2id needs %llu KiB", (unsigned long long)kib);
    return true;
}

static bool unlocking_begin(struct unlocking *n, struct span secret, const uint8_t *u, struct error *err)
{
    if (!kek_of(secret, u, n->kek, err))
        return false;
    seal_derive(n->kek, "unlock", n->private_key);
    seal_derive(n->kek, "mix", n->mix);
    return crypto_scalarmult_base(n->public_key, n->private_key) == 0 || error_set(err, ERR_DAMAGED, "X25519 failed");
}

/* The wrap key: ours is a private key, theirs the other side's public one; both publics are in the unlocker. */
static bool unlocking_wrap_key(struct unlocking *n, const uint8_t *private_key, const uint8_t *theirs, const uint8_t *u,
                               struct error *err)
{
    if (crypto_scalarmult(n->shared, private_key, theirs) != 0)
        return error_set(err, ERR_DAMAGED, "keyring header: a public key is worthless");
    memcpy(n->shared + KEY_BYTES, u + AT_EPHEMERAL, KEY_BYTES);
    memcpy(n->shared + 2 * KEY_BYTES, u + AT_PUBLIC, KEY_BYTES);
    seal_mac(n->mix, span_of(n->shared, sizeof n->shared), n->wrap);
    return true;
}

static void associated_of(const uint8_t *header, const uint8_t *u, uint8_t out[VAULT_ID_BYTES + AT_MIX_NONCE])
{
    memcpy(out, header + AT_VAULT_ID, VAULT_ID_BYTES);
    memcpy(out + VAULT_ID_BYTES, u, AT_MIX_NONCE);
}

/* ---- what is in clear ---- */

static uint8_t *unlocker_at(uint8_t *header, unsigned place)
{
    return header + AT_UNLOCKERS + (size_t)place * UNLOCKER_BYTES;
}

static const uint8_t *unlocker_in(const uint8_t *header, unsigned place)
{
    return header + AT_UNLOCKERS + (size_t)place * UNLOCKER_BYTES;
}

bool header_is_whole(const uint8_t header[KEYRING_HEADER_BYTES])
{
    uint8_t hash[HASH_BYTES];

    (void)crypto_hash_sha256(hash, header, AT_SHA256);
    return memcmp(header, "FANALKEY", 8) == 0 && get_u32(header + AT_VERSION) == KEYRING_VERSION
           && memcmp(hash, header + AT_SHA256, HASH_BYTES) == 0;
}

uint32_t header_generation(const uint8_t header[KEYRING_HEADER_BYTES])
{
    return get_u32(header + AT_GENERATION);
}

uint32_t header_master_generation(const uint8_t header[KEYRING_HEADER_BYTES])
{
    return get_u32(header + AT_MASTER_GENERATION);
}

void header_info(const uint8_t header[KEYRING_HEADER_BYTES], struct keyring_info *out)
{
    struct keyring_info info = { .created_us = get_u64(header + AT_CREATED),
                                 .generation = header_generation(header),
                                 .master_generation = header_master_generation(header) };

    memcpy(info.vault_id, header + AT_VAULT_ID, VAULT_ID_BYTES);
    for (unsigned i = 0; i < KEYRING_UNLOCKERS; i++) {
        const uint8_t *u = unlocker_in(header, i);

        if (u[AT_KIND] <= SECRET_KINDS)
            info.unlockers[i] = (struct unlocker){ .kind = (enum unlocker_kind)u[AT_KIND],
                                                   .threshold = u[AT_THRESHOLD],
                                                   .shares = u[AT_SHARES],
                                                   .added = get_u32(u + AT_ADDED),
                                                   .added_us = get_u64(u + AT_ADDED_US) };
        memcpy(info.unlockers[i].public_key, u + AT_PUBLIC, KEY_BYTES);
    }
    *out = info;
}

/* ---- making and changing ---- */

void header_start(uint8_t header[KEYRING_HEADER_BYTES], uint64_t now_us)
{
    memset(header, 0, KEYRING_HEADER_BYTES);
    memcpy(header, "FANALKEY", 8);
    put_u32(header + AT_VERSION, KEYRING_VERSION);
    seal_random(header + AT_VAULT_ID, VAULT_ID_BYTES);
    put_u64(header + AT_CREATED, now_us);
    put_u32(header + AT_MASTER_GENERATION, 1);
}

/* Wraps the master key for an unlocker whose public key and mix are known. */
static bool wrap_master(struct seal *s, const struct vault_keys *keys, const uint8_t *header, uint8_t *u,
                        struct unlocking *n, struct error *err)
{
    static const uint8_t nonce[NONCE_BYTES];
    uint8_t associated[VAULT_ID_BYTES + AT_MIX_NONCE];

    seal_random(n->private_key, KEY_BYTES); /* the ephemeral one: used once, here */
    if (crypto_scalarmult_base(u + AT_EPHEMERAL, n->private_key) != 0)
        return error_set(err, ERR_DAMAGED, "X25519 failed");
    associated_of(header, u, associated);
    return unlocking_wrap_key(n, n->private_key, u + AT_PUBLIC, u, err)
           && seal_encrypt(s, n->wrap, nonce, span_of(associated, sizeof associated), span_of(keys->master, KEY_BYTES),
                           u + AT_MASTER, err);
}

static bool fill_unlocker(struct seal *s, const struct vault_keys *keys, const uint8_t *header, uint8_t *u,
                          struct span secret, struct unlocking *n, struct error *err)
{
    uint8_t associated[VAULT_ID_BYTES + AT_MIX_NONCE];

    if (!unlocking_begin(n, secret, u, err))
        return false;
    memcpy(u + AT_PUBLIC, n->public_key, KEY_BYTES);
    associated_of(header, u, associated);
    seal_random(u + AT_MIX_NONCE, NONCE_BYTES);
    seal_derive(keys->root, "mix", n->wrap);
    return seal_encrypt(s, n->wrap, u + AT_MIX_NONCE, span_of(associated, sizeof associated),
                        span_of(n->mix, KEY_BYTES), u + AT_MIX, err)
           && wrap_master(s, keys, header, u, n, err);
}

static bool counts_fit(const struct new_unlocker *new, struct error *err)
{
    bool custodians = secret_kind(new->secret) == UNLOCKER_CUSTODIANS;

    if (custodians ? new->threshold >= CUSTODIANS_MIN &&new->threshold <= new->shares &&new->shares <= CUSTODIANS_MAX
                   : new->threshold == 0 && new->shares == 0)
        return true;
    return error_set(err, ERR_USAGE, "%u of %u custodians: from %u of %u to %u of %u", new->threshold, new->shares,
                     CUSTODIANS_MIN, CUSTODIANS_MIN, CUSTODIANS_MAX, CUSTODIANS_MAX);
}

bool header_add(struct seal *s, const struct vault_keys *keys, uint8_t header[KEYRING_HEADER_BYTES],
                const struct new_unlocker *new, unsigned *place, struct error *err)
{
    uint8_t fresh[UNLOCKER_BYTES] = { 0 };
    struct unlocking *n;
    unsigned i = 0;
    bool ok;

    while (i < KEYRING_UNLOCKERS && unlocker_in(header, i)[AT_KIND] != UNLOCKER_NONE)
        i++;
    if (i == KEYRING_UNLOCKERS)
        return error_set(err, ERR_LIMIT, "the keyring has %u unlockers already: remove one first", KEYRING_UNLOCKERS);
    if (!counts_fit(new, err))
        return false;
    n = locked_new(sizeof *n, err);
    if (n == NULL)
        return false;
    fresh[AT_KIND] = (uint8_t)secret_kind(new->secret);
    fresh[AT_THRESHOLD] = (uint8_t) new->threshold;
    fresh[AT_SHARES] = (uint8_t) new->shares;
    put_u32(fresh + AT_ADDED, header_generation(header) + 1);
    put_u64(fresh + AT_ADDED_US, new->now_us);
    seal_random(fresh + AT_SALT, 16);
    if (fresh[AT_KIND] == UNLOCKER_PASSPHRASE) {
        put_u32(fresh + AT_PASSES, ARGON2_PASSES);
        put_u32(fresh + AT_KIB, ARGON2_KIB);
    }
    ok = fill_unlocker(s, keys, header, fresh, new->secret, n, err);
    locked_free(n);
    if (ok) {
        memcpy(unlocker_at(header, i), fresh, sizeof fresh);
        *place = i;
    }
    return ok;
}

bool header_remove(uint8_t header[KEYRING_HEADER_BYTES], unsigned place, struct error *err)
{
    unsigned others = 0;

    if (place >= KEYRING_UNLOCKERS || unlocker_in(header, place)[AT_KIND] == UNLOCKER_NONE)
        return error_set(err, ERR_NOT_FOUND, "there is no unlocker %u", place + 1);
    for (unsigned i = 0; i < KEYRING_UNLOCKERS; i++)
        others += i != place && unlocker_in(header, i)[AT_KIND] != UNLOCKER_NONE;
    if (others == 0)
        return error_set(err, ERR_REFUSED, "unlocker %u is the last: without it nobody could open the vault",
                         place + 1);
    memset(unlocker_at(header, place), 0, UNLOCKER_BYTES);
    return true;
}

static bool rewrap_one(struct seal *s, const struct vault_keys *keys, const uint8_t *header, uint8_t *u,
                       struct unlocking *n, struct error *err)
{
    uint8_t associated[VAULT_ID_BYTES + AT_MIX_NONCE];

    associated_of(header, u, associated);
    seal_derive(keys->root, "mix", n->wrap);
    return seal_decrypt(s, n->wrap, u + AT_MIX_NONCE, span_of(associated, sizeof associated),
                        span_of(u + AT_MIX, KEY_BYTES + TAG_BYTES), n->mix, err)
           && wrap_master(s, keys, header, u, n, err);
}

bool header_rewrap(struct seal *s, const struct vault_keys *keys, uint8_t header[KEYRING_HEADER_BYTES],
                   struct error *err)
{
    struct unlocking *n = locked_new(sizeof *n, err);
    bool ok = n != NULL;

    for (unsigned i = 0; ok && i < KEYRING_UNLOCKERS; i++)
        if (unlocker_in(header, i)[AT_KIND] != UNLOCKER_NONE)
            ok = rewrap_one(s, keys, header, unlocker_at(header, i), n, err) || error_within(err, "unlocker %u", i + 1);
    locked_free(n);
    put_u32(header + AT_MASTER_GENERATION, header_generation(header) + 1);
    return ok;
}

bool header_finish(struct seal *s, const struct vault_keys *keys, uint8_t header[KEYRING_HEADER_BYTES],
                   struct error *err)
{
    struct vault_keys *k;
    bool ok;

    if (header_generation(header) >= UINT32_MAX - 1)
        return error_set(err, ERR_LIMIT, "the keyring has no generation left");
    k = locked_new(sizeof *k, err);
    if (k == NULL)
        return false;
    put_u32(header + AT_GENERATION, header_generation(header) + 1);
    seal_derive(keys->master, "root", k->wrap);
    seal_random(header + AT_ROOT_NONCE, NONCE_BYTES);
    ok = seal_encrypt(s, k->wrap, header + AT_ROOT_NONCE, span_of(header, AT_ROOT_NONCE),
                      span_of(keys->root, KEY_BYTES), header + AT_ROOT, err);
    locked_free(k);
    (void)crypto_hash_sha256(header + AT_SHA256, header, AT_SHA256);
    seal_mac(keys->keyring, span_of(header, AT_MAC), header + AT_MAC);
    return ok;
}

/* ---- opening ---- */

/* ERR_SEALED where the secret is not this unlocker's. */
static bool open_master(struct seal *s, const uint8_t *header, const uint8_t *u, struct span secret,
                        struct unlocking *n, uint8_t master[KEY_BYTES], struct error *err)
{
    static const uint8_t nonce[NONCE_BYTES];
    uint8_t associated[VAULT_ID_BYTES + AT_MIX_NONCE];

    if (!unlocking_begin(n, secret, u, err))
        return false;
    if (!seal_equal(n->public_key, u + AT_PUBLIC, KEY_BYTES))
        return error_set(err, ERR_SEALED, "the secret does not open the keyring");
    associated_of(header, u, associated);
    return unlocking_wrap_key(n, n->private_key, u + AT_EPHEMERAL, u, err)
           && (seal_decrypt(s, n->wrap, nonce, span_of(associated, sizeof associated),
                            span_of(u + AT_MASTER, KEY_BYTES + TAG_BYTES), master, err)
               || error_within(err, "keyring header: master key"));
}

static bool open_root(struct seal *s, const uint8_t *header, struct vault_keys *keys, struct error *err)
{
    seal_derive(keys->master, "root", keys->wrap);
    if (!seal_decrypt(s, keys->wrap, header + AT_ROOT_NONCE, span_of(header, AT_ROOT_NONCE),
                      span_of(header + AT_ROOT, KEY_BYTES + TAG_BYTES), keys->root, err))
        return error_within(err, "keyring header: root key");
    vault_keys_derive(keys);
    if (!seal_mac_fits(keys->keyring, span_of(header, AT_MAC), header + AT_MAC, HASH_BYTES))
        return error_set(err, ERR_DAMAGED, "keyring header fails its HMAC");
    return true;
}

static const char *const kind_names[SECRET_KINDS + 1] = {
    [UNLOCKER_NONE] = "nothing",          [UNLOCKER_PASSPHRASE] = "passphrase", [UNLOCKER_KEY_FILE] = "key file",
    [UNLOCKER_CUSTODIANS] = "custodians", [UNLOCKER_CREDENTIAL] = "credential",
};

const char *unlocker_kind_name(enum unlocker_kind kind)
{
    return kind_names[kind];
}

bool header_open(struct seal *s, const uint8_t header[KEYRING_HEADER_BYTES], struct span secret,
                 struct vault_keys *keys, unsigned *place, struct error *err)
{
    enum unlocker_kind kind = secret_kind(secret);
    struct error why = { 0 };
    struct unlocking *n;
    bool tried = false, found = false;

    if (!header_is_whole(header))
        return error_set(err, ERR_DAMAGED, "keyring header is not whole");
    n = locked_new(sizeof *n, err);
    if (n == NULL)
        return false;
    for (unsigned i = 0; !found && i < KEYRING_UNLOCKERS; i++) {
        const uint8_t *u = unlocker_in(header, i);

        if (u[AT_KIND] != kind)
            continue;
        if (!tried || why.code == ERR_SEALED)
            found = open_master(s, header, u, secret, n, keys->master, &why);
        tried = true;
        if (found && place != NULL)
            *place = i;
    }
    locked_free(n);
    if (!tried)
        return error_set(err, ERR_SEALED, "no %s opens this keyring", kind_names[kind]);
    return found ? open_root(s, header, keys, err) : error_set(err, why.code, "%s", why.text);
}
