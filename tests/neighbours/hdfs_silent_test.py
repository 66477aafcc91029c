#!/usr/bin/env python3
"""`tailrace run` at a real HDFS of which something says nothing: a call that is swallowed holds up no other one, and a NameNode
that is silent is asked no more once another one serves."""
import os
import sys
import threading
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
from hdfs import Hdfs  # noqa: E402
from http_faults import SWALLOW, HttpFaults  # noqa: E402
from programs import wait_for  # noqa: E402
from sink_run import TAILRACE, RunInFolder  # noqa: E402

CATEGORIES = ("quick", "slow")
PATIENCE_S = 60


class Run(RunInFolder):
    """Two categories, of each of which a line is written all the time, so that there is a file each second."""

    def __init__(self, urls):
        super().__init__("tailrace-silent-")
        sink = {"type": "hdfs", "url": [url.replace("http", "webhdfs") for url in urls], "user": "tailrace", "root": "/logs",
                "layout": "{category}", "timezone": "UTC", "roll": {"age": "1s", "idle": "1s"}}
        self.settle({"warehouse": sink}, {name: {"files": [self.folder + "/%s.log" % name]} for name in CATEGORIES}, "silent")
        self.ended, self.lines = threading.Event(), 0

    def __enter__(self):
        threading.Thread(target=self.write, daemon=True).start()
        self.run([TAILRACE, "run", "--config", self.folder + "/run.yaml"])
        return self

    def write(self):
        while not self.ended.wait(0.2):
            self.lines += 1
            for name in CATEGORIES:
                with open("%s/%s.log" % (self.folder, name), "a") as f:
                    f.write("line %d\n" % self.lines)

    def __exit__(self, *words):
        self.ended.set()
        super().__exit__(*words)


class Silent(unittest.TestCase):
    def lab(self, **words):
        self.hdfs = Hdfs(**words)
        self.addCleanup(self.hdfs.remove)
        self.hdfs.start()
        self.reader = self.hdfs.client()
        self.reader.mkdirs("/logs")
        self.reader.set_owner("/logs", "tailrace", "tailrace")
        self.network = HttpFaults(self.hdfs)
        self.addCleanup(self.network.end)
        return Run(self.network.urls)

    def published(self, category):
        return [name for name in self.reader.list("/logs/" + category) if not name.startswith("_")]

    def wait_for_files(self, category, count=1):
        """So many more than there are."""
        def there():
            try:
                return len(self.published(category))
            except Exception:  # whatever a NameNode that changes says
                return 0
        before = there()
        wait_for("files of %s" % category, PATIENCE_S, lambda: there() >= before + count)

    def test_a_swallowed_call_holds_up_no_other(self):
        with self.lab() as run:
            for name in CATEGORIES:
                self.wait_for_files(name)

            def others_go_on():
                """Several files of `quick` were published while one and the same call was waited for."""
                beside = [number for _, op, target, number, waited_for in list(self.network.asked)
                          if waited_for and op == "RENAME" and "quick-20" in target]
                return any(beside.count(number) >= 3 for number in beside)

            def swallowed():
                """What publishes a file of `slow`; again if a busy machine makes no three files meanwhile."""
                if not self.network.waited_for:
                    self.network.heal()
                    self.network.add(SWALLOW, op="RENAME", part="slow-20")
                return others_go_on()
            wait_for("files of the other category", PATIENCE_S, swallowed)
            self.network.heal()
            run.says("cannot publish", "slow-20")
            self.wait_for_files("slow", 2)

    def test_a_category_that_is_never_published_holds_up_no_other(self):
        """Each try of it waits for its whole time, again and again."""
        with self.lab() as run:
            for name in CATEGORIES:
                self.wait_for_files(name)
            self.network.add(SWALLOW, op="RENAME", part="slow-20", times=1_000_000)
            wait_for("calls without an answer", PATIENCE_S, lambda: self.network.swallowed >= 2)
            pauses, end = [], time.monotonic() + 25
            while time.monotonic() < end:
                began = time.monotonic()
                self.wait_for_files("quick")
                pauses.append(time.monotonic() - began)
            print("files of quick: %d, the longest pause %.1f s" % (len(pauses), max(pauses)))
            self.assertLess(max(pauses), 8)
            self.assertTrue(run.alive())

    def test_a_namenode_that_is_silent_is_asked_no_more_once_another_serves(self):
        """It is so to us alone: what HDFS itself does about one that is frozen is its own affair."""
        with self.lab(ha=True) as run:
            self.wait_for_files("quick")
            silent, other = self.hdfs.namenodes
            self.assertIs(self.hdfs.active(), silent)
            self.network.add(SWALLOW, to=silent.name, times=1_000_000)
            wait_for("a call without an answer", PATIENCE_S, lambda: self.network.swallowed > 0)
            self.hdfs.failover(other)
            began = time.monotonic()
            self.wait_for_files("quick")
            print("lines flow %.1f s after the other NameNode is active" % (time.monotonic() - began))
            self.wait_for_files("slow", 2)
            before = len(self.network.asked)
            self.wait_for_files("quick", 3)
            asked = {name for name, *_ in self.network.asked[before:] if name.startswith("namenode")}
            self.assertEqual(asked, {other.name})
            self.assertTrue(run.alive())


if __name__ == "__main__":
    unittest.main()
