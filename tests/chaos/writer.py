#!/usr/bin/env python3
"""Writes several log files the way bad programs do: in odd pieces, with bursts and pauses, rotated at any moment.

Files <dir>/<category>-<i>.log; the part before '-' is the category they are expected in. Rotation:
  rename        x.log -> x.log.1 -> x.log.2 ..., then a new x.log; the old one may get some more lines first.
                Every other file is rotated by create instead: x.<g>.log is left, x.<g+1>.log begins.
  copytruncate  x.log is copied to old/x.<g> and cut to nothing under the writer, logrotate's way.
The ledger says what each generation holds: one JSON object a line, fsynced when a generation ends,
  {"file", "generation", "lines", "end": open | rotated | unterminated | deleted | lost-end | truncated | stopped}
where the last one of a generation counts; lost-end is unterminated, then deleted. The writer ends after --lines or
--seconds, or at SIGTERM; never in mid-line, but with --unterminated a rotated generation's last line may lack its
newline for ever.
"""
import argparse
import json
import os
import random
import shutil
import signal
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import lines  # noqa: E402


class Ledger:
    def __init__(self, path):
        self.file = open(path, "a", buffering=1)

    def write(self, name, generation, count, end):
        entry = {"file": name, "generation": generation, "lines": count, "end": end}
        self.file.write(json.dumps(entry) + "\n")
        self.file.flush()
        os.fsync(self.file.fileno())


class LogFile:
    """One source file and its generations."""

    def __init__(self, settings, name, by_create, rnd, ledger):
        self.settings, self.name, self.by_create, self.rnd, self.ledger = settings, name, by_create, rnd, ledger
        self.generation = 0
        self.kept = []  # (time of rotation, generation, lines, end), oldest first: what deletion looks at
        self.pending = b""
        self._open()

    def _path(self, suffix="", generation=None):
        if self.by_create:
            g = self.generation if generation is None else generation
            return "%s/%s.%d.log" % (self.settings.dir, self.name, g)
        return "%s/%s.log%s" % (self.settings.dir, self.name, suffix)

    def _open(self):
        self.seq = 0
        self.key = lines.key_of(self.name.encode(), self.generation)
        self.fd = os.open(self._path(), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        self.ledger.write(self.name, self.generation, 0, "open")

    def _take(self, n):
        name = self.name.encode()
        made = [lines.make(name, self.generation, self.seq + i, self.key) for i in range(n)]
        self.seq += n
        return b"\n".join(made) + b"\n"

    def _write(self, data):
        while data:
            try:
                data = data[os.write(self.fd, data):]
            except OSError as e:  # the log's own disk is full: a patient program
                if e.errno != 28:
                    raise
                time.sleep(0.05)

    def finish_line(self):
        self._write(self.pending)
        self.pending = b""

    def write_some(self, most):
        """Some lines in some way; returns how many. Part of the last may stay pending until the next call."""
        self.finish_line()
        way = self.rnd.randrange(10)
        n = min(most, 1 + int(self.rnd.expovariate(1 / 60)) if way < 5 else self.rnd.randrange(1, 4))
        data = self._take(n)
        if way == 9 and len(data) < 2000:
            for i in range(len(data)):
                self._write(data[i:i + 1])
        elif way >= 3:
            cut = self.rnd.randrange(len(data))
            self._write(data[:cut])
            self.pending = data[cut:]
        else:
            self._write(data)
        return n

    def rotate(self):
        if self.settings.mode == "copytruncate":
            return self._copytruncate()
        count = 0
        old = self.generation
        if not self.by_create:
            for i in range(len(self.kept), 0, -1):
                os.rename(self._path(".%d" % i), self._path(".%d" % (i + 1)))
            os.rename(self._path(), self._path(".1"))
        if self.rnd.randrange(3) == 0:  # a program that has not noticed yet
            time.sleep(self.rnd.random() * 0.05)
            count += self.write_some(20)
        end = "rotated"
        if self.settings.unterminated and self.seq and self.rnd.randrange(4) == 0:
            self.finish_line()
            self._write(self._take(1)[:-1])
            end = "unterminated"
            count += 1
        self.finish_line()
        os.close(self.fd)
        self.ledger.write(self.name, old, self.seq, end)
        self.kept.append((time.monotonic(), old, self.seq, end))
        self.generation += 1
        self._open()
        return count

    def _copytruncate(self):
        self.finish_line()
        path = self._path()
        shutil.copyfile(path, "%s/old/%s.%d" % (self.settings.dir, self.name, self.generation))
        count = 0
        if self.rnd.randrange(2):  # lines in the window between copy and cut
            count = self.write_some(30)
            self.finish_line()
        os.truncate(path, 0)
        self.ledger.write(self.name, self.generation, self.seq, "truncated")
        self.generation += 1
        self.seq = 0
        self.key = lines.key_of(self.name.encode(), self.generation)
        self.ledger.write(self.name, self.generation, 0, "open")
        return count

    def delete_old(self, now):
        while self.kept and now - self.kept[0][0] > self.settings.delete_after:
            _, generation, count, end = self.kept[0]
            os.unlink(self._path(".%d" % len(self.kept), generation))
            self.kept.pop(0)
            self.ledger.write(self.name, generation, count, "lost-end" if end == "unterminated" else "deleted")

    def stop(self):
        self.finish_line()
        os.close(self.fd)
        self.ledger.write(self.name, self.generation, self.seq, "stopped")


def parse():
    parser = argparse.ArgumentParser(description="writes log files in odd pieces and rotates them")
    parser.add_argument("--dir", required=True)
    parser.add_argument("--ledger", required=True)
    parser.add_argument("--categories", default="alpha,beta", help="of the files, in turn")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--files", type=int, default=5)
    parser.add_argument("--first", type=int, default=0, help="number of the first file: two writers share a ledger by it")
    parser.add_argument("--lines", type=int, default=0, help="0: no limit")
    parser.add_argument("--seconds", type=float, default=0, help="0: no limit")
    parser.add_argument("--rate", type=int, default=2000, help="lines a second over all files; 0: as fast as it goes")
    parser.add_argument("--pause", type=float, default=0.03, help="seconds, the longest between two writes that are early by --rate")
    parser.add_argument("--mode", choices=("rename", "copytruncate"), default="rename")
    parser.add_argument("--rotate-every", type=float, default=1.5, help="seconds on average, over all files; 0: never")
    parser.add_argument("--delete-after", type=float, default=0, help="seconds after rotation; 0: never")
    parser.add_argument("--unterminated", action="store_true")
    return parser.parse_args()


def run(args):
    stop = []
    signal.signal(signal.SIGTERM, lambda *_: stop.append(1))
    os.makedirs(args.dir + "/old" if args.mode == "copytruncate" else args.dir, exist_ok=True)
    rnd = random.Random(args.seed)
    ledger = Ledger(args.ledger)
    categories = args.categories.split(",")
    files = [LogFile(args, "%s-%d" % (categories[i % len(categories)], args.first + i), args.mode == "rename" and i % 3 == 2,
                     random.Random(args.seed * 1000 + i), ledger) for i in range(args.files)]
    begun = time.monotonic()
    next_rotation = begun + args.rotate_every
    total = 0
    while not stop and (not args.lines or total < args.lines):
        now = time.monotonic()
        if args.seconds and now - begun > args.seconds:
            break
        total += rnd.choice(files).write_some(200)
        if args.rotate_every and now >= next_rotation:
            next_rotation = now + rnd.expovariate(1 / args.rotate_every)
            total += rnd.choice(files).rotate()
        if args.delete_after:
            for f in files:
                f.delete_old(now)
        if args.rate and total > (time.monotonic() - begun) * args.rate:
            time.sleep(rnd.random() * args.pause)
    for f in files:
        f.stop()
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # else the interpreter's own end gives it back its deadly meaning
    print("writer: seed %d, %d lines" % (args.seed, total), flush=True)


if __name__ == "__main__":
    run(parse())
