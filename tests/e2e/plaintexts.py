"""Plaintexts that must not be found, in every form in which a program might have left them, and the search for them.

The search itself is tests/tools/find_bytes.c: it reads a raw image, so that free blocks, journal and slack are read as well.
"""
import base64
import os
import re
import struct
import subprocess

import fanal as f

STANDARD_UID = re.compile(rb"^1\.2\.840\.10008\.")
SHORTEST = 7   # bytes: one of 20,000 such strings lies in 200 MiB of noise once in fifteen thousand times
WINDOW = 16
TEXT_MIN = 30  # printable characters in a row: by chance in 200 MiB once in thirty thousand times


def values_of(server):
    """Every value of 6 bytes or more that identifies a patient or an object, as the page and the list show them."""
    values = set()
    for r in server.list():
        for key in ("patient_name", "patient_id", "study_uid", "series_uid", "sop_uid", "control_id"):
            v = r.get(key) or ""
            values |= {v, *re.split(r"[\^=]", v)}
    return {v for v in values if len(v.encode()) >= 6}


def encodings(value):
    for encoding in ("utf-8", "latin-1", "utf-16-le", "utf-16-be"):
        try:
            yield value.encode(encoding)
        except UnicodeEncodeError:
            pass


def base64_of(data):
    """What base64 makes of data wherever in a longer text it begins, in both alphabets."""
    for before in range(3):
        text = base64.b64encode(bytes(before) + data)
        begin, end = -(-before * 4 // 3), (before + len(data)) // 3 * 4  # letters that depend on data alone
        yield text[begin:end]
        yield text[begin:end].replace(b"+", b"-").replace(b"/", b"_")


def binary_forms(data):
    yield data
    yield data.hex().encode()
    yield data.hex().upper().encode()
    yield from base64_of(data)


def uid_number(value):
    """A UID below 2.25 is a number of 128 bits (PS3.5 B.2): its bytes, both ways round."""
    last = value.rsplit(".", 1)[-1]
    if value.startswith("2.25.") and last.isdigit() and 1 << 64 < int(last) < 1 << 128:
        yield from (int(last).to_bytes(16, "big"), int(last).to_bytes(16, "little"))


def date_forms(value):
    """Other ways of writing a date that was sent as YYYYMMDD."""
    if re.fullmatch(r"(18|19|20)\d{6}", value):
        y, m, d = value[:4], value[4:6], value[6:]
        yield from (s.encode() for s in (f"{y}-{m}-{d}", f"{d}.{m}.{y}", f"{d}/{m}/{y}"))


def text_forms(value):
    """A text as itself, in other cases, as hexadecimal digits and base64."""
    for v in {value, value.upper(), value.lower()}:
        yield from encodings(v)
    yield from binary_forms(value.encode())
    yield from uid_number(value)
    yield from date_forms(value)


class Needles:
    """{bytes: what it is}. What is shorter than SHORTEST, or of the standard, is not looked for."""

    def __init__(self):
        self.what = {}

    def add(self, forms, label):
        for one in forms:
            if len(one) >= SHORTEST and not STANDARD_UID.match(one):
                self.what.setdefault(one, label)
        return self

    def text(self, value, label):
        return self.add(text_forms(value), label)

    def texts(self, values, label):
        for value in values:
            self.text(value, f"{label} {value!r}")
        return self

    def windows(self, data, label, step=509):
        """16 bytes here and there of something long; not what is too monotonous to be told from a blank."""
        for n, at in enumerate(range(0, max(1, len(data) - WINDOW + 1), step)):
            window = data[at:at + WINDOW]
            if len(set(window)) >= 7 and len(window) == WINDOW:
                self.add(binary_forms(window) if n % 16 == 0 else [window], f"{label} at {at}")
        return self

    def without(self, texts):
        """Not what lies in the clear by design: the words of a configuration. Says what these were."""
        known = b"\n".join(texts)
        return sorted({self.what.pop(one) for one in [one for one in self.what if one in known]})


def program():
    return os.environ.get("FIND_BYTES") or os.path.join(f.ROOT, "build", "tests", "tools", "find_bytes")


def search(path, needles, folder):
    """([(offset, what)] of needles, [(offset, text)] of what reads as text, bytes read) of one file."""
    order, listed = list(needles.what), os.path.join(folder, "needles")
    with open(listed, "wb") as file:
        file.write(b"".join(struct.pack("<I", len(n)) + n for n in order))
    done = subprocess.run([program(), listed, path, str(TEXT_MIN)], capture_output=True, text=True, check=True)
    os.unlink(listed)
    rows = [line.split() for line in done.stdout.splitlines()]
    hits = [(int(r[1]), needles.what[order[int(r[2])]]) for r in rows if r[0] == "needle"]
    texts = [(int(r[1]), bytes.fromhex(r[2]).decode()) for r in rows if r[0] == "text"]
    if [int(n) for n in rows[-1][1:]] != [os.path.getsize(path), len(order), len(hits), len(texts)]:
        raise RuntimeError(f"{path} was not searched whole, or not all is told: {rows[-1]}")
    return hits, texts, int(rows[-1][1])
