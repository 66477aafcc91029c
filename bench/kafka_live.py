"""Lines on their way into a real Kafka while they are written: K3, K4 and K6 of docs/performance.md."""
import collections
import contextlib
import os
import re
import shutil
import statistics
import subprocess
import tempfile
import threading
import time
from pathlib import Path

from hdfs_uploads import until
from into_kafka import KafkaTrio
from many import metrics
from trio import Failed

import zookeeper
from kafka import Kafka
from ports import free_port

RATE = 5_000_000  # bytes a second (K3)
TURN_S = 0.02
WARM_S = 5
CATEGORIES = 20  # K4
BUSY, BUSY_RATE, BUSY_S = 50, 40_000, 20  # K6: categories, bytes a second of each


class Lines:
    """Writes numbered lines into a file for each name, each with the moment in which it was written: `name number ns text`."""

    def __init__(self, folder, names, rate, texts):
        self.files = {name: open(Path(folder) / f"{name}.log", "ab", buffering=0) for name in names}
        self.rate, self.texts = rate, texts
        self.written = dict.fromkeys(names, 0)
        self.bytes = 0
        self.ends = threading.Event()
        self.thread = threading.Thread(target=self.write, daemon=True)
        self.thread.start()

    def write(self):
        begun, texts = time.monotonic(), len(self.texts)
        while not self.ends.is_set():
            for name, file in self.files.items():
                count, piece, size = self.written[name], [], 0
                due = self.rate * (time.monotonic() - begun) - self.bytes / len(self.files)
                now = time.monotonic_ns()
                while size < due:
                    piece.append(b"%s %d %d %s" % (name.encode(), count, now, self.texts[count % texts]))
                    size += len(piece[-1])
                    count += 1
                if piece:
                    file.write(b"".join(piece))
                    self.bytes += size
                    self.written[name] = count
            self.ends.wait(TURN_S)

    def stop(self):
        self.ends.set()
        self.thread.join()
        for file in self.files.values():
            file.close()


class Tail:
    """A read_committed consumer that is not ours (kcat): when each line came; `seen(name, number, written_ns, came_ns)`."""

    def __init__(self, kafka, topics, seen):
        self.seen = seen
        self.counts = collections.Counter()
        # By a group of its own: one kcat for all topics.
        self.kcat = subprocess.Popen(["kcat", "-q", "-u", "-b", kafka.at(), "-X", "isolation.level=read_committed", "-X",
                                      "auto.offset.reset=earliest", "-G", topics[0], *topics], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.thread = threading.Thread(target=self.read, daemon=True)
        self.thread.start()

    def read(self):
        left = b""
        while piece := os.read(self.kcat.stdout.fileno(), 1 << 18):
            came = time.monotonic_ns()
            *lines, left = (left + piece).split(b"\n")
            for line in lines:
                name, number, written, _ = line.split(b" ", 3)
                self.counts[name.decode()] += 1
                self.seen(name.decode(), int(number), int(written), came)

    def close(self):
        self.kcat.kill()
        self.kcat.wait()
        self.thread.join()
        self.kcat.stdout.close()


class Live(KafkaTrio):
    """A pipeline for each name."""

    def __init__(self, kafka, bench, logs, names, latency="normal", **sink):
        self.kafka, self.names = kafka, names
        own = {"type": "kafka", "brokers": [kafka.at()], "positions_topic": names[0] + "-positions", **sink}
        super().__init__(own, bench.bin, bench.work, logs, "gzip")
        path = self.folder / "agent.yaml"
        pipelines = "".join(f"  {name}: {{files: [\"{logs}/{name}.log\"], latency: {latency}}}\n" for name in names)
        path.write_text(path.read_text().partition("pipelines:")[0] + "pipelines:\n" + pipelines)

    def begin(self):
        for role in ("center", "local"):
            self.up(role)
            self.stands(role)
        self.up("agent")

    def status(self, role, what):
        text = Path(f"/proc/{self.children[role].pid}/status").read_text()
        return int(re.search(what + r":\s+(\d+)", text)[1])


@contextlib.contextmanager
def topics_of(bench, kafka, prefix, count):
    """(names, folder for their logs, lines to write): a topic of one partition for each, and the positions'."""
    judge = kafka.judge()
    names = [f"{prefix}{n}" for n in range(count)]
    for name in names:
        judge.create_topic(name)
    judge.create_topic(names[0] + "-positions", 16, {"cleanup.policy": "compact"})
    folder, _ = bench.corpus("64MiB")
    with open(folder / "app.log", "rb") as file:
        texts = file.readlines(4 << 20)
    logs = Path(tempfile.mkdtemp(prefix="live-", dir=bench.work))
    try:
        yield names, logs, texts
    finally:
        shutil.rmtree(logs)


def each_once(kafka, written):
    """Every line that was written stands in its topic, once and in its order, for whoever reads read_committed."""
    for name, count in written.items():
        until(f"end of {name}", lambda: sum(high for _, high in kafka.judge().bounds(name).values()) >= count, 60)
        numbers = [int(record.value.split(b" ", 2)[1]) for record in kafka.judge().kcat(name)]
        if numbers != list(range(count)):
            raise Failed(f"{name}: {len(numbers)} records of {count} lines, {len(set(numbers))} of them different")


# --- K3 -----------------------------------------------------------------------------------------------------------

def k3(bench):
    """Seconds from a line's write until a read_committed consumer has it, 99th percentile."""
    late = collections.Counter()  # ms -> lines
    with Kafka() as kafka, topics_of(bench, kafka, "app", 1) as (names, logs, texts), contextlib.ExitStack() as ends:
        trio = ends.enter_context(contextlib.closing(Live(kafka, bench, logs, names, "low")))
        begun = time.monotonic_ns() + WARM_S * 1_000_000_000

        def seen(_, __, written, came):
            if written >= begun:
                late[(came - written) // 1_000_000] += 1
        trio.begin()
        tail = ends.enter_context(contextlib.closing(Tail(kafka, names, seen)))
        lines = Lines(logs, names, RATE, texts)
        ends.callback(lines.stop)
        begun = time.monotonic_ns() + WARM_S * 1_000_000_000
        time.sleep(WARM_S + bench.seconds)
        lines.stop()
        until("the last line", lambda: tail.counts[names[0]] >= lines.written[names[0]], 60)
        trio.stop()
        each_once(kafka, lines.written)
    order, count = sorted(late), sum(late.values())

    def part(share):
        left = count * share
        for ms in order:
            left -= late[ms]
            if left <= 0:
                return ms / 1000
        return order[-1] / 1000
    return {"value": part(0.99), "unit": "s, 99th percentile", "goal": "at most 2.5", "median": part(0.5), "most": order[-1] / 1000,
            "bytes_a_second": round(lines.bytes / (WARM_S + bench.seconds)), "lines": count, "seconds": bench.seconds}


# --- K4 -----------------------------------------------------------------------------------------------------------

class Pair(Live):
    """With a second Center; they see each other by a ZooKeeper."""

    def __init__(self, at, *arguments, **more):
        self.zookeeper = at
        super().__init__(*arguments, **more)
        for role in ("center", "local"):
            path = self.folder / f"{role}.yaml"
            text = re.sub(r"(?m)^discovery:.*\n", "", path.read_text())
            path.write_text(text + f"discovery: {{zookeeper: \"{at}\"}}\n")
        text = (self.folder / "center.yaml").read_text()
        for name in ("center", "second"):
            own = text.replace("state-center", f"state-{name}").replace("role: center\n", f"role: center\nname: {name}\n")
            (self.folder / f"{name}.yaml").write_text(re.sub(r"(?m)^listen: .*$", f"listen: 127.0.0.1:{free_port()}", own))

    def up(self, role):
        """The second one is a Center too."""
        with open(self.folder / f"{role}.log", "wb") as log:
            program = "center" if role == "second" else role
            self.children[role] = subprocess.Popen([str(self.programs / f"tailrace-{program}"), "--config",
                                                    str(self.folder / f"{role}.yaml")], stdout=log, stderr=log)

    def lanes(self, role):
        return int(metrics(self.addresses[role]).get("tailrace_center_lanes", 0))


def a_kill(bench, kafka, at, round_number):
    """(seconds until the last topic moves again, how many the dead Center had, seconds of each)."""
    moved, killed = {}, [None]

    def seen(name, _, written, came):
        if killed[0] and written > killed[0]:
            moved.setdefault(name, (came - killed[0]) / 1e9)
    with topics_of(bench, kafka, f"k{round_number}-", CATEGORIES) as (names, logs, texts), contextlib.ExitStack() as ends:
        trio = ends.enter_context(contextlib.closing(Pair(at, kafka, bench, logs, names)))
        trio.up("second")
        trio.stands("second")
        trio.begin()
        lines = Lines(logs, names, 5_000, texts)
        ends.callback(lines.stop)
        tail = ends.enter_context(contextlib.closing(Tail(kafka, names, seen)))
        until("lines in all topics", lambda: len(tail.counts) == CATEGORIES)
        until("lanes at both Centers", lambda: trio.lanes("center") + trio.lanes("second") == CATEGORIES and
              min(trio.lanes("center"), trio.lanes("second")) > 0)
        had = trio.lanes("center")
        killed[0] = time.monotonic_ns()
        trio.children["center"].kill()
        trio.children["center"].wait()
        until("lines in all topics again", lambda: len(moved) == CATEGORIES)
        lines.stop()
        each_once(kafka, lines.written)
    return max(moved.values()), had, sorted(round(s, 1) for s in moved.values())


def k4(bench):
    """Seconds from kill -9 of a Center until all topics move again."""
    if lacking := zookeeper.missing():
        raise Failed(lacking)
    with Kafka() as kafka, zookeeper.ZooKeeper(tick_ms=2000) as zk:
        rounds = [a_kill(bench, kafka, zk.at, n) for n in range(min(bench.rounds, 3))]
    seconds = [r[0] for r in rounds]
    return {"value": round(statistics.median(seconds), 1), "unit": "s", "goal": "at most 30", "min": round(min(seconds), 1),
            "max": round(max(seconds), 1), "topics": CATEGORIES, "of_the_dead": [r[1] for r in rounds], "each": [r[2] for r in rounds]}


# --- K6 -----------------------------------------------------------------------------------------------------------

def k6(bench):
    """A Center's threads, and MiB over the same Center without lanes, with 50 busy categories."""
    with Kafka() as kafka, topics_of(bench, kafka, "busy", BUSY) as (names, logs, texts), contextlib.ExitStack() as ends:
        trio = ends.enter_context(contextlib.closing(Live(kafka, bench, logs, names)))
        for role in ("center", "local"):
            trio.up(role)
            trio.stands(role)
        bare, bare_threads = trio.status("center", "VmRSS"), trio.status("center", "Threads")
        lines = Lines(logs, names, BUSY_RATE, texts)
        ends.callback(lines.stop)
        trio.up("agent")
        until("all categories", lambda: metrics(trio.addresses["center"]).get("tailrace_center_lanes", 0) == BUSY)
        threads, end = 0, time.monotonic() + BUSY_S
        while time.monotonic() < end:
            threads = max(threads, trio.status("center", "Threads"))
            time.sleep(0.5)
        lines.stop()
        until("the last line", lambda: metrics(trio.addresses["center"])["tailrace_center_lines_passed_total"] >=
              sum(lines.written.values()))
        peak = trio.status("center", "VmHWM")
        trio.stop()
        each_once(kafka, lines.written)
    common = {"categories": BUSY, "bytes": lines.bytes, "lines": sum(lines.written.values())}
    return [{"id": "K6-threads", "value": threads, "unit": "threads", "goal": "at most 400", "bare": bare_threads, **common},
            {"id": "K6-mib", "value": round((peak - bare) / 1024, 1), "unit": "MiB over the bare Center", "goal": "at most 128",
             "peak": round(peak / 1024, 1), "bare": round(bare / 1024, 1), **common}]


FIGURES = {"K3": k3, "K4": k4, "K6": k6}
