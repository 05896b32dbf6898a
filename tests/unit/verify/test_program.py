#!/usr/bin/python3
"""fanal-verify as a program: small, static, without a way to the network, and its command line. argv[1]: fanal-verify."""
import os
import subprocess
import sys
import tempfile

MEGABYTE = 1000000
SOURCES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "..", "src", "verify")


def main():
    program, results = sys.argv[1], []

    def ok(good, name, *more):
        results.append(good)
        print("ok" if good else "not ok", len(results), "-", name)
        if not good:
            for m in more:
                print("#", m)

    def run(*argv, env=None):
        return subprocess.run([program, *argv], capture_output=True, text=True, timeout=30, check=False, env=env)
    size = os.path.getsize(program)
    ok(size <= MEGABYTE, f"{size} bytes: at most a megabyte", size)
    with open(program, "rb") as f:
        elf = f.read()
    kinds = {int.from_bytes(elf[at:at + 4], "little") for at in
             range(int.from_bytes(elf[32:40], "little"), int.from_bytes(elf[32:40], "little") + 56 * elf[56], 56)}
    ok(elf[:5] == b"\x7fELF\x02" and not kinds & {2, 3}, "static: no interpreter, no dynamic section", kinds)
    text = ""
    for name in sorted(os.listdir(SOURCES)):
        if name.endswith((".c", ".h")):
            with open(os.path.join(SOURCES, name), encoding="utf-8") as f:
                text += f.read()
    ok(not any(w in text for w in ("socket(", "connect(", "getaddrinfo", "sys/socket.h", "netinet/")), "its source knows no network")
    ok("base/" not in text and "vault/" not in text, "and includes nothing of Fanal")
    with tempfile.TemporaryDirectory() as d:
        empty = os.path.join(d, "empty")
        os.mkdir(empty)
        rows = [("no pack", [], 2, "give one PACK"), ("two packs", ["a", "b"], 2, "give one PACK"),
                ("an unknown option", ["--nothing", "a"], 2, "not known"), ("a folder without a pack", [empty], 2, "cannot be read"),
                ("a key that is none", ["--key", "a+b", empty], 2, "name+id+key"), ("a missing file", ["--ca", d + "/no", empty], 2, "cannot be read")]
        for name, argv, status, words in rows:
            done = run(*argv, env={})
            ok(done.returncode == status and words in done.stderr, f"{name}: {status}, {words}", done)
        with open(os.path.join(empty, "evidence.fanal"), "wb") as f:
            f.write(b"hello, judge")
        done = run(empty, env={})
        ok(done.returncode == 1 and done.stdout == "no: this is no evidence pack.\n", "what is no pack: no", done)
    ok(run("--help").stdout.startswith("usage: fanal-verify") and run("--version").returncode == 0, "--help, --version")
    print(f"1..{len(results)}")
    sys.exit(0 if all(results) else 1)


main()
