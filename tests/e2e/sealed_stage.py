"""Two machines on disks of their own, and everything about them that must not be read there: for t_sealed_image.py."""
import base64
import glob
import hashlib
import os
import random
import re
import struct
import sys

import dimse
import fanal as f
import plaintexts as p
import t_anchors as a
import t_twin
from small_disk import Image

sys.path.insert(0, os.path.join(f.ROOT, "tests", "oracles"))
import keyring  # noqa: E402

MIB = 192
PURPOSES = ("views", "patient-keys", "witness", "back-up", "back-up/conf") # of keys derived from the root key
STORE = "[store]\nsegment_size = 1 MiB\nbody_file_size = 1 MiB\n"


def word(label):
    """A word that is nowhere else."""
    return "K" + base64.b32encode(hashlib.sha256(label.encode()).digest())[:13].decode()


def uid(label):
    return "2.25." + str(int.from_bytes(hashlib.sha256(label.encode()).digest()[:16], "big") | 1 << 127)


class Study:
    """A patient of one study with a word of its own in each attribute, and one result."""

    def __init__(self, name, birth):
        self.label, self.birth, self.study, self.series = name, birth, uid(name), uid(name + " series")
        self.id, self.name = word(name + " id"), f"{word(name + ' family')}^{word(name + ' given')}"
        self.words = [word(f"{name} {n}") for n in range(24)]
        self.objects, self.pixels = {}, random.Random(name).randbytes(96 * 96 * 2)
        self.add(96, self.pixels)
        self.add(1100, random.Random(name + " large").randbytes(1100 * 1100 * 2)) # a body with a file of its own
        self.message = self.result()

    def add(self, side, pixels):
        w, sop = self.words, uid(f"{self.label} {len(self.objects)}")
        item = dimse.text((8, 0x104, "LO"), w[10])
        sequence = struct.pack("<HHI", 0xfffe, 0xe000, len(item)) + item
        us = lambda g, el, v: ((g, el), struct.pack("<HH2sHH", g, el, b"US", 2, v))
        t = lambda g, el, vr, v: ((g, el), dimse.text((g, el, vr), v))
        elements = [
            t(8, 5, "CS", "ISO_IR 192"), t(8, 0x16, "UI", dimse.CT_STORAGE), t(8, 0x18, "UI", sop), t(8, 0x20, "DA", "20260101"),
            t(8, 0x50, "SH", w[0]), t(8, 0x60, "CS", "CT"), t(8, 0x80, "LO", w[1]), t(8, 0x81, "ST", w[2]), t(8, 0x90, "PN", w[3] + "^" + w[4]),
            t(8, 0x1030, "LO", w[5]), t(8, 0x103e, "LO", w[6]), t(8, 0x1070, "PN", w[7]), t(8, 0x1110, "SQ", sequence), t(9, 0x10, "LO", w[8]),
            t(9, 0x1001, "UN", w[9].encode()), t(0x10, 0x10, "PN", self.name), t(0x10, 0x20, "LO", self.id), t(0x10, 0x30, "DA", self.birth),
            t(0x10, 0x40, "CS", "F"), t(0x10, 0x1000, "LO", w[11]), t(0x10, 0x1040, "LO", w[12]), t(0x10, 0x2154, "SH", w[13]),
            t(0x10, 0x4000, "LT", w[14]), t(0x18, 0x1030, "LO", w[15]), t(0x20, 0xd, "UI", self.study), t(0x20, 0xe, "UI", self.series),
            t(0x20, 0x10, "SH", w[16]), t(0x20, 0x13, "IS", str(len(self.objects) + 1)), us(0x28, 2, 1), t(0x28, 4, "CS", "MONOCHROME2"),
            us(0x28, 0x10, side), us(0x28, 0x11, side), us(0x28, 0x100, 16), us(0x28, 0x101, 16), us(0x28, 0x102, 15), us(0x28, 0x103, 0),
            t(0x32, 0x1060, "LO", w[17]), t(0x40, 0x254, "LO", w[18]), t(0x7fe0, 0x10, "OW", pixels)]
        self.objects[sop] = b"".join(data for _, data in sorted(elements, key=lambda one: one[0]))

    def result(self):
        w, document = self.words, base64.b64encode(b"%PDF-1.4 " + self.words[23].encode() * 30).decode()
        return (f"MSH|^~\\&|LIS|LAB|FANAL|ED|20260101120000||ORU^R01^ORU_R01|{w[19]}|P|2.5|||||||UNICODE UTF-8\r"
                f"PID|1||{self.id}^^^HOSPITAL^PI||{self.name}||{self.birth}|F|||{w[20]}^^Lyon||{w[11]}\rNK1|1|{w[21]}^{w[7]}\r"
                f"OBR|1|{w[0]}|F1|GLU^Glucose^L|||20260101115500\rNTE|1||{w[22]}\r"
                f"OBX|1|NM|GLU^Glucose^L||{self.value()}|mmol/L|3.9-6.1||||F\rOBX|2|ST|TXT^Text^L||{w[18]}||||||F\r"
                f"OBX|3|ED|PDF^Befund^L||^application^pdf^Base64^{document}||||||F\r").encode()

    def value(self):
        return str(int.from_bytes(hashlib.sha256(self.label.encode()).digest()[:4], "big") + 1000000000) + ".25"

    def texts(self):
        """What erasing the study and the results takes away; UIDs stay in the journal (docs/erasure.md, "What stays")."""
        return [self.id, *self.name.split("^"), self.birth, self.value(), *self.words]

    def needles(self, needles):
        needles.texts([*self.texts(), self.name, self.study, self.series, *self.objects], f"{self.label}:")
        for sop, body in self.objects.items():
            needles.windows(body, f"{self.label}: data set {sop[-6:]}", 1021 if len(body) < 1 << 20 else 8191)
        for n, segment in enumerate(self.message.split(b"\r")):
            needles.add([segment, segment[:40], segment[-40:]], f"{self.label}: segment {n}")
        return needles


GONE, STAYS = Study("gone", "19470312"), Study("stays", "19520829")
LATER = [word("later family"), word("later id"), uid("later")]


class Stage:
    """Two disks, a first machine, its twin, a witness; what is known of their secrets."""

    def __init__(self, base):
        self.base, self.images = base, [Image(base, name, MIB) for name in ("first", "twin")]
        self.needles, self.secrets, self.clear = p.Needles(), [f.PASSPHRASE.encode()], ([], [])
        self.folder = os.path.join(base, "thief")
        os.mkdir(self.folder)

    def up(self):
        return all([image.up() for image in self.images])

    def open_first(self):
        self.first = f.Fanal(directory=os.path.join(self.images[0].mount, "data"))
        scratch = os.path.join(self.base, "scratch")
        self.first.run("init", scratch) # the configuration that init writes, which is overwritten here
        with open(os.path.join(scratch, "fanal.conf"), "rb") as file:
            self.clear[0].append(file.read())
        self.note_configuration()
        t_twin.configure(self.first, f.free_port())
        self.first.start()
        pin = t_twin.status(self.first)["certificate"]
        self.twin = t_twin.Twin(self.first, "twin")
        self.twin.dir = os.path.join(self.images[1].mount, "data")
        certificate = self.twin.first_time(pin, self.first.follow)
        witness = a.Witness(self.first.base, t_twin.status(self.first)["log_vkey"])
        self.outside = a.Outside(witness.answer, self.first.base)
        self.first.stop()
        t_twin.configure(self.first, self.first.follow, [("SECOND", certificate)],
                         STORE + a.section("witness", "GOOD", f"https://127.0.0.1:{self.outside.port}", self.outside.ca, witness.key.vkey))
        self.first.start()
        return self.first

    def note_configuration(self):
        """The texts that lie in the clear by design, of each disk, whenever they may have changed."""
        for image, clear in zip(self.images, self.clear):
            for path in glob.glob(os.path.join(image.mount, "data", "**", "*"), recursive=True):
                if os.path.isfile(path) and (".conf" in os.path.basename(path) or path.endswith(("/twin.pem", "/run/ports"))):
                    with open(path, "rb") as file:
                        clear.append(file.read())

    def know_keys(self):
        """Every key that the secrets open in any keyring on both disks becomes something to look for."""
        rings = [r for image in self.images if os.path.ismount(image.mount) for r in keyring.keyrings_below(image.mount, self.secrets)]
        for ring in rings:
            self.needles.add(p.binary_forms(ring.master), "a master key").add(p.binary_forms(ring.root), "a root key")
            for label in ("wrap", "root"):
                self.needles.add(p.binary_forms(keyring.mac(ring.master, b"fanal/1/" + label.encode())), f"a derived key: {label}")
            for label in ("mix", "keyring", "unit", "file", "marker", "confirm", *("purpose/" + x for x in PURPOSES)):
                self.needles.add(p.binary_forms(keyring.mac(ring.root, b"fanal/1/" + label.encode())), f"a derived key: {label}")
            for kek in ring.keks:
                self.needles.add(p.binary_forms(kek), "a key-encryption key")
            for slot, key in ring.data_keys.items():
                self.needles.add([key, key.hex().encode()], f"the data key of slot {slot}")
        return rings

    def know_session(self, web):
        """The cookie, and the bytes that it spells."""
        token = web.cookie.split("=", 1)[1]
        spelt = bytes.fromhex(token) if re.fullmatch(r"([0-9a-f]{2})+", token) else base64.urlsafe_b64decode(token + "==")
        self.needles.text(token, "session: the cookie").add(p.binary_forms(spelt), "session: its bytes")

    def done(self):
        self.twin_end()
        self.first.__exit__(None, None, None)
        for image in self.images:
            image.down()

    def twin_end(self):
        self.twin.kill()
        if getattr(self, "server", None):
            self.server.kill()
