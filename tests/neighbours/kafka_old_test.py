#!/usr/bin/env python3
"""The oldest Kafka with transactions, 0.11, does all that the lanes rely on; the one before it has none, and loses headers silently."""
import os
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import kafka_test  # noqa: E402
from kafka_sink_test import Road  # noqa: E402


class Oldest(kafka_test.Transactions):
    more = {"version": "0.11.0.3"}


class OldestOutages(kafka_test.Outages):
    more = {"version": "0.11.0.3", "doors": True}


class OldestSink(kafka_test.WithKafka):
    more = {"version": "0.11.0.3"}

    def test_both_deliveries_work(self):
        for delivery in ("exactly_once", "at_least_once"):
            names = {"delivery": delivery, "topic": delivery + ".{category}", "positions_topic": "positions_" + delivery,
                     "create_topics": "false"}  # the client can't have such a broker choose how often a topic is copied
            self.judge.create_topic(delivery + ".web", 2)
            self.judge.create_topic("positions_" + delivery, 4, {"cleanup.policy": "compact"})
            with Road(self.kafka, names) as road:
                for _ in range(2):
                    road.write("web", 500)
                    done = road.once()
                    self.assertEqual(done.returncode, 0, done.stdout)
                    road.arrive("web", delivery + ".web")


class Before(kafka_test.WithKafka):
    more = {"version": "0.10.2.2"}

    def test_no_transactions_and_no_idempotence(self):
        a = self.producer("lane", init=False)
        self.assertEqual(self.kind(self.refused("_UNSUPPORTED_FEATURE", a.init)), "fatal")
        b = self.producer(enable_idempotence="true")
        kafka_test.wait_for("the error", 20, lambda: b.poll(0.1) and b.error)
        self.assertRegex(b.error, "^_FATAL: .*Idempotent producer not supported")
        self.refused("_FATAL", b.produce, self.topic(), "a")

    def test_headers_are_lost_without_an_error(self):
        topic = self.topic()
        a = self.producer(acks="all")
        a.produce(topic, "a", headers=[("host", b"h")])
        a.flush()
        self.assertEqual([error for _, _, error in a.reports], [None])
        self.assertEqual([(r.value, r.headers) for r in self.judge.read_committed(topic)], [(b"a", ())])


if __name__ == "__main__":
    unittest.main()
