#!/usr/bin/env python3
"""`./dev scale` on a small cluster: it says what docs/scale.md shows, and what must hold of it."""
import json
import os
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PROGRAM = os.path.join(ROOT, "build", "bin", "bench_scale")


def count(*more):
    return json.loads(subprocess.run([PROGRAM, "--locals", "300", "--categories", "200", "--mib-s", "60", *more],
                                     capture_output=True, text=True, check=True).stdout)


def main():
    if not os.path.exists(PROGRAM):
        print("build/bin/bench_scale is missing: ./dev scale makes it")
        return 77
    said = count("--centers", "10")
    assert said == count("--centers", "10"), "the same seed, another result"
    whole, added = said["steps"][0], next(s for s in said["steps"] if s["step"] == "one Center added")
    split = [s for s in said["steps"] if s["step"].startswith("loud")][-1]
    assert whole["lanes"] == 200 < split["lanes"], said
    assert split["busiest"] < 1.3 < whole["busiest"], said
    assert 0 < added["moved"] < 2.5 * split["lanes"] / 11, said
    assert 1 <= said["files_a_day"] / said["fair_files_a_day"] < 1.5, said
    few, many = said["zookeeper"], count("--centers", "20")["zookeeper"]
    assert few["watches"] == 30 and few["watches_of_locals"] == 0, few
    assert many["bytes"] < 2.1 * few["bytes"], (few, many)  # it grows with the Centers, and with nothing else
    assert count("--centers", "10", "--locals", "3000")["zookeeper"] == few
    return 0


if __name__ == "__main__":
    sys.exit(main())
