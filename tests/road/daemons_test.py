#!/usr/bin/env python3
"""The three daemons as their user starts them: settings, a socket, a port; kill -9 of any of them; what is refused."""
import json
import os
import random
import signal
import socket
import subprocess
import time

import balance
from ports import free_port
from program import ROOT, TAILRACE, ProgramTest, main


class DaemonsTest(ProgramTest):
    """Settings for the three in self.dir, and how to start and end them."""
    ROLES = ("agent", "local", "center")

    def setUp(self):
        super().setUp()
        port = self.port = free_port()
        self.settings = {
            "agent": f"local: {self.dir}/local.sock\npipelines:\n  web:\n    files: [\"{self.logs}/*.log\"]\n",
            "local": f"listen: {self.dir}/local.sock\ndiscovery: {{static: [\"127.0.0.1:{port}\"]}}\n",
            "center": f"listen: 127.0.0.1:{port}\nsinks:\n  files: {{type: directory, root: {self.out}, "
                      "timezone: UTC, roll: {age: 2s, idle: 1s}}\n",
        }
        for role, more in self.settings.items():
            self.configure(role, f"role: {role}\ncluster: test\nstate: {self.dir}/{role}\n{more}")
        self.running = {}

    def configure(self, role, text):
        with open(f"{self.dir}/{role}.yaml", "w") as file:
            file.write(text)

    def program(self, role):
        return os.path.join(os.path.dirname(TAILRACE), "tailrace-" + role)

    def up(self, role):
        log = open(os.path.join(self.dir, "stderr.txt"), "ab")
        child = subprocess.Popen([self.program(role), "--config", f"{self.dir}/{role}.yaml"], stdout=log, stderr=log,
                                 stdin=subprocess.DEVNULL)
        log.close()
        self.running[role] = child
        self.children.append(child)

    def down(self, role, number):
        child = self.running.pop(role)
        address = balance.address_of(child.pid, self.port)
        if address:  # within a process what came in is what went out, at every moment
            self.assertEqual(balance.faults(role, balance.lines(address)), [])
        child.send_signal(number)
        self.assertEqual(child.wait(30), -9 if number == signal.SIGKILL else 0, self.said()[-2000:])

    def lines(self):
        return self.cat() if os.path.isdir(self.out) else b""


class Daemons(DaemonsTest):
    def test_lines_arrive_and_all_stop_in_order(self):
        self.write("a.log", b"one\ntwo\n")
        for role in self.ROLES:  # the first of them waits for the others
            self.up(role)
        self.until("the first lines", lambda: self.lines() == b"one\ntwo\n")
        self.write("a.log", b"three\n", "ab")
        self.until("the third line", lambda: self.lines() == b"one\ntwo\nthree\n")
        for role in self.ROLES:
            self.down(role, signal.SIGTERM)

    def test_kill_9_of_any_of_them_loses_and_doubles_nothing(self):
        seed = int.from_bytes(os.urandom(4), "big")
        rnd = random.Random(seed)
        print("seed", seed)
        for role in self.ROLES:
            self.up(role)
        written = 0
        for kill in range(20):
            end = time.monotonic() + rnd.uniform(0.05, 1.2)
            while time.monotonic() < end:
                n = rnd.randrange(1, 200)
                self.write("a.log", b"".join(b"line %d\n" % i for i in range(written, written + n)), "ab")
                written += n
                time.sleep(0.01)
                if rnd.random() < 0.03:
                    os.rename(self.logs + "/a.log", self.logs + "/a%d.log" % written)
            victims = rnd.sample(self.ROLES, rnd.randrange(1, 4))
            for role in victims:
                self.down(role, signal.SIGKILL if rnd.random() < 0.8 else signal.SIGTERM)
            for role in victims:
                self.up(role)
        # 15 s until a Center believes that another is dead; here each has the same state.
        self.until("all %d lines" % written, lambda: self.lines().count(b"\n") >= written)
        got = self.lines().splitlines()
        self.assertEqual(len(got), written)
        self.assertEqual(sorted(got), sorted(b"line %d" % i for i in range(written)))

    def test_what_fills_a_spool_is_committed_early(self):
        """No file ever reaches its size here, and nothing else rolls: lines are published only since their spool fills."""
        self.settings["agent"] += "    codec: none\n"
        self.settings["local"] += "spool: {size: 64MiB}\n"
        self.settings["center"] = self.settings["center"].replace("roll: {age: 2s, idle: 1s}", "roll: {size: 100GiB}")
        for role, more in self.settings.items():
            self.configure(role, f"role: {role}\ncluster: test\nstate: {self.dir}/{role}\n{more}")
            self.up(role)
        lines = b"".join(b"%06d %s\n" % (i, os.urandom(500).hex().encode()) for i in range(1000))
        for _ in range(100):  # half as much again as the spool could hold
            self.write("a.log", lines, "ab")

        def read():
            address = balance.address_of(self.running["local"].pid, self.port)
            return balance.lines(address)["web", "taken"] if address else 0
        self.until("all to be read", lambda: read() == 100_000)
        self.assertGreaterEqual(self.lines().count(b"\n"), 30_000)  # the rest is less than the spool may hold

    def test_messages_are_objects_where_that_is_asked_for(self):
        os.mkfifo(self.logs + "/pipe \"one\"\n.log")
        self.write("a.log", b"one\n")
        for role in self.ROLES:
            with open(f"{self.dir}/{role}.yaml", "a") as file:
                file.write("log_format: json\n")
            self.up(role)
        self.until("the line", lambda: self.lines() == b"one\n")
        with socket.create_connection(("127.0.0.1", self.port)) as peer:
            peer.sendall(b"GET / HTTP/1.1\r\nHost: center\r\n\r\n")
            self.until("its refusal", lambda: '"refused' in self.said())
        for role in self.ROLES:
            self.down(role, signal.SIGTERM)
        said = [json.loads(line) for line in self.said().splitlines()]
        for one in said:
            self.assertIn(one["role"], self.ROLES)
            self.assertLessEqual({"time", "level", "text"}, set(one))
        self.assertEqual({one["role"] for one in said}, set(self.ROLES))
        paths = [one["path"] for one in said if "skipping" in one["text"]]
        self.assertEqual(paths, [self.logs + '/pipe "one"\\x0a.log'])
        refused = [one for one in said if one["text"].startswith("refused")]
        self.assertTrue(refused and all("HTTP" in one["reason"] and one["level"] == "warning" for one in refused), refused)
        self.assertTrue(all(one["peer"].startswith("127.0.0.1:") for one in refused), refused)

    def test_a_second_one_with_the_same_state_is_refused(self):
        self.up("center")
        self.until("the start", lambda: "takes Locals" in self.said())
        done = subprocess.run([self.program("center"), "--config", self.dir + "/center.yaml"], stderr=subprocess.PIPE,
                              timeout=30)
        self.assertEqual(done.returncode, 1)
        self.assertIn(b"in use by a running", done.stderr)

    def test_hosts_of_another_cluster_are_refused(self):
        self.write("a.log", b"one\n")
        self.configure("local", f"role: local\ncluster: other\nstate: {self.dir}/local\n" + self.settings["local"])
        for role in self.ROLES:
            self.up(role)
        self.until("the refusal", lambda: "cluster" in self.said())
        self.assertEqual(self.lines(), b"")

    def test_wrong_settings_are_told_all_at_once_and_end_with_78(self):
        self.configure("center", "role: center\nclutser: main\nlisten: here\nsinks:\n  w:\n    type: dir\n"
                                 "    root: relative\n    roll: {size: 12, idel: 1s}\n")
        for done in (subprocess.run([self.program("center"), "--config", self.dir + "/center.yaml"],
                                    stderr=subprocess.PIPE, timeout=30),
                     self.tailrace("check", self.dir + "/center.yaml", expect=78)):
            self.assertEqual(done.returncode, 78)
            said = done.stderr.decode()
            for part in (":2:1: error: unknown key 'clutser'", "did you mean 'cluster'?", ":3:9: error: ",
                         "'sinks.w.type' is one of: directory", ":7:11: error: the path must begin with '/'",
                         ":8:18: error: expected a size such as 128MiB, got '12'", "did you mean 'idle'?",
                         "the key 'cluster' is missing", "the key 'sinks.w.timezone' is missing"):
                self.assertIn(part, said)
        self.assertIn(b"name the settings", self.tailrace("check", "/no/such", expect=78).stderr)

    def test_the_settings_that_are_shipped_are_good(self):
        files = [os.path.join(ROOT, "conf", role + ".yaml") for role in self.ROLES]
        self.assertEqual(self.tailrace("check", *files).stdout.count(b"good settings"), 3)

    def test_pipelines_may_be_dropped_beside(self):
        os.mkdir(self.dir + "/conf.d")
        for name, text in (("a.yaml", f"pipelines: {{extra: {{files: [\"{self.logs}/x.txt\"]}}}}\n"),
                           ("b.yaml~", "rubbish")):
            with open(f"{self.dir}/conf.d/{name}", "w") as file:
                file.write(text)
        self.write("x.txt", b"dropped\n")
        for role in self.ROLES:
            self.up(role)
        self.until("the line", lambda: self.cat("--category", "extra") == b"dropped\n" if os.path.isdir(self.out) else 0)
        with open(self.dir + "/conf.d/c.yaml", "w") as file:
            file.write("pipelines: {web: {files: [/a]}}\n")
        self.assertIn(b"stands twice", self.tailrace("check", self.dir + "/agent.yaml", expect=78).stderr)


if __name__ == "__main__":
    main()
