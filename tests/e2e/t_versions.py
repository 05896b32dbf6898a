#!/usr/bin/python3
"""The same SOP Instance UID again: same bytes, other encoding, other values; and what is served."""
import os
import shutil
import signal
import struct
import subprocess
import threading
import zlib

import dimse
import fanal as f

UID, STUDY = "2.25.600.1", "2.25.600"
BIG_ENDIAN, DEFLATED = "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99"
RLE, JPEG_LOSSLESS = "1.2.840.10008.1.2.5", "1.2.840.10008.1.2.4.70"


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
        encodings(tap, server)
        compressions(tap, server)
        together(tap, server)
        others_together(tap, server)
        large(tap, server)
        without_lens(tap, server)
        tap.ok(server.run("verify", server.dir).returncode == 0, "verify finds nothing")
    tap.done()


def big_endian(data):
    """The same in explicit big endian: binary values turned, US and OW (of 16 bits) alike."""
    out, at = b"", 0
    while at < len(data):
        group, number, vr = struct.unpack_from("<HH2s", data, at)
        long = vr in (b"OB", b"OW", b"UN", b"SQ", b"UT")
        length, at = (struct.unpack_from("<I", data, at + 8)[0], at + 12) if long \
            else (struct.unpack_from("<H", data, at + 6)[0], at + 8)
        value = data[at:at + length]
        if vr in (b"US", b"OW"):
            value = struct.pack(f">{length // 2}H", *struct.unpack(f"<{length // 2}H", value))
        out += struct.pack(">HH2s", group, number, vr) + (struct.pack(">HI", 0, length) if long else struct.pack(">H", length))
        out += value
        at += length
    return out


def deflated(data):
    """PS3.5 A.5: RFC 1951, no zlib header; padded to an even length."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = packer.compress(data) + packer.flush()
    return packed + b"\0" * (len(packed) & 1)


def encodings(tap, server):
    """Every uncompressed syntax after every other; one value that differs is seen in each of them."""
    uid = "2.25.603.1"
    first = dimse.ct_data_set(uid, study="2.25.603", rows=32, columns=32)
    other = dimse.ct_data_set(uid, study="2.25.603", rows=32, columns=32, birth="19700102")
    forms = [("explicit", dimse.EXPLICIT_LE, bytes), ("implicit", dimse.IMPLICIT_LE, implicit),
             ("big endian", BIG_ENDIAN, big_endian), ("deflated", DEFLATED, deflated)]
    want = []
    for name, syntax, form in forms:
        want.append("alternate" if want else "stored")
        tap.ok(store(server, form(first), syntax, uid) == 0 and sorted(states(server, uid)) == sorted(want),
               f"the same, {name}: {want[-1]}", states(server, uid))
    for name, syntax, form in forms:
        want.append("conflict")
        tap.ok(store(server, form(other), syntax, uid) == 0 and sorted(states(server, uid)) == sorted(want),
               f"another birth date, {name}: conflict", states(server, uid))


def part10(data, uid):
    """A file for dcmtk's tools."""
    meta = dimse.text((2, 1, "OB"), b"\0\1") + dimse.text((2, 2, "UI"), dimse.CT_STORAGE) \
        + dimse.text((2, 3, "UI"), uid) + dimse.text((2, 0x10, "UI"), dimse.EXPLICIT_LE) \
        + dimse.text((2, 0x12, "UI"), "1.2.826.0.1.3680043.10.1.3")
    return bytes(128) + b"DICM" + struct.pack("<HH2sHI", 2, 0, b"UL", 4, len(meta)) + meta + data


def compressions(tap, server):
    """RLE and JPEG lossless of the same pixels by dcmtk: alternates; of others: conflicts."""
    uid = "2.25.604.1"
    first = dimse.ct_data_set(uid, study="2.25.604", rows=64, columns=64,
                              pixels=struct.pack("<4096H", *((i * i // 9) & 0xfff for i in range(4096))))
    name = os.path.join(server.base, "first.dcm")
    with open(name, "wb") as file:
        file.write(part10(first, uid))
    tap.ok(store(server, first, uid=uid) == 0, "an uncompressed one")
    want = ["stored"]
    for tool, options, syntax in (("dcmcrle", [], RLE), ("dcmcjpeg", ["+e1"], JPEG_LOSSLESS)):
        if not f.need(tap, tool):
            continue
        packed = os.path.join(server.base, tool + ".dcm")
        subprocess.run([tool, *options, "+un", name, packed], check=True, capture_output=True)
        if tool == "dcmcjpeg":  # says in Derivation Description what it did: a value of its own, so a conflict by value
            subprocess.run(["dcmodify", "-nb", "-imt", "-ea", "(0008,2111)", packed], check=True, capture_output=True)
        with open(packed, "rb") as file:
            got, body = f.part10_data_set(file.read())
        want.append("alternate")
        tap.ok(got == syntax and store(server, body, syntax, uid) == 0 and sorted(states(server, uid)) == sorted(want),
               f"the same pixels by {tool}: alternate", f"{got} {states(server, uid)}")
        changed = bytearray(body)
        changed[len(changed) // 2 + 200] ^= 0x10
        want.append("conflict")
        tap.ok(store(server, bytes(changed), syntax, uid) == 0 and sorted(states(server, uid)) == sorted(want),
               f"one bit of its codestream turned: conflict ({tool})", states(server, uid))


def all_at_once(server, sends):
    """The statuses of C-STOREs on associations of their own, begun together."""
    results = []
    threads = [threading.Thread(target=lambda one=one: results.append(store(server, *one))) for one in sends]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    return results


def others_together(tap, server):
    """A re-encoding and a changed one, each from four senders at once, of an object that is there: one copy of each."""
    uid = "2.25.605.1"
    first = dimse.ct_data_set(uid, study="2.25.605", rows=128, columns=128)
    changed = dimse.ct_data_set(uid, study="2.25.605", rows=128, columns=128, name="SOMEBODY^ELSE")
    store(server, first, uid=uid)
    results = all_at_once(server, [(implicit(first), dimse.IMPLICIT_LE, uid), (changed, dimse.EXPLICIT_LE, uid)] * 4)
    tap.ok(results == [0] * 8 and sorted(states(server, uid)) == ["alternate", "conflict", "stored"],
           "eight senders of two other versions: one copy of each", f"{results} {states(server, uid)}")


def without_lens(tap, server):
    """Every lens is killed while it compares: a success all the same, kept as a conflict; a fresh lens compares again."""
    uid, study = "2.25.606.1", "2.25.606"
    pixels = bytes(range(256)) * (2000 * 2000 * 2 // 256)
    first = dimse.ct_data_set(uid, study=study, rows=2000, columns=2000, pixels=pixels)
    store(server, first, uid=uid)
    lenses = [pid for pid, role in server.roles().items() if role == "lens"]
    for pid in lenses:
        os.kill(pid, signal.SIGSTOP)
    results = []
    sender = threading.Thread(target=lambda: results.append(store(server, implicit(first), dimse.IMPLICIT_LE, uid)))
    sender.start()
    tap.ok(f.wait_for(lambda: not sender.is_alive(), 1) is None, "a sender waits while no lens answers")
    for pid in lenses:
        os.kill(pid, signal.SIGKILL)
    sender.join(20)
    tap.ok(results == [0] and sorted(states(server, uid)) == ["conflict", "stored"],
           "the lens is killed: kept, as a conflict", f"{results} {states(server, uid)}")
    fresh = f.wait_for(lambda: [pid for pid, role in server.roles().items() if role == "lens" and pid not in lenses], 10)
    tap.ok(fresh, "a fresh lens comes")

    def compared():
        again = f"2.25.607.{len(tried)}"
        tried.append(again)
        data = dimse.ct_data_set(again, study="2.25.607")
        store(server, data, uid=again)
        store(server, implicit(data), dimse.IMPLICIT_LE, again)
        return "alternate" in states(server, again)
    tried = []
    tap.ok(f.wait_for(compared, 10, 0.2), "and comparing goes on", f"{len(tried)} tried")
    undigestible(tap, server)


def undigestible(tap, server):
    """What a lens cannot digest costs no lens: the next re-encoding is compared as ever."""
    uid, study = "2.25.608.1", "2.25.608"
    first = dimse.ct_data_set(uid, study=study)
    cut = first + struct.pack("<HH2sHI", 0x7fe1, 0x10, b"OB", 0, 0xffffffff) + b"\xfe\xff\x00\xe0\x40\0\0\0cut"
    store(server, first, uid=uid)
    tap.note(f"an unfinished data set is answered {store(server, cut, uid=uid):04x}, kept as {states(server, uid)}")
    broken = deflated(first)[:-7]
    tap.note(f"a cut deflated one is answered {store(server, broken, DEFLATED, uid):04x}, kept as {states(server, uid)}")
    tap.ok(store(server, implicit(first), dimse.IMPLICIT_LE, uid) == 0 and "alternate" in states(server, uid),
           "after what cannot be digested, comparing goes on", states(server, uid))


def together(tap, server):
    """Eight associations send the same new object at once: one copy, eight successes."""
    uid = "2.25.601.1"
    data = dimse.ct_data_set(uid, study="2.25.601", rows=256, columns=256)
    results = all_at_once(server, [(data, dimse.EXPLICIT_LE, uid)] * 8)
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
