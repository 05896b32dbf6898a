#!/usr/bin/python3
"""Flip any one bit of any file of the store: verify names it, the damaged object is refused, nothing is cut away."""
import os
import random
import shutil
import subprocess

import dimse
import fanal as f

FULL = os.environ.get("FANAL_TORTURE") == "full"


def store_files(directory):
    """Files whose every bit counts: segments, bodies, keyring, confirm, checkpoint (views can be made again)."""
    for folder, _, names in os.walk(os.path.join(directory, "vault")):
        for name in names:
            path = os.path.join(folder, name)
            if name != "lock" and os.path.getsize(path) > 0 and "views" not in os.path.relpath(path, directory):
                yield path


def flip(path, bit):
    with open(path, "r+b") as file:
        file.seek(bit // 8)
        byte = file.read(1)[0]
        file.seek(bit // 8)
        file.write(bytes([byte ^ (1 << (bit % 8))]))


def copy(source, target):
    """The data directory with its owners, as it lies on disk; sockets and locks of a running serve are left out."""
    shutil.rmtree(target, ignore_errors=True)
    subprocess.run(["cp", "-a", source, target], check=True)
    shutil.rmtree(os.path.join(target, "run"), ignore_errors=True)


def used_bytes(path):
    """Bytes up to the last one that is not zero: what was preallocated behind is not a segment yet."""
    with open(path, "rb") as file:
        return len(file.read().rstrip(b"\0"))


def main():
    tap = f.Tap()
    seed = int(os.environ.get("FANAL_SEED") or random.randrange(1 << 30))
    tap.note(f"FANAL_SEED={seed}")
    random_ = random.Random(seed)
    with f.Fanal() as server:
        server.start()
        a = dimse.Association(server.dicom, [(1, dimse.CT_STORAGE, [dimse.EXPLICIT_LE])])
        bodies = {}
        for i in range(6):
            uid = f"2.25.42.{i}"
            bodies[uid] = dimse.ct_data_set(uid, study="2.25.42", rows=32, columns=32, instance=i)
            tap.ok(a.store(1, dimse.CT_STORAGE, uid, bodies[uid]) == 0, f"stored {uid}")
        a.release()
        server.stop()
        tap.ok(server.run("verify", server.dir).returncode == 0, "verify finds nothing in a sound store")
        keep = os.path.join(server.base, "keep")
        copy(server.dir, keep)
        named = wrong = served_damaged = lost = 0
        files = sorted(os.path.relpath(p, keep) for p in store_files(keep) if used_bytes(p) > 0)
        per_file = 60 if FULL else 6
        for inner in files:
            bits = used_bytes(os.path.join(keep, inner)) * 8
            for bit in [random_.randrange(bits) for _ in range(per_file)] + [bits - 1]:
                copy(keep, server.dir)
                flip(os.path.join(server.dir, inner), bit)
                before = server.run("verify", server.dir)
                if before.returncode == 1 and before.stdout.strip():
                    named += 1
                else:
                    wrong += 1
                    tap.note(f"not named: {inner} bit {bit}: exit {before.returncode} {before.stdout!r} {before.stderr!r}")
        tap.ok(wrong == 0, f"{named} flipped bits in {len(files)} files, each named", f"{wrong} not named")
        restarts(tap, server, keep, files, bodies, random_)
    tap.done()


def restarts(tap, server, keep, files, bodies, random_):
    """After a restart too: named, refused where damaged, and every other object still there."""
    rounds = 40 if FULL else 8
    for n in range(rounds):
        inner = random_.choice([p for p in files if "/log/" in p or "/body/" in p])
        bit = random_.randrange(used_bytes(os.path.join(keep, inner)) * 8)
        if n == 0:  # inside the first rule: a key or an account that cannot be read must not keep Fanal from serving
            inner, bit = next(p for p in files if "/log/" in p), 700 * 8
        copy(keep, server.dir)
        flip(os.path.join(server.dir, inner), bit)
        server.start()
        while_serving = server.run("verify", server.dir)
        bad = []
        good = 0
        for r in server.list():
            if r["kind"] != "dicom":
                continue
            try:
                if f.part10_data_set(server.export_object(r["position"]))[1] == bodies[r["sop_uid"]]:
                    good += 1
                else:
                    bad.append(r["sop_uid"])
            except RuntimeError:
                pass  # refused: that is right for the damaged one
        server.stop()
        after = server.run("verify", server.dir)
        tap.ok(while_serving.returncode == 1 and after.returncode == 1 and not bad and good >= len(bodies) - 1,
               f"{inner} bit {bit}: named after a restart, nothing served damaged, {good} of {len(bodies)} others served",
               f"{while_serving.returncode} {after.returncode} damaged but served: {bad}\n{while_serving.stdout}{after.stdout}{after.stderr}")


main()
