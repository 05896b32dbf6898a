#!/usr/bin/env python3
"""What Fanal must answer to each message of ../shared/data/hl7.

    hl7_expected.py [FOLDER] > hl7_expected.tsv

This is a judgement by rules, written before the gate and sharing nothing with it: bytes are split here with
Python's own split(). docs/hl7-profiles.md says the same in prose. Rules, the first that fits decides:

 1  AR  no usable MSH: the message does not begin with MSH (HPRIM, a batch FHS/BHS, noise, nothing at all), MSH-2 is
        empty, or MSH-9 is missing. A byte order mark, VT, NUL, blanks and line ends in front are no fault.
        In MSH-2 a character that repeats an earlier one is skipped (^~\\\\& is a backslash quoted twice), and one that is
        not ASCII stands for the usual delimiter of its place (published French examples have a typographic tilde).
 2  none  an answer (MSH-9.1 ACK or MCF, or an MSA segment) is never answered.
 3  AR  MSH-12 is missing (101) or none of 2.1 to 2.8.2 (203).
 4  AR  a type other than ORU and ADT: 200; an event other than ORU^R01 (or ORU alone), ADT^A01 A03 A04 A08 A28 A31
        A40: 201. (A28 and A31 are to persons what A04 and A08 are to visits.) AA where the sender has unsupported = keep.
 5  AE  MSH-10 is missing: 101.
 6  AE  a line is no segment, or a second MSH stands in the frame: 100, at the segment before / at that MSH.
 7  AE  no PID: 100. ADT: PID-3 has no identifier (PID-2 and PID-4 count up to 2.3): 101. ORU: neither identifier nor
        name (with a name the result goes to a provisional patient): 101. ADT but A40: a second PID: 100.
        ORU with another patient's PID, A40 with another survivor: 207, one message is one patient's here.
 8  AE  A40: a PID without MRG behind it: 100; MRG-1 without identifier: 101.
 9  AE  ORU: no OBR, or an OBX before the first OBR: 100; OBR-4 missing: 101; then per OBX: OBX-3 missing, OBX-2 missing
        where OBX-5 has a value, OBX-11 missing (2.1: optional): 101. An OBR without OBX is legal.
    AA  otherwise. Not judged: MSH-11, EVN and PV1 missing, unknown table values, numbers and times of odd form,
        unknown MSH-18: kept and shown as sent.

Enhanced mode (MSH-15 or MSH-16 has a value): MSH-15 decides about an accept acknowledgement (AL always, ER negative
only, SU positive only, NE never): CA, CE, CR for AA, AE, AR. Where MSH-15 asks for none, MSH-16 decides in the same way
about one application acknowledgement (AA, AE, AR); behind a negative outcome that MSH-15 ER has answered nothing
follows. One message never gets two answers.
"""
import os
import re
import sys

VERSIONS = {"2.1", "2.2", "2.3", "2.3.1", "2.4", "2.5", "2.5.1", "2.6", "2.7", "2.7.1", "2.8", "2.8.1", "2.8.2"}
ADT = {"A01", "A03", "A04", "A08", "A28", "A31", "A40"}


class Fault(Exception):
    pass


def text_of(raw):
    """Bytes to text, one character per byte unless the whole is UTF-16."""
    for lead, codec in ((b"\xfe\xff", "utf-16-be"), (b"\xff\xfe", "utf-16-le"),
                        (b"\0M\0S\0H", "utf-16-be"), (b"M\0S\0H\0", "utf-16-le")):
        if raw.startswith(lead):
            raw = raw.decode(codec, "replace").encode("utf-8")
            break
    raw = raw.lstrip(b"\x0b\0 \t\r\n")
    if raw.startswith(b"\xef\xbb\xbf"):
        raw = raw[3:].lstrip(b"\0 \t\r\n")
    return raw.rstrip(b"\x1c\r\n\0 ").decode("latin-1")


def delimiters(msh2):
    """component, repetition, escape, subcomponent of an MSH-2 as sent."""
    usual = "^~\\&#"
    try:
        msh2 = msh2.encode("latin-1").decode("utf-8")
    except UnicodeDecodeError:
        pass
    out = []
    for c in msh2:
        c = c if ord(c) < 128 else usual[min(len(out), 4)]
        if c not in out:
            out.append(c)
    return out


class Message:
    def __init__(self, raw):
        t = text_of(raw)
        if not t.startswith("MSH") or len(t) < 5:
            what = "batch" if t[:3] in ("FHS", "BHS") else "HPRIM" if t[:2] == "H|" else "no MSH"
            raise Fault("AR", "100", "MSH", {"batch": "a batch: send its messages one by one",
                                             "HPRIM": "HPRIM, not HL7 v2"}.get(what, "does not begin with MSH"))
        self.fs = t[3]
        self.lines = [x for x in re.split("[\r\n]+", t) if x.strip(" \0\t\x1c")]
        head = self.lines[0].split(self.fs)
        if len(head) < 2 or not head[1]:
            raise Fault("AR", "101", "MSH-2", "MSH-2 is missing")
        self.cs, self.rs, self.es, self.ss = (delimiters(head[1]) + [""] * 4)[:4]
        self.segments = [(x[:3], [x[:3]] + x.split(self.fs)[1:]) for x in self.lines]
        self.segments[0] = ("MSH", ["MSH", self.fs] + head[1:])

    def field(self, seg, n):
        f = seg[1]
        return f[n].strip() if n < len(f) else ""

    def component(self, value, n):
        parts = value.split(self.rs)[0].split(self.cs) if self.rs else value.split(self.cs)
        return parts[n - 1].strip() if n <= len(parts) else ""

    def has_identifier(self, value):
        reps = value.split(self.rs) if self.rs else [value]
        return any(r.split(self.cs)[0].split(self.ss or "\0")[0].strip() not in ("", '""') for r in reps)

    def has_text(self, value):
        left = "".join(c for c in value if c not in self.cs + self.rs + self.ss + " ")
        return left not in ("", '""')


def require(ok, verdict, code, where, why):
    if not ok:
        raise Fault(verdict, code, where, why)


def place(name, n, field=None):
    return name + ("[%d]" % n if n > 1 else "") + ("-%d" % field if field else "")


def judge_structure(m):
    seen = {}
    before = "MSH"
    for i, line in enumerate(m.lines):
        ok = re.match(r"[A-Z][A-Z0-9]{2}$", line[:3]) and (len(line) == 3 or line[3] == m.fs)
        require(ok, "AE", "100", before, "a line behind it is no segment")
        seen[line[:3]] = seen.get(line[:3], 0) + 1
        before = place(line[:3], seen[line[:3]])
        require(i == 0 or line[:3] != "MSH", "AE", "100", before, "a second MSH in one frame")


def patient_key(m, pid):
    v = m.field(pid, 3)
    return m.component(v, 1), m.component(v, 4)


def judge_patient(m, kind, trigger, version):
    pids = [s for s in m.segments if s[0] == "PID"]
    require(pids, "AE", "100", "PID", "PID is missing")
    for n, pid in enumerate(pids, 1):
        require(n == 1 or kind == "ORU" or trigger == "A40", "AE", "100", place("PID", n), "a second PID")
        known = m.has_identifier(m.field(pid, 3))
        if version in ("2.1", "2.2", "2.3"):
            known = known or m.has_identifier(m.field(pid, 2)) or m.has_identifier(m.field(pid, 4))
        if kind == "ORU":
            known = known or m.has_text(m.field(pid, 5))
        require(known, "AE", "101", place("PID", n, 3), "no identifier" + (" and no name" if kind == "ORU" else ""))
        require(patient_key(m, pid) == patient_key(m, pids[0]), "AE", "207", place("PID", n, 3),
                "more than one patient in one message")


def judge_merge(m):
    open_pid = False
    merges = 0
    for s in m.segments:
        if s[0] == "PID":
            require(not open_pid, "AE", "100", "MRG", "MRG is missing")
            open_pid = True
        elif s[0] == "MRG":
            merges += 1
            open_pid = False
            require(m.has_identifier(m.field(s, 1)), "AE", "101", place("MRG", merges, 1), "no identifier")
    require(not open_pid, "AE", "100", "MRG", "MRG is missing")


def judge_results(m, version):
    obr = obx = 0
    require(any(s[0] == "OBR" for s in m.segments), "AE", "100", "OBR", "OBR is missing")
    for s in m.segments:
        if s[0] == "OBR":
            obr += 1
            require(m.field(s, 4), "AE", "101", place("OBR", obr, 4), "required field is empty")
        elif s[0] == "OBX":
            obx += 1
            require(obr, "AE", "100", place("OBX", obx), "OBX before the first OBR")
            require(m.field(s, 3), "AE", "101", place("OBX", obx, 3), "required field is empty")
            require(m.field(s, 2) or not m.field(s, 5), "AE", "101", place("OBX", obx, 2), "a value without its type")
            require(version == "2.1" or m.field(s, 11), "AE", "101", place("OBX", obx, 11), "required field is empty")


def judge(m):
    msh = m.segments[0]
    kind = m.component(m.field(msh, 9), 1)
    trigger = m.component(m.field(msh, 9), 2)
    version = m.component(m.field(msh, 12), 1)
    require(kind, "AR", "101", "MSH-9", "required field is empty")
    if kind in ("ACK", "MCF") or any(s[0] == "MSA" for s in m.segments):
        raise Fault("none", "", "", "an answer is never answered")
    require(version, "AR", "101", "MSH-12", "required field is empty")
    require(version in VERSIONS, "AR", "203", "MSH-12", "version not supported")
    require(kind in ("ORU", "ADT"), "AR", "200", "MSH-9", "message type not supported")
    require(trigger in (("R01", "") if kind == "ORU" else ADT), "AR", "201", "MSH-9", "event not supported")
    require(m.field(msh, 10), "AE", "101", "MSH-10", "required field is empty")
    judge_structure(m)
    judge_patient(m, kind, trigger, version)
    if trigger == "A40":
        judge_merge(m)
    if kind == "ORU":
        judge_results(m, version)


def due(condition, verdict):
    return condition == "AL" or (condition == "ER" and verdict != "AA") or (condition == "SU" and verdict == "AA")


def answer(m, verdict):
    if m is None or verdict == "none":
        return verdict
    accept, application = m.field(m.segments[0], 15), m.field(m.segments[0], 16)
    if not accept and not application:
        return verdict
    if due(accept, verdict):
        return "C" + verdict[1]
    return verdict if due(application, verdict) else "none"


def row(raw):
    m = None
    try:
        m = Message(raw)
        judge(m)
        verdict, code, where, why = "AA", "", "", "understood"
    except Fault as f:
        verdict, code, where, why = f.args
    return answer(m, verdict), verdict, code, where, why


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    shared = os.environ.get("FANAL_SHARED") or os.path.join(here, "..", "..", "..", "shared")
    root = sys.argv[1] if len(sys.argv) > 1 else os.path.join(shared, "data", "hl7")
    print("# file\tanswer\tjudgement\terror_code\terror_location\treason")
    for folder, folders, files in os.walk(root):
        folders.sort()
        for name in sorted(files):
            path = os.path.join(folder, name)
            with open(path, "rb") as f:
                print("\t".join((os.path.relpath(path, root),) + row(f.read())))


if __name__ == "__main__":
    main()
