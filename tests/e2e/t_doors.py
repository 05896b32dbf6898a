#!/usr/bin/python3
"""What each door answers: association rejections, contexts, statuses, unknown senders, the command line's exit codes."""
import json
import os
import socket
import struct

import dimse
import fanal as f

LEI, LEE, BE, DEFLATED = dimse.IMPLICIT_LE, dimse.EXPLICIT_LE, "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99"
JPEG_LL, JPEG = "1.2.840.10008.1.2.4.70", "1.2.840.10008.1.2.4.50"


def rejection(server, **rq):
    try:
        a = dimse.Association(server.dicom, [(1, dimse.VERIFICATION, [LEI])], **rq)
        a.close()
        return None
    except dimse.Refused as e:
        return e.result, e.source, e.reason


def associations(tap, server):
    tap.ok(rejection(server, calling="STRANGER") == (1, 1, 3), "unknown calling AE: 1/1/3", rejection(server, calling="STRANGER"))
    tap.ok(rejection(server, calling="ct1") == (1, 1, 3), "AE titles are case-sensitive")
    tap.ok(rejection(server, source="127.0.0.3") == (1, 1, 3), "known AE, wrong address: 1/1/3")
    tap.ok(rejection(server, called="ORTHANC") == (1, 1, 7), "wrong called AE: 1/1/7", rejection(server, called="ORTHANC"))
    tap.ok(rejection(server, calling="  CT1 ") is None, "spaces around an AE title do not count")
    tap.ok(rejection(server, application=b"1.2.3") == (1, 1, 2), "another application context: 1/1/2",
           rejection(server, application=b"1.2.3"))
    tap.ok(rejection(server, version=2) == (1, 2, 2), "protocol version 2: 1/2/2", rejection(server, version=2))
    proposed = [(1, dimse.CT_STORAGE, [LEI, LEE, JPEG]), (3, dimse.CT_STORAGE, [JPEG]), (5, dimse.CT_STORAGE, [JPEG, JPEG_LL]),
                (7, dimse.CT_STORAGE, [BE, LEI]), (9, "1.2.3.4.5", [LEI]), (11, dimse.CT_STORAGE, ["1.2.3.4.6"]),
                (13, dimse.CT_STORAGE, [JPEG, DEFLATED])]
    a = dimse.Association(server.dicom, proposed)
    want = {1: (0, LEE), 3: (0, JPEG), 5: (0, JPEG_LL), 7: (0, LEI), 13: (0, DEFLATED)}
    got = {n: (a.results.get(n), a.syntaxes.get(n)) for n in want}
    tap.ok(got == want, "never more compressed than needed", f"{got}")
    tap.ok(a.results[9] == 3 and a.results[11] == 4, "unknown class 3, unknown syntax 4", a.results)
    a.release()
    many = [(2 * i + 1, dimse.CT_STORAGE, [LEE]) for i in range(128)]
    a = dimse.Association(server.dicom, many)
    tap.ok(len(a.results) == 128 and set(a.results.values()) == {0}, "128 contexts")
    a.release()


def statuses(tap, server):
    a = dimse.Association(server.dicom, [(1, dimse.CT_STORAGE, [LEE])])
    good = dimse.ct_data_set("2.25.700.1")
    no_study = dimse.text((8, 0x16, "UI"), dimse.CT_STORAGE) + dimse.text((8, 0x18, "UI"), "2.25.700.2") \
        + dimse.text((0x10, 0x20, "LO"), "PID1")
    tap.ok(a.store(1, dimse.CT_STORAGE, "2.25.700.2", no_study) == 0xA900, "no Study Instance UID: A900")
    tap.ok(a.store(1, dimse.CT_STORAGE, "2.25.700.9", good) == 0xA900, "command and data set name different objects: A900")
    lying = dimse.text((8, 0x16, "UI"), dimse.CT_STORAGE) + struct.pack("<HH2sH", 8, 0x18, b"UI", 60000) + b"2.25"
    status = a.store(1, dimse.CT_STORAGE, "2.25.700.3", lying)
    tap.ok(status & 0xF000 == 0xC000 or status == 0xA900, f"a length past the end: {status:04x}")
    tap.ok(a.store(1, dimse.CT_STORAGE, "2.25.700.1", good) == 0, "and the association goes on")
    a.release()
    nested = b"".join(struct.pack("<HH2sHI", 8, 0x1140, b"SQ", 0, 0xffffffff) + struct.pack("<HHI", 0xfffe, 0xe000, 0xffffffff)
                      for _ in range(10000))
    a = dimse.Association(server.dicom, [(1, dimse.CT_STORAGE, [LEE])])
    status = a.store(1, dimse.CT_STORAGE, "2.25.700.4", dimse.text((8, 0x18, "UI"), "2.25.700.4") + nested)
    tap.ok(status & 0xF000 == 0xC000, f"10,000 nested sequences: {status:04x}")
    a.close()
    refused = [r for r in server.list() if r["state"] == "refused"]
    tap.ok(len(refused) >= 2 and all(r.get("reason") for r in refused), "what was refused is listed with its reason", refused)


def messages(tap, server):
    with socket.create_connection(("127.0.0.1", server.hl7), 5, source_address=("127.0.0.4", 0)) as s:
        s.sendall(b"\x0bMSH|^~\\&|X|Y|||20260101||ADT^A01|1|P|2.5\r\x1c\r")
        s.settimeout(3)
        try:
            got = s.recv(100)
        except OSError:
            got = b""
        tap.ok(got == b"", "an unknown sender is closed unread", got)


def command_line(tap, server):
    tap.ok(server.run("serve", server.dir).returncode == 1, "a second serve exits 1")
    tap.ok(server.run("rebuild", server.dir).returncode == 1, "rebuild while serving exits 1")
    tap.ok(server.run("verify", server.dir).returncode == 0, "verify while serving")
    tap.ok(server.run("frobnicate").returncode == 2 and server.run("list").returncode == 2, "usage errors exit 2")
    for command in ("init", "serve", "status", "verify", "rebuild", "list", "export", "send"):
        done = server.run(command, "--help")
        tap.ok(done.returncode == 0 and command in done.stdout, f"fanal {command} --help")
    status = server.run("status", server.dir, "--json")
    tap.ok(status.returncode == 0 and json.loads(status.stdout), "status --json", status.stdout + status.stderr)
    records = server.list()
    keys = {"position", "kind", "state", "study_uid", "series_uid", "sop_uid", "transfer_syntax", "patient_id", "issuer",
            "patient_name", "received"}
    tap.ok(records and all(keys <= set(r) for r in records), "list --json has every promised key", records[:1])
    out = os.path.join(server.base, "nothing")
    tap.ok(server.run("export", server.dir, "--study", "9.9.9", out).returncode == 1, "export of what is not there exits 1")
    before = server.list()
    server.stop()
    tap.ok(server.list() == before, "list answers the same when nobody serves")
    done = server.run("rebuild", server.dir)
    tap.ok(done.returncode == 0 and server.list() == before, "rebuild makes the same views", done.stderr)
    bad = dict(server.env)
    wrong = os.path.join(server.base, "wrong")
    with open(wrong, "w", encoding="ascii") as file:
        file.write("not the passphrase\n")
    server.env["FANAL_PASSPHRASE_FILE"] = wrong
    done = server.run("list", server.dir)
    tap.ok(done.returncode == 1 and done.stderr, "a wrong passphrase exits 1 and says so", done.stderr)
    tap.ok(server.run("serve", server.dir).returncode == 1, "serve with a wrong passphrase exits 1")
    server.env = bad
    with open(os.path.join(server.dir, "fanal.conf"), "a", encoding="ascii") as file:
        file.write("\n[site]\ncolour = blue\n")
    done = server.run("serve", server.dir)
    tap.ok(done.returncode != 0 and "line" in done.stderr, "an unknown key is an error with its line", done.stderr)


def main():
    tap = f.Tap()
    with f.Fanal() as server:
        server.start()
        associations(tap, server)
        statuses(tap, server)
        messages(tap, server)
        command_line(tap, server)
    tap.done()


main()
