"""What the chaos runs with a real Kafka share: its topics, read as files, beside those of a Trio."""
import collections
import os
import re
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.path.insert(0, HERE + "/../neighbours")
import judge  # noqa: E402
from kafka_client import KafkaClient  # noqa: E402
from kafka_servers import INSIDE  # noqa: E402
from rig import Failure, wait_for  # noqa: E402
from trio import kind  # noqa: E402
from two_sinks import Both  # noqa: E402

TOPICS = ("alpha", "beta", "gamma", "delta")
ONE_COPY = ("delta",)  # one broker that dies leaves some of its partitions without a leader, the others go on (T48)
PARTITIONS = 3
POSITIONS = "__tailrace_positions"
KAFKA = "sinks:\n  realtime: {type: kafka, brokers: [%s], latency: 200ms}\n"


class Differ:
    """What a judge of each end found, and where they are not the same: {(file, generation): its lines there}."""

    def __init__(self, one, other):
        self.differ = [key for key, g in one.ledger.generations.items() if g.seen != other.ledger.generations[key].seen]
        self.clean = not self.differ

    def summary(self):
        return "both ends: %s" % ("not the same lines of %s" % self.differ[:10] if self.differ else "the same lines")

    def print(self):
        print(self.summary(), flush=True)


class Topics:
    """Beside a Trio, before it in what a rig derives from: its Centers have Kafka besides the files, if `with_kafka`."""

    with_kafka = True

    def make_topics(self, kafka):
        self.kafka, self.client = kafka, kafka.judge()
        self.client.create_topic(POSITIONS, 8, {"cleanup.policy": "compact"})
        for topic in TOPICS:
            if topic in ONE_COPY:
                KafkaClient(kafka.at(INSIDE), 1).create_topic(topic, PARTITIONS, {"min.insync.replicas": 1})
            else:
                self.client.create_topic(topic, PARTITIONS)

    def configure(self, role, more):
        if kind(role) == "center" and self.with_kafka:
            more = more.replace("sinks:\n", KAFKA % self.kafka.at())
        super().configure(role, more)

    def begin(self, rnd, rate=300):
        self.all_up()
        return self.write_on_all(rnd.randrange(1 << 30), "--rate", str(rate), "--pause", "0.1", "--categories", ",".join(TOPICS),
                                 "--files", "8")

    def records(self, topics=TOPICS):
        """{topic: how far what counts reaches}; empty: a broker has just gone. By kcat: librdkafka's query_watermark_offsets never
        comes back if the broker that it asks dies (2.0.2)."""
        asked = [word for topic in topics for p in range(PARTITIONS) for word in ("-t", "%s:%d:-1" % (topic, p))]
        try:
            said = subprocess.run(["kcat", "-q", "-Q", "-b", self.kafka.at(INSIDE), "-X", "isolation.level=read_committed", *asked],
                                  capture_output=True, text=True, timeout=20, check=True).stdout
        except subprocess.SubprocessError:
            return {}
        ends = collections.Counter()
        for topic, end in re.findall(r"^(\w+) \[\d+\] offset (\d+)$", said, re.M):
            ends[topic] += int(end)
        return ends

    def topics_go_on(self, topics=TOPICS, seconds=120):
        before = wait_for("the topics' ends", seconds, lambda: self.records(topics))
        self.step("%d topics go on" % len(topics), seconds,
                  lambda: (now := self.records(topics)) and all(now[t] > before[t] for t in topics))

    # --- judging ---

    def fetch(self):
        """All of Kafka as a tree of files, one for each partition; its folder."""
        folder = self.folder + "/topics"
        for topic in TOPICS:
            lines, pieces = collections.defaultdict(list), collections.defaultdict(bytes)
            for record in self.client.kcat(topic, 30):
                pieces[record.partition] += record.value
                split = re.search(rb"split=(\d+)/(\d+)$", record.headers)
                if not split or int(split[1]) + len(record.value) == int(split[2]):
                    lines[record.partition].append(pieces.pop(record.partition) + b"\n")
            if pieces:
                raise Failure("%s: half a line" % topic)
            os.makedirs("%s/%s" % (folder, topic), exist_ok=True)
            for partition, found in lines.items():
                with open("%s/%s/%d.log" % (folder, topic, partition), "wb") as f:
                    f.writelines(found)
        return folder

    def judge_topics(self, optional=True):
        return judge.Judge(judge.Ledger(self.ledger, optional)).tree(self.fetch())

    def judge_quietly(self, optional):
        found = [super().judge_quietly(optional)]
        if found[0].clean and self.with_kafka:  # that is cheaper to know
            found.append(self.judge_topics(optional))
            found.append(Differ(*found))
        return Both(found)
