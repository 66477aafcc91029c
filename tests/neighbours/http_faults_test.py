#!/usr/bin/env python3
"""That the proxy of http_faults.py does what it says: each fault once, against real servers, seen from both sides."""
import http.client
import os
import sys
import threading
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from hdfs import Hdfs  # noqa: E402
from http_faults import CUT_ANSWER, CUT_REQUEST, LATE_ANSWER, LATE_REQUEST, REPEAT, SWALLOW, HttpFaults  # noqa: E402
from webhdfs_client import Refused, WebHdfs  # noqa: E402

MIB = 1024 * 1024
CUT = (OSError, http.client.HTTPException)


def by_both(test):
    """Runs it with a client of WebHDFS and one of HttpFS through the proxy, and the name of the server that takes the bytes."""
    def run(self):
        for client, takes in ((self.web, "datanode"), (self.fs, "httpfs")):
            with self.subTest(takes):
                self.addCleanup(self.proxy.heal)
                self.folder = "/%s-%s" % (test.__name__, takes)
                self.direct.mkdirs(self.folder)
                test(self, client, takes)
    run.__name__, run.__doc__ = test.__name__, test.__doc__
    return run


class Faults(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.hdfs = Hdfs(httpfs=True)
        cls.addClassCleanup(cls.hdfs.remove)
        cls.hdfs.start()
        cls.proxy = HttpFaults(cls.hdfs)
        cls.addClassCleanup(cls.proxy.end)
        cls.direct = cls.hdfs.client()
        cls.web = WebHdfs(*cls.proxy.urls, user=cls.hdfs.superuser, timeout=10)
        cls.fs = WebHdfs(cls.proxy.httpfs_url, user=cls.hdfs.superuser, timeout=10)

    def setUp(self):
        self.proxy.fired.clear()

    def wait(self, seconds, check):
        end = time.monotonic() + seconds
        while not check():
            self.assertLess(time.monotonic(), end)
            time.sleep(0.05)

    def below(self):
        return {name: status["length"] for name, status in self.direct.walk(self.folder).items()}

    @by_both
    def test_none(self, client, _):
        data = os.urandom(3 * MIB)
        client.create(self.folder + "/a", data)
        self.assertEqual(client.read(self.folder + "/a"), data)
        self.assertTrue(client.rename(self.folder + "/a", self.folder + "/b"))
        self.assertEqual(list(client.list(self.folder)), ["b"])
        self.assertEqual(self.proxy.fired, [])

    @by_both
    def test_a_request_is_cut_at_a_byte_of_its_body(self, client, takes):
        for at, there in ((-1, []), (MIB, ["a"])):
            self.proxy.add(CUT_REQUEST, op="CREATE", to=takes, part="data=true" if takes == "httpfs" else "", at=at, hard=False)
            with self.assertRaises(CUT):
                client.create(self.folder + "/a", bytes(3 * MIB))
            self.wait(10, lambda t=there: list(self.below()) == t)
        self.wait(10, lambda: 0 < self.below()["a"] <= MIB)

    @by_both
    def test_an_answer_is_lost_or_cut(self, client, _):
        for at in (0, 9):
            self.direct.create(self.folder + "/a", b"", overwrite=True)
            self.direct.delete(self.folder + "/b")
            self.proxy.add(CUT_ANSWER, op="RENAME", at=at)
            with self.assertRaises(CUT):
                client.rename(self.folder + "/a", self.folder + "/b")
            self.assertEqual(list(self.below()), ["b"])

    @by_both
    def test_a_request_comes_late(self, client, _):
        self.direct.create(self.folder + "/a", b"")
        self.proxy.add(LATE_REQUEST, op="RENAME", seconds=1)
        hasty = WebHdfs(client.urls[0], user=client.user, timeout=0.3)
        with self.assertRaises(OSError):
            hasty.rename(self.folder + "/a", self.folder + "/b")
        self.assertEqual(list(self.below()), ["a"])
        self.wait(10, lambda: list(self.below()) == ["b"])  # though nobody waits for it any more

    @by_both
    def test_an_answer_comes_late(self, client, _):
        self.direct.create(self.folder + "/a", b"")
        self.proxy.add(LATE_ANSWER, op="RENAME", seconds=1)
        begun, said = time.monotonic(), []
        asking = threading.Thread(target=lambda: said.append(client.rename(self.folder + "/a", self.folder + "/b")))
        asking.start()
        self.wait(10, lambda: list(self.below()) == ["b"])
        asking.join()
        self.assertEqual(said, [True])
        self.assertGreaterEqual(time.monotonic() - begun, 1)

    @by_both
    def test_a_request_is_repeated(self, client, takes):
        self.direct.create(self.folder + "/a", b"")
        self.proxy.add(REPEAT, op="RENAME")
        self.assertFalse(client.rename(self.folder + "/a", self.folder + "/b"))  # the second answer
        self.assertEqual(list(self.below()), ["b"])
        if takes == "datanode":
            self.proxy.add(REPEAT, op="CREATE", to=takes)
            with self.assertRaises(Refused) as caught:
                client.create(self.folder + "/c", b"abc")
            self.assertEqual(caught.exception.name, "FileAlreadyExistsException")
            self.assertEqual(self.below(), {"b": 0, "c": 3})

    @by_both
    def test_a_request_is_swallowed(self, client, _):
        self.direct.create(self.folder + "/a", b"")
        self.proxy.add(SWALLOW, op="RENAME")
        hasty = WebHdfs(client.urls[0], user=client.user, timeout=0.3)
        with self.assertRaises(TimeoutError):
            hasty.rename(self.folder + "/a", self.folder + "/b")
        self.assertEqual(list(self.below()), ["a"])

    @by_both
    def test_at_random_what_is_heard_is_true(self, client, _):
        self.proxy.at_random(0.3, seed=1)
        heard = []
        for n in range(25):
            try:
                client.create("%s/%d" % (self.folder, n), b"x" * 1000)
                heard.append(str(n))
            except (Refused, *CUT):
                pass
        self.assertTrue(self.proxy.fired)
        self.assertTrue(0 < len(heard) < 25, heard)
        self.proxy.heal()
        client.create(self.folder + "/last", b"x" * 1000)
        whole = {name for name, length in self.below().items() if length == 1000}
        self.assertLessEqual({*heard, "last"}, whole)


if __name__ == "__main__":
    unittest.main()
