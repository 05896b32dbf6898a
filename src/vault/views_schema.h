/*
 * The tables of the views (docs/views.md, "Tables"). STRICT, ids of our own given in log order, so that the
 * same log makes the same rows; every table has an order for the canonical dump.
 */
#ifndef FANAL_VAULT_VIEWS_SCHEMA_H
#define FANAL_VAULT_VIEWS_SCHEMA_H

/* name, columns, order of the dump */
#define VIEW_TABLES(TABLE)                                                                                         \
    TABLE(fold, "name TEXT PRIMARY KEY, value INTEGER NOT NULL, bytes BLOB NOT NULL", "name")                      \
    TABLE(patient,                                                                                                 \
          "id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, patient_id TEXT NOT NULL, issuer TEXT NOT NULL,"      \
          " root INTEGER NOT NULL, latest INTEGER NOT NULL DEFAULT 0,"                                             \
          " name TEXT NOT NULL DEFAULT '', name_order INTEGER NOT NULL DEFAULT -1,"                                \
          " birth_date TEXT NOT NULL DEFAULT '', birth_order INTEGER NOT NULL DEFAULT -1,"                         \
          " sex TEXT NOT NULL DEFAULT '', sex_order INTEGER NOT NULL DEFAULT -1",                                  \
          "id")                                                                                                    \
    TABLE(patient_value,                                                                                           \
          "patient INTEGER NOT NULL, what INTEGER NOT NULL, value TEXT NOT NULL, folded TEXT NOT NULL,"            \
          " position INTEGER NOT NULL, source TEXT NOT NULL, PRIMARY KEY (patient, what, value)",                  \
          "patient, what, value")                                                                                  \
    TABLE(patient_word,                                                                                            \
          "birth_date TEXT NOT NULL, word TEXT NOT NULL, patient INTEGER NOT NULL,"                                \
          " PRIMARY KEY (birth_date, word, patient)",                                                              \
          "birth_date, word, patient")                                                                             \
    TABLE(patient_identifier,                                                                                      \
          "patient_id TEXT NOT NULL, issuer TEXT NOT NULL, patient INTEGER NOT NULL, id_type TEXT NOT NULL,"       \
          " own INTEGER NOT NULL, PRIMARY KEY (patient_id, issuer, patient)",                                      \
          "patient_id, issuer, patient")                                                                           \
    TABLE(identity_link,                                                                                           \
          "position INTEGER NOT NULL, item INTEGER NOT NULL, time INTEGER NOT NULL, prior INTEGER NOT NULL,"       \
          " survivor INTEGER NOT NULL, linked INTEGER NOT NULL, PRIMARY KEY (position, item)",                     \
          "position, item")                                                                                        \
    TABLE(encounter,                                                                                               \
          "patient INTEGER NOT NULL, visit_number TEXT NOT NULL, time INTEGER NOT NULL,"                           \
          " position INTEGER NOT NULL, facts BLOB NOT NULL, PRIMARY KEY (patient, visit_number)",                  \
          "patient, visit_number")                                                                                 \
    TABLE(object,                                                                                                  \
          "position INTEGER PRIMARY KEY, kind TEXT NOT NULL, state TEXT NOT NULL, received INTEGER NOT NULL,"      \
          " served INTEGER NOT NULL, patient INTEGER, series INTEGER, sop_uid TEXT, first INTEGER,"                \
          " slice INTEGER NOT NULL DEFAULT 0, number INTEGER NOT NULL DEFAULT 0, facts BLOB NOT NULL",             \
          "position")                                                                                              \
    TABLE(study,                                                                                                   \
          "id INTEGER PRIMARY KEY, patient INTEGER NOT NULL, study_uid TEXT NOT NULL, received INTEGER NOT NULL,"  \
          " conflicts INTEGER NOT NULL DEFAULT 0, differences INTEGER NOT NULL DEFAULT 0, study_date TEXT NOT NULL, study_time TEXT NOT NULL,"             \
          " study_description TEXT NOT NULL, accession TEXT NOT NULL, referring_physician TEXT NOT NULL,"          \
          " institution TEXT NOT NULL, UNIQUE (study_uid, patient)",                                               \
          "id")                                                                                                    \
    TABLE(series,                                                                                                  \
          "id INTEGER PRIMARY KEY, study INTEGER NOT NULL, series_uid TEXT NOT NULL,"                              \
          " count INTEGER NOT NULL DEFAULT 0, latest INTEGER NOT NULL DEFAULT 0, modality TEXT NOT NULL,"          \
          " series_number TEXT NOT NULL, series_description TEXT NOT NULL, body_part TEXT NOT NULL,"               \
          " laterality TEXT NOT NULL, UNIQUE (series_uid, study)",                                                 \
          "id")                                                                                                    \
    TABLE(report,                                                                                                  \
          "id INTEGER PRIMARY KEY, patient INTEGER NOT NULL, identity BLOB NOT NULL, reported INTEGER NOT NULL,"   \
          " sent INTEGER NOT NULL, position INTEGER NOT NULL, received INTEGER NOT NULL, collected INTEGER NOT NULL," \
          " source TEXT NOT NULL, facts BLOB NOT NULL, UNIQUE (patient, identity)",                                \
          "id")                                                                                                    \
    TABLE(observation,                                                                                             \
          "id INTEGER PRIMARY KEY, patient INTEGER NOT NULL, report INTEGER NOT NULL, identity BLOB NOT NULL,"     \
          " code TEXT NOT NULL, code_system TEXT NOT NULL, taken INTEGER NOT NULL, status TEXT NOT NULL,"          \
          " version INTEGER NOT NULL, UNIQUE (patient, identity)",                                                 \
          "id")                                                                                                    \
    TABLE(observation_version,                                                                                     \
          "id INTEGER PRIMARY KEY, observation INTEGER NOT NULL, reported INTEGER NOT NULL, sent INTEGER NOT NULL," \
          " position INTEGER NOT NULL, received INTEGER NOT NULL, taken INTEGER NOT NULL, status TEXT NOT NULL,"   \
          " source TEXT NOT NULL, facts BLOB NOT NULL",                                                            \
          "id")                                                                                                    \
    TABLE(event, "position INTEGER PRIMARY KEY, received INTEGER NOT NULL, facts BLOB NOT NULL", "position")       \
    TABLE(anchor,                                                                                                  \
          "position INTEGER PRIMARY KEY, kind TEXT NOT NULL, name TEXT NOT NULL, size INTEGER NOT NULL,"           \
          " stamped INTEGER NOT NULL, received INTEGER NOT NULL",                                                  \
          "position")                                                                                              \
    TABLE(source, "name TEXT PRIMARY KEY, kind TEXT NOT NULL, latest INTEGER NOT NULL, count INTEGER NOT NULL",    \
          "name")                                                                                                  \
    TABLE(tally, "name TEXT PRIMARY KEY, count INTEGER NOT NULL", "name")                                          \
    TABLE(difference, "position INTEGER PRIMARY KEY, fields TEXT NOT NULL", "position")                            \
    TABLE(day, "day INTEGER PRIMARY KEY, bytes INTEGER NOT NULL, count INTEGER NOT NULL", "day")                   \
    TABLE(damage,                                                                                                  \
          "file TEXT PRIMARY KEY, state TEXT NOT NULL, position INTEGER NOT NULL, since INTEGER NOT NULL,"         \
          " received INTEGER NOT NULL, detail TEXT NOT NULL",                                                      \
          "file")                                                                                                  \
    TABLE(damaged, "position INTEGER PRIMARY KEY", "position")

/* Of objects that somebody should look at. */
#define STATES_TO_LOOK_AT "'refused', 'not-understood', 'conflict', 'facts-differ'"

/* What folding looks up by. */
#define VIEW_INDEXES_TO_FOLD(INDEX)                                                 \
    INDEX("CREATE INDEX identity_link_prior ON identity_link (prior)")              \
    INDEX("CREATE INDEX identity_link_survivor ON identity_link (survivor)")        \
    INDEX("CREATE INDEX object_sop ON object (sop_uid) WHERE sop_uid IS NOT NULL")

/* What only queries look up by: a rebuild makes them when the rows are there. */
#define VIEW_INDEXES_TO_QUERY(INDEX)                                                                             \
    INDEX("CREATE INDEX patient_root ON patient (root)")                                                         \
    INDEX("CREATE INDEX patient_word_first ON patient_word (word, patient)")                                     \
    INDEX("CREATE INDEX patient_word_of ON patient_word (patient, word)")                                        \
    INDEX("CREATE INDEX patient_identifier_of ON patient_identifier (patient)")                                  \
    INDEX("CREATE INDEX object_order ON object (series, slice, number) WHERE served = 1")                        \
    INDEX("CREATE INDEX object_attention ON object (position)" " WHERE state IN (" STATES_TO_LOOK_AT ")")        \
    INDEX("CREATE INDEX object_odd ON object (state, position) WHERE state <> 'stored'")                         \
    INDEX("CREATE INDEX anchor_latest ON anchor (kind, name, position)")                                         \
    INDEX("CREATE INDEX study_patient ON study (patient)")                                                       \
    INDEX("CREATE INDEX series_study ON series (study)")                                                         \
    INDEX("CREATE INDEX report_patient ON report (patient, collected DESC)")                                     \
    INDEX("CREATE INDEX observation_latest ON observation (patient, taken DESC)")                                \
    INDEX("CREATE INDEX observation_code ON observation (patient, code, code_system, taken)")                    \
    INDEX("CREATE INDEX observation_version_of ON observation_version (observation, reported, sent, position)")

#endif
