#!/usr/bin/env python3
"""Kafka's jars, those that kafka_pom.xml names, or before 2.0 kafka_old_pom.xml (maven_jars.py).

  kafka_jars.py [VERSION]     fetches what is lacking, prints the folder
"""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from maven_jars import Jars, main  # noqa: E402


def major(version):
    return int(version.partition(".")[0])


def kafka(version=None):
    """None: the one that the pom names."""
    name = "kafka_old" if version and major(version) < 2 else "kafka"
    return Jars(name, "the jars of Kafka%s (about 45 MiB)" % (" " + version if version else ""), version)


if __name__ == "__main__":
    main(kafka(*sys.argv[1:2]))
