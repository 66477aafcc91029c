#!/usr/bin/env python3
"""A Center of two sinks that is started while one of them is away: the other gets its lines, and the one that comes back
gets them too, each once. A disk that is not mounted is a directory that has been moved aside."""
import json
import os
import signal
import urllib.error
import urllib.request

import balance
from daemons_test import DaemonsTest
from program import main


class Sinks(DaemonsTest):
    def two_sinks(self, second):
        """The usual one, and `second`."""
        self.configure("center", f"role: center\ncluster: test\nstate: {self.dir}/center\n{self.settings['center']}  second: {second}\n")

    def obstacles(self):
        address = balance.address_of(self.running["center"].pid, self.port)
        if not address:
            return []  # it has just been started
        try:
            with urllib.request.urlopen(f"http://{address}/readyz", timeout=30):
                return []
        except urllib.error.HTTPError as answer:
            return [(o.get("sink"), o["text"]) for o in json.load(answer)["obstacles"]]


class Away(Sinks):
    def setUp(self):
        super().setUp()
        self.second = self.dir + "/second"
        self.two_sinks(f"{{type: directory, root: {self.second}, timezone: UTC, roll: {{age: 2s, idle: 1s}}}}")

    def there(self, root):
        return self.tailrace("cat", root).stdout if os.path.isdir(root) else b""

    def both_once(self):
        for role in self.ROLES:
            self.up(role)
        self.write("a.log", b"one\n")
        for root in (self.out, self.second):
            self.until("the first line in " + root, lambda root=root: self.there(root) == b"one\n")
        self.down("center", signal.SIGTERM)

    def test_the_others_go_on_and_it_gets_all_when_it_is_back(self):
        self.both_once()
        os.rename(self.second, self.dir + "/aside")
        self.write("a.log", b"two\n", "ab")
        self.up("center")
        self.until("the second line", lambda: self.there(self.out) == b"one\ntwo\n")
        ((sink, detail),) = self.obstacles()
        self.assertEqual(sink, "second")
        self.assertIn("is it mounted?", detail)
        self.assertIn("sink second is away", self.said())
        self.down("center", signal.SIGTERM)  # in order, at once
        self.up("center")
        self.write("a.log", b"three\n", "ab")
        self.until("the third line", lambda: self.there(self.out) == b"one\ntwo\nthree\n")
        self.assertEqual(self.there(self.second), b"")
        self.assertEqual(os.listdir(self.second), [])  # nothing below the mount point
        os.rmdir(self.second)
        os.rename(self.dir + "/aside", self.second)
        self.until("all in the second", lambda: self.there(self.second) == b"one\ntwo\nthree\n")
        self.until("ready", lambda: not self.obstacles())
        self.down("center", signal.SIGTERM)
        self.assertEqual(self.there(self.out), b"one\ntwo\nthree\n")

    def test_another_one_in_its_place_is_not_written_to(self):
        self.both_once()
        os.rename(self.second, self.dir + "/aside")
        self.up("center")
        self.until("it is missed", lambda: self.obstacles())
        self.tailrace("run", "--once", "--from", f"web={self.logs}/*.log", "--to", self.second)
        self.until("the other one is seen", lambda: "another output" in self.obstacles()[0][1])
        self.down("center", signal.SIGTERM)

    def test_the_only_sink_is_said_to_be_missing_at_once(self):
        self.configure("center", f"role: center\ncluster: test\nstate: {self.dir}/center\n" + self.settings["center"])
        for role in self.ROLES:
            self.up(role)
        self.write("a.log", b"one\n")
        self.until("the line", lambda: self.lines() == b"one\n")
        self.down("center", signal.SIGTERM)
        os.rename(self.out, self.dir + "/aside")
        done = self.tailrace_center()
        self.assertEqual(done, 1)
        self.assertIn("is its file system mounted? To begin anew there, stop this Center and remove " + self.dir + "/center/sinks/",
                      self.said())

    def tailrace_center(self):
        self.up("center")
        child = self.running.pop("center")
        self.children.remove(child)
        return child.wait(30)


if __name__ == "__main__":
    main()
