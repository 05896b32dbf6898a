/* A custodian's share on paper. See key_page.h. */
#include "cmd/key_page.h"

#include <qrencode.h>
#include <sodium.h>
#include <time.h>

#define ROW_WORDS 6u
#define QUIET     4u /* modules of margin that a reader needs: ISO/IEC 18004 §5.3.8 */

static const char head[] =
    "<!doctype html>\n<html lang=\"fr\">\n<meta charset=\"utf-8\">\n"
    "<title>Fanal: part de gardien / custodian’s share</title>\n"
    "<style>\n"
    "@page { size: A4; margin: 15mm }\n"
    "body { font: 10.5pt/1.4 'DejaVu Sans', Arial, sans-serif; color: #000; background: #fff; max-width: 180mm;"
    " margin: 0 auto }\n"
    "h1 { font-size: 17pt; margin: 0 } h2 { font-size: 11.5pt; margin: 0 0 2mm }\n"
    ".id { display: grid; grid-template-columns: auto 1fr; gap: 0 6mm; margin: 4mm 0; font-size: 10pt }\n"
    ".id dd { margin: 0; font-family: 'DejaVu Sans Mono', monospace } .id dt { color: #333 }\n"
    ".share { display: flex; gap: 8mm; align-items: center; border: .5mm solid #000; padding: 5mm; margin: 4mm 0 }\n"
    "table { border-collapse: collapse; font: 13pt 'DejaVu Sans Mono', monospace }\n"
    "td { padding: 1.5mm 2.2mm } td small { display: block; font-size: 7pt; color: #333 }\n"
    "svg { width: 52mm; height: 52mm; flex: none }\n"
    ".what { display: grid; grid-template-columns: 1fr 1fr; gap: 8mm } ol { margin: 0; padding-left: 5mm }\n"
    "li { margin-bottom: 1.2mm }\n"
    ".sign { margin-top: 8mm; display: grid; grid-template-columns: 1fr 1fr; gap: 8mm; font-size: 9pt }\n"
    ".sign div { border-top: .3mm solid #000; padding-top: 1mm }\n"
    "</style>\n";

static const char what_to_do[] =
    "<div class=\"what\">\n<section lang=\"fr\">\n<h2>Que faire de cette page</h2>\n<ol>\n"
    "<li>Mettez-la sous enveloppe fermée, en lieu sûr, hors de la salle de la machine. Ne la photographiez pas, ne la "
    "copiez pas, ne la saisissez dans aucun autre ordinateur.</li>\n"
    "<li>Seule, elle n’ouvre rien. Ensemble, les gardiens ouvrent le coffre de la lanterne : images et résultats de "
    "tous "
    "les patients.</li>\n"
    "<li>On vous appellera quand la machine a redémarré scellée, ou pour un exercice. Vérifiez qui appelle, et que le "
    "numéro du coffre affiché est celui de cette page.</li>\n"
    "<li>Tapez les mots vous-même, ligne par ligne, au clavier de la machine, ou lisez le code avec une douchette. Un "
    "mot "
    "mal tapé est nommé par son numéro.</li>\n"
    "<li>Page perdue, vue par un autre, ou vous partez ? Dites-le le jour même : les parts seront refaites et celle-ci "
    "n’ouvrira plus rien. Détruisez-la alors.</li>\n"
    "</ol>\n</section>\n<section lang=\"en\">\n<h2>What to do with this page</h2>\n<ol>\n"
    "<li>Keep it in a closed envelope, in a safe place, away from the room of the machine. Do not photograph or copy "
    "it, "
    "and type it into no other computer.</li>\n"
    "<li>Alone it opens nothing. Together the custodians open the vault of the lantern: every patient’s images and "
    "results.</li>\n"
    "<li>You are called when the machine has started sealed, or for a drill. Check who calls, and that the vault shown "
    "is "
    "the one on this page.</li>\n"
    "<li>Type the words yourself, row by row, at the machine’s keyboard, or read the code with a scanner. A mistyped "
    "word "
    "is named by its number.</li>\n"
    "<li>Lost, seen by somebody else, or are you leaving? Say so the same day: the shares are made again and this one "
    "opens "
    "nothing any more. Destroy it then.</li>\n"
    "</ol>\n</section>\n</div>\n"
    "<div class=\"sign\"><div>Remise à / given to</div><div>Date, signature</div></div>\n</html>\n";

/* One path of squares: prints sharp at any size, and needs no picture file. */
static bool write_code(const char *text, struct writer *out, struct error *err)
{
    QRcode *code = QRcode_encodeString(text, 0, QR_ECLEVEL_M, QR_MODE_8, 0); /* 0: letters of either case are one */
    unsigned width;

    if (code == NULL)
        return error_errno(err, "QR code");
    width = (unsigned)code->width;
    write_printf(out, "<svg viewBox=\"0 0 %u %u\" role=\"img\" aria-label=\"QR\"><path d=\"", width + 2 * QUIET,
                 width + 2 * QUIET);
    for (unsigned y = 0; y < width; y++)
        for (unsigned x = 0; x < width; x++)
            if ((code->data[(size_t)y * width + x] & 1) != 0)
                write_printf(out, "M%u %uh1v1h-1z", x + QUIET, y + QUIET);
    write_str(out, "\"/></svg>\n");
    sodium_memzero(code->data, (size_t)width * width);
    QRcode_free(code);
    return true;
}

static void write_words(const char *text, struct writer *out)
{
    write_str(out, "<table>\n");
    for (unsigned i = 0; i < SHARE_WORDS; i++)
        write_printf(out, "%s<td><small>%u</small>%.*s</td>%s", i % ROW_WORDS == 0 ? "<tr>" : "", i + 1,
                     (int)SHARE_WORD_LETTERS, text + (size_t)i * (SHARE_WORD_LETTERS + 1),
                     i % ROW_WORDS == ROW_WORDS - 1 ? "</tr>\n" : "");
    write_str(out, "</table>\n");
}

static void write_identity(const struct share *share, const struct keyring_info *info, struct writer *out)
{
    char hex[2 * VAULT_ID_BYTES + 1], date[32] = "";
    uint64_t added_us = 0;
    time_t seconds;
    struct tm tm = { 0 };

    for (unsigned i = 0; i < KEYRING_UNLOCKERS; i++)
        if (info->unlockers[i].kind == UNLOCKER_CUSTODIANS && (uint16_t)info->unlockers[i].added == share->set)
            added_us = info->unlockers[i].added_us;
    seconds = (time_t)(added_us / 1000000);
    (void)gmtime_r(&seconds, &tm);
    (void)strftime(date, sizeof date, "%Y-%m-%d", &tm);
    write_printf(out,
                 "<h1>Fanal — part de gardien / custodian’s share</h1>\n<dl class=\"id\">\n"
                 "<dt>Part / share</dt><dd><b>%u</b> / %u</dd>\n"
                 "<dt>Nécessaires / needed</dt><dd><b>%u</b></dd>\n"
                 "<dt>Coffre / vault</dt><dd>%s</dd>\n"
                 "<dt>Jeu / set</dt><dd>%u (%s)</dd>\n</dl>\n",
                 share->number, share->shares, share->threshold,
                 sodium_bin2hex(hex, sizeof hex, info->vault_id, VAULT_ID_BYTES), share->set, date);
}

bool key_page(const struct share *share, const struct keyring_info *info, struct writer *out, struct error *err)
{
    char text[SHARE_TEXT_SIZE];
    bool ok;

    (void)write_room(out, KEY_PAGE_BYTES_MAX); /* at once: memory that moves would leave a share behind */
    out->len = 0;
    share_to_text(share, text);
    write_str(out, head);
    write_identity(share, info, out);
    write_str(out, "<div class=\"share\">\n");
    write_words(text, out);
    ok = write_code(text, out, err);
    write_str(out, "</div>\n");
    write_str(out, what_to_do);
    sodium_memzero(text, sizeof text);
    return ok && writer_ok(out, err, "page");
}
