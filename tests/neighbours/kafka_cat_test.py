#!/usr/bin/env python3
"""`tailrace cat` and `tailrace topics` at a real Kafka, judged by a client that is not ours: what is committed, as lines, whatever form
it has; what is missing, and how it is made. The brokers make topics that are asked for, as many do: these commands make none."""
import glob
import json
import os
import random
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest
import unittest.mock

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.path.insert(0, os.path.join(HERE, "../road"))
import libsnappy  # noqa: E402
from kafka import Kafka  # noqa: E402
from kafka_producer import Producer  # noqa: E402
from kafka_security import SASL  # noqa: E402
from kafka_sink_test import Road  # noqa: E402
from programs import wait_for  # noqa: E402
from sink_run import PATIENCE_S, TAILRACE  # noqa: E402

DAY_MS = 24 * 3600 * 1000
WHEN = 1_764_460_800_000  # 2025-11-30T00:00


KAFKA = None


def setUpModule():
    global KAFKA
    KAFKA = Kafka(security=True, settings={"auto.create.topics.enable": "true"}).__enter__()


def tearDownModule():
    KAFKA.remove()


class WithKafka(unittest.TestCase):
    def setUp(self):
        self.kafka = KAFKA
        self.judge = self.kafka.judge()

    def topic(self, partitions=1, config=None):
        name = self.id().rpartition(".")[2].replace("test_", "")
        self.judge.create_topic(name, partitions, config)
        return name

    def url(self, topic, listener="PLAINTEXT"):
        return "kafka://%s/%s" % (self.kafka.at(listener), topic)

    def producer(self, transactional_id=None):
        producer = Producer(self.kafka.at(), transactional_id)
        self.addCleanup(producer.close)
        if transactional_id:
            producer.init()
        return producer

    def tell(self, *words):
        """(exit code, stdout, stderr)."""
        done = subprocess.run([TAILRACE, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=PATIENCE_S, check=False)
        return done.returncode, done.stdout.decode(), done.stderr.decode()

    def cat(self, *words):
        code, out, said = self.tell("cat", *words)
        self.assertEqual((code, said), (0, ""), out[:1000])
        return out

    def start(self, *words):
        program = subprocess.Popen([TAILRACE, "cat", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE)

        def end():
            program.kill()
            program.wait()
            program.stdout.close()
            program.stderr.close()
        self.addCleanup(end)
        return program


class Collects(WithKafka):
    def collected(self, form, codec, before="", more=()):
        """A road whose lines are in the topics [BEFORE]FORM.CODEC.CATEGORY; `more` of them in web."""
        name = "%s%s.%s" % (before, form, codec)
        road = Road(self.kafka)
        self.addCleanup(road.__exit__)
        road.settle({"realtime": {"type": "kafka", "brokers": [self.kafka.at()], "create_topics": "true", "form": form,
                                  "topic": name + ".{category}", "positions_topic": "positions." + name}},
                    {c: {"files": ["%s/%s/*.log" % (road.folder, c)], "codec": codec} for c in ("web", "app")}, "kafka")
        for file in "abc":
            road.write("web", 2000, file)
        road.write("app", 10)
        with open(road.folder + "/web/more.log", "w", newline="") as f:
            f.writelines(line + "\n" for line in more)
        done = road.once()
        self.assertEqual(done.returncode, 0, done.stdout)
        return road


class Cat(Collects):
    def test_lines_in_the_order_of_partition_and_offset(self):
        self.judge.create_topic("lines.gzip.web", 4)
        road, producer = self.collected("lines", "gzip"), self.producer("another")
        more = [("lines.gzip.web", "other line %d" % n, None, n % 4) for n in range(4)]
        producer.transaction(*more)
        road.written["web/other"] += [value for _, value, *_ in more]
        records = sorted(self.judge.read_committed("lines.gzip.web"), key=lambda r: (r.partition, r.offset))
        self.assertEqual(self.cat(self.url("lines.gzip.web")), "".join(r.value.decode() + "\n" for r in records))
        # By the sink's settings: the topics of all its categories, or of one.
        settings = road.folder + "/run.yaml"
        everything = self.cat("--config", settings)
        self.assertEqual(sorted(everything.splitlines()), sorted(road.all_lines("web") + road.all_lines("app")))
        self.assertEqual(self.cat("--config", settings, "--sink", "realtime", "--category", "app").splitlines(), road.all_lines("app"))
        self.assertEqual(self.cat(self.url(""), "--config", settings, "--category", "app").splitlines(), road.all_lines("app"))

    def test_a_line_that_was_cut_is_whole(self):
        self.judge.create_topic("cut.web", 1, {"max.message.bytes": "20000"})
        with Road(self.kafka, {"topic": "cut.{category}", "positions_topic": "positions.cut"}) as road:
            os.makedirs(road.folder + "/web")
            text = "first\n%s\nlast\n" % "".join(random.Random(7).choices("abcdefghij", k=100_000))
            with open(road.folder + "/web/a.log", "w") as f:
                f.write(text)
            self.assertEqual(road.once().returncode, 0)
            self.assertGreater(len(self.judge.read_committed("cut.web")), 6)
            self.assertEqual(self.cat(self.url("cut.web")), text)

    def test_what_is_committed_up_to_the_end_as_it_was(self):
        topic, one, two = self.topic(), self.producer("one"), self.producer("two")
        one.transaction("a", topic=topic)
        two.begin()
        two.produce(topic, "aborted")
        two.flush()
        two.abort()
        two.begin()
        two.produce(topic, "waited for")
        two.flush()
        one.transaction("behind it", topic=topic)
        cat = self.start(self.url(topic))
        self.assertEqual(cat.stdout.readline(), b"a\n")  # it has asked for the end
        one.transaction("after", topic=topic)
        self.assertEqual(select.select([cat.stdout], [], [], 0.3)[0], [])
        two.commit()
        self.assertEqual(cat.stdout.read(), b"waited for\nbehind it\n")
        self.assertEqual(cat.wait(PATIENCE_S), 0)

    def test_by_time(self):
        topic, producer = self.topic(), self.producer()
        for day in (0, 2, 1, 3):
            producer.produce(topic, "day %d" % day, timestamp=WHEN + day * DAY_MS)
        producer.flush()
        url = self.url(topic)
        self.assertEqual(self.cat(url, "--from", "2025-12-01", "--to", "2025-12-02T23:59:59"), "day 2\nday 1\n")
        self.assertEqual(self.cat(url, "--from", "2025-12-02"), "day 2\nday 3\n")  # day 1 stands between them
        self.assertEqual(self.cat(url, "--from", "2025-12-03"), "day 3\n")
        self.assertEqual(self.cat(url, "--to", "2025-12-01"), "day 0\n")
        self.assertEqual(self.cat(url, "--from", "2025-12-04"), "")

    def test_following(self):
        topic, producer = self.topic(3), self.producer("follow")
        producer.transaction((topic, "before", None, 1))
        cat = self.start(self.url(topic), "--follow")
        self.assertEqual(cat.stdout.readline(), b"before\n")
        for n in range(6):
            producer.transaction((topic, "line %d" % n, None, n % 3))
            self.assertEqual(cat.stdout.readline(), b"line %d\n" % n)
        cat.stdout.close()  # and nothing comes any more
        self.assertEqual(cat.wait(PATIENCE_S), 0)
        self.assertEqual(cat.stderr.read(), b"")

    def test_a_reader_that_has_seen_enough(self):
        topic, producer = self.topic(), self.producer()
        for n in range(20_000):
            producer.produce(topic, "line %d of many" % n)
        producer.flush()
        cat = self.start(self.url(topic))
        self.assertEqual(cat.stdout.readline(), b"line 0 of many\n")
        cat.stdout.close()
        self.assertEqual(cat.wait(PATIENCE_S), 0)
        self.assertEqual(cat.stderr.read(), b"")

    # --- what is wrong ---

    def test_a_record_that_is_not_what_it_says(self):
        topic, producer = self.topic(2), self.producer()
        producer.produce(topic, "before", partition=1)
        producer.produce(topic, "garbage", partition=1, headers=[("codec", b"gzip"), ("lines", b"1"), ("raw", b"20")])
        producer.produce(topic, "behind", partition=1)
        producer.flush()
        code, out, said = self.tell("cat", self.url(topic))
        self.assertEqual((code, out), (1, "before\nbehind\n"))
        self.assertRegex(said, topic + ", partition 1, offset 1: it does not inflate")

    def test_a_broken_disk(self):
        """What is broken is told with its place; the partition ends there, and the others are read."""
        topic, producer = self.topic(2), self.producer()
        for partition, text in ((0, "good"), (0, "broken here"), (1, "the other")):
            producer.produce(topic, text, partition=partition)
            producer.flush()
        broker = self.kafka.brokers[0]
        broker.end(signal.SIGTERM)
        [log] = glob.glob("%s/data/%s-0/00000000000000000000.log" % (broker.folder, topic))
        with open(log, "r+b") as f:
            f.seek(f.read().index(b"broken here"))
            f.write(b"B")
        self.kafka.start()
        code, out, said = self.tell("cat", self.url(topic))
        self.assertEqual((code, out), (1, "good\nthe other\n"))
        self.assertRegex(said, topic + ", partition 0, offset 1: .*CRC")

    def test_no_topic_and_no_broker(self):
        topic = self.topic()
        code, out, said = self.tell("cat", self.url(topic + "s"))
        self.assertEqual((code, out), (1, ""))
        self.assertIn("'%ss' does not exist" % topic, said)
        self.assertIn("did you mean '%s'?" % topic, said)
        self.assertNotIn(topic + "s", self.judge.topics())
        code, out, said = self.tell("cat", "kafka://127.0.0.1:1/x")
        self.assertEqual((code, out), (1, ""))
        self.assertIn("127.0.0.1:1 does not answer", said)
        self.assertIn("Connection refused", said)

    def test_wrong_words(self):
        for words in (("kafka://",), ("kafka://h:1/x?y",), ("kafka://h:1/x", "--category", "y"), ("kafka://h:1/x", "--sink", "y"),
                      ("--follow", "."), ("kafka://h:1/x", ".", "--config", "y")):
            self.assertEqual(self.tell("cat", *words)[0], 2, words)
        self.assertEqual(self.tell("files", "kafka://h:1/x")[0], 2)

    def test_passwords_are_those_of_the_sink(self):
        topic, producer = self.topic(), self.producer()
        producer.produce(topic, "guarded")
        producer.flush()
        url = self.url(topic, SASL)
        with Road(self.kafka) as road:
            def settle(user, brokers=SASL):
                road.settle({"realtime": {"type": "kafka", "brokers": [self.kafka.at(brokers)],
                                          "properties": self.kafka.security.client(SASL, "PLAIN", user)}},
                            {"web": {"files": [road.folder + "/*.log"]}}, "kafka")
                return road.folder + "/run.yaml"
            self.assertEqual(self.cat(url, "--config", settle("tailrace")), "guarded\n")
            # Who may not read it is told so; a password goes nowhere by itself.
            code, out, said = self.tell("cat", url, "--config", settle("limited"))
            self.assertEqual((code, out), (1, ""))
            self.assertIn(topic, said)
            self.assertIn("uthorization failed", said)
            self.assertIn("kafka-acls.sh", said)
            other = settle("tailrace", "PLAINTEXT")
            self.assertEqual(self.tell("cat", url, "--config", other)[0], 2)
            self.assertEqual(self.cat(url, "--config", other, "--sink", "realtime"), "guarded\n")

    def test_a_transaction_whose_producer_died(self):
        """Its end is waited for: the brokers give it up in time."""
        topic = self.topic()
        self.producer().produce(topic, "a")
        hung = Producer(self.kafka.at(), "hung", transaction_timeout_ms=5000)
        hung.init()
        hung.begin()
        hung.produce(topic, "never")
        hung.flush()
        hung.close()
        producer = self.producer()
        producer.produce(topic, "b")
        producer.flush()
        self.assertEqual(self.cat(self.url(topic)), "a\nb\n")
        wait_for("the marker", PATIENCE_S, lambda: len(set(self.judge.watermarks(topic)[1:])) == 1)


PRINTS = """
public class Prints {
  public static void main(String[] args) throws Exception {
    var with = new Properties();
    with.put("bootstrap.servers", args[0]);
    with.put("isolation.level", "read_committed");
    var bytes = new org.apache.kafka.common.serialization.ByteArrayDeserializer();
    try (var consumer = new org.apache.kafka.clients.consumer.KafkaConsumer<byte[], byte[]>(with, bytes, bytes)) {
      for (int i = 1; i < args.length; ++i) {
        var lines = new TailraceLines();
        var partition = List.of(new org.apache.kafka.common.TopicPartition(args[i], 0));
        consumer.assign(partition);
        consumer.seekToBeginning(partition);
        for (long end = consumer.endOffsets(partition).get(partition.get(0)); consumer.position(partition.get(0)) < end;)
          for (var record : consumer.poll(java.time.Duration.ofMillis(100)))
            lines.read(record, line -> { System.out.writeBytes(line); System.out.write('\\n'); });
      }
    }
    System.out.flush();
  }
}
"""


class Readers(Collects):
    """What docs/formats/kafka.md tells others to do."""

    def test_python_and_java(self):
        self.judge.create_topic("cut.lines.gzip.web", 1, {"max.message.bytes": "20000"})
        forms = [("cut.", "lines", "gzip")] + [("whole.", "packed", codec) for codec in ("gzip", "zstd", "snappy", "none")]
        more = ["with\ra carriage return", "".join(random.Random(9).choices("abcdefghij", k=70_000)), ""]
        topics, want = [], b""
        for before, form, codec in forms:
            with self.subTest(codec):
                road = self.collected(form, codec, before, more)
                topics.append("%s%s.%s.web" % (before, form, codec))
                codecs = {dict(r.headers).get("codec") for r in self.judge.read_committed(topics[-1])}
                self.assertEqual(codecs, {codec.encode() if form == "packed" else None})
                out = self.cat(self.url(topics[-1]))
                self.assertEqual(sorted(out.split("\n")[:-1]), sorted(road.all_lines("web") + more))
                want += out.encode()
        self.assertEqual(b"".join(map(self.by_python, topics)), want)
        self.assertEqual(self.by_java(topics), want)

    def test_pieces_that_came_again(self):
        """Without transactions: who sent some pieces of a line is killed, and the next one sends them all."""
        self.judge.create_topic("again.web", 1, {"max.message.bytes": "5000"})
        self.judge.create_topic("positions.again", 1, {"cleanup.policy": "compact"})
        rnd = random.Random(11)
        want = ["%d %s" % (n, "".join(rnd.choices("abcdefghij", k=200_000))) for n in range(40)]
        with Road(self.kafka, {"topic": "again.{category}", "positions_topic": "positions.again", "delivery": "at_least_once"}) as road:
            os.makedirs(road.folder + "/web")
            with open(road.folder + "/web/a.log", "w") as f:
                f.writelines(line + "\n" for line in want)
            road.start()
            wait_for("some pieces", PATIENCE_S, lambda: self.judge.watermarks("again.web")[1] > 100)
            road.end(signal.SIGKILL)
            self.assertEqual(road.once().returncode, 0)
        begins = [dict(r.headers)["seq"] for r in self.judge.read_committed("again.web") if dict(r.headers)["split"].startswith(b"0/")]
        self.assertGreater(len(begins), len(set(begins)))
        self.assertEqual(set(begins), set(b"%d" % n for n in range(40)))
        for out in (self.cat(self.url("again.web")), self.by_python("again.web").decode(), self.by_java(["again.web"]).decode()):
            self.assertEqual(set(out.splitlines()), set(want))

    @staticmethod
    def told(language):
        with open(os.path.join(HERE, "../../docs/formats/kafka.md")) as f:
            return re.search(r"```%s\n(.*?)```" % language, f.read(), re.S)[1]

    def by_python(self, topic):
        own = {}
        exec(self.told("python"), own)
        records = [(dict(r.headers), r.value) for r in self.judge.read_committed(topic)]
        with unittest.mock.patch.dict(sys.modules, {"zstandard": Zstandard, "snappy": Snappy}):
            return b"".join(line + b"\n" for line in own["lines"](records))

    def by_java(self, topics):
        if not shutil.which("javac"):
            self.skipTest("no compiler of Java here")
        with tempfile.TemporaryDirectory() as folder:
            with open(folder + "/Prints.java", "w") as f:
                source = self.told("java")
                f.write(source.replace("final class", PRINTS + "\nfinal class"))
            return subprocess.run(["java", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
                                   "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-cp", self.kafka.jars + "/*",
                                   folder + "/Prints.java", self.kafka.at(), *topics], stdout=subprocess.PIPE, timeout=PATIENCE_S,
                                  check=True).stdout


class Zstandard:
    """zstd's own program by the name of Python's package."""

    class ZstdDecompressor:
        @staticmethod
        def decompress(frame):
            return subprocess.run(["zstd", "-dcq"], input=frame, stdout=subprocess.PIPE, check=True).stdout


class Snappy:
    uncompress = staticmethod(libsnappy.uncompressed)


class Topics(WithKafka):
    def settle(self, road, user=None, **sink):
        own = self.kafka.security.client(SASL, "PLAIN", user) if user else {}
        road.settle({"realtime": {"type": "kafka", "brokers": [self.kafka.at(SASL if user else "PLAINTEXT")], "properties": own, **sink}},
                    {name: {"files": [road.folder + "/%s/*.log" % name]} for name in ("web", "app")}, "kafka")
        return road.folder + "/run.yaml"

    def topics(self, *words):
        """(exit code, {topic: what is told of it})."""
        code, out, said = self.tell("topics", "--format", "json", *words)
        self.assertEqual(said, "")
        [sink] = json.loads(out)
        return code, {topic.pop("topic"): topic for topic in sink["topics"]}

    def test_missing_until_it_is_made_as_it_says(self):
        with Road(self.kafka) as road:
            settings = self.settle(road, topic="made.{category}", positions_topic="positions.made")
            code, out, _ = self.tell("topics", "--config", settings, "--expect", "later")
            self.assertEqual(code, 1)
            for topic in ("positions.made", "made.web", "made.app", "made.later"):
                self.assertRegex(out, r"(?m)^%s +- +- +- +- +MISSING" % topic)
                self.assertIn("--create --topic %s " % topic, out)
            self.assertIn("--topic positions.made --partitions 16 --replication-factor 1 --config cleanup.policy=compact", out)
            self.assertFalse([name for name in self.judge.topics() if "made" in name])
            # With create_topics it is nothing that a person must do.
            willing = self.settle(road, topic="made.{category}", positions_topic="positions.made", create_topics="true")
            code, found = self.topics("--config", willing)
            self.assertEqual((code, found["made.web"]["found"]), (0, "not there yet"))
            self.settle(road, topic="made.{category}", positions_topic="positions.made")
            self.judge.create_topic("positions.made", 4, {"cleanup.policy": "compact"})
            self.judge.create_topic("made.web", 3, {"max.message.bytes": "20000"})
            self.judge.create_topic("made.app", 1)
            code, found = self.topics("--config", settings)
            self.assertEqual(code, 0, found)
            self.assertEqual(found["made.web"], {
                "category": "web", "positions": False, "there": True, "verdict": "ok", "found": "ok", "mend": "", "partitions": 3,
                "copies": 1, "partitions_without_leader": 0, "partitions_behind": 0, "min_insync_replicas": 1,
                "max_message_bytes": 20000, "cleanup_policy": "delete"})
            self.assertTrue(found["positions.made"]["positions"])
            code, out, _ = self.tell("topics", "--config", settings, "--category", "we")
            self.assertEqual(code, 0)
            self.assertRegex(out, r"(?m)^made\.web +3 +1 +1 +20000 +ok$")
            self.assertNotIn("made.app", out)

    def test_categories_that_have_come_are_known(self):
        """By the positions alone, where no settings name them."""
        with Road(self.kafka, {"topic": "come.{category}", "positions_topic": "positions.come"}, ("one", "two")) as road:
            road.write("one", 10)
            road.write("two", 10)
            done = road.once()
            self.assertEqual(done.returncode, 0, done.stdout)
            settings = self.settle(road, topic="come.{category}", positions_topic="positions.come")
            code, found = self.topics(self.url("come.{category}"), "--config", settings)
            self.assertEqual({name for name, of in found.items() if of["there"]}, {"positions.come", "come.one", "come.two"})
            self.assertEqual(code, 0)
            self.judge.delete_topic("come.one")
            wait_for("it to go", PATIENCE_S, lambda: "come.one" not in self.judge.topics())
            code, found = self.topics(self.url("come.{category}"), "--config", settings)
            self.assertEqual((code, found["come.one"]["found"], found["come.two"]["found"]), (1, "MISSING", "ok"))

    def test_a_sink_makes_no_topic_unasked(self):
        self.judge.create_topic("positions.unasked", 2, {"cleanup.policy": "compact"})
        with Road(self.kafka, {"topic": "unasked.{category}", "positions_topic": "positions.unasked", "create_topics": "false"}) as road:
            road.write("web", 1)
            road.start()
            road.says("'unasked.web' does not exist", "create_topics")
            self.assertEqual(self.topics("--config", road.folder + "/run.yaml")[1]["unasked.web"]["found"], "MISSING")
            self.assertNotIn("unasked.web", self.judge.topics())
            self.judge.create_topic("unasked.web", 1)
            road.arrive("web", "unasked.web")

    def test_what_would_lose_lines_is_told(self):
        self.judge.create_topic("positions.deleted", 2, {"cleanup.policy": "delete"})
        self.judge.create_topic("compacted", 1, {"cleanup.policy": "compact"})
        with Road(self.kafka) as road:
            code, found = self.topics("--config", self.settle(road, topic="compacted", positions_topic="positions.deleted"))
            self.assertEqual(code, 1)
            self.assertIn("positions would be lost", found["positions.deleted"]["found"])
            self.assertIn("--add-config cleanup.policy=compact", found["positions.deleted"]["mend"])
            self.assertEqual(found["compacted"]["verdict"], "warn")

    def test_what_this_user_may_not_see(self):
        self.judge.create_topic("seen", 1)
        self.judge.create_topic("positions.hidden", 1, {"cleanup.policy": "compact"})
        self.judge.allow("limited", "topic", "seen", "describe")
        with Road(self.kafka) as road:
            settings = self.settle(road, "limited", topic="seen", positions_topic="positions.hidden")
            code, found = self.topics("--config", settings)
            self.assertEqual((code, found["positions.hidden"]["found"]), (1, "FORBIDDEN"))
            self.assertEqual((found["seen"]["partitions"], found["seen"]["max_message_bytes"]), (1, None))

    def test_no_broker_and_wrong_words(self):
        code, out, said = self.tell("topics", "kafka://127.0.0.1:1/")
        self.assertEqual((code, out), (1, ""))
        self.assertIn("Connection refused", said)
        for words in (("hdfs://h",), ("kafka://h:1/", "kafka://h:2/"), ("--expect", "No Category", "kafka://h:1/"), ("--format", "xml")):
            self.assertEqual(self.tell("topics", *words)[0], 2, words)


if __name__ == "__main__":
    unittest.main(verbosity=2)
