#!/usr/bin/env python3
"""What a real Kafka takes, and how fast it tells: a record that it refuses would hold its whole category up, for ever."""
import os
import random
import shutil
import subprocess
import sys
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from kafka import Kafka  # noqa: E402
from kafka_producer import Producer  # noqa: E402
from kafka_sink_test import Road  # noqa: E402
from programs import wait_for  # noqa: E402
from rdkafka import RdKafkaError  # noqa: E402
from sink_run import TAILRACE  # noqa: E402

CLOCK = r"""
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
int clock_gettime(clockid_t id, struct timespec *now) {
  int failed = syscall(SYS_clock_gettime, id, now);
  if (id == CLOCK_REALTIME && access(getenv("AHEAD_WHILE"), F_OK) == 0) now->tv_sec += 3 * 3600;
  return failed;
}
"""


class Limits(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.kafka = Kafka()
        cls.kafka.start()
        cls.judge = cls.kafka.judge()

    @classmethod
    def tearDownClass(cls):
        cls.kafka.remove()

    def road(self, name, **sink):
        """Into NAME.web, positions into positions_NAME; neither is made by being asked for."""
        self.judge.create_topic("positions_" + name, 2, {"cleanup.policy": "compact"})
        return Road(self.kafka, {"topic": name + ".{category}", "positions_topic": "positions_" + name, "create_topics": "false", **sink})

    def limit(self, quota):
        """Of our programs, by the brokers."""
        self.kafka.carry_out("kafka.admin.ConfigCommand", "--bootstrap-server", self.kafka.at(), "--alter", "--add-config", quota,
                             "--entity-type", "clients", "--entity-name", "tailrace", folder=self.kafka.folder)

    def test_lines_older_than_their_topic_takes(self):
        with self.road("old") as road:
            road.write("web", 100)
            road.start()
            road.says("'old.web'", "does not exist")
            time.sleep(6)
            self.judge.create_topic("old.web", 1, {"message.timestamp.before.max.ms": 5000})
            road.arrive("web", "old.web")

    def committed(self, topic):
        try:
            return self.judge.watermarks(topic)[1] if self.judge.bounds(topic) else 0
        except RdKafkaError:  # it has just been made
            return 0

    def test_more_than_slow_brokers_take_in_one_transaction(self):
        """It would be given up after 15 s, and what waits meanwhile would make the next one as large."""
        with self.road("much") as road:
            self.judge.create_topic("much.web", 1)
            self.limit("producer_byte_rate=1500000")
            try:
                os.makedirs(road.folder + "/web")
                with open(road.folder + "/web/a.log", "w") as f:
                    f.writelines("%d %s\n" % (i, "x" * 9_990) for i in range(7_000))
                road.start()
                wait_for("all lines", 120, lambda: self.committed("much.web") >= 7_000)
                self.assertNotIn("timed out on", road.said())
            finally:
                self.limit("producer_byte_rate=1000000000")

    def test_lines_of_a_clock_that_is_ahead(self):
        """Kafka 4 refuses what comes from more than an hour ahead."""
        if not shutil.which("cc"):
            raise unittest.SkipTest("no C compiler for a library that plays such a clock")
        with self.road("ahead") as road:
            source, library, ahead = (road.folder + "/clock" + end for end in (".c", ".so", ".ahead"))
            for path, text in ((source, CLOCK), (ahead, "")):
                with open(path, "w") as file:
                    file.write(text)
            subprocess.run(["cc", "-shared", "-fPIC", "-o", library, source], check=True)
            road.environment = {"LD_PRELOAD": library, "AHEAD_WHILE": ahead, "ASAN_OPTIONS": "verify_asan_link_order=0"}
            road.write("web", 100)
            road.start()
            road.says("'ahead.web'", "does not exist")
            os.unlink(ahead)  # somebody sets it
            self.judge.create_topic("ahead.web", 1)
            now = time.time() * 1000
            for record in road.arrive("web", "ahead.web"):
                self.assertLess(abs(record.timestamp - now), 60_000)
            road.says("the clock of", "ahead")

    def test_paths_that_are_long(self):
        chance = random.Random(7)
        for form in ("lines", "packed"):
            self.judge.create_topic(form + ".long.web", 1, {"max.message.bytes": 4000})
            with self.road(form + ".long", form=form, headers=["path", "host"]) as road:
                folder = road.folder + "/web/" + "/".join(["d" * 200] * 6)
                os.makedirs(folder)
                road.settle({"realtime": road.sink}, {"web": {"files": [folder + "/*.log"]}}, "kafka")
                want = ["".join(chance.choices("abcdefghij", k=k)) for k in (10, 7000, 20_000)]
                with open(folder + "/a.log", "w") as f:
                    f.writelines(line + "\n" for line in want)
                done = road.once()
                self.assertEqual(done.returncode, 0, done.stdout[-3000:])
                read = subprocess.run([TAILRACE, "cat", "kafka://%s/%s.long.web" % (self.kafka.at(), form)], stdout=subprocess.PIPE, text=True,
                                      timeout=60, check=True).stdout
                self.assertEqual(read.splitlines(), want)

    def test_positions_that_take_long_to_read(self):
        with self.road("slow") as road:
            self.judge.create_topic("slow.web", 1)
            road.write("web", 100)
            self.assertEqual(road.once().returncode, 0)
            producer = Producer(self.kafka.at())
            self.addCleanup(producer.close)
            for i in range(20):  # as of others' categories
                producer.produce("positions_slow", random.Random(i).randbytes(900_000), b"position/other/%d" % i, 1)
            producer.flush()
            self.limit("consumer_byte_rate=1000000")
            self.addCleanup(self.limit, "consumer_byte_rate=1000000000")
            road.write("web", 100)
            road.start()
            road.says("'web'", "is being read", "%")
            road.arrive("web", "slow.web")


if __name__ == "__main__":
    unittest.main(verbosity=2)
