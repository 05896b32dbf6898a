#!/usr/bin/env python3
"""Files of the page as a C array: embed.py OUT.c FILE…

Each file is served under its base name; its ETag is the beginning of its SHA-256.
"""
import hashlib
import os
import sys

TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".woff2": "font/woff2",
}


def main():
    out, files = sys.argv[1], sys.argv[2:]
    rows = []
    with open(out, "w", encoding="utf-8") as c:
        c.write('/* Made by tools/embed.py. */\n#include "gate/web/page.h"\n\n')
        for i, path in enumerate(files):
            with open(path, "rb") as f:
                content = f.read()
            name = os.path.basename(path)
            kind = TYPES.get(os.path.splitext(name)[1])
            if kind is None:
                sys.exit(f"embed.py: {name}: no media type is known for it")
            c.write(f"static const uint8_t file_{i}[] = {{\n")
            for at in range(0, len(content), 32):
                c.write(",".join(str(b) for b in content[at:at + 32]) + ",\n")
            c.write("};\n")
            tag = hashlib.sha256(content).hexdigest()[:32]
            rows.append(f'    {{ "{name}", "{kind}", "\\"{tag}\\"", {{ file_{i}, sizeof file_{i} }} }},\n')
        c.write("\nconst struct page_file page_files[] = {\n" + "".join(rows) + "};\n")
        c.write("const size_t page_file_count = sizeof page_files / sizeof page_files[0];\n")


main()
