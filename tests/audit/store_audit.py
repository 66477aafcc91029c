#!/usr/bin/env python3
"""Holds a store to the invariants of docs/protocol.md, by docs/formats/records.md alone.

    store_audit.py ROOT [--origins]        prints what is wrong; exit 0 if nothing is

With --origins a stream may begin in the middle, as for a sink that was added, or had got further than others when a spool was lost.

Shares no code with the program. For a store at rest: while a Center works on it, files may be between two names.
Entries that were removed are known by the manifests of their log; nothing may be missing from both.

  I2  the ranges of each stream over all commit records follow one another from 0, and so do their chains' ends
  I3  every published file is named by exactly one commit record, with its length, hash and lines
  I4  no file stands under a name of ours that no record names
  I7  a lane's claims have consecutive epochs, and their tables, and those beside them, are the fold of all records before; nothing follows a
      SPLIT, and the parts of that lane, and only those, begin with their share of its table
  I8  nothing follows a FENCE, and entries repeat each other's checksums
  I9  every committed file is published, or listed by the last record of a log that is not DONE
"""
import gzip
import os
import re
import shutil
import subprocess
import struct
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../road"))
import sequence_file  # noqa: E402
from xxh3 import xxh3  # noqa: E402

UNKNOWN = -(1 << 63)
COMMIT, FENCE = 1, 2
SEQUENCE = 2  # a file's format
OWN, NONE, SPLIT, DONE = 1, 2, 3, 4
FINAL_NAME = re.compile(r"[a-z0-9][a-z0-9._-]*-\d{8}T\d{6}Z-.*-(?P<log>\d+-[0-9a-f]{16})-(?P<entry>\d+)-\d+"
                        r"(\.log(\.gz|\.zst|\.snappy)?|\.seq)$")


class Corrupt(Exception):
    pass


def crc32c_table():
    for byte in range(256):
        crc = byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
        yield crc


TABLE = list(crc32c_table())


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = TABLE[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    return crc ^ 0xFFFFFFFF


# --- records, as their page describes them ------------------------------------------------------------
class Reader:
    def __init__(self, data, letter):
        if data[:4] != b"TLR" + letter or data[4] != 1 or struct.unpack_from("<I", data, 5)[0] != len(data):
            raise Corrupt("magic, version or length")
        self.crc = struct.unpack_from("<I", data, len(data) - 4)[0]
        if crc32c(data[:-4]) != self.crc:
            raise Corrupt("checksum")
        self.data, self.at = data[9:-4], 0

    def take(self, kind):
        value = struct.unpack_from("<" + kind, self.data, self.at)[0]
        self.at += struct.calcsize("<" + kind)
        return value

    def u8(self): return self.take("B")
    def u32(self): return self.take("I")
    def u64(self): return self.take("Q")
    def i64(self): return self.take("q")

    def text(self):
        n = self.take("H")
        self.at += n
        if self.at > len(self.data):
            raise Corrupt("a text ends outside")
        return self.data[self.at - n:self.at].decode()

    def list(self, item):
        return [item(self) for _ in range(self.u32())]

    def end(self, record):
        if self.at != len(self.data):
            raise Corrupt("bytes left over")
        record["crc"] = self.crc
        return record


def file_ref(r):
    return {"stage": r.text(), "final": r.text(), "bytes": r.u64()}


def committed_file(r):
    f = file_ref(r)
    f.update(xxh3=r.u64(), lines=r.u64(), raw_bytes=r.u64(), hosts=r.u32(), category=r.text(), codec=r.u8(),
             format=r.u8(), bucket=r.u32(), least=r.i64(), greatest=r.i64())
    return f


def gap(r):
    return (r.u64(), r.u64(), r.text())


def stream_range(r):
    return {"key": (r.u64(), r.u8()), "from": r.u64(), "to": r.u64(), "chain": r.u64(), "flags": r.u8(),
            "gaps": r.list(gap)}


def lane_name(r):
    return (r.text(), r.u8(), r.u8())


def lane(r):
    return {"lane": lane_name(r), "ranges": r.list(stream_range)}


def commit_record(data):
    r = Reader(data, b"C")
    return r.end({"kind": r.u8(), "settings": r.u64(), "cluster": r.u64(), "sink": r.u64(), "incarnation": r.text(),
                  "entry": r.u64(), "uuid": r.u64(), "prev_crc": r.u32(), "time": r.i64(), "pending": r.list(file_ref),
                  "files": r.list(committed_file), "lanes": r.list(lane), "sidecar": r.text()})


def row(r):
    return ((r.u64(), r.u8()), r.u64(), r.u64(), r.u8())


def claim(data):
    r = Reader(data, b"O")
    return r.end({"kind": r.u8(), "lane": lane_name(r), "cluster": r.u64(), "sink": r.u64(), "epoch": r.u64(),
                  "uuid": r.u64(), "incarnation": r.text(), "address": r.text(), "claim_entry": r.u64(),
                  "table": r.list(row), "archive": r.text()})


def manifest(data):
    r = Reader(data, b"M")
    return r.end({"cluster": r.u64(), "sink": r.u64(), "incarnation": r.text(), "uuid": r.u64(), "first": r.u64(),
                  "last": r.u64(), "files": r.list(committed_file), "lanes": r.list(lane)})


def identity(data):
    r = Reader(data, b"S")
    return r.end({"sink": r.u64(), "cluster": r.u64(), "control": r.text()})


# --- lanes ------------------------------------------------------------------------------------------
def mix64(z):
    mask = (1 << 64) - 1
    z = (z + 0x9E3779B97F4A7C15) & mask
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & mask
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
    return z ^ (z >> 31)


def lane_part(key, parts):
    return mix64(key[0] ^ mix64(key[1])) >> {1: 64, 8: 61, 64: 58}[parts]


# --- the audit --------------------------------------------------------------------------------------
class Log:
    def __init__(self, name):
        self.name, self.entries, self.own, self.manifests = name, {}, {}, []

    def done(self):
        return bool(self.own) and self.own[max(self.own)]["kind"] == DONE

    def last_commit(self):
        commits = [n for n, e in self.entries.items() if e["kind"] == COMMIT]
        return self.entries[max(commits)] if commits else None


class Audit:
    def __init__(self, root, origins=False):
        self.root, self.origins, self.problems = root, origins, []
        self.logs, self.claims, self.tables = {}, {}, {}
        self.files = self.lines = 0

    def wrong(self, what):
        self.problems.append(what)

    def read(self, decode, path):
        try:
            with open(path, "rb") as f:
                return decode(f.read())
        except (Corrupt, struct.error, UnicodeDecodeError, IndexError) as e:
            self.wrong(f"{path}: {e}")

    def names(self, *parts):
        try:
            return sorted(os.listdir(os.path.join(*parts)))
        except FileNotFoundError:
            return []

    def load(self):
        me = self.read(identity, os.path.join(self.root, "_tailrace.sink"))
        if not me:
            return
        base = os.path.join(self.root, me["control"], f"{me['sink']:016x}")
        for name in self.names(base, "logs"):
            self.load_log(os.path.join(base, "logs", name), self.logs.setdefault(name, Log(name)))
        for category in self.names(base, "lanes"):
            for parts in self.names(base, "lanes", category):
                found, lane = {}, (category, *map(int, parts.split("-")))
                for name in self.names(base, "lanes", category, parts):
                    path = os.path.join(base, "lanes", category, parts, name)
                    if name.startswith("table-"):
                        self.tables[lane, *map(int, name.split("-")[1:])] = self.read(claim, path)
                    elif os.path.getsize(path):
                        found[int(name.removesuffix(".own"))] = self.read(claim, path)
                self.claims[lane] = found

    def load_log(self, path, log):
        for name in self.names(path):
            file = os.path.join(path, name)
            if name.endswith(".own"):
                log.own[int(name[:-4])] = self.read(claim, file)
            elif name.startswith("manifest-"):
                log.manifests.append(self.read(manifest, file))
            else:
                log.entries[int(name)] = self.read(commit_record, file)

    # Every part of a log in order: folded entries, then those that stand.
    def folded(self, log):
        return {n for m in log.manifests for n in range(m["first"], m["last"] + 1)}

    def parts_of(self, log):
        folded = self.folded(log)
        parts, told = [], -1
        # One that lies within another says the same: whoever was stopped while he folded wrote it when all was done.
        for m in sorted(log.manifests, key=lambda m: (m["first"], -m["last"])):
            if m["last"] > told:
                parts.append((m["first"], m))
                told = m["last"]
        parts += [(n, e) for n, e in log.entries.items() if n not in folded]
        return sorted(parts, key=lambda p: p[0])

    def check_logs(self):  # I8
        for log in self.logs.values():
            last = max(log.entries, default=None)
            folded = self.folded(log)
            for n, e in sorted(log.entries.items()):
                if e["entry"] != n or e["incarnation"] != log.name:
                    self.wrong(f"I8: log {log.name}: entry {n} says it is {e['entry']} of {e['incarnation']}")
                if e["kind"] == FENCE and n in folded:
                    continue  # of an old view, put where entries were folded: it ends nothing
                if e["kind"] == FENCE and n != last:
                    self.wrong(f"I8: log {log.name}: entry {n} is a FENCE and {last} stands")
                before = log.entries.get(n - 1)
                if before and before["kind"] == FENCE and n - 1 in folded:
                    continue
                if before and e["prev_crc"] != before["crc"] and not (e["kind"] == FENCE and e["prev_crc"] == 0):
                    self.wrong(f"I8: log {log.name}: entry {n} does not continue the one before")
            covered = -1
            for first, part in self.parts_of(log):
                if first > covered + 1:
                    self.wrong(f"I8: log {log.name}: entries {covered + 1} to {first - 1} are in no manifest")
                covered = part.get("last", first)
            if sorted(log.own) != list(range(1, len(log.own) + 1)):
                self.wrong(f"I7: log {log.name}: its own claims are {sorted(log.own)}")

    def check_ranges(self):  # I2; a log's order is known, that of logs follows from the positions
        ranges = {}
        for log in self.logs.values():
            for _, part in self.parts_of(log):
                for l in part["lanes"]:
                    for r in l["ranges"]:
                        ranges.setdefault((l["lane"][0], r["key"]), []).append((r["from"], r["to"], log))
        for stream, found in ranges.items():
            at = begin = min(r[0] for r in found) if self.origins else 0
            for start, end, log in sorted(found, key=lambda r: r[:2]):
                if start != at:
                    self.wrong(f"I2: {stream[0]}, stream {stream[1][0]:016x}/{stream[1][1]}: a range of {log.name} "
                               f"starts at {start}, {at} was due")
                at = end
            self.lines += at - begin

    # What the entries [begin, end) of a log add to a lane's table. A manifest may reach over either bound: it tells
    # of a stream only where it came to, so between the bounds it is held to what the next claim says.
    def fold(self, table, name, lane, begin, end, claimed):
        log = self.logs.get(name)
        for first, part in self.parts_of(log) if log else []:
            last = part.get("last", first)
            if last < begin or first >= end:
                continue
            for r in (r for l in part["lanes"] if l["lane"] == lane for r in l["ranges"]):
                known, said = table.get(r["key"], (0, 0)), claimed.get(r["key"], (0, 0))
                if last >= end and known[0] <= said[0] <= r["to"]:
                    table[r["key"]] = said
                elif r["to"] > known[0]:
                    table[r["key"]] = (r["to"], r["chain"])

    @staticmethod
    def table(claim):
        return {key: (seq, chain) for key, seq, chain, _ in claim["table"]}

    # What a lane's first claim says: nothing, or of a part its share of what was split.
    def begins_with(self, lane):
        category, parts, part = lane
        if parts == 1:
            return {}
        whole = self.claims.get((category, parts // 8, part // 8))
        if not whole or whole[max(whole)]["kind"] != SPLIT:
            self.wrong(f"I7: lane {lane}: the lane that it is a part of was not split")
            return {}
        return {k: p for k, p in self.table(whole[max(whole)]).items() if lane_part(k, parts) == part}

    @staticmethod
    def same(*tables):
        """Rows of streams that stand at their beginning say nothing."""
        one, other = ({k: p for k, p in t.items() if p[0]} for t in tables)
        return one == other

    def check_claims(self):  # I7
        for lane, found in self.claims.items():
            if sorted(found) != list(range(min(found, default=1), len(found) + min(found, default=1))):
                self.wrong(f"I7: lane {lane}: its epochs are {sorted(found)}")
            before = None
            for epoch, c in sorted(found.items()):
                table = self.table(c)
                if before:
                    expected = self.table(before)
                    same = c["incarnation"] == before["incarnation"]
                    if before["kind"] == OWN:
                        self.fold(expected, before["incarnation"], lane, before["claim_entry"],
                                  c["claim_entry"] if same else 1 << 64, table)
                    if before["kind"] == SPLIT:
                        self.wrong(f"I7: lane {lane}, epoch {epoch}: it was split before")
                else:
                    expected = self.begins_with(lane) if epoch == 1 else table
                if not self.same(expected, table):
                    self.wrong(f"I7: lane {lane}, epoch {epoch}: the table is {table}, the records before say {expected}")
                before = c

    def check_tables(self):  # I7
        for (lane, epoch, entry), t in self.tables.items():
            which = f"I7: lane {lane}, the table of epoch {epoch} and entry {entry}"
            owner = self.claims[lane].get(epoch)
            if not owner or (owner["incarnation"], entry) != (t["incarnation"], t["claim_entry"]):
                self.wrong(f"{which} has no claim")
                continue
            expected, table = self.table(owner), self.table(t)
            self.fold(expected, owner["incarnation"], lane, owner["claim_entry"], entry, table)
            if not self.same(expected, table):
                self.wrong(f"{which} is {table}, the records before say {expected}")

    def check_files(self):  # I3, I4, I9
        named = {}
        for log in self.logs.values():
            for _, part in self.parts_of(log):
                for f in part["files"]:
                    if f["final"] in named:
                        self.wrong(f"I3: {f['final']} is named twice")
                    named[f["final"]] = f
            last = log.last_commit()
            due = {f["final"] for f in last["pending"] + last["files"]} if last else set()
            for _, part in self.parts_of(log):
                for f in part["files"]:
                    here = os.path.exists(os.path.join(self.root, f["final"]))
                    if not here and (log.done() or f["final"] not in due):
                        self.wrong(f"I9: {f['final']} is committed and neither published nor pending")
                    if not here and not os.path.exists(os.path.join(self.root, f["stage"])):
                        self.wrong(f"I9: {f['final']}: its staged file is gone, too")
        for path in self.published():
            self.files += 1
            f = named.get(path)
            if f:
                self.check_content(path, f)
            else:
                self.wrong(f"I4: {path} is named by no record")

    def published(self):
        for directory, folders, files in os.walk(self.root):
            folders[:] = [f for f in folders if not f.startswith("_")]
            for name in files:
                if FINAL_NAME.match(name):
                    yield os.path.relpath(os.path.join(directory, name), self.root)

    def check_content(self, path, f):
        with open(os.path.join(self.root, path), "rb") as file:
            data = file.read()
        if len(data) != f["bytes"] or xxh3(data) != f["xxh3"]:
            return self.wrong(f"I3: {path} is not the file that was committed")
        raw = self.lines_of_sequence(path) if f["format"] == SEQUENCE else self.inflated(data, f["codec"])
        if raw is not None and (len(raw) != f["raw_bytes"] or raw.count(b"\n") != f["lines"]):
            self.wrong(f"I3: {path} has {raw.count(bytes([10]))} lines in {len(raw)} bytes, "
                       f"committed were {f['lines']} in {f['raw_bytes']}")

    def lines_of_sequence(self, path):
        return b"".join(line + b"\n" for _, lines in sequence_file.blocks(os.path.join(self.root, path)) for line in lines)

    @staticmethod
    def inflated(data, codec):
        if codec == 0:
            return data
        if codec == 1:
            return gzip.decompress(data)
        if codec == 2 and shutil.which("zstd"):
            return subprocess.run(["zstd", "-dc"], input=data, capture_output=True, check=True).stdout
        return None

    def run(self):
        self.load()
        if not self.problems:
            for check in (self.check_logs, self.check_ranges, self.check_claims, self.check_tables, self.check_files):
                check()
        return self.problems


def main():
    if len(sys.argv) not in (2, 3) or sys.argv[2:] not in ([], ["--origins"]):
        sys.exit(__doc__)
    audit = Audit(sys.argv[1], len(sys.argv) > 2)
    problems = audit.run()
    for problem in problems:
        print(problem)
    print(f"{len(audit.logs)} logs, {len(audit.claims)} lanes, {audit.files} files, {audit.lines} lines, "
          f"{len(problems)} problems")
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
