"""What a HDFS needs to trust nobody: Kerberos for its servers and those who ask them, certificates."""
import json
import os
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from certificates import Certificates  # noqa: E402
from kerberos import REALM, Kdc, program  # noqa: E402


class Kerberos:
    """The realm of one HDFS in `folder`; its servers are nn/localhost (NameNodes, JournalNode), dn/, httpfs/ and HTTP/, the
    superuser is nn."""

    host, superuser = "localhost", "nn"
    servers = ("nn", "dn", "httpfs", "HTTP")

    def __init__(self, folder, tls=None):
        self.folder, self.tls = folder, tls
        self.kdc = Kdc(folder + "/kdc")
        self.server_keytab = folder + "/server.keytab"

    def start(self, detached=False):
        if not os.path.exists(self.server_keytab):
            self.kdc.create()
            self.kdc.add(self.server_keytab, *(name + "/" + self.host for name in self.servers))
        if not self.kdc.alive():
            self.kdc.start(detached)

    def keytab(self, user, life=None):
        """A person's or a program's; made when first asked for. `user` may be nn/localhost alike."""
        path = "%s/%s.keytab" % (self.folder, user.replace("/", "-"))
        if user == self.superuser:
            return self.server_keytab
        if not os.path.exists(path):
            self.kdc.add(path, user, life=life)
        return path

    def principal(self, name):
        return "%s/%s@%s" % (name, self.host, REALM)

    # --- settings ---

    def core_site(self):
        return {"hadoop.security.authentication": "kerberos", "hadoop.security.authorization": "true",
                # Without these WebHDFS goes on believing user.name.
                "hadoop.http.authentication.type": "kerberos",
                "hadoop.http.authentication.kerberos.principal": self.principal("HTTP"),
                "hadoop.http.authentication.kerberos.keytab": self.server_keytab}

    def hdfs_site(self):
        keytabs = {name: self.server_keytab for name in (
            "dfs.namenode.keytab.file", "dfs.datanode.keytab.file", "dfs.journalnode.keytab.file",
            "dfs.web.authentication.kerberos.keytab")}
        return {**keytabs, "dfs.namenode.kerberos.principal": self.principal("nn"),
                "dfs.datanode.kerberos.principal": self.principal("dn"),
                "dfs.journalnode.kerberos.principal": self.principal("nn"),
                "dfs.journalnode.kerberos.internal.spnego.principal": self.principal("HTTP"),
                "dfs.web.authentication.kerberos.principal": self.principal("HTTP"),
                "dfs.block.access.token.enable": "true", "dfs.data.transfer.protection": "authentication",
                "ignore.secure.ports.for.testing": "true"}

    def httpfs_site(self):
        return {"httpfs.authentication.type": "kerberos", "httpfs.hadoop.authentication.type": "kerberos",
                "httpfs.authentication.kerberos.principal": self.principal("HTTP"),
                "httpfs.authentication.kerberos.keytab": self.server_keytab,
                "httpfs.hadoop.authentication.kerberos.principal": self.principal("httpfs"),
                "httpfs.hadoop.authentication.kerberos.keytab": self.server_keytab}

    def properties(self):
        return {"java.security.krb5.conf": self.kdc.conf}

    # --- asking ---

    def ticket(self, user):
        """In a file, for a hour; its path."""
        path = "%s/%s.ccache" % (self.folder, user)
        if not os.path.exists(path):
            self.kdc.init(path, self.keytab(user), user + "/" + self.host if user == self.superuser else user)
        return path

    def as_superuser(self):
        """The environment for Hadoop's own programs."""
        return {"KRB5CCNAME": self.ticket(self.superuser)}

    def curl(self, user, *words):
        """What curl says by SPNEGO as `user`."""
        ca = ["--cacert", self.tls.ca] if self.tls else []
        done = subprocess.run([program("curl"), "--silent", "--show-error", "--fail", "--max-time", "10", *ca,
                               "--negotiate", "-u", ":", *words],
                              env={**os.environ, **self.kdc.environment(cache="FILE:" + self.ticket(user))},
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
        if done.returncode != 0:
            raise OSError("curl %s: %s" % (words[-1], done.stderr.decode(errors="replace").strip()))
        return done.stdout

    def token(self, user, url):
        """A delegation token of the NameNode or HttpFS at `url`, for those who cannot negotiate."""
        return json.loads(self.curl(user, url + "/webhdfs/v1/?op=GETDELEGATIONTOKEN"))["Token"]["urlString"]


class Tls:
    """An authority in `folder`, and what it signed for all servers: `ca` is its certificate, `stranger` that of one that signed
    nothing."""

    password = "loopback only"

    def __init__(self, folder):
        certificates = Certificates(folder)
        certificates.issue("server", "localhost", "IP:127.0.0.1")
        self.ca, self.stranger = certificates.at("ca.pem"), certificates.at("stranger.pem")
        self.keys, self.trust = certificates.java_stores("server", self.password)

    def stores(self, side):
        """What stands in ssl-server.xml and ssl-client.xml."""
        trust = {"location": self.trust, "password": self.password, "type": "pkcs12"}
        keys = {"location": self.keys, "password": self.password, "keypassword": self.password, "type": "pkcs12"}
        return {**{"ssl.%s.truststore.%s" % (side, name): value for name, value in trust.items()},
                **{"ssl.%s.keystore.%s" % (side, name): value for name, value in keys.items()}}
