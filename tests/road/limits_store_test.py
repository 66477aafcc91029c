#!/usr/bin/env python3
"""Limits 36 and 38: a store that somebody damaged, wrong settings, against the running daemons while good lines arrive
complete. A row's number in docs/operating.md, "Limits", stands in the name of its test."""
import contextlib
import glob
import os
import shutil
import signal
import subprocess

from limits import LimitsTest, v1
from program import main
from watched import WatchedTest


class StoreTest(LimitsTest, WatchedTest):
    def is_ready(self, role, ready):
        self.wait_for(f"the {role} to be {'' if ready else 'not '}ready", lambda: (self.get(role, "/readyz")[0] == 200) == ready)

    def center_again(self, between=lambda: None):
        self.down("center", signal.SIGKILL)
        between()
        self.up("center")
        self.wait_for("the door", lambda: self.said().rstrip().count("takes Locals") >= 1 and self.door_opens())

    def door_opens(self):
        with contextlib.suppress(OSError):
            v1.Wire(("127.0.0.1", self.port)).close()
            return True


class Operator(StoreTest):
    """What a person may delete. The good lines are a real Local's: it must hold where the frozen peer would only assert."""

    def setUp(self):
        super().setUp()
        self.good.until_committed()

    def delivered(self):
        self.good_agent_delivers()
        self.arrives("agents", self.good_agent.content["agents"])

    def newcomer(self, category, local_id):
        local = self.local(local_id=local_id)
        self.wires.append(local)
        local.add(category, b"of a newcomer\n")
        local.connect()
        local.until_committed()
        self.arrives(category, b"of a newcomer\n")

    def test_row_36_the_control_directory_is_deleted_under_a_running_center(self):
        self.good.close()
        self.delivered()
        control, kept = self.out + "/_tailrace", self.dir + "/kept"
        self.wait_for("all of it published", lambda: self.get("center", "/readyz")[0] == 200)
        with_it = self.metrics("local")['tailrace_local_lines_passed_total{category="agents"}']
        shutil.copytree(control, kept)
        shutil.rmtree(control)
        self.good_agent_delivers()  # the Local takes it, and keeps it
        self.is_said("this Center's session with its store is over: the commit log's directory is gone", who="a new one begins")
        self.wait_for("the alarm", lambda: "HOLDING 'agents': HOLE" in self.said())
        self.is_ready("local", False)
        self.newcomer("fresh", 901)
        local = self.metrics("local")
        self.assertEqual(local['tailrace_local_lines_passed_total{category="agents"}'], with_it)
        self.assertEqual(local['tailrace_local_lines_waiting{category="agents"}'], 3)
        # Restored over what there is now, all goes on: nothing was lost, nothing comes twice.
        self.center_again(lambda: shutil.copytree(kept, control, dirs_exist_ok=True))
        self.good_agent_is_whole()
        self.wait_for("its word", lambda: "'agents' goes on" in self.said())
        self.assertEqual(self.category("fresh"), b"of a newcomer\n")
        self.is_ready("local", True)

    def test_row_36_a_center_does_not_start_without_half_of_its_store(self):
        self.good.close()
        self.delivered()
        self.down("center", signal.SIGTERM)
        for name, why in (("_tailrace", "its records in _tailrace are gone"),
                          ("_tailrace.sink", "_tailrace.sink in the output directory is gone")):
            os.rename(f"{self.out}/{name}", self.dir + "/aside")
            self.good_agent_delivers()
            done = subprocess.run([self.program("center"), "--config", self.dir + "/center.yaml"], stderr=subprocess.PIPE,
                                  timeout=30)
            self.assertEqual(done.returncode, 1)
            self.assertIn(why.encode(), done.stderr)
            self.assertFalse(os.path.exists(f"{self.out}/{name}"), "it was made anew")
            os.rename(self.dir + "/aside", f"{self.out}/{name}")
        self.up("center")
        self.good_agent_is_whole()

    def test_row_36_a_commit_logs_directory_is_deleted(self):
        self.good.close()
        self.delivered()
        log, = glob.glob(self.out + "/_tailrace/*/logs/*")
        os.rename(log, self.dir + "/aside")
        self.good_agent_delivers()
        self.is_said("session with its store is over: the commit log's directory is gone", who="a new one begins")
        self.is_said("lane agents/1-0 cannot be taken: .*no directory: somebody removed it", who="its lines wait in the spools")
        self.newcomer("fresh", 902)
        self.assertFalse(os.path.exists(log), "a log's directory was made again")
        os.rename(self.dir + "/aside", log)
        self.good_agent_is_whole()
        self.good.connect()
        self.good_is_whole()

    def test_row_36_a_published_file_is_theirs_to_delete(self):
        self.delivered()
        for path in self.published("agents"):
            os.unlink(path)
        gone = self.good_agent.content["agents"]
        self.center_again()
        self.good_agent_delivers()
        rest = self.good_agent.content["agents"][len(gone):]
        self.arrives("agents", rest)
        self.good.connect()
        self.good_is_whole()


class Settings(StoreTest):
    ROLES_UP = ("agent", "local", "center")

    WRONG = {
        "agent": ("max_record: 1048576\n", r"agent\.yaml:\d+:13: error: expected a size such as 128MiB, got '1048576'"),
        "local": ("spool: {sise: 1GiB}\n", r"local\.yaml:\d+:9: error: unknown key 'spool\.sise'"),
        "center": ("lissten: 0.0.0.0:1\n", r"center\.yaml:\d+:1: error: unknown key 'lissten'"),
    }

    def test_row_38_wrong_settings(self):
        written = b""
        for i, (role, (more, said)) in enumerate(self.WRONG.items()):
            with open(f"{self.dir}/{role}.yaml") as file:
                good = file.read()
            self.configure(role, good + more)
            done = subprocess.run([self.program(role), "--config", f"{self.dir}/{role}.yaml"], stderr=subprocess.PIPE, timeout=30)
            self.assertEqual(done.returncode, 78, role)
            self.assertRegex(done.stderr.decode(), said)
            self.running[role].send_signal(signal.SIGHUP)
            lines = b"after %d\n" % i
            self.write("a.log", lines, "ab")
            written += lines
            self.wait_for("the lines", lambda: [x for x in self.category("web").splitlines(True) if x.startswith(b"after")]
                          == written.splitlines(True))
            self.configure(role, good)
        self.is_said("SIGHUP: the settings are wrong .*the old pipelines stay", who="error")
        self.is_said("SIGHUP: this program has no pipelines to read again", 2, who="info")
        self.running["agent"].send_signal(signal.SIGHUP)
        self.is_said("SIGHUP: 1 pipelines from now on", who="info")
        self.good_is_whole()


if __name__ == "__main__":
    main()
