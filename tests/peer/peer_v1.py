"""A peer of protocol version 1, frozen: an agent, a Local, a Center and a Local's other side, in plain Python.

Each keeps in memory what its role keeps on disk, obeys docs/protocol.md as of version 1, and asserts what the other side
owes it. Thread: one owner each; Center and AgentSide have a thread of their own for the one who connects.
"""
import os
import socket
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "audit"))
from xxh3 import xxh3  # noqa: E402
from wire_v1 import *  # noqa: E402,F403

ROLE_AGENT, ROLE_LOCAL = 1, 2


def cluster_of(name):
    return "%016x" % max(1, xxh3(name.encode()))


def source_hash(data):
    return xxh3(data) & 0xFFFFFFFF


class Batch:
    """Some whole lines of one stream, as sent: the same bytes each time."""

    def __init__(self, first, lines, start):
        self.first, self.count, self.raw, self.start = first, lines.count(b"\n"), lines, start
        self.end, self.file_end = first + self.count, start + len(lines)
        self.codec, self.payload = compress(lines)
        self.crc = crc32c(self.payload)

    def head(self, stream, sources, **more):
        return batch_head(stream, self.first, (self.count, len(self.raw)), self.payload, self.codec, sources,
                          payload_crc=self.crc, **more)


# --- an agent -----------------------------------------------------------------------------------


class Agent:
    """Lines of made-up files, one a category, given to a Local."""

    def __init__(self, path):
        self.path, self.wire, self.local_id = path, None, None
        self.batches, self.next, self.acked, self.final = {}, {}, {}, {}  # by category
        self.content = {}

    def number(self, category):
        return sorted(self.batches).index(category) + 1 if category in self.batches else 0

    def add(self, category, lines):
        if category not in self.batches:
            assert not self.wire, "name the categories before connecting"
            self.batches[category], self.content[category] = [], b""
        mine = self.batches[category]
        mine.append(Batch(mine[-1].end if mine else 0, lines, len(self.content[category])))
        self.content[category] += lines

    def connect(self, streams=True):
        self.wire = Wire(self.path)
        self.wire.send(HELLO, message("hello", role=ROLE_AGENT, version="peer 1", frame_version_max=1))
        told = {}
        files = {}
        while True:
            welcome = self.wire.expect(WELCOME, "local_welcome")
            told.update((s["stream"], s["next_seq"]) for s in welcome["streams"])
            files.update((f["file"], f["next"]) for f in welcome["files"])
            if welcome["last"]:
                break
        assert self.local_id in (None, welcome["local_id"])
        self.local_id = welcome["local_id"]
        for category in self.batches if streams else ():
            n = self.number(category)
            # What was acknowledged is there for ever.
            assert told.get(n, 0) >= self.acked.get(category, 0)
            self.next[category] = self.acked[category] = told.get(n, 0)
            self.define(n, category, files.get(n, 0))

    def define(self, n, category, next_byte):
        self.wire.send(STREAM_DEF, message("stream_def", stream=n, category=category))
        identity = {"filesystem": 1, "handle": b"h%d" % n, "inode": n}
        content = self.content[category][:next_byte]
        self.wire.send(FILE_DEF, message("file_def", file={
            "file": n, "identity": identity, "path": "/made/up/" + category, "generation": 0, "next": next_byte,
            "head_hash": source_hash(content[:1024]) if next_byte else 0,
            "tail_hash": source_hash(content[-16:]) if next_byte else 0}))

    def send_one(self, category, batch):
        n = self.number(category)
        content = self.content[category]
        source = (n, batch.start, batch.file_end, batch.count, source_hash(content[:min(batch.file_end, 1024)]),
                  source_hash(content[max(0, batch.file_end - 16):batch.file_end]))
        self.wire.send(APPEND, batch.head(n, [source]), batch.payload, PUSH)
        self.next[category] = batch.end

    def pump(self, seconds=0.05):
        for category, batches in self.batches.items():
            for batch in batches:
                if batch.first == self.next[category]:
                    self.send_one(category, batch)
        found = self.wire.receive(seconds)
        while found:
            self.take(*found[:2])
            found = self.wire.receive(0)

    def take(self, kind, header):
        names = {self.number(category): category for category in self.batches}
        if kind == ACK:
            ack = decode(MESSAGES["ack"], header)
            assert ack["next_seq"] >= self.acked[names[ack["stream"]]]
            self.acked[names[ack["stream"]]] = ack["next_seq"]
        elif kind == EXPECT:
            expect = decode(MESSAGES["expect"], header)
            self.next[names[expect["stream"]]] = expect["next_seq"]
        elif kind == COMMITTED:
            for p in decode(MESSAGES["committed"], header)["positions"]:
                if p["stream"] in names:
                    self.final[names[p["stream"]]] = p["seq"]
        elif kind == REJECT:
            raise Gone(decode(MESSAGES["reject"], header))

    def until(self, books, seconds=30):
        """Sends until every batch is in `books` (self.acked or self.final)."""
        end = time.monotonic() + seconds
        while any(books.get(c, 0) < b[-1].end for c, b in self.batches.items()):
            assert time.monotonic() < end, "%s of %s" % (books, {c: b[-1].end for c, b in self.batches.items()})
            self.pump()

    def close(self):
        self.wire.send(GOODBYE)
        self.wire.close()
        self.wire = None


# --- a Local ------------------------------------------------------------------------------------


class Local:
    """A spool in memory, and its way to a Center."""

    def __init__(self, where, cluster, local_id=0x1122334455667788, start=1, host="peer"):
        self.where, self.cluster, self.local_id, self.host = where, cluster, local_id, host
        self.start, self.start_before = start, 0
        self.streams = []  # [category, sub, batches, committed]; the number is the index + 1
        self.wire = None

    def add(self, category, lines, sub=0):
        stream = next((s for s in self.streams if s["category"] == category and s["sub"] == sub), None)
        if stream is None:
            stream = {"category": category, "sub": sub, "batches": [], "chains": {0: 0}, "committed": 0, "sent": None,
                      "barrier": 0, "refused": None}
            self.streams.append(stream)
            if self.wire:
                self.declare(len(self.streams))
        batch = Batch(stream["batches"][-1].end if stream["batches"] else 0, lines, 0)
        batch.before = stream["chains"][batch.first]
        batch.after = stream["chains"][batch.end] = next_chain(batch.before, batch.crc, batch.count)
        stream["batches"].append(batch)

    def declare(self, n):
        s = self.streams[n - 1]
        self.wire.send(STREAM_DEF, message("stream_def", stream=n, category=s["category"], sub=s["sub"]))

    def hello(self, **more):
        return message("hello", **{**dict(
            role=ROLE_LOCAL, cluster=self.cluster, local_id=self.local_id, start=self.start, start_before=self.start_before,
            host=self.host, version="peer 1", frame_version_max=1,
            streams=[dict(stream=n, category=s["category"], sub=s["sub"], first_seq=0,
                          next_seq=s["batches"][-1].end) for n, s in enumerate(self.streams, 1)]), **more})

    def connect(self):
        """Tries as a Local does: a BUSY or a closed door is no refusal."""
        end = time.monotonic() + 30
        while True:
            try:
                return self.connect_once()
            except Gone as gone:
                if gone.reject or time.monotonic() > end:
                    raise
                time.sleep(0.2)

    def connect_once(self):
        if self.wire:
            self.wire.close()
        self.wire = Wire(self.where)
        self.wire.send(HELLO, self.hello())
        self.credit, self.used, self.pings, self.pongs = {}, {}, 0, 0
        for s in self.streams:
            s["sent"] = None
        while True:
            found = self.wire.receive(10)
            assert found, "no WELCOME"
            if found[0] == WELCOME:
                break
            assert found[0] in (REJECT, BUSY), found
        welcome = decode(MESSAGES["welcome"], found[1])
        assert welcome["cluster"] == self.cluster and len(welcome["sinks"]) == 1
        self.sink = welcome["sinks"][0]["sink"]
        for p in welcome["positions"]:
            self.position(p, False)

    def position(self, p, rewind):
        assert p["sink"] == self.sink
        if p["stream"] > len(self.streams):
            return  # declared by a test's own hand
        s = self.streams[p["stream"] - 1]
        assert s["chains"].get(p["seq"]) == p["chain"], "another chain at line %d" % p["seq"]
        assert p["seq"] >= s["committed"], "a position went back"
        if not rewind:
            s["committed"] = p["seq"]
            s["sent"] = p["seq"] if s["sent"] is None else max(s["sent"], p["seq"])
            return
        if s["sent"] is not None and s["sent"] > p["seq"] and s["barrier"] <= self.pongs:
            self.wire.send(PING)
            self.pings += 1
            s["barrier"] = self.pings
        s["sent"] = p["seq"]

    def pump(self, seconds=0.05):
        for n, s in enumerate(self.streams, 1):
            for batch in s["batches"]:
                if s["refused"] or batch.first != s["sent"] or s["barrier"] > self.pongs:
                    continue
                if self.used.get(s["category"], 0) < self.credit.get(s["category"], 0):
                    self.send_one(n, batch)
        found = self.wire.receive(seconds)
        while found:
            self.take(*found[:2])
            found = self.wire.receive(0)

    def send_one(self, n, batch):
        s = self.streams[n - 1]
        head = batch.head(n, [], sub=s["sub"], chain_before=batch.before, chain_after=batch.after)
        self.wire.send(DATA, struct.pack("<I", 1) + head, batch.payload)
        self.used[s["category"]] = self.used.get(s["category"], 0) + len(head) + len(batch.payload)
        s["sent"] = batch.end

    def take(self, kind, header):
        if kind == COMMITTED:
            for p in decode(MESSAGES["committed"], header)["positions"]:
                self.position(p, False)
        elif kind == REWIND:
            self.position(decode(MESSAGES["rewind"], header)["to"], True)
        elif kind == CREDIT:
            credit = decode(MESSAGES["credit"], header)
            assert credit["bytes"] >= self.credit.get(credit["category"], 0)
            self.credit[credit["category"]] = credit["bytes"]
        elif kind == PONG:
            self.pongs += 1
        elif kind == REJECT:
            reject = decode(MESSAGES["reject"], header)
            if REJECT_CODES[reject["code"]] not in ("CHAIN", "CATEGORY", "RETIRED") or not reject["stream"]:
                raise Gone(reject)
            self.streams[reject["stream"] - 1]["refused"] = reject
        elif kind == BUSY:
            raise Gone()

    def lines(self):
        return b"".join(b.raw for s in self.streams for b in s["batches"])

    def until_committed(self, seconds=30, flush=True):
        end = time.monotonic() + seconds
        flushed = False
        while any(s["committed"] < s["batches"][-1].end for s in self.streams if not s["refused"]):
            assert time.monotonic() < end, [(s["category"], s["committed"], s["sent"]) for s in self.streams]
            self.pump()
            if flush and not flushed and all(s["sent"] == s["batches"][-1].end for s in self.streams if not s["refused"]):
                self.wire.send(FLUSH)
                flushed = True

    def cut(self):
        """The connection ends without a word."""
        self.wire.close()
        self.wire = None

    def close(self):
        if self.wire:
            self.wire.send(GOODBYE)
            self.cut()


# --- the other sides ----------------------------------------------------------------------------


class Side(threading.Thread):
    """Takes one connection after another; `self.failed` is the first thing that was wrong, for the test to raise."""

    def __init__(self, door):
        super().__init__(daemon=True)
        self.door, self.wire, self.failed, self.over = door, None, None, False
        self.connections = 0
        self.lock = threading.Lock()
        self.start()

    def run(self):
        while not self.over:
            try:
                self.wire = Wire(self.door.accept()[0])
            except OSError:
                return
            self.connections += 1
            try:
                self.serve(self.wire)
            except Gone:
                pass
            except Exception as wrong:  # noqa: BLE001: said by check()
                self.failed = self.failed or wrong
            self.wire.close()

    def check(self):
        if self.failed:
            raise self.failed

    def cut(self):
        try:
            self.wire.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # it is between two connections

    def end(self):
        self.over = True
        self.door.shutdown(socket.SHUT_RDWR)
        self.door.close()


class Center(Side):
    """A Center whose store is memory: everything that comes is committed at once, or when commit() says so."""

    def __init__(self, cluster, port=0, at_once=True):
        self.cluster, self.sink, self.at_once = cluster, "00000000000000ab", at_once
        self.rows = {}  # (local_id, category, sub): {"received": (seq, chain), "committed": ..., "raw": bytes}
        self.hosts = set()
        super().__init__(socket.create_server(("127.0.0.1", port)))
        self.port = self.door.getsockname()[1]

    def text(self, category):
        with self.lock:
            return b"".join(row["raw"][:row["end"]] for (_, name, _), row in sorted(self.rows.items()) if name == category)

    def place(self, n, seq_chain):
        return dict(sink=self.sink, stream=n, seq=seq_chain[0], chain=seq_chain[1])

    def row(self, hello, stream):
        return self.rows.setdefault((hello["local_id"], stream["category"], stream["sub"]), {
            "received": (0, 0), "committed": (0, 0), "raw": b"", "end": 0, "n": 0})

    def serve(self, wire):
        hello = wire.expect(HELLO, "hello")
        assert hello["role"] == ROLE_LOCAL and hello["cluster"] == self.cluster and hello["local_id"]
        self.hosts.add(hello["host"])
        streams = {s["stream"]: s for s in hello["streams"]}
        with self.lock:
            for row in self.rows.values():  # what was not committed comes again
                row["received"], row["raw"] = row["committed"], row["raw"][:row["end"]]
            wire.send(WELCOME, message(
                "welcome", center="peer", cluster=self.cluster, version="peer 1", incarnation="1-peer",
                sinks=[dict(sink=self.sink, name="memory", incarnation="1-peer", required=1)],
                positions=[self.place(n, self.row(hello, s)["committed"]) for n, s in streams.items()]))
        for s in streams.values():
            self.give(wire, s["category"])
        while not self.over:
            found = wire.receive(0.1)
            with self.lock:
                if found:
                    self.take(wire, hello, streams, *found)
                if self.at_once:
                    self.commit(wire, hello, streams)

    def give(self, wire, category):
        wire.send(CREDIT, message("credit", sink=self.sink, category=category, bytes=1 << 40))

    def take(self, wire, hello, streams, kind, header, payload):
        if kind == STREAM_DEF:
            s = decode(MESSAGES["stream_def"], header)
            streams[s["stream"]] = s
            wire.send(COMMITTED, message("committed", positions=[
                self.place(s["stream"], self.row(hello, s)["committed"])]))
            self.give(wire, s["category"])
        elif kind == DATA:
            assert header[:4] == b"\1\0\0\0"
            fields = read_head(header[4:])
            raw = inflate(fields, payload)
            row = self.row(hello, streams[fields["stream"]])
            if fields["first_seq"] != row["received"][0]:
                return wire.send(REWIND, message("rewind", to=self.place(fields["stream"], row["received"])))
            assert fields["chain_before"] == row["received"][1]
            assert fields["chain_after"] == next_chain(fields["chain_before"], fields["payload_crc"], fields["count"])
            row["received"] = fields["first_seq"] + fields["count"], fields["chain_after"]
            row["raw"] += raw
        elif kind == PING:
            wire.send(PONG)

    def commit(self, wire, hello, streams):
        for n, s in streams.items():
            row = self.row(hello, s)
            if row["committed"] != row["received"]:
                row["committed"], row["end"] = row["received"], len(row["raw"])
                wire.send(COMMITTED, message("committed", positions=[self.place(n, row["committed"])]))


class AgentSide(Side):
    """A Local as its agent sees it: takes batches only where the last one ended, and commits them at once."""

    def __init__(self, path):
        self.rows, self.files, self.sink = {}, {}, "00000000000000ab"
        door = socket.socket(socket.AF_UNIX)
        door.bind(path)
        door.listen(4)
        super().__init__(door)

    def text(self, category):
        with self.lock:
            return b"".join(row["raw"] for row in self.rows.values() if row["category"] == category)

    def serve(self, wire):
        hello = wire.expect(HELLO, "hello")
        assert hello["role"] == ROLE_AGENT
        with self.lock:
            wire.send(WELCOME, message(
                "local_welcome", local_id=77, version="peer 1", last=1, files=list(self.files.values()),
                streams=[dict(stream=n, category=r["category"], sub=0, first_seq=0, next_seq=r["next"])
                         for n, r in self.rows.items()],
                committed=[dict(sink=self.sink, stream=n, seq=r["next"], chain=1) for n, r in self.rows.items()]))
        while not self.over:
            found = wire.receive(0.1)
            with self.lock:
                if found:
                    self.take(wire, *found)

    def take(self, wire, kind, header, payload):
        if kind == STREAM_DEF:
            s = decode(MESSAGES["stream_def"], header)
            self.rows.setdefault(s["stream"], {"category": s["category"], "next": 0, "raw": b""})
        elif kind == FILE_DEF:
            f = decode(MESSAGES["file_def"], header)["file"]
            if f["file"] in self.files:
                f["next"] = self.files[f["file"]]["next"]
            self.files[f["file"]] = f
        elif kind == APPEND:
            fields = read_head(header)
            row = self.rows[fields["stream"]]
            if fields["first_seq"] != row["next"] or any(self.files[r[0]]["next"] != r[1] for r in fields["ranges"]):
                return wire.send(EXPECT, message("expect", stream=fields["stream"], next_seq=row["next"], files=[
                    dict(file=r[0], next=self.files[r[0]]["next"]) for r in fields["ranges"]]))
            row["raw"] += inflate(fields, payload)
            row["next"] += fields["count"]
            for r in fields["ranges"]:
                self.files[r[0]].update(next=r[2], head_hash=r[4], tail_hash=r[5])
            wire.send(ACK, message("ack", stream=fields["stream"], next_seq=row["next"]))
            wire.send(COMMITTED, message("committed", positions=[
                dict(sink=self.sink, stream=fields["stream"], seq=row["next"], chain=1)]))
