#!/usr/bin/env python3
"""Limits 10, 11, 28 to 31 and 41: what a host's files can do to the running daemons, while another file's lines arrive
complete. A row's number in docs/operating.md, "Limits", stands in the name of its test."""
import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import unittest

from program import TAILRACE, hard_lines, main
from watched import WatchedTest

NOBODY = 65534
MAX_RECORD = 1 << 20


def cut(line, most=MAX_RECORD):
    """A line without its newline, as it is published: pieces of `most` bytes, each with a newline."""
    return b"".join(line[at:at + most] + b"\n" for at in range(0, max(1, len(line)), most))


class Files(WatchedTest):
    """All of <logs> is category web; good.txt beside it is category good, and must arrive whatever stands in web."""

    PIPELINES = ("  web: {{files: [\"{logs}/*.log*\"], codec: {codec}, latency: low}}\n"
                 "  good: {{files: [\"{dir}/good.txt\"]}}\n")
    CODEC = "gzip"

    def setUp(self):
        super().setUp()
        self.good = b""
        self.set_pipelines(self.PIPELINES)
        center = self.settings["center"].replace("{age: 2s, idle: 1s}", "{age: 1s, idle: 100ms}")
        self.configure("center", f"role: center\ncluster: test\nstate: {self.dir}/center\n{center}")

    def tearDown(self):
        for name in os.listdir(os.fsencode(self.logs)):  # what tempfile's removal might stumble over
            path = os.path.join(os.fsencode(self.logs), name)
            if not stat.S_ISREG(os.lstat(path).st_mode) and not os.path.isdir(path):
                os.unlink(path)
        super().tearDown()

    def set_pipelines(self, pipelines):
        text = pipelines.format(logs=self.logs, dir=self.dir, codec=self.CODEC)
        self.configure("agent", f"role: agent\ncluster: test\nstate: {self.dir}/agent\nlocal: {self.dir}/local.sock\n"
                                f"pipelines:\n{text}")

    def all_up(self):
        for role in self.ROLES:
            self.up(role)

    def good_lines(self, count=100):
        n = self.good.count(b"\n")
        lines = b"".join(b"good %d\n" % i for i in range(n, n + count))
        with open(self.dir + "/good.txt", "ab") as file:
            file.write(lines)
        self.good += lines

    def category(self, name):
        return self.cat("--category", name) if os.path.isdir(self.out) else b""

    def arrives(self, category, lines):
        self.wait_for(f"the lines of {category}", lambda: len(self.category(category)) >= len(lines))
        self.assertTrue(self.category(category) == lines, "other bytes than were written")

    def good_is_whole(self):
        self.good_lines()
        self.arrives("good", self.good)
        for role, child in self.running.items():
            self.assertIsNone(child.poll(), role + " has ended")

    def frozen(self, role):
        """A context in which the process stands still, so that what happens meanwhile is one step to it."""
        test = self

        class Frozen:
            def __enter__(self):
                test.running[role].send_signal(signal.SIGSTOP)
                os.waitid(os.P_PID, test.running[role].pid, os.WSTOPPED | os.WNOWAIT)

            def __exit__(self, *_):
                test.running[role].send_signal(signal.SIGCONT)
        return Frozen()

    def is_said(self, text, times=1):
        self.wait_for("the log to say " + text, lambda: re.search(text, self.said()))
        self.assertEqual(len(re.findall(text, self.said())), times, self.said()[-3000:])

    def log_is_clean(self):
        """Nothing that a terminal would obey, and no line that a file's name made."""
        with open(self.dir + "/stderr.txt", "rb") as file:
            said = file.read()
        self.assertNotRegex(said, rb"[\x00-\x08\x0b-\x1f\x7f\xff]")
        for line in said.splitlines():
            self.assertRegex(line, rb"^\d{4}-\d\d-\d\d")
            self.assertLess(len(line), 1500)

    def rss_kib(self, role):
        with open("/proc/%d/status" % self.running[role].pid) as file:
            return next(int(line.split()[1]) for line in file if line.startswith("VmHWM"))


class Lines(Files):
    def test_row_10_a_line_longer_than_max_record_is_cut(self):
        self.all_up()
        self.good_lines()
        just, over = b"j" * MAX_RECORD, b"o" * (MAX_RECORD + 1)
        long = os.urandom(3 * MAX_RECORD + 5).replace(b"\n", b"\r")
        self.write("a.log", b"before\n" + just + b"\n" + over + b"\n" + long + b"\nafter\n")
        expected = b"before\n" + cut(just) + cut(over) + cut(long) + b"after\n"
        self.arrives("web", expected)
        self.assertEqual(self.metrics("agent")["tailrace_agent_split_lines_total"], 1 + 3)
        self.is_said(r"a line of 'web' in \S+/a\.log is longer than 1\.0 MiB \(max_record\): it is cut into several")
        # One that grows bit by bit and has no end yet: cut at the same places, and not before it must be.
        growing = os.urandom(2 * MAX_RECORD + 3).replace(b"\n", b"\r")
        for at in range(0, len(growing), 300_000):
            self.write("b.log", growing[at:at + 300_000], "ab")
            self.good_lines(1)
        self.write("b.log", b"\n", "ab")
        self.wait_for("its lines", lambda: len(self.category("web")) >= len(expected) + len(cut(growing)))
        self.assertEqual(sorted(self.category("web").splitlines()), sorted((expected + cut(growing)).splitlines()))
        self.good_is_whole()

    def test_row_11_bytes_are_opaque(self):
        self.all_up()
        lines = hard_lines(11, 3 << 20)
        for at in range(0, len(lines), 500_001):  # cut anywhere
            self.write("a.log", lines[at:at + 500_001], "ab")
            self.good_lines(1)
        self.arrives("web", lines)
        self.assertEqual(self.metrics("agent")["tailrace_agent_split_lines_total"], 0)
        self.good_is_whole()
        # Nothing but newlines, and nothing but NULs.
        self.write("b.log", b"\n" * 5000 + b"\0" * 5000 + b"\n" + b"\r\n" * 5000)
        self.wait_for("its lines", lambda: len(self.category("web")) >= len(lines) + 20_001)
        self.assertIn(b"\n" * 5000 + b"\0" * 5000 + b"\n" + b"\r\n" * 5000, self.category("web"))
        self.good_is_whole()


class Names(Files):
    READ = [b"with spaces and 'quotes' \".log", b"with\nnewline.log", b"\x1b[31mred\x07.log", b"-rf .log", b"$(id);`id`.log",
            b"\xff\xfe not utf-8.log", "größe 🪵.log".encode(), b"x" * 251 + b".log", b"%s%n.log", b"{category}.log"]

    def make(self, name):
        return os.path.join(os.fsencode(self.logs), name)

    def hostile_links(self):
        """Links whose target somebody may read and who made the link may not."""
        secret = os.path.join(self.dir, "secret")
        with open(secret, "wb") as file:
            file.write(b"the secret\n")
        os.chmod(secret, 0o600)
        link = self.make(b"evil\n\x1b[31m link.log")
        os.symlink(secret if os.geteuid() == 0 else "/etc/shadow", link)
        if os.geteuid() == 0:
            os.chown(link, NOBODY, NOBODY, follow_symlinks=False)
        os.symlink(b"nowhere", self.make(b"dangling.log"))
        os.symlink(b"loop.log", self.make(b"loop.log"))
        os.symlink(b"/dev/zero", self.make(b"endless.log"))

    def no_files(self):
        """What a name may be that is no file: how the log shows it, and what it calls it."""
        os.mkfifo(self.make(b"a fifo\n.log"))
        door = socket.socket(socket.AF_UNIX)
        door.bind(self.logs + "/socket.log")
        self.addCleanup(door.close)
        os.mkdir(self.make(b"folder.log"))
        kinds = {r"a fifo\\x0a\.log": "FIFO", r"socket\.log": "socket", r"endless\.log": "device"}
        if os.geteuid() == 0:
            try:
                os.mknod(self.make(b"zero.log"), stat.S_IFCHR | 0o666, os.makedev(1, 5))
                kinds[r"zero\.log"] = "device"
            except OSError:
                pass  # not here
        return kinds

    def test_row_28_hostile_names(self):
        self.hostile_links()
        kinds = self.no_files()
        for i, name in enumerate(self.READ):
            with open(self.make(name), "wb") as file:
                file.write(b"first of %d\n" % i)
        self.all_up()
        self.good_lines()
        count = len(self.READ)
        self.wait_for("the first lines", lambda: self.category("web").count(b"first of") == count)
        # All of them while it runs, too.
        for i, name in enumerate(self.READ):
            with open(self.make(b"L" + name[1:]), "wb") as file:
                file.write(b"later of %d\n" % i)
            with open(self.make(name), "ab") as file:
                file.write(b"second of %d\n" % i)
        os.mkfifo(self.make(b"later fifo.log"))
        expected = [b"%s of %d" % (word, i) for word in (b"first", b"later", b"second") for i in range(count)]
        self.wait_for("all lines", lambda: self.category("web").count(b"\n") >= len(expected))
        self.assertEqual(sorted(self.category("web").splitlines()), sorted(expected))
        for name, kind in kinds.items():
            self.is_said(rf"skipping \S*/{name}: it is a {kind}, not a regular file")
        self.is_said(r"cannot read .*evil\\x0a\\x1b\[31m link\.log: it is a symlink that belongs")
        self.log_is_clean()
        shown = subprocess.run([TAILRACE, "status", "--admin", self.admin["agent"]], capture_output=True, timeout=30).stdout
        self.assertIn(rb"evil\x0a\x1b[31m link.log: it is a symlink", shown)
        self.assertNotRegex(shown, rb"[\x00-\x09\x0b-\x1f\x7f]")
        self.assertEqual(self.metrics("agent")["tailrace_agent_files_unreadable"], 2)  # the evil one and the loop
        self.good_is_whole()


class Rewritten(Files):
    def gaps(self):
        return self.metrics("agent")["tailrace_agent_gaps_total"]

    def begin(self):
        self.all_up()
        self.good_lines()
        self.write("a.log", b"one\ntwo\n")
        self.arrives("web", b"one\ntwo\n")

    def test_row_29_truncated_and_written_anew(self):
        self.begin()
        with self.frozen("agent"):
            self.write("a.log", b"lost\n", "ab")
            self.write("a.log", b"new\n")  # shorter than what was read
        self.arrives("web", b"one\ntwo\nnew\n")
        self.assertEqual(self.gaps(), 1)
        self.is_said(r"a\.log was truncated or written anew: what it had after byte 8 .* is lost")
        with self.frozen("agent"):
            longer = b"".join(b"longer %d\n" % i for i in range(1000))
            self.write("a.log", longer)  # longer than what was read, with another beginning
        self.arrives("web", b"one\ntwo\nnew\n" + longer)
        self.assertEqual(self.gaps(), 2)
        self.good_is_whole()

    def test_row_29_copytruncate(self):
        self.begin()
        expected = b"one\ntwo\n"
        for i in range(3):
            more = b"round %d\n" % i
            self.write("a.log", more, "ab")
            expected += more
            self.arrives("web", expected)
            with self.frozen("agent"):
                shutil.copy(self.logs + "/a.log", self.dir + "/a.copy")  # outside of the globs
                self.write("a.log", b"")
                self.write("a.log", b"after %d\n" % i, "ab")
            expected += b"after %d\n" % i
            self.arrives("web", expected)
            self.assertEqual(self.gaps(), i + 1)
        self.good_is_whole()
        # A restart knows the generation: nothing comes again.
        self.down("agent", signal.SIGKILL)
        self.up("agent")
        self.write("a.log", b"last\n", "ab")
        self.arrives("web", expected + b"last\n")
        self.good_is_whole()

    def test_row_29_replaced_or_rotated_loses_nothing(self):
        self.begin()
        with self.frozen("agent"):
            self.write("a.log", b"old file's last\n", "ab")
            self.write("new", b"new file's first\n")
            os.rename(self.logs + "/new", self.logs + "/a.log")  # the old one has no name any more
        expected = [b"one", b"two", b"old file's last", b"new file's first"]
        self.wait_for("both", lambda: self.category("web").count(b"\n") >= 4)
        with self.frozen("agent"):
            self.write("a.log", b"before the rotation\n", "ab")
            os.rename(self.logs + "/a.log", self.logs + "/a-1")  # out of the globs
            self.write("a-1", b"still written\n", "ab")
            self.write("a.log", b"after it\n")
        expected += [b"before the rotation", b"still written", b"after it"]
        self.wait_for("all", lambda: self.category("web").count(b"\n") >= 7)
        self.assertEqual(sorted(self.category("web").splitlines()), sorted(expected))
        self.assertEqual(self.gaps(), 0)
        self.good_is_whole()

    def test_row_29_deleted_while_the_agent_does_not_run_is_said(self):
        self.begin()
        self.down("agent", signal.SIGKILL)
        self.write("a.log", b"nobody reads this\n", "ab")
        os.unlink(self.logs + "/a.log")
        self.up("agent")
        self.is_said(r"a\.log was deleted or moved while the agent did not run; what it got after byte 8, if anything, is lost")
        self.assertEqual(self.gaps(), 1)
        self.good_is_whole()
        self.assertEqual(self.category("web"), b"one\ntwo\n")

    def test_row_31_an_inode_used_again_is_another_file(self):
        self.begin()
        self.wait_for("the commit", lambda: self.metrics("local").get('tailrace_local_lines_waiting{category="web"}') == 0)
        before = os.stat(self.logs + "/a.log")
        self.down("agent", signal.SIGKILL)
        os.unlink(self.logs + "/a.log")
        for i in range(200):  # the new one begins as the old one did, and is longer
            path = self.write("b%d.log" % i, b"one\ntwo\nthree\n")
            if os.stat(path).st_ino == before.st_ino:
                break
            os.rename(path, self.dir + "/spare%d" % i)
        else:
            raise unittest.SkipTest("this filesystem does not use an inode again soon")
        self.up("agent")
        self.arrives("web", b"one\ntwo\none\ntwo\nthree\n")
        self.good_is_whole()


class Sparse(Files):
    CODEC = "none"

    def test_row_30_a_sparse_log_of_a_terabyte(self):
        """A hole has no newline, so rows 10 and 30 meet. No Center runs: the spool fills and reading waits, at half of
        the spool for one category; then all that was taken comes out."""
        self.configure("local", f"role: local\ncluster: test\nstate: {self.dir}/local\nspool: {{size: 64MiB}}\n" +
                       self.settings["local"])
        sparse = self.write("sparse.log", b"begin\n")
        os.truncate(sparse, 1 << 40)
        self.write("beside.log", b"".join(b"beside %d\n" % i for i in range(1000)))  # of the same category
        self.up("local")
        self.up("agent")
        web, good = '{category="web"}', '{category="good"}'
        waiting = lambda: self.metrics("local").get("tailrace_local_spool_bytes", 0)  # noqa: E731
        self.wait_for("the category's share", lambda: waiting() > 28 << 20)
        still = self.wait_for("reading to wait", lambda: self.unmoved("tailrace_agent_read_bytes_total", 2))
        self.assertLess(still, 48 << 20)
        self.good_lines(5000)
        self.wait_for("the good ones", lambda: self.metrics("agent").get("tailrace_agent_lines_passed_total" + good) == 5000)
        for role in ("agent", "local"):
            self.assertLess(self.rss_kib(role), 80_000, role)
        self.assertLess(self.metrics("agent")["tailrace_agent_lines_taken_total" + web], 2000)
        # What fills it goes; what was taken is published.
        self.down("agent", signal.SIGKILL)
        os.unlink(sparse)
        taken = self.metrics("local")["tailrace_local_lines_taken_total" + web]
        self.up("center")
        self.wait_for("all that was taken", lambda: self.category("web").count(b"\n") >= taken)
        lines = self.category("web").splitlines()
        self.assertEqual([line for line in lines if line.startswith(b"beside")], [b"beside %d" % i for i in range(1000)])
        self.assertIn(b"begin", lines)
        rest = [line for line in lines if not line.startswith(b"be")]
        self.assertTrue(rest and all(line == b"\0" * MAX_RECORD for line in rest))
        self.up("agent")
        self.is_said(r"sparse\.log was deleted or moved while the agent did not run")
        self.good_is_whole()

    def unmoved(self, metric, seconds):
        """The agent's figure, if it stays as it is for that long."""
        found = self.metrics("agent")[metric]
        try:
            self.wait_for("a move", lambda: self.metrics("agent")[metric] != found, seconds)
        except AssertionError:
            return found
        return None


class SparseAndFast(Files):
    def test_row_30_other_files_keep_their_share(self):
        """The Center runs and takes whatever a hole gives, compressed: the others are read in turn with it."""
        sparse = self.write("sparse.log", b"begin\n")
        os.truncate(sparse, 1 << 40)
        self.all_up()
        written = 0
        for _ in range(3):
            self.good_lines(2000)
            self.write("beside.log", b"".join(b"beside %d\n" % i for i in range(written, written + 2000)), "ab")
            written += 2000
            self.wait_for("the good ones", lambda: self.category("good") == self.good, 15)
        agent = self.metrics("agent")
        self.assertGreater(agent["tailrace_agent_read_bytes_total"], 10 << 20)
        for role in self.ROLES:
            self.assertLess(self.rss_kib(role), 100_000, role)
        os.truncate(sparse, 0)
        self.wait_for("the lines beside it", lambda: self.beside() >= written)
        self.assertEqual(self.beside(), written)
        self.good_is_whole()

    def beside(self):
        done = subprocess.run([TAILRACE, "cat", self.out, "--category", "web"], stdout=subprocess.PIPE, timeout=60)
        return done.stdout.count(b"beside ")


class Loop(Files):
    """The agent's glob means everything: the Center's output, all three state directories, and more names of them."""
    PIPELINES = ("  web:\n    files: [\"{dir}/**/*\", \"{logs}/again/**/*\", \"{logs}/spool/*\"]\n    codec: none\n    latency: low\n"
                 "    exclude: [stderr.txt, good.txt, \"*.yaml\"]\n  good: {{files: [\"{dir}/good.txt\"]}}\n")

    def test_row_41_our_own_directories_are_never_watched(self):
        self.write("a.log", b"one\n")
        os.symlink(self.out + "/web", self.logs + "/again")     # into the output
        os.symlink(self.dir + "/local/spool", self.logs + "/spool")
        os.symlink(self.dir + "/center/center.id", self.logs + "/id.log")
        self.all_up()
        self.good_lines()
        expected = b"one\n"
        self.arrives("web", expected)
        published = self.published("web")
        os.symlink(published[0], self.logs + "/published.log")
        for i in range(5):
            more = b"line %d\n" % i
            self.write("a.log", more, "ab")
            expected += more
            self.arrives("web", expected)
        for name in ("out", "agent", "local", "center"):
            self.is_said(rf"skipping \S*/{name}: it is a directory of Tailrace's own, which is never watched")
        self.is_said(r"skipping \S*/again: it leads into a directory of Tailrace's own")
        self.is_said(r"skipping \S*/id\.log: it leads into a directory of Tailrace's own")
        self.assertEqual(self.metrics("agent")["tailrace_agent_files"], 2)
        self.good_is_whole()
        # After a restart, too, and a directory that comes to be ours while the agent runs.
        self.down("agent", signal.SIGKILL)
        self.up("agent")
        self.write("a.log", b"last\n", "ab")
        self.arrives("web", expected + b"last\n")
        self.assertEqual(self.metrics("agent")["tailrace_agent_files"], 2)
        self.good_is_whole()


if __name__ == "__main__":
    main()
