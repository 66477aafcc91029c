#!/usr/bin/env python3
"""Two NameNodes that Kerberos guards, and a KDC that goes away: they fail over and back while lines flow, and each comes once."""
import os
import re
import sys
import threading
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from hdfs import Hdfs  # noqa: E402
from kerberos import REALM  # noqa: E402
from programs import wait_for  # noqa: E402
from sink_run import PATIENCE_S, Run  # noqa: E402

PAUSE_S = 0.02


class Flow(threading.Thread):
    """Writes lines all the time, until it is stopped."""

    def __init__(self, run):
        super().__init__(daemon=True)
        self.one, self.ended = run, threading.Event()

    def run(self):
        while not self.ended.wait(PAUSE_S):
            self.one.writes(3)

    def stop(self):
        self.ended.set()
        self.join()


class TwoNameNodes(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.hdfs = Hdfs(ha=True, kerberos=True)
        cls.addClassCleanup(cls.hdfs.remove)
        cls.hdfs.start()
        cls.kdc = cls.hdfs.kerberos.kdc

    def still_flows(self, run):
        """Lines that are written from now on are published: three files at least."""
        before = run.metric("tailrace_center_files_published_total")
        wait_for("published files", PATIENCE_S, lambda: run.metric("tailrace_center_files_published_total") >= before + 3)

    def published(self, root):
        client = self.hdfs.client()
        files = [n for n in client.walk(root) if not any(part.startswith("_") for part in n.split("/"))]
        files.sort(key=lambda n: [int(word) for word in re.findall(r"-(\d+)", n)[-2:]])  # entries of one incarnation: 9, 10
        return b"".join(client.read(root + "/" + n) for n in files).decode().splitlines()

    def without_kdc(self, check):
        self.kdc.end()
        try:
            check()
        finally:
            self.kdc.start()

    def test_they_fail_over_and_back(self):
        self.hdfs.client().mkdirs("/logs")
        self.hdfs.client().set_owner("/logs", "tailrace", "tailrace")
        kerberos = {"principal": "tailrace@" + REALM, "keytab": self.hdfs.kerberos.keytab("tailrace")}
        urls = ["webhdfs://" + node.at for node in self.hdfs.namenodes]
        with Run(urls, self.kdc.environment(), {"codec": "none"}, kerberos=kerberos) as run:
            run.says("admin port")
            flow = Flow(run)
            flow.start()
            self.addCleanup(flow.stop)
            self.still_flows(run)
            first = self.hdfs.active()
            self.hdfs.failover()
            self.without_kdc(lambda: self.still_flows(run))  # at a NameNode to which it has never shown a ticket
            self.hdfs.active().end()
            self.hdfs.failover(first)
            self.without_kdc(lambda: self.still_flows(run))
            flow.stop()
            wait_for("all lines", PATIENCE_S, lambda: run.metric("tailrace_center_lines_passed_total") >= run.lines)
            self.assertTrue(run.alive())
        lines = self.published("/logs")
        self.assertEqual((len(lines), len(set(lines))), (run.lines, run.lines), "lost, doubled")
        self.assertEqual(lines, ["line %d" % n for n in range(1, run.lines + 1)])


if __name__ == "__main__":
    unittest.main()
