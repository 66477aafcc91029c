#!/usr/bin/env python3
"""Spark reads directories that Tailrace published, in every codec, as lines and as SequenceFiles: every line, once.

Not one of the usual tests: PySpark is 371 MiB. `./dev test --long -R spark`, or by hand.
"""
import os
import shutil
import subprocess
import sys
import tempfile
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
import hadoop_jars  # noqa: E402
import spark_venv  # noqa: E402
from maven_jars import SKIPPED, Lacking  # noqa: E402

TAILRACE = os.environ.get("TAILRACE_BIN") or os.path.join(HERE, "../../build/bin/tailrace")
CODECS = ("gzip", "snappy", "none", "zstd")


@unittest.skipUnless(os.access(TAILRACE, os.X_OK), "no program at " + TAILRACE)
class Spark(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="tailrace-spark-")
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        noise = os.urandom(150_000).hex()
        cls.lines = ["%d %s ü\t%s" % (n, noise[n * 7919 % 290_000:][:n % 1000], "x" * (n % 3)) for n in range(20_000)]
        with open(cls.folder + "/a.log", "w", encoding="utf-8") as f:
            f.write("\n".join(cls.lines) + "\n")

    def publish(self, form, codec):
        out = "%s/%s-%s" % (self.folder, form, codec)
        subprocess.run([TAILRACE, "run", "--once", "--from", "x=%s/a.log" % self.folder, "--codec", codec, "--format", form,
                        "--roll-size", "2MiB", "--state", out + "-state", "--to", out], check=True, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL, timeout=120)
        return out + "/x"

    def reads(self, form, codecs, native=False):
        roots = {}
        for codec in codecs:
            roots[codec] = self.folder + "/%s-of-%s" % (form, codec)
            os.rename(self.publish(form, codec), roots[codec])
        into = tempfile.mkdtemp(dir=self.folder)
        environment = {**os.environ, "PYSPARK_PYTHON": self.python, "SPARK_LOCAL_IP": "127.0.0.1", "LC_ALL": "C.UTF-8"}
        if native:
            environment["PYSPARK_SUBMIT_ARGS"] = "--driver-library-path %s pyspark-shell" % hadoop_jars.fetch_native()
        begun = time.monotonic()
        done = subprocess.run([self.python, HERE + "/spark_read.py", into, form, *roots.values()], env=environment,
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=300)
        self.assertEqual(done.returncode, 0, done.stderr[-3000:])
        print("%s, %s: %d lines of each in %.1f s" % (form, ", ".join(codecs), len(self.lines), time.monotonic() - begun))
        for codec, root in roots.items():
            with self.subTest(codec=codec), open(os.path.join(into, os.path.basename(root)), encoding="utf-8", newline="\n") as f:
                self.assertEqual(sorted(f.read().split("\n")[:-1]), sorted(self.lines))

    def test_lines(self):
        self.reads("text", ("gzip", "snappy", "none"))

    def test_lines_of_zstd_with_the_native_library(self):
        self.reads("text", ("zstd",), native=True)

    def test_sequence_files(self):
        self.reads("sequence_file", ("gzip", "snappy", "none"))

    def test_sequence_files_of_zstd_with_the_native_library(self):
        self.reads("sequence_file", ("zstd",), native=True)


if __name__ == "__main__":
    try:
        Spark.python = spark_venv.fetch()
        hadoop_jars.fetch_native()
    except Lacking as e:
        print("no Spark here: %s" % e)
        sys.exit(SKIPPED if e.tools else 1)
    unittest.main()
