#!/usr/bin/env python3
"""`tailrace drain`: a host is taken out of service; and what it says when that cannot be."""
import shutil
import signal
import subprocess

import balance
from daemons_test import DaemonsTest
from program import TAILRACE, main


class Drain(DaemonsTest):
    def drain(self, *args, timeout=60):
        admin = balance.address_of(self.running["agent"].pid, self.port)
        return subprocess.run([TAILRACE, "drain", "--admin", admin, *args], capture_output=True, text=True, timeout=timeout,
                              check=False)

    def all_up(self):
        for role in self.ROLES:
            self.up(role)
        self.until("the agent's admin port", lambda: balance.address_of(self.running["agent"].pid, self.port))

    def test_all_is_published_also_an_end_without_newline_and_the_agent_ends_with_0(self):
        # Nothing is closed by its age: only because it is asked for.
        self.configure("center", f"role: center\ncluster: test\nstate: {self.dir}/center\nlisten: 127.0.0.1:{self.port}\n"
                       f"sinks:\n  files: {{type: directory, root: {self.out}, timezone: UTC}}\n")
        self.write("a.log", b"one\ntwo\nthree")
        self.write("b.log", b"".join(b"line %d\n" % n for n in range(20000)))
        self.all_up()
        done = self.drain()
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertIn("all that this host had is published", done.stdout)
        self.assertEqual(self.running.pop("agent").wait(30), 0)
        lines = self.lines()
        self.assertEqual(lines.count(b"\n"), 20003)
        self.assertIn(b"three\n", lines)
        # The host comes back: nothing is published twice, and the end's newline makes no empty line.
        self.write("a.log", b"\nfour\n", "ab")
        self.up("agent")
        self.until("the agent's admin port", lambda: balance.address_of(self.running["agent"].pid, self.port))
        self.assertEqual(self.drain().returncode, 0)
        self.assertEqual(self.running.pop("agent").wait(30), 0)
        self.assertEqual(self.lines().count(b"\n"), 20004)

    def test_a_center_that_is_away(self):
        self.write("a.log", b"one\n")
        self.up("agent")
        self.up("local")
        self.until("the agent's admin port", lambda: balance.address_of(self.running["agent"].pid, self.port))
        done = self.drain("--timeout", "2s")
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stderr, r"not done within 2.0 s: 0 B unread, 1 lines not published yet.* It goes on draining")
        self.up("center")  # it did go on
        self.assertEqual(self.running.pop("agent").wait(30), 0)
        self.assertEqual(self.lines(), b"one\n")

    def test_an_agent_that_holds(self):
        self.configure("agent", f"role: agent\ncluster: test\nstate: {self.dir}/agent\non_spool_loss: hold\n"
                       + self.settings["agent"])
        self.write("a.log", b"one\n")
        self.up("agent")
        self.up("local")
        self.until("the line in the spool", lambda: "1" in str(self.status("agent").get("passed")))
        self.down("local", signal.SIGKILL)
        shutil.rmtree(f"{self.dir}/local/spool")
        self.up("local")
        self.until("the agent to hold", lambda: self.status("agent")["held"])
        done = self.drain()
        self.assertEqual(done.returncode, 1)
        self.assertIn("the agent holds, and cannot go on: the Local has another spool", done.stderr)
        self.assertIsNone(self.running["agent"].poll())

    def status(self, role):
        import json
        import urllib.request
        admin = balance.address_of(self.running[role].pid, self.port)
        if not admin:
            return {}
        with urllib.request.urlopen(f"http://{admin}/api/v1/status", timeout=10) as answer:
            of = json.load(answer)[role]
        of["passed"] = sum(c["passed"] for c in of["categories"].values())
        return of

    def test_nobody_there(self):
        done = subprocess.run([TAILRACE, "drain", "--admin", f"127.0.0.1:{self.port}"], capture_output=True, text=True,
                              timeout=60, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stderr, rf"no agent on 127\.0\.0\.1:{self.port}: .*--admin names another address")


del DaemonsTest  # it has no tests of its own, and would be run once more

if __name__ == "__main__":
    main()
