"""Files while a real Kafka beside them is dead: T39 of docs/performance.md."""
import contextlib
import gzip
import re
import statistics
import time
import urllib.request

from hdfs_uploads import until
from kafka_live import Lines, Live, each_once, topics_of
from trio import Failed, Trio

from kafka import Kafka
from kafka_faults import KafkaFaults

CATEGORIES, RATE = 4, 1_250_000  # bytes a second of each
MOST_S = 20  # of each turn; a transaction lives for 15 s


class Beside(Live):
    """Files too: small ones, so that what is published is known to a part of a second."""

    def sinks(self, roll):
        return Trio.sinks(self, "size: 256KiB, age: 1s, idle: 1s") + super().sinks(roll)

    def passed(self, sink):
        with urllib.request.urlopen(f"http://{self.addresses['center']}/metrics", timeout=30) as answer:
            found = re.findall(rf'^tailrace_center_lines_passed_total\{{sink="{sink}",.*\}} (\S+)$', answer.read().decode(), re.M)
        return sum(map(float, found))

    def kafka_is_level(self):
        """But for what comes in a second."""
        return self.passed("realtime") >= self.passed("out") * 0.99

    def rate(self, seconds):
        """Lines a second that are published in files."""
        begun, before = time.monotonic(), self.passed("out")
        time.sleep(seconds)
        return (self.passed("out") - before) / (time.monotonic() - begun)


def in_files(to, written):
    """Every line that was written stands there once."""
    found = {name: [] for name in written}
    for path in to.rglob("*.gz"):
        if not any(part.startswith("_") for part in path.relative_to(to).parts):
            for line in gzip.decompress(path.read_bytes()).splitlines():
                name, number, _ = line.split(b" ", 2)
                found[name.decode()].append(int(number))
    for name, count in written.items():
        if sorted(found[name]) != list(range(count)):
            raise Failed(f"{name}: {len(found[name])} lines of {count} in files, {len(set(found[name]))} of them different")


def t39(bench):
    """The rate at which files are published while nothing passes to Kafka, over the usual one; in turns, in one run."""
    seconds = min(bench.seconds, MOST_S)
    alive, dead = [], []
    with Kafka(doors=True) as kafka, contextlib.ExitStack() as ends:
        faults = KafkaFaults(kafka)
        ends.callback(faults.end)
        names, logs, texts = ends.enter_context(topics_of(bench, kafka, "t39-", CATEGORIES))
        trio = ends.enter_context(contextlib.closing(Beside(kafka, bench, logs, names)))
        trio.begin()
        lines = Lines(logs, names, RATE, texts)
        ends.callback(lines.stop)
        until("lines in files and topics", lambda: trio.passed("out") and trio.passed("realtime"))
        alive.append(trio.rate(seconds))
        for _ in range(bench.rounds):
            faults.part(1)  # swallowed, not refused
            dead.append(trio.rate(seconds))
            faults.heal()
            until("Kafka to be level", trio.kafka_is_level)
            alive.append(trio.rate(seconds))
        lines.stop()
        total = sum(lines.written.values())
        until("the last line", lambda: trio.passed("out") == total == trio.passed("realtime"))
        trio.stop()
        each_once(kafka, lines.written)
        in_files(trio.to, lines.written)
    ratios = [of / ((a + b) / 2) for of, a, b in zip(dead, alive, alive[1:])]
    return {"value": round(statistics.median(ratios), 3), "unit": "x the usual rate of files", "goal": "at least .95",
            "min": round(min(ratios), 3), "max": round(max(ratios), 3), "alive": [round(r) for r in alive],
            "dead": [round(r) for r in dead], "lines": total, "bytes": lines.bytes, "seconds": seconds}


FIGURES = {"T39": t39}
