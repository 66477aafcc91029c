#!/usr/bin/env python3
"""Compares a tree of published files with the ledger of what was written: every line once, whole, in order.

Reads the plain directory tree as any reader would: names that begin with '_' are skipped, .log, .log.gz, .log.zst
and .seq are read, anything else is a stray. Prints one summary line; exit 0 only if every count is 0.

  missing     a line of the ledger that no file holds        doubled     a line a second time
  torn        a line of the wrong length, or half a line     corrupt     the right length, other bytes
  reordered   behind a later line of its source file         alien       a line nobody wrote, or of another category
  unreadable  a file that can't be read to its end           empty       a published file without a line
  stray       a name in readers' sight that is no log file

"In order" means: in the order of the published paths (numbers in them compared as numbers), then of the lines. With
several Centers: among the files of each, since their names tell time to the second, by the clocks of several hosts.
"""
import argparse
import collections
import json
import os
import re
import subprocess
import sys
import zlib

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../road"))
import lines  # noqa: E402
import sequence_file  # noqa: E402

COUNTS = ("missing", "doubled", "torn", "corrupt", "reordered", "alien", "unreadable", "empty", "stray")
CHUNK = 1 << 20
BY = re.compile(r"-\d{8}T\d{6}Z-(.+)-\d{13}-[0-9a-f]{16}-")  # the Center in a published name
HALF_LINE = re.compile(rb" [0-9a-f]{8}\r?$")


class Unreadable(Exception):
    pass


def _gzip_chunks(path):
    """Members one after another and nothing between or behind them, not even zeros."""
    with open(path, "rb") as f:
        member = None
        data = f.read(CHUNK)
        while data:
            if member is None:
                member = zlib.decompressobj(wbits=31)
            try:
                yield member.decompress(data)
            except zlib.error as e:
                raise Unreadable("gzip: %s, before byte %d" % (e, f.tell())) from e
            data = member.unused_data
            if member.eof:
                member = None
            data = data or f.read(CHUNK)
        if member is not None:
            raise Unreadable("gzip: ends inside a member")


def _zstd_chunks(path):
    with subprocess.Popen(["zstd", "-dcq", "--", path], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as p:
        while data := p.stdout.read(CHUNK):
            yield data
        said = p.stderr.read().decode(errors="replace").strip()
        if p.wait() != 0:
            raise Unreadable("zstd: " + said)


def _plain_chunks(path):
    with open(path, "rb") as f:
        while data := f.read(CHUNK):
            yield data


def _sequence_chunks(path):
    try:
        for _, lines in sequence_file.blocks(path):
            yield b"".join(line + b"\n" for line in lines)
    except sequence_file.Broken as e:
        raise Unreadable("SequenceFile: %s" % e) from None


READERS = {".log": _plain_chunks, ".log.gz": _gzip_chunks, ".log.zst": _zstd_chunks, ".seq": _sequence_chunks}


def codec_of(name):
    return next((end for end in READERS if name.endswith(end)), None)


def lines_of(path):
    """Lines with their newline; the last one without, if it has none. Raises Unreadable at the end of what can be read."""
    rest = b""
    for data in READERS[codec_of(path)](path):
        parts = (rest + data).split(b"\n") if rest else data.split(b"\n")
        rest = parts.pop()
        for part in parts:
            yield part, True
    if rest:
        yield rest, False


def natural(path):
    return [int(p) if p.isdigit() else p for p in re.split(r"(\d+)", path)]


def in_sight(root):
    """Relative paths of all that a reader sees, in published order."""
    found = []
    for folder, folders, names in os.walk(root):
        folders[:] = [d for d in folders if not d.startswith("_")]
        found += [os.path.relpath(os.path.join(folder, n), root) for n in names if not n.startswith("_")]
    return sorted(found, key=natural)


class Generation:
    """What is known of one generation of one source file."""

    def __init__(self, file, number, count, optional_last):
        self.file, self.number, self.count, self.optional_last = file, number, count, optional_last
        self.key = lines.key_of(file, number)
        self.seen = bytearray((count + 7) // 8)
        self.last = collections.defaultdict(lambda: -1)  # by Center
        self.damaged = set()
        self.runs = []  # [first, last, published file]: where lines were found, for the report only

    def note(self, seq, where):
        if self.runs and self.runs[-1][2] == where and self.runs[-1][1] + 1 == seq:
            self.runs[-1][1] = seq
        else:
            self.runs.append([seq, seq, where])

    def where(self, seq):
        return [r[2] for r in self.runs if r[0] <= seq <= r[1]]

    def missing(self):
        """Ranges [first, last]."""
        ranges, start = [], None
        for seq in range(self.count):
            gone = not (self.seen[seq >> 3] >> (seq & 7) & 1) and seq not in self.damaged
            if gone and seq == self.count - 1 and self.optional_last:
                gone = False
            if gone and start is None:
                start = seq
            if not gone and start is not None:
                ranges.append((start, seq - 1))
                start = None
        if start is not None:
            ranges.append((start, self.count - 1))
        return ranges


class Ledger:
    """The writer's record: what each generation holds in the end. See writer.py."""

    def __init__(self, path, unterminated_optional=False):
        self.generations = {}
        self.ends = collections.Counter()
        entries = {}
        with open(path, "rb") as f:
            for entry in map(json.loads, f):
                entries[entry["file"], entry["generation"]] = entry
        for (file, number), entry in entries.items():
            # Nobody can know that a line is at its end before its file is gone, and then it may be too late.
            optional = entry["end"] == "lost-end" or unterminated_optional and entry["end"] == "unterminated"
            file = file.encode()
            self.generations[file, number] = Generation(file, number, entry["lines"], optional)
            self.ends[entry["end"]] += 1
        self.lines = sum(g.count for g in self.generations.values())


class Judge:
    def __init__(self, ledger, shown=10, several=False):
        self.ledger = ledger
        self.several = several
        self.shown = shown
        self.counts = collections.Counter()
        self.findings = []
        self.lines = 0
        self.files = 0
        self.bytes = 0

    def say(self, kind, text, n=1):
        self.counts[kind] += n
        if sum(f[0] == kind for f in self.findings) < self.shown:
            self.findings.append((kind, text))

    def tree(self, root):
        for path in in_sight(root):
            self.file(root, path)
        for g in self.ledger.generations.values():
            for first, last in g.missing():
                self.say("missing", "%s generation %d (%d lines): %d to %d" %
                         (g.file.decode(), g.number, g.count, first, last), last - first + 1)
        return self

    def file(self, root, path):
        full = os.path.join(root, path)
        if codec_of(path) is None or not os.path.isfile(full) or os.path.basename(path).startswith("."):
            self.say("stray", path)
            return
        self.files += 1
        self.bytes += os.path.getsize(full)
        category = path.split(os.sep)[0].encode()
        self.center = BY.search(path)[1] if self.several else ""
        number = 0
        try:
            for line, ended in lines_of(full):
                number += 1
                self.line(line, ended, category, path, number)
        except Unreadable as e:
            self.say("unreadable", "%s: %s" % (path, e))
        else:
            if number == 0:
                self.say("empty", path)

    def line(self, line, ended, category, path, number):
        self.lines += 1
        place = "%s line %d" % (path, number)
        said = lines.read(line)
        g = said and self.ledger.generations.get(said[:2])
        if g and 0 <= said[2] < g.count and line == lines.make(g.file, g.number, said[2], g.key) and ended:
            self.whole(g, said[2], path, place, category)
        elif said and lines.crc_holds(line) and ended:
            self.say("alien", "%s: %r was never written" % (place, line[:60]))
        elif said or line.startswith(b"TR1 ") or HALF_LINE.search(line):
            right = ended and said and len(said[4]) - 9 - line.endswith(b"\r") == said[3]
            self.say("corrupt" if right else "torn", "%s: %r, %d bytes" % (place, line[:60], len(line)))
            if g and 0 <= said[2] < g.count:
                g.damaged.add(said[2])
        else:
            self.say("alien", "%s: %r" % (place, line[:60]))

    def whole(self, g, seq, path, place, category):
        name = "%s generation %d seq %d" % (g.file.decode(), g.number, seq)
        byte, bit = seq >> 3, 1 << (seq & 7)
        if g.seen[byte] & bit:
            self.say("doubled", "%s: %s, first in %s" % (place, name, ", ".join(g.where(seq))))
        elif g.file.split(b"-")[0] != category:
            self.say("alien", "%s: %s is of another category" % (place, name))
        elif seq < g.last[self.center]:
            self.say("reordered", "%s: %s behind %d" % (place, name, g.last[self.center]))
        else:
            g.last[self.center] = seq
        g.seen[byte] |= bit
        g.note(seq, path)

    @property
    def clean(self):
        return not any(self.counts.values())

    def summary(self):
        return "judge: %d of %d lines in %d files, %.1f MB: %s" % (
            self.lines, self.ledger.lines, self.files, self.bytes / 1e6,
            " ".join("%s %d" % (k, self.counts[k]) for k in COUNTS))

    def print(self, out=sys.stdout):
        for kind, text in self.findings:
            print("  %-10s %s" % (kind, text), file=out)
        print(self.summary(), file=out, flush=True)


def main():
    parser = argparse.ArgumentParser(description="compares published files with the writer's ledger")
    parser.add_argument("--ledger", required=True)
    parser.add_argument("--unterminated-optional", action="store_true",
                        help="a generation's last line that was left without a newline may be missing")
    parser.add_argument("--show", type=int, default=10, help="findings of each kind that are printed")
    parser.add_argument("tree")
    args = parser.parse_args()
    judge = Judge(Ledger(args.ledger, args.unterminated_optional), args.show).tree(args.tree)
    judge.print()
    return 0 if judge.clean else 1


if __name__ == "__main__":
    sys.exit(main())
