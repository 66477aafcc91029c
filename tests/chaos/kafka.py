#!/usr/bin/env python3
"""Three brokers of a real Kafka (three copies, two must have a record) beside a directory, Centers that find each other by a real
ZooKeeper, two hosts; and something dies all the time. In the end both sinks are judged line by line: what was written is in each of
them, once, in the order of its file. One topic has one copy only: while a broker is dead some of its partitions have no leader.

  all      brokers are killed -9 and bounced, one is away for a while, agents, Locals and Centers are killed -9, the network between
           Centers and brokers is cut, late, or lets nothing through
  bounces  one broker after another is stopped and started again; Centers go and come (T44, T96)
  away     all brokers are away, for longer than a transaction lives: the files go on (T39, T42), and a stop meanwhile loses nothing
           (T43)

  --long   many more turns, three Centers
"""
import os
import signal
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.path.insert(0, HERE + "/../neighbours")
import judge  # noqa: E402
from discovery import Found  # noqa: E402
from kafka import Kafka  # noqa: E402
from kafka_faults import KafkaFaults  # noqa: E402
from kafka_rig import ONE_COPY, TOPICS, Topics  # noqa: E402
from rig import each_case, run  # noqa: E402
from trio import kind  # noqa: E402
from zookeeper import ZooKeeper  # noqa: E402


class WithKafka(Topics, Found):
    def __init__(self, name, zoo, kafka, **more):
        self.make_topics(kafka)
        self.network = KafkaFaults(kafka)
        super().__init__(name, zoo, categories=TOPICS, hosts=2, **more)

    def all_go_on(self, without=()):
        files = len(judge.in_sight(self.out))
        self.topics_go_on([topic for topic in TOPICS if topic not in without])
        self.step("files go on", 120, lambda: len(judge.in_sight(self.out)) > files)

    def stop_all(self):
        super().stop_all()
        self.network.end()

    # --- what happens ---

    def broker_away(self, rnd, number, how, seconds):
        broker = self.kafka.brokers[number]
        try:
            broker.end(how)
        except subprocess.TimeoutExpired:  # it hands its partitions over, which takes its time on a busy machine
            broker.end()
        time.sleep(seconds)
        broker.start()

    def roles_killed(self, rnd):
        roles = rnd.sample(sorted(self.running), rnd.choice((1, 1, 2, 3)))
        self.kill(*roles)
        time.sleep(rnd.choice((0, 0.5, 2)) * rnd.random())
        self.all_up()
        return "kill -9 of " + ", ".join(roles)

    def network_bad(self, rnd, seconds):
        self.network.at_random(rnd.choice((0.1, 0.3)), rnd.randrange(1 << 30))
        time.sleep(seconds)
        self.network.heal()

    def parted(self, rnd, number, seconds):
        self.network.part(number + 1)
        time.sleep(seconds)
        self.network.heal()


def everything(trio, rnd, turns):
    """One broker at a time is away: two have every record."""
    writers = trio.begin(rnd)
    trio.all_go_on()
    happenings = [
        lambda n: trio.broker_away(rnd, n, signal.SIGKILL, 3 * rnd.random()) or "kill -9 of broker %d" % (n + 1),
        lambda n: trio.roles_killed(rnd),
        lambda n: trio.network_bad(rnd, 3) or "a bad network",
        lambda n: trio.roles_killed(rnd),
        lambda n: trio.parted(rnd, n, 4 * rnd.random()) or "nothing passes to broker %d" % (n + 1),
        lambda n: trio.broker_away(rnd, n, signal.SIGTERM, 0) or "bounce of broker %d" % (n + 1)]
    for turn in range(turns):
        if turn % len(happenings) == 0:
            rnd.shuffle(happenings)
        said = happenings[turn % len(happenings)](rnd.randrange(3))
        print("         %s" % said, flush=True)
        trio.kafka.wait()
        trio.look()
        if turn % len(happenings) == len(happenings) - 1:  # one is dead for a while, and others die meanwhile
            dead = trio.kafka.brokers[rnd.randrange(3)]
            dead.end()
            print("         broker %d is dead, %s" % (dead.number, trio.roles_killed(rnd)), flush=True)
            trio.all_go_on(ONE_COPY)
            dead.start()
            trio.kafka.wait()
    finish(trio, writers)


def bounces(trio, rnd, turns):
    writers = trio.begin(rnd)
    trio.all_go_on()
    for turn in range(turns):
        trio.broker_away(rnd, turn % 3, signal.SIGTERM, rnd.random())
        trio.kafka.wait()
        center = rnd.choice([role for role in trio.roles if kind(role) == "center"])
        if turn % 2:
            trio.kill(center)
        else:
            trio.stop(center)
        trio.all_up()
        trio.all_go_on()
    finish(trio, writers)


def away(trio, rnd, turns):
    writers = trio.begin(rnd)
    trio.all_go_on()
    for _ in range(turns):
        for broker in trio.kafka.brokers:
            broker.end()  # in order the last ones could not: they ask each other
        gone = time.monotonic()
        trio.step("a Center names Kafka", 60, lambda: any(
            "realtime" in trio.in_trouble(role) for role in trio.running if kind(role) == "center"))
        trio.grows("the files go on")
        trio.stop("local")  # what waits for Kafka alone is in its spool
        trio.stop("center")
        trio.all_up()
        trio.grows("and after a stop of a Local and a Center")
        trio.step("a transaction's time is over", 60, lambda gone=gone: time.monotonic() - gone > 17)
        trio.kafka.start()
        trio.all_go_on()
    finish(trio, writers)


def finish(trio, writers):
    for writer in writers:
        trio.end_writer(writer)
    trio.settle()
    print("         %d lives, %d faults of the network" % (trio.lives, len(trio.network.fired)), flush=True)


CASES = {"all": (everything, 6, 60), "bounces": (bounces, 2, 20), "away": (away, 1, 4)}


def main():
    failed = 0
    for args, name, rnd in each_case(__doc__, CASES, "--long"):
        body, short, long = CASES[name]
        with ZooKeeper(1, tick_ms=500) as zoo, Kafka(3, doors=True) as kafka:
            trio = WithKafka("kafka-" + name, zoo, kafka, centers=3 if args.long else 2)
            failed |= run("kafka --seed %d %s%s" % (args.seed, name, " --long" if args.long else ""),
                          lambda t: body(t, rnd, long if args.long else short), trio)  # noqa: B023
    return failed


if __name__ == "__main__":
    sys.exit(main())
