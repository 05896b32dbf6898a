#!/usr/bin/python3
"""What a thief of the disk reads, what a hijacked gate holds, and what answers before both syncs: nothing."""
import os
import re
import socket
import threading
import time

import dimse
import fanal as f
from plaintexts import STANDARD_UID, encodings, values_of

PATIENTS = [("MÜLLER^JÜRGEN", "IPP-9912345", "2.25.774411.1"), ("Yamada^Tarou", "JP-000777", "2.25.774411.2")]


def found_in(directory, needles):
    found = []
    for folder, _, names in os.walk(directory):
        for name in names:
            path = os.path.join(folder, name)
            if name == "fanal.conf" or not os.path.isfile(path):
                continue
            with open(path, "rb") as file:
                data = file.read()
            found += [(os.path.relpath(path, directory), n) for n in needles if n in data]
            found += [(os.path.relpath(path, directory), "its own name") for n in needles if n in name.encode()]
    return found


def load(server):
    for n, (name, pid, study) in enumerate(PATIENTS):
        a = dimse.Association(server.dicom, [(1, dimse.CT_STORAGE, [dimse.EXPLICIT_LE])])
        for i in range(5):
            uid = f"{study}.{i}"
            body = dimse.ct_data_set(uid, study=study, series=study + ".0", patient_id=pid, name=name.encode("latin-1"),
                                     instance=i)
            if a.store(1, dimse.CT_STORAGE, uid, body) != 0:
                raise RuntimeError("not stored")
        a.release()
        message = (f"MSH|^~\\&|LIS|LAB|FANAL|ED|20260101||ORU^R01|CTRL-77{n}|P|2.5\rPID|1||{pid}^^^HOSPITAL||{name}\r"
                   f"OBR|1||F1|GLU^Glucose\rOBX|1|NM|GLU^Glucose||5.5|mmol/L|||||F\r").encode()
        f.mllp_send(server.hl7, [message])


def sealed(tap, server, needles, when):
    found = found_in(server.dir, needles)
    tap.ok(not found, f"no value of a patient lies readable in the data directory {when}", found[:10])


def confidential(tap, server):
    values = values_of(server)
    needles = {e for v in values for e in encodings(v) if not STANDARD_UID.match(e)}
    tap.ok(len(values) >= 20, f"{len(values)} values to look for")
    probe = os.path.join(server.base, "probe")
    os.mkdir(probe)
    with open(os.path.join(probe, "leak"), "wb") as file:
        file.write(b"x" * 4095 + sorted(needles)[0] + b"x")
    tap.ok(found_in(probe, needles), "the search finds what is there")
    sealed(tap, server, needles, "while it serves")
    sender = threading.Thread(target=load_more, args=(server,), daemon=True)
    sender.start()
    time.sleep(0.3) # the load goes on when everything is killed
    server.kill()
    sender.join(10)
    needles |= {e for v in LATER for e in encodings(v)}
    sealed(tap, server, needles, "after kill -9 of everything in the middle of a load")
    server.start()
    sealed(tap, server, needles, "after the recovery")
    server.stop()
    sealed(tap, server, needles, "after it stopped")


LATER = ("ZWETSCHGE^ADALBERT", "ZWETSCHGE", "ADALBERT", "IPP-7755331", "2.25.885522.7")


def load_more(server):
    try:
        a = dimse.Association(server.dicom, [(1, dimse.CT_STORAGE, [dimse.EXPLICIT_LE])])
        for i in range(100000):
            uid = f"{LATER[4]}.{i}"
            a.store(1, dimse.CT_STORAGE, uid, dimse.ct_data_set(uid, study=LATER[4], patient_id=LATER[3], name=LATER[0], rows=128,
                                                                columns=128))
    except (OSError, EOFError, RuntimeError):
        pass


def status_of(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return dict(line.split(":\t", 1) for line in file.read().splitlines() if ":\t" in line)


def gates(tap, server):
    held = dimse.Association(server.dicom, [(1, dimse.CT_STORAGE, [dimse.EXPLICIT_LE])])
    sender = socket.create_connection(("127.0.0.1", server.hl7))
    f.mllp_exchange(sender, b"MSH|^~\\&|LIS|LAB|FANAL|ED|20260101||SIU^S12|HELD|P|2.5\r")
    roles = server.roles()
    tap.ok({"vault", "dicom", "hl7", "web", "lens"} <= set(roles.values()), f"the rooms are processes: {sorted(roles.values())}")
    count = sorted(roles.values())
    tap.ok(count.count("dicom") >= 2 and count.count("hl7") >= 2, "a process for each association and connection")
    for pid, role in sorted(roles.items()):
        status = status_of(pid)
        if role != "supervisor":
            tap.ok(status["NoNewPrivs"] == "1" and int(status["CapEff"], 16) == 0 == int(status["CapPrm"], 16),
                   f"{role} {pid}: no capability and none to be had", status)
            tap.ok("0" not in status["Uid"].split() and "0" not in status["Gid"].split() and not set(status["Groups"].split()) & {"0"},
                   f"{role} {pid}: not root", (status["Uid"], status["Gid"], status["Groups"]))
        if role in ("supervisor", "vault"):
            continue
        tap.ok(status["Seccomp"] == "2", f"{role} {pid}: Seccomp 2", status["Seccomp"])
        files = {fd: os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")}
        odd = {fd: to for fd, to in files.items()
               if not to.startswith(("socket:", "anon_inode:", "/memfd:", "pipe:")) and not (fd in "012" and to == "/dev/null")}
        tap.ok(not odd, f"{role} {pid}: nothing open but sockets, channel and shared memory", odd)
        with open(f"/proc/{pid}/maps", encoding="utf-8") as file:
            mapped = {line.split(None, 5)[5].strip() for line in file if len(line.split(None, 5)) == 6}
        odd = [m for m in mapped if m.startswith("/") and not m.startswith(("/usr/lib/", "/lib/", "/memfd:", "/dev/zero", "/proc/self/exe"))
               and m.removesuffix(" (deleted)") != os.path.realpath(f.binary())]
        tap.ok(not odd, f"{role} {pid}: nothing mapped but the program, libraries and shared memory", odd)
    held.release()
    sender.close()


# ---- the order of writes, syncs and answers, as the kernel saw them ----

CALLS = "fdatasync,fsync,write,writev,pwrite64,pwritev,pwritev2,send,sendto,sendmsg"
CALL = re.compile(r"^(\w+)\((\d+)<([^>]*)>(.*)$")


def calls_of(lines):
    """[(index of the line where it began, where it ended, name, file, text, result)] of an strace -f -y."""
    done, open_ = [], {}
    for n, line in enumerate(lines):
        pid, _, text = line.split(None, 2)
        if text.startswith("<... "):
            begun, before = open_.pop(pid, (None, ""))
            if begun is None:
                continue
            text = before + text.split("resumed>", 1)[1]
        elif text.endswith("<unfinished ...>"):
            open_[pid] = (n, text.removesuffix("<unfinished ...>"))
            continue
        else:
            begun = n
        m = CALL.match(text)
        result = re.search(r"= (-?\d+)[^=]*$", text)
        if m and result:
            done.append((begun, n, m.group(1), m.group(3), m.group(4), int(result.group(1))))
    return sorted(done)


def is_answer(name, file, text):
    """A C-STORE-RSP with status 0000 (PS3.7 9.3.1.2), or an HL7 acknowledgement, to a peer."""
    if name != "sendto" or not file.startswith(("socket:", "TCP")):
        return False
    stored = re.search(r"\\0\\0\\0\\1\\2\\0\\0\\0\\1\\200", text) and re.search(r"\\0\\0\\0\\t\\2\\0\\0\\0\\0\\0", text)
    return bool(stored or re.search(r"^, \"\\vMSH.*MSA\|", text))


def covered(calls, write, before):
    """A sync of that file that began after the write had ended and returned 0 before the call that begins at `before`."""
    return any(c[2] in ("fdatasync", "fsync") and c[3] == write[3] and c[0] > write[1] and c[1] < before and c[5] == 0 for c in calls)


def early(calls):
    """(answers, those that left before what they say was durable). One sender, one object at a time: what was written to
    body files since the answer before is this object's body, and the first write to the log after it is its entry."""
    answers, wrong, since = 0, [], -1
    for n, c in enumerate(calls):
        if not is_answer(c[2], c[3], c[4]):
            continue
        answers += 1
        window = [w for w in calls if since < w[0] < c[0]]
        bodies = [w for w in window if w[2].startswith(("pwrite", "write")) and "/vault/body/" in w[3]]
        entries = [w for w in window if w[2].startswith(("pwrite", "write")) and "/vault/log/" in w[3] and bodies and w[0] > bodies[0][0]]
        if not bodies or not entries or not all(covered(calls, w, c[0]) for w in [*bodies, entries[0]]):
            wrong.append(c)
        since = c[0]
    return answers, wrong


def answers_wait(tap):
    """Under strace: before an answer leaves, the syncs of its body and of its entry have returned."""
    if not f.need(tap, "strace"):
        return
    stores, messages = 12, 8
    with f.Fanal() as server:
        trace = os.path.join(server.base, "trace")
        server.wrap = ["strace", "-f", "-tt", "-y", "-s", "400", "-e", "trace=" + CALLS, "-o", trace]
        server.start(60)
        a = dimse.Association(server.dicom, [(1, dimse.CT_STORAGE, [dimse.EXPLICIT_LE])], timeout=60)
        for i in range(stores): # the last: a body that gets a file of its own
            uid, side = f"2.25.5.{i}", 1100 if i == stores - 1 else 64 + 64 * i
            if a.store(1, dimse.CT_STORAGE, uid, dimse.ct_data_set(uid, rows=side, columns=side)) != 0:
                raise RuntimeError("not stored")
        a.release()
        f.mllp_send(server.hl7, [f"MSH|^~\\&|LIS|LAB|FANAL|ED|20260101||ORU^R01|C{i}|P|2.5\rPID|1||P1^^^H||A^B\rOBR|1||F{i}|G^G\r"
                                 f"OBX|1|NM|G^G||5.{i}|mmol/L|||||F\r".encode() for i in range(messages)])
        server.stop(60)
        with open(trace, encoding="utf-8", errors="replace") as file:
            calls = calls_of(file.read().splitlines())
    answers, wrong = early(calls)
    tap.ok(answers == stores + messages and not wrong, f"{answers} answers, none before both syncs returned", wrong[:3])
    for where in ("/vault/body/", "/vault/log/"): # the check itself can fail
        without = [c for c in calls if not (c[2] in ("fdatasync", "fsync") and where in c[3])]
        tap.ok(len(early(without)[1]) >= stores, f"without the syncs of {where} the recorder complains")
    failed = [(*c[:5], -1 if c[2] == "fdatasync" else c[5]) for c in calls]
    tap.ok(len(early(failed)[1]) == answers, "a sync that fails is none")
    late = [(b, e + 100000 if name == "fdatasync" else e, name, *rest) for b, e, name, *rest in calls]
    tap.ok(len(early(late)[1]) == answers, "nor is one that returns too late")


def main():
    tap = f.Tap()
    with f.Fanal() as server:
        server.start()
        load(server)
        gates(tap, server)
        confidential(tap, server)
    answers_wait(tap)
    tap.done()


main()
