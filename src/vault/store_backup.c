/* The back-up of a keyring: made and read. See store_backup.h; store_restore.c puts it back. */
#include "vault/store_backup.h"

#include <fcntl.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/reader.h"
#include "vault/keyring_header.h"
#include "vault/locked.h"
#include "vault/store_internal.h"

enum { AT_VAULT_ID = 16, AT_ID = 32 };

bool backup_parse(struct span file, struct backup_info *out, struct error *err)
{
    struct reader r = reader_over(file);
    struct backup_info info = { .slots = 0 };
    struct span magic = read_span(&r, 8), vault_id, id;
    uint32_t version = read_u32le(&r), conf, note;
    uint64_t keyring;

    if (!span_equal(magic, SPAN_LIT("FANALBAK")))
        return error_set(err, ERR_MALFORMED, "this is no back-up of keys");
    if (version != 1)
        return error_set(err, ERR_UNSUPPORTED, "a back-up of version %u", version);
    read_skip(&r, 4);
    vault_id = read_span(&r, VAULT_ID_BYTES);
    id = read_span(&r, BACKUP_ID_BYTES);
    info.backup.made_us = read_u64le(&r);
    info.backup.expires_us = read_u64le(&r);
    info.backup.generation = read_u32le(&r);
    info.slots = read_u32le(&r);
    conf = read_u32le(&r);
    note = read_u32le(&r);
    read_skip(&r, BACKUP_HEADER_BYTES - 80);
    keyring = KEYRING_HEADER_BYTES + (uint64_t)info.slots * KEYRING_SLOT_BYTES;
    if (!reader_complete(&r, err, "back-up"))
        return false;
    if (conf < NONCE_BYTES + TAG_BYTES || conf > BACKUP_CONF_MAX + NONCE_BYTES + TAG_BYTES || note > BACKUP_NOTE_MAX
        || keyring + conf + note + HASH_BYTES != reader_left(&r))
        return error_set(err, ERR_TRUNCATED, "the back-up is not as long as it says");
    info.keyring = read_span(&r, (size_t)keyring);
    info.conf = read_span(&r, conf);
    info.checkpoint = read_span(&r, note);
    if (!header_is_whole(info.keyring.ptr))
        return error_set(err, ERR_DAMAGED, "the back-up is damaged");
    memcpy(info.vault_id, vault_id.ptr, VAULT_ID_BYTES);
    memcpy(info.backup.id, id.ptr, BACKUP_ID_BYTES);
    *out = info;
    return true;
}

static void write_header(const struct backup_info *info, struct writer *out)
{
    write_str(out, "FANALBAK");
    write_u32le(out, 1);
    write_u32le(out, 0);
    write_span(out, span_of(info->vault_id, VAULT_ID_BYTES));
    write_span(out, span_of(info->backup.id, BACKUP_ID_BYTES));
    write_u64le(out, info->backup.made_us);
    write_u64le(out, info->backup.expires_us);
    write_u32le(out, (uint32_t)info->backup.generation);
    write_u32le(out, info->slots);
    write_u32le(out, (uint32_t)(info->conf.len + NONCE_BYTES + TAG_BYTES));
    write_u32le(out, (uint32_t)info->checkpoint.len);
    write_fill(out, 0, BACKUP_HEADER_BYTES - 80);
}

/* The configuration under a key of its own, derived for this purpose; no nonce twice: it is random, and back-ups few. */
static void write_conf(struct seal *s, const uint8_t key[KEY_BYTES], struct span conf, struct writer *out,
                       struct error *err)
{
    uint8_t *place = write_room(out, NONCE_BYTES + conf.len + TAG_BYTES);

    if (place == NULL)
        return;
    seal_random(place, NONCE_BYTES);
    if (!seal_encrypt(s, key, place, span_of(out->ptr, BACKUP_HEADER_BYTES), conf, place + NONCE_BYTES, err))
        out->failed = true;
}

static bool assemble(struct store *s, struct backup_info *info, struct writer *out, struct error *err)
{
    uint8_t mac_key[KEY_BYTES], conf_key[KEY_BYTES], mac[HASH_BYTES];
    struct seal seal;
    bool ok = seal_init(&seal, &s->suite, err);

    if (!ok)
        return false;
    ok = store_derive_key(s, "back-up", mac_key, err) && store_derive_key(s, "back-up/conf", conf_key, err);
    write_header(info, out);
    ok = ok && keyring_export(s->keyring, out, err);
    if (ok)
        write_conf(&seal, conf_key, info->conf, out, err);
    write_span(out, info->checkpoint);
    ok = ok && writer_ok(out, err, "back-up");
    if (ok) {
        seal_mac(mac_key, writer_span(out), mac);
        write_span(out, span_of(mac, sizeof mac));
        ok = writer_ok(out, err, "back-up");
    }
    seal_wipe(mac_key, sizeof mac_key);
    seal_wipe(conf_key, sizeof conf_key);
    seal_done(&seal);
    return ok;
}

bool store_backup(struct store *s, struct span conf, uint64_t expires_us, struct key_backup *made, struct writer *out,
                  struct error *err)
{
    struct writer note = writer_new(BACKUP_NOTE_MAX);
    struct backup_info info = { .conf = conf };
    struct keyring_info keyring;
    char path[DISK_PATH_MAX];
    bool ok;

    if (conf.len > BACKUP_CONF_MAX)
        return error_set(err, ERR_LIMIT, "a configuration of %zu bytes", conf.len);
    disk_path(&s->disk, "checkpoint", path);
    (void)pthread_mutex_lock(&s->confirm_lock);
    keyring_info(s->keyring, &keyring);
    memcpy(info.vault_id, keyring.vault_id, VAULT_ID_BYTES);
    seal_random(info.backup.id, BACKUP_ID_BYTES);
    info.backup.made_us = clock_wall_us(s->clock);
    info.backup.expires_us = expires_us;
    info.backup.generation = keyring.generation;
    info.slots = keyring_slot_count(s->keyring);
    ok = (s->read_only || keyring_flush(s->keyring, err)) && file_slurp(path, &note, err);
    info.checkpoint = writer_span(&note);
    ok = ok && assemble(s, &info, out, err);
    (void)pthread_mutex_unlock(&s->confirm_lock);
    writer_done(&note);
    if (ok)
        *made = info.backup;
    return ok;
}
