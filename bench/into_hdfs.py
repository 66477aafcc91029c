"""Into a real HDFS, which is started here: H1 and H3 of docs/performance.md."""
import functools
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from trio import Failed, Trio

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "neighbours"))
from hdfs import Hdfs  # noqa: E402

CATEGORIES, TURNS, TURN_S = 5, 12, 3
METRICS_S = 11  # what /jmx tells is up to 10 s old
COMMIT = re.compile(r"/logs/[^/]+/\d+$")


def published(client, root):
    return [path for path in client.walk(root) if not path.startswith("_")]


def fetch(client, root, to):
    """Copies what is published there, by a reader that is not ours."""
    for path in published(client, root):
        (to / path).parent.mkdir(parents=True, exist_ok=True)
        (to / path).write_bytes(client.read(f"{root}/{path}"))
    return to


class HdfsTrio(Trio):
    """The three daemons; the Center publishes into `hdfs`."""

    def __init__(self, hdfs, *arguments):
        self.hdfs = hdfs
        super().__init__(*arguments)

    def sink(self):
        return (f"type: hdfs, url: [\"webhdfs://{self.hdfs.namenodes[0].at}\"], user: {self.hdfs.superuser}, "
                f"root: /{self.folder.name}, control: /{self.folder.name}-control")

    def tree(self):
        return fetch(self.hdfs.client(), "/" + self.folder.name, self.to)


def h1(bench):
    """The Center's CPU a GiB over S, into HDFS."""
    with Hdfs() as hdfs:
        return bench.daemon_cost(("center",), "gzip", functools.partial(HdfsTrio, hdfs))


def operations(hdfs):
    """On files and directories, that the NameNode has done, by its own count."""
    time.sleep(METRICS_S)
    return hdfs.namenodes[0].beans("service=NameNode,name=NameNodeActivity")["TotalFileOps"]


def commits(client, root):
    return sum(bool(COMMIT.search(path)) for path in client.walk(root))


def h3(bench):
    """The NameNode's operations for each published file, five of them in a commit."""
    state = Path(tempfile.mkdtemp(prefix="hdfs-", dir=bench.work))
    with Hdfs() as hdfs, open(state / "said", "wb") as said:
        client, root = hdfs.client(), "/logs"
        sources = [word for n in range(CATEGORIES) for word in ("--from", f"c{n}={state}/c{n}.log")]
        command = [bench.bin / "tailrace", "run", *sources, "--roll-idle", "1s", "--state", state / "state",
                   "--to", f"webhdfs://{hdfs.superuser}@{hdfs.namenodes[0].at}{root}"]

        def turn():
            """Lines in each category at once, so that all roll together."""
            for n in range(CATEGORIES):
                with open(state / f"c{n}.log", "ab") as log:
                    log.write(b"one line of many\n" * 100)
            time.sleep(TURN_S)

        turn()
        child = subprocess.Popen([str(word) for word in command], stdout=said, stderr=said)
        try:
            time.sleep(3 * TURN_S)
            there = lambda: (len(published(client, root)), commits(client, root))
            before = there()
            begun = operations(hdfs)
            for _ in range(TURNS):
                turn()
            done = operations(hdfs) - begun
            files, committed = (b - a for a, b in zip(before, there()))
            if child.poll() is not None:
                raise Failed(f"tailrace run ended:\n{(state / 'said').read_text()}")
        finally:
            child.kill()
            child.wait()
            shutil.rmtree(state)
    if files != TURNS * CATEGORIES:
        raise Failed(f"{files} files were published, not {TURNS * CATEGORIES}")
    return {"value": round(done / files, 2), "unit": "operations of the NameNode for a published file", "operations": done,
            "files": files, "commits": committed}


FIGURES = {"H1": h1, "H3": h3}
