"""Another collector beside ours, on the same file: Debian's rsyslog, from the file to a TCP socket (R6)."""
import hashlib
import os
import shutil
import signal
import socket
import statistics
import subprocess
import tempfile
import threading
import time
from pathlib import Path

from trio import Failed

QUIET_S = 5  # without a line: the rest comes at its end
SETTINGS = """
global(workDirectory="{folder}" maxMessageSize="64k" parser.escapeControlCharactersOnReceive="off")
main_queue(queue.type="linkedList" queue.timeoutShutdown="60000")
module(load="imfile")
template(name="line" type="string" string="%msg%\\n")
ruleset(name="out") {{ action(type="omfwd" target="127.0.0.1" port="{port}" protocol="tcp" template="line") }}
input(type="imfile" file="{log}" tag="app" ruleset="out")
"""


def find(tools):
    """rsyslogd and where its modules are: installed, or unpacked by ./dev bench."""
    for root in (Path("/"), Path(tools)):
        program = root / "usr/sbin/rsyslogd"
        modules = next(root.glob("usr/lib/*/rsyslog"), None)
        if program.exists() and modules:
            return program, modules
    raise Failed("rsyslogd is missing: ./dev bench R6 gets it")


class Sink:
    """Takes one connection; counts lines, hashes bytes. Its CPU is nobody's figure."""

    def __init__(self):
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.sha, self.lines = hashlib.sha256(), 0
        self.thread = threading.Thread(target=self.take, daemon=True)
        self.thread.start()

    def take(self):
        peer, _ = self.socket.accept()
        with peer:
            while piece := peer.recv(1 << 20):
                self.sha.update(piece)
                self.lines += piece.count(b"\n")


def rsyslog_cpu_s(bench, program, modules, folder, facts):
    work = Path(tempfile.mkdtemp(prefix="rsyslog-", dir=bench.work))
    sink = Sink()
    try:
        (work / "rsyslog.conf").write_text(SETTINGS.format(folder=work, port=sink.port, log=folder / "app.log"))
        child = subprocess.Popen([program, "-n", "-f", work / "rsyslog.conf", "-i", work / "pid", "-M", modules],
                                 env={**os.environ, "LD_LIBRARY_PATH": str(modules.parent)}, stderr=subprocess.DEVNULL)
        seen, since = 0, time.monotonic()
        while sink.lines < facts["lines"] and time.monotonic() - since < QUIET_S:
            time.sleep(0.05)
            if sink.lines != seen:
                seen, since = sink.lines, time.monotonic()
        child.send_signal(signal.SIGTERM)
        _, _, usage = os.wait4(child.pid, 0)
        child.returncode = 0
        sink.thread.join(30)
        if sink.sha.hexdigest() != facts["sha256"]:
            raise Failed(f"rsyslog sent {sink.lines} of {facts['lines']} lines, or not those of the corpus")
        return usage.ru_utime + usage.ru_stime
    finally:
        sink.socket.close()
        shutil.rmtree(work)


def r6(bench):
    program, modules = find(bench.tools)
    folder, facts = bench.corpus(bench.size)
    ours = [r["agent"] for r in bench.three("gzip")["rounds"]]
    theirs = [rsyslog_cpu_s(bench, program, modules, folder, facts) for _ in range(2)]
    return {"value": round(statistics.median(theirs) / statistics.median(ours), 2), "unit": "x the agent's CPU",
            "rsyslog_cpu_s": [round(s, 3) for s in theirs], "agent_cpu_s": [round(s, 3) for s in ours],
            "bytes": facts["bytes"], "sha256": facts["sha256"]}
