/* Queues of work with threads of their own. See jobs.h. */
#include "cmd/room/jobs.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/file.h"

#define THREADS_MAX 4

struct worker {
    struct jobs *queue;
    struct vault_reader *reader;
    pthread_t thread;
};

struct jobs {
    pthread_mutex_t lock;
    pthread_cond_t some;
    struct job *waiting, **waiting_end;
    size_t waiting_count;
    struct job *ended, **ended_end;
    bool stopping;
    int event_fd;
    unsigned thread_count;
    struct worker workers[THREADS_MAX];
};

static struct job *take(struct jobs *q)
{
    struct job *job;

    (void)pthread_mutex_lock(&q->lock);
    while (q->waiting == NULL && !q->stopping)
        (void)pthread_cond_wait(&q->some, &q->lock);
    job = q->stopping ? NULL : q->waiting;
    if (job != NULL) {
        q->waiting = job->next;
        if (q->waiting == NULL)
            q->waiting_end = &q->waiting;
        q->waiting_count--;
    }
    (void)pthread_mutex_unlock(&q->lock);
    return job;
}

static void give_back(struct jobs *q, struct job *job)
{
    const uint64_t one = 1;

    job->next = NULL;
    (void)pthread_mutex_lock(&q->lock);
    *q->ended_end = job;
    q->ended_end = &job->next;
    (void)pthread_mutex_unlock(&q->lock);
    (void)file_write_all(q->event_fd, span_of(&one, sizeof one), NULL);
}

static void *work(void *context)
{
    struct worker *w = context;
    struct job *job;

    while ((job = take(w->queue)) != NULL) {
        job->run(job, w->reader);
        give_back(w->queue, job);
    }
    return NULL;
}

static void stop(struct jobs *q)
{
    (void)pthread_mutex_lock(&q->lock);
    q->stopping = true;
    (void)pthread_cond_broadcast(&q->some);
    (void)pthread_mutex_unlock(&q->lock);
    for (unsigned i = 0; i < q->thread_count; i++) {
        (void)pthread_join(q->workers[i].thread, NULL);
        vault_reader_free(q->workers[i].reader);
    }
}

static void release(struct jobs *q)
{
    (void)pthread_cond_destroy(&q->some);
    (void)pthread_mutex_destroy(&q->lock);
    file_close(&q->event_fd);
    free(q);
}

struct jobs *jobs_new(struct vault *vault, unsigned threads, struct error *err)
{
    struct jobs *q = calloc(1, sizeof *q);

    assert(threads <= THREADS_MAX);
    if (q == NULL) {
        (void)error_set(err, ERR_MEMORY, "job queue");
        return NULL;
    }
    q->waiting_end = &q->waiting;
    q->ended_end = &q->ended;
    (void)pthread_mutex_init(&q->lock, NULL);
    (void)pthread_cond_init(&q->some, NULL);
    q->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    for (; q->event_fd >= 0 && q->thread_count < threads; q->thread_count++) {
        struct worker *w = &q->workers[q->thread_count];

        w->queue = q;
        w->reader = vault == NULL ? NULL : vault_reader_new(vault, err);
        if (vault != NULL && w->reader == NULL)
            break;
        if (pthread_create(&w->thread, NULL, work, w) != 0) {
            (void)error_set(err, ERR_MEMORY, "thread of a job queue");
            vault_reader_free(w->reader);
            break;
        }
    }
    if (q->event_fd >= 0 && q->thread_count == threads)
        return q;
    stop(q);
    release(q);
    return NULL;
}

bool jobs_add(struct jobs *q, struct job *job)
{
    bool room;

    job->next = NULL;
    (void)pthread_mutex_lock(&q->lock);
    room = q->waiting_count < JOBS_WAITING_MAX && !q->stopping;
    if (room) {
        *q->waiting_end = job;
        q->waiting_end = &job->next;
        q->waiting_count++;
        (void)pthread_cond_signal(&q->some);
    }
    (void)pthread_mutex_unlock(&q->lock);
    return room;
}

int jobs_fd(const struct jobs *q)
{
    return q->event_fd;
}

static void finish(struct job *job, void *context)
{
    for (struct job *next; job != NULL; job = next) {
        next = job->next;
        job->done(job, context);
    }
}

void jobs_done(struct jobs *q, void *context)
{
    struct job *ended;
    uint64_t count;
    ssize_t ignored = read(q->event_fd, &count, sizeof count); /* EAGAIN: somebody emptied it before */

    (void)ignored;
    (void)pthread_mutex_lock(&q->lock);
    ended = q->ended;
    q->ended = NULL;
    q->ended_end = &q->ended;
    (void)pthread_mutex_unlock(&q->lock);
    finish(ended, context);
}

void jobs_free(struct jobs *q, void *context)
{
    if (q == NULL)
        return;
    stop(q);
    jobs_done(q, context);
    finish(q->waiting, context);
    release(q);
}
