/* The printable page. See checkpoint_page.h. */
#include "cmd/checkpoint_page.h"

#include <time.h>

#include "cmd/qr.h"

#define QR_MILLIMETRES 62

static const char style[] =
    "@page{size:A4;margin:16mm}"
    "*{box-sizing:border-box}"
    "body{font:10.5pt/1.4 'DejaVu Sans',Arial,sans-serif;color:#000;background:#fff;max-width:178mm;margin:8mm auto}"
    "h1{font-size:17pt;margin:0 0 1mm}h1 small{font-weight:normal;font-size:11pt}"
    ".head{display:flex;justify-content:space-between;align-items:flex-end;border-bottom:.6mm solid #000;padding-bottom:3mm}"
    ".head p{margin:0;text-align:right;font-size:11pt}"
    "dl{display:grid;grid-template-columns:58mm 1fr;gap:1mm 3mm;margin:5mm 0}dt{color:#333}dd{margin:0;font-weight:bold}"
    "pre{font:15pt/1.75 'DejaVu Sans Mono',Consolas,monospace;margin:0}"
    ".code{border:.4mm solid #000;padding:3mm 5mm;display:inline-block}"
    ".row{display:flex;gap:7mm;margin-top:6mm}.row svg{flex:none}"
    ".note{font:7.2pt/1.35 'DejaVu Sans Mono',Consolas,monospace;overflow-wrap:anywhere;white-space:pre-wrap;margin:2mm 0 0}"
    ".two{display:grid;grid-template-columns:1fr 1fr;gap:8mm;margin-top:6mm}.two h2{font-size:11pt;margin:0 0 1mm}"
    ".two p{margin:0 0 2mm}code{font-family:'DejaVu Sans Mono',Consolas,monospace;font-size:9pt;white-space:nowrap}"
    ".sign{display:grid;grid-template-columns:1fr 1fr 1fr;gap:6mm;margin-top:9mm}"
    ".sign div{border-top:.3mm solid #000;padding-top:1mm;font-size:8.5pt;color:#333}";

static const char french[] =
    "<section lang=\"fr\"><h2>À quoi sert cette feuille</h2>"
    "<p>Elle fixe l’état du journal à cet instant. Gardée hors de la machine, elle suffit à prouver plus tard qu’aucun "
    "enregistrement antérieur n’a été retiré, modifié ou remplacé, même par quelqu’un qui possède la clé maîtresse.</p>"
    "<p><b>Vérifier :</b> <code>fanal verify DIR --paper -</code>, puis taper les cinq lignes (majuscules, minuscules "
    "et espaces sont indifférents ; une faute de frappe est signalée avec son numéro de ligne), ou scanner le code QR dans un fichier. "
    "« ROLLED BACK » ou « ANOTHER HISTORY » : arrêtez, ne modifiez plus rien, appelez le responsable de la sécurité.</p>"
    "</section>";

static const char english[] =
    "<section lang=\"en\"><h2>What this sheet is for</h2>"
    "<p>It fixes the state of the log at this moment. Kept away from the machine, it is enough to prove later that no "
    "earlier record was removed, changed or replaced, even by somebody who has the master key.</p>"
    "<p><b>To check:</b> <code>fanal verify DIR --paper -</code>, then type the five lines (case and spaces do not matter; "
    "a slip is named by its line), or scan the QR code into a file. “ROLLED BACK” or “ANOTHER HISTORY”: stop, change "
    "nothing more, call whoever answers for security.</p></section>";

static void write_escaped(struct writer *w, struct span text)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.ptr[i] == '&')
            write_str(w, "&amp;");
        else if (text.ptr[i] == '<')
            write_str(w, "&lt;");
        else
            write_u8(w, text.ptr[i]);
}

static void write_head(const struct paper *p, struct span origin, struct writer *w)
{
    const time_t t = (time_t)p->time_s;
    char when[32] = "";
    struct tm tm;

    if (gmtime_r(&t, &tm) != NULL)
        (void)strftime(when, sizeof when, "%Y-%m-%d %H:%M UTC", &tm);
    write_printf(w,
                 "<!doctype html>\n<html lang=\"fr\"><head><meta charset=\"utf-8\"><title>Fanal – checkpoint %s</title>"
                 "<style>%s</style></head>\n<body><div class=\"head\"><h1>Fanal<br><small>Point de contrôle du journal · "
                 "Log checkpoint</small></h1><p>%s</p></div>\n<dl><dt>Journal · Log</dt><dd>",
                 when, style, when);
    write_escaped(w, origin);
    write_printf(w, "</dd><dt>Enregistrements · Records</dt><dd>%llu</dd></dl>\n", (unsigned long long)p->size);
}

bool checkpoint_page(const struct paper *p, struct span origin, struct span note, struct writer *out, struct error *err)
{
    write_head(p, origin, out);
    write_str(out, "<pre class=\"code\">");
    paper_write(p, out);
    write_str(out, "</pre>\n<div class=\"row\">");
    if (!qr_svg(note, QR_MILLIMETRES, out, err))
        return false;
    write_str(out, "<div><span lang=\"fr\">Le code QR contient le point de contrôle signé.</span><br>"
                   "<span lang=\"en\">The QR code holds the signed checkpoint.</span>"
                   "<div class=\"note\">");
    write_escaped(out, note);
    write_printf(out,
                 "</div></div></div>\n<div class=\"two\">%s%s</div>\n<div class=\"sign\"><div>Imprimé par · Printed by</div>"
                 "<div>Date, signature</div><div>Conservé à · Kept at</div></div></body></html>\n",
                 french, english);
    return writer_ok(out, err, "page");
}
