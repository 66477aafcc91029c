#!/usr/bin/env python3
"""A Local's spool that is gone, and one that stands on two hosts: real programs, judged line by line.

    spools.py [NAME...]     all, or those named

apart   the same with two sinks of which one lags far behind, now this one, now that
lost    the spool's directory is removed under load, again and again, while agents and Centers are killed too
back    one that was removed stands there again: it is set aside, and nothing of it is published twice
clone   two hosts are started from one image: the second holds, and goes on after `tailrace spool reset`
run     `tailrace run` is killed, its spool removed, and it is started again
"""
import json
import os
import shutil
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../audit"))
import judge  # noqa: E402
from rig import PROGRAM, Failure, Rig, lines_published, run_cases, wait_for  # noqa: E402
from store_audit import Audit  # noqa: E402
from trio import Trio  # noqa: E402
from two_sinks import Both  # noqa: E402

RESUMED_S = 90  # an id that was heard is refused for 15 s


def lose(trio, host="", keep=False):
    """kill -9 of the Local; its spool is gone, or moved to the path that is returned."""
    if "local" + host in trio.running:
        trio.kill("local" + host)
    spool = "%s/state-local%s/spool" % (trio.state, host)
    kept = "%s/lost-%d" % (trio.folder, trio.lives)
    if keep:
        os.rename(spool, kept)
    else:
        shutil.rmtree(spool)
    return kept


def times_said(trio, what, role="agent"):
    with open("%s/%s.log" % (trio.folder, role), errors="replace") as log:
        return log.read().count(what)


def resumed(trio, times):
    """Until the agent's log has said so often that it goes on."""
    wait_for("%d streams to be resumed" % times, RESUMED_S,
             lambda: times_said(trio, "behind them are read again") >= times, 0.2)


class Apart(Trio):
    """Two sinks. One that lags publishes nothing before it is told so, and a Center that is killed has nothing to show for it."""
    ROLL = {False: "{size: 256KiB, age: 1s, idle: 1s}", True: "{size: 1GiB, age: 1h, idle: 1h}"}

    def __init__(self, name):
        super().__init__(name)
        self.roots = {"first": self.out, "second": self.folder + "/second"}
        self.let_lag(None)

    def let_lag(self, which):
        """From the Center's next life on."""
        self.configure("center", "name: center\nlisten: 127.0.0.1:%d\nsinks:\n%s" % (self.port, "".join(
            "  %s: {type: directory, root: %s, timezone: UTC, roll: %s}\n" % (sink, root, self.ROLL[sink == which])
            for sink, root in self.roots.items())))

    def over(self):
        """Nothing is read again any more: of a spool that is lost at once who is ahead was known before."""
        try:
            agent = json.loads(self.running["agent"].status())["agent"]
        except ValueError:
            return False  # it names no port yet
        return agent["connected"] and not agent["retiring"]

    def judge_quietly(self, optional):
        return Both([judge.Judge(judge.Ledger(self.ledger, optional)).tree(root) for root in self.roots.values()])

    def audit(self):
        for root in self.roots.values():
            problems = Audit(root, origins=True).run()
            if problems:
                raise Failure("%s: %s" % (root, "; ".join(problems[:3])))


def apart(rnd):
    trio = Apart("spools-apart")

    def body(rig):
        rig.stand()
        writer = rig.write("--seed", str(rnd.randrange(1 << 30)), "--rate", "1500", "--files", "3", "--unterminated")
        for root in rig.roots.values():
            wait_for("first lines in " + root, 60, lambda root=root: lines_published(root))
        for turn in range(4):
            lags = list(rig.roots)[turn % 2]
            rig.kill("center")
            rig.let_lag(lags)
            rig.stand()
            other = rig.roots[list(rig.roots)[1 - turn % 2]]
            before = lines_published(other)
            wait_for("the other sink to go on", 60, lambda other=other, before=before: lines_published(other) > before + 1500)
            said = times_said(rig, "of these already")
            rig.kill("center")
            lose(rig)
            if rnd.random() < 0.5:
                rig.kill("agent")
            rig.let_lag(None)
            rig.stand()
            wait_for("who is ahead to be said", RESUMED_S,
                     lambda said=said: times_said(rig, "of these already") > said or rig.over(), 0.2)
            time.sleep(rnd.choice((0, 0.2, 2)) * rnd.random())
            for role in rnd.sample(["center", "agent", "local"], rnd.choice((0, 1, 2, 3))):
                rig.kill(role)
            if turn == 1 and "local" not in rig.running:  # once more, before all is well again
                lose(rig)
            rig.stand()
            rig.look()
        rig.end_writer(writer)
        rig.settle(180)
        rig.audit()
        if not times_said(rig, "of these already"):
            raise Failure("no sink was ahead of the other when a spool was lost")
        print("%d streams were resumed, %d of them with a sink ahead" % (
            times_said(rig, "behind them are read again"), times_said(rig, "of these already")))
    return trio, body


def lost(rnd):
    trio = Trio("spools", hosts=2)

    def body(rig):
        rig.stand()
        writers = rig.write_on_all(rnd.randrange(1 << 30), "--rate", "1000", "--unterminated")
        wait_for("first lines", 60, lambda: lines_published(rig.out))
        for _ in range(4):
            host = rnd.choice(rig.hosts)
            time.sleep(rnd.random() * 3)
            if rnd.random() < 0.5:  # so that much of it is not final
                rig.kill("center")
                time.sleep(1)
            lose(rig, host)
            for role in rnd.sample(["center", "agent" + host], rnd.choice((0, 0, 1, 1, 2))):
                if role in rig.running:
                    rig.kill(role)
            time.sleep(rnd.random() * 2)
            rig.stand()
            time.sleep(rnd.choice((0.2, 3, 18)) * (0.5 + rnd.random()))
            if rnd.random() < 0.6:
                rig.kill("center")
                rig.stand()
            rig.look()
        for writer in writers:
            rig.end_writer(writer)
        rig.settle(180)
        print("resumed %d streams" % sum(
            open("%s/agent%s.log" % (rig.folder, host), errors="replace").read().count("behind them are read again")
            for host in rig.hosts))
    return trio, body


def back(rnd):
    trio = Trio("spools-back")

    def body(rig):
        rig.stand()
        writer = rig.write("--seed", str(rnd.randrange(1 << 30)), "--rate", "1500", "--unterminated")
        wait_for("first lines", 60, lambda: lines_published(rig.out))
        rig.kill("center")  # so that much of it is not final
        time.sleep(2)
        kept = lose(rig, keep=True)
        rig.stand()
        resumed(rig, 1)
        time.sleep(1)
        rig.kill("agent")
        lose(rig)
        os.rename(kept, rig.state + "/state-local/spool")
        rig.up("local")  # for a while nobody tells it that it was given up
        time.sleep(3)
        rig.stand()
        aside = rig.state + "/state-local"
        wait_for("the old spool to be set aside", 60, lambda: [n for n in os.listdir(aside) if ".aside-" in n])
        rig.end_writer(writer)
        rig.settle(180)
    return trio, body


def clone(rnd):
    trio = Trio("spools-clone", hosts=2)

    def body(rig):
        second = rig.hosts[1]
        first = [r for r in rig.roles if not r.endswith(second)]
        for role in first:
            rig.up(role)
        writer = rig.write("--seed", str(rnd.randrange(1 << 30)), "--lines", "3000", "--files", "3")
        if writer.wait(60) != 0:
            raise Failure("the writer failed")
        wait_for("the image's lines", 60, lambda: rig.judge_quietly(True).clean, 0.5)
        time.sleep(1)
        for role in ("agent", "local"):
            rig.stop(role)
            shutil.copytree("%s/state-%s" % (rig.state, role), "%s/state-%s%s" % (rig.state, role, second))
        for role in first:
            if role not in rig.running:
                rig.up(role)
        time.sleep(2)  # the first one is connected
        writers = [rig.write("--seed", str(rnd.randrange(1 << 30)), "--rate", "500", "--first", str(10 * (n + 1)), "--files", "5",
                             logs=rig.logs + host) for n, host in enumerate(rig.hosts)]
        local = rig.up("local" + second)
        rig.up("agent" + second)
        wait_for("the second one to hold", 60, lambda: "a cloned machine" in local.said())
        time.sleep(2)
        rig.stop("local" + second)
        command = [PROGRAM, "spool", "reset", "--config", "%s/local%s.yaml" % (rig.folder, second), "--yes"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        if done.returncode != 0 or "Done" not in done.stdout:
            raise Failure("spool reset: %s%s" % (done.stdout, done.stderr))
        rig.up("local" + second)
        time.sleep(3)
        for writer in writers:
            rig.end_writer(writer)
        rig.settle(120)
        with open(rig.folder + "/local.log", errors="replace") as log:
            if "HOLDING" in log.read():
                raise Failure("the first one held too")
    return trio, body


def alone(rnd):
    rig = Rig("spools-run")

    def body(rig):
        writer = rig.write("--seed", str(rnd.randrange(1 << 30)), "--rate", "2000", "--unterminated")
        for _ in range(4):
            life = rig.start()
            life.ready()
            time.sleep(0.5 + rnd.random() * 2)
            life.kill()
            shutil.rmtree(rig.out + "/_state/spool")
        rig.end_writer(writer)
        rig.settle(120)
        found = rig.judge(True)
        if not found.clean:
            raise Failure(found.summary())
    return rig, body


CASES = {"apart": apart, "lost": lost, "back": back, "clone": clone, "run": alone}


if __name__ == "__main__":
    sys.exit(run_cases("spools", __doc__, CASES))
