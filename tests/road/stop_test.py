#!/usr/bin/env python3
"""Starting, stopping and starting again: the lock, SIGTERM and Ctrl-C, the second signal, kill -9, the lines told."""
import os
import pty
import select
import signal
import subprocess
import time

from program import TAILRACE, ProgramTest, inflate, main


class Stop(ProgramTest):
    def lines(self):
        return b"".join(map(inflate, self.published())).splitlines()

    def started(self, *more):
        before = self.said().count("publishing into") if self.children else 0
        child = self.start(*more)
        self.until("the start", lambda: self.said().count("publishing into") > before)
        return child

    def test_sigterm_and_ctrl_c_publish_everything(self):
        for number, sign in enumerate((signal.SIGTERM, signal.SIGINT)):
            child = self.started()
            self.write("a.log", b"%d whole\n%d half" % (number, number), "ab")
            child.send_signal(sign)
            self.wait(child)
            self.assertIn(b"%d whole" % number, self.lines())
            self.assertNotIn(b"%d half" % number, self.lines())  # T05: it waits for its newline
            self.write("a.log", b"\n", "ab")
        child = self.started()
        child.terminate()
        self.wait(child)
        self.assertEqual(self.lines(), [b"0 whole", b"0 half", b"1 whole", b"1 half"])

    def test_what_a_rotation_made_just_before_the_end_is_published_too(self):
        """T08 at the moment of SIGTERM; scale: 3 rotations, the last right before it, and a folder that is new."""
        expected = [b"first", b"deep"]
        self.write("a.log", b"first\n")
        child = self.started("--from", "web=" + self.logs + "/**/*.log")
        for i in range(3):
            time.sleep(0.7)  # a file that was never seen under its name is not ours to follow
            expected += [b"%d old" % i, b"%d new" % i]
            self.write("a.log", b"%d old\n" % i, "ab")
            os.rename(self.logs + "/a.log", self.logs + "/a.log.%d" % i)
            self.write("a.log", b"%d new\n" % i)
        os.makedirs(self.logs + "/of/today")
        self.write("of/today/b.log", b"deep\n")
        child.terminate()
        self.wait(child)
        self.assertEqual(sorted(self.lines()), sorted(expected))

    def test_lines_written_long_before_the_end_are_there(self):
        child = self.started("--roll-idle", "1h", "--roll-age", "1h")
        expected = []
        for i in range(20):
            expected.append(b"line %d" % i)
            self.write("a.log", expected[-1] + b"\n", "ab")
            time.sleep(0.1)
        self.assertEqual(self.published(), [])
        child.terminate()
        self.wait(child)
        self.assertEqual(self.lines(), expected)
        self.assertEqual(len(self.published()), 1)

    def test_while_the_first_lives_a_second_is_refused_and_after_kill_9_it_takes_over_at_once(self):
        first = self.started()
        refused = self.once(expect=1)
        self.assertIn(b"process %d" % first.pid, refused.stderr)
        self.assertIn(b"_state", refused.stderr)
        self.write("a.log", b"one\n")
        time.sleep(0.5)
        first.kill()
        first.wait()
        start = time.monotonic()
        self.once()
        self.assertLess(time.monotonic() - start, 10)
        self.assertEqual(self.lines(), [b"one"])

    def test_a_second_signal_leaves_at_once_and_loses_nothing(self):
        data = b"".join(b"line %d\n" % i for i in range(300000))
        self.write("a.log", data)
        child = self.start()
        time.sleep(0.3)
        child.terminate()
        child.send_signal(signal.SIGINT)
        child.terminate()
        start = time.monotonic()
        child.wait(20)
        self.assertLess(time.monotonic() - start, 5)
        self.children.remove(child)
        child.stdout = child.stderr = None
        self.once()
        self.assertEqual(self.cat(), data)

    def test_ten_kills_at_any_moment_lose_and_double_nothing(self):
        expected = []
        for i in range(10):
            child = self.start("--roll-idle", "200ms")
            for n in range(50):
                expected.append(b"%d %d" % (i, n))
                self.write("a.log", expected[-1] + b"\n", "ab")
                time.sleep(0.002 * i)
            time.sleep(0.05 * i)
            child.kill()
            child.wait()
        self.once()
        self.assertEqual(self.lines(), expected)

    def test_files_that_appear_are_found_within_a_second_or_so(self):
        self.started("--roll-idle", "100ms")
        time.sleep(1)
        os.mkdir(os.path.join(self.logs, "x"))
        self.write("new.log", b"new\n")
        _, seconds = self.until("the new file's line", lambda: b"new" in self.lines(), 20)
        self.assertLess(seconds, 5)

    def test_not_on_a_terminal_it_is_quiet_and_on_one_there_is_a_live_line(self):
        child = self.started()
        time.sleep(2)
        child.terminate()
        self.wait(child)
        self.assertNotIn("MB/s", self.said())  # the first plain line comes after 30 s
        self.assertNotIn("\r", self.said())

        master, slave = pty.openpty()
        self.write("a.log", b"one\n")
        child = subprocess.Popen([TAILRACE, "run", "--from", "web=" + self.logs + "/*.log", "--to", self.out],
                                 stdin=slave, stdout=slave, stderr=slave)
        self.children.append(child)
        os.close(slave)
        seen = b""
        end = time.monotonic() + 20
        while b"lag" not in seen and time.monotonic() < end:
            if select.select([master], [], [], 0.2)[0]:
                seen += os.read(master, 65536)
        self.assertRegex(seen, rb"\r\x1b\[K[\d.]+ MB/s, [\d,]+ lines/s, lag .* published")
        child.terminate()
        while True:
            try:
                if not os.read(master, 65536):
                    break
            except OSError:
                break
        self.wait(child)
        os.close(master)


if __name__ == "__main__":
    main()
