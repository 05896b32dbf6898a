/* A twin, opened and asked. See twin.h; rounds are in twin_round.c, promotion in twin_promote.c. */
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/stat.h>

#include "base/file.h"
#include "vault/sealer.h"
#include "vault/twin_internal.h"

static bool is_there(const char *dir, const char *name)
{
    char vault[DISK_PATH_MAX], path[DISK_PATH_MAX];
    struct stat st;

    return path_join(vault, sizeof vault, dir, "vault", NULL) && path_join(path, sizeof path, vault, name, NULL)
           && lstat(path, &st) == 0;
}

bool twin_is_here(const char *dir)
{
    return is_there(dir, TWIN_NAME);
}

bool twin_is_promoting(const char *dir)
{
    return is_there(dir, PROMOTING_NAME);
}

struct twin *twin_alloc(const char *dir, const struct store_options *options, struct error *err)
{
    struct twin *t = calloc(1, sizeof *t);

    if (t == NULL) {
        (void)error_set(err, ERR_MEMORY, "no memory for a twin");
        return NULL;
    }
    t->former[0] = t->former[1] = -1;
    (void)pthread_mutex_init(&t->lock, NULL);
    t->store = store_alloc(dir, options, err);
    if (t->store != NULL && seal_init(&t->seal, &t->store->suite, err)) {
        t->store->twin = true;
        return t;
    }
    twin_close(t);
    return NULL;
}

bool twin_create(const char *dir, const struct store_options *options, struct error *err)
{
    struct twin *t = twin_alloc(dir, options, err);
    bool ok = t != NULL;

    if (ok && (disk_exists(&t->store->disk, "keyring.0") || disk_exists(&t->store->disk, TWIN_NAME)))
        ok = error_set(err, ERR_EXISTS, "%s/vault is there already", dir);
    ok = ok && store_make_dirs(t->store, err) && disk_make_dir(&t->store->disk, "own", err) && ledger_open(&t->store->ledger, &t->store->disk, false, err)
         && twin_state_write(t, &t->known, &t->store->end, err);
    twin_close(t);
    return ok;
}

static void keyring_says(void *context, const char *text)
{
    start_finding(context, "%s", text);
}

bool twin_open_keyring(struct twin *t, struct span secret, bool read_only, struct error *err)
{
    struct store *s = t->store;

    if (!disk_exists(&s->disk, "keyring.0") && !disk_exists(&s->disk, "keyring.1"))
        return error_set(err, ERR_NOT_FOUND, "the twin has no keyring yet: let it follow first");
    keyring_close(s->keyring);
    s->keyring = keyring_open(&s->disk, &s->suite, secret, read_only, keyring_says, s, err);
    if (s->keyring == NULL && t->known.keyrings_kept > 0)
        return error_within(err, "older keyrings are kept as keyring.0.N and keyring.1.N");
    return s->keyring != NULL;
}

static bool is_pinned(const struct twin_known *k)
{
    static const uint8_t nobody[FOLLOW_PUBLIC_KEY_BYTES];

    return memcmp(k->public_key, nobody, sizeof nobody) != 0;
}

/* Whose checkpoints we have followed must be who holds the keys. A keyring may have come in a step that was cut. */
bool twin_key_is_pinned(struct twin *t, struct error *err)
{
    uint8_t seed[KEY_BYTES], secret[crypto_sign_SECRETKEYBYTES], public_key[crypto_sign_PUBLICKEYBYTES];

    if (!is_pinned(&t->known))
        return error_set(err, ERR_NOT_FOUND, "the twin has followed nobody yet: let it follow first");
    if (!keyring_data_key(t->store->keyring, &t->seal, 0, seed, err))
        return false;
    (void)crypto_sign_seed_keypair(public_key, secret, seed);
    seal_wipe(seed, sizeof seed);
    seal_wipe(secret, sizeof secret);
    if (memcmp(public_key, t->known.public_key, sizeof public_key) != 0
        || memcmp(keyring_vault_id(t->store->keyring), t->known.vault_id, VAULT_ID_BYTES) != 0)
        return error_set(err, ERR_REFUSED, "the keyring is not that of the checkpoints that were followed");
    return true;
}

static bool open_parts(struct twin *t, const struct store_options *o, struct error *err)
{
    struct store *s = t->store;

    if (!disk_exists(&s->disk, TWIN_NAME))
        return error_set(err, ERR_NOT_FOUND, "%s is no twin", s->disk.root);
    if (!space_init(&s->space, &s->disk, s->clock, s->reserve_bytes, err)
        || !store_lock(&s->disk, s->read_only, o->lock_patience_ms, &s->lock_fd, err))
        return false;
    s->read_only = true; /* nothing is appended; rounds write */
    if (!ledger_open(&s->ledger, &s->disk, false, err) || !twin_state_read(s, TWIN_NAME, &t->known, err))
        return false;
    if (ledger_size_of_index_file(&s->ledger) < s->end.marker.size * 8)
        return error_set(err, ERR_DAMAGED, "ledger/index of the twin is cut short");
    s->ledger.keep_tiles = true;
    if (o->secret.len > 0 && (!twin_open_keyring(t, o->secret, true, err) || !twin_key_is_pinned(t, err)))
        return false;
    t->unsealed = o->secret.len > 0;
    store_add_up(s);
    s->root = s->end.marker.root;
    s->told = s->end;
    atomic_store(&s->newest_rule, s->end.marker.newest_rule);
    atomic_store(&s->size, s->end.marker.size);
    atomic_store(&s->confirmed_size, s->end.marker.size);
    atomic_store(&s->confirmed_segment, s->end.segment);
    s->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (s->event_fd < 0)
        return error_errno(err, "eventfd");
    return !t->unsealed || o->scrub == NULL || sealer_start(s, o->scrub, err); /* a seal needs keys to be made and to be believed */
}

struct twin *twin_open(const char *dir, const struct store_options *options, struct error *err)
{
    struct twin *t = twin_alloc(dir, options, err);

    if (t == NULL)
        return NULL;
    if (open_parts(t, options, err))
        return t;
    twin_close(t);
    return NULL;
}

void twin_close(struct twin *t)
{
    if (t == NULL)
        return;
    seal_done(&t->seal);
    for (size_t i = 0; i < COUNT_OF(t->former); i++)
        if (t->former[i] >= 0) {
            disk_wipe(&t->store->disk, t->former[i]);
            disk_close(&t->store->disk, &t->former[i]);
        }
    store_close(t->store);
    (void)pthread_mutex_destroy(&t->lock);
    free(t);
}

struct store *twin_store(struct twin *t)
{
    return t->store;
}

bool twin_pin(struct twin *t, const uint8_t vault_id[VAULT_ID_BYTES], const uint8_t public_key[FOLLOW_PUBLIC_KEY_BYTES],
              struct error *err)
{
    struct twin_known k = t->known;

    if (is_pinned(&k))
        return (memcmp(k.public_key, public_key, FOLLOW_PUBLIC_KEY_BYTES) == 0
                && memcmp(k.vault_id, vault_id, VAULT_ID_BYTES) == 0)
               || error_set(err, ERR_REFUSED, "another vault or key is pinned already");
    memcpy(k.vault_id, vault_id, VAULT_ID_BYTES);
    memcpy(k.public_key, public_key, FOLLOW_PUBLIC_KEY_BYTES);
    if (!twin_state_write(t, &k, &t->store->end, err))
        return false;
    (void)pthread_mutex_lock(&t->lock);
    t->known = k;
    (void)pthread_mutex_unlock(&t->lock);
    return true;
}

void twin_erased(struct twin *t, uint64_t position)
{
    (void)pthread_mutex_lock(&t->lock);
    if (!t->keyring_changed && position > t->erased)
        t->erased = position;
    (void)pthread_mutex_unlock(&t->lock);
}

bool twin_keyring_changed(struct twin *t)
{
    bool changed;

    (void)pthread_mutex_lock(&t->lock);
    changed = t->keyring_changed;
    (void)pthread_mutex_unlock(&t->lock);
    return changed;
}

bool twin_keep_conf(struct twin *t, struct span text, struct error *err)
{
    struct writer had = writer_new(text.len + 1);
    char path[DISK_PATH_MAX];
    bool same;

    disk_path(&t->store->disk, "first.conf", path);
    same = file_slurp(path, &had, NULL) && span_equal(writer_span(&had), text);
    writer_done(&had);
    return same || disk_replace(&t->store->disk, "first.conf", text, err);
}

/* ---- figures ---- */

static void figures(const struct twin_known *k, const struct log_end *end, struct twin_figures *out)
{
    *out = (struct twin_figures){ .size = end->marker.size,
                                  .written_us = end->marker.written_us,
                                  .round_us = k->round_us,
                                  .current_us = k->current_us,
                                  .applied = k->applied,
                                  .root = end->marker.root,
                                  .missing = k->missing };
    memcpy(out->vault_id, k->vault_id, VAULT_ID_BYTES);
    memcpy(out->public_key, k->public_key, FOLLOW_PUBLIC_KEY_BYTES);
}

void twin_figures(struct twin *t, struct twin_figures *out)
{
    struct twin_known known;
    struct log_end end;

    (void)pthread_mutex_lock(&t->lock);
    known = t->known;
    if (t->erased > known.applied)
        known.applied = t->erased;
    (void)pthread_mutex_unlock(&t->lock);
    (void)pthread_mutex_lock(&t->store->lock);
    end = t->store->told;
    (void)pthread_mutex_unlock(&t->store->lock);
    figures(&known, &end, out);
}

bool twin_figures_of(const char *dir, struct twin_figures *out, struct error *err)
{
    struct store_options options = { .clock = &clock_system };
    struct twin *t = twin_alloc(dir, &options, err);
    bool ok = t != NULL && ledger_open(&t->store->ledger, &t->store->disk, true, err)
              && twin_state_read(t->store, TWIN_NAME, &t->known, err);

    if (ok)
        figures(&t->known, &t->store->end, out);
    twin_close(t);
    return ok;
}
