"""Makes logs and evidence packs of its own, from docs/format.md and docs/evidence.md: for tests that must hold the keys, so
that a pack can be altered and signed again by whoever would profit."""
import base64
import hashlib
import hmac
import os
import random
import struct

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

import verify as v

DICOM, HL7, FACT, EVENT = 1, 2, 3, 4
CHUNK = 32768
STUDY, RESULT, OBJECT, ACCESS, PERIOD = 1, 2, 3, 4, 5


def field(number, value):
    if isinstance(value, int):
        value = struct.pack("<Q", value)
    return struct.pack("<HI", number, len(value)) + value


def inclusion(leaves, m):
    if len(leaves) == 1:
        return []
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    if m < k:
        return inclusion(leaves[:k], m) + [v.tree_root(leaves[k:])]
    return inclusion(leaves[k:], m - k) + [v.tree_root(leaves[:k])]


def consistency(leaves, m, whole=True):
    if m == len(leaves):
        return [] if whole else [v.tree_root(leaves)]
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    if m <= k:
        return consistency(leaves[:k], m, whole) + [v.tree_root(leaves[k:])]
    return consistency(leaves[k:], m - k, False) + [v.tree_root(leaves[:k])]


class Signer:
    def __init__(self, name, kind=1):
        self.private = Ed25519PrivateKey.generate()
        public = self.private.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        self.key = v.Key.of(name.encode(), kind, public)

    def line(self, text, when=0):
        head = b""
        if self.key.kind == 4:
            head = struct.pack(">Q", when)
            text = b"cosignature/v1\ntime %d\n" % when + text
        sig = self.key.id + head + self.private.sign(text)
        return b"\xe2\x80\x94 " + self.key.name + b" " + base64.b64encode(sig) + b"\n"


class Log:
    def __init__(self, seed=1):
        self.random = random.Random(seed)
        self.signer = Signer("fanal/" + "%032x" % self.random.getrandbits(128))
        self.entries, self.keys, self.bodies, self.kinds = [], [], [], []

    def add(self, kind, facts, body=None):
        data_key, salt = os.urandom(32), os.urandom(32)
        prk = hmac.new(salt, data_key, hashlib.sha256).digest()
        key = v.expand(prk, b"fanal/1/record")
        stored, root = None, bytes(32)
        if body is not None:
            pieces = [body[i:i + CHUNK] for i in range(0, len(body), CHUNK)] or [b""]
            gcm = AESGCM(v.expand(key, b"body"))
            chunks = [gcm.encrypt(bytes(7) + struct.pack(">I", i) + bytes([i == len(pieces) - 1]), p, None)
                      for i, p in enumerate(pieces)]
            stored, root = b"".join(chunks), v.tree_root([v.leaf_hash(c) for c in chunks])
        clear = struct.pack("<H", 4) + b"unit" + facts
        length = (192 + len(clear) + 16 + 31) // 32 * 32
        header = bytearray(192)
        struct.pack_into("<QQBBBBI", header, 8, len(self.entries), 1795600000000000 + len(self.entries), kind,
                         body is not None, 1 if body is not None else 0, 1, 7)
        header[0:4], header[32:64], header[64:96] = b"FNLE", salt, v.expand(key, b"commitment")
        struct.pack_into("<II", header, 96, len(clear) + 16, length)
        if body is not None:
            struct.pack_into("<QIIQ", header, 104, len(body), 202611, 1, 64)
            header[128:160] = root
            struct.pack_into("<I", header, 160, CHUNK)
        header[4:8] = os.urandom(4)  # a checksum that proves nothing; no verifier looks at it
        sealed = AESGCM(v.expand(key, b"facts")).encrypt(bytes(12), clear, bytes(header[8:192]))
        self.entries.append((bytes(header) + sealed).ljust(length, b"\0"))
        self.keys.append(key)
        self.bodies.append(stored)
        self.kinds.append(kind)

    def leaves(self, size=None):
        return [v.leaf_hash(e) for e in self.entries[:size]]

    def checkpoint(self, size=None, cosigners=(), signed=True, root=None):
        size = len(self.entries) if size is None else size
        root = v.tree_root(self.leaves(size)) if root is None else root
        text = self.signer.key.name + b"\n%d\n" % size + base64.b64encode(root) + b"\n"
        return text + b"\n" + (self.signer.line(text) if signed else b"") + b"".join(c.line(text, w) for c, w in cosigners)

    def paper(self, size):
        data = b"\1" + bytes.fromhex(self.signer.key.name.decode()[6:]) + size.to_bytes(8, "big") + (1795600000).to_bytes(5, "big") \
            + v.tree_root(self.leaves(size))
        bits = "".join(f"{b:08b}" for b in data).ljust(500, "0")
        symbols = [int(bits[i:i + 5], 2) for i in range(0, 500, 5)]
        out = "Fanal checkpoint\n\n"
        for n in range(1, 6):
            line = symbols[20 * n - 20:20 * n]
            check = v.crc10(n, line)
            text = "".join(v.CROCKFORD[s] for s in [*line, check >> 5, check & 31])
            out += f"{n}: " + " ".join(text[i:i + 5] for i in range(0, 22, 5)) + "\n"
        return out.encode()

    # ---- blocks ----

    def head(self, question, count, page, form=1, first=0, until=0, subject=b"subject"):
        return struct.pack("<BB6xQQQQQ", question, form, 1795600000000000, first, until, count, len(page)) \
            + v.sha256(page) + self.signer.key.public + subject

    def anchor(self, note, size, token=b"", path=None):
        path = consistency(self.leaves(), size) if path is None else path
        return struct.pack("<I", len(note)) + note + struct.pack("<I", len(path)) + b"".join(path) \
            + struct.pack("<I", len(token)) + token

    def record(self, position, shape=1, body=False, path=None, key=None, entry=None, leaf=None, named=None):
        path = inclusion(self.leaves(), position) if path is None else path
        out = struct.pack("<QBBHI", position if named is None else named, shape, body, 0, len(path)) + b"".join(path)
        if shape == 1:
            out += key or self.keys[position]
        if shape == 3:
            return out + (leaf or v.leaf_hash(self.entries[position]))
        return out + (entry or self.entries[position])

    def sign(self, before, signer=None):
        text = self.signer.key.name + b" evidence\n" + base64.b64encode(v.sha256(before)) + b"\n"
        return text + b"\n" + (signer or self.signer).line(text)

    def file(self, blocks, signer=None):
        """blocks: [(type, content)] without SIGN, which is made."""
        out = b"FANALEVI" + struct.pack("<II", 1, 0) + b"".join(block(k, c) for k, c in blocks)
        return out + block(b"SIGN", self.sign(out, signer))

    def study(self, positions, page, anchors=()):
        blocks = [(b"HEAD", self.head(STUDY, len(positions), page)), (b"CKPT", self.checkpoint())]
        blocks += [(b"ANCR", a) for a in anchors]
        for p in positions:
            has = self.bodies[p] is not None
            blocks.append((b"RECD", self.record(p, body=has)))
            if has:
                blocks.append((b"BODY", self.bodies[p]))
        return blocks

    def period(self, first, until, page):
        blocks = [(b"HEAD", self.head(PERIOD, until - first, page, first=first, until=until)), (b"CKPT", self.checkpoint())]
        return blocks + [(b"RECD", self.record(p, 1 if self.kinds[p] == EVENT else 2)) for p in range(first, until)]


def block(kind, content):
    return kind + bytes(4) + struct.pack("<Q", len(content)) + content


def small_log(seed=1, records=37):
    """Events, results, images of no, one and two chunks."""
    log, about = Log(seed), field(50, b"subject")
    for i in range(records):
        if i % 3 == 0:
            log.add(EVENT, about + field(13, b"object.read") + field(14, b"dr.house") + field(16, b"success") + field(1, i))
        elif i % 3 == 1:
            size = (0, 500, CHUNK, CHUNK + 5000)[i // 3 % 4]
            log.add(DICOM, about + field(80, b"2.25.7.%d" % i) + field(81, b"1.2.840.10008.5.1.4.1.1.2")
                    + field(82, b"1.2.840.10008.1.2.1"), log.random.randbytes(size))
        else:
            log.add(HL7, about + field(150, b"ORU"), b"MSH|^~\\&|LIS\rPID|1\r")
    return log
