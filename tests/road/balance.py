"""The balance of docs/metrics.md, read from the daemons' admin ports: nothing that a stop took is unaccounted for."""
import collections
import contextlib
import os
import re
import urllib.request

LINE = re.compile(r'^tailrace_(agent|local|center)_lines_(\w+?)(?:_total)?\{(?:sink="[^"]*",)?category="([^"]*)"(?:,reason="[^"]*")?\} (\S+)$')
# What came in = what went out, in lines, within each process at every moment.
IN = {"agent": ("taken",), "local": ("before", "taken"), "center": ("committed",)}
OUT = {"agent": ("waiting", "passed"), "local": ("waiting", "passed", "lost"), "center": ("unpublished", "passed", "lost")}


def lines(address):
    """{(category, figure): lines} of the daemon that serves metrics at `address`."""
    with urllib.request.urlopen("http://%s/metrics" % address, timeout=30) as answer:
        text = answer.read().decode()
    found = collections.Counter()
    for line in text.splitlines():
        if match := LINE.match(line):
            found[match[3], match[2]] += int(float(match[4]))
    return found


def address_of(pid, *but):
    """Where the process serves its metrics: it listens on one loopback port besides those. None: it does not (any more)."""
    sockets = set()
    try:
        for fd in os.listdir(f"/proc/{pid}/fd"):
            with contextlib.suppress(FileNotFoundError):  # closed meanwhile
                sockets.add(os.readlink(f"/proc/{pid}/fd/{fd}"))
    except OSError:
        return None
    with open("/proc/net/tcp") as table:
        rows = [row.split() for row in table.readlines()[1:]]
    for row in rows:
        host, port = row[1].split(":")
        if row[3] == "0A" and host == "0100007F" and int(port, 16) not in but and f"socket:[{row[9]}]" in sockets:
            return "127.0.0.1:%d" % int(port, 16)
    return None


def faults(role, figures):
    """What does not add up within one process; empty: all is accounted for."""
    said = []
    for category in sorted({c for c, _ in figures}):
        into = sum(figures[category, f] for f in IN[role])
        out = sum(figures[category, f] for f in OUT[role])
        if into != out and not (role == "center" and out > into):  # it publishes what an earlier life had committed
            said.append("%s, %s: %s are %d lines, %s are %d" % (
                role, category, " + ".join(IN[role]), into, " + ".join(OUT[role]), out))
    return said


def whole(agent, local, center, category):
    """(read, in flight, published, lost) over three processes that have run together from their start."""
    read = agent[category, "taken"] + local[category, "before"]
    in_flight = agent[category, "waiting"] + local[category, "waiting"] + center[category, "unpublished"]
    return read, in_flight, center[category, "passed"], local[category, "lost"] + center[category, "lost"]
