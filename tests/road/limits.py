"""What the tests of limits share: running daemons, a good peer whose lines must arrive, and a hostile hand.

A row's number in docs/operating.md, "Limits", stands in the name of its test.
"""
import contextlib
import re
import struct
import time

import peer_test
from peer_test import PeerTest, peer_v1 as v1

del peer_test.Peer  # its tests are not run a second time


class LimitsTest(PeerTest):
    """The Local and the Center run; self.good is a good Local, self.good_agent a good agent."""
    ROLES_UP = ("local", "center")

    def setUp(self):
        super().setUp()
        self.ready(*self.ROLES_UP)
        self.n = 0
        self.good = self.local(host="good")
        self.good_lines("web")
        self.good.connect()
        self.good_agent = self.agent()
        self.wires = []

    def tearDown(self):
        for peer in self.wires + [self.good]:
            with contextlib.suppress(v1.Gone, OSError):
                peer.close()
        super().tearDown()

    # --- the good ones -------------------------------------------------------------------------

    def good_lines(self, category, count=10):
        self.good.add(category, b"".join(b"good %d\n" % i for i in range(self.n, self.n + count)))
        self.n += count
        if self.good.wire:
            self.good.pump(0.01)

    def good_is_whole(self):
        """Everything that the good Local has is committed and published once."""
        self.good_lines("web")
        self.good.until_committed()
        self.good.close()
        for name in {s["category"] for s in self.good.streams}:
            lines = b"".join(b.raw for s in self.good.streams if s["category"] == name for b in s["batches"])
            self.until("the good lines", lambda: len(self.of_good(name)) >= len(lines))
            self.assertEqual(self.of_good(name), lines)
        self.alive()

    def of_good(self, category):
        return b"".join(line for line in self.category(category).splitlines(True) if line.startswith(b"good "))

    def good_agent_delivers(self):
        self.good_agent.add("agents", b"agent %d\n" % self.n * 3)
        self.n += 1
        end = time.monotonic() + 15
        while True:
            try:
                self.good_agent.connect()
                break
            except (v1.Gone, OSError):
                self.assertLess(time.monotonic(), end, "the good agent is kept out")
                time.sleep(0.05)
        self.good_agent.until(self.good_agent.acked)
        self.good_agent.close()

    def good_agent_is_whole(self):
        self.good_agent_delivers()
        self.arrives("agents", self.good_agent.content["agents"])
        self.alive()

    def alive(self):
        for role in self.ROLES_UP:
            self.assertIsNone(self.running[role].poll(), role + " has ended")

    # --- the hostile hand ----------------------------------------------------------------------

    def door(self, role):
        return self.dir + "/local.sock" if role == "local" else ("127.0.0.1", self.port)

    def wire(self, role="center", **more):
        wire = v1.Wire(self.door(role), **more)
        self.wires.append(wire)
        return wire

    def stranger_says(self, role, data):
        wire = self.wire(role)
        with contextlib.suppress(v1.Gone):
            wire.raw(data)
        return wire

    def hostile(self, local_id=666, **more):
        """A Local that has said HELLO and was welcomed; `web` is stream 1, with credit."""
        local = self.local(local_id=local_id, host="evil\n\x1b[31m host", **more)
        self.wires.append(local)
        local.add("evil", b"x\n")
        local.connect()
        end = time.monotonic() + 10
        while not local.credit.get("evil"):
            assert time.monotonic() < end
            local.take(*local.wire.receive(10)[:2])
        return local

    def data(self, payload=b"x\n", lines=None, codec=0, stream=1, first=0, before=0, after=None, sinks=1, **more):
        count, raw_len = lines or (payload.count(b"\n"), len(payload))
        crc = more.pop("payload_crc", v1.crc32c(payload))
        after = v1.next_chain(before, crc, count) if after is None else after
        head = v1.batch_head(stream, first, (count, raw_len), payload, codec, (), payload_crc=crc, chain_before=before,
                             chain_after=after, **more)
        return v1.frame(v1.DATA, struct.pack("<I", sinks) + head, payload)

    def append(self, payload=b"x\n", lines=None, codec=0, stream=1, first=0, sources=None, **more):
        lines = lines or (payload.count(b"\n"), len(payload))
        sources = [(stream, 0, lines[1], lines[0], 0, 0)] if sources is None else sources
        return v1.frame(v1.APPEND, v1.batch_head(stream, first, lines, payload, codec, sources, **more), payload)

    def hostile_agent(self):
        """An agent that has been welcomed and has defined stream 9 and file 9."""
        agent = self.agent()
        end = time.monotonic() + 15
        while True:
            try:
                agent.connect()
                break
            except (v1.Gone, OSError):
                self.assertLess(time.monotonic(), end, "the hostile agent is kept out")
        self.wires.append(agent.wire)
        agent.content["evil"] = b""
        agent.define(9, "evil", 0)
        return agent

    def is_refused(self, wire, code, text, seconds=10):
        """The connection ends, after a REJECT with that code and text."""
        try:
            end = time.monotonic() + seconds
            while True:
                left = end - time.monotonic()
                self.assertGreater(left, 0, "the connection was not closed for: " + text)
                wire.receive(left)
        except v1.Gone as gone:
            self.assertIsNotNone(gone.reject, "closed without a word")
            self.assertEqual(v1.REJECT_CODES[gone.reject["code"]], code, gone.reject)
            self.assertRegex(gone.reject["text"], text)

    def is_closed(self, wire, seconds=10):
        try:
            end = time.monotonic() + seconds
            while time.monotonic() < end:
                wire.receive(0.2)
        except v1.Gone:
            return
        self.fail("the connection was not closed")

    def is_said(self, text, times=1, who="127.0.0.1:"):
        """Our own log says it, so many times, with who it was, and nothing that a terminal would obey."""
        self.until("the log to say " + text, lambda: re.search(text, self.said()))
        lines = [line for line in self.said().splitlines() if re.search(text, line)]
        self.assertEqual(len(lines), times, lines)
        for line in lines:
            self.assertIn(who, line)
            self.assertNotRegex(line, "[\x00-\x08\x0b-\x1f\x7f]")
            self.assertLess(len(line), 700)

    def rss_kib(self, role):
        with open("/proc/%d/status" % self.running[role].pid) as file:
            return next(int(line.split()[1]) for line in file if line.startswith("VmRSS"))
