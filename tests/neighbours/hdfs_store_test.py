#!/usr/bin/env python3
"""The store on a real HDFS: the assertions that every store must pass (tests/sinks/conformance.h), over WebHDFS and HttpFS."""
import os
import subprocess
import sys
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
from hdfs import Hdfs  # noqa: E402

CONFORMANCE = os.environ.get("HDFS_CONFORMANCE") or os.path.join(HERE, "../../build/test/bin/hdfs_conformance")


class Conformance(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.hdfs = Hdfs(httpfs=True)
        cls.hdfs.start()

    @classmethod
    def tearDownClass(cls):
        cls.hdfs.remove()

    def conforms(self, scheme, server):
        url = "%s://tailrace@%s/%s" % (scheme, server.http.partition("://")[2], scheme)
        client = self.hdfs.client()
        client.mkdirs("/" + scheme)
        client.set_owner("/" + scheme, "tailrace", "tailrace")
        done = subprocess.run([CONFORMANCE, "--log_level=error", "--", url], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, timeout=120, check=False)
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertIn("No errors detected", done.stdout)
        # By a reader that is not ours: readable by all, and nobody else's.
        files = client.walk("/" + scheme)
        self.assertGreater(len(files), 10)
        for name, status in files.items():
            self.assertEqual((status["permission"], status["owner"]), ("644", "tailrace"), name)
        published = client.read("/%s/large/d/a" % scheme)
        self.assertEqual(len(published), 24 << 20)

    def test_webhdfs(self):
        self.conforms("webhdfs", self.hdfs.namenodes[0])

    def test_httpfs(self):
        self.conforms("httpfs", self.hdfs.httpfs)


if __name__ == "__main__":
    unittest.main(verbosity=2)
