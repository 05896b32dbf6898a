#!/usr/bin/env python3
"""Makes the constant arrays of src/dicom from data/*.tsv and from Python's codecs.

    gen_tables.py attributes data/attributes.tsv OUT
    gen_tables.py uids       data/uids.tsv       OUT
    gen_tables.py syntaxes   data/uids.tsv       OUT
    gen_tables.py charsets   OUT

Runs in the build with nothing but the standard library. Each output is included by one C file.
"""
import sys

VRS = set('AE AS AT CS DA DS DT FD FL IS LO LT OB OD OF OL OV OW PN SH SL SQ SS ST SV TM UC UI UL UN UR US UT UV '
          'US/SS US/OW US/SS/OW OB/OW'.split())


def rows(path, columns):
    """The rows of a TSV below its comment lines and its header."""
    lines = [line.rstrip('\n') for line in open(path, encoding='utf-8') if not line.startswith('#')]
    assert len(lines[0].split('\t')) == columns, path
    for line in lines[1:]:
        row = line.split('\t')
        assert len(row) == columns, line
        yield row


def in_lines(values, width):
    return '\n'.join('    ' + ' '.join(values[i:i + width]) for i in range(0, len(values), width))


def attributes(path):
    exact, repeating = [], []
    for tag, vr, _, _, _ in rows(path, 5):
        assert vr in VRS and len(tag) == 8, tag
        vr = 'VR_' + vr.replace('/', '_')
        if 'x' in tag:
            mask = int(''.join('0' if c == 'x' else 'F' for c in tag), 16)
            repeating.append(f'{{ 0x{mask:08X}, 0x{int(tag.replace("x", "0"), 16):08X}, {vr} }},')
        else:
            exact.append((int(tag, 16), vr))
    exact.sort()
    assert len({tag for tag, _ in exact}) == len(exact)
    yield 'static const struct attribute_row attribute_rows[] = {'
    yield in_lines([f'{{ 0x{tag:08X}, {vr} }},' for tag, vr in exact], 4)
    yield '};\n'
    yield 'static const struct repeating_row repeating_rows[] = {'
    yield in_lines(repeating, 2)
    yield '};'


def uids(path):
    table = sorted(rows(path, 8), key=lambda row: row[0].encode())
    assert len({row[0] for row in table}) == len(table)
    yield 'static const struct uid_entry uid_rows[] = {'
    for uid, kind, keyword, retired, _, _, _, _ in table:
        yield f'    {{ "{uid}", "{keyword}", UID_{kind.upper().replace("-", "_")}, {str(retired == "R").lower()} }},'
    yield '};'


CODINGS = {'native-be': 'NATIVE_BIG_ENDIAN', 'deflated-frame': 'DEFLATED'}


def syntaxes(path):
    yield 'static const struct transfer_syntax syntax_rows[] = {'
    for uid, kind, keyword, _, encoding, stream, loss, pixels in sorted(rows(path, 8), key=lambda row: row[0].encode()):
        if kind != 'transfer-syntax':
            continue
        order, vr = encoding.split()
        assert order in ('le', 'be') and vr in ('explicit', 'implicit') and stream in ('plain', 'deflated', 'encapsulated')
        flags = ', '.join(str(claim).lower() for claim in (order == 'be', vr == 'explicit', stream == 'deflated',
                                                          stream == 'encapsulated'))
        coding = CODINGS.get(pixels, pixels.upper().replace('-', '_'))
        yield f'    {{ "{uid}", "{keyword}", {flags}, LOSS_{loss.upper()}, FRAME_{coding} }},'
    yield '};'


def decoded(codec, code):
    try:
        text = bytes(code).decode(codec)
    except UnicodeDecodeError:
        return 0
    return ord(text) if len(text) == 1 and ord(text) < 0x10000 else 0


def numbers(values):
    return in_lines([f'{value},' for value in values], 20)


def grid(name, codec, prefix, leads, trails):
    """A table of two-byte codes, row by row."""
    yield f'static const uint16_t {name}[{len(leads)}][{len(trails)}] = {{'
    for lead in leads:
        yield '  {\n' + numbers([decoded(codec, prefix + [lead, trail]) for trail in trails]) + ' },'
    yield '};\n'


# In the order of enum code_set, from CODE_LATIN_1.
SINGLE = ['iso8859_1', 'iso8859_2', 'iso8859_3', 'iso8859_4', 'iso8859_5', 'iso8859_6', 'iso8859_7', 'iso8859_8',
          'iso8859_9', 'iso8859_15', 'tis_620']


def charsets():
    high = range(0xA1, 0xFF)
    yield f'static const uint16_t single_byte[{len(SINGLE)}][96] = {{'
    for codec in SINGLE:
        yield '  {\n' + numbers([decoded(codec, [b]) for b in range(0xA0, 0x100)]) + ' },'
    yield '};\n'
    yield from grid('jis_x_0208', 'euc_jp', [], high, high)
    yield from grid('jis_x_0212', 'euc_jp', [0x8F], high, high)
    yield from grid('ks_x_1001', 'euc_kr', [], high, high)
    yield from grid('gb_2312', 'gb2312', [], high, high)
    yield from grid('gb18030_two', 'gb18030', [], range(0x81, 0xFF), [*range(0x40, 0x7F), *range(0x80, 0xFF)])
    codes = []
    for c in range(0x80, 0x10000):
        b = b'' if 0xD800 <= c < 0xE000 else chr(c).encode('gb18030')
        if len(b) == 4:
            codes.append((((b[0] - 0x81) * 10 + b[1] - 0x30) * 1260 + (b[2] - 0x81) * 10 + b[3] - 0x30, c))
    codes.sort()
    assert codes[0][0] == 0
    ranges = [pair for pair, before in zip(codes, [(-2, -2)] + codes) if pair != (before[0] + 1, before[1] + 1)]
    yield 'static const struct gb18030_range gb18030_ranges[] = {'
    yield in_lines([f'{{ {index}, 0x{c:04X} }},' for index, c in ranges], 6)
    yield '};'
    yield f'#define GB18030_BMP_CODES {codes[-1][0] + 1}u'


def main():
    what, *paths = sys.argv[1:]
    makers = {'attributes': attributes, 'uids': uids, 'syntaxes': syntaxes, 'charsets': charsets}
    with open(paths[-1], 'w', encoding='utf-8') as out:
        out.write('/* Made by tools/gen_tables.py. */\n' + '\n'.join(makers[what](*paths[:-1])) + '\n')


main()
