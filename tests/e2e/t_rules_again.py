#!/usr/bin/python3
"""A rule that cannot be read for a while: a witness whose newest memory it is cosigns nothing, and once it reads again the
vault takes it in by itself."""
import os
import struct

import fanal as f
import notes
import t_anchors

RULE = 5


def newest_rule(path):
    """Offset of the header of the log's last rule."""
    with open(path, "rb") as file:
        log = file.read()
    found, at = None, log.find(b"FNLE")
    while at >= 0:
        if len(log) > at + 32 and log[at + 24] == RULE and struct.unpack_from("<Q", log, at + 8)[0] < 1000:
            found = at
        at = log.find(b"FNLE", at + 1)
    return found


def turn_a_bit(path, at):
    with open(path, "r+b") as file:
        file.seek(at)
        byte = file.read(1)[0]
        file.seek(at)
        file.write(bytes([byte ^ 0x20]))


def main():
    tap = f.Tap()
    if not f.need(tap, "openssl"):
        tap.done()
    with t_anchors.Server() as server:
        log = notes.Log(server.base, "example.test/a-log")
        server.anchored(f"\n[log OTHER]\nvkey = {log.key.vkey}\n", f.free_port()).start()
        log.grow(10)
        tap.ok(server.post(log.request(0))[0] == 200, "a log is cosigned")
        log.grow(7)
        tap.ok(server.post(log.request(10))[0] == 200, "and goes on")
        server.stop()
        segment = os.path.join(server.dir, "vault", "log", "00000000.seg")
        at = newest_rule(segment)
        tap.ok(at is not None, "the rule that says so is found")
        turn_a_bit(segment, at + 9)
        server.start()
        fork = notes.Log.__new__(notes.Log)
        fork.key, fork.leaves = log.key, log.leaves[:10]
        fork.grow(8, b"fork")
        got = server.post(fork.request(10))
        tap.ok(got[0] == 503, "in doubt: a fork from what it still knows is answered 503", got)
        got = server.post(log.request(17))
        tap.ok(got[0] == 503, "and so is the log itself", got)
        tap.ok(server.seen("rule.damaged") and server.seen("witness.in-doubt"), "both are in the log")
        turn_a_bit(segment, at + 9)
        tap.ok(f.wait_for(lambda: " vault.rules-again" in server.log_text(), 250, 0.5), "it reads again, and that is found out")

        def answered():
            try:
                return server.post(fork.request(10), timeout=10)[0] == 409
            except OSError:  # the door opens again with the vault
                return False
        tap.ok(f.wait_for(answered, t_anchors.PATIENCE, 0.5), "the fork is refused for what it is")
        log.grow(3)
        got = server.post(log.request(17))
        tap.ok(got[0] == 200, "the log goes on", got)
    tap.done()


if __name__ == "__main__":
    main()
