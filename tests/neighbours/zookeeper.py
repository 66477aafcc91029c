#!/usr/bin/env python3
"""A real ZooKeeper, Debian's, on free ports of loopback: one server or an ensemble. As a module for tests, or by hand:

  zookeeper.py up [--servers 3] [--tick 2000]    starts one to play with; what is said tells where it is
  zookeeper.py down                              ends it

The server is the jar of libzookeeper-java, run by java itself: no service of Debian's is installed, started or asked.
"""
import argparse
import os
import shutil
import socket
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.path.insert(0, os.path.join(HERE, "../road"))
from ports import free_port  # noqa: E402
from programs import ByHand, Lab, Program  # noqa: E402

JARS = "/usr/share/java"
CLASSES = ("zookeeper.jar", "slf4j-simple.jar", "netty-codec.jar", "netty-resolver.jar")
SKIPPED = 77  # what ctest takes for "skipped"


def missing():
    """What keeps it from being started here; empty: nothing."""
    lacking = [jar for jar in CLASSES if not os.path.exists(os.path.join(JARS, jar))]
    return ("no " + ", ".join(lacking) + " in " + JARS if lacking else "") or ("" if shutil.which("java") else "no java")


def java(*words):
    return ["java", "-Xmx96m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto", *words]


class Server(Program):
    """One server; `at` is host:port for clients, the same through all its lives."""

    def __init__(self, folder, number):
        super().__init__(folder)
        self.number, self.name = number, "ZooKeeper's server %d" % number
        self.port, self.peer_port, self.election_port, self.tls_port = (free_port() for _ in range(4))
        self.at = "127.0.0.1:%d" % self.port

    def configure(self, peers, tick_ms, tls):
        os.makedirs(self.folder + "/data", exist_ok=True)
        lines = ["dataDir=%s/data" % self.folder, "tickTime=%d" % tick_ms, "clientPort=%d" % self.port,
                 "clientPortAddress=127.0.0.1", "admin.enableServer=false", "4lw.commands.whitelist=*", "initLimit=50",
                 "syncLimit=25", "maxSessionTimeout=60000", "maxClientCnxns=0"]
        if tls:  # {"server": certificate and key, "ca": whose clients are let in}, PEM files
            lines += ["secureClientPort=%d" % self.tls_port, "secureClientPortAddress=127.0.0.1",
                      "serverCnxnFactory=org.apache.zookeeper.server.NettyServerCnxnFactory", "ssl.clientAuth=need",
                      "ssl.keyStore.type=PEM", "ssl.keyStore.location=%(server)s" % tls,
                      "ssl.trustStore.type=PEM", "ssl.trustStore.location=%(ca)s" % tls]
        if len(peers) > 1:
            lines += ["server.%d=127.0.0.1:%d:%d" % (p.number, p.peer_port, p.election_port) for p in peers]
        with open(self.folder + "/zoo.cfg", "w") as f:
            f.write("\n".join(lines) + "\n")
        self.name_itself()

    def name_itself(self):
        with open(self.folder + "/data/myid", "w") as f:
            f.write("%d\n" % self.number)

    def start(self, detached=False):
        self.run(java("-cp", ":".join(os.path.join(JARS, c) for c in CLASSES),
                      "org.apache.zookeeper.server.quorum.QuorumPeerMain", self.folder + "/zoo.cfg"), detached)

    def serves(self):
        return "Mode: " in self.ask("srvr")

    def mode(self):
        """leader, follower or standalone; empty: it does not serve."""
        said = self.ask("srvr")
        return said.partition("Mode: ")[2].partition("\n")[0]

    def ask(self, word):
        """One of ZooKeeper's four letter words; empty: no answer."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), 2) as s:
                s.settimeout(2)
                s.sendall(word.encode())
                said = b""
                while more := s.recv(65536):
                    said += more
                return said.decode(errors="replace")
        except OSError:
            return ""

    def wipe(self):
        """All that it ever knew; it must not run."""
        shutil.rmtree(self.folder + "/data")
        os.makedirs(self.folder + "/data")
        self.name_itself()


class ZooKeeper(Lab):
    """`servers` of them. With a `with` it ends, and its folder goes."""

    STARTS = 30

    def __init__(self, servers=1, tick_ms=200, folder=None, tls=None):
        lacking = missing()
        if lacking:
            print("no ZooKeeper here: %s (./dev test installs libzookeeper-java)" % lacking)
            sys.exit(SKIPPED)
        self.own = folder is None
        self.folder = folder or tempfile.mkdtemp(prefix="tailrace-zookeeper-")
        self.servers = [Server("%s/%d" % (self.folder, n), n) for n in range(1, servers + 1)]
        for server in self.servers:
            server.configure(self.servers, tick_ms, tls)

    @property
    def at(self):
        """As clients name it: host:port,host:port."""
        return ",".join(server.at for server in self.servers)

    def wipe(self):
        """Stops all, forgets everything, starts again."""
        self.stop()
        for server in self.servers:
            server.wipe()
        self.start()


# --- by hand --------------------------------------------------------------------------------------

PLACE = os.path.join(os.path.dirname(os.path.dirname(HERE)), "build", "neighbours", "zookeeper")
BY_HAND = ByHand(PLACE)


def up(servers, tick_ms):
    if BY_HAND.up():
        print("one is up already: see `zookeeper.py down`")
        return 1
    shutil.rmtree(PLACE, ignore_errors=True)
    zookeeper = ZooKeeper(servers, tick_ms, PLACE).start(detached=True)
    BY_HAND.keep(zookeeper.servers)
    print("ZooKeeper 3.8 serves at %s; its data and logs are in %s" % (zookeeper.at, PLACE))
    print("In local.yaml and center.yaml:  discovery: {zookeeper: \"%s\"}" % zookeeper.at)
    print("Look into it:  java -cp %s:%s/commons-cli.jar:%s/jline.jar org.apache.zookeeper.ZooKeeperMain -server %s" % (
        ":".join(os.path.join(JARS, c) for c in CLASSES[:2]), JARS, JARS, zookeeper.servers[0].at))
    return 0


def down():
    print("ended; its data and logs stay in " + PLACE if BY_HAND.down() else "none is up")
    return 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("up", "down"))
    parser.add_argument("--servers", type=int, default=1)
    parser.add_argument("--tick", type=int, default=2000, help="tickTime in ms; a session lasts 2 ticks at least")
    args = parser.parse_args()
    return up(args.servers, args.tick) if args.what == "up" else down()


if __name__ == "__main__":
    sys.exit(main())
