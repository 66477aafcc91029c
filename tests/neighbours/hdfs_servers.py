"""The servers of a HDFS (hdfs.py): a JVM each, with its own folder, ports and settings."""
import json
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.path.insert(0, os.path.join(HERE, "../road"))
from ports import free_port  # noqa: E402
from programs import Program  # noqa: E402

CLASS = "org.apache.hadoop."
NAMESERVICE = "ns"  # where there are two NameNodes
ON_LOOPBACK = "127.0.0.1"


class Server(Program):
    """A JVM of `lab`, in a folder of its own; its ports are the same through all its lives."""

    main = ""

    def __init__(self, lab, name):
        super().__init__(lab.folder + "/" + name)
        self.lab, self.name = lab, name
        self.http_port, self.rpc_port = free_port(), free_port()
        self.at = "%s:%d" % (lab.host, self.http_port)
        self.scheme = "https" if lab.tls else "http"
        self.http = "%s://%s" % (self.scheme, self.at)

    def options(self):
        """Settings of its own, besides those that all have in conf/."""
        return {}

    def properties(self):
        """Of its JVM."""
        return {}

    def words(self, *arguments):
        options = [word for pair in self.options().items() for word in ("-D", "%s=%s" % pair)]
        return self.lab.java(CLASS + self.main, *options, *arguments, folder=self.folder, properties=self.properties())

    def start(self, detached=False):
        os.makedirs(self.folder + "/tmp", exist_ok=True)
        self.run(self.words(), detached)

    def once(self, *arguments):
        """Runs it with words like -format, to its end."""
        os.makedirs(self.folder + "/tmp", exist_ok=True)
        self.lab.carry_out(self.words(*arguments))

    def beans(self, name):
        """What /jmx says of one bean of Hadoop's; empty: no answer."""
        try:
            return json.loads(self.lab.look("%s/jmx?qry=Hadoop:%s" % (self.http, name)))["beans"][0]
        except (OSError, ValueError, LookupError):
            return {}


class NameNode(Server):
    main = "hdfs.server.namenode.NameNode"

    def __init__(self, lab, name, nameservice_id=""):
        super().__init__(lab, name)
        self.id = nameservice_id  # nn1, nn2; empty: the only one
        self.rpc = "%s:%d" % (lab.host, self.rpc_port)

    def options(self):
        return {"dfs.ha.namenode.id": self.id} if self.id else {}

    def settings(self):
        """What stands in hdfs-site.xml, for all."""
        own = {"dfs.namenode.name.dir": "file://" + self.folder + "/name",
               "dfs.namenode.%s-address" % self.scheme: self.at}
        if self.id:
            own["dfs.namenode.rpc-address"] = self.rpc
        return {name + (".%s.%s" % (NAMESERVICE, self.id) if self.id else ""): value for name, value in own.items()}

    def formatted(self):
        return os.path.exists(self.folder + "/name/current/VERSION")

    def state(self):
        """active or standby; empty: no answer."""
        return self.beans("service=NameNode,name=NameNodeStatus").get("State", "")

    def answers(self):
        return self.state() != ""

    def serves(self):
        """With all DataNodes that run and their room, out of safe mode; also on standby."""
        state = self.beans("service=NameNode,name=FSNamesystemState").get("FSState")
        nodes = json.loads(self.beans("service=NameNode,name=NameNodeInfo").get("LiveNodes", "{}"))
        with_room = {node["xferaddr"] for node in nodes.values() if node["capacity"] > 0}
        return state == "Operational" and with_room >= {node.data for node in self.lab.datanodes if node.alive()}


class JournalNode(Server):
    main = "hdfs.qjournal.server.JournalNode"

    def settings(self):
        at = self.lab.host + ":%d"
        return {"dfs.journalnode.edits.dir": self.folder + "/edits", "dfs.journalnode.rpc-address": at % self.rpc_port,
                "dfs.journalnode.%s-address" % self.scheme: self.at,
                "dfs.namenode.shared.edits.dir": "qjournal://%s/%s" % (at % self.rpc_port, NAMESERVICE)}

    def serves(self):
        return self.beans("service=JournalNode,name=JournalNodeInfo") != {}


class DataNode(Server):
    main = "hdfs.server.datanode.DataNode"

    def __init__(self, lab, name):
        super().__init__(lab, name)
        self.data = "%s:%d" % (ON_LOOPBACK, free_port())  # by which it is known

    def options(self):
        at = self.lab.host + ":%d"
        return {"dfs.datanode.data.dir": "file://" + self.folder + "/data", "dfs.datanode.%s.address" % self.scheme: self.at,
                "dfs.datanode.ipc.address": at % self.rpc_port, "dfs.datanode.address": self.data,
                **self.lab.datanode_settings}

    def serves(self):
        """Each NameNode that runs has it; a NameNode alone may mean its life before."""
        actors = json.loads(self.beans("service=DataNode,name=DataNodeInfo").get("BPServiceActorInfo", "[]"))
        return sum(a["ActorState"] == "RUNNING" for a in actors) >= sum(node.alive() for node in self.lab.namenodes)


class HttpFs(Server):
    main = "fs.http.server.HttpFSServerWebServer"

    def settings(self):
        users = {"httpfs.proxyuser.%s.%s" % (user, what): "*" for user in self.lab.proxy_users for what in ("hosts", "groups")}
        return {"httpfs.http.hostname": self.lab.host, "httpfs.http.port": self.http_port,
                "httpfs.ssl.enabled": "true" if self.lab.tls else "false",
                "httpfs.hadoop.config.dir": self.lab.folder + "/conf", **users,
                **(self.lab.kerberos.httpfs_site() if self.lab.kerberos else {})}

    def properties(self):
        return {"httpfs.home.dir": self.folder, "httpfs.config.dir": self.lab.folder + "/conf", "httpfs.log.dir": self.folder,
                "httpfs.temp.dir": self.folder + "/tmp"}

    def serves(self):
        try:
            return self.lab.httpfs_client(timeout=5).status("/") is not None
        except Exception:  # whatever: not yet
            return False
