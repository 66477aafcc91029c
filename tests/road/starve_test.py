#!/usr/bin/env python3
"""What is slow or loud keeps only itself waiting: a sink whose files cannot be published, and a category that makes far more
than is taken of it. A file that stands where a directory should be keeps files from being published."""
import datetime
import os
import signal

import balance
import daemons_test
from program import main

del daemons_test.Daemons  # its tests are not run a second time
MIB = 1 << 20
ROLL = "roll: {size: 64KiB, age: 1s, idle: 1s}"


class StarveTest(daemons_test.DaemonsTest):
    def begin(self, sinks, categories):
        self.roots = {name: f"{self.dir}/{name}" for name in sinks}
        self.settings["agent"] = f"local: {self.dir}/local.sock\npipelines:\n" + "".join(
            f"  {c}: {{files: [\"{self.logs}/{c}.log\"], codec: none}}\n" for c in categories)
        self.settings["local"] += "spool: {size: 512MiB}\n"
        self.settings["center"] = f"listen: 127.0.0.1:{self.port}\nsinks:\n" + "".join(
            f"  {name}: {{type: directory, root: {root}, timezone: UTC, {ROLL}}}\n" for name, root in self.roots.items())
        for role, more in self.settings.items():
            self.configure(role, f"role: {role}\ncluster: test\nstate: {self.dir}/{role}\n{more}")

    def block(self, sink, category):
        """No file of it can be published, today or tomorrow; what was received is committed."""
        os.makedirs(f"{self.roots[sink]}/{category}")
        today = datetime.datetime.now(datetime.timezone.utc)
        self.blocks = [f"{self.roots[sink]}/{category}/dt={(today + datetime.timedelta(days=d)).date()}" for d in range(2)]
        for path in self.blocks:
            open(path, "x").close()

    def unblock(self):
        for path in self.blocks:
            os.unlink(path)

    def published(self, sink, category):
        root = self.roots[sink]
        if not os.path.exists(root + "/_tailrace.sink"):
            return b""
        self.out = root
        return self.cat("--category", category)

    def text(self, name, size):
        lines = b"".join(b"%s %07d %s\n" % (name, n, os.urandom(500).hex().encode()) for n in range(size // 1012))
        self.write(name.decode() + ".log", lines, "ab")
        return lines

    def waiting(self):
        address = balance.address_of(self.running["local"].pid, self.port)
        return balance.lines(address)["loud", "waiting"]

    def stop(self):
        for role in self.ROLES:
            self.down(role, signal.SIGTERM)


class Sinks(StarveTest):
    def test_a_slow_sink_never_starves_another(self):
        """16 files of a batch or two wait at the slow one, and the credit of a Local is 8 MiB: far less than is written here."""
        self.begin(("quick", "slow"), ("loud",))
        self.block("slow", "loud")
        for role in self.ROLES:
            self.up(role)
        lines = self.text(b"loud", 80 * MIB)
        self.until("all of it at the quick sink", lambda: len(self.published("quick", "loud")) >= len(lines), 90)
        self.assertEqual(self.published("quick", "loud"), lines)
        self.assertEqual(self.published("slow", "loud"), b"")
        self.assertGreater(self.waiting(), 10_000)  # they are kept for the slow one
        self.unblock()
        self.until("and at the slow one", lambda: len(self.published("slow", "loud")) >= len(lines), 120)
        self.assertEqual(self.published("slow", "loud"), lines)
        self.stop()


class Categories(StarveTest):
    def test_a_loud_category_never_starves_another(self):
        self.begin(("files",), ("loud", "quiet"))
        self.block("files", "loud")
        for role in self.ROLES:
            self.up(role)
        lines = self.text(b"loud", 80 * MIB)
        self.until("the loud one to wait", lambda: self.waiting() > 20_000, 60)
        for n in range(1, 6):
            quiet = self.text(b"quiet", n * 10_120)
            self.until("the quiet one", lambda: self.published("files", "quiet").endswith(quiet[-1012:]), 30)
        self.assertEqual(self.published("files", "loud"), b"")
        self.unblock()
        self.until("the loud one", lambda: len(self.published("files", "loud")) >= len(lines), 120)
        self.assertEqual(self.published("files", "loud"), lines)
        self.stop()


if __name__ == "__main__":
    main()
