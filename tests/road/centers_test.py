#!/usr/bin/env python3
"""`tailrace centers`: what a person reads of Centers that share a directory, and what it says of what is no store;
`tailrace drain CENTER`."""
import json
import signal
import subprocess

import balance
from daemons_test import DaemonsTest
from ports import free_port
from program import TAILRACE, main


class Centers(DaemonsTest):
    ROLES = ("center", "local", "agent", "second")

    def setUp(self):
        super().setUp()
        with open(f"{self.dir}/center.yaml") as file:
            text = file.read()
        self.second = free_port()
        text = text.replace(f"{self.dir}/center", f"{self.dir}/second").replace(str(self.port), str(self.second))
        self.configure("second", text + "name: other\nadvertise: localhost\n")

    def program(self, role):
        return super().program("center" if role == "second" else role)

    def ask(self, *more, at=None):
        return subprocess.run([TAILRACE, "centers", at or self.out, *more], capture_output=True, text=True, timeout=60)

    def json(self):
        asked = self.ask("--format", "json")
        return json.loads(asked.stdout) if asked.returncode == 0 else None

    def test_who_is_there_and_who_owns_what(self):
        for role in self.ROLES:
            self.up(role)
        self.write("a.log", b"one\ntwo\n")
        self.until("the lines", lambda: self.lines() == b"one\ntwo\n")
        self.until("both", lambda: len(self.json()["centers"]) == 2)
        said = self.json()
        self.assertEqual({c["address"] for c in said["centers"]},
                         {f"127.0.0.1:{self.port}", f"localhost:{self.second}"})
        (lane,) = said["lanes"]
        self.assertEqual((lane["category"], lane["lines"], lane["streams"]), ("web", 2, 1))
        self.assertIn(lane["owner"], {c["incarnation"] for c in said["centers"]})
        text = self.ask().stdout
        self.assertRegex(text, r"(?m)^other +localhost:%d +[01] " % self.second)
        self.assertRegex(text, r"(?m)^web +(other|\S+) +1 +2 +\S+ \S+")
        self.assertNotIn("web", self.ask("--category", "nothing").stdout)
        for role in ("center", "second"):
            child = self.running.pop(role)
            child.send_signal(signal.SIGTERM)
            self.assertEqual(child.wait(30), 0, self.said()[-2000:])
        said = self.json()
        self.assertEqual((said["centers"], said["lanes"][0]["owner"], said["lanes"][0]["lines"]), ([], "", 2))
        self.assertRegex(self.ask().stdout, r"(?m)^web +nobody +1 +2 ")

    def test_what_is_no_store(self):
        self.assertEqual(self.ask(at=self.logs).returncode, 1)
        self.assertIn("no Center has ever published here", self.ask(at=self.logs).stderr)
        self.assertIn("is no directory", self.ask(at=self.dir + "/nothing").stderr)
        self.assertEqual(self.ask("more").returncode, 2)

    # --- those that live, asked by a command that knows one of them

    def live(self, *more, role="local"):
        return subprocess.run([TAILRACE, "centers", "--config", f"{self.dir}/{role}.yaml", *more], capture_output=True, text=True,
                              timeout=60, check=False)

    def drain(self, name, *more, role="second"):
        admin = balance.address_of(self.running[role].pid, self.port, self.second)
        return subprocess.run([TAILRACE, "drain", name, "--admin", admin, *more], capture_output=True, text=True, timeout=60,
                              check=False)

    def both_know(self):
        for role in self.ROLES:
            self.up(role)
        self.write("a.log", b"one\ntwo\n")
        self.until("the lines", lambda: self.lines() == b"one\ntwo\n")
        self.until("both to be known", lambda: len(json.loads(self.live("--format", "json").stdout)["centers"]) == 2)

    def test_how_they_are(self):
        self.both_know()
        said = json.loads(self.live("--format", "json").stdout)
        self.assertEqual(said["cluster"], "test")
        by_name = {c["name"]: c for c in said["centers"]}
        self.assertEqual(by_name["other"]["address"], f"localhost:{self.second}")
        self.assertEqual({c["state"] for c in said["centers"]}, {"running"})
        self.assertEqual(sum(c["sinks"][0]["lanes"] for c in said["centers"]), 1)
        self.assertEqual(max(c["locals"] for c in said["centers"]), 1)
        text = self.live()
        self.assertEqual((text.returncode, text.stderr), (0, ""))
        self.assertRegex(text.stdout, r"(?m)^other +localhost:%d +running +[01] +\d+ +\d+ B " % self.second)
        # Its own settings name a Center too.
        self.assertIn("other", self.live(role="second").stdout)
        # The one that the settings name does not answer: it is said, with its address.
        self.down("center", signal.SIGKILL)
        text = self.live()
        self.assertEqual(text.returncode, 1)
        self.assertRegex(text.stdout, r"127.0.0.1:%d +NO ANSWER\n  ! no Center answers on" % self.port)
        # Of another cluster it would not say anything.
        self.configure("stranger", f"role: local\ncluster: another\nstate: {self.dir}/x\nlisten: {self.dir}/x.sock\n"
                       f"discovery: {{static: [\"localhost:{self.second}\"]}}\n")
        self.assertIn("it refuses: this Center belongs to cluster", self.live(role="stranger").stdout)

    def test_no_settings_that_say_which(self):
        self.assertIn("agent.yaml is neither a Local's nor a Center's", self.live(role="agent").stderr)
        self.assertIn("nothing.yaml", self.live(role="nothing").stderr)

    def test_a_center_is_drained(self):
        self.both_know()
        self.until("it to know the other", lambda: "1 other" in self.drain("other", "--dry-run").stdout)
        would = self.drain("other", "--dry-run")
        self.assertEqual((would.returncode, would.stderr), (0, ""))
        self.assertRegex(would.stdout, r"^other would give its lanes to 1 other: [01] lanes?, \d+ lines held. Nothing was changed")
        wrong = self.drain("center")
        self.assertEqual(wrong.returncode, 1)
        self.assertIn("is 'other', not 'center'", wrong.stderr)
        self.assertIsNone(self.running["second"].poll())
        done = self.drain("other", "--format", "json")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        said = json.loads(done.stdout)
        self.assertEqual((said["state"], said["lanes"], said["lines_held"]), ("drained", 0, 0))
        self.assertEqual(self.running.pop("second").wait(30), 0)
        self.write("a.log", b"three\n", "ab")
        self.until("the third line", lambda: self.lines() == b"one\ntwo\nthree\n")
        # The last one: what that means is said.
        self.until("the other to be forgotten", lambda: len(json.loads(self.live("--format", "json").stdout)["centers"]) == 1)
        last = self.drain(self.name_of_first(), role="center")
        self.assertEqual(last.returncode, 0)
        self.assertIn("no other Center is known: lines wait in the spools until one starts", last.stderr)
        self.assertEqual(self.running.pop("center").wait(30), 0)
        self.assertIn("no Center on", subprocess.run([TAILRACE, "drain", "other", "--admin", "127.0.0.1:1"], capture_output=True,
                                                     text=True, timeout=60, check=False).stderr)

    def name_of_first(self):
        (name,) = [c["name"] for c in json.loads(self.live("--format", "json").stdout)["centers"] if c["name"] != "other"]
        return name


if __name__ == "__main__":
    main()
