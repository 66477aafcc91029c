#!/usr/bin/env python3
"""That hadoop_reader.py gives what Hadoop's readers read, whole or split, and their errors; and that they read what Tailrace
publishes.
"""
import gzip
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from hadoop_reader import STREAMING, read  # noqa: E402
from hdfs import Hdfs  # noqa: E402

TAILRACE = os.environ.get("TAILRACE_BIN") or os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../build/bin/tailrace")
LINES = b"".join(b"line %d\twith a tab, maybe at its end%s\n" % (n, b"\t" * (n % 2)) for n in range(5000))


class Reading(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.hdfs = Hdfs()
        cls.addClassCleanup(cls.hdfs.remove)
        cls.client = cls.hdfs.start().client()

    def test_text(self):
        members = gzip.compress(LINES[:1000]) + gzip.compress(LINES[1000:])  # the second begins within a line
        self.client.create("/text/a b.log", LINES)
        self.client.create("/text/c.gz", members)
        self.assertEqual(read(self.hdfs, "/text", split=20_000), {"/text/a b.log": LINES, "/text/c.gz": LINES})

    def test_a_gzip_file_that_was_cut(self):
        self.client.create("/cut.gz", gzip.compress(LINES)[:-100])
        with self.assertRaisesRegex(RuntimeError, "Unexpected end of input stream"):
            read(self.hdfs, "/cut.gz")

    def test_a_sequence_file(self):
        self.client.create("/plain/a", LINES)
        self.hdfs.tool(STREAMING, "-D", "mapreduce.job.reduces=0", "-D", "mapreduce.framework.name=local", "-input", "/plain",
                       "-output", "/seq", "-mapper", "cat", "-outputformat", "org.apache.hadoop.mapred.SequenceFileOutputFormat")
        (name, lines), = read(self.hdfs, "/seq/part-00000", form="SequenceFileAsTextInputFormat", split=50_000).items()
        self.assertEqual((name, lines), ("/seq/part-00000", LINES))

    @unittest.skipUnless(os.access(TAILRACE, os.X_OK), "no program at " + TAILRACE)
    def test_what_tailrace_publishes(self):
        folder = tempfile.mkdtemp(prefix="tailrace-readers-")
        self.addCleanup(shutil.rmtree, folder)
        noise = os.urandom(150_000).hex().encode()  # so that files are rolled by size too
        lines = [b"%d %s" % (n, noise[n * 7919 % 290_000:][:n % 2000]) for n in range(10_000)]
        with open(folder + "/a.log", "wb") as f:
            f.write(b"\n".join(lines) + b"\n")
        for codec in ("gzip", "snappy", "none"):
            root = "/published-" + codec
            subprocess.run([TAILRACE, "run", "--once", "--from", "x=%s/a.log" % folder, "--codec", codec, "--roll-size", "2MiB",
                            "--state", "%s/state-%s" % (folder, codec),
                            "--to", "webhdfs://%s@%s%s" % (self.hdfs.superuser, self.hdfs.namenodes[0].at, root)],
                           check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=120)
            files = [root + "/" + path for path in self.client.walk(root) if not path.startswith("_")]
            self.assertGreater(len(files), 1)
            found = read(self.hdfs, *files, split=1 << 20)
            self.assertEqual(sorted(found), sorted(files))
            self.assertEqual(sorted(b"".join(found.values()).splitlines()), sorted(lines))


if __name__ == "__main__":
    unittest.main()
