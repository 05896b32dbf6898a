#!/usr/bin/python3
"""Erasure reaches a twin: pending on the first until the twin has applied it; sealed it claims nothing; served it applies each
tombstone as it comes; afterwards no file of the twin holds the wrapped keys, and nothing with the secret reads the study.
"""
import os

import fanal as f
import t_erasure as e
import t_twin


def erase(server, study):
    """Two people erase a study; returns the request's number and the wrapped keys of its units, as they were."""
    done = server.run("erase", server.dir, "--study", study, "--reason", "file 7", "--json", *e.sign(server, "dpo1"))
    rows = e.lines(done)
    wrapped = [v[24:84] for v in e.slots(server, [u["slot"] for u in rows[1:]]).values()]
    done = server.run("approve", server.dir, rows[0]["request"], *e.sign(server, "dpo2"))
    if done.returncode != 0 or not wrapped:
        raise RuntimeError(done.stderr)
    return rows[0]["request"], wrapped


def pending(server, request):
    return e.units_of(server, request).get("pending", "")


def reads(server, study, positions):
    """What can still be had of a study with the secret: states of its records, files exported."""
    rows = {r["position"]: r for r in server.list()}
    out = os.path.join(server.base, "back.dcm")
    exported = [server.run("export", server.dir, "--object", p, out).returncode for p in positions]
    return {rows[p]["state"] for p in positions}, exported, [r for r in rows.values() if r["study_uid"] == study]


def sealed(tap, first, twin):
    positions = [r["position"] for r in first.list() if r["study_uid"] == "2.25.661"]
    size = t_twin.status(first)["position"]
    f.wait_for(lambda: twin.position() >= size, 60, 0.1)
    request, wrapped = erase(first, "2.25.661")
    tap.ok(pending(first, request) == "twin SECOND", "an erasure is pending on the twin of the configuration, undeclared",
           e.units_of(first, request))
    size = t_twin.status(first)["position"]
    caught = f.wait_for(lambda: twin.position() >= size, 60, 0.1)
    f.wait_for(lambda: False, 3)
    tap.ok(caught and pending(first, request) == "twin SECOND" and t_twin.status(first, twin.dir)["twin_applied"] == 0,
           "a sealed twin that has the tombstone does not claim that it erased", pending(first, request))
    tap.ok(e.holding(twin.dir, wrapped), "it cannot: the wrapped key is there")
    return request, wrapped, positions


def opened(tap, first, twin, server, request, wrapped, positions):
    tap.ok(t_twin.start_page(server), "the twin is served", server.log_text()[-2000:])
    tap.ok(f.wait_for(lambda: pending(first, request) == "", 60, 0.3), "opened it erases, and the first hears of it",
           f"{e.units_of(first, request)} {server.log_text()[-1500:]}")
    tap.ok(not e.holding(twin.dir, wrapped), "no file of the twin holds the wrapped keys", e.holding(twin.dir, wrapped))
    states, exported, rows = reads(server, "2.25.661", positions)
    tap.ok(positions and states == {"erased"} and set(exported) == {1} and not rows, "nothing brings the study back on the twin",
           (states, exported, rows))


def running(tap, first, twin, server):
    """A twin that serves applies a tombstone when its record comes; no start is needed."""
    positions = [r["position"] for r in server.list() if r["study_uid"] == "2.25.662"]
    request, wrapped = erase(first, "2.25.662")
    row = e.units_of(first, request)
    tap.ok(f.wait_for(lambda: pending(first, request) == "", 60, 0.2), "served it applies a tombstone as it comes",
           f"{row} {server.log_text()[-1500:]}")
    tap.ok("erasure.applied" in server.log_text() and "erasure.not-applied" not in server.log_text(), "and logs it")
    tap.ok(t_twin.status(first)["twin.SECOND.applied"] > row["position"] and t_twin.status(server)["twin_applied"] > row["position"]
           and t_twin.status(server)["twin_missing"] == 0,
           "both statuses say how far")
    tap.ok(not e.holding(twin.dir, wrapped), "again no file of the twin holds the wrapped keys", e.holding(twin.dir, wrapped))
    states, exported, rows = reads(server, "2.25.662", positions)
    tap.ok(positions and states == {"erased"} and set(exported) == {1} and not rows, "and nothing brings it back",
           (states, exported, rows))
    verify = server.run("verify", server.dir, timeout=300)
    tap.ok(verify.returncode == 0, "verify finds nothing on the twin", verify.stdout + verify.stderr)
    first.stop()
    first.start()
    tap.ok(pending(first, request) == "", "what the twin said is kept in the log: a restart of the first forgets nothing")
    return request


def main():
    tap = f.Tap()
    with f.Fanal() as first:
        t_twin.configure(first, f.free_port())
        first.start()
        pin = t_twin.status(first)["certificate"]
        f.Web(first).enrol(first)
        for user in ("dpo1", "dpo2"):
            e.add(first, user, "dpo")
        twin = t_twin.Twin(first, "twin")
        certificate = twin.first_time(pin, first.follow)
        first.stop()
        t_twin.configure(first, first.follow, [("SECOND", certificate)])
        first.start()
        e.load(first)
        request, wrapped, positions = sealed(tap, first, twin)
        twin.kill()
        server = t_twin.served(twin)
        try:
            opened(tap, first, twin, server, request, wrapped, positions)
            running(tap, first, twin, server)
            server.stop()
            twin.follow()
            f.wait_for(lambda: False, 2)
            tap.ok(t_twin.status(first)["twin.SECOND.applied"] > 0, "sealed again it says what it had said")
            done = server.run("promote", server.dir)
            tap.ok(done.returncode == 1, "a twin that is followed is not promoted", done.stdout)
            twin.kill()
            done = server.run("promote", server.dir)
            server.start(60)
            states, exported, rows = reads(server, "2.25.661", positions)
            tap.ok(done.returncode == 0 and states == {"erased"} and set(exported) == {1} and not rows,
                   "promoted it brings nothing back either", (done.stderr, states, exported, rows))
            tap.ok("erasure.reapplied" not in server.log_text(), "nothing had to be erased again")
        finally:
            bad = f.faults(server)
            tap.ok(not bad, "nothing died on the twin", "\n".join(bad))
            server.kill()
    tap.done()


if __name__ == "__main__":
    main()
