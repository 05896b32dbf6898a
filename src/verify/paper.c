/* Checkpoints on paper. See paper.h. */
#include "paper.h"

#include <string.h>

#define LINES        5
#define LINE_SYMBOLS 22 /* twenty that say something, two that check them */
#define DATA_SYMBOLS 20
#define CRC_10       0x633u /* x^10 + x^9 + x^5 + x^4 + x + 1 */

/* The five bits of a character as somebody types it; -1: none. */
static int symbol(uint8_t c)
{
    static const char alphabet[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    const char *at;

    c = c >= 'a' && c <= 'z' ? (uint8_t)(c - 32) : c;
    c = c == 'O' ? '0' : c == 'I' || c == 'L' ? '1' : c;
    at = c == 0 ? NULL : strchr(alphabet, c);
    return at == NULL ? -1 : (int)(at - alphabet);
}

static unsigned check_of(unsigned number, const uint8_t *symbols)
{
    uint32_t crc = number;

    for (int i = 0; i < LINE_SYMBOLS; i++) {
        crc = crc << 5 | (i < DATA_SYMBOLS ? symbols[i] : 0u);
        for (int bit = 14; bit >= 10; bit--)
            if ((crc >> bit & 1) != 0)
                crc ^= CRC_10 << (bit - 10);
    }
    return crc;
}

static bool read_line(struct bytes line, unsigned number, uint8_t symbols[DATA_SYMBOLS], struct why *why)
{
    uint8_t got[LINE_SYMBOLS];
    size_t n = 0;

    for (size_t i = 0; i < line.len; i++) {
        int s = symbol(line.ptr[i]);

        if (line.ptr[i] == ' ' || line.ptr[i] == '\t' || line.ptr[i] == '\r' || line.ptr[i] == '-')
            continue;
        if (s < 0 || n == LINE_SYMBOLS)
            return no(why, "line %u of the paper: a character too many, or none of its alphabet", number);
        got[n++] = (uint8_t)s;
    }
    if (n != LINE_SYMBOLS || check_of(number, got) != (unsigned)(got[DATA_SYMBOLS] << 5 | got[DATA_SYMBOLS + 1]))
        return no(why, "line %u of the paper: a typing error", number);
    memcpy(symbols, got, DATA_SYMBOLS);
    return true;
}

static uint64_t big_endian(const uint8_t *bytes)
{
    uint64_t v = 0;

    for (int i = 0; i < 8; i++)
        v = v << 8 | bytes[i];
    return v;
}

bool paper_parse(struct bytes text, uint8_t origin[PAPER_ORIGIN_BYTES], struct checkpoint *out, struct why *why)
{
    uint8_t symbols[LINES * DATA_SYMBOLS], bytes[LINES * DATA_SYMBOLS * 5 / 8 + 1] = { 0 };
    struct cursor c = { text, false };
    unsigned next = 1;

    while (c.left.len > 0 && next <= LINES) {
        struct bytes rest = c.left, line = take_line(&c);

        if (c.dry)
            line = rest; /* the last, without an end */
        if (line.len < 2 || line.ptr[0] != '0' + next || line.ptr[1] != ':')
            continue;
        if (!read_line(part(line, 2, line.len), next, symbols + (size_t)(next - 1) * DATA_SYMBOLS, why))
            return false;
        next++;
    }
    if (next <= LINES)
        return no(why, "it is neither a checkpoint nor the five lines of one on paper");
    for (size_t bit = 0; bit < sizeof symbols * 5; bit++)
        bytes[bit / 8] |= (uint8_t)((symbols[bit / 5] >> (4 - bit % 5) & 1) << (7 - bit % 8));
    if (bytes[0] != 1)
        return no(why, "the paper is of a version not known here");
    memcpy(origin, "fanal/", 6);
    for (size_t i = 0; i < 32; i++)
        origin[6 + i] = (uint8_t)"0123456789abcdef"[bytes[1 + i / 2] >> (i % 2 == 0 ? 4 : 0) & 15];
    out->origin = (struct bytes){ origin, PAPER_ORIGIN_BYTES };
    out->size = big_endian(bytes + 17);
    memcpy(out->root.bytes, bytes + 30, HASH_BYTES); /* behind five bytes of when it was printed */
    return true;
}
