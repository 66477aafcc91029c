#!/usr/bin/env python3
"""A Center of a directory and a real HDFS that is started while the HDFS is away: the directory gets its lines, and so does
HDFS once it is back, each once."""
import os
import signal
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "../road")]
from away_test import Sinks  # noqa: E402
from hdfs import Hdfs  # noqa: E402
from program import TAILRACE, main  # noqa: E402


class HdfsAway(Sinks):
    @classmethod
    def setUpClass(cls):
        cls.hdfs = Hdfs()
        cls.addClassCleanup(cls.hdfs.remove)
        cls.hdfs.start()

    def setUp(self):
        super().setUp()
        self.root = "/" + self._testMethodName
        client = self.hdfs.client()
        client.mkdirs(self.root)
        client.set_owner(self.root, "tailrace", "tailrace")
        self.two_sinks("{type: hdfs, url: [webhdfs://%s], user: tailrace, root: %s, timezone: UTC, roll: {age: 2s, idle: 1s}}" % (
            self.hdfs.namenodes[0].at, self.root))

    def in_hdfs(self):
        done = subprocess.run([TAILRACE, "cat", "webhdfs://%s%s" % (self.hdfs.namenodes[0].at, self.root)], capture_output=True,
                              timeout=120, check=False)
        return done.stdout

    def test_the_others_go_on_and_it_gets_all_when_it_is_back(self):
        for role in self.ROLES:
            self.up(role)
        self.write("a.log", b"one\n")
        for what in (self.lines, self.in_hdfs):
            self.until("the first line", lambda what=what: what() == b"one\n")
        self.down("center", signal.SIGTERM)
        namenode = self.hdfs.namenodes[0]
        namenode.end()
        self.write("a.log", b"two\n", "ab")
        self.up("center")
        self.until("the second line", lambda: self.lines() == b"one\ntwo\n")
        self.until("its trouble", lambda: [sink for sink, _ in self.obstacles()] == ["second"])
        self.down("center", signal.SIGTERM)  # in order, at once
        self.up("center")
        namenode.start()
        self.hdfs.wait()
        self.until("all in HDFS", lambda: self.in_hdfs() == b"one\ntwo\n", 120)
        self.until("ready", lambda: not self.obstacles())
        self.down("center", signal.SIGTERM)
        self.assertEqual(self.lines(), b"one\ntwo\n")


if __name__ == "__main__":
    main()
