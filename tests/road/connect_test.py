#!/usr/bin/env python3
"""`tailrace check --connect`: the Local, the Centers, ZooKeeper and directories that settings name, there and not there. HDFS:
tests/neighbours/hdfs_check_test.py."""
import json
import os
import subprocess

from daemons_test import DaemonsTest
from ports import free_port
from program import TAILRACE, main


class Connect(DaemonsTest):
    def check(self, role, expect):
        done = subprocess.run([TAILRACE, "check", "--connect", "--format", "json", f"{self.dir}/{role}.yaml"], capture_output=True,
                              text=True, timeout=120, check=False)
        self.assertEqual(done.returncode, expect, done.stdout + done.stderr)
        (said,) = json.loads(done.stdout)
        for probe in said["probes"]:
            self.assertEqual(probe["mend"] == "", probe["verdict"] == "ok", probe)
        return {probe["tried"]: (probe["verdict"], probe["found"]) for probe in said["probes"]}

    def test_what_is_there_and_what_is_not(self):
        local, center = "connect to %s/local.sock" % self.dir, "ask 127.0.0.1:%d" % self.port
        self.assertEqual(self.check("agent", 1)[local], ("FAIL", "No such file or directory"))
        self.assertEqual(self.check("local", 1)[center][0], "FAIL")
        said = self.check("center", 0)
        self.assertEqual(said["write and rename in " + self.out], ("ok", f"works, in {self.dir}, where it will be made"))
        self.assertEqual(said["room in " + self.out][0], "ok")
        self.assertFalse(os.path.exists(self.out))
        for role in self.ROLES:
            self.up(role)
        self.write("a.log", b"one\n")
        self.until("the line", lambda: self.lines() == b"one\n")
        self.assertEqual(self.check("agent", 0)[local], ("ok", "it takes connections"))
        self.assertRegex(self.check("local", 0)[center][1], r"^it is .*, version \d")
        self.assertEqual(self.check("center", 0)["write and rename in " + self.out], ("ok", "works"))
        self.assertEqual([name for name in os.listdir(self.out) if "check" in name], [])
        text = self.tailrace("check", "--connect", f"{self.dir}/local.yaml").stdout.decode()
        self.assertRegex(text, r"(?m)^  ok    Center: ask 127.0.0.1:\d+: it is ")

    def test_another_cluster_is_said(self):
        self.up("center")
        self.until("the start", lambda: "takes Locals" in self.said())
        self.configure("local", f"role: local\ncluster: other\nstate: {self.dir}/local\n" + self.settings["local"])
        self.assertIn("cluster", self.check("local", 1)["ask 127.0.0.1:%d" % self.port][1])

    def test_a_place_that_cannot_be_written(self):
        with open(self.out, "w"):
            pass
        verdict, found = self.check("center", 1)["write and rename in " + self.out]
        self.assertEqual(verdict, "FAIL")
        self.assertIn("ot a directory", found)

    def test_no_zookeeper(self):
        zookeeper = "127.0.0.1:%d" % free_port()
        self.configure("local", f"role: local\ncluster: test\nstate: {self.dir}/local\nlisten: {self.dir}/local.sock\n"
                                f"discovery: {{zookeeper: \"{zookeeper}/logs\"}}\n")
        self.assertEqual(self.check("local", 1)["look for Centers at " + zookeeper][0], "FAIL")

    def test_wrong_settings_are_not_tried(self):
        self.configure("local", "role: local\n")
        done = self.tailrace("check", "--connect", f"{self.dir}/local.yaml", expect=78)
        self.assertNotIn(b"FAIL", done.stdout)


if __name__ == "__main__":
    main()
