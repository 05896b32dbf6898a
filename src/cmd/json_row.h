/* A row of a find as a line of JSON or of plain text, for commands. */
#ifndef FANAL_CMD_JSON_ROW_H
#define FANAL_CMD_JSON_ROW_H

#include <stdio.h>

#include "record/field.h"

/*
 * One JSON object and a newline: first the `always` fields ("" or 0 where the row lacks them), then every other one once.
 * Bytes that are no UTF-8 become U+FFFD; groups and raw bytes are left out. FIELD_RECEIVED is RFC 3339 in UTC.
 */
void print_json_row(FILE *out, struct span row, const enum field *always, size_t always_count);

/* Text with control characters as '?', so that a name cannot write to the terminal. */
void print_plain(FILE *out, struct span text);

#endif
