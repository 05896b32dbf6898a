/* A custodian's share as a page to be printed: what it is and what to do with it, in French and English, words and QR
 * code. */
#ifndef FANAL_CMD_KEY_PAGE_H
#define FANAL_CMD_KEY_PAGE_H

#include "base/writer.h"
#include "vault/share.h"

#define KEY_PAGE_BYTES_MAX ((size_t)256 * 1024)

/* Appends one HTML document that needs nothing else. info: the keyring's. The caller wipes. */
bool key_page(const struct share *share, const struct keyring_info *info, struct writer *out, struct error *err);

#endif
