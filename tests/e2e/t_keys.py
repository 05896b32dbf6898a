#!/usr/bin/python3
"""Who opens the vault: unlockers, custodians at a terminal, rotation while objects arrive."""
import json
import os
import re
import shutil
import threading

import fanal as f
from keys_common import CONSONANTS, VOWELS, Terminal, another_word, run, shares_in, store, type_share, without_secret, write


def unlockers(tap, server):
    """Each kind is added and opens; the wrong ones say why they do not."""
    done = run(server, "key", "add", "custodians", "--threshold", 2, "--shares", 3, server.dir)
    shares = shares_in(done.stdout)
    tap.ok(done.returncode == 0 and len(shares) == 3 and all(len(s.split()) == 24 for s in shares),
           "three shares of 24 words", done.stderr)
    words = {w for s in shares for w in s.split()}
    tap.ok(all(re.fullmatch(f"[{CONSONANTS}][{VOWELS}][{CONSONANTS}][{VOWELS}][{CONSONANTS}]", w) for w in words),
           "of five letters each")
    key_file = os.path.join(server.base, "key")
    done = run(server, "key", "add", "file", "--out", key_file, server.dir)
    tap.ok(done.returncode == 0 and os.stat(key_file).st_mode & 0o777 == 0o600, "a key file, 0600", done.stderr)
    tap.ok(run(server, "key", "add", "file", "--out", key_file, server.dir).returncode == 1
           and len(json.loads(run(server, "key", "list", "--json", server.dir).stdout)["unlockers"]) == 3,
           "a key file that is there already is not overwritten, and nothing stays of the try")
    new = write(server, "second", "another passphrase\n")
    done = run(server, "key", "add", "passphrase", server.dir, env=dict(server.env, FANAL_NEW_PASSPHRASE_FILE=new))
    tap.ok(done.returncode == 0, "a second passphrase", done.stderr)
    done = run(server, "key", "add", "passphrase", server.dir, env=dict(server.env, FANAL_NEW_PASSPHRASE_FILE=new))
    tap.ok(done.returncode == 1 and "four" in done.stderr or "4 unlockers" in done.stderr, "a fifth has no place", done.stderr)

    def opens(env, *argv):
        return run(server, "key", "check", *argv, server.dir, env=env)
    two = write(server, "two", f"# from the safe\n{shares[2]}\n\n{shares[0].upper()}\n")
    tap.ok("custodians" in opens(without_secret(server, FANAL_SHARES_FILE=two), "--shares").stdout, "two of three shares open")
    tap.ok("key file" in opens(without_secret(server), "--key-file", key_file).stdout, "the key file opens")
    tap.ok("passphrase" in opens(without_secret(server, FANAL_PASSPHRASE_FILE=new)).stdout, "the second passphrase opens")
    wrong = shares[0].split()
    wrong[8] = another_word(wrong[8])
    for name, text, want in (("one", shares[1], "1 of 2 shares"), ("twice", shares[1] + "\n" + shares[1], "share 2: share 2 is given already"),
                             ("mistyped", shares[1] + "\n" + " ".join(wrong), "share 2: word 9 is mistyped"),
                             ("short", shares[1] + "\n" + " ".join(wrong[:-1]), "share 2: 23 words"),
                             ("no word", "hello " + " ".join(wrong[1:]), "share 1: word 1 is none")):
        done = opens(without_secret(server, FANAL_SHARES_FILE=write(server, "bad", text)), "--shares")
        tap.ok(done.returncode == 1 and want in done.stderr, f"{name}: it is said which share and why", done.stderr)
    with f.Fanal() as other:
        done = run(other, "key", "add", "custodians", "--threshold", 2, "--shares", 2, other.dir)
        foreign = shares_in(done.stdout)[0]
    done = opens(without_secret(server, FANAL_SHARES_FILE=write(server, "bad", shares[1] + "\n" + foreign)), "--shares")
    tap.ok(done.returncode == 1 and "share 2: this share is of another vault" in done.stderr, "another vault's share", done.stderr)
    return shares, key_file


def terminal(tap, server, shares):
    """Custodians type; what they typed is rubbed out; a mistyped word is asked for again."""
    t = Terminal([f.binary(), "key", "check", "--shares", server.dir], without_secret(server))
    vault = json.loads(run(server, "key", "list", "--json", server.dir).stdout)["vault_id"]
    tap.ok(vault in t.expect("First share, words 1 to 6: "), "the vault that asks is named")
    t.type("dahob pakix vufis gomov babaf fitav")
    t.expect(r"Word 2 is none")
    type_share(t, shares[0])
    wrong = shares[1].split()
    wrong[20] = another_word(wrong[20])
    type_share(t, " ".join(wrong))
    t.expect("word 21 is mistyped")
    type_share(t, shares[1])
    status, rest = t.end()
    tap.ok(status == 0 and "it opens the vault" in rest, "shares typed at a terminal open it", rest)
    t = Terminal([f.binary(), "key", "check", "--shares", server.dir], without_secret(server))
    t.expect("First share")
    t.type(shares[2].upper())  # a scanner types all of it at once
    seen = t.expect("Share 2 of 2")
    tap.ok("\x1b[1A\x1b[2K" in seen, "and what was typed is rubbed out")
    t.type(shares[0])
    tap.ok(t.end()[0] == 0, "a scanner's line is a whole share")


def removed(tap, server, key_file):
    """The last one stays; a removed one opens nothing, and the others still do."""
    listed = {u["kind"]: u["number"] for u in json.loads(run(server, "key", "list", "--json", server.dir).stdout)["unlockers"]}
    done = run(server, "key", "remove", server.dir, listed["key file"])
    tap.ok(done.returncode == 0, "the key file is removed", done.stderr)
    done = run(server, "key", "check", "--key-file", key_file, server.dir)
    tap.ok(done.returncode == 1, "and opens nothing any more", done.stdout)
    tap.ok(run(server, "key", "remove", server.dir, 9).returncode == 2 and run(server, "key", "remove", server.dir, listed["key file"]).returncode == 1,
           "a number that is none: 2; an empty place: 1")


def rotated_while_serving(tap, server, shares):
    """A new master key while objects arrive: nothing waits long, everything opens, before and after a kill."""
    before = json.loads(run(server, "key", "list", "--json", server.dir).stdout)
    server.start()
    statuses, stop = [], threading.Event()

    def sender():
        n = 0
        while not stop.is_set():
            statuses.extend(store(server, 5, first=n, study=f"2.25.8800.{n}"))
            n += 5
    thread = threading.Thread(target=sender)
    thread.start()
    codes = [run(server, "key", "rotate", server.dir).returncode for _ in range(4)]
    stop.set()
    thread.join()
    after = json.loads(run(server, "key", "list", "--json", server.dir).stdout)
    tap.ok(codes == [0] * 4 and after["master_generation"] > before["master_generation"],
           "four rotations through the local socket", f"{codes} {after}")
    tap.ok(len(statuses) > 0 and set(statuses) == {0}, f"{len(statuses)} objects stored meanwhile, none refused", set(statuses))
    server.kill()
    two = write(server, "two", shares[0] + "\n" + shares[2])
    done = run(server, "list", "--json", "--shares", server.dir, env=without_secret(server, FANAL_SHARES_FILE=two))
    tap.ok(done.returncode == 0 and done.stdout.count("\n") == len(statuses),
           "after kill -9, custodians who took no part in the rotations open everything", done.stderr)
    done = server.run("verify", server.dir)
    tap.ok(done.returncode == 0, "and verify finds nothing", done.stdout)
    server.start()
    store(server, 1, first=100000)
    tap.ok("keys.older" not in server.log_text(), "the keyring is as new as the log says")
    server.stop()


def old_keyring(tap, server):
    """Yesterday's keyring in place of today's: it opens, and it is said loudly that it is an old one."""
    vault = os.path.join(server.dir, "vault")
    old = {name: open(os.path.join(vault, name), "rb").read() for name in ("keyring.0", "keyring.1")}
    tap.ok(server.run("key", "rotate", server.dir).returncode == 0, "one more rotation, offline")
    for name, data in old.items():
        with open(os.path.join(vault, name), "wb") as file:
            file.write(data)
    server.start()
    tap.ok(f.wait_for(lambda: "keys.older" in server.log_text(), 10), "an older keyring raises keys.older")
    server.stop()


def unrecorded_change(tap, server):
    """An unlocker that the log does not know of, as after a power cut, is recorded at the next start; one taken away is missed."""
    vault = os.path.join(server.dir, "vault")
    names = ("keyring.0", "keyring.1")
    older = {name: open(os.path.join(vault, name), "rb").read() for name in names}
    copy = server.dir + ".later"
    shutil.copytree(server.dir, copy)
    tap.ok(server.run("key", "add", "file", "--out", os.path.join(server.base, "late"), copy).returncode == 0, "one more, elsewhere")
    for name in names:
        shutil.copy(os.path.join(copy, "vault", name), os.path.join(vault, name))
    shutil.rmtree(copy)
    for wanted in (1, 1):
        server.start()
        tap.ok(f.wait_for(lambda: server.log_text().count("keys.found") == wanted, 10) and "keys.older" not in server.log_text(),
               "a change that was not recorded is found once")
        server.stop()
    for name, data in older.items():
        with open(os.path.join(vault, name), "wb") as file:
            file.write(data)
    server.start()
    tap.ok(f.wait_for(lambda: "keys.older" in server.log_text(), 10), "the keyring without it raises keys.older")
    server.stop()


def pages(tap, server):
    folder = os.path.join(server.base, "pages")
    new = json.loads(run(server, "key", "list", "--json", server.dir).stdout)["unlockers"]
    run(server, "key", "remove", server.dir, [u for u in new if u["kind"] == "passphrase"][1]["number"])
    done = run(server, "key", "add", "custodians", "--threshold", 3, "--shares", 5, "--out", folder, server.dir)
    names = sorted(os.listdir(folder))
    tap.ok(done.returncode == 0 and names == [f"custodian-{i}-of-5.html" for i in range(1, 6)], "a page for each custodian", done.stderr)
    found = []
    for name in names:
        path = os.path.join(folder, name)
        with open(path, encoding="utf-8") as file:
            page = file.read()
        found.append(" ".join(re.findall(r"</small>([a-z]{5})</td>", page)))
        if os.stat(path).st_mode & 0o077 or "http" in page or "<svg" not in page:
            tap.ok(False, f"{name} is for its custodian's eyes only, and complete")
    three = write(server, "three", "\n".join(found[1:4]))
    done = run(server, "key", "check", "--shares", server.dir, env=without_secret(server, FANAL_SHARES_FILE=three))
    tap.ok(done.returncode == 0, "the words of three pages open it", done.stderr)
    done = run(server, "key", "add", "custodians", "--threshold", 2, "--shares", 2, "--out", "/proc/none", server.dir)
    tap.ok(done.returncode == 1, "pages that cannot be written: nothing is added", done.stderr)


def main():
    tap = f.Tap()
    with f.Fanal() as server:
        shares, key_file = unlockers(tap, server)
        terminal(tap, server, shares)
        removed(tap, server, key_file)
        rotated_while_serving(tap, server, shares)
        old_keyring(tap, server)
        pages(tap, server)
    with f.Fanal() as server:
        unrecorded_change(tap, server)
    tap.done()


main()
