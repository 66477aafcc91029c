#!/usr/bin/env python3
"""Failures that users of other collectors met, and back-pressure from end to end, against the three daemons.

    daemons_traps.py [NAME...]     all, or those named; each states its scale.
"""
import argparse
import os
import random
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from daemons_run import OneRole  # noqa: E402
from kill_run import Killer, can_trace  # noqa: E402
from rig import Failure, lines_published, run, wait_for  # noqa: E402
from traps import Source  # noqa: E402
from trio import ROLES, Trio  # noqa: E402

MIB = 1 << 20
# What the windows, queues and caches of a role may add up to (docs/architecture.md, "Memory: the sum"), with the program itself.
MOST_MEMORY = {"agent": 32 * MIB, "local": 64 * MIB, "center": 48 * MIB}


def bounded(trio):
    for role in ROLES:
        most = trio.most_memory(role)
        print("%s: %.1f MiB at most" % (role, most / MIB))
        if most > MOST_MEMORY[role]:
            raise Failure("the %s held %.1f MiB, more than %d MiB" % (role, most / MIB, MOST_MEMORY[role] / MIB))


def t02(rnd):
    """kill -9 of the Local at the boundaries of its fsyncs: 8 of them; T02 has 1,000."""
    trio = Trio("t02")

    def body(rig):
        writer = rig.write("--seed", str(rnd.randrange(1 << 30)), "--rate", "3000", "--unterminated")
        if can_trace():
            rig.all_up()
            rig.kill("local")
            killer = Killer(OneRole(rig, "local"), rnd, must=("fdatasync",))
            killer.learn()
            killer.often = {k: n for k, n in killer.often.items() if k in ("fdatasync", "fsync", "renameat2", "rename")}
            for _ in range(8):
                rig.running.pop("local")
                killer.kill_at_call()
            rig.running.pop("local")
            print(killer.report())
        rig.end_writer(writer)
        rig.settle()
    return trio, body


def stopped(role, codec, rate, seconds, spool="64MiB"):
    def make(rnd):
        trio = Trio("stopped-" + role, codec, spool=spool)

        def body(rig):
            rig.stand()
            writer = rig.write("--seed", str(rnd.randrange(1 << 30)), "--rate", str(rate), "--rotate-every", "0.4")
            wait_for("first lines", 30, lambda: lines_published(rig.out))
            rig.freeze(role, True)
            time.sleep(seconds)
            rig.freeze(role, False)
            bounded(rig)
            rig.end_writer(writer)
            rig.settle(look=bounded)
        return trio, body
    return make


def t56(rnd):
    """SIGTERM with 200 open files (categories): all is closed or left so that it can be taken up."""
    names = ["c%03d" % i for i in range(200)]
    trio = Trio("t56", categories=names)

    def body(rig):
        with open(rig.folder + "/center.yaml") as f:
            text = f.read()
        with open(rig.folder + "/center.yaml", "w") as f:
            f.write(text.replace("age: 1s, idle: 1s", "age: 30s, idle: 30s"))
        rig.stand()
        sources = [Source(rig, "%s-0" % name) for name in names]
        for source in sources:
            source.write(20)
        wait_for("lines at the Center", 60, lambda: len([n for folder, _, ns in os.walk(rig.out) if "/_stage" in folder
                                                         for n in ns]) >= 200, 0.2)
        for role in ("center", "agent", "local"):
            rig.stop(role, 40)
        with open(rig.folder + "/center.yaml", "w") as f:
            f.write(text)
        rig.settle()
        left = rig.rests()
        if left[0]:
            raise Failure("%d staged files are left" % left[0])
    return trio, body


TRAPS = {
    "T02": t02,
    "T56": t56,
    # T10 and T37: the Center stands still under load, with rotation, until the spool is full and reading waits.
    "stopped-center": stopped("center", "none", 40000, 15),
    # T38: the same with a trickle. No more memory than under load.
    "trickle": stopped("center", "gzip", 20, 15),
    "stopped-local": stopped("local", "gzip", 20000, 10),
    "stopped-agent": stopped("agent", "gzip", 5000, 5),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(TRAPS))
    parser.add_argument("--seed", type=int, default=0, help="0: a fresh one, printed")
    args = parser.parse_args()
    seed = args.seed or random.SystemRandom().randrange(1, 1 << 31)
    failed = 0
    for name in args.names or TRAPS:
        trio, body = TRAPS[name](random.Random("%d %s" % (seed, name)))
        failed |= run("daemons_traps --seed %d %s" % (seed, name), body, trio)
    return failed


if __name__ == "__main__":
    sys.exit(main())
