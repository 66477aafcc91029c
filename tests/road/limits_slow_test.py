#!/usr/bin/env python3
"""Limits 18, 21 to 23, 39 and 40: what takes its time. A fake Center; peers that dribble or fall silent; floods of
connections; a storm of signals; a spool on a network filesystem."""
import contextlib
import gzip
import os
import shutil
import signal
import socket
import subprocess
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


class FakeCenter(LimitsTest):
    """Row 18: a Center that says what it cannot know. The Local never trims, and holds or closes; the lines come to
    the real Center later."""
    ROLES_UP = ("local", "center")

    def lies(self, lie, said):
        self.down("local", signal.SIGTERM)
        fake = v1.Center(self.cluster, at_once=False)
        self.closing.append(fake)
        lie(fake)
        text = f"role: local\ncluster: test\nstate: {self.dir}/local\n" + self.settings["local"]
        self.configure("local", text.replace(str(self.port), str(fake.port)))
        self.up("local")
        self.until("the Local", lambda: self.said().count("takes an agent") == 2)
        self.good_agent_delivers()
        self.is_said(said, who="")
        self.assertEqual(self.good_agent.final, {})
        # With the real one again, and a new start, everything comes.
        self.down("local", signal.SIGKILL)
        self.configure("local", text)
        self.up("local")
        self.good_agent_is_whole()
        self.good_is_whole()

    def after_data(self, fake, answer):
        take = fake.take

        def and_then(wire, hello, streams, kind, header, payload):
            take(wire, hello, streams, kind, header, payload)
            if kind == v1.DATA:
                wire.send(*answer(next(iter(streams))))
        fake.take = and_then

    def committed(self, fake, **more):
        return lambda n: (v1.COMMITTED, v1.message("committed", positions=[{**dict(
            sink=fake.sink, stream=n, seq=3, chain=1), **more}]))

    def test_row_18_committed_above_what_was_sent(self):
        self.lies(lambda fake: self.after_data(fake, self.committed(fake, seq=1000)), "HOLDING 'agents'.*this spool ends at 3")

    def test_row_18_committed_with_another_chain(self):
        self.lies(lambda fake: self.after_data(fake, self.committed(fake)), "HOLDING 'agents'.*other bytes before it")

    def test_row_18_committed_inside_a_batch(self):
        self.lies(lambda fake: self.after_data(fake, self.committed(fake, seq=2)), "HOLDING 'agents'.*no batch of this spool")

    def test_row_18_committed_of_an_unknown_stream(self):
        self.lies(lambda fake: self.after_data(fake, self.committed(fake, stream=99)), "never named on this connection")

    def test_row_18_committed_of_an_unknown_sink(self):
        self.lies(lambda fake: self.after_data(fake, self.committed(fake, sink="00000000000000cd")), "never named on this")

    def test_row_18_and_20_another_cluster(self):
        def lie(fake):
            serve = fake.serve

            def as_another(wire):
                send = wire.send
                wire.send = lambda kind, header=b"", *more: send(
                    kind, header.replace(self.cluster.encode(), b"00000000000000ff"), *more)
                serve(wire)
            fake.serve = as_another
        self.lies(lie, "HOLDING everything.*cluster")


class Quarantine(LimitsTest):
    def test_row_26_a_batch_that_is_refused_three_times_is_set_aside(self):
        """A member that says the right length and holds garbage: the Local cannot tell, the Center refuses it."""
        garbage = gzip.compress(b"line\n" * 1000)
        garbage = garbage[:20] + b"\x00\xff" * 8 + garbage[-4:]
        agent = self.hostile_agent()
        agent.wire.raw(self.append(stream=9) + self.append(garbage, (1000, 5000), codec=1, stream=9, first=1, sources=[
            (9, 2, 5002, 1000, 0, 0)]) + self.append(b"z\n", stream=9, first=1001, sources=[(9, 5002, 5004, 1, 0, 0)]))
        while agent.wire.expect(v1.ACK, "ack")["next_seq"] < 1002:
            pass
        agent.close()
        self.is_said("QUARANTINE", who="LOST 1,000 lines of 'evil'")
        self.arrives("evil", b"x\nz\n")
        self.is_said("LOST 1,000 lines of 'evil' from .*quarantine", who="quarantine")
        with open(self.dir + "/local/spool/quarantine/evil-0-1.batch", "rb") as file:
            kept = file.read()
        self.assertEqual(kept[132:], garbage)
        self.assertEqual(v1.read_head(kept[:132])["first_seq"], 1)
        self.good_agent_is_whole()
        # A restart of the Local changes nothing.
        self.down("local", signal.SIGKILL)
        self.up("local")
        self.good_agent_is_whole()
        self.good_is_whole()
        self.assertEqual(self.category("evil"), b"x\nz\n")


class Storm(LimitsTest):
    ROLES_UP = ("agent", "local", "center")

    def test_row_39_a_storm_of_sigterm_is_safe(self):
        """Agent, Local and Center are ended by many SIGTERMs at once, again and again; the second ends at once."""
        n = 0
        for i in range(6):
            lines = b"".join(b"agent line %d\n" % k for k in range(n, n + 500))
            n += 500
            self.write("a.log", lines, "ab")
            time.sleep(0.05 * i)
            children = [self.running.pop(role) for role in self.ROLES_UP]
            start = time.monotonic()
            for _ in range(20):
                for child in children:
                    child.send_signal(signal.SIGTERM)
            for child in children:
                self.assertIn(child.wait(10), (0, 1))
                self.children.remove(child)
            self.assertLess(time.monotonic() - start, 5)
            for role in self.ROLES_UP:
                self.up(role)
        expected = [b"agent line %d" % k for k in range(n)]
        self.until("all lines", lambda: self.category("web").count(b"agent ") >= n)
        self.assertEqual([line for line in self.category("web").splitlines() if line.startswith(b"agent ")], expected)
        self.good.close()


FDATASYNC = r"""
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>
int fdatasync(int fd) {
  while (access(getenv("HANGS_WHILE"), F_OK) == 0) usleep(10000);
  return syscall(SYS_fdatasync, fd);
}
"""


class Drain(LimitsTest):
    ROLES_UP = ("center",)

    def test_row_39_a_stop_that_cannot_end_takes_30_s(self):
        """The Center's disk does not answer any more; a start with a good one goes on."""
        if not shutil.which("cc"):
            raise unittest.SkipTest("no C compiler for a library that plays such a disk")
        self.good.close()
        self.down("center", signal.SIGTERM)
        with open(self.dir + "/sync.c", "w") as file:
            file.write(FDATASYNC)
        library, hang = self.dir + "/sync.so", self.dir + "/hang"
        subprocess.run(["cc", "-shared", "-fPIC", "-o", library, self.dir + "/sync.c"], check=True)
        with open(self.dir + "/stderr.txt", "ab") as log:
            center = subprocess.Popen([self.program("center"), "--config", self.dir + "/center.yaml"], stderr=log,
                                      env={**os.environ, "LD_PRELOAD": library, "HANGS_WHILE": hang})
        try:
            self.until("the start", lambda: self.said().count("takes Locals") == 2)
            self.good.connect()
            self.good.until_committed()  # its lane is owned
            with open(hang, "w"):
                pass
            self.good_lines("web")
            while not all(s["sent"] == s["batches"][-1].end for s in self.good.streams):
                self.good.pump()
            self.good.wire.send(v1.FLUSH)
            start = time.monotonic()
            center.send_signal(signal.SIGTERM)
            self.assertEqual(center.wait(45), 1)
            self.assertTrue(29 < time.monotonic() - start < 35)
        finally:
            center.kill()
            center.wait()
        self.assertIn("not stopped in order within 30.0 s", self.said())
        self.up("center")
        self.until("the start", lambda: self.said().count("takes Locals") == 3)
        self.good.wire.close()
        self.good.connect()
        self.good_is_whole()


STATFS = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <string.h>
#include <sys/statfs.h>
int statfs(const char *path, struct statfs *into) {
  int (*real)(const char *, struct statfs *) = dlsym(RTLD_NEXT, "statfs");
  int failed = real(path, into);
  if (strstr(path, "/spool")) into->f_type = TYPE;
  return failed;
}
int statfs64(const char *path, struct statfs64 *into) {
  int (*real)(const char *, struct statfs64 *) = dlsym(RTLD_NEXT, "statfs64");
  int failed = real(path, into);
  if (strstr(path, "/spool")) into->f_type = TYPE;
  return failed;
}
"""


class Network(LimitsTest):
    ROLES_UP = ("center",)

    def test_row_40_a_spool_on_a_network_filesystem(self):
        if not shutil.which("cc"):
            raise unittest.SkipTest("no C compiler for a library that plays such a disk")
        source = self.dir + "/statfs.c"
        with open(source, "w") as file:
            file.write(STATFS)
        for name, number in (("nfs", 0x6969), ("cifs", 0xFF534D42), ("smb2", 0xFE534D42), ("9p", 0x01021997),
                             ("ceph", 0x00C36400), ("lustre", 0x0BD00BD0)):
            library = f"{self.dir}/{name}.so"
            subprocess.run(["cc", "-shared", "-fPIC", "-DTYPE=%d" % number, "-o", library, source, "-ldl"], check=True)
            done = subprocess.run([self.program("local"), "--config", self.dir + "/local.yaml"], stderr=subprocess.PIPE,
                                  timeout=30, env={**os.environ, "LD_PRELOAD": library})
            self.assertEqual(done.returncode, 1, name)
            self.assertIn(b"lies on a network filesystem", done.stderr)
        self.up("local")
        self.until("a start on this disk", lambda: "takes an agent" in self.said())
        self.good_agent_is_whole()
        self.good_is_whole()


if __name__ == "__main__":
    main()
