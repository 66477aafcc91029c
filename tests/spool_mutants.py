#!/usr/bin/env python3
"""Plants one mistake after another in the spool's code and asks whether the crash enumeration sees it.

Not part of ./dev test: it compiles for minutes. Usage: tests/spool_mutants.py [NAME...]
The production code knows nothing of it: each mistake is a replacement in a copy of one file. One
whose text is no longer there is an error, so the list cannot fall behind.
"""
import os
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
OTHERS = ["base/hash.cc", "base/random.cc", "base/result.cc", "base/file.cc", "flow/batch.cc", "flow/stream.cc",
          "tests/local/crash/main.cc", "tests/local/spool_crash.cc", "tests/local/spool_world.cc",
          "tests/local/virtual_disk.cc"]
STATES = "20000"

# That the era is in the crc is not asked here: lsn alone already keeps a file's earlier life apart in all
# that a trace can leave. spool_recovery_test and spool_record_test ask it directly.
# name, file, what stands there, what is put in its place
MUTANTS = [
    ("durable_lsn runs ahead of the sync", "local/spool_log.cc",
     "p.header.durable_lsn = durable_lsn_;", "p.header.durable_lsn = p.header.lsn - 1;"),
    ("durable_lsn is ignored: nothing is copied at a start", "local/spool_recovery.cc",
     "whole ? first_lsn : std::min(synced + 1, scan.end_lsn());", "whole ? first_lsn : (void(synced), scan.end_lsn());"),
    ("payloads are not checked", "local/spool_scan.cc", "  return check_payloads();", "  return {};"),
    ("the directory is not synced before a segment is written", "local/spool_log.cc",
     "  if (renamed) group.ops.push_back(file_op(SpoolOp::Kind::sync_names));", "  (void)renamed;"),
    ("a start's first segment gets its name before it is complete", "local/spool_log.cc",
     "p.era == first_era_ ? SpoolName::fresh : SpoolName::segment", "SpoolName::segment"),
    ("a segment is freed by a cursor that is not durable", "local/spool_state.cc",
     "const auto cursor = durable_cursors.find({sink, stream});\n"
     "      if (cursor == durable_cursors.end() ||",
     "const auto cursor = tables.cursors.find({sink, stream});\n"
     "      if (cursor == tables.cursors.end() ||"),
    ("the newest SNAPSHOT's own segment is trimmed", "local/spool_state.cc",
     "s->first < snapshot_era;", "s->first <= snapshot_era && s->first < log.segments().rbegin()->first;"),
    ("what a later start replaced is read too", "local/spool_recovery.cc",
     "  b.stop_lsn = found_[next].header.first_lsn;", "  b.stop_lsn = UINT64_MAX - 1;"),
    ("one sink's cursor frees for all", "local/spool_state.cc",
     "cursor->second.seq < held.end_seq) return false;",
     "cursor->second.seq < held.end_seq) continue;\n      return true;"),
    ("FILE_GONE is forgotten", "local/spool_recovery.cc", "if (file) t.files.erase(*file);", ""),
]


def compile_one(source, target, into):
    command = ["g++", "-std=c++20", "-O1", "-I", ROOT, "-c", source, "-o", os.path.join(into, target)]
    return subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0


def build(objects, into):
    program = os.path.join(into, "enumerate")
    subprocess.run(["g++", *[os.path.join(into, o) for o in objects], "-o", program], check=True)
    return program


def run(program):
    out = subprocess.run([program, STATES], capture_output=True, text=True)
    lines = out.stdout.strip().splitlines()
    reason = lines[-1] if lines else "ended by a check: " + out.stderr.strip().splitlines()[-1][:90]
    return out.returncode, reason


def main():
    names = sys.argv[1:]
    spool = sorted("local/" + f for f in os.listdir(os.path.join(ROOT, "local"))
                   if f.startswith("spool") and f.endswith(".cc"))
    sources = OTHERS + spool
    survived = 0
    with tempfile.TemporaryDirectory() as into:
        for source in sources:
            if not compile_one(os.path.join(ROOT, source), source.replace("/", "_") + ".o", into):
                sys.exit(source + " does not compile")
        objects = [s.replace("/", "_") + ".o" for s in sources]
        code, reason = run(build(objects, into))
        print("as it is:", reason, flush=True)
        if code != 0:
            sys.exit(1)
        for name, file, old, new in MUTANTS:
            if names and name not in names:
                continue
            with open(os.path.join(ROOT, file), encoding="utf-8") as f:
                text = f.read()
            if text.count(old) != 1:
                sys.exit(f"{name}: its place in {file} is gone")
            mutant = os.path.join(into, "mutant.cc")
            with open(mutant, "w", encoding="utf-8") as f:
                f.write(text.replace(old, new))
            if not compile_one(mutant, "mutant.o", into):
                sys.exit(f"{name}: does not compile")
            with_mutant = [("mutant.o" if o == file.replace("/", "_") + ".o" else o) for o in objects]
            code, reason = run(build(with_mutant, into))
            survived += code == 0
            print(("SURVIVED  " if code == 0 else "caught    ") + name + ": " + reason, flush=True)
    print(f"{survived} survived")
    sys.exit(1 if survived else 0)


main()
