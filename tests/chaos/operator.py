#!/usr/bin/env python3
"""What an operator does to Centers by ZooKeeper while lines flow, judged line by line.

  drain    a Center is drained from another host, and started again
  pause    rebalance is paused: who comes gets no lane, who dies is replaced; and resumed. A stranger may do neither
"""
import json
import os
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from discovery import CATEGORIES, Found  # noqa: E402
from rig import PROGRAM, Failure, run  # noqa: E402
from trio import kind  # noqa: E402
from zoo_client import Client  # noqa: E402
from zookeeper import ZooKeeper  # noqa: E402

AUTH = "tailrace:secret"


class Operated(Found):
    """With a password; the operator's own settings are a Local's."""

    def configure(self, role, more):
        super().configure(role, more)
        path = "%s/%s.yaml" % (self.folder, role)
        if kind(role) == "agent":
            return
        with open(path) as f:
            text = f.read()
        with open(path, "w") as f:
            f.write(text.replace("discovery: {", "discovery: {auth: \"%s\", " % AUTH))

    def says(self, *words, code=0, settings="local"):
        done = subprocess.run([PROGRAM, *words, "--config", "%s/%s.yaml" % (self.folder, settings)], capture_output=True, text=True,
                              timeout=120, check=False)
        if done.returncode != code:
            raise Failure("%s: exit %d: %s" % (" ".join(words), done.returncode, done.stdout + done.stderr))
        return done.stdout if code == 0 else done.stderr

    def centers(self):
        return {c["name"]: c for c in json.loads(self.says("centers", "--format", "json"))["centers"]}


def drain(trio):
    writers = trio.begin()
    trio.step("all Centers have lanes", 60, lambda: all(trio.lanes(c) for c in ("center", "center-1", "center-2")))
    print(trio.says("centers"))
    if {c["state"] for c in trio.centers().values()} != {"running"}:
        raise Failure("not all run: %s" % trio.centers())
    said = trio.says("drain", "nobody", code=1)
    if "no Center 'nobody' answers; those that do are 'center', 'center.1', 'center.2'" not in said:
        raise Failure(said)
    would = json.loads(trio.says("drain", "center.1", "--dry-run", "--format", "json"))
    if would["state"] != "would drain" or would["lanes"] < 1 or would["other_centers"] != 2:
        raise Failure("dry run: %s" % would)
    done = json.loads(trio.says("drain", "center.1", "--format", "json"))
    print("         drained in %.1f s" % done["seconds"])
    if (done["state"], done["lanes"], done["lines_held"]) != ("drained", 0, 0):
        raise Failure("drain: %s" % done)
    trio.running.pop("center-1").end(20, stop=False)
    trio.step("it is not announced", 10, lambda: trio.announced("center", "center-2"))
    trio.step("the others have its lanes", 30, lambda: trio.lanes("center", "center-2") == len(CATEGORIES))
    with Client(trio.zoo.at, AUTH) as c:
        if c.names("/tailrace/chaos/drain"):
            raise Failure("its drain node is left")
    trio.grows("lines go on without it")
    trio.up("center-1")
    trio.step("started again it stays, and has a share", 60, lambda: trio.lanes("center-1") >= 1)
    trio.end(writers)


def pause(trio):
    writers = trio.begin("center-2")
    trio.step("both Centers have lanes", 60, lambda: trio.lanes("center") and trio.lanes("center-1"))
    with open(trio.folder + "/local.yaml") as f, open(trio.folder + "/stranger.yaml", "w") as g:
        g.write(f.read().replace("auth: \"%s\", " % AUTH, ""))
    for words in (("rebalance", "pause"), ("drain", "center")):
        said = trio.says(*words, code=1, settings="stranger")
        if "it belongs to another user: discovery.auth of the Centers' settings names him" not in said:
            raise Failure("a stranger: " + said)
    if not json.loads(trio.says("rebalance", "pause", "--format", "json"))["paused"]:
        raise Failure("not paused")
    trio.step("the Centers know that it is paused", 20,
              lambda: all(c["rebalance_paused"] for c in trio.centers().values()))
    trio.up("center-2")
    trio.step("the new one is announced", 30, lambda: trio.announced("center", "center-1", "center-2"))
    time.sleep(25)  # more than the 15 s after which a lane goes where it should be
    if trio.lanes("center-2"):
        raise Failure("a lane moved while rebalance was paused")
    trio.kill("center-1")
    trio.step("what a dead one had is taken all the same", 45,
              lambda: trio.lanes("center", "center-2") == len(CATEGORIES))
    if "is paused (from " not in trio.says("rebalance", "status"):
        raise Failure("it does not say who paused it")
    print(trio.says("centers"))
    trio.up("center-1")
    trio.says("rebalance", "resume")
    trio.step("all have lanes again", 60, lambda: all(trio.lanes(c) for c in ("center", "center-1", "center-2")))
    trio.end(writers)


def main():
    bodies = {"drain": drain, "pause": pause}
    failed = 0
    for name in sys.argv[1:] or bodies:
        with ZooKeeper(1, tick_ms=500) as zoo:
            failed += run("operator " + name, bodies[name], Operated("operator-" + name, zoo, hosts=2, centers=3))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
