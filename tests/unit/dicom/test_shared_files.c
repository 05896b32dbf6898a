/*
 * Every file of the shared conformance data that its manifest calls clean: the walk succeeds, and what it
 * finds is what two independent toolkits found (oracle.jsonl). Skipped visibly where the data is absent.
 */
#include <jansson.h>
#include <sys/stat.h>

#include "base/file.h"
#include "dicom/part10.h"
#include "dicom/walker.h"

#include "../test.h"

#define FILE_BYTES_MAX ((size_t)256 * 1024 * 1024)

/* Rows that disagree, and why the walker is right to. */
static const struct {
    const char *path;
    const char *attribute; /* NULL: the file as a whole */
    const char *why;
} exceptions[] = {
    { "dicom/malformed_and_edge/pydicom__badVR.dcm", "NumberOfFrames", "\"1A\" is not a number, so there is none" },
    { "dicom/dicomdir_filesets/pydicom_dicomdirtests/DICOMDIR-nooffset", NULL,
      "cut by hand: its items are longer than their sequence; and no DICOMDIR is ever sent" },
    { "dicom/malformed_and_edge/pydicomdata__bad_sequence.dcm", NULL, "its UIDs hold letters: refused (PS3.5 §9.1)" },
};

static const char *shared_dir(void)
{
    const char *dir = getenv("FANAL_SHARED");

    return dir != NULL ? dir : "../shared";
}

static FILE *open_list(const char *name)
{
    char path[1024];

    (void)snprintf(path, sizeof path, "%s/data/%s", shared_dir(), name);
    return fopen(path, "r");
}

/* The path in a line of MANIFEST.tsv (which is cut up) if it is a DICOM file that dcmdump read without a word. */
static const char *clean_file_of(char *line)
{
    const char *path = line, *column = line;

    for (unsigned i = 1; i < 14; i++) { /* columns: 1 path, 2 kind, 14 dcmdump */
        char *tab = strchr(column, '\t');

        if (tab == NULL)
            return NULL;
        *tab = '\0';
        if (i == 2 && strcmp(column, "dicom") != 0)
            return NULL;
        column = tab + 1;
    }
    return strncmp(column, "clean\t", 6) == 0 ? path : NULL;
}

static bool is_excepted(const char *path, const char *attribute)
{
    EACH(row, exceptions)
    if (strcmp(row->path, path) == 0 && (row->attribute == NULL || strcmp(row->attribute, attribute) == 0))
        return true;
    return false;
}

struct loaded {
    struct writer file;
    struct part10 part10;
    struct span data_set;
};

static bool load(const char *path, struct loaded *out)
{
    char name[1024];
    struct error err = { 0 };

    (void)snprintf(name, sizeof name, "%s/data/%s", shared_dir(), path);
    out->file = writer_new(FILE_BYTES_MAX);
    if (!file_slurp(name, &out->file, &err) || !part10_read(writer_span(&out->file), &out->part10, &err)) {
        print_message("# %s: %s\n", path, err.text);
        return false;
    }
    out->data_set = span_part(writer_span(&out->file), out->part10.data_set_offset, out->file.len);
    return out->part10.syntax != NULL;
}

/* Walks in pieces of `piece` bytes; facts are appended to *facts. */
static bool walk(struct walker *w, const struct loaded *l, size_t piece, struct writer *facts, struct error *err)
{
    if (!walker_begin(w, l->part10.syntax, err))
        return false;
    for (size_t at = 0; at < l->data_set.len; at += piece)
        if (!walker_feed(w, span_part(l->data_set, at, piece), err))
            return false;
    return walker_finish(w, err) && walker_facts(w, facts, err);
}

/* A value of the oracle, or a field of ours, as text. */
static struct span oracle_text(const json_t *value, char number[24])
{
    if (value == NULL || json_is_null(value))
        return span_str("");
    if (json_is_integer(value))
        return span_of(number, (size_t)snprintf(number, 24, "%lld", json_integer_value(value)));
    return span_trim(span_of(json_string_value(value), json_string_length(value)), " ");
}

static struct span field_as_text(struct span facts, enum field field, char number[24])
{
    struct span value = fields_text(facts, field);

    if (value.len == 0 || field_type_of(field) != FIELD_TYPE_UINT)
        return value;
    return span_of(number, (size_t)snprintf(number, 24, "%llu", (unsigned long long)field_uint(value)));
}

static const struct {
    const char *attribute;
    enum field field;
} compared[] = {
    { "PatientID", FIELD_PATIENT_ID },
    { "PatientName", FIELD_PATIENT_NAME },
    { "StudyInstanceUID", FIELD_STUDY_UID },
    { "SeriesInstanceUID", FIELD_SERIES_UID },
    { "SOPInstanceUID", FIELD_SOP_UID },
    { "SOPClassUID", FIELD_SOP_CLASS },
    { "TransferSyntaxUID", FIELD_TRANSFER_SYNTAX },
    { "Rows", FIELD_ROWS },
    { "Columns", FIELD_COLUMNS },
    { "NumberOfFrames", FIELD_FRAMES },
    { "Modality", FIELD_MODALITY },
    { "StudyDate", FIELD_STUDY_DATE },
    { "PatientBirthDate", FIELD_BIRTH_DATE },
    { "AccessionNumber", FIELD_ACCESSION },
    { "StudyDescription", FIELD_STUDY_DESCRIPTION },
    { "SeriesDescription", FIELD_SERIES_DESCRIPTION },
    { "InstanceNumber", FIELD_INSTANCE_NUMBER },
    { "SpecificCharacterSet", FIELD_CHARACTER_SET },
};

static size_t disagreements(const char *path, const json_t *row, bool has_meta, struct span facts)
{
    size_t count = 0;

    EACH(c, compared)
    {
        char a[24], b[24];
        struct span want = oracle_text(json_object_get(row, c->attribute), a);
        struct span have = field_as_text(facts, c->field, b);

        if (span_equal(have, want) || is_excepted(path, c->attribute)
            || (!has_meta && c->field == FIELD_TRANSFER_SYNTAX)) /* the oracle has none, we have a guess */
            continue;
        print_message("# %s: %s is \"%.*s\", not \"%.*s\"\n", path, c->attribute, (int)have.len, (const char *)have.ptr,
                      (int)want.len, (const char *)want.ptr);
        count++;
    }
    return count;
}

TEST(attributes_agree_with_the_oracle)
{
    char *line = NULL;
    size_t cap = 0, files = 0, faults = 0;
    struct error err = { 0 };
    struct walker *w = walker_new(&err);
    FILE *oracle = open_list("oracle.jsonl");

    while (getline(&line, &cap, oracle) > 0) {
        json_t *row = json_loads(line, 0, NULL);
        const char *path = json_string_value(json_object_get(row, "path"));
        struct loaded l;
        struct writer facts = writer_new(WALKER_FACTS_MAX);

        files++;
        if (!load(path, &l) || !walk(w, &l, SIZE_MAX / 2, &facts, &err))
            faults += !is_excepted(path, "");
        else
            faults += disagreements(path, row, l.part10.has_meta, writer_span(&facts));
        writer_done(&l.file);
        writer_done(&facts);
        json_decref(row);
    }
    free(line);
    (void)fclose(oracle);
    walker_free(w);
    CHECK(files > 0 && faults == 0);
}

/* xorshift32: cuts that are the same in every run. */
static uint32_t next_random(uint32_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    return *state;
}

static bool walk_in_random_pieces(struct walker *w, const struct loaded *l, uint32_t seed, struct writer *facts)
{
    struct error err = { 0 };

    if (!walker_begin(w, l->part10.syntax, &err))
        return false;
    for (size_t at = 0, piece; at < l->data_set.len; at += piece) {
        piece = next_random(&seed) % (at < 4096 ? 24 : 70000); /* 0 as well: no bytes are no event */
        if (!walker_feed(w, span_part(l->data_set, at, piece), &err))
            return false;
    }
    return walker_finish(w, &err) && walker_facts(w, facts, &err);
}

/* Every clean file walks, and does so the same however it is cut. */
TEST(clean_files_walk_however_they_are_cut)
{
    char *line = NULL;
    size_t cap = 0, files = 0, faults = 0;
    struct error err = { 0 };
    struct walker *w = walker_new(&err);
    FILE *manifest = open_list("MANIFEST.tsv");

    while (getline(&line, &cap, manifest) > 0) {
        struct loaded l;
        struct writer whole = writer_new(WALKER_FACTS_MAX), cut = writer_new(WALKER_FACTS_MAX);
        const char *path = clean_file_of(line);

        if (path == NULL || is_excepted(path, ""))
            continue;
        files++;
        if (!load(path, &l) || !walk(w, &l, SIZE_MAX / 2, &whole, &err)
            || !walk_in_random_pieces(w, &l, (uint32_t)files * 2654435761u, &cut)
            || !span_equal(writer_span(&whole), writer_span(&cut))) {
            print_message("# %s: %s\n", path, err.text);
            faults++;
        }
        writer_done(&l.file);
        writer_done(&whole);
        writer_done(&cut);
    }
    free(line);
    (void)fclose(manifest);
    walker_free(w);
    CHECK(files > 0 && faults == 0);
}

/* A file of at most this many bytes is cut at every one of them. */
#define SMALL_FILE_MAX 2500

/* What ends early fails or was only padding: it never says more than the whole did. */
TEST(small_files_cut_short_end_in_an_error)
{
    char *line = NULL;
    size_t cap = 0, files = 0, clean_ends = 0;
    struct error err = { 0 };
    struct walker *w = walker_new(&err);
    FILE *manifest = open_list("MANIFEST.tsv");

    while (getline(&line, &cap, manifest) > 0) {
        struct loaded l;
        const char *path = clean_file_of(line);

        if (path == NULL || !load(path, &l))
            continue;
        for (size_t len = 0; l.data_set.len <= SMALL_FILE_MAX && len < l.data_set.len; len++) {
            struct loaded part = l;
            struct writer facts = writer_new(WALKER_FACTS_MAX);

            part.data_set.len = len;
            clean_ends += walk(w, &part, 7, &facts, &err);
            writer_done(&facts);
        }
        files += l.data_set.len <= SMALL_FILE_MAX;
        writer_done(&l.file);
    }
    free(line);
    (void)fclose(manifest);
    walker_free(w);
    CHECK(files > 0 && clean_ends > 0 && clean_ends < files * 100); /* ends between two elements are clean */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(attributes_agree_with_the_oracle),
        T(clean_files_walk_however_they_are_cut),
        T(small_files_cut_short_end_in_an_error),
    };
    FILE *oracle = open_list("oracle.jsonl");

    if (oracle == NULL) {
        printf("1..0 # SKIP no %s/data\n", shared_dir());
        return 0;
    }
    (void)fclose(oracle);
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
