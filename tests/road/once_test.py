#!/usr/bin/env python3
"""`tailrace run --once`: each codec byte for byte, the summary, exit codes, unterminated last lines."""
import os
import shutil
import time
import unittest

import corpus
import sequence_file
from program import ProgramTest, hard_lines, inflate, main, summary_of

SEED = 4711
EXTENSIONS = {"gzip": ".log.gz", "zstd": ".log.zst", "none": ".log"}


class Once(ProgramTest):
    def test_generated_logs_come_out_byte_for_byte_in_each_codec(self):
        print("seed", SEED)
        data = hard_lines(SEED, 8 << 20)
        self.write("hard.log", data)
        for codec, extension in EXTENSIONS.items():
            with self.subTest(codec=codec):
                self.out = os.path.join(self.dir, "out-" + codec)
                done = self.once("--codec", codec, "--max-record", "2MiB")
                files = self.published("web")
                self.assertTrue(files and all(path.endswith(extension) for path in files), files)
                self.assertEqual(b"".join(inflate(path) for path in files), data)
                self.assertEqual(self.cat(), data)
                numbers = summary_of(done)
                self.assertEqual(numbers["files read"], 1)
                self.assertEqual(numbers["bytes in"], len(data))
                self.assertEqual(numbers["lines read"], data.count(b"\n"))
                self.assertEqual(numbers["lines published"], data.count(b"\n"))
                self.assertEqual(numbers["files published"], len(files))
                self.assertEqual(numbers["bytes published"], sum(os.path.getsize(path) for path in files))
                self.assertGreaterEqual(numbers["ratio"], 0.9)
                self.assertIn("seconds", numbers)
                self.assertIn("MB/s", numbers)

    def test_sequence_files_hold_the_same_lines(self):
        data = hard_lines(SEED, 8 << 20)
        self.write("hard.log", data)
        for codec in ("gzip", "snappy", "zstd", "none"):
            with self.subTest(codec=codec):
                self.out = os.path.join(self.dir, "out-" + codec)
                begun = time.time()
                done = self.once("--codec", codec, "--format", "sequence_file", "--max-record", "2MiB")
                files = self.published("web")
                self.assertTrue(files and all(path.endswith(".seq") for path in files), files)
                blocks = [block for path in files for block in sequence_file.blocks(path)]
                self.assertEqual(b"".join(line + b"\n" for _, lines in blocks for line in lines), data)
                times = [ms / 1000 for keys, _ in blocks for ms in keys]
                self.assertTrue(begun - 1 < min(times) and max(times) < time.time() + 1, (begun, min(times), max(times)))
                self.assertEqual(self.cat(), data)
                self.assertEqual(self.cat("--category", "web"), data)
                self.assertEqual(summary_of(done)["lines published"], data.count(b"\n"))

    def test_an_output_that_is_named_again_when_the_spool_has_let_go_of_what_it_lacks(self):
        """It holds; with a spool reset it goes on with what comes, and what the other output has is in the other alone."""
        def into(root, expect=0):
            with open(self.dir + "/run.yaml", "w") as file:
                file.write("role: run\ncluster: c1\nadmin: 127.0.0.1:0\nstate: %s/state\nspool: {size: 64MiB}\npipelines: {web: {files: "
                           "[\"%s/*.log\"], codec: none}}\nsinks: {files: {type: directory, root: %s/%s, timezone: UTC}}\n" % (
                               self.dir, self.logs, self.dir, root))
            return self.tailrace("run", "--config", self.dir + "/run.yaml", "--once", expect=expect).stderr.decode()

        def lines(root):
            return self.tailrace("cat", "%s/%s" % (self.dir, root)).stdout
        first, many, last = (b"".join(b"%s line %d %s\n" % (name, n, b"x" * 90) for n in range(count)) for name, count in (
            (b"first", 1000), (b"many", 400_000), (b"last", 1000)))
        self.write("a.log", first)
        into("one")
        self.write("a.log", many, "ab")
        into("other")
        self.write("a.log", last, "ab")
        said = into("one", expect=1)
        self.assertRegex(said, "HOLDING 'web': .*does not begin there")
        self.assertEqual(lines("one"), first)
        self.tailrace("spool", "reset", "--state", self.dir + "/state", "--yes")
        into("one")
        self.assertEqual(lines("one"), first + last)
        self.assertTrue(lines("other").endswith(many))

    @unittest.skipUnless(corpus.logs(), "no real logs here")
    def test_real_logs_come_out_byte_for_byte_in_each_codec(self):
        logs = corpus.logs()
        for codec in EXTENSIONS:
            with self.subTest(codec=codec):
                out = os.path.join(self.dir, "out-" + codec)
                froms = []
                for path in logs:
                    froms += ["--from", os.path.basename(path)[:-4].lower() + "=" + path]
                self.tailrace("run", *froms, "--to", out, "--once", "--codec", codec)
                for path in logs:
                    with open(path, "rb") as file:
                        data = file.read()
                    if not data.endswith(b"\n"):
                        data += b"\n"
                    self.out = out
                    category = os.path.basename(path)[:-4].lower()
                    self.assertEqual(b"".join(map(inflate, self.published(category))), data, path)
                    self.assertEqual(self.cat("--category", category), data, path)

    def test_twice_publishes_nothing_twice_and_then_what_is_new(self):
        data = hard_lines(SEED + 1, 4 << 20)
        self.write("a.log", data)
        self.once("--max-record", "2MiB")
        before = self.published()
        self.assertEqual(summary_of(self.once("--max-record", "2MiB"))["lines read"], 0)
        self.assertEqual(self.published(), before)
        self.write("a.log", b"more\n", "ab")
        self.write("b.log", b"another file\n")
        self.once("--max-record", "2MiB")
        added = [path for path in self.published() if path not in before]
        self.assertEqual(sorted(b"".join(map(inflate, added)).splitlines()), [b"another file", b"more"])

    def test_an_unterminated_last_line_is_a_line_and_what_follows_one_of_its_own(self):
        self.write("a.log", b"one\ntwo")
        self.write("b.log", b"alone")
        self.assertEqual(summary_of(self.once())["lines published"], 3)
        self.assertEqual(sorted(self.cat().split(b"\n")), [b"", b"alone", b"one", b"two"])
        self.write("a.log", b" and a half\nthree", "ab")
        self.write("b.log", b"\n", "ab")  # the missing newline alone adds no line
        self.assertEqual(summary_of(self.once())["lines published"], 2)
        self.assertEqual(sorted(self.cat().split(b"\n")), [b"", b" and a half", b"alone", b"one", b"three", b"two"])
        self.write("a.log", b"\n", "ab")
        self.write("b.log", b"next\n", "ab")
        self.once()
        self.assertEqual(sorted(self.cat().split(b"\n")),
                         [b"", b" and a half", b"alone", b"next", b"one", b"three", b"two"])

    def test_a_line_over_max_record_is_cut_into_lines_and_nothing_of_it_is_lost(self):
        long = bytes(range(11, 256)) * 700
        self.write("a.log", b"before\n" + long + b"\nafter\n")
        self.once("--max-record", "64KiB")
        lines = self.cat().split(b"\n")
        self.assertEqual((lines[0], lines[-2], lines[-1]), (b"before", b"after", b""))
        self.assertEqual(b"".join(lines[1:-2]), long)
        self.assertTrue(all(len(line) <= 64 << 10 for line in lines))
        self.assertEqual(len(lines[1:-2]), -(-len(long) // (64 << 10)))

    def test_many_small_files_of_several_categories(self):
        """T19: files of 1 to 511 bytes that never grow; scale: 400 files."""
        expected = {"a": [], "b": []}
        for i in range(400):
            category = "ab"[i % 2]
            line = (b"%d-" % i + b"x" * 511)[: 1 + (i * 37) % 510]
            expected[category].append(line)
            self.write("%s-%d.log" % (category, i), line + b"\n")
        self.tailrace("run", "--from", "a=" + self.logs + "/a-*.log", "--from", "b=" + self.logs + "/b-*.log",
                      "--to", self.out, "--once")
        for category, lines in expected.items():
            self.assertEqual(len(self.published(category)), 1)
            self.assertEqual(sorted(self.cat("--category", category).splitlines()), sorted(lines))

    @unittest.skipUnless(os.geteuid() == 0 and shutil.which("setpriv"), "needs root, to become somebody who may not read all")
    def test_a_file_that_cannot_be_read_is_named_and_the_exit_code_is_1(self):
        self.write("good.log", b"good\n")
        secret = self.write("secret.log", b"secret\n")
        os.chmod(secret, 0o600)
        os.mkdir(self.out)
        os.chmod(self.out, 0o777)
        nobody = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]
        import program
        import subprocess
        copy = shutil.copy(program.TAILRACE, os.path.join(self.dir, "tailrace"))  # wherever it lies, he may not go
        done = subprocess.run(nobody + [copy, "run", "--from", "web=" + self.logs + "/*.log", "--to", self.out, "--once"],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn(secret.encode(), done.stderr)
        self.assertIn(b"ermission denied", done.stderr)
        self.assertEqual(self.cat(), b"good\n")
        self.assertEqual(summary_of(done)["lines published"], 1)

    def test_nothing_to_read_is_said_and_is_no_failure(self):
        done = self.once()
        self.assertIn(b"no file matches", done.stderr)
        self.write("empty.log", b"")
        numbers = summary_of(self.once())
        self.assertEqual((numbers["lines read"], numbers["files published"]), (0, 0))
        self.assertEqual(self.published(), [])

    def test_the_category_is_chosen_by_rule_and_said(self):
        nginx = os.path.join(self.dir, "nginx", "logs")
        os.makedirs(nginx)
        with open(os.path.join(nginx, "access.log"), "wb") as file:
            file.write(b"hit\n")
        done = self.tailrace("run", "--from", nginx + "/*.log", "--to", self.out, "--once")
        self.assertIn(b"category nginx", done.stderr)
        self.assertEqual(self.cat("--category", "nginx"), b"hit\n")

    def test_archives_the_excluded_and_our_own_output_are_not_read(self):
        for name in ("a.gz", "b.zst", "c.xz", "d.bz2", "wtmp", "btmp", "lastlog", "e.journal", "mine.tmp"):
            self.write(name, b"NO\n")
        self.write("yes.txt", b"yes\n")
        self.out = os.path.join(self.logs, "deep", "out")
        for _ in range(2):
            self.tailrace("run", "--from", "web=" + self.logs + "/**", "--exclude", "*.tmp", "--to", self.out, "--once",
                          "--codec", "none")
        self.assertEqual(self.cat(), b"yes\n")

    def test_state_and_control_may_stand_apart(self):
        self.write("a.log", b"one\n")
        apart = ["--state", self.dir + "/state", "--control", self.dir + "/control"]
        self.once(*apart)
        self.assertFalse(os.path.exists(os.path.join(self.out, "_state")))
        self.assertFalse(os.path.exists(os.path.join(self.out, "_tailrace")))
        self.assertTrue(os.listdir(self.dir + "/control"))
        self.write("a.log", b"two\n", "ab")
        self.once(*apart)
        self.assertEqual(self.cat(), b"one\ntwo\n")

    def test_another_output_takes_over_a_state_that_owes_nothing(self):
        self.write("a.log", b"one\n")
        state = ["--state", self.dir + "/state"]
        self.once(*state)
        self.write("a.log", b"two\n", "ab")
        first, self.out = self.out, self.dir + "/second"
        self.assertIn(b"has got all", self.once(*state).stderr)
        self.assertEqual(self.cat(), b"one\ntwo\n")  # what the spool still had of before, too
        self.write("a.log", b"three\n", "ab")
        self.once(*state)
        self.assertEqual(self.cat(), b"one\ntwo\nthree\n")
        self.out = first
        self.assertEqual(self.cat(), b"one\n")

    def test_another_output_is_refused_while_the_first_is_owed_something(self):
        self.write("a.log", b"one\n")
        state = ["--state", self.dir + "/state"]
        child = self.start("--roll-age", "1h", "--roll-idle", "1h", *state)
        stage = os.path.join(self.out, "web", "_stage")
        self.until("a staged file", lambda: os.path.isdir(stage))
        child.kill()
        child.wait()
        first, self.out = self.out, self.dir + "/second"
        self.assertIn(b"holds lines for another output", self.once(*state, expect=1).stderr)
        self.out = first
        self.once(*state)
        self.assertEqual(self.cat(), b"one\n")

    def test_layout_and_timezone(self):
        self.write("a.log", b"one\n")
        self.once("--layout", "{category}/day={date}", "--timezone", "Asia/Kathmandu")
        self.assertRegex(self.published()[0], r"/web/day=\d{4}-\d\d-\d\d/web-\d{8}T\d{6}Z-")
        done = self.once("--layout", "{nonsense}", expect=2)
        self.assertIn(b"--layout", done.stderr)

    def test_what_lies_at_a_path_of_bytes_is_collected(self):
        name = b"caf\xe9 \n\xff.log"
        with open(os.path.join(os.fsencode(self.logs), name), "wb") as file:
            file.write(b"odd name\n")
        self.once()
        self.assertEqual(self.cat(), b"odd name\n")


if __name__ == "__main__":
    main()
