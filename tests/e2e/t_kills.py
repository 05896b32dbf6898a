#!/usr/bin/python3
"""kill -9 at random moments while 4 associations and 2 HL7 connections send; then everything acknowledged is there.

Each process in turn and all at once: 1,000 moments with FANAL_TORTURE=full, otherwise a sample. The seed is printed.
With `power` as its argument the power is cut instead, 200 times in full: the data directory lies on ext4 over a loop
image; the image is copied at the moment of the last answer (what reached the disk, nothing else), the copy is mounted and
served. With `full` the disk fills and empties under the senders, 200 times in full. FANAL_ROUNDS=n runs n rounds whatever
the rest says, so that a long run can be had in slices.
"""
import collections
import os
import random
import shutil
import socket
import sys
import threading
import time

import dimse
import fanal as f
from small_disk import Disk, Image

FULL = os.environ.get("FANAL_TORTURE") == "full"


def rounds_of(full, sample):
    return int(os.environ.get("FANAL_ROUNDS") or (full if FULL else sample))


class Load:
    """Senders that note what was acknowledged, until the server is gone or stop() is called."""

    def __init__(self, server, run, sides=(16, 64, 300, 1100)):
        self.server, self.run, self.sides = server, run, sides
        self.answers = collections.Counter()
        self.objects, self.messages = {}, {}
        self.lock = threading.Lock()
        self.stopping = False
        self.threads = [threading.Thread(target=self.dicom, args=(n,), daemon=True) for n in range(4)]
        self.threads += [threading.Thread(target=self.hl7, args=(n,), daemon=True) for n in range(2)]
        for t in self.threads:
            t.start()

    def dicom(self, n):
        random_ = random.Random(f"{self.run}-{n}")
        i = 0
        while not self.stopping:
            try:
                a = dimse.Association(self.server.dicom, [(1, dimse.CT_STORAGE, [dimse.EXPLICIT_LE])], timeout=5)
                while not self.stopping:
                    i += 1
                    uid = f"2.25.{self.run}.{n}.{i}"
                    side = random_.choice(self.sides if i % 7 == 0 else self.sides[:-1])
                    body = dimse.ct_data_set(uid, study=f"2.25.{self.run}.{n}", series=f"2.25.{self.run}.{n}.0",
                                             patient_id=f"P{self.run}{n}", rows=side, columns=side, instance=i,
                                             pixels=random_.randbytes(side * side * 2))
                    status = a.store(1, dimse.CT_STORAGE, uid, body)
                    with self.lock:
                        self.answers[f"{status:04X}"] += 1
                        if status == 0:
                            self.objects[uid] = body
            except (OSError, EOFError, RuntimeError):
                time.sleep(0.01)

    def hl7(self, n):
        i = 0
        while not self.stopping:
            try:
                with socket.create_connection(("127.0.0.1", self.server.hl7), 5) as s:
                    while not self.stopping:
                        i += 1
                        control = f"M{self.run}-{n}-{i}"
                        message = (f"MSH|^~\\&|LIS|LAB|FANAL|ED|20260101120000||ORU^R01^ORU_R01|{control}|P|2.5\r"
                                   f"PID|1||P{self.run}{n}^^^HOSPITAL||DOE^JANE||19700101|F\r"
                                   f"OBR|1||F{control}|GLU^Glucose^L|||20260101115500\r"
                                   f"OBX|1|NM|GLU^Glucose^L||{i}|mmol/L|3.9-6.1||||F\r").encode()
                        answer = f.mllp_exchange(s, message, 5)
                        if answer is None:
                            break
                        code = answer.partition(b"MSA|")[2][:2].decode("ascii", "replace")
                        with self.lock:
                            self.answers[code] += 1
                            if code == "AA" and b"MSA|AA|" + control.encode() in answer:
                                self.messages[control] = message
            except OSError:
                time.sleep(0.01)

    def acknowledged(self):
        with self.lock:
            return dict(self.objects), dict(self.messages)

    def stop(self):
        self.stopping = True
        for t in self.threads:
            t.join(10)


def missing(server, objects, messages):
    """Names of acknowledged things that are not there byte for byte."""
    lost = []
    records = server.list()
    by_uid = {}
    for r in records:
        if r["kind"] == "dicom" and r["state"] == "stored":
            by_uid[r["sop_uid"]] = r["position"]
    by_control = {r.get("control_id"): r["position"] for r in records if r["kind"] == "hl7"}
    studies = {uid.rsplit(".", 1)[0] for uid in objects}
    exported = {}
    for study in studies:
        out = os.path.join(server.base, "out")
        shutil.rmtree(out, ignore_errors=True)
        done = server.run("export", server.dir, "--study", study, out)
        if done.returncode != 0:
            lost.append(f"study {study}: {done.stderr.strip()}")
            continue
        for name in os.listdir(out):
            with open(os.path.join(out, name), "rb") as file:
                exported[int(name.split(".")[0])] = f.part10_data_set(file.read())[1]
    for uid, body in objects.items():
        if exported.get(by_uid.get(uid)) != body:
            lost.append(uid)
    sample = list(messages.items())
    random.shuffle(sample)
    for control, message in sample[:60]:
        if control not in by_control or server.export_message(by_control[control]) != message:
            lost.append(control)
    lost += [c for c in messages if c not in by_control]
    return lost


def kill_some(server, victim):
    """One process by its role (each in turn), or all."""
    import signal
    if victim == "all":
        server.kill()
        return True
    for pid, role in server.roles().items():
        if role == victim:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
            return True
    return False


def kills(tap):
    seed = int(os.environ.get("FANAL_SEED") or random.randrange(1 << 30))
    tap.note(f"FANAL_SEED={seed}")
    random_ = random.Random(seed)
    rounds = rounds_of(1000, 14)
    victims = ["all", "vault", "dicom", "hl7", "all", "web", "lens"]
    objects, messages, slowest, total = {}, {}, 0.0, 0
    with f.Fanal() as server:
        server.start()
        for n in range(rounds):
            victim = victims[n % len(victims)]
            load = Load(server, n + 1)
            time.sleep(random_.uniform(0.05, 0.8))
            found = kill_some(server, victim)
            if victim == "all":
                load.stop()
                slowest = max(slowest, server.start())
            else:
                died = time.monotonic()
                back = f.wait_for(lambda: server.echo(timeout=1), 10)
                slowest = max(slowest, time.monotonic() - died)
                tap.ok(found and back and server.process.poll() is None, f"round {n}: {victim} was killed and Fanal goes on")
                time.sleep(random_.uniform(0.0, 0.3))
                load.stop()
            more = load.acknowledged()
            objects.update(more[0])
            messages.update(more[1])
            total += len(more[0]) + len(more[1])
            if n % 7 == 6 or n == rounds - 1:
                lost = missing(server, objects, messages)
                tap.ok(not lost, f"round {n}: {len(objects)} objects and {len(messages)} messages acknowledged, all there",
                       lost[:20])
                objects, messages = {}, {}
        tap.ok(slowest < 2.0, f"longest restart took {slowest:.2f} s")
        tap.note(f"{rounds} kills, {total} acknowledged, none lost where every round above is ok")
        done = server.run("verify", server.dir, timeout=3600)  # of a thousand rounds: some ten gigabytes
        tap.ok(done.returncode == 0, "verify finds nothing", done.stdout + done.stderr)


def power(tap):
    rounds = rounds_of(200, 6)
    seed = int(os.environ.get("FANAL_SEED") or random.randrange(1 << 30))
    tap.note(f"FANAL_SEED={seed}")
    random_ = random.Random(seed)
    for n in range(rounds):
        import tempfile
        base = tempfile.mkdtemp(prefix="fanal-power-")
        os.chmod(base, 0o755)
        image = Image(base)
        try:
            if not image.up():
                tap.skip("power cuts", "no loop device or no permission to mount")
                return
            with f.Fanal(directory=os.path.join(image.mount, "data")) as server:
                server.start()
                load = Load(server, n + 1)
                time.sleep(random_.uniform(0.1, 1.2))
                objects, messages = load.acknowledged()  # acknowledged before the copy begins
                server.pause()  # the copy takes a moment: nothing may be written into the middle of it
                image.cut()
                server.kill()
                load.stop()
                if not tap.ok(image.remount(), f"round {n}: the file system of the cut disk mounts"):
                    continue
                server.dir = os.path.join(image.mount2, "data")
                took = server.start()
                lost = missing(server, objects, messages)
                tap.ok(not lost, f"round {n}: {len(objects)} objects and {len(messages)} messages acknowledged before the cut, "
                       f"all there after {took:.2f} s", lost[:20])
                done = server.run("verify", server.dir)
                tap.ok(done.returncode == 0, f"round {n}: verify finds nothing", done.stdout + done.stderr)
                server.kill()
        finally:
            image.down()
            shutil.rmtree(base, ignore_errors=True)


def alive_again(server, run):
    """Something is stored and acknowledged, within a while."""
    probe = Load(server, run, sides=(16, 16))
    found = f.wait_for(lambda: probe.acknowledged()[0] and probe.acknowledged()[1], 20)
    probe.stop()
    return bool(found), probe


def fill(tap, seed, first, episodes):
    """A Fanal on a small disk; somebody else fills it and makes room again while 6 senders send."""
    random_ = random.Random(seed + first)
    objects, messages, answers = {}, {}, collections.Counter()
    disk = Disk(192)
    if disk.path is None:
        tap.skip("full disks", disk.why)
        disk.done()
        return answers
    try:
        with f.Fanal(directory=os.path.join(disk.path, "data")) as server:
            server.start()
            for n in range(first, first + episodes):
                load = Load(server, 2 * n + 1, sides=(16, 32, 64, 128))
                time.sleep(random_.uniform(0.05, 0.3))
                disk.take(random_.choice((0, 0, 1 << 16, 1 << 20, 8 << 20)))
                time.sleep(random_.uniform(0.1, 0.8))
                refused = sum(v for k, v in load.answers.items() if k in ("A700", "AE"))
                disk.take(disk.free() + os.path.getsize(os.path.join(disk.path, "ballast")))
                back, probe = alive_again(server, 2 * n + 2)
                load.stop()
                for one in (load, probe):
                    more = one.acknowledged()
                    objects.update(more[0])
                    messages.update(more[1])
                    answers.update(one.answers)
                tap.ok(back and server.process.poll() is None,
                       f"episode {n}: {refused} refused while it was full, and the service goes on with room again")
            strange = {k: v for k, v in answers.items() if k not in ("0000", "A700", "AA", "AE")}
            tap.ok(not strange, f"every answer is 0000, A700, AA or AE: {dict(answers)}", strange)
            lost = missing(server, objects, messages)
            tap.ok(not lost, f"episodes {first} to {first + episodes - 1}: {len(objects)} objects and {len(messages)} "
                   "messages acknowledged, all there", lost[:20])
            done = server.run("verify", server.dir)
            tap.ok(done.returncode == 0, "verify finds nothing", done.stdout + done.stderr)
    finally:
        disk.done()
    return answers


def full(tap):
    seed = int(os.environ.get("FANAL_SEED") or random.randrange(1 << 30))
    tap.note(f"FANAL_SEED={seed}")
    episodes, total = rounds_of(200, 4), collections.Counter()
    for first in range(0, episodes, 10):  # a fresh one now and then: what is stored stays
        total.update(fill(tap, seed, first, min(10, episodes - first)))
    refused = total["A700"] + total["AE"]
    tap.ok(refused > 0 or not total, f"{episodes} episodes, {refused} refusals")


def main():
    tap = f.Tap()
    if len(sys.argv) > 1 and sys.argv[1] == "power":
        if os.geteuid() != 0 or not f.need(tap, "mkfs.ext4", "mount"):
            tap.skip("power cuts", "needs root")
            tap.done()
        power(tap)
    elif len(sys.argv) > 1 and sys.argv[1] == "full":
        full(tap)
    else:
        kills(tap)
    tap.done()


if __name__ == "__main__":
    main()
