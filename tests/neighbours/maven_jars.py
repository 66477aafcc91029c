"""Jars from Maven's central repository by mvn itself, those that a pom names. They stay in ${XDG_CACHE_HOME:-~/.cache}/tailrace, one
folder a content of the pom and a version; whoever comes first fetches them, others wait.
"""
import contextlib
import fcntl
import glob
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile

SKIPPED = 77  # what ctest takes for "skipped"
HERE = os.path.dirname(os.path.abspath(__file__))


class Lacking(Exception):
    """Why there are no jars here; `tools`: what fetches them is not installed."""

    def __init__(self, why, tools=False):
        super().__init__(why)
        self.tools = tools

    @property
    def status(self):
        """What a test ends with."""
        return SKIPPED if self.tools else 1


def cache():
    return os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "tailrace")


class Jars:
    """Those of NAME_pom.xml, `title` for people; `version`: another one than stands there. `then` makes of their folder what it
    shall be, before it counts."""

    def __init__(self, name, title, version=None, then=None):
        self.name, self.title, self.version, self.then = name, title, version, then
        self.pom = os.path.join(HERE, name + "_pom.xml")

    def place(self):
        """Where the jars are, or will be."""
        with open(self.pom, "rb") as f:
            content = hashlib.sha256(f.read()).hexdigest()[:16]
        return os.path.join(cache(), "-".join(filter(None, (self.name.replace("_", "-"), self.version, content))))

    def archive(self):
        """Of the classes of these jars, for java -XX:SharedArchiveFile; NAME_archive.py makes it. Another java leaves it alone."""
        return self.place() + ".jsa"

    def fetch(self):
        """The folder with the jars, after fetching them where they are not there yet. Raises Lacking."""
        folder = self.place()
        if os.path.isdir(folder):  # it gets its name when it is whole
            return folder
        if not shutil.which("mvn") or not shutil.which("java"):
            raise Lacking("no mvn or no java here (./dev test installs maven and openjdk-17-jre-headless)", tools=True)
        with made_once(folder) as part:
            if part:
                print("fetching %s, once, into %s" % (self.title, folder), file=sys.stderr, flush=True)
                self.fetch_into(part)
                if self.then:
                    self.then(part + "/lib")
                os.rename(part + "/lib", folder)
        return folder

    def fetch_into(self, part):
        shutil.copy(self.pom, part + "/pom.xml")  # mvn may write beside it
        done = subprocess.run(
            ["mvn", "--quiet", "--batch-mode", "--strict-checksums", "--file", part + "/pom.xml", "dependency:copy-dependencies",
             "-DoutputDirectory=" + part + "/lib", "-DincludeScope=runtime",
             *(["-D%s=%s" % (self.name, self.version)] if self.version else [])],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        if done.returncode != 0:
            raise Lacking("mvn could not fetch %s:\n%s" % (self.title, done.stdout[-3000:]))


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


def main(jars):
    try:
        print(jars.fetch())
    except Lacking as e:
        print("%s: %s" % (os.path.basename(sys.argv[0]), e), file=sys.stderr)
        sys.exit(e.status)
