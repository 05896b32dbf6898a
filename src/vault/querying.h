/* What the files of the queries share; nobody else includes this. See query.h. */
#ifndef FANAL_VAULT_QUERYING_H
#define FANAL_VAULT_QUERYING_H

#include "record/field.h"
#include "vault/query.h"
#include "vault/sql.h"
#include "vault/views_schema.h"

#define QUERY_LIMIT_DEFAULT 100
#define QUERY_LIMIT_MAX 1000
#define QUERY_ROW_MAX ((size_t)16 * 1024 * 1024)

struct query {
    struct sql sql;
    struct store *store;
    struct writer row;
    struct writer scratch;
    /* of the call that runs */
    struct span request;
    bool enrolled;
    vault_row *give;
    void *context;
    bool ended; /* give() said no more, or a row did not fit */
};

/* Empties q->row; query_give() hands it over. False where no more rows are wanted. */
void query_row(struct query *q);
bool query_give(struct query *q);

struct span query_text(const struct query *q, enum field f);
int64_t query_limit(const struct query *q);

/* Copies every field of facts that is in the set, in the order of facts, groups and repetitions too. */
void query_copy(struct query *q, struct span facts, const enum field *fields, size_t count);
#define QUERY_COPY(q, facts, fields) query_copy((q), (facts), (fields), COUNT_OF(fields))
void query_put_column(struct query *q, enum field f, struct sql_call *c, int column);
void query_put_number(struct query *q, enum field f, struct sql_call *c, int column);

/* Row of the surviving patient of the request's patient_key. False with ERR_NOT_FOUND. */
bool query_patient_root(struct query *q, int64_t *root, struct error *err);

typedef bool query_function(struct query *q, struct error *err);
query_function query_patients, query_patient, query_observations, query_reports, query_studies, query_series,
    query_instances, query_instance, query_list, query_study_objects, query_sources, query_anchored, query_attention, query_journal,
    query_status, query_evidence;

/* The disk: reserve, rate, days that are left, alarm. */
void query_put_space(struct query *q, const struct store_status *s);

/* Parameter n: a key, whose patient the study s must be of; empty: anybody's. */
#define OF_PATIENT(n)                                                                                        \
    "(?" n " = '' OR s.patient IN (SELECT m.id FROM patient m JOIN patient k ON k.root = m.root WHERE k.key = ?" n "))"
#define MEMBERS "(SELECT id FROM patient WHERE root = ?1)" /* all identities of a surviving patient */
/* What the survivor is said to be; where nothing was said of it, what was last said of an identity linked to it. */
#define SAID(value, order)                                                                                   \
    "coalesce(nullif(p." value ", ''), (SELECT " value " FROM patient WHERE root = ?1 AND " value " <> ''"    \
    " ORDER BY " order " DESC LIMIT 1), '')"
/* What a served instance shows: a version of it that says otherwise makes it a conflict. */
#define STATE_SHOWN                                                                                          \
    "CASE WHEN o.state = 'facts-differ' THEN o.state WHEN o.served = 1 AND o.sop_uid IS NOT NULL AND EXISTS (SELECT 1 FROM object c WHERE"              \
    " c.sop_uid = o.sop_uid AND c.state = 'conflict') THEN 'conflict' ELSE o.state END"

/* Columns of list and attention: a state of its own for each row that somebody should look at, and why. */
#define LISTED                                                                                               \
    "position, kind, state, received, facts, first,"                                                         \
    " (SELECT d.fields FROM difference d WHERE d.position = object.position)"

#define QUERY_STATEMENTS(S)                                                                                           \
    S(Q_BEGIN, "BEGIN")                                                                                               \
    S(Q_END, "COMMIT")                                                                                                \
    S(Q_BY_BIRTH_DATE, "SELECT DISTINCT p.root FROM patient_word w JOIN patient p ON p.id = w.patient"                \
                       " WHERE w.birth_date = ?1 AND w.word >= ?2 AND w.word < ?2 || char(1114111) LIMIT ?3")         \
    S(Q_BY_BIRTH_RANGE, "SELECT DISTINCT p.root FROM patient_word w JOIN patient p ON p.id = w.patient"               \
                        " WHERE w.birth_date >= ?1 AND w.birth_date < ?1 || ':' AND w.word >= ?2"                     \
                        " AND w.word < ?2 || char(1114111) LIMIT ?3")                                                 \
    S(Q_BY_WORD, "SELECT DISTINCT p.id, p.root FROM patient_word w JOIN patient p ON p.id = w.patient"                \
                 " WHERE w.word >= ?1 AND w.word < ?1 || char(1114111)")                                              \
    S(Q_HAS_WORD, "SELECT 1 FROM patient_word WHERE patient = ?1 AND word >= ?2 AND word < ?2 || char(1114111) LIMIT 1") \
    S(Q_BY_IDENTIFIER, "SELECT DISTINCT p.root FROM patient_identifier i JOIN patient p ON p.id = i.patient"          \
                       " WHERE i.patient_id = ?1 AND (?2 = 0 OR i.issuer = ?3) LIMIT ?4")                             \
    S(Q_ROOT_OF, "SELECT root FROM patient WHERE key = ?1")                                                           \
    S(Q_PATIENT, "SELECT p.key, p.patient_id, p.issuer, " SAID("name", "name_order") ", "                             \
                 SAID("birth_date", "birth_order") ", " SAID("sex", "sex_order") ","                                  \
                 " (SELECT max(latest) FROM patient WHERE root = ?1),"                                                \
                 " (SELECT count(DISTINCT study_uid) FROM study WHERE patient IN " MEMBERS ")"                        \
                 " FROM patient p WHERE p.id = ?1")                                                                   \
    S(Q_DISCREPANCIES, "SELECT v.what, v.value, v.source, min(v.position) FROM patient_value v"                       \
                       " JOIN patient p ON p.id = ?1 WHERE v.patient IN " MEMBERS " AND v.folded <> coalesce("        \
                       "(SELECT x.folded FROM patient_value x WHERE x.patient IN " MEMBERS " AND x.what = v.what"     \
                       " AND x.value = CASE v.what WHEN 1 THEN p.name WHEN 2 THEN p.birth_date ELSE p.sex END"        \
                       " LIMIT 1), v.folded) GROUP BY v.what, v.folded ORDER BY v.what, 4")                           \
    S(Q_OTHER_IDS, "SELECT DISTINCT patient_id, issuer, id_type FROM patient_identifier WHERE patient IN " MEMBERS    \
                   " AND NOT (patient = ?1 AND own = 1) ORDER BY issuer, patient_id, id_type")                        \
    S(Q_ENCOUNTERS, "SELECT facts FROM encounter WHERE patient IN " MEMBERS " ORDER BY time DESC, position DESC")     \
    S(Q_OBSERVATION_TIME, "SELECT taken FROM observation WHERE id = ?1")                                              \
    /* The page is chosen in the index alone; facts are read for its rows only. */                                    \
    S(Q_OBSERVATIONS, "SELECT o.id, o.report, o.code, o.code_system, o.taken, v.status, v.received, v.source,"        \
                      " v.position, v.facts, v.id FROM (SELECT id, taken FROM observation WHERE patient IN " MEMBERS  \
                      " AND (taken < ?2 OR (taken = ?2 AND id > ?3)) ORDER BY taken DESC, id LIMIT ?4) page"          \
                      " JOIN observation o ON o.id = page.id JOIN observation_version v ON v.id = o.version"          \
                      " ORDER BY page.taken DESC, page.id")                                                           \
    S(Q_REPLACED, "SELECT status, received, facts FROM observation_version WHERE observation = ?1 AND id <> ?2"       \
                  " ORDER BY reported DESC, sent DESC, position DESC, id DESC LIMIT 20")                              \
    S(Q_MEMBERS, "SELECT id FROM patient WHERE root = ?1 ORDER BY id")                                                \
    S(Q_PREVIOUS, "SELECT o.taken, v.status, v.received, v.facts FROM observation o"                                  \
                  " JOIN observation_version v ON v.id = o.version"                                                   \
                  " WHERE o.patient = ?1 AND o.code = ?2 AND o.code_system = ?3 AND o.taken < ?4"                     \
                  " AND o.status NOT IN ('D', 'W', 'X', 'I', 'O', 'N') ORDER BY o.taken DESC LIMIT 1")                \
    S(Q_REPORTS, "SELECT id, facts, received, source, position FROM report WHERE patient IN " MEMBERS                 \
                 " ORDER BY collected DESC, id DESC")                                                                 \
    S(Q_STUDIES, "SELECT s.id, s.study_uid, s.study_date, s.study_time, s.study_description, s.accession,"            \
                 " s.referring_physician, s.institution, s.received, s.conflicts,"                                    \
                 " (SELECT sum(count) FROM series WHERE study = s.id),"                                               \
                 " (SELECT max(latest) FROM series WHERE study = s.id),"                                              \
                 " (SELECT count(*) FROM study o JOIN patient p ON p.id = o.patient WHERE o.study_uid = s.study_uid"  \
                 "  AND p.root <> ?1), s.differences"                                                                 \
                 " FROM study s WHERE s.patient IN " MEMBERS " ORDER BY s.study_date DESC, s.study_time DESC, s.id DESC") \
    S(Q_MODALITIES, "SELECT DISTINCT modality FROM series WHERE study = ?1 AND modality <> '' ORDER BY modality")     \
    S(Q_SERIES, "SELECT e.id, e.series_uid, e.modality, e.series_number, e.series_description, e.body_part,"          \
                " e.laterality, e.count, e.latest FROM study s JOIN series e ON e.study = s.id"                       \
                " WHERE s.study_uid = ?1 AND e.count > 0 AND " OF_PATIENT("2")                                        \
                " ORDER BY cast(e.series_number AS INTEGER), e.id")                                                   \
    S(Q_MIDDLE, "SELECT o.position, o.facts FROM object o WHERE o.series = ?1 AND o.served = 1"                       \
                " ORDER BY o.slice, o.number, o.position LIMIT 1 OFFSET ?2")                                          \
    S(Q_PLACE, "SELECT slice, number, series FROM object WHERE position = ?1")                                        \
    S(Q_SERIES_OF_UID, "SELECT e.id FROM series e JOIN study s ON s.id = e.study WHERE e.series_uid = ?1"             \
                       " AND e.id >= ?2 AND " OF_PATIENT("3") " ORDER BY e.id")                                       \
    S(Q_INSTANCES, "SELECT o.position, " STATE_SHOWN ", o.received, o.facts FROM object o WHERE o.series = ?1"        \
                   " AND o.served = 1 AND (o.slice, o.number, o.position) > (?2, ?3, ?4)"                             \
                   " ORDER BY o.slice, o.number, o.position LIMIT ?5")                                                \
    S(Q_INSTANCE, "SELECT o.position, " STATE_SHOWN ", o.received, o.facts, o.first, p.key FROM object o"             \
                  " LEFT JOIN patient own ON own.id = o.patient LEFT JOIN patient p ON p.id = own.root"               \
                  " WHERE o.position = ?1")                                                                           \
    S(Q_LIST, "SELECT " LISTED " FROM object WHERE position > ?1 AND (?2 = '' OR state = ?2)"                         \
              " AND (?3 = '' OR kind = ?3) ORDER BY position LIMIT ?4")                                               \
    S(Q_LIST_ODD, "SELECT " LISTED " FROM object WHERE state <> 'stored' AND state = ?2 AND position > ?1"            \
                  " AND (?3 = '' OR kind = ?3) ORDER BY position LIMIT ?4")                                           \
    S(Q_ATTENTION, "SELECT " LISTED " FROM object WHERE state IN (" STATES_TO_LOOK_AT ")"                             \
                   " ORDER BY position DESC LIMIT ?1")                                                                \
    S(Q_DAMAGE, "SELECT file, state, position, since, received, detail FROM damage WHERE state = 'damaged'"            \
                " OR received >= ?1 ORDER BY state, position DESC LIMIT ?2")                                          \
    S(Q_STUDY_OBJECTS, "SELECT o.position, o.state, o.facts FROM study s JOIN series e ON e.study = s.id"             \
                       " JOIN object o ON o.series = e.id AND o.served = 1 WHERE s.study_uid = ?1"                     \
                       " AND " OF_PATIENT("2") " ORDER BY o.position")                                                \
    S(Q_ANCHORED, "SELECT kind, name, max(position), size, stamped, received FROM anchor GROUP BY kind, name")         \
    S(Q_SOURCES, "SELECT name, kind, latest, count FROM source ORDER BY name")                                        \
    S(Q_JOURNAL, "SELECT position, received, facts FROM event WHERE position > ?1 ORDER BY position LIMIT ?2")        \
    S(Q_TALLY, "SELECT name, count FROM tally ORDER BY name")                                                         \
    S(Q_FOLDED, "SELECT value FROM fold WHERE name = 'position'")                                                     \
    S(Q_DAYS, "SELECT coalesce(sum(iif(day >= ?1, bytes, 0)), 0), min(day) FROM day WHERE day <= ?2")                 \
    S(Q_CHECKED, "SELECT value FROM fold WHERE name = 'checked'")                                                     \
    S(Q_SPACE_LEVEL, "SELECT value FROM fold WHERE name = 'space'")                                                   \
    S(Q_VERSIONS, "SELECT position FROM object WHERE sop_uid = ?1 AND state IN"                                       \
                  " ('stored', 'alternate', 'conflict', 'facts-differ') ORDER BY served DESC, position LIMIT ?2")     \
    S(Q_EVIDENCE_STUDY, "SELECT v.position FROM object v WHERE v.sop_uid IN (SELECT o.sop_uid FROM study s"           \
                        " JOIN series e ON e.study = s.id JOIN object o ON o.series = e.id AND o.served = 1"          \
                        " WHERE s.study_uid = ?1) ORDER BY v.position")                                               \
    S(Q_EVIDENCE_EVENTS, "SELECT position, facts FROM event ORDER BY position")                                       \
    S(Q_EVIDENCE_KEY, "SELECT 1 FROM patient WHERE root = ?1 AND key = ?2")                                           \
    S(Q_EVIDENCE_ID, "SELECT 1 FROM patient_identifier WHERE patient IN " MEMBERS " AND patient_id = ?2"               \
                      " AND (?3 = '' OR issuer = ?3) LIMIT 1")                                                        \
    S(Q_EVIDENCE_OF_STUDY, "SELECT 1 FROM study WHERE patient IN " MEMBERS " AND study_uid = ?2 LIMIT 1")             \
    S(Q_EVIDENCE_OF_SERIES, "SELECT 1 FROM series e JOIN study s ON s.id = e.study WHERE s.patient IN " MEMBERS       \
                            " AND e.series_uid = ?2 LIMIT 1")                                                         \
    S(Q_EVIDENCE_OBJECT, "SELECT 1 FROM object WHERE patient IN " MEMBERS " AND position = ?2")                       \
    S(Q_EVIDENCE_PERIOD, "SELECT coalesce(min(position), 0), coalesce(max(position) + 1, 0) FROM event"               \
                         " WHERE received >= ?1 AND received < ?2")

enum query_statement {
#define S(name, text) name,
    QUERY_STATEMENTS(S)
#undef S
        QUERY_STATEMENT_COUNT,
};

#endif
