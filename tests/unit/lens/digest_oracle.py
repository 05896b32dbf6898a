#!/usr/bin/python3
"""A re-encoding must digest as its original, a changed pixel or value must not.

digest_oracle.py DIGEST_TOOL   re-encodes files of ../shared/data/dicom (or FANAL_SHARED) with dcmtk; TAP, one test an
encoder. Skips where the files are absent.
"""
import os
import subprocess
import sys
import tempfile
import warnings

import pydicom

warnings.simplefilter("ignore")
TOOL = sys.argv[1]
SHARED = os.environ.get("FANAL_SHARED", os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../../../shared"))
NATIVE = ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1")
FILES_MAX = 60
ENCODERS = {
    "implicit": ["dcmconv", "+ti"],
    "explicit": ["dcmconv", "+te"],
    "big endian": ["dcmconv", "+tb"],
    "deflated": ["dcmconv", "+td"],
    "undefined lengths": ["dcmconv", "+te", "-e"],
    "RLE": ["dcmcrle"],
    "JPEG lossless": ["dcmcjpeg", "+e1", "+un"],
}

PIXELS_ONLY = {"JPEG lossless"}  # dcmcjpeg adds a Derivation Description: a value of its own, so no alternate

# What dcmtk changes on the way and we therefore do not call the same: file under dicom/, encoder → reason.
EXCEPTIONS = {
    # the icon inside is encoded too, and an icon's bytes belong to the elements
    ("modalities/pt/suyash__1.dcm", "RLE"),
}


def digest(path):
    with open(path, "rb") as f:
        content = f.read()
    meta = pydicom.filereader.read_file_meta_info(path)
    start = 132 + 12 + meta.FileMetaInformationGroupLength
    run = subprocess.run([TOOL, str(meta.TransferSyntaxUID)], input=content[start:], capture_output=True, timeout=60)
    return run.stdout.decode().split() if run.returncode == 0 else None


def files():
    root = os.path.join(SHARED, "data/dicom")
    for base, _, names in sorted(os.walk(root)):
        if "malformed" in base or "dicomdir" in base:
            continue
        for name in sorted(names)[:4]:
            path = os.path.join(base, name)
            try:
                ds = pydicom.dcmread(path, stop_before_pixels=True)
                if str(ds.file_meta.TransferSyntaxUID) in NATIVE and os.path.getsize(path) < 4 << 20:
                    yield os.path.relpath(path, root), path
            except Exception:
                continue


def main():
    chosen = list(files())[:FILES_MAX]
    print(f"1..{len(ENCODERS)}")
    with tempfile.TemporaryDirectory() as folder:
        for i, (name, command) in enumerate(ENCODERS.items(), 1):
            counts = {"same": 0, "uncertain": 0, "not encoded": 0, "no digest": 0, "other": 0, "excepted": 0}
            for short, path in chosen:
                out = os.path.join(folder, "out.dcm")
                if subprocess.run(command + [path, out], capture_output=True).returncode != 0:
                    counts["not encoded"] += 1
                    continue
                a, b = digest(path), digest(out)
                verdict = ("no digest" if a is None or b is None else "other" if a[0] != b[0] and name not in PIXELS_ONLY else
                           "uncertain" if "0" in (a[2], b[2]) else "same" if a[1] == b[1] else "other")
                counts[verdict] += 1
                if verdict in ("other", "no digest"):
                    print(f"# {name} {short}: {verdict} {'elements' if a and b and a[0] != b[0] else 'pixels'}")
                    counts["excepted"] += (short, name) in EXCEPTIONS
            skip = "# SKIP no ../shared/data/dicom" if not chosen else ""
            print(f"{'ok' if skip or counts['same'] and counts['other'] == counts['excepted'] else 'not ok'} {i} - {name} {skip or counts}")
    return 0


sys.exit(main())
