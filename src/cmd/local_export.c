/*
 * fanal export: gives back what was received, byte for byte.
 *   export DIR --study UID OUT      every served object of the study, Part 10 files OUT/<position>.dcm
 *   export DIR --object POSITION OUT  one stored version, a Part 10 file
 *   export DIR --message POSITION OUT one HL7 message as it was received
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/file.h"
#include "cmd/local.h"
#include "cmd/options.h"
#include "cmd/roles.h"
#include "dicom/part10.h"

/* File Meta Information is some 300 bytes. */
#define HEADER_MAX 4096
/* Objects of one study that an export lists. */
#define STUDY_OBJECTS_MAX 100000

struct object {
    uint64_t position;
    char sop_class[65], sop_uid[65], syntax[65];
    bool erased;
};

struct objects {
    struct object *list; /* lies in memory */
    struct writer memory; /* owned */
};

static bool take_object(void *context, struct span row)
{
    struct objects *all = context;
    struct object o = { .position = fields_uint(row, FIELD_POSITION, 0) };
    struct span sop_uid = fields_text(row, FIELD_SOP_UID);

    (void)span_to_str(fields_text(row, FIELD_SOP_CLASS), o.sop_class, sizeof o.sop_class);
    if (sop_uid.len == 0) /* refused for that: its sender named it */
        sop_uid = fields_text(row, FIELD_COMMAND_SOP_UID);
    (void)span_to_str(sop_uid, o.sop_uid, sizeof o.sop_uid);
    (void)span_to_str(fields_text(row, FIELD_TRANSFER_SYNTAX), o.syntax, sizeof o.syntax);
    o.erased = span_equal(fields_text(row, FIELD_STATE), SPAN_LIT("erased"));
    write_span(&all->memory, span_of(&o, sizeof o));
    return !all->memory.failed;
}

static bool write_body(struct local *l, uint64_t position, int fd, struct error *err)
{
    uint64_t at = 0;
    struct span piece;

    /* The body's length is not asked for: it ends where a get finds less than it may carry, perhaps nothing. */
    do {
        if (!session_get(l->session, position, at, SESSION_BUFFER_BYTES, (struct span){ NULL, 0 }, &piece, err)
            || !file_write_all(fd, piece, err))
            return false;
        at += piece.len;
    } while (piece.len == SESSION_BUFFER_BYTES);
    return true;
}

static int create(const char *path, struct error *err)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

    if (fd < 0)
        (void)error_errno(err, "%s", path);
    return fd;
}

static bool write_object(struct local *l, const struct object *o, const char *path, struct error *err)
{
    CLEANUP(file_close) int fd = create(path, err);
    struct writer header = writer_new(HEADER_MAX);
    bool ok = fd >= 0
              && part10_header(&header, span_str(o->sop_class), span_str(o->sop_uid), span_str(o->syntax),
                               (struct span){ NULL, 0 }, err)
              && file_write_all(fd, writer_span(&header), err) && write_body(l, o->position, fd, err);

    writer_done(&header);
    return ok || error_within(err, "object %" PRIu64, o->position);
}

static bool find_objects(struct local *l, struct span request, struct objects *out, struct error *err)
{
    bool ok;

    out->memory = writer_new(STUDY_OBJECTS_MAX * sizeof(struct object));
    ok = session_find(l->session, request, take_object, out, err);
    if (ok && out->memory.len == 0)
        ok = error_set(err, ERR_NOT_FOUND, "nothing is stored there");
    out->list = (struct object *)(void *)out->memory.ptr;
    return ok;
}

static bool export_study(struct local *l, const char *uid, const char *dir, struct error *err)
{
    struct objects all;
    struct writer request = writer_new(1024);
    bool ok;

    field_put_str(&request, FIELD_QUERY, "study-objects");
    field_put_str(&request, FIELD_STUDY_UID, uid);
    ok = find_objects(l, writer_span(&request), &all, err);
    writer_done(&request);
    if (ok && mkdir(dir, 0700) != 0 && errno != EEXIST)
        ok = error_errno(err, "%s", dir);
    for (size_t i = 0; ok && i < all.memory.len / sizeof(struct object); i++) {
        char name[32], path[PATH_MAX];

        (void)snprintf(name, sizeof name, "%" PRIu64 ".dcm", all.list[i].position);
        ok = path_join(path, sizeof path, dir, name, err) && write_object(l, &all.list[i], path, err);
    }
    writer_done(&all.memory);
    return ok;
}

/* One line of the list, which knows every stored version, served or not. */
static bool export_object(struct local *l, uint64_t position, const char *path, struct error *err)
{
    struct objects all;
    struct writer request = writer_new(1024);
    bool ok;

    field_put_str(&request, FIELD_QUERY, "list");
    field_put_str(&request, FIELD_KIND, "dicom");
    if (position > 0)
        field_put_uint(&request, FIELD_AFTER, position - 1);
    field_put_uint(&request, FIELD_LIMIT, 1);
    ok = find_objects(l, writer_span(&request), &all, err);
    if (ok && all.list[0].position != position)
        ok = error_set(err, ERR_NOT_FOUND, "no DICOM object has position %" PRIu64, position);
    if (ok && all.list[0].erased)
        ok = error_set(err, ERR_ERASED, "the object at position %" PRIu64 " was erased", position);
    ok = ok && write_object(l, &all.list[0], path, err);
    writer_done(&request);
    writer_done(&all.memory);
    return ok;
}

static bool export_message(struct local *l, uint64_t position, const char *path, struct error *err)
{
    CLEANUP(file_close) int fd = create(path, err);

    return fd >= 0 && write_body(l, position, fd, err);
}

int cmd_export(int argc, char **argv)
{
    struct options o;
    struct local l;
    struct error err = { 0 };
    bool ok;

    if (!options_parse(argc, argv, 2, OPTION_SELECT, &o))
        return 2;
    ok = local_open(&l, o.arguments[0], o.key_file, &err);
    if (ok && o.study != NULL)
        ok = export_study(&l, o.study, o.arguments[1], &err);
    else if (ok && o.object != NULL)
        ok = export_object(&l, o.position, o.arguments[1], &err);
    else if (ok)
        ok = export_message(&l, o.position, o.arguments[1], &err);
    local_close(&l);
    return ok ? 0 : command_failed("export", &err);
}
