#!/usr/bin/env python3
"""An archive of the classes that Hadoop's servers load, beside its jars: with it their JVMs start in half the time. hdfs.py uses
it where it is there; nothing needs it.

  hadoop_archive.py      makes it, once, by starting a HDFS that writes down what it loads
"""
import glob
import os
import re
import signal
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import hadoop_jars  # noqa: E402
from hdfs import Hdfs  # noqa: E402

CLASS = re.compile(r"[A-Za-z0-9_/$]+\n")  # the JVM's threads write into each other's lines: what is no class is left out


def lists_of_a_life(folder):
    """Of every kind of server, from its start to its end."""
    hdfs = Hdfs(httpfs=True, ha=True, folder=folder + "/hdfs")
    hdfs.class_lists = folder + "/lists"
    os.mkdir(hdfs.class_lists)
    try:
        hdfs.start()
        for client in (hdfs.client(), hdfs.httpfs_client()):
            client.create("/a", b"abc", overwrite=True)
            client.read("/a")
            client.rename("/a", "/b")
            client.list("/")
            client.delete("/b")
        hdfs.safemode(False)
        for server in hdfs.servers:
            server.end(signal.SIGTERM)
    finally:
        hdfs.stop()
    return hdfs, glob.glob(hdfs.class_lists + "/*")


def make_in(folder):
    hdfs, lists = lists_of_a_life(folder)
    lines = {}  # in their order
    for name in lists:
        with open(name) as f:
            lines.update((line, None) for line in f if CLASS.fullmatch(line))
    with open(folder + "/classes", "w") as f:
        f.writelines(lines)
    hdfs.carry_out(["java", "-Xmx1g", "-XX:+UseSerialGC", "-Xshare:dump", "-XX:SharedClassListFile=%s/classes" % folder,
                    "-XX:SharedArchiveFile=%s/archive" % folder, "-Xlog:disable", "-cp", hdfs.jars + "/*"])


def main():
    with hadoop_jars.made_once(hadoop_jars.archive()) as part:
        if part:
            make_in(part)
            os.rename(part + "/archive", hadoop_jars.archive())
    print(hadoop_jars.archive())


if __name__ == "__main__":
    main()
