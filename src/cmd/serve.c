/*
 * fanal serve DIR: everything that needs rights or the secret, in order; then the supervisor, without either.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/file.h"
#include "cmd/cli.h"
#include "cmd/conf.h"
#include "cmd/data_dir.h"
#include "cmd/privileges.h"
#include "cmd/roles.h"
#include "cmd/secret.h"
#include "cmd/serve_secret.h"
#include "cmd/supervisor.h"
#include "cmd/twin_dir.h"

#define LISTEN_BACKLOG 128

enum { DICOM, HL7, HTTPS, WITNESS, FOLLOW, SERVICES };

static const char *const service_names[SERVICES] = {
    [DICOM] = "dicom", [HL7] = "hl7", [HTTPS] = "https", [WITNESS] = "witness", [FOLLOW] = "follow",
};

struct service {
    int sockets[CONF_LISTEN_MAX];
    size_t count;
    struct writer settings; /* fields of START */
};

/* All that serve has opened; closed and wiped in one place. */
struct serve {
    struct data_dir dir;
    struct writer conf_text;
    struct conf conf;
    /*
     * The secret for the vault, at its first start and at each restart: a vault that has crashed must come back with
     * nobody there to type. It lies in a memfd, sealed, not in this process's heap; the supervisor never maps or reads
     * it again, is not dumpable, and no other role is given the descriptor.
     */
    int secret_fd;
    int local_fd;
    int exe_fd;
    struct service services[SERVICES];
    struct writer ports;
    struct writer vault_settings;
    struct writer relay_settings;
    bool twin; /* only the page is served, and the first is followed (docs/twin.md) */
    struct writer pull_settings;
    struct log log;
};

static const struct conf_service *conf_of(const struct conf *c, size_t service)
{
    switch (service) {
    case DICOM:
        return &c->dicom;
    case HL7:
        return &c->hl7;
    case HTTPS:
        return &c->https;
    case WITNESS:
        return &c->witness;
    default: /* the last one */
        return &c->follow;
    }
}

static void format_address(const struct sockaddr_storage *a, char out[64])
{
    char host[INET6_ADDRSTRLEN] = "";

    if (a->ss_family == AF_INET6) {
        const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)a;

        (void)inet_ntop(AF_INET6, &v6->sin6_addr, host, sizeof host);
        (void)snprintf(out, 64, "[%s]:%u", host, ntohs(v6->sin6_port));
    } else {
        const struct sockaddr_in *v4 = (const struct sockaddr_in *)a;

        (void)inet_ntop(AF_INET, &v4->sin_addr, host, sizeof host);
        (void)snprintf(out, 64, "%s:%u", host, ntohs(v4->sin_port));
    }
}

/* A listening socket; -1 on error. An IPv6 one takes no IPv4: who wants both lists both. */
static int listen_on(const struct sockaddr_storage *address, struct error *err)
{
    CLEANUP(file_close) int fd = socket(address->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    socklen_t len = address->ss_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
    char text[64];
    int on = 1, listening;

    format_address(address, text);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0
        || (address->ss_family == AF_INET6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on) != 0)
        || bind(fd, (const struct sockaddr *)address, len) != 0 || listen(fd, LISTEN_BACKLOG) != 0) {
        (void)error_errno(err, "listening on %s", text);
        return -1;
    }
    listening = fd;
    fd = -1;
    return listening;
}

static bool open_service(struct serve *s, size_t service, struct error *err)
{
    const struct conf_service *c = conf_of(&s->conf, service);
    struct service *out = &s->services[service];

    for (size_t i = 0; i < c->address_count; i++) {
        struct sockaddr_storage bound = { 0 };
        socklen_t len = sizeof bound;
        char text[64];
        int fd = listen_on(&c->addresses[i], err);

        if (fd < 0)
            return error_within(err, "[listen] %s", service_names[service]);
        out->sockets[out->count++] = fd;
        if (getsockname(fd, (struct sockaddr *)&bound, &len) != 0)
            return error_errno(err, "getsockname");
        format_address(&bound, text);
        write_printf(&s->ports, "%s %s\n", service_names[service], text);
    }
    field_put_uint(&out->settings, FIELD_CONNECTIONS_MAX, c->connections);
    field_put_uint(&out->settings, FIELD_CONNECTIONS_PER_ADDRESS_MAX, c->connections_per_address);
    for (size_t i = 0; service == DICOM && i < s->conf.storage_class_count; i++)
        field_put_str(&out->settings, FIELD_SOP_CLASS, s->conf.storage_classes[i]);
    return writer_ok(&out->settings, err, "settings");
}

static bool open_doors(struct serve *s, struct error *err)
{
    for (size_t i = 0; i < SERVICES; i++)
        if ((!s->twin || i == HTTPS) && !open_service(s, i, err))
            return false;
    s->local_fd = data_dir_listen(&s->dir, err);
    return s->local_fd >= 0 && writer_ok(&s->ports, err, "ports")
           && data_dir_write_ports(&s->dir, writer_span(&s->ports), err);
}

static bool read_all(struct serve *s, const char *path, const char *key_file, struct error *err)
{
    if (!data_dir_open(path, &s->dir, err) || !data_dir_read_conf(&s->dir, &s->conf_text, err))
        return false;
    if (!conf_parse(writer_span(&s->conf_text), &s->conf, err))
        return error_within(err, "%s/fanal.conf", path);
    s->twin = twin_dir_is(path);
    if (s->twin && s->conf.following.first[0] != '\0' && !pull_settings(path, &s->conf, &s->pull_settings, err))
        return false;
    return data_dir_lock(&s->dir, err)
           && serve_secret(path, key_file, s->conf.at_start, &s->log, &s->secret_fd, err);
}

/* The trust anchors of one anchor, while files may still be read. */
static bool read_ca(const char *path, const struct conf_anchor *a, struct writer *pem, struct error *err)
{
    char file[PATH_MAX];

    writer_reset(pem);
    if (a->ca[0] == '\0')
        return true;
    if (a->ca[0] == '/' ? !span_to_str(span_str(a->ca), file, sizeof file) : !path_join(file, sizeof file, path, a->ca, err))
        return error_set(err, ERR_USAGE, "[%s %s] ca: a path that is too long", a->is_witness ? "witness" : "timestamp", a->name);
    if (file_slurp(file, pem, err) && !pem->failed)
        return true;
    err->code = ERR_USAGE;
    return error_within(err, "[%s %s] ca", a->is_witness ? "witness" : "timestamp", a->name);
}

/* What the relay is told of each anchor, and what the vault is. */
static bool read_anchors(struct serve *s, const char *path, struct error *err)
{
    struct writer pem = writer_new(CONF_CA_BYTES_MAX);
    size_t all = 0;
    bool ok = true;

    for (size_t i = 0; ok && i < s->conf.anchor_count; i++) {
        const struct conf_anchor *a = &s->conf.anchors[i];
        struct writer *const to[] = { &s->relay_settings, &s->vault_settings };

        ok = read_ca(path, a, &pem, err);
        all += pem.len;
        for (size_t j = 0; j < COUNT_OF(to); j++) {
            const size_t group = field_group_begin(to[j], FIELD_ANCHOR);

            field_put_str(to[j], FIELD_KIND, a->is_witness ? "witness" : "timestamp");
            field_put_str(to[j], FIELD_NAME, a->name);
            field_put_str(to[j], FIELD_URL, a->url);
            field_put_some(to[j], FIELD_ADDRESS, span_str(a->address));
            field_put_bytes(to[j], FIELD_CA, writer_span(&pem));
            field_group_end(to[j], group);
        }
    }
    writer_done(&pem);
    if (ok && all > CONF_CA_BYTES_ALL_MAX)
        ok = error_set(err, ERR_USAGE, "the ca files of all anchors have more than %zu bytes", CONF_CA_BYTES_ALL_MAX);
    return ok && writer_ok(&s->relay_settings, err, "settings");
}

/* Everything that takes rights. Afterwards this process is nobody, stands in DIR, and cannot go elsewhere. */
static bool prepare(struct serve *s, const char *path, const char *key_file, struct error *err)
{
    if (!read_all(s, path, key_file, err) || !read_anchors(s, path, err) || !open_doors(s, err))
        return false;
    s->exe_fd = open("/proc/self/exe", O_PATH | O_CLOEXEC);
    if (s->exe_fd < 0 || fchdir(s->dir.fd) != 0)
        return error_errno(err, "%s", path);
    if (!privileges_drop(&s->conf, &s->dir, err))
        return false;
    if (prctl(PR_SET_DUMPABLE, 0) != 0 || setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 }) != 0)
        return error_errno(err, "leaving no core"); /* whatever roles start, now and later: they inherit the limit */
    field_put_str(&s->vault_settings, FIELD_DIRECTORY, "."); /* its parents may be closed to us now */
    field_put_text(&s->vault_settings, FIELD_CONFIGURATION, writer_span(&s->conf_text));
    return writer_ok(&s->vault_settings, err, "settings");
}

/* What a script waits for: where it listens, then that it serves. */
static void say_ready(void *context)
{
    const struct serve *s = context;

    log_info(&s->log, "serve.ready");
    (void)file_write_all(STDOUT_FILENO, writer_span(&s->ports), NULL);
    (void)file_write_all(STDOUT_FILENO, SPAN_LIT("ready\n"), NULL);
}

/* It listens, and refuses politely: a script that waits for "ready" goes on waiting. */
static void say_sealed(void *context)
{
    const struct serve *s = context;

    log_warn(&s->log, "serve.sealed");
    (void)file_write_all(STDOUT_FILENO, writer_span(&s->ports), NULL);
    (void)file_write_all(STDOUT_FILENO, SPAN_LIT("sealed\n"), NULL);
}

static void add_gate(struct serve *s, size_t service, enum process_kind kind, const char *role, struct role_plan *roles,
                     size_t *count, struct link_plan *links, size_t *link_count)
{
    struct service *v = &s->services[service];
    struct role_plan *r = &roles[*count];

    if (v->count == 0)
        return; /* off */
    *r = (struct role_plan){ .name = role, .kind = kind, .settings = writer_span(&v->settings), .fd_count = v->count };
    memcpy(r->fds, v->sockets, sizeof r->fds);
    links[(*link_count)++] = (struct link_plan){ 0, *count };
    (*count)++;
}

/* The house (docs/architecture.md): vault, gates, two lenses for the pages, one for the vault's comparisons, a recheck. */
static bool run(struct serve *s, struct error *err)
{
    struct role_plan roles[SUPERVISOR_ROLES_MAX] = {
        { .name = "vault",
          .kind = PROCESS_VAULT,
          .is_vault = true,
          .sealed_name = "unseal",
          .settings = writer_span(&s->vault_settings),
          .fds = { s->secret_fd },
          .fd_count = s->secret_fd >= 0 ? 1 : 0 },
    };
    struct link_plan links[SUPERVISOR_ROLES_MAX];
    size_t count = 1, link_count = 0, web;
    struct supervisor_plan plan = { .roles = roles,
                                    .links = links,
                                    .exe_fd = s->exe_fd,
                                    .local_fd = s->local_fd,
                                    .local_uid = s->dir.owner,
                                    .log = &s->log,
                                    .clock = &clock_system,
                                    .ready = say_ready,
                                    .sealed = say_sealed,
                                    .context = s };

    add_gate(s, FOLLOW, PROCESS_FOLLOW_LISTENER, "follow", roles, &count, links, &link_count);
    if (s->pull_settings.len > 0) {
        roles[count] = (struct role_plan){ .name = "pull", .kind = PROCESS_PULL, .settings = writer_span(&s->pull_settings) };
        links[link_count++] = (struct link_plan){ 0, count++ };
    }
    add_gate(s, DICOM, PROCESS_DICOM_LISTENER, "dicom", roles, &count, links, &link_count);
    add_gate(s, HL7, PROCESS_HL7_LISTENER, "hl7", roles, &count, links, &link_count);
    web = count;
    add_gate(s, HTTPS, PROCESS_WEB, "web", roles, &count, links, &link_count);
    add_gate(s, WITNESS, PROCESS_WITNESS, "witness", roles, &count, links, &link_count);
    if (s->conf.anchor_count > 0 && !s->twin) {
        roles[count] = (struct role_plan){ .name = "relay", .kind = PROCESS_RELAY, .settings = writer_span(&s->relay_settings) };
        links[link_count++] = (struct link_plan){ 0, count++ };
    }
    for (unsigned number = 0; number < 3; number++) {
        bool for_vault = number == 2;

        if (!for_vault && web == count)
            continue; /* no page, no lens for it */
        roles[count] = (struct role_plan){ .name = "lens", .kind = PROCESS_LENS, .number = number };
        links[link_count++] = (struct link_plan){ for_vault ? 0 : web, count++ };
    }
    if (!s->twin) { /* what a twin has was walked where it was stored */
        roles[count] = (struct role_plan){ .name = "recheck", .kind = PROCESS_LENS, .number = RECHECK_NUMBER };
        links[link_count++] = (struct link_plan){ 0, count++ };
    }
    plan.role_count = count;
    plan.link_count = link_count;
    return supervisor_run(&plan, err);
}

static void serve_done(struct serve *s)
{
    for (size_t i = 0; i < SERVICES; i++) {
        for (size_t j = 0; j < s->services[i].count; j++)
            file_close(&s->services[i].sockets[j]);
        writer_done(&s->services[i].settings);
    }
    file_close(&s->secret_fd);
    file_close(&s->local_fd);
    file_close(&s->exe_fd);
    writer_done(&s->conf_text);
    writer_done(&s->ports);
    writer_done(&s->vault_settings);
    writer_done(&s->relay_settings);
    if (s->pull_settings.ptr != NULL)
        explicit_bzero(s->pull_settings.ptr, s->pull_settings.len);
    writer_done(&s->pull_settings);
    conf_done(&s->conf);
    data_dir_close(&s->dir);
}

int cmd_serve(int argc, char **argv)
{
    static const struct option options[] = { { "key-file", required_argument, NULL, 'k' },
                                             { "shares", no_argument, NULL, 's' },
                                             { NULL, 0, NULL, 0 } };
    struct serve s = {
        .dir = { -1, -1, -1, 0, 0 },
        .conf_text = writer_new(CONF_BYTES_MAX),
        .secret_fd = -1,
        .local_fd = -1,
        .exe_fd = -1,
        .ports = writer_new(4096),
        .vault_settings = writer_new(CHANNEL_MESSAGE_MAX),
        .relay_settings = writer_new(CHANNEL_MESSAGE_MAX),
        .pull_settings = writer_new(CHANNEL_MESSAGE_MAX),
        .log = { .fd = STDERR_FILENO, .least = LOG_INFO, .clock = &clock_system, .process = "supervisor" },
    };
    const char *key_file = NULL;
    struct error err = { 0 };
    bool good;
    int option;

    while ((option = getopt_long(argc, argv, "", options, NULL)) == 'k' || option == 's')
        key_file = option == 'k' ? optarg : secret_of_custodians;
    if (option != -1 || argc - optind != 1) {
        (void)fputs("fanal serve: one DIR belongs here; see fanal serve --help\n", stderr);
        return CLI_USAGE;
    }
    for (size_t i = 0; i < SERVICES; i++)
        s.services[i].settings = writer_new(CHANNEL_MESSAGE_MAX);
    good = prepare(&s, argv[optind], key_file, &err) && run(&s, &err);
    serve_done(&s);
    if (!good)
        (void)fprintf(stderr, "fanal serve: %s\n", err.text);
    return good ? CLI_YES : err.code == ERR_USAGE ? CLI_USAGE : CLI_NO;
}
