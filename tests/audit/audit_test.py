#!/usr/bin/env python3
"""Audits the store after each of several kills of the real program, and at the end; then the auditor itself.

    audit_test.py --tailrace PROGRAM [--kills N] [--seed N] [--codec gzip|zstd|none]
"""
import argparse
import os
import random
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from store_audit import Audit, commit_record, crc32c  # noqa: E402


def write_some(logs, rng, numbers):
    for name in ("a", "b", "c"):
        with open(f"{logs}/{name}.log", "ab") as f:
            for _ in range(rng.randrange(1, 400)):
                numbers[name] = numbers.get(name, 0) + 1
                f.write(b"%s %d %s\n" % (name.encode(), numbers[name], b"x" * rng.randrange(300)))


def start(options, *more):
    return subprocess.Popen(
        [options.tailrace, "run", "--from", f"first={options.logs}/a.log", "--from", f"second={options.logs}/[bc].log",
         "--to", options.out, "--codec", options.codec, "--roll-size", "20KiB", "--roll-age", "1s", "--roll-idle",
         "500ms", *more], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)


def audit(out, when):
    found = Audit(out)
    problems = found.run()
    for problem in problems:
        print(f"{when}: {problem}")
    return found, len(problems)


def live_through_kills(options, rng):
    numbers, wrong = {}, 0
    for kill in range(options.kills):
        program = start(options)
        end = time.monotonic() + rng.uniform(0.3, 4.0)
        while time.monotonic() < end:
            write_some(options.logs, rng, numbers)
            time.sleep(rng.uniform(0.01, 0.2))
        program.send_signal(signal.SIGKILL)
        program.communicate()
        if os.path.exists(f"{options.out}/_tailrace.sink"):
            wrong += audit(options.out, f"after kill {kill + 1}")[1]
    program = start(options, "--once")
    text = program.communicate(timeout=120)[0].decode()
    if program.returncode != 0:
        print(f"--once ended with {program.returncode}:\n{text}")
        wrong += 1
    found, problems = audit(options.out, "at the end")
    written = sum(numbers.values())
    if found.lines != written:
        print(f"{written} lines were written, the records tell of {found.lines}")
        problems += 1
    print(f"{options.kills} kills, {len(found.logs)} logs, {found.files} files, {found.lines} lines: "
          f"{wrong + problems} problems")
    return wrong + problems


# --- mistakes, planted in a copy of what came out ------------------------------------------------------
def change(path, at, to):
    with open(path, "r+b") as f:
        f.seek(at)
        f.write(to)


def sign(path):
    """A changed record gets a right checksum: what is found must be what it says."""
    with open(path, "rb") as f:
        data = f.read()[:-4]
    with open(path, "wb") as f:
        f.write(data + struct.pack("<I", crc32c(data)))


def paths(out, inside, without=""):
    return sorted(os.path.join(d, n) for d, _, names in os.walk(out) for n in names
                  if inside in os.path.join(d, n) and not (without and without in os.path.join(d, n)))


def first_range(data):
    """Where the first range of a commit record stands, and what it is."""
    r = commit_record(data)["lanes"][0]["ranges"][0]
    return data.rindex(struct.pack("<QBQQQ", *r["key"], r["from"], r["to"], r["chain"])), r


def plant(kind, out):
    newest = max(paths(out, "/logs/")).rsplit("/", 1)[0]  # the last log: all of its entries stand
    entries = [p for p in paths(out, newest) if os.path.basename(p).isdigit()]
    claims = paths(out, "/lanes/second/")
    published = [p for p in paths(out, os.path.basename(newest), "/_tailrace/") if "/_stage/" not in p]
    if kind == "I3":
        change(published[0], os.path.getsize(published[0]) // 2, b"\0\1\2\3")
    elif kind == "I4":
        shutil.copy(published[0], published[0].replace("-0.log", "-77.log"))
    elif kind == "I9":
        os.remove(published[-1])
    elif kind == "I2":  # a commit's first range starts one line later
        with open(entries[0], "rb") as f:
            at, r = first_range(f.read())
        change(entries[0], at + 9, struct.pack("<Q", r["from"] + 1))
        sign(entries[0])
    elif kind == "I7":  # an epoch that is missing
        os.remove(claims[len(claims) // 2])
    elif kind == "I7, a part":  # of a lane that was not split
        shutil.copytree(os.path.dirname(claims[0]), os.path.dirname(os.path.dirname(claims[0])) + "/8-3")
    elif kind == "I8":  # an entry behind the FENCE
        shutil.copy(entries[0], f"{newest}/{len(entries):010d}")
    elif kind == "checksum":
        change(entries[0], 20, b"\xff")


def self_test(out):
    wrong = 0
    for kind in ("I2", "I3", "I4", "I7", "I7, a part", "I8", "I9", "checksum"):
        with tempfile.TemporaryDirectory() as directory:
            copy = f"{directory}/out"
            shutil.copytree(out, copy)
            plant(kind, copy)
            found = Audit(copy).run()
            if not any(kind[:2] in problem for problem in found):
                print(f"self-test: {kind} was planted, found was {found}")
                wrong += 1
    print(f"self-test: 8 mistakes planted, {wrong} not found")
    return wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tailrace", required=True)
    parser.add_argument("--kills", type=int, default=6)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    parser.add_argument("--codec", default="gzip")
    options = parser.parse_args()
    print(f"seed {options.seed}")
    with tempfile.TemporaryDirectory(prefix="tailrace-audit-") as directory:
        options.logs, options.out = f"{directory}/logs", f"{directory}/out"
        os.mkdir(options.logs)
        wrong = live_through_kills(options, random.Random(options.seed))
        wrong += self_test(options.out)
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
