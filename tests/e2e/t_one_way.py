#!/usr/bin/python3
"""A twin behind a one-way link: the first writes steps as files, the link loses, reorders, repeats, cuts and damages them, the
twin takes what is contiguous, says what it waits for, and has everything in the end. Small segments and body files, so that
steps cross their borders; written under load, killed at random moments. FANAL_TORTURE=full kills more often.
"""
import os
import random
import shutil
import subprocess
import time

import fanal as f
import t_kills
import t_twin

FULL = os.environ.get("FANAL_TORTURE") == "full"
SMALL = "[store]\nsegment_size = 1MiB\nbody_file_size = 4MiB\n"


def segments(server, out, *more):
    return server.run("segments", *more, server.dir, out)


def steps(folder):
    return sorted(n for n in os.listdir(folder) if n.endswith(".step"))


def burst(server, run, seconds=0.6):
    load = t_kills.Load(server, run)
    time.sleep(seconds)
    load.stop()
    return load.acknowledged()


def memory_of(server, *argv):
    """MiB that a command had resident at most: what /proc said last (the rusage of a child counts its parent's)."""
    p = subprocess.Popen([f.binary(), *map(str, argv)], env=server.env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                         stderr=subprocess.DEVNULL)
    most = 0
    while p.poll() is None:
        try:
            with open(f"/proc/{p.pid}/status", encoding="ascii") as file:
                most = max([most] + [int(line.split()[1]) for line in file if line.startswith("VmHWM")])
        except (OSError, ProcessLookupError):
            pass
        time.sleep(0.005)
    return most // 1024


def constant_memory(tap, first, vkey):
    """All that there is, in one run: no more memory than a step's parts ask for."""
    out = os.path.join(first.base, "memory")
    os.mkdir(out)
    writing = memory_of(first, "segments", "--from", 0, first.dir, out)
    far = Far(first, "measured", vkey)
    far.arrive(out, *steps(out))
    taking = memory_of(first, "follow", "--from", far.folder, "--vkey", vkey, far.dir)
    size = sum(os.path.getsize(os.path.join(out, n)) for n in steps(out)) >> 20
    tap.note(f"{size} MiB in {len(steps(out))} steps: segments had {writing} MiB resident, follow --from {taking} MiB")
    tap.ok(far.size() == bounds(steps(out)[-1])[1] and 0 < writing < 64 and 0 < taking < 256, "memory does not grow with what is there")


class Far:
    """The other side of the link: a folder that files arrive in, and a twin that takes from it."""

    def __init__(self, first, name, vkey):
        self.first, self.vkey = first, vkey
        self.folder, self.dir = os.path.join(first.base, name + "-in"), os.path.join(first.base, name)
        os.mkdir(self.folder)

    def arrive(self, out, *names):
        for name in names:
            shutil.copyfile(os.path.join(out, name), os.path.join(self.folder, name))

    def take(self):
        return subprocess.run([f.binary(), "follow", "--from", self.folder, "--vkey", self.vkey, self.dir], env=self.first.env,
                              capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=300, check=False)

    def size(self):
        return t_twin.status(self.first, self.dir)["twin_position"]


def bounds(name):
    return int(name[:20]), int(name[21:41])


def lossy(tap, first, vkey, out):
    """Everything a link can do to files."""
    far = Far(first, "far", vkey)
    names = steps(out)
    done = far.take()
    tap.ok(done.returncode == 1 and "neither steps" in done.stderr, "an empty folder is told", done.stderr)
    far.arrive(out, names[0], names[2], names[3])
    done = far.take()
    tap.ok(done.returncode == 1 and f"waits for record {bounds(names[1])[0]}" in done.stderr and far.size() == bounds(names[0])[1],
           "one is lost: what is before it is taken, and what it waits for is said", done.stderr)
    with open(os.path.join(out, names[1]), "rb") as file:
        whole = file.read()
    for what, data, text in (("cut short", whole[:len(whole) // 2], "cut short"),
                             ("damaged", whole[:5000] + bytes([whole[5000] ^ 1]) + whole[5001:], "damaged on its way"),
                             ("empty", b"", "cut short"), ("no step at all", os.urandom(4000), "no step")):
        with open(os.path.join(far.folder, names[1]), "wb") as file:
            file.write(data)
        done = far.take()
        tap.ok(done.returncode == 1 and text in done.stderr and names[1] in done.stderr and far.size() == bounds(names[0])[1],
               f"one that came {what} is named and passed over", done.stderr)
    far.arrive(out, names[1])
    done = far.take()
    tap.ok(done.returncode == 0 and far.size() == bounds(names[3])[1], "it comes late: all that is contiguous is taken", done.stderr)
    done = far.take()
    tap.ok(done.returncode == 0 and far.size() == bounds(names[3])[1], "taken twice nothing changes", done.stderr)
    for name in reversed(names[4:]):
        far.arrive(out, name)
    done = far.take()
    tap.ok(done.returncode == 0 and far.size() == bounds(names[-1])[1], "in whatever order they came", done.stderr)
    for name in os.listdir(far.folder):
        os.unlink(os.path.join(far.folder, name))
    return far


def another_vault(tap, first, far):
    with f.Fanal() as other:
        other.start()
        burst(other, 991)
        out = os.path.join(other.base, "out")
        os.mkdir(out)
        segments(other, out)
        have = far.size()
        name = steps(out)[0]
        shutil.copyfile(os.path.join(out, name), os.path.join(far.folder, f"{have:020}-{have + 9:020}.step"))
        done = far.take()
        tap.ok(done.returncode == 1 and "of another vault" in done.stderr and far.size() == have, "a step of another vault is not taken",
               done.stderr)
        os.unlink(os.path.join(far.folder, f"{have:020}-{have + 9:020}.step"))


def again(tap, first, far, out):
    """What was lost is asked for by a person: the same records once more, in other steps."""
    names = steps(out)
    middle = bounds(names[2])[0] + 1
    fresh = os.path.join(first.base, "again")
    os.mkdir(fresh)
    done = segments(first, fresh, "--from", middle)
    got = steps(fresh)
    tap.ok(done.returncode == 0 and got and bounds(got[0])[0] <= middle < bounds(got[0])[1], "--from writes from a commit before that record on",
           done.stdout + done.stderr)
    other = Far(first, "other", far.vkey)
    other.arrive(out, *names[:3])
    other.arrive(fresh, *got)
    done = other.take()
    tap.ok(done.returncode == 0 and other.size() == bounds(got[-1])[1], "steps that overlap fit together", done.stderr)
    tap.ok(segments(first, fresh, "--from", 10 ** 9).returncode == 1, "a record that is not there is told")
    tap.ok(segments(first, fresh, "--from", "x").returncode == 2, "and what is no record")
    return other


def killed(tap, first, vkey, random_):
    """fanal segments dies at random moments; nothing is missing in what it leaves."""
    out = os.path.join(first.base, "killed")
    os.mkdir(out)
    os.unlink(os.path.join(first.dir, "segments.state")) # everything is written again
    load = t_kills.Load(first, 5151)
    died = 0
    for _ in range(60 if FULL else 12):
        p = subprocess.Popen([f.binary(), "segments", first.dir, out], env=first.env, stdin=subprocess.DEVNULL,
                             stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(random_.uniform(0.0, 0.12))
        p.kill()
        died += p.wait() != 0
    load.stop()
    done = segments(first, out)
    left = [n for n in os.listdir(out) if not n.endswith(".step")]
    tap.ok(died and done.returncode == 0 and not left, f"killed {died} times it goes on and leaves nothing half-written",
           (done.stderr, left))
    far = Far(first, "survivor", vkey)
    far.arrive(out, *steps(out))
    for _ in range(40 if FULL else 8): # and so does the one that takes
        p = subprocess.Popen([f.binary(), "follow", "--from", far.folder, "--vkey", vkey, far.dir], env=first.env,
                             stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(random_.uniform(0.0, 0.4))
        p.kill()
        p.wait()
    done = far.take()
    size = t_twin.status(first)["position"]
    tap.ok(done.returncode == 0 and far.size() >= size - 5, f"a twin has all {far.size()} records of it", done.stderr)
    return far, load.acknowledged()


def rolled_back(tap, first, image, far, out):
    """Yesterday's image of the first, its state with it, writes another history: not taken. A state that is ahead is told."""
    have = far.size()
    first.stop()
    kept = first.dir + ".kept"
    os.rename(first.dir, kept)
    shutil.copytree(image, first.dir)
    fresh = os.path.join(first.base, "history")
    os.mkdir(fresh)
    shutil.copyfile(os.path.join(kept, "segments.state"), os.path.join(first.dir, "segments.state"))
    done = segments(first, fresh)
    tap.ok(done.returncode == 1 and "rolled back" in done.stderr, "a log that is shorter than what was written is told", done.stderr)
    first.start()
    load = t_kills.Load(first, 1212)
    f.wait_for(lambda: t_twin.status(first)["position"] > have + 20, 60, 0.2)
    load.stop()
    os.unlink(os.path.join(first.dir, "segments.state"))
    segments(first, fresh)
    far.arrive(fresh, *steps(fresh))
    done = far.take()
    tap.ok(done.returncode == 1 and far.size() == have and "split view" in done.stderr, "another history is not taken", done.stderr)
    first.stop()
    shutil.rmtree(first.dir)
    os.rename(kept, first.dir)
    for name in os.listdir(far.folder):
        os.unlink(os.path.join(far.folder, name))


def rotted(tap, server):
    """Served, a twin seals what is full and repairs what rots, before it is ever promoted."""
    tap.ok(t_twin.start_page(server), "a twin that takes from a folder is served", server.log_text()[-2000:])
    images = os.path.join(server.dir, "vault", "body", "images")
    tap.ok(f.wait_for(lambda: any(n.endswith(".seal") for n in os.listdir(images)), 120, 0.3), "it seals what is full")
    name = os.path.join(images, [n for n in os.listdir(images) if n.endswith(".seal")][0][:-5])
    with open(name, "rb") as file:
        made = file.read()
    with open(name, "r+b") as file:
        file.seek(len(made) // 3)
        file.write(bytes(200000))
    done = server.run("repair", server.dir, timeout=300)
    with open(name, "rb") as file:
        now = file.read()
    tap.ok(done.returncode == 0 and now == made, "200,000 bytes of a body file rot: repaired from its own parity", done.stdout + done.stderr)
    figures = t_twin.status(server)
    tap.ok(figures["repaired_sectors"] > 0 and figures["sealed_files"] > 0, "its status counts them", figures)
    server.stop()


def main():
    tap = f.Tap()
    seed = int(os.environ.get("FANAL_SEED") or random.randrange(1 << 30))
    tap.note(f"seed {seed}")
    random_ = random.Random(seed)
    with f.Fanal() as first:
        t_twin.configure(first, f.free_port(), extra=SMALL)
        first.start()
        f.Web(first).enrol(first)
        vkey = t_twin.status(first)["log_vkey"]
        out = os.path.join(first.base, "out")
        os.mkdir(out)
        stored = [burst(first, 1)]
        first.stop()
        done = segments(first, out)
        tap.ok(done.returncode == 0 and steps(out), "without a serve it opens the vault itself", done.stderr)
        first.start()
        for run in range(2, 9):
            stored.append(burst(first, run))
            done = segments(first, out)
            if done.returncode != 0:
                tap.ok(False, "segments", done.stderr)
        if first.run("key", "rotate", first.dir).returncode == 0:
            stored.append(burst(first, 9))
        first.stop()
        image = os.path.join(first.base, "image")
        shutil.copytree(first.dir, image, ignore=shutil.ignore_patterns("run"))
        first.start()
        done = segments(first, out)
        names = steps(out)
        ends = [bounds(n) for n in names]
        tap.ok(len(names) >= 9 and all(a[1] == b[0] for a, b in zip(ends, ends[1:])) and ends[0][0] == 0, "steps follow each other",
               names)
        tap.ok(len(os.listdir(os.path.join(first.dir, "vault", "log"))) > 1, "they cross segments")
        done = segments(first, out)
        tap.ok(done.returncode == 0 and "0 records in 0 files" in done.stdout, "nothing new: nothing is written", done.stdout)
        far = lossy(tap, first, vkey, out)
        another_vault(tap, first, far)
        other = again(tap, first, far, out)
        constant_memory(tap, first, vkey)
        survivor, last = killed(tap, first, vkey, random_)
        rolled_back(tap, first, image, survivor, out)
        stored.append(last)
        for where, which in ((other, stored[:-1]), (survivor, stored)):
            twin = t_twin.Twin(first, os.path.basename(where.dir))
            server = t_twin.served(twin)
            if where is other:
                rotted(tap, server)
            done = server.run("promote", server.dir)
            server.start(60)
            objects, messages = {}, {}
            for o, m in which:
                objects.update(o)
                messages.update(m)
            lost = t_kills.missing(server, objects, messages)
            tap.ok(done.returncode == 0 and objects and not lost,
                   f"promoted it serves {len(objects)} objects and {len(messages)} messages, byte for byte", (done.stderr, lost[:5]))
            verify = server.run("verify", server.dir, timeout=300)
            tap.ok(verify.returncode == 0, "verify finds nothing", verify.stdout)
            with open(os.path.join(server.dir, "fanal.conf"), encoding="utf-8") as file:
                tap.ok("body_file_size" in file.read(), "with the first's configuration")
            server.stop()
    tap.done()


if __name__ == "__main__":
    main()
