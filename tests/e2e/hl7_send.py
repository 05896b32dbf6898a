#!/usr/bin/env python3
"""Sends every message of ../shared/data/hl7 to a running Fanal and holds the answers to hl7_expected.tsv.

    hl7_send.py HOST:PORT              TAP; exit status 1 where an answer differs
    hl7_send.py --serve HL7_ANSWER     the same against the gate's connection alone (tests/tools/hl7_answer.c)

One connection, one message after the other, each file's bytes between VT and FS CR (a file that is framed itself is
taken out of its frame). Where no answer is due a message that must be answered follows: its answer is the next thing
to arrive, so silence is proven without waiting. Shares no code with the gate.
"""
import itertools
import os
import re
import socket
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
# Another name each time: the same message again would not be kept again.
AFTER_SILENCE = b"MSH|^~\\&|TEST|TEST|||20260101||SIU^S12|%s|P|2.5\r"
SILENCES = itertools.count(1)


class Line:
    def __init__(self, address):
        host, port = address.rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)), timeout=60)
        self.left = b""

    def ask(self, message):
        self.socket.sendall(b"\x0b" + message + b"\x1c\r")
        while b"\x1c\r" not in self.left:
            got = self.socket.recv(65536)
            if not got:
                raise SystemExit("Bail out! the connection was closed")
            self.left += got
        answer, self.left = self.left.split(b"\x1c\r", 1)
        return answer.lstrip(b"\x0b")


def summary(answer):
    """Answer code, MSA-2, error code and location of an acknowledgement."""
    fs, cs = answer[3:4], answer[4:5]
    seg = {s[:3]: s.split(fs) for s in answer.split(b"\r") if s}
    msa, err = seg[b"MSA"], seg.get(b"ERR", [b""] * 4)
    if len(err) > 3:
        where, code = err[2].split(cs), err[3].split(cs)[0]
    else:
        where = err[1].split(cs)[:3]
        code = re.split(b"[^0-9]", err[1].split(cs)[3])[0] if err[1].count(cs) >= 3 else b""
    where = where + [b""] * 3
    place = where[0] + (b"[%s]" % where[1] if where[1] not in (b"", b"1") else b"") + (b"-" + where[2] if where[2] else b"")
    return msa[1].decode(), msa[2] if len(msa) > 2 else b"", code.decode(), place.decode()


def table():
    """Rows of hl7_expected.tsv: file, answer, judgement, error code, error location, reason."""
    with open(os.path.join(HERE, "hl7_expected.tsv"), encoding="utf-8") as f:
        return [line.rstrip("\n").split("\t") for line in f if not line.startswith("#")]


def message_of(path):
    """What one file puts on the wire: a file that is framed itself is taken out of its frame."""
    with open(path, "rb") as f:
        message = f.read()
    return message[1:].split(b"\x1c", 1)[0] if message.startswith(b"\x0b") else message


def check(line, row, message):
    """Sends it: None where the answer is the table's, else what differs."""
    path, answer, _, code, where, _ = row
    if answer == "none":
        line.socket.sendall(b"\x0b" + message + b"\x1c\r")
        name = b"AFTER-SILENCE-%d" % next(SILENCES)
        got = summary(line.ask(AFTER_SILENCE % name))
        good = got[1] == name
    else:
        got = summary(line.ask(message))
        good = (got[0], got[2], got[3]) == (answer, code, where)
    return None if good else f"{path}: expected {answer} {code} {where}, got {got}"


def main():
    root = os.path.join(os.environ.get("FANAL_SHARED") or os.path.join(HERE, "..", "..", "..", "shared"), "data", "hl7")
    if not os.path.isdir(root):
        print("1..0 # SKIP no ../shared/data/hl7")
        return 0
    address, server = sys.argv[1], None
    if address == "--serve":
        server = subprocess.Popen([sys.argv[2]], stdout=subprocess.PIPE)
        address = "127.0.0.1:" + server.stdout.readline().decode().strip()
    rows = table()
    line = Line(address)
    wrong = [w for w in (check(line, row, message_of(os.path.join(root, row[0]))) for row in rows) if w]
    line.socket.close()
    if server and server.wait(60) != 0:
        wrong.append(f"the server ended with {server.returncode}")
    for text in wrong:
        print("# " + text)
    print("1..1\n%s 1 - %d messages are answered as the table says" % ("not ok" if wrong else "ok", len(rows)))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
