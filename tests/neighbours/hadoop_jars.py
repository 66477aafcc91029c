#!/usr/bin/env python3
"""Hadoop's jars, those that hadoop_pom.xml names, and its native library, which hadoop_native_pom.xml names (maven_jars.py).

  hadoop_jars.py [native]        fetches what is lacking, prints the folder
"""
import glob
import os
import platform
import sys
import zipfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from maven_jars import SKIPPED, Jars, Lacking, made_once, main  # noqa: E402, F401

LIBRARY = "libhadoop.so"


def unpack_native(folder):
    machine = {"x86_64": "amd64"}.get(platform.machine(), platform.machine())
    jar, = glob.glob(folder + "/*.jar")
    with zipfile.ZipFile(jar) as inside, open(os.path.join(folder, LIBRARY), "wb") as f:
        try:
            f.write(inside.read("nativelib/Linux-%s/%s" % (machine, LIBRARY)))
        except KeyError:
            raise Lacking("Hadoop has no native library for %s" % machine, tools=True) from None
    os.remove(jar)


HADOOP = Jars("hadoop", "Hadoop's jars (about 80 MiB)")
# Its folder has libhadoop.so alone, for java -Djava.library.path: Hadoop reads zstd with it, and only with it.
NATIVE = Jars("hadoop_native", "Hadoop's native library (about 31 MiB)", then=unpack_native)
place, archive, fetch, fetch_native = HADOOP.place, HADOOP.archive, HADOOP.fetch, NATIVE.fetch


if __name__ == "__main__":
    main(NATIVE if sys.argv[1:] == ["native"] else HADOOP)
