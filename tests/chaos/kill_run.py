#!/usr/bin/env python3
"""kill -9 of `tailrace run`, again and again, while a writer writes and rotates; then the judge.

Half of the kills fall at a random moment. The other half fall at a system call: each kind that changes something
outside the process takes its turn, before it (strace injects SIGKILL at its entry, so it does not happen) or after it
(strace holds the thread at its exit, then SIGKILL), at a random one of its occurrences. The kinds, and how often they
occur, are learned from the first life. Afterwards: one clean life that SIGTERM ends, which must publish everything, and
a --once life, which must find nothing left but lines without a newline.
"""
import argparse
import collections
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from rig import Failure, Rig, run  # noqa: E402

# What others see of a process: files, names, sockets. Kinds that never occur are left out of the turns.
KINDS = ("renameat2", "renameat", "rename", "linkat", "link", "unlinkat", "unlink", "fdatasync", "fsync", "sync_file_range",
         "pwritev2", "pwritev", "pwrite64", "writev", "write", "fallocate", "ftruncate", "mkdirat", "mkdir", "openat", "close",
         "connect", "socketpair", "accept4", "sendmsg", "sendto", "recvmsg", "recvfrom", "read", "pread64", "preadv",
         "inotify_add_watch", "flock", "fcntl", "copy_file_range", "getdents64", "fstat", "newfstatat")
MUST = ("renameat2", "fdatasync", "fsync", "openat")  # without these in sight the tracing itself is broken
STRACE = ("strace", "-f", "-qqq", "-e", "signal=none")
CALL = re.compile(r"^(\d+) +(\w+)\(")


def can_trace():
    try:
        return subprocess.run([*STRACE, "-o", "/dev/null", "-e", "inject=exit_group:signal=KILL", "true"],
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=20).returncode in (-9, 137)
    except (OSError, subprocess.TimeoutExpired):
        return False


def child_of(pid):
    try:
        with open("/proc/%d/task/%d/children" % (pid, pid)) as f:
            return int(f.read().split()[0])
    except (OSError, IndexError, ValueError):
        return None


class Killer:
    def __init__(self, rig, rnd, more=(), must=MUST):
        self.rig, self.rnd, self.more, self.must = rig, rnd, more, must
        self.counts = collections.Counter()
        self.often = {}   # kind: most occurrences in one thread of the first life (strace counts by thread)
        self.turns = []
        self.last = ""
        self.trace = rig.folder + "/trace"

    def moment(self):
        """Many lives end in the start, some get far."""
        return self.rnd.choice((0.02, 0.1, 0.4, 1.5, 3.0)) * (0.3 + self.rnd.random())

    def random_kill(self, why="random"):
        life = self.rig.start(what="killed at random")
        time.sleep(self.moment())
        life.kill()
        self.counts[why] += 1

    def learn(self):
        """A traced life that ends at random; what it called is what the turns are made of."""
        life = self.rig.start(*self.more, under=[*STRACE, "-o", self.trace, "-e", "trace=" + ",".join(KINDS)], what="traced")
        end = time.monotonic() + 4
        while life.alive() and time.monotonic() < end:
            time.sleep(0.05)
        if life.alive():
            self.kill_traced(life)
        by_thread = collections.Counter()
        with open(self.trace, errors="replace") as f:
            for match in filter(None, map(CALL.match, f)):
                by_thread[match.groups()] += 1
        for (_, kind), n in by_thread.items():
            self.often[kind] = max(self.often.get(kind, 0), n)
        if absent := [k for k in self.must if k not in self.often]:
            raise Failure("strace saw no %s in the first life: %s" % (", ".join(absent), dict(self.often)))
        self.counts["random"] += 1

    def kill_traced(self, life):
        """Kills the traced program, not only strace, which would let it live on."""
        child = child_of(life.pid)
        if child is not None:
            try:
                os.kill(child, 9)
            except ProcessLookupError:
                pass
        life.process.wait()

    def next_turn(self):
        if not self.turns:
            self.turns = [(k, way) for k in self.often for way in ("before", "after")]
            self.rnd.shuffle(self.turns)
        return self.turns.pop()

    def kill_at_call(self):
        kind, way = self.next_turn()
        most = self.often[kind]
        which = self.rnd.randint(1, max(1, most if self.rnd.random() < 0.5 else min(most, 5)))
        inject = "inject=%s:%s:when=%d" % (kind, "signal=KILL" if way == "before" else "delay_exit=5000000", which)
        what = self.last = "%s %s %d" % (way, kind, which)
        open(self.trace, "w").close()
        life = self.rig.start(*self.more, under=[*STRACE, *(["--seccomp-bpf"] if way == "after" else []), "-o", self.trace,
                                     "-e", "trace=" + kind, "-e", inject], what="killed " + what)
        end = time.monotonic() + 6
        hit = False
        while not hit and time.monotonic() < end and life.alive():
            time.sleep(0.01)
            if way == "after":
                with open(self.trace, "rb") as f:
                    hit = b"(DELAYED)" in f.read()
        if life.alive():
            self.kill_traced(life)
        elif life.process.returncode in (-9, 137):
            hit = True
        elif life.process.returncode != 0 or "--once" not in self.more:
            life.must_live()
        self.counts["%s %s" % (way, kind) if hit else "random"] += 1

    def report(self):
        calls = sum(n for k, n in self.counts.items() if k != "random")
        kinds = collections.Counter()
        for what, n in self.counts.items():
            kinds[what.split()[-1]] += n
        return "%d kills: random %d, at a system call %d of %d kinds: %s" % (
            sum(self.counts.values()), self.counts["random"], calls, len(kinds) - ("random" in kinds),
            ", ".join("%s %d" % kn for kn in sorted(kinds.items()) if kn[0] != "random"))


def settle(rig, args):
    """The clean end: a life that SIGTERM ends, then --once. Each is judged."""
    rig.settle()
    found = rig.judge(optional=True, quiet=True)
    if not found.clean:
        raise Failure("after SIGTERM: " + found.summary())
    before = found.lines
    rig.start("--once", what="once").end(60, stop=False)
    rig.look()
    found = rig.judge()
    if not found.clean:
        raise Failure("after --once: " + found.summary())
    if found.lines - before > found.ledger.ends["unterminated"] + found.ledger.ends["lost-end"]:
        raise Failure("--once found %d lines that SIGTERM had left" % (found.lines - before))
    rests, size = rig.rests()
    print("rests: %d staged files, %d bytes" % (rests, size))
    return found


def body(rig, args):
    rnd = random.Random(args.seed)
    killer = Killer(rig, rnd)
    traced = not args.random_only and can_trace()
    if not traced and not args.random_only:
        print("kill_run: STRACE CAN'T TRACE HERE: random kills only", flush=True)
        if args.require_strace:
            raise Failure("strace can't trace, and --require-strace was given")
    more = ["--delete-after", str(args.delete_after)] if args.delete_after else []
    writer = rig.write("--seed", str(args.seed), "--rate", str(args.rate), "--unterminated", *more)
    begun = time.monotonic()
    if traced:
        killer.learn()
    done = lambda: sum(killer.counts.values())  # noqa: E731
    while done() < args.kills or time.monotonic() - begun < args.minutes * 60:
        if writer.poll() is not None:
            raise Failure("the writer ended with %d" % writer.returncode)
        if traced and done() % 2:
            killer.kill_at_call()
        else:
            killer.random_kill()
        rig.look()
        if sys.stdout.isatty():
            print("\r%d kills, %d files published " % (done(), len(rig.known)), end="", flush=True)
    rig.end_writer(writer)
    print("kill_run: seed %d, %s: %s" % (args.seed, args.codec, killer.report()), flush=True)
    settle(rig, args)


def main():
    parser = argparse.ArgumentParser(description="kill -9 of tailrace run under load, judged line by line")
    parser.add_argument("--kills", type=int, default=60)
    parser.add_argument("--minutes", type=float, default=0, help="go on for at least so long")
    parser.add_argument("--seed", type=int, default=0, help="0: a fresh one, printed")
    parser.add_argument("--codec", choices=("gzip", "zstd", "none"), default="gzip")
    parser.add_argument("--format", choices=("text", "sequence_file"), default="text")
    parser.add_argument("--rate", type=int, default=2000, help="lines a second")
    parser.add_argument("--delete-after", type=float, default=0, help="seconds after which rotated files are deleted")
    parser.add_argument("--random-only", action="store_true", help="no kills at system calls")
    parser.add_argument("--require-strace", action="store_true", help="fail if strace can't trace (CI)")
    parser.add_argument("--folder", help="instead of a temporary one")
    parser.add_argument("--keep", action="store_true", help="keep the folder of a good run too")
    args = parser.parse_args()
    args.seed = args.seed or random.SystemRandom().randrange(1, 1 << 31)
    return run("kill_run --seed %d --codec %s --format %s" % (args.seed, args.codec, args.format), lambda rig: body(rig, args),
               Rig("kill", args.codec, args.folder, form=args.format), args.keep)


if __name__ == "__main__":
    sys.exit(main())
