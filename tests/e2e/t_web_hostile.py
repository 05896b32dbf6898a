#!/usr/bin/python3
"""Garbage, lies and slowness at the HTTPS door: each is answered as HTTP says or closed, and the page still comes."""
import json
import random
import socket
import ssl
import time

import fanal as f

IDLE = 1000
HOST = b"Host: 127.0.0.1\r\n"
POST = b"POST /api/sign-in HTTP/1.1\r\n" + HOST


class Raw:
    """One TLS connection that says what it is told."""

    def __init__(self, port, source=None, timeout=5.0):
        plain = socket.create_connection(("127.0.0.1", port), timeout, source_address=(source, 0) if source else None)
        self.socket = ssl._create_unverified_context().wrap_socket(plain)

    def ask(self, data):
        """The status of the answer; 0 where the connection was closed without one, None where neither came in time."""
        got = b""
        try:
            self.socket.sendall(data)
            while b"\r\n" not in got:
                piece = self.socket.recv(65536)
                if not piece:
                    return 0
                got += piece
            return int(got.split(b" ")[1])
        except TimeoutError:
            return None
        except (OSError, ssl.SSLError):
            return 0
        finally:
            self.socket.close()


def said(tap, server):
    """(what, request, statuses that are right; 0: closed without an answer)"""
    start = b"GET /api/start HTTP/1.1\r\n"
    body = json.dumps({"user": "a", "password": "b"}).encode()
    cases = [
        ("a body of 4 GiB", POST + b"X-Fanal: 1\r\nContent-Type: application/json\r\nContent-Length: 4294967296\r\n\r\n{", {413}),
        ("a body of 2^64", POST + b"X-Fanal: 1\r\nContent-Type: application/json\r\nContent-Length: 18446744073709551616\r\n\r\n{", {400, 413, 0}),
        ("a negative length", POST + b"X-Fanal: 1\r\nContent-Type: application/json\r\nContent-Length: -1\r\n\r\n{", {400, 413, 0}),
        ("20 KB of body", POST + b"X-Fanal: 1\r\nContent-Type: application/json\r\nContent-Length: 20000\r\n\r\n" + b" " * 20000, {413}),
        ("20 KB in chunks", POST + b"X-Fanal: 1\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n4e20\r\n" + b" " * 20000 + b"\r\n0\r\n\r\n",
         {413}),
        ("a gzip body", POST + b"X-Fanal: 1\r\nContent-Type: application/json\r\nContent-Encoding: gzip\r\nContent-Length: 20\r\n\r\n" + bytes(20), {415}),
        ("a form", POST + b"X-Fanal: 1\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 3\r\n\r\na=b", {415}),
        ("no X-Fanal", POST + b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body, {403}),
        ("no such user", POST + b"X-Fanal: 1\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body, {401}),
        ("JSON of depth 9,000", POST + b"X-Fanal: 1\r\nContent-Type: application/json\r\nContent-Length: 9000\r\n\r\n" + b"[" * 9000, {400}),
        ("no JSON", POST + b"X-Fanal: 1\r\nContent-Type: application/json\r\nContent-Length: 4\r\n\r\n\xff\0{\"", {400}),
        ("another host", b"GET /api/start HTTP/1.1\r\nHost: evil.example\r\n\r\n", {400}),
        ("no host", start + b"\r\n", {400}),
        ("two hosts", start + HOST + b"Host: evil.example\r\n\r\n", {400, 200}),
        ("a way out of the page", b"GET /../../etc/passwd HTTP/1.1\r\n" + HOST + b"\r\n", {400, 404}),
        ("an escaped way out", b"GET /%2e%2e/%2e%2e/etc/passwd HTTP/1.1\r\n" + HOST + b"\r\n", {400, 404}),
        ("a NUL in a path", b"GET /app.js%00.css HTTP/1.1\r\n" + HOST + b"\r\n", {400, 404}),
        ("a patient's key that climbs", b"GET /api/patients/..%2f..%2fstatus HTTP/1.1\r\n" + HOST + b"\r\n", {400, 401, 404}),
        ("a forged cookie", b"GET /api/patients?name=a HTTP/1.1\r\n" + HOST + b"Cookie: __Host-fanal=" + b"A" * 43 + b"\r\n\r\n", {401}),
        ("a cookie of 7 KB", b"GET /api/status HTTP/1.1\r\n" + HOST + b"Cookie: __Host-fanal=" + b"A" * 7000 + b"\r\n\r\n", {401, 400, 431}),
        ("no cookie", b"GET /api/status HTTP/1.1\r\n" + HOST + b"\r\n", {401}),
        ("a header of 1 MB", start + HOST + b"X: " + b"a" * 1000000 + b"\r\n\r\n", {400, 413, 431, 0}),
        ("a path of 1 MB", b"GET /" + b"a" * 1000000 + b" HTTP/1.1\r\n" + HOST + b"\r\n", {400, 414, 431, 0}),
        ("another method", b"DELETE /api/start HTTP/1.1\r\n" + HOST + b"\r\n", {405}),
        ("no method there is", b"BREW /api/start HTTP/1.1\r\n" + HOST + b"\r\n", {400, 405, 501}),
        ("length and chunks at once", POST + b"X-Fanal: 1\r\nContent-Type: application/json\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n"
         b"0\r\n\r\nGET /api/status HTTP/1.1\r\n\r\n", {400, 0}),
        ("a WebSocket", start + HOST + b"Upgrade: websocket\r\nConnection: Upgrade\r\n\r\n", {200, 400, 426}),
        ("a number beyond 64 bits", b"GET /api/instances/99999999999999999999999/frames/1 HTTP/1.1\r\n" + HOST + b"\r\n", {400, 401, 404}),
    ]
    for name, request, right in cases:
        got = Raw(server.https).ask(request)
        tap.ok(got in right, f"{name}: {got}", f"expected {sorted(right)}")


def garbage(tap, server, random_):
    """Changed requests and bytes that are none; some not even TLS."""
    request = POST + b"X-Fanal: 1\r\nContent-Type: application/json\r\nContent-Length: 28\r\n\r\n" + b'{"user":"a","password":"b"}\n'
    silent = 0
    for n in range(300):
        if n % 3 == 0:
            with socket.create_connection(("127.0.0.1", server.https), 5) as s:
                try:
                    s.sendall(random_.randbytes(random_.randrange(1, 600)))
                except OSError:
                    pass
            continue
        data = bytearray(request)
        for _ in range(random_.randrange(1, 6)):
            at = random_.randrange(len(data))
            data[at:at + random_.randrange(3)] = random_.randbytes(random_.randrange(3))
        try:
            raw = Raw(server.https, timeout=0.1) # a request that is short of its length waits: rightly
            silent += raw.ask(bytes(data)) is None
        except (OSError, ssl.SSLError):
            pass
    tap.ok(answers(server), f"300 changed requests and garbage ({silent} left waiting for their rest): the page comes")


def answers(server, seconds=1.0):
    begun = time.monotonic()
    try:
        good = Raw(server.https).ask(b"GET /api/start HTTP/1.1\r\n" + HOST + b"\r\n") == 200
    except OSError:
        good = False
    return good and time.monotonic() - begun < seconds


def crowd(tap, server):
    """1,000 that say nothing and 30 that say a byte at a time, from 127.0.0.2; 127.0.0.1 opens the page meanwhile."""
    held, slow = [], []
    for _ in range(30):
        try:
            slow.append(Raw(server.https, "127.0.0.2", 2).socket)
        except OSError:
            pass
    for _ in range(IDLE):
        try:
            held.append(socket.create_connection(("127.0.0.1", server.https), 2, source_address=("127.0.0.2", 0)))
        except OSError:
            pass
    worst = 0.0
    for n in range(20):
        for s in slow:
            try:
                s.sendall(b"GET /api/start HTTP/1.1"[n:n + 1])
            except OSError:
                pass
        begun = time.monotonic()
        good = answers(server, 5)
        worst = max(worst, time.monotonic() - begun if good else 99)
    tap.ok(worst < 1.0, f"with {len(held)} idle and {len(slow)} slow connections from elsewhere the page takes {worst:.3f} s")
    for s in held + slow:
        s.close()


def main():
    tap = f.Tap()
    seed = random.randrange(1 << 30)
    tap.note(f"seed {seed}")
    with f.Fanal() as server:
        server.start(60)
        said(tap, server)
        garbage(tap, server, random.Random(seed))
        crowd(tap, server)
        tap.ok(answers(server) and server.echo(), "afterwards the page and an echo are answered")
        died = [line for line in server.log_text().splitlines() if "role.died" in line or "crashed" in line]
        tap.ok(not died, "nothing died", died[:5])
        status = server.stop(20)
        tap.ok(status == 0, f"an orderly end: {status}")
        tap.ok(not f.faults(server), "no fault in the log", f.faults(server)[:10])
    tap.done()


main()
