#!/usr/bin/env python3
"""A Center of two sinks that is started while one of them is away: the other gets its lines, and the one that comes back
gets them too, each once. A disk that is not mounted is a directory that has been moved aside."""
import json
import os
import random
import shutil
import signal
import subprocess
import unittest
import urllib.error
import urllib.request

import balance
from daemons_test import DaemonsTest
from program import main


class Sinks(DaemonsTest):
    def there(self, root):
        return self.tailrace("cat", root).stdout if os.path.isdir(root) else b""

    def two_sinks(self, second):
        """The usual one, and `second`."""
        self.configure("center", f"role: center\ncluster: test\nstate: {self.dir}/center\n{self.settings['center']}  second: {second}\n")

    def obstacles(self):
        address = balance.address_of(self.running["center"].pid, self.port)
        if not address:
            return []  # it has just been started
        try:
            with urllib.request.urlopen(f"http://{address}/readyz", timeout=30):
                return []
        except urllib.error.HTTPError as answer:
            return [(o.get("sink"), o["text"]) for o in json.load(answer)["obstacles"]]


class Away(Sinks):
    def setUp(self):
        super().setUp()
        self.second = self.dir + "/second"
        self.two_sinks(f"{{type: directory, root: {self.second}, timezone: UTC, roll: {{age: 2s, idle: 1s}}}}")

    def both_once(self):
        for role in self.ROLES:
            self.up(role)
        self.write("a.log", b"one\n")
        for root in (self.out, self.second):
            self.until("the first line in " + root, lambda root=root: self.there(root) == b"one\n")
        self.down("center", signal.SIGTERM)

    def test_the_others_go_on_and_it_gets_all_when_it_is_back(self):
        self.both_once()
        os.rename(self.second, self.dir + "/aside")
        self.write("a.log", b"two\n", "ab")
        self.up("center")
        self.until("the second line", lambda: self.there(self.out) == b"one\ntwo\n")
        ((sink, detail),) = self.obstacles()
        self.assertEqual(sink, "second")
        self.assertIn("is it mounted?", detail)
        self.assertIn("sink second is away", self.said())
        self.down("center", signal.SIGTERM)  # in order, at once
        self.up("center")
        self.write("a.log", b"three\n", "ab")
        self.until("the third line", lambda: self.there(self.out) == b"one\ntwo\nthree\n")
        self.assertEqual(self.there(self.second), b"")
        self.assertEqual(os.listdir(self.second), [])  # nothing below the mount point
        os.rmdir(self.second)
        os.rename(self.dir + "/aside", self.second)
        self.until("all in the second", lambda: self.there(self.second) == b"one\ntwo\nthree\n")
        self.until("ready", lambda: not self.obstacles())
        self.down("center", signal.SIGTERM)
        self.assertEqual(self.there(self.out), b"one\ntwo\nthree\n")

    def test_another_one_in_its_place_is_not_written_to(self):
        self.both_once()
        os.rename(self.second, self.dir + "/aside")
        self.up("center")
        self.until("it is missed", lambda: self.obstacles())
        self.tailrace("run", "--once", "--from", f"web={self.logs}/*.log", "--to", self.second)
        self.until("the other one is seen", lambda: "another output" in self.obstacles()[0][1])
        self.down("center", signal.SIGTERM)

    def test_the_only_sink_is_said_to_be_missing_at_once(self):
        self.configure("center", f"role: center\ncluster: test\nstate: {self.dir}/center\n" + self.settings["center"])
        for role in self.ROLES:
            self.up(role)
        self.write("a.log", b"one\n")
        self.until("the line", lambda: self.lines() == b"one\n")
        self.down("center", signal.SIGTERM)
        os.rename(self.out, self.dir + "/aside")
        done = self.tailrace_center()
        self.assertEqual(done, 1)
        self.assertIn("is its file system mounted? To begin anew there, stop this Center and remove " + self.dir + "/center/sinks/",
                      self.said())

    def tailrace_center(self):
        self.up("center")
        child = self.running.pop("center")
        self.children.remove(child)
        return child.wait(30)


SLOW = r"""
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>
static unsigned seed = SEED;
static int is_slow(int fd) {
  char link[64], path[4096];
  snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
  ssize_t n = readlink(link, path, sizeof(path) - 1);
  path[n < 0 ? 0 : n] = 0;
  return strstr(path, getenv("SLOW_BELOW")) && strstr(path, "/_stage/");
}
static void write_slowly(int fd) {
  if (is_slow(fd)) usleep(rand_r(&seed) % 20000);
}
ssize_t pwrite(int fd, const void *bytes, size_t n, off_t at) {
  write_slowly(fd);
  return syscall(SYS_pwrite64, fd, bytes, n, at);
}
ssize_t pwritev(int fd, const struct iovec *pieces, int n, off_t at) {
  write_slowly(fd);
  return syscall(SYS_pwritev, fd, pieces, n, at, 0);
}
ssize_t pwrite64(int fd, const void *bytes, size_t n, off_t at) { return pwrite(fd, bytes, n, at); }
ssize_t pwritev64(int fd, const struct iovec *pieces, int n, off_t at) { return pwritev(fd, pieces, n, at); }
int fdatasync(int fd) {
  while (is_slow(fd) && access(getenv("HANGS_WHILE"), F_OK) == 0) usleep(10000);
  return syscall(SYS_fdatasync, fd);
}
"""


class SlowDisk(Sinks):
    """The second sink's disk takes its time for each write of a file, and does not end a sync at all."""

    def setUp(self):
        super().setUp()
        self.second = self.dir + "/second"
        if not shutil.which("cc"):
            raise unittest.SkipTest("no C compiler for a library that plays such a disk")
        seed = random.randrange(1 << 31)
        print("seed", seed)
        with open(self.dir + "/slow.c", "w") as file:
            file.write(SLOW)
        self.library, self.hang = self.dir + "/slow.so", self.dir + "/hang"
        subprocess.run(["cc", "-shared", "-fPIC", "-DSEED=%d" % seed, "-o", self.library, self.dir + "/slow.c"], check=True)
        self.two_sinks(f"{{type: directory, root: {self.second}, timezone: UTC, roll: {{size: 256KiB, age: 2s, idle: 1s}}}}")

    def test_the_others_go_on_and_nothing_is_lost(self):
        os.environ.update({"LD_PRELOAD": self.library, "SLOW_BELOW": self.second, "HANGS_WHILE": self.hang})
        try:
            self.up("center")
        finally:
            del os.environ["LD_PRELOAD"]
        for role in ("local", "agent"):
            self.up(role)
        self.write("a.log", b"one\n")
        for root in (self.out, self.second):
            self.until("the first line in " + root, lambda root=root: self.there(root) == b"one\n")
        with open(self.hang, "w"):
            pass
        whole = b"one\n"
        for n in range(40):
            lines = b"".join(b"%d %d %s\n" % (n, i, os.urandom(40).hex().encode()) for i in range(1_000))
            self.write("a.log", lines, "ab")
            whole += lines
        self.until("all in the first", lambda: self.there(self.out) == whole)
        self.assertEqual(self.there(self.second), b"one\n")
        self.assertIsNone(self.running["center"].poll())
        os.remove(self.hang)
        self.until("all in the second", lambda: self.there(self.second) == whole)
        self.down("center", signal.SIGTERM)
        self.assertEqual(self.there(self.out), whole)


if __name__ == "__main__":
    main()
