#!/usr/bin/python3
"""The disk of a Fanal that is not running, and of its twin, read raw: free blocks, journal and all. No plaintext lies there. And
what two people erased, nobody brings back from the files of a copy that said so, with every secret and tools of his own.

Both data directories lie on ext4 over loop images of 192 MiB (skipped where nothing can be mounted). The thief's tools are
tests/tools/find_bytes.c and tests/oracles/keyring.py, written from the documents: they know no code of Fanal.
"""
import glob
import hashlib
import os
import random
import re
import shutil
import tempfile
import threading

import dimse
import fanal as f
import hl7_send
import keys_common as k
import plaintexts as p
import t_erasure as e
import t_twin
import t_twin_erasure as te
import t_walk
from sealed_stage import GONE, LATER, STAYS, Stage, keyring, word
from small_disk import Image

USER, SHOWN, PASSWORD = "oberarzt.zitronella", "Prof. Leokadia Beispielhuber", "Zwölf Boxkämpfer jagen Viktor quer"
DPO = ("datenschutz.eins", "datenschutz.zwei")
SEARCHED = ("Suchwortlein", "SUCH-4711-NR", "19230517")
REASON = "Aktenzeichen 77/Kronleuchter"


# ---- what is put in ----

def store(server, bodies, syntax=dimse.EXPLICIT_LE, sop_class=dimse.CT_STORAGE):
    association = dimse.Association(server.dicom, [(1, sop_class, [syntax])], timeout=60)
    statuses = [association.store(1, sop_class, sop, body) for sop, body in bodies.items()]
    association.release()
    return statuses


def put_ours(tap, stage):
    first = stage.first
    statuses = [s for study in (GONE, STAYS) for s in store(first, study.objects)]
    answers = f.mllp_send(first.hl7, [GONE.message, STAYS.message])
    tap.ok(set(statuses) == {0} and all(b"MSA|AA" in (x or b"") for x in answers), "objects and results with words of their own are kept",
           (statuses, answers))
    for study in (GONE, STAYS):
        study.needles(stage.needles)
    stage.needles.texts(LATER, "sent when it was killed:").texts(SEARCHED, "searched:").text(REASON, "a reason")


def put_shared(tap, stage):
    """Real objects and messages, too."""
    shared = f.shared()
    if shared is None:
        tap.skip("real objects and messages", "../shared is absent")
        return
    kept, total = 0, 0
    for path in sorted(t_walk.clean_files(os.path.join(shared, "data")), key=lambda x: hashlib.sha256(os.path.basename(x).encode()).digest()):
        with open(path, "rb") as file:
            whole = file.read()
        if total > 6 << 20 or whole[128:132] != b"DICM":
            continue
        syntax, body = f.part10_data_set(whole)
        sop_class, sop = t_walk.identity(body) or (t_walk.ANY_CLASS, f"2.25.700.{kept}")
        try:
            kept += store(stage.first, {sop: body}, syntax, sop_class) == [0]
        except (dimse.Refused, dimse.Aborted, EOFError, OSError):
            continue
        total += len(body)
        stage.needles.windows(body, os.path.basename(path), 1021).text(os.path.basename(path), "the name of a file")
    messages = []
    answered = [row[0] for row in hl7_send.table() if row[1] != "none" and row[0].startswith(("adt/", "results_oru/"))]
    for path in (os.path.join(shared, "data", "hl7", name) for name in answered[::6]):
        with open(path, "rb") as file:
            message = file.read().strip(b"\x0b\x1c\r\n").replace(b"\r\n", b"\r").replace(b"\n", b"\r")
        messages.append(message)
        for segment in message.split(b"\r"):
            stage.needles.add([segment[:200]], f"{os.path.basename(path)}: {segment[:3].decode('latin-1')}")
            for field in segment.split(b"|"):
                if len(field) >= 12:
                    stage.needles.add(p.binary_forms(field[:200]), f"{os.path.basename(path)}: a field")
    answered = 0
    for message in messages: # one that is refused may end its connection
        try:
            answered += f.mllp_send(stage.first.hl7, [message]) != [None]
        except OSError:
            pass
    tap.ok(kept >= 10 and answered >= 10, f"{kept} real objects ({total >> 10} KiB) and {answered} real messages are kept", (kept, answered))
    stage.needles.texts(p.values_of(stage.first), "listed:")


def use(tap, stage):
    """Accounts, a person at the page, custodians, a key file, rotation, back-up, checkpoint, hold."""
    first, needles = stage.first, stage.needles
    web = f.Web(first)
    code = re.findall(r"\b[2-9A-Z]{4}(?:-[2-9A-Z]{4}){3}\b", first.log_text())[-1] # it changes at each start
    status, _, answer = web.call("POST", "/api/enrol", {"enrolment_code": code, "user": USER, "display_name": SHOWN, "password": PASSWORD})
    tap.ok(status == 200, "the first account", answer)
    for user in DPO:
        e.add(first, user, "dpo")
    needles.texts([USER, SHOWN, PASSWORD, *DPO, e.LONG, f.PASSPHRASE, code, code.replace("-", "")], "account:")
    stage.know_session(web)
    for path in (f"name={GONE.name.split('^')[0]}", f"name={SEARCHED[0]}", f"identifier={SEARCHED[1]}&issuer=HOSPITAL",
                 f"birth_date={SEARCHED[2]}&letters=ab"):
        web.get("/api/patients?" + path)
    row = web.get(f"/api/patients?identifier={GONE.id}&issuer=HOSPITAL")[0]
    web.get(f"/api/patients/{row['patient_key']}")
    seen = web.get(f"/api/patients/{row['patient_key']}/observations")
    instance = web.get(f"/api/series/{GONE.series}/instances")[0]
    drawn = web.call("GET", f"/api/instances/{instance['position']}/rendered")
    tap.ok(len(seen) >= 3 and drawn[0] == 200, "the patient is found, results are read, an image is drawn", (seen, drawn[:1]))
    needles.windows(drawn[2], "the picture that was drawn", 97).text(row["patient_key"], "a patient's key")
    web.get("/api/attention")
    web.get("/api/journal")
    done = k.run(first, "key", "add", "custodians", "--threshold", 2, "--shares", 3, first.dir)
    shares = k.shares_in(done.stdout)
    needles.texts([" ".join(s.split()[i:i + 3]) for s in shares for i in range(4, 22, 3)], "a share:")
    secret = k.combine(shares[:2])
    needles.add(p.binary_forms(secret), "the custodians' secret")
    key_file = os.path.join(first.base, "key")
    done = k.run(first, "key", "add", "file", "--out", key_file, first.dir)
    with open(key_file, "rb") as file:
        content = file.read()
    needles.windows(content, "the key file", 5)
    stage.secrets += [content, b"shares:" + secret.hex().encode()]
    before = stage.know_keys()
    tap.ok(first.run("key", "rotate", first.dir).returncode == 0, "a new master key, while it serves")
    after = stage.know_keys()
    tap.ok(all(opens(stage, rings) for rings in (before, after)) and {r.master for r in before} != {r.master for r in after},
           "the thief's own tool opens both copies with passphrase, key file and shares", (len(before), len(after)))
    stage.before = before[0].data
    done = first.run("hold", first.dir, "--study", STAYS.study, "--reason", REASON, "--json")
    tap.ok(done.returncode == 0, "a hold is set", done.stderr)
    done = first.run("checkpoint", "--print", first.dir)
    tap.ok(done.returncode == 0 and f.wait_for(lambda: [x["state"] for x in t_twin.status(first)["anchors"]] == ["ok"], 120, 0.3),
           "a checkpoint is printed, a witness has cosigned", t_twin.status(first)["anchors"])
    stage.backup = os.path.join(stage.images[0].mount, "keys.backup") # on the stolen disk, as back-ups are
    done = first.run("backup-keys", "--expires", 30, first.dir, stage.backup)
    tap.ok(done.returncode == 0, "a back-up of the keyring, for 30 days", done.stderr)
    stage.steps = os.path.join(stage.images[0].mount, "steps")
    os.mkdir(stage.steps)
    done = first.run("segments", first.dir, stage.steps)
    tap.ok(done.returncode == 0 and glob.glob(os.path.join(stage.steps, "*.step")), "files for a twin behind a one-way link", done.stderr)
    tap.ok(f.wait_for(lambda: t_twin.status(first)["sealed_files"] >= 3, 90, 0.5), "full files are sealed with parity", t_twin.status(first))


def opens(stage, rings):
    """Each secret opens each copy of the first's keyring, and slots in it."""
    want = {(os.path.join(stage.first.dir, "vault", name), secret) for name in ("keyring.0", "keyring.1") for secret in stage.secrets}
    return want <= {(r.path, r.secret) for r in rings if r.root and r.data_keys}


# ---- the search ----

def planted(tap, stage):
    """The search can fail: what lay in a file that was removed is found in the free blocks of the raw image, whatever its form."""
    image = Image(stage.base, "planted", 16)
    spoken = p.Needles().text(word("planted"), "planted").windows(random.Random(7).randbytes(4096), "planted pixels")
    try:
        if not tap.ok(image.up(), "a small disk for what is planted"):
            return
        path = os.path.join(image.mount, "leak")
        with open(path, "wb") as file:
            file.write(bytes(5001) + word("planted").encode("utf-16-le") + random.Random(7).randbytes(4096) + b"\0" + b"x" * 40)
            file.flush()
            os.fsync(file.fileno())
        os.unlink(path)
        tap.ok(image.down() and os.listdir(image.mount) == [], "the file is removed and the disk is unmounted")
        hits, texts, _ = p.search(image.image, spoken, stage.folder)
        tap.ok({what for _, what in hits} == set(spoken.what.values()), "the search finds every planted string in free blocks, UTF-16 and pixels",
               (hits, set(spoken.what.values())))
        tap.ok("x" * 40 in [text for _, text in texts], "and what reads as text", texts)
        edges = os.path.join(stage.folder, "edges")
        with open(edges, "wb") as file:
            file.write(b"\0\0\0\0begin" + bytes(70000) + b"the end\0\0\0")
        hits, texts, _ = p.search(edges, p.Needles().add([b"\0\0\0\0begin"], "first").add([b" end\0\0\0\0"], "behind")
                                  .add([b" end\0\0\0"], "last").add([bytes(9) + b"the"], "blank"), stage.folder)
        tap.ok(sorted(hits) == [(0, "first"), (70000, "blank"), (70012, "last")] and not texts,
               "at the first byte, at the last and not behind it, and what begins like a blank", hits)
    finally:
        image.down()
        os.unlink(image.image)


FILES = re.compile(r"([0-9a-f]{32})\.(?:body|part|db|db-wal)")
SEALED = re.compile(r"(?:body/(?:images|results)/\d{6}-\d{8}\.body|body/large/[0-9a-f]{32}\.body|log/\d{8}\.seg|\d{20}-\d{20}\.step)")
NOTE = re.compile(r"fanal/[0-9a-f]{32}\n\d+\n([A-Za-z0-9+/]{43}=)\n")


def unexplained(stage, image, texts):
    """Of what reads as text, what is none of: a configuration, the twin's certificate, a checkpoint, the name of a file, the mount point."""
    ids = {name for _, text in texts for name in FILES.findall(text)} # a view's name is also the content of views/current
    known = "\n".join(whole.decode() for whole in stage.clear[stage.images.index(image)])
    patterns = [FILES, SEALED, re.compile(r"(fanal/[0-9a-f]{32})( [A-Za-z0-9+/]{91}=)?"), re.compile(re.escape(stage.base) + r"/\w+")]
    patterns += [re.compile("|".join(sorted(ids)))] if ids else []
    odd = []
    with open(image.image, "rb") as file:
        for at, text in texts:
            file.seek(max(0, at - 64))
            for root in NOTE.findall(file.read(64 + len(text) + 1).decode("latin-1")):
                text = text.replace(root, "\n")
            for pattern in patterns:
                text = pattern.sub("\n", text)
            odd += [(at, left) for left in text.split("\n") if len(left) >= p.TEXT_MIN // 2 and left.strip() not in known]
    return odd


KINDS = ("gone: data set", "gone: segment", "gone:", "stays:", "sent when", "searched:", "a reason", "account:", "session: the cookie",
         "session: its bytes", "a derived key", "a share:",
         "the custodians' secret", "the key file", "a master key", "a root key", "a key-encryption key", "the data key",
         "a patient's key", "the picture")


def looked_for(tap, stage):
    """Every kind of plaintext is among what is looked for; only words of real data that the configuration has too are left out."""
    stage.note_configuration()
    left = stage.needles.without(stage.clear[0] + stage.clear[1])
    count = {kind: sum(what.startswith(kind) for what in stage.needles.what.values()) for kind in KINDS}
    tap.ok(all(count.values()) and not [what for what in left if what.startswith(KINDS)], f"looked for: {count}", left)
    tap.note(f"not looked for, since the configuration says it too: {left}")


def searched(tap, stage, image, when):
    """One raw image against everything that is known."""
    hits, texts, size = p.search(image.image, stage.needles, stage.folder)
    tap.ok(not hits, f"{when}: none of {len(stage.needles.what)} strings in {size >> 20} MiB", hits[:12])
    odd = unexplained(stage, image, texts)
    tap.ok(not odd, f"{when}: what reads as text is configuration, checkpoints and names ({len(texts)} places)", odd[:12])


def killed(tap, stage):
    """kill -9 of everything in the middle of a load; the disk is taken as it is."""
    def more():
        try:
            for i in range(100000):
                body = dimse.ct_data_set(f"{LATER[2]}.{i}", study=LATER[2], patient_id=LATER[1], name=LATER[0], rows=128, columns=128)
                store(stage.first, {f"{LATER[2]}.{i}": body})
                f.mllp_send(stage.first.hl7, [(f"MSH|^~\\&|LIS|LAB|FANAL|ED|20260101||ORU^R01|{LATER[0]}{i}|P|2.5\r"
                                               f"PID|1||{LATER[1]}^^^HOSPITAL||{LATER[0]}\r").encode()])
                sent.append(i)
        except (OSError, EOFError, RuntimeError):
            pass
    sent = []
    sender = threading.Thread(target=more, daemon=True)
    sender.start()
    f.wait_for(lambda: len(sent) > 5, 60)
    stage.first.kill()
    stage.twin.kill()
    sender.join(30)
    stage.note_configuration()
    tap.ok(all([image.down() for image in stage.images]), f"killed after {len(sent)} more of each, unmounted")
    searched(tap, stage, stage.images[0], "the first, killed under load")
    searched(tap, stage, stage.images[1], "the twin that was never opened, killed")
    if not all([image.again() for image in stage.images]):
        raise RuntimeError("a disk does not mount again")
    stage.first.start(60)
    stage.twin.follow()


# ---- erasure ----

def pages_of(directory, rings):
    """All pages of all views below a directory that the root keys open."""
    paths = glob.glob(os.path.join(directory, "vault", "**", "*.db*"), recursive=True)
    return b"".join(page for root in {ring.root for ring in rings} for path in paths for page in keyring.view_pages(path, root))


def attack(tap, stage, directory, who, rings, erased, kept):
    """Everything that the secrets and any master key open below a directory is tried on the entries."""
    vault = os.path.join(directory, "vault")
    keys = {key for ring in rings for key in ring.data_keys.values()}
    entries = keyring.entries_of(vault)
    opened = [q for q in erased if entries[q].record_key(keys)]
    tap.ok(erased and not opened, f"{who}: no key of any slot opens any of the {len(erased)} erased records", opened)
    records = {q: entries[q].record_key(keys) for q in kept}
    bodies = {entries[q].body(vault, r) for q, r in records.items() if r}
    tap.ok(None not in records.values() and set(STAYS.objects.values()) <= bodies and all(entries[q].facts(r) for q, r in records.items()),
           f"{who}: the same tool reads what was not erased, byte for byte", [q for q, r in records.items() if not r])
    pages = pages_of(directory, rings)
    tap.ok(STAYS.id.encode() in pages, f"{who}: the views are read with the root key ({len(pages) >> 10} KiB)")
    left = [t for t in GONE.texts() if t.encode() in pages]
    tap.ok(not left, f"{who}: and nothing of the erased study is in any of their pages", left)


def by_cli(tap, server, who, erased):
    """What Fanal itself does with the secret."""
    states, exported, rows = te.reads(server, GONE.study, erased)
    tap.ok(states == {"erased"} and set(exported) == {1} and not rows, f"{who}: list and export say erased", (states, exported, rows))
    out = os.path.join(server.base, "gone-" + who.replace(" ", "-"))
    done = server.run("export", "--study", GONE.study, server.dir, out)
    tap.ok(done.returncode == 1 and not (os.path.isdir(out) and os.listdir(out)), f"{who}: export of the study gives nothing",
           done.stdout + done.stderr)
    for question in (("--study", GONE.study), ("--object", erased[0]), ("--patient", "HOSPITAL", GONE.id, "--access"),
                     ("--period", 0, max(erased) + 1)):
        shutil.rmtree(out, ignore_errors=True)
        done = server.run("prove", *question, server.dir, out)
        found = []
        for path in glob.glob(os.path.join(out, "*")):
            with open(path, "rb") as file:
                data = file.read()
            found += [t for t in GONE.texts() if t.encode() in data and t not in question]
        tap.ok(not found and done.returncode in (0, 1), f"{who}: prove {question[0]} shows nothing of it (exit {done.returncode})",
               (found, done.stderr))
    for word_ in ("repair", "verify"):
        done = server.run(word_, server.dir, timeout=300)
        tap.ok(done.returncode == 0, f"{who}: {word_} finds nothing damaged", done.stdout + done.stderr)


def erasure(tap, stage):
    first, twin = stage.first, stage.twin
    stage.copy = os.path.join(stage.base, "copy") # a copy of everything that will not acknowledge
    first.stop()
    shutil.copytree(first.dir, stage.copy, ignore=shutil.ignore_patterns("run"))
    owner = os.stat(os.path.join(first.dir, "vault"))
    for folder, _, names in os.walk(stage.copy):
        for path in (folder, *(os.path.join(folder, name) for name in names)):
            os.chown(path, owner.st_uid, owner.st_gid)
    first.start(60)
    tap.ok(first.run("copy", "add", first.dir, "tape").returncode == 0, "a copy of the directory is declared")
    stage.erased = sorted(r["position"] for r in first.list() if r["study_uid"] == GONE.study or r.get("control_id") == GONE.words[19])
    stage.others = sorted(r["position"] for r in first.list() if r["study_uid"] == STAYS.study or r.get("control_id") == STAYS.words[19])
    tap.ok(len(stage.erased) == len(stage.others) == 3, "two images and a result of each patient", (stage.erased, stage.others))
    rings = stage.know_keys()
    entries = keyring.entries_of(os.path.join(first.dir, "vault"))
    keys = {key for ring in rings for key in ring.data_keys.values()}
    pages = pages_of(first.dir, rings)
    tap.ok(all(entries[q].record_key(keys) for q in stage.erased) and all(t.encode() in pages for t in (GONE.id, GONE.birth, GONE.words[0])),
           "before, the thief's tool opens every record of it, and finds it in the views")
    size = t_twin.status(first)["position"]
    tap.ok(f.wait_for(lambda: twin.position() >= size, 120, 0.2), "the twin has everything")
    done = first.run("erase", "--patient", "HOSPITAL", GONE.id, "--reason", REASON, "--json", *e.sign(first, DPO[0]), first.dir)
    rows = e.lines(done)
    slots = [u["slot"] for u in rows[1:]]
    stage.wrapped = [v[24:84] for v in e.slots(first, slots).values()]
    stage.older = [stage.before[e.HEADER + n * e.SLOT + 24:e.HEADER + n * e.SLOT + 84] for n in slots]
    done = first.run("approve", *e.sign(first, DPO[1]), first.dir, rows[0]["request"])
    tap.ok(done.returncode == 0 and stage.wrapped, "two people erase the patient", done.stderr)
    stage.request = rows[0]["request"]
    names = te.pending(first, stage.request)
    tap.ok("tape" in names and "twin SECOND" in names and "back-up" in names, "the copy, the twin and the back-up are listed as pending", names)


def twin_applies(tap, stage):
    first = stage.first
    stage.twin.kill()
    stage.note_configuration()
    stage.server = t_twin.served(stage.twin)
    tap.ok(t_twin.start_page(stage.server), "the twin is served", stage.server.log_text()[-2000:])
    tap.ok(f.wait_for(lambda: "twin" not in te.pending(first, stage.request), 120, 0.3), "it erases and says so: listed no more",
           te.pending(first, stage.request))
    names = te.pending(first, stage.request)
    tap.ok("tape" in names and "back-up" in names, "those that have not are still listed", names)
    web = f.Web(stage.server)
    web.call("POST", "/api/sign-in", {"user": USER, "password": PASSWORD})
    stage.know_session(web)
    tap.ok(web.get(f"/api/patients?identifier={STAYS.id}&issuer=HOSPITAL") and not web.get(f"/api/patients?identifier={GONE.id}&issuer=HOSPITAL"),
           "its page shows who was not erased")
    size = t_twin.status(first)["position"]
    tap.ok(f.wait_for(lambda: t_twin.status(stage.server)["twin_position"] >= size, 120, 0.2), "it has everything again")
    stage.server.stop()
    by_cli(tap, first, "the first", stage.erased)
    first.stop()
    done = stage.server.run("promote", stage.server.dir)
    tap.ok(done.returncode == 0, "the twin is promoted", done.stdout + done.stderr)
    stage.server.start(60)
    new = f"{LATER[2]}.999999"
    tap.ok(store(stage.server, {new: dimse.ct_data_set(new, study=LATER[2], patient_id=LATER[1], name=LATER[0])}) == [0], "and stores")
    by_cli(tap, stage.server, "the promoted twin", stage.erased)
    stage.server.stop()


def brought_back(tap, stage):
    """The files of each copy, with every secret; then Fanal itself with a back-up and a copy of before."""
    for directory, who, server in ((stage.first.dir, "the first", stage.first), (stage.server.dir, "the promoted twin", stage.server)):
        tap.ok(not e.holding(directory, stage.wrapped), f"{who}: no file holds a wrapped key of it")
        attack(tap, stage, directory, who, keyring.keyrings_below(directory, stage.secrets), stage.erased, stage.others)
        done = server.run("rebuild", server.dir, timeout=300)
        states, exported, rows = te.reads(server, GONE.study, stage.erased)
        tap.ok(done.returncode == 0 and states == {"erased"} and set(exported) == {1} and not rows, f"{who}: rebuild brings nothing back",
               (done.stderr, states, exported, rows))
        done = server.run("repair", "--from", stage.copy, server.dir, timeout=300)
        states, exported, rows = te.reads(server, GONE.study, stage.erased)
        tap.ok(done.returncode == 0 and states == {"erased"} and not rows, f"{who}: nor repair from a copy that has it",
               (done.stdout, done.stderr, states))
    backup_of_before(tap, stage)


def backup_of_before(tap, stage):
    """The stated limit: a back-up of before holds the keys until it ends. Fanal erases again what it brings back."""
    first = stage.first
    with open(stage.backup, "rb") as file:
        data, made, expires = keyring.backup_keyring(file.read())
    tap.ok(abs(expires - made - 30 * 86400 * 1000000) < 60 * 1000000, "the back-up says when it ends", (made, expires))
    keys = {key for secret in stage.secrets for key in keyring.Keyring(data, secret).data_keys.values()}
    entries = keyring.entries_of(os.path.join(first.dir, "vault"))
    tap.ok(all(entries[q].record_key(keys) for q in stage.erased),
           "the stated limit: who has the back-up of before and a secret reads with tools of his own")
    keys = {key for ring in keyring.keyrings_below(stage.copy, stage.secrets) for key in ring.data_keys.values()}
    tap.ok(all(entries[q].record_key(keys) for q in stage.erased), "and so does who has the copy that did not acknowledge, and is listed")
    kept = {}
    for name in ("keyring.0", "keyring.1"):
        path = os.path.join(first.dir, "vault", name)
        with open(path, "rb") as file:
            kept[path] = file.read()
        os.unlink(path)
    done = first.run("restore-keys", stage.backup, first.dir)
    tap.ok(done.returncode == 0, "restored from the back-up of before", done.stdout + done.stderr)
    states, exported, rows = te.reads(first, GONE.study, stage.erased)
    tap.ok(states == {"erased"} and set(exported) == {1} and not rows, "list and export still say erased", (states, exported, rows))
    attack(tap, stage, first.dir, "the first with its restored keyring", keyring.keyrings_below(first.dir, stage.secrets), stage.erased, stage.others)


def remanence(tap, stage):
    """No erased key lies in blocks that no file owns any more (ext4 writes in place; docs/threat-model.md, "Limits")."""
    owned = b""
    for path in glob.glob(os.path.join(stage.kept, "**"), recursive=True):
        if os.path.isfile(path):
            with open(path, "rb") as file:
                owned += file.read()
    for image, who in zip(stage.images, ("first", "twin")):
        for wrapped, when in ((stage.wrapped, "last"), (stage.older, "former")):
            hits, _, _ = p.search(image.image, p.Needles().add(set(wrapped), "a wrapped key"), stage.folder)
            count = len(hits) - (sum(owned.count(w) for w in set(wrapped)) if who == "first" else 0)
            tap.ok(count == 0, f"keys of the erased units, under the {when} master key, lie in no block of the {who}'s disk that no file owns", count)


def final(tap, stage):
    stage.note_configuration()
    stage.kept = os.path.join(stage.folder, "kept") # what holds keys of before, and says so
    shutil.copytree(stage.steps, stage.kept)
    shutil.copy(stage.backup, stage.kept)
    odd = [path for image in stage.images for path in glob.glob(os.path.join(image.mount, "data", "**", "*"), recursive=True)
           for what in stage.needles.what if what in os.path.basename(path).encode()]
    tap.ok(not odd, "no name of a file says anything", odd[:5])
    for log in (stage.first.log, stage.server.log, stage.twin.log):
        hits, _, _ = p.search(log, GONE.needles(STAYS.needles(p.Needles())), stage.folder)
        tap.ok(not hits, f"no log names a patient: {os.path.basename(log)}", hits[:5])
    tap.ok(all([image.down() for image in stage.images]), "both stopped, both disks unmounted")
    for image, who in zip(stage.images, ("the first", "the promoted twin")):
        searched(tap, stage, image, who + ", after all of it")
    remanence(tap, stage)


def main():
    tap = f.Tap()
    if os.geteuid() != 0 or not f.need(tap, "mkfs.ext4", "mount", "openssl"):
        tap.skip("raw images", "mounting needs root")
        tap.done()
    base = tempfile.mkdtemp(prefix="fanal-sealed-")
    os.chmod(base, 0o755)
    stage = Stage(base)
    if not stage.up():
        for image in stage.images:
            image.down()
        shutil.rmtree(base, ignore_errors=True)
        tap.skip("raw images", "no loop device or no permission to mount")
        tap.done()
    try:
        planted(tap, stage)
        stage.open_first()
        put_ours(tap, stage)
        put_shared(tap, stage)
        use(tap, stage)
        looked_for(tap, stage)
        killed(tap, stage)
        erasure(tap, stage)
        twin_applies(tap, stage)
        brought_back(tap, stage)
        final(tap, stage)
        tap.ok(not f.faults(stage.first) and not f.faults(stage.server), "nothing failed", f.faults(stage.first) + f.faults(stage.server))
    finally:
        stage.done()
        shutil.rmtree(base, ignore_errors=True)
    tap.done()


if __name__ == "__main__":
    main()
