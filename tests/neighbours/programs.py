"""A server program of a test: started, frozen, ended by its process id. And servers that a person starts and ends by hand."""
import contextlib
import json
import os
import shutil
import signal
import subprocess
import threading
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


class Lab:
    """Servers of a test in one folder, which goes with them if nobody chose it. Each has a name, serves() and start(detached).

    Who derives from it says which they are (servers, folder, own) and how all start; with a `with` they run."""

    STARTS = 60  # seconds, on a machine that is busy

    def start(self, detached=False):
        for server in self.servers:
            if not server.alive():
                server.start(detached)
        self.wait()
        return self

    def wait(self, seconds=None, servers=None, check=None):
        """Until each server that runs serves (or does what `check` tells)."""
        end = time.monotonic() + (seconds or self.STARTS)
        for server in servers or self.servers:
            while server.alive() and not (check(server) if check else server.serves()):
                if time.monotonic() > end:
                    raise RuntimeError("%s does not serve; %s/log" % (server.name, server.folder))
                time.sleep(0.05)
            if server.process is not None and not server.alive():
                raise RuntimeError("%s has ended; %s/log" % (server.name, server.folder))

    def stop(self):
        for server in self.servers:
            server.end()

    def remove(self):
        self.stop()
        if self.own:
            shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        try:
            return self.start()
        except BaseException:
            self.stop()
            raise

    def __exit__(self, *_):
        self.remove()


@contextlib.contextmanager
def answering(server):
    """An http.server that answers in a thread of its own; its port."""
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


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
