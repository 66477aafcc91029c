#!/usr/bin/env python3
"""The judge is judged: each single fault in a clean tree must be named, exactly that and nothing else."""
import gzip
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import judge  # noqa: E402
import lines  # noqa: E402
from writer import Ledger  # noqa: E402

COUNT = 400
NAMES = ("alpha/dt=2026-01-01/hr=09/alpha-1767258000-center-1-ab-9-0", "alpha/dt=2026-01-01/hr=09/alpha-1767258000-center-1-ab-10-0",
         "alpha/dt=2026-01-01/hr=10/alpha-1767261600-center-1-ab-11-0")


class JudgeTest(unittest.TestCase):
    def setUp(self):
        self.work = tempfile.mkdtemp(prefix="judge-test-")
        self.addCleanup(shutil.rmtree, self.work)
        ledger = Ledger(self.work + "/ledger")
        ledger.write("alpha-0", 0, 0, "open")
        ledger.write("alpha-0", 0, COUNT, "rotated")
        ledger.write("alpha-0", 1, COUNT, "unterminated")
        ledger.write("alpha-0", 2, 0, "stopped")
        ledger.file.close()
        both = [(lines.make(b"alpha-0", 0, i), lines.make(b"alpha-0", 1, i)) for i in range(COUNT)]
        self.lines = [line for pair in both for line in pair]

    def publish(self, codec="gz"):
        """The lines over three files whose right order is that of numbers, not of letters."""
        third = len(self.lines) // 3
        for i, name in enumerate(NAMES):
            part = self.lines[i * third:(i + 1) * third if i < 2 else None]
            self.write(name, [b"".join(line + b"\n" for line in part[:50]), b"".join(line + b"\n" for line in part[50:])], codec)

    def path(self, name, codec="gz"):
        return "%s/tree/%s.log%s" % (self.work, name, codec and "." + codec)

    def write(self, name, members, codec="gz"):
        path = self.path(name, codec)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as f:
            for data in members:
                if codec == "gz":
                    f.write(gzip.compress(data))
                elif codec == "zst":
                    f.write(subprocess.run(["zstd", "-qc"], input=data, stdout=subprocess.PIPE, check=True).stdout)
                else:
                    f.write(data)

    def edit(self, name, change):
        with open(self.path(name), "r+b") as f:
            data = change(f.read())
            f.seek(0)
            f.truncate()
            f.write(data)

    def says(self, optional=False, **expected):
        found = judge.Judge(judge.Ledger(self.work + "/ledger", optional)).tree(self.work + "/tree")
        self.assertEqual({k: n for k, n in found.counts.items() if n}, expected, found.findings)
        self.assertEqual(found.clean, not expected)

    def test_clean_in_every_codec(self):
        for codec in ("gz", "zst", ""):
            self.publish(codec)
            self.write("_tailrace/any", [b"not looked at\n"])
            self.write("alpha/_stage/1/any", [b"not looked at\n"])
            self.says()
            shutil.rmtree(self.work + "/tree")

    def test_exit_code_and_summary(self):
        command = [sys.executable, judge.__file__, "--ledger", self.work + "/ledger", self.work + "/tree"]
        self.publish()
        clean = subprocess.run(command, stdout=subprocess.PIPE, text=True)
        self.assertEqual(clean.returncode, 0)
        self.assertIn("800 of 800 lines in 3 files", clean.stdout)
        self.write("alpha/alpha-2", [b"who wrote this?\n"])
        self.assertEqual(subprocess.run(command, stdout=subprocess.DEVNULL).returncode, 1)

    def test_nothing_at_all(self):
        self.says(missing=2 * COUNT)

    def test_lost(self):
        del self.lines[333]
        self.publish()
        self.says(missing=1)

    def test_last_lost(self):
        del self.lines[-1]
        self.publish()
        self.says(missing=1)
        self.says(optional=True)

    def test_last_of_a_rotated_one_is_never_optional(self):
        del self.lines[-2]
        self.publish()
        self.says(optional=True, missing=1)

    def test_doubled_side_by_side(self):
        self.lines.insert(333, self.lines[333])
        self.publish()
        self.says(doubled=1)

    def test_doubled_in_another_file(self):
        self.lines.append(self.lines[5])
        self.publish()
        self.says(doubled=1)

    def test_flipped(self):
        line = bytearray(self.lines[200])
        line[len(line) // 2] ^= 0x40
        self.lines[200] = bytes(line)
        self.publish()
        self.says(corrupt=1)

    def test_flipped_in_a_crc(self):
        self.lines[200] = self.lines[200][:-1] + (b"0" if self.lines[200][-1:] != b"0" else b"1")
        self.publish()
        self.says(corrupt=1)

    def test_swapped(self):
        self.lines[300], self.lines[302] = self.lines[302], self.lines[300]
        self.publish()
        self.says(reordered=1)

    def test_swapped_files(self):
        self.publish()
        os.rename(self.path(NAMES[0]), self.path(NAMES[0]) + ".x")
        os.rename(self.path(NAMES[1]), self.path(NAMES[0]))
        os.rename(self.path(NAMES[0]) + ".x", self.path(NAMES[1]))
        self.says(reordered=len(self.lines) // 3)

    def test_shortened(self):
        self.lines[200] = self.lines[200][:-12] + self.lines[200][-10:]
        self.publish()
        self.says(torn=1)

    def test_cut_in_two(self):
        self.lines[200:201] = [self.lines[200][:40], self.lines[200][40:]]
        self.publish()
        self.says(torn=2)

    def test_run_together(self):
        self.lines[200:202] = [self.lines[200] + self.lines[201]]
        self.publish()
        self.says(torn=1, missing=1)

    def test_without_its_newline(self):
        self.publish()
        self.write(NAMES[2] + "x", [self.lines[0]], "")
        self.says(torn=1)

    def test_alien(self):
        self.lines.insert(77, b"hello world")
        self.publish()
        self.says(alien=1)

    def test_alien_that_looks_well(self):
        self.lines.insert(77, lines.make(b"alpha-0", 1, COUNT))
        self.lines.insert(99, lines.make(b"alpha-7", 0, 3))
        self.publish()
        self.says(alien=2)

    def test_another_category(self):
        line = self.lines.pop(20)
        self.publish()
        self.write("beta/beta-0", [line + b"\n"])
        self.says(alien=1)

    def test_gz_without_its_trailer(self):
        self.publish()
        self.edit(NAMES[1], lambda data: data[:-4])
        self.says(unreadable=1)

    def test_gz_with_zeros_behind(self):
        self.publish()
        self.edit(NAMES[1], lambda data: data + bytes(512))
        self.says(unreadable=1)

    def test_gz_cut(self):
        self.publish()
        self.edit(NAMES[2], lambda data: data[:len(data) - 200])
        found = judge.Judge(judge.Ledger(self.work + "/ledger")).tree(self.work + "/tree")
        self.assertEqual(found.counts["unreadable"], 1)
        self.assertGreater(found.counts["missing"], 0)
        self.assertEqual({k for k, n in found.counts.items() if n}, {"unreadable", "missing"})

    def test_zst_cut(self):
        self.publish("zst")
        path = self.path(NAMES[2], "zst")
        os.truncate(path, os.path.getsize(path) - 3)
        found = judge.Judge(judge.Ledger(self.work + "/ledger")).tree(self.work + "/tree")
        self.assertEqual(found.counts["unreadable"], 1)

    def test_strays_and_empty_files(self):
        self.publish()
        self.write(NAMES[0] + ".tmp", [b""])
        open(self.work + "/tree/alpha/x.tmp", "w").close()
        open(self.work + "/tree/alpha/.x.log", "w").close()
        open(self.work + "/tree/alpha/x.log", "w").close()
        self.says(stray=2, empty=2)


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[1:]])
