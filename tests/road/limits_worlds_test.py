#!/usr/bin/env python3
"""Limits 18, 26, 39 and 40: what is wrong around a daemon. A fake Center; a batch that no Center takes; a storm of signals; a
disk that does not answer, and one on a network."""
import gzip
import os
import shutil
import signal
import subprocess
import time
import unittest

from limits import LimitsTest, v1
from program import main


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
                self.assertIn(child.wait(10), (0, 1, -signal.SIGTERM))  # the last: it had hardly begun
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
