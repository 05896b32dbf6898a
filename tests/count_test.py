#!/usr/bin/env python3
"""Shows that count.py cannot take a failure for a pass. Prints TAP. Argument: the path of count.py."""
import json
import os
import subprocess
import sys
import tempfile

# what, meson's verdict (None: no test ran), what the program printed, STATUS, steps, last line, exit status
ROWS = [
    ("all passed", "OK", "1..2\nok 1 - x\nok 2 - y\n", 0, "ok - build\n", "3 passed, 0 failed, 0 skipped", 0),
    ("a skip is a skip", "OK", "ok 1 - x\nok 2 - y # SKIP no data\n", 0, "", "1 passed, 0 failed, 1 skipped", 0),
    ("what could not be tried is a skip", "OK", "1..2\n# not tried: no data\nok 1 - x\nok 2 - y\n", 0, "", "1 passed, 0 failed, 1 skipped", 0),
    ("not tried and failed", "FAIL", "1..1\n# not tried: no data\nnot ok 1 - x\n", 0, "", "0 passed, 1 failed, 0 skipped", 1),
    ("not ok", "FAIL", "1..1\nnot ok 1 - x\n", 0, "ok - build\n", "1 passed, 1 failed, 0 skipped", 1),
    ("a crash after an ok", "ERROR", "1..2\nok 1 - x\n", 0, "", "1 passed, 1 failed, 0 skipped", 1),
    ("a time-out", "TIMEOUT", "ok 1 - x\n", 0, "", "1 passed, 1 failed, 0 skipped", 1),
    ("a failed build", None, "", 1, "not ok - build\n", "0 passed, 2 failed, 0 skipped", 1),
    ("only the exit status says it", "OK", "ok 1 - x\n", 1, "", "1 passed, 1 failed, 0 skipped", 1),
    ("all skipped is no pass", "SKIP", "", 0, "", "0 passed, 0 failed, 1 skipped", 1),
]


def outcome(count_py, verdict, printed, status, steps):
    with tempfile.TemporaryDirectory() as d:
        os.mkdir(os.path.join(d, "meson-logs"))
        if verdict is not None:
            with open(os.path.join(d, "meson-logs", "testlog.json"), "w", encoding="utf-8") as f:
                f.write(json.dumps({"name": "t", "result": verdict, "stdout": printed}) + "\n")
        path = os.path.join(d, "steps.tap")
        with open(path, "w", encoding="utf-8") as f:
            f.write(steps)
        r = subprocess.run([sys.executable, count_py, str(status), path, d], capture_output=True, text=True, check=False)
        return r.stdout.splitlines()[-1], r.returncode


def main():
    failed = 0
    print(f"1..{len(ROWS)}")
    for i, (what, verdict, printed, status, steps, line, code) in enumerate(ROWS, 1):
        good = outcome(sys.argv[1], verdict, printed, status, steps) == (line, code)
        failed += not good
        print(f"{'ok' if good else 'not ok'} {i} - {what}")
    sys.exit(1 if failed else 0)


main()
