#!/usr/bin/env python3
"""`verify: checksum`: a byte that is changed on its way into a real HDFS is found before anybody reads it, and the file sent again."""
import os
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from hdfs import Hdfs  # noqa: E402
from http_faults import FLIP, HttpFaults  # noqa: E402
from programs import wait_for  # noqa: E402
from sink_run import PATIENCE_S, Run  # noqa: E402

MIB = 1 << 20
SAID = "HDFS has other bytes than were sent"


class Damage(unittest.TestCase):
    """A HDFS behind a proxy that flips one bit. Its HttpFS tells composite checksums; a DataNode never does."""

    @classmethod
    def setUpClass(cls):
        cls.hdfs = Hdfs(httpfs=True, settings={"dfs.checksum.combine.mode": "COMPOSITE_CRC"})
        cls.addClassCleanup(cls.hdfs.remove)
        cls.hdfs.start()
        cls.client = cls.hdfs.client()
        cls.proxy = HttpFaults(cls.hdfs)
        cls.addClassCleanup(cls.proxy.end)

    def tearDown(self):
        self.proxy.heal()
        self.proxy.fired.clear()

    def published(self, root):
        files = [n for n in self.client.walk(root) if not any(part.startswith("_") for part in n.split("/"))]
        return b"".join(self.client.read(root + "/" + n) for n in sorted(files))

    def through(self, root, scheme="webhdfs", **settings):
        """What is published of 3 MiB of which a byte is damaged once, what was written, and what was said."""
        if scheme == "webhdfs":
            url = self.proxy.urls[0]
            self.proxy.add(FLIP, op="CREATE", part="/_stage/", to="datanode", at=2 * MIB)
        else:
            url = self.proxy.httpfs_url
            self.proxy.add(FLIP, op="CREATE", part="/_stage/", to="httpfs", at=2 * MIB, times=2)  # the first has no body
        self.client.mkdirs(root)
        with Run(scheme + url.removeprefix("http"), user=self.hdfs.superuser, root=root, pipeline={"codec": "none"},
                 roll={"size": "64MiB", "idle": "3s"}, **settings) as run:
            run.writes_bytes(3 * MIB)
            with open(run.folder + "/web.log", "rb") as f:
                written = f.read()
            if settings.get("verify") == "checksum":
                run.says("cannot be finished", SAID)
            wait_for("all bytes", PATIENCE_S, lambda: len(self.published(root)) >= len(written))
            said = run.said()
        self.assertTrue(self.proxy.fired)
        return self.published(root), written, said

    def sent_again(self, kind, *arguments, **settings):
        whole, written, said = self.through(*arguments, verify="checksum", **settings)
        self.assertTrue(whole == written, "other bytes were published")
        self.assertIn("%s (%s)" % (SAID, kind), said)

    def test_who_looks_at_lengths_alone_publishes_it(self):
        """Else the others would show nothing: no DataNode notices."""
        whole, written, said = self.through("/length")
        self.assertEqual(len(whole), len(written))
        self.assertEqual(sum(a != b for a, b in zip(whole, written)), 1)
        self.assertNotIn(SAID, said)

    def test_one_block(self):
        self.sent_again("MD5-of-0MD5-of-512CRC32C", "/one")

    def test_blocks_of_which_the_last_is_shorter(self):
        self.sent_again("MD5-of-2048MD5-of-512CRC32C", "/blocks", block_size="1MiB")

    def test_httpfs(self):
        self.sent_again("COMPOSITE-CRC32C", "/httpfs", "httpfs", block_size="1MiB")


if __name__ == "__main__":
    unittest.main()
