#!/usr/bin/env python3
"""A full disk: nothing crashes, the operator is told, and once there is room every line arrives, once.

A tmpfs stands for the disk; it holds the output, the state, or both, and is filled to its last byte while the writer
goes on. Needs the right to mount: root, or a user namespace (then this starts itself again under `unshare`).
"""
import argparse
import errno
import os
import random
import re
import subprocess
import sys
import time

import judge
from rig import SKIPPED, Failure, Rig, run, wait_for
from trio import ROLES, Trio

MIB = 1 << 20


def may_mount():
    probe = "/proc/self/mounts"
    return subprocess.run(["unshare", "-m", "mount", "-t", "tmpfs", "none", "/mnt"], stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL).returncode == 0 and os.path.exists(probe)


def fill(path):
    """Takes all that is free; big steps first."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
    size = os.fstat(fd).st_size
    for step in (16 * MIB, MIB, 65536, 4096):
        while True:
            try:
                os.posix_fallocate(fd, size, step)
                size += step
            except OSError as e:
                if e.errno != errno.ENOSPC:
                    raise
                break
    os.close(fd)
    return size


def keep_full(path, seconds, subject):
    """What the program frees (a trimmed segment, a staged file) is taken again."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        fill(path)
        subject.must_live()
        time.sleep(0.1)


def published(rig):
    return sum(1 for _ in judge.in_sight(rig.out))


class One:
    """`tailrace run` on the full disk: what body() does with it."""
    PATIENCE_S = 30

    def __init__(self, rig, _):
        self.rig, self.life = rig, rig.start(what="before")

    def must_live(self):
        self.life.must_live()

    def said(self):
        return self.life.said()

    def kill_and_start(self):
        self.life.kill()
        self.life = self.rig.start(what="started on a full disk")

    def end(self):
        self.life.end(60)
        self.rig.look()
        found = self.rig.judge()
        if not found.clean:
            raise Failure(found.summary())


class Three:
    """The three daemons: one, two or all of them are killed and started."""
    PATIENCE_S = 60

    def __init__(self, trio, rnd):
        self.trio, self.rnd = trio, rnd
        trio.stand()

    def must_live(self):
        for life in self.trio.running.values():
            life.must_live()

    def said(self):
        return "".join(life.said() for life in self.trio.running.values())

    def kill_and_start(self):
        self.trio.kill(*self.rnd.sample(ROLES, self.rnd.choice((1, 2, 3))))
        self.trio.stand()

    def end(self):
        self.trio.settle()


def body(rig, args, disk):
    ballast = disk + "/ballast"
    subject = (Three if args.daemons else One)(rig, random.Random(args.seed))
    writer = rig.write("--seed", str(args.seed), "--rate", "2000", "--rotate-every", "2")
    wait_for("a first published file", 30, lambda: published(rig))
    for turn in range(args.turns):
        keep_full(ballast, args.seconds, subject)
        if turn % 2:
            subject.kill_and_start()
            keep_full(ballast, 3, subject)
        if not re.search(r"full|no space|ENOSPC|room", subject.said(), re.IGNORECASE):
            raise Failure("the disk is full and nobody says so:\n" + subject.said()[-2000:])
        before = published(rig)
        os.unlink(ballast)
        wait_for("files published once there is room", subject.PATIENCE_S, lambda: published(rig) > before)
        rig.look()
    subject.must_live()
    rig.end_writer(writer)
    subject.end()


def own_mounts(name, seed):
    """Starts the script anew, with that seed, where what it mounts vanishes with it. False: there is no right to."""
    if "TAILRACE_CHAOS_MOUNTS" in os.environ:
        return True
    own = ["unshare", "-m"] if may_mount() else ["unshare", "-rm"]
    if subprocess.run([*own, "mount", "-t", "tmpfs", "none", "/mnt"], stderr=subprocess.DEVNULL).returncode != 0:
        print("%s: SKIPPED, NOT PROVEN: no right to mount a tmpfs, neither as this user nor in a user namespace" % name)
        return False
    os.environ["TAILRACE_CHAOS_MOUNTS"] = "own"
    os.execvp("unshare", [*own, sys.executable, os.path.abspath(sys.argv[0]), *sys.argv[1:], "--seed", str(seed)])


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0, help="0: a fresh one, printed")
    parser.add_argument("--size", type=int, default=64, help="MiB of the disk")
    parser.add_argument("--seconds", type=float, default=5, help="how long it is full")
    parser.add_argument("--turns", type=int, default=2, help="every second one with kill -9 and a start while it is full")
    parser.add_argument("--holds", choices=("both", "output", "state"), default="both")
    parser.add_argument("--daemons", action="store_true", help="the three programs instead of `tailrace run`")
    args = parser.parse_args()
    args.seed = args.seed or random.SystemRandom().randrange(1, 1 << 31)
    if not own_mounts("full_disk", args.seed):
        return SKIPPED

    name = "full_disk --seed %d --size %d --holds %s%s" % (args.seed, args.size, args.holds, " --daemons" if args.daemons else "")
    rig = Rig("full-disk")
    disk = rig.folder + "/disk"
    os.mkdir(disk)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=%dm" % args.size, "tailrace-chaos", disk], check=True)
    out, state = disk + "/out" if args.holds != "state" else None, disk + "/state" if args.holds != "output" else None
    if args.daemons:
        rig = Trio("full-disk", folder=rig.folder, out=out, state=state)
    else:
        rig = Rig("full-disk", folder=rig.folder, out=out,
                  state=state if args.holds == "state" else rig.folder + "/state" if args.holds == "output" else None)
    try:
        return run(name, lambda r: body(r, args, disk), rig)
    finally:
        if os.path.isdir(disk):  # a kept folder shall show what was on the disk
            subprocess.run(["cp", "-a", disk + "/.", rig.folder + "/disk-copy"], stderr=subprocess.DEVNULL)
        subprocess.run(["umount", "-l", disk], stderr=subprocess.DEVNULL)


if __name__ == "__main__":
    sys.exit(main())
