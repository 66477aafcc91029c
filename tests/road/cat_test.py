#!/usr/bin/env python3
"""`tailrace cat`, and the front door: help, typing errors, exit codes. Needs no road."""
import os
import subprocess

from program import TAILRACE, ProgramTest, gzip_members, hard_lines, main

SEED = 20261122


class Cat(ProgramTest):
    def setUp(self):
        super().setUp()
        os.mkdir(self.out)

    def place(self, path, data):
        whole = os.path.join(self.out, path)
        os.makedirs(os.path.dirname(whole), exist_ok=True)
        with open(whole, "wb") as file:
            file.write(data)
        return whole

    def zstd(self, data):
        return subprocess.run(["zstd", "-cq"], input=data, stdout=subprocess.PIPE, check=True).stdout

    def test_every_codec_in_the_order_of_names(self):
        data = hard_lines(SEED, 5 << 20)
        self.place("web/dt=2026-11-22/hr=13/web-9.log.gz", gzip_members(data[:1000]) + gzip_members(data[1000:]))
        self.place("web/dt=2026-11-22/hr=13/web-10.log.zst", self.zstd(data) + self.zstd(b"second frame\n"))
        self.place("app/app-1.log", b"plain\n")
        self.place("web/_stage/x.log", b"NOT PUBLISHED\n")
        self.place("_state/x.log", b"NOT PUBLISHED\n")
        self.place("web/.x.log", b"NOT PUBLISHED\n")
        self.place("web/notes.txt", b"NOT OURS\n")
        self.assertEqual(self.cat(), b"plain\n" + data + data + b"second frame\n")

    def test_category_and_time_select_whole_files(self):
        stamp = "-20261122T130501Z-c-1-0a-0-0.log"
        self.place("web/dt=2026-11-22/hr=13/web" + stamp, b"13\n")
        self.place("web/dt=2026-11-22/hr=14/web" + stamp, b"14\n")
        self.place("flat/flat" + stamp, b"flat\n")
        self.assertEqual(self.cat("--category", "web"), b"13\n14\n")
        self.assertEqual(self.cat("--from", "2026-11-22T14:00Z"), b"14\n")
        self.assertEqual(self.cat("--to", "2026-11-22T14"), b"flat\n13\n")
        self.assertEqual(self.cat("--from", "2026-11-22", "--to", "2026-11-23"), b"flat\n13\n14\n")
        done = self.tailrace("cat", self.out, "--category", "absent")
        self.assertEqual(done.stdout, b"")
        self.assertIn(b"no published file matches", done.stderr)

    def test_a_broken_file_is_named_and_the_others_are_printed(self):
        data = hard_lines(SEED + 1, 4 << 20)
        whole = gzip_members(data)
        self.place("a/1.log.gz", whole[: len(whole) // 2])
        flipped = bytearray(self.zstd(data))
        flipped[0] ^= 0xFF
        self.place("a/2.log.zst", bytes(flipped))
        self.place("a/3.log", b"good\n")
        done = self.tailrace("cat", self.out, expect=1)
        self.assertTrue(done.stdout.endswith(b"good\n"))
        self.assertTrue(data.startswith(done.stdout[: -len(b"good\n")]))
        self.assertGreater(len(done.stdout), len(data) // 4)
        lines = done.stderr.decode().splitlines()
        self.assertEqual(len(lines), 2, lines)
        self.assertRegex(lines[0], r"a/1\.log\.gz: broken at byte \d+")
        self.assertRegex(lines[1], r"a/2\.log\.zst: broken at byte 0\b")

    def test_a_reader_that_goes_is_no_failure(self):
        self.place("a/1.log", b"line\n" * 1000000)
        child = subprocess.Popen([TAILRACE, "cat", self.out], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.children.append(child)
        self.assertEqual(child.stdout.readline(), b"line\n")
        child.stdout.close()
        self.assertEqual(child.wait(20), 0)
        self.assertEqual(child.stderr.read(), b"")

    def test_a_full_stdout_is_one(self):
        self.place("a/1.log", b"line\n" * 100000)
        with open("/dev/full", "wb") as full:
            done = subprocess.run([TAILRACE, "cat", self.out], stdout=full, stderr=subprocess.PIPE, timeout=20)
        self.assertEqual(done.returncode, 1)
        self.assertIn(b"No space left", done.stderr)

    def test_operands_may_be_files_and_what_is_absent_is_named(self):
        one = self.place("renamed.gz", gzip_members(b"one\n"))
        two = self.place("x/2.log", b"two\n")
        self.assertEqual(self.tailrace("cat", two, one).stdout, b"two\none\n")
        done = self.tailrace("cat", one, self.dir + "/absent", expect=1)
        self.assertEqual(done.stdout, b"one\n")
        self.assertIn(b"/absent", done.stderr)

    def test_wrong_usage(self):
        for arguments, part in ((["cat"], b"which directory"), (["cat", "--form", "x"], b"did you mean '--from'"),
                                (["cat", self.out, "--from", "yesterday"], b"2026-11-22T13:00"),
                                (["cat", self.out, "--category", "../x"], b"can't be a category"),
                                (["rnu"], b"did you mean 'run'"), ([], b"Commands:"),
                                (["run", "--to", "x"], b"--from"), (["run", "--from", "x/*.log"], b"--to"),
                                (["run", "--from", "a.log", "b/b.log", "--to", "x"], b"quotes")):
            done = self.tailrace(*arguments, expect=2)
            self.assertEqual(done.stdout, b"")
            self.assertIn(part, done.stderr)

    def test_help_and_version_go_to_stdout(self):
        self.assertRegex(self.tailrace("--version").stdout, rb"\Atailrace \d+\.\d+\.\d+\n\Z")
        self.assertIn(b"Commands:", self.tailrace("--help").stdout)
        for arguments in (["run", "--help"], ["help", "run"], ["run", "--from", "x", "-h"]):
            self.assertIn(b"--roll-size SIZE", self.tailrace(*arguments).stdout)
        self.assertIn(b"--category C", self.tailrace("cat", "--help").stdout)


if __name__ == "__main__":
    main()
