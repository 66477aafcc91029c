#!/usr/bin/env python3
"""Who we are to a HDFS and whom we believe: the store's conformance suite and `tailrace run` against real servers that ask, and what
a person reads where that goes wrong.
"""
import contextlib
import json
import os
import shutil
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import unittest
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.path.insert(0, os.path.join(HERE, "../road"))
from certificates import Certificates  # noqa: E402
from hdfs import Hdfs  # noqa: E402
from kerberos import REALM  # noqa: E402
from ports import free_port  # noqa: E402
from programs import answering, wait_for  # noqa: E402
from sink_run import PATIENCE_S, TAILRACE, Run, conforms  # noqa: E402

@contextlib.contextmanager
def tls_server(certificate):
    """A server that proves itself by that file; its port."""
    class Nothing(BaseHTTPRequestHandler):
        def log_message(self, *_):
            pass
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Nothing)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.handle_error = lambda *_: None  # who does not believe it goes away in the midst
    with answering(server) as port:
        yield port


class Encrypted(unittest.TestCase):
    """All HTTP is HTTPS, by an authority of its own."""

    @classmethod
    def setUpClass(cls):
        cls.hdfs = Hdfs(httpfs=True, tls=True)
        cls.addClassCleanup(cls.hdfs.remove)
        cls.hdfs.start()
        cls.ca = cls.hdfs.tls.ca
        cls.web, cls.fs = cls.hdfs.namenodes[0].at, cls.hdfs.httpfs.at

    def empty_directory(self, path):
        self.hdfs.client().mkdirs(path)
        self.hdfs.client().set_owner(path, "tailrace", "tailrace")

    def test_the_store_conforms(self):
        self.empty_directory("/web")
        conforms(self, "swebhdfs://tailrace@%s/web" % self.web, ca_file=self.ca)

    def test_the_store_conforms_over_httpfs(self):
        self.empty_directory("/fs")
        conforms(self, "swebhdfs://tailrace@%s/fs" % self.fs, ca_file=self.ca)

    def test_hadoops_own_settings_lead_there(self):
        self.empty_directory("/by-conf")
        with Run(None, user="tailrace", root="/by-conf", ca_file=self.ca, hadoop_conf_dir=self.hdfs.folder + "/conf") as run:
            run.says("publishing into swebhdfs://%s/by-conf" % self.web)

    def test_an_authority_that_is_not_believed_is_said(self):
        with Run("swebhdfs://" + self.web) as run:
            run.says("waiting for HDFS", self.web, "certificate", "`ca_file`", "the system's are believed")
        with Run("swebhdfs://" + self.web, ca_file=self.hdfs.tls.stranger) as run:
            run.says("waiting for HDFS", self.web, "certificate", "`ca_file`", "now " + self.hdfs.tls.stranger)

    def test_a_file_that_holds_no_authority_is_said(self):
        for file in (self.hdfs.folder + "/none.pem", self.hdfs.folder + "/conf/core-site.xml"):
            with Run("swebhdfs://" + self.web, ca_file=file) as run:
                run.says("waiting for HDFS", self.web, file, "`ca_file` must be readable and hold certificates as PEM")

    def test_a_certificate_of_another_name_is_said(self):
        folder = tempfile.mkdtemp(prefix="tailrace-tls-")
        self.addCleanup(shutil.rmtree, folder)
        certificates = Certificates(folder)
        with tls_server(certificates.issue("other", "elsewhere.test")) as port:
            with Run("swebhdfs://localhost:%d" % port, ca_file=certificates.at("ca.pem")) as run:
                run.says("waiting for HDFS", "localhost:%d" % port, "write in `url` a name")

    def test_one_side_alone_speaks_tls(self):
        with Run("webhdfs://" + self.web, user="tailrace") as run:
            run.says("waiting for HDFS", self.web, "swebhdfs://")

    def test_a_redirect_elsewhere_is_not_followed(self):
        self.empty_directory("/logs")
        for hosts, follows in (([".example.com", "10.0.0.0/8"], False), (["127.0.0.0/8"], True)):
            with Run("swebhdfs://" + self.web, user="tailrace", ca_file=self.ca, redirect_hosts=hosts) as run:
                if follows:
                    run.says("publishing into")
                else:
                    run.says("waiting for HDFS", "a redirect to " + self.hdfs.datanodes[0].at, "`redirect_hosts` does not name it")

    def test_lines_come_and_a_mended_authority_is_taken_without_a_start(self):
        self.empty_directory("/logs")
        folder = tempfile.mkdtemp(prefix="tailrace-tls-")
        self.addCleanup(shutil.rmtree, folder)
        shutil.copy(self.hdfs.tls.stranger, folder + "/ca.pem")
        with Run("swebhdfs://" + self.web, user="tailrace", ca_file=folder + "/ca.pem") as run:
            run.writes()
            run.says("waiting for HDFS", "`ca_file`")
            shutil.copy(self.ca, folder + "/ca.new")
            os.rename(folder + "/ca.new", folder + "/ca.pem")
            wait_for("a published file", 2 * PATIENCE_S, lambda: self.hdfs.client().status("/logs/web"))


class FakeHdfs:
    """A NameNode that gives a cookie to whoever shows a proof, and sends on to a DataNode; `seen` are the headers that each got."""

    COOKIE = 'hadoop.auth="u=x&p=x@X&t=kerberos&e=1&s=a-secret"'

    def __init__(self, challenge="Negotiate"):
        fake = self
        self.seen, self.cookie_is_good = {"namenode": [], "datanode": []}, True

        class Answers(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def say(self, status, body=b"", **headers):
                self.send_response(status)
                for name, value in {"Content-Length": len(body), **headers}.items():
                    self.send_header(name.replace("_", "-"), value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        class NameNode(Answers):
            def do_GET(self):
                fake.seen["namenode"].append(dict(self.headers))
                by_proof = self.headers.get("Authorization", "").startswith("Negotiate ")
                if not by_proof and not (fake.cookie_is_good and self.headers.get("Cookie") == fake.COOKIE):
                    return self.say(401, b"<html>who?</html>", Content_Type="text/html", WWW_Authenticate=challenge,
                                    Set_Cookie='hadoop.auth=; Path=/; HttpOnly')
                proven = {"Set_Cookie": fake.COOKIE + "; Path=/; HttpOnly"} if by_proof else {}
                if "op=OPEN" in self.path:
                    to = "http://localhost:%d%s&delegation=b-secret" % (fake.datanode.server_port, self.path)
                    return self.say(307, Location=to, **proven)
                status = {"FileStatus": {"type": "FILE", "length": 5, "fileId": 7, "pathSuffix": ""}}
                return self.say(200, json.dumps(status).encode(), Content_Type="application/json", **proven)

        class DataNode(Answers):
            def do_GET(self):
                fake.seen["datanode"].append(dict(self.headers))
                self.say(403, json.dumps({"RemoteException": {"exception": "InvalidToken", "message": "at " + self.path}}).encode())

        self.namenode, self.datanode = (ThreadingHTTPServer(("127.0.0.1", 0), kind) for kind in (NameNode, DataNode))
        self.threads = [threading.Thread(target=server.serve_forever) for server in (self.namenode, self.datanode)]
        self.url = "webhdfs://localhost:%d" % self.namenode.server_port

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        for server, thread in zip((self.namenode, self.datanode), self.threads, strict=True):
            server.shutdown()
            thread.join()
            server.server_close()


class Guarded(unittest.TestCase):
    """Kerberos, by a real KDC; a cookie is good for three seconds."""

    @classmethod
    def setUpClass(cls):
        cls.hdfs = Hdfs(httpfs=True, kerberos=True, settings={"hadoop.http.authentication.token.validity": 3})
        cls.addClassCleanup(cls.hdfs.remove)
        cls.hdfs.start()
        cls.kerberos, cls.kdc = cls.hdfs.kerberos, cls.hdfs.kerberos.kdc
        cls.keytab = cls.kerberos.keytab("tailrace")
        cls.web, cls.fs = "webhdfs://" + cls.hdfs.namenodes[0].at, "httpfs://" + cls.hdfs.httpfs.at

    def directory_of(self, user, path):
        self.hdfs.client().mkdirs(path)
        self.hdfs.client().set_owner(path, user, user)
        return path

    def run_as(self, principal, keytab=None, url=None, **settings):
        """Only krb5.conf is in the environment: no keytab, no cache."""
        return Run(url or self.web, environment={"KRB5_CONFIG": self.kdc.conf, "KRB5CCNAME": "FILE:/nonexistent/none"},
                   kerberos={"principal": principal, "keytab": keytab or self.keytab}, **settings)

    def published(self, root, category="web"):
        client = self.hdfs.client()
        return [s for s in client.walk(root + "/" + category).values()] if client.status(root + "/" + category) else []

    def goes_on(self, run, root, seconds=PATIENCE_S):
        """A line that is written now is published."""
        before = len(self.published(root))
        run.writes()
        wait_for("more files in " + root, seconds, lambda: run.alive() and len(self.published(root)) > before)

    def holds_no_secret(self, text):
        self.assertNotRegex(text, r"(delegation|hadoop\.auth|signature)=[^.]|Negotiate [A-Z]|-secret")

    # --- what works ---

    def conforms(self, url, path):
        self.directory_of("tailrace", path)
        conforms(self, url + path, {"KRB5_CONFIG": self.kdc.conf}, principal="tailrace", keytab=self.keytab)
        self.assertEqual({status["owner"] for status in self.hdfs.client().walk(path).values()}, {"tailrace"})

    def test_the_store_conforms(self):
        self.conforms(self.web, "/web")

    def test_the_store_conforms_over_httpfs(self):
        self.conforms(self.fs, "/fs")

    def test_two_sinks_are_two_principals(self):
        sinks = {}
        for user in ("alice", "bob"):
            root = self.directory_of(user, "/of-" + user)
            sinks[user] = {"type": "hdfs", "url": [self.web], "root": root, "layout": "{category}", "timezone": "UTC",
                           "kerberos": {"principal": user, "keytab": self.kerberos.keytab(user)}}
        with self.run_as("tailrace") as run:  # for its folder
            run.end()
            with open(run.folder + "/center.yaml", "w") as f:
                json.dump({"role": "center", "cluster": "access", "state": run.folder + "/center", "admin": "127.0.0.1:0",
                           "listen": "127.0.0.1:%d" % free_port(), "sinks": sinks}, f)
            run.run([os.path.join(os.path.dirname(TAILRACE), "tailrace-center"), "--config", run.folder + "/center.yaml"],
                    environment=run.environment)
            for user in sinks:
                owners = wait_for("a record of " + user, PATIENCE_S, lambda user=user: {
                    status["owner"] for status in self.hdfs.client().walk("/of-" + user).values()})
                self.assertEqual(owners, {user})

    def test_tickets_are_renewed_also_by_a_new_key(self):
        root = self.directory_of("brief", "/brief")
        with self.run_as("brief", self.kerberos.keytab("brief", life="8s"), root=root) as run:
            self.goes_on(run, root)
            self.kdc.ask("ktadd -k %s brief" % self.kerberos.keytab("brief"))  # the KDC forgets the old one
            asked = self.kdc.said().count("AS_REQ")
            for _ in range(3):
                time.sleep(5)
                self.goes_on(run, root)
            self.assertGreater(self.kdc.said().count("AS_REQ"), asked + 1)
            self.assertNotIn("Kerberos", run.said())

    def test_while_the_kdc_is_away_what_is_held_goes_on(self):
        root = self.directory_of("tailrace", "/held")
        with self.run_as("tailrace", root=root) as run:
            self.goes_on(run, root)
            self.kdc.end()
            try:
                for _ in range(2):  # beyond the life of a cookie
                    time.sleep(4)
                    self.publishes_without_a_reader(run)
            finally:
                self.kdc.start()
            self.goes_on(run, root)
            self.assertNotIn("Kerberos", run.said())

    def publishes_without_a_reader(self, run):
        """The reader of these tests needs the KDC itself: the program tells."""
        before = run.metric("tailrace_center_lines_passed_total")
        run.writes()
        wait_for("lines published", PATIENCE_S, lambda: run.metric("tailrace_center_lines_passed_total") > before)

    def test_the_kdc_is_away_until_the_tickets_end_and_comes_back(self):
        root = self.directory_of("short", "/short")
        with self.run_as("short", self.kerberos.keytab("short", life="6s"), root=root) as run:
            self.goes_on(run, root)
            self.kdc.end()
            try:
                time.sleep(8)
                run.writes()
                said = wait_for("what is wrong", PATIENCE_S, lambda: "/etc/krb5.conf" in run.status() and run.status())
                self.assertIn("short@" + REALM, said)
                self.assertTrue(run.alive())
                self.holds_no_secret(said)
            finally:
                self.kdc.start()
            self.goes_on(run, root)
            self.holds_no_secret(run.said())

    # --- what is said ---

    def test_each_mistake_has_its_message(self):
        host = self.hdfs.namenodes[0].at
        nobody = self.kerberos.keytab("nobody")
        self.kdc.remove("nobody")
        stale = self.kerberos.keytab("stale")
        self.kdc.ask("ktadd -k %s.new stale" % stale)
        for settings, texts in (
                (("tailrace", "/nonexistent/keytab"), ("/nonexistent/keytab", "No such file", "this program's user")),
                (("carol", self.keytab), ("the keytab " + self.keytab, "no key of carol@" + REALM, "has those of tailrace@" + REALM)),
                (("nobody", nobody), ("nobody@" + REALM, "not found in Kerberos database", "administrator")),
                (("stale", stale), ("stale@" + REALM, "have it written anew")),
                (("tailrace@ELSEWHERE.TEST", self.keytab), ("no key of tailrace@ELSEWHERE.TEST",))):
            with self.subTest(settings), self.run_as(*settings) as run:
                run.says("waiting for HDFS", host, "Kerberos", *texts)
        with self.run_as("tailrace", url="webhdfs://127.0.0.1:%s" % host.partition(":")[2]) as run:
            run.says("waiting for HDFS", "HTTP/127.0.0.1", "`url` must name the server as its principal")
        with Run(self.web, user="tailrace") as run:
            run.says("waiting for HDFS", host, "it wants Kerberos, by `kerberos:")

    def test_what_is_to_be_mended_is_told_of_the_principal(self):
        root = self.directory_of("somebody", "/somebodys")
        for principal, keytab, tried, mend in (
                ("tailrace@" + REALM, self.keytab, "write and rename in " + root, "give user 'tailrace' the right to write in " + root),
                ("tailrace", "/nonexistent/keytab", "ask " + self.web, "mend `kerberos` of this sink")):
            with self.subTest(keytab), self.run_as(principal, keytab, root=root) as run:
                run.end()
                found, said = self.checked(run, tried)
                self.assertIn(mend, said, found)
        with Run(self.web, user="tailrace") as run:
            run.end()
            found, said = self.checked(run, "ask " + self.web)
            self.assertIn("add `kerberos: {principal: ", said, found)

    def checked(self, run, tried):
        """What `check --connect` says of something that fails: what it found, and what to do."""
        done = subprocess.run([TAILRACE, "check", "--connect", "--format", "json", run.folder + "/run.yaml"], capture_output=True,
                              text=True, timeout=120, check=False, env={**os.environ, **(run.environment or {})})
        ((found, mend),) = [(p["found"], p["mend"]) for p in json.loads(done.stdout)[0]["probes"]
                            if (p["tried"], p["verdict"]) == (tried, "FAIL")]
        self.holds_no_secret(done.stdout)
        return found, mend

    def test_the_kdc_is_away_at_the_start(self):
        root = self.directory_of("tailrace", "/away")
        self.kdc.end()
        try:
            with self.run_as("tailrace", root=root) as run:
                run.says("waiting for HDFS", "Kerberos", "tailrace@" + REALM, "/etc/krb5.conf")
                self.kdc.start()
                self.goes_on(run, root)
        finally:
            if not self.kdc.alive():
                self.kdc.start()

    def test_what_shows_who_we_are_goes_to_no_other_server(self):
        with FakeHdfs() as fake, self.run_as("tailrace", url=fake.url) as run:
            said = run.says("waiting for HDFS", "InvalidToken")
            self.holds_no_secret(said)
            first, second, *_ = fake.seen["namenode"]
            self.assertTrue(first["Authorization"].startswith("Negotiate ") and "Cookie" not in first)
            self.assertTrue(second["Cookie"] == fake.COOKIE and "Authorization" not in second)
            self.assertTrue(fake.seen["datanode"])
            for headers in fake.seen["datanode"]:
                self.assertFalse({"Cookie", "Authorization"} & set(headers))
            fake.cookie_is_good = False  # ended: a proof again, and no error between
            before = len(fake.seen["namenode"])
            wait_for("more calls", PATIENCE_S, lambda: len(fake.seen["namenode"]) > before + 4)
            kinds = ["Authorization" in headers for headers in fake.seen["namenode"][before:]]
            self.assertIn([False, True], [kinds[i:i + 2] for i in range(len(kinds))])

    def test_a_server_that_wants_a_password_is_said(self):
        with FakeHdfs(challenge='Basic realm="x"') as fake, Run(fake.url, user="x") as run:
            run.says("waiting for HDFS", "wants 'Basic' where HDFS uses Kerberos")


if __name__ == "__main__":
    unittest.main()
