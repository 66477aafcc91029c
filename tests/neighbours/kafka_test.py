#!/usr/bin/env python3
"""What the lanes at Kafka rely on, asked of the real brokers: if another Kafka or librdkafka answers otherwise, this says so first."""
import os
import signal
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from kafka import Kafka  # noqa: E402
from rdkafka import RdKafkaError  # noqa: E402


class Case(unittest.TestCase):
    maxDiff = None

    def refused(self, name, call, *arguments, **parameters):
        with self.assertRaises(RdKafkaError) as caught:
            call(*arguments, **parameters)
        self.assertEqual(caught.exception.name, name, caught.exception.text)
        return caught.exception


class Judging(Case):
    """The client by which the rest is judged, against kcat."""

    @classmethod
    def setUpClass(cls):
        cls.kafka = Kafka()
        cls.addClassCleanup(cls.kafka.remove)
        cls.kafka.start()
        cls.judge = cls.kafka.judge()

    def kcat(self, *words, said=b""):
        done = subprocess.run(["kcat", "-q", "-b", self.kafka.at(), *words], input=said, capture_output=True, check=True, timeout=60)
        return done.stdout

    def test_topics(self):
        self.judge.create_topic("made", 3, {"max.message.bytes": 2000})
        self.assertEqual(self.judge.partitions("made"), {0: 1, 1: 1, 2: 1})
        self.assertIn(b'topic "made" with 3 partitions', self.kcat("-L"))
        self.refused("TOPIC_ALREADY_EXISTS", self.judge.create_topic, "made")
        self.refused("UNKNOWN_TOPIC_OR_PART", self.judge.partitions, "not-made")  # asking makes none
        self.assertNotIn("not-made", self.judge.topics())
        self.judge.delete_topic("made")
        self.assertNotIn("made", self.judge.topics())

    def test_records_as_kcat_wrote_and_reads_them(self):
        self.judge.create_topic("read", 2)
        for partition, lines in ((0, b"k1:v1\nk2:\xff\xfe\n"), (1, b":v3\n")):
            self.kcat("-P", "-t", "read", "-p", str(partition), "-K:", "-Z", "-H", "host=h", "-H", "none", said=lines)
        records = sorted(self.judge.read_committed("read"))
        headers = (("host", b"h"), ("none", None))
        self.assertEqual([(r.partition, r.offset, r.key, r.headers, r.value) for r in records], [
            (0, 0, b"k1", headers, b"v1"), (0, 1, b"k2", headers, b"\xff\xfe"), (1, 0, None, headers, b"v3")])
        form = "%p %o %T %k %s\n"
        said = self.kcat("-C", "-t", "read", "-e", "-X", "isolation.level=read_committed", "-f", form).splitlines()
        self.assertEqual(sorted(said), [b"%d %d %d %s %s" % (r.partition, r.offset, r.timestamp, r.key or b"", r.value)
                                        for r in records])

    def test_more_than_a_batch(self):
        self.judge.create_topic("many", 3)
        self.kcat("-P", "-t", "many", said=b"".join(b"%d\n" % n for n in range(5000)))
        self.assertEqual(sorted(int(r.value) for r in self.judge.read_committed("many")), list(range(5000)))

    def test_a_broker_ends_and_comes_back(self):
        self.judge.create_topic("kept")
        broker = self.kafka.brokers[0]
        for number, said in ((signal.SIGTERM, b"a\n"), (signal.SIGKILL, b"b\n")):
            self.kcat("-P", "-t", "kept", "-X", "acks=all", said=said)
            broker.end(number)
            self.refused("_TRANSPORT", self.judge.brokers, seconds=0.5)
            self.kafka.start()
        self.assertEqual([r.value for r in self.judge.read_committed("kept")], [b"a", b"b"])


if __name__ == "__main__":
    unittest.main()
