/*
 * DIR of a twin, beside its vault (docs/twin.md): twin.pem, the key and certificate it shows to its first; fanal.conf with
 * [follow].
 */
#ifndef FANAL_CMD_TWIN_DIR_H
#define FANAL_CMD_TWIN_DIR_H

#include "base/error.h"
#include "base/writer.h"
#include "channel/pinned.h"
#include "cmd/conf.h"

#define TWIN_PEM_BYTES_MAX ((size_t)16 * 1024)

/* Whether DIR is a twin. */
bool twin_dir_is(const char *dir);

/* Key and certificate, PEM, appended; made the first time. */
bool twin_pem_read(const char *dir, struct writer *pem, struct error *err);
/* START of the process that pulls. */
bool pull_settings(const char *dir, const struct conf *conf, struct writer *out, struct error *err);

/* Makes DIR a twin: directory, vault, twin.pem, fanal.conf. first and pin may be empty (a twin that takes folders). */
bool twin_dir_make(const char *dir, const char *first, const char *pin, struct error *err);

/*
 * fanal.conf after a promotion: the first's text (vault/first.conf) without its [listen], [twin …] and [follow], with the
 * twin's own [listen]. The twin's is kept as fanal.conf.twin. Where the first's is not there the twin's stays. Anchors whose
 * `ca` is not on this machine are commented out, and said on standard output.
 */
bool twin_conf_promote(const char *dir, struct error *err);
/* The text of it, for tests: own and first are whole configurations. */
void twin_conf_merge(struct span own, struct span first, struct writer *out);
/*
 * The text with a # before every line of the sections that begin in these lines (counted from 1, ascending): anchors whose
 * `ca` is a file of the first's, without which serve would not start here.
 */
void twin_conf_comment(struct span text, const unsigned *lines, size_t count, struct writer *out);

#endif
