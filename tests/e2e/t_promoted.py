#!/usr/bin/python3
"""What a first machine does in the background, a twin does not, and a promoted one does again: anchors, the second walk of stored
objects, sealing. An anchor whose trust anchors lay on the first's disk only does not keep the lantern dark.
"""
import os
import subprocess

import fanal as f
import t_anchors as a
import t_erasure as e
import t_twin
import t_walk


def sections(first, port):
    """A witness of another software that answers, and an authority whose ca lies on the first's disk."""
    pem = os.path.join(first.base, "tsa.pem")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout",
                    pem + ".key", "-out", pem, "-subj", "/CN=tsa", "-days", "2"], capture_output=True, check=True)
    return pem, a.section("timestamp", "TSA", f"http://127.0.0.1:{port}/", pem, None)


def anchors_of(server):
    return {x["name"]: x["state"] for x in t_twin.status(server).get("anchors", [])}


def main():
    tap = f.Tap()
    with f.Fanal() as first:
        t_twin.configure(first, f.free_port())
        first.start()
        pin = t_twin.status(first)["certificate"]
        f.Web(first).enrol(first)
        twin = t_twin.Twin(first, "twin")
        certificate = twin.first_time(pin, first.follow)
        witness = a.Witness(first.base, t_twin.status(first)["log_vkey"])
        paused = []
        outside = a.Outside(lambda path, body: (503, "text/plain", b"") if paused else witness.answer(path, body), first.base)
        first.stop()
        pem, authority = sections(first, f.free_port())
        t_twin.configure(first, first.follow, [("SECOND", certificate)],
                         a.section("witness", "GOOD", f"https://127.0.0.1:{outside.port}", outside.ca, witness.key.vkey) + authority)
        first.start()
        e.load(first)
        tap.ok(f.wait_for(lambda: anchors_of(first).get("GOOD") == "ok", 60, 0.3), "the first is anchored", anchors_of(first))
        kept = os.path.join(twin.dir, "vault", "first.conf")
        size = t_twin.status(first)["position"]
        tap.ok(f.wait_for(lambda: twin.position() >= size and os.path.exists(kept), 60, 0.2), "its twin has everything")
        twin.kill()
        with open(kept, encoding="utf-8") as file:
            tap.ok("[witness GOOD]" in file.read(), "the configuration, too")
        server = t_twin.served(twin)
        try:
            t_twin.start_page(server)
            roles = set(server.roles().values())
            tap.ok(not roles & {"relay", "recheck"} and not anchors_of(server), "a twin asks no anchor and walks no objects", roles)
            paused.append(True) # what a witness saw and the twin has not would be a roll-back, and is one
            f.wait_for(lambda: False, 1)
            size = t_twin.status(first)["position"]
            tap.ok(f.wait_for(lambda: t_twin.status(server)["twin_position"] >= size, 60, 0.2), "it has what the witness has seen")
            first.kill()
            paused.clear()
            before = witness.cosigned
            t_twin.garbage(first.dir)
            os.unlink(pem)
            server.stop()
            done = server.run("promote", server.dir)
            tap.ok(done.returncode == 0 and "[timestamp TSA] is commented out" in done.stdout, "promotion says which anchor it leaves out",
                   done.stdout + done.stderr)
            server.start(60)
            tap.ok("relay" in server.roles().values() and "recheck" in server.roles().values(), "promoted, both run", server.roles())
            seen = anchors_of(server)
            tap.ok(set(seen) == {"GOOD"}, "the anchor that is whole is asked", seen)
            tap.ok(f.wait_for(lambda: witness.cosigned > before and witness.size > size and anchors_of(server).get("GOOD") == "ok", 60, 0.3),
                   "and the first's witness cosigns more: the promoted twin goes on with the same history",
                   (anchors_of(server), before, witness.cosigned, witness.size, size))
            e.STUDIES["2.25.777"] = ("NEW-0009", "NEU^NORA")
            e.store(server, "2.25.777")
            last, came = max(r["position"] for r in server.list()), 0

            def walked():
                nonlocal came
                server.stop()
                server.start(60)
                came = t_walk.checked(server)[0]
                return came > last
            tap.ok(f.wait_for(walked, 90, 3), "its objects are walked again", (came, last))
            with open(os.path.join(server.dir, "fanal.conf"), encoding="utf-8") as file:
                text = file.read()
            tap.ok("#[timestamp TSA]" in text and "\n[witness GOOD]" in text, "fanal.conf says the same", text[-800:])
        finally:
            bad = f.faults(server)
            tap.ok(not bad, "nothing died on the twin", "\n".join(bad))
            server.kill()
    tap.done()


if __name__ == "__main__":
    main()
