#!/usr/bin/env python3
"""Holds the walls of docs/architecture.md: which folder of src/ may include which, and how files read.

Prints TAP. Run by meson with the source root as its argument.
"""
import os
import re
import sys

MAY_INCLUDE = {
    "base": {"base"},
    "dicom": {"base", "dicom", "record"},
    "hl7": {"base", "hl7", "record"},
    "record": {"base", "record"},
    "vault": {"base", "record", "vault"},
    "channel": {"base", "record", "channel"},
    "lens": {"base", "record", "dicom", "channel", "lens"},
    "recheck": {"base", "record", "dicom", "hl7", "channel", "recheck"},
    "gate": {"base", "dicom", "hl7", "record", "channel", "gate"},
    "relay": {"base", "dicom", "hl7", "record", "channel", "relay"},
    "verify": {"verify"},  # checks what the vault made: shares nothing with it, not even base
    "cmd": {"base", "dicom", "hl7", "record", "vault", "channel", "gate", "lens", "recheck", "relay", "cmd"},
}
FORBIDDEN = re.compile(r"\b(strcpy|strcat|sprintf|vsprintf|gets|atoi|atol|atof|strtok|alloca|system|popen)\s*\(")
UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")
INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.M)
COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", re.S)
FILE_LINES_MAX = 600
LONGER_FOR_A_REASON = {
}


def sources(root):
    for folder, _, names in os.walk(os.path.join(root, "src")):
        for name in names:
            if name.endswith((".c", ".h")):
                yield os.path.relpath(os.path.join(folder, name), root)


def faults_of(root, path):
    with open(os.path.join(root, path), encoding="utf-8") as f:
        text = f.read()
    own = path.split(os.sep)[1]
    for target in INCLUDE.findall(text):
        folder = target.split("/")[0] if "/" in target else own
        if os.path.exists(os.path.join(root, os.path.dirname(path), target)) and "/" not in target:
            continue
        if folder not in MAY_INCLUDE[own]:
            yield f'{path} includes "{target}": {own} may not use {folder}'
    code = COMMENT.sub("", text)
    for m in FORBIDDEN.finditer(code):
        yield f"{path} calls {m.group(1)}()"
    if UNFINISHED.search(text):
        yield f"{path} holds a mark of unfinished work"
    if not text.lstrip().startswith("/*"):
        yield f"{path} does not open with what it is for"
    if text.count("\n") > FILE_LINES_MAX and path not in LONGER_FOR_A_REASON:
        yield f"{path} is longer than {FILE_LINES_MAX} lines without a reason"


def main():
    root = sys.argv[1]
    paths = sorted(sources(root))
    print(f"1..{len(paths)}")
    bad = 0
    for n, path in enumerate(paths, 1):
        faults = list(faults_of(root, path))
        bad += bool(faults)
        print(("not ok" if faults else "ok"), n, "-", path)
        for f in faults:
            print("#", f)
    sys.exit(1 if bad else 0)


main()
