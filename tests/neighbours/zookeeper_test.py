#!/usr/bin/env python3
"""Discovery against a real ZooKeeper: sessions that expire, answers that are lost, watches, rights, wiped data, an ensemble that
loses a server. tests/neighbours/discovery_probe.cc is a Center's discovery without its Center; what stands in ZooKeeper is read
by a client of our own.
"""
import os
import signal
import subprocess
import sys
import threading
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from cutting_proxy import CuttingProxy  # noqa: E402
from programs import wait_for  # noqa: E402
from zoo_client import ALL, Client, Refused, digest  # noqa: E402
from zookeeper import ZooKeeper  # noqa: E402

PROBE = os.environ.get("DISCOVERY_PROBE") or os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                                          "../../build/test/bin/discovery_probe")
CENTERS = "/tailrace/main/centers"
SESSION_MS = 3_000


class Probe:
    def __init__(self, at, name="one", uuid="1" * 16, auth=None):
        words = [PROBE, at, "main", name, uuid, str(SESSION_MS)] + ([auth] if auth else [])
        self.process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.lines, self.log = [], []
        self.threads = [threading.Thread(target=self.read, args=pair, daemon=True)
                        for pair in ((self.process.stdout, self.lines), (self.process.stderr, self.log))]
        for thread in self.threads:
            thread.start()

    @staticmethod
    def read(pipe, into):
        for line in pipe:
            into.append(line.rstrip("\n"))

    def sees(self):
        """The newest line, as a map."""
        words, _, trouble = (self.lines[-1] if self.lines else " trouble=").partition(" trouble=")
        return {**dict(w.split("=", 1) for w in words.split()), "trouble": trouble}

    def wait(self, what, seconds=10, **fields):
        def check():
            assert self.process.poll() is None, "the probe has ended:\n" + "\n".join(self.log)
            return all(self.sees().get(k) == v for k, v in fields.items())
        try:
            wait_for(what, seconds, check)
        except AssertionError as e:
            raise AssertionError("%s; seen:\n%s\nsaid:\n%s" % (e, "\n".join(self.lines[-5:]), "\n".join(self.log[-20:]))) from None

    def tell(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def send(self, number):
        self.process.send_signal(number)

    def end(self, kill=False):
        if self.process.poll() is None:
            if kill:
                self.process.kill()
            else:
                self.process.stdin.close()
            self.process.wait(20)
        for thread, pipe in zip(self.threads, (self.process.stdout, self.process.stderr)):
            thread.join(10)
            pipe.close()
        self.process.stdin.close()
        return self.process.returncode


class Case(unittest.TestCase):
    servers = 1

    @classmethod
    def setUpClass(cls):
        cls.zoo = ZooKeeper(cls.servers).start()

    @classmethod
    def tearDownClass(cls):
        cls.zoo.remove()

    def setUp(self):
        self.probes = []
        self.wiped()

    def wiped(self):
        with Client(self.zoo.at) as c:
            for name in c.names("/"):
                if name != "zookeeper":
                    c.delete_all("/" + name)

    def tearDown(self):
        for probe in self.probes:
            probe.end(kill=True)

    def probe(self, *args, **more):
        self.probes.append(Probe(*args, **more))
        return self.probes[-1]

    def names(self):
        with Client(self.zoo.at) as c:
            return c.names(CENTERS)

    def two(self):
        one = self.probe(self.zoo.at)
        two = self.probe(self.zoo.at, "two", "2" * 16)
        for probe in (one, two):
            probe.wait("both to be there", members="one,two,", announced="1", fresh="1")
        return one, two


class Sessions(Case):
    def test_come_go_change_and_read_by_a_person(self):
        one, two = self.two()
        with Client(self.zoo.at) as c:
            node = next(n for n in c.names(CENTERS) if n.startswith("two-"))
            value, stat = c.get(CENTERS + "/" + node)
            self.assertNotEqual(stat["owner"], 0)
            self.assertIn(b"\naddress 127.0.0.1:17410\n", value)
        two.tell("state draining")
        one.wait("the change", members="one,two(draining),")
        self.assertEqual(len(self.names()), 2)
        self.assertEqual(two.end(), 0)
        begun = time.monotonic()
        one.wait("it to be missed at once", 3, members="one,")
        self.assertEqual(one.sees()["gone"], "")
        one.wait("it to be gone", 8, gone="1764000000000-%s," % ("2" * 16))
        self.assertGreater(time.monotonic() - begun, 2.5, "there is a grace")

    def test_killed(self):
        one, two = self.two()
        two.end(kill=True)
        one.wait("the session to end, and the grace", SESSION_MS / 1000 + 10, members="one,",
                 gone="1764000000000-%s," % ("2" * 16))

    def test_stopped_and_woken(self):  # T67, by SIGSTOP
        one, two = self.two()
        before = self.names()
        two.send(signal.SIGSTOP)
        one.wait("the end of its session", SESSION_MS / 1000 + 8, members="one,")
        two.send(signal.SIGCONT)
        one.wait("it to be there again", 10, members="one,two,", gone="")
        two.wait("it to see itself", members="one,two,", announced="1")
        self.assertNotEqual(before, self.names())
        self.assertEqual(len(self.names()), 2)

    def test_a_node_of_ones_own_dead_process_goes_at_once(self):
        one, two = self.two()
        two.end(kill=True)
        again = self.probe(self.zoo.at, "two", "2" * 16)  # long before the session of the dead one ends
        again.wait("its own node", 10, announced="1", members="one,two,")
        wait_for("the dead one's to go", 2, lambda: len(self.names()) == 2)

    def test_two_of_one_name_are_two(self):
        one, _ = self.two()
        self.probe(self.zoo.at, "two", "3" * 16)
        one.wait("the third", members="one,two,two,")

    def test_an_answer_to_create_is_lost(self):
        for cut in ("before", "after"):
            with self.subTest(cut):
                proxy = CuttingProxy(self.zoo.servers[0].port, CENTERS + "/one-")
                proxy.cut = cut
                one = self.probe(proxy.at)
                one.wait("it to be there", 15, announced="1", members="one,", fresh="1")
                self.assertEqual(proxy.cuts, 1)
                time.sleep(0.5)
                self.assertEqual(len(self.names()), 1)
                one.end()
                proxy.end()

    def test_all_sessions_expire_unheard(self):
        one, two = self.two()
        self.zoo.servers[0].freeze(True)  # for longer than the session: all of them expire unheard
        one.wait("the silence to be noticed", SESSION_MS / 1000 + 3, fresh="0", gone="")
        time.sleep(1)
        self.zoo.servers[0].freeze(False)
        for probe in (one, two):
            probe.wait("all to be there again", 15, members="one,two,", fresh="1", announced="1", gone="")
        wait_for("the old nodes to go", 8, lambda: len(self.names()) == 2)

    def test_its_node_is_removed(self):
        one, two = self.two()
        with Client(self.zoo.at) as c:
            for name in c.names(CENTERS):
                c.delete(CENTERS + "/" + name)
        for probe in (one, two):
            probe.wait("all to be there again", 10, members="one,two,", announced="1")
        self.assertEqual(one.sees()["gone"], "")

    def test_down_and_up_and_wiped(self):
        one, two = self.two()
        self.zoo.stop()
        one.wait("it to be missed", 10, fresh="0", members="one,two,")
        wait_for("the alarm", 10, lambda: any("lines flow on" in line for line in one.log))
        self.assertIn("does not answer", one.sees()["trouble"])
        self.zoo.wipe()
        for probe in (one, two):
            probe.wait("everything to be made again", 20, members="one,two,", fresh="1", announced="1", gone="", trouble="")
        time.sleep(4)  # the grace
        self.assertEqual(one.sees()["gone"], "")

    def test_started_before_it(self):
        self.zoo.stop()
        one = self.probe(self.zoo.at)
        wait_for("the alarm", 10, lambda: any("lines flow on" in line for line in one.log))
        self.zoo.start()
        one.wait("it to be there", 15, announced="1", fresh="1", trouble="")

    def test_hostile_nodes(self):
        one, two = self.two()
        with Client(self.zoo.at) as c:
            value, _ = c.get(CENTERS + "/" + next(n for n in c.names(CENTERS) if n.startswith("two-")))
            c.create(CENTERS + "/two-" + "0" * 16, b"x" * 1_000_000, ephemeral=True)
            c.create(CENTERS + "/two-" + "1" * 16, b"\xff\x00{}", ephemeral=True)
            c.create(CENTERS + "/two-" + "2" * 16, value.replace(b"cluster main", b"cluster other"), ephemeral=True)
            c.create(CENTERS + "/two-" + "3" * 16, value)
            c.create(CENTERS + "/\xe2\x80\xaefdp".encode("latin1").decode("utf8"), b"")
            one.wait("them to be passed over", 10, ignored="5", members="one,two,", fresh="1")
        one.wait("three of them to go", 10, ignored="2")
        self.assertEqual(sum("passed over" in line for line in one.log), 5)

    def test_a_list_of_many_bytes(self):
        with Client(self.zoo.at) as c:
            for path in ("/tailrace", "/tailrace/main", CENTERS):
                c.create(path)
            for n in range(1_200):
                c.create("%s/%s-%016x" % (CENTERS, "z" * 200, n), ephemeral=True)
            one = self.probe(self.zoo.at)
            one.wait("the list", 20, announced="1", members="one,", fresh="1")


class Rights(Case):
    AUTH = "tailrace:secret with: colon"

    def wiped(self):  # what has rights cannot be removed by just anybody
        self.zoo.wipe()

    def test_a_chroot_is_made_and_our_nodes_are_ours(self):
        one = self.probe(self.zoo.at + "/prod/logs", auth=self.AUTH)
        one.wait("it to be there", announced="1", fresh="1")
        root = "/prod/logs/tailrace/main"
        ours = [(1, "world", "anyone"), (ALL, "digest", digest(self.AUTH))]
        with Client(self.zoo.at) as c:
            node = c.names(root + "/centers")[0]
        with Client(self.zoo.at, self.AUTH) as c:
            for path in (root, root + "/drain", root + "/centers", root + "/centers/" + node, "/prod"):
                self.assertEqual(c.acl(path), ours, path)
        for stranger in (Client(self.zoo.at), Client(self.zoo.at, "tailrace:guess")):
            with stranger:
                for write in (lambda s: s.create(root + "/drain/one"), lambda s: s.create(root + "/paused"),
                              lambda s: s.create(root + "/centers/evil-" + "0" * 16), lambda s: s.delete(root + "/centers/" + node)):
                    with self.assertRaisesRegex(Refused, "no_auth"):
                        write(stranger)
        with Client(self.zoo.at, self.AUTH) as operator:
            operator.create(root + "/drain/one")
            operator.create(root + "/paused")
            one.wait("the operator's word", drain="one,", paused="1")
            operator.delete(root + "/drain/one")
            operator.delete(root + "/paused")
            one.wait("the operator's other word", drain="", paused="0")

    def test_another_password_cannot_be_there_and_says_so(self):
        one = self.probe(self.zoo.at, auth=self.AUTH)
        one.wait("it to be there", announced="1")
        two = self.probe(self.zoo.at, "two", "2" * 16, auth="tailrace:wrong")
        wait_for("its alarm", 10, lambda: any("not announced" in line for line in two.log))
        wait_for("it to be seen", 5, lambda: "not announced" in two.sees()["trouble"])
        two.wait("what all may read", members="one,", fresh="1")
        self.assertFalse(any("wrong" in line for line in two.log), "the password in the log")

    def test_paths_that_may_not_be_made(self):
        with Client(self.zoo.at, "root:root") as c:
            c.create("/closed", acl=[(1, "world", "anyone"), (ALL, "digest", digest("root:root"))])
            one = self.probe(self.zoo.at + "/closed", auth=self.AUTH)
            wait_for("its alarm", 10, lambda: any("cannot be made" in line for line in one.log))
            c.create("/closed/tailrace", acl=[(ALL, "digest", digest(self.AUTH)), (ALL, "digest", digest("root:root"))])
            one.wait("what was made for it", 25, announced="1", fresh="1", trouble="")


class Sizes(Case):
    def create(self, size):
        done = subprocess.run([PROBE, "create", self.zoo.at, "/n%d" % size, str(size)], capture_output=True, text=True, timeout=30)
        return done.returncode, done.stdout.strip()

    def test_what_is_too_large_is_refused_before_it_is_sent(self):
        self.assertEqual(self.create(65_536), (0, "ok"))
        code, said = self.create(65_537)
        self.assertEqual(code, 1)
        self.assertIn("/n65537 would hold 65,537 bytes, more than the 65,536", said)
        code, said = self.create(2_000_000)
        self.assertIn("more than the 65,536", said)
        with Client(self.zoo.at) as c:
            self.assertIsNone(c.exists("/n65537"))

    def test_what_the_real_server_does_at_its_limit(self):
        """Why there is a guard: the server answers an oversized request by closing the connection, which looks like a fault of
        the network, and would be tried again for ever."""
        with Client(self.zoo.at) as c:
            c.create("/large", b"x" * 1_048_000)
            c.delete("/large")
            with self.assertRaises(ConnectionError):
                c.create("/larger", b"x" * 1_048_576)


class LookUps(Case):
    def look_up(self):
        return sorted(subprocess.run([PROBE, "lookup", self.zoo.at, "main"], capture_output=True, text=True, timeout=30,
                                     check=True).stdout.split("\n")[:-1])

    def test_a_local_reads_and_leaves(self):
        self.assertEqual(self.look_up(), [])
        self.two()
        sessions = self.zoo.servers[0].ask("cons").count("sid=")
        self.assertEqual(self.look_up(), ["127.0.0.1:17410"] * 2)
        wait_for("it to have left", 5, lambda: self.zoo.servers[0].ask("cons").count("sid=") <= sessions)
        self.assertEqual(self.zoo.servers[0].ask("wchs").count("watches:0") + 1, 1)
        with Client(self.zoo.at) as c:
            c.create(CENTERS + "/evil-" + "0" * 16, b"address evil:1\n")
        self.assertEqual(self.look_up(), ["127.0.0.1:17410"] * 2)


class Ensemble(Case):
    servers = 3

    def test_each_server_is_killed_once(self):
        one, two = self.two()
        for server in self.zoo.servers:
            server.end()
            for probe in (one, two):
                probe.wait("it to go on", 20, members="one,two,", fresh="1", announced="1", gone="")
            server.start()
            self.zoo.wait()
        two.end()
        one.wait("what changes to be seen", 10, members="one,")

    def test_no_majority_then_again(self):
        one, two = self.two()
        for server in self.zoo.servers[:2]:
            server.end()
        one.wait("it to be missed", 15, fresh="0", members="one,two,", gone="")
        self.zoo.start()
        for probe in (one, two):
            probe.wait("all to be there again", 25, members="one,two,", fresh="1", announced="1", gone="")


if __name__ == "__main__":
    unittest.main(verbosity=2)
