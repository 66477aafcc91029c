"""A real Kerberos realm, Debian's krb5-kdc, on a free port of loopback. Its programs need not be installed: ./dev takes them out of
their packages.
"""
import os
import shutil
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.path.insert(0, os.path.join(HERE, "../road"))
from ports import free_port  # noqa: E402
from programs import Program  # noqa: E402

TOOLS = os.path.join(os.path.dirname(os.path.dirname(HERE)), "build", "tools", "usr")
REALM = "TAILRACE.TEST"
LIBRARIES = TOOLS + "/lib/x86_64-linux-gnu"
PLUGINS = "/krb5/plugins/kdb"


def program(name):
    """Its path; None: it is not here."""
    places = ["/usr/sbin", "/usr/bin", TOOLS + "/sbin", TOOLS + "/bin"]
    return shutil.which(name, path=":".join(places))


def missing():
    """What keeps it from being started here; empty: nothing."""
    lacking = [name for name in ("krb5kdc", "kdb5_util", "kadmin.local", "kinit", "curl") if not program(name)]
    return "no " + ", ".join(lacking) if lacking else ""


class Kdc(Program):
    """A realm of its own. Tickets live an hour, unless a principal's are shorter."""

    def __init__(self, folder):
        super().__init__(folder)
        self.at = "127.0.0.1:%d" % free_port()
        self.conf = folder + "/krb5.conf"
        self.before = 0

    def environment(self, keytab=None, cache=None):
        """For programs of this realm; those that use GSSAPI get their own tickets by the keytab. Keep it away from other JVMs."""
        own = {"KRB5_CONFIG": self.conf, "KRB5CCNAME": cache or "MEMORY:tailrace"}
        return {**own, **({"KRB5_CLIENT_KTNAME": keytab} if keytab else {})}

    def own_environment(self):
        libraries = LIBRARIES if program("krb5kdc").startswith(TOOLS) else ""
        return {**self.environment(), "KRB5_KDC_PROFILE": self.folder + "/kdc.conf", **(
            {"LD_LIBRARY_PATH": libraries} if libraries else {})}

    def create(self):
        os.makedirs(self.folder, exist_ok=True)
        with open(self.conf, "w") as f:
            f.write("[libdefaults]\n default_realm = %s\n dns_lookup_kdc = false\n dns_lookup_realm = false\n"
                    " dns_canonicalize_hostname = false\n rdns = false\n udp_preference_limit = 1\n"
                    "[realms]\n %s = {\n  kdc = %s\n }\n" % (REALM, REALM, self.at))
        plugins = LIBRARIES + PLUGINS if program("krb5kdc").startswith(TOOLS) else "/usr/lib/x86_64-linux-gnu" + PLUGINS
        with open(self.folder + "/kdc.conf", "w") as f:
            f.write("[kdcdefaults]\n kdc_listen = %s\n kdc_tcp_listen = %s\n"
                    "[realms]\n %s = {\n  database_name = %s/principal\n  key_stash_file = %s/stash\n  max_life = 1h\n"
                    "  max_renewable_life = 1d\n }\n[dbmodules]\n db_module_dir = %s\n[logging]\n kdc = STDERR\n" % (
                        self.at, self.at, REALM, self.folder, self.folder, plugins))
        self.tool("kdb5_util", "-r", REALM, "create", "-s", "-P", "loopback only")

    def tool(self, name, *words, **more):
        done = subprocess.run([program(name), *words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              env={**os.environ, **self.own_environment(), **more}, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError("%s ended with %d:\n%s" % (name, done.returncode, done.stdout[-2000:]))
        return done.stdout

    def ask(self, query):
        """kadmin.local ends with 0 whatever comes of it."""
        said = self.tool("kadmin.local", "-r", REALM, "-q", query)
        if "created." not in said and "added to keytab" not in said and "modified." not in said and "deleted." not in said:
            raise RuntimeError("%s:\n%s" % (query, said))

    def add(self, keytab, *names, life=None):
        """Principals and their keys, into that file. `life`: of their tickets, as 20s."""
        for name in names:
            self.ask("addprinc -randkey %s %s" % ("-maxlife " + life if life else "", name))
            self.ask("ktadd -k %s %s" % (keytab, name))

    def remove(self, name):
        """It is nobody any more."""
        self.ask("delprinc -force " + name)

    def init(self, cache, keytab, name):
        self.tool("kinit", "-k", "-t", keytab, name, KRB5CCNAME=cache)

    def start(self, detached=False):
        self.run([program("krb5kdc"), "-n", "-r", REALM, "-P", self.folder + "/pid"], detached, self.own_environment())
        end = time.monotonic() + 20
        while "commencing operation" not in self.said():
            if not self.alive() or time.monotonic() > end:
                raise RuntimeError("the KDC does not serve; %s/log" % self.folder)
            time.sleep(0.02)

    def said(self):
        """In this life."""
        with open(self.folder + "/log", errors="replace") as f:
            return f.read()[self.before:]

    def run(self, *words, **more):
        self.before = os.path.getsize(self.folder + "/log") if os.path.exists(self.folder + "/log") else 0
        super().run(*words, **more)
