"""A server program of a test: started, frozen, ended by its process id. And servers that a person starts and ends by hand."""
import json
import os
import signal
import subprocess
import time


def wait_for(what, seconds, check):
    """Until check() is true; returns what it said."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := check():
            return found
        time.sleep(0.05)
    raise AssertionError("waited %g s for %s" % (seconds, what))


class Program:
    """One program in its folder; what it says goes to folder/log."""

    def __init__(self, folder):
        self.folder = folder
        self.process = None

    def run(self, words, detached=False, environment=None):
        os.makedirs(self.folder, exist_ok=True)
        with open(self.folder + "/log", "ab") as log:
            self.process = subprocess.Popen(
                words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder, start_new_session=detached,
                env={**os.environ, **(environment or {})})

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def send(self, number):
        if self.alive():
            self.process.send_signal(number)

    def freeze(self, frozen):
        self.send(signal.SIGSTOP if frozen else signal.SIGCONT)

    def end(self, number=signal.SIGKILL):
        if self.process is None:
            return
        self.send(number)
        self.send(signal.SIGCONT)
        self.process.wait(30)
        self.process = None


class ByHand:
    """What runs after this program has gone: its process ids are in the folder; each has the folder in its command line."""

    def __init__(self, folder):
        self.folder = folder

    def up(self):
        return os.path.exists(self.folder + "/running")

    def keep(self, programs):
        with open(self.folder + "/running", "w") as f:
            json.dump([program.process.pid for program in programs], f)

    def is_ours(self, pid):
        try:
            with open("/proc/%d/cmdline" % pid, "rb") as f:
                return self.folder.encode() in f.read()
        except OSError:
            return False

    def down(self):
        """Ends them; False: none was up."""
        try:
            with open(self.folder + "/running") as f:
                pids = json.load(f)
        except OSError:
            return False
        for pid in filter(self.is_ours, pids):
            os.kill(pid, signal.SIGTERM)
        end = time.monotonic() + 10
        while any(map(self.is_ours, pids)) and time.monotonic() < end:
            time.sleep(0.05)
        for pid in filter(self.is_ours, pids):
            os.kill(pid, signal.SIGKILL)
        os.unlink(self.folder + "/running")
        return True
