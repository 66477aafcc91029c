"""A proxy in front of each server of a HDFS that does to requests and answers what networks do: cuts at byte n, comes late,
repeats, swallows, flips a bit. Redirects to a DataNode lead through it too.
"""
import dataclasses
import os
import random
import socket
import struct
import sys
import threading
import time
import urllib.parse

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../road"))
from ports import free_port  # noqa: E402

CUT_REQUEST = "cut request"    # `at` bytes of the body reach the server, then the connection ends; -1: not even the head does
CUT_ANSWER = "cut answer"      # the server has done it; `at` bytes of what it says come, then the connection ends
LATE_REQUEST = "late request"  # the server gets it after `seconds`, though the client may have gone
LATE_ANSWER = "late answer"    # the server has done it; the client hears after `seconds`
REPEAT = "repeat"              # the server gets it twice, one after the other; the second answer comes (no body beyond 1 MiB)
SWALLOW = "swallow"            # neither gets anything more, the connection stays open until the proxy ends
FLIP = "flip"                  # the `at`th byte of the body reaches the server with another lowest bit
KINDS = (CUT_REQUEST, CUT_ANSWER, LATE_REQUEST, LATE_ANSWER, REPEAT, SWALLOW)
MOST_REPEATED = 1 << 20


@dataclasses.dataclass
class Fault:
    """What is done to the next `times` requests of that `op` (None: any) with `part` in their path and query, to a server with
    `to` in its name."""
    kind: str
    op: str = None
    part: str = ""
    to: str = ""
    at: int = 0
    seconds: float = 0
    times: int = 1
    hard: bool = True  # a cut is a RST, else a FIN

    def is_for(self, request, server):
        return (self.times > 0 and self.op in (None, request.op) and self.part in request.target and self.to in server.name)


class Message:
    """The head of a request or an answer, as bytes and understood, and how its body ends."""

    def __init__(self, stream):
        self.head = b""
        while not self.head.endswith(b"\r\n\r\n"):
            line = stream.readline(65536)
            if not line:
                raise EOFError
            self.head += line
        first, *lines = self.head.decode("latin-1").split("\r\n")
        self.first = first.split(" ", 2)
        self.headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines if line)}
        self.chunked = "chunked" in self.headers.get("transfer-encoding", "").lower()
        self.length = int(self.headers["content-length"]) if "content-length" in self.headers else None


class Request(Message):
    def __init__(self, stream):
        super().__init__(stream)
        self.last = False  # the server closes after its answer
        where = urllib.parse.urlsplit(self.first[1])
        self.path = urllib.parse.unquote(where.path)
        self.target = self.path + "?" + where.query
        self.op = urllib.parse.parse_qs(where.query).get("op", [""])[0].upper()
        if not self.chunked:
            self.length = self.length or 0


def body(message, stream):
    """The raw bytes of the body, in pieces."""
    if message.chunked:
        while True:
            line = stream.readline(65536)
            size = int(line.split(b";")[0], 16)
            yield line + stream.read(size + 2)
            if size == 0:
                return
    left = message.length
    while left is None or left > 0:
        piece = stream.read1(65536 if left is None else min(left, 65536))
        if not piece:
            if left is not None:
                raise EOFError
            return
        left = None if left is None else left - len(piece)
        yield piece


def flipped(pieces, at):
    for piece in pieces:
        if 0 <= at < len(piece):
            piece = piece[:at] + bytes([piece[at] ^ 1]) + piece[at + 1:]
        at -= len(piece)
        yield piece


class HttpFaults:
    """Doors to all of `hdfs`'s servers, which must run. `add` a Fault; `fired` lists (kind, op, path) of those done, `asked`
    (server, op, target, how many were swallowed before, whether the last of them is still waited for) of all requests."""

    def __init__(self, hdfs):
        self.lock, self.faults, self.fired, self.sockets, self.ended = threading.Lock(), [], [], [], False
        self.random, self.rate = random.Random(0), 0
        self.asked, self.swallowed, self.waited_for = [], 0, False
        servers = [*hdfs.namenodes, *hdfs.datanodes] + ([hdfs.httpfs] if hdfs.httpfs else [])
        self.doors = {server.at: "%s:%d" % (hdfs.host, free_port()) for server in servers}
        self.urls = ["http://" + self.doors[node.at] for node in hdfs.namenodes]
        self.httpfs_url = hdfs.httpfs and "http://" + self.doors[hdfs.httpfs.at]
        for server in servers:
            listening = socket.create_server(address(self.doors[server.at]))
            self.sockets.append(listening)
            threading.Thread(target=self.accept, args=(listening, server), daemon=True).start()

    def add(self, kind, **words):
        with self.lock:
            self.faults.append(Fault(kind, **words))

    def at_random(self, rate, seed=0):
        """Besides: `rate` (0 to 1) of all requests get some fault. 0 ends it."""
        with self.lock:
            self.random, self.rate = random.Random(seed), rate

    def heal(self):
        with self.lock:
            self.faults, self.rate = [], 0

    def end(self):
        with self.lock:
            self.ended, sockets = True, list(self.sockets)
        for s in sockets:
            close(s)

    def pick(self, request, server):
        with self.lock:
            fault = next((f for f in self.faults if f.is_for(request, server)), None)
            if fault:
                fault.times -= 1
            elif self.random.random() < self.rate:
                kind = self.random.choice(KINDS[:-1])  # nobody would end a swallowed one
                fault = Fault(kind, at=self.random.choice((-1, 0, 1, 100, 10_000, 1_000_000)) if kind == CUT_REQUEST else
                              self.random.choice((0, 10, 200)), seconds=self.random.random(), hard=self.random.random() < .5)
            self.asked.append((server.name, request.op, request.target, self.swallowed, self.waited_for))
            if fault:
                self.fired.append((fault.kind, request.op, request.path))
                if fault.kind == SWALLOW:
                    self.swallowed, self.waited_for = self.swallowed + 1, True
            return fault

    def keep(self, s):
        with self.lock:
            if self.ended:
                raise OSError("the proxy has ended")
            self.sockets.append(s)
        return s

    # --- one connection of a client ---

    def accept(self, listening, server):
        while True:
            try:
                client, _ = listening.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(client, server), daemon=True).start()

    def serve(self, client, server):
        """Request after request, until one of them or a fault ends it."""
        there = None
        try:
            self.keep(client)
            stream = client.makefile("rb")
            there = self.keep(socket.create_connection(address(server.at)))
            answers = there.makefile("rb")
            while self.exchange(client, stream, there, answers, server):
                pass
        except (OSError, EOFError, ValueError):
            pass
        finally:
            for s in (client, there):
                if s:
                    close(s)

    def exchange(self, client, stream, there, answers, server):
        """One request and its answer; whether another may follow."""
        request = Request(stream)
        fault = self.pick(request, server)
        kind = fault.kind if fault else ""
        if kind == SWALLOW:
            try:
                while stream.read1(65536):
                    pass
            finally:
                self.waited_for = False
            return False
        if kind == LATE_REQUEST:
            time.sleep(fault.seconds)
        if kind == CUT_REQUEST:
            self.send_part(request, stream, there, fault.at)
            for s in (client, there):
                close(s, fault.hard)
            return False
        if kind == REPEAT and (request.length or 0) <= MOST_REPEATED and not request.chunked:
            held = b"".join(body(request, stream))
            with socket.create_connection(address(server.at)) as first:
                first.sendall(request.head + held)
                for _ in self.answer(first.makefile("rb"), request):
                    pass
            there.sendall(request.head + held)
        else:
            there.sendall(request.head)
            pieces = flipped(body(request, stream), fault.at) if kind == FLIP else body(request, stream)
            threading.Thread(target=self.relay, args=(pieces, there), daemon=True).start()
        if kind in (CUT_ANSWER, LATE_ANSWER):
            said = b"".join(self.answer(answers, request))
            if kind == LATE_ANSWER:
                time.sleep(fault.seconds)
                client.sendall(said)
                return not request.last
            client.sendall(said[:fault.at])
            close(client, fault.hard and fault.at == 0)  # a RST could overtake the bytes
            return False
        for piece in self.answer(answers, request):
            client.sendall(piece)
        return not request.last

    @staticmethod
    def relay(pieces, to):
        try:
            for piece in pieces:
                to.sendall(piece)
        except (OSError, EOFError, ValueError):
            close(to)

    @staticmethod
    def send_part(request, stream, there, at):
        if at < 0:
            return
        there.sendall(request.head)
        for piece in body(request, stream):
            there.sendall(piece[:at])
            at -= len(piece)
            if at <= 0:
                break
        time.sleep(0.1)  # that it gets there before the RST

    def answer(self, stream, request):
        """The raw pieces of the answer, with those of "100 Continue" before it, redirected to our doors."""
        while True:
            message = Message(stream)
            head = message.head
            for server, door in self.doors.items():
                head = head.replace(b"://" + server.encode() + b"/", b"://" + door.encode() + b"/")
            yield head
            if message.first[1] != "100":
                break
        if request.first[0] != "HEAD" and message.first[1] not in ("204", "304"):
            yield from body(message, stream)
        request.last = "close" in message.headers.get("connection", "").lower()


def address(at):
    host, _, port = at.rpartition(":")
    return host, int(port)


def close(s, hard=False):
    """At once, though streams are made of it and a thread may be reading one."""
    try:
        if hard:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        s.shutdown(socket.SHUT_RD if hard else socket.SHUT_RDWR)  # wakes who reads
    except OSError:
        pass
    if (number := s.detach()) >= 0:
        os.close(number)
