#!/usr/bin/python3
"""Every clean file of the shared DICOM set, sent unchanged by an independent sender, comes back byte for byte.

Also: names and other attributes agree with what independent tools say (oracle.jsonl), with each exception named here;
what lacks a Study or SOP Instance UID is answered A900 and kept as refused; and the same files from a stock sender,
where the export equals what a recorder between the two saw on the wire.
"""
import concurrent.futures
import csv
import json
import os
import subprocess
import tempfile

import dimse
import fanal as f
import recorder

# Rows of oracle.jsonl whose attribute Fanal reads otherwise, each with its reason.
ORACLE_EXCEPTIONS = {
}
FIELDS = {"PatientID": "patient_id", "PatientName": "patient_name", "StudyInstanceUID": "study_uid",
          "SeriesInstanceUID": "series_uid", "SOPInstanceUID": "sop_uid"}
# Clean files whose UIDs are none (PS3.5 9.1), though they are there: A900, as if they were absent.
UIDS_THAT_ARE_NONE = {
    "dicom/malformed_and_edge/pydicomdata__bad_sequence.dcm": "its UIDs are hexadecimal digests, so no Part 10 file can name it",
}
# Classes of no standard that samples carry; the others of theirs are in PS3.6.
PRIVATE_CLASSES = ["1.2.276.0.19.55.1.5.1.1.1", "2.25.152752519834663263826301420581341174218",
                   "1.3.46.670589.5.0.1.1", "2.25.155828353415164261086737374395291355553", "2.25.215425430857432966361489015284054781485"]
LIMITS = "\n".join("storage_classes = " + c for c in PRIVATE_CLASSES)
A900 = 0xA900
# Which class a data set without one is offered as: it has to be some.
ANY_CLASS = "1.2.840.10008.5.1.4.1.1.7"
CLEAN_WITH_UIDS = 410  # fewer: the set or this test lost some


def clean_files(data):
    with open(os.path.join(data, "MANIFEST.tsv"), encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE):
            if row["kind"] == "dicom" and row["dcmdump_3.6.7"] == "clean":
                yield row["path"]


def oracle(data):
    rows = {}
    with open(os.path.join(data, "oracle.jsonl"), encoding="utf-8") as file:
        for line in file:
            row = json.loads(line)
            rows[row["path"]] = row
    return rows


def bare_syntax(data):
    """The transfer syntax of a data set without a Part 10 header, by its first element (PS3.5 7.1)."""
    if data[:2] == b"\0\x08":
        return recorder.BIG_ENDIAN
    return dimse.EXPLICIT_LE if data[4:6].isalpha() and data[4:6].isupper() else dimse.IMPLICIT_LE


def data_set_of(data):
    """(transfer syntax, data set bytes) of a file, Part 10 or bare."""
    return f.part10_data_set(data) if data[128:132] == b"DICM" else (bare_syntax(data), data)


def read(data, path):
    with open(os.path.join(data, path), "rb") as file:
        return file.read()


def send(server, sop_class, sop_uid, syntax, data):
    """The status of one C-STORE of these bytes, or the reason why it could not be sent."""
    a = dimse.Association(server.dicom, [(1, sop_class, [syntax])])
    try:
        if a.results.get(1) != 0:
            return None, f"context refused with {a.results.get(1)}: {sop_class} in {syntax}"
        status = a.store(1, sop_class, sop_uid, data)
        a.release()
        return status, None
    finally:
        a.close()


def same(want, got):
    """Values are compared without padding; an oracle that found nothing asks nothing."""
    return want is None or (want or "").strip(" \0") == (got or "").strip(" \0")


def lacks(path, row):
    """What keeps a data set from being an instance, or None."""
    if path in UIDS_THAT_ARE_NONE:
        return UIDS_THAT_ARE_NONE[path]
    if row is None:
        return "a DICOMDIR, or a data set without the UIDs of an instance"
    missing = [k for k in ("SOPInstanceUID", "StudyInstanceUID") if not row.get(k)]
    return "no " + ", ".join(missing) if missing else None


def raw_sender(tap, data, rows):
    with f.Fanal(limits=LIMITS) as server:
        server.start()
        sent, refused = {}, {}
        for path in clean_files(data):
            row = rows.get(path) or {}
            syntax, body = data_set_of(read(data, path))
            why = lacks(path, rows.get(path))
            sop_uid = row.get("SOPInstanceUID") or f"2.25.{len(refused) + 1}"
            status, not_sent = send(server, row.get("SOPClassUID") or ANY_CLASS, sop_uid, syntax, body)
            if not_sent:
                tap.note(f"not sent, not counted: {path}: {not_sent}")
            elif why is None:
                if tap.ok(status == 0, f"stored {path}", f"status {status:04x}"):
                    sent[path] = (body, syntax)
            else:
                tap.note(f"no instance, not counted: {path}: {why}: {status:04x}")
                if status != 0:
                    refused[path] = (body, syntax, status)
                tap.ok(status != 0, f"refused {path}", f"status {status:04x}")
        tap.ok(len(sent) >= CLEAN_WITH_UIDS, f"{len(sent)} files were stored, {len(refused)} are no instances")
        check_all(tap, server, rows, sent)
        check_refused(tap, server, refused)


def check_all(tap, server, rows, sent):
    listed = {}
    for record in server.list():
        if record["kind"] == "dicom":
            listed.setdefault(record["sop_uid"], []).append(record)
    for path, (body, syntax) in sent.items():
        row = rows[path]
        records = listed.get(row["SOPInstanceUID"].strip(" \0"), [])
        if not tap.ok(records, f"listed {path}"):
            continue
        found = None
        for record in records:
            got_syntax, got = f.part10_data_set(server.export_object(record["position"]))
            if got == body and got_syntax == syntax == record["transfer_syntax"]:
                found = record
        if not tap.ok(found, f"exported byte for byte: {path}", f"{len(records)} versions, none equal"):
            continue
        wrong = {k: (row.get(k), found.get(v)) for k, v in FIELDS.items()
                 if not same(row.get(k), found.get(v)) and (path, k) not in ORACLE_EXCEPTIONS}
        tap.ok(not wrong, f"attributes of {path}", wrong)


def check_refused(tap, server, refused):
    """What was refused is in the list, with its bytes."""
    records = [r for r in server.list() if r["state"] in ("refused", "not-understood") and r["kind"] == "dicom"]
    tap.ok(len(records) == len(refused), f"{len(records)} refused objects are listed")
    kept = [f.part10_data_set(server.export_object(r["position"])) for r in records
            if not r["reason"].endswith("is not a UID")]
    for path, (body, syntax, _) in refused.items():
        if path in UIDS_THAT_ARE_NONE:
            continue
        tap.ok((syntax, body) in kept, f"kept as refused: {path}")


def storescu(port, name, config):
    done = subprocess.run(["storescu", "-xf", config, "File", "-aet", "CT1", "-aec", "FANAL", "127.0.0.1", str(port),
                           name], capture_output=True, text=True, timeout=60, check=False)
    lines = [line.strip() for line in (done.stderr + done.stdout).splitlines() if line[:2] in ("E:", "F:")]
    return done.returncode, " ".join(lines) or "says nothing"


def profile(folder, sop_class, syntax):
    """A configuration of storescu with the one context that a file needs."""
    name = os.path.join(folder, f"{sop_class}-{syntax}.cfg")
    with open(name, "w", encoding="ascii") as file:
        file.write(f"[[TransferSyntaxes]]\n[One]\nTransferSyntax1 = {syntax}\n[[PresentationContexts]]\n[Files]\n"
                   f"PresentationContext1 = {sop_class}\\One\n[[Profiles]]\n[File]\nPresentationContexts = Files\n")
    return name


def stock_sender(tap, data, rows):
    if not f.need(tap, "storescu"):
        return
    with f.Fanal(limits=LIMITS) as server, recorder.Recorder(server.dicom) as wire, \
            tempfile.TemporaryDirectory(prefix="fanal-storescu-") as folder:
        server.start()
        todo, stored, rewritten = [], 0, 0
        for path in clean_files(data):
            if lacks(path, rows.get(path)):
                continue  # said above
            syntax, body = data_set_of(read(data, path))
            todo.append((path, body, profile(folder, rows[path]["SOPClassUID"] or ANY_CLASS, syntax)))

        def one(item):
            port = wire.port_for(item[0])
            return (*item, *storescu(port, os.path.join(data, item[0]), item[2]))
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            done = list(pool.map(one, todo))
        exported = {f.part10_data_set(server.export_object(r["position"])) for r in server.list() if r["kind"] == "dicom"}
        for path, body, _, status, said in done:
            objects = wire.stored(path)
            if not objects:
                tap.note(f"storescu cannot send, not counted: {path}: {said}")
                continue
            stored += 1
            rewritten += objects[0].data != body
            tap.ok(status == 0 and [o.status for o in objects] == [0], f"storescu stored {path}", said)
            tap.ok((objects[0].syntax, objects[0].data) in exported, f"export equals the wire: {path}")
        tap.ok(stored >= CLEAN_WITH_UIDS - 10,
               f"storescu sent {stored} of {len(todo)} files, {rewritten} of them rewritten by it")


def main():
    tap = f.Tap()
    shared = f.shared()
    if shared is None:
        tap.skip("objects of the shared set", "../shared is absent")
        tap.done()
    data = os.path.join(shared, "data")
    rows = oracle(data)
    raw_sender(tap, data, rows)
    stock_sender(tap, data, rows)
    tap.done()


main()
