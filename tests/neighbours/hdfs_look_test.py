#!/usr/bin/env python3
"""What an operator looks at on a real HDFS with our own program: `tailrace cat`, `files` and `centers` of an address."""
import json
import os
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
from hdfs import Hdfs  # noqa: E402

TAILRACE = os.environ.get("TAILRACE_BIN") or os.path.join(HERE, "../../build/bin/tailrace")
LINES = 200_000  # of plain text more than one piece that is read at a time, 8 MiB


class Look(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.dir = tempfile.TemporaryDirectory(prefix="tailrace-look-")
        cls.addClassCleanup(cls.dir.cleanup)
        cls.hdfs = Hdfs(httpfs=True)
        cls.addClassCleanup(cls.hdfs.remove)
        cls.hdfs.start()
        client = cls.hdfs.client()
        client.mkdirs("/logs")
        client.set_owner("/logs", "tailrace", "tailrace")
        cls.root = "webhdfs://tailrace@%s/logs" % cls.hdfs.namenodes[0].at
        cls.lines = {}
        for codec in ("none", "gzip", "zstd", "snappy"):
            cls.lines[codec] = b"".join(b"%s line %d %x of a log that is read again\n" % (codec.encode(), n, n * n)
                                        for n in range(LINES if codec == "none" else 999))
            log = "%s/%s.log" % (cls.dir.name, codec)
            with open(log, "wb") as f:
                f.write(cls.lines[codec])
            subprocess.run([TAILRACE, "run", "--once", "--codec", codec, "--from", codec + "=" + log, "--to", cls.root, "--state",
                            cls.dir.name + "/state-" + codec], check=True, capture_output=True, timeout=120)

    def tailrace(self, *words, expect=0):
        done = subprocess.run([TAILRACE, *words], capture_output=True, timeout=120, check=False)
        self.assertEqual(done.returncode, expect, done.stderr.decode())
        return done

    def published(self, category):
        (name,) = self.hdfs.client().walk("/logs/" + category)
        return "%s/%s" % (category, name)

    def test_every_codec_over_both_protocols(self):
        self.assertGreater(len(self.lines["none"]), 8 << 20)
        for url in (self.root, "httpfs://tailrace@%s/logs" % self.hdfs.httpfs.http.partition("://")[2]):
            for codec, lines in self.lines.items():
                self.assertEqual(self.tailrace("cat", url, "--category", codec).stdout, lines)
        self.assertEqual(self.tailrace("cat", self.root).stdout, b"".join(self.lines[c] for c in sorted(self.lines)))
        self.assertEqual(self.tailrace("cat", self.root + "/" + self.published("gzip")).stdout, self.lines["gzip"])
        self.assertEqual(self.tailrace("cat", self.root + "/zstd").stdout, self.lines["zstd"])

    def test_a_broken_file_is_named_and_the_others_are_printed(self):
        client = self.hdfs.client()
        whole = client.read("/logs/" + self.published("gzip"))
        client.create("/broken/a.log.gz", whole[:len(whole) // 2])
        client.create("/broken/b.log", b"good\n")
        client.create("/broken/empty.log")
        client.create("/broken/_stage/x.log", b"NOT PUBLISHED\n")
        done = self.tailrace("cat", self.root.replace("/logs", "/broken"), expect=1)
        self.assertTrue(done.stdout.endswith(b"good\n"))
        self.assertIn(b"/broken/a.log.gz: broken at byte", done.stderr)

    def test_settings_name_the_place(self):
        settings = self.dir.name + "/center.yaml"
        with open(settings, "w") as f:
            f.write("role: center\ncluster: c\nstate: %s/s\nname: c1\nlisten: 127.0.0.1:4000\nsinks:\n"
                    "  warehouse: {type: hdfs, url: [webhdfs://%s], user: tailrace, root: /logs, timezone: UTC}\n" % (
                        self.dir.name, self.hdfs.namenodes[0].at))
        self.assertEqual(self.tailrace("cat", "--config", settings, "--category", "gzip").stdout, self.lines["gzip"])
        said = json.loads(self.tailrace("centers", "--config", settings, "--sink", "warehouse", "--format", "json").stdout)
        self.assertEqual(said["lanes"], json.loads(self.tailrace("centers", self.root, "--format", "json").stdout)["lanes"])

    def test_who_owns_what(self):
        said = json.loads(self.tailrace("centers", self.root, "--format", "json").stdout)
        self.assertEqual({lane["category"]: lane["lines"] for lane in said["lanes"]},
                         {codec: lines.count(b"\n") for codec, lines in self.lines.items()})
        self.assertRegex(self.tailrace("centers", self.root, "--category", "zst").stdout.decode(), r"(?m)^zstd +nobody +1 +999 ")
        self.assertIn(b"4 files, ", self.tailrace("files", self.root).stdout)

    def test_who_looks_is_whoever_runs_it(self):
        client = self.hdfs.client()
        client.create("/private/a.log", b"for me alone\n")
        client.set_owner("/private", self.hdfs.superuser, "none")
        client.set_permission("/private", "700")
        url = "webhdfs://%s/private" % self.hdfs.namenodes[0].at
        self.assertEqual(self.tailrace("cat", url).stdout, b"for me alone\n")
        said = self.tailrace("cat", url.replace("://", "://tailrace@"), expect=1).stderr
        self.assertIn(b"Permission denied: user=tailrace", said)

    def test_what_is_not_there(self):
        for command in ("cat", "files", "centers"):
            self.assertIn(b"/nothing", self.tailrace(command, self.root.replace("/logs", "/nothing"), expect=1).stderr)
            self.assertIn(b"127.0.0.1:1", self.tailrace(command, "webhdfs://127.0.0.1:1/logs", expect=1).stderr)
            self.assertIn(b"names no directory", self.tailrace(command, "webhdfs://127.0.0.1:1", expect=2).stderr)
            self.assertIn(b"expected webhdfs://", self.tailrace(command, "s3://bucket/logs", expect=2).stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
