"""What Centers cost a NameNode in a day: its own count of single deeds, times how often bench_scale says that they are done (H6)."""
import json
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from into_hdfs import commits, operations, published
from trio import Failed

from hdfs import Hdfs

CENTERS, CATEGORIES, MIB_S = 10, 500, 100  # the cluster that docs/scale.md tells of
TOGETHER, TURNS, TURN_S, IDLE_S, FOLDED = 5, 12, 3, 60, 20
A_DAY, DAYS = 24 * 3600, 30


class Run:
    """`tailrace run` into `hdfs`: categories c0, c1, ..., of which each rolls when it is quiet for a second."""

    def __init__(self, bench, hdfs):
        self.hdfs, self.client = hdfs, hdfs.client()
        self.state = Path(tempfile.mkdtemp(prefix="hdfs-", dir=bench.work))
        self.root = "/" + self.state.name
        sources = [word for n in range(TOGETHER) for word in ("--from", f"c{n}={self.state}/c{n}.log")]
        self.command = [bench.bin / "tailrace", "run", *sources, "--roll-idle", "1s", "--state", self.state / "state",
                        "--to", f"webhdfs://{hdfs.superuser}@{hdfs.namenodes[0].at}{self.root}"]

    def __enter__(self):
        self.write(TOGETHER)
        with open(self.state / "said", "wb") as said:
            self.child = subprocess.Popen([str(word) for word in self.command], stdout=said, stderr=said)
        return self

    def __exit__(self, *_):
        ended = self.child.poll() is not None
        said = (self.state / "said").read_text()
        self.child.kill()
        self.child.wait()
        shutil.rmtree(self.state)
        if ended:
            raise Failed("tailrace run ended:\n" + said)

    def write(self, categories):
        for n in range(categories):
            with open(self.state / f"c{n}.log", "ab") as log:
                log.write(b"one line of many\n" * 100)

    def entries(self):
        return [path for path in self.client.walk(self.root) if "/logs/" in path and path.rpartition("/")[2].isdigit()]

    def counted(self, what):
        """What `what` takes: operations, files, commits, seconds."""
        there = lambda: (len(published(self.client, self.root)), commits(self.client, self.root))
        before = there()
        count, since = operations(self.hdfs), time.monotonic()
        what()
        done, seconds = operations(self.hdfs) - count, time.monotonic() - since
        return done, *(b - a for a, b in zip(before, there())), seconds

    def turns(self, categories):
        for _ in range(TURNS):
            self.write(categories)
            time.sleep(TURN_S)

    def fold(self, entries):
        """What RECLAIM asks of entries that go into a manifest: their length, their bytes, their end."""
        for path in entries:
            self.client.status(f"{self.root}/{path}")
            self.client.read(f"{self.root}/{path}")
            self.client.delete(f"{self.root}/{path}")


def each(bench):
    """{deed: the NameNode's operations}"""
    with Hdfs() as hdfs:
        with Run(bench, hdfs) as run:
            time.sleep(4 * TURN_S)  # directories are made once
            done, _, _, seconds = run.counted(lambda: time.sleep(IDLE_S))
            idle = done / seconds
            (n1, f1, c1, s1), (n2, f2, c2, s2) = (run.counted(lambda n=n: run.turns(n)) for n in (1, TOGETHER))
        entries = run.entries()[:FOLDED]
        count = operations(hdfs)
        run.fold(entries)
        folded = (operations(hdfs) - count) / FOLDED
    # Two equations: what files and commits cost, of which there were as many files as lines were written, and other commits.
    n1, n2, determinant = n1 - idle * s1, n2 - idle * s2, f1 * c2 - f2 * c1
    if not determinant or (f1, f2) != (TURNS, TURNS * TOGETHER):
        raise Failed(f"{f1} and {f2} files in {c1} and {c2} commits tell nothing")
    return {"a_file": (n1 * c2 - n2 * c1) / determinant, "a_commit": (f1 * n2 - f2 * n1) / determinant,
            "an_entry_folded": folded, "a_second_of_a_center": idle}


def h6(bench):
    """Operations of the NameNode in a day, and its objects after a month, of 10 Centers with 500 categories."""
    cost = each(bench)
    said = json.loads(subprocess.run([str(bench.bin / "bench_scale"), "--centers", str(CENTERS), "--categories", str(CATEGORIES),
                                      "--mib-s", str(MIB_S)], capture_output=True, text=True, check=True).stdout)
    files, control = said["files_a_day"], said["control"]
    a_day = {
        "files": files * cost["a_file"],
        "commits": files * cost["a_commit"],  # one for each file, at the most
        "folding": files * cost["an_entry_folded"],
        "directories": CATEGORIES * 24 * 2,  # of an hour, by its first file: a rename in vain and a look
        "tables": control["tables_written"] / DAYS * (cost["a_commit"] + 1),  # a CAS, as a commit, and the one before removed
        "who_is_there": CENTERS * A_DAY * cost["a_second_of_a_center"],
    }
    whole, small = sum(a_day.values()), control["all"] - control["directories"]
    directories = CATEGORIES * 25 * DAYS + control["directories"]  # of hours and days
    return {"value": round(whole / 1e6, 2), "unit": "million operations of the NameNode a day", "a_second": round(whole / A_DAY, 1),
            "each": {deed: round(n, 2) for deed, n in cost.items()}, "a_day": {deed: round(n) for deed, n in a_day.items()},
            "files_a_month": files * DAYS, "control_files": small, "claims": control["claims"], "tables": control["tables"], "directories": directories,
            "objects": 2 * (files * DAYS + small) + directories,  # a file is an inode and a block
            "centers": CENTERS, "categories": CATEGORIES, "mib_s": MIB_S}


FIGURES = {"H6": h6}
