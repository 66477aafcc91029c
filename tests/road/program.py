"""What the tests of the program share: the binary, a folder for each test, logs that are hard to get right.

The program is $TAILRACE_BIN, else build/bin/tailrace below the source root; without it the tests are skipped.
"""
import glob
import gzip
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TAILRACE = os.environ.get("TAILRACE_BIN") or os.path.join(ROOT, "build", "bin", "tailrace")
SKIPPED = 77  # what ctest takes for "skipped"
PATIENCE_S = 60


class ProgramTest(unittest.TestCase):
    """Each test has a folder `self.dir`, which stays for inspection only if the test failed."""

    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="tailrace-road-")
        os.chmod(self.dir, 0o755)
        self.logs = os.path.join(self.dir, "logs")
        self.out = os.path.join(self.dir, "out")
        os.mkdir(self.logs)
        self.children = []

    def tearDown(self):
        for child in self.children:
            if child.poll() is None:
                child.kill()
                child.wait()
            for stream in (child.stdout, child.stderr):
                if stream:
                    stream.close()
        outcome = self._outcome
        failed = any(error for _, error in getattr(outcome, "errors", [])) or (
            outcome.result and any(test is self for test, _ in outcome.result.failures + outcome.result.errors))
        if failed:
            print("kept for inspection: " + self.dir, file=sys.stderr)
        else:
            shutil.rmtree(self.dir, ignore_errors=True)

    # --- the program ---------------------------------------------------------------------------

    def tailrace(self, *arguments, expect=0, **options):
        """Runs it to its end; the exit code must be `expect`."""
        done = subprocess.run([TAILRACE, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              timeout=PATIENCE_S * 3, **options)
        if done.returncode != expect:
            self.fail("exit %d instead of %d: tailrace %s\n%s\n%s" % (
                done.returncode, expect, " ".join(arguments), done.stdout[-2000:].decode(errors="replace"),
                done.stderr[-4000:].decode(errors="replace")))
        return done

    def once(self, *more, expect=0, **options):
        fresh = not os.path.exists(self.out) and "--state" not in more
        done = self.tailrace("run", "--from", "web=" + self.logs + "/*.log", "--to", self.out, "--once", *more,
                             expect=expect, **options)
        if expect == 0:  # a state that was there before may hold lines of earlier
            said = summary_of(done)
            self.assertGreaterEqual(said["lines published"], said["lines read"])
            if fresh:
                self.assertEqual(said["lines published"], said["lines read"])
        return done

    def start(self, *more):
        """`tailrace run` in the background; its messages go to <dir>/stderr.txt."""
        log = open(os.path.join(self.dir, "stderr.txt"), "ab")
        child = subprocess.Popen([TAILRACE, "run", "--from", "web=" + self.logs + "/*.log", "--to", self.out, *more],
                                 stdout=subprocess.DEVNULL, stderr=log, stdin=subprocess.DEVNULL)
        log.close()
        self.children.append(child)
        return child

    def said(self):
        with open(os.path.join(self.dir, "stderr.txt"), errors="replace") as file:
            return file.read()

    def wait(self, child, expect=0):
        try:
            code = child.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self.fail("still running after %d s:\n%s" % (PATIENCE_S, self.said()[-4000:]))
        self.assertEqual(code, expect, self.said()[-4000:])

    def until(self, what, check, seconds=PATIENCE_S):
        """Waits until check() is true; returns what it said and after how many seconds."""
        start = time.monotonic()
        while time.monotonic() - start < seconds:
            for child in self.children:
                if child.poll() not in (None, 0, -9):
                    self.fail("the program ended with %d:\n%s" % (child.returncode, self.said()[-4000:]))
            found = check()
            if found:
                return found, time.monotonic() - start
            time.sleep(0.02)
        self.fail("waited %g s for %s\n%s" % (seconds, what, self.said()[-4000:]))

    # --- files ---------------------------------------------------------------------------------

    def write(self, name, data, mode="wb"):
        path = os.path.join(self.logs, name)
        with open(path, mode) as file:
            file.write(data)
        return path

    def published(self, category="*"):
        """The published files in the order of their names, as any reader sees them."""
        found = []
        for path in glob.glob(os.path.join(self.out, category, "**", "*"), recursive=True):
            parts = os.path.relpath(path, self.out).split(os.sep)
            if (".log" in parts[-1] or path.endswith(".seq")) and not any(part.startswith(("_", ".")) for part in parts):
                found.append(path)
        return sorted(found, key=numbers_count)

    def cat(self, *more):
        return self.tailrace("cat", self.out, *more).stdout


def numbers_count(path):
    """A sort key: as bytes, but with digits taken as numbers."""
    return [(0, int(part), b"") if part.isdigit() else (1, 0, part)
            for part in re.split(rb"(\d+)", os.fsencode(path)) if part]


def inflate(path):
    """By programs that are not ours."""
    if path.endswith(".gz"):
        return subprocess.run(["gzip", "-dc", path], check=True, stdout=subprocess.PIPE).stdout
    if path.endswith(".zst"):
        return subprocess.run(["zstd", "-dcq", path], check=True, stdout=subprocess.PIPE).stdout
    with open(path, "rb") as file:
        return file.read()


def hard_lines(seed, total_bytes):
    """Whole lines of every kind that breaks collectors: empty, NUL, CR, invalid UTF-8, up to 1 MiB."""
    rng = random.Random(seed)
    lines = [b"", b"\r", b"\0", b"a\0b\r", b"\xff\xfe\xc3\x28", "größe ≠ 0 🪵".encode(), b" " * 80,
             b"x" * ((1 << 20) - 1), b"y" * (1 << 20), rng.randbytes(1 << 20).replace(b"\n", b"\r"), b"", b""]
    size = sum(len(line) + 1 for line in lines)
    n = 0
    while size < total_bytes:
        kind = rng.random()
        if kind < 0.7:
            line = b'10.0.%d.%d - - "GET /item/%d HTTP/1.1" 200 %d' % (
                rng.randrange(256), rng.randrange(256), rng.randrange(10000), rng.randrange(100000))
        elif kind < 0.98:
            line = rng.randbytes(rng.choice([0, 1, 63, 500])).replace(b"\n", b"\0")
        else:
            line = rng.randbytes(rng.choice([4095, 4096, 65535])).replace(b"\n", b"\0")
        lines.append(b"%d " % n + line)
        size += len(lines[-1]) + 1
        n += 1
    return b"".join(line + b"\n" for line in lines)


def summary_of(done):
    """The numbers of --once's summary, by their names."""
    found = {}
    for line in done.stdout.decode().splitlines():
        match = re.match(r"(\S.*?)  +([\d,.]+)", line)
        if match:
            found[match.group(1)] = float(match.group(2).replace(",", ""))
    return found


def gzip_members(data):
    """One gzip member, as others make them."""
    return gzip.compress(data, 6)


def main():
    if not os.path.exists(TAILRACE):
        print("skipped: there is no program %s; ./dev build makes it" % TAILRACE)
        sys.exit(SKIPPED)
    unittest.main(verbosity=2)
