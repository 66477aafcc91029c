"""The three daemons and their admin ports: what the tests share that ask the programs themselves."""
import os
import re
import time
import urllib.error
import urllib.request

import daemons_test

PORT = re.compile(rb"admin port: http://(127\.0\.0\.1:\d+)/")


class WatchedTest(daemons_test.DaemonsTest):
    def setUp(self):
        super().setUp()
        self.admin = {}
        open(os.path.join(self.dir, "stderr.txt"), "ab").close()

    def up(self, role):
        before = len(PORT.findall(self.said().encode()))
        super().up(role)
        self.wait_for("the admin port", lambda: len(PORT.findall(self.said().encode())) > before)
        self.admin[role] = PORT.findall(self.said().encode())[-1].decode()

    def wait_for(self, what, check, seconds=30):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            got = check()
            if got:
                return got
            time.sleep(0.05)
        self.fail(f"waited {seconds} s for {what}\n{self.said()[-2000:]}")

    def get(self, role, path):
        try:
            with urllib.request.urlopen(f"http://{self.admin[role]}{path}", timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def metrics(self, role):
        out = {}
        for line in self.get(role, "/metrics")[1].splitlines():
            if not line.startswith("#"):
                name, value = line.rsplit(" ", 1)
                out[name] = float(value)
        return out

