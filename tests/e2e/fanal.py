"""A real Fanal on free ports in a temporary directory, and the clients that talk to it.

Used by every end-to-end test (t_*.py), by the demo and by the bench. Nothing here imports Fanal's code: what is
known of DICOM and MLLP is written again from the standards, so that a mistake in one is not mirrored in the other.
"""
import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
PASSPHRASE = "correct horse battery staple"


def shared():
    """The folder with third-party data, or None where it is absent (tests then skip, visibly)."""
    path = os.environ.get("FANAL_SHARED") or os.path.join(ROOT, "..", "shared")
    return path if os.path.isdir(os.path.join(path, "data")) else None


def binary():
    return os.path.abspath(os.environ.get("FANAL") or os.path.join(ROOT, "build", "src", "cmd", "fanal"))


def free_port():
    """A port nobody listens on, from below those the kernel gives to clients: one of these could take it before we do."""
    while True:
        port = random.SystemRandom().randrange(10240, 32768)
        with socket.socket() as s:
            try:
                s.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


def copy_live(source, to, names):
    """Copies what is there, as rsync does while a Fanal serves: in the order of `names`, files may go away meanwhile."""
    os.makedirs(to, exist_ok=True)
    for name in names:
        path, copy = os.path.join(source, name), os.path.join(to, name)
        if os.path.isdir(path):
            copy_live(path, copy, sorted(os.listdir(path)))
            continue
        try:
            shutil.copy2(path, copy)
        except FileNotFoundError:
            pass


def wait_for(what, seconds=10.0, step=0.01):
    """Polls until what() is true; the value, or None after `seconds`."""
    end = time.monotonic() + seconds
    while True:
        value = what()
        if value or time.monotonic() > end:
            return value or None
        time.sleep(step)


DEFAULT_PEERS = """
[peer CT1]
ae = CT1
address = 127.0.0.1
may = store, query, retrieve
issuer = HOSPITAL

[sender LIS]
address = 127.0.0.1
issuer = HOSPITAL
"""


class Fanal:
    """init + serve in a directory of its own; use as a context manager."""

    def __init__(self, peers=DEFAULT_PEERS, directory=None, wrap=(), env=None, limits=""):
        self.base = tempfile.mkdtemp(prefix="fanal-test-")
        os.chmod(self.base, 0o755)
        self.dir = directory or os.path.join(self.base, "data")
        self.secret = os.path.join(self.base, "passphrase")
        with open(self.secret, "w", encoding="ascii") as f:
            f.write(PASSPHRASE + "\n")
        os.chmod(self.secret, 0o600)
        self.env = dict(os.environ, FANAL_PASSPHRASE_FILE=self.secret, **(env or {}))
        self.wrap = list(wrap)
        self.dicom, self.hl7, self.https = free_port(), free_port(), free_port()
        self.log = os.path.join(self.base, "log")
        self.process = None
        done = self.run("init", self.dir)
        if done.returncode != 0:
            raise RuntimeError("init: " + done.stderr)
        self.configure(peers, limits)

    def configure(self, peers, limits=""):
        with open(os.path.join(self.dir, "fanal.conf"), "w", encoding="utf-8") as f:
            f.write("[site]\ntimezone = Europe/Paris\n"
                    f"[listen]\ndicom = 127.0.0.1:{self.dicom}\nhl7 = 127.0.0.1:{self.hl7}\n"
                    f"https = 127.0.0.1:{self.https}\n[dicom]\nae = FANAL\n{limits}\n{peers}\n")

    def run(self, *argv, timeout=120, text=True):
        return subprocess.run([binary(), *map(str, argv)], env=self.env, capture_output=True, text=text,
                              stdin=subprocess.DEVNULL, timeout=timeout, check=False)

    def start(self, seconds=20.0):
        """Starts serve; returns the seconds until the DICOM port accepted a connection."""
        self.out = open(self.log, "ab")
        begun = time.monotonic()
        self.spawn()

        def up():
            if self.process.poll() is not None:
                if self.log_text().rstrip().endswith("Address already in use") and time.monotonic() - begun < seconds:
                    time.sleep(0.5)  # a test beside this one has our port for a while
                    self.spawn()
                    return False
                raise RuntimeError(f"serve ended with {self.process.returncode}:\n{self.log_text()[-3000:]}")
            return self.is_up()
        if not wait_for(up, seconds):
            raise RuntimeError("serve does not come up:\n" + self.log_text()[-3000:])
        return time.monotonic() - begun

    def spawn(self):
        self.process = subprocess.Popen([*self.wrap, binary(), "serve", self.dir], env=self.env, stdin=subprocess.DEVNULL,
                                        stdout=self.out, stderr=self.out, start_new_session=True)

    def is_up(self):
        """All three ports answer: an echo, an accepted MLLP connection, a TLS hello."""
        try:
            for port in (self.dicom, self.hl7, self.https):
                socket.create_connection(("127.0.0.1", port), 0.5).close()
            return "READY" in self.log_text() or self.echo()
        except OSError:
            return False

    def echo(self, source=None, timeout=2.0):
        import dimse
        try:
            return dimse.echo(self.dicom, timeout=timeout, source=source)
        except (OSError, EOFError, RuntimeError):
            return False

    def stop(self, seconds=10.0):
        """SIGTERM; the exit status, or None where it had to be killed."""
        if self.process is None:
            return None
        os.kill(self.supervisor(), signal.SIGTERM)
        try:
            status = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            status = None
        self.process = None
        self.out.close()
        return status

    def supervisor(self):
        """serve itself: below strace where one watches, which passes no signal on."""
        if self.wrap:
            for pid in self.pids()[1:]:
                with open(f"/proc/{pid}/cmdline", "rb") as f:
                    if f.read().startswith(binary().encode() + b"\0serve\0"):
                        return pid
        return self.process.pid

    def pause(self):
        """SIGSTOP of every process."""
        for pid in self.pids():
            try:
                os.kill(pid, signal.SIGSTOP)
            except ProcessLookupError:
                pass

    def kill(self):
        """kill -9 of every process of this Fanal at once."""
        if self.process is None:
            return
        for pid in [self.process.pid, *self.pids()]:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.process.wait()
        self.process = None

    def pids(self):
        """Every process below the supervisor, itself included."""
        if self.process is None:
            return []
        children = {}
        for name in os.listdir("/proc"):
            if not name.isdigit():
                continue
            try:
                with open(f"/proc/{name}/stat", encoding="ascii", errors="replace") as f:
                    ppid = int(f.read().rsplit(")", 1)[1].split()[1])
                children.setdefault(ppid, []).append(int(name))
            except (OSError, IndexError):
                pass
        found, todo = [], [self.process.pid]
        while todo:
            pid = todo.pop()
            found.append(pid)
            todo += children.get(pid, [])
        return found

    def roles(self):
        """{pid: role name} of the processes, by their command line ("--role NAME")."""
        roles = {}
        for pid in self.pids():
            try:
                with open(f"/proc/{pid}/cmdline", "rb") as f:
                    words = f.read().split(b"\0")
                roles[pid] = words[words.index(b"--role") + 1].decode() if b"--role" in words else "supervisor"
            except (OSError, IndexError):
                pass
        return roles

    def log_text(self):
        try:
            with open(self.log, encoding="utf-8", errors="replace") as f:
                return f.read()
        except OSError:
            return ""

    def enrolment_code(self):
        found = wait_for(lambda: re.search(r"\b([2-9A-Z]{4}(?:-[2-9A-Z]{4}){3})\b", self.log_text()), 5)
        return found.group(1) if found else None

    def list(self):
        done = self.run("list", self.dir, "--json")
        if done.returncode != 0:
            raise RuntimeError("list: " + done.stderr)
        return [json.loads(line) for line in done.stdout.splitlines()]

    def export_object(self, position):
        """The Part 10 file of one stored version, as bytes."""
        out = os.path.join(self.base, "object.dcm")
        if os.path.exists(out):
            os.unlink(out)
        done = self.run("export", self.dir, "--object", position, out)
        if done.returncode != 0:
            raise RuntimeError(f"export --object {position}: {done.stderr}")
        with open(out, "rb") as f:
            return f.read()

    def export_message(self, position):
        out = os.path.join(self.base, "message.hl7")
        if os.path.exists(out):
            os.unlink(out)
        done = self.run("export", self.dir, "--message", position, out)
        if done.returncode != 0:
            raise RuntimeError(f"export --message {position}: {done.stderr}")
        with open(out, "rb") as f:
            return f.read()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        if exc[0] is not None:
            print("# log of this Fanal:\n# " + "\n# ".join(self.log_text().splitlines()[-30:]), flush=True)
        self.kill()
        shutil.rmtree(self.base, ignore_errors=True)


class Web:
    """The page's HTTP calls, with a cookie."""

    def __init__(self, fanal):
        import ssl
        self.port = fanal.https
        self.context = ssl._create_unverified_context()
        self.cookie = None

    def call(self, method, path, body=None, headers=None, timeout=20):
        import http.client
        c = http.client.HTTPSConnection("127.0.0.1", self.port, context=self.context, timeout=timeout)
        h = {"X-Fanal": "1", **(headers or {})}
        if self.cookie:
            h["Cookie"] = self.cookie
        if isinstance(body, dict):
            body, h["Content-Type"] = json.dumps(body), "application/json"
        c.request(method, path, body=body, headers=h)
        r = c.getresponse()
        data = r.read()
        for value in r.headers.get_all("Set-Cookie") or []:
            self.cookie = value.split(";")[0]
        c.close()
        return r.status, dict(r.headers), data

    def get(self, path):
        status, _, data = self.call("GET", path)
        if status != 200:
            raise RuntimeError(f"GET {path}: {status} {data[:200]!r}")
        return json.loads(data)

    def enrol(self, fanal, user="dr.house", password="a long enough password"):
        code = fanal.enrolment_code()
        status, _, data = self.call("POST", "/api/enrol", {"enrolment_code": code, "user": user,
                                                           "display_name": "Dr House", "password": password})
        if status != 200:
            raise RuntimeError(f"enrol with {code}: {status} {data!r}")
        return self


def mllp_send(port, messages, timeout=10.0, source=None):
    """Sends each message in MLLP framing on one connection; the answers, None where none came in `timeout`."""
    with socket.create_connection(("127.0.0.1", port), timeout, source_address=(source, 0) if source else None) as s:
        return [mllp_exchange(s, m, timeout) for m in messages]


def mllp_exchange(s, message, timeout=10.0):
    s.settimeout(timeout)
    s.sendall(b"\x0b" + message + b"\x1c\r")
    got = b""
    while not got.endswith(b"\x1c\r"):
        try:
            piece = s.recv(65536)
        except socket.timeout:
            return None
        if not piece:
            return None
        got += piece
    return got.strip(b"\x0b\x1c\r")


def part10_data_set(data):
    """(transfer syntax, data set bytes) of a Part 10 file: group 2 is always explicit little endian (PS3.10 7.1)."""
    import struct
    at, syntax = 132, None
    if data[128:132] != b"DICM":
        raise ValueError("no DICM")
    while at + 8 <= len(data) and data[at:at + 2] == b"\x02\0":
        element = struct.unpack_from("<H", data, at + 2)[0]
        if data[at + 4:at + 6] in (b"OB", b"UN", b"SQ", b"OW"):
            length, value = struct.unpack_from("<I", data, at + 8)[0], at + 12
        else:
            length, value = struct.unpack_from("<H", data, at + 6)[0], at + 8
        if element == 0x10:
            syntax = data[value:value + length].rstrip(b"\0 ").decode()
        at = value + length
    return syntax, data[at:]


class Tap:
    """Test results as they come: ok/not ok/skip, a plan at the end, exit status."""

    def __init__(self):
        self.count = self.failed = 0
        self.lock = threading.Lock()

    def ok(self, condition, name, detail=""):
        with self.lock:
            self.count += 1
            self.failed += not condition
            print(("ok" if condition else "not ok"), self.count, "-", name, flush=True)
            if not condition and detail:
                print("# " + str(detail)[:2000].replace("\n", "\n# "), flush=True)
        return bool(condition)

    def skip(self, name, why):
        with self.lock:
            self.count += 1
            print("ok", self.count, "-", name, "# SKIP", why, flush=True)

    def note(self, text):
        print("# " + str(text).replace("\n", "\n# "), flush=True)

    def done(self):
        print(f"1..{self.count}", flush=True)
        sys.exit(1 if self.failed or not self.count else 0)


def faults(server):
    """Lines of the log that a sanitizer, an assertion or a dying process wrote."""
    words = ("AddressSanitizer", "LeakSanitizer", "runtime error", "Assertion", "role.died", "connection.crashed")
    return [line for line in server.log_text().splitlines() if any(w in line for w in words)]


def need(tap, *programs):
    """True where all programs are there; else a skip that names the missing one."""
    for p in programs:
        if shutil.which(p) is None:
            tap.skip(p, f"{p} is not installed")
            return False
    return True
