#!/usr/bin/python3
"""The same SOP Instance UID again: same bytes, other encoding, other values; and what is served."""
import struct
import threading

import dimse
import fanal as f

UID, STUDY = "2.25.600.1", "2.25.600"


def implicit(data):
    """The explicit little endian data set of dimse.ct_data_set() as implicit little endian."""
    out, at = b"", 0
    while at < len(data):
        group, number, vr = struct.unpack_from("<HH2s", data, at)
        if vr in (b"OB", b"OW", b"UN", b"SQ", b"UT"):
            length, at = struct.unpack_from("<I", data, at + 8)[0], at + 12
        else:
            length, at = struct.unpack_from("<H", data, at + 6)[0], at + 8
        out += struct.pack("<HHI", group, number, length) + data[at:at + length]
        at += length
    return out


def store(server, data, syntax=dimse.EXPLICIT_LE, uid=UID):
    a = dimse.Association(server.dicom, [(1, dimse.CT_STORAGE, [syntax])])
    status = a.store(1, dimse.CT_STORAGE, uid, data)
    a.release()
    return status


def states(server, uid=UID):
    return [r["state"] for r in server.list() if r["kind"] == "dicom" and r["sop_uid"] == uid]


def served(server):
    import os
    import shutil
    out = os.path.join(server.base, "out")
    shutil.rmtree(out, ignore_errors=True)
    done = server.run("export", server.dir, "--study", STUDY, out)
    if done.returncode != 0:
        return done.stderr
    found = []
    for name in os.listdir(out):
        with open(os.path.join(out, name), "rb") as file:
            found.append(f.part10_data_set(file.read())[1])
    return found


def main():
    tap = f.Tap()
    first = dimse.ct_data_set(UID, study=STUDY, rows=64, columns=64)
    with f.Fanal() as server:
        server.start()
        tap.ok(store(server, first) == 0 and states(server) == ["stored"], "first: stored", states(server))
        tap.ok(store(server, first) == 0 and states(server) == ["stored"], "same bytes: success, no second copy", states(server))
        tap.ok(store(server, implicit(first), dimse.IMPLICIT_LE) == 0 and sorted(states(server)) == ["alternate", "stored"],
               "the same in implicit little endian: an alternate", states(server))
        tap.ok(store(server, implicit(first), dimse.IMPLICIT_LE) == 0 and sorted(states(server)) == ["alternate", "stored"],
               "and again: no third copy", states(server))
        pixels = bytearray(bytes((i * 7 + 1) & 0xff for i in range(64 * 64 * 2)))
        pixels[100] ^= 1
        other = dimse.ct_data_set(UID, study=STUDY, rows=64, columns=64, pixels=bytes(pixels))
        tap.ok(store(server, other) == 0 and sorted(states(server)) == ["alternate", "conflict", "stored"],
               "one pixel differs: a conflict", states(server))
        name = dimse.ct_data_set(UID, study=STUDY, rows=64, columns=64, name="OTHER^NAME")
        tap.ok(store(server, name) == 0 and sorted(states(server)) == ["alternate", "conflict", "conflict", "stored"],
               "another name: a conflict", states(server))
        tap.ok(served(server) == [first], "the first is served")
        kept = [f.part10_data_set(server.export_object(r["position"]))[1] for r in server.list() if r["sop_uid"] == UID]
        tap.ok(sorted(kept) == sorted([first, implicit(first), other, name]), "every version is kept, byte for byte")
        together(tap, server)
        large(tap, server)
        tap.ok(server.run("verify", server.dir).returncode == 0, "verify finds nothing")
    tap.done()


def together(tap, server):
    """Eight associations send the same new object at once: one copy, eight successes."""
    uid = "2.25.601.1"
    data = dimse.ct_data_set(uid, study="2.25.601", rows=256, columns=256)
    results = []
    threads = [threading.Thread(target=lambda: results.append(store(server, data, uid=uid))) for _ in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    tap.ok(results == [0] * 8 and states(server, uid) == ["stored"], "eight senders of one object: one copy",
           f"{results} {states(server, uid)}")


def large(tap, server):
    """More than a body that is buffered, so it has a file of its own; then again, and with one byte changed."""
    uid = "2.25.602.1"
    pixels = bytes(range(256)) * (1600 * 1600 * 2 // 256)
    data = dimse.ct_data_set(uid, study="2.25.602", rows=1600, columns=1600, pixels=pixels)
    tap.ok(store(server, data, uid=uid) == 0 and store(server, data, uid=uid) == 0 and states(server, uid) == ["stored"],
           "5 MB twice: one copy", states(server, uid))
    changed = data[:-1] + b"\x01"
    tap.ok(store(server, changed, uid=uid) == 0 and sorted(states(server, uid)) == ["conflict", "stored"],
           "5 MB with its last byte changed: a conflict", states(server, uid))


main()
