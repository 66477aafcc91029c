#!/usr/bin/env python3
"""Limits 1 to 9: what is wrong with frames and batches, sent to the running Local and Center by a frozen peer's hand,
while a good peer's lines arrive complete and once."""
import gzip
import struct
import time
import zlib

from limits import LimitsTest, v1
from program import main

TLS_HELLO = bytes.fromhex("16030100f5010000f10303") + bytes(range(200))


def prefix(kind, header_len=0, payload_len=0, flags=0):
    return v1.frame(kind, flags=flags, lengths=(header_len, payload_len))


class Frames(LimitsTest):
    """Rows 1 to 6 need no HELLO: the frame is refused by itself. The same at both doors."""

    def strangers_are_refused(self, data, code, text, times=3):
        # On an agent's socket only one connection is served at a time.
        for role in ("center", "local"):
            for _ in range(times):
                wire = self.stranger_says(role, data)
                self.is_refused(wire, code, text)
                wire.close()
                if role == "center":
                    self.good_lines("web")
                else:
                    self.good_agent_delivers()
        self.good_is_whole()
        self.good_agent_is_whole()

    def is_said_at_both_doors(self, text):
        self.is_said("refused 127.*" + text)
        self.is_said("agent, process.*" + text, who="of user")

    def test_row_01_length_bomb(self):
        before = {role: self.rss_kib(role) for role in self.ROLES_UP}
        self.strangers_are_refused(prefix(v1.DATA, 100, 0xFFFFFFFF), "CORRUPT", "claims 4.0 GiB, the limit is 4.0 MiB")
        for role in self.ROLES_UP:
            self.assertLess(self.rss_kib(role) - before[role], 30_000, "it was allocated")
        self.is_said_at_both_doors("claims 4.0 GiB")

    def test_row_01_length_bomb_just_over_the_limit(self):
        self.strangers_are_refused(prefix(v1.HELLO, (4 << 20) + 1), "CORRUPT", "the limit is", times=1)

    def test_row_02_http(self):
        self.strangers_are_refused(b"GET /\x1b[31m HTTP/1.1\r\nHost: x\r\n\r\n", "PROTOCOL", "looks like HTTP")
        self.is_said_at_both_doors(r"looks like HTTP.*GET /\\x1b")

    def test_row_02_tls(self):
        self.strangers_are_refused(TLS_HELLO, "PROTOCOL", "looks like TLS")
        self.is_said_at_both_doors("looks like TLS")

    def test_row_02_something_else(self):
        self.strangers_are_refused(b"\n\n\x00\xff" * 100, "PROTOCOL", "does not speak our protocol", times=1)
        self.is_said_at_both_doors("does not speak our protocol")

    def test_row_03_header_checksum(self):
        self.strangers_are_refused(v1.frame(v1.HELLO, v1.message("hello", role=2), crc=1), "CORRUPT", "checksum")
        self.is_said_at_both_doors("checksum")

    def test_row_04_unknown_version(self):
        self.strangers_are_refused(v1.frame(v1.HELLO, version=9), "VERSION", "speaks frame version 9, this program 1 to 1")
        self.is_said_at_both_doors("frame version 9")

    def test_row_05_unknown_type(self):
        self.strangers_are_refused(v1.frame(99), "PROTOCOL", "type 99 is unknown")
        self.is_said_at_both_doors("type 99")

    def test_row_05_unknown_flag(self):
        self.strangers_are_refused(v1.frame(v1.PING, flags=4), "PROTOCOL", "flags unknown")
        self.is_said_at_both_doors("flags unknown")

    def test_row_06_data_without_body(self):
        self.strangers_are_refused(v1.frame(v1.DATA), "CORRUPT", "carries no batch")
        self.is_said_at_both_doors("carries no batch")

    def test_row_06_payload_where_none_is(self):
        self.strangers_are_refused(v1.frame(v1.PING, b"", b"x"), "CORRUPT", "carries none by rule", times=1)


class Versions(LimitsTest):
    def test_row_04_newer_minor_versions_are_understood(self):
        """Fields, and types of 128 and above, that are not known are passed over; so is a HELLO that could do more."""
        later = v1.encode({60: ("more", "v"), 61: ("text", "s")}, {"more": 7, "text": "later"})
        self.good_lines("web")
        self.good.close()
        hello = self.good.hello(frame_version_max=9)
        self.good.hello = lambda: hello + later
        self.good.connect()
        self.good.wire.raw(v1.frame(128, later) + v1.frame(255, b"", b"any payload", flags=0xFFFF))
        self.good_is_whole()

    def test_row_04_a_local_that_is_told_so_waits_a_minute(self):
        center = v1.Center(self.cluster)
        self.closing.append(center)
        center.serve = lambda wire: wire.send(v1.REJECT, v1.message("reject", code=7, text="speaks 2 to\n3"))
        text = self.settings["local"].replace(str(self.port), str(center.port))
        self.configure("local", f"role: local\ncluster: test\nstate: {self.dir}/local\n{text}")
        self.down("local", 15)
        self.up("local")
        self.is_said(r"tried again; the Center says: speaks 2 to\\x0a3", who="the Center")
        self.assertEqual(self.stays(lambda: center.connections, 8), 1)
        self.good_is_whole()

    def test_row_04_a_local_that_hears_another_version_waits_a_minute(self):
        center = v1.Center(self.cluster)
        self.closing.append(center)
        center.serve = lambda wire: wire.raw(v1.frame(v1.WELCOME, version=3))
        text = self.settings["local"].replace(str(self.port), str(center.port))
        self.configure("local", f"role: local\ncluster: test\nstate: {self.dir}/local\n{text}")
        self.down("local", 15)
        self.up("local")
        self.is_said("frame version 3", who="no Center")
        self.assertEqual(self.stays(lambda: center.connections, 8), 1)
        self.good_is_whole()

    def stays(self, number, seconds):
        """A Local that does not wait comes again within 5 s."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and number() == 1:
            time.sleep(0.05)
        return number()


class Batches(LimitsTest):
    """Rows 3 and 6 to 9: a welcomed peer's batch. At the Center by DATA, at the Local by APPEND."""

    def center_refuses(self, data, text, code="CORRUPT", said=None):
        local = self.hostile()
        self.good_lines("web")
        local.wire.raw(data)
        self.is_refused(local.wire, code, text)
        self.is_said("evil.*" + (said or text))
        self.good_is_whole()
        self.assertEqual(self.category("evil"), b"", "something of it was published")

    def local_refuses(self, data, text, code="CORRUPT"):
        self.good_agent_delivers()
        for _ in range(3):
            agent = self.hostile_agent()
            agent.wire.raw(data)
            self.is_refused(agent.wire, code, text)
            agent.wire.close()
        self.is_said("agent, process.*closed: .*" + text, who="of user")
        self.good_agent_is_whole()

    MEMBER = gzip.compress(b"line\n" * 1000)

    def test_row_03_payload_checksum(self):
        self.center_refuses(self.data(payload_crc=5), "another checksum")

    def test_row_03_payload_checksum_at_the_local(self):
        self.local_refuses(self.append(stream=9, payload_crc=5), "checksum")

    def test_row_06_no_records(self):
        self.center_refuses(self.data(lines=(0, 2)), "a line has no newline")

    def test_row_06_no_records_at_the_local(self):
        self.local_refuses(self.append(stream=9, lines=(0, 2)), "a line has no newline")

    def test_row_07_bomb_whose_trailer_lies(self):
        """4 MiB that say they are 5,000 bytes: inflated into 5,001 and no more."""
        bomb = gzip.compress(b"\n" * (4 << 20))
        bomb = bomb[:-4] + struct.pack("<I", 5000)
        before = self.rss_kib("center")
        self.center_refuses(self.data(bomb, (5000, 5000), codec=1), "holds more than was said")
        self.assertLess(self.rss_kib("center") - before, 20_000)

    def test_row_07_more_than_deflate_can(self):
        bomb = gzip.compress(b"\n" * 1000)[:-4] + struct.pack("<I", 1 << 20)
        self.center_refuses(self.data(bomb, (1 << 20, 1 << 20), codec=1), "no gzip member of 1048576 bytes")

    def test_row_07_more_than_deflate_can_at_the_local(self):
        bomb = gzip.compress(b"\n" * 1000)[:-4] + struct.pack("<I", 1 << 20)
        self.local_refuses(self.append(bomb, (1 << 20, 1 << 20), codec=1, stream=9), "no gzip member of 1048576 bytes")

    def test_row_07_two_layers(self):
        twice = gzip.compress(self.MEMBER)
        self.center_refuses(self.data(twice, (1000, 5000), codec=1), "no gzip member of 5000 bytes")

    def test_row_07_raw_len_over_the_limit(self):
        self.center_refuses(self.data(self.MEMBER, (1000, (4 << 20) + 1), codec=1), "larger than a batch may be")

    def test_row_07_zstd_with_a_dictionary(self):
        frame = bytes.fromhex("28b52ffd") + bytes([0x21, 7, 4]) + bytes.fromhex("210000") + b"abc\n"
        self.center_refuses(self.data(frame, (1, 4), codec=2, file_codec=2), "no zstd member of 4 bytes")

    def test_row_08_raw_len_too_long(self):
        self.center_refuses(self.data(self.MEMBER, (1000, 5001), codec=1), "no gzip member of 5001 bytes")

    def test_row_08_raw_len_too_short(self):
        self.center_refuses(self.data(self.MEMBER, (1000, 4999), codec=1), "no gzip member of 4999 bytes")

    def test_row_08_raw_len_lies_at_the_local(self):
        self.local_refuses(self.append(self.MEMBER, (1000, 4999), codec=1, stream=9), "no gzip member of 4999 bytes")

    def test_row_08_something_behind_the_member(self):
        twice = self.MEMBER + self.MEMBER
        self.center_refuses(self.data(twice, (1000, 5000), codec=1), "something follows it")

    def test_row_09_more_lines_than_it_says(self):
        self.center_refuses(self.data(b"x\ny\n", (1, 4)), "more or fewer lines")

    def test_row_09_the_last_line_has_no_end(self):
        self.center_refuses(self.data(b"x\ny", (1, 3)), "last line has no end")

    def test_row_09_payload_shorter_than_its_head_says(self):
        self.center_refuses(self.data(b"x\n", (1, 3), payload_len=3), "not as long as it says")

    def test_row_09_payload_shorter_than_its_head_says_at_the_local(self):
        self.local_refuses(self.append(b"x\n", (1, 3), stream=9, payload_len=3), "not as long as its head says")

    def test_row_09_sequence_overflow(self):
        self.center_refuses(self.data(first=2**64 - 1), "sequence overflow")

    def test_row_09_source_ranges_that_do_not_fit(self):
        self.local_refuses(self.append(stream=9, sources=[], **{"marks": 9}), "lists and length disagree")

    def test_row_09_source_ranges_with_other_lines(self):
        self.local_refuses(self.append(stream=9, sources=[(9, 0, 2, 2, 0, 0)]), "line count disagree")

    def test_row_26_garbage_that_passes_its_checksum(self):
        garbage = self.MEMBER[:20] + zlib.compress(b"?")[:10] * 4 + self.MEMBER[-4:]
        self.center_refuses(self.data(garbage, (1000, 5000), codec=1), "broken gzip data|compressed batch is broken")


class SequenceFiles(LimitsTest):
    """A Center that makes SequenceFiles of a category looks into each of its batches, not into a sample."""

    MEMBER, center_refuses = Batches.MEMBER, Batches.center_refuses

    def setUp(self):
        settings = ", categories: {evil: {format: sequence_file}}}\n"
        self.change = lambda text: text[:text.rindex("}\n")] + settings
        super().setUp()

    def configure(self, role, text):
        super().configure(role, self.change(text) if role == "center" else text)

    def test_row_26_garbage_behind_the_sample(self):
        garbage = self.MEMBER[:20] + zlib.compress(b"?")[:10] * 4 + self.MEMBER[-4:]
        known = self.data(b"x\n") * 20  # taken once, then known: but they count
        self.center_refuses(known + self.data(garbage, (1000, 5000), codec=1), "broken gzip data|compressed batch is broken")


if __name__ == "__main__":
    main()
