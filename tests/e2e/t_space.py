#!/usr/bin/python3
"""A disk that fills: on a real small file system of its own (ext4 on a loop device, else tmpfs), filled by somebody else.

Refused with the statuses of the standards, reading goes on and is recorded, freed space is used at once, nothing that was
acknowledged is lost, alarms are in the journal.
"""
import os
import re
import sys
import time

import dimse
import fanal as f
from small_disk import MIB, Disk

RESERVE = 16 * MIB
ORU = ("MSH|^~\\&|LIS|LAB|FANAL|ER|20261128||ORU^R01^ORU_R01|C{n}|P|2.5\rPID|1||4711^^^HOSPITAL^PI||DOE^JANE||19700101|F\r"
       "OBR|1||F{n}|718-7^Hb^LN|||202611280800\rOBX|1|NM|718-7^Hb^LN||{n}|g/L|||||F|||202611280800\r")


def store(server, n, rows=256):
    data = dimse.ct_data_set(f"2.25.900.{n}", study=f"2.25.9{n}", series=f"2.25.9{n}.1", rows=rows, columns=rows)
    a = dimse.Association(server.dicom, [(1, dimse.CT_STORAGE, [dimse.EXPLICIT_LE])])
    status = a.store(1, dimse.CT_STORAGE, f"2.25.900.{n}", data)
    a.release()
    return status, data


def message(server, n):
    return f.mllp_send(server.hl7, [ORU.format(n=n).encode()])[0] or b""


def status(web):
    return web.get("/api/status")


def events(web, name):
    found, after = [], None
    while True:
        page = web.get("/api/journal" + (f"?after={after}" if after is not None else ""))
        if not page:
            return [e for e in found if e.get("event") == name]
        found += page
        after = page[-1]["position"]


def hb(web):
    """The values of the patient's results, as a doctor reads them."""
    found = web.get("/api/patients?identifier=4711")
    return sorted(int(o["value"]) for o in web.get(f"/api/patients/{found[0]['patient_key']}/observations"))


def repeated(tap, server, web):
    """A modality that repeats what was refused does not fill the disk with it."""
    data = dimse.ct_data_set("2.25.900.500", study="2.25.9500", series="2.25.9500.1", rows=64, columns=64)
    statuses = set()
    for _ in range(12):
        a = dimse.Association(server.dicom, [(1, dimse.CT_STORAGE, [dimse.EXPLICIT_LE])])
        statuses.add(a.store(1, dimse.CT_STORAGE, "2.25.900.501", data))  # another UID than the data set's
        a.release()
    kept = [r for r in server.list() if r["state"] == "refused"]
    tap.ok(statuses == {0xA900} and len(kept) == 1, "refused twelve times, kept once", (statuses, len(kept)))
    tap.ok(len(events(web, "space.repeated")) == 2, "and counted", events(web, "space.repeated"))


def full(tap, server, web, disk, kept):
    """At the reserve: refused, said, and everything else goes on."""
    disk.leave(RESERVE - MIB)
    tap.ok(store(server, 100)[0] == 0xA700, "below the reserve C-STORE is answered A700")
    answer = message(server, 100)
    tap.ok(b"\rMSA|AE|C100" in answer and re.search(rb"\rERR\|[^\r]*207", answer), "and a message AE with 207", answer)
    large = store(server, 101, rows=1600)[0]
    tap.ok(large == 0xA700, "a large object too", hex(large))
    tap.ok(status(web).get("space_state") == "full", "the status says full", status(web))
    tap.ok(len(events(web, "space.alarm")) == 1, "one alarm in the journal", events(web, "space.alarm"))
    before = len(events(web, "patients.searched"))
    tap.ok(hb(web) == kept, "reading goes on", hb(web))
    tap.ok(len(events(web, "patients.searched")) >= before + 1, "and is recorded")
    tap.ok(server.echo(), "C-ECHO is answered")


def empty(tap, server, web, disk, kept):
    """Not a block is left: reading and signing in go on, what is not recorded waits."""
    disk.leave(0)
    tap.note(f"{disk.free()} bytes free")
    tap.ok(hb(web) == kept, "with not a block left reading goes on")
    other = f.Web(server)
    code = other.call("POST", "/api/sign-in", {"user": "dr.house", "password": "a long enough password"})[0]
    tap.ok(code == 200 and hb(other) == kept, "and so does signing in", code)
    tap.ok(store(server, 102)[0] == 0xA700, "C-STORE is still answered A700")
    tap.ok(f.wait_for(lambda: "space.events-wait" in server.log_text(), 10), "the log says that events wait")
    return other


def restarted(tap, server, disk, kept):
    """Started on a disk without a block: serves what is there."""
    server.stop()
    disk.leave(0)
    try:
        server.start(60)
    except RuntimeError as e:
        tap.ok(False, "a start on a full disk", e)
        return
    web = f.Web(server)
    code = web.call("POST", "/api/sign-in", {"user": "dr.house", "password": "a long enough password"})[0]
    tap.ok(code == 200 and hb(web) == kept, "a start on a full disk serves what is there", code)
    tap.ok(store(server, 103)[0] == 0xA700, "and refuses what is new")


def freed(tap, server, web, disk, objects, kept):
    disk.leave(60 * MIB)
    got, data = store(server, 104)
    tap.ok(got == 0, "with space again the next object is taken, nothing restarted", hex(got))
    objects["2.25.900.104"] = data
    tap.ok(b"\rMSA|AA|" in message(server, 104), "and the next message")
    tap.ok(f.wait_for(lambda: events(web, "space.relieved"), 60, 1), "that it is over is recorded", events(web, "space.alarm"))
    tap.ok(f.wait_for(lambda: "space.events-recorded" in server.log_text(), 30, 0.5), "what waited is recorded")


def nothing_lost(tap, server, objects):
    rows = {r["sop_uid"]: r["position"] for r in server.list() if r["kind"] == "dicom" and r["state"] != "refused"}
    same = [uid for uid, data in objects.items()
            if uid in rows and f.part10_data_set(server.export_object(rows[uid]))[1] == data]
    tap.ok(sorted(same) == sorted(objects), "every acknowledged object is there, byte for byte", (len(same), len(objects)))
    tap.ok(set(rows) == set(objects), "and none that was refused", set(rows) - set(objects))
    verified = server.run("verify", server.dir)
    tap.ok(verified.returncode == 0, "verify finds nothing", verified.stdout)
    tap.ok(not f.faults(server), "no process died", f.faults(server))


def episodes(tap, server, disk, objects, count):
    """The disk fills while objects come, again and again: each answer is kept, each refusal is A700."""
    wrong = taken = refused = 0
    for e in range(count):
        disk.leave(RESERVE + (1 + e % 5) * MIB)
        for n in range(1000 + e * 40, 1000 + e * 40 + 40):
            got, data = store(server, n, rows=512)
            if got == 0:
                objects[f"2.25.900.{n}"], taken = data, taken + 1
            else:
                wrong, refused = wrong + (got != 0xA700), refused + 1
                break
        disk.leave(disk.free() + 8 * MIB)
    tap.ok(wrong == 0 and refused == count and taken > 0, f"{count} episodes under load: {taken} taken, {refused} refused with A700",
           (wrong, refused, taken))


def main():
    tap = f.Tap()
    disk = Disk(1024 if os.environ.get("FANAL_TORTURE") == "full" else 160)
    if disk.path is None:
        tap.skip("a small file system", disk.why)
        tap.done()
    tap.note(f"{disk.kind}, {disk.free() // MIB} MiB free")
    try:
        with f.Fanal(directory=os.path.join(disk.path, "data"), limits="[disk]\nreserve = 16 MiB") as server:
            server.start()
            web = f.Web(server).enrol(server)
            objects = {f"2.25.900.{n}": store(server, n)[1] for n in range(1, 9)}
            for n in (1, 2, 3):
                message(server, n)
            kept = hb(web)
            tap.ok(kept == [1, 2, 3], "results are shown", kept)
            repeated(tap, server, web)
            full(tap, server, web, disk, kept)
            other = empty(tap, server, web, disk, kept)
            freed(tap, server, web, disk, objects, kept)
            tap.ok(any(e.get("actor") == "dr.house" for e in events(other, "signed-in")), "who signed in meanwhile is in the journal")
            disk.leave(RESERVE - MIB)
            restarted(tap, server, disk, hb_of(server))
            disk.leave(60 * MIB)
            episodes(tap, server, disk, objects, 200 if os.environ.get("FANAL_TORTURE") == "full" else 4)
            disk.leave(60 * MIB)
            nothing_lost(tap, server, objects)
            server.stop()
    finally:
        disk.done()
    tap.done()


def hb_of(server):
    web = f.Web(server)
    web.call("POST", "/api/sign-in", {"user": "dr.house", "password": "a long enough password"})
    return hb(web)


if __name__ == "__main__":
    sys.exit(main())
