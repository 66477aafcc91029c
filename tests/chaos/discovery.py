#!/usr/bin/env python3
"""Centers and Locals that find each other through a real ZooKeeper alone, an ensemble of three; the judge has the last word.

  walk     a Center is added, one is killed
  leave    ZooKeeper's leader is killed, a Center comes, one leaves
  away     all of ZooKeeper is stopped: lines flow on, a Local that restarts goes on from its list; then it comes back
  alone    the same, and a Center is killed meanwhile and replaced, another one comes (T68)
  wiped    all that ZooKeeper knew is gone, twice: nothing is lost or doubled, the nodes are made again
  cut      one Center alone cannot reach ZooKeeper: it goes on
"""
import os
import re
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../neighbours"))
import judge  # noqa: E402
from rig import Failure, run  # noqa: E402
from trio import Trio, kind  # noqa: E402
from zoo_client import Client, Refused  # noqa: E402
from zookeeper import ZooKeeper  # noqa: E402

CATEGORIES = tuple("c%02d" % n for n in range(20))  # so many that each Center has some
CENTERS = "/tailrace/chaos/centers"
STATIC = re.compile(r"discovery: \{static: .*\}\n")


class Found(Trio):
    """A Trio whose Locals know of ZooKeeper and of nothing else."""

    def __init__(self, name, zoo, **more):
        self.zoo = zoo
        self.ways = {}  # a role's own way to ZooKeeper
        super().__init__(name, **{"categories": CATEGORIES, **more})

    def configure(self, role, more):
        if kind(role) != "agent":
            more = STATIC.sub("", more) + "discovery: {zookeeper: \"%s\"}\n" % self.ways.get(role, self.zoo.at)
        super().configure(role, more)

    def names(self):
        at = next((server.at for server in self.zoo.servers if server.mode()), None)
        try:
            with Client(at) as c:
                return c.names(CENTERS)
        except (OSError, AttributeError, Refused):  # none serves at this moment
            return []

    def announced(self, *roles):
        """Each of these Centers has one node, and no other is there."""
        wanted = sorted(role.replace("-", ".") for role in roles)
        return sorted(name.rpartition("-")[0] for name in self.names()) == wanted

    def begin(self, *without):
        for role in self.roles:
            if role not in without:
                self.up(role)
        return self.write_on_all(1, "--rate", "1000", "--categories", ",".join(CATEGORIES), "--files", str(len(CATEGORIES)))

    def end(self, writers):
        for writer in writers:
            self.end_writer(writer)
        self.settle()


def walk(trio):
    writers = trio.begin("center-1", "center-2")
    trio.step("the only Center has all lanes", 60, lambda: trio.lanes("center") == len(CATEGORIES))
    trio.step("the Center alone has a session, no Local", 20,
              lambda: sum(server.ask("cons").count("sid=") for server in trio.zoo.servers) == 1)

    trio.up("center-1")
    trio.step("a Center that was added has a share", 60, lambda: trio.lanes("center-1") >= 1)
    trio.step("no lane is without an owner", 60, lambda: trio.lanes("center", "center-1") == len(CATEGORIES))
    trio.grows("lines go on through both")

    print("         lanes: %d and %d" % (trio.lanes("center"), trio.lanes("center-1")), flush=True)
    trio.kill("center")
    trio.step("the other has the lanes of one that was killed", 45, lambda: trio.lanes("center-1") == len(CATEGORIES))
    trio.step("and is alone in ZooKeeper", 30, lambda: trio.announced("center-1"))
    trio.grows("lines go on without it")
    trio.end(writers)


def leave(trio):
    writers = trio.begin("center-2")
    trio.step("both Centers have lanes", 60, lambda: trio.lanes("center") and trio.lanes("center-1"))
    leader = next(server for server in trio.zoo.servers if server.mode() == "leader")
    leader.end()
    print("         ZooKeeper's leader was killed", flush=True)
    trio.up("center-2")
    trio.step("a Center that comes then is announced", 30, lambda: trio.announced("center", "center-1", "center-2"))
    trio.stop("center-1")
    # At once, or with its session, if the one server that it had reached is the one that was killed.
    trio.step("who has left is not announced", 20, lambda: trio.announced("center", "center-2"))
    trio.step("the others have all its lanes", 30, lambda: trio.lanes("center", "center-2") == len(CATEGORIES))
    trio.grows("lines go on without it")
    trio.end(writers)


def away(trio):
    writers = trio.begin()
    trio.step("both Centers have lanes", 60, lambda: trio.lanes("center") and trio.lanes("center-1"))
    trio.step("the Locals have kept the list", 30, lambda: all(
        os.path.exists("%s/state-local%s/centers" % (trio.state, host)) for host in trio.hosts))
    trio.zoo.stop()
    trio.step("the alarm is there", 30, lambda: trio.figures("center", "tailrace_center_zookeeper_away_seconds") > 5 and
              "lines flow on" in trio.running["center"].said())
    trio.grows("lines go on without ZooKeeper")
    trio.kill("local")
    trio.up("local")
    trio.step("a Local that has restarted has a Center, from its list", 30,
              lambda: trio.figures("local", "tailrace_local_center_connected") == 1)
    trio.grows("lines go on")
    trio.zoo.start()
    trio.step("both are announced when it is back", 30, lambda: trio.announced("center", "center-1"))
    trio.end(writers)


def alone(trio):
    writers = trio.begin()
    trio.step("both Centers have lanes", 60, lambda: trio.lanes("center") and trio.lanes("center-1"))
    trio.zoo.stop()
    trio.kill("center")
    trio.step("the other has the lanes of one that was killed meanwhile", 60,
              lambda: trio.lanes("center-1") == len(CATEGORIES))
    trio.grows("lines go on through one Center and no ZooKeeper")
    trio.up("center")
    trio.step("one that comes meanwhile has a share", 60, lambda: trio.lanes("center") >= 1)
    trio.zoo.start()
    trio.step("both are announced when it is back", 30, lambda: trio.announced("center", "center-1"))
    trio.end(writers)


def wiped(trio):
    writers = trio.begin()
    trio.step("both Centers have lanes", 60, lambda: trio.lanes("center") and trio.lanes("center-1"))
    trio.grows("lines flow")
    lives = [trio.running[role].said().count("a new one begins") for role in ("center", "center-1")]
    with Client(trio.zoo.at) as c:
        try:
            c.delete_all("/tailrace")
        except Refused as e:  # they are made again while they are removed
            if str(e) != "not_empty":
                raise
    trio.step("nodes that were removed are made again", 20, lambda: trio.announced("center", "center-1"))
    trio.zoo.wipe()
    trio.step("nodes are made again in an empty ZooKeeper", 30, lambda: trio.announced("center", "center-1"))
    trio.grows("lines go on")
    time.sleep(4)  # the grace
    now = [trio.running[role].said().count("a new one begins") for role in ("center", "center-1")]
    if now != lives:
        raise Failure("a Center that lived was taken for dead")
    trio.end(writers)


def cut(trio):
    writers = trio.begin("center-1")
    trio.step("the only Center has all lanes", 60, lambda: trio.lanes("center") == len(CATEGORIES))
    trio.ways["center-1"] = "127.0.0.1:1"  # nobody is there
    trio.configure("center-1", "name: center-1\nlisten: 127.0.0.1:%d\nsinks:\n  files: {type: directory, root: %s, timezone: UTC, "
                   "roll: {size: 256KiB, age: 1s, idle: 1s}}\n" % (trio.ports[1], trio.out))
    trio.up("center-1")
    trio.step("a Center without ZooKeeper has a share", 60, lambda: trio.lanes("center-1") >= 1)
    time.sleep(15)
    trio.grows("lines go on through both")
    for role in ("center", "center-1"):
        if "a new one begins" in trio.running[role].said():
            raise Failure("a Center that lived was taken for dead")
    trio.end(writers)


def main():
    bodies = {"walk": (walk, 2), "leave": (leave, 3), "away": (away, 2), "alone": (alone, 2), "wiped": (wiped, 2), "cut": (cut, 2)}
    failed = 0
    for name in sys.argv[1:] or bodies:
        body, centers = bodies[name]
        with ZooKeeper(3, tick_ms=2000 if name == "walk" else 500) as zoo:
            failed += run("discovery " + name, body, Found("discovery-" + name, zoo, hosts=2, centers=centers))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
