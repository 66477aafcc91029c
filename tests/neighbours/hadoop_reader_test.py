#!/usr/bin/env python3
"""That hadoop_reader.py gives what Hadoop's readers read, whole or split, and their errors."""
import gzip
import os
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from hadoop_reader import STREAMING, read  # noqa: E402
from hdfs import Hdfs  # noqa: E402

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


if __name__ == "__main__":
    unittest.main()
