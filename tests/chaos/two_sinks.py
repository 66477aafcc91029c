#!/usr/bin/env python3
"""Two sinks of one Center, one of them on a disk that is full for a while, under kill -9 of Center and Local: the other
goes on, /readyz names the one in trouble, and in the end each holds every line once.

A third one is added on the way: it starts where the spool starts, and holds every line from there on once.

A tmpfs stands for the disk. Needs the right to mount, as full_disk.py.
"""
import argparse
import os
import random
import re
import subprocess
import sys
import time

import judge
from full_disk import fill, own_mounts
from rig import SKIPPED, Failure, run, wait_for
from trio import Trio

NEW_FILES = 10  # numbers of log files that are there when the third sink is
SINK = "  %s: {type: directory, root: %s, timezone: UTC, roll: {size: 256KiB, age: 1s, idle: 1s}}\n"


class Both:
    """What two judges found."""

    def __init__(self, found):
        self.found = found
        self.clean = all(f.clean for f in found)

    def print(self):
        for f in self.found:
            f.print()

    def summary(self):
        return "; ".join(f.summary() for f in self.found)


class TwoSinks(Trio):
    def __init__(self, folder, second):
        super().__init__("two-sinks", "none", folder, spool="64MiB")  # it forgets what both have
        self.second = second
        self.name_sinks({"first": self.out, "second": second})

    def name_sinks(self, roots):
        self.configure("center", "name: center\nlisten: 127.0.0.1:%d\nsinks:\n%s" % (
            self.port, "".join(SINK % sink for sink in roots.items())))

    def judge_quietly(self, optional):
        return Both([judge.Judge(judge.Ledger(self.ledger, optional)).tree(root) for root in (self.out, self.second)])


def files_in(root):
    return sum(1 for _ in judge.in_sight(root))


def body(trio, args, disk):
    rnd = random.Random(args.seed)
    ballast = disk + "/ballast"
    trio.stand()
    writer = trio.write("--seed", str(args.seed), "--rate", "4000", "--rotate-every", "2")
    for root in (trio.out, trio.second):
        wait_for("a first published file in " + root, 30, lambda root=root: files_in(root))
    for turn in range(args.turns):
        fill(ballast)
        wait_for("the full sink to be named", 30, lambda: fill(ballast) and trio.in_trouble() == ["second"])
        end, before = time.monotonic() + args.seconds, files_in(trio.out)
        killed = not turn % 2
        while time.monotonic() < end:
            fill(ballast)
            if killed and rnd.random() < 0.3:
                trio.kill(*rnd.sample(("center", "local"), rnd.choice((1, 2))))
                trio.stand()
            time.sleep(0.3)
        wait_for("the first sink to go on", 30, lambda: fill(ballast) and files_in(trio.out) > before + 2)
        os.unlink(ballast)
        before = files_in(trio.second)
        wait_for("files published once there is room", 60, lambda before=before: files_in(trio.second) > before)
        trio.look()
    trio.end_writer(writer)
    trio.settle()
    added(trio, args.seed)


def added(trio, seed):
    """A third sink, later: nothing of the first run's lines comes again anywhere, what comes now stands in all."""
    third = trio.folder + "/third"
    trio.name_sinks({"first": trio.out, "second": trio.second, "third": third})
    trio.stand()
    writer = trio.write("--seed", str(seed + 1), "--first", str(NEW_FILES), "--rate", "500")
    wait_for("a published file in the third sink", 60, lambda: os.path.isdir(third) and files_in(third))
    wait_for("its origin to be said", 10, lambda: "starts here at line" in trio.running["center"].said())
    trio.kill("local", "center")
    trio.stand()
    trio.end_writer(writer)
    wait_for("every new line in the third sink", 60, lambda: not lacks(trio, third)[0])
    trio.settle()
    missing, wrong, lines = lacks(trio, third)
    if wrong or missing:
        raise Failure("the third sink: %s, missing %s" % (wrong, missing))
    print("two_sinks: the third one has %d lines" % lines, flush=True)


def lacks(trio, root):
    """New files that are not whole there; what else is wrong; lines."""
    ledger = judge.Ledger(trio.ledger, True)
    found = judge.Judge(ledger).tree(root)
    missing = [g.file for g in ledger.generations.values() if is_new(g.file) and list(g.missing())]
    return missing, {count: n for count, n in found.counts.items() if n and count != "missing"}, found.lines


def is_new(file):
    return int(re.search(rb"-(\d+)", file)[1]) >= NEW_FILES


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0, help="0: a fresh one, printed")
    parser.add_argument("--size", type=int, default=128, help="MiB of the second sink's disk")
    parser.add_argument("--seconds", type=float, default=8, help="how long it is full")
    parser.add_argument("--turns", type=int, default=3, help="every second one with kill -9 while it is full")
    args = parser.parse_args()
    args.seed = args.seed or random.SystemRandom().randrange(1, 1 << 31)
    if not own_mounts("two_sinks", args.seed):
        return SKIPPED

    trio = TwoSinks(None, "")
    disk = trio.folder + "/disk"
    os.mkdir(disk)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=%dm" % args.size, "tailrace-chaos", disk], check=True)
    trio = TwoSinks(trio.folder, disk + "/out")
    try:
        return run("two_sinks --seed %d" % args.seed, lambda t: body(t, args, disk), trio)
    finally:
        if os.path.isdir(disk):  # a kept folder shall show what was on the disk
            subprocess.run(["cp", "-a", disk + "/.", trio.folder + "/disk-copy"], stderr=subprocess.DEVNULL)
        subprocess.run(["umount", "-l", disk], stderr=subprocess.DEVNULL)


if __name__ == "__main__":
    sys.exit(main())
