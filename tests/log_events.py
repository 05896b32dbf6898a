#!/usr/bin/env python3
"""Holds docs/log-events.md and the code together: every event that src/ logs is listed, every listed one is logged.

Prints TAP. Run by meson with the source root as its argument.
"""
import os
import re
import sys

CALL = re.compile(r'\blog_(?:debug|info|warn|error)\(\s*[^,"]+,([^;]*?)(?:, f_|\);)', re.S)
WRITE = re.compile(r'\blog_write\([^"]*?"([a-z0-9.-]+)"', re.S)
NAME = re.compile(r'"([a-z0-9-]+\.[a-z0-9-]+)"')
ROW = re.compile(r"^\| (`[^|]*) \|", re.M)


def logged(root):
    for folder, _, names in os.walk(os.path.join(root, "src")):
        for name in names:
            if not name.endswith(".c"):
                continue
            with open(os.path.join(folder, name), encoding="utf-8") as f:
                text = f.read()
            for call in CALL.finditer(text):
                yield from ((event, name) for event in NAME.findall(call.group(1)))
            yield from ((event, name) for event in WRITE.findall(text))


def listed(root):
    with open(os.path.join(root, "docs", "log-events.md"), encoding="utf-8") as f:
        lines = f.read().split("## Records")[0]
    for row in ROW.findall(lines):
        yield from re.findall(r"`([a-z0-9.-]+)`", row)


def main():
    root = sys.argv[1]
    in_code, in_docs = dict(logged(root)), set(listed(root))
    missing = sorted(f"{e} ({where})" for e, where in in_code.items() if e not in in_docs)
    stale = sorted(in_docs - set(in_code))
    print("1..3")
    print(("ok" if len(in_code) > 40 else "not ok"), "1 - the code logs", len(in_code), "events")
    for number, (what, names) in enumerate([("is listed", missing), ("is still logged", stale)], 2):
        print("ok" if not names else "not ok", number, "- every event", what, "; ".join(names))
    return 1 if missing or stale else 0


sys.exit(main())
