#!/usr/bin/python3
"""Evidence packs of a real Fanal: made while it serves and when it does not, checked by fanal-verify in an empty environment and
by the second verifier, extracted byte for byte, altered, compared with an earlier checkpoint and with a rolled-back disk."""
import hashlib
import http.server
import json
import os
import random
import re
import shutil
import ssl
import subprocess
import sys
import tempfile
import threading
import time

import dimse
import fanal as f

sys.path.insert(0, os.path.join(f.ROOT, "tests", "oracles"))
import forge  # noqa: E402
import verify as oracle  # noqa: E402
from authority import Authority  # noqa: E402

SEED = 20261128
STUDY = "2.25.700"
ORU = (b"MSH|^~\\&|LIS|LAB|FANAL|H|20261128040000||ORU^R01^ORU_R01|C%d|P|2.5\rPID|1||%s^^^HOSPITAL^PI||DOE^JOHN||19700101|M\r"
       b"OBR|1|P1|F%d|K^Potassium^L\rOBX|1|NM|K^Potassium^L||4.1|mmol/L|3.5-5.0|N|||F\r")


def verifier():
    return os.path.join(os.path.dirname(f.binary()), "..", "verify", "fanal-verify")


class Bench:
    def __init__(self, server, tap):
        self.server, self.tap, self.n, self.key = server, tap, 0, None
        self.program = os.path.join(server.base, "fanal-verify")
        shutil.copy(verifier(), self.program)  # alone: nothing of the build is beside it

    def prove(self, *what):
        self.n += 1
        out = os.path.join(self.server.base, f"pack-{self.n}")
        done = self.server.run("prove", *what, self.server.dir, out)
        if done.returncode == 0:
            self.key = re.search(r"^key (\S+)$", done.stdout, re.M).group(1)
        return out, done

    def check(self, pack, *options):
        """fanal-verify with nothing in its environment, in an empty directory."""
        with tempfile.TemporaryDirectory() as empty:
            return subprocess.run([self.program, *options, pack], env={}, cwd=empty, capture_output=True, text=True, timeout=120,
                                  check=False)

    def yes(self, name, pack, *options):
        one = self.check(pack, "--key", self.key, *options)
        two = oracle.verify(pack, oracle.Trust(oracle.Key(self.key.encode())))
        self.tap.ok(one.returncode == 0 and one.stdout.count("\n") >= 1 and "yes: " in one.stdout and two[0], name,
                    (one.stdout, one.stderr, two))
        return one.stdout, two[1]


def data_set(i):
    return dimse.ct_data_set(f"{STUDY}.1.{i}", study=STUDY, series=STUDY + ".1", rows=(4, 200, 300)[i % 3], columns=128, instance=i)


def fill(server):
    a = dimse.Association(server.dicom, [(1, dimse.CT_STORAGE, [dimse.EXPLICIT_LE])])
    good = all(a.store(1, dimse.CT_STORAGE, f"{STUDY}.1.{i}", data_set(i)) == 0 for i in range(5))
    big = dimse.ct_data_set("2.25.701.1.1", study="2.25.701", series="2.25.701.1", rows=1200, columns=1200)
    good &= a.store(1, dimse.CT_STORAGE, "2.25.701.1.1", big) == 0
    a.release()
    other = dimse.ct_data_set(f"{STUDY}.1.0", study=STUDY, series=STUDY + ".1", rows=4, columns=128, instance=9)
    a = dimse.Association(server.dicom, [(1, dimse.CT_STORAGE, [dimse.EXPLICIT_LE])])
    good &= a.store(1, dimse.CT_STORAGE, f"{STUDY}.1.0", other) == 0  # a conflict: part of the truth about the study
    a.release()
    answers = f.mllp_send(server.hl7, [ORU % (i, pid, i) for i, pid in enumerate((b"PID1", b"PID2"))])
    return good and all(answers), big


def look(server):
    """A doctor opens the patient; another patient is opened too."""
    web = f.Web(server).enrol(server)
    for pid in ("PID1", "PID2"):
        row = web.get(f"/api/patients?identifier={pid}&issuer=HOSPITAL")[0]
        web.get(f"/api/patients/{row['patient_key']}/observations")
        web.get(f"/api/patients/{row['patient_key']}")
    return web


def study(bench):
    pack, done = bench.prove("--study", STUDY)
    bench.tap.ok(done.returncode == 0 and "records 6\n" in done.stdout, "a study: its five images and the conflict", (done.stdout, done.stderr))
    out = os.path.join(bench.server.base, "extracted")
    said, seen = bench.yes("both verifiers say yes", pack, "--list", "--extract", out)
    bench.tap.ok(said.count("DICOM object\tshown") == 6, "each record is listed", said)
    files = sorted(os.listdir(out))
    sets = []
    for name in files:
        if name.endswith(".dcm"):
            with open(os.path.join(out, name), "rb") as file:
                sets.append(f.part10_data_set(file.read())[1])
    bench.tap.ok(len(sets) == 6 and all(data_set(i) in sets for i in range(5)), "--extract gives back what was sent, byte for byte", files)
    bench.tap.ok(sorted(r[4] for r in seen.records) == sorted(sets), "and so does the second verifier")
    again = bench.check(pack, "--key", bench.key, "--extract", out)
    bench.tap.ok(again.returncode == 1 and "not overwritten" in again.stdout, "files are not overwritten", again)
    if shutil.which("dcmdump"):
        dump = subprocess.run(["dcmdump", "+fo", os.path.join(out, files[0].replace(".txt", ".dcm"))], capture_output=True, check=False)
        bench.tap.ok(dump.returncode == 0, "DCMTK reads the Part 10 files", dump)
    return pack


def others(bench, big):
    rows = bench.server.list()
    message = next(r["position"] for r in rows if r["kind"] == "hl7")
    large = next(r["position"] for r in rows if r["sop_uid"] == "2.25.701.1.1")
    pack, done = bench.prove("--result", message)
    _, seen = bench.yes("a result", pack)
    bench.tap.ok(done.returncode == 0 and seen.records[0][4] == ORU % (0, b"PID1", 0), "the message as it came")
    pack, _ = bench.prove("--object", large)
    _, seen = bench.yes("an object of its own file (2.9 MB)", pack)
    bench.tap.ok(seen.records[0][4] == big, "its bytes")
    pack, _ = bench.prove("--study", STUDY, "--hashes-only")
    said, seen = bench.yes("hashes only", pack)
    with open(os.path.join(pack, "evidence.fanal"), "rb") as file:
        size = len(file.read())
    bench.tap.ok("6 by hash only" in said and size < 4096, "neither keys nor bodies are in it", (said, size))
    for what in (["--result", large], ["--study", "1.2.3"], ["--object", 100000], ["--patient", "HOSPITAL", "NOBODY", "--access"],
                 ["--period", "2001-01-01", "2001-01-02"]):
        pack, done = bench.prove(*what)
        bench.tap.ok(done.returncode == 1 and not os.path.exists(pack), f"{' '.join(map(str, what))}: nothing, exit 1", done.stderr)
    for what in ([], ["--study", "1", "--object", "2"], ["--patient", "A", "B"], ["--object", "x"], ["--period", "yesterday", "today"]):
        _, done = bench.prove(*what)
        bench.tap.ok(done.returncode == 2, f"prove {' '.join(what)}: exit 2", done.stderr)


def access(bench):
    pack, _ = bench.prove("--patient", "HOSPITAL", "PID1", "--access")
    said, seen = bench.yes("who has seen a patient's data", pack, "--list")
    words = [dict(r[3]) for r in seen.records]
    mine = [w for w in words if w.get(14) == b"dr.house"]
    bench.tap.ok({b"patient.opened", b"results.opened"} <= {w.get(13) for w in mine},
                 "the doctor's events are there", (said, words))
    bench.tap.ok(not any(w.get(30) == b"PID2" for w in words), "and none of another patient", words)
    whole, _ = bench.prove("--period", "2020-01-01", "2100-01-01")
    said, seen_all = bench.yes("a period", whole)
    positions = [r[0] for r in seen_all.records]
    bench.tap.ok(positions == list(range(positions[0], positions[-1] + 1)), "every position is accounted for")
    bench.tap.ok(all((r[1] == 1) == (r[2].kind == 4) for r in seen_all.records), "events are opened, the rest is sealed")
    bench.tap.ok({r[0] for r in seen.records} <= set(positions), "the history lies within it")
    bench.tap.ok(any(dict(r[3]).get(13) == b"evidence.made" and dict(r[3]).get(440) == b"study" for r in seen_all.records if r[3]),
                 "making a pack is an event that says of what")
    signed = [dict(r[3]).get(317) for r in seen_all.records if r[3] and dict(r[3]).get(13) == b"evidence.signed"]
    with open(os.path.join(bench.server.base, "pack-1", "evidence.fanal"), "rb") as file:
        data = file.read()
    bench.tap.ok(hashlib.sha256(data[:oracle.blocks_of(data)[-1][2]]).digest() in signed, "and so is its hash")
    return whole


def keys_open_nothing_else(bench, pack):
    """Record keys only: with all the keys of a pack no other record of the disk opens."""
    _, seen = oracle.verify(pack, oracle.Trust(oracle.Key(bench.key.encode())))
    with open(os.path.join(pack, "evidence.fanal"), "rb") as file:
        data = file.read()
    keys = []
    for kind, content, _ in oracle.blocks_of(data):
        if kind == b"RECD":
            r = oracle.Reader(content)
            r.take(12)
            oracle.hashes_in(r, 65)
            keys.append(r.take(32))
    opened = 0
    for _, _, entry, _, _ in seen.records:
        opened += sum(oracle.expand(k, b"commitment") == entry.commitment for k in keys)
    bench.tap.ok(opened == len(keys) == len(set(keys)), "each key opens its own record and no other", (opened, len(keys)))
    stored = b""
    for folder, _, names in os.walk(os.path.join(bench.server.dir, "vault")):
        for name in names:
            with open(os.path.join(folder, name), "rb") as file:
                stored += file.read()
    bench.tap.ok(not any(k in stored for k in keys), "no record key lies on the disk")


def mutations(bench, pack):
    r = random.Random(SEED)
    with open(os.path.join(pack, "evidence.fanal"), "rb") as file:
        data = file.read()
    with open(os.path.join(pack, "index.html"), "rb") as file:
        page = file.read()
    spoilt = os.path.join(bench.server.base, "spoilt")
    shutil.copytree(pack, spoilt)
    starts = [b[2] for b in oracle.blocks_of(data)]
    places = sorted({s + i for s in starts for i in (0, 5, 9, 16, 24, 28, 60, 96) if s + i < len(data)}
                    | {r.randrange(len(data)) for _ in range(150)})
    missed = []

    def caught(changed, words, which=page):
        with open(os.path.join(spoilt, "evidence.fanal"), "wb") as file:
            file.write(changed)
        with open(os.path.join(spoilt, "index.html"), "wb") as file:
            file.write(which)
        one = bench.check(spoilt, "--key", bench.key)
        two = oracle.verify(spoilt, oracle.Trust(oracle.Key(bench.key.encode())))
        if one.returncode != 1 or not one.stdout.startswith("no: ") or two[0]:
            missed.append((words, one.stdout, two))
    for at in places:
        caught(data[:at] + bytes([data[at] ^ (1 << r.randrange(8))]) + data[at + 1:], f"flip at {at}")
    for at in [*starts[1:], *(r.randrange(16, len(data)) for _ in range(20))]:
        caught(data[:at], f"cut at {at}")
    blocks = [data[a:b] for a, b in zip(starts, [*starts[1:], len(data)])]
    for i in range(1, len(blocks) - 1):
        caught(data[:16] + b"".join(blocks[:i] + blocks[i + 1:]), f"without block {i}")
        caught(data[:16] + b"".join(blocks[:i] + [blocks[i]] + blocks[i:]), f"block {i} twice")
        caught(data[:16] + b"".join(blocks[:i] + [blocks[i + 1], blocks[i]] + blocks[i + 2:]), f"block {i} after the next")
    caught(data, "another page", page.replace(b"FANAL", b"CANAL").replace(b"records", b"recards"))
    bench.tap.ok(not missed, f"flipped at {len(places)} places, cut, thinned, stuffed, reordered (seed {SEED}): no, by both", missed[:5])


def roll_back(bench, early):
    """Yesterday's disk, with nothing but a checkpoint that was kept elsewhere."""
    server = bench.server
    with open(os.path.join(early, "evidence.fanal"), "rb") as file:
        note = oracle.blocks_of(file.read())[1][1]
    paper = os.path.join(server.base, "checkpoint")
    with open(paper, "wb") as file:
        file.write(note)
    pack, done = bench.prove("--study", STUDY, "--checkpoint", paper)
    said = bench.check(pack, "--checkpoint", paper)
    bench.tap.ok(done.returncode == 0 and said.returncode == 0, "a pack with a proof from an earlier checkpoint, which is all that is trusted",
                 (done.stderr, said))
    held = server.run("verify", "--checkpoint", paper, server.dir)
    bench.tap.ok(held.returncode == 0 and "goes on from it" in held.stdout, "verify --checkpoint: the log goes on from it", held)
    printed = server.run("checkpoint", server.dir)
    sheet = os.path.join(server.base, "sheet")
    with open(sheet, "w", encoding="utf-8") as file:
        file.write(printed.stdout)
    pack, done = bench.prove("--study", STUDY, "--checkpoint", sheet)
    said = bench.check(pack, "--checkpoint", sheet)
    bench.tap.ok(printed.returncode == 0 and said.returncode == 0 and said.stdout.startswith("yes: "),
                 "a printed checkpoint, typed back, is all that a judge needs", (printed, done.stderr, said))
    pack, _ = bench.prove("--study", STUDY)
    said = bench.check(pack, "--checkpoint", paper)
    bench.tap.ok(said.returncode == 1 and "no proof from the checkpoint given" in said.stdout, "without that proof: no", said)
    with open(os.path.join(pack, "evidence.fanal"), "rb") as file:
        latest = oracle.blocks_of(file.read())[1][1]
    with open(paper, "wb") as file:
        file.write(latest)
    server.stop()
    shutil.rmtree(os.path.join(server.dir, "vault"))
    shutil.copytree(os.path.join(server.base, "yesterday"), os.path.join(server.dir, "vault"), symlinks=True)
    pack, done = bench.prove("--study", STUDY, "--checkpoint", paper)
    bench.tap.ok(done.returncode == 1 and "rolled back" in done.stderr, "prove on yesterday's disk with today's checkpoint: rolled back", done)
    pack, done = bench.prove("--study", STUDY)
    said = bench.check(pack, "--key", bench.key, "--checkpoint", paper)
    bench.tap.ok(said.returncode == 1 and "rolled back" in said.stdout, "and a pack of it: rolled back", (done, said))
    held = server.run("verify", "--checkpoint", paper, server.dir)
    bench.tap.ok(held.returncode == 1 and "ROLLED BACK" in held.stdout, "verify --checkpoint: rolled back", held)
    server.start()
    fill_again(server)
    pack, done = bench.prove("--study", STUDY, "--checkpoint", paper)
    bench.tap.ok(done.returncode == 1 and "another history" in done.stderr, "when it has grown again: another history", done.stderr)
    # prove has waited until what was stored is confirmed
    held = server.run("verify", "--checkpoint", paper, server.dir)
    bench.tap.ok(held.returncode == 1 and "ANOTHER HISTORY" in held.stdout, "verify --checkpoint: another history", held)
    pack, done = bench.prove("--study", STUDY)
    said = bench.check(pack, "--key", bench.key, "--checkpoint", paper)
    bench.tap.ok(said.returncode == 1, "and a pack of it is refused", said)


class Outside:
    """A witness and a time-stamping authority behind HTTP, as the relay meets them."""

    def __init__(self, folder):
        self.authority = Authority(os.path.join(folder, "authority"))
        self.signer = forge.Signer("witness.test/w", 4)
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.path == "/tsr":
                    kind, data = "application/timestamp-reply", outer.authority.reply(body)
                else:
                    text = body.split(b"\n\n", 1)[1].rsplit(b"\n\n", 1)[0] + b"\n"
                    kind, data = "text/plain", outer.signer.line(text, int(time.time()))
                self.send_response(200)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *args):
                pass
        self.ca = os.path.join(folder, "outside.pem")
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ed25519", "-nodes", "-keyout", self.ca + ".key", "-out", self.ca, "-days", "30",
                        "-subj", "/CN=outside", "-addext", "subjectAltName=IP:127.0.0.1"], check=True, capture_output=True)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.ca, self.ca + ".key")
        self.plain = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.tls = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.tls.socket = context.wrap_socket(self.tls.socket, server_side=True)
        for server in (self.plain, self.tls):
            threading.Thread(target=server.serve_forever, daemon=True).start()

    def sections(self):
        return (f"\n[witness W]\nurl = https://127.0.0.1:{self.tls.server_address[1]}\nca = {self.ca}\nevery = 1 s\n"
                f"key = {self.signer.key.vkey().decode()}\n"
                f"\n[timestamp T]\nurl = http://127.0.0.1:{self.plain.server_address[1]}/tsr\nevery = 1 s\nca = {self.authority.path('ca.pem')}\n")


def anchored(bench):
    """What a witness and an authority have said of the log goes with a pack, and is all that a verifier need trust."""
    server = bench.server
    outside = Outside(server.base)
    server.stop()
    server.configure(f.DEFAULT_PEERS + outside.sections())
    server.start()

    def states():
        status = json.loads(server.run("status", "--json", server.dir).stdout)
        return {a["name"]: a["state"] for a in status["anchors"]}
    bench.tap.ok(f.wait_for(lambda: states() == {"W": "ok", "T": "ok"}, 90, 0.5), "a witness and an authority have answered", states())
    pack, done = bench.prove("--study", STUDY)
    ca, stranger = outside.authority.path("ca.pem"), forge.Signer("witness.test/other", 4)
    said = bench.check(pack, "--witness", outside.signer.key.vkey().decode(), "--ca", ca)
    bench.tap.ok(said.returncode == 0 and "cosigned by witness.test/w at 20" in said.stdout and "stamped by tsa at 20" in said.stdout,
                 "cosigned and time-stamped: yes", (done.stderr, said))
    with open(ca, "rb") as file:
        two = oracle.verify(pack, oracle.Trust(None, None, [outside.signer.key], file.read()))
    bench.tap.ok(two[0] and two[1].stamped and two[1].cosigned, "the second verifier agrees", two)
    said = bench.check(pack, "--key", bench.key, "--witness", stranger.key.vkey().decode())
    bench.tap.ok(said.returncode == 1 and "cosigned by witness.test/other" in said.stdout, "not by a witness that did not", said)
    said = bench.check(pack, "--key", bench.key, "--ca", outside.authority.path("other.pem"))
    bench.tap.ok(said.returncode == 1 and "authority given" in said.stdout, "nor by another authority", said)


def fill_again(server):
    a = dimse.Association(server.dicom, [(1, dimse.CT_STORAGE, [dimse.EXPLICIT_LE])])
    for i in range(60):
        a.store(1, dimse.CT_STORAGE, f"2.25.702.1.{i}", dimse.ct_data_set(f"2.25.702.1.{i}", study="2.25.702", series="2.25.702.1", instance=i))
    a.release()


def main():
    tap = f.Tap()
    if not os.path.exists(verifier()):
        tap.skip("evidence", "no fanal-verify in this build")
        tap.done()
    with f.Fanal() as server:
        server.start()
        bench = Bench(server, tap)
        good, big = fill(server)
        tap.ok(good, "images and messages are stored")
        look(server)
        early = study(bench)
        others(bench, big)
        whole = access(bench)
        keys_open_nothing_else(bench, early)
        mutations(bench, early)
        tap.ok(os.path.exists(os.path.join(whole, "index.html")), "the page is there")
        server.stop()
        shutil.copytree(os.path.join(server.dir, "vault"), os.path.join(server.base, "yesterday"))
        pack, done = bench.prove("--study", STUDY)
        tap.ok(done.returncode == 0, "made without a serve", done.stderr)
        bench.yes("the same answer", pack)
        server.start()
        if f.need(tap, "openssl"):
            anchored(bench)
        roll_back(bench, early)
        tap.ok(not f.faults(server), "nothing died", f.faults(server))
        tap.note(json.dumps({"verifier_bytes": os.path.getsize(verifier()), "packs": bench.n}))
    tap.done()


main()
