#!/usr/bin/env python3
"""Failures that users of other collectors met, and back-pressure from end to end, against the three daemons.

    daemons_traps.py [NAME...]     all, or those named; each states its scale.
"""
import glob
import os
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import judge  # noqa: E402
from daemons_run import OneRole  # noqa: E402
from kill_run import Killer, can_trace  # noqa: E402
from rig import Failure, lines_published, run_cases, wait_for  # noqa: E402
from traps import Source  # noqa: E402
from trio import ROLES, Trio, balance  # noqa: E402

MIB = 1 << 20
FIRST_BLOCK = 64 << 10  # of a segment
TAIL = 64 << 10
# What the windows, queues and caches of a role may add up to (docs/architecture.md, "Memory: the sum"), with the program itself.
MOST_MEMORY = {"agent": 32 * MIB, "local": 64 * MIB, "center": 48 * MIB}


def bounded(trio):
    for role in ROLES:
        most = trio.most_memory(role)
        print("%s: %.1f MiB at most" % (role, most / MIB))
        if most > MOST_MEMORY[role]:
            raise Failure("the %s held %.1f MiB, more than %d MiB" % (role, most / MIB, MOST_MEMORY[role] / MIB))


def kill_at_calls(rig, rnd, role, calls, times, must):
    """kill -9 of a role at those system calls; at the end it is down. Where nothing may be traced: nothing."""
    if not can_trace():
        return
    rig.all_up()
    rig.kill(role)
    killer = Killer(OneRole(rig, role), rnd, must=must)
    killer.learn()
    killer.often = {k: n for k, n in killer.often.items() if k in calls}
    for _ in range(times):
        rig.running.pop(role)
        killer.kill_at_call()
    rig.running.pop(role)
    print(killer.report())


def t02(rnd):
    """kill -9 of the Local at the boundaries of its fsyncs: 8 of them; T02 has 1,000."""
    trio = Trio("t02")

    def body(rig):
        writer = rig.write("--seed", str(rnd.randrange(1 << 30)), "--rate", "3000", "--unterminated")
        kill_at_calls(rig, rnd, "local", ("fdatasync", "fsync", "renameat2", "rename"), 8, must=("fdatasync",))
        rig.end_writer(writer)
        rig.settle()
    return trio, body


def t03(rnd):
    """kill -9 of the Center in create, write, sync, rename, unlink; 12 kills, each time the next one goes on."""
    trio = Trio("t03")

    def body(rig):
        writer = rig.write("--seed", str(rnd.randrange(1 << 30)), "--rate", "3000", "--unterminated")
        kill_at_calls(rig, rnd, "center", ("openat", "write", "pwrite64", "writev", "fdatasync", "fsync", "renameat2", "unlinkat",
                                           "mkdirat"), 12, must=("openat", "fdatasync", "renameat2"))
        before = lines_published(rig.out)
        rig.up("center")
        wait_for("files after the kills", 60, lambda: lines_published(rig.out) > before)
        rig.end_writer(writer)
        rig.settle()
        if rig.rests()[0]:
            raise Failure("%d staged files are left" % rig.rests()[0])
    return trio, body


def flip_bits(folder, rnd, n):
    """Somewhere in what the segments hold, but not in their first block (the tables, of which there may be no second copy)
    nor in the last TAIL bytes (the last groups: what nobody can know to have been synced is cut off, and then the agent holds)."""
    ends, tail = {}, TAIL
    for path in sorted(glob.glob(folder + "/*.seg"), reverse=True):
        with open(path, "rb") as f:
            used = len(f.read().rstrip(b"\0"))
        ends[path] = used - min(tail, used)
        tail -= used - ends[path]
    flipped = 0
    for _ in range(n):
        path = rnd.choice(sorted(ends))
        if ends[path] <= FIRST_BLOCK:
            continue
        with open(path, "r+b") as f:
            at = rnd.randrange(FIRST_BLOCK, ends[path])
            f.seek(at)
            byte = f.read(1)[0] ^ 1 << rnd.randrange(8)
            f.seek(at)
            f.write(bytes([byte]))
        flipped += 1
    return flipped


def t32(rnd):
    """Bits flipped in the spool while it waits for a Center: every other line is delivered, what is lost is counted."""
    trio = Trio("t32", "none")

    def body(rig):
        def figure(role, name):
            return sum(n for (_, figure), n in balance.lines(rig.admin(role)).items() if figure == name)

        for role in ("agent", "local"):
            life = rig.up(role)
            wait_for("its admin port", 30, lambda life=life: "admin port" in life.said())
        writer = rig.write("--seed", str(rnd.randrange(1 << 30)), "--rate", "40000", "--rotate-every", "0")
        time.sleep(5)
        rig.end_writer(writer)
        last = Source(rig, "alpha-10")
        for _ in range(4):  # a group each: whatever was before them is known to have been synced
            time.sleep(1)
            last.write(3)
        wait_for("all to be in the spool", 60, lambda: figure("agent", "taken") and not figure("agent", "waiting"), 1.0)
        rig.kill("local")
        flipped = flip_bits(rig.state + "/state-local/spool", rnd, 100)
        rig.stand()

        def accounted():
            for life in rig.running.values():
                life.must_live()
            found = judge.Judge(judge.Ledger(rig.ledger)).tree(rig.out)
            others = found.counts.total() - found.counts["missing"]
            return found if figure("local", "lost") == found.counts["missing"] and not others else None
        found = wait_for("what is missing to be what was said to be lost", 120, accounted, pause=1.0)
        if flipped < 50 or not found.counts["missing"]:
            raise Failure("%d bits flipped, %d lines missing: nothing was tried" % (flipped, found.counts["missing"]))
        print("%d bits flipped: %s" % (flipped, found.summary()))
        for role in ("agent", "local", "center"):
            rig.stop(role)
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
    "T03": t03,
    "T32": t32,
    "T56": t56,
    # T10 and T37: the Center stands still under load, with rotation, until the spool is full and reading waits.
    "stopped-center": stopped("center", "none", 40000, 15),
    # T38: the same with a trickle. No more memory than under load.
    "trickle": stopped("center", "gzip", 20, 15),
    "stopped-local": stopped("local", "gzip", 20000, 10),
    "stopped-agent": stopped("agent", "gzip", 5000, 5),
}


if __name__ == "__main__":
    sys.exit(run_cases("daemons_traps", __doc__, TRAPS))
