#!/usr/bin/python3
"""What is done to evidence packs is caught, by fanal-verify and by the second verifier, with the right sentence: flip, truncate,
reorder, delete, insert, replace, roll back, split view. Each on packs as they are, and signed again by somebody who has the
log's key. argv: fanal-verify. Needs openssl for a time-stamping authority.
"""
import base64
import os
import random
import re
import shutil
import struct
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "oracles"))
import forge as fg  # noqa: E402
import verify as v  # noqa: E402
from authority import Authority  # noqa: E402

SEED = 20261128
PAGE = b"<!DOCTYPE html><p>words</p>"
FLIPS = 250


class Bench:
    def __init__(self, program):
        self.program, self.n, self.bad = program, 0, 0
        self.dir = tempfile.mkdtemp(prefix="fanal-verify-")
        self.pack = os.path.join(self.dir, "pack")
        os.mkdir(self.pack)

    def ok(self, good, name, *more):
        self.n += 1
        self.bad += not good
        print("ok" if good else "not ok", self.n, "-", name, flush=True)
        if not good:
            for m in more:
                print("#", m)

    def file(self, name, content):
        path = os.path.join(self.dir, name)
        with open(path, "wb") as f:
            f.write(content)
        return path

    def both(self, data, page=PAGE, key=None, checkpoint=None, witnesses=(), ca=None):
        """((exit status, sentence) of fanal-verify, (bool, what) of the second verifier)."""
        with open(os.path.join(self.pack, "evidence.fanal"), "wb") as f:
            f.write(data)
        with open(os.path.join(self.pack, "index.html"), "wb") as f:
            f.write(page)
        argv, trust = [self.program], {}
        if key:
            argv += ["--key", key.vkey().decode()]
        if checkpoint is not None:
            argv += ["--checkpoint", self.file("outside", checkpoint)]
        for w in witnesses:
            argv += ["--witness", w.vkey().decode()]
        if ca:
            argv += ["--ca", self.file("ca.pem", ca)]
        done = subprocess.run([*argv, self.pack], capture_output=True, text=True, timeout=60, check=False)
        trust = v.Trust(key, checkpoint, witnesses, ca)
        return (done.returncode, done.stdout.strip() or done.stderr.strip()), v.verify(self.pack, trust)

    def yes(self, name, data, **how):
        one, two = self.both(data, **how)
        self.ok(one[0] == 0 and one[1].startswith("yes: ") and two[0], name, one, two)
        return one[1]

    def no(self, name, why, data, **how):
        one, two = self.both(data, **how)
        self.ok(one[0] == 1 and re.search(why, one[1]) and not two[0], f"{name}: no, {why}", one, two)


def flips(bench, log, data):
    """One bit, anywhere: the signature of the pack covers it at the latest."""
    r = random.Random(SEED)
    ends = [m.end() for m in re.finditer(b"HEAD|CKPT|ANCR|RECD|BODY|SIGN", data)]
    places = sorted({min(e + i, len(data) - 1) for e in ends for i in range(0, 64, 3)}
                    | {r.randrange(len(data)) for _ in range(FLIPS)})
    missed = []
    for at in places:
        spoilt = data[:at] + bytes([data[at] ^ (1 << r.randrange(8))]) + data[at + 1:]
        one, two = bench.both(spoilt, key=log.signer.key)
        if one[0] != 1 or two[0]:
            missed.append((at, one, two))
    bench.ok(not missed, f"flip: {len(places)} places (seed {SEED}), every one is caught", *missed[:5])


def truncations(bench, log, data):
    r = random.Random(SEED)
    cuts = sorted({b[2] for b in v.blocks_of(data)} | {r.randrange(len(data)) for _ in range(100)} | {len(data) - 1, 0, 15, 16})
    missed = []
    for at in cuts:
        one, two = bench.both(data[:at], key=log.signer.key)
        if one[0] not in (1, 2) or two[0] or (one[0] == 2 and at != 0):
            missed.append((at, one, two))
    bench.ok(not missed, f"truncate: at {len(cuts)} places, every one is caught", *missed[:5])


def reordered(blocks, i, j):
    blocks = list(blocks)
    blocks[i], blocks[j] = blocks[j], blocks[i]
    return blocks


def signed_again(bench, log, other):
    """The attacker has the key that signs packs; the log itself he cannot change."""
    shown = [0, 1, 2, 4, 9, 10]  # event, empty image, result, small image, event, image of two chunks
    blocks = log.study(shown, PAGE)
    key = log.signer.key
    records = [i for i, b in enumerate(blocks) if b[0] == b"RECD"]
    small = [p for p in shown if log.bodies[p]]

    def altered(i, content):
        return log.file(blocks[:i] + [(blocks[i][0], content)] + blocks[i + 1:])

    def no(name, why, data):
        bench.no("signed again: " + name, why, data, key=key)

    bench.yes("as it is", log.file(blocks), key=key)
    without = [(b"HEAD", log.head(fg.STUDY, 6, PAGE))] + [b for i, b in enumerate(blocks) if i != 0 and i != records[0]]
    no("delete a record", "5 records, not the 6", log.file(without))
    no("delete a body", "RECD|BODY block where one belongs", log.file([b for i, b in enumerate(blocks) if i != records[1] + 1]))
    no("insert a record twice", "out of order, or there twice", log.file(blocks[:records[0] + 1] + blocks[records[0]:]))
    no("insert a block", "no (CKPT|SIGN|BODY)|none belongs", log.file(blocks + [(b"NOTE", b"")]))
    no("insert a body", "none belongs", log.file(blocks + [(b"BODY", b"x" * 16)]))
    no("insert behind the end", "behind the end", log.file(blocks) + fg.block(b"RECD", b""))
    no("reorder records", "out of order", log.file(reordered(blocks, records[0], records[-2])))
    no("reorder head and checkpoint", "no HEAD block", log.file(reordered(blocks, 0, 1)))
    other_body = log.bodies[small[-1]]
    no("replace a body", "as long as its header says|root over its chunks",
       log.file([(k, other_body if k == b"BODY" and i == records[3] + 1 else c) for i, (k, c) in enumerate(blocks)]))
    i = [i for i, b in enumerate(blocks) if b[0] == b"BODY" and len(b[1]) > fg.CHUNK + 16][0]
    body = blocks[i][1]
    no("reorder chunks", "root over its chunks", altered(i, body[fg.CHUNK + 16:] + body[:fg.CHUNK + 16]))
    no("flip a bit of a body", "root over its chunks", altered(i, body[:100] + bytes([body[100] ^ 4]) + body[101:]))
    no("cut a body", "as long as its header says", altered(i, body[:-1]))
    i, p = records[0], shown[0]
    entry = bytearray(log.entries[p])
    entry[200] ^= 1
    no("flip a bit of facts", "not in the log", altered(i, log.record(p, entry=bytes(entry))))
    no("replace an entry", "not in the log|another position", altered(i, log.record(p, entry=other.entries[p])))
    no("an entry at another position", "another position", altered(i, log.record(9, named=p)))
    no("another position's proof", "not in the log", altered(i, log.record(p, path=fg.inclusion(log.leaves(), 3))))
    no("a shorter proof", "not in the log", altered(i, log.record(p, path=fg.inclusion(log.leaves(), p)[:-1])))
    no("another key", "not the one it was sealed with", altered(i, log.record(p, key=log.keys[9])))
    no("a made-up leaf", "not in the log", log.file([(b"HEAD", log.head(fg.STUDY, 1, PAGE, form=2)), blocks[1],
                                                     (b"RECD", log.record(3, 3, leaf=bytes(32)))]))
    no("opened among hashes", "hashes only", log.file([(b"HEAD", log.head(fg.STUDY, 1, PAGE, form=2)), blocks[1],
                                                       (b"RECD", log.record(0))]))
    no("a position behind the tree", "not in the log", log.file([b for i, b in enumerate(blocks) if i < records[-1]]
                                                               + [(b"RECD", log.record(9, 3, named=10 ** 9))]))
    subjects(bench, log, other, no)
    no("another page", "index.html", log.file([(b"HEAD", log.head(fg.STUDY, 6, b"other words"))] + blocks[1:]))
    bench.no("another page", "index.html", log.file(blocks), key=key, page=b"other words")
    bench.no("no page", "index.html", log.file(blocks), key=key, page=b"")
    no("another count", "6 records, not the 7", log.file([(b"HEAD", log.head(fg.STUDY, 7, PAGE))] + blocks[1:]))
    no("a length that lies", "cut short", log.file(blocks)[:16 + 8] + struct.pack("<Q", 1 << 62) + log.file(blocks)[32:])


def subjects(bench, log, other, no):
    """What a pack says it is about, and what it shows."""
    def one(question, position, subject, shape=1, **how):
        body = shape == 1 and question <= fg.OBJECT and log.bodies[position] is not None
        blocks = [(b"HEAD", log.head(question, how.get("count", 1), PAGE, subject=subject, first=how.get("first", 0), until=how.get("until", 0))),
                  (b"CKPT", log.checkpoint()), (b"RECD", log.record(position, shape, body))]
        return log.file(blocks + ([(b"BODY", log.bodies[position])] if body else []))
    bench.yes("a result", one(fg.RESULT, 2, b"2"), key=log.signer.key)
    bench.yes("an object", one(fg.OBJECT, 4, b"4"), key=log.signer.key)
    bench.yes("an access", one(fg.ACCESS, 3, b"HOSPITAL\t1"), key=log.signer.key)
    no("another study's record", "of another study", one(fg.STUDY, 4, b"2.25.9999"))
    no("an object that is another", "not the one", one(fg.OBJECT, 4, b"5"))
    no("a result that is another", "not the one", one(fg.RESULT, 2, b"5"))
    no("an image as a result", "no result", one(fg.RESULT, 4, b"4"))
    no("an image among events", "no event, and opened", one(fg.ACCESS, 4, b"HOSPITAL\t1"))
    no("an image opened in a period", "no event, and opened", one(fg.PERIOD, 4, b"x", first=4, until=5))


def not_signed_again(bench, log):
    """Somebody without the key: what it looks like where nothing but SIGN notices."""
    blocks = log.study([0, 2], PAGE)
    data = log.file(blocks)
    stranger = fg.Signer(log.signer.key.name.decode())
    head = bytearray(log.head(fg.STUDY, 2, PAGE))
    head[8] ^= 1
    tail = fg.block(b"SIGN", v.blocks_of(data)[-1][1])
    moved = b"FANALEVI" + struct.pack("<II", 1, 0) + b"".join(fg.block(k, c) for k, c in [(b"HEAD", bytes(head))] + blocks[1:]) + tail
    bench.no("another time of making", "altered after it was signed", moved, key=log.signer.key)
    bench.no("signed by a stranger", "signature of the pack", log.file(blocks, stranger), key=log.signer.key)
    bench.no("a checkpoint as signature", "signs something else", data[:v.blocks_of(data)[-1][2]] + fg.block(b"SIGN", log.checkpoint()),
             key=log.signer.key)


def periods(bench, log):
    blocks = log.period(3, 20, PAGE)
    key = log.signer.key
    said = bench.yes("a period", log.file(blocks), key=key)
    bench.ok("17 records" in said and "6 shown" in said and "11 sealed" in said, "it counts what it opened", said)
    ok = [(k, log.record(9, 2) if k == b"RECD" and c[:8] == struct.pack("<Q", 9) else c) for k, c in blocks]
    said = bench.yes("a period with an event that is not opened", log.file(ok), key=key)
    bench.ok("12 sealed (1 of them events)" in said, "it says so", said)
    left = [(b"HEAD", log.head(fg.PERIOD, 16, PAGE, first=3, until=20))] + blocks[1:7] + blocks[8:]
    bench.no("a period with a hole", "record 8 of the period is left out", log.file(left), key=key)
    left = [(b"HEAD", log.head(fg.PERIOD, 16, PAGE, first=3, until=20))] + blocks[1:-1]
    bench.no("a period cut at its end", "record 19 of the period is left out", log.file(left), key=key)
    left = [(b"HEAD", log.head(fg.PERIOD, 16, PAGE, first=3, until=20))] + blocks[1:2] + blocks[3:]
    bench.no("a period cut at its beginning", "record 3 of the period is left out", log.file(left), key=key)


def trust(bench, log, other):
    blocks = log.study([0, 2], PAGE)
    data = log.file(blocks)
    bench.no("nothing from outside", "nothing from outside", data)
    bench.no("another log's key", "another log", data, key=other.signer.key)
    impostor = fg.small_log(1)
    impostor.signer.key = v.Key.of(log.signer.key.name, 1, impostor.signer.key.public)
    bench.no("replace all of it, under the same name", "another key", impostor.file(impostor.study([0, 2], PAGE)), key=log.signer.key)
    # roll back: the log is taken back to its first 20 records, which somebody outside has seen 37 of
    old = fg.Log(1)
    old.signer, old.entries, old.keys, old.bodies, old.kinds = log.signer, log.entries[:20], log.keys[:20], log.bodies[:20], log.kinds[:20]
    bench.yes("the checkpoint given is the pack's own", data, checkpoint=log.checkpoint())
    bench.yes("and without signature, as from paper", data, checkpoint=log.checkpoint(signed=False).split(b"\n\n")[0] + b"\n")
    sheet = log.paper(37)
    bench.yes("and as typed from paper", data, checkpoint=sheet)
    bench.yes("with a small hand", data, checkpoint=sheet.lower().replace(b"0", b"o").replace(b"records", b""))
    typo = sheet.replace(b"\n3: ", b"\n3: Z") if sheet.split(b"\n3: ")[1][:1] != b"Z" else sheet
    one = subprocess.run([bench.program, "--checkpoint", bench.file("outside", typo), bench.pack], capture_output=True, text=True, check=False)
    bench.ok(one.returncode == 2 and "line 3 of the paper" in one.stderr, "a typing error is named by its line", one)
    bench.no("roll back, by paper", "rolled back", old.file(old.study([0, 2], PAGE)), checkpoint=sheet)
    bench.no("split view, by paper", "another history", other_history(log, other), checkpoint=sheet)
    bench.no("roll back", "rolled back", old.file(old.study([0, 2], PAGE)), checkpoint=log.checkpoint(), key=log.signer.key)
    # split view: two histories under one key
    split = fg.Log(1)
    split.signer = log.signer
    split.entries, split.keys = log.entries[:30] + other.entries[30:], log.keys[:30] + other.keys[30:]
    split.bodies, split.kinds = log.bodies[:30] + other.bodies[30:], log.kinds[:30] + other.kinds[30:]
    shown = split.file(split.study([0, 2], PAGE))
    bench.yes("split view: each is in order by itself", shown, key=log.signer.key)
    bench.no("split view, by a checkpoint of the same size", "another history", shown, checkpoint=log.checkpoint())
    bench.no("split view, by an earlier checkpoint", "two histories",
             split.file(split.study([0, 2], PAGE, [split.anchor(log.checkpoint(33), 33)])), key=log.signer.key)
    bench.no("no proof from the checkpoint given", "no proof from", data, checkpoint=log.checkpoint(33))
    bench.yes("a proof from the checkpoint given", log.file(log.study([0, 2], PAGE, [log.anchor(log.checkpoint(33), 33)])),
              checkpoint=log.checkpoint(33))
    bench.no("an earlier checkpoint with another root", "two histories", log.file(
        log.study([0, 2], PAGE, [log.anchor(log.checkpoint(33, root=bytes(32)), 33)])), key=log.signer.key)
    bench.no("an empty checkpoint", "two histories", log.file(
        log.study([0, 2], PAGE, [log.anchor(log.checkpoint(0), 0, path=[])])), key=log.signer.key)


def other_history(log, other):
    split = fg.Log(1)
    split.signer = log.signer
    split.entries, split.keys = log.entries[:30] + other.entries[30:], log.keys[:30] + other.keys[30:]
    split.bodies, split.kinds = log.bodies[:30] + other.bodies[30:], log.kinds[:30] + other.kinds[30:]
    return split.file(split.study([0, 2], PAGE))


def witnesses(bench, log):
    w, stranger = fg.Signer("witness.example/1", 4), fg.Signer("witness.example/2", 4)
    note = log.checkpoint(33, [(w, 1795600123)])
    data = log.file(log.study([0, 2], PAGE, [log.anchor(note, 33)]))
    said = bench.yes("cosigned", data, witnesses=[w.key])
    bench.ok("first 33 records cosigned by witness.example/1 at 2026-11-25T" in said, "it says by whom and when", said)
    bench.no("not cosigned by that one", "cosigned by witness.example/2", data, witnesses=[w.key, stranger.key], key=log.signer.key)
    bench.no("a cosignature of something else", "cosigned by", log.file(log.study([0, 2], PAGE, [log.anchor(
        log.checkpoint(33) + w.line(log.checkpoint(32).split(b"\n\n")[0] + b"\n", 5), 33)])), witnesses=[w.key])
    bench.no("a broken signature line", "no valid signature", log.file(
        log.study([0, 2], PAGE)[:1] + [(b"CKPT", log.checkpoint() + b"x\n")] + log.study([0, 2], PAGE)[2:]), key=log.signer.key)


def stamps(bench, log):
    authority = Authority(os.path.join(bench.dir, "authority"))
    stamp, pem = authority.stamp, authority.pem
    note, key = log.checkpoint(33), log.signer.key

    def pack(token, size=33, text=note):
        return log.file(log.study([0, 2], PAGE, [log.anchor(text, size, token)]))
    token = stamp(note)
    said = bench.yes("time-stamped (RSA)", pack(token), key=key, ca=pem("ca"))
    bench.ok("first 33 records stamped by tsa at 20" in said, "it says by whom and when", said)
    bench.yes("time-stamped (ECDSA, over a certificate between)", pack(stamp(note, "tsa-ec", "middle")), key=key, ca=pem("ca"))
    bench.yes("the stamp is not asked for", pack(token), key=key)
    bench.no("another authority", "authority given", pack(token), key=key, ca=pem("other"))
    bench.no("no stamp", "no checkpoint of the pack has a time stamp", pack(b""), key=key, ca=pem("ca"))
    bench.no("a stamp of another checkpoint", "another checkpoint", pack(stamp(log.checkpoint(32))), key=key, ca=pem("ca"))
    bench.no("a stamp by a certificate for something else", "for time stamping|time stamp", pack(swap_certificate(token, pem)), key=key,
             ca=pem("ca"))
    r, missed, places = random.Random(SEED), [], signed_places(token, pem("tsa"))
    for at in sorted(r.sample(places, 250)):
        spoilt = token[:at] + bytes([token[at] ^ (1 << r.randrange(8))]) + token[at + 1:]
        one, two = bench.both(pack(spoilt), key=key, ca=pem("ca"))
        if one[0] != 1 or two[0]:
            missed.append((at, one, two))
    bench.ok(not missed, f"flips in a token, wherever a signature covers it (seed {SEED}): every one is caught", *missed[:3])
    bench.no("a cut token", "time stamp", pack(token[:-1]), key=key, ca=pem("ca"))


def signed_places(token, certificate):
    """Where TSTInfo, the signer's certificate, the signed attributes and the signature lie. The rest is framing, algorithm lists
    and a root certificate that nobody needs: what is changed there says nothing else."""
    parts = v.der(v.der(v.der(v.der(token)[0][1])[1][1])[0][1])
    signer = v.der(v.der(parts[-1][1])[0][1])
    pieces = [v.der(v.der(parts[2][1])[1][1])[0][1], decoded(certificate), signer[3][1], signer[5][1]]
    return [token.index(p) + i for p in pieces for i in range(len(p))]


def decoded(pem):
    return base64.b64decode(re.search(rb"-----BEGIN CERTIFICATE-----(.*?)-----END", pem, re.S).group(1))


def swap_certificate(token, pem):
    """The token with a certificate for something else (id-kp-codeSigning) under the same name and number."""
    raw = decoded(pem("tsa"))
    usage = bytes.fromhex("2b06010505070308")
    return token.replace(raw, raw.replace(usage, bytes.fromhex("2b06010505070303")))


def main():
    bench = Bench(sys.argv[1])
    log, other = fg.small_log(1), fg.small_log(2)
    data = log.file(log.study([0, 1, 2, 4, 9], PAGE, [log.anchor(log.checkpoint(33), 33)]))
    try:
        flips(bench, log, data)
        truncations(bench, log, data)
        signed_again(bench, log, other)
        not_signed_again(bench, log)
        periods(bench, log)
        trust(bench, log, other)
        witnesses(bench, log)
        stamps(bench, log)
    finally:
        shutil.rmtree(bench.dir, ignore_errors=True)
    print(f"1..{bench.n}")
    sys.exit(1 if bench.bad else 0)


main()
