#!/usr/bin/python3
"""Accounts of people: added, disabled, given another password, at the machine; what each role may, and who is told."""
import json
import os

import fanal as f

LONG = "a long enough password"


def password_file(server, text):
    path = os.path.join(server.base, "password")
    with open(path, "w", encoding="utf-8") as file:
        file.write(text + "\n")
    return path


def accounts(server):
    done = server.run("user", "list", server.dir, "--json")
    return {r["user"]: r for r in map(json.loads, done.stdout.splitlines())}


def sign_in(server, user, password):
    web = f.Web(server)
    status, _, _ = web.call("POST", "/api/sign-in", {"user": user, "password": password})
    return status, web


def add(server, user, role, password=LONG, **more):
    words = [w for name, value in more.items() for w in ("--" + name, value)]
    return server.run("user", "add", server.dir, user, "--role", role, "--password-file", password_file(server, password), *words)


def life(tap, server, admin):
    tap.ok(add(server, "meyer", "physician").returncode == 0, "an account is added")
    status, meyer = sign_in(server, "meyer", LONG)
    tap.ok(status == 200 and isinstance(meyer.get("/api/sources"), list), "and signs in, and reads", status)
    done = add(server, "meyer", "physician")
    tap.ok(done.returncode == 1 and "there is an account" in done.stderr, "not twice", done.stderr)
    for password, why in (("short", "characters"), ("aaaaaaaaaaaa", "guess"), ("meyerly-and-more", "guess")):
        done = server.run("user", "password", server.dir, "meyer", "--password-file", password_file(server, password))
        tap.ok(done.returncode == 1 and why in done.stderr, f"not with the password {password}", done.stderr)
    done = add(server, "other", "king")
    tap.ok(done.returncode == 1 and "a role is" in done.stderr, "no role but ours", done.stderr)
    done = server.run("user", "password", server.dir, "meyer", "--password-file", password_file(server, "another long one"))
    tap.ok(done.returncode == 0, "a new password", done.stderr)
    tap.ok(meyer.call("GET", "/api/sources")[0] == 401, "who was signed in by the old one is signed out")
    tap.ok(sign_in(server, "meyer", LONG)[0] == 401 and sign_in(server, "meyer", "another long one")[0] == 200,
           "the new one counts, the old one does not")
    _, meyer = sign_in(server, "meyer", "another long one")
    tap.ok(server.run("user", "disable", server.dir, "meyer").returncode == 0, "the account is disabled")
    tap.ok(meyer.call("GET", "/api/sources")[0] == 401 and sign_in(server, "meyer", "another long one")[0] == 401,
           "signed out, and not let in again")
    tap.ok(accounts(server)["meyer"]["state"] == "disabled" and accounts(server)["dr.house"]["role"] == "admin", "the list says so")
    done = server.run("user", "disable", server.dir, "dr.house")
    tap.ok(done.returncode == 1 and "last account" in done.stderr, "the last admin stays", done.stderr)
    tap.ok(server.run("user", "disable", server.dir, "nobody").returncode == 1, "an unknown one cannot be disabled")
    for words in ([], ["add", server.dir], ["paint", server.dir], ["add", server.dir, "x"], ["list", server.dir, "x"]):
        tap.ok(server.run("user", *words).returncode == 2, f"usage: user {' '.join(words[:1])}")
    told = [(e["event"], e["outcome"], e.get("detail")) for e in admin.get("/api/journal")]
    tap.ok(("account.added", "success", "meyer") in told and ("account.disabled", "success", "meyer") in told
           and ("account.disabled", "refused", "dr.house") in told,
           "the journal tells what was done and what was refused", told)


def roles(tap, server, admin):
    add(server, "dpo", "dpo", name="The officer")
    status, dpo = sign_in(server, "dpo", LONG)
    tap.ok(status == 200 and dpo.call("GET", "/api/journal")[0] == 200, "a data protection officer reads the journal")
    for path in ("/api/patients?name=DOE", "/api/attention", "/api/instances/1", "/api/instances/1/rendered"):
        tap.ok(dpo.call("GET", path)[0] in (403, 404), f"but no patient: {path}", dpo.call("GET", path))
    tap.ok(admin.call("GET", "/api/patients?name=DOE")[0] == 200, "an admin does")


def main():
    tap = f.Tap()
    with f.Fanal() as server:
        done = server.run("user", "add", server.dir, "first", "--role", "admin", "--password-file", password_file(server, LONG))
        tap.ok(done.returncode == 1 and "enrolment code" in done.stderr, "the first account comes by the code", done.stderr)
        server.start()
        admin = f.Web(server).enrol(server)
        life(tap, server, admin)
        roles(tap, server, admin)
        before = accounts(server)
        server.stop()
        tap.ok(accounts(server) == before, "the accounts are those of the log, without a serve too")
        tap.ok(server.run("verify", server.dir).returncode == 0, "nothing is damaged")
    tap.done()


main()
