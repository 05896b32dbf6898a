#!/usr/bin/python3
"""What a twin says by itself: which record of its first is damaged, asking again at a bounded rate and going on once it is
repaired; and that it has not heard of its first for longer than its alarm, sealed and served.
"""
import os
import re
import time

import fanal as f
import t_erasure as e
import t_twin

RETRY_S = 30


def alarm_of_a_minute(twin):
    with open(os.path.join(twin.dir, "fanal.conf"), encoding="utf-8") as file:
        text = file.read()
    with open(os.path.join(twin.dir, "fanal.conf"), "w", encoding="utf-8") as file:
        file.write(text.replace("#alarm = 15", "alarm = 1"))


def body_files(server):
    folder = os.path.join(server.dir, "vault", "body", "images")
    return [os.path.join(root, n) for root, _, names in os.walk(folder) for n in names if not n.endswith(".seal")]


def flip(path, offset):
    with open(path, "r+b") as file:
        file.seek(offset)
        byte = file.read(1)[0]
        file.seek(offset)
        file.write(bytes([byte ^ 0x40]))


def damaged(tap, first, twins):
    """A record rots on the first before its twins have it."""
    for t in twins:
        t.kill()
    before = max(body_files(first), key=os.path.getmtime)
    size = os.path.getsize(before)
    have = t_twin.status(first)["position"]
    e.store(first, "2.25.662")
    after = max(body_files(first), key=os.path.getmtime)
    offset = (size if after == before else 4096) + 600
    flip(after, offset)
    stored = t_twin.status(first)["position"]
    for t in twins:
        t.follow()
    named = re.compile(r"twin\.damaged .*record (\d+)")
    ok = f.wait_for(lambda: all(len(named.findall(t.log_text())) >= 3 for t in twins), 60, 0.3)
    records = {int(n) for t in twins for n in named.findall(t.log_text())}
    tap.ok(ok and len(records) == 1 and have <= min(records) < stored, f"the damaged record is named: {records}", twins[0].log_text()[-2000:])
    tap.ok(all(t.process.poll() is None for t in twins), "they go on asking")
    tap.ok(all(t.position() <= min(records) for t in twins), "and skip nothing")
    counted, begun = len(named.findall(twins[0].log_text())), time.monotonic()
    f.wait_for(lambda: False, 6)
    asked = len(named.findall(twins[0].log_text())) - counted
    tap.ok(asked <= 1 + (time.monotonic() - begun) / RETRY_S, "not more often than every 30 s", asked)
    done = twins[0].first.run("follow", "--once", twins[0].dir)
    tap.ok(done.returncode == 1, "another follow has the directory", done.stderr)
    flip(after, offset) # repaired
    size = t_twin.status(first)["position"]
    ok = f.wait_for(lambda: all(t.position() >= size for t in twins), 2 * RETRY_S + 30, 0.5)
    tap.ok(ok, "repaired, they go on by themselves", twins[0].log_text()[-1500:])


def silent(tap, first, sealed, server):
    """The first goes dark. Served and sealed twins say so after their minute; when it is back they say that."""
    web = f.Web(server)
    web.call("POST", "/api/sign-in", {"user": "dr.house", "password": e.LONG})
    figures = web.get("/api/status")
    tap.ok("twin_silent" not in figures and "twin_silent" not in t_twin.status(first, sealed.dir), "while it is heard there is no alarm", figures)
    first.stop()
    begun = time.monotonic()
    tap.ok(f.wait_for(lambda: "twin.first-silent" in server.log_text(), 120, 0.5), "a served twin says that its first is silent")
    tap.ok(time.monotonic() - begun >= 50, "not before its minute is over")
    tap.ok(web.get("/api/status").get("twin_silent", 0) >= 60, "its page is told", web.get("/api/status"))
    tap.ok(f.wait_for(lambda: "twin.first-silent" in sealed.log_text(), 60, 0.5), "a sealed one says it, too", sealed.log_text()[-1500:])
    tap.ok(f.wait_for(lambda: t_twin.status(first, sealed.dir).get("twin_silent", 0) >= 60, 60, 0.5), "and its status has it")
    first.start()
    tap.ok(f.wait_for(lambda: "twin.first-back" in server.log_text() and "twin.first-back" in sealed.log_text(), 60, 0.5), "it is back: both say so",
           sealed.log_text()[-1500:])
    tap.ok("twin_silent" not in web.get("/api/status"), "and the alarm is over")


def promoted(tap, server):
    """What the twin recorded of it is in the journal once it is promoted."""
    server.stop()
    done = server.run("promote", server.dir)
    server.start(60)
    told = {(x["event"], x["outcome"]) for x in e.events(server)}
    tap.ok(done.returncode == 0 and {("twin.first-silent", "failed"), ("twin.first-back", "success")} <= told, "the journal tells it", told)


def main():
    tap = f.Tap()
    with f.Fanal() as first:
        t_twin.configure(first, f.free_port())
        first.start()
        pin = t_twin.status(first)["certificate"]
        f.Web(first).enrol(first)
        twins = [t_twin.Twin(first, name) for name in ("one", "two")]
        certificates = [t.first_time(pin, first.follow) for t in twins]
        first.stop()
        t_twin.configure(first, first.follow, zip(("ONE", "TWO"), certificates))
        first.start()
        e.store(first, "2.25.661")
        size = t_twin.status(first)["position"]
        f.wait_for(lambda: all(t.position() >= size for t in twins), 60, 0.2)
        for t in twins:
            alarm_of_a_minute(t)
        damaged(tap, first, twins)
        twins[1].kill()
        server = t_twin.served(twins[1])
        try:
            tap.ok(t_twin.start_page(server), "one twin is served", server.log_text()[-2000:])
            size = t_twin.status(first)["position"]
            f.wait_for(lambda: t_twin.status(server)["twin_position"] >= size, 60, 0.2)
            silent(tap, first, twins[0], server)
            twins[0].kill()
            promoted(tap, server)
        finally:
            bad = f.faults(server)
            tap.ok(not bad, "nothing died on the twin", "\n".join(bad))
            server.kill()
    tap.done()


if __name__ == "__main__":
    main()
