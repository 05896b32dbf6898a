/*
 * News on its way from the folding thread to the owner. Safe between the two.
 */
#ifndef FANAL_VAULT_NEWS_H
#define FANAL_VAULT_NEWS_H

#include "vault/vault.h"

struct news;

struct news *news_new(void); /* NULL without memory or descriptor */
void news_free(struct news *n);

/* Readable while something was published and not drained. */
int news_fd(const struct news *n);

/* The folding thread: what a batch made, kept back until it is committed. */
void news_add(struct news *n, struct span news);
void news_publish(struct news *n);
void news_withdraw(struct news *n);

/* The owner. */
void news_drain(struct news *n, vault_row *row, void *context);

#endif
