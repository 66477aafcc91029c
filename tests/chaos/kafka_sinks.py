#!/usr/bin/env python3
"""A sink of a real Kafka beside a directory: what a dead one does to the other, and what becomes of one that is added or removed.
In the end both ends are judged line by line.

  full    Kafka is killed and stays away until the spool is full: the directory has all that was read, reading stops and that is said,
          no line is lost when Kafka is back
  optional  the same of one that is not required: nothing waits, the spool gives up the oldest that Kafka has not got, and is never full;
          when Kafka is back, exactly the lines are missing there that the Center says are lost
  added   Kafka is added where lines flow: its origin is said, and all that comes is there; it is removed while much waits for it: the
          spool keeps that until a person says that it is gone (T40)
"""
import os
import re
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.path.insert(0, HERE + "/../neighbours")
from kafka import Kafka  # noqa: E402  the neighbours' one: before a judge puts this folder first
import judge  # noqa: E402
from kafka_rig import POSITIONS, TOPICS, Topics  # noqa: E402
from rig import PROGRAM, Failure, each_case, lines_published, run, wait_for  # noqa: E402
from trio import Trio  # noqa: E402

OLD_FILES = 8  # numbers of log files that are there before those of the second writer
MUCH, LITTLE = 40 << 20, 24 << 20  # bytes of a spool: most of it, and three segments, which it has when it is empty


class Beside(Topics, Trio):
    """One broker, one Center, and a spool that is soon full."""

    def __init__(self, name, kafka, with_kafka=True, optional=False):
        self.with_kafka, self.optional = with_kafka, optional
        self.make_topics(kafka)
        super().__init__(name, "none", spool="64MiB", categories=TOPICS)

    def writes(self, rnd, *args):
        return self.write("--seed", str(rnd.randrange(1 << 30)), "--categories", ",".join(TOPICS), "--files", "8", *args)

    def change_center(self, with_kafka):
        """With other settings it starts anew."""
        self.with_kafka = with_kafka
        self.stop("center")
        self.configure("center", "name: center\nlisten: 127.0.0.1:%d\nsinks:\n  files: {type: directory, root: %s, timezone: UTC, "
                       "roll: {size: 256KiB, age: 1s, idle: 1s}}\n" % (self.port, self.out))
        self.stand()

    def configure(self, role, more):
        super().configure(role, more)
        if self.optional and role == "center":
            path = "%s/%s.yaml" % (self.folder, role)
            with open(path, encoding="utf-8") as f:
                text = f.read()
            with open(path, "w", encoding="utf-8") as f:
                f.write(text.replace("realtime: {", "realtime: {required: false, "))

    def begin_without_kafka(self, rnd):
        """It dies once lines flow; the writer."""
        self.stand()
        writer = self.writes(rnd, "--rate", "2000")
        self.topics_go_on()
        self.kafka.brokers[0].end()
        self.names_kafka()
        return writer

    def names_kafka(self):
        self.step("the Center names Kafka", 60, lambda: self.in_trouble() == ["realtime"])

    def all_taken_is_published(self):
        """In the directory."""
        self.step("the directory has all that the Local has taken", 60, lambda: lines_published(self.out) == (
            self.figures("local", "tailrace_local_lines_taken_total") + self.figures("local", "tailrace_local_lines_before")))

    def all_is_published(self):
        self.step("the directory has all that was written", 60, lambda: lines_published(self.out) == judge.Ledger(self.ledger).lines)

    def sink(self):
        """Kafka's uuid, as its first record says it."""
        keys = [record.key.decode() for record in self.client.kcat(POSITIONS) if record.key.startswith(b"sink/")]
        return keys[0].partition("/")[2]

    def spool(self, *words):
        done = subprocess.run([PROGRAM, "spool", *words, "--config", self.folder + "/local.yaml"], capture_output=True, text=True,
                              timeout=60, check=False)
        if done.returncode != 0:
            raise Failure("tailrace spool %s: %s" % (" ".join(words), done.stdout + done.stderr))
        return done.stdout

    def judged_from_its_origin(self):
        """The directory has all; the topics what came between, once and in order: of each file from its begin on, if it is new."""
        files, topics = judge.Ledger(self.ledger), judge.Ledger(self.ledger)
        found = [judge.Judge(files).tree(self.out), judge.Judge(topics).tree(self.fetch())]
        for one in found:
            one.print()
        wrong = {name: n for name, n in found[1].counts.items() if n and name != "missing"}
        if not found[0].clean or wrong or not found[1].lines:
            raise Failure("both ends: %s" % [one.summary() for one in found])
        for g in topics.generations.values():
            gaps = g.missing()
            begins, ends = gaps[:1] and gaps[0][0] == 0, gaps[-1:] and gaps[-1][1] == g.count - 1
            whole = gaps and gaps[0] == (0, g.count - 1)
            if len(gaps) > bool(begins) + bool(ends) or (is_new(g.file) and begins and not whole):
                raise Failure("%s generation %d: %s are missing in the topics" % (g.file, g.number, gaps))


def is_new(file):
    return int(file.rpartition(b"-")[2]) >= OLD_FILES


def full(trio, rnd):
    writer = trio.begin_without_kafka(rnd)
    trio.grows("the files go on")
    more = trio.writes(rnd, "--rate", "0", "--first", str(OLD_FILES), "--rotate-every", "0", "--lines", "300000")
    trio.step("the spool is full and reading waits", 120, lambda: "the spool is full until sink 'realtime' commits" in
              trio.running["local"].said())
    trio.end_writer(writer)
    trio.end_writer(more)
    trio.step("unread lines wait in their files", 30, lambda: trio.figures("agent", "tailrace_agent_unread_bytes"))
    trio.all_taken_is_published()
    trio.kill("local", "center")
    trio.stand()
    trio.names_kafka()
    trio.kafka.start()
    trio.all_is_published()
    trio.step("nothing waits", 60, lambda: not trio.figures("local", "tailrace_local_lines_waiting"))
    trio.settle()


def optional(trio, rnd):
    writer = trio.begin_without_kafka(rnd)
    more = trio.writes(rnd, "--rate", "0", "--first", str(OLD_FILES), "--rotate-every", "0", "--lines", "400000")
    trio.step("lines are given up", 120, lambda: "GIVEN UP for sink 'realtime'" in trio.running["local"].said())
    trio.kill("local", "center")
    trio.stand()
    trio.end_writer(more)
    trio.end_writer(writer)
    trio.all_is_published()
    trio.names_kafka()
    if "not read on" in trio.running["local"].said():
        raise Failure("reading waited for a sink that is not required")
    trio.kafka.start()
    trio.step("Kafka has what is left", 120, lambda: not trio.figures("local", "tailrace_local_lines_waiting_at_sink"))
    said = sum(int(n.replace(",", "")) for n in re.findall(r"LOST ([\d,]+) lines of '\w+' from [^\n]*: spool full",
                                                          trio.running["center"].said()))
    for role in trio.roles:
        trio.stop(role)
    wait_for("the topics' ends", 60, trio.records)
    files = judge.Judge(judge.Ledger(trio.ledger, True)).tree(trio.out)
    topics = trio.judge_topics()
    for one in (files, topics):
        one.print()
    wrong = {name: n for name, n in topics.counts.items() if n and name != "missing"}
    if not files.clean or wrong or not said or topics.counts["missing"] != said:
        raise Failure("said to be lost in the topics: %d; both ends: %s" % (said, [files.summary(), topics.summary()]))


def added(trio, rnd):
    trio.stand()
    trio.writes(rnd, "--rate", "0", "--lines", "120000").wait()
    trio.all_is_published()
    trio.step("the spool has let go of some", 60, lambda: trio.figures("local", "tailrace_local_spool_bytes") <= LITTLE)
    trio.change_center(True)
    writer = trio.writes(rnd, "--rate", "1000", "--first", str(2 * OLD_FILES))
    trio.step("its origin is said", 60, lambda: "starts here at line" in trio.running["center"].said())
    trio.topics_go_on()
    sink = trio.sink()
    trio.kafka.brokers[0].end()
    trio.names_kafka()
    more = trio.writes(rnd, "--rate", "0", "--first", str(OLD_FILES), "--lines", "150000")
    trio.step("much waits for it", 60, lambda: trio.figures("local", "tailrace_local_spool_bytes") > MUCH)
    trio.end_writer(writer)
    trio.end_writer(more)
    trio.change_center(False)
    trio.all_taken_is_published()  # the others wait unread, if the spool was full meanwhile
    if trio.figures("local", "tailrace_local_spool_bytes") < MUCH:
        raise Failure("what waits for a sink that settings do not name any more is gone")
    trio.kafka.start()
    trio.stop("local")
    said = trio.spool("forget", "--sink", sink)
    if "lines that it has not got" not in said or "Nothing was done" not in said:
        raise Failure("forget says:\n" + said)
    trio.spool("forget", "--sink", sink, "--yes")
    trio.stand()
    trio.step("its bytes are free", 60, lambda: trio.figures("local", "tailrace_local_spool_bytes") <= LITTLE)
    trio.all_is_published()
    for role in trio.roles:
        trio.stop(role)
    wait_for("the topics' ends", 60, trio.records)  # all partitions have a leader again
    trio.judged_from_its_origin()


CASES = {"full": (full, {}), "optional": (optional, {"optional": True}), "added": (added, {"with_kafka": False})}


def main():
    failed = 0
    for args, name, rnd in each_case(__doc__, CASES):
        body, settings = CASES[name]
        with Kafka() as kafka:
            failed |= run("kafka_sinks --seed %d %s" % (args.seed, name), lambda t: body(t, rnd), Beside("kafka-" + name, kafka, **settings))  # noqa: B023
    return failed


if __name__ == "__main__":
    sys.exit(main())
