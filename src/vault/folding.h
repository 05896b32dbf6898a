/* What the files of the folder share; nobody else includes this. See folder.h. */
#ifndef FANAL_VAULT_FOLDING_H
#define FANAL_VAULT_FOLDING_H

#include "base/arena.h"
#include "record/field.h"
#include "vault/folder.h"
#include "vault/sql.h"

#define DIGEST_BYTES 16

struct digest {
    uint8_t bytes[DIGEST_BYTES];
};

#define CACHE_SLOTS 1024 /* direct-mapped: some associations and senders at once */

struct cache_slot {
    struct digest key;
    int64_t id;             /* 0: empty */
    struct digest contents; /* what was last seen under it */
};

struct cache {
    struct cache_slot slots[CACHE_SLOTS];
};

#define PENDING_COUNTS_MAX 64

/* Counters of one batch, written at its end. */
struct pending_count {
    char name[64];
    char kind[8];
    int64_t count;
    uint64_t latest;
};

/* What a batch adds to one day. */
struct pending_day {
    int64_t day; /* since 1970, by receipt */
    int64_t bytes, count;
};

#define FIELDS_MAX 600 /* above the numbers of field_list.h */

#define DEFERRED_SLOTS 64 /* direct-mapped by row id */

/* What many instances in a row change of the same rows, written when something else comes or the batch ends. */
struct series_change {
    int64_t series, count, latest;
};
struct folder {
    struct views *views; /* borrowed */
    struct sql sql;
    struct zone zone;
    uint8_t secret[FOLDER_SECRET_BYTES];
    struct cache patients, studies, series;
    struct pending_count tallies[PENDING_COUNTS_MAX], sources[PENDING_COUNTS_MAX];
    size_t tally_count, source_count;
    struct pending_day today; /* written when another day comes or the batch ends */
    struct series_change series_changes[DEFERRED_SLOTS];
    int64_t next_version; /* id of the next observation_version row; 0: not known */
    struct span top[FIELDS_MAX]; /* of the record being folded, by field number: first value at the top level */
    struct writer entry, head, scratch, news;
    struct ahead *ahead; /* borrowed; NULL: entries are read one by one */
    struct arena arena; /* of one record */
};

/* One record being folded. */
struct record {
    const struct entry *entry;
    struct span facts;
    const struct span *top; /* see struct folder */
    struct span state, source, patient_id, issuer;
    int64_t received;
    /* what became of it, for NEWS */
    int64_t patient; /* 0: none */
    struct span study_uid, series_uid;
};

/* The first value of that field at the top level of the record's facts; empty where there is none. */
static inline struct span record_text(const struct record *r, enum field f)
{
    return r->top[f];
}

/* Digest of parts with their lengths, keyed by the folder's secret. */
struct digest folder_digest_of(const struct folder *f, const struct span *parts, size_t count);
#define DIGEST_OF(f, ...) \
    folder_digest_of((f), (const struct span[]){ __VA_ARGS__ }, COUNT_OF(((const struct span[]){ __VA_ARGS__ })))

struct cache_slot *cache_slot_of(struct cache *c, const struct digest *key);

/* A moment as sent, put in order against the receipt: never far in its future, never negative. fallback if none. */
int64_t folder_moment(const struct folder *f, struct span text, struct span zone_text, int64_t received,
                      int64_t fallback);

/* Counts one more of a name ("series") or of a kind in a state ("dicom.stored"). */
void folder_count(struct folder *f, const char *name);
void folder_tally(struct folder *f, const char *kind, struct span state);

/* Adds to a series' instances; the row changes at the latest with folder_write_series(). */
void folder_count_series(struct folder *f, int64_t series, int64_t count, int64_t latest);
void folder_write_series(struct folder *f);

/* ---- patients ---- */

enum patient_what { WHAT_NAME = 1, WHAT_BIRTH_DATE = 2, WHAT_SEX = 3 };

/* HL7 comes from who administers patients; a modality's worklist copy or typing stands behind it. */
enum patient_rank { RANK_MODALITY = 0, RANK_ADMINISTRATION = 1 };

/*
 * The patient under issuer + identifier, made where new. Without identifier: the provisional one of `seed`
 * (a study UID, or a message's position).
 */
int64_t folder_patient(struct folder *f, struct span patient_id, struct span issuer, struct span seed);
/* Takes name, birth date and sex of the record's facts as said at `time` (µs). */
void folder_patient_seen(struct folder *f, const struct record *r, enum patient_rank rank, int64_t time);
void folder_patient_other_id(struct folder *f, int64_t patient, struct span group);
/* prior and survivor are one from now on, or (linked false) no longer. */
void folder_link(struct folder *f, const struct record *r, int64_t item, int64_t time, int64_t prior,
                 int64_t survivor, bool linked);

/* ---- kinds of records ---- */

void folder_dicom(struct folder *f, struct record *r);
void folder_message(struct folder *f, struct record *r);
void folder_fact(struct folder *f, struct record *r);

/* One REPORT group of a message. */
struct observation_counter;
struct message_times {
    int64_t sent;       /* MSH-7, else receipt */
    struct span zone;
};
void folder_report(struct folder *f, const struct record *r, const struct message_times *times, struct span group,
                   int64_t index, struct observation_counter *counter);
/* Tells repeated observations of one message apart. NULL without memory. */
struct observation_counter *observation_counter_new(struct folder *f, size_t observations);

/* ---- statements ---- */

/* Patients ?1 and ?2 and all that a link, undone or not, ever joined to them. */
#define LINKED_WITH                                                                                      \
    "WITH RECURSIVE linked (id) AS (VALUES (?1), (?2)"                                                   \
    " UNION SELECT survivor FROM identity_link JOIN linked ON prior = linked.id"                         \
    " UNION SELECT prior FROM identity_link JOIN linked ON survivor = linked.id) "

#define FOLD_STATEMENTS(S)                                                                                            \
    S(FOLD_BEGIN, "BEGIN IMMEDIATE")                                                                                  \
    S(FOLD_COMMIT, "COMMIT")                                                                                          \
    S(FOLD_READ, "SELECT value, bytes FROM fold WHERE name = 'position'")                                             \
    S(FOLD_WRITE, "INSERT INTO fold (name, value, bytes) VALUES ('position', ?1, ?2)"                                 \
                  " ON CONFLICT (name) DO UPDATE SET value = ?1, bytes = ?2")                                         \
    S(ADD_DAMAGED, "INSERT OR IGNORE INTO damaged (position) VALUES (?1)")                                            \
    S(SET_DAMAGE, "INSERT INTO damage (file, state, position, since, received, detail) VALUES (?1, ?2, ?3, ?4, ?4, ?5)" \
                  " ON CONFLICT (file) DO UPDATE SET since = iif(state = 'damaged', since, ?4), state = ?2,"          \
                  " position = ?3, received = ?4, detail = ?5")                                                       \
    S(ADD_EVENT, "INSERT INTO event (position, received, facts) VALUES (?1, ?2, ?3)")                                 \
    S(ADD_TALLY, "INSERT INTO tally (name, count) VALUES (?1, ?2)"                                                    \
                 " ON CONFLICT (name) DO UPDATE SET count = count + ?2")                                              \
    S(ADD_ANCHOR, "INSERT INTO anchor (position, kind, name, size, stamped, received) VALUES (?1, ?2, ?3, ?4, ?5, ?6)") \
    S(ADD_SOURCE, "INSERT INTO source (name, kind, latest, count) VALUES (?1, ?2, ?3, ?4)"                            \
                  " ON CONFLICT (name) DO UPDATE SET kind = ?2, latest = max(latest, ?3), count = count + ?4")        \
    S(ADD_DAY, "INSERT INTO day (day, bytes, count) VALUES (?1, ?2, ?3)"                                              \
               " ON CONFLICT (day) DO UPDATE SET bytes = bytes + ?2, count = count + ?3")                             \
    S(SET_SPACE, "INSERT INTO fold (name, value, bytes) VALUES ('space', ?1, x'')"                                    \
                 " ON CONFLICT (name) DO UPDATE SET value = ?1")                                                      \
    S(SET_CHECKED, "INSERT INTO fold (name, value, bytes) VALUES ('checked', ?1, x'')"                                \
                   " ON CONFLICT (name) DO UPDATE SET value = max(value, ?1)")                                        \
    S(ADD_DIFFERENCE, "INSERT INTO difference (position, fields) VALUES (?1, ?2)"                                     \
                      " ON CONFLICT (position) DO UPDATE SET fields = ?2")                                            \
    S(OBJECT_DIFFERS, "UPDATE object SET state = 'facts-differ' WHERE position = ?1"                                  \
                      " AND state IN ('stored', 'alternate', 'conflict') RETURNING patient, series, kind")            \
    S(STUDY_DIFFERS, "UPDATE study SET differences = differences + 1 WHERE id ="                                      \
                     " (SELECT study FROM series WHERE id = ?1) RETURNING study_uid")                                 \
    S(ADD_OBJECT, "INSERT INTO object (position, kind, state, received, served, patient, series, sop_uid, first,"     \
                  " slice, number, facts) VALUES (?1, ?2, ?3, ?4, ?5, nullif(?6, 0), nullif(?7, 0), nullif(?8, ''),"  \
                  " nullif(?9, -1), ?10, ?11, ?12)")                                                                  \
    S(PATIENT_OF, "SELECT id FROM patient WHERE key = ?1")                                                            \
    S(PATIENT_NEXT, "SELECT coalesce(max(id), 0) + 1 FROM patient")                                                   \
    S(ADD_PATIENT, "INSERT INTO patient (id, key, patient_id, issuer, root) VALUES (?1, ?2, ?3, ?4, ?1)")             \
    S(SEE_PATIENT,                                                                                                    \
      "UPDATE patient SET latest = max(latest, ?2),"                                                                  \
      " name = iif(?4 <> '' AND ?3 >= name_order, ?4, name),"                                                         \
      " name_order = iif(?4 <> '' AND ?3 >= name_order, ?3, name_order),"                                             \
      " birth_date = iif(?5 <> '' AND ?3 >= birth_order, ?5, birth_date),"                                            \
      " birth_order = iif(?5 <> '' AND ?3 >= birth_order, ?3, birth_order),"                                          \
      " sex = iif(?6 <> '' AND ?3 >= sex_order, ?6, sex),"                                                            \
      " sex_order = iif(?6 <> '' AND ?3 >= sex_order, ?3, sex_order) WHERE id = ?1")                                  \
    S(COUNT_VALUES, "SELECT count(*) FROM patient_value WHERE patient = ?1 AND what = ?2")                            \
    S(ADD_VALUE, "INSERT OR IGNORE INTO patient_value (patient, what, value, folded, position, source)"               \
                 " VALUES (?1, ?2, ?3, ?4, ?5, ?6)")                                                                  \
    S(VALUES_OF, "SELECT value FROM patient_value WHERE patient = ?1 AND what = ?2 ORDER BY position, value")         \
    S(ADD_WORD, "INSERT OR IGNORE INTO patient_word (birth_date, word, patient) VALUES (?1, ?2, ?3)")                 \
    S(ADD_IDENTIFIER, "INSERT INTO patient_identifier (patient_id, issuer, patient, id_type, own)"                    \
                      " VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO UPDATE SET id_type = iif(id_type = '', ?4, id_type)," \
                      " own = max(own, ?5)")                                                                          \
    S(ADD_LINK, "INSERT INTO identity_link (position, item, time, prior, survivor, linked)"                           \
                " VALUES (?1, ?2, ?3, ?4, ?5, ?6)")                                                                   \
    S(GROUP_OF, LINKED_WITH "SELECT id FROM linked ORDER BY id")                                                     \
    S(LINKS_OF, LINKED_WITH "SELECT prior, survivor, linked FROM identity_link"                                       \
                            " WHERE prior IN (SELECT id FROM linked) ORDER BY time, position, item")                  \
    S(SET_ROOT, "UPDATE patient SET root = ?2 WHERE id = ?1")                                                         \
    S(ROOT_KEY, "SELECT r.key FROM patient p JOIN patient r ON r.id = p.root WHERE p.id = ?1")                        \
    S(ENCOUNTER_OF, "SELECT time, facts FROM encounter WHERE patient = ?1 AND visit_number = ?2")                     \
    S(SET_ENCOUNTER, "INSERT INTO encounter (patient, visit_number, time, position, facts) VALUES (?1, ?2, ?3, ?4, ?5)" \
                     " ON CONFLICT DO UPDATE SET time = ?3, position = ?4, facts = ?5")                               \
    S(SERVED_OF, "SELECT o.position, o.series, s.study FROM object o JOIN series s ON s.id = o.series"                \
                 " WHERE o.sop_uid = ?1 AND o.served = 1")                                                            \
    S(UNSERVE, "UPDATE object SET served = 0 WHERE position = ?1")                                                    \
    S(STUDY_OF, "SELECT id FROM study WHERE study_uid = ?1 AND patient = ?2")                                         \
    S(ADD_STUDY, "INSERT INTO study (study_uid, patient, received, study_date, study_time, study_description,"        \
                 " accession, referring_physician, institution) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)")         \
    S(FILL_STUDY, "UPDATE study SET study_date = iif(study_date = '', ?2, study_date),"                               \
                  " study_time = iif(study_time = '', ?3, study_time),"                                               \
                  " study_description = iif(study_description = '', ?4, study_description),"                          \
                  " accession = iif(accession = '', ?5, accession),"                                                  \
                  " referring_physician = iif(referring_physician = '', ?6, referring_physician),"                    \
                  " institution = iif(institution = '', ?7, institution) WHERE id = ?1")                              \
    S(STUDY_CONFLICT, "UPDATE study SET conflicts = conflicts + 1 WHERE id = ?1 RETURNING patient")                    \
    S(SERIES_OF, "SELECT id FROM series WHERE series_uid = ?1 AND study = ?2")                                        \
    S(ADD_SERIES, "INSERT INTO series (series_uid, study, modality, series_number, series_description, body_part,"    \
                  " laterality) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")                                                 \
    S(FILL_SERIES, "UPDATE series SET modality = iif(modality = '', ?2, modality),"                                   \
                   " series_number = iif(series_number = '', ?3, series_number),"                                     \
                   " series_description = iif(series_description = '', ?4, series_description),"                      \
                   " body_part = iif(body_part = '', ?5, body_part),"                                                 \
                   " laterality = iif(laterality = '', ?6, laterality) WHERE id = ?1")                                \
    S(COUNT_SERIES, "UPDATE series SET count = count + ?2, latest = max(latest, ?3) WHERE id = ?1")                   \
    S(REPORT_OF, "SELECT id, reported, sent, position FROM report WHERE patient = ?1 AND identity = ?2")              \
    S(ADD_REPORT, "INSERT INTO report (patient, identity, reported, sent, position, received, collected, source, facts)" \
                  " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)")                                                     \
    S(SET_REPORT, "UPDATE report SET reported = ?2, sent = ?3, position = ?4, received = ?5, collected = ?6,"         \
                  " source = ?7, facts = ?8 WHERE id = ?1")                                                           \
    S(OBSERVATION_OF, "SELECT o.id, v.reported, v.sent, v.position FROM observation o"                                \
                      " JOIN observation_version v ON v.id = o.version WHERE o.patient = ?1 AND o.identity = ?2")     \
    S(ADD_OBSERVATION, "INSERT INTO observation (patient, report, identity, code, code_system, taken, status, version)" \
                       " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")                                                    \
    S(SET_OBSERVATION, "UPDATE observation SET report = ?2, taken = ?3, status = ?4, version = ?5 WHERE id = ?1")     \
    S(NEXT_VERSION, "SELECT coalesce(max(id), 0) + 1 FROM observation_version")                                       \
    S(ADD_VERSION, "INSERT INTO observation_version (id, observation, reported, sent, position, received, taken,"     \
                   " status, source, facts) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)")

enum fold_statement {
#define S(name, text) name,
    FOLD_STATEMENTS(S)
#undef S
        FOLD_STATEMENT_COUNT,
};

#endif
