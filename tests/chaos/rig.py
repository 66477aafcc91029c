"""What the chaos runs share: a folder for one run, the writer, and lives of `tailrace run` in it.

The program is $TAILRACE_BIN, else build/bin/tailrace below the source root. A run that fails keeps its folder.
"""
import argparse
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
import judge  # noqa: E402

SOURCE_ROOT = os.path.dirname(os.path.dirname(HERE))
PROGRAM = os.environ.get("TAILRACE_BIN") or os.path.join(SOURCE_ROOT, "build", "bin", "tailrace")
SKIPPED = 77  # what ctest takes for "skipped" (tests/chaos.cmake)


class Failure(Exception):
    pass


def wait_for(what, seconds, check, pause=0.05):
    """Until check() is true; returns what it said."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := check():
            return found
        time.sleep(pause)
    raise Failure("waited %g s for %s" % (seconds, what))


class Life:
    """One start of the program; its messages are a part of the run's program.log."""

    def __init__(self, process, log, begin, what):
        self.process, self.log, self.begin, self.what = process, log, begin, what

    @property
    def pid(self):
        return self.process.pid

    def alive(self):
        return self.process.poll() is None

    def said(self):
        with open(self.log, "rb") as f:
            f.seek(self.begin)
            return f.read().decode(errors="replace")

    def ready(self, seconds=60):
        """Once all roles stand; before that SIGTERM just ends the start."""
        wait_for("%s to stand" % self.what, seconds, lambda: "publishing into" in self.said() or self.must_live())

    def status(self):
        """What a program that should have ended, or moved, tells of itself; for a message."""
        doors = re.findall(r"http://127\.0\.0\.1:\d+/", self.said())
        if not doors:
            return "it named no admin port"
        try:
            with urllib.request.urlopen(doors[-1] + "api/v1/status", timeout=5) as answer:
                return answer.read().decode(errors="replace")
        except OSError as e:
            return "%s says nothing: %s" % (doors[-1], e)

    def must_live(self):
        if not self.alive():
            raise Failure("%s: ended by itself with %d:\n%s" % (self.what, self.process.returncode, self.said()[-3000:]))

    def kill(self):
        self.must_live()
        self.process.kill()
        self.process.wait()

    def end(self, seconds, expected=0, stop=True):
        """SIGTERM (unless it ends by itself), and the exit code that it must have."""
        if stop:
            self.must_live()
            self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            shown = self.said()[-3000:]
            told = self.status()
            self.process.kill()
            self.process.wait()
            raise Failure("%s: not ended after %g s:\n%s\n%s" % (self.what, seconds, shown, told)) from None
        if expected is not None and code != expected:
            raise Failure("%s: exit %d instead of %d:\n%s" % (self.what, code, expected, self.said()[-3000:]))
        return code


class Rig:
    """One run's folder: logs/ (the writer's), out/ (--to), ledger, program.log."""

    ROLL = ("--roll-size", "256KiB", "--roll-age", "1s", "--roll-idle", "1s")

    def __init__(self, name, codec="gzip", folder=None, out=None, state=None, globs=(".log*", ".*.log"), form=None):
        self.name = name
        self.folder = folder or tempfile.mkdtemp(prefix="tailrace-%s-" % name)
        os.makedirs(self.folder, exist_ok=True)
        self.logs = self.folder + "/logs"
        self.out = out or self.folder + "/out"
        self.ledger = self.folder + "/ledger"
        self.log = self.folder + "/program.log"
        self.known = {}
        self.lives = 0
        self.started = []
        sources = [a for c in ("alpha", "beta") for g in globs for a in ("--from", "%s=%s/%s-*%s" % (c, self.logs, c, g))]
        self.command = [PROGRAM, "run", *sources, "--to", self.out, "--codec", codec, *self.ROLL]
        if form:
            self.command += ["--format", form]
        if state:
            self.command += ["--state", state]
        os.makedirs(self.logs, exist_ok=True)
        if not os.access(PROGRAM, os.X_OK):
            raise SystemExit("%s: no program at %s; build it (./dev build) or set TAILRACE_BIN" % (name, PROGRAM))

    def set(self, option, value):
        """Changes an option of later starts."""
        self.command[self.command.index(option) + 1] = value

    def start(self, *more, under=(), what="run", env=None):
        self.lives += 1
        what = "life %d (%s)" % (self.lives, what)
        with open(self.log, "ab") as log:
            log.write(b"\n=== %s\n" % what.encode())
            log.flush()
            begin = log.tell()
            process = subprocess.Popen([*under, *self.command, *more], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                       env={**os.environ, **env} if env else None)
        self.started.append(process)
        return Life(process, self.log, begin, what)

    def settle(self, seconds=60):
        """A clean life: everything that was written must be published when SIGTERM has ended it."""
        life = self.start(what="clean")
        life.ready()
        life.end(seconds)
        self.look()

    def write(self, *args, logs=None):
        """Starts the writer."""
        process = subprocess.Popen([sys.executable, HERE + "/writer.py", "--dir", logs or self.logs, "--ledger", self.ledger, *args])
        self.started.append(process)
        return process

    def end_writer(self, writer):
        writer.send_signal(signal.SIGTERM)
        if writer.wait(60) != 0:
            raise Failure("the writer failed")

    def said(self):
        with open(self.log, encoding="utf-8", errors="replace") as f:
            return f.read()

    def look(self):
        """A reader's look at the tree: what came must be whole, what was there must not have changed."""
        seen = {}
        for path in judge.in_sight(self.out):
            status = os.stat(os.path.join(self.out, path))
            seen[path] = (status.st_ino, status.st_size, status.st_mtime_ns)
            if path not in self.known:
                if judge.codec_of(path) is None:
                    raise Failure("%s in readers' sight" % path)
                try:
                    ended = [e for _, e in judge.lines_of(os.path.join(self.out, path))]
                except judge.Unreadable as e:
                    raise Failure("published, and not readable: %s: %s" % (path, e)) from e
                if not ended or not ended[-1]:
                    raise Failure("published, and %s: %s" % ("its last line is torn" if ended else "empty", path))
        for path, status in self.known.items():
            if seen.get(path) != status:
                raise Failure("published, then changed: %s: %s, was %s" % (path, seen.get(path), status))
        self.known = seen

    def judge_quietly(self, optional):
        return judge.Judge(judge.Ledger(self.ledger, optional)).tree(self.out)

    def judge(self, optional=False, quiet=False):
        found = self.judge_quietly(optional)
        if not quiet or not found.clean:
            found.print()
        return found

    def rests(self):
        """Files left in _stage folders, and their bytes."""
        left = [os.path.join(folder, n) for folder, _, names in os.walk(self.out) if "/_stage" in folder for n in names]
        return len(left), sum(os.path.getsize(p) for p in left)

    def stop_all(self):
        for process in self.started:
            if process.poll() is None:
                process.kill()
                process.wait()


def lines_published(root):
    """How many lines stand in the tree; a cheap measure of progress."""
    return sum(1 for path in judge.in_sight(root) for _ in judge.lines_of(os.path.join(root, path)))


def run(name, body, rig, keep=False):
    """body(rig) decides; prints its verdict and returns the exit code. The folder stays if it failed."""
    begun = time.monotonic()
    try:
        body(rig)
    except Failure as e:
        rig.stop_all()
        print("%s: FAILED after %.0f s, kept in %s: %s" % (name, time.monotonic() - begun, rig.folder, e), flush=True)
        return 1
    except BaseException:
        rig.stop_all()
        print("%s: broken off, kept in %s" % (name, rig.folder), flush=True)
        raise
    print("%s: ok in %.0f s" % (name, time.monotonic() - begun), flush=True)
    if not keep:
        shutil.rmtree(rig.folder, ignore_errors=True)
    return 0


def each_case(doc, cases, *flags):
    """The command line of a script with cases: (its options, `seed` among them; a case; a random of its own) for each that is asked for."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(cases))
    parser.add_argument("--seed", type=int, default=0, help="0: a fresh one, printed")
    for flag in flags:
        parser.add_argument(flag, action="store_true")
    args = parser.parse_args()
    args.seed = args.seed or random.SystemRandom().randrange(1, 1 << 31)
    for case in args.names or cases:
        yield args, case, random.Random("%d %s" % (args.seed, case))


def run_cases(name, doc, cases):
    """The cases are {its name: what makes a rig and a body of a random}. The exit code."""
    failed = 0
    for args, case, rnd in each_case(doc, cases):
        rig, body = cases[case](rnd)
        failed |= run("%s --seed %d %s" % (name, args.seed, case), body, rig)
    return failed


def gaps_reported(text):
    """Messages of the program that admit lost bytes: each FILE_GAP is one."""
    return len(re.findall(r"if anything, is lost|was deleted before it was read to its end", text))
