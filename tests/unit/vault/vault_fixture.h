/* What the tests of views and vault share: a vault over the fake store in a directory of its own, records, rows. */
#ifndef FANAL_TEST_VAULT_FIXTURE_H
#define FANAL_TEST_VAULT_FIXTURE_H

#include "../test.h"
#include "fake_store.h"
#include "record/field.h"
#include "vault/vault.h"

struct fixture {
    char dir[64];
    struct vault_options options;
    struct vault *vault;
    struct vault_reader *reader;
    struct error err;
};

/* A new directory and an open vault. fixture_done() removes both. */
void fixture_init(struct fixture *f);
void fixture_done(struct fixture *f);
void fixture_reopen(struct fixture *f);
/* Without opening the vault again. */
void fixture_close(struct fixture *f);

/*
 * A field list from text: "patient_id=123;patient_name=DUPONT^Jean;report{filler_order=1;observation{code=K}}".
 * Names are those of field_list.h; a UINT is decimal. The span lives until fixture_done() or the 64th next list.
 */
struct span fields_of(const char *text);

/* Appends and commits. received in seconds since 1970, or 0: the next second. */
uint64_t put(struct fixture *f, enum record_kind kind, const char *facts);
uint64_t put_at(struct fixture *f, enum record_kind kind, uint64_t received_s, const char *facts);

/*
 * Rows of a query ("query=patients;patient_id=1") as text: one line a row, "name=value;…" in the order given,
 * groups in braces. Lives until the next find(). On error "error: <code>".
 */
const char *find(struct fixture *f, const char *request);
size_t find_count(struct fixture *f, const char *request);
/* The first row's value of a field at its top level; "" where there is none. Lives until the next but one. */
const char *find_value(struct fixture *f, const char *request, enum field field);
/* The patient_key under that identifier. */
const char *key_of(struct fixture *f, const char *patient_id);

#endif
