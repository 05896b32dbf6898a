/*
 * Character sets of HL7 v2 messages (MSH-18, table 0211) to UTF-8.
 *
 * ASCII, ISO 8859-1 to -9 and -15, UTF-8, UTF-16 and, because senders use them, Windows 1250 and 1252.
 * docs/hl7-profiles.md lists the names. The multi-byte sets of table 0211 (GB 18030, KS X 1001, ISO IR 87 …) are not
 * decoded: their bytes stay in the stored message.
 */
#ifndef FANAL_HL7_CHARSET_H
#define FANAL_HL7_CHARSET_H

#include "base/span.h"
#include "base/writer.h"

enum charset {
    CHARSET_UTF_8,
    CHARSET_8859_1, /* read as Windows 1252, which only adds letters where 8859-1 has control codes */
    CHARSET_8859_2,
    CHARSET_8859_3,
    CHARSET_8859_4,
    CHARSET_8859_5,
    CHARSET_8859_6,
    CHARSET_8859_7,
    CHARSET_8859_8,
    CHARSET_8859_9,
    CHARSET_8859_15,
    CHARSET_WINDOWS_1250,
    CHARSET_COUNT,
};

/*
 * The set that reads `text`, a message whose MSH-18 says `name`. Without a name, with ASCII or with one nobody
 * knows: UTF-8 where the whole text is valid UTF-8, else ISO 8859-1 (what laboratories send who say nothing).
 */
enum charset hl7_charset_of(struct span name, struct span text);

bool utf8_is_valid(struct span text);

/* Appends text as UTF-8; U+FFFD for what the set does not have. */
void hl7_charset_decode(enum charset set, struct span text, struct writer *w);

/* Appends UTF-16 text as UTF-8. */
void utf16_decode(struct span text, bool big_endian, struct writer *w);

#endif
