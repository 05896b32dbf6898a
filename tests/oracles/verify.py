#!/usr/bin/python3
"""A second verifier of evidence packs, from docs/evidence.md, docs/format.md and the texts of RFC 9162, RFC 5869, RFC 3161
and C2SP, sharing nothing with src/verify: another language, another library (python3-cryptography), written by reading the pages.

    verify.py [--key VKEY] [--checkpoint FILE] [--witness VKEY]... [--ca PEM] PACK     prints yes/no and why; exits 0 or 1
"""
import argparse
import base64
import hashlib
import hmac
import os
import re
import struct
import sys

from cryptography import x509
from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KINDS = {1: "dicom", 2: "hl7", 3: "fact", 4: "event", 5: "rule"}
DOCUMENTS = (1, 2, 3)  # questions whose shown records come with their bodies
CHUNK_MAX = 65536


class No(Exception):
    """The answer, and why."""


def must(claim, why):
    if not claim:
        raise No(why)


# ---- RFC 9162 §2.1 ----

def sha256(data):
    return hashlib.sha256(data).digest()


def leaf_hash(data):
    return sha256(b"\0" + data)


def node_hash(left, right):
    return sha256(b"\1" + left + right)


def root_from_inclusion(path, index, size, leaf):
    """The root that an inclusion proof leads to, or None: recursion as PATH(m, D_n) is defined, read backwards."""
    def climb(m, n, hashes_left):
        if n == 1:
            return leaf if not hashes_left else None
        if not hashes_left:
            return None
        k = 1
        while k * 2 < n:
            k *= 2
        sibling, rest = hashes_left[-1], hashes_left[:-1]
        if m < k:
            own = climb(m, k, rest)
            return own and node_hash(own, sibling)
        own = climb(m - k, n - k, rest)
        return own and node_hash(sibling, own)
    return climb(index, size, path) if 0 <= index < size else None


def consistent(path, first, first_root, second, second_root):
    """SUBPROOF(m, D_n, b) of §2.1.4.1 read backwards: both roots from the same hashes."""
    if not 0 < first <= second:
        return False

    def climb(m, n, whole, left):
        # (root of the first tree's part, root of the second's) of D_n of which the first m are old
        if m == n:
            if whole:
                return (first_root, first_root) if not left else None
            return (left[0], left[0]) if len(left) == 1 else None
        if not left:
            return None
        k = 1
        while k * 2 < n:
            k *= 2
        sibling, rest = left[-1], left[:-1]
        if m <= k:
            got = climb(m, k, whole, rest)
            return got and (got[0], node_hash(got[1], sibling))
        got = climb(m - k, n - k, False, rest)
        return got and (node_hash(sibling, got[0]), node_hash(sibling, got[1]))
    return climb(first, second, True, path) == (first_root, second_root)


def tree_root(leaves):
    if not leaves:
        return sha256(b"")
    if len(leaves) == 1:
        return leaves[0]
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return node_hash(tree_root(leaves[:k]), tree_root(leaves[k:]))


# ---- C2SP: signed-note, tlog-checkpoint, tlog-cosignature ----

def strict_base64(text, length=None):
    try:
        data = base64.b64decode(text, validate=True)
    except ValueError as e:
        raise No("base64") from e
    must(base64.b64encode(data) == (text if isinstance(text, bytes) else text.encode()), "base64 is not canonical")
    must(length is None or len(data) == length, "base64 of another length")
    return data


class Key:
    def __init__(self, vkey):
        m = re.fullmatch(rb"([^+\s]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/]+=*)\s*", vkey)
        must(m, "a key is not of the form name+id+key")
        raw = strict_base64(m.group(3), 33)
        self.name, self.kind, self.public = m.group(1), raw[0], raw[1:]
        self.id = sha256(self.name + b"\n" + raw)[:4]
        must(self.kind in (1, 4) and self.id.hex().encode() == m.group(2), "the ID of a key is not that of the key")

    @staticmethod
    def of(name, kind, public):
        key = Key.__new__(Key)
        key.name, key.kind, key.public = name, kind, public
        key.id = sha256(name + b"\n" + bytes([kind]) + public)[:4]
        return key

    def vkey(self):
        return self.name + b"+" + self.id.hex().encode() + b"+" + base64.b64encode(bytes([self.kind]) + self.public)


class Note:
    def __init__(self, data):
        must(0 < len(data) <= 16384, "a signed note of that length")
        must(not any((c < 0x20 and c != 10) or c == 0x7f for c in data), "a signed note holds a control character")
        at = data.rfind(b"\n\n")
        must(at >= 0, "a signed note has no signature part")
        self.text = data[:at + 1]
        self.lines = []
        rest = data[at + 2:]
        must(rest == b"" or rest.endswith(b"\n"), "a signature line without end")
        for line in rest.split(b"\n")[:-1]:
            self.lines.append(self.parse(line))

    @staticmethod
    def parse(line):
        m = re.fullmatch(b"\xe2\x80\x94 ([^ ]+) ([A-Za-z0-9+/]+=*)", line)
        if not m:
            return None
        try:
            return m.group(1), strict_base64(m.group(2))
        except No:
            return None

    def names(self, key):
        return all(self.lines) and any(n == key.name and s[:4] == key.id for n, s in self.lines)

    def signed(self, key):
        """Time of the signature (0 for one without), or None."""
        if not all(self.lines) or len(self.lines) > 64:
            return None
        for name, sig in self.lines:
            if name != key.name or sig[:4] != key.id:
                continue
            sig, text, when = sig[4:], self.text, 0
            if key.kind == 4:
                if len(sig) != 72:
                    continue
                when, sig = struct.unpack(">Q", sig[:8])[0], sig[8:]
                text = b"cosignature/v1\ntime %d\n" % when + text
            try:
                Ed25519PublicKey.from_public_bytes(key.public).verify(sig, text)
                return when
            except InvalidSignature:
                continue
        return None


class Checkpoint:
    def __init__(self, text):
        lines = text.split(b"\n")
        must(len(lines) == 4 and lines[3] == b"" and lines[0], "a checkpoint is not of three lines")
        must(re.fullmatch(rb"0|[1-9][0-9]{0,18}", lines[1]), "a checkpoint names no size")
        self.origin, self.size, self.root = lines[0], int(lines[1]), strict_base64(lines[2], 32)


# ---- docs/anchors.md, "Paper" ----

CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def crc10(number, symbols):
    """x^10 + x^9 + x^5 + x^4 + x + 1 over the line's number and its symbols, as a division of one long number."""
    value = number
    for s in symbols:
        value = value << 5 | s
    value <<= 10
    for bit in range(value.bit_length() - 1, 9, -1):
        if value >> bit & 1:
            value ^= 0x633 << (bit - 10)
    return value


def paper(text):
    """The text of a checkpoint from the five lines of a printed one."""
    lines = dict(re.findall(r"^([1-5]):([^\n]*)", text.decode("utf-8", "replace"), re.M))
    must(len(lines) == 5, "neither a checkpoint nor the five lines of one on paper")
    bits = ""
    for n in range(1, 6):
        typed = re.sub(r"[\s-]", "", lines[str(n)]).upper().replace("O", "0").replace("I", "1").replace("L", "1")
        must(len(typed) == 22 and all(c in CROCKFORD for c in typed), f"line {n} of the paper: a typing error")
        symbols = [CROCKFORD.index(c) for c in typed]
        must(crc10(n, symbols[:20]) == symbols[20] << 5 | symbols[21], f"line {n} of the paper: a typing error")
        bits += "".join(f"{s:05b}" for s in symbols[:20])
    data = int(bits + "0000", 2).to_bytes(63, "big")
    must(data[0] == 1, "paper of another version")
    size = int.from_bytes(data[17:25], "big")
    return b"fanal/" + data[1:17].hex().encode() + b"\n%d\n" % size + base64.b64encode(data[30:62]) + b"\n"


# ---- docs/format.md ----

def expand(key, label):
    return hmac.new(key, label + b"\1", hashlib.sha256).digest()


class Entry:
    def __init__(self, raw):
        must(len(raw) >= 192 and raw[:4] == b"FNLE", "it does not begin as an entry")
        (self.position, self.received, self.kind, flags, _, version) = struct.unpack_from("<QQBBBB", raw, 8)
        self.commitment = raw[64:96]
        self.facts_bytes, length, self.body_bytes = struct.unpack_from("<IIQ", raw, 96)
        must(version == 1 and flags in (0, 1, 3), "its header is of no version known here")
        must(self.facts_bytes >= 18 and length == len(raw) == (192 + self.facts_bytes + 31) // 32 * 32,
             "the lengths in its header are not its own")
        self.raw, self.has_body = raw, flags & 1
        if self.has_body:
            self.chunk = struct.unpack_from("<I", raw, 160)[0]
            must(0 < self.chunk <= CHUNK_MAX, "its header describes a body that cannot be")
            self.body_root = raw[128:160]

    def open(self, key):
        must(expand(key, b"commitment") == self.commitment, "the key is not the one it was sealed with")
        try:
            clear = AESGCM(expand(key, b"facts")).decrypt(bytes(12), self.raw[192:192 + self.facts_bytes], self.raw[8:192])
        except InvalidTag as e:
            raise No("its facts do not decrypt: they were altered") from e
        unit = struct.unpack_from("<H", clear)[0]
        must(2 + unit <= len(clear), "its facts are not of the form of facts")
        return facts_of(clear[2 + unit:])

    def document(self, key, stored):
        count = max(1, -(-self.body_bytes // self.chunk))
        must(len(stored) == self.body_bytes + 16 * count, "its body is not as long as its header says")
        chunks = [stored[i:i + self.chunk + 16] for i in range(0, len(stored), self.chunk + 16)]
        must(tree_root([leaf_hash(c) for c in chunks]) == self.body_root, "its body is not the one its header names")
        gcm, clear = AESGCM(expand(key, b"body")), b""
        for i, chunk in enumerate(chunks):
            nonce = bytes(7) + struct.pack(">I", i) + bytes([i == count - 1])
            try:
                clear += gcm.decrypt(nonce, chunk, None)
            except InvalidTag as e:
                raise No(f"chunk {i} of its body does not decrypt") from e
        return clear


def facts_of(data):
    facts, at = [], 0
    while at < len(data):
        must(at + 6 <= len(data), "facts")
        number, length = struct.unpack_from("<HI", data, at)
        must(at + 6 + length <= len(data), "facts")
        facts.append((number, data[at + 6:at + 6 + length]))
        at += 6 + length
    return facts


# ---- RFC 3161 over RFC 5652 ----

def der(data):
    """[(tag, value, whole)] of DER elements one behind the other."""
    out, at = [], 0
    while at < len(data):
        must(at + 2 <= len(data), "DER")
        tag, length, head = data[at], data[at + 1], 2
        if length & 0x80:
            n = length & 0x7f
            must(0 < n <= 4 and at + 2 + n <= len(data), "DER")
            length, head = int.from_bytes(data[at + 2:at + 2 + n], "big"), 2 + n
            must(length >= 0x80 and length >> (8 * (n - 1)) != 0, "DER: a length that is not minimal")
        must(at + head + length <= len(data) and tag & 0x1f != 0x1f, "DER")
        out.append((tag, data[at + head:at + head + length], data[at:at + head + length]))
        at += head + length
    return out


def oid(text):
    parts = [int(p) for p in text.split(".")]
    out = bytes([parts[0] * 40 + parts[1]])
    for p in parts[2:]:
        piece = [p & 0x7f]
        while p > 0x7f:
            p >>= 7
            piece.insert(0, 0x80 | (p & 0x7f))
        out += bytes(piece)
    return out


HASHES = {oid("2.16.840.1.101.3.4.2.1"): hashes.SHA256(), oid("2.16.840.1.101.3.4.2.2"): hashes.SHA384(),
          oid("2.16.840.1.101.3.4.2.3"): hashes.SHA512()}


def digest(algorithm, data):
    return hashlib.new(algorithm.name, data).digest()


def signature_fits(public, signature, data, algorithm):
    try:
        if isinstance(public, rsa.RSAPublicKey):
            public.verify(signature, data, padding.PKCS1v15(), algorithm)
        elif isinstance(public, ec.EllipticCurvePublicKey):
            public.verify(signature, data, ec.ECDSA(algorithm))
        else:
            return False
        return True
    except InvalidSignature:
        return False


def issued(child, parent, when):
    try:
        ca = parent.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        ca = False
    return (ca and child.issuer == parent.subject and parent.not_valid_before <= when <= parent.not_valid_after
            and signature_fits(parent.public_key(), child.signature, child.tbs_certificate_bytes,
                               child.signature_hash_algorithm))


def check_token(token, note, authorities):
    import datetime
    try:
        return _check_token(token, note, authorities, datetime)
    except No:
        raise
    except Exception as e:  # whatever a library says of bytes that are none of its kind
        raise No(f"time stamp: the token is broken ({e})") from e


def _check_token(token, note, authorities, datetime):
    (content_type, wrapped) = der(der(token)[0][1])
    must(content_type[1] == oid("1.2.840.113549.1.7.2") and len(der(token)) == 1, "time stamp: no SignedData")
    parts = der(der(wrapped[1])[0][1])
    encap = der(parts[2][1])
    must(encap[0][1] == oid("1.2.840.113549.1.9.16.1.4"), "time stamp: no TSTInfo")
    info_bytes = der(encap[1][1])[0][1]
    info = der(der(info_bytes)[0][1])
    imprint = der(info[2][1])
    algorithm = HASHES.get(der(imprint[0][1])[0][1])
    must(algorithm and digest(algorithm, note) == imprint[1][1], "time stamp: the token is over another checkpoint")
    when = datetime.datetime.strptime(info[4][1][:14].decode(), "%Y%m%d%H%M%S")
    certificates = [x509.load_der_x509_certificate(w) for t, v, _ in parts if t == 0xa0 for _, _, w in der(v)]
    infos = der([v for t, v, _ in parts if t == 0x31][-1])
    must(len(infos) == 1, "time stamp: several signers")
    signer = der(infos[0][1])
    issuer, serial = der(signer[1][1])
    own = [c for c in certificates if c.serial_number == int.from_bytes(serial[1], "big")
           and c.issuer.public_bytes() == issuer[2]]
    must(own, "time stamp: no certificate of its signer")
    own = own[0]
    usage = own.extensions.get_extension_for_class(x509.ExtendedKeyUsage)
    must(usage.critical and [u.dotted_string for u in usage.value] == ["1.3.6.1.5.5.7.3.8"],
         "time stamp: the certificate is not for time stamping")
    must(signer[3][0] == 0xa0, "time stamp: no signed attributes")
    algorithm = HASHES.get(der(signer[2][1])[0][1])
    attributes = {}
    for _, v, _ in der(signer[3][1]):
        kind, values = der(v)
        must(kind[1] not in attributes, "time stamp: an attribute twice")
        attributes[kind[1]] = der(values[1])[0]
    must(attributes[oid("1.2.840.113549.1.9.3")][1] == oid("1.2.840.113549.1.9.16.1.4"), "time stamp: signs something else")
    must(algorithm and attributes[oid("1.2.840.113549.1.9.4")][1] == digest(algorithm, info_bytes),
         "time stamp: the content was altered")
    fingerprint = own.fingerprint(hashes.SHA256())
    v2 = attributes.get(oid("1.2.840.113549.1.9.16.2.47"))
    v1 = attributes.get(oid("1.2.840.113549.1.9.16.2.12"))
    cert_id = der(der(der((v2 or v1)[1])[0][1])[0][1])
    if v2:
        if cert_id[0][0] == 0x30:
            fingerprint = own.fingerprint(HASHES[der(cert_id[0][1])[0][1]])
            cert_id = cert_id[1:]
    else:
        fingerprint = own.fingerprint(hashes.SHA1())
    must(cert_id[0][1] == fingerprint, "time stamp: the token names another certificate")
    must(signature_fits(own.public_key(), signer[5][1], b"\x31" + signer[3][2][1:], algorithm), "time stamp: a signature does not fit")
    if not authorities:
        return None
    must(own.not_valid_before <= when <= own.not_valid_after, "time stamp: not valid at its time")
    chain = own
    for _ in range(4):
        if any(chain == a or issued(chain, a, when) for a in authorities):
            return when
        chain = next((c for c in certificates if issued(chain, c, when)), None)
        must(chain, "time stamp: does not lead to the authority given")
    raise No("time stamp: does not lead to the authority given")


# ---- docs/evidence.md ----

class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, n):
        must(0 <= n <= len(self.data) - self.at, f"cut short or broken at byte {self.at}")
        self.at += n
        return self.data[self.at - n:self.at]

    def number(self, n):
        return int.from_bytes(self.take(n), "little")

    def left(self):
        return len(self.data) - self.at


def blocks_of(pack):
    r = Reader(pack)
    must(r.take(8) == b"FANALEVI" and r.number(8) == 1, "this is no evidence pack")
    out = []
    while r.left():
        start = r.at
        kind = r.take(4)
        must(r.take(4) == bytes(4), f"the pack is broken at byte {start}")
        out.append((kind, r.take(r.number(8)), start))
    return out


def hashes_in(r, most):
    n = r.number(4)
    must(n <= most, "too many hashes")
    return [r.take(32) for _ in range(n)]


class Trust:
    def __init__(self, key=None, checkpoint=None, witnesses=(), ca=None):
        self.key, self.witnesses = key, list(witnesses)
        self.checkpoint = None
        if checkpoint is not None:
            try:
                text = Note(checkpoint).text
            except No:
                text = checkpoint
            try:
                self.checkpoint = Checkpoint(text)
            except No:
                self.checkpoint = Checkpoint(paper(checkpoint))
        self.ca = [x509.load_pem_x509_certificate(p) for p in
                   re.findall(rb"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----\n?", ca or b"", re.S)]


class Pack:
    """Raises No, or holds what is proven: records [(position, shape, entry, facts, document)]."""

    def __init__(self, pack, page, trust):
        self.trust, self.records, self.cosigned, self.stamped, self.met = trust, [], [], [], False
        blocks = blocks_of(pack)
        must(len(blocks) >= 3 and blocks[0][0] == b"HEAD" and blocks[1][0] == b"CKPT" and blocks[-1][0] == b"SIGN",
             "a block is missing, or where none belongs")
        self.head(blocks[0][1], page)
        self.checkpoint(blocks[1][1])
        middle = blocks[2:-1]
        i = 0
        while i < len(middle) and middle[i][0] == b"ANCR":
            must(i < 64, "too many other checkpoints")
            self.anchor(middle[i][1])
            i += 1
        self.outside()
        following = self.first
        while i < len(middle):
            must(middle[i][0] == b"RECD", f"a block where none belongs, at byte {middle[i][2]}")
            body = middle[i + 1][1] if i + 1 < len(middle) and middle[i + 1][0] == b"BODY" else None
            following = self.record(middle[i][1], body, following)
            i += 1 if body is None else 2
        must(len(self.records) == self.count, "another number of records than promised")
        must(self.question != 5 or following == self.until, f"record {following} of the period is left out")
        self.sign(blocks[-1][1], sha256(pack[:blocks[-1][2]]))

    def head(self, content, page):
        r = Reader(content)
        self.question, self.form = r.number(1), r.number(1)
        must(r.take(6) == bytes(6), "head")
        self.made, self.first, self.until, self.count, page_bytes = (r.number(8) for _ in range(5))
        page_hash, self.public = r.take(32), r.take(32)
        self.subject = r.take(r.left())
        must(1 <= self.question <= 5 and self.form in (1, 2) and len(self.subject) <= 1024 and self.count <= 1000000, "head")
        must(self.first <= self.until if self.question == 5 else self.first == self.until == 0, "head")
        must(len(page) == page_bytes and sha256(page) == page_hash, "index.html is not the page that belongs to this pack")

    def checkpoint(self, content):
        note = Note(content)
        self.tree = Checkpoint(note.text)
        self.key = Key.of(self.tree.origin, 1, self.public)
        t = self.trust
        must(t.key or t.checkpoint or t.witnesses, "nothing from outside the pack was given")
        must(t.key is None or (t.key.name, t.key.kind, t.key.public) == (self.tree.origin, 1, self.public),
             "another log, or signed with another key than the one given")
        must(t.checkpoint is None or t.checkpoint.origin == self.tree.origin, "the checkpoint given is of another log")
        must(note.signed(self.key) is not None, "checkpoint: no valid signature")
        self.seen(note, self.tree)

    def seen(self, note, checkpoint):
        for w in self.trust.witnesses:
            when = note.signed(w)
            if when is not None:
                self.cosigned.append((w.name, checkpoint.size, when))
        outside = self.trust.checkpoint
        if outside and outside.size == checkpoint.size:
            must(outside.root == checkpoint.root, "the checkpoint given shows another history")
            self.met = True

    def anchor(self, content):
        r = Reader(content)
        raw = r.take(r.number(4))
        path = hashes_in(r, 65)
        token = r.take(r.number(4))
        must(r.left() == 0 and len(token) <= 65536, "its lengths are broken")
        note = Note(raw)
        c = Checkpoint(note.text)
        must(c.origin == self.tree.origin, "of another log")
        must(not note.names(self.key) or note.signed(self.key) is not None, "no valid signature")
        must(consistent(path, c.size, c.root, self.tree.size, self.tree.root), "does not go on from it: two histories")
        self.seen(note, c)
        if token:
            when = check_token(token, raw, self.trust.ca)
            if when:
                self.stamped.append((c.size, when))

    def outside(self):
        c = self.trust.checkpoint
        must(c is None or c.size <= self.tree.size, "rolled back, or the pack is older")
        must(c is None or self.met, "no proof from the checkpoint given")
        for w in self.trust.witnesses:
            must(any(name == w.name for name, _, _ in self.cosigned), "not cosigned")
        must(not self.trust.ca or self.stamped, "no time stamp")

    def record(self, content, body, following):
        r = Reader(content)
        position, shape, flag, zero = r.number(8), r.number(1), r.number(1), r.number(2)
        path = hashes_in(r, 65)
        must(1 <= shape <= 3 and flag <= 1 and zero == 0 and flag == (body is not None), f"record {position}: its block is broken")
        key = r.take(32) if shape == 1 else None
        leaf = r.take(32) if shape == 3 else None
        raw = r.take(r.left())
        must(shape != 3 or not raw, f"record {position}: its block is broken")
        must(not self.records or position >= following, f"record {position} is out of order, or there twice")
        must(self.question != 5 or position == following, f"record {following} of the period is left out")
        entry = Entry(raw) if shape != 3 else None
        must(entry is None or entry.position == position, f"record {position}: its entry is of another position")
        must(root_from_inclusion(path, position, self.tree.size, leaf or leaf_hash(raw)) == self.tree.root,
             f"record {position}: it is not in the log that the checkpoint signs")
        must(self.form == 1 or shape == 3, "opened, but the pack says that it holds hashes only")
        must(bool(body is not None) == bool(shape == 1 and entry.has_body and self.question in DOCUMENTS),
             f"record {position}: its body is missing, or there where none belongs")
        facts = entry.open(key) if shape == 1 else None
        self.about(position, shape, entry, facts)
        document = entry.document(key, body) if body is not None else None
        self.records.append((position, shape, entry, facts, document))
        return position + 1

    def about(self, position, shape, entry, facts):
        """A pack that says what it is about shows nothing else."""
        if self.question == 1 and shape == 1:
            must(next((value for number, value in facts if number == 50), b"") == self.subject, f"record {position}: it is of another study")
        if self.question in (2, 3):
            must(self.subject == str(position).encode() and self.count == 1, f"record {position}: it is not the one that the pack is about")
            must(self.question == 3 or shape == 3 or entry.kind == 2, f"record {position}: it is no result")
        if self.question in (4, 5):
            must(shape != 1 or entry.kind == 4, f"record {position}: it is no event, and opened all the same")

    def sign(self, content, digest_of_pack):
        note = Note(content)
        must(note.signed(self.key) is not None, "signature of the pack: no valid signature")
        lines = note.text.split(b"\n")
        must(len(lines) == 3 and lines[2] == b"" and lines[0] == self.tree.origin + b" evidence",
             "signature of the pack: it signs something else")
        must(strict_base64(lines[1], 32) == digest_of_pack, "the pack was altered after it was signed")


def load(folder):
    def read(name):
        try:
            with open(os.path.join(folder, name), "rb") as f:
                return f.read()
        except OSError:
            return b""
    return read("evidence.fanal"), read("index.html")


def verify(folder, trust):
    """(True, Pack) or (False, why)."""
    pack, page = load(folder)
    try:
        return True, Pack(pack, page, trust)
    except No as e:
        return False, str(e)


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--key")
    p.add_argument("--checkpoint")
    p.add_argument("--witness", action="append", default=[])
    p.add_argument("--ca")
    p.add_argument("pack")
    a = p.parse_args()

    def content(path):
        with open(path, "rb") as f:
            return f.read()
    trust = Trust(Key(a.key.encode()) if a.key else None, content(a.checkpoint) if a.checkpoint else None,
                  [Key(w.encode()) for w in a.witness], content(a.ca) if a.ca else None)
    ok, what = verify(a.pack, trust)
    print("yes" if ok else f"no: {what}")
    sys.exit(0 if ok else 1)


if __name__ == "__main__":
    main()
