#!/usr/bin/env python3
"""Hadoop's jars, those that hadoop_pom.xml names, and its native library, which hadoop_native_pom.xml names, from Maven's central
repository by mvn itself. They stay in ${XDG_CACHE_HOME:-~/.cache}/tailrace, one folder a content of the pom; whoever comes first
fetches them, others wait.

  hadoop_jars.py [native]        fetches what is lacking, prints the folder
"""
import contextlib
import fcntl
import glob
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import zipfile

SKIPPED = 77  # what ctest takes for "skipped"
HERE = os.path.dirname(os.path.abspath(__file__))
POM = os.path.join(HERE, "hadoop_pom.xml")
NATIVE_POM = os.path.join(HERE, "hadoop_native_pom.xml")
NATIVE = "libhadoop.so"


class Lacking(Exception):
    """Why there are no jars here; `tools`: what fetches them is not installed."""

    def __init__(self, why, tools=False):
        super().__init__(why)
        self.tools = tools


def cache():
    return os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "tailrace")


def place(pom=POM):
    """Where the jars are, or will be."""
    kind = os.path.basename(pom).removesuffix("_pom.xml").replace("_", "-")  # hadoop, hadoop-native
    with open(pom, "rb") as f:
        return os.path.join(cache(), "%s-%s" % (kind, hashlib.sha256(f.read()).hexdigest()[:16]))


def archive():
    """Of the classes of these jars, for java -XX:SharedArchiveFile; hdfs.py makes it. Another java leaves it alone."""
    return place() + ".jsa"


def fetch():
    """The folder with the jars, after fetching them where they are not there yet. Raises Lacking."""
    return fetched(POM, "Hadoop's jars (about 80 MiB, once)")


def fetch_native():
    """The folder with libhadoop.so alone, for java -Djava.library.path: Hadoop reads zstd with it, and only with it. Raises
    Lacking."""
    return fetched(NATIVE_POM, "Hadoop's native library (about 31 MiB, once)", unpack_native)


def fetched(pom, what, then=lambda folder: None):
    folder = place(pom)
    if os.path.isdir(folder):  # it gets its name when it is whole
        return folder
    if not shutil.which("mvn") or not shutil.which("java"):
        raise Lacking("no mvn or no java here (./dev test installs maven and openjdk-17-jre-headless)", tools=True)
    with made_once(folder) as part:
        if part:
            print("fetching %s into %s" % (what, folder), file=sys.stderr, flush=True)
            fetch_into(part, pom)
            then(part + "/lib")
            os.rename(part + "/lib", folder)
    return folder


def unpack_native(folder):
    machine = {"x86_64": "amd64"}.get(platform.machine(), platform.machine())
    jar, = glob.glob(folder + "/*.jar")
    with zipfile.ZipFile(jar) as inside, open(os.path.join(folder, NATIVE), "wb") as f:
        try:
            f.write(inside.read("nativelib/Linux-%s/%s" % (machine, NATIVE)))
        except KeyError:
            raise Lacking("Hadoop has no native library for %s" % machine, tools=True) from None
    os.remove(jar)


@contextlib.contextmanager
def made_once(path):
    """For who shall make `path`: a folder to do it in, which goes afterwards; None: somebody else did it meanwhile."""
    os.makedirs(cache(), exist_ok=True)
    with open(path + ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if os.path.exists(path):
            yield None
            return
        for left in glob.glob(glob.escape(path) + ".part-*"):  # by somebody who was killed
            shutil.rmtree(left, ignore_errors=True)
        part = tempfile.mkdtemp(prefix=os.path.basename(path) + ".part-", dir=cache())
        try:
            yield part
        finally:
            shutil.rmtree(part, ignore_errors=True)


def fetch_into(part, pom):
    shutil.copy(pom, part + "/pom.xml")  # mvn may write beside it
    done = subprocess.run(
        ["mvn", "--quiet", "--batch-mode", "--strict-checksums", "--file", part + "/pom.xml", "dependency:copy-dependencies",
         "-DoutputDirectory=" + part + "/lib", "-DincludeScope=runtime"],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode != 0:
        raise Lacking("mvn could not fetch Hadoop's jars:\n" + done.stdout[-3000:])


if __name__ == "__main__":
    try:
        print(fetch_native() if sys.argv[1:] == ["native"] else fetch())
    except Lacking as e:
        print("hadoop_jars.py: %s" % e, file=sys.stderr)
        sys.exit(SKIPPED if e.tools else 1)
