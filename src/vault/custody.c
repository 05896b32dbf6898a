/* Shares made and put together. See custody.h. */
#include "vault/custody.h"

#include <sodium.h>

#include "vault/locked.h"
#include "vault/shamir.h"

#define PREFIX_LEN (sizeof SECRET_SHARES_PREFIX - 1)

struct custody {
    struct keyring_info info;
    unsigned given;
    struct share shares[CUSTODIANS_MAX];
};

/* The digits go one by one: sodium_bin2hex() would want a NUL behind them. */
static void secret_write(const uint8_t bytes[KEY_BYTES], uint8_t out[CUSTODY_SECRET_BYTES])
{
    static const char digits[] = "0123456789abcdef";

    memcpy(out, SECRET_SHARES_PREFIX, PREFIX_LEN);
    for (size_t i = 0; i < KEY_BYTES; i++) {
        out[PREFIX_LEN + 2 * i] = (uint8_t)digits[bytes[i] >> 4];
        out[PREFIX_LEN + 2 * i + 1] = (uint8_t)digits[bytes[i] & 15];
    }
}

static bool secret_read(struct span secret, uint8_t out[KEY_BYTES])
{
    const struct span digits = span_part(secret, PREFIX_LEN, secret.len);
    size_t n = 0;

    return span_starts(secret, SPAN_LIT(SECRET_SHARES_PREFIX)) && digits.len == 2 * (size_t)KEY_BYTES
           && sodium_hex2bin(out, KEY_BYTES, (const char *)digits.ptr, digits.len, NULL, &n, NULL) == 0
           && n == KEY_BYTES;
}

void custody_secret_new(uint8_t out[CUSTODY_SECRET_BYTES])
{
    uint8_t bytes[KEY_BYTES];

    seal_random(bytes, sizeof bytes);
    secret_write(bytes, out);
    seal_wipe(bytes, sizeof bytes);
}

bool custody_split(const struct keyring_info *info, unsigned place, struct span secret, struct share *out,
                   struct error *err)
{
    const struct unlocker *u = &info->unlockers[place < KEYRING_UNLOCKERS ? place : 0];
    uint8_t bytes[KEY_BYTES], parts[CUSTODIANS_MAX][KEY_BYTES];

    if (place >= KEYRING_UNLOCKERS || u->kind != UNLOCKER_CUSTODIANS || !secret_read(secret, bytes))
        return error_set(err, ERR_USAGE, "no secret of custodians");
    shamir_split(bytes, u->threshold, u->shares, parts);
    for (unsigned i = 0; i < u->shares; i++) {
        out[i] = (struct share){
            .set = (uint16_t)u->added, .threshold = u->threshold, .shares = u->shares, .number = i + 1
        };
        memcpy(out[i].vault_id, info->vault_id, SHARE_VAULT_ID_BYTES);
        memcpy(out[i].bytes, parts[i], KEY_BYTES);
    }
    seal_wipe(bytes, sizeof bytes);
    seal_wipe(parts, sizeof parts);
    return true;
}

struct custody *custody_new(const struct keyring_info *info, struct error *err)
{
    struct custody *c;
    bool some = false;

    for (unsigned i = 0; i < KEYRING_UNLOCKERS; i++)
        some |= info->unlockers[i].kind == UNLOCKER_CUSTODIANS;
    if (!some) {
        (void)error_set(err, ERR_NOT_FOUND, "this vault has no custodians");
        return NULL;
    }
    c = locked_new(sizeof *c, err);
    if (c != NULL)
        c->info = *info;
    return c;
}

void custody_free(struct custody *c)
{
    locked_free(c);
}

void custody_reset(struct custody *c)
{
    seal_wipe(c->shares, sizeof c->shares);
    c->given = 0;
}

static bool is_set_of(const struct unlocker *u, const struct share *s)
{
    return u->kind == UNLOCKER_CUSTODIANS && (uint16_t)u->added == s->set && u->threshold == s->threshold
           && u->shares == s->shares;
}

static bool belongs(const struct custody *c, const struct share *s, struct error *err)
{
    bool known = false;

    if (memcmp(s->vault_id, c->info.vault_id, SHARE_VAULT_ID_BYTES) != 0)
        return error_set(err, ERR_REFUSED, "this share is of another vault");
    for (unsigned i = 0; i < KEYRING_UNLOCKERS; i++)
        known |= is_set_of(&c->info.unlockers[i], s);
    if (!known)
        return error_set(err, ERR_REFUSED,
                         "this share (set %u, %u of %u) is of custodians that this vault no longer has", s->set,
                         s->threshold, s->shares);
    if (c->given > 0 && c->shares[0].set != s->set)
        return error_set(err, ERR_REFUSED, "this share is of set %u, the others are of set %u", s->set,
                         c->shares[0].set);
    for (unsigned i = 0; i < c->given; i++)
        if (c->shares[i].number == s->number)
            return error_set(err, ERR_REFUSED, "share %u is given already", s->number);
    return true;
}

bool custody_give(struct custody *c, struct span text, struct error *err)
{
    struct share s;
    bool ok = share_of_text(text, &s, err) && belongs(c, &s, err);

    if (ok && c->given < CUSTODIANS_MAX)
        c->shares[c->given++] = s;
    seal_wipe(&s, sizeof s);
    return ok;
}

unsigned custody_given(const struct custody *c)
{
    return c->given;
}

unsigned custody_needed(const struct custody *c)
{
    unsigned least = CUSTODIANS_MAX;

    if (c->given > 0)
        return c->shares[0].threshold;
    for (unsigned i = 0; i < KEYRING_UNLOCKERS; i++)
        if (c->info.unlockers[i].kind == UNLOCKER_CUSTODIANS && c->info.unlockers[i].threshold < least)
            least = c->info.unlockers[i].threshold;
    return least;
}

bool custody_secret(const struct custody *c, uint8_t out[CUSTODY_SECRET_BYTES], struct error *err)
{
    uint8_t numbers[CUSTODIANS_MAX], parts[CUSTODIANS_MAX][KEY_BYTES], bytes[KEY_BYTES];
    unsigned k = custody_needed(c);

    if (c->given < k)
        return error_set(err, ERR_BUSY, "%u of %u shares are given", c->given, k);
    for (unsigned i = 0; i < k; i++) {
        numbers[i] = (uint8_t)c->shares[i].number;
        memcpy(parts[i], c->shares[i].bytes, KEY_BYTES);
    }
    shamir_combine(numbers, parts, k, bytes);
    secret_write(bytes, out);
    seal_wipe(bytes, sizeof bytes);
    seal_wipe(parts, sizeof parts);
    return true;
}
