#!/usr/bin/env python3
"""What `./dev build` installs is enough for a machine that has nothing yet: whatever package owns a header that the build includes is
named in ./dev's list `for_build`, or comes with what is named there.

    packages_test.py BUILD     a folder that ninja has built in; 77: no dpkg here, or not built
"""
import os
import re
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SKIPPED = 77


def said(*words):
    done = subprocess.run(words, capture_output=True, text=True)
    return done.stdout


def headers(build):
    """Of the system, in what the compilers told ninja."""
    found = re.findall(r"^    (/usr/\S+)$", said("ninja", "-C", build, "-t", "deps"), re.M)
    return sorted({os.path.realpath(path) for path in found})


def owners(paths):
    """{package: one of the paths}; what no package owns is not of the distribution."""
    found = {}
    for line in said("dpkg-query", "-S", *paths).splitlines():
        packages, _, path = line.rpartition(": ")
        for package in packages.split(", "):
            found.setdefault(package.split(":")[0], path)
    return found


def with_what_they_need(names):
    """The packages and, again and again, what they depend on."""
    needs = {}
    for line in said("dpkg-query", "-W", "-f", "${Package}\t${Provides}\t${Pre-Depends}, ${Depends}\n").splitlines():
        package, provides, depends = line.split("\t")
        words = {re.split(r"[ :]", word.strip())[0] for word in re.split(r"[,|]", depends)}
        for name in [package, *(re.split(r"[ :]", p.strip())[0] for p in provides.split(",") if p.strip())]:
            needs.setdefault(name, set()).update(words | {package})
    reached, left = set(), list(names)
    while left:
        if (name := left.pop()) not in reached:
            reached.add(name)
            left += needs.get(name, ())
    return reached


def main():
    build = sys.argv[1]
    if not os.path.exists("/usr/bin/dpkg-query") or not os.path.exists(build + "/build.ninja"):
        return SKIPPED
    with open(ROOT + "/dev", encoding="utf-8") as f:
        named = re.search(r'^for_build="([^"]+)"', f.read(), re.M)[1].split()
    have = with_what_they_need([*named, "dpkg-dev"])
    found = owners(headers(build))
    if not found:
        print("no header of the system in what was built below %s" % build)
        return SKIPPED
    lacking = {package: path for package, path in found.items() if package not in have}
    for package, path in sorted(lacking.items()):
        print("%s of the package %s is included by the build, and ./dev does not install it for a build (for_build)" % (path, package))
    print("%d packages own the build's headers, %d lacking" % (len(found), len(lacking)))
    return 1 if lacking else 0


if __name__ == "__main__":
    sys.exit(main())
