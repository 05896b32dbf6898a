/*
 * index.html of an evidence pack: what it shows, what is proven, how to check it, in French and English, and the records
 * in words. One file, no script, nothing loaded: it must open on any machine of a court, in twenty years.
 */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "cmd/prove.h"
#include "record/kind.h"

enum language { FRENCH, ENGLISH, LANGUAGES };

/* Text of anybody in HTML: escaped, control characters as spaces. */
static void write_escaped(struct writer *w, struct span text)
{
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.ptr[i];

        if (c == '<')
            write_str(w, "&lt;");
        else if (c == '>')
            write_str(w, "&gt;");
        else if (c == '&')
            write_str(w, "&amp;");
        else if (c == '"')
            write_str(w, "&quot;");
        else
            write_u8(w, c < 0x20 || c == 0x7f ? ' ' : c);
    }
}

static const char style[] =
    "body{font:16px/1.5 system-ui,sans-serif;color:#1a1a1a;background:#fff;max-width:62rem;margin:2rem auto;padding:0 1rem}"
    "h1{font-size:1.6rem;margin-bottom:.2rem}h2{font-size:1.2rem;margin-top:2rem}"
    "section{border-top:3px solid #a04000;margin-top:2rem;padding-top:.5rem}"
    "table{border-collapse:collapse;width:100%;font-size:.9rem}th,td{text-align:left;vertical-align:top;padding:.3rem .5rem;"
    "border-bottom:1px solid #ccc;overflow-wrap:anywhere}th{background:#f3f0ec}"
    "th,td:nth-child(-n+3){overflow-wrap:normal}td:first-child{white-space:nowrap}"
    "code,pre{font:.85rem/1.4 ui-monospace,monospace;background:#f3f0ec}pre{padding:.6rem;white-space:pre-wrap;overflow-wrap:anywhere}"
    "code{overflow-wrap:anywhere}a{color:#7a3000}@media print{body{margin:0;max-width:none}}";

static const char *const question_words[][LANGUAGES] = {
    [PROVE_STUDY] = { "les images d’un examen (Study Instance UID)", "the images of one study (Study Instance UID)" },
    [PROVE_RESULT] = { "un message de résultats (numéro d’enregistrement)", "one result message (record number)" },
    [PROVE_OBJECT] = { "un objet (numéro d’enregistrement)", "one object (record number)" },
    [PROVE_ACCESS] = { "qui a consulté les données d’un patient (émetteur de l’identifiant, identifiant)",
                       "who has seen a patient’s data (issuer of the identifier, identifier)" },
    [PROVE_PERIOD] = { "tous les événements d’une période", "all events of a period" },
};

static const struct {
    const char *title, *shows, *proven, *how, *limits, *complete[PROVE_PERIOD + 1];
} texts[LANGUAGES] = {
    [FRENCH] = {
        "Dossier de preuve",
        "<p>Ce dossier est fait par Fanal, l’archive de continuité d’un hôpital. Fanal écrit tout ce qu’il reçoit et tout ce qui s’y "
        "passe, dans l’ordre, dans un journal que l’on ne peut que prolonger. Le dossier contient les enregistrements "
        "ci-dessous tels qu’ils sont écrits, chiffrés, avec pour chacun la clé qui n’ouvre que lui.</p>",
        "<ul><li>Chaque enregistrement était dans le journal, à son numéro, quand le point de contrôle (<i>checkpoint</i>) "
        "ci-dessous a été signé, et pas un bit n’en a changé depuis. C’est un calcul que chacun peut refaire (arbre de Merkle, "
        "RFC 9162).</li><li>La clé donnée est bien celle de l’enregistrement : une autre clé ne peut pas lui faire dire autre chose."
        "</li><li>Si le point de contrôle est horodaté (RFC 3161) ou contresigné par un témoin, l’enregistrement existait à cette "
        "date. L’heure de réception, elle, est celle de l’horloge de Fanal.</li></ul>",
        "<p>Avec le programme <code>fanal-verify</code>, petit, indépendant de Fanal et sans réseau, et avec la clé publique du "
        "journal obtenue <em>ailleurs</em> que dans ce dossier (procès-verbal, point de contrôle imprimé, témoin) :</p>",
        "<ul><li>Que l’image ou le résultat reçu soit juste, ou qui se trouvait devant l’écran, n’est pas prouvé.</li><li>Cette page "
        "est une aide à la lecture. Ses mots sont ceux du détenteur de Fanal ; <code>fanal-verify --extract</code> écrit ce que les "
        "enregistrements disent eux-mêmes.</li></ul>",
        { [PROVE_STUDY] = "Toutes les versions reçues des images que Fanal rattache à cet examen.",
          [PROVE_RESULT] = "Ce seul enregistrement.", [PROVE_OBJECT] = "Ce seul enregistrement.",
          [PROVE_ACCESS] = "Les événements sont <em>recherchés</em> par les identifiants, examens, séries et enregistrements du patient. Qu’aucun ne "
          "manque n’est pas prouvé ici : un dossier de toute la période le prouve. Les recherches par nom ou date de naissance "
          "ne nomment aucun patient et n’y figurent pas.",
          [PROVE_PERIOD] = "La période est complète : chaque numéro, du premier au dernier, est présent et sa nature est prouvée. Les événements sont ouverts ; "
          "les autres enregistrements restent fermés (« scellé »)." },
    },
    [ENGLISH] = {
        "Evidence pack",
        "<p>This pack was made by Fanal, the continuity archive of a hospital. Fanal writes all that it receives and all that happens in it, "
        "in order, into a log that can only be continued. The pack holds the records below as they are written, encrypted, each "
        "with the key that opens it and nothing else.</p>",
        "<ul><li>Each record was in the log, at its number, when the checkpoint below was signed, and not one bit of it has changed "
        "since. Anybody can do that calculation again (Merkle tree, RFC 9162).</li><li>The key given is the record’s own: no other "
        "key can make it say anything else.</li><li>Where the checkpoint is time-stamped (RFC 3161) or cosigned by a witness, the "
        "record existed by then. The time of receipt is that of Fanal’s clock.</li></ul>",
        "<p>With the program <code>fanal-verify</code>, which is small, independent of Fanal and uses no network, and with the log’s "
        "public key obtained <em>elsewhere</em> than from this pack (minutes, a printed checkpoint, a witness):</p>",
        "<ul><li>That an image or a result is right, or who sat in front of the screen, is not proven.</li><li>This page helps to read. "
        "Its words are those of Fanal’s operator; <code>fanal-verify --extract</code> writes what the records say themselves.</li></ul>",
        { [PROVE_STUDY] = "Every version received of the images that Fanal counts to this study.", [PROVE_RESULT] = "This one record.",
          [PROVE_OBJECT] = "This one record.",
          [PROVE_ACCESS] = "The events are <em>found</em> by the patient’s identifiers, studies, series and records. That none is left out is not proven here: a "
          "pack of the whole period proves it. Searches by name or birth date name no patient and are not in it.",
          [PROVE_PERIOD] = "The period is complete: each number from the first to the last is there, and what kind of record it is, is proven. "
          "Events are opened; other records stay closed (“sealed”)." },
    },
};

static const char *const headings[LANGUAGES][5] = {
    [FRENCH] = { "Ce que montre ce dossier", "Ce qui est prouvé", "Ce que « complet » veut dire", "Comment vérifier", "Ce qui n’est pas prouvé" },
    [ENGLISH] = { "What this pack shows", "What is proven", "What “complete” means", "How to check it", "What is not proven" },
};

static void write_heading(struct writer *w, enum language l, unsigned n)
{
    write_printf(w, "<h2>%s</h2>\n", headings[l][n]);
}

static void write_section(struct writer *w, const struct prove *p, enum language l)
{
    write_printf(w, "<section lang=\"%s\" id=\"%s\">\n<h1>%s</h1>\n", l == FRENCH ? "fr" : "en", l == FRENCH ? "fr" : "en",
                 texts[l].title);
    write_heading(w, l, 0);
    write_str(w, texts[l].shows);
    write_printf(w, l == FRENCH ? "<p>Objet : <strong>%s : " : "<p>Subject: <strong>%s: ", question_words[p->question][l]);
    write_escaped(w, writer_span(&p->subject));
    write_str(w, "</strong></p>\n");
    if (p->hashes_only)
        write_str(w, l == FRENCH ? "<p>Ce dossier ne contient que des empreintes : ni clés, ni contenus.</p>\n"
                                 : "<p>This pack holds hashes only: neither keys nor contents.</p>\n");
    write_heading(w, l, 1);
    write_str(w, texts[l].proven);
    write_heading(w, l, 2);
    write_printf(w, "<p>%s</p>\n", texts[l].complete[p->question]);
    write_heading(w, l, 3);
    write_str(w, texts[l].how);
    write_printf(w, "<pre>fanal-verify --key %s</pre>\n<p>%s</p>\n", l == FRENCH ? "CLÉ DOSSIER" : "KEY FOLDER",
                 l == FRENCH ? "La réponse est « yes » (code 0) ou « no » (code 1), avec la raison."
                             : "The answer is “yes” (exit code 0) or “no” (exit code 1), and why.");
    write_heading(w, l, 4);
    write_str(w, texts[l].limits);
    write_str(w, "</section>\n");
}

static void write_checkpoints(struct writer *w, const struct prove *p)
{
    struct reader rows = reader_over(writer_span(&p->anchors));
    struct span row;

    write_str(w, "<section id=\"checkpoint\">\n<h2>Point de contrôle · Checkpoint</h2>\n<pre>");
    for (struct span note = fields_text(writer_span(&p->head), FIELD_SIGNED_NOTE); note.len > 0;) {
        size_t line = span_index(note, '\n');

        write_escaped(w, span_part(note, 0, line));
        write_str(w, "\n");
        note = span_part(note, line + 1, note.len);
    }
    write_str(w, "</pre>\n<p>Clé que ce dossier annonce, à comparer avec celle obtenue ailleurs · Key that this pack names, to be compared "
                 "with the one obtained elsewhere:</p>\n<pre>");
    write_escaped(w, fields_text(writer_span(&p->head), FIELD_VKEY));
    write_str(w, "</pre>\n");
    while (prove_row_next(&rows, &row)) {
        bool stamped = fields_text(row, FIELD_STAMP_TOKEN).len > 0;

        write_printf(w, "<p>%llu : %s</p>\n", (unsigned long long)fields_uint(row, FIELD_TREE_SIZE, 0),
                     stamped ? "horodaté · time-stamped (RFC 3161)" : "connu ailleurs · known elsewhere (C2SP)");
    }
    write_str(w, "</section>\n");
}

/* ---- records ---- */

static const struct {
    const char *event, *words;
} events[] = {
    { "patients.searched", "a cherché un patient · searched for a patient" },
    { "patient.opened", "a ouvert un patient · opened a patient" },
    { "results.opened", "a ouvert les résultats · opened the results" },
    { "study.opened", "a ouvert un examen · opened a study" },
    { "series.opened", "a ouvert une série · opened a series" },
    { "object.read", "a lu un enregistrement · read a record" },
    { "study.exported", "a exporté un examen · exported a study" },
    { "signed-in", "s’est connecté · signed in" },
    { "sign-in.refused", "connexion refusée · sign-in refused" },
    { "sign-out", "s’est déconnecté · signed out" },
    { "evidence.made", "a fait un dossier de preuve · made an evidence pack" },
};

static const char *kind_words(uint64_t kind)
{
    switch ((enum record_kind)kind) {
    case RECORD_DICOM:
        return "image · object";
    case RECORD_HL7:
        return "message";
    case RECORD_FACT:
        return "fait · fact";
    case RECORD_EVENT:
        return "événement · event";
    case RECORD_RULE:
        return "règle · rule";
    }
    return "?";
}

static void write_event(struct writer *w, struct span row)
{
    struct span event = fields_text(row, FIELD_EVENT);

    if (event.len == 0)
        return;
    write_str(w, "<strong>");
    write_escaped(w, fields_text(row, FIELD_ACTOR));
    write_str(w, "</strong> ");
    for (size_t i = 0; i < COUNT_OF(events); i++)
        if (span_equal(event, span_str(events[i].event)))
            write_printf(w, "%s ", events[i].words);
    write_str(w, "<code>");
    write_escaped(w, event);
    write_str(w, "</code> ");
}

static void write_words(struct writer *w, struct span row)
{
    static const enum field shown[] = {
        FIELD_OUTCOME,    FIELD_ADDRESS,      FIELD_REASON,   FIELD_DETAIL,       FIELD_SOURCE,   FIELD_STATE,
        FIELD_FACT,       FIELD_PATIENT_NAME, FIELD_PATIENT_ID, FIELD_ISSUER,     FIELD_MODALITY, FIELD_STUDY_DESCRIPTION,
        FIELD_STUDY_UID,  FIELD_SERIES_UID,   FIELD_SOP_UID,  FIELD_MESSAGE_TYPE, FIELD_TRIGGER,  FIELD_CONTROL_ID,
    };
    struct span about;
    bool first = true;

    write_event(w, row);
    if (fields_find(row, FIELD_FIRST_POSITION, &about)) {
        write_printf(w, "n° %llu", (unsigned long long)field_uint(about));
        first = false;
    }
    for (size_t i = 0; i < COUNT_OF(shown); i++) {
        struct span value = fields_text(row, shown[i]);

        if (value.len == 0)
            continue;
        write_printf(w, "%s%s ", first ? "" : "; ", field_name(shown[i]));
        write_escaped(w, value);
        first = false;
    }
}

static void write_record(struct writer *w, struct span row)
{
    uint64_t shape = fields_uint(row, FIELD_SHAPE, 3);
    char time[CLOCK_RFC3339_SIZE] = "–";

    if (shape != 3)
        (void)clock_rfc3339(fields_uint(row, FIELD_RECEIVED, 0), time);
    if (strlen(time) > 20) { /* to the second is enough to read; the record has it all */
        time[10] = ' ';
        time[19] = '\0';
    }
    write_printf(w, "<tr><td>%llu</td><td>%s</td><td>%s</td><td>", (unsigned long long)fields_uint(row, FIELD_POSITION, 0),
                 time, shape == 3 ? "–" : kind_words(fields_uint(row, FIELD_RECORD_KIND, 0)));
    if (shape == 1)
        write_words(w, row);
    else
        write_str(w, shape == 2 ? "scellé · sealed" : "empreinte · hash");
    write_str(w, "</td></tr>\n");
}

void prove_page(const struct prove *p, struct writer *out)
{
    struct reader rows = reader_over(writer_span(&p->records));
    char made[CLOCK_RFC3339_SIZE];
    struct span row;

    write_str(out, "<!DOCTYPE html>\n<html lang=\"fr\">\n<head>\n<meta charset=\"utf-8\">\n"
                   "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; "
                   "form-action 'none'; base-uri 'none'\">\n<meta name=\"referrer\" content=\"no-referrer\">\n"
                   "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
                   "<title>Dossier de preuve · Evidence pack</title>\n<style>");
    write_str(out, style);
    write_str(out, "</style>\n</head>\n<body>\n<p><a href=\"#fr\">Français</a> · <a href=\"#en\" lang=\"en\">English</a> · "
                   "<a href=\"#checkpoint\">Point de contrôle · Checkpoint</a> · <a href=\"#records\">Enregistrements · Records</a></p>\n");
    write_section(out, p, FRENCH);
    write_section(out, p, ENGLISH);
    write_checkpoints(out, p);
    write_printf(out, "<section id=\"records\">\n<h2>Enregistrements · Records (%llu)</h2>\n<p>Dossier fait le · Pack made %s</p>\n",
                 (unsigned long long)p->record_count, clock_rfc3339(p->made_us, made));
    write_str(out, "<table>\n<thead><tr><th scope=\"col\">N°</th><th scope=\"col\">Reçu · Received (UTC)</th><th scope=\"col\">Nature · "
                   "Kind</th><th scope=\"col\">Contenu · Content</th></tr></thead>\n<tbody>\n");
    while (prove_row_next(&rows, &row))
        write_record(out, row);
    write_str(out, "</tbody>\n</table>\n</section>\n</body>\n</html>\n");
}
