#!/usr/bin/env python3
"""Version 1 of the protocol, spoken by a frozen peer that shares no code with the programs, against today's programs:
an agent, a Local, a Center, and what a Local is to its agent."""
import os
import random
import signal
import sys
import time

import daemons_test
from program import ROOT, main

sys.path.insert(0, os.path.join(ROOT, "tests", "peer"))
import peer_v1  # noqa: E402


def some_lines(rnd, name, batches):
    """Batches of lines, small ones that travel raw and larger ones that are compressed."""
    n = 0
    for _ in range(batches):
        count = rnd.choice((1, 3, 50, 1000))
        yield b"".join(b"%s %d %s\n" % (name, i, rnd.randbytes(rnd.randrange(20)).hex().encode())
                       for i in range(n, n + count))
        n += count


class PeerTest(daemons_test.DaemonsTest):
    def setUp(self):
        super().setUp()
        seed = int.from_bytes(os.urandom(4), "big")
        self.rnd = random.Random(seed)
        print("seed", seed)
        self.cluster = peer_v1.cluster_of("test")
        self.closing = []

    def tearDown(self):
        for peer in self.closing:
            peer.end()
        super().tearDown()

    def agent(self):
        return peer_v1.Agent(self.dir + "/local.sock")

    def local(self, **more):
        return peer_v1.Local(("127.0.0.1", self.port), self.cluster, **more)

    def ready(self, *roles):
        said = {"agent": "agent: ", "local": "takes an agent", "center": "takes Locals"}
        for role in roles:
            self.up(role)
        self.until("the start", lambda: all(said[role] in self.said() for role in roles))

    def category(self, name):
        return self.cat("--category", name) if os.path.isdir(self.out) else b""

    def arrives(self, category, lines):
        self.until("the lines of " + category, lambda: len(self.category(category)) >= len(lines))
        self.assertEqual(self.category(category), lines)


class Peer(PeerTest):
    def test_its_hashes_are_those_of_the_formats(self):
        self.assertEqual(peer_v1.crc32c(b"123456789"), 0xE3069283)
        self.assertEqual(peer_v1.crc32c(b"6789", peer_v1.crc32c(b"12345")), 0xE3069283)
        self.assertEqual(peer_v1.mix64(1), 0x910A2DEC89025CC1)
        self.assertEqual(peer_v1.next_chain(0xA1EA11EA0ACB60FB, 0, 2), 0x5E6308292CFFDE43)
        golden = os.path.join(ROOT, "tests", "golden")
        with open(golden + "/frame_v1.bin", "rb") as file:
            self.assertEqual(file.read(), peer_v1.frame(peer_v1.APPEND, b"a header", b"the payload", peer_v1.PUSH))
        with open(golden + "/batch_head_v1.bin", "rb") as file:
            head = peer_v1.read_head(file.read())
        self.assertEqual((head["count"], head["bucket"], len(head["ranges"])), (5, 0x1E8481, 2))

    def test_an_agent_of_version_1_delivers_through_local_and_center(self):
        self.ready("local", "center")
        agent = self.agent()
        for category in ("web", "db"):
            for lines in some_lines(self.rnd, category.encode(), 20):
                agent.add(category, lines)
        agent.connect()
        agent.until(agent.acked)
        agent.close()
        # Another time: the Local says where it stands, and what is added goes on there.
        agent.add("web", b"the last line\n")
        agent.connect()
        agent.until(agent.final)
        agent.close()
        for category in ("web", "db"):
            self.arrives(category, agent.content[category])

    def test_an_agent_of_version_1_that_forgot_all_is_told_where_to_go_on(self):
        self.ready("local", "center")
        agent = self.agent()
        agent.add("web", b"one\ntwo\n")
        agent.connect()
        # It sends before it is asked, from another place than the Local's.
        agent.next["web"] = 0
        agent.until(agent.acked)
        agent.send_one("web", agent.batches["web"][0])
        found = agent.wire.expect(peer_v1.EXPECT, "expect")
        self.assertEqual((found["next_seq"], found["files"][0]["next"]), (2, 8))
        agent.close()
        self.arrives("web", b"one\ntwo\n")

    def test_a_local_of_version_1_delivers_and_resumes_after_cuts_without_doubles(self):
        self.ready("center")
        local = self.local()
        local.add("web", b"first\n")
        local.connect()
        for i, lines in enumerate(some_lines(self.rnd, b"web", 60)):
            local.add("web", lines)
            if i % 5 == 0:
                local.add("db", b"db %d\n" % i)
            local.pump(0.01)
            if self.rnd.random() < 0.3:
                if self.rnd.random() < 0.5:
                    local.cut()
                else:
                    local.wire.raw(peer_v1.frame(peer_v1.PING)[:self.rnd.randrange(1, 20)])  # in the middle of a frame
                    local.cut()
                if self.rnd.random() < 0.3:
                    self.down("center", signal.SIGKILL)
                    self.up("center")
                    self.until("the door", lambda: self.opens())
                local.connect()
        local.until_committed()
        local.close()
        for n, category in enumerate(("web", "db")):
            self.arrives(category, b"".join(b.raw for b in local.streams[n]["batches"]))

    def opens(self):
        try:
            peer_v1.Wire(("127.0.0.1", self.port)).close()
            return True
        except OSError:
            return False

    def test_a_center_of_version_1_gets_the_lines_of_agent_and_local(self):
        center = peer_v1.Center(self.cluster, self.port)
        self.closing.append(center)
        self.ready("agent", "local")
        written = b""
        for i in range(60):
            lines = b"line %d\n" % i * self.rnd.choice((1, 1, 3000))
            self.write("a.log", lines, "ab")
            written += lines
            if i % 12 == 5:
                center.cut()
            if i == 30:
                self.down("local", signal.SIGKILL)
                self.up("local")
            time.sleep(0.02)
        self.until("all lines", lambda: center.failed or len(center.text("web")) >= len(written))
        center.check()
        self.assertGreater(center.connections, 3)
        self.assertEqual(center.text("web"), written)
        for role in ("agent", "local"):
            self.down(role, signal.SIGTERM)

    def test_a_center_of_version_1_that_commits_late_gets_no_line_twice(self):
        center = peer_v1.Center(self.cluster, self.port, at_once=False)
        self.closing.append(center)
        self.ready("agent", "local")
        written = b"".join(b"line %d\n" % i for i in range(20_000))
        self.write("a.log", written)
        received = lambda: any(len(row["raw"]) == len(written) for row in center.rows.values())  # noqa: E731
        self.until("all lines", lambda: center.failed or received())
        center.cut()  # nothing was committed: all comes again
        self.until("all lines again", lambda: center.failed or received())
        center.at_once = True
        self.until("the commit", lambda: center.failed or center.text("web"))
        center.check()
        self.assertEqual(center.text("web"), written)

    def test_a_local_of_version_1_takes_an_agents_lines(self):
        side = peer_v1.AgentSide(self.dir + "/local.sock")
        self.closing.append(side)
        self.ready("agent")
        written = b""
        for i in range(60):
            lines = b"line %d\n" % i * self.rnd.choice((1, 1, 3000))
            self.write("a.log", lines, "ab")
            written += lines
            if i % 12 == 5:
                side.cut()
            if i == 30:
                self.down("agent", signal.SIGKILL)
                self.up("agent")
            time.sleep(0.02)
        self.until("all lines", lambda: side.failed or len(side.text("web")) >= len(written))
        side.check()
        self.assertGreater(side.connections, 3)
        self.assertEqual(side.text("web"), written)
        self.down("agent", signal.SIGTERM)


# The daemons' own tests are not run a second time.
del daemons_test.Daemons

if __name__ == "__main__":
    main()
