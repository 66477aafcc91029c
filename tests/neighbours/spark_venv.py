#!/usr/bin/env python3
"""PySpark of PyPI in a virtual environment of its own, in ${XDG_CACHE_HOME:-~/.cache}/tailrace: about 371 MiB, installed by pip once.

  spark_venv.py         installs it where it is lacking, prints its python
"""
import os
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from maven_jars import SKIPPED, Lacking, cache, made_once  # noqa: E402

VERSION = "3.5.6"


def fetch():
    """Its python. Raises Lacking."""
    folder = os.path.join(cache(), "pyspark-" + VERSION)
    python = folder + "/bin/python"
    if not os.path.exists(folder + ".whole"):
        with made_once(folder + ".whole") as part:  # a virtual environment stays where it was made
            if part:
                print("installing PySpark %s (about 371 MiB, once) into %s" % (VERSION, folder), file=sys.stderr, flush=True)
                make(folder, python)
                with open(folder + ".whole", "w"):
                    pass
    return python


def make(folder, python):
    for words in ([sys.executable, "-m", "venv", "--clear", folder],
                  [python, "-m", "pip", "--quiet", "--disable-pip-version-check", "install", "pyspark==" + VERSION]):
        done = subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              check=False)
        if done.returncode != 0:
            raise Lacking("%s:\n%s" % (" ".join(words), done.stdout[-3000:]))


if __name__ == "__main__":
    try:
        print(fetch())
    except Lacking as e:
        print("spark_venv.py: %s" % e, file=sys.stderr)
        sys.exit(SKIPPED if e.tools else 1)
