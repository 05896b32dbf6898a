"""C2SP signed notes, checkpoints and cosignatures, RFC 9162 trees and proofs, written again from their texts: the other
side of Fanal's witness and client in tests. Ed25519 is openssl's."""
import base64
import hashlib
import os
import struct
import subprocess
import threading

DASH = "\u2014"


def leaf(data):
    return hashlib.sha256(b"\0" + data).digest()


def node(left, right):
    return hashlib.sha256(b"\1" + left + right).digest()


def split(n):
    k = 1
    while k * 2 < n:
        k *= 2
    return k


def root(leaves):
    """MTH of RFC 9162 2.1.1 over leaf hashes."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    k = split(len(leaves))
    return node(root(leaves[:k]), root(leaves[k:]))


def consistency(m, leaves):
    """PROOF(m, D_n) of RFC 9162 2.1.4.1."""
    def sub(m, d, whole):
        n = len(d)
        if m == n:
            return [] if whole else [root(d)]
        k = split(n)
        if m <= k:
            return sub(m, d[:k], whole) + [root(d[k:])]
        return sub(m - k, d[k:], False) + [root(d[:k])]
    return sub(m, leaves, True) if 0 < m < len(leaves) else []


class Key:
    """An Ed25519 key of openssl's under a name."""

    def __init__(self, folder, name, kind=1):
        self.name, self.kind = name, kind
        self.file = os.path.join(folder, name.replace("/", "_") + f"-{kind}.pem")
        subprocess.run(["openssl", "genpkey", "-algorithm", "ED25519", "-out", self.file], check=True, capture_output=True)
        der = subprocess.run(["openssl", "pkey", "-in", self.file, "-pubout", "-outform", "DER"], check=True,
                             capture_output=True).stdout
        self.public = der[-32:]

    @property
    def id(self):
        return hashlib.sha256(self.name.encode() + b"\n" + bytes([self.kind]) + self.public).digest()[:4]

    @property
    def vkey(self):
        return f"{self.name}+{self.id.hex()}+{base64.b64encode(bytes([self.kind]) + self.public).decode()}"

    def sign(self, message):
        path = f"{self.file}.{threading.get_ident()}"  # servers answer in threads
        with open(path, "wb") as f:
            f.write(message)
        return subprocess.run(["openssl", "pkeyutl", "-sign", "-inkey", self.file, "-rawin", "-in", path], check=True,
                              capture_output=True).stdout

    def line(self, text):
        """Signature line over a note's text."""
        return f"{DASH} {self.name} {base64.b64encode(self.id + self.sign(text.encode())).decode()}\n"

    def cosign(self, text, time):
        message = f"cosignature/v1\ntime {time}\n{text}".encode()
        blob = self.id + struct.pack(">Q", time) + self.sign(message)
        return f"{DASH} {self.name} {base64.b64encode(blob).decode()}\n"


def verifies(folder, vkey, lines, text):
    """Whether one of the lines is a cosignature of vkey over the checkpoint's text; its time, or None."""
    name, key_id, blob = vkey.split("+", 2)
    public = base64.b64decode(blob)[1:]
    for line in lines.splitlines():
        mark, signer, signature = line.split(" ", 2)
        bytes_ = base64.b64decode(signature)
        if mark != DASH or signer != name or bytes_[:4].hex() != key_id or len(bytes_) != 76:
            continue
        time = struct.unpack(">Q", bytes_[4:12])[0]
        paths = [os.path.join(folder, n) for n in ("public.der", "message", "signature")]
        for path, content in zip(paths, (bytes.fromhex("302a300506032b6570032100") + public,
                                         f"cosignature/v1\ntime {time}\n{text}".encode(), bytes_[12:])):
            with open(path, "wb") as f:
                f.write(content)
        done = subprocess.run(["openssl", "pkeyutl", "-verify", "-pubin", "-keyform", "DER", "-inkey", paths[0], "-rawin",
                               "-in", paths[1], "-sigfile", paths[2]], capture_output=True, check=False)
        return time if done.returncode == 0 else None
    return None


class Log:
    """A log of another software: leaves, signed checkpoints, requests to a witness."""

    def __init__(self, folder, origin):
        self.key, self.leaves = Key(folder, origin), []

    def grow(self, count, salt=b""):
        first = len(self.leaves)
        self.leaves += [leaf(salt + struct.pack(">Q", i)) for i in range(first, first + count)]
        return self

    def text(self, size=None):
        size = len(self.leaves) if size is None else size
        return f"{self.key.name}\n{size}\n{base64.b64encode(root(self.leaves[:size])).decode()}\n"

    def note(self, size=None):
        text = self.text(size)
        return text + "\n" + self.key.line(text)

    def request(self, old, size=None, note=None, proof=None):
        size = len(self.leaves) if size is None else size
        proof = consistency(old, self.leaves[:size]) if proof is None else proof
        lines = "".join(base64.b64encode(h).decode() + "\n" for h in proof)
        return f"old {old}\n{lines}\n{note or self.note(size)}"


def parse_request(body):
    """(old, proof, checkpoint text, note) of an add-checkpoint."""
    head, text, signatures = body.split("\n\n", 2)
    lines = head.split("\n")
    return int(lines[0].split()[1]), [base64.b64decode(x) for x in lines[1:]], text + "\n", text + "\n\n" + signatures


def extends(old, old_root, size, new_root, proof):
    """RFC 9162 2.1.4.2."""
    if old == 0 or old == size:
        return not proof and (old == 0 or old_root == new_root)
    proof = list(proof)
    if old & (old - 1) == 0:
        proof.insert(0, old_root)
    if not proof:
        return False
    fn, sn = old - 1, size - 1
    while fn & 1:
        fn, sn = fn >> 1, sn >> 1
    fr = sr = proof[0]
    for c in proof[1:]:
        if sn == 0:
            return False
        if fn & 1 or fn == sn:
            fr, sr = node(c, fr), node(c, sr)
            while not fn & 1 and fn != 0:
                fn, sn = fn >> 1, sn >> 1
        else:
            sr = node(sr, c)
        fn, sn = fn >> 1, sn >> 1
    return fr == old_root and sr == new_root and sn == 0
