"""A small invented hospital: phantoms as Part 10 files, results as HL7 messages. Nothing of it is anybody's data.

Pixels are computed (ellipses, a spine, ribs, lungs, noise); identities are made up; dates lie around today so that the
page looks as it does at work. Needs numpy and nothing else.
"""
import base64
import datetime
import os
import struct

import numpy as np

ROOT = "2.25.310486210443"  # a UUID-derived root (PS3.5 B.2)
NOW = datetime.datetime.now()
CLASSES = {"CT": "1.2.840.10008.5.1.4.1.1.2", "MR": "1.2.840.10008.5.1.4.1.1.4", "CR": "1.2.840.10008.5.1.4.1.1.1",
           "US": "1.2.840.10008.5.1.4.1.1.6.1"}
EXPLICIT_LE = "1.2.840.10008.1.2.1"

# identifier, name, birth date, sex
PATIENTS = {
    "martin": ("8003112", "MARTIN^CLAIRE", "19580314", "F"),
    "dupont": ("8003125", "DUPONT^HÉLÈNE", "19900702", "F"),
    "dupond": ("8003126", "DUPOND^HELENE", "19900702", "F"),
    "nguyen": ("8004410", "NGUYỄN^VĂN AN", "19711120", "M"),
    "yamada": ("8005002", "Yamada^Tarou=山田^太郎=やまだ^たろう", "19480605", "M"),
    "haddad": ("8006017", "حداد^ليلى", "20010917", "F"),
    "ivanova": ("8007300", "Иванова^Ольга", "19650228", "F"),
}


def element(group, number, vr, value):
    if isinstance(value, list):  # encapsulated: an empty offset table, then fragments (PS3.5 A.4)
        items = b"".join(struct.pack("<HHI", 0xFFFE, 0xE000, len(v)) + v for v in [b"", *value])
        return (struct.pack("<HH2sHI", group, number, vr.encode(), 0, 0xFFFFFFFF) + items
                + struct.pack("<HHI", 0xFFFE, 0xE0DD, 0))
    if isinstance(value, str):
        value = value.encode("utf-8")
    if isinstance(value, int):
        value = struct.pack("<H", value)
    value += (b"\0" if vr in ("UI", "OB", "OW") else b" ") * (len(value) & 1)
    if vr in ("OB", "OW", "SQ", "UN", "UT"):
        return struct.pack("<HH2sHI", group, number, vr.encode(), 0, len(value)) + value
    return struct.pack("<HH2sH", group, number, vr.encode(), len(value)) + value


def part10(sop_class, sop_uid, elements, syntax=EXPLICIT_LE):
    meta = (element(2, 1, "OB", b"\0\1") + element(2, 2, "UI", sop_class) + element(2, 3, "UI", sop_uid)
            + element(2, 0x10, "UI", syntax) + element(2, 0x12, "UI", ROOT + ".1"))
    data_set = b"".join(element(*e) for e in sorted(elements, key=lambda e: (e[0], e[1])))
    return bytes(128) + b"DICM" + element(2, 0, "UL", struct.pack("<I", len(meta))) + meta + data_set


class Study:
    """Instances of one study, numbered as they are made."""

    def __init__(self, number, patient, modality, description, hours_ago):
        self.number, self.patient, self.modality, self.description = number, patient, modality, description
        self.uid = f"{ROOT}.{number}"
        self.when = NOW - datetime.timedelta(hours=hours_ago)

    def instance(self, series, number, description, pixels, extra=(), encapsulated=None):
        """One object; `encapsulated`: (transfer syntax, fragments) in place of the pixels, which then only describe."""
        pid, name, birth, sex = PATIENTS[self.patient]
        uid = f"{self.uid}.{series}.{number}"
        day, time = self.when.strftime("%Y%m%d"), self.when.strftime("%H%M%S")
        rgb = pixels.ndim == 3
        bits = pixels.dtype.itemsize * 8
        stored = 8 if bits == 8 else 12
        elements = [
            (8, 5, "CS", "ISO_IR 192"), (8, 8, "CS", "ORIGINAL\\PRIMARY"), (8, 0x16, "UI", CLASSES[self.modality]),
            (8, 0x18, "UI", uid), (8, 0x20, "DA", day), (8, 0x21, "DA", day), (8, 0x30, "TM", time), (8, 0x31, "TM", time),
            (8, 0x50, "SH", f"A{self.number:07d}"), (8, 0x60, "CS", self.modality), (8, 0x70, "LO", "PHANTOM"),
            (8, 0x80, "LO", "HÔPITAL DE DÉMONSTRATION"), (8, 0x90, "PN", "ROUX^PAUL"), (8, 0x1030, "LO", self.description),
            (8, 0x103E, "LO", description), (0x10, 0x10, "PN", name), (0x10, 0x20, "LO", pid), (0x10, 0x30, "DA", birth),
            (0x10, 0x40, "CS", sex), (0x20, 0xD, "UI", self.uid), (0x20, 0xE, "UI", f"{self.uid}.{series}"),
            (0x20, 0x10, "SH", str(self.number)), (0x20, 0x11, "IS", str(series)), (0x20, 0x13, "IS", str(number)),
            (0x28, 2, "US", 3 if rgb else 1), (0x28, 4, "CS", "RGB" if rgb else "MONOCHROME2"),
            (0x28, 0x10, "US", pixels.shape[0]), (0x28, 0x11, "US", pixels.shape[1]), (0x28, 0x100, "US", bits),
            (0x28, 0x101, "US", stored), (0x28, 0x102, "US", stored - 1), (0x28, 0x103, "US", 0),
            (0x7FE0, 0x10, "OB" if bits == 8 or encapsulated else "OW", encapsulated[1] if encapsulated else pixels.tobytes()), *extra]
        if rgb:
            elements.append((0x28, 6, "US", 0))
        return part10(CLASSES[self.modality], uid, elements, encapsulated[0] if encapsulated else EXPLICIT_LE)


class Canvas:
    """An image over [-1, 1] × [-1, 1] (or less across) on which turned ellipses are painted, each within its own box."""

    def __init__(self, rows, columns, ground, across=1.0):
        self.im = np.full((rows, columns), float(ground))
        self.y, self.x = np.linspace(-1, 1, rows), np.linspace(-across, across, columns)

    def ellipse(self, value, cx, cy, rx, ry, turn=0.0, times=False):
        reach = max(rx, ry)
        r0, r1 = np.searchsorted(self.y, (cy - reach, cy + reach))
        c0, c1 = np.searchsorted(self.x, (cx - reach, cx + reach))
        y, x = self.y[r0:r1, None] - cy, self.x[None, c0:c1] - cx
        c, s = np.cos(turn), np.sin(turn)
        inside = ((x * c + y * s) / rx) ** 2 + ((y * c - x * s) / ry) ** 2 < 1
        box = self.im[r0:r1, c0:c1]
        box[inside] = box[inside] * value if times else value


def thorax(k, slices, rng):
    """One axial slice of a chest, in Hounsfield units + 1024."""
    z = k / slices
    c = Canvas(512, 512, -1000)
    c.ellipse(-90, 0, 0.05, 0.86, 0.62)
    c.ellipse(45, 0, 0.05, 0.82, 0.57)
    size = 0.25 + 0.12 * np.sin(np.pi * min(1, z * 1.15))
    for side in (-1, 1):
        c.ellipse(-840, side * 0.40, 0.02, size * 0.95, size * 1.25, side * 0.15)
    c.ellipse(55, -0.10, -0.02, 0.20 + 0.08 * z, 0.20 + 0.06 * z, 0.5)
    c.ellipse(180, 0.06, 0.28, 0.055, 0.055)
    c.ellipse(380, 0, 0.40, 0.11, 0.09)
    c.ellipse(160, 0, 0.40, 0.06, 0.05)
    c.ellipse(20, 0, 0.50, 0.035, 0.03)
    for r in range(9):
        a = -2.7 + r * 0.675 + z * 2.2
        c.ellipse(500, 0.76 * np.cos(a), 0.05 + 0.51 * np.sin(a), 0.05, 0.022, a + 1.57)
    c.ellipse(420, 0, -0.50, 0.07, 0.03)
    if 0.42 < z < 0.56:
        c.ellipse(30, 0.47, -0.08, 0.045, 0.04)  # a nodule
    for i in range(26):
        a, d = rng.uniform(0, 6.28), rng.uniform(0.03, 0.2)
        c.ellipse(-420, 0.4 * (1 if i % 2 else -1) + d * np.cos(a), 0.02 + d * np.sin(a), 0.008, 0.02, a)
    return np.clip(c.im + rng.normal(0, 14, c.im.shape) + 1024, 0, 4095).astype("<u2")


def brain(k, slices, rng):
    c = Canvas(256, 256, 0)
    s = 0.55 + 0.4 * np.sin(np.pi * (0.12 + 0.76 * k / slices))
    c.ellipse(520, 0, 0, 0.86 * s, 0.98 * s)
    c.ellipse(90, 0, 0, 0.80 * s, 0.92 * s)
    c.ellipse(330, 0, 0, 0.77 * s, 0.89 * s)
    for i in range(40):
        a = i * 0.157
        c.ellipse(260, 0.66 * s * np.cos(a), 0.77 * s * np.sin(a), 0.06, 0.03, a)
    for side in (-1, 1):
        c.ellipse(760, side * 0.12 * s, -0.05, 0.06 * s, 0.24 * s, side * 0.2)
    c.ellipse(640, 0.34 * s, 0.22 * s, 0.10, 0.08)
    return np.clip(c.im + rng.normal(0, 12, c.im.shape), 0, 4095).astype("<u2")


def wrist(rng):
    c = Canvas(1024, 820, 250, 0.8)
    y, x = c.y[:, None], c.x[None, :]
    c.ellipse(1100, 0, 0.6, 0.36, 0.9)
    c.ellipse(1150, 0, -0.45, 0.52, 0.62)
    for cx, w in ((-0.15, 0.12), (0.15, 0.085)):
        c.ellipse(2400, cx, 0.75, w, 0.66)
        c.ellipse(2000, cx, 0.75, w * 0.55, 0.60)
    for i in range(8):
        c.ellipse(2350, -0.24 + 0.16 * (i % 4), 0.0 - 0.16 * (i // 4), 0.085, 0.08, i)
    for i in range(5):
        c.ellipse(2450, -0.36 + 0.18 * i, -0.62 - 0.03 * (2 - abs(i - 2)), 0.055, 0.30, (i - 2) * 0.1)
    crack = (np.abs(y - 0.30 - 0.25 * (x + 0.15)) < 0.006) & (np.abs(x + 0.15) < 0.12)
    c.im[crack] = 1300
    return np.clip(c.im + rng.normal(0, 22, c.im.shape), 0, 4095).astype("<u2")


def ultrasound(rng):
    c = Canvas(480, 640, 0, 1.4)
    y, x = (c.y[:, None] + 1) / 2, c.x[None, :] / 2
    angle, depth = np.arctan2(x, y + 0.15), np.hypot(x, y + 0.15)
    fan = (np.abs(angle) < 0.62) & (depth > 0.18) & (depth < 1.1)
    c.im = rng.gamma(2.2, 26, c.im.shape) * np.exp(-depth)
    c.ellipse(0.12, 0.10, -0.10, 0.38, 0.26, times=True)
    c.ellipse(2.2, 0.10, 0.24, 0.32, 0.10, times=True)
    im = np.clip(c.im * fan * 2.2, 0, 255)
    return np.stack([im, im, np.clip(im * 1.06, 0, 255)], -1).astype("u1")


def geometry(orientation, position, spacing):
    return [(0x20, 0x37, "DS", orientation), (0x20, 0x32, "DS", position), (0x28, 0x30, "DS", spacing)]


def objects():
    """(file name, Part 10 bytes), in the order in which the modalities send them."""
    rng = np.random.default_rng(11)
    ct = Study(1, "martin", "CT", "TDM THORACIQUE SANS INJECTION", 2)
    slices = 60
    for k in range(slices):
        z = -150.0 + 3 * k
        extra = geometry("1\\0\\0\\0\\1\\0", f"-180\\-180\\{z:.1f}", "0.703\\0.703") + [
            (0x28, 0x1050, "DS", "40\\-600"), (0x28, 0x1051, "DS", "400\\1500"), (0x28, 0x1052, "DS", "-1024"),
            (0x28, 0x1053, "DS", "1"), (0x28, 0x1054, "LO", "HU"), (0x18, 0x15, "CS", "CHEST"), (0x20, 0x1041, "DS", f"{z:.1f}"),
            (0x18, 0x50, "DS", "3")]
        yield f"ct-{k:03d}.dcm", ct.instance(2, k + 1, "THORAX 3.0 MÉDIASTIN", thorax(k, slices, rng), extra)
    mr = Study(2, "nguyen", "MR", "IRM CÉRÉBRALE", 26)
    for k in range(24):
        extra = geometry("1\\0\\0\\0\\1\\0", f"-120\\-120\\{-60 + 5 * k}", "0.94\\0.94") + [
            (0x28, 0x1050, "DS", "400"), (0x28, 0x1051, "DS", "800"), (0x18, 0x15, "CS", "HEAD")]
        yield f"mr-{k:03d}.dcm", mr.instance(3, k + 1, "AX T2 FLAIR", brain(k, 24, rng), extra)
    for n, patient in enumerate(("yamada", "haddad")):
        cr = Study(3 + n, patient, "CR", "RADIOGRAPHIE DU POIGNET", 5 + n)
        side = "LR"[n]
        yield f"cr-{patient}.dcm", cr.instance(1, 1, "POIGNET FACE", wrist(rng), [
            (0x20, 0x62, "CS", side), (0x20, 0x60, "CS", side), (0x20, 0x20, "CS", "L\\F"), (0x18, 0x15, "CS", "WRIST"),
            (0x28, 0x1050, "DS", "1500"), (0x28, 0x1051, "DS", "2600"), (0x18, 0x5101, "CS", "PA")])
    us = Study(6, "ivanova", "US", "ÉCHOGRAPHIE ABDOMINALE", 1)
    for k in range(3):
        yield f"us-{k}.dcm", us.instance(1, k + 1, "FOIE, VÉSICULE", ultrasound(rng), [(0x18, 0x15, "CS", "ABDOMEN")])


# code, name, unit, range: LOINC codes as laboratories send them
TESTS = {
    "K": ("2823-3", "Potassium", "mmol/L", "3.5-5.1"), "NA": ("2951-2", "Sodium", "mmol/L", "136-145"),
    "CRE": ("2160-0", "Créatinine", "µmol/L", "45-84"), "CRP": ("1988-5", "Protéine C réactive", "mg/L", "<5"),
    "HB": ("718-7", "Hémoglobine", "g/dL", "12.0-16.0"), "WBC": ("6690-2", "Leucocytes", "G/L", "4.0-10.0"),
    "PLT": ("777-3", "Plaquettes", "G/L", "150-400"), "TNI": ("89579-7", "Troponine I hs", "ng/L", "<16"),
    "LAC": ("2524-7", "Lactate", "mmol/L", "0.5-2.2"), "GLU": ("2345-7", "Glucose", "mmol/L", "3.9-6.1"),
}


def stamp(hours):
    return (NOW - datetime.timedelta(hours=hours)).strftime("%Y%m%d%H%M%S")


def pdf(text):
    """A one-page PDF that says one line."""
    stream = f"BT /F1 18 Tf 60 760 Td ({text}) Tj ET".encode("latin-1")
    parts = [b"<< /Type /Catalog /Pages 2 0 R >>", b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
             b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> >> >>",
             b"<< /Length " + str(len(stream)).encode() + b" >>\nstream\n" + stream + b"\nendstream",
             b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"]
    out, offsets = b"%PDF-1.4\n", []
    for n, p in enumerate(parts, 1):
        offsets.append(len(out))
        out += str(n).encode() + b" 0 obj\n" + p + b"\nendobj\n"
    xref = len(out)
    out += b"xref\n0 6\n0000000000 65535 f \n" + b"".join(b"%010d 00000 n \n" % o for o in offsets)
    return out + b"trailer << /Size 6 /Root 1 0 R >>\nstartxref\n" + str(xref).encode() + b"\n%%EOF\n"


def xpn(name):
    """A PN in HL7: its groups are repetitions, told apart by their representation code; the prefix is behind the suffix."""
    repetitions = []
    for group, code in zip(name.split("="), "AIP"):
        family, given, middle, prefix, suffix = (group.split("^") + [""] * 4)[:5]
        repetitions.append(f"{family}^{given}^{middle}^{suffix}^{prefix}^^L^{code}")
    return "~".join(repetitions)


class Laboratory:
    """Messages as an LIS sends them: UTF-8, HL7 2.5, one order a message."""

    def __init__(self):
        self.control = 0

    def head(self, kind, patient, hours):
        self.control += 1
        pid, name, birth, sex = PATIENTS[patient]
        return [f"MSH|^~\\&|LIS|LABO|FANAL|URGENCES|{stamp(hours)}||{kind}|D{self.control:05d}|P|2.5|||||FRA|UNICODE UTF-8",
                f"PID|1||{pid}^^^HOPITAL^PI||{xpn(name)}||{birth}|{sex}",
                f"PV1|1|E|URG^^BOX {self.control % 9 + 1}||||||||||||||||V{pid}"]

    def result(self, patient, order, hours, values, status="F", note=None):
        lines = self.head("ORU^R01^ORU_R01", patient, hours - 0.6)
        lines.append(f"OBR|1|P{order}|F{order}|CHIM^Biochimie et hématologie^L|||{stamp(hours)}|||||||||ROUX^PAUL||||||{stamp(hours - 0.6)}|||{status}")
        for n, (test, value, flag) in enumerate(values, 1):
            code, name, unit, range_ = TESTS[test]
            lines.append(f"OBX|{n}|NM|{code}^{name}^LN||{value}|{unit}|{range_}|{flag}|||{status}|||{stamp(hours)}")
        if note:
            lines.append(f"NTE|1|L|{note}")
        return "\r".join(lines) + "\r"

    def arrival(self, patient, hours):
        lines = self.head("ADT^A04^ADT_A01", patient, hours)
        lines.insert(1, f"EVN|A04|{stamp(hours)}")
        return "\r".join(lines) + "\r"

    def document(self, patient, order, hours, title):
        lines = self.head("ORU^R01^ORU_R01", patient, hours)
        lines.append(f"OBR|1|P{order}|F{order}|CR^Compte rendu^L|||{stamp(hours)}|||||||||ROUX^PAUL||||||{stamp(hours)}|||F")
        encoded = base64.b64encode(pdf(title)).decode()
        lines.append(f"OBX|1|ED|11502-2^{title}^LN||LABO^application^pdf^Base64^{encoded}||||||F")
        return "\r".join(lines) + "\r"


def messages():
    lab = Laboratory()
    for p in PATIENTS:
        yield lab.arrival(p, 3)
    yield lab.result("martin", 100, 30, [("K", "4.2", ""), ("CRE", "78", ""), ("HB", "13.1", ""), ("CRP", "3", "")])
    yield lab.result("martin", 101, 2.5, [("K", "6.4", "HH"), ("NA", "131", "L"), ("CRE", "212", "H"), ("HB", "9.8", "L"),
                                          ("CRP", "148", "H"), ("WBC", "17.2", "H"), ("PLT", "310", ""), ("TNI", "12", ""),
                                          ("LAC", "4.1", "H")], note="Prélèvement non hémolysé, résultat téléphoné")
    yield lab.result("dupont", 110, 4, [("GLU", "2.6", "LL"), ("K", "3.9", "")], status="P")
    yield lab.result("dupont", 110, 3.5, [("GLU", "2.8", "LL"), ("K", "3.9", "")], status="F")
    yield lab.result("dupond", 111, 6, [("GLU", "5.2", ""), ("HB", "12.9", "")])
    yield lab.result("nguyen", 120, 5, [("TNI", "18", "H"), ("K", "4.4", "")])
    yield lab.result("nguyen", 121, 2, [("TNI", "940", "HH"), ("K", "4.3", "")])
    yield lab.result("yamada", 130, 8, [("HB", "14.2", ""), ("PLT", "88", "L")])
    yield lab.result("yamada", 130, 7.5, [("HB", "14.2", ""), ("PLT", "208", "")], status="C",
                     note="Correction : agrégats plaquettaires sur le premier tube")
    yield lab.result("haddad", 140, 1.5, [("WBC", "8.1", ""), ("CRP", "2", "")], status="P")
    yield lab.result("ivanova", 150, 1, [("CRP", "61", "H"), ("WBC", "13.4", "H")])
    yield lab.document("martin", 160, 1.2, "Compte rendu de microbiologie")


def write_objects(directory):
    """Paths of the files, in sending order."""
    os.makedirs(directory, exist_ok=True)
    paths = []
    for name, data in objects():
        paths.append(os.path.join(directory, name))
        with open(paths[-1], "wb") as f:
            f.write(data)
    return paths
