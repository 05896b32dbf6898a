#!/usr/bin/env python3
"""Writes the upper halves of single-byte character sets as C arrays: charset_tables.py > charset_tables.h

Source: the codecs that come with Python, which follow the mapping files published by the Unicode Consortium.
"""
SETS = ["iso8859_%d" % n for n in (2, 3, 4, 5, 6, 7, 8, 9, 15)] + ["cp1250", "cp1252"]

print("/* Made by tools/charset_tables.py: code points of bytes 0x80 to 0xff; 0xfffd where a set has none. */")
print("#include <stdint.h>\n")
for name in SETS:
    points = [ord(bytes([b]).decode(name, "replace")) for b in range(0x80, 0x100)]
    print("static const uint16_t charset_table_%s[128] = {" % name)
    for row in range(0, 128, 12):
        print("    " + " ".join("0x%04x," % p for p in points[row:row + 12]))
    print("};\n")
