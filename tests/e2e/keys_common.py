"""What the tests of keys share: somebody without the secret, a command at a terminal, shares, another's memory.

Shares are decoded and put together here from docs/format.md, so that a mistake in the C is not mirrored.
"""
import os
import pty
import re
import select
import subprocess
import time

import dimse
import fanal as f

CONSONANTS, VOWELS = "bdfghjklmnprstvz", "aiou"


def without_secret(server, **env):
    """The environment of somebody who does not know the passphrase."""
    e = {k: v for k, v in server.env.items() if k != "FANAL_PASSPHRASE_FILE"}
    return dict(e, **env)


def run(server, *argv, env=None, **kw):
    return subprocess.run([f.binary(), *map(str, argv)], env=env or server.env, capture_output=True, text=True,
                          stdin=subprocess.DEVNULL, timeout=120, check=False, **kw)


def write(server, name, text):
    path = os.path.join(server.base, name)
    with open(path, "w", encoding="ascii") as file:
        file.write(text)
    return path


def shares_in(text):
    """The shares that `key add custodians` printed, each as its words."""
    return [" ".join(part.split("\n", 1)[1].split()) for part in text.strip().split("\n\n")]


def another_word(word):
    """A word that is one, and another."""
    return word[:2] + CONSONANTS[(CONSONANTS.index(word[2]) + 1) % 16] + word[3:]


class Terminal:
    """A command with a terminal of its own; what it prints, and typing."""

    def __init__(self, argv, env):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execve(argv[0], argv, env)
        self.text = ""

    def expect(self, what, seconds=60):
        end = time.monotonic() + seconds
        while not re.search(what, self.text):
            if time.monotonic() > end:
                raise RuntimeError(f"no {what!r} in {self.text[-600:]!r}")
            if select.select([self.fd], [], [], 0.2)[0]:
                try:
                    self.text += os.read(self.fd, 4096).decode("utf-8", "replace")
                except OSError:
                    break
        found = re.search(what, self.text)
        if not found:
            raise RuntimeError(f"it ended without {what!r}: {self.text[-600:]!r}")
        seen, self.text = self.text[:found.end()], self.text[found.end():]
        return seen

    def type(self, line):
        os.write(self.fd, line.encode() + b"\n")

    def end(self):
        seen = ""
        while True:
            try:
                piece = os.read(self.fd, 4096)
            except OSError:
                break
            if not piece:
                break
            seen += piece.decode("utf-8", "replace")
        status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        os.close(self.fd)
        return status, self.text + seen


def store(server, count, first=0, study="2.25.8800"):
    a = dimse.Association(server.dicom, [(1, dimse.CT_STORAGE, [dimse.EXPLICIT_LE])])
    statuses = [a.store(1, dimse.CT_STORAGE, f"2.25.8800.{first + i}", dimse.ct_data_set(f"2.25.8800.{first + i}", study=study))
                for i in range(count)]
    a.release()
    return statuses


def type_share(t, words, rows=4):
    for row in range(rows):
        t.expect(rf"words {row * 6 + 1} to {row * 6 + 6}: ")
        t.type(" ".join(words.split()[row * 6:row * 6 + 6]))


def bits_of(word):
    """The 16 bits of a word of five letters (docs/format.md, "Shares")."""
    value = 0
    for i, letter in enumerate(word):
        value = value << (2 if i % 2 else 4) | (VOWELS if i % 2 else CONSONANTS).index(letter)
    return value


def times(a, b):
    """In GF(2^8) modulo x^8 + x^4 + x^3 + x^2 + 1."""
    product = 0
    while b:
        product ^= a * (b & 1)
        a = a << 1 ^ (0x11d if a & 0x80 else 0)
        b >>= 1
    return product


def inverse(a):
    return next(b for b in range(1, 256) if times(a, b) == 1)


def combine(shares):
    """The custodians' secret from enough shares, each as its words."""
    points = []
    for share in shares:
        words = [bits_of(w) for w in share.split()]
        points.append(((words[0] & 15) + 1, b"".join(w.to_bytes(2, "big") for w in words[5:21])))
    secret = bytearray(32)
    for x, y in points:
        weight = 1
        for other, _ in points:
            if other != x:
                weight = times(weight, times(other, inverse(x ^ other)))
        secret = bytearray(s ^ times(weight, b) for s, b in zip(secret, y))
    return bytes(secret)


def memory_of(pid):
    """What a debugger of root reads of a process: every mapping that can be read."""
    found = []
    try:
        with open(f"/proc/{pid}/maps", encoding="ascii") as maps, open(f"/proc/{pid}/mem", "rb", 0) as mem:
            for line in maps:
                span, mode = line.split()[:2]
                begin, end = (int(x, 16) for x in span.split("-"))
                if "r" not in mode or end - begin > 1 << 30 or "[v" in line:
                    continue
                try:
                    mem.seek(begin)
                    found.append(mem.read(end - begin))
                except (OSError, ValueError):
                    pass
    except OSError:
        pass
    return b"".join(found)
