#!/usr/bin/env python3
"""That hadoop_reader.py gives what Hadoop's readers read, whole or split, and their errors; that they read what Tailrace
publishes; and where their limits are, which docs/formats.md names.
"""
import gzip
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from hadoop_reader import STREAMING, read  # noqa: E402
from hdfs import Hdfs  # noqa: E402

TAILRACE = os.environ.get("TAILRACE_BIN") or os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../build/bin/tailrace")
LINES = b"".join(b"line %d\twith a tab, maybe at its end%s\n" % (n, b"\t" * (n % 2)) for n in range(5000))


def snappy_chunk(raw):
    """As Snappy makes it of what does not compress."""
    length, head = len(raw), b""
    while length >= 0x80:
        head, length = head + bytes([length & 0x7F | 0x80]), length >> 7
    literal = bytes([62 << 2]) + (len(raw) - 1).to_bytes(3, "little")
    return head + bytes([length]) + literal + raw


def snappy_block(*raws):
    """Of Hadoop's: docs/formats.md, "Published files"."""
    chunks = [snappy_chunk(raw) for raw in raws]
    return struct.pack(">I", sum(map(len, raws))) + b"".join(struct.pack(">I", len(chunk)) + chunk for chunk in chunks)


class WithHdfs(unittest.TestCase):
    hdfs = client = None


def setUpModule():
    WithHdfs.hdfs = Hdfs()
    unittest.addModuleCleanup(WithHdfs.hdfs.remove)
    WithHdfs.client = WithHdfs.hdfs.start().client()


class Reading(WithHdfs):
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

    def publish(self, codec, form):
        """What was written, and the published files."""
        folder = tempfile.mkdtemp(prefix="tailrace-readers-")
        self.addCleanup(shutil.rmtree, folder)
        noise = os.urandom(150_000).hex().encode()  # so that files are rolled by size too
        lines = [b"%d %s" % (n, noise[n * 7919 % 290_000:][:n % 2000]) for n in range(10_000)]
        with open(folder + "/a.log", "wb") as f:
            f.write(b"\n".join(lines) + b"\n")
        root = "/published-%s-%s" % (form, codec)
        subprocess.run([TAILRACE, "run", "--once", "--from", "x=%s/a.log" % folder, "--codec", codec, "--roll-size", "2MiB",
                        "--format", form, "--state", folder + "/state",
                        "--to", "webhdfs://%s@%s%s" % (self.hdfs.superuser, self.hdfs.namenodes[0].at, root)],
                       check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=120)
        files = [root + "/" + path for path in self.client.walk(root) if not path.startswith("_")]
        self.assertGreater(len(files), 1)
        return lines, files

    @unittest.skipUnless(os.access(TAILRACE, os.X_OK), "no program at " + TAILRACE)
    def test_what_tailrace_publishes(self):
        for codec in ("gzip", "snappy", "zstd", "none"):
            with self.subTest(codec=codec):
                lines, files = self.publish(codec, "text")
                found = read(self.hdfs, *files, split=1 << 20, native=codec == "zstd")
                self.assertEqual(sorted(found), sorted(files))
                self.assertEqual(sorted(b"".join(found.values()).splitlines()), sorted(lines))

    @unittest.skipUnless(os.access(TAILRACE, os.X_OK), "no program at " + TAILRACE)
    def test_sequence_files_that_tailrace_publishes(self):
        for codec in ("gzip", "snappy", "zstd", "none"):
            with self.subTest(codec=codec):
                begun = time.time()
                lines, files = self.publish(codec, "sequence_file")
                # Splits that are smaller than a block, and some that begin in one.
                found = read(self.hdfs, *files, form="SequenceFileAsTextInputFormat", split=150_000, native=codec == "zstd")
                self.assertEqual(sorted(found), sorted(files))
                records = [line.split(b"\t", 1) for line in b"".join(found.values()).splitlines()]
                self.assertEqual(sorted(value for _, value in records), sorted(lines))
                for key, _ in records:
                    self.assertTrue(begun - 1 < int(key) / 1000 < time.time() + 1, key)

    def test_zstd_without_the_native_library(self):
        self.client.create("/x.zst", b"whatever it is")
        with self.assertRaisesRegex(RuntimeError, "native zStandard library not available"):
            read(self.hdfs, "/x.zst")


class SnappyLimits(WithHdfs):
    """Why our chunks are of 192 KiB and no block is empty."""

    KIB = 1024

    def lines(self, size):
        text = os.urandom(size).replace(b"\n", b"-").replace(b"\r", b"-")
        return text[:-1] + b"\n"

    def reads(self, *blocks):
        self.client.create("/x.snappy", b"".join(blocks), overwrite=True)
        return read(self.hdfs, "/x.snappy")["/x.snappy"]

    def test_chunks(self):
        most = [self.lines(192 * self.KIB) for _ in range(5)]
        self.assertEqual(self.reads(snappy_block(*most[:3]), snappy_block(*most[3:])), b"".join(most))
        with self.assertRaises(RuntimeError):  # the buffer for a compressed chunk, which this one exceeds by eight bytes
            self.reads(snappy_block(self.lines(256 * self.KIB)))

    def test_an_empty_block_hides_what_follows(self):
        a, b = self.lines(1000), self.lines(1000)
        self.assertEqual(self.reads(snappy_block(a), snappy_block(), snappy_block(b)), a)

    def test_a_file_that_was_cut_is_read_without_an_error(self):
        a, b = self.lines(1000), self.lines(1000)
        self.assertEqual(self.reads(snappy_block(a), snappy_block(b)[:-10]), a)


if __name__ == "__main__":
    unittest.main()
