#!/usr/bin/env python3
"""`tailrace check --connect` of a sink on a real HDFS: what an operator reads of a wrong right, a full quota, a dead NameNode, a wrong
port, a web page in HDFS's place."""
import contextlib
import http.server
import json
import os
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "../road")]
from hdfs import Hdfs  # noqa: E402
from ports import free_port  # noqa: E402
from programs import answering  # noqa: E402

TAILRACE = os.environ.get("TAILRACE_BIN") or os.path.join(HERE, "../../build/bin/tailrace")


class Case(unittest.TestCase):
    @classmethod
    def lab(cls, **options):
        cls.dir = tempfile.TemporaryDirectory(prefix="tailrace-check-")
        cls.addClassCleanup(cls.dir.cleanup)
        cls.hdfs = Hdfs(**options)
        cls.addClassCleanup(cls.hdfs.remove)
        cls.hdfs.start()
        cls.client = cls.hdfs.client()

    def owned(self, path):
        self.client.mkdirs(path)
        self.client.set_owner(path, "tailrace", "tailrace")
        return path

    def check(self, *urls, root="/logs", control="/control", expect=0, more="", user="tailrace"):
        """{(tried, verdict): (found, mend)}"""
        settings = self.dir.name + "/center.yaml"
        with open(settings, "w") as f:
            f.write("role: center\ncluster: c\nstate: %s/s\nname: c1\nlisten: 127.0.0.1:4000\nsinks:\n"
                    "  warehouse: {type: hdfs, url: [%s], user: %s, root: %s, control: %s, timezone: UTC%s}\n" % (
                        self.dir.name, ", ".join(urls or ["webhdfs://" + node.at for node in self.hdfs.namenodes]), user, root,
                        control, more))
        words = [TAILRACE, "check", "--connect", settings]
        text = subprocess.run(words, capture_output=True, text=True, timeout=300, check=False)
        done = subprocess.run([*words, "--format", "json"], capture_output=True, text=True, timeout=300, check=False)
        self.assertEqual((text.returncode, done.returncode), (expect, expect), text.stdout + done.stderr)
        (said,) = json.loads(done.stdout)
        for probe in said["probes"]:
            self.assertEqual(probe["mend"] == "", probe["verdict"] == "ok", probe)
            self.assertIn("%s: %s: " % (probe["about"], probe["tried"]), text.stdout)
        return {(p["tried"], p["verdict"]): (p["found"], p["mend"]) for p in said["probes"] if p["about"] == "sink warehouse"}


class OneNameNode(Case):
    @classmethod
    def setUpClass(cls):
        cls.lab(httpfs=True, datanode_settings={"dfs.checksum.type": "CRC32"})  # HttpFS makes its own
        cls.at = "webhdfs://" + cls.hdfs.namenodes[0].at
        cls.fs = "httpfs://" + cls.hdfs.httpfs.http.partition("://")[2]

    def setUp(self):
        self.root = self.owned("/" + self._testMethodName)
        self.control = self.owned("/control-" + self._testMethodName)

    def look(self, *urls, **options):
        return self.check(*urls, root=self.root, control=self.control, **options)

    def test_sums_that_cannot_be_compared(self):
        self.look(self.fs, more=", verify: checksum")
        said = self.look(self.at, more=", verify: checksum", expect=1)
        found, _ = said["write and rename in " + self.root, "FAIL"]
        self.assertIn("cannot compare its checksum: a checksum of the kind 'MD5-of-0MD5-of-512CRC32', ", found)
        self.assertIn("dfs.checksum.type", found)
        self.assertEqual((list(self.client.list(self.root)), list(self.client.list(self.control))), ([], []))

    def test_all_is_well_and_nothing_is_left(self):
        self.client.mkdirs(self.root + "/web")
        self.client.set_owner(self.root + "/web", "tailrace", "tailrace")
        for url in (self.at, self.fs):
            said = self.look(url)
            self.assertEqual({verdict for _, verdict in said}, {"ok"})
            self.assertEqual(said["ask " + url, "ok"][0], "serves")
            for place in (self.root, self.control):
                self.assertEqual(said["write and rename in " + place, "ok"][0], "works")
        self.assertEqual(said["right to write in each category's directory", "ok"][0], "1 looked at")
        self.assertEqual((list(self.client.list(self.root)), list(self.client.list(self.control))), (["web"], []))

    def test_what_is_not_there_yet_will_be_made_and_is_not_left(self):
        said = self.check(self.at, root=self.root + "/a/b", control=self.control + "/c")
        self.assertEqual(said["write and rename in %s/a/b" % self.root, "ok"][0], "works; it will be made")
        self.assertEqual((list(self.client.list(self.root)), list(self.client.list(self.control))), ([], []))

    def test_a_slash_at_the_end_means_nothing(self):
        said = self.check(self.at, root=self.root + "/", control=self.control + "/")
        self.assertEqual(said["write and rename in " + self.root, "ok"][0], "works")

    def test_a_directory_that_may_only_be_read(self):
        self.client.set_owner(self.root, "somebody", "else")
        for url in (self.at, self.fs):
            found, mend = self.look(url, expect=1)["write and rename in " + self.root, "FAIL"]
            self.assertIn("cannot make a directory: ", found)
            self.assertIn("AccessControlException", found)
            self.assertIn("give user 'tailrace' the right to write in " + self.root, mend)

    def test_one_category_that_may_only_be_read(self):
        self.client.mkdirs(self.root + "/web")
        for url in (self.at, self.fs):
            found, mend = self.look(url, expect=1)["right to write in %s/web" % self.root, "FAIL"]
            self.assertIn("AccessControlException", found)

    def test_one_category_that_is_full(self):
        self.client.mkdirs(self.root + "/web")
        self.client.set_owner(self.root + "/web", "tailrace", "tailrace")
        self.client.set_quota(self.root + "/web", names=100)
        for url in (self.at, self.fs):
            self.assertFalse([tried for tried, _ in self.look(url) if "quota" in tried])  # there is room
        self.client.set_quota(self.root + "/web", names=1)
        for url in (self.at, self.fs):
            found, mend = self.look(url, expect=1)["quota of %s/web" % self.root, "FAIL"]
            self.assertIn("names: 0 left of 1;", found)
            self.assertIn("raise the quota", mend)

    def test_owners_of_categories_that_are_not_there_yet(self):
        for url in (self.at, self.fs):
            found, mend = self.look(url, more=", categories: {web: {owner: bob}}", expect=1)["right to make %s/web" % self.root, "FAIL"]
            self.assertIn("AccessControlException", found)
            self.assertIn("give user 'bob' the right to write in " + self.root, mend)
        tried = "right to make directories of new categories in " + self.root
        self.assertIn((tried, "warn"), self.look(more=", owner: bob"))
        self.client.set_permission(self.root, "1777")
        self.assertEqual({verdict for _, verdict in self.look(more=", owner: bob, categories: {web: {owner: eve}}")}, {"ok"})
        for place in (self.root, self.control):
            self.client.set_owner(place, "mallory", "mallory")
        found, mend = self.look(more=", owner: bob", user="mallory", expect=1)[tried, "FAIL"]
        self.assertIn("mallory is not allowed to impersonate bob", found)
        self.assertIn("hadoop.proxyuser.mallory.hosts", mend)
        self.assertNotIn("chown", mend)

    def test_a_group_that_is_not_the_users(self):
        for more in (", group: strangers", ", categories: {web: {group: strangers}}"):
            found, mend = self.look(more=more, expect=1)["write and rename in " + self.root, "FAIL"]
            self.assertIn("cannot give it to the group strangers: ", found)
            self.assertIn("make 'tailrace' one of that group", mend)

    def test_quotas(self):
        self.client.set_quota(self.root, names=100, space=1 << 40)
        for url in (self.at, self.fs):
            self.assertEqual(self.look(url)["quota of " + self.root, "ok"][0],
                             "names: 99 left of 100; bytes times replicas: 1.0 TiB left of 1.0 TiB")
        self.client.set_quota(self.root, names=4)
        self.client.mkdirs(self.root + "/web")
        self.client.set_owner(self.root + "/web", "tailrace", "tailrace")
        found, mend = self.look(expect=1)["write and rename in " + self.root, "FAIL"]
        self.assertIn("cannot write a file, by a DataNode: ", found)
        self.assertIn("NSQuotaExceededException", found)
        self.assertIn("raise the quota", mend)
        self.client.set_quota(self.root, names=-1, space=1 << 20)
        found, mend = self.look(expect=1)["write and rename in " + self.root, "FAIL"]
        self.assertIn("DSQuotaExceededException", found)
        self.assertEqual(list(self.client.list(self.root)), ["web"])

    def test_a_wrong_port_and_a_dead_one(self):
        wrong = "webhdfs://127.0.0.1:%d" % self.hdfs.namenodes[0].rpc_port
        found, mend = self.look(wrong, expect=1)["ask " + wrong, "FAIL"]
        self.assertIn("is that the address of a NameNode's web pages (9870)", mend)
        dead = "webhdfs://127.0.0.1:%d" % free_port()
        said = self.look(dead, expect=1)
        self.assertEqual(list(said), [("ask " + dead, "FAIL")])

    def test_a_login_page_of_a_proxy(self):
        with web_page() as port:
            url = "webhdfs://127.0.0.1:%d" % port
            found, mend = self.look(url, expect=1)["ask " + url, "FAIL"]
        self.assertIn("a proxy's login page?", found)

    def test_a_page_in_the_place_of_one_of_two_servers(self):
        with web_page() as port:
            url = "webhdfs://127.0.0.1:%d" % port
            said = self.look(url, self.at)
        self.assertIn("a proxy's login page?", said["ask " + url, "warn"][0])
        self.assertEqual(said["write and rename in " + self.root, "ok"][0], "works")

    def test_safe_mode(self):
        self.hdfs.safemode(True)
        self.addCleanup(self.hdfs.safemode, False)
        found, mend = self.look(expect=1)["write and rename in " + self.root, "FAIL"]
        self.assertIn("SafeModeException", found)
        self.assertIn("safe mode", mend)

    def test_no_datanode_can_be_reached(self):
        node = self.hdfs.datanodes[0]
        node.end()
        self.addCleanup(self.hdfs.start)
        found, mend = self.look(expect=1)["write and rename in " + self.root, "FAIL"]
        self.assertIn("cannot write a file, by a DataNode: ", found)
        self.assertIn("DataNodes (9864)", mend)


@contextlib.contextmanager
def web_page():
    class Page(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            body = b"<html><body>Please log in</body></html>"
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    with answering(http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page)) as port:
        yield port


class TwoNameNodes(Case):
    @classmethod
    def setUpClass(cls):
        cls.lab(ha=True)

    def test_one_on_standby_one_down_both_down(self):
        self.owned("/logs")
        self.owned("/control")
        first, second = self.hdfs.namenodes
        said = self.check()
        self.assertEqual((said["ask webhdfs://" + first.at, "ok"][0], said["ask webhdfs://" + second.at, "ok"][0]), ("serves", "on standby"))
        alone = self.check("webhdfs://" + second.at, expect=1)
        found, mend = alone["find the active NameNode", "FAIL"]
        self.assertEqual(found, "all are on standby")
        self.assertIn("name the other one in `url` too", mend)
        second.end()
        found, mend = self.check()["ask webhdfs://" + second.at, "warn"]
        first.end()
        said = self.check(expect=1)
        self.assertEqual({verdict for _, verdict in said}, {"FAIL"})


if __name__ == "__main__":
    unittest.main(verbosity=2)
