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
from kafka_servers import INSIDE  # noqa: E402
from rig import Failure, wait_for  # noqa: E402
from trio import kind  # noqa: E402
from two_sinks import Both  # noqa: E402

TOPICS = ("alpha", "beta", "gamma", "delta")
PARTITIONS = 3
POSITIONS = "__tailrace_positions"
KAFKA = "sinks:\n  realtime: {type: kafka, brokers: [%s], latency: 200ms}\n"


class Topics:
    """Beside a Trio, before it in what a rig derives from: its Centers have Kafka besides the files, if `with_kafka`."""

    with_kafka = True

    def make_topics(self, kafka):
        self.kafka, self.client = kafka, kafka.judge()
        self.client.create_topic(POSITIONS, 8, {"cleanup.policy": "compact"})
        for topic in TOPICS:
            self.client.create_topic(topic, PARTITIONS)

    def configure(self, role, more):
        if kind(role) == "center" and self.with_kafka:
            more = more.replace("sinks:\n", KAFKA % self.kafka.at())
        super().configure(role, more)

    def begin(self, rnd, rate=300):
        self.all_up()
        return self.write_on_all(rnd.randrange(1 << 30), "--rate", str(rate), "--categories", ",".join(TOPICS), "--files", "8")

    def records(self):
        """{topic: how far what counts reaches}; empty: a broker has just gone. By kcat: librdkafka's query_watermark_offsets never
        comes back if the broker that it asks dies (2.0.2)."""
        asked = [word for topic in TOPICS for p in range(PARTITIONS) for word in ("-t", "%s:%d:-1" % (topic, p))]
        try:
            said = subprocess.run(["kcat", "-q", "-Q", "-b", self.kafka.at(INSIDE), "-X", "isolation.level=read_committed", *asked],
                                  capture_output=True, text=True, timeout=20, check=True).stdout
        except subprocess.SubprocessError:
            return {}
        ends = collections.Counter()
        for topic, end in re.findall(r"^(\w+) \[\d+\] offset (\d+)$", said, re.M):
            ends[topic] += int(end)
        return ends

    def topics_go_on(self, seconds=120):
        before = wait_for("the topics' ends", seconds, self.records)
        self.step("all topics go on", seconds, lambda: (now := self.records()) and all(now[t] > before[t] for t in TOPICS))

    # --- judging ---

    def fetch(self):
        """All of Kafka as a tree of files, one for each partition; its folder."""
        folder = self.folder + "/topics"
        for topic in TOPICS:
            lines, pieces = collections.defaultdict(list), collections.defaultdict(bytes)
            for record in self.client.kcat(topic, 30):
                pieces[record.partition] += record.value
                if b"split=more" not in record.headers:
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
        return Both(found)
