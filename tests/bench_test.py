#!/usr/bin/env python3
"""bench/run prints a figure for a subject that publishes the corpus, and none for one that does not.

Stand-ins take the place of the measured programs: what is tested is the judging, in a second.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

RUN = Path(__file__).resolve().parent.parent / "bench" / "run"

CORPUS = """#!/usr/bin/env python3
import json, sys
bytes_ = 1 << 20
line = b"2026-11-24 one line of many, number %09d\\n"
text = b"".join(line % i for i in range(bytes_ // len(line % 0)))
open(sys.argv[1], "wb").write(text)
print(json.dumps({"bytes": len(text), "lines": text.count(b"\\n"), "seed": 1, "line_bytes": 0, "xxh3": "0"}))
"""

CALIBRATOR = """#!/usr/bin/env python3
import json, os, sys
runs = os.environ["RUNS"]
open(runs, "a").write("x")
seconds = float(os.environ.get("SECOND_CALIBRATION", "0.01")) if os.path.getsize(runs) % 2 == 0 else 0.01
print(json.dumps({"bytes": os.path.getsize(sys.argv[1]), "compressed": 1, "cpu_s": seconds}))
"""

# Publishes what it was given in two gzip members a file, spoiled as SPOIL says.
TAILRACE = """#!/usr/bin/env python3
import glob, gzip, os, sys
argument = dict(zip(sys.argv[2::2], sys.argv[3::2]))
text = b"".join(open(f, "rb").read() for f in sorted(glob.glob(argument["--from"].split("=")[1])))
lines = text.splitlines(keepends=True)
middle = len(lines) // 2
spoil = os.environ.get("SPOIL")
if spoil == "lose": del lines[middle]
if spoil == "double": lines.insert(middle, lines[middle])
if spoil == "swap": lines[middle], lines[middle + 1] = lines[middle + 1], lines[middle]
if spoil == "flip": lines[middle] = lines[middle].replace(b"many", b"many"[:3] + b"Y")
third = len(lines) // 3
parts = [b"".join(lines[i * third:(i + 1) * third if i < 2 else None]) for i in range(3)]
for number, part in zip((2, 10, 11), parts):  # in the order of numbers, not of letters
    folder = argument["--to"].split()[0] + "/app/dt=2026-11-24/hr=13"
    os.makedirs(folder, exist_ok=True)
    half = len(part) // 2
    data = gzip.compress(part[:half]) + gzip.compress(part[half:])
    if spoil == "cut" and number == 11: data = data[:-1]
    open(f"{folder}/app-{number}-0.log.gz", "wb").write(data)
os.makedirs(argument["--to"] + "/_tailrace")
open(argument["--to"] + "/_tailrace/not.log.gz", "wb").write(b"not a published file")
if probe := os.environ.get("TAILRACE_PROBE"):
    open(probe, "w").write('{"allocations": 7, "peak_rss_kib": 1024}')
sys.exit(3 if spoil == "fail" else 0)
"""


def run(folder, *arguments, **environment):
    command = [sys.executable, str(RUN), "--programs", str(folder / "bin"), "--dir", str(folder / "work"), "--rounds", "2",
               *arguments]
    runs = folder / "runs"
    runs.write_text("")
    done = subprocess.run(command, env={**os.environ, "RUNS": str(runs), **environment}, capture_output=True, text=True)
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()], done.stderr


# "abc", then "de" and "fgh\n" in one block; each a literal of Snappy's.
BLOCKS = (b"\0\0\0\x03" b"\0\0\0\x05\x03\x08abc"
          b"\0\0\0\x06" b"\0\0\0\x04\x02\x04de" b"\0\0\0\x06\x04\x0cfgh\n")


def unpacks_snappy(folder):
    """bench/snappy_cat.py, which judges with Snappy: all of it or an error."""
    def unpack(data):
        (folder / "x.snappy").write_bytes(data)
        done = subprocess.run([sys.executable, str(RUN.parent / "snappy_cat.py"), str(folder / "x.snappy")], capture_output=True)
        return done.returncode, done.stdout
    assert unpack(BLOCKS) == (0, b"abcdefgh\n"), unpack(BLOCKS)
    for bad in (BLOCKS[:-1], BLOCKS[:15], BLOCKS[:-9] + b"\xff" + BLOCKS[-8:], BLOCKS + b"\0\0\0\0", BLOCKS[:3] + b"\x02" + BLOCKS[4:]):
        assert unpack(bad)[0] != 0, bad


def main():
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        unpacks_snappy(folder)
        (folder / "bin").mkdir()
        programs = {"bench_corpus": CORPUS, "bench_calibrator": CALIBRATOR, "tailrace": TAILRACE, "bench_probe.so": ""}
        for program, text in programs.items():
            (folder / "bin" / program).write_text(text)
            (folder / "bin" / program).chmod(0o755)

        code, figures, said = run(folder, "R1-run", "--json")
        assert code == 0, said
        (figure,) = figures
        assert figure["id"] == "R1-run" and figure["unit"] == "x S" and figure["value"] > 0, figure
        assert figure["bytes"] > 1_000_000 and len(figure["sha256"]) == 64 and len(figure["cpu_s"]) == 2, figure
        assert said.count("\n") <= 1, said  # --json: no more than that a corpus is made

        for spoil in ("lose", "double", "swap", "flip", "cut", "fail"):
            code, figures, said = run(folder, "R1-run", SPOIL=spoil)
            assert code == 1 and not figures, f"{spoil}: {code} {figures} {said}"
            assert "no figure" in said, said

        code, figures, said = run(folder, "R1-run", SECOND_CALIBRATION="0.02")
        assert code == 1 and not figures and "discarded" in said and "never quiet" in said, said

        code, figures, said = run(folder, "R16")
        assert code == 0 and figures[0]["peak_rss_bytes"] == 1 << 20, said
        code, _, said = run(folder, "R99")
        assert code == 2 and "R99" in said, said
    print("bench: one good subject has a figure, 6 spoiled ones and a restless machine have none")


if __name__ == "__main__":
    main()
