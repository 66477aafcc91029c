"""Whole files on their way into a real HDFS, four at once: how fast (H2) and in how much memory (H4); and a take-over there (H5)."""
import contextlib
import os
import re
import shutil
import statistics
import subprocess
import tempfile
import time
from pathlib import Path
from urllib.request import urlopen

from into_hdfs import HdfsTrio, published
from trio import Failed

import balance
from hdfs import Hdfs
from ports import free_port

FILES, FILE_BYTES = 4, 128 << 20
LANES, PATIENCE_S = 160, 300
LANE = re.compile(r'^tailrace_center_lanes\{.*\} (\d+)$', re.M)


def until(what, check, seconds=PATIENCE_S):
    end = time.monotonic() + seconds
    while not (found := check()):
        if time.monotonic() > end:
            raise Failed(f"no {what} after {seconds} s")
        time.sleep(0.1)
    return found


class Waiting(HdfsTrio):
    """As many categories as `logs` has files. With uncompressed lines, which all roll once they have all come."""

    def categories(self, logs, idle):
        path = self.folder / "agent.yaml"
        pipelines = "".join(f"  {log.stem}: {{files: [\"{log}\"], codec: none}}\n" for log in logs)
        path.write_text(path.read_text().partition("pipelines:")[0] + "pipelines:\n" + pipelines)
        path = self.folder / "center.yaml"
        path.write_text(re.sub(r"roll: \{[^}]*\}", f"roll: {{size: 256MiB, idle: {idle}}}", path.read_text()))
        return self

    def figure(self, name):
        return sum(count for (_, figure), count in balance.lines(self.addresses["center"]).items() if figure == name)


    def memory(self, what):
        text = Path(f"/proc/{self.children['center'].pid}/status").read_text()
        return int(re.search(what + r":\s+(\d+) kB", text)[1]) << 10

    def begin(self):
        for role in ("center", "local"):
            self.up(role)
            self.stands(role)
        self.up("agent")


@contextlib.contextmanager
def logs_of(bench, count, source=None):
    """`count` log files in a folder; copies of `source`, or of one line."""
    folder = Path(tempfile.mkdtemp(prefix="logs-", dir=bench.work))
    try:
        for n in range(count):
            if source:
                shutil.copyfile(source, folder / f"c{n}.log")
            else:
                (folder / f"c{n}.log").write_text("a line\n")
        yield sorted(folder.iterdir())
    finally:
        shutil.rmtree(folder)


def span(client, root, count):
    """Seconds from the first file's begin to the last one's end, by the NameNode's clock; bytes."""
    files = [status for path, status in client.walk(root).items() if not path.startswith("_")]
    if len(files) != count:
        raise Failed(f"{len(files)} files in {root}, not {count}")
    begun, ended = min(f["accessTime"] for f in files), max(f["modificationTime"] for f in files)
    return (ended - begun) / 1000, sum(f["length"] for f in files)


def by_curl(hdfs, logs, root):
    """`curl -T` of each, all at once."""
    client = hdfs.client()
    places = [client.place(f"{root}/{log.name}", overwrite="false") for log in logs]
    children = [subprocess.Popen(["curl", "-sS", "-f", "-T", str(log), place]) for log, place in zip(logs, places)]
    if any(child.wait() for child in children):
        raise Failed("curl failed")
    seconds, size = span(client, root, len(logs))
    client.delete(root)
    return size / seconds


def by_center(bench, hdfs, logs, lines):
    """(bytes a second, memory before, greatest memory) of a Center that has the same lines and sends them."""
    trio = Waiting(hdfs, bench.bin, bench.work, logs[0].parent, "none").categories(logs, "4s")
    client, root = hdfs.client(), "/" + trio.folder.name
    try:
        trio.begin()
        until("lines at the Center", lambda: trio.figure("taken") >= lines)
        Path(f"/proc/{trio.children['center'].pid}/clear_refs").write_text("5")  # the peak begins anew
        before = trio.memory("VmRSS")
        until("published lines", lambda: trio.figure("passed") >= lines)
        peak = trio.memory("VmHWM")
        seconds, size = span(client, root, len(logs))
        if size != sum(log.stat().st_size for log in logs):
            raise Failed(f"{size} bytes were published")
        for log in logs:
            (path,) = published(client, f"{root}/{log.stem}")
            if client.read(f"{root}/{log.stem}/{path}") != log.read_bytes():
                raise Failed(f"{path} is not its log file")
        trio.stop()
        return size / seconds, before, peak
    finally:
        trio.close()
        client.delete(root)
        client.delete(root + "-control")


def uploads(bench):
    if "uploads" in bench.trios:
        return bench.trios["uploads"]
    folder, facts = bench.corpus("128MiB")
    with Hdfs() as hdfs, logs_of(bench, FILES, folder / "app.log") as logs:
        by_curl(hdfs, logs, "/warm")  # the servers' first files, compiled
        curl, ours = [by_curl(hdfs, logs, "/curl")], []
        for _ in range(bench.rounds):
            ours.append(by_center(bench, hdfs, logs, FILES * facts["lines"]))
            curl.append(by_curl(hdfs, logs, "/curl"))
    bench.trios["uploads"] = (curl, ours, FILES * facts["bytes"])
    return bench.trios["uploads"]


def h2(bench):
    """Bytes a second into HDFS over `curl -T` of the same files."""
    curl, ours, size = uploads(bench)
    ratios = [rate / ((a + b) / 2) for (rate, _, _), a, b in zip(ours, curl, curl[1:])]
    return {"value": round(statistics.median(ratios), 3), "unit": "x curl -T of the same files", "min": round(min(ratios), 3),
            "max": round(max(ratios), 3), "mib_s": [round(rate / (1 << 20)) for rate, _, _ in ours],
            "curl_mib_s": [round(rate / (1 << 20)) for rate in curl], "files": FILES, "bytes": size}


def h4(bench):
    """A Center's peak memory while it uploads, over its memory before."""
    _, ours, size = uploads(bench)
    more = [(peak - before) / (1 << 20) for _, before, peak in ours]
    return {"value": round(max(more), 1), "unit": "MiB more while it uploads", "each": [round(m, 1) for m in more],
            "before_mib": [round(before / (1 << 20), 1) for _, before, _ in ours], "files": FILES, "bytes": size}


# --- H5 -----------------------------------------------------------------------------------------------------------

class Pair(Waiting):
    """With a second Center in the same store, which the Local knows too; it is started when the first one is dead."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.second_port = free_port()
        path = self.folder / "local.yaml"
        path.write_text(path.read_text().replace('static: [', f'static: ["127.0.0.1:{self.second_port}", '))

    def second(self):
        text = (self.folder / "center.yaml").read_text()
        text = text.replace("state-center", "state-second").replace("role: center\n", "role: center\nname: second\n")
        (self.folder / "second.yaml").write_text(re.sub(r"(?m)^listen: .*$", f"listen: 127.0.0.1:{self.second_port}", text))
        log = open(self.folder / "second.log", "wb")
        command = [str(self.programs / "tailrace-center"), "--config", str(self.folder / "second.yaml")]
        self.children["second"] = subprocess.Popen(command, stdout=log, stderr=log)
        log.close()
        self.stands("second")

    def lanes(self, role):
        with urlopen(f"http://{self.addresses[role]}/metrics", timeout=30) as answer:
            return sum(int(n) for n in LANE.findall(answer.read().decode()))


def log_ends(client, control):
    """{an incarnation's log: when its last entry was made, in ms of the NameNode}."""
    found = {}
    for path, status in client.walk(control).items():
        if re.search(r"/logs/[^/]+/\d+$", path):
            log = path.rpartition("/")[0]
            found[log] = max(found.get(log, 0), status["modificationTime"])
    return found


def h5(bench):
    """Seconds of a take-over of 160 lanes, from the decision to the last lane serving."""
    seconds, more = [], {}
    with Hdfs() as hdfs, logs_of(bench, LANES) as logs:
        client = hdfs.client()
        for _ in range(min(bench.rounds, 3)):
            trio = Pair(hdfs, bench.bin, bench.work, logs[0].parent, "none").categories(logs, "1s")
            root = "/" + trio.folder.name
            try:
                trio.begin()
                until("lines published", lambda: trio.figure("passed") >= LANES)
                (dead,) = log_ends(client, root + "-control")
                dead_at = log_ends(client, root + "-control")[dead]
                os.kill(trio.children["center"].pid, 9)
                trio.children["center"].wait()
                killed = time.time()
                for log in logs:  # a Local wishes for the lanes of lines that it has
                    with open(log, "a") as more_lines:
                        more_lines.write("another line\n")
                trio.second()
                until("lanes at the second", lambda: trio.lanes("second") == LANES)
                ended = time.time()
                decided = log_ends(client, root + "-control")[dead] / 1000  # the FENCE that closes the dead one's log
                if decided * 1000 <= dead_at:
                    raise Failed("nobody closed the dead one's log")
                seconds.append(ended - decided)
                more.setdefault("since_the_kill", []).append(round(ended - killed, 1))
            finally:
                trio.usage.update(dict.fromkeys(("center", "second")))
                trio.close()
                client.delete(root)
                client.delete(root + "-control")
    return {"value": round(statistics.median(seconds), 1), "unit": "s", "min": round(min(seconds), 1), "max": round(max(seconds), 1),
            "lanes": LANES, **more}


FIGURES = {"H2": h2, "H4": h4, "H5": h5}
