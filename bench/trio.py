"""The three daemons, measured: each one's CPU by wait4, from the corpus' file to published files."""
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "road"))
import balance  # noqa: E402
from ports import free_port  # noqa: E402

ROLES = ("agent", "local", "center")
PORT = re.compile(r"admin port: http://(127\.0\.0\.1:\d+)/")
PATIENCE_S = 300


class Failed(Exception):
    pass


class Trio:
    """One start of the three in a folder of its own; `under` is put before the named roles' commands."""

    def __init__(self, programs, work, logs, codec, roll="size: 128MiB, idle: 1s", under=None):
        self.programs, self.under = programs, under or {}
        self.folder = Path(tempfile.mkdtemp(prefix="trio-", dir=work))
        self.to = self.folder / "to"
        self.children, self.usage, self.addresses = {}, {}, {}
        port = free_port()
        head = "role: {role}\ncluster: bench\nstate: {folder}/state-{role}\nadmin: 127.0.0.1:0\n"
        more = {
            "agent": f"local: {self.folder}/local.sock\npipelines:\n  app: {{files: [\"{logs}/*.log\"], codec: {codec}}}\n",
            "local": f"listen: {self.folder}/local.sock\ndiscovery: {{static: [\"127.0.0.1:{port}\"]}}\n",
            "center": f"listen: 127.0.0.1:{port}\nsinks:\n{self.sinks(roll)}",
        }
        for role in ROLES:
            (self.folder / f"{role}.yaml").write_text(head.format(role=role, folder=self.folder) + more[role])

    def sinks(self, roll):
        return f"  out: {{{self.sink()}, timezone: UTC, roll: {{{roll}}}}}\n"

    def sink(self):
        return f"type: directory, root: {self.to}"

    def tree(self):
        """Where its published files can be read, once it has ended."""
        return self.to

    def up(self, role):
        with open(self.folder / f"{role}.log", "wb") as log:
            command = [*self.under.get(role, []), self.programs / f"tailrace-{role}", "--config", self.folder / f"{role}.yaml"]
            self.children[role] = subprocess.Popen([str(c) for c in command], stdout=log, stderr=log)

    def stands(self, role):
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            said = (self.folder / f"{role}.log").read_text()
            if found := PORT.search(said):
                self.addresses[role] = found[1]
                return
            if self.children[role].poll() is not None:
                raise Failed(f"tailrace-{role} ended:\n{said}")
            time.sleep(0.05)
        raise Failed(f"tailrace-{role} does not stand")

    def lines(self, role, figure):
        """Of the corpus' category, as the role counts them (docs/metrics.md)."""
        return balance.lines(self.addresses[role])["app", figure]

    def published(self):
        return self.lines("center", "passed")

    def run(self, lines):
        """From the start of the agent to the last published line; then all are stopped and measured."""
        for role in ("center", "local"):
            self.up(role)
            self.stands(role)
        begun = time.monotonic()
        self.up("agent")
        while self.published() < lines:
            if time.monotonic() - begun > PATIENCE_S:
                raise Failed(f"{self.published()} of {lines} lines after {PATIENCE_S} s")
            time.sleep(0.2)
        seconds = time.monotonic() - begun
        self.stop()
        return seconds

    def stop(self):
        for role in ROLES:
            if role in self.children and role not in self.usage:
                self.stop_one(role)

    def stop_one(self, role):
        child = self.children[role]
        target = child.pid
        if role in self.under:  # the tracer's child is the one to stop
            target = int(Path(f"/proc/{child.pid}/task/{child.pid}/children").read_text().split()[0])
        os.kill(target, signal.SIGTERM)
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        self.usage[role] = usage
        if child.returncode != 0:
            raise Failed(f"tailrace-{role} ended with {child.returncode}:\n" + (self.folder / f"{role}.log").read_text())

    def cpu_s(self, role):
        return self.usage[role].ru_utime + self.usage[role].ru_stime

    def close(self):
        for child in self.children.values():
            if child.returncode is None and child.poll() is None:
                child.kill()
                child.wait()
        shutil.rmtree(self.folder)


class SequenceTrio(Trio):
    """The same; the Center publishes SequenceFiles."""

    def sink(self):
        return super().sink() + ", format: sequence_file"
