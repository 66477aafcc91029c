#!/usr/bin/env python3
"""Whose the published files are, who may read them, in how many copies and blocks: `tailrace run` into a real HDFS."""
import os
import subprocess
import sys
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from hdfs import Hdfs  # noqa: E402
from programs import wait_for  # noqa: E402
from sink_run import PATIENCE_S, TAILRACE, Run  # noqa: E402

MIB = 1 << 20


def by_both(test):
    """Runs it over WebHDFS and over HttpFS, in a directory for each."""
    def run(self):
        for scheme, server in (("webhdfs", self.hdfs.namenodes[0]), ("httpfs", self.hdfs.httpfs)):
            with self.subTest(scheme):
                test(self, "%s://%s" % (scheme, server.at), "/%s-%s" % (test.__name__[5:], scheme))
    run.__name__, run.__doc__ = test.__name__, test.__doc__
    return run


class Rights(unittest.TestCase):
    """A HDFS that takes no block below 2 MiB."""

    @classmethod
    def setUpClass(cls):
        cls.hdfs = Hdfs(httpfs=True, settings={"dfs.namenode.fs-limits.min-block-size": 2 * MIB})
        cls.addClassCleanup(cls.hdfs.remove)
        cls.hdfs.start()

    def directory_of(self, user, path):
        self.hdfs.client().mkdirs(path)
        self.hdfs.client().set_owner(path, user, user)

    def published(self, root, count=1):
        """The FileStatus of each published file, by name; at least `count`."""
        def found():
            files = self.hdfs.client().walk(root)
            mine = {n: s for n, s in files.items() if not any(part.startswith("_") for part in n.split("/"))}
            return mine if len(mine) >= count else None
        return wait_for("published files", PATIENCE_S, found)

    @by_both
    def test_the_owner_of_a_category_writes_its_files(self, url, root):
        self.directory_of("tailrace", root)
        self.directory_of("web", root + "/web")
        with Run(url, user="tailrace", root=root, layout="{category}/d", mode="600",
                 categories={"web": {"owner": "web", "mode": "640"}}) as run:
            run.writes()
            for status in self.published(root).values():
                self.assertEqual((status["owner"], status["permission"]), ("web", "640"))
            client = self.hdfs.client()
            made = client.list(root + "/web")["d"]
            self.assertEqual((made["owner"], made["permission"]), ("web", "750"))
            ours = [s for n, s in client.walk(root).items() if n.startswith("_tailrace")]
            self.assertEqual({(s["owner"], s["permission"]) for s in ours}, {("tailrace", "644")})
            staged = wait_for("a look without staged files", PATIENCE_S, lambda: not [
                n for n in client.walk(root) if "_stage" in n.split("/")])
            self.assertTrue(staged)

    def test_files_are_listed_that_only_their_owner_may_see(self):
        self.directory_of("tailrace", "/secret")
        self.directory_of("web", "/secret/web")
        self.hdfs.client().set_permission("/secret/web", "700")
        with Run("webhdfs://" + self.hdfs.namenodes[0].at, user="tailrace", root="/secret",
                 categories={"web": {"owner": "web", "mode": "600"}}) as run:
            run.writes()
            self.published("/secret")
            done = subprocess.run([TAILRACE, "files", "--config", run.folder + "/run.yaml"], capture_output=True, text=True, timeout=60,
                                  check=False)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertRegex(done.stdout, r"(?m)^1 files, .* 10 lines in the last 1h$")

    @by_both
    def test_what_is_said_once_counts_for_all(self, url, root):
        self.directory_of(self.hdfs.superuser, root)
        with Run(url, user=self.hdfs.superuser, root=root, group="staff", mode="664", replication=2) as run:
            run.writes()
            for status in self.published(root).values():
                self.assertEqual((status["owner"], status["group"], status["permission"], status["replication"]),
                                 (self.hdfs.superuser, "staff", "664", 2))

    def test_who_may_not_act_for_others_is_said(self):
        self.directory_of("mallory", "/mallory")
        with Run("webhdfs://" + self.hdfs.namenodes[0].at, user="mallory", root="/mallory",
                 categories={"web": {"owner": "bob"}}) as run:
            run.writes()
            run.says("AuthorizationException", "mallory is not allowed to impersonate bob", "hadoop.proxyuser.")

    def test_who_is_not_of_a_group_is_said(self):
        self.directory_of("tailrace", "/strange")
        with Run("webhdfs://" + self.hdfs.namenodes[0].at, user="tailrace", root="/strange", group="strangers") as run:
            run.writes()
            run.says("cannot be finished", "to the group strangers", "AccessControlException")

    def test_a_control_directory_that_is_full_is_said(self):
        """In the log, and of the sink all the while, though whatever is only read goes on."""
        for path in ("/full", "/control-of-full"):
            self.directory_of("tailrace", path)
        client = self.hdfs.client()
        with Run("webhdfs://" + self.hdfs.namenodes[0].at, user="tailrace", root="/full", control="/control-of-full") as run:
            run.writes()
            self.published("/full")
            client.set_quota("/control-of-full", names=1)
            run.writes()
            run.says("the store of sink 'warehouse' has not done for", "NSQuotaExceededException", "/control-of-full")
            for _ in range(30):
                self.assertIn("NSQuotaExceededException", run.status())
                time.sleep(0.5)
            client.set_quota("/control-of-full", names=-1)
            run.says("the store of sink 'warehouse' does again what it is asked for")
            self.published("/full", 2)
            self.assertNotIn("NSQuotaExceededException", run.status())

    @by_both
    def test_a_block_holds_a_file_whole_where_it_may(self, url, root):
        self.directory_of("tailrace", root)
        with Run(url, user="tailrace", root=root, pipeline={"codec": "none"}) as run:
            run.writes()
            (small,) = self.published(root).values()
            self.assertEqual(small["blockSize"], 128 * MIB)  # HDFS's own: a smaller one it does not take
            run.writes_bytes(5 * MIB // 2)
            large = max(self.published(root, 2).values(), key=lambda status: status["length"])
            self.assertGreaterEqual(large["blockSize"], large["length"])
            self.assertLess(large["blockSize"], large["length"] + MIB)

    def test_the_blocks_that_are_asked_for(self):
        self.directory_of("tailrace", "/blocks")
        with Run("webhdfs://" + self.hdfs.namenodes[0].at, user="tailrace", root="/blocks", block_size="4MiB") as run:
            run.writes()
            (status,) = self.published("/blocks").values()
            self.assertEqual(status["blockSize"], 4 * MIB)

    def test_no_more_bytes_a_second_than_are_allowed(self):
        self.directory_of("tailrace", "/slow")
        with Run("webhdfs://" + self.hdfs.namenodes[0].at, user="tailrace", root="/slow", bandwidth="512KiB",
                 pipeline={"codec": "none"}) as run:
            begun = time.monotonic()
            run.writes_bytes(2 * MIB)
            wait_for("all bytes", PATIENCE_S, lambda: sum(s["length"] for s in self.published("/slow").values()) >= 2 * MIB)
            self.assertGreater(time.monotonic() - begun, 3)  # the first piece waits for nothing


if __name__ == "__main__":
    unittest.main()
