#!/usr/bin/python3
"""Erasure by two people on a real Fanal: what goes, what stays, who may not, and that nothing brings it back."""
import json
import os
import shutil

import dimse
import fanal as f

LONG = "a long enough password"
HEADER, SLOT = 2048, 128 # docs/format.md, "Keyring"
STUDIES = {"2.25.661": ("GONE-0001", "VERSCHWINDEN^ANTON"), "2.25.662": ("STAY-0002", "BLEIBEN^BERTA"), "2.25.663": ("LINK-0003", "VERSCHWINDEN^A")}


def secret(server, text=LONG):
    path = os.path.join(server.base, "password")
    with open(path, "w", encoding="utf-8") as file:
        file.write(text + "\n")
    return path


def sign(server, user):
    return ["--user", user, "--password-file", secret(server)]


def add(server, user, role):
    done = server.run("user", "add", server.dir, user, "--role", role, "--password-file", secret(server))
    if done.returncode != 0:
        raise RuntimeError(done.stderr)


def store(server, study, count=3, first=0):
    pid, name = STUDIES[study]
    a = dimse.Association(server.dicom, [(1, dimse.CT_STORAGE, [dimse.EXPLICIT_LE])])
    for i in range(first, first + count):
        uid = f"{study}.{i}"
        status = a.store(1, dimse.CT_STORAGE, uid, dimse.ct_data_set(uid, study=study, series=study + ".0", patient_id=pid,
                                                                     name=name.encode(), instance=i))
        if status != 0:
            raise RuntimeError(f"store: {status:04x}")
    a.release()


def load(server):
    for study in STUDIES:
        store(server, study)
    for n, (pid, name) in enumerate(STUDIES.values()):
        f.mllp_send(server.hl7, [(f"MSH|^~\\&|LIS|LAB|FANAL|ED|20260101||ORU^R01|CTRL-66{n}|P|2.5\rPID|1||{pid}^^^HOSPITAL||{name}\r"
                                  f"OBR|1||F1|GLU^Glucose\rOBX|1|NM|GLU^Glucose||5.5|mmol/L|||||F\r").encode()])
    f.mllp_send(server.hl7, [b"MSH|^~\\&|HIS|H|FANAL|ED|20260101||ADT^A40|CTRL-A40|P|2.5\rEVN|A40|20260101\r"
                             b"PID|1||GONE-0001^^^HOSPITAL||VERSCHWINDEN^ANTON\rMRG|LINK-0003^^^HOSPITAL\r"])


def lines(done):
    return [json.loads(line) for line in done.stdout.splitlines()]


def units_of(server, request):
    done = server.run("erasures", server.dir, "--json")
    return [r for r in lines(done) if r["request"] == request][0]


def slots(server, numbers):
    found = {}
    for copy in ("keyring.0", "keyring.1"):
        with open(os.path.join(server.dir, "vault", copy), "rb") as file:
            data = file.read()
        for n in numbers:
            found[copy, n] = data[HEADER + n * SLOT:HEADER + (n + 1) * SLOT]
    return found


def holding(directory, needles):
    found = []
    for folder, _, names in os.walk(directory):
        for name in names:
            path = os.path.join(folder, name)
            if os.path.isfile(path):
                with open(path, "rb") as file:
                    data = file.read()
                found += [(path, n[:8]) for n in needles if n in data]
    return found


def refuse(tap, server, why, *words):
    done = server.run(*words)
    tap.ok(done.returncode == 1 and why in done.stderr, f"refused: {why}", done.stderr + done.stdout)


def ask_patient(tap, server):
    refuse(tap, server, "wrong user or password", "erase", server.dir, "--study", "2.25.661", "--reason", "x", "--user", "nobody",
           "--password-file", secret(server))
    refuse(tap, server, "may not do that", "erase", server.dir, "--study", "2.25.661", "--reason", "x", *sign(server, "doctor"))
    refuse(tap, server, "nothing is stored", "erase", server.dir, "--study", "2.25.999", "--reason", "x", *sign(server, "dpo1"))
    tap.ok(server.run("erase", server.dir, "--study", "2.25.661", "--reason", "x").returncode == 2, "somebody has to sign")
    done = server.run("erase", server.dir, "--patient", "HOSPITAL", "GONE-0001", "--reason", "Art. 17, file 12", "--json",
                      *sign(server, "dpo1"))
    rows = lines(done)
    tap.ok(done.returncode == 0 and len(rows) >= 5, "a request lists the units of the patient and of who is linked", done.stdout + done.stderr)
    names = {r["unit"] for r in rows[1:]}
    tap.ok({"study:2.25.661", "study:2.25.663", "results:HOSPITAL:GONE-0001"} <= names and "study:2.25.662" not in names,
           "both studies and the results, and nobody else's", names)
    return rows[0]["request"], rows[1:]


def approve_patient(tap, server, admin, request, units):
    before = slots(server, [u["slot"] for u in units])
    refuse(tap, server, "another person", "approve", server.dir, request, *sign(server, "dpo1"))
    add(server, "late", "dpo")
    refuse(tap, server, "after it was asked", "approve", server.dir, request, *sign(server, "late"))
    tap.ok(admin.get("/api/patients?name=VERSCHWINDEN") != [], "until then everything is there")
    done = server.run("approve", server.dir, request, *sign(server, "dpo2"))
    tap.ok(done.returncode == 0 and "units erased" in done.stdout, "the second person erases", done.stdout + done.stderr)
    wrapped = [v[24:84] for v in before.values()]
    tap.ok(not holding(server.dir, wrapped), "no wrapped data key of it lies in any file any more", holding(server.dir, wrapped))
    after = slots(server, [u["slot"] for u in units])
    tap.ok(all(v[4] == 3 and not any(v[8:84]) for v in after.values()), "both copies say erased, and nothing else")
    return before


def gone(tap, server, admin, positions):
    tap.ok(admin.get("/api/patients?name=VERSCHWINDEN") == [], "no patient of that name is found")
    tap.ok(admin.get("/api/patients?identifier=LINK-0003") == [], "nor under the linked identifier")
    tap.ok(len(admin.get("/api/patients?name=BLEIBEN")) == 1, "the other one is")
    rows = {r["position"]: r for r in server.list()}
    tap.ok(positions and all(rows[p]["state"] == "erased" and not rows[p]["patient_name"] and not rows[p]["sop_uid"]
                             and not rows[p]["study_uid"] for p in positions), "the list says erased and nothing else", rows)
    status, _, data = admin.call("GET", f"/api/instances/{positions[0]}/rendered")
    tap.ok(status in (404, 410), "nothing is drawn of it", (status, data))
    out = os.path.join(server.base, "gone.dcm")
    done = server.run("export", server.dir, "--object", positions[0], out)
    tap.ok(done.returncode == 1 and "erased" in done.stderr, "export says erased", done.stderr)
    done = server.run("verify", server.dir)
    tap.ok(done.returncode == 0, "verify finds nothing damaged: tree and proofs hold", done.stdout)
    erased = sum(r["state"] == "erased" for r in rows.values())
    tap.ok(f"{erased} records were erased:" in done.stdout, "and counts what was erased", (erased, done.stdout))


def again(tap, server, admin):
    store(server, "2.25.661")
    rows = [r for r in server.list() if r["study_uid"] == "2.25.661"]
    tap.ok(len(rows) == 3 and all(r["state"] == "stored" for r in rows), "the same images sent again are new records", rows)
    done = server.run("erase", server.dir, "--study", "2.25.661", "--reason", "again", "--json", *sign(server, "dpo2"))
    return lines(done)[1]["slot"], lines(done)[0]["request"]


def newcomers(tap, server, request):
    store(server, "2.25.661", count=1, first=7)
    refuse(tap, server, "have come to it", "approve", server.dir, request, *sign(server, "dpo1"))
    tap.ok(units_of(server, request)["state"] == "withdrawn", "the request is worth nothing then")
    store(server, "2.25.661", count=1, first=8)
    rows = [r for r in server.list() if r["study_uid"] == "2.25.661"]
    tap.ok(len(rows) == 5, "and its unit takes new images as before", rows)


def holds(tap, server):
    refuse(tap, server, "nothing is stored", "hold", server.dir, "--study", "2.25.999", "--reason", "x")
    done = server.run("hold", server.dir, "--patient", "HOSPITAL", "STAY-0002", "--reason", "claim 7", "--json")
    tap.ok(done.returncode == 0, "one person sets a hold", done.stderr)
    hold = lines(done)[0]["hold"]
    done = server.run("erase", server.dir, "--study", "2.25.662", "--reason", "y", "--json", *sign(server, "dpo1"))
    request = lines(done)[0]["request"]
    refuse(tap, server, f"hold {hold}", "approve", server.dir, request, *sign(server, "dpo2"))
    STUDIES["2.25.664"] = STUDIES["2.25.662"]
    store(server, "2.25.664")
    done = server.run("erase", server.dir, "--study", "2.25.664", "--reason", "y", "--json", *sign(server, "dpo1"))
    refuse(tap, server, f"hold {hold}", "approve", server.dir, lines(done)[0]["request"], *sign(server, "dpo2"))
    tap.ok("lift-asked" in server.run("lift", server.dir, hold, *sign(server, "dpo1")).stdout, "one person asks to lift it")
    refuse(tap, server, "another person", "lift", server.dir, hold, *sign(server, "dpo1"))
    done = server.run("lift", server.dir, hold, *sign(server, "dpo2"))
    tap.ok("lifted" in done.stdout, "the second one lifts it", done.stderr)
    done = server.run("erase", server.dir, "--study", "2.25.664", "--reason", "y", "--json", *sign(server, "dpo1"))
    tap.ok(server.run("approve", server.dir, lines(done)[0]["request"], *sign(server, "dpo2")).returncode == 0, "then it can be erased")


def older_keyring(tap, server, admin, kept, positions):
    server.stop()
    for copy in ("keyring.0", "keyring.1"):
        shutil.copyfile(os.path.join(kept, copy), os.path.join(server.dir, "vault", copy))
    server.start()
    tap.ok(f.wait_for(lambda: "erasure.reapplied" in server.log_text(), 20), "an older keyring put back: erased again, with an alarm")
    tap.ok(("erasure.reapplied", "success") in [(e["event"], e["outcome"]) for e in events(server)], "and recorded")
    rows = {r["position"]: r for r in server.list()}
    tap.ok(all(rows[p]["state"] == "erased" for p in positions), "nothing of it is back")


def copies(tap, server):
    """A copy is pending for an erasure until it has applied it; one that is younger than the erasure never was."""
    tap.ok(server.run("copy", "add", server.dir, "tape").returncode == 0, "a copy is declared")
    refuse(tap, server, "there is a copy", "copy", "add", server.dir, "tape")
    refuse(tap, server, "there is no copy", "copy", "applied", server.dir, "disk", 1)
    refuse(tap, server, "does not reach", "copy", "applied", server.dir, "tape", 10 ** 9)
    done = lines(server.run("erase", server.dir, "--study", "2.25.661", "--reason", "copies", "--json", *sign(server, "dpo1")))
    request = done[0]["request"]
    if server.run("approve", server.dir, request, *sign(server, "dpo2")).returncode != 0:
        raise RuntimeError("not approved")
    older = [r for r in lines(server.run("erasures", server.dir, "--json")) if r["state"] == "erased" and r["request"] != request]
    row = units_of(server, request)
    tap.ok(row["pending"] == "tape" and all("pending" not in r for r in older), "it is pending for what is erased afterwards", row)
    server.run("copy", "applied", server.dir, "tape", row["position"])
    tap.ok(units_of(server, request).get("pending") == "tape", "a position before the tombstone is not enough")
    done = server.run("copy", "applied", server.dir, "tape", row["position"] + 1)
    tap.ok(done.returncode == 0 and "pending" not in units_of(server, request), "until it has applied it", done.stderr)
    listed = lines(server.run("copy", "list", server.dir, "--json"))
    tap.ok(listed == [{"name": "tape", "position": row["position"] + 1}], "the list says how far", listed)
    tap.ok(server.run("copy", "remove", server.dir, "tape").returncode == 0 and server.run("copy", "list", server.dir).stdout == "",
           "and it can be removed")


def retention(tap, server):
    """Shorter takes two people, longer one; what is due is erased, and files that nothing opens any more are removed."""
    rules = lambda: {r["class"]: r for r in lines(server.run("retain", server.dir, "--json"))}
    keep = lambda what, period: ("retain", server.dir, "--class", what, "--keep", period)
    tap.ok({k: r["months"] for k, r in rules().items()} == {"images": 0, "results": 0, "events": 0, "recordings": 0}, "everything is kept at first", rules())
    for words in (("--class", "images"), ("--class", "images", "--keep", "soon"), ("--class", "images", "--keep", "0 months"), ("--class", "images", "--keep", "usual")):
        done = server.run("retain", server.dir, *words, *sign(server, "dpo1"))
        tap.ok(done.returncode == 2, f"no rule: {' '.join(words)}", done.stderr)
    refuse(tap, server, "a class is", *keep("letters", "12 months"), *sign(server, "dpo1"))
    refuse(tap, server, "may not do that", *keep("images", "12 months"), *sign(server, "doctor"))
    done = server.run("expire", server.dir, "--class", "images", "--keep", "12 months")
    tap.ok(done.returncode == 2 and "--plan" in done.stderr, "a rule for expire alone: it only looks at rules", done.stderr)
    refuse(tap, server, "a class is", "expire", server.dir, "--plan", "--class", "letters", "--keep", "12 months")
    done = server.run("expire", server.dir, "--plan", "--class", "images", "--keep", "1 month", "--json")
    tap.ok(done.returncode == 0 and json.loads(done.stdout) == {"units": 0, "records": 0, "left_out": 0, "oldest": 0, "newest": 0},
           "by a plan of a month nothing is due: all came today", done.stdout + done.stderr)
    tap.ok(rules()["images"]["months"] == 0, "and a plan is no rule", rules())
    done = server.run(*keep("recordings", "usual"), "--json", *sign(server, "dpo1"))
    number = lines(done)[0]["request"]
    tap.ok(rules()["recordings"]["months"] == 0 and rules()["recordings"]["asked_months"] == 60, "the usual period is asked for, and not in force", rules())
    refuse(tap, server, "another person", "retain", server.dir, number, *sign(server, "dpo1"))
    refuse(tap, server, "no open request", "retain", server.dir, number + 1, *sign(server, "dpo2"))
    done = server.run("retain", server.dir, 0, *sign(server, "dpo2"))
    tap.ok(done.returncode == 2 and "0 is the number of no request" in done.stderr, "retain says why 0 is refused", done.stderr)
    done = server.run("retain", server.dir, number, *sign(server, "dpo2"))
    row = rules()["recordings"]
    tap.ok(done.returncode == 0 and row["months"] == 60 and (row["actor"], row["approved_by"]) == ("dpo1", "dpo2"), "a second person sets it", (done.stderr, row))
    refuse(tap, server, "no open request", "retain", server.dir, number, *sign(server, "dpo2"))
    done = server.run(*keep("recordings", "10 years"), *sign(server, "dpo2"))
    tap.ok(done.returncode == 0 and rules()["recordings"]["months"] == 120, "longer takes one person", done.stderr)
    size = 3 * 1024 * 1024
    a = dimse.Association(server.dicom, [(1, dimse.CT_STORAGE, [dimse.EXPLICIT_LE])])
    a.store(1, dimse.CT_STORAGE, "2.25.771.1", dimse.ct_data_set("2.25.771.1", study="2.25.771", series="2.25.771.0", patient_id="L", name=b"LARGE", instance=1,
                                                                 pixels=bytes(size)))
    a.release()
    large = os.path.join(server.dir, "vault", "body", "large")
    f.wait_for(lambda: any(name.endswith(".body") for name in os.listdir(large)), 20)
    tap.ok(server.run("expire", server.dir).stdout == "0 units erased, 0 files removed\n", "nothing is due, nothing goes")
    done = server.run("erase", server.dir, "--study", "2.25.771", "--reason", "x", "--json", *sign(server, "dpo1"))
    server.run("approve", server.dir, lines(done)[0]["request"], *sign(server, "dpo2"))
    done = server.run("expire", server.dir, "--json")
    tap.ok(done.returncode == 0 and json.loads(done.stdout) == {"units": 0, "files": 1} and not os.listdir(large), "a file whose key is gone is removed",
           (done.stdout, done.stderr, os.listdir(large)))
    done = server.run("verify", server.dir)
    tap.ok(done.returncode == 0, "and nothing is damaged", done.stdout + done.stderr)


def events(server):
    web = f.Web(server)
    web.call("POST", "/api/sign-in", {"user": "dr.house", "password": LONG})
    found, after = [], 0
    while True:
        page = web.get(f"/api/journal?after={after}")
        found += page
        if len(page) < 200:
            return found
        after = page[-1]["position"]


def main():
    tap = f.Tap()
    with f.Fanal() as server:
        server.start()
        admin = f.Web(server).enrol(server)
        for user, role in (("dpo1", "dpo"), ("dpo2", "dpo"), ("doctor", "physician")):
            add(server, user, role)
        load(server)
        kept = os.path.join(server.base, "kept")
        os.mkdir(kept)
        f.wait_for(lambda: False, 0.5) # the assignments of slots are written when it is quiet
        for copy in ("keyring.0", "keyring.1"):
            shutil.copyfile(os.path.join(server.dir, "vault", copy), os.path.join(kept, copy))
        positions = [r["position"] for r in server.list() if r["study_uid"] in ("2.25.661", "2.25.663")]
        request, units = ask_patient(tap, server)
        approve_patient(tap, server, admin, request, units)
        gone(tap, server, admin, positions)
        slot, request = again(tap, server, admin)
        tap.ok(slot not in [u["slot"] for u in units], "in another slot: the erased one is never used again", slot)
        newcomers(tap, server, request)
        holds(tap, server)
        copies(tap, server)
        retention(tap, server)
        told = {(e["event"], e["outcome"]) for e in events(server)}
        tap.ok({("erasure.requested", "success"), ("erasure.approved", "success"), ("erasure.approved", "refused"), ("hold.set", "success"),
                ("hold.lifted", "success"), ("retention.asked", "success"), ("retention.set", "refused"), ("retention.set", "success"),
                ("retention.run", "success")} <= told, "the journal tells it", told)
        names = json.dumps(events(server))
        tap.ok("VERSCHWINDEN" not in names and "GONE-0001" not in names, "and names nobody")
        server.kill()
        server.start()
        tap.ok("erasure.reapplied" not in server.log_text(), "a kill brings nothing back")
        older_keyring(tap, server, admin, kept, positions)
        tap.ok(not f.faults(server) or all("role.died" in x for x in f.faults(server)), "nothing failed", f.faults(server))
    tap.done()


if __name__ == "__main__":
    main()
