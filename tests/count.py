#!/usr/bin/env python3
"""Counts what ran: count.py STATUS STEPS.tap BUILD…

Reads each build's meson-logs/testlog.json (one JSON object a line, one test program each) and counts the TAP lines the
program printed; a program that crashed, timed out or printed no TAP counts as one test with meson's own verdict, so a
crash can never look like a pass. Prints the skips with their reasons and, last, 'N passed, N failed, N skipped'.
Exits 0 only where STATUS is 0 and nothing failed.
"""
import json
import os
import re
import sys

TAP = re.compile(r"^\s*(not ok|ok)\b(?:\s+\d+)?(.*)$")
NOT_TRIED = "# not tried: "  # what a unit test prints before its "ok" (NOT_HERE of tests/unit/test.h): a skip, not a pass
LAST_LINES = 12              # of what a program printed that ended without saying why


def count_tap(text):
    passed = failed = skipped = 0
    notes, not_tried = [], None
    for line in text.splitlines():
        if line.startswith(NOT_TRIED):
            not_tried = line[len(NOT_TRIED):]
        m = TAP.match(line)
        if not m:
            continue
        skip = re.search(r"#\s*skip\S*\s*(.*)", m.group(2), re.I)
        why = None if m.group(1) == "not ok" else not_tried
        not_tried = None
        if skip or why:
            skipped += 1
            notes.append(m.group(2).strip(" -") + (f" # SKIP {why}" if why else ""))
        elif m.group(1) == "ok":
            passed += 1
        else:
            failed += 1
            notes.append("FAILED " + m.group(2).strip(" -"))
    return passed, failed, skipped, notes


def main():
    status, steps, builds = int(sys.argv[1]), sys.argv[2], sys.argv[3:]
    total = [0, 0, 0]
    notes = []

    def add(where, p, f, s, n):
        for i, v in enumerate((p, f, s)):
            total[i] += v
        notes.extend(f"{where}: {x}" for x in n)

    if os.path.exists(steps):
        with open(steps, encoding="utf-8") as f:
            add("steps", *count_tap(f.read()))
    for build in builds:
        log = os.path.join(build, "meson-logs", "testlog.json")
        if not os.path.exists(log):
            add(build, 0, 1, 0, ["FAILED no test ran"])
            continue
        with open(log, encoding="utf-8") as f:
            for line in f:
                t = json.loads(line)
                name, result = f"{build} {t['name']}", t["result"]
                p, bad, s, n = count_tap(t.get("stdout", ""))
                if result in ("OK", "EXPECTEDFAIL"):
                    if p + bad + s == 0:
                        p = 1
                elif result == "SKIP":
                    if p + bad + s == 0:
                        s, n = 1, ["skipped"]
                elif bad == 0:          # crash, time-out, exit status without a 'not ok'
                    bad, n = 1, n + [f"FAILED {result}, after:"] + t.get("stdout", "").splitlines()[-LAST_LINES:]
                add(name, p, bad, s, n)
    for n in notes:
        print(n)
    passed, failed, skipped = total
    if status and not failed:
        failed = 1
        print("FAILED a step or test program exited with an error")
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    sys.exit(1 if failed or not passed else 0)


main()
