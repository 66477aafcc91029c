#!/usr/bin/env python3
"""`tailrace run --once` over awkward files, in every codec, twice: the bytes that come out are the bytes that went in.

Empty lines and files, NUL, CR, invalid UTF-8, lines of 1 MiB and more, no last newline, odd names; archives, pipes and
links that may not be followed are left out. What is published is read back by gzip, zstd and `tailrace cat`.
"""
import argparse
import collections
import os
import random
import subprocess
import sys

import judge
from rig import PROGRAM, Failure, Rig, run

MAX_RECORD = 1 << 20


def words(rnd, n):
    return b"".join(b"%d %s\n" % (i, b"x" * rnd.randrange(200)) for i in range(n))


def make_files(logs, rnd):
    """name: bytes. Every name starts with its category, alpha or beta."""
    wild = bytes(rnd.randrange(256) for _ in range(300_000))
    files = {
        "alpha-empty.log": b"",
        "alpha-one-byte.log": b"x",
        "alpha-newlines.log": b"\n" * 5000,
        "alpha-newline.log": b"\n",
        "alpha-crlf.log": words(rnd, 2000).replace(b"\n", b"\r\n"),
        "alpha-nul.log": b"\0" * 4096 + b"\n" + b"\0\n" * 100,
        "beta-wild.log": wild,
        "beta-wild-ended.log": wild[::-1] + b"\n",
        "beta-no-newline.log": words(rnd, 100) + b"the last line",
        "beta-mib.log": b"a" * (MAX_RECORD - 1) + b"\n" + b"b" * MAX_RECORD + b"\n" + b"c" * 10 + b"\n",
        "beta-large.log": b"".join(b"%07d\n" % i for i in range(600_000)),
        "alpha- spaces 'and' \"quotes\".log": words(rnd, 10),
        "alpha-new\nline.log": words(rnd, 10),
        "alpha-\xc3\xa4\xff.log".encode("latin-1").decode("utf-8", "surrogateescape"): words(rnd, 10),
        "alpha-" + "n" * 240 + ".log": words(rnd, 10),
    }
    for i in range(200):
        files["beta-small-%d.log" % i] = words(rnd, rnd.randrange(3))
    for name, data in files.items():
        with open(os.path.join(logs, name), "wb") as f:
            f.write(data)
    return files


def cut(data):
    """The lines that shall be published of a file: those above max_record in pieces, an unended one ended."""
    found = collections.Counter()
    for line in data.split(b"\n")[:-1] if data.endswith(b"\n") else data.split(b"\n") if data else []:
        for i in range(0, max(len(line), 1), MAX_RECORD):
            found[line[i:i + MAX_RECORD]] += 1
    return found


def published(rig, category):
    found = collections.Counter()
    for path in judge.in_sight(rig.out):
        if path.startswith(category + "/"):
            for line, ended in judge.lines_of(os.path.join(rig.out, path)):
                if not ended:
                    raise Failure("%s ends without a newline" % path)
                found[line] += 1
    return found


def compare(what, found, expected):
    missing, more = expected - found, found - expected
    if missing or more:
        raise Failure("%s: %d lines missing, as %s; %d too many, as %s" % (
            what, sum(missing.values()), [k[:40] for k in list(missing)[:3]], sum(more.values()), [k[:40] for k in list(more)[:3]]))


def body(rig, rnd):
    files = make_files(rig.logs, rnd)
    expected = {c: sum((cut(d) for n, d in files.items() if n.startswith(c)), collections.Counter()) for c in ("alpha", "beta")}
    for name in ("alpha-1.log.gz", "alpha-2.log.zst", "alpha-3.log.xz"):
        with open(os.path.join(rig.logs, name), "wb") as f:
            f.write(b"archives are not watched\n")
    os.mkfifo(rig.logs + "/alpha-fifo.log")
    os.mkdir(rig.logs + "/alpha-folder.log")
    for codec in ("gzip", "zstd", "none"):
        rig.out = rig.folder + "/out-" + codec
        rig.set("--to", rig.out)
        rig.set("--codec", codec)
        rig.known = {}
        for turn in ("first", "second"):
            rig.start("--once", what="once %s %s" % (codec, turn)).end(120, stop=False)
            rig.look()
            for category, lines in expected.items():
                compare("%s, %s, %s" % (codec, turn, category), published(rig, category), lines)
        cat = subprocess.run([PROGRAM, "cat", rig.out], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        if cat.returncode != 0:
            raise Failure("tailrace cat: exit %d: %s" % (cat.returncode, cat.stderr.decode(errors="replace")))
        compare("tailrace cat, " + codec, collections.Counter(cat.stdout.split(b"\n")[:-1]), expected["alpha"] + expected["beta"])
        with open(rig.logs + "/beta-no-newline.log", "ab") as f:  # what comes later is a line of its own
            f.write(b", and what came later\n")
        with open(rig.logs + "/alpha-one-byte.log", "ab") as f:  # the newline alone adds no line
            f.write(b"\n")
        rig.start("--once", what="once %s after more" % codec).end(120, stop=False)
        compare("later, " + codec, published(rig, "beta"), expected["beta"] + collections.Counter([b", and what came later"]))
        compare("a newline later, " + codec, published(rig, "alpha"), expected["alpha"])
        for name in ("beta-no-newline.log", "alpha-one-byte.log"):
            with open(os.path.join(rig.logs, name), "wb") as f:
                f.write(files[name])
    total = sum(map(len, files.values()))
    print("once: %d files, %.1f MB, three codecs, twice each" % (len(files), total / 1e6))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0, help="0: a fresh one, printed")
    args = parser.parse_args()
    seed = args.seed or random.SystemRandom().randrange(1, 1 << 31)
    return run("once --seed %d" % seed, lambda rig: body(rig, random.Random(seed)), Rig("once"))


if __name__ == "__main__":
    sys.exit(main())
