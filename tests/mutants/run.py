#!/usr/bin/env python3
"""Classic bugs, put into the vault one at a time: the power-cut explorer must find each.

    run.py SOURCE BUILD      TAP; a mutant is tests/mutants/NAME.mutant

A mutant names a file, the text that is taken out (it must be there exactly once, else the mutant has to be brought up
to date and the test fails), what is put in its place, and the scenario that must fail. Only the changed file is
compiled; the explorer is linked again with it in front of the archive that holds the right one.
"""
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile

EDIT = re.compile(r"^<<<<\n(.*?)^====\n(.*?)^>>>>\n", re.S | re.M)
TARGET = "tests/torture/explore"


def mutant_of(path):
    with open(path, encoding="utf-8") as f:
        text = f.read()
    head = dict(re.findall(r"^(scenario|file): (.+)$", text, re.M))
    return head["scenario"].split(), head["file"], EDIT.findall(text)


def mutate(text, edits, name):
    for old, new in edits:
        if text.count(old) != 1:
            raise ValueError(f"{name}: what it takes out is there {text.count(old)} times, not once: {old.strip()[:60]}")
        text = text.replace(old, new)
    return text


def compile_command(build, source):
    with open(os.path.join(build, "compile_commands.json"), encoding="utf-8") as f:
        for c in json.load(f):
            if os.path.realpath(os.path.join(c["directory"], c["file"])) == source and "libvault" in c["output"]:
                return shlex.split(c["command"])
    raise ValueError(f"{source} is not compiled into the vault")


def link_command(build):
    done = subprocess.run(["ninja", "-C", build, "-t", "commands", TARGET], capture_output=True, text=True, check=True)
    return shlex.split(done.stdout.strip().splitlines()[-1])


def build_mutant(build, source, text, out):
    """The explorer with `text` in the place of `source`; its path."""
    fresh, made, linked = (os.path.join(out, n) for n in (os.path.basename(source), "mutant.o", "explore"))
    with open(fresh, "w", encoding="utf-8") as f:
        f.write(text)
    command = compile_command(build, source)
    command[command.index("-o") + 1] = made
    command[command.index("-c") + 1] = fresh
    command = [a for i, a in enumerate(command) if a not in ("-MD", "-MQ", "-MF") and command[i - 1] not in ("-MQ", "-MF")]
    subprocess.run(command, cwd=build, check=True)
    command = link_command(build)
    command[command.index("-o") + 1] = linked
    archive = next(i for i, a in enumerate(command) if a.endswith(".a"))
    subprocess.run(command[:archive] + [made] + command[archive:], cwd=build, check=True)
    return linked


def main():
    root, build = (os.path.realpath(p) for p in sys.argv[1:3])
    folder = os.path.join(root, "tests", "mutants")
    names = sorted(n for n in os.listdir(folder) if n.endswith(".mutant"))
    failed = 0
    print(f"1..{len(names)}")
    for number, name in enumerate(names, 1):
        why = ""
        try:
            scenarios, file, edits = mutant_of(os.path.join(folder, name))
            source = os.path.join(root, file)
            with open(source, encoding="utf-8") as f:
                text = mutate(f.read(), edits, name)
            with tempfile.TemporaryDirectory() as out:
                explore = build_mutant(build, source, text, out)
                done = subprocess.run([explore, *scenarios], capture_output=True, text=True, check=False, timeout=600,
                                      env=dict(os.environ, FANAL_TORTURE="", FANAL_STATES="3000"))
                caught = done.returncode == 1 and "\nnot ok" in done.stdout and "after deed" in done.stdout
                if not caught:
                    why = f"it survives, or ends with {done.returncode}:\n{done.stdout[-1500:]}{done.stderr[-500:]}"
                else:
                    why = next(line for line in done.stdout.splitlines() if "after deed" in line)
        except (ValueError, subprocess.SubprocessError) as e:
            caught, why = False, str(e)
        failed += not caught
        print("ok" if caught else "not ok", number, "-", name.removesuffix(".mutant"), "is found")
        print("#", why.replace("\n", "\n# "), flush=True)
    sys.exit(1 if failed else 0)


main()
