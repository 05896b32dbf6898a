#!/usr/bin/python3
"""make bench: the same load against Fanal, a bare sink that syncs a file per object, storescp, and Orthanc when there.

One run, servers interleaved, loopback, the same client (bench/push.c). Prints ratios and writes docs/performance.md.
  bench.py FANAL [--reps 3] [--quick] [--before OLDER_FANAL]
"""
import argparse
import json
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
sys.path[:0] = [os.path.join(ROOT, "demo"), os.path.join(ROOT, "tests", "e2e")]
import fanal as e2e  # noqa: E402
import hospital  # noqa: E402

BENCH_PEER = "\n[peer BENCH]\nae = BENCH\naddress = 127.0.0.1\nmay = store\nissuer = HOSPITAL\n"
XA_FRAMES = 1024
LONG_ROUNDS = 12  # of the CT load: some 9 GB, long enough that files fill and are sealed beside it
LONG_FILE = "16 MiB"


def one_file(directory, name, sop_class, uid, study, series, number, pixels, rows, columns, bits, frames=None):
    elements = [
        (8, 5, "CS", "ISO_IR 100"), (8, 0x16, "UI", sop_class), (8, 0x18, "UI", uid), (8, 0x20, "DA", "20260101"),
        (8, 0x30, "TM", "101500"), (8, 0x50, "SH", "A1"), (8, 0x60, "CS", name[:2].upper()), (0x10, 0x10, "PN", "BENCH^LOAD"),
        (0x10, 0x20, "LO", "B0001"), (0x10, 0x30, "DA", "19700101"), (0x10, 0x40, "CS", "O"), (0x20, 0xD, "UI", study),
        (0x20, 0xE, "UI", series), (0x20, 0x13, "IS", str(number)), (0x28, 2, "US", 1), (0x28, 4, "CS", "MONOCHROME2"),
        (0x28, 0x10, "US", rows), (0x28, 0x11, "US", columns), (0x28, 0x100, "US", 16 if bits > 8 else 8), (0x28, 0x101, "US", bits),
        (0x28, 0x102, "US", bits - 1), (0x28, 0x103, "US", 0), (0x7FE0, 0x10, "OW" if bits > 8 else "OB", pixels)]
    if frames:
        elements.append((0x28, 8, "IS", str(frames)))
    path = os.path.join(directory, f"{name}.dcm")
    with open(path, "wb") as f:
        f.write(hospital.part10(sop_class, uid, elements))
    return path


def make_loads(directory, quick):
    """{name: list file}: ct 512 × 512 × 16 bits, mr 256 × 256 × 16 bits, xa one object of 1 GiB."""
    import numpy as np
    rng = np.random.default_rng(3)
    loads = {}
    slices = [hospital.thorax(k, 60, rng).tobytes() for k in range(0, 60, 4)]
    brains = [hospital.brain(k, 24, rng).tobytes() for k in range(24)]

    def listing(name, paths):
        loads[name] = os.path.join(directory, name + ".list")
        with open(loads[name], "w", encoding="ascii") as f:
            f.write("\n".join(paths) + "\n")

    n_ct, n_mr = (400, 600) if quick else (1500, 3000)
    listing("ct", [one_file(directory, f"ct{i}", hospital.CLASSES["CT"], f"2.25.7.1.1000.{i}", f"2.25.7.1{i // 500}", f"2.25.7.1{i // 500}.1",
                            i, slices[i % len(slices)], 512, 512, 12) for i in range(n_ct)])
    listing("mr", [one_file(directory, f"mr{i}", hospital.CLASSES["MR"], f"2.25.7.2.{i}", f"2.25.7.2{i // 500}", f"2.25.7.2{i // 500}.1",
                            i, brains[i % len(brains)], 256, 256, 12) for i in range(n_mr)])
    frame = slices[3][: 1 << 20].ljust(1 << 20, b"\x55")
    frames = 128 if quick else XA_FRAMES
    listing("xa", [one_file(directory, "xa", "1.2.840.10008.5.1.4.1.1.12.1", "2.25.7.3.1", "2.25.7.30", "2.25.7.30.1", 1,
                            frame * frames, 1024, 1024, 8, frames)])
    return loads


class Server:
    """A process tree on one port; measured from outside."""

    called = "FANAL"
    name = ""

    def __init__(self, base):
        self.dir = tempfile.mkdtemp(prefix=self.name + "-", dir=base)
        os.chmod(self.dir, 0o755)
        self.port = e2e.free_port()
        self.process = None

    def spawn(self, argv, env=None):
        self.log = open(os.path.join(self.dir, "..", self.name + ".log"), "ab")
        self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log,
                                        env=dict(os.environ, **(env or {})), start_new_session=True)

    def wait(self):
        def up():
            try:
                socket.create_connection(("127.0.0.1", self.port), 0.5).close()
                return True
            except OSError:
                return False
        if not e2e.wait_for(up, 30):
            with open(self.log.name, encoding="utf-8", errors="replace") as log:
                raise RuntimeError(f"{self.name} does not come up: {log.read()[-500:]}")
        time.sleep(0.3)

    def pids(self):
        return tree(self.process.pid)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            for pid in self.pids():
                os.kill(pid, signal.SIGKILL)
            self.process.wait()
        self.log.close()
        shutil.rmtree(self.dir, ignore_errors=True)


def tree(root):
    children = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", encoding="ascii", errors="replace") as f:
                    children.setdefault(int(f.read().rsplit(")", 1)[1].split()[1]), []).append(int(name))
            except (OSError, IndexError):
                pass
    found, todo = [], [root]
    while todo:
        pid = todo.pop()
        found.append(pid)
        todo += children.get(pid, [])
    return found


class Floor(Server):
    name = "sink"

    def start(self):
        os.makedirs(os.path.join(self.dir, "kept"))
        self.spawn([os.path.join(os.path.dirname(FANAL), "..", "..", "bench", "bench_floor"), str(self.port), os.path.join(self.dir, "kept")])
        self.wait()


class Fanal(Server):
    name = "fanal"
    limits = ""
    program = None  # FANAL

    def start(self):
        os.environ["FANAL"] = self.program or FANAL
        self.fanal = e2e.Fanal(peers=e2e.DEFAULT_PEERS + BENCH_PEER, limits=self.limits)
        self.fanal.start()
        self.process, self.port = self.fanal.process, self.fanal.dicom

    def status(self):
        return json.loads(self.fanal.run("status", "--json", self.fanal.dir).stdout)

    def seals(self):
        status = self.status()
        return {"sealed": status["sealed_files"], "unsealed": status["unsealed_files"]}

    def stop(self):
        self.fanal.stop()
        shutil.rmtree(self.fanal.base, ignore_errors=True)


class Before(Fanal):
    """An older build, to compare with."""
    name = "before"


class Storescp(Server):
    name = "storescp"
    env = {"TCP_NODELAY": "1"}  # DCMTK's own knob; without it every row would read 11 MB/s

    def start(self):
        self.spawn(["storescp", "--fork", "-od", self.dir, str(self.port)], self.env)
        self.wait()


class Orthanc(Server):
    name = "orthanc"
    env = {"TCP_NODELAY": "1"}

    def start(self):
        conf = os.path.join(self.dir, "orthanc.json")
        with open(conf, "w", encoding="ascii") as f:
            json.dump({"Name": "bench", "StorageDirectory": self.dir + "/db", "IndexDirectory": self.dir + "/db",
                       "StorageCompression": False, "HttpPort": e2e.free_port(), "DicomPort": self.port}, f)
        self.spawn(["Orthanc", conf], self.env)
        self.wait()




class Watch(threading.Thread):
    """Peak PSS of the tree and its CPU seconds, children that ended included (cutime of the reaping parents)."""

    def __init__(self, server):
        super().__init__(daemon=True)
        self.server, self.peak, self.stopping = server, 0, False

    def run(self):
        while not self.stopping:
            self.peak = max(self.peak, pss(self.server.pids()))
            time.sleep(0.15)


def pss(pids):
    total = 0
    for pid in pids:
        try:
            with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as f:
                total += next(int(line.split()[1]) for line in f if line.startswith("Pss:"))
        except (OSError, StopIteration):
            pass
    return total / 1024


def cpu(pids):
    """User and system seconds of these processes and of their children that were waited for."""
    ticks = 0
    for pid in pids:
        try:
            with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as f:
                fields = f.read().rsplit(")", 1)[1].split()
            ticks += sum(int(fields[i]) for i in (11, 12, 13, 14))
        except (OSError, IndexError):
            pass
    return ticks / os.sysconf("SC_CLK_TCK")


def push(server, associations, listing, rounds=1):
    before = cpu(server.pids())
    watch = Watch(server)
    watch.start()
    out = subprocess.run([PUSH, str(associations), "127.0.0.1", str(server.port), "BENCH", server.called, listing,
                          str(rounds)], capture_output=True, text=True, timeout=900, check=False)
    watch.stopping = True
    watch.join()
    time.sleep(0.2)  # ended children are reaped
    if out.returncode != 0:
        return {"server": server.name, "failed": out.stderr.strip()[:200] or f"exit {out.returncode}"}
    row = json.loads(out.stdout)
    gb = row["bytes"] / 1e9
    row.update(server=server.name, mb_s=row["bytes"] / 1e6 / row["seconds"], per_s=row["objects"] / row["seconds"],
               cpu_gb=(cpu(server.pids()) - before) / gb if gb else 0, pss=watch.peak)
    return row


def run_load(base, load, listing, associations, reps, servers, rows):
    for rep in range(reps):
        for kind in servers:
            server = kind(base)
            try:
                server.start()
                row = push(server, associations, listing)
            except RuntimeError as e:
                row = {"server": server.name, "failed": str(e)}
            server.stop()
            row.update(load=load, associations=associations, rep=rep)
            rows.append(row)
            shown = row.get("failed") or f"{row['mb_s']:.0f} MB/s {row['per_s']:.0f}/s p50 {row['p50_ms']:.2f} p99 {row['p99_ms']:.2f} ms " \
                                         f"{row['cpu_gb']:.2f} CPU s/GB {row['pss']:.0f} MiB"
            print(f"{load} ×{associations} {row['server']}: {shown}", flush=True)


def run_long(base, listing, reps, rows):
    """The CT load over and over, so that full files are sealed (parity, hash, signature) while more comes."""
    for rep in range(reps):
        for kind in (Floor, Fanal) + ((Before,) if Before.program else ()):
            server = kind(base)
            if kind is Fanal: # an older one may not know the section
                server.limits = f"[store]\nbody_file_size = {LONG_FILE}\n"
            server.start()
            row = push(server, 4, listing, LONG_ROUNDS)
            row.update(load="long", associations=4, rep=rep)
            if kind is Fanal and not row.get("failed"):
                row.update(server.seals())
            server.stop()
            rows.append(row)
            print(f"long ×4 {row['server']}: {row.get('failed') or format(row['mb_s'], '.0f') + ' MB/s'}", flush=True)


def run_stock(base, listing, reps, servers, rows, count):
    """Stock storescu, Nagle on, one association, into each server as shipped."""
    with open(listing, encoding="ascii") as f:
        files = f.read().split()[:count]
    for rep in range(reps):
        for kind in servers:
            plain = type(kind.__name__ + "Stock", (kind,), {"env": {}})
            server = plain(base)
            server.start()
            begun = time.monotonic()
            done = subprocess.run(["storescu", "-aet", "BENCH", "-aec", server.called, "127.0.0.1", str(server.port), *files],
                                  capture_output=True, text=True, timeout=600, check=False,
                                  env={k: v for k, v in os.environ.items() if k != "TCP_NODELAY"})
            seconds = time.monotonic() - begun
            server.stop()
            rows.append({"load": "stock", "server": server.name, "associations": 1, "rep": rep, "per_s": len(files) / seconds,
                         "failed": done.stderr[:200] if done.returncode else None})
            print(f"stock storescu into {server.name}: {len(files) / seconds:.0f}/s", flush=True)


def median(rows, key, **where):
    values = [r[key] for r in rows if not r.get("failed") and all(r.get(k) == v for k, v in where.items())]
    return statistics.median(values) if values else None


def ratio(rows, load, associations, other):
    """Median over the repetitions of Fanal's objects/s over the other's, pair by pair."""
    pairs = []
    for rep in {r["rep"] for r in rows}:
        a = median(rows, "per_s", load=load, associations=associations, server="fanal", rep=rep)
        b = median(rows, "per_s", load=load, associations=associations, server=other, rep=rep)
        if a and b:
            pairs.append(a / b)
    return statistics.median(pairs) if pairs else None


def idle(base):
    """PSS of the tree 60 s after start, and the start itself to the first C-ECHO."""
    server = Fanal(base)
    begun = time.monotonic()
    server.start()
    started = time.monotonic() - begun
    time.sleep(60)
    value = pss(server.pids())
    server.stop()
    return value, started


def table(rows, load, associations):
    lines = ["| server | MB/s | objects/s | p50 / p99 ms | CPU s/GB | peak PSS MiB | refused |", "|---|---|---|---|---|---|---|"]
    for name in ("fanal", "before", "sink", "storescp", "orthanc"):
        here = [r for r in rows if r["load"] == load and r["associations"] == associations and r["server"] == name and not r.get("failed")]
        if not here:
            continue
        m = {k: statistics.median(r[k] for r in here) for k in ("mb_s", "per_s", "p50_ms", "p99_ms", "cpu_gb", "pss", "refused")}
        spread = f"{min(r['mb_s'] for r in here):.0f}–{max(r['mb_s'] for r in here):.0f}"
        lines.append(f"| {name} | {m['mb_s']:.0f} ({spread}) | {m['per_s']:.0f} | {m['p50_ms']:.2f} / {m['p99_ms']:.2f} | {m['cpu_gb']:.2f} "
                     f"| {m['pss']:.0f} | {m['refused']:.0f} |")
    return lines


def machine():
    with open("/proc/cpuinfo", encoding="ascii") as f:
        model = next((line.split(":")[1].strip() for line in f if line.startswith("model name")), "unknown processor")
    return f"{os.cpu_count()} cores of {model}, {os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB, loopback"


def report(rows, idle_pss, started, args):
    others = ["sink", "storescp", "orthanc"] + (["before"] if args.before else [])
    out = ["# Performance", "", "Made by `make bench`; do not edit. Figures are medians of one run "
           f"({args.reps} repetitions, servers interleaved, each on an empty directory); single MB/s swing with the machine, the ratios less so.", "",
           f"Machine: {machine()}. Client: `bench/push.c` (mapped files, writev, TCP_NODELAY). *sink* is `bench/floor.c`: it writes one file an "
           "object and answers after fdatasync and fsync of the directory; no index, no encryption. Fanal encrypts, hashes, commits and indexes "
           "before it answers. storescp and Orthanc run with TCP_NODELAY=1 (else every row reads some 11 MB/s) but for the stock row."
           + (f" *before* is Fanal as it was at {args.before_name}." if args.before else ""), "", "## Ratios", "",
           "| load | associations | " + " | ".join("to " + o for o in others) + " |", "|---|---|" + "---|" * len(others)]
    for load, associations in sorted({(r["load"], r["associations"]) for r in rows if r["load"] != "stock"}):
        cells = [ratio(rows, load, associations, other) for other in others]
        out.append(f"| {load} | {associations} | " + " | ".join(f"{c:.2f}" if c else "–" for c in cells) + " |")
    stock = {s: median(rows, "per_s", load="stock", server=s) for s in ("fanal", "sink", "storescp", "orthanc")}
    out += ["", "Stock `storescu` (Nagle on), one association, objects/s: "
            + ", ".join(f"{s} {v:.0f}" for s, v in stock.items() if v) + "."]
    if stock["fanal"] and stock["orthanc"]:
        out.append(f"Fanal to Orthanc: {stock['fanal'] / stock['orthanc']:.1f}.")
    if idle_pss:
        out += ["", f"Idle, 60 s after start: {idle_pss:.1f} MiB PSS for the whole tree. Start until all ports answer: {started * 1000:.0f} ms."]
    for load, associations in sorted({(r["load"], r["associations"]) for r in rows if r["load"] != "stock"}):
        out += ["", f"## {load}, {associations} association{'s' if associations > 1 else ''}", "", *table(rows, load, associations)]
    long = [r for r in rows if r["load"] == "long" and r["server"] == "fanal" and not r.get("failed")]
    if long:
        last = long[-1]
        out += ["", f"*long* is the CT load {LONG_ROUNDS} times, {last['bytes'] / 1e9:.1f} GB, with body files of {LONG_FILE}: {last['sealed']} of them were sealed "
                f"(parity, hash, signature) while it ran and {last['unsealed']} were still to be: sealing has a bounded rate. The second walk of each "
                "object, the measure of the disk's space and the index run beside it as they do in every row."]
    failed = [r for r in rows if r.get("failed")]
    out += ["", "Failed: " + ("; ".join(f"{r['server']} {r['load']} ×{r['associations']}: {r['failed']}" for r in failed) if failed else "none.")]
    text = "\n".join(out) + "\n"
    print("\n" + text)
    with open(args.out, "w", encoding="utf-8") as f:
        f.write(text)


def main():
    global FANAL, PUSH
    parser = argparse.ArgumentParser()
    parser.add_argument("fanal")
    parser.add_argument("--reps", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="a fifth of the load, no idle minute")
    parser.add_argument("--before", help="an older build of fanal that takes part")
    parser.add_argument("--before-name", default="an earlier commit", help="what the report calls it")
    parser.add_argument("--out", default=os.path.join(ROOT, "docs", "performance.md"))
    parser.add_argument("--loads", default="ct,mr,xa,long,stock")
    args = parser.parse_args()
    FANAL = os.path.realpath(args.fanal)
    PUSH = os.path.join(os.path.dirname(FANAL), "..", "..", "bench", "bench_push")
    servers = [Floor, Fanal, Storescp] + ([Orthanc] if shutil.which("Orthanc") else [])
    servers = [s for s in servers if s.name in ("fanal", "sink") or shutil.which({"storescp": "storescp", "orthanc": "Orthanc"}[s.name])]
    if args.before:
        Before.program = os.path.realpath(args.before)
        servers.insert(2, Before)
    rows = []
    base = tempfile.mkdtemp(prefix="fanal-bench-")
    os.chmod(base, 0o755)
    try:
        loads = make_loads(base, args.quick)
        wanted = args.loads.split(",")
        for associations in (1, 4, 16):
            for load in ("ct", "mr"):
                if load in wanted:
                    run_load(base, load, loads[load], associations, args.reps, servers, rows)
        if "xa" in wanted:
            run_load(base, "xa", loads["xa"], 1, 1 if args.quick else args.reps, servers, rows)
        if "long" in wanted and not args.quick:
            run_long(base, loads["ct"], args.reps, rows)
        if "stock" in wanted:
            run_stock(base, loads["ct"], 1 if args.quick else args.reps, servers, rows, 100)
        value, started = (None, None) if args.quick else idle(base)
        report(rows, value, started, args)
    finally:
        shutil.rmtree(base, ignore_errors=True)


main()
