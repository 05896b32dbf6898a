/*
 * What the files of fanal prove share: the question, the rows that the vault answered, the page and the pack
 * (docs/evidence.md).
 */
#ifndef FANAL_CMD_PROVE_H
#define FANAL_CMD_PROVE_H

#include <sodium.h>

#include "base/writer.h"
#include "cmd/local.h"
#include "record/field.h"

/* Rows kept in memory: about 1 KiB a record. */
#define PROVE_ROWS_BYTES_MAX ((size_t)2 << 30)
#define PROVE_PAGE_BYTES_MAX ((size_t)1 << 30)

/* HEAD, "question". */
enum prove_question { PROVE_STUDY = 1, PROVE_RESULT, PROVE_OBJECT, PROVE_ACCESS, PROVE_PERIOD };

struct prove {
    enum prove_question question;
    const char *asked;         /* FIELD_EVIDENCE */
    bool hashes_only;
    struct writer subject;     /* owned */
    uint64_t made_us;
    struct writer head;        /* the first row; owned */
    struct writer anchors;     /* rows, each behind its length (4); owned */
    struct writer records;     /* the same; owned */
    uint64_t record_count;
    uint64_t without_body;     /* documents whose body is damaged or gone, or whose key is: sealed */
};

/* The next row of p->anchors or p->records; false at the end. */
bool prove_row_next(struct reader *rows, struct span *row);

/* index.html. */
void prove_page(const struct prove *p, struct writer *out);

/* evidence.fanal into fd; asks the vault for entries, bodies and the signature. page: of index.html. */
bool prove_pack(struct prove *p, struct local *l, int fd, struct span page, struct error *err);

#endif
