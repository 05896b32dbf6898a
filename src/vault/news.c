/* News queue. See news.h. */
#include "vault/news.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/file.h"
#include "record/field.h"

struct item {
    struct item *next;
    size_t len;
    uint8_t bytes[];
};

struct list {
    struct item *first, **end;
    size_t count;
    uint64_t dropped;
};

struct news {
    pthread_mutex_t mutex;
    int fd;
    struct list batch;  /* the folding thread's */
    struct list waiting; /* guarded by mutex */
};

static void list_init(struct list *l)
{
    *l = (struct list){ .first = NULL };
    l->end = &l->first;
}

static void list_done(struct list *l)
{
    for (struct item *i = l->first, *next; i != NULL; i = next) {
        next = i->next;
        free(i);
    }
    list_init(l);
}

struct news *news_new(void)
{
    struct news *n = calloc(1, sizeof *n);

    if (n == NULL || (n->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) < 0) {
        free(n);
        return NULL;
    }
    if (pthread_mutex_init(&n->mutex, NULL) != 0) {
        file_close(&n->fd);
        free(n);
        return NULL;
    }
    list_init(&n->batch);
    list_init(&n->waiting);
    return n;
}

void news_free(struct news *n)
{
    if (n == NULL)
        return;
    list_done(&n->batch);
    list_done(&n->waiting);
    (void)pthread_mutex_destroy(&n->mutex);
    file_close(&n->fd);
    free(n);
}

int news_fd(const struct news *n)
{
    return n->fd;
}

static void list_append(struct list *l, struct item *i)
{
    i->next = NULL;
    *l->end = i;
    l->end = &i->next;
    l->count++;
}

void news_add(struct news *n, struct span news)
{
    struct item *i = n->batch.count < VAULT_NEWS_MAX ? malloc(sizeof *i + news.len) : NULL;

    if (i == NULL) {
        n->batch.dropped++;
        return;
    }
    i->len = news.len;
    memcpy(i->bytes, news.ptr, news.len);
    list_append(&n->batch, i);
}

void news_withdraw(struct news *n)
{
    list_done(&n->batch);
}

void news_publish(struct news *n)
{
    struct list *l = &n->waiting, *b = &n->batch;
    ssize_t written = 0;
    const uint64_t one = 1;

    if (b->count == 0 && b->dropped == 0)
        return;
    (void)pthread_mutex_lock(&n->mutex);
    while (b->first != NULL && l->count < VAULT_NEWS_MAX) {
        struct item *i = b->first;

        b->first = i->next;
        b->count--;
        list_append(l, i);
    }
    l->dropped += b->count + b->dropped;
    list_done(b);
    (void)pthread_mutex_unlock(&n->mutex);
    written = write(n->fd, &one, sizeof one); /* full only when it is readable anyway */
    (void)written;
}

void news_drain(struct news *n, vault_row *row, void *context)
{
    struct list taken;
    struct writer w = writer_new(256);
    uint64_t count;
    ssize_t had = read(n->fd, &count, sizeof count);

    (void)had;
    (void)pthread_mutex_lock(&n->mutex);
    taken = n->waiting;
    if (taken.first == NULL)
        taken.end = &taken.first;
    list_init(&n->waiting);
    (void)pthread_mutex_unlock(&n->mutex);
    for (struct item *i = taken.first; i != NULL; i = i->next)
        if (!row(context, span_of(i->bytes, i->len)))
            break;
    if (taken.dropped > 0) {
        field_put_uint(&w, FIELD_COUNT, taken.dropped);
        (void)row(context, writer_span(&w));
    }
    writer_done(&w);
    list_done(&taken);
}
