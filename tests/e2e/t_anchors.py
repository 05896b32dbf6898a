#!/usr/bin/python3
"""Anchors with real peers: a log and a witness of another software, two Fanals that witness each other, openssl's time
stamping authority, and servers outside that lie, dawdle or never end."""
import base64
import http.client
import http.server
import json
import os
import random
import shutil
import signal
import ssl
import subprocess
import tempfile
import threading
import time

import fanal as f
import notes

PATIENCE = float(os.environ.get("PATIENCE", 60))


class Server(f.Fanal):
    """A Fanal with anchors: sections, and the port of its witness door."""

    def __init__(self):
        self.witness, self.sections = None, ""
        super().__init__()

    def configure(self, peers, limits=""):
        super().configure(peers + self.sections, limits)
        if self.witness:
            path = os.path.join(self.dir, "fanal.conf")
            with open(path, encoding="utf-8") as conf:
                text = conf.read().replace("\n[dicom]", f"\nwitness = 127.0.0.1:{self.witness}\n[dicom]", 1)
            with open(path, "w", encoding="utf-8") as conf:
                conf.write(text)

    def anchored(self, sections, witness=None):
        self.sections, self.witness = sections, witness or self.witness
        self.configure(f.DEFAULT_PEERS)
        return self

    def status(self):
        done = self.run("status", "--json", self.dir)
        if done.returncode != 0:
            raise RuntimeError("status: " + done.stderr)
        return json.loads(done.stdout)

    def anchor(self, name):
        return next(a for a in self.status()["anchors"] if a["name"] == name)

    def certificate(self):
        path = os.path.join(self.base, "tls.pem")
        with open(path, "w", encoding="ascii") as out:
            out.write(ssl.get_server_certificate(("127.0.0.1", self.https)))
        return path

    def post(self, body, path="/add-checkpoint", method="POST", timeout=30):
        """(status, content type, body) of the witness door."""
        c = http.client.HTTPSConnection("127.0.0.1", self.witness, timeout=timeout,
                                        context=ssl.create_default_context(cafile=self.certificate()))
        c.request(method, path, body=body.encode() if isinstance(body, str) else body)
        r = c.getresponse()
        data = r.read().decode("utf-8", "replace")
        c.close()
        return r.status, r.headers.get("Content-Type"), data

    def seen(self, event, count=1):
        return f.wait_for(lambda: self.log_text().count(" " + event + " ") >= count, PATIENCE)

    def becomes(self, name, state):
        def look():
            a = self.anchor(name)
            return a if a["state"] == state else None
        return f.wait_for(look, PATIENCE, 0.3)


# ---- servers outside ----

class Outside:
    """An HTTP(S) server whose answers are a function; it may also write to the socket itself."""

    def __init__(self, answer, folder=None):
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                outer.count += 1
                got = answer(self, body)
                if got is None:
                    return
                status, kind, data = got
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *args):
                pass

        class Quiet(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *args):
                pass

        self.count = 0
        self.server = Quiet(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        if folder:
            self.ca = os.path.join(folder, f"outside-{self.port}.pem")
            key = self.ca + ".key"
            subprocess.run(["openssl", "req", "-x509", "-newkey", "ed25519", "-nodes", "-keyout", key, "-out", self.ca, "-days", "30",
                            "-subj", "/CN=outside", "-addext", "subjectAltName=IP:127.0.0.1,DNS:witness.test"], check=True,
                           capture_output=True)
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(self.ca, key)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class Witness:
    """tlog-witness, from its text."""

    def __init__(self, folder, log_vkey):
        self.key = notes.Key(folder, "witness.test/w", 4)
        self.log_vkey, self.size, self.root, self.cosigned = log_vkey, 0, None, 0
        self.lock = threading.Lock()  # looking and keeping are one step

    def answer(self, _, body):
        with self.lock:
            return self.judge(body)

    def judge(self, body):
        old, proof, text, _ = notes.parse_request(body.decode())
        origin, size, encoded = text.split("\n")[:3]
        size, new_root = int(size), base64.b64decode(encoded)
        if origin != self.log_vkey.split("+")[0]:
            return 404, "text/plain", b""
        if old != self.size or (size == self.size and new_root != self.root):
            return 409, "text/x.tlog.size", f"{self.size}\n".encode()
        if not notes.extends(old, self.root, size, new_root, proof):
            return 422, "text/plain", b""
        self.size, self.root = size, new_root
        self.cosigned += 1
        other = f"{notes.DASH} another.test/w AAAAAAAA\n"
        return 200, "text/plain", (other + self.key.cosign(text, int(time.time()))).encode()


def trickle(handler, _):
    """A byte now and then: an answer that takes minutes."""
    try:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        for _ in range(300):
            handler.wfile.write(b"x")
            handler.wfile.flush()
            time.sleep(0.5)
    except OSError:
        pass


def endless(handler, _):
    try:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            handler.wfile.write(b"x" * 4096)
    except OSError:
        pass


def section(kind, name, url, ca=None, key=None, every="1 s", more=""):
    return f"\n[{kind} {name}]\nurl = {url}\nevery = {every}\n" + (f"ca = {ca}\n" if ca else "") + (f"key = {key}\n" if key else "") + more


# ---- being a witness ----

def witness_door(tap, server, log):
    """Every status of add-checkpoint, to a log of another software."""
    vkey = server.status()["witness_vkey"]
    log.grow(10)
    status, _, body = server.post(log.request(0))
    stamped = notes.verifies(server.base, vkey, body, log.text())
    tap.ok(status == 200 and stamped is not None and abs(stamped - time.time()) < 120, "200: a first checkpoint is cosigned, and openssl says so",
           (status, body))
    status, _, body = server.post(log.request(10))
    tap.ok(status == 200 and notes.verifies(server.base, vkey, body, log.text()), "the same once more: cosigned again", (status, body))
    log.grow(7)
    tap.ok(server.post(log.request(3)) == (409, "text/x.tlog.size", "10\n"), "409: another old size is answered with the right one",
           server.post(log.request(3)))
    tap.ok(server.post(log.request(0, proof=[]))[0] == 409, "409 with old 0, which is how one asks")
    wrong = notes.consistency(10, log.leaves)
    wrong[1] = bytes(32)
    tap.ok(server.post(log.request(10, proof=wrong))[0] == 422, "422: a proof that does not hold", server.post(log.request(10, proof=wrong)))
    tap.ok(server.post(log.request(10, proof=notes.consistency(10, log.leaves)[:-1]))[0] == 422, "422: a proof that is cut")
    tap.ok(server.post(log.request(10, proof=[bytes(32)] * 63))[0] == 422, "422: 63 lines of it")
    tap.ok(server.post(log.request(10, proof=[bytes(32)] * 64))[0] == 400, "400: 64 lines")
    tap.ok(server.post(log.request(18, proof=[]))[0] == 400, "400: an old size beyond the checkpoint's", server.post(log.request(18, proof=[])))
    fork = notes.Log.__new__(notes.Log)
    fork.key, fork.leaves = log.key, log.leaves[:9] + [bytes(32)]
    tap.ok(server.post(fork.request(10, proof=[]))[0] == 409, "409: the same size with another root (split view)", server.post(fork.request(10, proof=[])))
    fork.grow(8, b"fork")
    tap.ok(server.post(fork.request(10))[0] == 422, "422: a fork that goes on from another root")
    tap.ok(server.post(log.request(5, 5, proof=[]))[:1] == (409,), "409: a roll back")
    refused = server.log_text().count(" witness.refused ")
    for _ in range(15):
        server.post(fork.request(10, 10, proof=[]))
    tap.ok(server.log_text().count(" witness.refused ") <= 11, "what is sent again and again is told ten times a minute", refused)
    other = notes.Log(server.base, "stranger.test/log").grow(3)
    tap.ok(server.post(other.request(0))[0] == 404, "404: a log it does not know")
    forged = notes.Log.__new__(notes.Log)
    forged.key, forged.leaves = notes.Key(tempfile.mkdtemp(dir=server.base), log.key.name), log.leaves
    tap.ok(server.post(forged.request(10))[0] == 403, "403: signed by another key of the same name")
    status, _, body = server.post(log.request(10, note=other.note() + log.key.line(other.text())))
    tap.ok(status == 404, "404: another origin, whoever signed it", (status, body))
    both = log.text() + "\n" + other.key.line(log.text()) + log.key.line(log.text())
    status, _, body = server.post(log.request(10, note=both))
    tap.ok(status == 200 and notes.verifies(server.base, vkey, body, log.text()), "200: signatures of others beside it do not matter", (status, body))
    for name, bad in (("nothing", ""), ("no note", "old 17\n\n"), ("no UTF-8", b"old 17\n\n\xff\n"), ("no number", "old x\n\nx\n"),
                      ("a NUL", b"old 17\n\na\0b\n1\nx\n\n"), ("half of it", log.request(17)[:60])):
        tap.ok(server.post(bad)[0] == 400, f"400: {name}", server.post(bad))
    def too_long():
        try:
            return server.post("x" * 20000)[0]
        except OSError:  # closed while we were still sending: the answer is lost
            return None
    tap.ok(f.wait_for(too_long, 10) == 413, "413: a body of 20,000 bytes")
    tap.ok(server.post("", "/")[0] == 404 and server.post("", method="PUT")[0] == 405, "another path 404, another method 405")
    tap.ok(server.seen("witness.refused"), "what a log signed and should not have is an error in the log")


def too_many(tap, server, log):
    """New states are records: 240 a minute, then 429, and what is known is cosigned all the same."""
    context = ssl.create_default_context(cafile=server.certificate())
    c = http.client.HTTPSConnection("127.0.0.1", server.witness, timeout=60, context=context)
    got, size = [], int(server.post(log.request(0, proof=[]))[2])  # what it has: a kill may have come before our last request
    log.grow(500)
    while size < len(log.leaves) and set(got) <= {200}:
        c.request("POST", "/add-checkpoint", log.request(size, size + 1).encode())
        r = c.getresponse()
        r.read()
        got.append(r.status)
        size += r.status == 200
    c.close()
    tap.ok(got[-1] == 429 and set(got[:-1]) == {200} and len(got) <= 500, f"429 after {len(got) - 1} new states", got[-3:])
    log.leaves = log.leaves[:size]
    tap.ok(server.post(log.request(size))[0] == 200, "the last one known is cosigned all the same")


def killed_witness(tap, server, log, vkey):
    """kill -9 of the vault and of the door while a log asks: what was cosigned stays, no other view of it is."""
    rng = random.Random(7)
    best = len(log.leaves)
    lost = wrong = cosigned = 0
    for round_ in range(4):
        stop = threading.Event()

        def kill():
            time.sleep(rng.uniform(0.05, 0.6))
            for pid, role in server.roles().items():
                if role == ("vault" if round_ % 2 == 0 else "witness"):
                    try:
                        os.kill(pid, signal.SIGKILL)
                    except ProcessLookupError:
                        pass
            stop.set()
        killer = threading.Thread(target=kill)
        killer.start()
        while not stop.is_set():
            log.grow(1)
            try:
                status, _, body = server.post(log.request(best), timeout=5)
            except (OSError, http.client.HTTPException):
                continue
            if status == 200:
                cosigned += 1
                best = len(log.leaves)
                wrong += notes.verifies(server.base, vkey, body, log.text()) is None
            elif status == 409:
                best = int(body)
        killer.join()

        def asks():
            try:
                status, _, body = server.post(log.request(0, proof=[]), timeout=5)
                return int(body) if status == 409 else None
            except (OSError, http.client.HTTPException):
                return None
        now = f.wait_for(asks, PATIENCE, 0.2)
        lost += now is None or now < best
        best = now or best
        fork = notes.Log.__new__(notes.Log)
        fork.key, fork.leaves = log.key, log.leaves[:best - 1] + [bytes(32)]
        wrong += server.post(fork.request(best, proof=[]))[0] != 409
    tap.ok(cosigned > 0 and lost == 0 and wrong == 0, f"killed four times: {cosigned} cosigned, none forgotten, no split view",
           (cosigned, lost, wrong))


# ---- asking witnesses and authorities ----

def foreign_witness(tap, server):
    """A witness of another software follows, restarts, is rolled back by its owner, and lies."""
    log_vkey = server.status()["log_vkey"]
    witness = Witness(server.base, log_vkey)
    good = Outside(witness.answer, server.base)
    mode = {"answer": lambda h, b: (404, "text/plain", b"")}
    bad = Outside(lambda h, b: mode["answer"](h, b), server.base)
    slow, large = Outside(trickle, server.base), Outside(endless, server.base)
    stranger = notes.Key(server.base, "stranger.test/w", 4)
    server.stop()
    server.anchored(section("witness", "GOOD", f"https://127.0.0.1:{good.port}", good.ca, witness.key.vkey)
                    + section("witness", "NAMED", f"https://witness.test:{good.port}/", good.ca, witness.key.vkey, more="address = 127.0.0.1\n")
                    + section("witness", "BAD", f"https://127.0.0.1:{bad.port}", bad.ca, witness.key.vkey)
                    + section("witness", "SLOW", f"https://127.0.0.1:{slow.port}", slow.ca, witness.key.vkey)
                    + section("witness", "LARGE", f"https://127.0.0.1:{large.port}", large.ca, witness.key.vkey)
                    + section("witness", "PINNED", f"https://127.0.0.1:{good.port}", bad.ca, witness.key.vkey)
                    + section("witness", "OTHER", f"https://127.0.0.1:{good.port}", good.ca, stranger.vkey))
    server.start()
    tap.ok(server.becomes("GOOD", "ok") and witness.size > 0, "a foreign witness cosigns", server.status()["anchors"])
    tap.ok(server.becomes("NAMED", "ok"), "one with a name in its certificate, reached by its address", server.anchor("NAMED"))
    a = f.wait_for(lambda: "404" in server.anchor("BAD").get("reason", "") and server.anchor("BAD"), PATIENCE, 0.3)
    tap.ok(a, "404 is told", server.anchor("BAD"))
    for status, word in ((403, "403"), (422, "422"), (500, "500")):
        mode["answer"] = lambda h, b, status=status: (status, "text/plain", b"")
        tap.ok(f.wait_for(lambda w=word: w in server.anchor("BAD").get("reason", ""), PATIENCE, 0.3), f"{word} is told", server.anchor("BAD"))
    tap.ok(server.seen("anchor.refused"), "422 is an alarm")
    mode["answer"] = lambda h, b: (409, "text/x.tlog.size", b"999999\n")
    tap.ok(f.wait_for(lambda: "rolled back" in server.anchor("BAD").get("reason", ""), PATIENCE, 0.3), "a witness that saw more says that we were rolled back",
           server.anchor("BAD"))
    turned = lambda h, b: (200, "text/plain", witness.key.cosign(notes.parse_request(b.decode())[2] + "x\n", int(time.time())).encode())
    mode["answer"] = turned
    tap.ok(f.wait_for(lambda: "does not fit" in server.anchor("BAD").get("reason", ""), PATIENCE, 0.3), "a cosignature over another text is not believed",
           server.anchor("BAD"))
    mode["answer"] = lambda h, b: (200, "text/plain", witness.key.cosign(notes.parse_request(b.decode())[2], int(time.time()) + 86400).encode())
    tap.ok(f.wait_for(lambda: "time to come" in server.anchor("BAD").get("reason", ""), PATIENCE, 0.3), "nor one of tomorrow", server.anchor("BAD"))
    tap.ok("certificate" in server.anchor("PINNED").get("reason", ""), "a certificate of another is not believed", server.anchor("PINNED"))
    tap.ok("no cosignature of" in server.anchor("OTHER").get("reason", ""), "nor a cosignature of another key", server.anchor("OTHER"))
    tap.ok(f.wait_for(lambda: "15 s" in server.anchor("SLOW").get("reason", ""), PATIENCE, 0.3), "a server that dawdles is cut", server.anchor("SLOW"))
    tap.ok("more than" in server.anchor("LARGE").get("reason", ""), "one that never ends too", server.anchor("LARGE"))
    quiet = []
    for _ in range(6):  # until the alarms of the others, which are records too, have been told
        before, count = server.status()["position"], witness.cosigned
        time.sleep(4)
        quiet.append((server.status()["position"] - before, witness.cosigned - count))
        if quiet[-1][0] <= 1 and quiet[-1][1] >= 2:
            break
    before = server.status()["position"]
    tap.ok(quiet[-1][0] <= 1 and quiet[-1][1] >= 2, "with nothing new it is asked all the same, and nothing is recorded", quiet)
    server.list()
    tap.ok(f.wait_for(lambda: witness.size > before, PATIENCE), "something new is cosigned")
    accused = [line for line in server.log_text().splitlines() if "anchor.refused" in line and ("name=GOOD" in line or "name=NAMED" in line)]
    tap.ok(not accused, "a witness that was moved on by somebody else's request is no alarm", accused)
    for server_ in (good, bad, slow, large):
        server_.close()
    tap.ok(server.becomes("GOOD", "late") and server.seen("anchor.late"), "a witness that went away is late, an alarm", server.status()["anchors"])
    first = sum("anchor.late" in line and "name=GOOD" in line for line in server.log_text().splitlines())
    time.sleep(3)
    again = sum("anchor.late" in line and "name=GOOD" in line for line in server.log_text().splitlines())
    tap.ok(first >= 1 and again == first, "told once while it lasts", (first, again))
    for pid, role in server.roles().items():
        if role == "relay":
            os.kill(pid, signal.SIGKILL)
    tap.ok(f.wait_for(lambda: "relay" in server.roles().values(), PATIENCE) and server.echo(), "a relay that is killed comes back; nothing else notices")


def time_stamps(tap, server):
    """openssl's own authority behind a small server, and what it must not get away with."""
    vectors = os.path.join(f.ROOT, "tests", "vectors", "stamp")
    folder = os.path.join(server.base, "tsa")
    os.makedirs(folder)
    env = dict(os.environ, FANAL_TSA_DIR=folder)
    subprocess.run(["sh", os.path.join(vectors, "make.sh"), folder], check=True, capture_output=True, env=env)
    one_at_a_time = threading.Lock()  # two sections ask at the same second; the files are the authority's

    def answer(_, body):
        with one_at_a_time:
            with open(os.path.join(folder, "query"), "wb") as out:
                out.write(body)
            subprocess.run(["openssl", "ts", "-reply", "-config", "ca.cnf", "-section", "t", "-queryfile", "query", "-signer", "tsa.pem", "-inkey",
                            "tsa.key", "-chain", "ca.pem", "-out", "reply"], cwd=folder, capture_output=True, check=False)
            with open(os.path.join(folder, "reply"), "rb") as got:
                return 200, "application/timestamp-reply", got.read()

    def canned(name):
        with open(os.path.join(folder, name), "rb") as got:
            data = got.read()
        return lambda h, b: (200, "application/timestamp-reply", data)
    handler = {"answer": answer}
    tsa = Outside(lambda h, b: handler["answer"](h, b))
    server.stop()
    server.anchored(section("timestamp", "TSA", f"http://127.0.0.1:{tsa.port}/tsr", os.path.join(folder, "ca.pem"))
                    + section("timestamp", "CHAIN", f"http://127.0.0.1:{tsa.port}/tsr", os.path.join(folder, "other.pem")))
    server.start()
    a = server.becomes("TSA", "ok")
    tap.ok(a and a["tree_size"] > 0 and a["age_s"] < 60, "openssl's authority stamps a checkpoint", server.status()["anchors"])
    tap.ok(f.wait_for(lambda: "certificate verify error" in server.anchor("CHAIN").get("reason", ""), PATIENCE, 0.3), "not below the trust anchor: refused",
           server.anchor("CHAIN"))
    for name, answer_, word in (("another imprint", canned("other-imprint.tsr"), "imprint mismatch"), ("another nonce", canned("good.tsr"), "mismatch"),
                                ("PKIFailure", canned("rejected.tsr"), "badAlg"), ("another media type", lambda h, b: (200, "text/html", b"x"), "no time stamp"),
                                ("no DER", lambda h, b: (200, "application/timestamp-reply", b"\x30\x84\xff\xff\xff\xff"), "")):
        handler["answer"] = answer_
        a = f.wait_for(lambda w=word: (lambda x: x if x.get("reason") and w in x["reason"] else None)(server.anchor("TSA")), PATIENCE, 0.3)
        tap.ok(a, f"{name}: refused", server.anchor("TSA"))
    handler["answer"] = answer
    tap.ok(server.becomes("TSA", "ok"), "and it is believed again", server.anchor("TSA"))
    tsa.close()
    server.stop()
    server.start()
    a = f.wait_for(lambda: (lambda x: x if x["latest"] > 0 else None)(server.anchor("TSA")), PATIENCE, 0.3)
    tap.ok(a and a["latest"] > 0, "after a restart the status knows the last success from the log", server.anchor("TSA"))


def each_other(tap, one, two):
    """Two Fanals cosign each other; one is put back to yesterday."""
    vkeys = {s: s.status() for s in (one, two)}
    for s, peer in ((one, two), (two, one)):
        s.certificate()
    for s, peer in ((one, two), (two, one)):
        s.stop()
        s.anchored(section("witness", "PEER", f"https://127.0.0.1:{peer.witness}", os.path.join(peer.base, "tls.pem"), vkeys[peer]["witness_vkey"])
                   + f"\n[log PEER]\nvkey = {vkeys[peer]['log_vkey']}\n")
    one.start()
    two.start()
    tap.ok(one.becomes("PEER", "ok") and two.becomes("PEER", "ok"), "two Fanals cosign each other", (one.status()["anchors"], two.status()["anchors"]))
    time.sleep(2)
    before = (one.status()["position"], two.status()["position"])
    time.sleep(5)
    after = (one.status()["position"], two.status()["position"])
    tap.ok(after[0] - before[0] <= 4 and after[1] - before[1] <= 4, "and do not keep each other busy with it", (before, after))
    one.stop()
    image = os.path.join(one.base, "image")
    shutil.copytree(os.path.join(one.dir, "vault"), image)
    one.start()
    size = one.status()["position"] + 5
    for _ in range(5):
        one.list()  # an event each
    tap.ok(f.wait_for(lambda: one.anchor("PEER")["tree_size"] >= size, PATIENCE, 0.3), "what is new is cosigned", one.status()["anchors"])
    one.stop()
    shutil.rmtree(os.path.join(one.dir, "vault"))
    shutil.copytree(image, os.path.join(one.dir, "vault"))
    one.start()
    a = one.becomes("PEER", "refused")
    tap.ok(a and ("rolled back" in a["reason"] or "no beginning" in a["reason"]), "put back to yesterday's image it is told so by its witness", one.status()["anchors"])
    tap.ok(one.seen("anchor.refused"), "an error in the log")
    done = one.run("verify", one.dir)
    tap.ok(done.returncode == 0, "which nothing inside could tell", done.stdout)


def main():
    tap = f.Tap()
    if not f.need(tap, "openssl"):
        tap.done()
    with Server() as one, Server() as two:
        log = notes.Log(one.base, "example.test/a-log")
        one.anchored(f"\n[log OTHER]\nvkey = {log.key.vkey}\n", f.free_port()).start()
        witness_door(tap, one, log)
        killed_witness(tap, one, log, one.status()["witness_vkey"])
        too_many(tap, one, log)
        foreign_witness(tap, one)
        time_stamps(tap, one)
        two.anchored("", f.free_port()).start()
        each_other(tap, one, two)
        died = [line for line in f.faults(one) + f.faults(two) if 'status="signal 9"' not in line and 'status="exit 0"' not in line]
        tap.ok(not died, "nothing died but what was killed", died)
    tap.done()


if __name__ == "__main__":
    main()
