#!/usr/bin/python3
"""The web gate against docs/web-api.md: a real gate and a real lens in their sandboxes, behind them a fake vault.

test_web.py FAKE_VAULT     prints TAP
"""
import base64
import http.client
import json
import os
import re
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import time
import traceback
import warnings

warnings.simplefilter("ignore", DeprecationWarning)  # TLS 1.1 is asked for on purpose
FAKE_VAULT = sys.argv[1]
COOKIE = "__Host-fanal=" + b"0123456789abcdef".hex()
TESTS = []


def test(f):
    TESTS.append(f)
    return f


def write(folder, name, content):
    mode = "wb" if isinstance(content, bytes) else "w"
    with open(os.path.join(folder, name), mode, **({} if mode == "wb" else {"encoding": "utf-8"})) as f:
        f.write(content)


def instance(position, body_offset, **fields):
    base = {"position": position, "transfer_syntax": "1.2.840.10008.1.2.1", "rows": 2, "columns": 2,
            "bits_allocated": 16, "bits_stored": 16, "high_bit": 15, "photometric": "MONOCHROME2",
            "pixel_offset": body_offset}
    base.update(fields)
    return "".join(f"{k} {v}\n" for k, v in base.items())


def item(content, tag=b"\xfe\xff\x00\xe0"):
    return tag + struct.pack("<I", len(content)) + content


END = b"\xfe\xff\xdd\xe0\0\0\0\0"


def rle(content):
    """One segment of literals."""
    return struct.pack("<16I", 1, 64, *[0] * 14) + bytes([len(content) - 1]) + content


PDF = b"%PDF-1.4 a report \xff\x00"
MESSAGE = (b"MSH|^~\\&|LIS|H|||20260101||ORU^R01|1|P|2.5\rPID|1||42\rOBX|1|ED|PDF^Report||LAB^application^PDF^Base64^"
           + base64.b64encode(PDF)[:8] + b"\\.br\\" + base64.b64encode(PDF)[8:] + b"||||||F\r")


def fill(folder):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                    "-keyout", folder + "/key.pem", "-out", folder + "/cert.pem", "-subj", "/CN=localhost"],
                   check=True, capture_output=True)
    write(folder, "patients.rows", "patient_key k1\npatient_name Dupont^É\"\\\ndiscrepancy birth_date\ndiscrepancy sex\n"
          "count 2\nlatest 1763000000000000\n\npatient_key k2\n")
    write(folder, "patient-k1.rows", "patient_key k1\nother_id {\npatient_id 7\nissuer X\n}\nother_id {\npatient_id 8\n}\n")
    write(folder, "studies.rows", "study_uid 1.2\nmodality CT\nmodality SR\n")
    write(folder, "reports.rows", "report_id 3\nnote one\\ntwo\n")
    write(folder, "observations.rows", "observation_id 5\nvalue 1.10\nprevious {\nvalue 1.0\n}\nreplaced {\nvalue 9\nstatus P\n}\n")
    write(folder, "sources.rows", "source CT1\nkind dicom\nlatest 5\ncount 1\n")
    pixels = struct.pack("<8H", *range(8))
    write(folder, "1.body", b"head" + pixels)
    write(folder, "instance-1.rows", instance(1, 4, pixel_length=16, frames=2))
    # encapsulated, offset table, two frames of two and one fragments
    a, b = rle(b"\1\2\3\4"), rle(b"\5\6\7\x08")
    frames = item(a[:40]) + item(a[40:]) + item(b)
    table = struct.pack("<2I", 0, 16 + len(a))
    eight = dict(bits_allocated=8, bits_stored=8, high_bit=7, pixel_encapsulated=1, transfer_syntax="1.2.840.10008.1.2.5")
    write(folder, "2.body", item(table) + frames + END)
    write(folder, "instance-2.rows", instance(2, 0, frames=2, **eight))
    write(folder, "3.body", item(b"") + item(a) + item(b) + END)
    write(folder, "instance-3.rows", instance(3, 0, frames=2, **eight))
    write(folder, "instance-4.rows", instance(4, 0, transfer_syntax="1.2.840.10008.1.2.4.90", pixel_encapsulated=1))
    write(folder, "4.body", item(b"") + item(b"jp2 ") + END)
    write(folder, "5.body", MESSAGE)
    write(folder, "instance-6.rows", "position 6\ntransfer_syntax 1.2.840.10008.1.2.1.99\nrows 2\ncolumns 2\nbits_allocated 8\n")
    # 8-bit big endian in bytes and in words
    for n, vr in ((7, b"OB"), (8, b"OW")):
        write(folder, f"{n}.body", b"xxxx\x7f\xe0\x00\x10" + vr + b"\0\0\0\0\0\4" + b"\1\2\3\4")
        write(folder, f"instance-{n}.rows", instance(n, 16, bits_allocated=8, bits_stored=8, high_bit=7, pixel_length=4,
                                                     transfer_syntax="1.2.840.10008.1.2.2"))
    write(folder, "9.body", bytes(range(256)) * 256)
    write(folder, "instance-9.rows", instance(9, 0, rows=256, columns=256, bits_allocated=8, bits_stored=8, high_bit=7,
                                              pixel_length=65536))
    write(folder, "instance-10.rows", instance(10, 1 << 60, pixel_length=64))
    write(folder, "10.body", b"short")


class Gate:
    def __init__(self, folder):
        self.folder = folder
        self.process = subprocess.Popen([FAKE_VAULT, folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=open(folder + "/log", "wb"), text=True)
        self.port = int(self.process.stdout.readline().split()[1])
        self.tls = ssl.create_default_context()
        self.tls.check_hostname = False
        self.tls.verify_mode = ssl.CERT_NONE

    def connect(self):
        return http.client.HTTPSConnection("127.0.0.1", self.port, context=self.tls, timeout=20)

    def ask(self, method, path, body=None, cookie=COOKIE, connection=None, **headers):
        c = connection or self.connect()
        h = {"Cookie": cookie} if cookie else {}
        h.update({k.replace("_", "-"): v for k, v in headers.items()})
        if body is not None and "Content-Type" not in h:
            h["Content-Type"] = "application/json"
        try:
            c.request(method, path, body, h)
        except (ssl.SSLEOFError, BrokenPipeError, ConnectionResetError):
            pass  # refused by its headers: the answer came, and the end, before the body was sent
        r = c.getresponse()
        content = r.read()
        if connection is None:
            c.close()
        return r, content

    def get(self, path, **more):
        r, content = self.ask("GET", path, **more)
        return r.status, json.loads(content) if r.getheader("Content-Type") == "application/json" else content

    def command(self, text):
        self.process.stdin.write(text + "\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == "done\n"

    def stop(self):
        self.process.stdin.close()
        text = self.process.stdout.read()
        self.process.wait(timeout=20)
        return text


@test
def every_answer_carries_the_security_headers(gate):
    for path, status in (("/", 200), ("/api/nothing", 404), ("/api/patients?name=x", 200), ("/api/instances/1/frames/1", 200)):
        r, _ = gate.ask("GET", path)
        assert r.status == status, (path, r.status)
        assert r.getheader("Content-Security-Policy").startswith("default-src 'none'; script-src 'self';"), path
        assert r.getheader("X-Content-Type-Options") == "nosniff"
        assert r.getheader("Referrer-Policy") == "no-referrer"
        assert r.getheader("Cross-Origin-Opener-Policy") == "same-origin"
        assert r.getheader("Cache-Control") == ("no-cache" if path == "/" else "no-store"), path


@test
def the_page_is_served_with_its_etag(gate):
    r, content = gate.ask("GET", "/", cookie=None)
    assert b"<html" in content.lower() and r.getheader("Content-Type") == "text/html; charset=utf-8"
    again, content = gate.ask("GET", "/", cookie=None, If_None_Match=r.getheader("ETag"))
    assert again.status == 304 and content == b""
    assert gate.ask("GET", "/app.js", cookie=None)[0].getheader("Content-Type").startswith("text/javascript")
    assert gate.ask("GET", "/../../etc/passwd", cookie=None)[0].status == 404


@test
def start_says_who_is_there(gate):
    status, start = gate.get("/api/start", cookie=None)
    assert status == 200 and start["enrolled"] is True and start["signed_in"] is False and "user" not in start
    assert abs(start["time"] / 1e6 - time.time()) < 60 and start["version"]
    status, start = gate.get("/api/start")
    assert start["signed_in"] is True and start["user"] == "doc" and start["display_name"] == "Dr É"


def post(gate, path, what, **more):
    more.setdefault("X_Fanal", "1")
    r, content = gate.ask("POST", path, json.dumps(what), cookie=more.pop("cookie", None), **more)
    return r, json.loads(content) if content else None


@test
def signing_in_gives_a_cookie_and_signing_out_takes_it(gate):
    r, answer = post(gate, "/api/sign-in", {"user": "doc", "password": "secret"})
    assert r.status == 200 and answer == {"display_name": "Dr É", "role": "physician"}, answer
    cookie = r.getheader("Set-Cookie")
    assert cookie == COOKIE + "; Path=/; Secure; HttpOnly; SameSite=Strict", cookie
    assert post(gate, "/api/enrol", {"enrolment_code": "123", "user": "a", "display_name": "b", "password": "c"})[0].status == 200
    assert gate.get("/api/sources")[0] == 200
    r, content = gate.ask("POST", "/api/sign-out", X_Fanal="1")
    assert r.status == 204 and content == b"" and "Max-Age=0" in r.getheader("Set-Cookie")
    assert gate.get("/api/sources")[0] == 401
    assert post(gate, "/api/sign-in", {"user": "doc", "password": "secret"})[0].status == 200


@test
def wrong_sign_ins_are_refused_each_for_its_fault(gate):
    rows = [({"user": "doc", "password": "no"}, {}, 401), ({"user": "doc", "password": "hurry"}, {}, 429),
            ({"user": "doc"}, {}, 400), ({"user": "doc", "password": 5}, {}, 400), ([], {}, 400),
            ({"user": "doc", "password": "secret"}, {"X_Fanal": "0"}, 403),
            ({"user": "doc", "password": "secret"}, {"Sec_Fetch_Site": "cross-site"}, 403),
            ({"user": "doc", "password": "secret"}, {"Content_Type": "text/plain"}, 415),
            ({"user": "doc", "password": "secret"}, {"Content_Encoding": "gzip"}, 415),
            ({"user": "doc", "password": "x" * 20000}, {}, 413)]
    for what, headers, want in rows:
        r, answer = post(gate, "/api/sign-in", what, **headers)
        assert r.status == want and set(answer) == {"error", "text"}, (what, headers, r.status, answer)
        assert r.getheader("Retry-After") == ("17" if want == 429 else None)
    r, _ = gate.ask("POST", "/api/sign-in", b'{"user":"doc","user":"x","password":"secret"}', cookie=None, X_Fanal="1")
    assert r.status == 400
    assert gate.ask("POST", "/api/sign-in", b"\xff\xfe{", cookie=None, X_Fanal="1")[0].status == 400


@test
def a_huge_length_is_refused_before_a_byte_is_read(gate):
    c = gate.connect()
    c.putrequest("POST", "/api/sign-in")
    for name, value in (("Content-Length", "4294967295"), ("Content-Type", "application/json"), ("X-Fanal", "1")):
        c.putheader(name, value)
    c.endheaders()
    assert c.getresponse().status == 413


@test
def an_endless_chunked_body_is_cut(gate):
    c = gate.connect()
    c.putrequest("POST", "/api/sign-in")
    for name, value in (("Transfer-Encoding", "chunked"), ("Content-Type", "application/json"), ("X-Fanal", "1")):
        c.putheader(name, value)
    c.endheaders()
    try:
        for _ in range(2000):
            c.send(b"1000\r\n" + b"x" * 4096 + b"\r\n")
    except OSError:
        return
    raise AssertionError("8 MB were taken")


@test
def nothing_is_told_to_who_is_not_signed_in(gate):
    for path in ("/api/sources", "/api/patients?name=d", "/api/patients/k1", "/api/patients/k1/observations",
                 "/api/studies/1/series", "/api/series/1/instances", "/api/instances/1", "/api/instances/1/frames/1",
                 "/api/instances/1/rendered", "/api/observations/5/document?offset=9", "/api/attention", "/api/journal",
                 "/api/status", "/api/news"):
        for cookie in (None, "__Host-fanal=00", "__Host-fanal=zz", "__Host-fanal=" + "00" * 100):
            status, answer = gate.get(path, cookie=cookie)
            assert status == 401 and answer["error"] == "signed-out", (path, cookie, status)


@test
def other_names_and_methods_are_refused(gate):
    for host, want in (("evil.example", 400), ("localhost", 200), ("[::1]:8443", 200), ("192.168.1.7:1", 200),
                       ("127.0.0.1.evil.example", 400), ("localhost.evil.example", 400), ("[::1", 400)):
        assert gate.ask("GET", "/api/start", Host=host)[0].status == want, host
    assert gate.ask("POST", "/api/sources", X_Fanal="1")[0].status == 405
    assert gate.ask("DELETE", "/api/patients/k1", X_Fanal="1")[0].status == 405
    assert gate.get("/api/patients/")[0] == 404
    assert gate.get("/api/patients")[0] == 400


@test
def rows_become_json(gate):
    status, patients = gate.get("/api/patients?birth_date=1980&letters=du")
    assert status == 200 and patients == [
        {"patient_key": "k1", "patient_name": "Dupont^É\"\\", "count": 2, "latest": 1763000000000000,
         "discrepancy": ["birth_date", "sex"]}, {"patient_key": "k2", "discrepancy": []}], patients
    status, patient = gate.get("/api/patients/k1")
    assert patient["other_id"] == [{"patient_id": "7", "issuer": "X"}, {"patient_id": "8"}] and patient["encounter"] == []
    assert patient["studies"] == [{"study_uid": "1.2", "modality": ["CT", "SR"], "discrepancy": []}]
    assert patient["reports"] == [{"report_id": 3, "note": ["one\ntwo"]}]
    assert gate.get("/api/patients/nobody")[0] == 404
    assert gate.get("/api/patients/k1/observations")[1] == [
        {"observation_id": 5, "value": "1.10", "previous": {"value": "1.0"}, "replaced": [{"value": "9", "status": "P"}], "note": []}]
    assert gate.get("/api/sources")[1] == [{"source": "CT1", "kind": "dicom", "latest": 5, "count": 1}]
    assert gate.get("/api/status") == (200, {"state": "enrolled"})
    assert gate.get("/api/attention") == (200, []) and gate.get("/api/journal?after=5") == (200, [])
    assert gate.get("/api/instances/1")[1]["rows"] == 2
    assert gate.get("/api/instances/99")[0] == 404 and gate.get("/api/instances/x")[0] == 404


@test
def frames_are_found_and_decoded(gate):
    c = gate.connect()
    rows = [(1, 1, struct.pack("<4H", 0, 1, 2, 3), "16"), (1, 2, struct.pack("<4H", 4, 5, 6, 7), "16"),
            (2, 1, b"\1\2\3\4", "8"), (2, 2, b"\5\6\7\x08", "8"), (3, 1, b"\1\2\3\4", "8"), (3, 2, b"\5\6\7\x08", "8"),
            (7, 1, b"\1\2\3\4", "8"), (8, 1, b"\2\1\4\3", "8")]
    for position, frame, want, bits in rows:
        r, content = gate.ask("GET", f"/api/instances/{position}/frames/{frame}", connection=c)
        assert r.status == 200 and content == want, (position, frame, r.status, content)
        got = [r.getheader("X-" + name) for name in ("Rows", "Columns", "Samples", "Bits", "Photometric")]
        assert got == ["2", "2", "1", bits, "MONOCHROME2"], got
    for path in ("1/frames/3", "1/frames/0", "1/frames/-1", "1/frames/18446744073709551617", "2/frames/3", "3/frames/3", "77/frames/1"):
        assert gate.get("/api/instances/" + path)[0] == 404, path


@test
def what_is_not_drawn_says_so(gate):
    status, answer = gate.get("/api/instances/4/frames/1")
    assert status == 415 and answer["error"] == "unsupported" and answer["transfer_syntax"] == "1.2.840.10008.1.2.4.90"
    status, answer = gate.get("/api/instances/6/frames/1")
    assert status == 415 and "range" in answer["text"]
    assert gate.get("/api/instances/10/frames/1")[0] == 500  # the stored object is shorter than its facts say


@test
def a_picture_is_rendered(gate):
    r, content = gate.ask("GET", "/api/instances/9/rendered?width=64&height=32")
    assert r.status == 200 and r.getheader("Content-Type") == "image/jpeg" and content[:2] == b"\xff\xd8"
    at = content.index(b"\xff\xc0")
    assert struct.unpack(">HH", content[at + 5:at + 9]) == (32, 32)


@test
def a_document_is_decoded_and_saved(gate):
    offset = MESSAGE.index(b"Base64^") + 7
    r, content = gate.ask("GET", f"/api/observations/5/document?offset={offset}")
    assert r.status == 200 and content == PDF, (r.status, content)
    assert r.getheader("Content-Type") == "application/pdf"
    assert r.getheader("Content-Disposition") == 'attachment; filename="document.pdf"'
    assert gate.get("/api/observations/5/document?offset=60")[0] == 400
    assert gate.get("/api/observations/5/document")[0] == 404
    assert gate.get("/api/observations/5/document?offset=99999999")[0] in (400, 404)


@test
def news_arrive_as_events(gate):
    c = gate.connect()
    c.request("GET", "/api/news", headers={"Cookie": COOKIE})
    r = c.getresponse()
    assert r.status == 200 and r.getheader("Content-Type") == "text/event-stream"
    text = r.read1(4096)
    assert text.startswith(b":"), text  # a comment: the stream is open and the vault watches
    gate.command("news")
    while not text.endswith(b"}\n\n"):
        text += r.read1(4096)
    assert b'event: news\ndata: {"position":7,"kind":"dicom","patient_key":"k1"}\n\n' in text, text
    c.close()


@test
def a_vault_that_comes_back_is_asked_again(gate):
    c = gate.connect()
    assert gate.ask("GET", "/api/sources", connection=c)[0].status == 200
    gate.command("drop")
    assert gate.ask("GET", "/api/sources", connection=c)[0].status == 200


@test
def a_lens_that_dies_is_replaced(gate):
    assert gate.ask("GET", "/api/instances/9/rendered")[0].status == 200
    gate.command("kill-lens")
    statuses = [gate.ask("GET", "/api/instances/9/rendered")[0].status for _ in range(3)]
    assert statuses[-1] == 200 and set(statuses) <= {200, 503}, statuses


@test
def connections_are_bounded_and_old_tls_is_refused(gate):
    held = []
    try:
        for _ in range(40):
            s = socket.create_connection(("127.0.0.1", gate.port), timeout=5)
            held.append(s)
        time.sleep(0.2)
        open_ones = 0
        for s in held:
            s.setblocking(False)
            try:
                open_ones += s.recv(1) != b""
            except BlockingIOError:
                open_ones += 1
            except OSError:
                pass
        assert open_ones <= 12, open_ones
    finally:
        for s in held:
            s.close()
    old = ssl.create_default_context()
    old.check_hostname = False
    old.verify_mode = ssl.CERT_NONE
    old.set_ciphers("ALL:@SECLEVEL=0")
    old.minimum_version = ssl.TLSVersion.TLSv1
    old.maximum_version = ssl.TLSVersion.TLSv1_1
    for _ in range(20):
        try:
            with socket.create_connection(("127.0.0.1", gate.port), timeout=5) as s:
                old.wrap_socket(s)
            raise AssertionError("TLS 1.1 was taken")
        except (ssl.SSLError, ConnectionError):
            pass
    for _ in range(50):  # the closed ones are gone
        try:
            return gate.get("/api/start")[0] == 200
        except OSError:
            time.sleep(0.05)
    raise AssertionError("the gate did not recover")


@test
def the_log_names_routes_never_what_was_asked(gate):
    with open(gate.folder + "/log", encoding="utf-8") as f:
        log = f.read()
    assert "web.request" in log and "route=/api/patients/*" in log and "status=200" in log
    assert "runtime error" not in log and "Sanitizer" not in log, log[-2000:]
    said = re.sub(r"^\S+|\bms=\d+", "", log, flags=re.M)  # not the time, whose digits are anything
    for secret in ("k1", "Dupont", "secret", "1980", COOKIE[14:]):
        assert secret not in said, secret


def main():
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        fill(folder)
        gate = Gate(folder)
        print(f"1..{len(TESTS) + 1}", flush=True)
        for i, f in enumerate(TESTS, 1):
            try:
                f(gate)
                print(f"ok {i} - {f.__name__}", flush=True)
            except Exception:  # one test's failure is not the end of the others
                failed += 1
                print("\n".join("# " + line for line in traceback.format_exc().splitlines()[-4:]))
                print(f"not ok {i} - {f.__name__}", flush=True)
        end = gate.stop()
        good = end == "bye\n"
        print(f"{'ok' if good else 'not ok'} {len(TESTS) + 1} - gate and lens end when they are told {end!r}")
        if failed or not good:
            with open(folder + "/log", encoding="utf-8", errors="replace") as log:
                print("\n".join("# " + line for line in log.read().splitlines()[-20:]))
    return 1 if failed or not good else 0


sys.exit(main())
