#!/usr/bin/env python3
"""Limits 21 to 23: peers that dribble or fall silent; floods of connections."""
import contextlib
import signal
import socket
import threading
import time
import unittest

from limits import LimitsTest, v1
from program import main


class Slow(LimitsTest):
    """Each waits for 10 to 35 s, so the attacks of a test go on beside each other."""

    def dribble(self, wire, data, pause, over):
        with contextlib.suppress(OSError):
            for i in range(len(data)):
                if over.is_set():
                    return
                wire.socket.send(data[i:i + 1])
                time.sleep(pause)

    def ends(self, wire):
        """Whether it has been closed; what it said is read."""
        with contextlib.suppress(v1.Gone):
            while wire.receive(0.01):
                pass
            return False
        return True

    def lasts(self, wires, most):
        """Seconds until each of them was closed, while the good Local goes on."""
        start, found = time.monotonic(), {}
        while len(found) < len(wires):
            self.assertLess(time.monotonic() - start, most, "of %s these were closed: %s" % (list(wires), found))
            for name, wire in wires.items():
                if name not in found and self.ends(wire):
                    found[name] = time.monotonic() - start
            self.good.wire.send(v1.PING)
            self.good_lines("web", 1)
            time.sleep(0.2)
        return found

    def test_rows_21_and_22_dribbled_frames_and_silence_at_the_center(self):
        over = threading.Event()
        wires = {"silent": self.wire(), "header": self.wire(), "greeted header": self.hostile(671).wire,
                 "greeted body": self.hostile(672).wire, "greeted silent": self.hostile(673).wire}
        body = self.data(b"x" * 50_000 + b"\n")
        wires["greeted body"].raw(body[:300])
        threads = [threading.Thread(target=self.dribble, args=(wires[name], data, pause, over)) for name, data, pause in (
            ("header", v1.frame(v1.HELLO, self.good.hello()), 0.5), ("greeted body", body[300:], 0.05),
            ("greeted header", v1.frame(v1.PING) * 3, 4))]
        for thread in threads:
            thread.start()
        try:
            found = self.lasts(wires, 50)
        finally:
            over.set()
            for thread in threads:
                thread.join()
        for name, least, most in (("silent", 9, 14), ("header", 9, 14), ("greeted header", 9, 15),
                                  ("greeted body", 29, 36), ("greeted silent", 14, 18)):
            self.assertTrue(least <= found[name] <= most, found)
        for text in ("no HELLO within 10.0 s", "a frame comes too slowly", "has said nothing for 15.0 s"):
            self.assertIn(text, self.said())
        # No state is kept: who fell silent may come again at once.
        again = self.local(local_id=673)
        self.wires.append(again)
        again.connect_once()
        self.good_is_whole()

    def test_rows_21_and_22_dribbled_frames_and_silence_at_the_local(self):
        over = threading.Event()
        agent = self.hostile_agent()
        body = self.append(b"x" * 50_000 + b"\n", stream=9)
        agent.wire.raw(body[:300])
        thread = threading.Thread(target=self.dribble, args=(agent.wire, body[300:], 0.05, over))
        thread.start()
        try:
            found = self.lasts({"body": agent.wire}, 40)
        finally:
            over.set()
            thread.join()
        self.assertLess(found["body"], 31)
        self.is_said("has said nothing for", who="agent")
        self.good_agent_is_whole()


class Connections(LimitsTest):
    def test_row_23_a_flood_of_connections(self):
        """More strangers than are heard at once: the rest is closed at the door; loopback has no limit of its own."""
        wires = []
        for _ in range(700):
            with contextlib.suppress(OSError):
                wires.append(self.wire())
        self.good_lines("web")
        time_out = time.monotonic() + 10
        closed = set()
        while len(closed) < len(wires) - 200:
            self.assertLess(time.monotonic(), time_out, len(closed))
            for wire in wires:
                wire.socket.setblocking(False)
                with contextlib.suppress(BlockingIOError):
                    try:
                        if wire.socket.recv(100) == b"":
                            closed.add(wire)
                    except ConnectionResetError:
                        closed.add(wire)
        self.assertEqual(len(closed), len(wires) - 200)
        self.is_said("too many have not said yet who they are")
        # Once they are gone, others may come.
        for wire in wires:
            wire.close()
        self.wires = []
        self.until("the door", lambda: self.may_come())
        self.good_is_whole()

    def may_come(self):
        local = self.local(local_id=668)
        try:
            local.connect_once()
            local.close()
            return True
        except (v1.Gone, OSError):
            return False

    def test_row_23_one_address_has_64(self):
        """The limit holds for any address but loopback; this machine's own outer one is such."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            try:
                s.connect(("192.0.2.1", 9))
                outer = s.getsockname()[0]
            except OSError:
                raise unittest.SkipTest("this machine has no address but loopback") from None
        self.configure("center", "role: center\ncluster: test\nstate: %s/center\n%s" % (
            self.dir, self.settings["center"].replace("127.0.0.1:", "0.0.0.0:")))
        self.down("center", signal.SIGTERM)
        self.up("center")
        self.until("the start", lambda: "takes Locals on 0.0.0.0" in self.said())
        self.good.connect()
        wires = [v1.Wire((outer, self.port)) for _ in range(70)]
        self.wires += wires
        self.until("the closing", lambda: sum(self.is_over(wire) for wire in wires) >= 6, 10)
        self.assertEqual(sum(self.is_over(wire) for wire in wires), 6)
        self.is_said("as many connections as one may", who=outer + ":")
        # One that broke the protocol is not heard for a second, whatever comes from its address.
        wires[0].raw(v1.frame(99))
        self.is_refused(wires[0], "PROTOCOL", "type 99")
        wire = v1.Wire((outer, self.port))
        self.wires.append(wire)
        self.is_closed(wire, 2)
        self.good_is_whole()

    def is_over(self, wire):
        wire.socket.setblocking(False)
        try:
            return wire.socket.recv(1, socket.MSG_PEEK) == b""
        except BlockingIOError:
            return False
        except OSError:
            return True


if __name__ == "__main__":
    main()
