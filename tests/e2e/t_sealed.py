#!/usr/bin/python3
"""What a thief of the disk reads, what a hijacked gate holds, and what answers before both syncs: nothing."""
import os
import re

import dimse
import fanal as f

STANDARD_UID = re.compile(rb"^1\.2\.840\.10008\.")
PATIENTS = [("MÜLLER^JÜRGEN", "IPP-9912345", "2.25.774411.1"), ("Yamada^Tarou", "JP-000777", "2.25.774411.2")]


def values_of(server):
    """Every value of 6 bytes or more that identifies a patient or an object, as the page and the list show them."""
    values = set()
    for r in server.list():
        for key in ("patient_name", "patient_id", "study_uid", "series_uid", "sop_uid", "control_id"):
            v = r.get(key) or ""
            values |= {v, *re.split(r"[\^=]", v)}
    return {v for v in values if len(v.encode()) >= 6}


def encodings(value):
    for encoding in ("utf-8", "latin-1", "utf-16-le", "utf-16-be"):
        try:
            yield value.encode(encoding)
        except UnicodeEncodeError:
            pass


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


def confidential(tap, server):
    values = values_of(server)
    needles = {e for v in values for e in encodings(v) if not STANDARD_UID.match(e)}
    tap.ok(len(values) >= 20, f"{len(values)} values to look for")
    tap.ok(not found_in(server.dir, needles), "none of them lies readable in the data directory while it serves",
           found_in(server.dir, needles)[:10])
    server.stop()
    tap.ok(not found_in(server.dir, needles), "nor after it stopped", found_in(server.dir, needles)[:10])


def gates(tap, server):
    held = dimse.Association(server.dicom, [(1, dimse.CT_STORAGE, [dimse.EXPLICIT_LE])])
    roles = server.roles()
    tap.ok({"vault", "dicom", "hl7", "web", "lens"} <= set(roles.values()), f"the rooms are processes: {sorted(roles.values())}")
    for pid, role in sorted(roles.items()):
        if role in ("supervisor", "vault"):
            continue
        with open(f"/proc/{pid}/status", encoding="ascii") as file:
            status = dict(line.split(":\t", 1) for line in file.read().splitlines() if ":\t" in line)
        tap.ok(status["Seccomp"] == "2", f"{role} {pid}: Seccomp 2", status["Seccomp"])
        files = {fd: os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")}
        odd = {fd: to for fd, to in files.items()
               if not to.startswith(("socket:", "anon_inode:", "/memfd:", "pipe:")) and not (fd in "012" and to in ("/dev/null", server.log))}
        tap.ok(not odd, f"{role} {pid}: nothing open but sockets, channel and shared memory", odd)
    held.release()


def answers_wait(tap):
    """Under strace: between the last byte of an object and its answer both files were synced."""
    if not f.need(tap, "strace"):
        return
    with f.Fanal() as server:
        trace = os.path.join(server.base, "trace")
        server.wrap = ["strace", "-f", "-ttt", "-y", "-e", "trace=fdatasync,sendto,sendmsg,write,pwrite64,pwritev,pwritev2", "-o", trace]
        # Privileges cannot be dropped under strace by an unprivileged tracer; as root it follows.
        server.start(60)
        a = dimse.Association(server.dicom, [(1, dimse.CT_STORAGE, [dimse.EXPLICIT_LE])], timeout=60)
        for i in range(10):
            uid = f"2.25.5.{i}"
            a.store(1, dimse.CT_STORAGE, uid, dimse.ct_data_set(uid, rows=64, columns=64))
        a.release()
        server.stop(60)
        with open(trace, encoding="utf-8", errors="replace") as file:
            lines = file.read().splitlines()
    check_trace(tap, lines)


def check_trace(tap, lines):
    body = log = False
    answers = early = 0
    unfinished = {}
    for line in lines:
        pid = line.split()[0]
        if "fdatasync(" in line and "unfinished" in line:
            unfinished[pid] = line
        if ("fdatasync(" in line and "= 0" in line) or ("fdatasync resumed" in line and "= 0" in line):
            text = line if "fdatasync(" in line else unfinished.pop(pid, "")
            body |= "/body/" in text
            log |= "/log/" in text
        if re.search(r"(sendto|sendmsg|write)\(\d+<(socket|TCP)", line) and r"\4\0" in line and re.search(r"\\0\\0\\0\\0?.*\\1\\200|\\1\\200", line):
            answers += 1
            early += not (body and log)
            body = log = False
    tap.note(f"{answers} answers seen")
    tap.ok(answers >= 10 and not early, f"{answers} answers, none before both fdatasync calls returned", f"{early} early")


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
