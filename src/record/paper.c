/* A checkpoint on paper. See paper.h. */
#include "record/paper.h"

#include "base/reader.h"

#define PAYLOAD_BYTES  (1 + PAPER_ID_BYTES + 8 + 5 + ROOT_BYTES)
#define SYMBOLS        (PAPER_LINES * PAPER_LINE_DATA)
#define LINE_SYMBOLS   (PAPER_LINE_DATA + PAPER_LINE_CHECK)
#define GROUP_SYMBOLS  5
#define CRC_POLYNOMIAL 0x233u /* CRC-10: x^10 + x^9 + x^5 + x^4 + x + 1 */

_Static_assert(PAYLOAD_BYTES * 8 <= SYMBOLS * 5, "the lines hold the payload");

static const char alphabet[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/* The 5 bits of a character; -1: none. */
static int symbol_of(uint8_t c)
{
    if (c >= 'a' && c <= 'z')
        c = (uint8_t)(c - 'a' + 'A');
    if (c == 'O')
        c = '0';
    if (c == 'I' || c == 'L')
        c = '1';
    for (int i = 0; alphabet[i] != '\0'; i++)
        if (alphabet[i] == (char)c)
            return i;
    return -1;
}

/*
 * Over the line's number and its characters. Ten bits find every single wrong character and every two neighbours that
 * were swapped (a burst of at most ten bits), of anything else all but one in 1024; the number finds swapped lines.
 */
static unsigned check_of(unsigned line, const uint8_t *symbols)
{
    unsigned crc = line;

    for (size_t i = 0; i < PAPER_LINE_DATA + PAPER_LINE_CHECK; i++) {
        crc = crc << 5 | (i < PAPER_LINE_DATA ? symbols[i] : 0u);
        for (unsigned bit = 14; bit >= 10; bit--)
            if ((crc >> bit & 1) != 0)
                crc ^= (CRC_POLYNOMIAL | 0x400u) << (bit - 10);
    }
    return crc;
}

/* ---- out ---- */

static void to_symbols(const struct paper *p, uint8_t out[SYMBOLS])
{
    struct writer w = writer_new(PAYLOAD_BYTES + 1);

    write_u8(&w, 1); /* version */
    write_span(&w, span_of(p->vault_id, sizeof p->vault_id));
    write_u64be(&w, p->size);
    write_u8(&w, (uint8_t)(p->time_s >> 32));
    write_u32be(&w, (uint32_t)p->time_s);
    write_span(&w, span_of(p->root, sizeof p->root));
    memset(out, 0, SYMBOLS);
    for (size_t bit = 0; !w.failed && bit < (size_t)PAYLOAD_BYTES * 8; bit++)
        out[bit / 5] |= (uint8_t)((w.ptr[bit / 8] >> (7 - bit % 8) & 1) << (4 - bit % 5));
    writer_done(&w);
}

void paper_write(const struct paper *p, struct writer *w)
{
    uint8_t symbols[SYMBOLS];

    to_symbols(p, symbols);
    for (unsigned line = 0; line < PAPER_LINES; line++) {
        const uint8_t *data = symbols + (size_t)line * PAPER_LINE_DATA;
        const unsigned check = check_of(line + 1, data);

        write_printf(w, "%u:", line + 1);
        for (size_t i = 0; i < PAPER_LINE_DATA; i++)
            write_printf(w, "%s%c", i % GROUP_SYMBOLS == 0 ? " " : "", alphabet[data[i]]);
        write_printf(w, " %c%c\n", alphabet[check >> 5], alphabet[check & 31]);
    }
}

/* ---- in ---- */

struct typed {
    uint8_t symbols[SYMBOLS];
    bool seen[PAPER_LINES];
};

static bool is_between(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '-' || c == '.' || c == '\r';
}

/* The number that a line begins with, as it was printed ("3:"); 0: none. */
static unsigned label_of(struct span line)
{
    return line.len >= 2 && line.ptr[0] >= '1' && line.ptr[0] < '1' + PAPER_LINES
                   && (line.ptr[1] == ':' || line.ptr[1] == ')' || line.ptr[1] == '.')
               ? (unsigned)(line.ptr[0] - '0')
               : 0;
}

static bool take_line(struct typed *t, unsigned line, struct span text, struct error *err)
{
    uint8_t got[LINE_SYMBOLS + 1];
    const uint8_t *from = got;
    size_t n = 0, all = 0;

    for (size_t i = 0; i < text.len; i++) {
        const int symbol = symbol_of(text.ptr[i]);

        if (is_between(text.ptr[i]))
            continue;
        if (symbol < 0)
            return error_set(err, ERR_USAGE, "line %u: a character that is none of its alphabet", line);
        if (n < sizeof got)
            got[n++] = (uint8_t)symbol;
        all++;
    }
    if (all == LINE_SYMBOLS + 1 && got[0] == line) { /* its number, typed without the colon */
        from++;
        all--;
    }
    if (all != LINE_SYMBOLS)
        return error_set(err, ERR_USAGE, "line %u: %zu characters where %d belong", line, all, LINE_SYMBOLS);
    if (check_of(line, from) != (unsigned)(from[PAPER_LINE_DATA] << 5 | from[PAPER_LINE_DATA + 1]))
        return error_set(err, ERR_USAGE, "line %u: its check characters do not fit: a typing error", line);
    if (t->seen[line - 1])
        return error_set(err, ERR_USAGE, "line %u: is there twice", line);
    t->seen[line - 1] = true;
    memcpy(t->symbols + (size_t)(line - 1) * PAPER_LINE_DATA, from, PAPER_LINE_DATA);
    return true;
}

static bool next_line(struct span *left, struct span *line)
{
    const size_t end = span_index(*left, '\n');

    if (left->len == 0)
        return false;
    *line = span_trim(span_part(*left, 0, end), " \t\r");
    *left = span_part(*left, end + 1, left->len);
    return true;
}

static bool take_lines(struct typed *t, struct span text, struct error *err)
{
    struct span left = text, line;
    bool labelled = false;
    unsigned number = 0;

    while (next_line(&left, &line))
        labelled |= label_of(line) != 0;
    left = text;
    while (next_line(&left, &line)) {
        const unsigned label = label_of(line);

        if (line.len == 0 || (labelled && label == 0))
            continue;
        if (!labelled && ++number > PAPER_LINES)
            return error_set(err, ERR_USAGE, "more than %d lines", PAPER_LINES);
        if (!take_line(t, labelled ? label : number, labelled ? span_part(line, 2, line.len) : line, err))
            return false;
    }
    for (unsigned i = 0; i < PAPER_LINES; i++)
        if (!t->seen[i])
            return error_set(err, ERR_USAGE, "line %u: is missing", i + 1);
    return true;
}

bool paper_parse(struct span text, struct paper *out, struct error *err)
{
    struct typed t = { .seen = { false } };
    uint8_t bytes[(SYMBOLS * 5 + 7) / 8] = { 0 };
    struct reader r = reader_over(span_of(bytes, PAYLOAD_BYTES));
    struct paper p;

    if (text.len > PAPER_TEXT_MAX)
        return error_set(err, ERR_USAGE, "more than %zu bytes", PAPER_TEXT_MAX);
    if (!take_lines(&t, text, err))
        return false;
    for (size_t bit = 0; bit < (size_t)SYMBOLS * 5; bit++)
        bytes[bit / 8] |= (uint8_t)((t.symbols[bit / 5] >> (4 - bit % 5) & 1) << (7 - bit % 8));
    if (read_u8(&r) != 1 || bytes[PAYLOAD_BYTES] != 0)
        return error_set(err, ERR_USAGE, "no checkpoint of a Fanal that this one knows");
    memcpy(p.vault_id, read_span(&r, sizeof p.vault_id).ptr, sizeof p.vault_id);
    p.size = read_u64be(&r);
    p.time_s = (uint64_t)read_u8(&r) << 32;
    p.time_s |= read_u32be(&r);
    memcpy(p.root, read_span(&r, sizeof p.root).ptr, sizeof p.root);
    *out = p;
    return true;
}
