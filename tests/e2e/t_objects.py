#!/usr/bin/python3
"""Every clean file of the shared DICOM set, sent unchanged by an independent sender, comes back byte for byte.

Also: names and other attributes agree with what independent tools say (oracle.jsonl), with each exception named here.
"""
import csv
import json
import os

import dimse
import fanal as f

# Rows of oracle.jsonl whose attribute Fanal reads otherwise, each with its reason.
ORACLE_EXCEPTIONS = {
}
FIELDS = {"PatientID": "patient_id", "PatientName": "patient_name", "StudyInstanceUID": "study_uid",
          "SeriesInstanceUID": "series_uid", "SOPInstanceUID": "sop_uid", "TransferSyntaxUID": "transfer_syntax"}


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




def send(server, row, syntax, data):
    """The status of one C-STORE of these bytes, or the reason why it could not be sent."""
    sop_class, sop_uid = row.get("SOPClassUID"), row.get("SOPInstanceUID")
    if not sop_class or not sop_uid:
        return None, "no SOP Class or Instance UID"
    a = dimse.Association(server.dicom, [(1, sop_class, [syntax])])
    try:
        if a.results.get(1) != 0:
            return None, f"context refused with {a.results.get(1)}: {sop_class}"
        status = a.store(1, sop_class, sop_uid, data)
        a.release()
        return status, None
    finally:
        a.close()


def same(want, got):
    """Values are compared without padding; an oracle that found nothing asks nothing."""
    return want is None or (want or "").strip(" \0") == (got or "").strip(" \0")


def main():
    tap = f.Tap()
    shared = f.shared()
    if shared is None:
        tap.skip("objects of the shared set", "../shared is absent")
        tap.done()
    data = os.path.join(shared, "data")
    rows = oracle(data)
    with f.Fanal() as server:
        server.start()
        sent, not_sent = {}, []
        for path in clean_files(data):
            with open(os.path.join(data, path), "rb") as file:
                whole = file.read()
            row = rows.get(path)
            try:
                syntax, body = f.part10_data_set(whole)
            except ValueError as e:
                not_sent.append((path, str(e)))
                continue
            if row is None or not row.get("StudyInstanceUID"):
                not_sent.append((path, "no Study Instance UID (a DICOMDIR, or a data set that is no instance)"))
                continue
            status, why = send(server, row, syntax, body)
            if why:
                not_sent.append((path, why))
            elif tap.ok(status == 0, f"stored {path}", f"status {status:04x}"):
                sent[path] = (body, syntax)
        for path, why in not_sent:
            tap.note(f"not sent, not counted: {path}: {why}")
        tap.ok(len(sent) >= 380, f"{len(sent)} files were stored, {len(not_sent)} could not be sent")
        check_all(tap, server, rows, sent)
    tap.done()


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
            if got == body and got_syntax == syntax:
                found = record
        if not tap.ok(found, f"exported byte for byte: {path}", f"{len(records)} versions, none equal"):
            continue
        wrong = {k: (row.get(k), found.get(v)) for k, v in FIELDS.items()
                 if not same(row.get(k), found.get(v)) and (path, k) not in ORACLE_EXCEPTIONS}
        tap.ok(not wrong, f"attributes of {path}", wrong)


main()
