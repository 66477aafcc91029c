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
import unittest
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.path.insert(0, os.path.join(HERE, "../road"))
from certificates import Certificates  # noqa: E402
from hdfs import Hdfs  # noqa: E402
from programs import Program, wait_for  # noqa: E402

CONFORMANCE = os.environ.get("HDFS_CONFORMANCE") or os.path.join(HERE, "../../build/test/bin/hdfs_conformance")
TAILRACE = os.environ.get("TAILRACE_BIN") or os.path.join(HERE, "../../build/bin/tailrace")
PATIENCE_S = 60


def conforms(test, url, environment=None, **settings):
    words = ["%s=%s" % pair for pair in settings.items()]
    done = subprocess.run([CONFORMANCE, "--log_level=error", "--", url, *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, timeout=180, check=False, env={**os.environ, **(environment or {})})
    test.assertEqual(done.returncode, 0, done.stdout)
    test.assertIn("No errors detected", done.stdout)


class Run(Program):
    """`tailrace run` with one sink of HDFS and those of its `settings`; with a `with` it ends, and its folder goes."""

    def __init__(self, url, environment=None, **settings):
        super().__init__(tempfile.mkdtemp(prefix="tailrace-access-"))
        self.environment = environment
        sink = {"type": "hdfs", "url": [url] if isinstance(url, str) else url, "root": "/logs", "layout": "{category}",
                "timezone": "UTC", "roll": {"age": "1s", "idle": "1s"}, **settings}
        with open(self.folder + "/run.yaml", "w") as f:  # JSON is YAML
            json.dump({"role": "run", "cluster": "access", "state": self.folder + "/state", "admin": "127.0.0.1:0",
                       "sinks": {"warehouse": sink}, "pipelines": {"web": {"files": [self.folder + "/web.log"]}}}, f)
        self.lines = 0

    def __enter__(self):
        self.run([TAILRACE, "run", "--config", self.folder + "/run.yaml"], environment=self.environment)
        return self

    def __exit__(self, *_):
        self.end()
        shutil.rmtree(self.folder)

    def said(self):
        with open(self.folder + "/log", errors="replace") as f:
            return f.read()

    def says(self, *texts):
        """Waits for the message that holds them all; its line."""
        def found():
            if not self.alive():
                raise AssertionError("it ended:\n" + self.said()[-3000:])
            return next((line for line in self.said().splitlines() if all(text in line for text in texts)), None)
        try:
            return wait_for("'%s'" % "', '".join(texts), PATIENCE_S, found)
        except AssertionError as e:
            raise AssertionError("%s:\n%s" % (e, self.said()[-3000:])) from None

    def writes(self, lines=10):
        with open(self.folder + "/web.log", "a") as f:
            for _ in range(lines):
                self.lines += 1
                f.write("line %d\n" % self.lines)


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
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


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


if __name__ == "__main__":
    unittest.main()
