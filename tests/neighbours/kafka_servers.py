"""The servers of a Kafka (kafka.py): a JVM each, broker and controller in one, with its own folder, ports and settings; before 3.0
with a ZooKeeper beside them.
"""
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.path.insert(0, os.path.join(HERE, "../road"))
from kafka_client import KafkaClient  # noqa: E402
from ports import free_port  # noqa: E402
from programs import Program, wait_for  # noqa: E402
from rdkafka import RdKafkaError  # noqa: E402
from zoo_client import Client  # noqa: E402

ON_LOOPBACK = "127.0.0.1"
LOGGING = """log4j.rootLogger=WARN,err
log4j.appender.err=org.apache.log4j.ConsoleAppender
log4j.appender.err.layout=org.apache.log4j.PatternLayout
log4j.appender.err.layout.ConversionPattern=%d{ABSOLUTE} %p %c{1}: %m%n
"""
INSIDE = "INSIDE"  # for brokers among themselves and for judges: without a proxy, and nobody must say who he is


class Broker(Program):
    """A JVM of `lab`, in a folder of its own; its ports are the same through all its lives."""

    own_listeners = (INSIDE, "CONTROLLER")

    def __init__(self, lab, number):
        super().__init__("%s/broker-%d" % (lab.folder, number))
        self.lab, self.number, self.name = lab, number, "broker-%d" % number
        self.ports = {name: free_port() for name in (*self.own_listeners, *lab.listeners)}
        self.advertised = dict(self.ports)  # what clients are told: those of proxies, where there are some

    def at(self, listener):
        """Where clients reach it."""
        return "%s:%d" % (ON_LOOPBACK, self.advertised[listener])

    @property
    def inside(self):
        return self.at(INSIDE)

    @property
    def properties_file(self):
        return self.folder + "/server.properties"

    def listeners(self, ports, *without):
        return ",".join("%s://%s:%d" % (name, ON_LOOPBACK, port) for name, port in ports.items() if name not in without)

    @property
    def copies(self):
        return min(3, len(self.lab.brokers))

    def role(self):
        """Who it is, and by what its cluster decides."""
        return {
            "process.roles": "broker,controller", "node.id": self.number,
            "controller.quorum.voters": ",".join("%d@%s" % (b.number, b.at("CONTROLLER")) for b in self.lab.brokers),
            "controller.listener.names": "CONTROLLER",
            # A broker that was killed comes back when its session has ended.
            "broker.heartbeat.interval.ms": 500, "broker.session.timeout.ms": 2000}

    def settings(self):
        copies, safe = self.copies, 2 if self.copies == 3 else 1
        own = {
            **self.role(), "inter.broker.listener.name": INSIDE,
            "listeners": self.listeners(self.ports), "advertised.listeners": self.listeners(self.advertised, "CONTROLLER"),
            "listener.security.protocol.map": ",".join(
                "%s:%s" % pair for pair in {INSIDE: "PLAINTEXT", "CONTROLLER": "PLAINTEXT", **self.lab.listeners}.items()),
            "log.dirs": "data", "num.partitions": 1, "auto.create.topics.enable": "false",
            "default.replication.factor": copies, "min.insync.replicas": safe,
            "group.initial.rebalance.delay.ms": 0,
            "transaction.abort.timed.out.transaction.cleanup.interval.ms": 1000,
            # small
            "num.network.threads": 2, "num.io.threads": 2, "background.threads": 2, "num.recovery.threads.per.data.dir": 1,
            "log.cleaner.dedupe.buffer.size": 4 * 1024 * 1024, "queued.max.requests": 64}
        for kind, isr in (("offsets.topic", None), ("transaction.state.log", "min.isr"), ("share.coordinator.state.topic", "min.isr")):
            own[kind + ".replication.factor"], own[kind + ".num.partitions"] = copies, 1
            if isr:
                own["%s.%s" % (kind, isr)] = safe
        return {**own, **(self.lab.security.settings() if self.lab.security else {}), **self.lab.settings}

    def configure(self):
        os.makedirs(self.folder, exist_ok=True)
        with open(self.properties_file, "w") as f:
            f.writelines("%s=%s\n" % pair for pair in self.settings().items())

    def formatted(self):
        return os.path.exists(self.folder + "/data/meta.properties")

    def format(self):
        more = self.lab.security.to_format() if self.lab.security else []
        self.lab.carry_out("kafka.tools.StorageTool", "format", "-t", self.lab.cluster, "-c", self.properties_file, *more,
                           folder=self.folder)

    def start(self, detached=False):
        self.run(self.lab.java("kafka.Kafka", self.properties_file), detached)

    def serves(self):
        """It knows all that run, itself too, and is reached by all."""
        try:
            known = KafkaClient(self.inside).brokers(seconds=1)
        except RdKafkaError:
            return False
        return set(known) >= {b.number for b in self.lab.brokers if b.alive()}


class BrokerOfZooKeeper(Broker):
    """As they were before KRaft."""

    own_listeners = (INSIDE,)

    def role(self):
        return {"broker.id": self.number, "zookeeper.connect": self.lab.zookeeper.at, "zookeeper.session.timeout.ms": 2000}

    def formatted(self):
        return True

    def start(self, detached=False):
        """When its session of before has ended: until then it would end itself."""
        with Client(self.lab.zookeeper.at) as zookeeper:
            wait_for("the session of %s to end" % self.name, 20, lambda: not zookeeper.exists("/brokers/ids/%d" % self.number))
        with open(self.folder + "/log4j.properties", "w") as f:
            f.write(LOGGING)
        super().start(detached)
