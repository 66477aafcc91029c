"""ZooKeeper's protocol, as far as a test needs it to look at what our programs did: written from its documents, it shares no
code with the C client that they use.
"""
import base64
import hashlib
import socket
import struct

CODES = {0: "ok", -101: "no_node", -102: "no_auth", -110: "exists", -103: "bad_version", -111: "not_empty", -4: "lost"}
ALL = 31
WORLD = [(ALL, "world", "anyone")]


class Refused(Exception):
    pass


def text(s):
    raw = s if isinstance(s, bytes) else s.encode()
    return struct.pack(">i", len(raw)) + raw


class Reader:
    def __init__(self, raw):
        self.raw, self.at = raw, 0

    def take(self, form):
        got = struct.unpack_from(">" + form, self.raw, self.at)
        self.at += struct.calcsize(">" + form)
        return got[0] if len(got) == 1 else got

    def text(self):
        length = self.take("i")
        if length < 0:
            return b""
        self.at += length
        return self.raw[self.at - length:self.at]

    def stat(self):
        names = ("czxid", "mzxid", "ctime", "mtime", "version", "cversion", "aversion", "owner", "length", "children", "pzxid")
        return dict(zip(names, self.take("qqqqiiiqiiq")))


class Client:
    """One connection and session; end() it soon: it sends no pings."""

    def __init__(self, at, auth=None, timeout_ms=30_000):
        host, _, port = at.split(",")[0].rpartition(":")
        self.socket = socket.create_connection((host, int(port)), 10)
        self.socket.settimeout(20)
        self.xid = 0
        try:
            self.begin(auth, timeout_ms)
        except OSError:
            self.socket.close()
            raise

    def begin(self, auth, timeout_ms):
        self.send(struct.pack(">iqiq", 0, 0, timeout_ms, 0) + text(b"\0" * 16) + b"\0")
        said = Reader(self.receive())
        _, self.timeout_ms, self.session = said.take("iiq")
        if auth:
            self.send(struct.pack(">iii", -4, 100, 0) + text("digest") + text(auth))
            self.answer(-4)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()

    def end(self):
        try:
            self.call(-11, b"")
        except (OSError, Refused):
            pass
        self.socket.close()

    def send(self, raw):
        self.socket.sendall(struct.pack(">i", len(raw)) + raw)

    def exactly(self, n):
        raw = b""
        while len(raw) < n:
            more = self.socket.recv(n - len(raw))
            if not more:
                raise ConnectionResetError("ZooKeeper has closed the connection")
            raw += more
        return raw

    def receive(self):
        return self.exactly(struct.unpack(">i", self.exactly(4))[0])

    def answer(self, xid):
        while True:
            said = Reader(self.receive())
            got, _, code = said.take("iqi")
            if got == xid:
                if code != 0:
                    raise Refused(CODES.get(code, str(code)))
                return said

    def call(self, kind, body):
        self.xid += 1
        self.send(struct.pack(">ii", self.xid, kind) + body)
        return self.answer(self.xid)

    # --- what tests do
    def create(self, path, value=b"", ephemeral=False, acl=WORLD):
        rights = struct.pack(">i", len(acl)) + b"".join(struct.pack(">i", p) + text(s) + text(i) for p, s, i in acl)
        return self.call(1, text(path) + text(value) + rights + struct.pack(">i", 1 if ephemeral else 0)).text().decode()

    def get(self, path):
        said = self.call(4, text(path) + b"\0")
        return said.text(), said.stat()

    def exists(self, path):
        try:
            return self.call(3, text(path) + b"\0").stat()
        except Refused as e:
            if str(e) == "no_node":
                return None
            raise

    def names(self, path):
        try:
            said = self.call(8, text(path) + b"\0")
        except Refused as e:
            if str(e) == "no_node":
                return []
            raise
        return sorted(said.text().decode() for _ in range(said.take("i")))

    def delete(self, path):
        self.call(2, text(path) + struct.pack(">i", -1))

    def delete_all(self, path):
        for name in self.names(path):
            self.delete_all(path.rstrip("/") + "/" + name)
        self.delete(path)

    def acl(self, path):
        said = self.call(6, text(path))
        return sorted((said.take("i"), said.text().decode(), said.text().decode()) for _ in range(said.take("i")))


def digest(auth):
    user = auth.partition(":")[0]
    return user + ":" + base64.b64encode(hashlib.sha1(auth.encode()).digest()).decode()
