#!/usr/bin/env python3
"""What the lanes at Kafka rely on, asked of the real brokers: if another Kafka or librdkafka answers otherwise, this says so first."""
import os
import signal
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from kafka import Kafka  # noqa: E402
from kafka_faults import CUT_ANSWER, CUT_REQUEST, LATE_REQUEST, SWALLOW_ANSWER, SWALLOW_REQUEST, KafkaFaults  # noqa: E402
from kafka_producer import Apart, Producer  # noqa: E402
from programs import wait_for  # noqa: E402
from rdkafka import CONSUMER, RdKafkaError  # noqa: E402


class Case(unittest.TestCase):
    maxDiff = None

    def refused(self, name, call, *arguments, **parameters):
        with self.assertRaises(RdKafkaError) as caught:
            call(*arguments, **parameters)
        self.assertEqual(caught.exception.name, name, caught.exception.text)
        return caught.exception

    def kind(self, error):
        return "fatal" if error.fatal else "abortable" if error.abortable else "retriable" if error.retriable else "none"


class WithKafka(Case):
    more, made = {}, None

    @classmethod
    def setUpClass(cls):
        cls.kafka = Kafka(**cls.more)
        cls.addClassCleanup(cls.kafka.remove)
        cls.faults = KafkaFaults(cls.kafka) if cls.more.get("doors") else None
        if cls.faults:
            cls.addClassCleanup(cls.faults.end)
        cls.kafka.start()
        cls.judge = cls.kafka.judge()

    def topic(self, partitions=1, config=None, more=""):
        """The test's own."""
        self.made = self.id().rpartition(".")[2] + more
        self.judge.create_topic(self.made, partitions, config)
        return self.made

    def producer(self, transactional_id=None, init=True, at=None, **properties):
        producer = Producer(at or self.kafka.at(), transactional_id, **properties)
        self.addCleanup(producer.close)
        if transactional_id and init:
            producer.init()
        if self.made and init:
            producer.metadata(self.made)  # else the first record waits a second for the library's own look
        return producer

    def ends(self, topic, expected):
        """The low, stable and high ones. A commit says that it is done before its mark is everywhere, so wait."""
        try:
            wait_for("the mark", 20, lambda: self.judge.watermarks(topic) == expected)
        except AssertionError:
            self.assertEqual(self.judge.watermarks(topic), expected)

    def values(self, topic, **how):
        return [r.value.decode() for r in self.judge.read_committed(topic, **how)]


class Judging(WithKafka):
    """The client by which the rest is judged, against kcat."""

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
        self.assertEqual(sorted(self.judge.kcat("read")), [r._replace(headers=b"host=h,none=NULL") for r in records])

    def test_more_than_a_batch(self):
        topic = self.topic(3)
        self.kcat("-P", "-t", topic, said=b"".join(b"%d\n" % n for n in range(5000)))
        self.assertEqual(sorted(map(int, self.values(topic))), list(range(5000)))
        self.assertEqual(sorted(int(r.value) for r in self.judge.kcat(topic)), list(range(5000)))

    def test_what_a_producer_gives_and_what_was_aborted(self):
        topic = self.topic()
        a = self.producer("a")
        a.begin()
        a.produce(topic, b"aborted")
        a.flush()
        a.abort()
        a.begin()
        a.produce(topic, b"\0value", b"\0key", 0, [("h", b"\0header")], 1700000000123)
        a.commit()
        self.assertEqual(self.judge.read_committed(topic), [(0, 2, 1700000000123, b"\0key", (("h", b"\0header"),), b"\0value")])
        self.assertEqual([r.value for r in self.judge.kcat(topic)], [b"\0value"])
        self.assertEqual(self.values(topic, isolation="read_uncommitted"), ["aborted", "\0value"])

    def test_a_broker_ends_and_comes_back(self):
        topic = self.topic()
        broker = self.kafka.brokers[0]
        for number, said in ((signal.SIGTERM, b"a\n"), (signal.SIGKILL, b"b\n")):
            self.kcat("-P", "-t", topic, "-X", "acks=all", said=said)
            broker.end(number)
            self.refused("_TRANSPORT", self.judge.brokers, seconds=0.5)
            self.kafka.start()
        self.assertEqual(self.values(topic), ["a", "b"])


class Transactions(WithKafka):
    def test_init_fences_who_has_a_transaction_open(self):
        topic = self.topic()
        a = self.producer("lane")
        a.begin()
        a.produce(topic, "by a")
        a.flush()
        b = self.producer("lane")
        self.ends(topic, (0, 2, 2))  # the record and the mark that aborts it
        self.assertEqual(self.kind(self.refused("_FENCED", a.commit)), "fatal")
        self.refused("_FENCED", a.begin)
        b.transaction("by b", topic=topic)
        self.assertEqual(self.values(topic), ["by b"])

    def test_who_is_fenced_hears_of_it_with_its_next_records(self):
        topic = self.topic()
        a, b = self.producer("lane"), self.producer("lane")
        a.begin()
        a.produce(topic, "by a")
        self.assertEqual(self.kind(self.refused("_FENCED", a.commit)), "fatal")
        b.transaction("by b", topic=topic)
        self.assertEqual(self.values(topic), ["by b"])

    def test_an_empty_transaction_does_not_notice_a_fence(self):
        a = self.producer("lane")
        self.producer("lane")
        a.transaction()

    def test_a_transaction_that_took_too_long_looks_like_a_fence(self):
        topic = self.topic()
        a = self.producer("lane", transaction_timeout_ms=3000)
        a.begin()
        a.produce(topic, "a")
        a.flush()
        self.ends(topic, (0, 2, 2))
        self.assertEqual(self.kind(self.refused("_FENCED", a.commit)), "fatal")
        self.assertEqual(self.values(topic), [])

    def test_a_timeout_beyond_the_brokers(self):
        a = self.producer("lane", init=False, transaction_timeout_ms=900_001)
        self.assertEqual(self.kind(self.refused("INVALID_TRANSACTION_TIMEOUT", a.init)), "fatal")

    def test_kill_9_hides_later_records_until_the_same_id_is_back(self):
        topic = self.topic()
        with Apart(self.kafka.at(), "lane") as dies:
            dies.init()
            dies.begin()
            dies.produce(topic, "by the dead")
            dies.flush()
            dies.kill()
        self.producer("other").transaction("by another", topic=topic)
        self.ends(topic, (0, 0, 3))
        with self.assertRaises(TimeoutError):
            self.values(topic, seconds=1)
        self.producer("lane")
        self.assertEqual(self.values(topic), ["by another"])

    def test_positions_are_read_below_the_high_watermark_of_an_uncommitted_handle(self):
        topic = self.topic()
        lane, other = self.producer("lane"), self.producer("other")
        other.begin()
        other.produce(topic, "open")
        other.flush()
        lane.transaction("position", topic=topic)
        self.ends(topic, (0, 0, 3))  # by the last stable offset nothing would be there to read
        other.abort()
        self.assertEqual([(r.offset, r.value) for r in self.judge.read_committed(topic)], [(1, b"position")])
        with self.judge.handle(CONSUMER, **{"group.id": "x"}) as h:  # committed is the default
            self.assertEqual(h.watermarks(topic, 0), (0, 4))  # marks take offsets

    def test_a_record_too_large_for_the_client(self):
        topic = self.topic()
        a = self.producer("lane", message_max_bytes=2000)
        a.begin()
        self.assertEqual(self.kind(self.refused("MSG_SIZE_TOO_LARGE", a.produce, topic, bytes(3000))), "none")
        a.produce(topic, "small")
        a.commit()  # without it, and without an error
        self.assertEqual(self.values(topic), ["small"])

    def test_a_record_too_large_for_the_topic(self):
        topic = self.topic(config={"max.message.bytes": 2000})
        a = self.producer("lane")
        a.begin()
        a.produce(topic, bytes(3000))
        self.assertEqual(self.kind(self.refused("MSG_SIZE_TOO_LARGE", a.commit)), "abortable")
        self.assertEqual(a.reports, [(0, -1, "MSG_SIZE_TOO_LARGE")])
        a.abort()
        a.begin()
        a.produce(topic, "next")
        self.assertEqual(self.kind(self.refused("OUT_OF_ORDER_SEQUENCE_NUMBER", a.commit)), "abortable")
        self.producer("lane").transaction("anew", topic=topic)
        self.assertEqual(self.values(topic), ["anew"])

    def test_a_topic_that_is_not_there(self):
        a = self.producer("lane", topic_metadata_propagation_max_ms=1000)
        self.refused("UNKNOWN_TOPIC_OR_PART", a.metadata, "not-there")
        a.begin()
        a.produce("not-there", "a")
        self.assertEqual(self.kind(self.refused("_INCONSISTENT", a.commit)), "abortable")
        self.assertEqual([error for _, _, error in a.reports], ["UNKNOWN_TOPIC_OR_PART"])

    def test_abort_in_order_needs_a_flush(self):
        topic = self.topic()
        a = self.producer("lane")
        for _ in range(10):
            a.begin()
            a.produce(topic, "aborted")
            a.flush()
            a.abort()
        a.transaction("a", topic=topic)
        self.assertEqual(self.values(topic), ["a"])


class Outages(WithKafka):
    more = {"doors": True}

    def tearDown(self):
        self.faults.heal()

    def begun(self, topic, **properties):
        """One with a record that the broker has."""
        a = self.producer("lane", **properties)
        a.begin()
        a.produce(topic, "a")
        a.flush()
        return a

    def test_after_a_commit_timed_out_there_is_only_commit(self):
        topic = self.topic()
        a = self.begun(topic)
        self.kafka.brokers[0].freeze(True)
        self.assertEqual(self.kind(self.refused("_TIMED_OUT", a.commit, 0.5)), "retriable")
        for call in (a.abort, a.begin):
            self.assertEqual(self.kind(self.refused("_CONFLICT", call)), "retriable")
        self.refused("_STATE", a.produce, topic, "b")
        self.kafka.brokers[0].freeze(False)
        a.commit()
        self.assertEqual(self.values(topic), ["a"])

    def test_a_commit_whose_request_or_answer_was_cut(self):
        for kind, at in ((CUT_REQUEST, 0), (CUT_REQUEST, 10), (CUT_ANSWER, 0), (CUT_ANSWER, 6)):
            with self.subTest(kind, at=at):
                topic = self.topic(more="-%s-%d" % (kind[4:], at))
                a = self.begun(topic)
                self.faults.add(kind, api="EndTxn", at=at)
                a.commit()  # the library says it again
                self.assertEqual(self.faults.fired[-1], (kind, "EndTxn", 1))
                self.assertEqual(self.values(topic), ["a"])

    def test_who_comes_after_a_commit_that_timed_out_reads_the_truth(self):
        for kind, became in ((SWALLOW_REQUEST, []), (SWALLOW_ANSWER, ["a"])):
            with self.subTest(kind):
                topic = self.topic(more="-" + kind[8:])
                a = self.begun(topic)
                self.faults.add(kind, api="EndTxn")
                self.assertEqual(self.kind(self.refused("_TIMED_OUT", a.commit, 0.5)), "retriable")
                a.close()
                self.producer("lane").transaction("next", topic=topic)
                self.assertEqual(self.values(topic), became + ["next"])

    def late_commit(self, topic):
        """Of one that is gone, on its way until heal()."""
        a = self.begun(topic)
        self.faults.add(LATE_REQUEST, api="EndTxn")
        self.refused("_TIMED_OUT", a.commit, 0.2)
        a.close()

    def test_a_late_commit_counts_as_long_as_nobody_came_after(self):
        topic = self.topic()
        self.late_commit(topic)
        self.ends(topic, (0, 0, 1))
        self.faults.heal()
        self.assertEqual(self.values(topic), ["a"])  # without init it would have been said again

    def test_a_late_commit_counts_for_nothing_after_init(self):
        topic = self.topic()
        self.late_commit(topic)
        b = self.begun(topic)
        self.faults.heal()
        with self.assertRaises(TimeoutError):  # it comes meanwhile
            self.values(topic, seconds=1)
        b.commit()
        self.assertEqual([(r.offset, r.value) for r in self.judge.read_committed(topic)], [(2, b"a")])

    def test_the_order_of_a_partition_through_cuts(self):
        topic = self.topic()
        a = self.producer("lane")
        a.begin()
        self.faults.at_random(0.3, seed=1)
        for n in range(300):
            a.produce(topic, str(n))
            a.poll(0.01)
        self.faults.heal()
        a.commit()
        self.assertIn(("cut answer", "Produce", 1), self.faults.fired)
        self.assertEqual(self.values(topic), [str(n) for n in range(300)])

    def test_a_broker_that_is_not_reached(self):
        topic = self.topic()
        a = self.begun(topic)
        self.faults.part(1)
        self.refused("_TIMED_OUT", a.commit, 0.5)
        self.ends(topic, (0, 0, 1))  # judges go past the doors
        self.faults.heal()
        a.commit()
        self.assertEqual(self.values(topic), ["a"])


class ThreeBrokers(WithKafka):
    more = {"brokers": 3}

    def tearDown(self):
        for broker in self.kafka.brokers:
            broker.freeze(False)
        self.kafka.start()

    def leader(self, topic):
        return self.kafka.brokers[self.judge.partitions(topic)[0] - 1]

    def begun(self, topic):
        a = self.producer("lane", socket_timeout_ms=3000)  # a broker that is silent for longer is given up
        a.begin()
        for n in range(100):
            a.produce(topic, str(n))
        return a

    def said(self, topic):
        self.assertEqual(self.values(topic), [str(n) for n in range(200)])

    def test_the_leader_is_killed_in_a_transaction(self):
        topic = self.topic()
        a = self.begun(topic)
        a.flush()
        was = self.leader(topic)
        was.end()
        for n in range(100, 200):
            a.produce(topic, str(n))
        a.commit(60)
        self.assertIsNot(self.leader(topic), was)
        self.said(topic)

    def test_the_leader_is_frozen_in_a_transaction(self):
        topic = self.topic()
        a = self.begun(topic)
        a.flush()
        self.leader(topic).freeze(True)
        for n in range(100, 200):
            a.produce(topic, str(n))
        a.commit(60)
        self.said(topic)

    def test_too_few_brokers_for_a_while(self):
        topic = self.topic()
        a = self.begun(topic)
        a.flush()
        for broker in self.kafka.brokers[:2]:
            broker.end()
        for n in range(100, 200):
            a.produce(topic, str(n))
        self.assertEqual(self.kind(self.refused("_TIMED_OUT", a.commit, 1)), "retriable")
        self.kafka.start()
        a.commit(60)
        self.said(topic)


if __name__ == "__main__":
    unittest.main()
