#!/usr/bin/env python3
"""Fetching jars (here Hadoop's): once for all who want them, and half of them never counts. mvn is a stand-in here."""
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
MVN = """#!/bin/sh
echo called >> "$CALLS"
for word; do case $word in -DoutputDirectory=*) out=${word#*=} ;; esac; done
mkdir -p "$out" && touch "$out/first.jar" && eval "$MVN_THEN" && touch "$out/last.jar"
"""


class Fetching(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="tailrace-jars-")
        self.addCleanup(shutil.rmtree, self.folder)
        for name, text in (("mvn", MVN), ("java", "#!/bin/sh\n")):
            with open(os.path.join(self.folder, name), "w") as f:
                f.write(text)
            os.chmod(os.path.join(self.folder, name), 0o755)

    def start(self, then, path=True):
        return subprocess.Popen(
            [sys.executable, os.path.join(HERE, "hadoop_jars.py")], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            start_new_session=True,
            env={**os.environ, "XDG_CACHE_HOME": self.folder, "CALLS": self.folder + "/calls", "MVN_THEN": then,
                 "PATH": self.folder + ":/usr/bin:/bin" if path else self.folder + "/none"})

    def calls(self):
        try:
            with open(self.folder + "/calls") as f:
                return len(f.readlines())
        except OSError:
            return 0

    def kept(self):
        return sorted(name for name in os.listdir(self.folder + "/tailrace") if not name.endswith(".lock"))

    def end(self, fetching, status=0):
        out, err = fetching.communicate(timeout=30)
        self.assertEqual(fetching.returncode, status, err)
        return out.strip(), err

    def test_once_for_all(self):
        several = [self.start("sleep 0.5") for _ in range(4)]
        folders = {self.end(fetching)[0] for fetching in several}
        self.assertEqual((len(folders), self.calls()), (1, 1))
        self.assertEqual(sorted(os.listdir(folders.pop())), ["first.jar", "last.jar"])
        self.end(self.start("false"))
        self.assertEqual(self.calls(), 1)

    def test_half_of_them_does_not_count(self):
        _, said = self.end(self.start("echo no route to it; false"), status=1)
        self.assertIn("mvn could not fetch Hadoop's jars (about 80 MiB):\nno route to it", said)
        self.assertEqual(self.kept(), [])

        killed = self.start("sleep 60")
        end = time.monotonic() + 20
        while self.calls() < 2 and time.monotonic() < end:
            time.sleep(0.02)
        os.killpg(killed.pid, signal.SIGKILL)
        self.end(killed, status=-signal.SIGKILL)

        folder, _ = self.end(self.start("true"))
        self.assertEqual((self.calls(), self.kept()), (3, [os.path.basename(folder)]))
        self.assertEqual(sorted(os.listdir(folder)), ["first.jar", "last.jar"])

    def test_without_mvn_it_is_skipped(self):
        _, said = self.end(self.start("true", path=False), status=77)
        self.assertIn("no mvn", said)


if __name__ == "__main__":
    unittest.main()
