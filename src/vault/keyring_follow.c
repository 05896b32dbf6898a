/* What a twin needs of a keyring: its bytes as they are on disk, and at promotion no slot in common. See keyring.h. */
#include "vault/keyring_internal.h"

uint32_t keyring_count(struct keyring *k)
{
    uint32_t count;

    (void)pthread_mutex_lock(&k->lock);
    count = k->count;
    (void)pthread_mutex_unlock(&k->lock);
    return count;
}

void keyring_read_header(struct keyring *k, uint8_t out[KEYRING_HEADER_BYTES])
{
    (void)pthread_mutex_lock(&k->lock);
    memcpy(out, k->header, KEYRING_HEADER_BYTES);
    (void)pthread_mutex_unlock(&k->lock);
}

bool keyring_read_slot(struct keyring *k, uint32_t number, uint8_t out[KEYRING_SLOT_BYTES])
{
    bool ok;

    (void)pthread_mutex_lock(&k->lock);
    ok = keyring_slot_read(k, number, out, NULL);
    (void)pthread_mutex_unlock(&k->lock);
    return ok;
}

/* The last slot goes to a unit that nobody can name: what lies before an assigned slot is never given away. */
bool keyring_burn_ready(struct keyring *k, struct error *err)
{
    uint8_t nobody[32];
    bool some;

    seal_random(nobody, sizeof nobody);
    (void)pthread_mutex_lock(&k->lock);
    some = k->next_ready < k->count;
    (void)pthread_mutex_unlock(&k->lock);
    return !some || keyring_assign(k, span_of(nobody, sizeof nobody), k->count - 1, err);
}
