#!/usr/bin/env python3
"""A real HDFS, Hadoop's own NameNode, DataNodes and HttpFS, on free ports of loopback. As a module for tests, or by hand:

  hdfs.py up [--datanodes 2] [--httpfs] [--ha] [--kerberos] [--tls]    starts one to play with; what is said tells where it is
  hdfs.py down                                                         ends it

The jars are fetched once (hadoop_jars.py). Each server is a process of its own; who started it is its superuser.
"""
import argparse
import getpass
import os
import shutil
import subprocess
import sys
import tempfile
import xml.sax.saxutils

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.path.insert(0, os.path.join(HERE, "../road"))
import hadoop_jars  # noqa: E402
from hdfs_security import Kerberos, Tls  # noqa: E402
from hdfs_servers import CLASS, NAMESERVICE, ON_LOOPBACK, DataNode, HttpFs, JournalNode, NameNode  # noqa: E402
from kerberos import missing  # noqa: E402
from programs import ByHand, Lab  # noqa: E402
from webhdfs_client import WebHdfs, ask  # noqa: E402

WEBAPPS = ("hdfs", "datanode", "journal", "secondary", "static")  # they must be there; WebHDFS needs nothing in them
LOGGING = """log4j.rootLogger=${lab.log},err
log4j.appender.err=org.apache.log4j.ConsoleAppender
log4j.appender.err.target=System.err
log4j.appender.err.layout=org.apache.log4j.PatternLayout
log4j.appender.err.layout.ConversionPattern=%d{ISO8601} %p %c{1}: %m%n
"""


def write_xml(path, settings):
    with open(path, "w") as f:
        f.write("<?xml version=\"1.0\"?>\n<configuration>\n")
        for name, value in settings.items():
            f.write("  <property><name>%s</name><value>%s</value></property>\n" % (name, xml.sax.saxutils.escape(str(value))))
        f.write("</configuration>\n")


class Hdfs(Lab):
    """A NameNode, `datanodes`, and with `httpfs` a HttpFS server. With a `with` it ends, and its folder goes.

    `ha`: two NameNodes and a JournalNode; who is active is decided by failover() alone. `kerberos`: nobody is believed.
    `tls`: all HTTP is HTTPS, by certificates that the authority `tls.ca` signed. `settings` are added to hdfs-site.xml,
    `datanode_settings` to those of the DataNodes alone."""

    STARTS = 180

    def __init__(self, datanodes=1, httpfs=False, ha=False, kerberos=False, tls=False, settings=None, datanode_settings=None,
                 folder=None):
        lacking = kerberos and missing()
        if lacking:
            print("no Kerberos here: %s (./dev test takes it out of Debian's packages)" % lacking)
            sys.exit(hadoop_jars.SKIPPED)
        try:
            self.jars = hadoop_jars.fetch()
        except hadoop_jars.Lacking as e:
            print("no HDFS here: %s" % e)
            sys.exit(e.status)
        self.own = folder is None
        self.folder = folder or tempfile.mkdtemp(prefix="tailrace-hdfs-")
        self.tls = Tls(self.folder + "/tls") if tls else None
        self.kerberos = Kerberos(self.folder, self.tls) if kerberos else None
        self.host, self.superuser = (Kerberos.host, Kerberos.superuser) if kerberos else (ON_LOOPBACK, getpass.getuser())
        self.proxy_users = {self.superuser, "httpfs", "tailrace"}
        # 10 ms: else a small CREATE takes 400, as the DataNode's client asks too early whether it is done.
        self.datanode_settings = {"dfs.client.block.write.locateFollowingBlock.initial.delay.ms": 10,
                                  **(datanode_settings or {})}
        self.ha = ha
        self.class_lists = None  # a folder: what they load is written there (hadoop_archive.py)
        self.namenodes = [NameNode(self, "namenode-%d" % n, "nn%d" % n if ha else "") for n in ((1, 2) if ha else (1,))]
        self.journal = JournalNode(self, "journalnode") if ha else None
        self.datanodes = [DataNode(self, "datanode-%d" % n) for n in range(1, datanodes + 1)]
        self.httpfs = HttpFs(self, "httpfs") if httpfs else None
        self.configure(settings or {})

    @property
    def servers(self):
        every = [self.journal, *self.namenodes, *self.datanodes, self.httpfs]
        return [server for server in every if server]

    @property
    def urls(self):
        """Of the NameNodes: http://host:port."""
        return [node.http for node in self.namenodes]

    def client(self, user=None, timeout=30):
        """Through the NameNodes; the superuser, unless told."""
        return self.client_of(self.urls, user or self.superuser, timeout)

    def httpfs_client(self, user=None, timeout=30):
        return self.client_of([self.httpfs.http], user or self.superuser, timeout)

    def client_of(self, urls, user, timeout):
        token = None
        if self.kerberos:
            active = self.active() if self.ha else None
            token = self.kerberos.token(user, active.http if active and active.http in urls else urls[0])
        return WebHdfs(*urls, user=user, timeout=timeout, token=token, ca=self.tls and self.tls.ca)

    def look(self, url):
        """What stands there, for the superuser."""
        if self.kerberos:
            return self.kerberos.curl(self.superuser, url)
        return ask("GET", url, timeout=5, ca=self.tls and self.tls.ca).body

    # --- what stands in conf/, for clients too ---

    def configure(self, settings):
        for name in WEBAPPS:
            os.makedirs(self.folder + "/web/webapps/" + name, exist_ok=True)
        conf = self.folder + "/conf"
        os.makedirs(conf, exist_ok=True)
        write_xml(conf + "/core-site.xml", self.core_site())
        write_xml(conf + "/hdfs-site.xml", {**self.hdfs_site(), **settings})
        if self.tls:
            for side in ("server", "client"):
                write_xml("%s/ssl-%s.xml" % (conf, side), self.tls.stores(side))
        for name in ("log4j", "httpfs-log4j"):
            with open("%s/%s.properties" % (conf, name), "w") as f:
                f.write(LOGGING)
        if self.httpfs:
            write_xml(conf + "/httpfs-site.xml", self.httpfs.settings())
            with open(conf + "/httpfs-signature.secret", "w") as f:
                f.write("loopback only\n")

    def core_site(self):
        users = {"hadoop.proxyuser.%s.%s" % (user, what): "*" for user in self.proxy_users for what in ("hosts", "groups")}
        return {"fs.defaultFS": "hdfs://" + (NAMESERVICE if self.ha else self.namenodes[0].rpc),
                "hadoop.tmp.dir": self.folder + "/tmp", "hadoop.http.staticuser.user": "nobody", **users,
                **(self.kerberos.core_site() if self.kerberos else {})}

    def hdfs_site(self):
        own = {name: value for server in [*self.namenodes, self.journal] if server for name, value in server.settings().items()}
        if self.ha:
            own.update({
                "dfs.nameservices": NAMESERVICE, "dfs.ha.namenodes." + NAMESERVICE: "nn1,nn2",
                "dfs.client.failover.proxy.provider." + NAMESERVICE:
                    CLASS + "hdfs.server.namenode.ha.ConfiguredFailoverProxyProvider",
                "dfs.ha.fencing.methods": "shell(/bin/true)", "dfs.ha.tail-edits.period": 1})
        if self.kerberos:
            own.update(self.kerberos.hdfs_site())
        if self.tls:
            own["dfs.http.policy"] = "HTTPS_ONLY"
        return {**own,
                "dfs.datanode.hostname": self.host, "dfs.namenode.datanode.registration.ip-hostname-check": "false",
                "dfs.replication": min(3, len(self.datanodes)),
                "dfs.namenode.safemode.extension": 0, "dfs.namenode.fs-limits.min-block-size": 1024,
                # A DataNode is dead after 2 * 2 s + 10 * 1 s.
                "dfs.heartbeat.interval": 1, "dfs.namenode.heartbeat.recheck-interval": 2000}

    # --- running ---

    def java(self, main, *words, folder=None, properties=None, log="INFO"):
        properties = {"java.net.preferIPv4Stack": "true", "lab.log": log, "java.io.tmpdir": (folder or self.folder) + "/tmp",
                      **(self.kerberos.properties() if self.kerberos else {}), **(properties or {})}
        return ["java", *self.sharing(), "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData",
                "--add-opens=java.base/java.lang=ALL-UNNAMED", *("-D%s=%s" % pair for pair in properties.items()),
                "-cp", "%s/*:%s/conf:%s/web" % (self.jars, self.folder, self.folder), main, *words]

    def sharing(self):
        """With an archive of its classes a JVM starts in half the time."""
        if self.class_lists:
            return ["-XX:DumpLoadedClassList=%s/%d" % (self.class_lists, len(os.listdir(self.class_lists)))]
        archive = hadoop_jars.archive()
        return ["-XX:SharedArchiveFile=" + archive] if os.path.exists(archive) else []

    @staticmethod
    def carry_out(words, **environment):
        done = subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                              env={**os.environ, **environment}, check=False)
        if done.returncode != 0:
            said = (done.stdout + done.stderr)[-2000:]
            raise RuntimeError("%s ended with %d:\n%s" % (" ".join(words[-4:]), done.returncode, said))
        return done.stdout

    def tool(self, main, *words, properties=None):
        """One of Hadoop's own programs, as the superuser: hdfs.tools.DFSAdmin, fs.FsShell; takes a second. Its output."""
        os.makedirs(self.folder + "/tmp", exist_ok=True)
        return self.carry_out(self.java(CLASS + main, *words, log="WARN", properties=properties),
                              **(self.kerberos.as_superuser() if self.kerberos else {}))

    def safemode(self, on):
        self.tool("hdfs.tools.DFSAdmin", "-safemode", "enter" if on else "leave")

    def failover(self, to=None):
        """Makes the NameNode `to` (None: one that is not active) the active one, the other standby; that may be dead."""
        to = to or next(node for node in self.namenodes if node.alive() and node.state() != "active")
        other = next(node for node in self.namenodes if node is not to)
        self.tool("hdfs.tools.DFSHAAdmin", "-failover", other.id, to.id)

    def active(self):
        """The active NameNode; None: there is none."""
        return next((node for node in self.namenodes if node.alive() and node.state() == "active"), None)

    def start(self, detached=False):
        """All that do not run."""
        if self.kerberos:
            self.kerberos.start(detached)
        if not self.namenodes[-1].formatted():
            self.format(detached)
        for server in self.servers:
            if not server.alive():
                server.start(detached)
        if self.ha and not self.active():
            self.wait(servers=self.namenodes, check=NameNode.answers)
            self.tool("hdfs.tools.DFSHAAdmin", "-transitionToActive", "nn1")
        self.wait()
        return self

    def format(self, detached):
        if self.journal:
            self.journal.start(detached)
            self.wait(servers=[self.journal])
        first, *others = self.namenodes
        first.once("-format", "-force", "-nonInteractive")
        for other in others:  # what -bootstrapStandby fetches, without a JVM
            shutil.copytree(first.folder + "/name", other.folder + "/name")

    def stop(self):
        super().stop()
        if self.kerberos:
            self.kerberos.kdc.end()


# --- by hand --------------------------------------------------------------------------------------

PLACE = os.path.join(os.path.dirname(os.path.dirname(HERE)), "build", "neighbours", "hdfs")
BY_HAND = ByHand(PLACE)


def up(args):
    if BY_HAND.up():
        print("one is up already: see `hdfs.py down`")
        return 1
    shutil.rmtree(PLACE, ignore_errors=True)
    hdfs = Hdfs(args.datanodes, args.httpfs, args.ha, args.kerberos, args.tls, folder=PLACE)
    try:
        hdfs.start(detached=True)
    except BaseException:
        hdfs.stop()
        raise
    BY_HAND.keep(hdfs.servers + ([hdfs.kerberos.kdc] if hdfs.kerberos else []))
    print("HDFS (Hadoop 3.4) serves; its data and logs are in %s, its settings for clients in %s/conf" % (PLACE, PLACE))
    print("WebHDFS:  %s" % "  ".join(hdfs.urls))
    if hdfs.httpfs:
        print("HttpFS:   %s" % hdfs.httpfs.http)
    if not hdfs.kerberos and not hdfs.tls:
        print("Fill it:       tailrace run --from '/var/log/**/*.log' --to webhdfs://%s@%s/logs --state ./state" % (
            hdfs.superuser, ",".join(node.at for node in hdfs.namenodes)))
    before, options = "", " --cacert " + hdfs.tls.ca if hdfs.tls else ""
    if hdfs.kerberos:
        environment = hdfs.kerberos.kdc.environment(hdfs.kerberos.keytab("tailrace"))
        before, options = " ".join("%s=%s" % pair for pair in environment.items()) + " ", options + " --negotiate -u :"
    print("Look into it:  %scurl%s '%s/webhdfs/v1/?op=LISTSTATUS&user.name=%s'" % (before, options, hdfs.urls[0], hdfs.superuser))
    return 0


def down():
    print("ended; its data and logs stay in " + PLACE if BY_HAND.down() else "none is up")
    return 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("up", "down"))
    parser.add_argument("--datanodes", type=int, default=1)
    parser.add_argument("--httpfs", action="store_true", help="a HttpFS server too")
    parser.add_argument("--ha", action="store_true", help="two NameNodes, the first one active")
    parser.add_argument("--kerberos", action="store_true", help="all by Kerberos, in a realm of its own")
    parser.add_argument("--tls", action="store_true", help="HTTPS only, by an authority of its own")
    args = parser.parse_args()
    return up(args) if args.what == "up" else down()


if __name__ == "__main__":
    sys.exit(main())
