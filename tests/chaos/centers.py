#!/usr/bin/env python3
"""Centers that come, stop, die and leave while lines flow, on one directory store; the judge has the last word.

  walk     one Center; a second is added and takes its share; it is stopped (SIGSTOP) for longer than the take-over (T64), and
           goes on as a new incarnation; the first is killed for good; a third comes and the second is drained
  drain    a Center that leaves in order makes no small files, and nothing waits for long; T60 (scaled): two Centers, then one,
           three times two, six categories: no more files than bytes / target, and one for each owner
  split    one category that is loud is split and its parts are spread; the first Center leaves in order and comes back, the second
           is killed for good, a third takes its parts
  blocked  a category cannot be published and its Center is killed for good: the other two have all of its lanes soon
  tables   a log of more entries than a Center keeps: tables stand beside claims and the oldest entries are gone; a second Center
           takes its share, the first is killed for good
  T55      all Centers are killed at once and others come in their place: nothing of the dead stays behind
"""
import collections
import glob
import json
import math
import os
import re
import shutil
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../audit"))
import judge  # noqa: E402
from store_audit import Audit  # noqa: E402
from rig import PROGRAM, SKIPPED, Failure, run  # noqa: E402
from trio import FILES_OF_A_HOST, Trio  # noqa: E402

CATEGORIES = ("alpha", "beta", "gamma", "delta", "epsilon", "zeta")
LOUD = ("alpha",)
MANY = tuple("c%02d" % n for n in range(80))
FILES = 12  # of the loud one, before one believes that lines go on
INCARNATION = re.compile(r"\d{13}-[0-9a-f]{16}")


def start(trio, *without):
    for role in trio.roles:
        if role not in without:
            trio.up(role)


def walk(trio):
    start(trio, "center-1", "center-2")
    writers = trio.write_on_all(1, "--rate", "1000", "--categories", ",".join(CATEGORIES), "--files", "10")
    trio.step("the only Center has all lanes", 60, lambda: trio.lanes("center") == len(CATEGORIES))

    trio.up("center-1")
    trio.step("a Center that was added has a share", 90, lambda: trio.lanes("center-1") >= 1)
    trio.step("no lane is without an owner", 60,
              lambda: trio.lanes("center", "center-1") == len(CATEGORIES))
    trio.grows("lines go on through both")

    frozen = trio.running["center-1"]
    trio.freeze("center-1", True)
    del trio.running["center-1"]
    trio.step("the other has the lanes of one that is stopped", 120, lambda: trio.lanes("center") == len(CATEGORIES))
    trio.grows("lines go on without it")
    trio.running["center-1"] = frozen
    trio.freeze("center-1", False)
    trio.step("it begins a new incarnation when it is woken", 60, lambda: "a new one begins" in frozen.said())
    trio.step("it has a share again", 120, lambda: trio.lanes("center-1") >= 1)

    trio.kill("center")
    trio.step("the other has the lanes of one that was killed", 120,
              lambda: trio.lanes("center-1") == len(CATEGORIES))
    trio.grows("lines go on without it")

    trio.up("center-2")
    trio.step("a third has a share", 90, lambda: trio.lanes("center-2") >= 1)
    trio.stop("center-1")
    print("         the second has left", flush=True)
    trio.step("the third has all lanes", 60, lambda: trio.lanes("center-2") == len(CATEGORIES))
    trio.grows("lines go on through it alone")
    for writer in writers:
        trio.end_writer(writer)
    trio.settle()


def drain(trio):
    target = 256 << 10
    for role in ("center", "center-1"):
        path = "%s/%s.yaml" % (trio.folder, role)
        with open(path) as f:
            text = f.read()
        with open(path, "w") as f:
            f.write(text.replace("roll: {size: 256KiB, age: 1s, idle: 1s}", "roll: {size: 256KiB}"))
    start(trio)
    writers = trio.write_on_all(1, "--rate", "4000", "--categories", ",".join(CATEGORIES), "--files", "10",
                                "--rotate-every", "0")
    trio.step("both Centers have lanes", 90, lambda: trio.lanes("center") and trio.lanes("center-1"))
    trio.step("both publish", 90, lambda: {"center", "center-1"} <= {by(p) for p in judge.in_sight(trio.out)})
    trio.stop("center-1")
    trio.step("the other has all lanes", 30, lambda: trio.lanes("center") == len(CATEGORIES))
    trio.grows("lines go on through the other")
    for _ in range(3):  # it has hardly looked around, and somebody else lives
        trio.up("center-1")
        trio.stop("center-1", 25)
    small = [p for p in judge.in_sight(trio.out) if os.path.getsize(os.path.join(trio.out, p)) < target // 2]
    if small:
        raise Failure("files below half of the target: %s" % small)
    budget(trio, target)
    for writer in writers:
        trio.end_writer(writer)
    trio.stop("center")
    for n, role in enumerate(("center", "center-1")):  # as any test: what waits is published soon
        trio.configure(role, "name: %s\nlisten: 127.0.0.1:%d\nsinks:\n  files: {type: directory, root: %s, timezone: UTC, "
                       "roll: {size: 256KiB, age: 1s, idle: 1s}}\n" % (role, trio.ports[n], trio.out))
    trio.settle()


def known(trio):
    """What the store says of the Centers and lanes."""
    return json.loads(subprocess.run([PROGRAM, "centers", trio.out, "--format", "json"], capture_output=True, timeout=60,
                                     check=True).stdout)


def parts(trio):
    """How many parts of the loud category each Center owns, by its name; "": nobody."""
    said = known(trio)
    names = {c["incarnation"]: c["name"] for c in said["centers"]}
    owned = {}
    for lane in said["lanes"]:
        if lane["parts"] > 1 and not lane["split"]:
            name = names.get(lane["owner"], "").replace(".", "-")
            owned[name] = owned.get(name, 0) + 1
    return owned


def split(trio):
    for n, role in enumerate(("center", "center-1", "center-2")):
        trio.configure(role, "name: %s\nlisten: 127.0.0.1:%d\nsinks:\n  files: {type: directory, root: %s, timezone: UTC, "
                       "roll: {size: 2MiB, age: 25s}}\n" % (role, trio.ports[n], trio.out))
    start(trio, "center-1", "center-2")
    writers = trio.write_on_all(1, "--rate", "1250", "--categories", LOUD[0], "--files", "3", "--rotate-every", "0")
    trio.step("the only Center has the lane", 60, lambda: trio.lanes("center") == 1)
    trio.grows("lines flow", FILES)
    if parts(trio):
        raise Failure("a lane was split although there is one Center: %s" % parts(trio))
    trio.up("center-1")
    trio.step("the lane is split, and each has parts", 120, lambda: {"center", "center-1"} == set(parts(trio)))
    trio.grows("lines go on through both", FILES)
    trio.stop("center")
    print("         the first has left", flush=True)
    trio.step("the other has all parts", 60, lambda: {"center-1"} == set(parts(trio)))
    trio.grows("lines go on through it alone", FILES)
    trio.up("center")
    trio.step("the first has parts again", 90, lambda: {"center", "center-1"} == set(parts(trio)))
    trio.grows("lines go on through both again", FILES)
    trio.kill("center-1")
    trio.up("center-2")
    trio.step("a third has parts of the one that was killed", 120,
              lambda: {"center", "center-2"} == set(parts(trio)))
    trio.grows("lines go on through the two", FILES)
    for writer in writers:
        trio.end_writer(writer)
    trio.settle()
    audit = Audit(trio.out)
    audit.load()
    for check in (audit.check_logs, audit.check_ranges, audit.check_claims):  # files are the judge's
        check()
    if audit.problems:
        raise Failure("the records: %s" % audit.problems[:3])
    cuts = 0  # as it happens: only what is open and less than half a file is cut
    for role in ("center", "center-1", "center-2"):
        with open("%s/%s.log" % (trio.folder, role)) as f:
            cuts += f.read().count("were cut out of an open file")
    print("         %d lanes, %d files were cut" % (len(audit.claims), cuts))


def budget(trio, target):
    """No more files than their bytes need, and one for each time that a lane was somebody's."""
    sizes, owners = collections.Counter(), set()
    for path in judge.in_sight(trio.out):
        category = path.split("/")[0]
        sizes[category] += os.path.getsize(os.path.join(trio.out, path))
        owners.add((os.path.dirname(path), INCARNATION.search(path)[0]))
    files, allowed = len(judge.in_sight(trio.out)), sum(math.ceil(size / target) for size in sizes.values()) + len(owners)
    print("         %d files, %d allowed (%d MiB, %d owners of a category's directory)" % (
        files, allowed, sum(sizes.values()) >> 20, len(owners)), flush=True)
    if files > allowed:
        raise Failure("%d files where %d are allowed" % (files, allowed))


def others(trio):
    start(trio)
    writers = trio.write_on_all(1, "--rate", "2000", "--categories", ",".join(CATEGORIES), "--files", "10")
    trio.step("both Centers have lanes", 90, lambda: trio.lanes("center") and trio.lanes("center-1"))
    trio.grows("lines flow")
    trio.kill("center", "center-1")
    for role in ("center", "center-1"):  # other machines: nothing proves to them that the former ones are dead
        shutil.rmtree("%s/state-%s" % (trio.state, role))
        trio.up(role)
    trio.step("the others have all lanes", 120,
              lambda: trio.lanes("center", "center-1") == len(CATEGORIES))
    trio.grows("lines flow again")
    for writer in writers:
        trio.end_writer(writer)
    trio.step("every line is published", 120, lambda: trio.judge_quietly(True).clean)
    trio.step("nothing of the dead is left", 600, lambda: not trio.rests()[0] and not glob.glob(
        trio.out + "/_tailrace/*/tmp/*/*") and len(glob.glob(trio.out + "/_tailrace/*/live/*-????????????????")) == 2)
    trio.settle()


def lock(folders, locked):
    """Nothing can be made in them, not even by root."""
    for folder in folders:
        if subprocess.run(["chattr", "+i" if locked else "-i", folder], capture_output=True, check=False).returncode and locked:
            print("chattr +i does nothing here")
            sys.exit(SKIPPED)


def blocked(trio):
    start(trio)
    writers = trio.write_on_all(1, "--rate", "300", "--categories", ",".join(CATEGORIES), "--files", "10")
    trio.step("all Centers have lanes", 90, lambda: all(trio.lanes(c) for c in ("center", "center-1", "center-2")))
    trio.step("no lane is without an owner", 60,
              lambda: trio.lanes("center", "center-1", "center-2") == len(CATEGORIES))
    trio.grows("lines flow")
    mine = {path.split("/")[0] for path in judge.in_sight(trio.out) if by(path) == "center"}
    others = {path.split("/")[0] for path in judge.in_sight(trio.out) if by(path) != "center"}
    category = sorted(mine - others)[0]
    folders = glob.glob("%s/%s/dt=*/hr=*" % (trio.out, category)) + glob.glob("%s/%s/dt=*" % (trio.out, category))
    lock(folders, True)
    try:
        trio.step("the Center cannot publish it", 60, lambda: trio.figures("center", "tailrace_center_lines_unpublished"))
        trio.kill("center")
        trio.step("the others have all lanes", 60, lambda: trio.lanes("center-1", "center-2") == len(CATEGORIES))
        print("         %s" % [c for c in known(trio)["centers"] if c["over"]])
        trio.grows("lines of others go on")
    finally:
        lock(folders, False)
    for writer in writers:
        trio.end_writer(writer)
    trio.roles.remove("center")
    trio.settle()
    if left := [c["name"] for c in known(trio)["centers"]]:
        raise Failure("still announced: %s" % left)


def tables(trio):
    entries = 4096  # of its log, and a Center writes tables
    for n, role in enumerate(("center", "center-1")):
        trio.configure(role, "name: %s\nlisten: 127.0.0.1:%d\nsinks:\n  files: {type: directory, root: %s, timezone: UTC, "
                       "roll: {size: 64KiB, age: 1s, idle: 100ms}}\n" % (role, trio.ports[n], trio.out))
    start(trio, "center-1")
    writers = [trio.write("--seed", str(n), "--first", str(FILES_OF_A_HOST * n), "--files", "20", "--rate", "100", "--rotate-every",
                          "0", "--categories", ",".join(MANY[20 * n:20 * n + 20]), logs=trio.logs + host)
               for n, host in enumerate(trio.hosts)]

    def written():
        return len(glob.glob(trio.out + "/_tailrace/*/lanes/*/*/table-*"))

    def logged():
        return len(glob.glob(trio.out + "/_tailrace/*/logs/*/??????????"))
    most = 0

    def full():
        nonlocal most
        most = max(most, logged())
        return written() == len(MANY)
    trio.step("each lane has a table", 400, full)
    trio.step("the entries before it are gone", 60, lambda: logged() < entries // 2)
    print("         the log had %d entries or more, it has %d" % (most, logged()), flush=True)
    trio.up("center-1")
    trio.step("a Center that was added has a share", 90, lambda: trio.lanes("center-1") >= len(MANY) // 4)
    trio.step("a lane that went to it has its table no more", 60, lambda: written() < len(MANY))
    trio.grows("lines go on through both")
    trio.kill("center")
    trio.step("the other has the lanes of one that was killed", 120, lambda: trio.lanes("center-1") == len(MANY))
    trio.grows("lines go on without it")
    for writer in writers:
        trio.end_writer(writer)
    trio.up("center")
    trio.settle()
    if problems := Audit(trio.out).run():
        raise Failure("\n".join(problems))


def by(path):
    return judge.BY.search(path)[1].replace(".", "-")  # a '-' of a Center's name is a '.' there


def main():
    bodies = {"walk": (walk, 3), "drain": (drain, 2), "split": (split, 3), "blocked": (blocked, 3), "tables": (tables, 2), "T55": (others, 2)}
    failed = 0
    for name in sys.argv[1:] or bodies:
        body, centers = bodies[name]
        hosts, categories = {split: (8, LOUD), tables: (4, MANY)}.get(body, (2, CATEGORIES))
        trio = Trio("centers-" + name, hosts=hosts, centers=centers, categories=categories)
        failed += run("centers " + name, body, trio)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
