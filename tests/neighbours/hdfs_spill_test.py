#!/usr/bin/env python3
"""A Center whose spill, on a tmpfs, is full of files that HDFS does not take: its Locals wait, an alarm says so, and all lines come once
HDFS takes files again. Needs the right to mount: root, or a user namespace.
"""
import collections
import os
import signal
import subprocess
import sys
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "../road")]
import balance  # noqa: E402
from away_test import Sinks  # noqa: E402
from hdfs import Hdfs  # noqa: E402
from hdfs_full_test import OWN_MOUNTS, own_mounts  # noqa: E402
from program import main  # noqa: E402

CATEGORIES, LINES, LINE = 5, 40_000, 200  # 40 MB of lines
SPILL_MIB = 8
MOST_SAID = 20  # alarms of one that lasts


class Spill(Sinks):
    def setUp(self):
        super().setUp()
        self.hdfs = Hdfs()
        self.addCleanup(self.hdfs.remove)
        self.hdfs.start()
        self.client = self.hdfs.client()
        self.client.mkdirs("/logs")
        self.client.set_owner("/logs", "tailrace", "tailrace")
        self.spill = self.dir + "/center/spill"
        os.makedirs(self.spill)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=%dm" % SPILL_MIB, "none", self.spill], check=True)
        self.addCleanup(subprocess.run, ["umount", "-l", self.spill], check=True)
        pipelines = "".join(f"  c{n}: {{files: [\"{self.logs}/c{n}.log\"], codec: none}}\n" for n in range(CATEGORIES))
        self.configure("agent", f"role: agent\ncluster: test\nstate: {self.dir}/agent\nlocal: {self.dir}/local.sock\npipelines:\n{pipelines}")
        self.configure("center", f"role: center\ncluster: test\nstate: {self.dir}/center\nlisten: 127.0.0.1:{self.port}\nsinks:\n"
                                 f"  warehouse: {{type: hdfs, url: [webhdfs://{self.hdfs.namenodes[0].at}], user: tailrace, root: /logs,"
                                 " timezone: UTC, roll: {size: 1MiB, age: 2s, idle: 1s}}\n")

    def line(self, category, n):
        return b"%d %06d %s\n" % (category, n, b"x" * LINE)

    def status(self):
        with urllib.request.urlopen("http://%s/metrics" % balance.address_of(self.running["center"].pid, self.port), timeout=30) as got:
            return collections.Counter({tuple(line.rsplit(" ", 1))[0]: float(line.rsplit(" ", 1)[1])
                                        for line in got.read().decode().splitlines() if not line.startswith("#")})

    def published(self):
        return sorted(path for path in self.client.walk("/logs") if not any(p.startswith("_") for p in path.split("/")))

    def test_it_waits_says_so_and_goes_on(self):
        for role in self.ROLES:
            self.up(role)
        for n in range(CATEGORIES):
            self.write("c%d.log" % n, self.line(n, 0))
        self.until("a file of each", lambda: len(self.published()) >= CATEGORIES)
        self.hdfs.safemode(True)
        for n in range(CATEGORIES):
            self.write("c%d.log" % n, b"".join(self.line(n, i) for i in range(1, LINES)), "ab")
        self.until("the alarm", lambda: "writing waits: " in self.said() and "No space left" in self.said())
        self.until("its trouble", lambda: [sink for sink, _ in self.obstacles()] == ["warehouse"])
        # For a while: nothing ends, nothing more is taken than there is room for.
        taken = [self.status() for _ in range(2)]
        self.until("a standstill", lambda: (taken.append(self.status()), taken[-1] == taken[-2])[1] or len(taken) > 20)
        self.assertLess(os.statvfs(self.spill).f_bavail, 64 << 10)
        self.assertIsNone(self.running["center"].poll())
        self.assertLess(self.said().count("writing waits: "), MOST_SAID)
        self.hdfs.safemode(False)
        want = CATEGORIES * LINES
        self.until("all lines", lambda: sum(v for k, v in self.status().items() if "lines_passed" in k) >= want, 120)
        self.until("ready", lambda: not self.obstacles())
        self.down("center", signal.SIGTERM)
        for n in range(CATEGORIES):
            whole = b"".join(self.client.read("/logs/" + path) for path in self.published() if path.startswith("c%d/" % n))
            lines = whole.splitlines(True)
            self.assertEqual((len(lines), sorted(lines) == [self.line(n, i) for i in range(LINES)]), (LINES, True))


if __name__ == "__main__":
    if OWN_MOUNTS not in os.environ:
        own_mounts(__file__)
    main()
