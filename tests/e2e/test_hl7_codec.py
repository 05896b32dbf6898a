#!/usr/bin/env python3
"""Holds the HL7 codec to the committed table and to a second parser: test_hl7_codec.py HL7_DUMP (TAP).

Every file of ../shared/data/hl7 (or $FANAL_SHARED): the judgement and answer of hl7_expected.tsv, and of each ORU all
observations as hl7_oracle.py reads them. Skips where the shared data is absent. Without the network: the gate's own
end-to-end test sends the same files.
"""
import json
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
from hl7_oracle import Oru  # noqa: E402
from hl7_send import table  # noqa: E402


def fields_of(facts, name):
    return [v for n, v in facts if n == name]


def first(facts, name):
    return (fields_of(facts, name) or [""])[0]


def observations(facts):
    return [{"code": first(o, "code"), "value": first(o, "value"), "unit": first(o, "units"),
             "flag": first(o, "abnormal_flags"), "status": first(o, "status")}
            for r in fields_of(facts, "report") for o in fields_of(r, "observation")]


def main():
    root = os.path.join(os.environ.get("FANAL_SHARED") or os.path.join(HERE, "..", "..", "..", "shared"), "data", "hl7")
    if not os.path.isdir(root):
        print("1..0 # SKIP no ../shared/data/hl7")
        return
    rows = table()
    paths = [os.path.join(root, r[0]) for r in rows]
    out = subprocess.run([sys.argv[1]] + paths, stdout=subprocess.PIPE, check=True).stdout
    dumps = [json.loads(line) for line in out.decode("utf-8").splitlines()]
    wrong = {"table": 0, "observations": 0}
    orus = count = 0
    for row, path, dump in zip(rows, paths, dumps):
        got = [dump["answer"], dump["judgement"], str(dump["code"] or ""), dump["location"]]
        if got != row[1:5]:
            wrong["table"] += 1
            print("# %s: expected %s, got %s (%s)" % (row[0], row[1:5], got, dump["reason"]))
        if "message_type" not in dict((n, 0) for n, _ in dump["facts"]) or first(dump["facts"], "message_type") != "ORU":
            continue
        if not first(dump["facts"], "trigger") in ("R01", ""):
            continue
        with open(path, "rb") as f:
            expected = list(Oru(f.read()).observations())
        orus += 1
        count += len(expected)
        if observations(dump["facts"]) != expected:
            wrong["observations"] += 1
            print("# %s: %d observations, expected %d" % (row[0], len(observations(dump["facts"])), len(expected)))
            for mine, theirs in zip(observations(dump["facts"]), expected):
                if mine != theirs:
                    print("#   %r\n#   %r" % (mine, theirs))
    print("1..4")
    print("%s 1 - every file is dumped" % ("ok" if len(dumps) == len(rows) else "not ok"))
    print("%s 2 - %d files are judged as the table says" % ("not ok" if wrong["table"] else "ok", len(rows)))
    print("%s 3 - %d observations of %d ORU agree with a second parser" %
          ("not ok" if wrong["observations"] else "ok", count, orus))
    print("%s 4 - there are ORU to compare" % ("ok" if orus >= 75 and count >= 500 else "not ok"))


if __name__ == "__main__":
    main()
