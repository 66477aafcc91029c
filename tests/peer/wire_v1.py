"""Version 1 of what travels, frozen: frames, control messages, batch heads, hashes, in plain Python.

Written from docs/formats and docs/protocol.md alone and never changed with the program: whatever the program becomes
later must still understand a peer that speaks like this. It shares no code with the program, and checks all it reads.
"""
import gzip
import socket
import struct
import time

MAGIC = b"TLR1"
HELLO, WELCOME, REJECT, GOODBYE, PING, PONG = 1, 2, 3, 4, 5, 6
STREAM_DEF, FILE_DEF, FILE_GONE, FILE_GAP, APPEND, EXPECT, ACK = 10, 11, 12, 13, 14, 15, 16
COMMITTED, CREDIT, FLUSH, DATA, GAP, REWIND, BUSY, STALE = 17, 18, 19, 20, 21, 22, 25, 26
PUSH = 1
MOST_BYTES = 4 << 20
UNKNOWN_TIME = -1 << 63
REJECT_CODES = ("OTHER", "PROTOCOL", "CORRUPT", "CHAIN", "DUPLICATE", "CLUSTER", "CATEGORY", "VERSION", "RETIRED")

# --- hashes -----------------------------------------------------------------------------------


def crc_table():
    table = []
    for n in range(256):
        for _ in range(8):
            n = n >> 1 ^ (0x82F63B78 if n & 1 else 0)
        table.append(n)
    return table


CRC_TABLE = crc_table()
M64 = (1 << 64) - 1


def crc32c(data, seed=0):
    crc, table = seed ^ 0xFFFFFFFF, CRC_TABLE
    for byte in data:
        crc = table[(crc ^ byte) & 255] ^ crc >> 8
    return crc ^ 0xFFFFFFFF


def mix64(z):
    z = (z + 0x9E3779B97F4A7C15) & M64
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 & M64
    z = (z ^ z >> 27) * 0x94D049BB133111EB & M64
    return z ^ z >> 31


def next_chain(before, payload_crc, count):
    return mix64(mix64(before ^ payload_crc) ^ (count << 32 & M64))


# --- control messages: the few kinds of protobuf that they need ----------------------------------
# number: (name, kind[, message]); kind: v varint, 8 fixed64, 4 fixed32, b bytes, s text, m message; * repeated.

POSITION = {1: ("sink", "s"), 2: ("stream", "v"), 3: ("seq", "v"), 4: ("chain", "8")}
ORIGIN = {1: ("sink", "s"), 2: ("seq", "v"), 3: ("chain", "8")}
STREAM_STATE = {1: ("stream", "v"), 2: ("category", "s"), 3: ("sub", "v"), 4: ("first_seq", "v"), 5: ("next_seq", "v"),
                6: ("origins", "m*", ORIGIN)}
IDENTITY = {1: ("filesystem", "8"), 2: ("handle", "b"), 3: ("inode", "8"), 4: ("birth_ns", "v")}
FILE_STATE = {1: ("file", "v"), 2: ("identity", "m", IDENTITY), 3: ("path", "b"), 4: ("generation", "v"), 5: ("next", "v"),
              6: ("head_hash", "4"), 7: ("tail_hash", "4")}
SINK = {1: ("sink", "s"), 2: ("name", "s"), 3: ("incarnation", "s"), 4: ("required", "v")}
MESSAGES = {
    "hello": {1: ("role", "v"), 2: ("cluster", "s"), 3: ("local_id", "8"), 4: ("start", "8"), 5: ("start_before", "8"),
              6: ("host", "s"), 7: ("version", "s"), 8: ("frame_version_max", "v"), 9: ("features", "8"),
              10: ("streams", "m*", STREAM_STATE)},
    "local_welcome": {1: ("local_id", "8"), 2: ("streams", "m*", STREAM_STATE), 3: ("files", "m*", FILE_STATE),
                      4: ("last", "v"), 5: ("committed", "m*", POSITION), 6: ("version", "s")},
    "welcome": {1: ("center", "s"), 2: ("cluster", "s"), 3: ("version", "s"), 4: ("settings_version", "8"),
                5: ("sinks", "m*", SINK), 6: ("positions", "m*", POSITION), 7: ("incarnation", "s")},
    "stream_def": {1: ("stream", "v"), 2: ("category", "s"), 3: ("sub", "v")},
    "file_def": {1: ("file", "m", FILE_STATE)},
    "expect": {1: ("stream", "v"), 2: ("next_seq", "v"), 3: ("files", "m*", {1: ("file", "v"), 2: ("next", "v")})},
    "ack": {1: ("stream", "v"), 2: ("next_seq", "v")},
    "committed": {1: ("positions", "m*", POSITION)},
    "credit": {1: ("sink", "s"), 2: ("category", "s"), 3: ("bytes", "v"), 4: ("paused", "v")},
    "rewind": {1: ("to", "m", POSITION)},
    "stale": {1: ("position", "m", POSITION)},
    "busy": {1: ("retry_ms", "v")},
    "reject": {1: ("code", "v"), 2: ("text", "s"), 3: ("stream", "v")},
    "flush": {1: ("streams", "v*")},
    "gap": {1: ("sinks", "s*"), 2: ("stream", "v"), 3: ("first_seq", "v"), 4: ("count", "v"), 5: ("chain_after", "8"),
            6: ("reason", "s")},
}


def varint(n):
    out = bytearray()
    while n > 127:
        out.append(n & 127 | 128)
        n >>= 7
    out.append(n)
    return bytes(out)


def encode(spec, values):
    out = bytearray()
    known = {field[0]: (number, *field[1:]) for number, field in spec.items()}
    for name, value in values.items():
        number, kind, *inner = known[name]
        for one in value if kind.endswith("*") else [value]:
            if kind[0] == "v":
                out += varint(number << 3) + varint(one & M64)
            elif kind[0] in "84":
                out += varint(number << 3 | (1 if kind[0] == "8" else 5)) + struct.pack("<Q" if kind[0] == "8" else "<I", one)
            else:
                if kind[0] == "m":
                    one = encode(inner[0], one)
                elif isinstance(one, str):
                    one = one.encode()
                out += varint(number << 3 | 2) + varint(len(one)) + one
    return bytes(out)


def decode(spec, data):
    """Every field has its value or its zero; what is not in the spec is passed over, as version 1 must."""
    zero = {"v": 0, "8": 0, "4": 0, "b": b"", "s": "", "m": None}
    out = {field[0]: [] if field[1].endswith("*") else zero[field[1][0]] for field in spec.values()}
    at = 0

    def number():
        nonlocal at
        n = shift = 0
        while True:
            byte = data[at]
            at += 1
            n |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return n

    while at < len(data):
        key = number()
        wire = key & 7
        if wire == 0:
            value = number()
        else:
            size = {1: 8, 5: 4, 2: None}[wire]
            size = number() if size is None else size
            value = data[at:at + size]
            assert len(value) == size, "a message is cut short"
            at += size
            if wire != 2:
                value = int.from_bytes(value, "little")
        if key >> 3 not in spec:
            continue
        name, kind, *inner = spec[key >> 3]
        if kind[0] == "m":
            value = decode(inner[0], value)
        elif kind[0] == "s":
            value = value.decode()
        elif kind == "v*" and wire == 2:  # packed
            packed, value = value, []
            while packed:
                n = shift = 0
                for i, byte in enumerate(packed):
                    n |= (byte & 127) << shift
                    shift += 7
                    if byte < 128:
                        break
                value.append(n)
                packed = packed[i + 1:]
            out[name] += value
            continue
        if kind.endswith("*"):
            out[name].append(value)
        else:
            out[name] = value
    return out


def message(name, **values):
    return encode(MESSAGES[name], values)


# --- batches ----------------------------------------------------------------------------------

HEAD = struct.Struct("<BBBBHBBIIQIIIIHHQQqqqqQ")
HEAD_FIELDS = ("version payload_codec file_codec envelope flags sub reserved stream count first_seq raw_len payload_len "
               "payload_crc bucket sources marks chain_before chain_after first_read last_read least_event greatest_event "
               "reserved_too").split()
SOURCE = struct.Struct("<IQQIII")
assert HEAD.size == 100 and SOURCE.size == 32


def batch_head(stream, first_seq, lines, payload, codec=0, sources=(), **more):
    """`sources`: (file, start, end, lines, head_hash, tail_hash). `lines`: how many there are and their bytes."""
    count, raw_len = lines
    now = int(time.time() * 1000)
    fields = dict(version=1, payload_codec=codec, file_codec=1, envelope=0, flags=0, sub=0, reserved=0, stream=stream,
                  count=count, first_seq=first_seq, raw_len=raw_len, payload_len=len(payload), payload_crc=0,
                  bucket=now // 900_000, sources=len(sources), marks=0, chain_before=0, chain_after=0, first_read=now,
                  last_read=now, least_event=UNKNOWN_TIME, greatest_event=UNKNOWN_TIME, reserved_too=0)
    fields.update(more)
    if "payload_crc" not in more:
        fields["payload_crc"] = crc32c(payload)
    return HEAD.pack(*(fields[name] for name in HEAD_FIELDS)) + b"".join(SOURCE.pack(*s) for s in sources)


def read_head(head):
    fields = dict(zip(HEAD_FIELDS, HEAD.unpack_from(head)))
    assert fields["version"] == 1
    assert len(head) == HEAD.size + SOURCE.size * fields["sources"] + 5 * fields["marks"]
    fields["ranges"] = [SOURCE.unpack_from(head, HEAD.size + i * SOURCE.size) for i in range(fields["sources"])]
    return fields


def compress(lines):
    """(codec, payload): below 16 KiB a batch travels raw, else as one gzip member."""
    return (0, lines) if len(lines) < 16 << 10 else (1, gzip.compress(lines, 1))


def inflate(fields, payload):
    assert len(payload) == fields["payload_len"] and crc32c(payload) == fields["payload_crc"]
    raw = gzip.decompress(payload) if fields["payload_codec"] == 1 else payload
    assert len(raw) == fields["raw_len"] and raw.count(b"\n") == fields["count"] and raw.endswith(b"\n")
    return raw


# --- frames -----------------------------------------------------------------------------------


def frame(kind, header=b"", payload=b"", flags=0, version=1, magic=MAGIC, crc=None, lengths=None):
    sizes = lengths or (len(header), len(payload))
    start = struct.pack("<4sBBHII", magic, version, kind, flags, *sizes)
    return start + struct.pack("<I", crc32c(header, crc32c(start)) if crc is None else crc) + header + payload


class Gone(Exception):
    """The other end closed the connection; `reject` is what it said before, or None."""

    def __init__(self, reject=None):
        super().__init__(str(reject))
        self.reject = reject


class Wire:
    """One connection: frames out, frames in. Answers PING by itself."""

    def __init__(self, where, receive_buffer=None):
        self.reject = None
        self.inbox = b""
        if isinstance(where, socket.socket):
            self.socket = where
        else:
            self.socket = socket.socket(socket.AF_UNIX if isinstance(where, str) else socket.AF_INET)
            if receive_buffer:
                self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
            self.socket.settimeout(10)
            try:
                self.socket.connect(where)
            except OSError:
                self.socket.close()
                raise

    def close(self):
        self.socket.close()

    def raw(self, data):
        try:
            self.socket.settimeout(10)
            self.socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            self.drain()

    def send(self, kind, header=b"", payload=b"", flags=0):
        self.raw(frame(kind, header, payload, flags))

    def drain(self):
        """Reads on to the end for the REJECT that may stand there, then says that it is over."""
        while True:
            self.receive(1)

    def receive(self, seconds):
        """(type, header, payload), or None when nothing whole came in time; Gone at the end."""
        end = time.monotonic() + seconds
        while True:
            found = self.cut()
            if found:
                kind, header, payload = found
                if kind == PING:
                    self.send(PONG)
                    continue
                if kind == REJECT:
                    self.reject = decode(MESSAGES["reject"], header)
                return found
            left = end - time.monotonic()
            if left <= 0:
                return None
            self.socket.settimeout(left)
            try:
                data = self.socket.recv(1 << 18)
            except socket.timeout:
                return None
            except OSError:
                raise Gone(self.reject) from None
            if not data:
                raise Gone(self.reject)
            self.inbox += data

    def cut(self):
        if len(self.inbox) < 20:
            return None
        magic, version, kind, flags, header_len, payload_len, crc = struct.unpack_from("<4sBBHIII", self.inbox)
        assert magic == MAGIC and version == 1 and flags & ~PUSH == 0, self.inbox[:20]
        assert header_len + payload_len <= MOST_BYTES
        end = 20 + header_len + payload_len
        if len(self.inbox) < end:
            return None
        header, payload = self.inbox[20:20 + header_len], self.inbox[20 + header_len:end]
        assert crc == crc32c(header, crc32c(self.inbox[:16])), "a frame's checksum is wrong"
        assert not payload or kind in (APPEND, DATA)
        self.inbox = self.inbox[end:]
        return kind, header, payload

    def expect(self, kind, name, seconds=10):
        """The next message of that type; others in between are passed over."""
        end = time.monotonic() + seconds
        while True:
            found = self.receive(max(0, end - time.monotonic()))
            assert found, "no frame of type %d came" % kind
            if found[0] == kind:
                return decode(MESSAGES[name], found[1])
