#!/usr/bin/env python3
"""Failures that users of other collectors met, replayed against the whole program, scaled to minutes.

    traps.py [NAME...]     all, or those named; each states its scale below.
"""
import argparse
import os
import random
import sys
import time

import lines
from kill_run import Killer, can_trace
from rig import Failure, Rig, gaps_reported, lines_published, run, wait_for
from writer import Ledger


class Source:
    """One file written by hand, for traps that need each step in its place."""

    def __init__(self, rig, name):
        self.rig, self.name, self.generation, self.seq = rig, name, -1, 0
        self.ledger = Ledger(rig.ledger)
        self.path = "%s/%s.log" % (rig.logs, name)
        self.create()

    def create(self):
        self.generation += 1
        self.seq = 0
        self.file = open(self.path, "ab", buffering=0)

    def line(self):
        made = lines.make(self.name.encode(), self.generation, self.seq) + b"\n"
        self.seq += 1
        self.ledger.write(self.name, self.generation, self.seq, "open")
        return made

    def write(self, n):
        self.file.write(b"".join(self.line() for _ in range(n)))

    def rename(self, to):
        os.rename(self.path, "%s/%s" % (self.rig.logs, to))
        self.file.close()


def must_be_clean(rig, allowed=()):
    found = rig.judge()
    if [k for k, n in found.counts.items() if n and k not in allowed]:
        raise Failure(found.summary())
    return found


def arrive(rig, n, seconds=20):
    wait_for("%d published lines" % n, seconds, lambda: lines_published(rig.out) >= n, 0.2)


def t01(rig, rnd):
    """kill-any-byte: 5 files of 8 MB, 20 kills at random points of --once; T01 has 50 MB/s, 20 files, 1,000 kills."""
    rig.write("--lines", "80000", "--rate", "0", "--seed", str(rnd.randrange(1 << 30)), "--rotate-every", "0.3",
              "--unterminated").wait()
    kills = ended = 0
    moment = 1.0
    while kills < 20:
        life = rig.start("--once", what="once, to be killed")
        time.sleep(moment * rnd.random())
        if life.alive():
            life.kill()
            kills += 1
        else:
            life.end(1, stop=False)
            ended += 1
            moment /= 2
        rig.look()
    rig.start("--once", what="once").end(120, stop=False)
    must_be_clean(rig)
    print("T01: %d kills, %d lives came to their end before" % (kills, ended))


def first_start(rig, rnd):
    """kill -9 in the very first start, at a system call: 40 fresh outputs, each then finished by --once. Full scale."""
    if not can_trace():
        raise Failure("strace can't trace here")
    rig.write("--lines", "600", "--rate", "0", "--rotate-every", "0.01", "--seed", str(rnd.randrange(1 << 30))).wait()
    killer = Killer(rig, rnd, ("--once",))
    killer.learn()
    for i in range(40):
        rig.out = "%s/out%d" % (rig.folder, i)
        rig.set("--to", rig.out)
        rig.known = {}
        killer.kill_at_call()
        if os.path.isdir(rig.out):
            rig.look()
        rig.start("--once", what="finishes").end(60, stop=False)
        rig.look()
        if not rig.judge(quiet=True).clean:
            raise Failure("after a kill %s" % killer.last)
    print("first-start: " + killer.report())


def t05(rig, rnd):
    """A line written in two halves 5 s apart, SIGTERM between them; then the same while it runs. Full scale."""
    source = Source(rig, "alpha-0")
    for stopped in (True, False):
        line = source.line()
        half = rnd.randrange(1, len(line) - 1)
        life = rig.start(what="first half")
        source.file.write(line[:half])
        time.sleep(2.5)
        if stopped:
            life.end(30)
        time.sleep(2.5)
        source.file.write(line[half:])
        if stopped:
            life = rig.start(what="second half")
        arrive(rig, source.seq)
        life.end(30)
        must_be_clean(rig)


def t08(rig, rnd):
    """Rotation every 100 ms in a rename chain, 10 s instead of 10 min."""
    life = rig.start()
    writer = rig.write("--seconds", "10", "--rotate-every", "0.1", "--files", "2", "--seed", str(rnd.randrange(1 << 30)))
    writer.wait()
    life.end(60)
    must_be_clean(rig)


def t12(rig, rnd):
    """Rotated while stopped: three renames, one leaves the glob. 500 lines a generation. Once after SIGTERM, once after kill -9."""
    source = Source(rig, "alpha-0")
    for kill in (False, True):
        life = rig.start(what="reads the first half")
        source.write(500)
        if kill:
            time.sleep(rnd.random() * 2)
            life.kill()
        else:
            life.end(30)
        tag = "kill" if kill else "term"
        for name in ("moved-away-" + tag, "alpha-0.log.%s2" % tag, "alpha-0.log.%s1" % tag):
            source.write(250)
            source.rename(name)
            source.create()
            source.write(250)
        life = rig.start(what="after three renames")
        time.sleep(4)
        life.end(30)
        found = must_be_clean(rig, ("missing",))
        gone = found.counts["missing"]
        if gone > 500 or (gone and not gaps_reported(rig.said())):
            raise Failure("%d lines missing, %d gaps reported" % (gone, gaps_reported(rig.said())))
        print("T12: after %s: %d lines of the file that left the glob are missing" % ("kill -9" if kill else "SIGTERM", gone))


def t57(rig, rnd):
    """Every file that is published verifies, at each of 12 kills (500 there), in every codec: see kill_run.py for more."""
    writer = rig.write("--rate", "3000", "--seed", str(rnd.randrange(1 << 30)))
    for i in range(12):
        # Each codec once: one that comes back while its file of before is still open gets that file, and so stands
        # before what was written between (known, and said in docs/protocol.md).
        rig.set("--codec", ("gzip", "zstd", "none")[i // 4])
        life = rig.start(what="codec changes")
        life.ready()
        time.sleep(2 * rnd.random())
        life.kill()
        rig.look()
    rig.end_writer(writer)
    rig.settle()
    rig.look()
    must_be_clean(rig)


def second(rig, rnd):
    """A second start while the first lives is refused and says why; after kill -9 it takes over at once. Full scale."""
    source = Source(rig, "alpha-0")
    life = rig.start(what="first")
    source.write(100)
    arrive(rig, 100)
    other = rig.start(what="second")
    if other.end(10, expected=None, stop=False) == 0:
        raise Failure("a second start while the first lives was not refused")
    if "===" in other.said() or not other.said().strip():
        raise Failure("refused without a word")
    print("second start is told: " + other.said().strip().splitlines()[-1])
    source.write(100)
    arrive(rig, 200)
    life.kill()
    life = rig.start(what="takes over")
    source.write(100)
    arrive(rig, 300, 8)
    life.end(30)
    must_be_clean(rig)


def impatient(rig, rnd):
    """SIGTERM twice: the second leaves at once, whatever is under way, and nothing is lost. 6 times."""
    writer = rig.write("--rate", "3000", "--seed", str(rnd.randrange(1 << 30)))
    for _ in range(6):
        life = rig.start(what="SIGTERM twice")
        time.sleep(0.2 + rnd.random() * 2)
        life.must_live()
        life.process.terminate()
        time.sleep(rnd.random() * 0.1)
        life.process.terminate()
        life.end(5, expected=None, stop=False)
        rig.look()
    rig.end_writer(writer)
    rig.settle()
    must_be_clean(rig)


TRAPS = {"first-start": first_start, "T01": t01, "T05": t05, "T08": t08, "T12": t12, "T57": t57, "second-start": second, "impatient": impatient}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0, help="0: a fresh one, printed")
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(TRAPS))
    args = parser.parse_args()
    seed = args.seed or random.SystemRandom().randrange(1, 1 << 31)
    failed = 0
    for name in args.names or TRAPS:
        trap = TRAPS[name]
        print("%s: %s" % (name, " ".join(trap.__doc__.split())), flush=True)
        globs = (".log", ".log.*") if name == "T12" else (".log*", ".*.log")
        failed += run("traps --seed %d %s" % (seed, name), lambda rig: trap(rig, random.Random(seed)), Rig(name, globs=globs))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
