#!/usr/bin/env python3
"""What an operator does to Centers by ZooKeeper while lines flow, judged line by line.

  drain    a Center is drained from another host, and started again
  pause    rebalance is paused: who comes gets no lane, who dies is replaced; and resumed. A stranger may do neither
  steps    four Centers become eight (T71, scaled) and four again, drained all at once within 30 s (T73)
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

    def roles_of_centers(self):
        return [role for role in self.roles if kind(role) == "center"]

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
    # One that is nobody's yet the new Center may take.
    trio.step("all lanes are theirs", 30, lambda: trio.lanes("center", "center-1") == len(CATEGORIES))
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


def steps(trio):
    old, new = trio.roles_of_centers()[:4], trio.roles_of_centers()[4:]
    writers = trio.begin(*new)
    trio.step("four Centers have all lanes", 60, lambda: trio.lanes(*old) == len(CATEGORIES))
    lives = {role: trio.running[role].pid for role in trio.running}
    for role in new:
        trio.up(role)
    trio.step("the new ones have at least half of their share", 60, lambda: trio.lanes(*new) >= len(CATEGORIES) / 4)
    trio.step("no lane is without an owner", 30, lambda: trio.lanes(*old, *new) == len(CATEGORIES))
    trio.grows("lines go on through eight")
    if any(trio.running[role].pid != pid for role, pid in lives.items()):
        raise Failure("somebody was restarted")
    leaving = [subprocess.Popen([PROGRAM, "drain", role.replace("-", "."), "--config", trio.folder + "/local.yaml", "--timeout", "30s",
                                 "--format", "json"], stdout=subprocess.PIPE, text=True) for role in new]
    trio.started += leaving
    for role, process in zip(new, leaving):
        done = json.loads(process.communicate(timeout=60)[0])
        print("         %s %s in %.1f s" % (role, done["state"], done["seconds"]))
        if process.returncode != 0 or done["lanes"] or done["lines_held"]:
            raise Failure("drain of %s: %s" % (role, done))
        trio.running.pop(role).end(20, stop=False)
        trio.roles.remove(role)
    trio.step("the others have all lanes", 30, lambda: trio.lanes(*old) == len(CATEGORIES))
    trio.end(writers)


def main():
    bodies = {"drain": (drain, 3), "pause": (pause, 3), "steps": (steps, 8)}
    failed = 0
    for name in sys.argv[1:] or bodies:
        with ZooKeeper(1, tick_ms=500) as zoo:
            body, centers = bodies[name]
            failed += run("operator " + name, body, Operated("operator-" + name, zoo, hosts=2, centers=centers))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
