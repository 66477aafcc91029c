#!/usr/bin/env python3
"""A real Kafka (KRaft), one broker or several, on free ports of loopback. As a module for tests, or by hand:

  kafka.py up [--brokers 3] [--topic NAME] [--security] [--kerberos]    starts one to play with; what is said tells where it is
  kafka.py down                                                         ends it

The jars are fetched once (kafka_jars.py). Each broker is a process of its own, and a controller too.
"""
import argparse
import os
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.path.insert(0, os.path.join(HERE, "../road"))
import rdkafka  # noqa: E402
from kafka_client import KafkaClient  # noqa: E402
from kafka_jars import kafka, major  # noqa: E402
from kafka_security import Security  # noqa: E402
from kafka_servers import INSIDE, Broker, BrokerOfZooKeeper  # noqa: E402
from kerberos import missing  # noqa: E402
from maven_jars import SKIPPED, Lacking  # noqa: E402
from ports import free_port  # noqa: E402
from programs import ByHand, Lab  # noqa: E402
from zookeeper import ZooKeeper  # noqa: E402

CLUSTER = "4L6g3nShT-eMCtK--X86sw"


class Kafka(Lab):
    """`brokers` of them: with three, topics have three copies and two must have a record. With a `with` it ends, and its folder goes.

    Topics are not made by being asked for. `settings` are added to those of the brokers; `version`: another than the usual, before
    3.0 with a ZooKeeper. `doors`: clients are told of the doors of kafka_faults.py alone, which must be opened then. `security`: more
    listeners, by certificates and passwords, with `kerberos` by tickets too (kafka_security.py)."""

    cluster = CLUSTER

    def __init__(self, brokers=1, settings=None, version=None, doors=False, security=False, kerberos=False,
                 folder=None):
        lacking = kerberos and missing()
        if lacking:
            print("no Kerberos here: %s (./dev test takes it out of Debian's packages)" % lacking)
            sys.exit(SKIPPED)
        if not rdkafka.library:
            print("no %s here (./dev test installs librdkafka-dev)" % rdkafka.LIBRARY)
            sys.exit(SKIPPED)
        self.source = kafka(version)
        try:
            self.jars = self.source.fetch()
        except Lacking as e:
            print("no Kafka here: %s" % e)
            sys.exit(e.status)
        self.own = folder is None
        self.folder = folder or tempfile.mkdtemp(prefix="tailrace-kafka-")
        self.settings = settings or {}
        self.security = Security(self.folder, kerberos) if security or kerberos else None
        # Besides those for brokers: name -> Kafka's security protocol.
        self.listeners = {"PLAINTEXT": "PLAINTEXT", **(self.security.listeners if self.security else {})}
        self.archive_into = None  # kafka_archive.py
        with_zookeeper = version and major(version) < 3
        self.zookeeper = ZooKeeper(folder=self.folder + "/zookeeper") if with_zookeeper else None
        self.brokers = [(BrokerOfZooKeeper if with_zookeeper else Broker)(self, n) for n in range(1, brokers + 1)]
        self.servers = self.brokers
        for broker in self.brokers if doors else ():
            broker.advertised["PLAINTEXT"] = free_port()

    def at(self, listener="PLAINTEXT"):
        """As clients name it: host:port,host:port."""
        return ",".join(broker.at(listener) for broker in self.brokers)

    def judge(self, **properties):
        """A client of the brokers' own listener."""
        return KafkaClient(self.at(INSIDE), self.brokers[0].copies, **properties)

    def client(self, listener, mechanism=None, user="tailrace"):
        """One of those that must say who they are; not by tickets."""
        return KafkaClient(self.at(listener), **self.security.client(listener, mechanism, user))

    # --- running ---

    def java(self, main, *words):
        return ["java", *self.sharing(), "-Xms64m", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData",
                "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-Dorg.slf4j.simpleLogger.showDateTime=true",
                "-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS", *(self.security.java() if self.security else []),
                *(["-Dlog4j.configuration=file:log4j.properties"] if self.zookeeper else []), "-cp", self.jars + "/*", main, *words]

    def sharing(self):
        """With an archive of its classes a JVM starts in half the time."""
        if self.archive_into:
            return ["-XX:ArchiveClassesAtExit=" + self.archive_into]
        archive = self.source.archive()
        return ["-XX:SharedArchiveFile=" + archive] if os.path.exists(archive) else []

    def carry_out(self, main, *words, folder):
        done = subprocess.run(self.java(main, *words), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, cwd=folder, check=False)
        if done.returncode != 0:
            raise RuntimeError("%s ended with %d:\n%s" % (main, done.returncode, done.stdout[-2000:]))

    def start(self, detached=False):
        """All that do not run."""
        if self.security:
            self.security.start(detached)
        if self.zookeeper:
            self.zookeeper.start(detached)
        down = [broker for broker in self.brokers if not broker.alive()]
        for broker in down:
            broker.configure()
            if not broker.formatted():
                broker.format()
        for broker in down:
            broker.start(detached)
        self.wait()
        return self

    def stop(self):
        super().stop()
        if self.security:
            self.security.end()
        if self.zookeeper:
            self.zookeeper.stop()


# --- by hand --------------------------------------------------------------------------------------

PLACE = os.path.join(os.path.dirname(os.path.dirname(HERE)), "build", "neighbours", "kafka")
BY_HAND = ByHand(PLACE)


def up(args):
    if BY_HAND.up():
        print("one is up already: see `kafka.py down`")
        return 1
    shutil.rmtree(PLACE, ignore_errors=True)
    lab = Kafka(args.brokers, version=args.version, security=args.security, kerberos=args.kerberos, folder=PLACE)
    try:
        lab.start(detached=True)
        for topic in args.topic:
            lab.judge().create_topic(topic, args.partitions)
    except BaseException:
        lab.stop()
        raise
    BY_HAND.keep(lab.brokers + ([lab.security.kdc] if args.kerberos else []) + (lab.zookeeper.servers if lab.zookeeper else []))
    print("Kafka serves at %s; its data and logs are in %s" % (lab.at(), PLACE))
    print("Topics:        %s (those of --topic; none is made by being written to)" % (", ".join(args.topic) or "none"))
    print("Look into it:  kcat -b %s -L" % lab.at())
    print("Read a topic:  kcat -b %s -C -t TOPIC -e -X isolation.level=read_committed" % lab.at())
    for listener, mechanism in lab.security.ways() if lab.security else ():
        print("By %-20s %s  %s" % (" and ".join(filter(None, (listener, mechanism))) + ":", lab.at(listener), " ".join(
            "-X %s=%s" % pair for pair in lab.security.client(listener, mechanism).items())))
    if args.kerberos:
        print("For GSSAPI:    %s" % " ".join("%s=%s" % pair for pair in lab.security.environment().items()))
    return 0


def down():
    print("ended; its data and logs stay in " + PLACE if BY_HAND.down() else "none is up")
    return 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("up", "down"))
    parser.add_argument("--brokers", type=int, default=1)
    parser.add_argument("--version", help="of Kafka, another than the usual: from 0.10.2.2 on, before 3.0 with a ZooKeeper")
    parser.add_argument("--security", action="store_true", help="more listeners: TLS, mutual TLS, SASL")
    parser.add_argument("--kerberos", action="store_true", help="SASL by tickets too, in a realm of its own")
    parser.add_argument("--topic", action="append", default=[], help="makes this topic; may be repeated")
    parser.add_argument("--partitions", type=int, default=4, help="of each of these topics")
    args = parser.parse_args()
    return up(args) if args.what == "up" else down()


if __name__ == "__main__":
    sys.exit(main())
