#!/usr/bin/env python3
"""What the store relies on where Kerberos and TLS guard the HDFS, asked of real servers and a real KDC. curl is the client that can
SPNEGO.
"""
import http.client
import io
import json
import os
import re
import ssl
import subprocess
import sys
import time
import unittest
import urllib.parse

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from hdfs import Hdfs  # noqa: E402
from webhdfs_client import Refused, ask  # noqa: E402

BYTES = ("-H", "Content-Type: application/octet-stream", "--data-binary")
NEGOTIATE = ("--negotiate", "-u", ":")


class Answer:
    """The last of those that curl -i printed."""

    def __init__(self, printed):
        while printed:
            head, _, printed = printed.partition(b"\r\n\r\n")
            first, _, lines = head.partition(b"\r\n")
            self.status, self.body = int(first.split()[1]), printed
            self.headers = http.client.parse_headers(io.BytesIO(lines + b"\r\n\r\n"))
            if not printed.startswith(b"HTTP/"):
                break
        cookie = re.search(r'(hadoop\.auth="[^"]+")', self.headers.get("Set-Cookie") or "")
        self.cookie = ("-H", "Cookie: " + cookie.group(1)) if cookie else None

    def refused(self):
        return self.status, Refused("", self.status, self.body).name


def by_both(test):
    """Runs it with WebHDFS's address and HttpFS's."""
    def run(self):
        for name, at in (("webhdfs", self.web), ("httpfs", self.fs)):
            with self.subTest(name):
                test(self, at)
    run.__name__, run.__doc__ = test.__name__, test.__doc__
    return run


class Guarded(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.hdfs = Hdfs(httpfs=True, kerberos=True)
        cls.addClassCleanup(cls.hdfs.remove)
        cls.hdfs.start()
        cls.kdc = cls.hdfs.kerberos.kdc
        cls.alice = cls.hdfs.kerberos.keytab("alice")
        cls.web, cls.fs = cls.hdfs.urls[0], cls.hdfs.httpfs.http
        cls.hdfs.client().mkdirs("/open", "777")

    def curl(self, *words, keytab=None, cache=None):
        """With the keytab: without any kinit before."""
        done = subprocess.run(["curl", "--silent", "--show-error", "-i", "--max-time", "20", *words], stdin=subprocess.DEVNULL,
                              env={**os.environ, **self.kdc.environment(keytab, cache)}, stdout=subprocess.PIPE, check=True)
        return Answer(done.stdout)

    @staticmethod
    def url(at, path, op, **parameters):
        return at + "/webhdfs/v1" + path + "?" + urllib.parse.urlencode({"op": op, **parameters})

    # --- who asks ---

    @by_both
    def test_a_keytab_is_enough(self, at):
        path = "/open/by-keytab-%d" % (at == self.fs)
        create = self.url(at, path, "CREATE", overwrite="false")
        done = self.curl(*NEGOTIATE, "--location", "-X", "PUT", *BYTES, "abc", create, keytab=self.alice)
        self.assertEqual(done.status, 201)
        self.assertEqual(self.hdfs.client().status(path)["owner"], "alice")

    @by_both
    def test_nobody_is_believed(self, at):
        for words in ((), NEGOTIATE):
            said = self.curl(*words, self.url(at, "/open", "GETFILESTATUS", **{"user.name": "nn"}))
            self.assertEqual((said.status, said.headers["WWW-Authenticate"]), (401, "Negotiate"))
            self.assertIn("text/html", said.headers["Content-Type"])

    @by_both
    def test_the_name_asked_for_must_be_the_servers(self, at):
        elsewhere = at.replace("localhost", "127.0.0.1")
        self.assertEqual(self.curl(*NEGOTIATE, self.url(elsewhere, "/open", "GETFILESTATUS"), keytab=self.alice).status, 401)

    @by_both
    def test_the_cookie_alone_is_enough_and_a_spoiled_one_is_not(self, at):
        cookie = self.curl(*NEGOTIATE, self.url(at, "/open", "GETFILESTATUS"), keytab=self.alice).cookie
        home = self.curl(*cookie, self.url(at, "/", "GETHOMEDIRECTORY", **{"user.name": "nn"}))
        self.assertEqual((home.status, json.loads(home.body)), (200, {"Path": "/user/alice"}))
        spoiled = ("-H", cookie[1].replace("&s=", "&s=x"))
        self.assertEqual(self.curl(*spoiled, self.url(at, "/open", "GETFILESTATUS")).status, 401)

    @by_both
    def test_only_whom_the_settings_name_may_act_for_others(self, at):
        tailrace = self.hdfs.kerberos.keytab("tailrace")
        home = self.url(at, "/", "GETHOMEDIRECTORY", doas="bob")
        self.assertEqual(json.loads(self.curl(*NEGOTIATE, home, keytab=tailrace).body), {"Path": "/user/bob"})
        self.assertEqual(self.curl(*NEGOTIATE, home, keytab=self.alice).refused(), (403, "AuthorizationException"))

    # --- the bytes ---

    def test_a_datanode_wants_the_token_of_the_redirect_and_no_more(self):
        where = self.curl(*NEGOTIATE, "-X", "PUT", self.url(self.web, "/open/a", "CREATE", overwrite="false"),
                          keytab=self.alice).headers["Location"]
        self.assertIn("delegation=", where)
        without = self.curl("-X", "PUT", *BYTES, "abc", re.sub("delegation=[^&]*&", "", where))
        self.assertEqual(without.refused(), (403, "IOException"))
        self.assertIn(b"Client cannot authenticate via:[TOKEN, KERBEROS]", without.body)
        self.assertEqual(self.curl("-X", "PUT", *BYTES, "abc", where).status, 201)

    def test_httpfs_wants_to_know_again_who_sends_the_bytes(self):
        first = self.curl(*NEGOTIATE, "-X", "PUT", self.url(self.fs, "/open/b", "CREATE", overwrite="false"), keytab=self.alice)
        where = first.headers["Location"]
        self.assertNotIn("delegation=", where)
        self.assertEqual(self.curl("-X", "PUT", *BYTES, "abc", where).status, 401)
        self.assertEqual(self.curl("-X", "PUT", *first.cookie, *BYTES, "abc", where).status, 201)
        another = where.replace("/open/b", "/open/c")
        self.assertEqual(self.curl("-X", "PUT", *NEGOTIATE, *BYTES, "abc", another, keytab=self.alice).status, 201)

    @by_both
    def test_a_delegation_token_until_it_is_cancelled(self, at):
        token = self.hdfs.kerberos.token("alice", at)
        url = self.url(at, "/open", "GETFILESTATUS", delegation=token)
        self.assertEqual(ask("GET", url).status, 200)
        self.curl(*NEGOTIATE, "-X", "PUT", self.url(at, "/", "CANCELDELEGATIONTOKEN", token=token), keytab=self.alice)
        gone = ask("GET", url)
        named = "SecurityException" if at == self.web else "AuthenticationException"
        self.assertEqual((gone.status, gone.json()["RemoteException"]["exception"]), (403, named))
        self.assertIn("InvalidToken", gone.json()["RemoteException"]["message"])

    # --- time ---

    def test_a_ticket_that_ended_is_got_anew(self):
        keytab = self.hdfs.kerberos.keytab("brief", life="2s")
        cache = "FILE:%s/brief.ccache" % self.hdfs.folder
        url = self.url(self.web, "/open", "GETFILESTATUS")
        self.assertEqual(self.curl(*NEGOTIATE, url, keytab=keytab, cache=cache).status, 200)
        time.sleep(2.5)
        self.assertEqual(self.curl(*NEGOTIATE, url, keytab=keytab, cache=cache).status, 200)

    def test_while_the_kdc_is_away_a_cookie_goes_on(self):
        url = self.url(self.web, "/open", "GETFILESTATUS")
        cookie = self.curl(*NEGOTIATE, url, keytab=self.alice).cookie
        self.kdc.end()
        try:
            self.assertEqual(self.curl(*NEGOTIATE, url, keytab=self.alice).status, 401)
            self.assertEqual(self.curl(*cookie, url).status, 200)
        finally:
            self.kdc.start()
        self.assertEqual(self.curl(*NEGOTIATE, url, keytab=self.alice).status, 200)


class Encrypted(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.hdfs = Hdfs(httpfs=True, tls=True)
        cls.addClassCleanup(cls.hdfs.remove)
        cls.hdfs.start()

    def test_the_bytes_too(self):
        for client in (self.hdfs.client(), self.hdfs.httpfs_client()):
            self.assertTrue(client.place("/new", overwrite=False).startswith("https://127.0.0.1:"))
            client.create("/a", b"abc", overwrite=True)
            self.assertEqual(client.read("/a"), b"abc")

    def test_only_the_authority_is_believed(self):
        for client in (self.hdfs.client(), self.hdfs.httpfs_client()):
            client.ca = self.hdfs.tls.stranger
            with self.assertRaises(ssl.SSLCertVerificationError):
                client.status("/")

    def test_nothing_speaks_plain_http(self):
        for server in (self.hdfs.namenodes[0], self.hdfs.datanodes[0], self.hdfs.httpfs):
            with self.assertRaises((OSError, http.client.HTTPException)):
                ask("GET", "http://%s/webhdfs/v1/?op=LISTSTATUS&user.name=x" % server.at)


if __name__ == "__main__":
    unittest.main()
