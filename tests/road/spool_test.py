#!/usr/bin/env python3
"""tailrace spool: what it says of a Local's spool that runs, that stopped, that is damaged; and setting it aside."""
import glob
import json
import os
import shutil
import signal
import subprocess

import daemons_test
from program import TAILRACE, main


class Spool(daemons_test.DaemonsTest):
    def spool(self, *words, expect=0):
        done = subprocess.run([TAILRACE, "spool", *words, "--state", f"{self.dir}/local"], capture_output=True, text=True,
                              timeout=60)
        self.assertEqual(done.returncode, expect, done.stdout + done.stderr)
        return done.stdout + done.stderr

    def fill(self, lines):
        """The agent's lines in the spool, no Center."""
        self.put(0, lines)
        for role in ("local", "agent"):
            self.up(role)
        self.until("lines in the spool", lambda: self.waiting() == lines)

    def put(self, first, end):
        with open(f"{self.logs}/a.log", "a") as file:
            file.writelines(f"line {n} of many\n" for n in range(first, end))

    def spooled(self, what):
        """Of the first stream; `waiting` is summed over the sinks."""
        stream = json.loads(self.spool("ls", "--format", "json"))["streams"][0]
        return sum(stream[what].values()) if what == "waiting" else stream[what]

    def waiting(self):
        streams = json.loads(self.spool("ls", "--format", "json"))["streams"] if os.path.isdir(f"{self.dir}/local/spool") else []
        return streams[0]["next_seq"] if streams else 0

    def test_what_a_spool_holds(self):
        self.fill(3000)
        self.assertRegex(self.spool("ls"), r"web +\d+ +[\d.]+ KiB +3,000 +3,000 +0\n")
        self.assertIn("3,000 lines", self.spool("verify", "--deep"))
        self.assertIn("in use by a running", self.spool("reset", "--yes", expect=1))
        self.down("local", signal.SIGTERM)
        self.assertRegex(self.spool("ls", "--category", "we"), r"web +\d+ +[\d.]+ KiB +3,000 +3,000 +0\n")
        self.assertNotIn("web", self.spool("ls", "--category", "other"))
        self.assertIn("all good", self.spool("verify"))
        self.spool("mend", expect=2)

    def test_a_flipped_byte_is_found(self):
        self.fill(3000)
        self.down("agent", signal.SIGTERM)
        self.down("local", signal.SIGTERM)
        segments = sorted(glob.glob(f"{self.dir}/local/spool/*.seg"))
        found = None
        for path in segments:
            with open(path, "rb") as file:
                at = file.read().find(b"\x1f\x8b\x08")  # a gzip member's head: inside a batch's payload
            if at >= 0:
                found = path, at + 20
        path, at = found
        with open(path, "r+b") as file:
            file.seek(at)
            byte = file.read(1)[0]
            file.seek(at)
            file.write(bytes([byte ^ 1]))
        said = self.spool("verify", expect=1)
        self.assertIn("damaged", said)
        self.assertIn(os.path.basename(path), said)

    def test_a_spool_is_set_aside_and_what_was_not_final_is_read_again(self):
        self.fill(2000)
        self.down("local", signal.SIGTERM)
        self.assertIn("Nothing was done", self.spool("reset"))
        self.assertEqual(self.waiting(), 2000)
        said = self.spool("reset", "--yes")
        self.assertIn("2,000 lines", said)
        self.assertEqual(len(glob.glob(f"{self.dir}/local/spool.aside-*")), 1)
        for role in ("local", "center"):
            self.up(role)
        self.until("the agent to go on", lambda: "which was reset, are read again" in self.said())
        self.put(2000, 2500)
        self.until("all lines", lambda: self.lines().count(b"\n") >= 2500)
        self.assertEqual(self.lines().decode().splitlines(), [f"line {n} of many" for n in range(2500)])
        # Reset twice: the new one knows both.
        self.down("local", signal.SIGTERM)
        self.spool("reset", "--yes")
        with open(f"{self.dir}/local/spool/replaces") as file:
            self.assertEqual(len(file.read().split()), 2)

    def test_hold_is_a_choice_and_ends_when_the_old_spool_stands_there_again(self):
        with open(f"{self.dir}/agent.yaml", "a") as file:
            file.write("on_spool_loss: hold\n")
        self.fill(2000)
        self.down("local", signal.SIGTERM)
        os.rename(f"{self.dir}/local/spool", f"{self.dir}/old")
        self.up("local")
        self.until("the agent to hold", lambda: "another spool" in self.said())
        self.down("local", signal.SIGTERM)
        os.rename(f"{self.dir}/local/spool", f"{self.dir}/new")
        os.rename(f"{self.dir}/old", f"{self.dir}/local/spool")
        for role in ("center", "local"):
            self.up(role)
        self.until("all lines", lambda: self.lines().count(b"\n") >= 2000)
        self.assertEqual(self.lines().decode().splitlines(), [f"line {n} of many" for n in range(2000)])

    def test_resend_and_drop_are_choices_and_are_said(self):
        for choice, text, lines in (("resend", "may be PUBLISHED TWICE", 2000), ("drop", "LOST: 2,000 lines", 0)):
            with self.subTest(choice):
                self.tearDown()
                self.setUp()
                with open(f"{self.dir}/agent.yaml", "a") as file:
                    file.write(f"on_spool_loss: {choice}\n")
                self.fill(2000)
                self.down("local", signal.SIGKILL)
                shutil.rmtree(f"{self.dir}/local/spool")
                for role in ("center", "local"):
                    self.up(role)
                self.until(choice, lambda text=text: text in self.said())
                self.put(2000, 2100)
                self.until("what follows", lambda: b"line 2099 of many" in self.lines())
                self.assertEqual(self.lines().count(b"\n"), lines + 100)

    def test_a_sink_that_is_given_up_holds_the_spool_no_more(self):
        self.put(0, 500)
        for role in self.ROLES:
            self.up(role)
        self.until("500 lines", lambda: self.lines().count(b"\n") == 500)
        self.down("center", signal.SIGTERM)
        self.put(500, 800)
        self.until("the spool to have them", lambda: self.spooled("waiting") == 300)
        with open(f"{self.out}/_tailrace.sink", "rb") as file:
            sink = file.read()[9:17][::-1].hex()
        self.assertIn("in use by a running", self.spool("forget", "--sink", sink, expect=1))
        self.down("local", signal.SIGTERM)
        self.assertIn("knows no sink", self.spool("forget", "--sink", "00000000000000ff", expect=1))
        said = self.spool("forget", "--sink", sink)
        self.assertRegex(said, "web +300 lines that it has not got")
        self.assertIn("Nothing was done", said)
        self.assertEqual(self.spooled("waiting"), 300)
        self.spool("forget", "--sink", sink, "--yes")
        self.assertIn("knows no sink", self.spool("forget", "--sink", sink, expect=1))
        # The Center names it again: it gets what the spool still has, and nothing twice.
        for role in ("center", "local"):
            self.up(role)
        self.put(800, 900)
        self.until("all lines", lambda: self.lines().count(b"\n") >= 900)
        self.assertEqual(self.lines().decode().splitlines(), [f"line {n} of many" for n in range(900)])

    def test_a_store_put_back_to_an_earlier_state_is_a_hole_that_a_person_adopts(self):
        def restart_center(control=None):
            self.down("center", signal.SIGTERM)
            if control:
                shutil.rmtree(f"{self.out}/_tailrace")
                shutil.copytree(control, f"{self.out}/_tailrace", symlinks=True)
            self.up("center")

        self.put(0, 1000)
        for role in self.ROLES:
            self.up(role)
        self.until("1000 lines", lambda: self.lines().count(b"\n") == 1000)
        self.down("center", signal.SIGTERM)
        shutil.copytree(f"{self.out}/_tailrace", f"{self.dir}/backup", symlinks=True)
        self.up("center")
        self.put(1000, 1600)
        self.until("1600 lines", lambda: self.lines().count(b"\n") == 1600)
        self.until("the spool to know it", lambda: self.spooled("waiting") == 0)
        restart_center(f"{self.dir}/backup")
        self.put(1600, 2000)
        self.until("the hole", lambda: "HOLE" in self.said())
        self.until("the list of holes", lambda: os.path.exists(f"{self.dir}/local/spool/holes"))
        self.assertIn("in use by a running", self.spool("adopt", "--yes", expect=1))
        self.assertEqual(self.lines().count(b"\n"), 1600)
        # A start knows of no hole until a Center has named it: what an earlier one wrote is over.
        self.down("center", signal.SIGTERM)
        self.down("local", signal.SIGTERM)
        self.up("local")
        self.until("the start", lambda: self.said().count("takes an agent") == 2)
        self.down("local", signal.SIGTERM)
        self.assertIn("nothing to adopt", self.spool("adopt", "--yes"))
        for role in ("center", "local"):
            self.up(role)
        self.until("the hole again", lambda: self.said().count("HOLDING") == 2)
        self.until("the list of holes", lambda: os.path.exists(f"{self.dir}/local/spool/holes"))
        self.down("local", signal.SIGTERM)
        self.assertIn("1 streams held", self.spool("ls"))
        said = self.spool("adopt")
        self.assertIn("600 lines, from line 1,000 on, count as lost there", said)
        self.assertIn("Nothing was done", said)
        self.spool("adopt", "--category", "other", "--yes", expect=1)
        self.assertIn("Done", self.spool("adopt", "--yes"))
        self.assertIn("nothing to adopt", self.spool("adopt"))
        self.up("local")
        self.until("all lines", lambda: self.lines().count(b"\n") >= 2000)
        self.put(2000, 2100)
        self.until("what follows", lambda: self.lines().count(b"\n") >= 2100)
        self.assertEqual(sorted(self.lines().splitlines()), sorted(b"line %d of many" % n for n in range(2100)))


if __name__ == "__main__":
    main()
