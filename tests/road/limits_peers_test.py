#!/usr/bin/env python3
"""Limits 13 to 20 and 24 to 26: peers that speak well and mean ill, against the running Local and Center, while a good
peer's lines arrive complete and once."""
import contextlib
import os
import threading
import time

from limits import LimitsTest, v1
from program import main
from watched import WatchedTest

BAD_NAMES = ("../../etc/passwd", "a/b", "%2e%2e", "a\0b", "~root", "_stage", ".hidden", "A", "", "x" * 65, "\x1b[31mred\n")


class Names(LimitsTest):
    def test_row_13_bad_categories_at_the_center(self):
        local = self.hostile()
        for i, name in enumerate(BAD_NAMES):
            other = self.local(local_id=700 + i, host="../../h")
            self.wires.append(other)
            other.add(name, b"x\n")
            with self.assertRaises(v1.Gone) as gone:  # in HELLO
                other.connect_once()
            self.assertEqual(v1.REJECT_CODES[gone.exception.reject["code"]], "CATEGORY")
        local.wire.send(v1.STREAM_DEF, v1.message("stream_def", stream=2, category="../x"))  # and later
        self.is_refused(local.wire, "CATEGORY", "is no category")
        self.good_is_whole()
        self.assertEqual({n for n in os.listdir(self.out) if not n.startswith("_")} - {"evil"}, {"web"})
        for line in self.said().splitlines():
            self.assertNotRegex(line, "[\x00-\x08\x0b-\x1f\x7f]")

    def test_row_13_bad_categories_at_the_local(self):
        agent = self.hostile_agent()
        for i, name in enumerate(BAD_NAMES):
            agent.wire.send(v1.STREAM_DEF, v1.message("stream_def", stream=20 + i, category=name))
            reject = agent.wire.expect(v1.REJECT, "reject")
            self.assertEqual((v1.REJECT_CODES[reject["code"]], reject["stream"]), ("CATEGORY", 20 + i))
        agent.wire.raw(self.append(stream=20) + self.append(b"not evil\n", stream=9))  # dropped; taken
        self.assertEqual(agent.wire.expect(v1.ACK, "ack"), {"stream": 9, "next_seq": 1})
        agent.close()
        self.is_said("is no category name", who="agent, process")
        self.good_agent_is_whole()

    def test_row_13_a_name_that_is_no_utf8(self):
        local = self.hostile()
        local.wire.raw(v1.frame(v1.STREAM_DEF, b"\x08\x02\x12\x02\xff\xfe"))
        self.is_refused(local.wire, "CORRUPT", "is no")
        self.good_is_whole()
        self.assertNotIn("libprotobuf", self.said())  # its own words about our peers

    def test_row_14_too_many_categories_of_one_local(self):
        local = self.hostile()
        for i in range(300):
            local.wire.send(v1.STREAM_DEF, v1.message("stream_def", stream=i + 2, category="c%d" % i))
        refused = [local.wire.expect(v1.REJECT, "reject") for _ in range(300 - 255)]
        self.assertEqual({(v1.REJECT_CODES[r["code"]], r["stream"] > 256) for r in refused}, {("CATEGORY", True)})
        local.until_committed()  # its first one goes on
        self.is_said("one too many: of one Local")
        self.good_lines("web")
        self.good_is_whole()

    def test_row_14_too_many_categories_of_an_agent(self):
        agent = self.hostile_agent()
        for i in range(300):
            agent.wire.send(v1.STREAM_DEF, v1.message("stream_def", stream=i + 20, category="c%d" % i))
        for _ in range(300 - 255):
            self.assertEqual(v1.REJECT_CODES[agent.wire.expect(v1.REJECT, "reject")["code"]], "CATEGORY")
        agent.wire.raw(self.append(stream=9))
        self.assertEqual(agent.wire.expect(v1.ACK, "ack")["stream"], 9)
        agent.close()
        self.is_said("one too many: a Local takes 256", who="agent, process")

    def test_row_14_too_many_categories_of_the_cluster(self):
        self.good_lines("web")
        self.good.until_committed()  # its lane is taken before thousands of others are wished for
        refused = 0
        for n in range(17):
            local = self.local(local_id=1000 + n, host="evil %d" % n)
            self.wires.append(local)
            local.connect()
            local.wire.raw(b"".join(
                v1.frame(v1.STREAM_DEF, v1.message("stream_def", stream=i + 1, category="c%d" % (256 * n + i)))
                for i in range(256)) + v1.frame(v1.PING))
            while True:
                kind, header, _ = local.wire.receive(20)
                refused += kind == v1.REJECT
                if kind == v1.REJECT:
                    self.assertEqual(v1.decode(v1.MESSAGES["reject"], header)["code"], v1.REJECT_CODES.index("CATEGORY"))
                if kind == v1.PONG:
                    break
            local.close()
        self.assertEqual(refused, 17 * 256 - (4096 - 1))  # the good one's is there
        self.is_said("one too many for this Center", times=2)  # of two Locals
        self.good_is_whole()

    def test_row_15_too_many_streams_of_one_local(self):
        local = self.hostile()
        local.wire.raw(b"".join(v1.frame(v1.STREAM_DEF, v1.message("stream_def", stream=i + 2, category="c%d" % (i // 200),
                                                                   sub=i % 200)) for i in range(5000)))
        self.is_refused(local.wire, "PROTOCOL", "too many streams")
        self.is_said("too many streams")
        self.good_is_whole()

    def test_row_15_one_stream_under_many_numbers(self):
        local = self.hostile()
        local.wire.raw(v1.frame(v1.STREAM_DEF, v1.message("stream_def", stream=2, category="evil")))
        self.is_refused(local.wire, "PROTOCOL", "two numbers")
        self.good_is_whole()

    def test_row_15_more_streams_than_a_lanes_table_holds(self):
        """20,000 streams of one category are in its table; the next is refused, those that are there go on."""
        taken = refused = 0
        batch = b"x\n"
        crc = v1.crc32c(batch)
        for n in range(80):
            local = self.local(local_id=10_000 + n, host="evil %d" % n)
            self.wires.append(local)
            local.connect()
            local.wire.raw(b"".join(v1.frame(v1.STREAM_DEF, v1.message("stream_def", stream=i + 1, category="evil", sub=i))
                                    for i in range(256)))
            while not local.credit.get("evil"):
                local.take(*local.wire.receive(20)[:2])
            local.wire.raw(b"".join(self.data(batch, stream=i + 1, sub=i, payload_crc=crc) for i in range(256))
                           + v1.frame(v1.PING))
            taken += 256
            while True:
                kind, header, _ = local.wire.receive(20)
                refused += kind == v1.REJECT
                if kind == v1.PONG:
                    break
            local.close()
        self.assertEqual(taken - refused, 20_000)
        self.is_said("no more streams fit into evil", times=2)  # of two Locals
        self.good_is_whole()


class Positions(LimitsTest, WatchedTest):
    def test_row_16_a_gap_is_rewound_and_a_repetition_dropped(self):
        local = self.hostile()
        local.wire.raw(self.data(first=5))
        self.assertEqual(local.wire.expect(v1.REWIND, "rewind")["to"]["seq"], 0)
        local.until_committed()
        local.wire.raw(self.data() + v1.frame(v1.FLUSH) + v1.frame(v1.PING))
        local.wire.expect(v1.PONG, "busy")
        self.good_is_whole()
        self.until("its line", lambda: self.category("evil") == b"x\n")

    def test_row_16_ten_gaps_in_a_minute_are_too_many(self):
        local = self.hostile()
        with contextlib.suppress(v1.Gone):
            for i in range(10):
                local.wire.raw(self.data(first=5 + i))
                if i < 9:
                    local.wire.expect(v1.REWIND, "rewind")
        self.is_refused(local.wire, "PROTOCOL", "ten times in a minute")
        self.is_said("ten times in a minute")
        self.good_is_whole()

    def test_row_16_a_start_inside_a_known_batch(self):
        local = self.hostile()
        local.add("evil", b"y\nz\n")
        local.until_committed()
        local.wire.raw(self.data(b"z\nw\n", first=2))
        self.assertEqual(local.wire.expect(v1.REJECT, "reject")["code"], v1.REJECT_CODES.index("CHAIN"))
        self.is_said("are not those that were committed before")
        self.good_is_whole()
        self.assertEqual(self.category("evil"), b"x\ny\nz\n")

    def test_row_16_a_repeated_batch_at_the_local_is_answered_with_expect(self):
        agent = self.hostile_agent()
        agent.wire.raw(self.append(stream=9))
        agent.wire.expect(v1.ACK, "ack")
        for first in (0, 7):
            agent.wire.raw(self.append(stream=9, first=first))
            self.assertEqual(agent.wire.expect(v1.EXPECT, "expect")["next_seq"], 1)
        agent.close()
        self.good_agent_is_whole()
        self.arrives("evil", b"x\n")

    def test_row_17_another_chain_holds_that_stream_alone(self):
        local = self.hostile()
        local.add("other", b"fine\n")
        local.wire.raw(self.data(before=77) + self.data(before=78) + self.data(before=79))
        while not local.streams[0]["refused"]:
            local.pump()
        self.assertEqual(v1.REJECT_CODES[local.streams[0]["refused"]["code"]], "CHAIN")
        local.until_committed()
        self.is_said("are not those that were committed before")  # once
        self.good_is_whole()
        self.assertEqual(self.category("evil"), b"")
        self.arrives("other", b"fine\n")
        # Three, and the peer's own if it was sent before the answer came.
        self.assertIn(self.metrics("center")['tailrace_center_lines_refused_total{sink="files",category="evil"}'], (3, 4))

    def test_row_19_two_locals_with_one_id(self):
        clone = self.local(local_id=self.good.local_id, host="clone", start=99)
        self.wires.append(clone)
        with self.assertRaises(v1.Gone) as gone:
            clone.connect_once()
        self.assertIsNone(gone.exception.reject)  # BUSY: the older one is asked first whether it lives
        self.good.pump(1)  # it does
        with self.assertRaises(v1.Gone) as gone:
            clone.connect()
        self.assertEqual(v1.REJECT_CODES[gone.exception.reject["code"]], "DUPLICATE")
        self.is_said("cloned machine")
        self.good_lines("web")
        # The same one come back, after a start of its own, takes its place.
        again = self.good.wire
        self.good.wire = None
        self.good.start, self.good.start_before = 2, 1
        self.good.connect()
        self.is_closed(again)
        again.close()
        self.good_is_whole()

    def test_row_20_another_cluster(self):
        other = v1.Local(("127.0.0.1", self.port), "00000000000000ff\n", local_id=5)
        self.wires.append(other)
        other.add("evil", b"x\n")
        with self.assertRaises(v1.Gone) as gone:
            other.connect_once()
        self.assertEqual(v1.REJECT_CODES[gone.exception.reject["code"]], "CLUSTER")
        self.is_said("belongs to cluster")
        self.good_is_whole()
        self.assertFalse(os.path.exists(self.out + "/evil"))


class Memory(LimitsTest):
    MOST = 32 << 20

    def configure(self, role, text):
        super().configure(role, text + ("limits: {memory: 32MiB}\n" if role == "center" else ""))

    def test_row_24_frames_in_part_hold_no_more_than_the_center_may(self):
        """Each of 60 Locals sends 3 MiB of a batch of 4 MiB and no more. 180 MiB, if nobody counted."""
        before = self.rss_kib("center")
        part = self.data(b"x" * 4_000_000 + b"\n")[:3 << 20]
        away = 0
        for n in range(60):
            local = self.hostile(local_id=500 + n)
            with contextlib.suppress(v1.Gone, OSError):
                local.wire.raw(part)
            if n % 10 == 0:
                self.good_lines("web")
        for local in self.wires:
            with contextlib.suppress(v1.Gone):
                while found := local.wire.receive(0.05):
                    away += found[0] == v1.BUSY
        self.assertGreater(away, 60 - self.MOST // len(part) - 5)
        self.is_said(r"all Locals together hold more than limits\.memory \(32\.0 MiB\)", who="it may come again")
        self.assertLess(self.rss_kib("center") - before, 3 * self.MOST >> 10)
        self.good_is_whole()


    def memory_kib(self, what):
        with open("/proc/%d/status" % self.running["center"].pid) as file:
            return next(int(line.split()[1]) for line in file if line.startswith(what))

    def test_rows_15_24_and_25_all_at_once_and_the_peak_is_what_the_settings_say(self):
        """I13. Half the hostile ones send batches in part, others read no answers, send beyond their credit, or name all
        the streams that they may; all from threads of their own. Without a limit the parts alone were 240 MiB."""
        part = self.data(b"x" * 4_000_000 + b"\n")[:3 << 20]
        pings = v1.frame(v1.PING) * 5_000
        names = b"".join(v1.frame(v1.STREAM_DEF, v1.message("stream_def", stream=2 + n, category="evil.%d" % (n % 250), sub=n // 250))
                         for n in range(4_000))
        beyond = self.data(b"x" * 999_999 + b"\n") * 9
        attacks = [part] * 80 + [pings] * 20 + [beyond] * 20 + [names] * 5
        locals_ = [self.hostile(local_id=500 + n) for n in range(len(attacks))]
        before = self.memory_kib("VmRSS")

        def attack(wire, data):
            with contextlib.suppress(v1.Gone, OSError):
                wire.socket.settimeout(10)
                for _ in range(4 if data is pings else 1):
                    wire.socket.sendall(data)

        threads = [threading.Thread(target=attack, args=(local.wire, data)) for local, data in zip(locals_, attacks)]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            self.good_lines("web", 1)
            time.sleep(0.05)
        self.is_said(r"all Locals together hold more than limits\.memory \(32\.0 MiB\)", who="it may come again")
        # docs/operating.md, "Limits": what is held, what came until that was noticed, a buffer for each connection, the names.
        each, streams = 96, 5 * 4_000
        most = (self.MOST + self.MOST // 8 >> 10) + each * len(attacks) + 2 * streams + 16_384
        self.assertLess(self.memory_kib("VmHWM") - before, most)
        self.good_is_whole()


class Floods(LimitsTest):
    def test_row_24_a_flood_of_valid_data(self):
        local = self.hostile()
        payload = b"x" * 999_999 + b"\n"
        crc, chain, first = v1.crc32c(payload), 0, 0
        for _ in range(100):
            if local.used.get("evil", 0) >= local.credit["evil"]:
                kind, header, _ = local.wire.receive(10)
                if kind == v1.CREDIT:
                    local.take(kind, header)
                continue
            data = self.data(payload, first=first, before=chain, payload_crc=crc)
            local.wire.raw(data)
            local.used["evil"] = local.used.get("evil", 0) + len(data) - 24
            chain, first = v1.next_chain(chain, crc, 1), first + 1
            if first % 10 == 0:
                self.good_lines("web")
        self.assertLess(self.rss_kib("center"), 150_000)
        local.cut()
        self.good_is_whole()

    def test_row_24_data_without_any_credit(self):
        local = self.hostile()
        local.wire.raw(v1.frame(v1.STREAM_DEF, v1.message("stream_def", stream=2, category="fresh"))
                       + self.data(stream=2) + self.data(b"y\n", stream=2, first=1))
        self.is_refused(local.wire, "PROTOCOL", "DATA of fresh beyond its credit")
        self.is_said("beyond its credit")
        self.good_is_whole()

    def test_row_24_credit_shrinks_as_connections_grow(self):
        alone = self.hostile(local_id=400)
        self.assertEqual(alone.credit["evil"], 8 << 20)
        for n in range(256 - 2):
            local = self.local(local_id=1000 + n)
            self.wires.append(local)
            local.connect()
        local = self.hostile(local_id=401)
        # The good one counts, and the real one if it is connected just now.
        self.assertIn(local.credit["evil"], ((1 << 30) // 257, (1 << 30) // 258))
        self.good_is_whole()

    def floods_with_pings(self, wire):
        pings = v1.frame(v1.PING) * 5_000
        end = time.monotonic() + 40
        with contextlib.suppress(OSError):
            while time.monotonic() < end:
                wire.socket.settimeout(5)
                wire.socket.sendall(pings)
            self.fail("it reads PINGs for ever, and nobody reads its PONGs")

    def test_row_25_a_local_that_never_reads(self):
        local = self.local(local_id=667, host="evil")
        self.wires.append(local)
        local.connect()
        local.close()
        wire = self.wire(receive_buffer=4096)
        wire.raw(v1.frame(v1.HELLO, local.hello()))
        before = self.rss_kib("center")
        self.floods_with_pings(wire)
        self.is_said("does not read its answers")
        self.assertLess(self.rss_kib("center") - before, 30_000)
        self.good_is_whole()

    def test_row_25_an_agent_that_never_reads(self):
        agent = self.hostile_agent()
        self.floods_with_pings(agent.wire)
        self.is_said("does not read its answers", who="agent, process")
        self.good_agent_is_whole()

    def test_rows_1_to_26_an_offender_waits_longer_each_time(self):
        local = self.hostile()
        pauses = []
        for _ in range(3):
            local.wire.raw(v1.frame(99))
            self.is_closed(local.wire)
            wire = self.wire()
            wire.send(v1.HELLO, local.hello())
            pauses.append(wire.expect(v1.BUSY, "busy")["retry_ms"])
            self.is_closed(wire)
            local.connect()
        self.assertTrue(all(limit / 2 < pause <= limit for pause, limit in zip(pauses, (1000, 2000, 4000))), pauses)
        self.good_is_whole()


if __name__ == "__main__":
    main()
