#!/usr/bin/python3
"""Garbage, lies and slowness: nothing crashes, nobody else waits.

Ten thousand generated PDUs, data sets and HL7 messages (a sample of them unless FANAL_TORTURE=full; the seed is
printed) and the malformed_and_edge folders; then 1,000 idle connections and slow senders from 127.0.0.2 while
127.0.0.1 must get its echo within a second.
"""
import os
import random
import socket
import struct
import time

import dimse
import fanal as f

FULL = os.environ.get("FANAL_TORTURE") == "full"
COUNT = 10000 if FULL else 1200
KNOCKS = 10000 if FULL else 600


def mutated(random_, data, most=8):
    data = bytearray(data)
    for _ in range(random_.randrange(1, most)):
        kind = random_.randrange(5)
        at = random_.randrange(len(data)) if data else 0
        if kind == 0 and data:
            data[at] = random_.randrange(256)
        elif kind == 1:
            del data[at:at + random_.randrange(1, 40)]
        elif kind == 2:
            data[at:at] = random_.randbytes(random_.randrange(1, 40))
        elif kind == 3 and len(data) > at + 4:
            data[at:at + 4] = random_.choice((b"\xff\xff\xff\xff", b"\0\0\0\0", b"\x7f\xff\xff\xff", b"\xff\xff\xff\x7f"))
        else:
            del data[at:]
    return bytes(data)


def exchange(port, data, wait=0.15):
    """Sends, closes the writing half, reads to the end or the wait: what came back."""
    try:
        with socket.create_connection(("127.0.0.1", port), 2) as s:
            s.sendall(data)
            s.shutdown(socket.SHUT_WR)
            s.settimeout(wait)
            got = b""
            while True:
                piece = s.recv(65536)
                if not piece:
                    return got
                got += piece
    except (OSError, socket.timeout):
        return None


def storm(tap, server, random_):
    rq = dimse.associate_rq([(1, dimse.CT_STORAGE, [dimse.EXPLICIT_LE]), (3, dimse.VERIFICATION, [dimse.IMPLICIT_LE])])
    body = dimse.ct_data_set("2.25.9.1")
    store = dimse.store_rq(dimse.CT_STORAGE, "2.25.9.1") + dimse.pdata(1, 2, body)
    message = (b"MSH|^~\\&|LIS|LAB|FANAL|ED|20260101||ORU^R01|C1|P|2.5\rPID|1||P1^^^H||A^B\rOBR|1||F1|G^G\r"
               b"OBX|1|NM|G^G||5.5|mmol/L|||||F\r")
    for n in range(COUNT):
        kind = n % 6
        if kind == 0:
            exchange(server.dicom, mutated(random_, rq))
        elif kind == 1:
            exchange(server.dicom, rq + mutated(random_, store, 4))
        elif kind == 2:
            try:
                a = dimse.Association(server.dicom, [(1, dimse.CT_STORAGE, [dimse.EXPLICIT_LE])], timeout=5)
                status = a.store(1, dimse.CT_STORAGE, "2.25.9.1", mutated(random_, body))
                if status not in (0, 0xA700, 0xA900, 0xC000, 0x0110, 0x0117, 0x0122):
                    tap.ok(False, f"case {n}: status {status:04x}")
                a.close()
            except (OSError, EOFError, dimse.Aborted, dimse.Refused):
                pass
        elif kind == 3:
            exchange(server.dicom, random_.randbytes(random_.randrange(1, 400)))
        elif kind == 4:
            exchange(server.hl7, b"\x0b" + mutated(random_, message) + b"\x1c\r")
        else:
            exchange(server.hl7, mutated(random_, b"\x0b" + message + b"\x1c\r", 12))
        if n % 200 == 199:
            tap.ok(server.echo() and server.process.poll() is None, f"{n + 1} hostile inputs: an echo is answered")


def edge_files(tap, server):
    shared = f.shared()
    if shared is None:
        tap.skip("malformed_and_edge", "../shared is absent")
        return
    folder = os.path.join(shared, "data", "dicom", "malformed_and_edge")
    answered = {}
    for name in sorted(os.listdir(folder)):
        with open(os.path.join(folder, name), "rb") as file:
            data = file.read()
        try:
            syntax, body = f.part10_data_set(data)
        except (ValueError, struct.error, IndexError):
            syntax, body = None, data
        syntax = syntax or dimse.IMPLICIT_LE
        try:
            a = dimse.Association(server.dicom, [(1, dimse.CT_STORAGE, [syntax])], timeout=10)
            answered[name] = f"{a.store(1, dimse.CT_STORAGE, '2.25.8.1', body):04x}" if a.results[1] == 0 else "context refused"
            a.close()
        except (OSError, EOFError, dimse.Aborted) as e:
            answered[name] = f"{type(e).__name__} {e}"
    tap.note(answered)
    tap.ok(not [v for v in answered.values() if "timed out" in v.lower()], "each malformed file is answered or aborted", answered)
    folder = os.path.join(shared, "data", "hl7", "edge_cases_and_malformed")
    for name in sorted(os.listdir(folder)):
        with open(os.path.join(folder, name), "rb") as file:
            exchange(server.hl7, b"\x0b" + file.read() + b"\x1c\r", 1.0)
    tap.ok(server.echo(), "and an echo is answered afterwards")


def knocking(tap, server):
    """A stranger's address that connects again and again leaves a count, not a record and a line each time."""
    web = f.Web(server).enrol(server)
    lines, begun = server.log_text().count("\n"), time.monotonic()
    refused = 0
    for n in range(KNOCKS):
        try:
            if n % 2:
                with socket.create_connection(("127.0.0.1", server.hl7), 5, source_address=("127.0.0.3", 0)) as s:
                    refused += s.recv(1) == b""
            else:
                dimse.Association(server.dicom, [(1, dimse.VERIFICATION, [dimse.IMPLICIT_LE])], source="127.0.0.3", timeout=5)
        except dimse.Refused as e:
            refused += (e.result, e.source, e.reason) == (1, 1, 3)
        except OSError:
            pass
    minutes = 2 + int((time.monotonic() - begun) / 60)
    tap.ok(refused >= KNOCKS * 0.99, f"{refused} of {KNOCKS} knocks of a stranger are refused as they should")
    events, after = [], 0
    while True:
        page = web.get(f"/api/journal?after={after}")
        if not page or page[-1]["position"] == after:
            break
        events += page
        after = page[-1]["position"]
    refusals = [e for e in events if "refused" in e["event"] and e.get("address") == "127.0.0.3"]
    tap.ok(1 <= len(refusals) <= 12 * minutes, f"{len(refusals)} events of them in the journal of {len(events)}", events[-3:])
    more = server.log_text().count("\n") - lines
    tap.ok(more <= 300 * minutes, f"{more} lines in the log in {minutes} minutes")
    tap.ok(server.echo(), "and an echo is answered")


def crowd(tap, server):
    """1,000 silent connections and a dozen slow senders from 127.0.0.2."""
    many = 1000
    held = []
    slow = []
    rq = dimse.associate_rq([(1, dimse.CT_STORAGE, [dimse.EXPLICIT_LE])])
    for n in range(many):
        try:
            s = socket.create_connection(("127.0.0.1", server.dicom), 2, source_address=("127.0.0.2", 0))
            held.append(s)
        except OSError:
            pass
    for n in range(12):
        try:
            s = socket.create_connection(("127.0.0.1", server.dicom), 2, source_address=("127.0.0.2", 0))
            s.sendall(rq[:40])
            slow.append(s)
        except OSError:
            pass
    worst = 0.0
    for n in range(20):
        for s in slow:
            try:
                s.sendall(rq[40 + n:41 + n])
            except OSError:
                pass
        begun = time.monotonic()
        ok = server.echo(source="127.0.0.1", timeout=5)
        worst = max(worst, time.monotonic() - begun if ok else 99)
    tap.ok(worst < 1.0, f"with {len(held)} idle and {len(slow)} slow connections from elsewhere, the slowest echo took {worst:.3f} s")
    processes = len(server.pids())
    tap.ok(processes <= 80, f"{processes} processes: connections without an association are capped per source")
    for s in held + slow:
        s.close()


def main():
    tap = f.Tap()
    seed = int(os.environ.get("FANAL_SEED") or random.randrange(1 << 30))
    tap.note(f"FANAL_SEED={seed}")
    elsewhere = "\n[peer ELSEWHERE]\nae = ELSE\naddress = 127.0.0.2\nmay = store\nissuer = HOSPITAL\n"
    with f.Fanal(peers=f.DEFAULT_PEERS + elsewhere) as server:
        server.start(60)
        storm(tap, server, random.Random(seed))
        edge_files(tap, server)
        crowd(tap, server)
        knocking(tap, server)
        tap.ok(server.stop(30) == 0, "an orderly end")
        tap.ok(not f.faults(server), "no crash, no leak, no undefined behaviour in the log", "\n".join(f.faults(server)[:20]))
    tap.done()


main()
