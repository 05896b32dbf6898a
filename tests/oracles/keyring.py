"""A thief who has the secret: opens keyrings, entries, bodies and views of a vault directory with code of his own, written from
docs/format.md and docs/views.md. He believes no slot's state and no HMAC: whatever unwraps is a key.
"""
import ctypes
import functools
import hashlib
import hmac
import os
import struct

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

HEADER, SLOT, UNLOCKER, PAGE, CHUNK = 2048, 128, 256, 4096, 32768
KINDS = {2: b"key:", 3: b"shares:", 4: b"credential:"}
FOLDERS = {1: "images", 2: "results", 3: "recordings", 4: "held"}


def mac(key, text):
    return hmac.new(key, text, hashlib.sha256).digest()


def opened(key, nonce, sealed, associated):
    try:
        return AESGCM(key).decrypt(nonce, sealed, associated)
    except InvalidTag:
        return None


@functools.lru_cache(maxsize=64)  # a tenth of a second each
def argon2id(secret, salt, passes, kib):
    sodium = ctypes.CDLL("libsodium.so.23")
    out = ctypes.create_string_buffer(32)
    sodium.crypto_pwhash.argtypes = [ctypes.c_char_p, ctypes.c_ulonglong, ctypes.c_char_p, ctypes.c_ulonglong, ctypes.c_char_p,
                                     ctypes.c_ulonglong, ctypes.c_size_t, ctypes.c_int]
    if sodium.crypto_pwhash(out, 32, secret, len(secret), salt, passes, kib * 1024, 2) != 0:
        raise MemoryError("Argon2id")
    return out.raw


def kek_of(unlocker, secret):
    """The key-encryption key of an unlocker, or None where the secret is of another kind."""
    kind, salt = unlocker[0], unlocker[16:32]
    if kind == 1:
        return argon2id(secret, salt, *struct.unpack_from("<II", unlocker, 32))
    prefix = KINDS.get(kind)
    return mac(salt + bytes(16), secret[len(prefix):]) if prefix and secret.startswith(prefix) else None


class Keyring:
    """What one secret makes of the bytes of a keyring: .keks, .master, .root, .data_keys {slot: key}; .master None if nothing."""

    def __init__(self, data, secret, path=""):
        self.secret, self.path = secret, path
        self.vault_id, self.master, self.root, self.keks, self.data_keys, self.data = data[16:32], None, None, [], {}, data
        if data[:8] != b"FANALKEY":
            return
        for i in range(4):
            self.unlock(data, data[128 + UNLOCKER * i:128 + UNLOCKER * (i + 1)], secret)
        if self.master is None:
            return
        self.root = opened(mac(self.master, b"fanal/1/root"), data[48:60], data[60:108], data[:48])
        self.unwrap(self.master)

    def unlock(self, data, unlocker, secret):
        kek = kek_of(unlocker, secret) if unlocker[0] else None
        if kek is None:
            return
        self.keks.append(kek)
        private = X25519PrivateKey.from_private_bytes(mac(kek, b"fanal/1/unlock"))
        ephemeral, public = unlocker[132:164], unlocker[40:72]
        shared = private.exchange(X25519PublicKey.from_public_bytes(ephemeral))
        wrap = mac(mac(kek, b"fanal/1/mix"), shared + ephemeral + public)
        self.master = opened(wrap, bytes(12), unlocker[164:212], data[16:32] + unlocker[:72]) or self.master

    def unwrap(self, master):
        """Every slot that this master key, maybe one of another time, opens."""
        wrap = mac(master, b"fanal/1/wrap")
        for n in range((len(self.data) - HEADER) // SLOT):
            slot = self.data[HEADER + SLOT * n:HEADER + SLOT * (n + 1)]
            key = opened(wrap, slot[24:36], slot[36:84], struct.pack("<I", n) + self.vault_id)
            if key is not None:
                self.data_keys[n] = key


def backup_keyring(data):
    """The keyring file within a back-up (docs/format.md, "Back-up of the keyring"), when it was made and when it expires, µs."""
    if data[:8] != b"FANALBAK":
        raise ValueError("no back-up")
    made, expires, _, slots = struct.unpack_from("<QQII", data, 48)
    return data[96:96 + HEADER + SLOT * slots], made, expires


def keyrings_below(directory, secrets):
    """Every file of a directory that is a keyring or holds one, opened with each secret and each master key found in any."""
    found = []
    for folder, _, names in os.walk(directory):
        for name in sorted(names):
            path = os.path.join(folder, name)
            if os.path.islink(path) or not os.path.isfile(path):
                continue
            with open(path, "rb") as file:
                data = file.read()
            if data[:8] == b"FANALBAK":
                data = backup_keyring(data)[0]
            if data[:8] == b"FANALKEY":
                found += [k for k in (Keyring(data, s, path) for s in secrets) if k.master]
    masters = {k.master for k in found}
    for keyring in found:
        for master in masters:
            keyring.unwrap(master)
    return found


class Entry:
    def __init__(self, data):
        self.data = data
        self.position, = struct.unpack_from("<Q", data, 8)
        self.kind, self.flags, self.body_class = data[24], data[25], data[26]
        self.slot, = struct.unpack_from("<I", data, 28)
        self.salt, self.commitment = data[32:64], data[64:96]

    def record_key(self, data_keys):
        """The record's key, if one of the data keys is of its unit."""
        for key in data_keys:
            record = mac(mac(self.salt, key), b"fanal/1/record\1")
            if mac(record, b"commitment\1") == self.commitment:
                return record
        return None

    def facts(self, record):
        length, = struct.unpack_from("<I", self.data, 96)
        return opened(mac(record, b"facts\1"), bytes(12), self.data[192:192 + length], self.data[8:192])

    def body(self, vault, record):
        """The body in clear; None where there is none, its file is gone or a tag does not fit."""
        length, month, number, offset = struct.unpack_from("<QIIQ", self.data, 104)
        if not self.flags & 1:
            return None
        path = os.path.join(vault, "body", FOLDERS[self.body_class], f"{month:06d}-{number:08d}.body")
        if self.flags & 2:
            path, offset = os.path.join(vault, "body", "large", self.data[112:128].hex() + ".body"), 0
        if not os.path.exists(path):
            return None
        clear, count = b"", max(1, -(-length // CHUNK))
        with open(path, "rb") as file:
            file.seek(offset)
            for i in range(count):
                sealed = file.read(min(CHUNK, length - CHUNK * i) + 16)
                piece = opened(mac(record, b"body\1"), bytes(7) + struct.pack(">I", i) + bytes([i == count - 1]), sealed, None)
                if piece is None:
                    return None
                clear += piece
        return clear


def entries_of(vault):
    """{position: Entry} of the log of a vault directory."""
    found, folder = {}, os.path.join(vault, "log")
    for name in sorted(os.listdir(folder)):
        if not name.endswith(".seg"):
            continue
        with open(os.path.join(folder, name), "rb") as file:
            data = file.read()
        at = 96
        while at + 192 <= len(data):
            kind, length = data[at:at + 4], 32
            if kind == b"FNLE":
                length, = struct.unpack_from("<I", data, at + 100)
                one = Entry(data[at:at + length])
                found[one.position] = one
            elif kind == b"FNLM":
                length, = struct.unpack_from("<I", data, at + 180)
            at += max(32, length // 32 * 32)
    return found


def view_pages(path, root):
    """The pages in clear of a view's database or write-ahead log that a root key opens."""
    name = os.path.basename(path)
    try:
        view = bytes.fromhex(name.split(".")[0])
    except ValueError:
        return []
    key = mac(mac(root, b"fanal/1/purpose/views"), view)
    with open(path, "rb") as file:
        data = file.read()
    found = []
    if name.endswith(".db"):
        for n in range(len(data) // PAGE):
            page = data[PAGE * n:PAGE * (n + 1)]
            found.append(opened(key, page[4064:4076], page[:4064] + page[4076:4092], view + b"\1" + struct.pack("<Q", n)))
    elif name.endswith(".db-wal"):
        for n in range(max(0, len(data) - 60) // 4176):
            page = data[60 + 4176 * n + 52:60 + 4176 * (n + 1)]
            found.append(opened(key, page[4096:4108], page[:4096] + page[4108:4124], view + b"\4" + struct.pack("<Q", n)))
    return [page for page in found if page is not None]
