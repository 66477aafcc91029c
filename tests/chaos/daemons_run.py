#!/usr/bin/env python3
"""kill -9 of tailrace-agent, tailrace-local and tailrace-center while a writer writes and rotates; then the judge.

A third of the kills fall at a random moment, on one, two or three at once; a third on one of them at a system call, before or
after it (as in kill_run.py); a sixth of the turns are orderly stops instead. At the end all run until every line is
published, are stopped in order, and the judge has the last word: nothing lost, nothing doubled, each file's order kept.
"""
import argparse
import collections
import os
import random
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from kill_run import Killer, can_trace  # noqa: E402
from rig import Failure, run  # noqa: E402
from trio import Trio, kind  # noqa: E402


class OneRole:
    """What a Killer takes for a rig: starts of one of the three."""

    def __init__(self, trio, role):
        self.trio, self.role, self.folder = trio, role, "%s/trace-%s" % (trio.folder, role)
        os.makedirs(self.folder, exist_ok=True)

    def start(self, *more, under=(), what="run"):
        return self.trio.up(self.role, under, what)


class Chaos:
    def __init__(self, trio, rnd, traced):
        self.trio, self.rnd = trio, rnd
        self.killers = {role: Killer(OneRole(trio, role), rnd, must=("openat", "write")) for role in trio.roles} if traced else {}
        self.kills = collections.Counter()
        self.stops = 0

    def learn(self):
        for role, killer in self.killers.items():
            self.trio.all_up()
            if role in self.trio.running:
                self.trio.kill(role)
            killer.learn()
            self.trio.running.pop(role)
            self.kills[kind(role)] += 1

    def moment(self):
        time.sleep(self.rnd.choice((0.02, 0.1, 0.4, 1.0, 2.0)) * (0.3 + self.rnd.random()))

    def kill_some(self):
        roles = self.rnd.sample(self.trio.roles, self.rnd.choice((1, 1, 1, 2, 3)))
        self.trio.all_up()
        self.moment()
        self.trio.kill(*roles)
        for role in roles:
            self.kills[kind(role)] += 1
        if self.rnd.random() < 0.3:  # the others live on without them for a while
            self.moment()

    def kill_at_call(self):
        role = self.rnd.choice(list(self.killers))
        self.trio.all_up()
        self.trio.kill(role)
        self.killers[role].kill_at_call()
        self.trio.running.pop(role)
        self.kills[kind(role)] += 2

    def stop_one(self):
        self.trio.all_up()
        self.moment()
        self.trio.stop(self.rnd.choice(self.trio.roles))
        self.stops += 1

    def turn(self):
        dice = self.rnd.random()
        if dice < 0.17:
            self.stop_one()
        elif dice < 0.55 and self.killers:
            self.kill_at_call()
        else:
            self.kill_some()


def body(trio, args):
    rnd = random.Random(args.seed)
    traced = not args.random_only and can_trace()
    if not traced and args.require_strace:
        raise Failure("strace can't trace, and --require-strace was given")
    chaos = Chaos(trio, rnd, traced)
    writers = trio.write_on_all(args.seed, "--rate", str(args.rate // args.hosts), "--unterminated")
    chaos.learn()
    while sum(chaos.kills.values()) < args.kills:
        for writer in writers:
            if writer.poll() is not None:
                raise Failure("a writer ended with %d" % writer.returncode)
        chaos.turn()
        trio.look()
        if sys.stdout.isatty():
            print("\r%d kills, %d files published " % (sum(chaos.kills.values()), len(trio.known)), end="", flush=True)
    for writer in writers:
        trio.end_writer(writer)
    print("daemons_run: seed %d, %s: %d kills (%s), %d stops" % (
        args.seed, args.codec, sum(chaos.kills.values()), ", ".join("%s %d" % k for k in sorted(chaos.kills.items())),
        chaos.stops), flush=True)
    trio.settle()
    print("rests: %d staged files, %d bytes" % trio.rests())


def main():
    parser = argparse.ArgumentParser(description="kill -9 of the three daemons under load, judged line by line")
    parser.add_argument("--kills", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0, help="0: a fresh one, printed")
    parser.add_argument("--hosts", type=int, default=1, help="each with an agent and a Local; one Center merges them")
    parser.add_argument("--centers", type=int, default=1, help="over one store; Locals are told of two")
    parser.add_argument("--codec", choices=("gzip", "zstd", "none"), default="gzip")
    parser.add_argument("--rate", type=int, default=2000, help="lines a second, of all hosts together")
    parser.add_argument("--random-only", action="store_true", help="no kills at system calls")
    parser.add_argument("--require-strace", action="store_true", help="fail if strace can't trace (CI)")
    parser.add_argument("--folder", help="instead of a temporary one")
    parser.add_argument("--keep", action="store_true", help="keep the folder of a good run too")
    args = parser.parse_args()
    args.seed = args.seed or random.SystemRandom().randrange(1, 1 << 31)
    return run("daemons_run --seed %d --codec %s" % (args.seed, args.codec), lambda trio: body(trio, args),
               Trio("daemons", args.codec, args.folder, hosts=args.hosts, centers=args.centers), args.keep)


if __name__ == "__main__":
    sys.exit(main())
