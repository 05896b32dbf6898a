#!/usr/bin/python3
"""fanal-verify as a program: small, static, without a way to the network, and its command line. argv[1]: fanal-verify."""
import os
import shutil
import subprocess
import sys
import tempfile

MEGABYTE = 1000000
SOURCES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "..", "src", "verify")


def watched(ok, program, folder):
    """What it asks of the kernel once its files are open: to write, for memory, and to end."""
    if shutil.which("strace") is None:
        print("# no strace: the sandbox is not watched")
        return
    pack, trace = os.path.join(folder, "pack"), os.path.join(folder, "trace")
    os.mkdir(pack)
    for name in ("evidence.fanal", "index.html"):
        with open(os.path.join(pack, name), "wb") as f:
            f.write(b"FANALEVI" + bytes(64))
    done = subprocess.run(["strace", "-f", "-o", trace, program, pack], capture_output=True, text=True, timeout=60, check=False)
    with open(trace, encoding="utf-8") as f:
        calls = [line.split(None, 1)[1] for line in f if "(" in line]
    sealed = [i for i, c in enumerate(calls) if "PR_SET_SECCOMP" in c and c.rstrip().endswith("= 0")]
    after = {c.split("(")[0] for c in calls[sealed[0] + 1:]} if sealed else {"no sandbox"}
    ok(done.returncode == 1 and after <= {"write", "writev", "ioctl", "brk", "mmap", "munmap", "exit_group"},
       "once its files are open it writes, and ends", after)
    ok(not any(c.startswith(("socket", "connect", "clone", "fork", "execve")) for c in calls[1:]), "it opens no socket and starts nothing")


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
        watched(ok, program, d)
        done = run(empty, env={})
        ok(done.returncode == 1 and done.stdout == "no: this is no evidence pack.\n", "what is no pack: no", done)
    ok(run("--help").stdout.startswith("usage: fanal-verify") and run("--version").returncode == 0, "--help, --version")
    print(f"1..{len(results)}")
    sys.exit(0 if all(results) else 1)


main()
