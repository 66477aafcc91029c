#!/usr/bin/env python3
"""`tailrace centers`: what a person reads of Centers that share a directory, and what it says of what is no store."""
import json
import signal
import subprocess

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


if __name__ == "__main__":
    main()
