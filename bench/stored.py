"""How much the road adds to what it stores and sends (R10), and how fast a Local makes it durable (R8)."""
import os
import re
import statistics
import struct
import time

from trio import ROLES, Failed, Trio

RELAY_BATCH = 1 << 20  # of the bare loop: a group of the spool at full speed
RELAY_FILE = 64 << 20
SEGMENT_HEAD, RECORD_HEAD, BATCH = 64, 29, 6
CALL = re.compile(r"\(\d+<([^>]*)>.* = (\d+)$", re.M)  # to what, how many bytes


def payload_bytes(spool):
    """Of all batches in the segments: docs/formats/spool.md."""
    total = 0
    for path in sorted(spool.glob("*.seg")):
        data, at, last = path.read_bytes(), SEGMENT_HEAD, 0
        while at + RECORD_HEAD <= len(data):
            body, payload, _, kind, lsn, _ = struct.unpack_from("<IIIBQQ", data, at)
            if kind == 0 or (last and lsn != last + 1):
                break
            total += payload if kind == BATCH else 0
            at, last = at + RECORD_HEAD + body + payload, lsn
    return total


def amplification(bench):
    """One run with every sending and writing call recorded: what left through sockets, what went into files."""
    folder, facts = bench.corpus(bench.size)
    said = {role: bench.work / f"sent-{role}" for role in ROLES}
    calls = "trace=write,writev,pwrite64,pwritev,sendto,sendmsg"
    trio = Trio(bench.bin, bench.work, folder, "gzip",
                under={role: ["strace", "-f", "-y", "--seccomp-bpf", "-s", "0", "-e", calls, "-o", path]
                       for role, path in said.items()})
    try:
        trio.run(facts["lines"])
        judged = bench.judge(trio.to, facts, "gzip")
        stored = payload_bytes(trio.folder / "state-local" / "spool")
    finally:
        trio.close()
    sent = {role: bytes_to(path, "socket:") for role, path in said.items()}
    spooled = bytes_to(said["local"], "/spool/")
    return {"stored": stored, "spooled": spooled, "sent": sent, "published": judged["published_bytes"],
            "common": {"stored_bytes": stored, "bytes": facts["bytes"], "sha256": judged["sha256"]}}


def bytes_to(calls, part):
    return sum(int(n) for to, n in CALL.findall(calls.read_text()) if part in to)


def r10(bench, part):
    if "stored" not in bench.trios:
        bench.trios["stored"] = amplification(bench)
    seen = bench.trios["stored"]
    if part == "a":
        return {"value": round(seen["spooled"] / seen["stored"], 4), "unit": "bytes into the spool over stored bytes",
                "spool_bytes": seen["spooled"], **seen["common"]}
    if part == "b":
        each = {role: round(seen["sent"][role] / seen["stored"], 4) for role in ("agent", "local")}
        return {"value": max(each.values()), "unit": "bytes sent over stored bytes (the greater of the two hops)", **each,
                "sent_bytes": seen["sent"], **seen["common"]}
    return {"value": round(seen["published"] / seen["stored"], 4), "unit": "published bytes over stored bytes",
            "published_bytes": seen["published"], **seen["common"]}


# --- R8 ---------------------------------------------------------------------------------------------------------
def bare_rate(folder, total):
    """Bytes a second of pwrite and fdatasync alone, over a file that was written before."""
    path, block = folder / "bare", os.urandom(RELAY_BATCH)
    fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        for at in range(0, RELAY_FILE, RELAY_BATCH):
            os.pwrite(fd, block, at)
        os.fsync(fd)
        begun = time.monotonic()
        for n in range(total // RELAY_BATCH):
            os.pwrite(fd, block, n * RELAY_BATCH % RELAY_FILE)
            os.fdatasync(fd)
        return total // RELAY_BATCH * RELAY_BATCH / (time.monotonic() - begun)
    finally:
        os.close(fd)
        path.unlink()


def relay_rate(bench, folder, facts):
    """While the Local takes it, from its first tenth on; nothing is compressed, no Center runs."""
    trio = Trio(bench.bin, bench.work, folder, "none")
    try:
        trio.up("local")
        trio.stands("local")
        end = time.monotonic() + 120
        trio.up("agent")
        taken, first = 0, None
        while taken < facts["lines"]:
            if time.monotonic() > end:
                raise Failed(f"the Local has {taken} of {facts['lines']} lines")
            taken = trio.lines("local", "taken")
            if first is None and taken >= facts["lines"] / 10:
                first = (time.monotonic(), taken)
            time.sleep(0.005)
        rate = (taken - first[1]) / facts["lines"] * facts["bytes"] / (time.monotonic() - first[0])
        for role in ("agent", "local"):
            trio.stop_one(role)
        stored = payload_bytes(trio.folder / "state-local" / "spool")
        if stored != facts["bytes"]:
            raise Failed(f"the spool holds {stored} of {facts['bytes']} bytes")
        return rate
    finally:
        trio.close()


def r8(bench):
    folder, facts = bench.corpus(bench.size)
    bare, relays = [bare_rate(bench.work, facts["bytes"])], []
    for _ in range(bench.rounds):
        relays.append(relay_rate(bench, folder, facts))
        bare.append(bare_rate(bench.work, facts["bytes"]))
    ratios = [r / ((a + b) / 2) for r, a, b in zip(relays, bare, bare[1:])]
    return {"value": round(statistics.median(ratios), 3), "unit": "x pwrite + fdatasync alone", "min": round(min(ratios), 3),
            "max": round(max(ratios), 3), "bytes": facts["bytes"], "relay_mib_s": [round(r / (1 << 20)) for r in relays],
            "bare_mib_s": [round(b / (1 << 20)) for b in bare]}
