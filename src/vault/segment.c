/* Beginning a log segment. See store_internal.h. */
#include <fcntl.h>

#include "vault/sidecar.h"

bool segment_create(struct store *s, uint32_t number, uint64_t first_position, const struct hash *previous,
                    struct error *err)
{
    struct segment_header h = { .number = number, .first_position = first_position, .previous = *previous };
    uint8_t bytes[SEGMENT_HEADER_BYTES];
    char name[NAME_BYTES_MAX];
    int fd;

    memcpy(h.vault_id, keyring_vault_id(s->keyring), VAULT_ID_BYTES);
    segment_header_encode(&h, keyring_keys(s->keyring)->file, bytes);
    segment_name(number, name);
    if (!sidecar_drop(s, name, err))
        return false;
    fd = disk_open(&s->disk, name, O_RDWR | O_CREAT | O_TRUNC, err);
    if (fd < 0)
        return false;
    atomic_fetch_add(&s->data_files, 1);
    /* The header is durable before any commit behind it, so recovery never meets a whole commit under a torn header. */
    if (!disk_write_at(&s->disk, fd, span_of(bytes, sizeof bytes), 0, err) || !disk_sync(&s->disk, fd, err)
        || !disk_sync_dir(&s->disk, "log", err)) {
        disk_close(&s->disk, &fd);
        (void)disk_unlink(&s->disk, name, NULL);
        return false;
    }
    disk_close(&s->disk, &s->log_fd);
    s->log_fd = fd;
    return true;
}
