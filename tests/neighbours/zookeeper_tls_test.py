#!/usr/bin/env python3
"""The recipe of docs/operating.md: ZooKeeper by TLS with certificates on both sides, through Debian's stunnel, since Debian's C client
speaks none. A real server with a TLS port; a certificate of somebody else's must not do.
"""
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from zookeeper import SKIPPED, ZooKeeper, free_port  # noqa: E402
from zookeeper_test import CENTERS, Probe, wait_for  # noqa: E402
from certificates import Certificates  # noqa: E402
from zoo_client import Client  # noqa: E402

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TOOLS = ROOT + "/build/tools/usr"
STUNNEL = next((p for p in (shutil.which("stunnel4"), TOOLS + "/bin/stunnel4") if p and os.path.exists(p)), None)


def section(name, accept, connect, folder, ca="ca"):
    """As in docs/operating.md, with this test's paths and addresses."""
    with open(ROOT + "/docs/operating.md") as page:
        text = page.read().partition("```ini\n")[2].partition("```")[0]
    for of_page, here in (("[zoo1]", "[%s]" % name), ("127.0.0.1:12181", accept), ("zoo1.example.com:2281", connect),
                          ("checkHost = zoo1.example.com", "checkHost = zoo.test"),
                          ("/etc/tailrace/ca.pem", "%s/%s.pem" % (folder, ca)), ("/etc/tailrace/host.pem", folder + "/host.pem")):
        if of_page not in text:
            raise AssertionError("docs/operating.md has no '%s' in its recipe" % of_page)
        text = text.replace(of_page, here)
    return text


class Tunnels(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="tailrace-tls-")
        certificates = Certificates(cls.folder)
        certificates.issue("server", "zoo.test")
        certificates.issue("host", "center1.test")
        cls.zoo = ZooKeeper(3, tls={"server": cls.folder + "/server.pem", "ca": cls.folder + "/ca.pem"}).start()

    @classmethod
    def tearDownClass(cls):
        cls.zoo.remove()
        shutil.rmtree(cls.folder)

    def setUp(self):
        self.processes = []

    def tearDown(self):
        for process in self.processes:
            if process.poll() is None:
                process.kill()
            process.wait()

    def tunnel(self, ca="ca"):
        """One to each server; as the settings name them."""
        ways, text = [], "foreground = yes\npid =\n"
        for server in self.zoo.servers:
            ways.append("127.0.0.1:%d" % free_port())
            text += section("zoo%d" % server.number, ways[-1], "127.0.0.1:%d" % server.tls_port, self.folder, ca)
        with open("%s/stunnel-%s.conf" % (self.folder, ca), "w") as f:
            f.write(text)
        with open("%s/stunnel-%s.log" % (self.folder, ca), "w") as log:
            self.processes.append(subprocess.Popen(
                [STUNNEL, f.name], stdout=log, stderr=log,
                env={**os.environ, "LD_LIBRARY_PATH": TOOLS + "/lib/x86_64-linux-gnu:" + TOOLS + "/lib/aarch64-linux-gnu"}))
        return ",".join(ways)

    def said(self, ca):
        with open("%s/stunnel-%s.log" % (self.folder, ca)) as f:
            return f.read()

    def probe(self, at):
        probe = Probe(at)
        self.addCleanup(probe.end, True)
        return probe

    def test_through_the_tunnel(self):
        probe = self.probe(self.tunnel())
        probe.wait("it to be there", 20, announced="1", fresh="1", members="one,")
        with Client(self.zoo.servers[0].at) as c:
            self.assertEqual(len(c.names(CENTERS)), 1)
        self.zoo.servers[0].end()
        probe.wait("it to go on with two servers", 20, announced="1", fresh="1")
        self.zoo.servers[0].start()
        self.zoo.wait()
        self.processes[0].kill()
        probe.wait("the tunnel to be missed", 20, fresh="0")

    def test_a_server_of_somebody_elses(self):
        probe = self.probe(self.tunnel("stranger"))
        wait_for("the tunnel to refuse it", 20, lambda: "certificate verify failed" in self.said("stranger"))
        wait_for("the alarm", 20, lambda: any("lines flow on" in line for line in probe.log))
        self.assertEqual(probe.sees()["announced"], "0")

    def test_without_a_certificate_nobody_is_let_in(self):
        at = self.zoo.servers[0].tls_port
        said = subprocess.run(["openssl", "s_client", "-connect", "127.0.0.1:%d" % at, "-CAfile", self.folder + "/ca.pem", "-quiet"],
                              input="ruok", capture_output=True, text=True, timeout=20)
        self.assertNotIn("imok", said.stdout)
        with self.assertRaises((ConnectionError, OSError)):
            Client("127.0.0.1:%d" % at)


if __name__ == "__main__":
    if not STUNNEL:
        print("no stunnel4 here (./dev test takes it out of its package)")
        sys.exit(SKIPPED)
    unittest.main(verbosity=2)
