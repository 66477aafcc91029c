#!/usr/bin/env python3
"""What the store on HDFS relies on, asked of the real servers: if another Hadoop answers otherwise, this says so first.

The answers of a NameNode and its DataNode (WebHDFS) and those of HttpFS to the same call stand beside each other.
"""
import http.client
import os
import re
import socket
import struct
import sys
import time
import unittest
import urllib.parse

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from hdfs import Hdfs  # noqa: E402
from programs import wait_for  # noqa: E402
from webhdfs_client import Refused, ask, location  # noqa: E402

MIB = 1024 * 1024
BYTES = {"Content-Type": "application/octet-stream"}


class Upload:
    """A CREATE of which `length` bytes are announced, sent piece by piece as the test likes."""

    def __init__(self, client, path, length, **parameters):
        where = urllib.parse.urlsplit(client.place(path, **parameters))
        self.datanode = where.port
        self.connection = http.client.HTTPConnection(where.hostname, where.port, timeout=60)
        self.connection.putrequest("PUT", where.path + "?" + where.query)
        for name, value in {**BYTES, "Content-Length": str(length)}.items():
            self.connection.putheader(name, value)
        self.connection.endheaders()

    def send(self, data):
        self.connection.send(data)

    def cut(self, hard):
        """By a RST if `hard`, else by a FIN."""
        if hard:
            self.connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        else:
            self.connection.sock.shutdown(socket.SHUT_WR)
        self.connection.close()

    def answer(self):
        """What came, as (status, RemoteException's name); None: the connection was cut."""
        try:
            response = self.connection.getresponse()
            body = response.read()
            return response.status, Refused("upload", response.status, body).name
        except (OSError, http.client.HTTPException):
            return None
        finally:
            self.connection.close()


def by_both(test):
    """Runs it with a client of WebHDFS and one of HttpFS, a fresh directory and the status that refuses."""
    def run(self):
        for name, client, status in (("webhdfs", self.web, 403), ("httpfs", self.fs, 500)):
            with self.subTest(name):
                folder = "/%s-%s" % (test.__name__, name)
                self.assertTrue(client.mkdirs(folder))
                test(self, client, folder, status)
    run.__name__, run.__doc__ = test.__name__, test.__doc__
    return run


class Case(unittest.TestCase):
    maxDiff = None

    def refused(self, status, name, call, *arguments, **parameters):
        with self.assertRaises(Refused) as caught:
            call(*arguments, **parameters)
        self.assertEqual((caught.exception.status, caught.exception.name), (status, name), caught.exception.message)
        return caught.exception.message


class OneNameNode(Case):
    @classmethod
    def setUpClass(cls):
        cls.hdfs = Hdfs(datanodes=1, httpfs=True)
        cls.addClassCleanup(cls.hdfs.remove)
        cls.hdfs.start()
        cls.web, cls.fs = cls.hdfs.client(), cls.hdfs.httpfs_client()

    # --- CREATE ---

    @by_both
    def test_create_without_overwrite_refuses_what_is_there(self, client, folder, status):
        path = folder + "/a"
        client.create(path, b"first")
        self.refused(status, "FileAlreadyExistsException", client.create, path, b"second")
        self.assertEqual(client.read(path), b"first")
        self.refused(status, "FileAlreadyExistsException", client.create, folder, b"over a directory")
        self.refused(status, "ParentNotDirectoryException", client.create, path + "/below", b"under a file")

    def test_the_first_step_of_create_refuses_nothing(self):
        self.web.create("/there", b"1")
        for path in ("/there", "/new/and/new"):
            answer = self.web.ask("PUT", self.web.url(self.web.urls[0], path, "CREATE", overwrite=False))
            self.assertEqual((answer.status, answer.body), (307, b""))
        self.assertIsNone(self.web.status("/new"))

    @staticmethod
    def why_not(client, path):
        try:
            client.create(path, b"")
        except Refused as e:
            return e.status, e.name
        raise AssertionError(path + " was not there")

    @by_both
    def test_what_is_left_unsaid_differs(self, client, folder, status):
        """HttpFS overwrites and gives 755."""
        path = folder + "/a"
        client.create(path, b"first", overwrite=None)
        self.assertEqual(client.status(path)["permission"], "644" if client is self.web else "755")
        if client is self.web:
            self.refused(403, "FileAlreadyExistsException", client.create, path, b"second", overwrite=None)
        else:
            client.create(path, b"second", overwrite=None)
            self.assertEqual(client.read(path), b"second")
        client.create(folder + "/b", b"", permission="640")
        self.assertEqual(client.status(folder + "/b")["permission"], "640")

    def test_httpfs_wants_the_bytes_named_and_takes_them_in_one_step(self):
        url = self.fs.url(self.fs.urls[0], "/one-step", "CREATE", data=True, overwrite=False)
        unnamed = ask("PUT", url, b"abc")
        self.assertEqual((unnamed.status, unnamed.body), (400, b""))
        self.assertEqual(ask("PUT", url, b"abc", BYTES).status, 201)
        self.assertEqual(self.fs.read("/one-step"), b"abc")

    @by_both
    def test_a_file_that_is_open_has_no_length_and_moves_with_its_writer(self, client, folder, status):
        path = folder + "/open"
        upload = Upload(client, path, 2 * MIB, overwrite=False)
        upload.send(bytes(MIB))
        wait_for("the file to be there", 10, lambda: client.status(path))
        self.assertEqual(client.status(path)["length"], 0)
        # HttpFS does not say what the NameNode said.
        being_created = "AlreadyBeingCreatedException" if client is self.web else "RemoteException"
        self.assertIn("lease", self.refused(status, being_created, client.create, path, b"mine"))
        self.assertTrue(client.rename(path, folder + "/moved"))
        upload.send(bytes(MIB))
        self.assertEqual(upload.answer(), (201, ""))
        self.assertEqual({name: s["length"] for name, s in client.walk(folder).items()}, {"moved": 2 * MIB})

    @by_both
    def test_half_an_upload_becomes_a_good_file(self, client, folder, status):
        for hard in (False, True):
            path = folder + "/half-%d" % hard
            upload = Upload(client, path, 8 * MIB, overwrite=False)
            upload.send(bytes(3 * MIB))
            wait_for("the file to be there", 60, lambda p=path: client.status(p))
            upload.cut(hard)
            wait_for("the part to be closed", 60, lambda p=path: self.why_not(client, p) == (status, "FileAlreadyExistsException"))
            length = client.status(path)["length"]
            self.assertLessEqual(length, 3 * MIB)  # what had reached it before the cut was seen
            self.assertEqual(client.read(path), bytes(length))

    def test_a_file_deleted_under_its_writer_fails_it(self):
        upload = Upload(self.web, "/gone", 2 * MIB, overwrite=False)
        upload.send(bytes(MIB))
        wait_for("the file to be there", 10, lambda: self.web.status("/gone"))
        self.assertTrue(self.web.delete("/gone"))
        upload.send(bytes(MIB))
        self.assertEqual(upload.answer(), (404, "FileNotFoundException"))
        self.assertFalse(self.web.delete("/gone"))

    # --- RENAME ---

    @by_both
    def test_rename_says_no_alike_for_all_reasons(self, client, folder, status):
        a, b = folder + "/a", folder + "/b"
        client.create(a, b"a")
        client.create(b, b"b")
        self.assertFalse(client.rename(a, b), "onto a file")
        self.assertFalse(client.rename(folder + "/none", folder + "/c"), "of nothing")
        self.assertFalse(client.rename(a, folder + "/none/c"), "into nothing")
        self.assertTrue(client.rename(a, folder + "/c"))
        self.assertFalse(client.rename(a, folder + "/c"), "once more")
        self.assertEqual((client.read(b), client.read(folder + "/c")), (b"b", b"a"))

    @by_both
    def test_rename_onto_a_directory_goes_into_it(self, client, folder, status):
        client.create(folder + "/a", b"a")
        client.mkdirs(folder + "/d")
        self.assertTrue(client.rename(folder + "/a", folder + "/d"))
        self.assertEqual(list(client.walk(folder)), ["d/a"])

    @by_both
    def test_a_file_keeps_its_id_through_a_rename(self, client, folder, status):
        client.create(folder + "/a", b"a")
        known = client.status(folder + "/a")["fileId"]
        client.rename(folder + "/a", folder + "/b")
        client.create(folder + "/a", b"another")
        self.assertEqual(client.status(folder + "/b")["fileId"], known)
        self.assertNotEqual(client.status(folder + "/a")["fileId"], known)

    @by_both
    def test_renameoptions_none_tells_why_and_httpfs_does_not_know_it(self, client, folder, status):
        def rename(source, target):
            return client.call("PUT", folder + source, "RENAME", destination=folder + target, renameoptions="NONE")

        client.create(folder + "/a", b"a")
        client.create(folder + "/b", b"b")
        client.mkdirs(folder + "/d")
        if client is self.fs:
            self.assertEqual(rename("/a", "/b").json(), {"boolean": False})
            return
        self.refused(403, "FileAlreadyExistsException", rename, "/a", "/b")
        self.refused(404, "FileNotFoundException", rename, "/none", "/c")
        self.refused(404, "FileNotFoundException", rename, "/a", "/none/c")
        self.refused(403, "IOException", rename, "/a", "/d")
        self.assertEqual(rename("/a", "/c").body, b"")

    # --- what the operator did ---

    @by_both
    def test_no_permission(self, client, folder, status):
        client.create(folder + "/a", b"")
        client.set_permission(folder, "755")
        mallory = self.hdfs.client("mallory") if client is self.web else self.hdfs.httpfs_client("mallory")
        said = self.refused(status, "AccessControlException", mallory.create, folder + "/b", b"")
        self.assertIn("Permission denied: user=mallory, access=WRITE, inode=\"%s\"" % folder, said)
        self.refused(status, "AccessControlException", mallory.rename, folder + "/a", folder + "/b")
        self.refused(status, "AccessControlException", mallory.mkdirs, folder + "/d")

    @by_both
    def test_a_full_quota_of_names_leaves_nothing(self, client, folder, status):
        self.web.create("/outside", b"", overwrite=True)
        client.create(folder + "/a", b"")
        self.web.set_quota(folder, names=2)
        said = self.refused(status, "NSQuotaExceededException", client.create, folder + "/b", b"b")
        self.assertIn("of directory %s is exceeded: quota=2 file count=3" % folder, said)
        self.refused(status, "NSQuotaExceededException", client.mkdirs, folder + "/d")
        self.refused(status, "NSQuotaExceededException", client.rename, "/outside", folder + "/b")
        self.assertEqual(list(client.list(folder)), ["a"])
        self.web.set_quota(folder, names=-1)
        client.create(folder + "/b", b"b")

    @by_both
    def test_a_full_quota_of_space_leaves_whole_blocks_as_a_good_file(self, client, folder, status):
        self.web.set_quota(folder, space=5 * MIB // 2)
        said = self.refused(status, "DSQuotaExceededException", client.create, folder + "/a", bytes(3 * MIB), blocksize=MIB)
        self.assertIn("The DiskSpace quota of %s is exceeded: quota = 2621440 B" % folder, said)
        left = wait_for("what is left to be closed", 10, lambda: client.status(folder + "/a"))
        self.assertEqual(left["length"] % MIB, 0)
        self.refused(status, "FileAlreadyExistsException", client.create, folder + "/a", b"")
        # A whole block is charged before a byte of it is written.
        self.refused(status, "DSQuotaExceededException", client.create, folder + "/b", b"few", blocksize=128 * MIB)

    def test_a_datanode_that_cannot_find_the_namenode_calls_its_name_a_wrong_argument(self):
        where = re.sub("namenoderpcaddress=[^&]*", "namenoderpcaddress=nowhere.invalid:8020", self.web.place("/lost", overwrite=False))
        answer = self.web.ask("PUT", where, b"abc", **BYTES)
        said = Refused("CREATE", answer.status, answer.body)
        self.assertEqual((said.status, said.name, said.message),
                         (400, "IllegalArgumentException", "java.net.UnknownHostException: nowhere.invalid"))

    def test_httpfs_sets_no_quota(self):
        self.web.mkdirs("/no-quota")
        said = self.refused(500, "QueryParamException", self.fs.set_quota, "/no-quota", names=2)
        self.assertIn("SETQUOTA", said)

    def test_httpfs_hides_what_a_namenode_said(self):
        """Of what Hadoop's client does not unwrap: the name is RemoteException, and the message is all there is."""
        for client, name, status in ((self.web, "AlreadyBeingCreatedException", 403), (self.fs, "RemoteException", 500)):
            path = "/hidden-" + name
            upload = Upload(client, path, MIB, overwrite=False)
            upload.send(b"a byte")
            wait_for("the file to be there", 60, lambda c=client, p=path: c.status(p))
            self.assertIn("lease", self.refused(status, name, client.create, path, b"mine"))
            upload.cut(True)

    def test_safe_mode_reads_on(self):
        self.web.create("/safe", b"abc")
        self.hdfs.safemode(True)
        self.addCleanup(self.hdfs.safemode, False)
        for client, status in ((self.web, 403), (self.fs, 500)):
            for call in (lambda: client.create("/safe-2", b""), lambda: client.mkdirs("/safe-d"), lambda: client.delete("/safe")):
                self.assertIn("Name node is in safe mode", self.refused(status, "SafeModeException", call))
            # HttpFS does not say what the NameNode said of a rename.
            named = "SafeModeException" if client is self.web else "RemoteException"
            self.assertIn("Name node is in safe mode", self.refused(status, named, client.rename, "/safe", "/safe-3"))
            self.assertEqual(client.read("/safe"), b"abc")

    # --- the way of an answer ---

    def test_a_datanode_continues_unasked_and_closes(self):
        at = urllib.parse.urlsplit(self.web.place("/raw", overwrite=False))
        self.assertEqual(at.hostname, self.hdfs.host)
        with socket.create_connection((at.hostname, at.port), 20) as s:
            s.sendall(b"PUT %s?%s HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc" % (at.path.encode(), at.query.encode()))
            said = b""
            while more := s.recv(65536):  # until it closes, though nobody asked it to
                said += more
        self.assertTrue(said.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Created\r\n"), said)

    @by_both
    def test_what_is_missing_and_names_that_need_escapes(self, client, folder, status):
        self.assertIsNone(client.status(folder + "/none"))
        self.refused(404, "FileNotFoundException", client.read, folder + "/none")
        self.assertFalse(client.delete(folder + "/none"))
        odd = "a b+c%d?e#f&g=h;i\u00e9"
        client.create(folder + "/x", b"odd")
        self.assertTrue(client.rename(folder + "/x", folder + "/" + odd))
        self.assertEqual(list(client.list(folder)), [odd])
        self.assertEqual(client.read(folder + "/" + odd), b"odd")


class Outages(Case):
    """Two DataNodes; servers die and come back."""

    @classmethod
    def setUpClass(cls):
        # DataNodes keep their connections to the NameNode, so that what becomes of them does not hang on how fast it starts.
        cls.hdfs = Hdfs(datanodes=2, datanode_settings={"ipc.client.connection.maxidletime": 3_600_000})
        cls.addClassCleanup(cls.hdfs.remove)
        cls.hdfs.start()
        cls.web = cls.hdfs.client()

    def test_a_namenode_that_restarts_keeps_all(self):
        self.web.create("/kept", b"kept")
        self.hdfs.namenodes[0].end()
        with self.assertRaises(ConnectionRefusedError):
            self.web.status("/kept")
        self.hdfs.start()
        for node in self.hdfs.datanodes:
            self.assertEqual(self.web.call("GET", "/kept", "OPEN", excludedatanodes=self.others(node)).body, b"kept")
        self.web.create("/after", b"after")

    def test_the_first_call_through_a_datanode_after_a_restart_fails(self):
        """It goes to a connection that is dead, as its EOFException does not say: nothing was done, and the next one gets through."""
        self.web.create("/first", b"first")
        reads, writes = (location(self.web.ask(method, self.web.url(self.web.urls[0], path, op, overwrite=False)))
                         for method, path, op in (("GET", "/first", "OPEN"), ("PUT", "/second", "CREATE")))
        for method, at, told in (("GET", reads, 200), ("PUT", writes, 201)):
            self.through_all()
            self.hdfs.namenodes[0].end()
            self.hdfs.start()
            self.assertEqual(Refused("", 403, ask(method, at, b"second", BYTES).body).name, "EOFException")
            if method == "PUT":
                self.assertIsNone(self.web.status("/second"))
            self.assertEqual(ask(method, at, b"second", BYTES).status, told)

    def through_all(self):
        """Until each DataNode has a connection that works."""
        for node in self.hdfs.datanodes:
            wait_for("a call by it", 60, lambda n=node: self.created("/by-" + n.name, n, but="EOFException"))

    def others(self, datanode):
        return ",".join(node.data for node in self.hdfs.datanodes if node is not datanode)

    def test_the_datanode_of_an_upload_dies(self):
        upload = Upload(self.web, "/cut", 8 * MIB, overwrite=False)
        upload.send(bytes(3 * MIB))
        wait_for("the file to be there", 10, lambda: self.web.status("/cut"))
        dies = next(node for node in self.hdfs.datanodes if node.http_port == upload.datanode)
        dies.end()
        self.assertIsNone(upload.answer())
        # It stays open, of length 0, as its writer died without a word.
        self.assertEqual(self.web.status("/cut")["length"], 0)
        left = next(node for node in self.hdfs.datanodes if node is not dies)
        wait_for("a create by the other DataNode", 30, lambda: self.created("/other", left))
        self.hdfs.start()

    def created(self, path, by, but=None):
        """The NameNode goes on naming the dead one until it counts it dead: excludedatanodes, by its transfer port, helps."""
        try:
            self.web.create(path, b"other", overwrite=True, excludedatanodes=self.others(by))
        except Refused as e:
            if e.name != but:
                raise
            return False
        return self.web.read(path) == b"other"

    def test_another_datanode_of_the_pipeline_dies(self):
        upload = Upload(self.web, "/pipeline", 4 * MIB, overwrite=False)
        upload.send(bytes(MIB))
        wait_for("the file to be there", 10, lambda: self.web.status("/pipeline"))
        next(node for node in self.hdfs.datanodes if node.http_port != upload.datanode).end()
        upload.send(bytes(3 * MIB))
        self.assertEqual(upload.answer(), (201, ""))
        self.assertEqual(self.web.status("/pipeline")["length"], 4 * MIB)
        self.hdfs.start()


class TwoNameNodes(Case):
    @classmethod
    def setUpClass(cls):
        cls.hdfs = Hdfs(datanodes=1, ha=True)
        cls.addClassCleanup(cls.hdfs.remove)
        cls.hdfs.start()
        cls.web = cls.hdfs.client()

    def standby(self):
        other = self.hdfs.client()
        other.urls = [node.http for node in self.hdfs.namenodes if node is not self.hdfs.active()]
        return other

    def test_a_standby_sends_elsewhere_but_redirects_a_create(self):
        standby = self.standby()
        for call in (lambda: standby.status("/"), lambda: standby.list("/"), lambda: standby.mkdirs("/d"),
                     lambda: standby.rename("/a", "/b"), lambda: standby.delete("/a"), lambda: standby.read("/a")):
            self.assertIn("is not supported in state standby", self.refused(403, "StandbyException", call))
        standby.create("/by-standby", b"abc")  # the DataNode finds the active one
        self.assertEqual(self.web.read("/by-standby"), b"abc")

    def test_an_upload_across_a_fail_over_and_back(self):
        for n in range(2):
            path = "/across-%d" % n
            upload = Upload(self.web, path, 3 * MIB, overwrite=False, blocksize=MIB)
            upload.send(bytes(MIB))
            wait_for("the file to be there", 10, lambda: self.web.status(path))
            was = self.hdfs.active()
            self.hdfs.failover()
            self.assertIsNot(self.hdfs.active(), was)
            upload.send(bytes(2 * MIB))
            self.assertEqual(upload.answer(), (201, ""))
            self.assertEqual(self.web.status(path)["length"], 3 * MIB)

    def test_the_active_one_dies(self):
        self.web.create("/before", b"before")
        dies = self.hdfs.active()
        dies.end()
        with self.assertRaises((OSError, Refused)):
            self.web.status("/before")
        self.hdfs.failover()
        self.assertEqual(self.web.read("/before"), b"before")
        self.hdfs.start()
        self.assertEqual((dies.state(), self.hdfs.active() is dies), ("standby", False))


if __name__ == "__main__":
    unittest.main()
