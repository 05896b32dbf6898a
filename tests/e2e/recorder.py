"""A recorder between a DICOM sender and its receiver: passes every byte on, and keeps the data sets that went by.

Knows PDUs (PS3.8 9.3) and command sets (PS3.7 E) and nothing else, so that what it kept is what was on the wire.
"""
import collections
import socket
import struct
import threading

BIG_ENDIAN = "1.2.840.10008.1.2.2"
Stored = collections.namedtuple("Stored", "syntax data status")


class Conversation:
    """One association, both directions."""

    def __init__(self):
        self.pending = {"up": b"", "down": b""}
        self.syntaxes, self.pieces, self.answer = {}, [], b""
        self.objects, self.statuses = [], []

    def feed(self, way, data):
        held = self.pending[way] + data
        while len(held) >= 6 and len(held) >= 6 + struct.unpack_from(">I", held, 2)[0]:
            end = 6 + struct.unpack_from(">I", held, 2)[0]
            self.pdu(way, held[0], held[6:end])
            held = held[end:]
        self.pending[way] = held

    def pdu(self, way, kind, body):
        if kind == 2:
            self.accepted(body)
        at = 0
        while kind == 4 and at + 6 <= len(body):
            length, context, flags = struct.unpack_from(">IBB", body, at)
            value = body[at + 6:at + 4 + length]
            at += 4 + length
            if way == "down":
                self.answer += value
                if flags & 2:
                    self.statuses.append(field(self.answer, 0x900))
                    self.answer = b""
            elif not flags & 1:
                self.pieces.append(value)
                if flags & 2:
                    self.objects.append((self.syntaxes.get(context), b"".join(self.pieces)))
                    self.pieces = []

    def accepted(self, body):
        at = 68
        while at + 4 <= len(body):
            kind, length = body[at], struct.unpack_from(">H", body, at + 2)[0]
            item = body[at + 4:at + 4 + length]
            if kind == 0x21 and item[2] == 0:
                self.syntaxes[item[0]] = item[8:8 + struct.unpack_from(">H", item, 6)[0]].decode("ascii")
            at += 4 + length


def field(command, element):
    at = 0
    while at + 8 <= len(command):
        group, number, length = struct.unpack_from("<HHI", command, at)
        if (group, number) == (0, element) and length == 2:
            return struct.unpack_from("<H", command, at + 8)[0]
        at += 8 + length
    return None


class Recorder:
    """A port for each name asked for; everything goes on to `port`."""

    def __init__(self, port):
        self.port, self.kept, self.listeners, self.threads = port, {}, [], []

    def port_for(self, name):
        """A fresh port that takes one association, recorded under `name`."""
        listener = socket.create_server(("127.0.0.1", 0))
        thread = threading.Thread(target=self.carry, args=(name, listener), daemon=True)
        self.kept[name] = (thread, Conversation(), listener)
        thread.start()
        return listener.getsockname()[1]

    def carry(self, name, listener):
        with listener:
            try:
                sender, _ = listener.accept()
            except OSError:
                return
        with sender, socket.create_connection(("127.0.0.1", self.port)) as receiver:
            for s in (sender, receiver):
                s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            other = threading.Thread(target=self.pump, args=(name, "down", receiver, sender), daemon=True)
            other.start()
            self.pump(name, "up", sender, receiver)
            other.join(20)

    def pump(self, name, way, source, target):
        try:
            while True:
                data = source.recv(262144)
                if not data:
                    break
                self.kept[name][1].feed(way, data)
                target.sendall(data)
        except OSError:
            pass
        try:
            target.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def stored(self, name):
        """The objects that went by under this name, with what was answered: [Stored]."""
        thread, conversation, listener = self.kept[name]
        try:
            listener.shutdown(socket.SHUT_RDWR)  # who has not come by now comes no more
        except OSError:
            pass
        thread.join(30)
        answers = conversation.statuses + [None] * len(conversation.objects)
        return [Stored(syntax, data, status) for (syntax, data), status in zip(conversation.objects, answers)]

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        pass
