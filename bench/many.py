"""Many Locals at once (bench_load) and real Centers over one directory: Z1 to Z8 of docs/performance.md.

Each figure starts what it needs: Centers with the time-outs that a user gets and small rolls, Locals that make a
given number of bytes a second. A figure counts only if what is published at the end has as many lines as were made.
"""
import contextlib
import json
import math
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from pathlib import Path

TESTS = Path(__file__).resolve().parent.parent / "tests"
for folder in ("road", "peer", "neighbours"):
    sys.path.insert(0, str(TESTS / folder))
import peer_v1  # noqa: E402
import zookeeper  # noqa: E402
from ports import free_port  # noqa: E402
from trio import PORT, Failed  # noqa: E402

MIB = 1 << 20
PATIENCE_S = 180


def metrics(address):
    """{name: sum over its labels} of a daemon."""
    with urllib.request.urlopen(f"http://{address}/metrics", timeout=30) as answer:
        text = answer.read().decode()
    found = {}
    for line in text.splitlines():
        if not line.startswith("#"):
            name = line.split("{")[0].split(" ")[0]
            found[name] = found.get(name, 0) + float(line.rsplit(" ", 1)[1])
    return found


class OneCenter:
    def __init__(self, cluster, name):
        self.cluster, self.name, self.port = cluster, name, free_port()
        self.address = f"127.0.0.1:{self.port}"
        self.child = self.admin = None

    def configure(self):
        c = self.cluster
        (c.folder / f"{self.name}.yaml").write_text(
            f"role: center\ncluster: bench\nname: {self.name}\nstate: {c.folder}/state-{self.name}\nadmin: 127.0.0.1:0\n"
            f"listen: {self.address}\n{c.discovery}sinks:\n  out: {{type: directory, root: {c.to}, timezone: UTC, roll: {{{c.roll}}}}}\n")

    def start(self):
        self.configure()
        self.log = c = self.cluster.folder / f"{self.name}.log"
        before = len(c.read_text()) if c.exists() else 0
        with open(c, "ab") as log:
            command = [str(self.cluster.programs / "tailrace-center"), "--config", str(self.cluster.folder / f"{self.name}.yaml")]
            self.child = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        end = time.monotonic() + PATIENCE_S
        while not (found := PORT.search(c.read_text()[before:])):
            if self.child.poll() is not None or time.monotonic() > end:
                raise Failed(f"{self.name} does not stand:\n{c.read_text()[before:]}")
            time.sleep(0.02)
        self.admin = found[1]

    def alive(self):
        return self.child is not None and self.child.poll() is None

    def metrics(self):
        return metrics(self.admin)

    def cpu_s(self):
        fields = Path(f"/proc/{self.child.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory_kib(self, what="VmRSS"):
        for line in Path(f"/proc/{self.child.pid}/status").read_text().splitlines():
            if line.startswith(what + ":"):
                return int(line.split()[1])
        return 0

    def kill(self, number=signal.SIGKILL):
        self.child.send_signal(number)
        if number == signal.SIGKILL:
            self.child.wait()

    def drain(self, by_command=False):
        """Seconds from the drain to the end of the process: by `tailrace drain` or by SIGTERM, which do the same."""
        begun = time.monotonic()
        if by_command:
            command = [str(self.cluster.programs / "tailrace"), "drain", self.name, "--admin", self.admin, "--timeout", "2m"]
            said = subprocess.run(command, capture_output=True, text=True, check=False)
            if said.returncode != 0:
                raise Failed(f"tailrace drain ended with {said.returncode}: {said.stderr}")
        else:
            self.kill(signal.SIGTERM)
        code = self.child.wait(PATIENCE_S)
        if code != 0:
            raise Failed(f"{self.name} ended with {code}:\n{self.log.read_text()[-2000:]}")
        return time.monotonic() - begun


class Cluster:
    """Centers and Locals of one figure. `sees`: its Centers see each other by a ZooKeeper as `--discovery` says; else by what stands
    in the output. The Locals know the first ones by their addresses."""

    def __init__(self, bench, centers, roll, sees=False):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        self.programs, self.roll = bench.bin, roll
        self.folder = Path(tempfile.mkdtemp(prefix="many-", dir=bench.work))
        self.to = self.folder / "to"
        self.discovery, self.zookeeper = "", None
        if sees and bench.discovery == "zookeeper":
            if lacking := zookeeper.missing():
                raise Failed(f"{lacking}: --discovery static does without")
            self.zookeeper = zookeeper.ZooKeeper(tick_ms=2000)
            self.zookeeper.start()
            self.discovery = f"discovery: {{zookeeper: \"{self.zookeeper.at}\"}}\n"
        self.centers = [OneCenter(self, f"c{n}") for n in range(1, centers + 1)]
        self.load = self.said = None

    def start(self, centers=None):
        for center in centers or self.centers:
            center.start()

    def locals(self, number, categories, rate, seeds=None, **more):
        """Starts the Locals; they know the `seeds`, and find the others."""
        command = [self.programs / "bench_load", "--cluster", peer_v1.cluster_of("bench"), "--locals", number, "--categories", categories,
                   "--rate", int(rate), "--centers", ",".join(c.address for c in seeds or self.centers)]
        for name, value in more.items():
            command += ["--" + name, value]
        self.load = subprocess.Popen([str(c) for c in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                     stderr=open(self.folder / "load.log", "wb"), text=True)
        self.said, self.heard = None, threading.Condition()
        threading.Thread(target=self.listen, args=(self.load,), daemon=True).start()
        self.until("all Locals are in", lambda s: s["welcomed"] >= number)

    def listen(self, load):
        for line in load.stdout:
            with self.heard:
                self.said = json.loads(line)
                self.heard.notify_all()

    def say(self, *words):
        self.load.stdin.write(" ".join(str(w) for w in words) + "\n")
        self.load.stdin.flush()

    def mark(self):
        mark = self.said["mark"] + 1
        self.say("mark")
        return mark

    def until(self, what, true, seconds=PATIENCE_S):
        """Waits until what the Locals say fulfils it; seconds that it took."""
        begun = time.monotonic()
        with self.heard:
            while not (self.said and true(self.said)):
                if self.load.poll() is not None:
                    raise Failed(f"the Locals ended: {(self.folder / 'load.log').read_text()[-2000:]}")
                if time.monotonic() - begun > seconds:
                    raise Failed(f"not within {seconds} s: {what}; the Locals say {self.said}")
                self.heard.wait(0.5)
        return time.monotonic() - begun

    def finish(self):
        """No more is made; all is committed and published, and it is as many lines as were made."""
        self.say("stop")
        end = time.monotonic() + PATIENCE_S
        while self.load.poll() is None:
            if time.monotonic() > end:
                raise Failed(f"not all is committed: {self.said}")
            time.sleep(0.1)
        if self.load.returncode != 0 or self.said["held"]:
            raise Failed(f"the Locals ended with {self.load.returncode}, {self.said}: {(self.folder / 'load.log').read_text()[-2000:]}")
        for center in self.centers:
            if center.alive():
                center.drain()
        files = [p for p in self.to.rglob("*.log.gz") if not any(part.startswith("_") for part in p.relative_to(self.to).parts)]
        size = sum(p.stat().st_size for p in files)
        lines = 0
        for path in files:
            with subprocess.Popen(["gzip", "-dc", str(path)], stdout=subprocess.PIPE) as tool:
                while piece := tool.stdout.read(1 << 20):
                    lines += piece.count(b"\n")
        if lines != self.said["lines_made"]:
            raise Failed(f"{lines} lines are published, {self.said['lines_made']} were made")
        return {"lines": lines, "files": len(files), "published_bytes": size, "directories": len({p.parent for p in files}),
                "bytes": self.said["bytes_made"], "sent_again": round(self.said["bytes_sent"] / max(1, self.said["bytes_made"]) - 1, 4)}

    def committed(self):
        """{name: lines committed} of the Centers that live."""
        return {c.name: c.metrics().get("tailrace_center_lines_committed_total", 0) for c in self.centers if c.alive()}

    def taken(self):
        return {c.name: c.metrics().get("tailrace_center_lines_taken_total", 0) for c in self.centers if c.alive()}

    def close(self):
        for child in [self.load] + [c.child for c in self.centers]:
            if child is not None and child.poll() is None:
                child.kill()
                child.wait()
        if self.zookeeper:
            self.zookeeper.stop()
            self.zookeeper.remove()
        shutil.rmtree(self.folder)


def shares(before, after):
    """Each one's share of what came between, over the mean."""
    more = {name: after[name] - before.get(name, 0) for name in after}
    mean = sum(more.values()) / len(more)
    return {name: round(of / mean, 3) if mean else 0 for name, of in more.items()}


def share_by_time(cluster, name, seconds):
    before = cluster.taken()
    time.sleep(seconds)
    after = cluster.taken()
    return shares({n: v for n, v in before.items() if n in after}, after).get(name, 0)


# --- the figures -------------------------------------------------------------------------------------------------
# A roll that is small and short: a category is loud that makes more than 1 MiB in 10 s.
LOUD = "size: 256KiB, age: 10s"
RATE = 4 * MIB  # payload bytes a second; about 50 MB/s of lines


def z1(bench):
    """Seconds from starting a Center until it carries at least 80 % of its fair share."""
    cluster = Cluster(bench, 4, LOUD, sees=True)
    try:
        cluster.start(cluster.centers[:3])
        cluster.locals(200, 40, RATE, cluster.centers[:3])
        time.sleep(35)  # loud categories are split by then
        begun = time.monotonic()
        cluster.centers[3].start()
        while share_by_time(cluster, "c4", 2) < 0.8:
            if time.monotonic() - begun > PATIENCE_S:
                raise Failed("it never got its share")
        seconds = time.monotonic() - begun
        return {"value": round(seconds, 1), "unit": "s", "discovery": bench.discovery, "locals": 200, "centers": 4, **cluster.finish()}
    finally:
        cluster.close()


@contextlib.contextmanager
def three_under_load(bench, roll):
    """Three Centers to which 200 Locals send, and what the first of them holds: it is to go."""
    cluster = Cluster(bench, 3, roll, sees=True)
    try:
        cluster.start()
        cluster.locals(200, 40, RATE, cluster.centers[1:])
        time.sleep(10)
        lanes = cluster.centers[0].metrics().get("tailrace_center_lanes", 0)
        if lanes == 0:
            raise Failed("the Center that is to go holds nothing")
        yield cluster, {"unit": "s", "lanes": lanes, "discovery": bench.discovery, "locals": 200, "centers": 3}
    finally:
        cluster.close()


def z2(bench):
    """Seconds from kill -9 of a Center until all lines that any Local had then are committed."""
    with three_under_load(bench, "size: 1MiB, age: 2s") as (cluster, held):
        begun = time.monotonic()
        cluster.centers[0].kill()
        mark = cluster.mark()
        cluster.until("its lines are committed by others", lambda s: s["mark"] == mark and s["streams_behind_mark"] == 0)
        seconds = time.monotonic() - begun
        return {"value": round(seconds, 1), **held, **cluster.finish()}


def z3(bench):
    """Seconds from the drain of a Center to its end, with no lane left."""
    with three_under_load(bench, "size: 4MiB") as (cluster, held):
        seconds = cluster.centers[0].drain(by_command=True)
        said = json.loads(subprocess.run([str(bench.bin / "tailrace"), "centers", str(cluster.to), "--format", "json"],
                                         capture_output=True, text=True, check=True).stdout)
        if any(c["name"] == "c1" for c in said["centers"]):
            raise Failed("it is still announced")
        return {"value": round(seconds, 1), **held, **cluster.finish()}


def z4(bench):
    """Files published over ceil(bytes / target) + categories x directories: two scale-outs and a drain."""
    target = 4 * MIB
    cluster = Cluster(bench, 4, "size: 4MiB")
    try:
        cluster.start(cluster.centers[:2])
        cluster.locals(200, 40, 2 * RATE, cluster.centers[:2])
        for joins in cluster.centers[2:]:
            time.sleep(30)
            joins.start()
        time.sleep(30)
        cluster.centers[0].drain()
        time.sleep(30)
        said = cluster.finish()
        # A category's directories are those in which it has files: one, or two where an hour ended.
        fair = math.ceil(said["published_bytes"] / target) + said["directories"]
        return {"value": round(said["files"] / fair, 3), "unit": "x", "fair": fair, "target_bytes": target, "locals": 200, **said}
    finally:
        cluster.close()


def z5(bench):
    """The busiest Center's bytes over the mean, once loud categories are split: 4 Centers, 40 categories, Zipf, 200 Locals."""
    cluster = Cluster(bench, 4, LOUD)
    try:
        cluster.start()
        cluster.locals(200, 40, RATE)
        before = cluster.committed()
        time.sleep(20)
        unsplit = shares(before, cluster.committed())
        time.sleep(20)
        before = cluster.committed()
        time.sleep(30)
        split = shares(before, cluster.committed())
        return {"value": max(split.values()), "unit": "x the mean", "shares": split, "before_splits": max(unsplit.values()),
                "locals": 200, "centers": 4, **cluster.finish()}
    finally:
        cluster.close()


def z6(bench):
    """Seconds until all Locals send again after all Centers were ended and started anew."""
    number = bench.locals
    cluster = Cluster(bench, 3, "size: 4MiB, age: 10s")
    try:
        cluster.start()
        cluster.locals(number, 40, RATE, waiting=16, batch=32 << 10)
        time.sleep(10)
        for center in cluster.centers:
            center.kill(signal.SIGKILL)
        mark = cluster.mark()
        cluster.until("the mark", lambda s: s["mark"] == mark)
        begun = time.monotonic()
        cluster.start()
        cluster.until("all send again", lambda s: s["sent_since_mark"] >= number)
        seconds = time.monotonic() - begun
        return {"value": round(seconds, 1), "unit": "s", "locals": number, "centers": 3, **cluster.finish()}
    finally:
        cluster.close()


def z7(bench):
    """KiB of a Center's memory for each connected idle Local; each has named ten streams."""
    number = bench.locals
    cluster = Cluster(bench, 1, "size: 4MiB")
    try:
        cluster.start()
        cluster.locals(20, 10, 0)
        time.sleep(2)
        (center,) = cluster.centers
        first = center.memory_kib()
        few = cluster.load
        few.kill()
        few.wait()
        cluster.locals(number, 10, 0)
        time.sleep(12)
        last = center.memory_kib()
        before = center.cpu_s()
        time.sleep(10)
        cpu = (center.cpu_s() - before) / 10
        return {"value": round((last - first) / number, 1), "unit": "KiB", "locals": number, "without_kib": first, "with_kib": last,
                "idle_cpu": round(cpu, 3), "streams_each": 10}
    finally:
        cluster.close()


BATCH = 256 << 10  # raw; about an eighth of that compressed


def center_cost(bench, number, size):
    cluster, warm_up = Cluster(bench, 1, "size: 16MiB"), number * 17 * BATCH // 7
    try:
        cluster.start()
        (center,) = cluster.centers
        cluster.locals(number, 10, 64 * MIB, waiting=4096, batch=BATCH)
        # A connection's first 16 batches are inflated, then one in 64 (center/verify.h): what lasts is measured.
        cluster.until("all are past that", lambda s: s["bytes_made"] >= warm_up)
        cluster.say("rate", 0)
        taken = lambda: center.metrics()["tailrace_center_lines_taken_total"]
        cluster.until("and nothing is on its way", lambda s: s["bytes_sent"] >= s["bytes_made"] and taken() >= s["lines_made"])
        cluster.say("rate", 16 * MIB)
        time.sleep(2)
        begun, before, first = time.monotonic(), center.cpu_s(), taken()
        cluster.until("the bytes", lambda s: s["bytes_made"] >= warm_up + size)
        cpu, seconds, lines = center.cpu_s() - before, time.monotonic() - begun, taken() - first
        cluster.say("rate", 0)
        said = cluster.finish()
        sent = int(lines * said["bytes"] / said["lines"])
        return {"cpu_s": round(cpu, 3), "seconds": round(seconds, 1), "batch_raw_bytes": BATCH, "each": cpu / sent, "bytes": sent, "lines": said["lines"]}
    finally:
        cluster.close()


def floor_cost(bench, number):
    """CPU microseconds a batch of a program that only writes what comes into a file."""
    with tempfile.NamedTemporaryFile(dir=bench.work) as file:
        return bench.say([bench.bin / "bench_many_floor", number, 48, 6, file.name])["cpu_us_a_batch"]


def z8(bench):
    """A Center's CPU a byte with 2,000 Locals over that with 20; same bytes, same batches; in turns."""
    size, rounds, floors = 256 * MIB, [], []
    for _ in range(max(1, bench.rounds // 2)):
        rounds.append((center_cost(bench, 20, size), center_cost(bench, bench.locals, size)))
        floors.append((floor_cost(bench, 20), floor_cost(bench, bench.locals)))
    few, many = (sum(r[i]["each"] for r in rounds) for i in (0, 1))
    return {"value": round(many / few, 3), "unit": "x", "locals": bench.locals, "few": [r[0] for r in rounds], "many": [r[1] for r in rounds],
            "floor": round(sum(f[1] for f in floors) / sum(f[0] for f in floors), 3), "floor_us": floors}


def z9(bench):
    """KiB that the simulated cluster keeps in ZooKeeper (docs/scale.md)."""
    said = bench.say([bench.bin / "bench_scale"])
    return {"value": round(said["zookeeper"]["bytes"] / 1024, 1), "unit": "KiB", "locals": said["locals"], "centers": said["centers"],
            **said["zookeeper"]}


FIGURES = {"Z1": z1, "Z2": z2, "Z3": z3, "Z4": z4, "Z5": z5, "Z6": z6, "Z7": z7, "Z8": z8, "Z9": z9}
