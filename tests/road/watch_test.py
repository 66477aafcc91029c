#!/usr/bin/env python3
"""What the three daemons say of themselves: metrics, readiness, status, the balance; SIGHUP; where files begin; settings
shown and checked."""
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import time

from program import ROOT, TAILRACE, main
from watched import PORT, WatchedTest


def promtool():
    for path in (shutil.which("promtool"), os.path.join(ROOT, "build/tools/usr/bin/promtool")):
        if path and os.path.exists(path):
            return path
    return None


class Watch(WatchedTest):
    def put(self, name, numbers):
        with open(f"{self.logs}/{name}", "a") as file:
            file.writelines(f"{name} {n}\n" for n in numbers)

    def tool(self, *words):
        return subprocess.run([TAILRACE, *words], capture_output=True, text=True, timeout=60)

    def arrive(self, lines):
        self.wait_for(f"{lines} lines", lambda: self.lines().count(b"\n") >= lines)
        self.assertEqual(self.lines().count(b"\n"), lines)

    def test_the_figures_add_up_and_are_clean(self):
        self.put("a.log", range(5000))
        for role in self.ROLES:
            self.up(role)
        self.arrive(5000)

        def rest():
            local = self.metrics("local")
            return local.get('tailrace_local_lines_waiting{category="web"}') == 0 and local
        local = self.wait_for("the Local's rest", rest)
        agent, center = self.metrics("agent"), self.metrics("center")
        web, web_at_sink = '{category="web"}', '{sink="files",category="web"}'
        self.assertEqual(agent["tailrace_agent_lines_taken_total" + web], 5000)
        self.assertEqual(agent["tailrace_agent_lines_passed_total" + web], 5000)
        self.assertEqual(agent["tailrace_agent_lines_waiting" + web], 0)
        self.assertEqual(local["tailrace_local_lines_taken_total" + web], 5000)
        self.assertEqual(local["tailrace_local_lines_passed_total" + web], 5000)
        self.assertEqual(center["tailrace_center_lines_committed_total" + web_at_sink], 5000)
        self.assertEqual(center["tailrace_center_lines_passed_total" + web_at_sink], 5000)
        self.assertEqual(center["tailrace_center_lines_unpublished" + web_at_sink], 0)
        tool = promtool()
        self.assertIsNotNone(tool, "./dev test fetches promtool")
        for role in self.ROLES:
            checked = subprocess.run([tool, "check", "metrics"], input=self.get(role, "/metrics")[1], text=True,
                                     capture_output=True)
            self.assertEqual((checked.returncode, checked.stdout + checked.stderr), (0, ""))
            self.assertEqual(self.get(role, "/livez"), (200, "alive\n"))
            self.assertEqual(self.get(role, "/readyz")[0], 200)
            self.assertEqual(self.get(role, "/nothing")[0], 404)
        done = self.tool("status", *(word for at in self.admin.values() for word in ("--admin", at)))
        self.assertEqual(done.returncode, 0, done.stderr)
        for part in ("agent (", "local (", "center (", "web", "5,000", "Local connected", ": ready"):
            self.assertIn(part, done.stdout)

    def ask(self, role, data):
        host, port = self.admin[role].split(":")
        with socket.create_connection((host, int(port)), timeout=30) as s:
            s.sendall(data)
            out = b""
            while piece := s.recv(65536):
                out += piece
            return out

    def test_limit_row_32_whatever_comes_to_the_admin_port(self):
        for role in self.ROLES:
            self.up(role)
        for role in self.ROLES:
            for sent, answer in ((b"POST /metrics HTTP/1.1\r\nOrigin: http://evil\r\n\r\n", b"403"), (b"POST /metrics HTTP/1.1\r\n\r\n", b"405"), (b"\x16\x03\x01\x02", b"400"),
                                 (b"GET /../../etc/passwd HTTP/1.1\r\n\r\n", b"404"), (b"GET /" + b"x" * 9000, b"431"),
                                 (b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 3000, b"431"), (b"GET / HTTP/9.9\r\n\r\n", b"505")):
                self.assertTrue(self.ask(role, sent).startswith(b"HTTP/1.1 " + answer), (role, sent[:40]))
        host, port = self.admin["agent"].split(":")
        silent = [socket.create_connection((host, int(port)), timeout=30) for _ in range(40)]
        begun = time.monotonic()
        self.put("a.log", range(2000))
        self.arrive(2000)
        for s in silent[16:] + silent[:16]:  # more than 16 are not kept, nor is any for longer than 10 s
            self.assertEqual(s.recv(1), b"")
            s.close()
        self.assertLess(time.monotonic() - begun, 20)
        self.assertEqual(self.get("agent", "/livez")[0], 200)

    def test_one_process_shows_its_balance(self):
        self.put("a.log", range(3000))
        log = open(os.path.join(self.dir, "stderr.txt"), "ab")
        child = subprocess.Popen([TAILRACE, "run", "--from", f"web={self.logs}/*.log", "--to", self.out, "--roll-idle",
                                  "500ms", "--admin", "127.0.0.1:0"], stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        self.children.append(child)
        self.wait_for("the admin port", lambda: PORT.search(self.said().encode()))
        self.admin["run"] = PORT.search(self.said().encode())[1].decode()
        self.arrive(3000)

        def closed():
            status = json.loads(self.get("run", "/api/v1/status")[1])
            balance = status.get("balance", {}).get("web", {})
            self.assertLessEqual(balance.get("published", 0) + balance.get("lost", 0), balance.get("read", 0))
            return balance == {"read": 3000, "in_flight": 0, "published": 3000, "lost": 0}
        self.wait_for("the balance to close", closed)
        child.send_signal(signal.SIGTERM)
        self.assertEqual(child.wait(30), 0)

    def test_not_ready_says_why_and_since_when(self):
        for role in self.ROLES:
            self.up(role)
        self.wait_for("the Local to know the agent", lambda: self.metrics("local").get("tailrace_local_agent_connected") == 1)
        self.assertEqual(self.get("agent", "/readyz")[0], 200)
        second = f"{self.dir}/second.yaml"  # a host has one agent: this one is refused
        with open(f"{self.dir}/agent.yaml") as file:
            text = file.read().replace(f"state: {self.dir}/agent", f"state: {self.dir}/second")
        with open(second, "w") as file:
            file.write(text + "admin: 127.0.0.1:0\n")
        with open(f"{self.dir}/second.txt", "wb") as log:
            child = subprocess.Popen([self.program("agent"), "--config", second], stdout=log, stderr=log)
        self.children.append(child)

        def second_port():
            with open(f"{self.dir}/second.txt", "rb") as log:
                return PORT.search(log.read())
        self.admin["second"] = self.wait_for("the second's admin port", second_port)[1].decode()
        self.wait_for("503", lambda: self.get("second", "/readyz")[0] == 503)
        time.sleep(1.1)
        said = json.loads(self.get("second", "/readyz")[1])
        self.assertEqual([o["what"] for o in said["obstacles"]], ["agent-held"])
        self.assertIn("another agent is connected", said["obstacles"][0]["text"])
        self.assertGreater(time.time() * 1000 - said["obstacles"][0]["since_ms"], 1000)
        self.assertIn("NOT READY", self.tool("status", "--admin", self.admin["second"]).stdout)
        self.assertEqual(self.metrics("second")["tailrace_ready"], 0)

    def test_hangup_changes_pipelines_and_keeps_the_old_ones_on_an_error(self):
        os.mkdir(f"{self.dir}/more")
        for role in self.ROLES:
            self.up(role)
        self.put("a.log", range(1000))
        self.arrive(1000)
        with open(f"{self.dir}/agent.yaml") as file:
            before = file.read()
        with open(f"{self.dir}/more/b.log", "w") as file:
            file.writelines(f"b {n}\n" for n in range(500))
        self.configure("agent", before + f"  more:\n    files: [\"{self.dir}/more/*.log\"]\n")
        self.running["agent"].send_signal(signal.SIGHUP)
        self.put("a.log", range(1000, 1500))
        self.arrive(2000)
        self.configure("agent", before + "  wrong: 1\n")
        self.running["agent"].send_signal(signal.SIGHUP)
        self.wait_for("the complaint", lambda: "the old pipelines stay" in self.said())
        self.assertIn("agent.yaml:", self.said())
        self.put("a.log", range(1500, 2000))
        self.arrive(2500)
        web = self.metrics("agent")['tailrace_agent_lines_taken_total{category="web"}']
        self.assertEqual(web, 2000)

    def test_where_files_begin_at_the_very_first_start(self):
        self.put("old.log", range(100))
        with open(f"{self.logs}/old.log", "a") as file:
            file.write("half a li")
        os.utime(f"{self.logs}/old.log", (time.time() - 7200,) * 2)
        self.put("new.log", range(50))
        with open(f"{self.dir}/agent.yaml") as file:
            before = file.read()
        self.configure("agent", before + "    start: since 1h\n    latency: low\n")
        for role in self.ROLES:
            self.up(role)
        self.arrive(50)
        with open(f"{self.logs}/old.log", "a") as file:
            file.write("ne\n")
        self.arrive(51)
        self.assertIn(b"half a line\n", self.lines())
        self.down("agent", signal.SIGKILL)
        self.put("old.log", range(100, 110))
        self.put("later.log", range(10))  # came while it was down: no first start any more
        os.utime(f"{self.logs}/later.log", (time.time() - 7200,) * 2)
        self.up("agent")
        self.arrive(71)

    def test_settings_are_shown_with_their_places_and_without_secrets(self):
        with open(f"{self.dir}/secret", "w") as file:
            file.write("hunter2\n")
        text = f"role: center\ncluster: ${{file:{self.dir}/secret}}\nsinks: {{w: {{type: directory, root: /srv, timezone: UTC}}}}\n"
        self.configure("center", text)
        done = self.tool("config", "--effective", f"{self.dir}/center.yaml")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertNotIn("hunter2", done.stdout)
        self.assertRegex(done.stdout, r"role: center +# .*center\.yaml:1\n")
        self.assertRegex(done.stdout, r"listen: 0\.0\.0\.0:17410 +# default\n")
        for auth, shown in (("user:hunter2", "(not shown)"), ("${env:AUTH:-user:hunter2}", "(not shown)"),
                            (f"${{file:{self.dir}/auth}}", f"${{file:{self.dir}/auth}}")):
            with open(f"{self.dir}/auth", "w") as file:
                file.write("user:hunter2\n")
            self.configure("found", "role: center\ncluster: c\nsinks: {w: {type: directory, root: /srv, timezone: UTC}}\n"
                           f"discovery:\n  zookeeper: zoo1\n  auth: \"{auth}\"\n")
            done = self.tool("config", "--effective", f"{self.dir}/found.yaml")
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertNotIn("hunter2", done.stdout)
            self.assertIn("  auth: " + shown, done.stdout)
        done = self.tool("check", "--format", "json", f"{self.dir}/agent.yaml")
        self.assertEqual(json.loads(done.stdout)[0]["would_read"]["files"], 0)
        self.put("a.log", range(10))
        self.assertIn("  1 file, ", self.tool("check", f"{self.dir}/agent.yaml").stdout)
        for role in ("agent", "local", "center", "run"):
            schema = json.loads(self.tool("config", "--schema", role).stdout)
            self.assertIn("cluster", schema["required"])
        with open(os.path.join(ROOT, "docs/configuration.md")) as page:
            self.assertEqual(page.read(), self.tool("config", "--page").stdout)
        with open(os.path.join(ROOT, "docs/metrics.md")) as page:
            self.assertEqual(page.read(), self.tool("config", "--metrics-page").stdout)

    def test_run_by_a_file(self):
        self.put("a.log", range(100))
        self.configure("run", f"role: run\ncluster: test\nstate: {self.dir}/state\nadmin: 127.0.0.1:0\npipelines:\n"
                              f"  web: {{files: [\"{self.logs}/*.log\"]}}\nsinks: {{w: {{type: directory, root: {self.out}, "
                              "timezone: UTC}}\n")
        done = self.tool("run", "--config", f"{self.dir}/run.yaml", "--once")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(self.lines().count(b"\n"), 100)
        self.assertEqual(self.tool("run", "--config", f"{self.dir}/run.yaml", "--to", "/x").returncode, 2)
        self.assertEqual(self.tool("run", "--config", f"{self.dir}/agent.yaml").returncode, 78)


if __name__ == "__main__":
    main()
