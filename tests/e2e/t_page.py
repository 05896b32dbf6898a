#!/usr/bin/python3
"""The page in a real browser against a real Fanal that was sent the demo's hospital over the network.

The flows are ui/test/browser/real-flows.mjs; a line "# stage NAME" of theirs asks for something to be sent while the
page is open. FANAL_SHOTS: a folder for pictures of every view.
"""
import os
import shutil
import subprocess
import sys
import tempfile
import threading

import fanal

sys.path.insert(0, os.path.join(fanal.ROOT, "demo"))
RUN = os.path.join(fanal.ROOT, "ui", "test", "browser", "run.mjs")
MODULES = os.path.join(fanal.ROOT, "ui", "node_modules", "playwright-core")
FLOWS_SECONDS = 90
JPEG_2000_LOSSLESS = "1.2.840.10008.1.2.4.90"
PEERS = fanal.DEFAULT_PEERS.replace("HOSPITAL", "HOPITAL")


class Hospital:
    """Sends what the demo sends, then what the flows ask for."""

    def __init__(self, server, directory):
        import hospital
        import numpy
        self.server, self.directory, self.hospital, self.numpy = server, directory, hospital, numpy
        self.lab = hospital.Laboratory()
        self.lab.control = 500

    def send_files(self, paths):
        done = self.server.run("send", "--aet", "CT1", "--aec", "FANAL", *paths, f"127.0.0.1:{self.server.dicom}")
        if done.returncode != 0:
            raise RuntimeError("send: " + done.stdout[-500:] + done.stderr[-500:])

    def send_objects(self, *objects):
        paths = [os.path.join(self.directory, f"staged-{n}.dcm") for n in range(len(objects))]
        for path, data in zip(paths, objects):
            with open(path, "wb") as f:
                f.write(data)
        self.send_files(paths)

    def send_messages(self, *messages):
        answers = fanal.mllp_send(self.server.hl7, [m.encode() for m in messages])
        if not all(a and b"\rMSA|AA" in a for a in answers):
            raise RuntimeError(f"an answer is not AA: {answers}")

    def send_all(self):
        self.send_files(self.hospital.write_objects(self.directory))
        self.send_messages(*self.hospital.messages())

    def noise(self, seed, shape=(64, 64)):
        return self.numpy.random.default_rng(seed).integers(0, 255, shape).astype("u1")

    def stage(self, name):
        h = self.hospital
        if name == "result":
            self.send_messages(self.lab.result("martin", 170, 0.1, [("K", "6.9", "HH")]))
        elif name == "image":
            pixels = h.thorax(59, 60, self.numpy.random.default_rng(3))
            extra = h.geometry("1\\0\\0\\0\\1\\0", "-180\\-180\\30.0", "0.703\\0.703")
            self.send_objects(h.Study(1, "martin", "CT", "TDM THORACIQUE SANS INJECTION", 2)
                              .instance(2, 61, "THORAX 3.0 MÉDIASTIN", pixels, extra))
        elif name == "undrawn":
            self.send_objects(h.Study(20, "dupont", "CT", "TDM DU RACHIS", 1).instance(
                1, 1, "JPEG 2000", self.noise(1), encapsulated=(JPEG_2000_LOSSLESS, [b"\xff\x4f\xff\x51" + bytes(60)])))
        elif name == "conflict":
            self.send_objects(h.Study(6, "ivanova", "US", "ÉCHOGRAPHIE ABDOMINALE", 1)
                              .instance(1, 1, "FOIE, VÉSICULE", self.noise(2, (480, 640, 3))))
        elif name == "discrepancy":
            self.send_messages(self.lab.arrival("nguyen", 0.2).replace("19711120", "19711102"))
        elif name == "mixed":
            studies = [h.Study(21, patient, "CR", "EXAMEN DE DEUX PATIENTS", 1) for patient in ("dupont", "dupond")]
            self.send_objects(*(studies[n > 2].instance(1, n, "DEUX PATIENTS", self.noise(n)) for n in range(1, 6)))
        else:
            raise RuntimeError("no such stage: " + name)


def run_flows(server, hospital):
    """Runs the flows, which print TAP, and stages what they ask for; the exit status of node."""
    env = dict(os.environ, FANAL_USER="demo", FANAL_ENROLMENT_CODE=server.enrolment_code() or "", FANAL_STAGED="1")
    flows = subprocess.Popen(["node", RUN, f"https://127.0.0.1:{server.https}"], env=env, stdin=subprocess.DEVNULL,
                             stdout=subprocess.PIPE, text=True)
    watch = threading.Timer(FLOWS_SECONDS, flows.kill)
    watch.start()
    try:
        for line in flows.stdout:
            print(line, end="", flush=True)
            if line.startswith("# stage "):
                hospital.stage(line.split()[2])
        return flows.wait()
    finally:
        watch.cancel()
        flows.kill()
        flows.wait()


def missing():
    """What the test needs and this machine does not have, or None."""
    for program in ("node", "chromium"):
        if shutil.which(program) is None:
            return f"{program} is not installed"
    if not os.path.isdir(MODULES):
        return "the page's node modules are not installed (ui/build.sh)"
    try:
        import numpy  # noqa: F401
    except ImportError:
        return "python3-numpy is not installed"
    return None


def main():
    why = missing()
    if why:
        tap = fanal.Tap()
        tap.skip("the page in a browser", why)
        tap.done()
    with tempfile.TemporaryDirectory(prefix="fanal-page-") as directory, fanal.Fanal(PEERS) as server:
        hospital = Hospital(server, directory)
        server.start()
        hospital.send_all()
        status = run_flows(server, hospital)
        lines = fanal.faults(server)
        if lines:
            print("Bail out! a process of Fanal failed: " + lines[0])
    sys.exit(1 if status != 0 or lines else 0)


main()
