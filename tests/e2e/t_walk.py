#!/usr/bin/python3
"""The second walk of stored objects: what gates announced truly is passed, in whole shared sets and over restarts and deaths.

A gate that lies cannot be staged from outside: tests/unit/cmd/test_recheck.c speaks as one on the channel.
"""
import csv
import glob
import os
import signal
import sys
import time

import dimse
import fanal as f
import hl7_send


def checked(server):
    """How far the walk came, as last recorded: a stop records it."""
    web = f.Web(server)
    web.call("POST", "/api/sign-in", {"user": "dr.house", "password": "a long enough password"})
    return web.get("/api/status").get("checked", 0), web


EVERY = 1 if os.environ.get("FANAL_TORTURE") == "full" else 5  # of the shared files
ANY_CLASS = "1.2.840.10008.5.1.4.1.1.7"  # a data set is offered as some class; most are refused for it, and kept


def clean_files(data):
    with open(os.path.join(data, "MANIFEST.tsv"), encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE):
            if row["kind"] == "dicom" and row["dcmdump_3.6.7"] == "clean" and os.path.getsize(os.path.join(data, row["path"])) < 1 << 20:
                yield os.path.join(data, row["path"])


def identity(body):
    """(SOP class, SOP instance) of an explicit little endian data set whose group 8 begins as usual; else none."""
    found = {}
    for tag in (b"\x08\0\x16\0UI", b"\x08\0\x18\0UI"):
        at = body.find(tag, 0, 4096)
        if at >= 0:
            length = int.from_bytes(body[at + 6:at + 8], "little")
            found[tag] = body[at + 8:at + 8 + length].rstrip(b"\0 ").decode("ascii", "replace")
    return tuple(found.values()) if len(found) == 2 else None


def send_dicom(server, data):
    """Every small file of the shared set, good ones as what they are, others as something: kept as refused."""
    sent = 0
    for path in list(clean_files(data))[::EVERY]:
        with open(path, "rb") as file:
            whole = file.read()
        if whole[128:132] != b"DICM":
            continue
        syntax, body = f.part10_data_set(whole)
        sop_class, uid = identity(body) or (ANY_CLASS, f"2.25.700.{sent}")
        a = dimse.Association(server.dicom, [(1, sop_class, [syntax])])
        try:
            a.store(1, sop_class, uid, body)
            sent += 1
        except (OSError, RuntimeError, EOFError):
            pass
        a.close()
    return sent


def send_hl7(server, data):
    sent = 0
    for path in sorted(glob.glob(os.path.join(data, "hl7", "**", "*"), recursive=True))[::EVERY]:
        if not os.path.isfile(path) or os.path.getsize(path) > 4 << 20:
            continue
        f.mllp_send(server.hl7, [hl7_send.message_of(path)], timeout=0.3)
        sent += 1
    return sent


def own(server):
    for n in range(60):
        data = dimse.ct_data_set(f"2.25.800.{n}", study=f"2.25.80{n % 7}", series=f"2.25.80{n % 7}.1", patient_id=f"P{n % 7}", instance=n)
        a = dimse.Association(server.dicom, [(1, dimse.CT_STORAGE, [dimse.EXPLICIT_LE])])
        if a.store(1, dimse.CT_STORAGE, f"2.25.800.{n}", data) != 0:
            raise RuntimeError("not stored")
        a.release()


def walker(server):
    return [pid for pid, role in server.roles().items() if role == "recheck"]


def main():
    tap = f.Tap()
    data = f.shared() and os.path.join(f.shared(), "data")
    with f.Fanal(peers=f.DEFAULT_PEERS.replace("[sender LIS]", "[sender LIS]\nunsupported = keep")) as server:
        server.start(60)
        f.Web(server).enrol(server)
        own(server)
        if data:
            tap.note(f"{send_dicom(server, data)} data sets, {send_hl7(server, data)} messages of the shared sets")
        else:
            tap.skip("the shared sets", "they are not here")
        last = max(r["position"] for r in server.list())
        first = walker(server)
        for pid in first:
            os.kill(pid, signal.SIGKILL)
        tap.ok(f.wait_for(lambda: walker(server) and walker(server) != first, 20), "a walker that died is started again")
        came, restarts, back = 0, 0, []
        until = time.monotonic() + 90
        while came <= last and time.monotonic() < until:
            time.sleep(4)
            server.stop()
            server.start(60)
            restarts += 1
            before, (came, web) = came, checked(server)
            back += [(before, came)] if came < before else []
        tap.ok(not back, "after each restart the walk goes on where it was", back)
        tap.ok(came > last, f"every object was walked again in {restarts} restarts", (came, last))
        wrong = [r for r in server.list() if r["state"] == "facts-differ"]
        tap.ok(not wrong, "none of them is called otherwise than announced",
               [(r["position"], r.get("message_type"), r["transfer_syntax"], r.get("difference")) for r in wrong])
        deaths = [line for line in f.faults(server) if "recheck" not in line]
        tap.ok(not deaths, "no process died but the one that was killed", deaths)
        server.stop()
    tap.done()


if __name__ == "__main__":
    sys.exit(main())
