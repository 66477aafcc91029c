#!/usr/bin/env python3
"""The rule of a lane, carried out by a dozen lines over the library alone while brokers and the network between fail: what is retriable is
said again until a deadline; after anything else the producer is destroyed, and its successor calls init, then reads the positions.
Lines and positions go in one transaction. Nothing is lost, nothing doubled, the order of each stream is kept.

  kafka_rule_test.py [--seconds 20] [--seed N]
  kafka_rule_test.py --mutant       breaks the rule: a successor goes on where memory says; succeeds when that is found out
"""
import argparse
import collections
import os
import random
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from kafka import Kafka  # noqa: E402
from kafka_client import KafkaClient  # noqa: E402
from kafka_faults import LATE_REQUEST, SWALLOW_ANSWER, KafkaFaults  # noqa: E402
from kafka_producer import Producer  # noqa: E402
from rdkafka import RdKafkaError  # noqa: E402

STREAMS, PARTITIONS = 8, 4
DEADLINE = 3  # seconds, for a commit
LINES, POSITIONS = "lines", "positions"


class Lane:
    """`counts`: of what became of its transactions and its lives."""

    def __init__(self, at, chance, mutant):
        self.at, self.chance, self.mutant = at, chance, mutant
        self.producer, self.next, self.counts = None, None, collections.Counter()

    def open(self):
        self.counts["opened"] += 1
        self.producer = Producer(self.at, "lane", transaction_timeout_ms=6000, socket_timeout_ms=3000)
        self.producer.init(10)
        for topic in (LINES, POSITIONS):
            self.producer.metadata(topic)
        if self.mutant and self.next is not None:
            return
        found = KafkaClient(self.at).read_committed(POSITIONS, seconds=10)
        self.next = {stream: 0 for stream in range(STREAMS)}
        self.next.update((int(r.key), int(r.value)) for r in found)

    def close(self):
        if self.producer:
            self.producer.close()
        self.producer = None

    def transaction(self):
        self.producer.begin()
        after = dict(self.next)
        for stream in self.chance.sample(range(STREAMS), 3):
            for _ in range(self.chance.randrange(1, 30)):
                self.producer.produce(LINES, str(after[stream]), str(stream), stream % PARTITIONS)
                after[stream] += 1
            self.producer.produce(POSITIONS, str(after[stream]), str(stream), 0)
        if self.chance.random() < 0.02:
            self.counts["gave up half-way"] += 1
            return self.close()
        self.commit()
        self.next = after
        self.counts["committed"] += 1
        return None

    def commit(self):
        end = time.monotonic() + DEADLINE
        while True:
            try:
                return self.producer.commit(self.chance.choice((0.02, 0.5, DEADLINE)))
            except RdKafkaError as e:
                if not e.retriable or time.monotonic() > end:
                    raise
                self.counts["said again"] += 1

    def step(self):
        try:
            if self.producer is None:
                self.open()
            else:
                self.transaction()
        except (RdKafkaError, TimeoutError) as e:
            self.counts["failed: " + getattr(e, "name", "positions")] += 1
            self.close()


class Trouble(threading.Thread):
    """One thing after another happens to brokers or on the way to them. `error`: of its own."""

    def __init__(self, kafka, faults, chance, mutant):
        super().__init__()
        self.kinds = (self.unheard,) if mutant else (self.kill, self.freeze, self.part, self.cut, self.unheard, self.late)
        self.kafka, self.faults, self.chance, self.ended, self.error = kafka, faults, chance, threading.Event(), None
        self.counts = collections.Counter()

    def run(self):
        try:
            while not self.ended.wait(self.chance.random()):
                what = self.chance.choice(self.kinds)
                self.counts[what.__name__] += 1
                what(self.chance.choice(self.kafka.brokers))
        except Exception as e:
            self.error = e

    def some_time(self):
        self.ended.wait(self.chance.uniform(0.2, 4))

    def kill(self, broker):
        broker.end()
        self.some_time()
        self.kafka.start()

    def freeze(self, broker):
        broker.freeze(True)
        self.some_time()
        broker.freeze(False)

    def part(self, broker):
        self.faults.part(broker.number)
        self.some_time()
        self.faults.heal()

    def cut(self, _):
        self.faults.at_random(0.1, seed=self.chance.random())
        self.some_time()
        self.faults.heal()

    def unheard(self, _):
        """A commit that is done, but nobody hears of it."""
        self.faults.add(SWALLOW_ANSWER, api="EndTxn")
        self.ended.wait(DEADLINE + 2)
        self.faults.heal()

    def late(self, _):
        """A commit that comes when its producer has gone."""
        self.faults.add(LATE_REQUEST, api="EndTxn", seconds=DEADLINE + self.chance.uniform(0, 1))
        self.ended.wait(DEADLINE + 2)
        self.faults.heal()


def judge(client, lane):
    """None, or what is wrong."""
    found = collections.defaultdict(list)
    for r in client.read_committed(LINES):
        found[int(r.key)].append(int(r.value))
    positions = {int(r.key): int(r.value) for r in client.read_committed(POSITIONS)}
    for stream, lines in found.items():
        if lines != list(range(positions.get(stream, 0))):
            return "stream %d: %d lines, of them %d different, position %s" % (
                stream, len(lines), len(set(lines)), positions.get(stream))
    return None if positions == {s: n for s, n in lane.next.items() if n} else "the lane's positions are others"


def run(seconds, seed, mutant):
    with Kafka(brokers=3, doors=True) as kafka:
        faults = KafkaFaults(kafka)
        for topic, partitions in ((LINES, PARTITIONS), (POSITIONS, 1)):
            kafka.judge().create_topic(topic, partitions)
        lane = Lane(kafka.at(), random.Random(seed), mutant)
        trouble = Trouble(kafka, faults, random.Random(seed + 1), mutant)
        trouble.start()
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            lane.step()
        trouble.ended.set()
        trouble.join()
        committed = lane.counts["committed"]
        end = time.monotonic() + 60
        while lane.counts["committed"] < committed + 10 and time.monotonic() < end:
            lane.step()
        said = trouble.error or judge(kafka.judge(), lane)
        lane.close()
        faults.end()
    print("seed %d: %s\n%s\n%d requests met a fault" % (seed, dict(lane.counts), dict(trouble.counts), len(faults.fired)))
    if not said and not lane.counts["committed"] >= committed + 10:
        said = "the lane does not move again"
    if mutant:
        print("found out: %s" % said if said else "FAILED: nobody found out")
        return 0 if said else 1
    print("FAILED: %s" % said if said else "every line once, in order")
    return 1 if said else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 30))
    parser.add_argument("--mutant", action="store_true")
    args = parser.parse_args()
    return run(args.seconds, args.seed, args.mutant)


if __name__ == "__main__":
    sys.exit(main())
