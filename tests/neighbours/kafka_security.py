"""What a Kafka needs to trust nobody: certificates, passwords, a Kerberos realm, rights; and what a client needs to be believed."""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from certificates import Certificates  # noqa: E402
from kerberos import REALM, Kdc  # noqa: E402

ON_LOOPBACK = "127.0.0.1"
TLS, MUTUAL_TLS, SASL, SASL_TLS = "TLS", "MTLS", "SASL", "SASLTLS"  # listeners
USERS = ("tailrace", "limited")  # the first may do all; the other what KafkaClient.allow() lets it
SCRAMS = ("SCRAM-SHA-256", "SCRAM-SHA-512")


def password(user):
    return user + "-secret"


class Security:
    """Of one Kafka in `folder`. Who is believed is User:NAME, by whatever: a certificate's CN, a password, a ticket."""

    listeners = {TLS: "SSL", MUTUAL_TLS: "SSL", SASL: "SASL_PLAINTEXT", SASL_TLS: "SASL_SSL"}

    def __init__(self, folder, kerberos=False):
        self.folder = folder
        self.certificates = Certificates(folder + "/tls")
        self.server = self.certificates.issue("server", "localhost", "IP:" + ON_LOOPBACK)
        for user in USERS:
            self.certificates.issue(user, user)
        self.certificates.issue("forged", "tailrace", ca="stranger")
        self.ca, self.stranger = self.certificates.at("ca.pem"), self.certificates.at("stranger.pem")
        self.kdc = Kdc(folder + "/kdc") if kerberos else None
        self.broker_keytab = folder + "/kafka.keytab"

    def start(self, detached=False):
        if not self.kdc or self.kdc.alive():
            return
        if not os.path.exists(self.broker_keytab):
            self.kdc.create()
            self.kdc.add(self.broker_keytab, "kafka/" + ON_LOOPBACK)
            for user in USERS:
                self.kdc.add(self.keytab(user), user)
        self.kdc.start(detached)

    def end(self):
        if self.kdc:
            self.kdc.end()

    def keytab(self, user):
        return "%s/%s.keytab" % (self.folder, user)

    # --- the brokers ---

    @property
    def mechanisms(self):
        return ["PLAIN", *SCRAMS] + (["GSSAPI"] if self.kdc else [])

    def ways(self):
        """(listener, mechanism)."""
        return [(TLS, None), (MUTUAL_TLS, None)] + [(listener, m) for listener in (SASL, SASL_TLS) for m in self.mechanisms]

    def settings(self):
        own = {"ssl.keystore.type": "PEM", "ssl.keystore.location": self.server,
               "ssl.truststore.type": "PEM", "ssl.truststore.location": self.ca,
               "listener.name.%s.ssl.client.auth" % MUTUAL_TLS.lower(): "required",
               "ssl.principal.mapping.rules": "RULE:^CN=(.*)$/$1/",
               "sasl.enabled.mechanisms": ",".join(self.mechanisms), "sasl.kerberos.service.name": "kafka",
               # Who comes by the brokers' own listener is nobody, and may do all.
               "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
               "super.users": "User:ANONYMOUS;User:" + USERS[0]}
        for listener in (SASL, SASL_TLS):
            for mechanism in self.mechanisms:
                own["listener.name.%s.%s.sasl.jaas.config" % (listener.lower(), mechanism.lower())] = self.module(mechanism)
        return own

    def module(self, mechanism):
        if mechanism == "PLAIN":
            users = " ".join("user_%s=\"%s\"" % (user, password(user)) for user in USERS)
            return "org.apache.kafka.common.security.plain.PlainLoginModule required %s;" % users
        if mechanism == "GSSAPI":
            return ("com.sun.security.auth.module.Krb5LoginModule required useKeyTab=true storeKey=true keyTab=\"%s\" "
                    "principal=\"kafka/%s@%s\";" % (self.broker_keytab, ON_LOOPBACK, REALM))
        return "org.apache.kafka.common.security.scram.ScramLoginModule required;"

    def to_format(self):
        """More words for StorageTool."""
        return [word for user in USERS for mechanism in SCRAMS
                for word in ("--add-scram", "%s=[name=%s,password=%s]" % (mechanism, user, password(user)))]

    def java(self):
        return ["-Djava.security.krb5.conf=" + self.kdc.conf] if self.kdc else []

    # --- clients ---

    def client(self, listener, mechanism=None, user="tailrace"):
        """librdkafka's properties for that listener. With GSSAPI the process needs environment() too."""
        own = {"security.protocol": self.listeners[listener].lower()}
        if "SSL" in self.listeners[listener]:
            own["ssl.ca.location"] = self.ca
        if listener == MUTUAL_TLS:
            own["ssl.certificate.location"] = own["ssl.key.location"] = self.certificates.at(user + ".pem")
        if mechanism == "GSSAPI":  # it would call kinit: the library for Kerberos finds the keytab by itself
            own.update({"sasl.mechanism": mechanism, "sasl.kerberos.service.name": "kafka", "sasl.kerberos.kinit.cmd": "",
                        "sasl.kerberos.min.time.before.relogin": 0})
        elif mechanism:
            own.update({"sasl.mechanism": mechanism, "sasl.username": user, "sasl.password": password(user)})
        return own

    def environment(self, user="tailrace"):
        return self.kdc.environment(self.keytab(user))
