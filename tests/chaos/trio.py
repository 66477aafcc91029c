"""tailrace-agent, tailrace-local and tailrace-center in one run's folder: what the chaos of the daemons shares.

With several Centers ("center", "center-1") the Locals are told of the first two; they share one store. With several hosts each has an agent and a Local of its own ("agent-1", "local-1"; the first host's have no number), and
log files of its own, of the same categories: the Center merges them.
"""
import collections
import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../road"))
import balance  # noqa: E402
import judge  # noqa: E402
from ports import free_port  # noqa: E402
from rig import PROGRAM, Failure, Life, Rig, wait_for  # noqa: E402

ROLES = ("agent", "local", "center")
FIRST_CENTER = 0x61  # placement goes by ids of Centers: with these each of three has a lane of the six categories of centers.py
FILES_OF_A_HOST = 20  # names of log files are never shared: the judge knows a line by them


def kind(role):
    """"local" of "local-1"."""
    return role.partition("-")[0]


class Trio(Rig):
    """A Rig whose program is three; `running` holds the life of each that is up."""

    def __init__(self, name, codec="gzip", folder=None, spool="20GiB", categories=("alpha", "beta"), state=None, out=None,
                 hosts=1, centers=1):
        super().__init__(name, codec, folder, out)
        self.categories = categories
        self.ports = [free_port() for _ in range(centers)]
        self.port = self.ports[0]
        self.state = state or self.folder
        self.roles = list(ROLES) + ["center-%d" % n for n in range(1, centers)]
        seeds = ", ".join("\"127.0.0.1:%d\"" % port for port in self.ports[:2])
        self.hosts = [""] + ["-%d" % n for n in range(1, hosts)]
        for host in self.hosts:
            logs = self.logs + host
            pipelines = "".join("  %s:\n    files: [\"%s/%s-*.log*\", \"%s/%s-*.*.log\"]\n    codec: %s\n" %
                                (c, logs, c, logs, c, codec) for c in categories)
            socket_path = self.folder + "/local%s.sock" % host
            self.configure("agent" + host, "local: %s\npipelines:\n%s" % (socket_path, pipelines))
            self.configure("local" + host, "listen: %s\nspool: {size: %s}\ndiscovery: {static: [%s]}\n" %
                           (socket_path, spool, seeds))
            if host:
                self.roles += ["agent" + host, "local" + host]
        for n, port in enumerate(self.ports):
            role = "center-%d" % n if n else "center"
            self.configure(role, "name: %s\nlisten: 127.0.0.1:%d\nsinks:\n  files: {type: directory, root: %s, timezone: UTC, "
                           "roll: {size: 256KiB, age: 1s, idle: 1s}}\n" % (role, port, self.out))
            if centers > 1:
                os.makedirs("%s/state-%s" % (self.state, role), exist_ok=True)
                with open("%s/state-%s/center.id" % (self.state, role), "w") as f:
                    f.write("%016x\n" % (FIRST_CENTER + n))
        self.running = {}

    def configure(self, role, more):
        with open("%s/%s.yaml" % (self.folder, role), "w") as f:
            f.write("role: %s\ncluster: chaos\nstate: %s/state-%s\nadmin: 127.0.0.1:0\n%s" % (
                kind(role), self.state, role, more))

    def write_on_all(self, seed, *args):
        """A writer on each host."""
        return [self.write("--seed", str(seed + n), "--first", str(FILES_OF_A_HOST * n), *args, logs=self.logs + host)
                for n, host in enumerate(self.hosts)]

    def up(self, role, under=(), what="up"):
        self.lives += 1
        what = "life %d (%s %s)" % (self.lives, role, what)
        program = os.path.join(os.path.dirname(PROGRAM), "tailrace-" + kind(role))
        log_path = "%s/%s.log" % (self.folder, role)
        with open(log_path, "ab") as log:
            log.write(b"\n=== %s\n" % what.encode())
            log.flush()
            begin = log.tell()
            process = subprocess.Popen([*under, program, "--config", "%s/%s.yaml" % (self.folder, role)],
                                       stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.started.append(process)
        self.running[role] = Life(process, log_path, begin, what)
        return self.running[role]

    def all_up(self):
        for role in self.roles:
            if role not in self.running:
                self.up(role)

    def stand(self, seconds=60):
        """Until all are up and answer on their admin ports."""
        self.all_up()
        for life in self.running.values():
            wait_for("%s to stand" % life.what, seconds, lambda life=life: "admin port" in life.said() or life.must_live())

    def kill(self, *roles):
        for role in roles:
            self.running[role].must_live()
        for role in roles:
            self.running[role].process.kill()
        for role in roles:
            self.running.pop(role).process.wait()

    def stop(self, role, seconds=60):
        life = self.running[role]
        wait_for("%s to stand" % life.what, 60, lambda: "admin port" in life.said() or life.must_live())
        self.running.pop(role).end(seconds)

    def freeze(self, role, stopped):
        self.running[role].process.send_signal(signal.SIGSTOP if stopped else signal.SIGCONT)

    def all_live(self):
        for life in self.running.values():
            life.must_live()

    def settle(self, seconds=120, optional=True, look=None):
        """All up; until every line of the ledger is published; look(self); a stop in order; the last word of the judge."""
        self.stand()

        def all_there():
            self.all_live()
            found = self.judge_quietly(optional)
            return found if found.clean else None
        try:
            wait_for("every line to be published", seconds, all_there, pause=1.0)
        except Failure:
            self.judge(optional)
            raise
        self.balanced()
        if look:
            look(self)
        for role in self.roles:
            self.stop(role)
        self.look()
        found = self.judge(optional)
        if not found.clean:
            raise Failure("after the stop: " + found.summary())
        return found

    def balanced(self):
        """Each daemon accounts for all that it took; and if none was killed, all of them together."""
        figures = collections.defaultdict(collections.Counter)
        for role, life in self.running.items():
            of_role = balance.lines(self.admin(role))
            faults = balance.faults(kind(role), of_role)
            if faults:
                raise Failure("the balance of %s does not close: %s" % (role, "; ".join(faults)))
            figures[kind(role)].update(of_role)
        if self.lives > len(self.roles):
            return
        for category in {c for of in figures.values() for c, _ in of}:
            read, flying, published, lost = balance.whole(figures["agent"], figures["local"], figures["center"], category)
            if (flying, published, lost) != (0, read, 0):
                raise Failure("%s: %d lines read, %d in flight, %d published, %d lost" % (
                    category, read, flying, published, lost))

    def admin(self, role):
        return balance.address_of(self.running[role].pid, *self.ports)

    def figures(self, role, name):
        """The sum of a metric's values at a role; 0: it does not answer."""
        address = self.admin(role)
        if not address:
            return 0
        with urllib.request.urlopen("http://%s/metrics" % address, timeout=10) as answer:
            return sum(map(float, re.findall(r"^%s(?:\{.*\})? (\S+)$" % name, answer.read().decode(), re.M)))

    def in_trouble(self, role="center"):
        """Names of the sinks for which the Center is not ready."""
        address = self.admin(role)
        if not address:
            return []  # it has just been started
        try:
            with urllib.request.urlopen("http://%s/readyz" % address, timeout=30):
                return []
        except urllib.error.HTTPError as answer:
            return [o.get("sink") for o in json.load(answer)["obstacles"]]

    def lanes(self, *roles):
        return sum(int(self.figures(role, "tailrace_center_lanes")) for role in roles)

    def step(self, what, seconds, check):
        """Until check() is true and all live; then a reader's look."""
        begun = time.monotonic()
        wait_for(what, seconds, lambda: [life.must_live() for life in self.running.values()] and check(), pause=0.2)
        print("  %5.1f s until %s" % (time.monotonic() - begun, what), flush=True)
        self.look()

    def grows(self, what, files=0):
        """Lines go on being published: so many files more, 0: two for each category."""
        wanted = len(judge.in_sight(self.out)) + (files or 2 * len(self.categories))
        self.step(what, 60, lambda: len(judge.in_sight(self.out)) >= wanted)

    def judge_quietly(self, optional):
        return judge.Judge(judge.Ledger(self.ledger, optional), several=len(self.ports) > 1).tree(self.out)

    def most_memory(self, role):
        """VmHWM in bytes: the most that the role's process ever held."""
        with open("/proc/%d/status" % self.running[role].pid) as f:
            for line in f:
                if line.startswith("VmHWM:"):
                    return int(line.split()[1]) * 1024
        raise Failure("no VmHWM of the " + role)
