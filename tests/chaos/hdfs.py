#!/usr/bin/env python3
"""`tailrace run` into a real HDFS, where something dies all the time; judged by a listing through a client that is not ours.

  kills      the program is killed -9, again and again; then the same over HttpFS (kills_httpfs)
  outages    the NameNode and the DataNode are killed -9 and started again, frozen, put into safe mode; the program lives on
  failover   two NameNodes: fail-over and back, the active one killed -9
  network    requests and answers are cut at some byte, come late, come twice, vanish; the program is killed too (network_httpfs)
  refused    one category's directory is full, then not ours: it waits alone, and says why
"""
import collections
import http.client
import os
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.path.insert(0, HERE + "/../neighbours")
sys.path.insert(0, HERE + "/../audit")
from hdfs import Hdfs  # noqa: E402
from http_faults import KINDS, SWALLOW, HttpFaults  # noqa: E402
from rig import Failure, Rig, run_cases, wait_for  # noqa: E402
from store_audit import Audit  # noqa: E402
from webhdfs_client import Refused  # noqa: E402


class HdfsRig(Rig):
    """What stands in HDFS is copied into out/ whenever it is looked at; a file that was seen once never changes."""

    def __init__(self, name, scheme="webhdfs", network=False, **lab):
        self.lab = Hdfs(**lab)
        self.lab.start()
        self.network = HttpFaults(self.lab) if network else None
        doors = self.network or self.lab
        servers = [self.network.httpfs_url if network else self.lab.httpfs.http] if scheme == "httpfs" else doors.urls
        url = "%s://tailrace@%s/logs" % (scheme, ",".join(server.partition("://")[2] for server in servers))
        client = self.lab.client()
        client.mkdirs("/logs")
        client.set_owner("/logs", "tailrace", "tailrace")
        super().__init__(name, out=url)
        self.command += ["--state", self.folder + "/state"]
        self.out = self.folder + "/out"
        os.mkdir(self.out)
        self.met = {}

    def ask(self, question):
        """The reader meets what the program meets: a server that has just come back."""
        answers = []

        def asked():
            try:
                answers.append(question(self.lab.client()))
                return True
            except (OSError, http.client.HTTPException, Refused):
                return False
        wait_for("an answer to a reader", 60, asked, 0.5)
        return answers[0]

    def mirror(self):
        for path, status in self.ask(lambda client: client.walk("/logs")).items():
            if any(part.startswith("_") for part in path.split("/")):
                continue
            what = (status["fileId"], status["length"], status["modificationTime"])
            if self.met.setdefault(path, what) != what:
                raise Failure("published, then changed: %s: %s, was %s" % (path, what, self.met[path]))
            here = os.path.join(self.out, path)
            if os.path.exists(here):
                continue
            data = self.ask(lambda client, path=path: client.read("/logs/" + path))
            os.makedirs(os.path.dirname(here), exist_ok=True)
            with open(here, "wb") as f:
                f.write(data)

    def look(self):
        self.mirror()
        super().look()

    def published(self):
        files = self.ask(lambda client: client.walk("/logs"))
        return sum(not any(part.startswith("_") for part in path.split("/")) for path in files)

    def stop_all(self):
        super().stop_all()
        self.end_lab()

    def end_lab(self):
        if self.network:
            self.network.end()
        self.lab.remove()

    def settle_and_judge(self):
        self.settle(120)
        found = self.judge(optional=True)
        if not found.clean:
            raise Failure("after SIGTERM: " + found.summary())
        audit = Audit(self.whole())
        if wrong := audit.run():
            raise Failure("the audit: " + "; ".join(map(str, wrong[:5])))
        print("%d lives, %d files, %d rests staged" % (self.lives, len(self.known), self.staged()))
        self.end_lab()

    def staged(self):
        return sum("_stage" in path.split("/") for path in self.lab.client().walk("/logs"))

    def whole(self):
        """A copy of all, for the audit; its folder."""
        folder = self.folder + "/whole"
        client = self.lab.client()
        for path in client.walk("/logs"):
            os.makedirs(os.path.dirname(os.path.join(folder, path)), exist_ok=True)
            with open(os.path.join(folder, path), "wb") as f:
                f.write(client.read("/logs/" + path))
        return folder


def kills(rig, rnd, times):
    writer = rig.write("--seed", str(rnd.randrange(1 << 31)), "--rate", "1500")
    for _ in range(times):
        life = rig.start(what="killed at random")
        time.sleep(rnd.choice((0.05, 0.3, 1.0, 2.0, 4.0)) * (0.3 + rnd.random()))
        life.kill()
        rig.look()
    rig.end_writer(writer)
    rig.settle_and_judge()


def goes_on(rig, life, seconds=90):
    """More is published than was."""
    before = rig.published()
    wait_for("more files", seconds, lambda: rig.published() > before or life.must_live(), 0.3)
    rig.look()


def outages(rig, rnd):
    writer = rig.write("--seed", str(rnd.randrange(1 << 31)), "--rate", "1500")
    life = rig.start(what="lives on")
    goes_on(rig, life)
    lab = rig.lab

    def killed(server):
        server.end()
        time.sleep(3 * rnd.random())
        life.must_live()
        server.start()
        lab.wait()

    def frozen(server):
        server.freeze(True)
        time.sleep(4)
        server.freeze(False)

    def safe():
        lab.safemode(True)
        time.sleep(3)
        lab.safemode(False)

    happenings = [lambda: killed(lab.namenodes[0]), lambda: killed(lab.datanodes[0]), lambda: killed(lab.datanodes[1]),
                  lambda: frozen(lab.namenodes[0]), lambda: frozen(lab.datanodes[0]), safe]
    rnd.shuffle(happenings)
    for happens in happenings:
        happens()
        goes_on(rig, life)
    rig.end_writer(writer)
    life.end(120)
    rig.settle_and_judge()


def failover(rig, rnd):
    writer = rig.write("--seed", str(rnd.randrange(1 << 31)), "--rate", "1500")
    life = rig.start(what="lives on")
    goes_on(rig, life)
    lab = rig.lab
    for _ in range(2):  # there, and back
        lab.failover()
        goes_on(rig, life)
    dead = lab.active()
    dead.end()
    lab.failover()
    goes_on(rig, life)
    dead.start()
    lab.wait()
    rig.end_writer(writer)
    life.end(120)
    rig.settle_and_judge()


def network(rig, rnd, times):
    """The reader comes by another way."""
    def done():
        return collections.Counter(fired[0] for fired in list(rig.network.fired))

    writer = rig.write("--seed", str(rnd.randrange(1 << 31)), "--rate", "1500")
    for turn in range(times):
        life = rig.start(what="killed in the end")
        rig.network.at_random(rnd.choice((0.1, 0.3)), rnd.randrange(1 << 31))
        time.sleep(8 + 4 * rnd.random())
        if turn == times - 1:
            wait_for("every kind of fault", 60, lambda: len(done()) == len(KINDS))
        rig.network.heal()
        if turn == 0:
            rig.network.add(SWALLOW, op=rnd.choice(("CREATE", "RENAME", "GETFILESTATUS")))
        goes_on(rig, life)
        life.kill()
        rig.look()
    rig.end_writer(writer)
    rig.settle_and_judge()
    print("faults: " + ", ".join("%d %s" % (n, kind) for kind, n in done().items()))


def refused(rig, rnd):
    client = rig.lab.client()
    writer = rig.write("--seed", str(rnd.randrange(1 << 31)), "--rate", "1500")
    life = rig.start(what="lives on")
    goes_on(rig, life)

    def files(category):
        return [path for path in rig.ask(lambda c: c.walk("/logs/" + category)) if not path.startswith("_")]

    def waits_alone(why):
        wait_for("a word of '%s'" % why, 60, lambda: "'alpha' cannot be finished" in life.said() and why in life.said(), 0.2)
        wait_for("'%s' in what it says of itself" % why, 60, lambda: why in life.status(), 0.2)
        alone, others = files("alpha"), files("beta")
        wait_for("files of the others", 60, lambda: len(files("beta")) > len(others) + 2, 0.3)
        if len(files("alpha")) > len(alone) + 1:
            raise Failure("alpha was published where nothing can be")

    client.set_quota("/logs/alpha", names=client.summary("/logs/alpha")["fileCount"] + client.summary("/logs/alpha")["directoryCount"])
    waits_alone("NSQuotaExceededException")
    client.set_quota("/logs/alpha", names=-1)
    goes_on(rig, life)
    for path in ("/logs/alpha", *["/logs/alpha/" + p for p in directories(client, "/logs/alpha")]):
        client.set_permission(path, "555")
    waits_alone("AccessControlException")
    for path in ("/logs/alpha", *["/logs/alpha/" + p for p in directories(client, "/logs/alpha")]):
        client.set_permission(path, "755")
    goes_on(rig, life)
    rig.end_writer(writer)
    life.end(120)
    rig.settle_and_judge()


def directories(client, path):
    """Below it, the upper ones first."""
    found = []
    for name, status in client.list(path).items():
        if status["type"] == "DIRECTORY":
            found += [name, *[name + "/" + below for below in directories(client, path + "/" + name)]]
    return found


CASES = {
    "kills": lambda rnd: (HdfsRig("hdfs-kills"), lambda rig: kills(rig, rnd, 25)),
    "kills_httpfs": lambda rnd: (HdfsRig("hdfs-httpfs", "httpfs", httpfs=True), lambda rig: kills(rig, rnd, 10)),
    "outages": lambda rnd: (HdfsRig("hdfs-outages", datanodes=2), lambda rig: outages(rig, rnd)),
    "failover": lambda rnd: (HdfsRig("hdfs-failover", ha=True), lambda rig: failover(rig, rnd)),
    "refused": lambda rnd: (HdfsRig("hdfs-refused"), lambda rig: refused(rig, rnd)),
    "network": lambda rnd: (HdfsRig("hdfs-network", network=True, datanodes=2), lambda rig: network(rig, rnd, 3)),
    "network_httpfs": lambda rnd: (HdfsRig("hdfs-network-httpfs", "httpfs", network=True, httpfs=True),
                                   lambda rig: network(rig, rnd, 3)),
}


if __name__ == "__main__":
    sys.exit(run_cases("hdfs", __doc__, CASES))
