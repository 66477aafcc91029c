"""Into a real Kafka, which is started here: R13, K2 and K5 of docs/performance.md."""
import contextlib
import hashlib
import itertools
import json
import os
import re
import statistics
import subprocess
import sys
import zlib
from pathlib import Path

from trio import ROLES, Failed, Trio

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "neighbours"))
from kafka import Kafka  # noqa: E402

LEAST_MIB = 256  # of the corpus: start and end of a program are little of what it costs
NUMBERS = itertools.count(1)
READ = ["kcat", "-q", "-C", "-o", "beginning", "-e", "-X", "isolation.level=read_committed"]


def corpus_of(bench):
    """Of --size, and at least what makes its figures."""
    return bench.corpus(bench.size if bench.bytes_of(bench.size) >= LEAST_MIB << 20 else f"{LEAST_MIB}MiB")


class Topic:
    """A new topic of one partition, and a positions' topic of its own; with a `with` it goes, after it was judged."""

    def __init__(self, kafka):
        self.kafka, number = kafka, next(NUMBERS)
        self.name, self.positions = f"lines-{number}", f"positions-{number}"

    def __enter__(self):
        judge = self.kafka.judge()
        judge.create_topic(self.name)
        judge.create_topic(self.positions, 16, {"cleanup.policy": "compact"})
        return self

    def __exit__(self, *_):
        self.kafka.judge().delete_topic(self.name)

    def sink(self, **more):
        """Of center.yaml."""
        return {"type": "kafka", "brokers": [self.kafka.at()], "topic": self.name, "positions_topic": self.positions, **more}

    def lines(self):
        """What a read_committed consumer that is not ours has, a newline behind each record, in pieces."""
        self.kafka.judge().settled(self.name, 60)
        with subprocess.Popen([*READ, "-b", self.kafka.at(), "-t", self.name], stdout=subprocess.PIPE) as kcat:
            while piece := kcat.stdout.read(1 << 20):
                yield piece
        if kcat.returncode != 0:
            raise Failed(f"kcat ended with {kcat.returncode}")

    def unpacked(self):
        """The same of batches as agents compressed them."""
        for record in self.kafka.judge().kcat(self.name):
            codec = re.search(rb"codec=(\w+)", record.headers)[1]
            yield zlib.decompress(record.value, 31) if codec == b"gzip" else record.value

    @staticmethod
    def holds(pieces, facts):
        """These pieces are the corpus, once and in its order."""
        sha = hashlib.sha256()
        for piece in pieces:
            sha.update(piece)
        if sha.hexdigest() != facts["sha256"]:
            raise Failed(f"wrong output: the topic holds {sha.hexdigest()}, the corpus is {facts['sha256']}")


class KafkaTrio(Trio):
    """The three daemons; the Center has this sink of Kafka, and one of files if it is told so."""

    def __init__(self, realtime, *arguments, files=False, **more):
        self.realtime, self.files = realtime, files
        super().__init__(*arguments, **more)

    def sinks(self, roll):
        files = super().sinks(roll) if self.files else ""
        return files + (f"  realtime: {json.dumps(self.realtime)}\n" if self.realtime else "")


def collect(bench, folder, facts, topic, form="lines", files=False):
    """{role: CPU seconds} of the corpus into a topic (None: not there), into files or both; they hold it."""
    trio = KafkaTrio(topic and topic.sink(form=form), bench.bin, bench.work, folder, "gzip", files=files)
    try:
        trio.run(facts["lines"] * (bool(topic) + files))
        if files:
            bench.judge(trio.to, facts, "gzip")
        if topic:
            topic.holds(topic.lines() if form == "lines" else topic.unpacked(), facts)
        return {role: trio.cpu_s(role) for role in ROLES}
    finally:
        trio.close()


def floor_cpu_s(bench, topic, folder, facts):
    command = [bench.bin / "bench_kafka_floor", topic.kafka.at(), topic.name, topic.positions, topic.name, folder / "app.log"]
    child = subprocess.Popen([str(word) for word in command], stdout=subprocess.PIPE, text=True)
    with child.stdout:
        said = child.stdout.read()
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode != 0 or json.loads(said)["lines"] != facts["lines"]:
        raise Failed(f"bench_kafka_floor ended with {child.returncode}: {said}")
    topic.holds(topic.lines(), facts)
    return usage.ru_utime + usage.ru_stime


def center_cpu_s(bench, topic, folder, facts, form):
    return collect(bench, folder, facts, topic, form)["center"]


def in_turns(bench):
    """CPU seconds of the floor, of a Center with lines, of one with packed batches, of the floor ...; measured once."""
    if "kafka" in bench.trios:
        return bench.trios["kafka"]
    folder, facts = corpus_of(bench)
    spent = {"floor": [], "lines": [], "packed": []}
    with Kafka() as kafka:
        def turn(what, measure, *more):
            with Topic(kafka) as topic:
                spent[what].append(measure(bench, topic, folder, facts, *more))
        turn("floor", floor_cpu_s)  # the broker's first records, compiled
        spent["floor"].clear()
        turn("floor", floor_cpu_s)
        for _ in range(bench.rounds):
            turn("lines", center_cpu_s, "lines")
            turn("packed", center_cpu_s, "packed")
            turn("floor", floor_cpu_s)
    bench.trios["kafka"] = (spent, facts)
    return bench.trios["kafka"]


def figure(ratios, unit, goal, facts, **more):
    return {"value": round(statistics.median(ratios), 3), "unit": unit, "goal": f"at most {goal}", "min": round(min(ratios), 3),
            "max": round(max(ratios), 3), **{name: [round(s, 3) for s in each] for name, each in more.items()},
            "bytes": facts["bytes"], "lines": facts["lines"], "sha256": facts["sha256"]}


def r13(bench):
    """The Center's CPU for lines over a bare loop of librdkafka."""
    spent, facts = in_turns(bench)
    ratios = [cpu / ((a + b) / 2) for cpu, a, b in zip(spent["lines"], spent["floor"], spent["floor"][1:])]
    return figure(ratios, "x bench_kafka_floor", 1.2, facts, cpu_s=spent["lines"], floor_cpu_s=spent["floor"])


def k2(bench):
    """The Center's CPU for packed batches over that for lines."""
    spent, facts = in_turns(bench)
    ratios = [packed / lines for packed, lines in zip(spent["packed"], spent["lines"])]
    return figure(ratios, "x the Center's CPU for lines", 0.1, facts, cpu_s=spent["packed"], lines_cpu_s=spent["lines"])


def k5(bench):
    """CPU of the whole path to files and Kafka together over the sum of the whole path to each alone."""
    folder, facts = corpus_of(bench)
    spent = {"both": [], "files": [], "kafka": []}
    with Kafka() as kafka:
        def turn(what, topic, files):
            spent[what].append(sum(collect(bench, folder, facts, topic, files=files).values()))
        for _ in range(bench.rounds):
            turn("files", None, True)
            with Topic(kafka) as topic:
                turn("kafka", topic, False)
            with Topic(kafka) as topic:
                turn("both", topic, True)
    ratios = [both / (files + alone) for both, files, alone in zip(*spent.values())]
    return figure(ratios, "x the sum of each alone", 0.9, facts, cpu_s=spent["both"], files_cpu_s=spent["files"],
                  kafka_cpu_s=spent["kafka"])


FIGURES = {"R13": r13, "K2": k2, "K5": k5}
