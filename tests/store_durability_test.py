#!/usr/bin/env python3
"""The directory store under strace: every name is given, acted on and taken away only in an order that a
power cut cannot turn around.

    store_durability_test.py TEST_SINKS              watch one of each changing call
    store_durability_test.py TEST_SINKS --self-test  with each sync taken out of what was seen, it must complain
"""
import os
import re
import shutil
import subprocess
import sys
import tempfile

SKIPPED = 77
CALLS = "openat,mkdirat,fdatasync,fsync,renameat2,unlinkat"


def watch(program):
    """The calls below the store's root, as (what, path): mkdir, open, sync-file, sync-directory, give, remove."""
    with tempfile.TemporaryDirectory() as scratch:
        trace = os.path.join(scratch, "trace")
        run = subprocess.run(
            ["strace", "-f", "-y", "-qq", "-o", trace, "-e", "trace=" + CALLS,
             program, "--run_test=store/for_the_durability_test", "--log_level=error"],
            env={**os.environ, "ASAN_OPTIONS": "detect_leaks=0", "TMPDIR": scratch}, capture_output=True, text=True)
        if "PTRACE" in run.stderr or "ptrace" in run.stderr:
            print("strace may not trace here: skipped")
            sys.exit(SKIPPED)
        if run.returncode != 0:
            sys.exit("the traced test failed:\n" + run.stdout + run.stderr)
        lines = open(trace, encoding="utf-8").read().splitlines()
    root = next(m.group(1) for m in (re.search(r"<(%s/tailrace-[^/>]+)>" % re.escape(scratch), l) for l in lines) if m)
    relative = lambda path: os.path.relpath(path, root)
    seen = []
    for line in lines:
        if m := re.search(r'(f?data)?sync\(\d+<([^>]+)>\) += 0$', line):
            if m.group(2).startswith(root):
                what = "sync-file" if m.group(1) else "sync-directory"
                seen.append((what, relative(m.group(2))))
        elif m := re.search(r'mkdirat\(\d+<[^>]+>, "([^"]+)".*\) += 0$', line):
            seen.append(("mkdir", m.group(1)))
        elif m := re.search(r'openat\(\d+<[^>]+>, "([^"]+)", O_RDONLY\|O_NONBLOCK.*\) += \d+', line):
            seen.append(("read", m.group(1)))
        elif m := re.search(r'renameat2\(\d+<[^>]+>, "([^"]+)", \d+<[^>]+>, "([^"]+)", RENAME_NOREPLACE\) += 0$', line):
            seen.append(("give", m.group(1) + " > " + m.group(2)))
        elif m := re.search(r'unlinkat\(\d+<[^>]+>, "([^"]+)", 0\) += 0$', line):
            seen.append(("remove", m.group(1)))
    return seen


RECORD, FILE = ("give", "c/tmp/1 > c/log/0"), ("give", "app/_stage/1/a > app/d/f")
# (first, second): the second must come, behind the first and, where a third is named, before that.
ORDER = [
    (None, ("sync-file", "c/tmp/1"), RECORD),
    (("mkdir", "c"), ("sync-directory", "."), RECORD),
    (("mkdir", "c/log"), ("sync-directory", "c"), RECORD),
    (RECORD, ("sync-directory", "c/log"), ("read", "c/log/0")),
    (("read", "c/log/0"), ("sync-directory", "c/log"), ("remove", "c/log/0")),
    (None, ("sync-file", "app/_stage/1/a"), FILE),
    (("mkdir", "app"), ("sync-directory", "."), FILE),
    (("mkdir", "app/_stage"), ("sync-directory", "app"), FILE),
    (("mkdir", "app/_stage/1"), ("sync-directory", "app/_stage"), FILE),
    (("mkdir", "app/_stage/1"), ("sync-directory", "app/_stage/1"), FILE),
    (("mkdir", "app/d"), ("sync-directory", "app"), FILE),
    (FILE, ("sync-directory", "app/d"), None),
    (FILE, ("sync-directory", "app/_stage/1"), None),
    (("remove", "c/log/0"), ("sync-directory", "c/log"), None),
]


def complaints(seen):
    found = []
    for after, wanted, before in ORDER:
        if (after and after not in seen) or (before and before not in seen):
            found.append("never seen: %s or %s" % (after, before))
            continue
        start = seen.index(after) + 1 if after else 0
        end = seen.index(before) if before else len(seen)
        if wanted not in seen[start:end]:
            found.append("no %s %s%s%s" % (*wanted, " behind %s %s" % after if after else "",
                                           " and before %s %s" % before if before else ""))
    return found


def main():
    if not shutil.which("strace"):
        print("strace is missing: skipped")
        return SKIPPED
    seen = watch(sys.argv[1])
    if "--self-test" not in sys.argv:
        found = complaints(seen)
        print("\n".join(found) or "%d calls, each in its place" % len(seen))
        return 1 if found else 0
    missed = []
    for after, wanted, before in ORDER:
        start = seen.index(after) + 1 if after else 0
        end = seen.index(before) if before else len(seen)
        without = [call for i, call in enumerate(seen) if call != wanted or not start <= i < end]
        if not complaints(without):
            missed.append("not missed: %s %s" % wanted)
    print("\n".join(missed) or "each of %d syncs is missed when it is taken out" % len(ORDER))
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
