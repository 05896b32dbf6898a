#!/usr/bin/python3
"""The cold twin: two real Fanals on loopback, load running, the first machine's disk overwritten with garbage and killed; the
twin is promoted and serves what was acknowledged, byte for byte. Prints the RPO and the time to serve.

On the way: the follower is killed at random moments, the first is rolled back, another history is shown, a machine that
sends garbage is followed, a copy of the directory is taken as over a one-way link. FANAL_TORTURE=full kills more often.
"""
import json
import os
import random
import shutil
import signal
import socket
import ssl
import subprocess
import threading
import time

import fanal as f
import t_kills

FULL = os.environ.get("FANAL_TORTURE") == "full"
RPO_S = 1.0


def configure(server, follow, twins=(), extra=""):
    """fanal.conf of a first machine that may be followed."""
    server.follow = follow
    with open(os.path.join(server.dir, "fanal.conf"), "w", encoding="utf-8") as file:
        file.write("[site]\ntimezone = Europe/Paris\n"
                   f"[listen]\ndicom = 127.0.0.1:{server.dicom}\nhl7 = 127.0.0.1:{server.hl7}\n"
                   f"https = 127.0.0.1:{server.https}\nfollow = 127.0.0.1:{follow}\n[dicom]\nae = FANAL\n"
                   f"{f.DEFAULT_PEERS}\n{extra}")
        for name, certificate in twins:
            file.write(f"[twin {name}]\ncertificate = {certificate}\n")


def status(server, directory=None):
    done = server.run("status", "--json", directory or server.dir)
    if done.returncode != 0:
        raise RuntimeError("status: " + done.stderr)
    return json.loads(done.stdout)


class Twin:
    """A directory that follows; sealed, or served as a Fanal of its own."""

    def __init__(self, first, name):
        self.first = first
        self.dir = os.path.join(first.base, name)
        self.log = os.path.join(first.base, name + ".log")
        self.process = None

    def follow(self, *more):
        """Starts `fanal follow`; returns its certificate."""
        out = open(self.log, "ab")
        self.process = subprocess.Popen([f.binary(), "follow", *more, self.dir], env=self.first.env, text=True,
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=out)
        line = self.process.stdout.readline()
        return line.split()[1] if line.startswith("certificate ") else None

    def first_time(self, pin, port):
        out = open(self.log, "ab")
        self.process = subprocess.Popen([f.binary(), "follow", "--pin", pin, self.dir, f"127.0.0.1:{port}"],
                                        env=self.first.env, text=True, stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, stderr=out)
        return self.process.stdout.readline().split()[1]

    def kill(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process.stdout.close()
        self.process = None

    def position(self):
        return status(self.first, self.dir)["twin_position"]

    def log_text(self):
        with open(self.log, encoding="utf-8", errors="replace") as file:
            return file.read()


def served(twin):
    """The twin's directory as a Fanal object of its own ports."""
    server = f.Fanal.__new__(f.Fanal)
    server.base, server.dir, server.secret, server.env = twin.first.base, twin.dir, twin.first.secret, twin.first.env
    server.wrap, server.process = [], None
    server.dicom, server.hl7, server.https = f.free_port(), f.free_port(), f.free_port()
    server.log = os.path.join(twin.first.base, "twin-serve.log")
    path = os.path.join(twin.dir, "fanal.conf")
    with open(path, encoding="utf-8") as file:
        text = file.read()
    for name, port, default in (("dicom", server.dicom, 11112), ("hl7", server.hl7, 2575), ("https", server.https, 8443)):
        text = text.replace(f"{name} = 127.0.0.1:{default}", f"{name} = 127.0.0.1:{port}")
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    return server


def start_page(server):
    """serve of a twin: only the page answers."""
    server.out = open(server.log, "ab")
    server.process = subprocess.Popen([f.binary(), "serve", server.dir], env=server.env, stdin=subprocess.DEVNULL,
                                      stdout=server.out, stderr=server.out, start_new_session=True)
    return f.wait_for(lambda: "\nready\n" in "\n" + server.log_text(), 30)


def is_open(port):
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
        return True
    except OSError:
        return False


def garbage(directory):
    """Overwrites every file of a directory, as ransomware or a failing disk does."""
    for folder, _, names in os.walk(directory):
        for name in names:
            path = os.path.join(folder, name)
            if not os.path.isfile(path):
                continue
            size = min(os.path.getsize(path), 4 << 20)
            with open(path, "r+b") as file:
                file.write(os.urandom(size))


class Snapshots:
    """What was acknowledged, as it was at each moment."""

    def __init__(self, load):
        self.load, self.taken, self.stopping = load, [], False
        self.thread = threading.Thread(target=self.take, daemon=True)
        self.thread.start()

    def take(self):
        while not self.stopping:
            objects, messages = self.load.acknowledged()
            self.taken.append((time.monotonic(), objects, messages))
            time.sleep(0.05)

    def before(self, moment):
        return [s for s in self.taken if s[0] <= moment][-1]


def follow_and_kill(tap, first, twin, random_):
    """The follower dies at random moments under load and resumes."""
    load = t_kills.Load(first, random_.randrange(1 << 30))
    seen = 0
    for _ in range(40 if FULL else 6):
        time.sleep(random_.uniform(0.05, 0.6))
        twin.kill()
        now = twin.position()
        tap.ok(now >= seen, f"killed at {now} records, none forgotten") if now < seen else None
        seen = now
        twin.follow()
    load.stop()
    size = status(first)["position"]
    caught = f.wait_for(lambda: twin.position() >= size, 60, 0.2)
    tap.ok(caught, f"killed again and again, it has all {size} records in the end", twin.log_text()[-2000:])
    return load


def lag(tap, first, twin):
    """On a live link under load the twin is less than a second behind."""
    load = t_kills.Load(first, 77)
    time.sleep(1)
    worst = 0.0
    for _ in range(5):
        size, begun = status(first)["position"], time.monotonic()
        f.wait_for(lambda: twin.position() >= size, 20, 0.02)
        worst = max(worst, time.monotonic() - begun)
    load.stop()
    tap.note(f"a record of the first was on the twin at most {worst:.2f} s after it was counted (two commands included)")
    tap.ok(worst < 10, "the twin keeps up under load")


def one_way(tap, first, twin):
    """A copy of the vault directory, taken while the first serves, as over a one-way link."""
    copy = os.path.join(first.base, "copy")
    f.copy_live(os.path.join(first.dir, "vault"), copy, ["checkpoint", "keyring.0", "log", "body"])
    other = os.path.join(first.base, "one-way")
    vkey = subprocess.run([f.binary(), "follow", "--from", copy, other], env=first.env, capture_output=True, text=True,
                          stdin=subprocess.DEVNULL, check=False)
    tap.ok(vkey.returncode == 2 and "--vkey" in vkey.stderr, "a folder is not believed before a key is pinned", vkey.stderr)
    shutil.copytree(twin.dir, other + "2", ignore=shutil.ignore_patterns("run"))
    first_size = status(first)["position"]
    done = first.run("follow", "--from", copy, other + "2")
    tap.ok(done.returncode == 0 and int(done.stdout.split()[-1]) <= first_size, "a copied folder is taken with the same checks",
           done.stdout + done.stderr)


def rolled_back(tap, first, twin, image):
    """Yesterday's disk image is served again: refused, and what the twin has stays."""
    had = twin.position()
    first.stop()
    kept = first.dir + ".kept"
    os.rename(first.dir, kept)
    shutil.copytree(image, first.dir)
    first.start()
    done = subprocess.run([f.binary(), "follow", "--once", twin.dir], env=first.env, capture_output=True, text=True,
                          stdin=subprocess.DEVNULL, timeout=120, check=False)
    tap.ok(done.returncode == 1 and "rolled back" in done.stderr, "a first that was rolled back is refused, loudly",
           done.stderr)
    size = status(first)["position"]
    load = t_kills.Load(first, 99) # another history
    f.wait_for(lambda: status(first)["position"] > had + 50, 60, 0.2)
    load.stop()
    done = subprocess.run([f.binary(), "follow", "--once", twin.dir], env=first.env, capture_output=True, text=True,
                          stdin=subprocess.DEVNULL, timeout=120, check=False)
    tap.ok(done.returncode == 1 and "split view" in done.stderr, f"another history behind record {size} is refused",
           done.stderr)
    tap.ok(twin.position() == had, "what the twin has stays")
    first.stop()
    shutil.rmtree(first.dir)
    os.rename(kept, first.dir)
    first.start()


def hijacked(tap, first):
    """A machine that sends garbage: nothing is taken, nobody falls."""
    pem = os.path.join(first.base, "garbage.pem")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout",
                    pem + ".key", "-out", pem, "-subj", "/CN=x", "-days", "2"], capture_output=True, check=True)
    with open(pem, encoding="ascii") as file:
        import hashlib
        pin = hashlib.sha256(ssl.PEM_cert_to_DER_cert(file.read())).hexdigest()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem, pem + ".key")
    listening = socket.create_server(("127.0.0.1", 0))
    served_count = [0]

    def serve():
        random_ = random.Random(5)
        shapes = [lambda: b"FNLW\x20\0\0\0" + random_.randbytes(8) + random_.randbytes(3000),
                  lambda: random_.randbytes(5000),
                  lambda: b"FNLW\x20\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff",
                  lambda: b"FNLW\x20\0\0\0\x10\0\0\0\0\0\x10\0" + bytes(200),
                  lambda: b"FNLW\x20\0\0\0\0\0\0\0\0\0\0\0"]
        while True:
            try:
                raw, _ = listening.accept()
                with context.wrap_socket(raw, server_side=True) as s:
                    s.recv(4096)
                    s.sendall(shapes[served_count[0] % len(shapes)]())
                    served_count[0] += 1
            except OSError:
                if listening.fileno() < 0:
                    return
    threading.Thread(target=serve, daemon=True).start()
    twin = Twin(first, "garbled")
    twin.first_time(pin, listening.getsockname()[1])
    f.wait_for(lambda: served_count[0] >= 5 or twin.process.poll() is not None, 30)
    tap.ok(served_count[0] >= 3 and twin.process.poll() in (None, 1), "garbage from the first is survived",
           f"{served_count} {twin.process.poll()} {twin.log_text()[-800:]}")
    twin.kill()
    tap.ok(twin.position() == 0, "and nothing of it is taken")
    listening.close()


def strangers(tap, first, pin):
    """Who has no [twin] is not answered; who shows another certificate is not asked."""
    stranger = Twin(first, "stranger")
    stranger.first_time(pin, first.follow)
    ok = f.wait_for(lambda: "twin.not-admitted" in first.log_text() or "follow.not-admitted" in first.log_text(), 20)
    stranger.kill()
    tap.ok(ok and stranger.position() == 0, "a twin that the first does not know is let in nowhere")
    other = Twin(first, "mispinned")
    other.first_time("0" * 64, first.follow)
    ok = f.wait_for(lambda: "another certificate" in other.log_text(), 20)
    other.kill()
    tap.ok(ok and other.position() == 0, "a first with another certificate than the pinned one is not asked")


def read_only(tap, first, twin, server, user):
    """The twin serves pages and stores nothing."""
    tap.ok(start_page(server), "the twin serves", server.log_text()[-3000:])
    tap.ok(not is_open(server.dicom) and not is_open(server.hl7), "its DICOM and HL7 doors are closed")
    web = f.Web(server)
    code, _, _ = web.call("POST", "/api/sign-in", {"user": user, "password": "a long enough password"})
    tap.ok(code == 200, "an account of the first signs in on the twin", code)
    figures = web.get("/api/status")
    tap.ok("twin" in figures, "its status says that it is a twin", figures)
    tap.ok(f.wait_for(lambda: web.get("/api/status")["twin_seconds"] <= 2, 30, 0.2), "and how old its knowledge is")
    before = status(first)["position"]
    load = t_kills.Load(first, 31)
    time.sleep(2)
    load.stop()
    size = status(first)["position"]
    tap.ok(size > before and f.wait_for(lambda: status(server).get("twin_position", 0) >= size, 60, 0.2),
           "it goes on following while it serves")
    objects, messages = load.acknowledged()
    lost = t_kills.missing(server, objects, messages)
    tap.ok(objects and not lost, f"{len(objects)} objects and {len(messages)} messages read on the twin are the same", lost[:5])
    first_says = status(first)
    tap.ok(first_says.get("twin.SECOND.position", 0) > 0 and first_says["twin.SECOND.seconds"] <= 5,
           "the first shows the twin's lag", first_says)


def disaster(tap, first, twin, server):
    load = t_kills.Load(first, 4242)
    snapshots = Snapshots(load)
    time.sleep(3)
    killed = time.monotonic()
    first.kill()
    garbage(first.dir)
    load.stop()
    snapshots.stopping = True
    server.stop()
    begun = time.monotonic()
    done = server.run("promote", server.dir)
    tap.ok(done.returncode == 0, "promoted by one command", done.stdout + done.stderr)
    tap.note(done.stdout)
    server.start(60)
    seconds = time.monotonic() - begun
    _, objects, messages = snapshots.before(killed - RPO_S)
    lost = t_kills.missing(server, objects, messages)
    tap.ok(objects and not lost, f"all {len(objects)} objects and {len(messages)} messages acknowledged {RPO_S} s before are there",
           lost[:5])
    rpo = 0.0
    stored = {r["sop_uid"] for r in server.list() if r["kind"] == "dicom"}
    for moment, known, _ in reversed(snapshots.taken):
        if moment <= killed and set(known) <= stored:
            rpo = killed - moment
            break
    tap.note(f"RPO {rpo:.2f} s, promoted and serving after {seconds:.1f} s")
    tap.ok(seconds < 900, "serving within 15 minutes")
    after = t_kills.Load(server, 555)
    f.wait_for(lambda: len(after.acknowledged()[0]) > 20 and len(after.acknowledged()[1]) > 5, 30)
    after.stop()
    objects, messages = after.acknowledged()
    tap.ok(objects and messages and not t_kills.missing(server, objects, messages), "it accepts and keeps stores and messages")
    verify = server.run("verify", server.dir, timeout=300)
    tap.ok(verify.returncode == 0, "verify finds nothing", verify.stdout + verify.stderr)
    tap.ok("twin" not in status(server), "it is a twin no more")


def main():
    tap = f.Tap()
    seed = int(os.environ.get("FANAL_SEED") or random.randrange(1 << 30))
    tap.note(f"seed {seed}")
    random_ = random.Random(seed)
    with f.Fanal() as first:
        configure(first, f.free_port())
        first.start()
        pin = status(first)["certificate"]
        f.Web(first).enrol(first)
        twin = Twin(first, "twin")
        certificate = twin.first_time(pin, first.follow)
        first.stop()
        configure(first, first.follow, [("SECOND", certificate)])
        first.start()
        load = t_kills.Load(first, 1)
        time.sleep(0.5)
        load.stop()
        first.stop()
        image = os.path.join(first.base, "image")
        shutil.copytree(first.dir, image, ignore=shutil.ignore_patterns("run"))
        first.start()
        load = t_kills.Load(first, 2)
        time.sleep(0.5)
        load.stop()
        size = status(first)["position"]
        f.wait_for(lambda: twin.position() >= size, 30, 0.1)
        twin.kill()
        rolled_back(tap, first, twin, image)
        twin.follow()
        follow_and_kill(tap, first, twin, random_)
        lag(tap, first, twin)
        twin.kill()
        strangers(tap, first, pin)
        hijacked(tap, first)
        one_way(tap, first, twin)
        server = served(twin)
        try:
            read_only(tap, first, twin, server, "dr.house")
            disaster(tap, first, twin, server)
        finally:
            bad = f.faults(server)
            tap.ok(not bad, "nothing died on the twin", "\n".join(bad))
            server.kill()
    tap.done()


if __name__ == "__main__":
    main()
