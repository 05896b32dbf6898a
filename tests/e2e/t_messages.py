#!/usr/bin/python3
"""Every message of the shared HL7 set gets the answer of hl7_expected.tsv and is kept as it was sent."""
import csv
import os
import re

import fanal as f


def expected():
    with open(os.path.join(f.HERE, "hl7_expected.tsv"), encoding="utf-8") as file:
        text = file.read().removeprefix("# ")
    return list(csv.DictReader(text.splitlines(), delimiter="\t", quoting=csv.QUOTE_NONE))


def msa_of(answer):
    """(acknowledgment code, text of the ERR segments) of an ACK."""
    text = answer.decode("latin-1")
    found = re.search(r"(?:^|\r)MSA.([A-Z]{2})", text)
    return found.group(1) if found else None, "\n".join(re.findall(r"(?:^|\r)(ERR[^\r]*)", text))


def main():
    tap = f.Tap()
    shared = f.shared()
    if shared is None:
        tap.skip("messages of the shared set", "../shared is absent")
        tap.done()
    with f.Fanal() as server:
        server.start()
        sent = []
        for row in expected():
            path = os.path.join(shared, "data", "hl7", row["file"])
            with open(path, "rb") as file:
                message = file.read()
            wait = 1.0 if row["answer"] == "none" else 20.0
            answer = f.mllp_send(server.hl7, [message], wait)[0]
            code, errors = msa_of(answer) if answer else (None, "")
            want = None if row["answer"] == "none" else row["answer"]
            good = code == want
            if good and row["error_code"]:
                segment = row["error_location"].split("-")[0].split("[")[0]
                good = row["error_code"] in errors and segment in errors
            tap.ok(good, f"{row['answer']} for {row['file']}", f"got {code} {errors!r}; want {row}")
            sent.append((row, message))
        kept = {}
        for record in server.list():
            if record["kind"] == "hl7":
                kept.setdefault(server.export_message(record["position"]).strip(b"\r\n\0"), []).append(record)
        for row, message in sent:
            tap.ok(message.strip(b"\r\n\0") in kept, f"kept {row['file']}")
    tap.done()


main()
