/*
 * DICOM files (PS3.10 §7): where the data set begins and how it is encoded; the header of the files we write.
 */
#ifndef FANAL_DICOM_PART10_H
#define FANAL_DICOM_PART10_H

#include "base/error.h"
#include "base/writer.h"
#include "dicom/transfer_syntax.h"

/* A UUID-derived UID (PS3.5 §B.2) made once for this project, and a name for people (PS3.10 Table 7.1-1). */
#define IMPLEMENTATION_CLASS_UID    "2.25.278069496734996170643145820350834833144"
#define IMPLEMENTATION_VERSION_NAME "FANAL_01"

/* Enough of a file for part10_read(), whatever devices put into group 0002. */
#define PART10_HEAD_MAX ((size_t)1024 * 1024)

struct part10 {
    bool has_meta;             /* File Meta Information was there; else the syntax is a guess and the UIDs are empty */
    struct span sop_class_uid; /* borrow from head, padding trimmed; empty where absent */
    struct span sop_instance_uid;
    struct span transfer_syntax_uid;      /* never empty */
    const struct transfer_syntax *syntax; /* NULL for one that the table lacks */
    size_t data_set_offset;
};

/*
 * Reads the beginning of a file: with preamble, without, or a bare data set, whose syntax its first element
 * tells. head: the file's first bytes, PART10_HEAD_MAX of them or all. Group lengths are not trusted.
 * ERR_MALFORMED where it is no DICOM, ERR_TRUNCATED where it ends inside group 0002.
 */
bool part10_read(struct span head, struct part10 *out, struct error *err);

/*
 * Writes preamble and File Meta Information (PS3.10 §7.1) for a data set that follows unchanged.
 * source_ae: (0002,0016), left out where empty. ERR_MALFORMED for a UID that is none.
 */
bool part10_header(struct writer *out, struct span sop_class, struct span sop_uid, struct span transfer_syntax,
                   struct span source_ae, struct error *err);

#endif
