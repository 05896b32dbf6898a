#!/usr/bin/python3
"""Every message of the shared HL7 set gets the answer of hl7_expected.tsv, is kept as it was sent, and is shown.

Shown: the observations of each ORU, as the page gets them (GET /api/patients/{key}/observations, through vault, views
and web gate), agree with hl7_oracle.py, a parser that shares nothing with Fanal's.
"""
import http.client
import json
import os
import threading

import fanal as f
import hl7_send
from hl7_oracle import Oru


class News(threading.Thread):
    """What the page hears of /api/news: {position: patient_key}. Somebody without identifier and name is found so too."""

    def __init__(self, web):
        super().__init__(daemon=True)
        self.keys = {}
        self.connection = http.client.HTTPSConnection("127.0.0.1", web.port, context=web.context, timeout=120)
        self.connection.request("GET", "/api/news", headers={"Cookie": web.cookie})
        self.response = self.connection.getresponse()
        self.start()

    def run(self):
        try:
            for line in self.response:
                if line.startswith(b"data:"):
                    news = json.loads(line[5:])
                    self.keys[news["position"]] = news.get("patient_key")
        except (OSError, ValueError, http.client.HTTPException):
            pass


def is_oru(message):
    head = Oru(message).segments[0]
    return len(head) > 8 and head[8].startswith("ORU")


def position_of(server, row):
    """The position of the message that was sent last: silence is proven by one more message (hl7_send.check)."""
    positions = sorted(r["position"] for r in server.list() if r["kind"] == "hl7")
    return positions[-2 if row[1] == "none" else -1]


def shown(web, key, position):
    """What the page shows of that message: its observations as the oracle writes them, in no order."""
    found, after = [], 0
    while True:
        page = web.get(f"/api/patients/{key}/observations?after={after}")
        if not page:
            break
        found += [o for o in page if o["position"] == position]
        after = page[-1]["observation_id"]
    return comparable({"code": o.get("code", ""), "value": o.get("value", ""), "unit": o.get("units", ""),
                       "flag": o.get("abnormal_flags", ""), "status": o.get("status", "")} for o in found)


def comparable(observations):
    return sorted(tuple(sorted(o.items())) for o in observations)


def main():
    tap = f.Tap()
    shared = f.shared()
    if shared is None:
        tap.skip("messages of the shared set", "../shared is absent")
        tap.done()
    with f.Fanal() as server:
        server.start()
        web = f.Web(server).enrol(server)
        news = News(web)
        line = hl7_send.Line(f"127.0.0.1:{server.hl7}")
        sent, compared = [], 0
        for row in hl7_send.table():
            message = hl7_send.message_of(os.path.join(shared, "data", "hl7", row[0]))
            wrong = hl7_send.check(line, row, message)
            tap.ok(not wrong, f"{row[1]} for {row[0]}", wrong)
            sent.append((row[0], message))
            if row[2] == "AA" and is_oru(message):
                position = position_of(server, row)
                key = f.wait_for(lambda: news.keys.get(position), 5)
                want, got = comparable(Oru(message).observations()), shown(web, key, position) if key else None
                compared += len(got or [])
                tap.ok(got == want, f"{len(want)} observations shown of {row[0]}",
                       f"shown, not sent: {[o for o in got or [] if o not in want][:4]}\n"
                       f"sent, not shown: {[o for o in want if o not in (got or [])][:4]}")
        line.socket.close()
        tap.ok(compared >= 400, f"{compared} observations compared (of messages that are understood; of the others test_hl7_codec.py)")
        there = {server.export_message(r["position"]) for r in server.list() if r["kind"] == "hl7"}
        for name, message in sent:
            tap.ok(message in there, f"kept, byte for byte: {name}")
    tap.done()


main()
