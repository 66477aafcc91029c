#!/usr/bin/env python3
"""`tailrace run` into a real Kafka: every line once for read_committed readers, in its file's order, whatever dies."""
import os
import random
import signal
import subprocess
import sys
import time
import unittest
from collections import defaultdict

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.path.insert(0, os.path.join(HERE, "../road"))
from kafka import Kafka  # noqa: E402
from kafka_producer import Producer  # noqa: E402
from programs import wait_for  # noqa: E402
from rdkafka import RdKafkaError  # noqa: E402
from sink_run import PATIENCE_S, TAILRACE, RunInFolder  # noqa: E402


def fresh_chance():
    seed = int(os.environ.get("KAFKA_SEED", random.randrange(1 << 32)))
    print("KAFKA_SEED=%d" % seed, flush=True)
    return random.Random(seed)


def text_of(record):
    return record.value.decode()


class Road(RunInFolder):
    """Log files, and a `tailrace run` that sends them to Kafka; with `words` instead of settings also elsewhere."""

    def __init__(self, kafka, sink=None, pipelines=("web",)):
        super().__init__("tailrace-kafka-")
        self.judge = kafka.judge()
        self.environment = {}
        self.words = ["--config", self.folder + "/run.yaml"]
        self.written = defaultdict(list)
        self.sink = {"type": "kafka", "brokers": [kafka.at()], "create_topics": "true", **(sink or {})}
        self.settle({"realtime": self.sink}, {name: {"files": ["%s/%s/*.log" % (self.folder, name)]} for name in pipelines}, "kafka")

    def write(self, category, lines, file="a"):
        os.makedirs("%s/%s" % (self.folder, category), exist_ok=True)
        source = "%s/%s" % (category, file)
        with open("%s/%s.log" % (self.folder, source), "a") as f:
            for _ in range(lines):
                line = "%s line %d" % (source, len(self.written[source]))
                self.written[source].append(line)
                f.write(line + "\n")

    def start(self):
        self.run([TAILRACE, "run", *self.words], environment=self.environment)

    def live_dangerously(self, chance, most_seconds):
        """Some lines more, and often a kill -9 a moment later."""
        self.write("web", chance.randrange(1, 3000), chance.choice("abc"))
        if not self.alive():
            self.start()
        time.sleep(chance.uniform(0.2, most_seconds))
        if chance.random() < 0.6:
            self.end(signal.SIGKILL)

    def once(self):
        """Ends with all that stands in the files; what came of it."""
        return subprocess.run([TAILRACE, "run", *self.words, "--once"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              timeout=120, check=False)

    def all_lines(self, category):
        return sorted(line for source, lines in self.written.items() if source.startswith(category + "/") for line in lines)

    def arrive(self, category, topic=None, unpack=text_of):
        """Waits until all of it is there, each once and each file in its order within its partition."""
        want = self.all_lines(category)

        def all_there():
            try:
                records = self.judge.read_committed(topic or category)
            except RdKafkaError:  # not made yet, or its broker has just come back
                return False
            return len(records) >= len(want) and records
        try:
            records = wait_for("%d lines in %s" % (len(want), topic or category), PATIENCE_S, all_there)
        except AssertionError as e:
            raise AssertionError("%s:\n%s" % (e, self.said()[-3000:])) from None
        got = [unpack(record) for record in records]
        if sorted(got) != want:
            twice = [line for line in set(got) if got.count(line) > 1]
            raise AssertionError("%s: %d records of %d lines, twice: %s, missing: %s" % (
                category, len(got), len(want), twice[:5], sorted(set(want) - set(got))[:5]))
        last = {}
        for record in records:
            source, _, number = unpack(record).rpartition(" line ")
            key = (record.partition, source)
            if int(number) < last.get(key, -1):
                raise AssertionError("%s: line %s stands behind %d" % (source, number, last[key]))
            last[key] = int(number)
        return records


class Lines(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.kafka = Kafka()
        cls.kafka.start()

    @classmethod
    def tearDownClass(cls):
        cls.kafka.remove()

    def once(self, road):
        done = road.once()
        self.assertEqual(done.returncode, 0, done.stdout)
        return done.stdout

    def fails(self, sink):
        with Road(self.kafka, {"create_topics": "false", **sink}) as road:
            road.write("web", 1)
            done = road.once()
            self.assertNotEqual(done.returncode, 0)
            return done.stdout

    def test_each_once_with_what_it_carries(self):
        with Road(self.kafka) as road:
            road.words = ["--from", road.folder + "/web1/*.log", "--from", road.folder + "/app1/*.log",
                          "--to", "kafka://%s/" % self.kafka.at(), "--create-topics", "--state", road.folder + "/state",
                          "--admin", "127.0.0.1:0"]
            road.write("web1", 2000)
            road.write("web1", 500, "b")
            road.write("app1", 10)
            self.once(road)
            records = road.arrive("web1")
            road.arrive("app1")
            headers = dict(records[0].headers)
            self.assertEqual(set(headers), {"host", "stream", "seq"})
            by_stream = sorted(int(dict(record.headers)["seq"]) for record in records)
            self.assertEqual(by_stream, list(range(2500)))
            self.assertLess(abs(time.time() * 1000 - records[0].timestamp), 120_000)
            # What is read again is nothing: a second run sends nothing twice.
            road.write("web1", 100)
            self.once(road)
            road.arrive("web1")

    def test_beside_a_directory(self):
        with Road(self.kafka) as road:
            out = road.folder + "/out"
            alone = ["--from", road.folder + "/both/*.log", "--to", out, "--state", road.folder + "/state", "--admin", "127.0.0.1:0"]
            beside = [*alone, "--to", "kafka://%s/" % self.kafka.at(), "--create-topics"]
            for road.words, lines in ((alone, 1000), (beside, 3000), (alone, 500)):  # it is added, and goes
                road.write("both", lines)
                self.once(road)
            every = road.written["both/a"]
            read = subprocess.run([TAILRACE, "cat", out], stdout=subprocess.PIPE, text=True, check=True).stdout
            self.assertEqual(read.splitlines(), every)
            here = [text_of(record) for record in self.kafka.judge().read_committed("both")]
            begins = every.index(here[0])
            self.assertLessEqual(begins, 1000)
            self.assertEqual(here, every[begins:4000])

    def test_packed(self):
        with Road(self.kafka, sink={"topic": "packed.{category}", "form": "packed", "positions_topic": "positions_packed"}) as road:
            road.write("web", 5000)
            self.once(road)
            records = self.kafka.judge().read_committed("packed.web")
            self.assertLess(len(records), 50)
            import zlib
            lines = []
            for record in records:
                headers = dict(record.headers)
                self.assertEqual(headers["codec"], b"gzip")
                raw = zlib.decompress(record.value, 31)
                self.assertEqual(len(raw), int(headers["raw"]))
                self.assertEqual(raw.count(b"\n"), int(headers["lines"]))
                lines += raw.decode().splitlines()
            self.assertEqual(sorted(lines), road.all_lines("web"))

    def test_a_lane_that_another_has_taken_is_taken_back(self):
        with Road(self.kafka, sink={"topic": "taken.{category}", "positions_topic": "positions_taken", "latency": "200ms"}) as road:
            road.write("web", 500)
            road.start()
            road.arrive("web", "taken.web")
            judge = self.kafka.judge()
            sink = next(r.key.decode() for r in judge.read_committed("positions_taken") if r.key.startswith(b"sink/"))
            other = Producer(self.kafka.at(), "tailrace.%s.web" % sink.partition("/")[2])
            try:
                other.init()
                other.begin()
                other.produce("taken.web", "never committed", partition=0)
                road.write("web", 500)
                road.says("another Center has taken this lane")
                road.arrive("web", "taken.web")
            finally:
                other.close()

    def test_the_path_of_each_line(self):
        for form in ("lines", "packed"):
            sink = {"topic": form + ".paths.{category}", "positions_topic": "positions_paths_" + form, "form": form,
                    "headers": ["path", "seq"]}
            with Road(self.kafka, sink) as road:
                for file in "abc":
                    road.write("web", 300, file)
                self.once(road)
                paths = {"%s/web/%s.log" % (road.folder, file): 300 for file in "abc"}
                records = self.kafka.judge().read_committed(form + ".paths.web")
                self.assertEqual(set(name for record in records for name, _ in record.headers) - {"codec", "lines", "raw"}, {"path", "seq"})
                said = [[value.decode() for name, value in record.headers if name == "path"] for record in records]
                self.assertEqual(set(path for of in said for path in of), set(paths))
                if form == "lines":
                    self.assertEqual({path: sum(of == [path] for of in said) for path in paths}, paths)
                    for record, (path,) in zip(records, said):
                        self.assertIn(text_of(record).split(" ")[0] + ".log", path)

    def test_a_line_that_is_too_long_for_the_broker_is_cut(self):
        judge = self.kafka.judge()
        judge.create_topic("small.web", 1, {"max.message.bytes": "20000"})
        # Pieces have what is needed to join them, whatever is asked for.
        with Road(self.kafka, sink={"topic": "small.{category}", "positions_topic": "positions_small", "headers": ["none"]}) as road:
            os.makedirs(road.folder + "/web")
            long = "".join(random.Random(7).choices("abcdefghij", k=100_000))
            with open(road.folder + "/web/a.log", "w") as f:
                f.write("first\n%s\nlast\n" % long)
            self.once(road)
            records = judge.read_committed("small.web")
            self.assertEqual(text_of(records[0]), "first")
            self.assertEqual(text_of(records[-1]), "last")
            pieces = records[1:-1]
            self.assertGreater(len(pieces), 4)
            self.assertEqual("".join(text_of(piece) for piece in pieces), long)
            self.assertEqual((records[0].headers, records[-1].headers), ((), ()))
            at = 0
            for headers, value in ((dict(piece.headers), piece.value) for piece in pieces):
                self.assertEqual(headers["split"], b"%d/100000" % at)
                self.assertEqual(headers["seq"], b"1")
                self.assertEqual(set(headers), {"split", "seq", "stream"})
                at += len(value)

    def test_a_topic_that_is_missing_waits_alone(self):
        judge = self.kafka.judge()
        judge.create_topic("there", 1)
        judge.create_topic("positions_missing", 4, {"cleanup.policy": "compact"})
        with Road(self.kafka, {"positions_topic": "positions_missing", "create_topics": "false"}, ("there", "nowhere")) as road:
            road.write("there", 100)
            road.write("nowhere", 100)
            road.start()
            road.arrive("there")
            road.says("'nowhere'", "does not exist", "create_topics")
            judge.create_topic("nowhere", 1)
            road.arrive("nowhere")

    def test_what_is_wrong_is_said(self):
        judge = self.kafka.judge()
        judge.create_topic("positions_deleted", 4, {"cleanup.policy": "delete"})
        self.assertIn("cleanup.policy=delete", self.fails({"positions_topic": "positions_deleted"}))
        said = self.fails({"positions_topic": "positions_nowhere"})
        self.assertIn("'positions_nowhere' does not exist", said)
        self.assertIn("cleanup.policy=compact", said)

    def anew(self, topic, partitions=4):
        """As somebody deletes it and makes it again."""
        judge = self.kafka.judge()
        judge.delete_topic(topic)
        wait_for("it to be gone", PATIENCE_S, lambda: topic not in judge.topics())
        if partitions:
            judge.create_topic(topic, partitions, {"cleanup.policy": "compact"})

        def read():
            try:
                return len(judge.bounds(topic)) == partitions
            except RdKafkaError as e:
                return partitions == 0 and e.name == "UNKNOWN_TOPIC_OR_PART"
        wait_for("all to know it", PATIENCE_S, read)

    def test_positions_that_are_gone_are_said(self):
        """Nothing is written, where its name was or into the topics, until a person says that it begins anew."""
        judge, positions = self.kafka.judge(), "positions_anew"
        judge.create_topic(positions, 4, {"cleanup.policy": "compact"})
        with Road(self.kafka, sink={"topic": "anew.{category}", "positions_topic": positions, "latency": "200ms"}) as road:
            road.write("web", 500)
            road.start()
            road.arrive("web", "anew.web")
            # While it runs; its lane is read again, for another has had it.
            sink = next(r.key.decode() for r in judge.read_committed(positions) if r.key.startswith(b"sink/"))
            self.anew(positions)
            other = Producer(self.kafka.at(), "tailrace.%s.web" % sink.partition("/")[2])
            self.addCleanup(other.close)
            other.init()
            road.write("web", 500)
            road.says("'web'", positions, "was it deleted?")
            road.end(signal.SIGKILL)
            self.assertEqual([high for _, high in judge.bounds(positions).values()], [0] * 4)
            for partitions in (4, 0):  # not there at all: it is not made either, though create_topics would have it
                self.anew(positions, partitions)
                done = road.once()
                self.assertEqual(done.returncode, 1, done.stdout)
                self.assertIn("was it deleted?", done.stdout)
                memory = done.stdout.rpartition("stop this Center and remove ")[2].split()[0]
            self.assertNotIn(positions, judge.topics())
            self.assertEqual(len(judge.read_committed("anew.web")), 500)
            os.unlink(memory)
            subprocess.run([TAILRACE, "spool", "forget", "--state", road.folder + "/state", "--sink", sink.partition("/")[2], "--yes"],
                           stdout=subprocess.DEVNULL, check=True)
            self.once(road)
            lines = [text_of(r) for r in judge.read_committed("anew.web")]  # another sink: from the oldest that the spool has
            self.assertEqual(lines[:500] + lines[-500:], road.written["web/a"])
            # Positions, and no name: a Center wrote before it was asked.
            os.unlink(memory)
            self.anew(positions)
            producer = Producer(self.kafka.at())
            self.addCleanup(producer.close)
            producer.produce(positions, "a position", b"position/web/x/0", 2)
            producer.flush()
            self.assertIn("Name another positions_topic", road.once().stdout)

    def test_check_connect_tells_what_is_there(self):
        with Road(self.kafka, sink={"positions_topic": "positions_checked", "create_topics": "false"}) as road:
            def check():
                return subprocess.run([TAILRACE, "check", "--connect", road.folder + "/run.yaml"], stdout=subprocess.PIPE,
                                      stderr=subprocess.STDOUT, text=True, timeout=60, check=False)
            missing = check()
            self.assertEqual(missing.returncode, 1, missing.stdout)
            self.assertIn("positions_checked", missing.stdout)
            self.assertIn("cleanup.policy=compact", missing.stdout)
            self.kafka.judge().create_topic("positions_checked", 4, {"cleanup.policy": "compact"})
            there = check()
            self.assertIn("it has 4 partitions", there.stdout)
            self.assertNotIn("cleanup.policy", there.stdout)
            self.assertRegex(there.stdout, "find the topic web: MISSING")
            self.kafka.judge().create_topic("web", 1)
            whole = check()
            self.assertEqual(whole.returncode, 0, whole.stdout)
            self.assertIn("1 of 1 are there", whole.stdout)


class Kills(unittest.TestCase):
    """Seeded: KAFKA_SEED says it again."""

    def test_everything_is_killed(self):
        chance = fresh_chance()
        with Kafka() as kafka:
            road = Road(kafka, sink={"latency": "200ms"})
            with road:
                for at in range(14):
                    road.live_dangerously(chance, 2.5)
                    if at % 5 == 4:
                        kafka.brokers[0].end(signal.SIGKILL)
                        time.sleep(chance.uniform(0, 1))
                        kafka.brokers[0].start()
                if not road.alive():
                    road.start()
                kafka.wait()
                road.arrive("web")


class AtLeastOnce(unittest.TestCase):
    """Without transactions: some lines twice when something dies, none missing. Seeded: KAFKA_SEED says it again."""

    def lines_of(self, judge, topic):
        return [text_of(record) for record in judge.read_committed(topic)]

    def test_nothing_is_missing_whatever_is_killed(self):
        chance = fresh_chance()
        with Kafka() as kafka, Road(kafka, sink={"latency": "200ms", "delivery": "at_least_once"}) as road:
            road.write("web", 1000)
            done = road.once()
            self.assertEqual(done.returncode, 0, done.stdout)
            road.arrive("web")
            for at in range(8):
                road.live_dangerously(chance, 1.5)
                if at == 4:
                    kafka.brokers[0].end(signal.SIGKILL)
                    kafka.brokers[0].start()
            if not road.alive():
                road.start()
            kafka.wait()
            judge = kafka.judge()
            want = set(road.all_lines("web"))
            wait_for("all lines", PATIENCE_S, lambda: set(self.lines_of(judge, "web")) >= want)
            self.assertEqual(set(self.lines_of(judge, "web")), want)
            # What was said to be there is not sent again.
            road.end(signal.SIGTERM)
            before = len(self.lines_of(judge, "web"))
            road.write("web", 10)
            self.assertEqual(road.once().returncode, 0)
            self.assertEqual(len(self.lines_of(judge, "web")), before + 10)


if __name__ == "__main__":
    unittest.main(verbosity=2)
