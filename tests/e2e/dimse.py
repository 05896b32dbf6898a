"""An independent DICOM sender: enough of PS3.7 and PS3.8 to put any data set on the wire unchanged, and to misbehave.

None of Fanal's code, no library: bytes from the standard's tables.
"""
import socket
import struct

VERIFICATION = "1.2.840.10008.1.1"
IMPLICIT_LE = "1.2.840.10008.1.2"
EXPLICIT_LE = "1.2.840.10008.1.2.1"
CT_STORAGE = "1.2.840.10008.5.1.4.1.1.2"
APPLICATION_CONTEXT = b"1.2.840.10008.3.1.1.1"


def item(kind, value):
    return struct.pack(">BBH", kind, 0, len(value)) + value


def associate_rq(contexts, called="FANAL", calling="CT1", max_pdu=131072, version=1, application=APPLICATION_CONTEXT):
    """contexts: [(id, abstract syntax, [transfer syntax, …])]"""
    body = item(0x10, application)
    for number, abstract, syntaxes in contexts:
        body += item(0x20, bytes([number, 0, 0, 0]) + item(0x30, abstract.encode())
                     + b"".join(item(0x40, t.encode()) for t in syntaxes))
    body += item(0x50, item(0x51, struct.pack(">I", max_pdu)) + item(0x52, b"1.2.826.0.1.3680043.10.1.3"))
    called = called if isinstance(called, bytes) else called.encode()
    calling = calling if isinstance(calling, bytes) else calling.encode()
    fixed = struct.pack(">HH", version, 0) + called.ljust(16) + calling.ljust(16) + bytes(32)
    return struct.pack(">BBI", 1, 0, len(fixed + body)) + fixed + body


def element(tag, value):
    value += b"\0" * (len(value) & 1)
    return struct.pack("<HHI", 0, tag, len(value)) + value


def number(tag, value):
    return element(tag, struct.pack("<H", value))


def command(*elements):
    body = b"".join(elements)
    return struct.pack("<HHII", 0, 0, 4, len(body)) + body


def pdata(context, flags, data):
    return struct.pack(">BBIIBB", 4, 0, len(data) + 6, len(data) + 2, context, flags) + data


def echo_rq(context=1, message=1):
    return pdata(context, 3, command(element(2, VERIFICATION.encode()), number(0x100, 0x30), number(0x110, message),
                                     number(0x800, 0x101)))


def store_rq(sop_class, sop_uid, context=1, message=1):
    return pdata(context, 3, command(element(2, sop_class.encode()), number(0x100, 1), number(0x110, message),
                                     number(0x700, 0), number(0x800, 1), element(0x1000, sop_uid.encode())))


def read_exactly(s, n):
    got = b""
    while len(got) < n:
        piece = s.recv(n - len(got))
        if not piece:
            raise EOFError("closed")
        got += piece
    return got


def read_pdu(s):
    head = read_exactly(s, 6)
    return head[0], read_exactly(s, struct.unpack(">I", head[2:])[0])


def elements_of(data):
    found, at = {}, 0
    while at + 8 <= len(data):
        group, tag, length = struct.unpack_from("<HHI", data, at)
        found[group, tag] = data[at + 8:at + 8 + length]
        at += 8 + length
    return found


class Refused(RuntimeError):
    """A-ASSOCIATE-RJ: .result .source .reason"""

    def __init__(self, body):
        self.result, self.source, self.reason = body[1], body[2], body[3]
        super().__init__(f"rejected {self.result}/{self.source}/{self.reason}")


class Aborted(RuntimeError):
    """A-ABORT: .source .reason"""

    def __init__(self, body):
        self.source, self.reason = body[2], body[3]
        super().__init__(f"aborted {self.source}/{self.reason}")


class Association:
    def __init__(self, port, contexts, host="127.0.0.1", source=None, timeout=20.0, fragment=65536, **rq):
        self.socket = socket.create_connection((host, port), timeout, source_address=(source, 0) if source else None)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.sendall(associate_rq(contexts, **rq))
        self.fragment = fragment
        self.message = 0
        kind, body = read_pdu(self.socket)
        if kind == 3:
            self.socket.close()
            raise Refused(body)
        if kind == 7:
            self.socket.close()
            raise Aborted(body)
        if kind != 2:
            raise RuntimeError(f"PDU {kind} answers an A-ASSOCIATE-RQ")
        self.results, self.syntaxes, self.max_pdu = {}, {}, 0
        at = 68
        while at + 4 <= len(body):
            kind, length = body[at], struct.unpack_from(">H", body, at + 2)[0]
            value = body[at + 4:at + 4 + length]
            if kind == 0x21:
                self.results[value[0]] = value[2]
                self.syntaxes[value[0]] = value[8:8 + struct.unpack_from(">H", value, 6)[0]].decode("ascii", "replace")
            elif kind == 0x50:
                sub = 0
                while sub + 4 <= len(value):
                    if value[sub] == 0x51:
                        self.max_pdu = struct.unpack_from(">I", value, sub + 4)[0]
                    sub += 4 + struct.unpack_from(">H", value, sub + 2)[0]
            at += 4 + length
        if self.max_pdu:
            self.fragment = min(fragment, self.max_pdu - 6)

    def answer(self):
        kind, body = read_pdu(self.socket)
        if kind == 7:
            raise Aborted(body)
        if kind != 4:
            raise RuntimeError(f"PDU {kind}")
        fields = elements_of(body[6:])
        return struct.unpack("<H", fields[0, 0x900])[0], fields

    def echo(self, context=1):
        self.message += 1
        self.socket.sendall(echo_rq(context, self.message))
        return self.answer()[0]

    def send_store(self, context, sop_class, sop_uid, data):
        self.message += 1
        self.socket.sendall(store_rq(sop_class, sop_uid, context, self.message))
        view = memoryview(data)
        for at in range(0, max(len(data), 1), self.fragment):
            piece = view[at:at + self.fragment]
            last = at + self.fragment >= len(data)
            self.socket.sendall(pdata(context, 2 if last else 0, bytes(piece)))

    def store(self, context, sop_class, sop_uid, data):
        self.send_store(context, sop_class, sop_uid, data)
        return self.answer()[0]

    def release(self):
        self.socket.sendall(bytes([5, 0, 0, 0, 0, 4, 0, 0, 0, 0]))
        kind, _ = read_pdu(self.socket)
        self.socket.close()
        return kind == 6

    def close(self):
        self.socket.close()


def echo(port, timeout=2.0, source=None):
    a = Association(port, [(1, VERIFICATION, [IMPLICIT_LE])], timeout=timeout, source=source)
    try:
        return a.echo() == 0 and a.release()
    finally:
        a.close()


def text(tag, value):
    """An explicit little endian element with a short VR (PS3.5 7.1.2)."""
    group, element_, vr = tag
    value = value if isinstance(value, bytes) else value.encode("latin-1")
    value += (b"\0" if vr in ("UI", "OB") else b" ") * (len(value) & 1)
    if vr in ("OB", "OW", "UN", "SQ", "UT"):
        return struct.pack("<HH2sHI", group, element_, vr.encode(), 0, len(value)) + value
    return struct.pack("<HH2sH", group, element_, vr.encode(), len(value)) + value


def ct_data_set(sop_uid, study="2.25.1", series="2.25.1.1", patient_id="PID1", name="DOE^JOHN", birth="19700101", rows=16,
                columns=16, pixels=None, instance=1, extra=b""):
    """A small CT image in explicit little endian."""
    us = lambda g, e, v: struct.pack("<HH2sHH", g, e, b"US", 2, v)
    if pixels is None:
        pixels = bytes((i * 7 + instance) & 0xff for i in range(rows * columns * 2))
    return (text((8, 5, "CS"), "ISO_IR 100") + text((8, 0x16, "UI"), CT_STORAGE) + text((8, 0x18, "UI"), sop_uid)
            + text((8, 0x20, "DA"), "20260101") + text((8, 0x30, "TM"), "101500") + text((8, 0x60, "CS"), "CT")
            + text((0x10, 0x10, "PN"), name) + text((0x10, 0x20, "LO"), patient_id) + text((0x10, 0x30, "DA"), birth)
            + text((0x10, 0x40, "CS"), "M") + text((0x20, 0xd, "UI"), study) + text((0x20, 0xe, "UI"), series)
            + text((0x20, 0x13, "IS"), str(instance)) + us(0x28, 2, 1) + text((0x28, 4, "CS"), "MONOCHROME2")
            + us(0x28, 0x10, rows) + us(0x28, 0x11, columns) + us(0x28, 0x100, 16) + us(0x28, 0x101, 12)
            + us(0x28, 0x102, 11) + us(0x28, 0x103, 0) + extra + text((0x7fe0, 0x10, "OW"), pixels))
