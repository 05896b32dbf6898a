#!/usr/bin/env python3
"""What an ORU says, by a second parser that shares nothing with Fanal's: split(), Python's codecs, a regular expression.

    hl7_oracle.py FILE…      prints one JSON object a line: {"file": …, "observations": [{code, value, unit, flag, status}]}

Values as docs/hl7-profiles.md defines them: text types as sent with escapes resolved, repetitions one per line; coded
types as their text; SN as one number; times without the precision; other types as words; documents (ED) have none.
"""
import json
import re
import sys

from hl7_expected import delimiters

TEXT = {"", "ST", "TX", "FT", "NM", "ID", "IS", "SI"}
TIME = {"DT", "TM", "TS", "DTM"}
CODED = {"CE", "CWE", "CNE", "CF"}


def charset(raw, name):
    key = re.sub("[^A-Z0-9]", "", name.decode("latin-1").upper())
    key = key[3:] if key.startswith("ISO") else key
    if key in ("UNICODEUTF8", "UTF8", "UNICODE"):
        return "utf-8"
    if re.fullmatch("8859([1-9]|15)", key):
        return "cp1252" if key == "88591" else "iso8859_" + key[4:]
    if key in ("CP1250", "CP1252", "WINDOWS1250", "WINDOWS1252"):
        return "cp" + key[-4:]
    try:
        raw.decode("utf-8")
        return "utf-8"
    except UnicodeDecodeError:
        return "cp1252"


class Oru:
    def __init__(self, raw):
        raw = raw.lstrip(b"\x0b\0 \t\r\n")
        raw = raw[3:] if raw.startswith(b"\xef\xbb\xbf") else raw
        self.fs = raw[3:4].decode("latin-1")
        head = re.split(b"[\r\n]", raw)[0].split(raw[3:4])
        self.codec = charset(raw, head[17].split(b"~")[0].strip() if len(head) > 17 else b"")
        d = delimiters(head[1].decode("latin-1")) + [""] * 5
        self.cs, self.rs, self.es, self.ss, self.ts = d[:5]
        text = raw.decode("latin-1")
        self.segments = [x.split(self.fs) for x in re.split("[\r\n]+", text)
                         if re.match("[A-Z][A-Z0-9]{2}($|" + re.escape(self.fs) + ")", x)]

    def plain(self, s):
        s = s.encode("latin-1").decode(self.codec, "replace")
        s = re.sub("\r\n?", "\n", s)
        return re.sub("[\x00-\x08\x0b-\x1f\x7f]", "\ufffd", s)

    def text(self, s):
        if not self.es:
            return self.plain(s)
        letters = {"F": self.fs, "S": self.cs, "R": self.rs, "E": self.es, "T": self.ss, "P": self.ts or "#"}

        def resolve(body):
            if body in letters and letters[body]:
                return letters[body]
            if re.fullmatch("X([0-9A-Fa-f]{2})+", body):
                return self.plain(bytes.fromhex(body[1:]).decode("latin-1"))
            if re.match(r"\.(br|sp|ce)", body):
                return "\n"
            if body.startswith(".sk"):
                return " "
            if body in ("H", "N") or re.match(r"\.(in|ti|fi|nf)", body):
                return ""
            return None

        out, rest = "", s
        while self.es in rest:
            before, rest = rest.split(self.es, 1)
            out += self.plain(before)
            end = rest.find(self.es)
            if end > 0 and (end < 64 or rest[0] == "X"):
                value = resolve(rest[:end])
                if value is not None:
                    out += value
                    rest = rest[end + 1:]
                    continue
                out += self.es + self.plain(rest[:end])
                rest = rest[end:]
            else:
                out += self.es
        return out + self.plain(rest)

    def reps(self, field):
        return [] if not field else field.split(self.rs) if self.rs else [field]

    def comps(self, rep):
        return [c.strip() for c in rep.split(self.cs)]

    def one(self, kind, rep):
        comps = self.comps(rep) + [""] * 9
        said = [c for c in comps if c not in ("", '""')]
        if kind in TEXT:
            return "" if rep == '""' else self.text(rep)
        if kind in TIME:
            return "" if comps[0] == '""' else self.text(comps[0])
        if kind in CODED:
            for n in (1, 4, 8, 0, 3):
                if comps[n] not in ("", '""'):
                    return self.text(comps[n])
            return ""
        if kind == "SN":
            return "".join(self.text(c) for c in comps[:4] if c != '""')
        return " ".join(self.text(c) for c in said)

    def observations(self):
        for seg in self.segments:
            if seg[0] != "OBX":
                continue
            f = [x.strip() for x in seg] + [""] * 20
            ids = self.comps(self.reps(f[3])[0] if f[3] else "") + [""] * 9
            units = self.comps(self.reps(f[6])[0] if f[6] else "") + [""] * 9
            value = "" if f[2] == "ED" else "\n".join(v for v in (self.one(f[2], r) for r in self.reps(f[5])) if v)
            yield {"code": self.text(ids[0] or ids[3]), "value": value,
                   "unit": self.text(units[0] or units[1] or units[3] or units[4]),
                   "flag": "~".join(t for t in (self.text(self.comps(r)[0]) for r in self.reps(f[8])) if t),
                   "status": self.text(self.comps(self.reps(f[11])[0])[0] if f[11] else "")}


def main():
    for path in sys.argv[1:]:
        with open(path, "rb") as f:
            print(json.dumps({"file": path, "observations": list(Oru(f.read()).observations())}, ensure_ascii=False))


if __name__ == "__main__":
    main()
