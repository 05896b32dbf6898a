/*
 * Power cuts: every file call of a store at work is recorded; then the disk is put together as it may look after a cut
 * behind any of them (what was synced is there; of what was not, all, nothing, or any subset of sectors and names), and
 * the store must open with everything that it had acknowledged, verify clean, and go on.
 */
#include <errno.h>
#include <pthread.h>

#include "store_test.h"

#define SECTOR     512u
#define CALLS_MAX  40000
#define INODES_MAX 4000
#define PATH_SIZE  160

enum call_type { CALL_CREATE, CALL_WRITE, CALL_SYNC, CALL_TRUNCATE, CALL_RENAME, CALL_UNLINK, CALL_SYNC_DIR, CALL_ACK };

struct call {
    enum call_type type;
    int inode;
    uint64_t offset; /* or length, or position of an acknowledged record */
    uint8_t *bytes;
    size_t len;
    unsigned seed;
    char path[PATH_SIZE], to[PATH_SIZE];
};

struct name {
    char path[PATH_SIZE];
    int inode; /* -1: gone */
};

struct tape {
    pthread_mutex_t lock;
    struct call *calls;
    size_t count;
    int inodes;
    struct name names[INODES_MAX]; /* as the running store sees them */
    size_t name_count;
    int fd_inode[4096];
};

static struct call *record(struct tape *t, enum call_type type)
{
    struct call *c = &t->calls[t->count++];

    if (t->count >= CALLS_MAX)
        abort();
    *c = (struct call){ .type = type };
    return c;
}

static struct name *name_of(struct name *names, size_t *count, const char *path, bool add)
{
    for (size_t i = 0; i < *count; i++)
        if (strcmp(names[i].path, path) == 0)
            return &names[i];
    if (!add || *count == INODES_MAX)
        return NULL;
    snprintf(names[*count].path, PATH_SIZE, "%.150s", path);
    names[*count].inode = -1;
    return &names[(*count)++];
}

/* ---- the recording file calls ---- */

static int tape_open(void *context, const char *path, int flags)
{
    struct tape *t = context;
    int fd = file_ops_system.open(NULL, path, flags);

    if (fd < 0)
        return fd;
    pthread_mutex_lock(&t->lock);
    struct name *n = name_of(t->names, &t->name_count, path, true);
    if (n->inode < 0) {
        n->inode = t->inodes++;
        struct call *c = record(t, CALL_CREATE);
        c->inode = n->inode;
        snprintf(c->path, PATH_SIZE, "%.150s", path);
    } else if ((flags & O_TRUNC) != 0) {
        struct call *c = record(t, CALL_TRUNCATE);
        c->inode = n->inode;
    }
    t->fd_inode[fd] = n->inode;
    pthread_mutex_unlock(&t->lock);
    return fd;
}

static ssize_t tape_pwrite(void *context, int fd, const void *bytes, size_t len, off_t offset)
{
    struct tape *t = context;
    struct call *c;

    pthread_mutex_lock(&t->lock);
    c = record(t, CALL_WRITE);
    c->inode = t->fd_inode[fd];
    c->offset = (uint64_t)offset;
    c->len = len;
    c->bytes = malloc(len + 1);
    memcpy(c->bytes, bytes, len);
    pthread_mutex_unlock(&t->lock);
    return pwrite(fd, bytes, len, offset);
}

/* A sync is recorded when it returns: only then is anything promised. */
static int tape_fdatasync(void *context, int fd)
{
    struct tape *t = context;

    pthread_mutex_lock(&t->lock);
    record(t, CALL_SYNC)->inode = t->fd_inode[fd];
    pthread_mutex_unlock(&t->lock);
    return 0;
}

static int tape_ftruncate(void *context, int fd, off_t len)
{
    struct tape *t = context;
    struct call *c;

    pthread_mutex_lock(&t->lock);
    c = record(t, CALL_TRUNCATE);
    c->inode = t->fd_inode[fd];
    c->offset = (uint64_t)len;
    pthread_mutex_unlock(&t->lock);
    return ftruncate(fd, len);
}

static int tape_rename(void *context, const char *from, const char *to)
{
    struct tape *t = context;
    struct name *a, *b;
    struct call *c;

    pthread_mutex_lock(&t->lock);
    c = record(t, CALL_RENAME);
    snprintf(c->path, PATH_SIZE, "%.150s", from);
    snprintf(c->to, PATH_SIZE, "%.150s", to);
    a = name_of(t->names, &t->name_count, from, true);
    b = name_of(t->names, &t->name_count, to, true);
    b->inode = a->inode;
    a->inode = -1;
    pthread_mutex_unlock(&t->lock);
    return rename(from, to);
}

static int tape_unlink(void *context, const char *path)
{
    struct tape *t = context;

    pthread_mutex_lock(&t->lock);
    snprintf(record(t, CALL_UNLINK)->path, PATH_SIZE, "%.150s", path);
    name_of(t->names, &t->name_count, path, true)->inode = -1;
    pthread_mutex_unlock(&t->lock);
    return unlink(path);
}

static int tape_sync_dir(void *context, const char *path)
{
    struct tape *t = context;

    pthread_mutex_lock(&t->lock);
    snprintf(record(t, CALL_SYNC_DIR)->path, PATH_SIZE, "%.150s", path);
    pthread_mutex_unlock(&t->lock);
    return 0;
}

static int tape_mkdir(void *context, const char *path)
{
    (void)context;
    return mkdir(path, 0700);
}

static int tape_close(void *context, int fd)
{
    (void)context;
    return close(fd);
}

static void tape_write_behind(void *context, int fd, off_t offset, off_t len)
{
    (void)context;
    (void)fd;
    (void)offset;
    (void)len;
}

static int tape_free_bytes(void *context, const char *path, uint64_t *out)
{
    (void)context;
    (void)path;
    *out = UINT64_C(1) << 40;
    return 0;
}

static const struct file_ops tape_ops = {
    tape_open,  tape_pwrite,   tape_fdatasync, tape_ftruncate,    tape_rename,     tape_unlink,
    tape_mkdir, tape_sync_dir, tape_close,     tape_write_behind, tape_free_bytes,
};

/* ---- the disk after a cut ---- */

struct inode {
    uint8_t *bytes; /* as last synced */
    size_t len;
    size_t pending[600]; /* calls since */
    size_t pending_count;
};

struct model {
    struct inode inodes[INODES_MAX];
    struct name names[INODES_MAX]; /* durable */
    size_t name_count;
    size_t names_pending[600];
    size_t names_pending_count;
};

enum loss { LOSS_ALL, LOSS_NONE, LOSS_SOME };

static void resize(uint8_t **bytes, size_t *len, size_t to)
{
    if (to > *len) {
        *bytes = realloc(*bytes, to);
        memset(*bytes + *len, 0, to - *len);
    }
    *len = to;
}

/* Applies a write or truncation; with LOSS_SOME each sector is there or not. */
static void apply_data(const struct call *c, uint8_t **bytes, size_t *len, enum loss loss)
{
    if (c->type == CALL_TRUNCATE) {
        resize(bytes, len, c->offset);
        return;
    }
    for (size_t done = 0; done < c->len;) {
        size_t n = SECTOR - (c->offset + done) % SECTOR;

        if (n > c->len - done)
            n = c->len - done;
        if (loss == LOSS_NONE || random() % 2 == 0) {
            if (c->offset + done + n > *len)
                resize(bytes, len, c->offset + done + n);
            memcpy(*bytes + c->offset + done, c->bytes + done, n);
        }
        done += n;
    }
}

static void apply_name(const struct call *c, struct name *names, size_t *count)
{
    struct name *n = name_of(names, count, c->path, true);

    if (c->type == CALL_CREATE) {
        n->inode = c->inode;
    } else if (c->type == CALL_UNLINK) {
        n->inode = -1;
    } else if (n->inode >= 0) {
        int inode = n->inode;

        n->inode = -1;
        name_of(names, count, c->to, true)->inode = inode;
    }
}

static bool is_in(const char *path, const char *dir)
{
    size_t n = strlen(dir);

    return strncmp(path, dir, n) == 0 && path[n] == '/' && strchr(path + n + 1, '/') == NULL;
}

static void step(struct model *m, const struct tape *t, size_t k)
{
    const struct call *c = &t->calls[k];
    struct inode *i = &m->inodes[c->inode];
    size_t left = 0;

    switch (c->type) {
    case CALL_WRITE:
    case CALL_TRUNCATE:
        if (i->pending_count == COUNT_OF(i->pending))
            abort();
        i->pending[i->pending_count++] = k;
        break;
    case CALL_SYNC:
        for (size_t p = 0; p < i->pending_count; p++)
            apply_data(&t->calls[i->pending[p]], &i->bytes, &i->len, LOSS_NONE);
        i->pending_count = 0;
        break;
    case CALL_CREATE:
    case CALL_RENAME:
    case CALL_UNLINK:
        if (m->names_pending_count == COUNT_OF(m->names_pending))
            abort();
        m->names_pending[m->names_pending_count++] = k;
        break;
    case CALL_SYNC_DIR:
        for (size_t p = 0; p < m->names_pending_count; p++) {
            if (is_in(t->calls[m->names_pending[p]].path, c->path))
                apply_name(&t->calls[m->names_pending[p]], m->names, &m->name_count);
            else
                m->names_pending[left++] = m->names_pending[p];
        }
        m->names_pending_count = left;
        break;
    case CALL_ACK:
        break;
    }
}

static void write_file(const char *path, const uint8_t *bytes, size_t len)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

    if (fd < 0 || write(fd, bytes, len) != (ssize_t)len)
        abort();
    close(fd);
}

/* Puts the disk together in `dir`; paths were recorded below `from`. */
static void materialize(const struct model *m, const struct tape *t, const char *from, const char *dir, enum loss loss)
{
    static const char *const dirs[] = { "",
                                        "/vault",
                                        "/vault/log",
                                        "/vault/body",
                                        "/vault/body/images",
                                        "/vault/body/results",
                                        "/vault/body/recordings",
                                        "/vault/body/held",
                                        "/vault/body/large",
                                        "/vault/ledger",
                                        "/vault/ledger/tile",
                                        "/vault/ledger/tile/0",
                                        "/vault/cut" };
    static struct name names[INODES_MAX];
    size_t count = m->name_count;
    size_t upto = loss == LOSS_ALL    ? 0
                  : loss == LOSS_NONE ? m->names_pending_count
                                      : (size_t)random() % (m->names_pending_count + 1);
    char path[300];

    memcpy(names, m->names, count * sizeof names[0]);
    for (size_t p = 0; p < upto; p++)
        apply_name(&t->calls[m->names_pending[p]], names, &count);
    for (size_t i = 0; i < COUNT_OF(dirs); i++) {
        snprintf(path, sizeof path, "%s%s", dir, dirs[i]);
        (void)mkdir(path, 0700);
    }
    for (size_t i = 0; i < count; i++) {
        const struct inode *n = &m->inodes[names[i].inode < 0 ? 0 : names[i].inode];
        uint8_t *bytes = NULL;
        size_t len = 0;

        if (names[i].inode < 0)
            continue;
        resize(&bytes, &len, n->len);
        if (len > 0)
            memcpy(bytes, n->bytes, len);
        for (size_t p = 0; p < n->pending_count && loss != LOSS_ALL; p++)
            if (t->calls[n->pending[p]].type == CALL_WRITE || loss == LOSS_NONE || random() % 2 == 0)
                apply_data(&t->calls[n->pending[p]], &bytes, &len, loss);
        snprintf(path, sizeof path, "%s%s", dir, names[i].path + strlen(from));
        write_file(path, bytes, len);
        free(bytes);
    }
}

/* ---- the work that is cut ---- */

static void ack(struct tape *t, uint64_t position, unsigned seed, size_t len)
{
    struct call *c;

    pthread_mutex_lock(&t->lock);
    c = record(t, CALL_ACK);
    c->offset = position;
    c->seed = seed;
    c->len = len;
    pthread_mutex_unlock(&t->lock);
}

static void work(const char *dir, struct tape *t)
{
    static const size_t lengths[] = { 300, 66000, SIZE_MAX, 0, 140000, SIZE_MAX, 5000, 2200000, 90000, 100 };
    struct tuning tuning = { .files = &tape_ops,
                             .files_context = t,
                             .segment_bytes = 6000,
                             .body_file_bytes = 200000,
                             .confirm_entries = 60,
                             .no_idle_confirm = true };
    struct store_options o = test_options();
    struct store *s;
    uint64_t position;
    char unit[32];

    o.tuning = &tuning;
    if (!store_create(dir, &o, NULL) || (s = store_open(dir, &o, NULL)) == NULL)
        abort();
    ack(t, UINT64_MAX, 0, 0); /* from here on the store is there */
    for (unsigned i = 0; i < COUNT_OF(lengths); i++) {
        snprintf(unit, sizeof unit, "study:%u", i / 2);
        if (!test_append(s, i % 2 == 0 ? RECORD_DICOM : RECORD_HL7, unit, i, lengths[i], &position, NULL))
            abort();
        if (i % 3 != 1) {
            if (test_wait(s, i % 3 == 0 ? 1 : 2) == 0)
                abort();
            for (uint64_t p = position - (i % 3 == 0 ? 0 : 1); p <= position; p++)
                ack(t, p, (unsigned)p, lengths[p]);
        }
    }
    for (unsigned i = COUNT_OF(lengths); i < 270; i++) { /* a unit each: the keyring grows */
        snprintf(unit, sizeof unit, "unit:%u", i);
        if (!test_append(s, i % 40 == 0 ? RECORD_RULE : RECORD_EVENT, unit, i, SIZE_MAX, &position, NULL))
            abort();
        if (i % 10 == 9) {
            if (test_wait(s, 10) != 10)
                abort();
            for (uint64_t p = position - 9; p <= position; p++)
                ack(t, p, (unsigned)p, SIZE_MAX);
        }
    }
    store_close(s);
}

static void say(void *context, const char *text)
{
    (void)context;
    print_error("finding: %s\n", text);
}

/* Opens what is left after call k; everything acknowledged up to there must be in it. */
static bool survives(const char *dir, const struct tape *t, size_t k, bool go_on)
{
    struct store_options o = test_options();
    struct error err = { 0 };
    uint64_t findings = 0, position;
    struct store *s = store_open(dir, &o, &err);
    bool ok = s != NULL;

    for (size_t i = 0; ok && i <= k; i++)
        if (t->calls[i].type == CALL_ACK && t->calls[i].offset != UINT64_MAX)
            ok = test_same(s, t->calls[i].offset, t->calls[i].seed, t->calls[i].len, &err);
    ok = ok && store_verify(s, say, NULL, &findings, &err) && findings == 0;
    if (ok && go_on)
        ok = test_append(s, RECORD_HL7, "unit:last", 77, 3000, &position, &err) && test_wait(s, 1) == 1
             && test_same(s, position, 77, 3000, &err);
    store_close(s);
    if (ok && go_on) {
        o.read_only = true;
        s = store_open(dir, &o, &err);
        ok = s != NULL && test_same(s, position, 77, 3000, &err) && store_verify(s, say, NULL, &findings, &err)
             && findings == 0;
        store_close(s);
    }
    if (!ok)
        print_error("after call %zu: %s, %llu findings\n", k, err.text, (unsigned long long)findings);
    return ok;
}

TEST(nothing_acknowledged_is_lost_in_a_power_cut)
{
    struct tape *t = calloc(1, sizeof *t);
    struct model *m = calloc(1, sizeof *m);
    unsigned long seed =
        getenv("FANAL_SEED") != NULL ? strtoul(getenv("FANAL_SEED"), NULL, 10) : (unsigned long)getpid();
    size_t states = getenv("FANAL_STATES") != NULL ? strtoul(getenv("FANAL_STATES"), NULL, 10) : 500;
    size_t begin = 0, made = 0;
    char dir[64], after[64];

    CHECK(t != NULL && m != NULL);
    t->calls = calloc(CALLS_MAX, sizeof *t->calls);
    CHECK(t->calls != NULL);
    pthread_mutex_init(&t->lock, NULL);
    print_message("# seed %lu\n", seed);
    srandom((unsigned)seed);
    test_dir(dir);
    test_dir(after);
    work(dir, t);
    while (t->calls[begin].type != CALL_ACK)
        begin++;
    for (size_t k = 0; k < t->count; k++) {
        step(m, t, k);
        /* spread over the calls; none, all and random losses in turn */
        for (; k >= begin && made * (t->count - begin) < states * (k - begin); made++) {
            test_remove(after);
            materialize(m, t, dir, after, made % 4 == 0 ? LOSS_ALL : made % 4 == 1 ? LOSS_NONE : LOSS_SOME);
            CHECK(survives(after, t, k, made % 5 == 0));
        }
    }
    print_message("# %zu states after %zu calls\n", made, t->count);
    CHECK(made + 10 >= states);
    for (size_t k = 0; k < t->count; k++)
        free(t->calls[k].bytes);
    for (int i = 0; i < t->inodes; i++)
        free(m->inodes[i].bytes);
    free(t->calls);
    free(t);
    free(m);
    test_remove(dir);
    test_remove(after);
}

TESTS(T(nothing_acknowledged_is_lost_in_a_power_cut))
