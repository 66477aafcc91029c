#!/usr/bin/env python3
"""An archive of the classes that Kafka's brokers load, beside its jars: with it their JVMs start in half the time. kafka.py uses it
where it is there; nothing needs it.

  kafka_archive.py [VERSION]     makes it, once, by the life of one broker
"""
import os
import signal
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from kafka import Kafka  # noqa: E402
from kafka_jars import kafka  # noqa: E402
from maven_jars import made_once  # noqa: E402


def make_in(folder, version):
    lab = Kafka(version=version, folder=folder + "/kafka")
    try:
        lab.brokers[0].configure()
        lab.brokers[0].format()
        lab.archive_into = folder + "/archive"
        lab.start()
        judge = lab.judge()
        judge.create_topic("a")
        judge.read_committed("a")
        lab.brokers[0].end(signal.SIGTERM)
    finally:
        lab.stop()


def main(version=None):
    jars = kafka(version)
    jars.fetch()
    archive = jars.archive()
    with made_once(archive) as part:
        if part:
            make_in(part, version)
            os.rename(part + "/archive", archive)
    print(archive)


if __name__ == "__main__":
    main(*sys.argv[1:2])
