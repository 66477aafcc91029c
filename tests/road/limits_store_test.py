#!/usr/bin/env python3
"""Limits 27, 35, 36 and 38: wrong clocks, a store that somebody damaged, wrong settings, against the running daemons while
good lines arrive complete. A row's number in docs/operating.md, "Limits", stands in the name of its test."""
import contextlib
import glob
import os
import re
import shutil
import signal
import struct
import subprocess
import time

from limits import LimitsTest, v1
from program import main
from watched import WatchedTest

BUCKET_S = 900


class StoreTest(LimitsTest, WatchedTest):
    def files_of(self, pattern):
        return sorted(glob.glob(os.path.join(self.out, pattern)))

    def control(self, pattern):
        return self.files_of("_tailrace/*/" + pattern)

    def only(self, paths):
        self.assertEqual(len(paths), 1, paths)
        return paths[0]

    def commits(self, local, *categories):
        """Until all that `local` has of these is committed; of others, nothing is waited for."""
        mine = [s for s in local.streams if s["category"] in categories]
        end = time.monotonic() + 30
        while any(s["committed"] < s["batches"][-1].end for s in mine):
            self.assertLess(time.monotonic(), end, (categories, self.said()[-2000:]))
            local.pump(0.02)
            if all(s["sent"] == s["batches"][-1].end for s in mine):
                local.wire.send(v1.FLUSH)
                time.sleep(0.02)

    def is_ready(self, role, ready):
        self.wait_for(f"the {role} to be {'' if ready else 'not '}ready", lambda: (self.get(role, "/readyz")[0] == 200) == ready)

    def center_again(self, between=lambda: None):
        self.down("center", signal.SIGKILL)
        between()
        self.up("center")
        self.wait_for("the door", lambda: self.said().rstrip().count("takes Locals") >= 1 and self.door_opens())

    def door_opens(self):
        with contextlib.suppress(OSError):
            v1.Wire(("127.0.0.1", self.port)).close()
            return True


class Clocks(StoreTest):
    ROLES_UP = ("center",)

    class Skewed(v1.Local):
        """A Local whose agent's clock says what it likes: `buckets` in turn, one a batch."""
        buckets = ()

        def send_one(self, n, batch):
            head = batch.head
            batch.head = lambda *args, **more: head(*args, bucket=self.buckets[batch.first % len(self.buckets)], **more)
            try:
                super().send_one(n, batch)
            finally:
                batch.head = head

    def skewed(self, local_id, category, buckets, count):
        local = self.Skewed(("127.0.0.1", self.port), self.cluster, local_id=local_id, host="skewed %s" % category)
        local.buckets = buckets
        for i in range(count):
            local.add(category, b"line %d\n" % i)
        self.wires.append(local)
        local.connect()
        local.until_committed()
        self.arrives(category, local.lines())
        return {os.path.relpath(os.path.dirname(path), os.path.join(self.out, category)) for path in self.published(category)}

    def test_row_27_wrong_clocks(self):
        now = int(time.time()) // BUCKET_S
        now_in = lambda: {time.strftime("dt=%Y-%m-%d/hr=%H", time.gmtime(t))  # noqa: E731
                          for t in (now * BUCKET_S, time.time())}
        year = lambda y: (y - 1970) * 35064  # noqa: E731: in buckets, roughly
        for i, (category, buckets) in enumerate((
                ("y1970", [0, 1, 5, 40]), ("y1999", [year(1999)]), ("y2106", [0xFFFFFFFF - 4 * n for n in range(300)]),
                ("ahead", [now + 2]), ("jumping", [0, 0xFFFFFFFF, now, year(2050)]))):
            self.good_lines("web")
            found = self.skewed(700 + i, category, buckets, 300)
            self.assertLessEqual(found, now_in(), category)
            self.is_said("the clock of skewed " + category, who="filed under this Center")
        self.assertEqual(self.metrics("center")["tailrace_center_lines_clock_skewed_total"], 4 * 300 + 225)
        # An old one is just old, and one that is a little ahead is believed.
        self.assertEqual(self.skewed(710, "old", [year(2019)], 3), {
            time.strftime("dt=%Y-%m-%d/hr=%H", time.gmtime(year(2019) * BUCKET_S))})
        self.skewed(711, "little", [now + 1], 3)
        self.assertEqual(self.metrics("center")["tailrace_center_lines_clock_skewed_total"], 4 * 300 + 225)
        self.good_is_whole()


class Records(StoreTest):
    ROLES_UP = ("center",)

    def setUp(self):
        super().setUp()
        self.kept = {}

    def rewrite(self, path, change, seal=True):
        """Another record under that name, with a right checksum if `seal`; the old one is kept for mend()."""
        with open(path, "rb") as file:
            self.kept[path] = file.read()
        data = bytearray(self.kept[path])
        change(data)
        if seal:
            data[-4:] = struct.pack("<I", v1.crc32c(bytes(data[:-4])))
        self.assertNotEqual(bytes(data), self.kept[path])
        with open(path, "wb") as file:
            file.write(data)

    def mend(self):
        for path, data in self.kept.items():
            with open(path, "wb") as file:
                file.write(data)

    def foreign(self, data):
        at = data.find(struct.pack("<Q", int(self.cluster, 16)))
        self.assertGreater(at, 0)
        data[at] ^= 1

    DAMAGES = {
        "badcrc": (lambda self, data: data.__setitem__(30, data[30] ^ 1), False, "checksum"),
        "magic": (lambda self, data: data.__setitem__(0, 0x20), True, "it does not begin as one"),
        "short": (lambda self, data: data.__delitem__(slice(len(data) // 2, None)), False, ""),
        "foreign": (foreign, True, "is a claim of something else"),
        "future": (lambda self, data: data.__setitem__(4, 2), True, "newer version"),
    }

    def test_row_35_a_lane_whose_claim_is_damaged_stops_and_the_others_go_on(self):
        for category in self.DAMAGES:
            self.good_lines(category)
        self.good.until_committed()

        def damage():
            for category, (change, seal, _) in self.DAMAGES.items():
                self.rewrite(self.control(f"lanes/{category}/1-0/*.own")[-1], lambda data: change(self, data), seal)
        self.center_again(damage)
        self.good.connect()
        for category in (*self.DAMAGES, "web"):
            self.good_lines(category)
        self.commits(self.good, "web")
        for category, (_, _, why) in self.DAMAGES.items():
            self.is_said(f"lane {category}/1-0 cannot be taken: .*{why}", who="its lines wait in the spools")
            self.assertEqual(next(s for s in self.good.streams if s["category"] == category)["committed"], 10)
        self.is_ready("center", False)
        # Put back, all goes on by itself.
        self.mend()
        self.good_is_whole()
        self.is_ready("center", True)

    def test_row_35_a_commit_record_that_is_damaged_stops_its_lanes(self):
        self.good_lines("db")
        self.good.until_committed()

        def damage():
            self.rewrite(self.control("logs/*/" + "[0-9]" * 10)[-1], lambda data: data.__setitem__(60, data[60] ^ 1), False)
        self.center_again(damage)
        self.good.connect()
        self.good_lines("web")
        other = self.local(local_id=900)
        self.wires.append(other)
        other.add("fresh", b"another host's\n")
        other.connect()
        other.until_committed()
        self.arrives("fresh", b"another host's\n")
        for category in ("web", "db"):
            self.is_said(f"lane {category}/1-0 cannot be taken: .*checksum", who="its lines wait in the spools")
        self.is_said("the log .* is not finished: .*checksum", who="checksum")
        self.is_ready("center", False)
        self.mend()
        self.good_is_whole()
        self.is_ready("center", True)


class Operator(StoreTest):
    """What a person may delete. The good lines are a real Local's: it must hold where the frozen peer would only assert."""

    def setUp(self):
        super().setUp()
        self.good.until_committed()

    def delivered(self):
        self.good_agent_delivers()
        self.arrives("agents", self.good_agent.content["agents"])

    def newcomer(self, category, local_id):
        local = self.local(local_id=local_id)
        self.wires.append(local)
        local.add(category, b"of a newcomer\n")
        local.connect()
        local.until_committed()
        self.arrives(category, b"of a newcomer\n")

    def test_row_36_the_control_directory_is_deleted_under_a_running_center(self):
        self.good.close()
        self.delivered()
        control, kept = self.out + "/_tailrace", self.dir + "/kept"
        self.wait_for("all of it published", lambda: self.get("center", "/readyz")[0] == 200)
        with_it = self.metrics("local")['tailrace_local_lines_passed_total{category="agents"}']
        shutil.copytree(control, kept)
        shutil.rmtree(control)
        self.good_agent_delivers()  # the Local takes it, and keeps it
        self.is_said("this Center's session with its store is over: the commit log's directory is gone", who="a new one begins")
        self.wait_for("the alarm", lambda: "HOLDING 'agents': HOLE" in self.said())
        self.is_ready("local", False)
        self.newcomer("fresh", 901)
        local = self.metrics("local")
        self.assertEqual(local['tailrace_local_lines_passed_total{category="agents"}'], with_it)
        self.assertEqual(local['tailrace_local_lines_waiting{category="agents"}'], 3)
        # Restored over what there is now, all goes on: nothing was lost, nothing comes twice.
        self.center_again(lambda: shutil.copytree(kept, control, dirs_exist_ok=True))
        self.good_agent_is_whole()
        self.wait_for("its word", lambda: "'agents' goes on" in self.said())
        self.assertEqual(self.category("fresh"), b"of a newcomer\n")
        self.is_ready("local", True)

    def test_row_36_a_center_does_not_start_without_half_of_its_store(self):
        self.good.close()
        self.delivered()
        self.down("center", signal.SIGTERM)
        for name, why in (("_tailrace", "its records in _tailrace are gone"),
                          ("_tailrace.sink", "_tailrace.sink in the output directory is gone")):
            os.rename(f"{self.out}/{name}", self.dir + "/aside")
            self.good_agent_delivers()
            done = subprocess.run([self.program("center"), "--config", self.dir + "/center.yaml"], stderr=subprocess.PIPE,
                                  timeout=30)
            self.assertEqual(done.returncode, 1)
            self.assertIn(why.encode(), done.stderr)
            self.assertFalse(os.path.exists(f"{self.out}/{name}"), "it was made anew")
            os.rename(self.dir + "/aside", f"{self.out}/{name}")
        self.up("center")
        self.good_agent_is_whole()

    def test_row_36_a_commit_logs_directory_is_deleted(self):
        self.good.close()
        self.delivered()
        log = self.only(self.control("logs/*"))
        os.rename(log, self.dir + "/aside")
        self.good_agent_delivers()
        self.is_said("session with its store is over: the commit log's directory is gone", who="a new one begins")
        self.is_said("lane agents/1-0 cannot be taken: .*no directory: somebody removed it", who="its lines wait in the spools")
        self.newcomer("fresh", 902)
        self.assertFalse(os.path.exists(log), "a log's directory was made again")
        os.rename(self.dir + "/aside", log)
        self.good_agent_is_whole()
        self.good.connect()
        self.good_is_whole()

    def test_row_36_a_staged_file_is_deleted_while_it_is_written(self):
        for n in range(10):  # whose file was committed in the same moment is lost, and said to be: the row below
            name = f"victim-{n}"
            victim = self.local(local_id=0xA00 + n)
            self.wires.append(victim)
            victim.add(name, b"one\ntwo\n")
            victim.connect()
            staged = []
            while not staged:
                victim.pump(0.005)
                staged = self.files_of(f"{name}/_stage/*/*")
            for path in staged:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(path)
            self.until("its word", lambda: re.search(f"LOST 2 lines of '{name}'|was removed by somebody while it was", self.said()))
            if f"LOST 2 lines of '{name}'" not in self.said():
                break
        self.is_said("session with its store is over: .*was removed by somebody while it was being written", who="send again")
        victim.connect()
        victim.until_committed()
        self.arrives(name, b"one\ntwo\n")
        self.good.connect()
        self.good_is_whole()

    def test_row_36_a_committed_file_is_deleted_before_it_is_published(self):
        # Its directory can't be made, so it waits in the stage.
        os.mkdir(self.out + "/late")
        for day in (0, 86400):
            with open(self.out + time.strftime("/late/dt=%Y-%m-%d", time.gmtime(time.time() + day)), "w"):
                pass
        late = self.local(local_id=0xABC)
        self.wires.append(late)
        late.add("late", b"lost one\nlost two\n")
        late.connect()
        late.until_committed()
        self.is_said("cannot publish late/.*it is committed and tried again", who="Not a directory")
        self.is_ready("center", False)
        os.unlink(self.only(self.files_of("late/_stage/*/*")))
        for path in self.files_of("late/dt=*"):
            os.unlink(path)
        self.is_said("LOST 2 lines of 'late': .*removed by somebody before it was published.*0000000000000abc lines 0 to 2",
                     who="late/dt=")
        late.add("late", b"three\n")
        late.until_committed()
        self.arrives("late", b"three\n")
        self.is_ready("center", True)
        self.good_is_whole()

    def test_row_36_a_published_file_is_theirs_to_delete(self):
        self.delivered()
        for path in self.published("agents"):
            os.unlink(path)
        gone = self.good_agent.content["agents"]
        self.center_again()
        self.good_agent_delivers()
        rest = self.good_agent.content["agents"][len(gone):]
        self.arrives("agents", rest)
        self.good.connect()
        self.good_is_whole()


class Settings(StoreTest):
    ROLES_UP = ("agent", "local", "center")

    WRONG = {
        "agent": ("max_record: 1048576\n", r"agent\.yaml:\d+:13: error: expected a size such as 128MiB, got '1048576'"),
        "local": ("spool: {sise: 1GiB}\n", r"local\.yaml:\d+:9: error: unknown key 'spool\.sise'"),
        "center": ("lissten: 0.0.0.0:1\n", r"center\.yaml:\d+:1: error: unknown key 'lissten'"),
    }

    def test_row_38_wrong_settings(self):
        written = b""
        for i, (role, (more, said)) in enumerate(self.WRONG.items()):
            with open(f"{self.dir}/{role}.yaml") as file:
                good = file.read()
            self.configure(role, good + more)
            done = subprocess.run([self.program(role), "--config", f"{self.dir}/{role}.yaml"], stderr=subprocess.PIPE, timeout=30)
            self.assertEqual(done.returncode, 78, role)
            self.assertRegex(done.stderr.decode(), said)
            self.running[role].send_signal(signal.SIGHUP)
            lines = b"after %d\n" % i
            self.write("a.log", lines, "ab")
            written += lines
            self.wait_for("the lines", lambda: [x for x in self.category("web").splitlines(True) if x.startswith(b"after")]
                          == written.splitlines(True))
            self.configure(role, good)
        self.is_said("SIGHUP: the settings are wrong .*the old pipelines stay", who="error")
        self.is_said("SIGHUP: this program has no pipelines to read again", 2, who="info")
        self.running["agent"].send_signal(signal.SIGHUP)
        self.is_said("SIGHUP: 1 pipelines from now on", who="info")
        self.good_is_whole()


if __name__ == "__main__":
    main()
