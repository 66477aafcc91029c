"""Our store at a HDFS of hdfs.py, and `tailrace run` at any sink, with whatever settings."""
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
from programs import Program, wait_for  # noqa: E402

CONFORMANCE = os.environ.get("HDFS_CONFORMANCE") or os.path.join(HERE, "../../build/test/bin/hdfs_conformance")
TAILRACE = os.environ.get("TAILRACE_BIN") or os.path.join(HERE, "../../build/bin/tailrace")
PATIENCE_S = 60


def conforms(test, url, environment=None, **settings):
    words = ["%s=%s" % pair for pair in settings.items()]
    done = subprocess.run([CONFORMANCE, "--log_level=error", "--", url, *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, timeout=180, check=False, env={**os.environ, **(environment or {})})
    test.assertEqual(done.returncode, 0, done.stdout)
    test.assertIn("No errors detected", done.stdout)


class RunInFolder(Program):
    """A `tailrace run` and all that belongs to it; with a `with` it ends, and its folder goes."""

    def __init__(self, prefix):
        super().__init__(tempfile.mkdtemp(prefix=prefix))

    def settle(self, sinks, pipelines, cluster):
        """Its run.yaml."""
        with open(self.folder + "/run.yaml", "w") as f:  # JSON is YAML
            json.dump({"role": "run", "cluster": cluster, "state": self.folder + "/state", "admin": "127.0.0.1:0",
                       "sinks": sinks, "pipelines": pipelines}, f)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()
        shutil.rmtree(self.folder)

    def said(self):
        with open(self.folder + "/log", errors="replace") as f:
            return f.read()

    def says(self, *texts):
        """Waits for the message that holds them all; its line."""
        def found():
            if not self.alive():
                raise AssertionError("it ended:\n" + self.said()[-3000:])
            return next((line for line in self.said().splitlines() if all(text in line for text in texts)), None)
        try:
            return wait_for("'%s'" % "', '".join(texts), PATIENCE_S, found)
        except AssertionError as e:
            raise AssertionError("%s:\n%s" % (e, self.said()[-3000:])) from None


class Run(RunInFolder):
    """With one sink of HDFS, at `url` or several of them, and those of its `settings`."""

    def __init__(self, url, environment=None, pipeline=None, **settings):
        super().__init__("tailrace-access-")
        self.environment = environment
        sink = {"type": "hdfs", **({"url": url if isinstance(url, list) else [url]} if url else {}), "root": "/logs", "layout": "{category}",
                "timezone": "UTC", "roll": {"age": "1s", "idle": "1s"}, **settings}
        self.settle({"warehouse": sink}, {"web": {"files": [self.folder + "/web.log"], **(pipeline or {})}}, "access")
        self.lines = 0

    def __enter__(self):
        self.run([TAILRACE, "run", "--config", self.folder + "/run.yaml"], environment=self.environment)
        return self

    def asked(self, path):
        """What its admin port says."""
        doors = re.findall(r"http://127\.0\.0\.1:\d+/", self.said())
        with urllib.request.urlopen(doors[-1] + path, timeout=10) as answer:
            return answer.read().decode()

    def status(self):
        return self.asked("api/v1/status")

    def metric(self, name):
        """The sum of all its series."""
        return sum(float(line.rpartition(" ")[2]) for line in self.asked("metrics").splitlines()
                   if re.match(name + r"[{ ]", line))

    def writes(self, lines=10):
        with open(self.folder + "/web.log", "a") as f:
            for _ in range(lines):
                self.lines += 1
                f.write("line %d\n" % self.lines)

    def writes_bytes(self, count):
        """As many at least, in one go."""
        with open(self.folder + "/web.log", "a") as f:
            f.write(("x" * 1023 + "\n") * (count // 1024 + 1))
