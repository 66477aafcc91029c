#!/usr/bin/env python3
"""Everything at once: Centers killed, stopped, drained and added, Locals and agents killed, ZooKeeper's servers killed and all its
data wiped, at random, while lines flow from three hosts; then all is well again, and the judge has the last word.

    soak.py [--seconds 60] [--seed N]     each seed draws its own course
"""
import argparse
import os
import random
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from operated import AUTH, Operated  # noqa: E402
from rig import PROGRAM, Failure, run  # noqa: E402
from trio import kind  # noqa: E402
from zoo_client import Client  # noqa: E402
from zookeeper import ZooKeeper  # noqa: E402

CENTERS = 4


def zoo_server(zoo):
    return next(server.at for server in zoo.servers if server.mode())


class Crowd(Operated):
    """Hosts and Centers of which some are told to leave, and may hear of it late, even in a later life."""

    def drained(self):
        """Who was drained is not expected any more; all others must live."""
        for role, life in list(self.running.items()):
            if kind(role) != "center" or life.alive() or life.process.returncode != 0 or "draining" not in life.said():
                life.must_live()
            else:
                del self.running[role]

    def all_live(self):
        """In the calm who has left comes back."""
        self.drained()
        self.all_up()


class Soak:
    def __init__(self, rig, rnd, seconds):
        self.rig, self.rnd, self.seconds = rig, rnd, seconds
        self.frozen = {}  # role: until when
        self.drains = {}  # role: the command
        self.done = {}

    def up(self, what):
        return [role for role in self.rig.running if kind(role) == what and role not in self.frozen and role not in self.drains]

    def serving(self):
        return [server for server in self.rig.zoo.servers if server.alive()]

    # --- what happens: each says whether it could

    def kill_center(self):
        centers = self.up("center")
        if len(centers) < 2:
            return False
        self.rig.kill(self.rnd.choice(centers))
        return True

    def stop_center(self):
        centers = self.up("center")
        if len(centers) < 2:
            return False
        role = self.rnd.choice(centers)
        self.rig.freeze(role, True)
        self.frozen[role] = time.monotonic() + self.rnd.uniform(1, 25)
        return True

    def terminate_center(self):
        centers = self.up("center")
        if len(centers) < 2:
            return False
        self.rig.stop(self.rnd.choice(centers))
        return True

    def drain_center(self):
        centers = self.up("center")
        if len(centers) < 2 or len(self.serving()) < 2:
            return False
        role = self.rnd.choice(centers)
        process = subprocess.Popen([PROGRAM, "drain", role.replace("-", "."), "--config", self.rig.folder + "/local.yaml", "--timeout",
                                    "30s"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.rig.started.append(process)
        self.drains[role] = process
        return True

    def start_center(self):
        # Not one whose drain is still being cleared: what has left already would be started, and be expected to leave.
        down = [role for role in self.rig.roles_of_centers() if role not in self.rig.running and role not in self.drains]
        if not down:
            return False
        self.rig.up(self.rnd.choice(down))
        return True

    def restart_local(self):
        return self.restart("local")

    def restart_agent(self):
        return self.restart("agent")

    def restart(self, what):
        role = self.rnd.choice(self.up(what))
        self.rig.kill(role)
        self.rig.up(role)
        return True

    def kill_server(self):
        servers = self.serving()
        if not servers:
            return False
        self.rnd.choice(servers).end()
        return True

    def start_server(self):
        dead = [server for server in self.rig.zoo.servers if not server.alive()]
        if not dead:
            return False
        self.rnd.choice(dead).start()
        return True

    def wipe(self):
        self.rig.zoo.wipe()
        return True

    OFTEN = {kill_center: 4, stop_center: 3, terminate_center: 2, drain_center: 3, start_center: 10, restart_local: 2, restart_agent: 2,
             kill_server: 2, start_server: 4, wipe: 1}

    def look(self):
        """What was begun comes to its end."""
        for role, until in list(self.frozen.items()):
            if time.monotonic() > until:
                self.rig.freeze(role, False)
                del self.frozen[role]
        for role, process in list(self.drains.items()):
            if process.poll() is None:
                continue
            del self.drains[role]
            if process.returncode == 0 and role in self.rig.running:
                self.rig.running.pop(role).end(20, stop=False)
        self.rig.drained()

    def carry_out(self, what):
        try:
            return what(self)
        except Failure:
            self.look()  # a drain may have ended it at this very moment; else this fails too
            return True

    def go(self):
        rig = self.rig
        writers = rig.begin()
        rig.step("lines flow", 60, lambda: rig.lanes("center"))
        end = time.monotonic() + self.seconds
        next_s = 0
        while time.monotonic() < end:
            self.look()
            if time.monotonic() >= next_s:
                what = self.rnd.choices(list(self.OFTEN), list(self.OFTEN.values()))[0]
                if self.carry_out(what):
                    self.done[what.__name__] = self.done.get(what.__name__, 0) + 1
                    next_s = time.monotonic() + self.rnd.uniform(0.2, 4)
            time.sleep(0.1)
        print("  " + ", ".join("%s %d" % pair for pair in sorted(self.done.items())), flush=True)
        for role in list(self.frozen):
            rig.freeze(role, False)
        for process in self.drains.values():
            process.wait(60)
        for server in rig.zoo.servers:
            if not server.alive():
                server.start()
        rig.zoo.wait()
        self.drains.clear()
        self.look()
        with Client(zoo_server(rig.zoo), AUTH) as c:  # of drains that did not come to their end
            for name in c.names("/tailrace/chaos/drain"):
                c.delete("/tailrace/chaos/drain/" + name)
        rig.end(writers)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=0, help="0: a fresh one, printed")
    args = parser.parse_args()
    seed = args.seed or random.SystemRandom().randrange(1, 1 << 31)
    with ZooKeeper(3, tick_ms=1000) as zoo:
        rig = Crowd("soak", zoo, hosts=3, centers=CENTERS)
        return run("soak --seed %d" % seed, lambda _: Soak(rig, random.Random(seed), args.seconds).go(), rig)


if __name__ == "__main__":
    sys.exit(main())
