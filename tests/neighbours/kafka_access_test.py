#!/usr/bin/env python3
"""Who we are to a Kafka and whom we believe: `tailrace run` against real brokers that ask, and what a person reads where that goes
wrong. No secret is in anything that is said.
"""
import json
import os
import subprocess
import sys
import unittest
import urllib.error
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
from kafka import Kafka  # noqa: E402
from kafka_security import MUTUAL_TLS, SASL, SASL_TLS, SCRAMS, TLS, password  # noqa: E402
from kafka_sink_test import Road  # noqa: E402
from kerberos import REALM, program  # noqa: E402
from programs import wait_for  # noqa: E402
from sink_run import PATIENCE_S, TAILRACE  # noqa: E402

WRONG = "wr0ng-pa55word"
MADE = "positions"  # one positions' topic for each road: they would take each other's lanes


class Guarded(unittest.TestCase):
    more = {"security": True}

    @classmethod
    def setUpClass(cls):
        cls.kafka = Kafka(**cls.more)
        cls.addClassCleanup(cls.kafka.remove)
        cls.kafka.start()
        cls.security = cls.kafka.security
        cls.roads = 0

    def road(self, listener, mechanism=None, user="tailrace", create="true", **other):
        """What `other` says is None is not set."""
        type(self).roads += 1
        number = type(self).roads
        own = self.security.client(listener, mechanism, user)
        for name in [name for name in own if name.startswith("sasl.kerberos.k") or "relogin" in name]:
            del own[name]  # we need none of these
        own.update({name.replace("_", "."): value for name, value in other.items()})
        return Road(self.kafka, {
            "brokers": [self.kafka.at(listener)], "create_topics": create, "topic": "%s%d.{category}" % (type(self).__name__, number),
            "positions_topic": "%s%d" % (MADE, number), "properties": {k: v for k, v in own.items() if v is not None}})

    def topic(self, of="web"):
        """Of the road that was made last."""
        return "%s%d.%s" % (type(self).__name__, type(self).roads, of)

    def positions(self):
        return "%s%d" % (MADE, type(self).roads)

    def arrive(self, road, lines=100):
        road.write("web", lines)
        if not road.alive():
            road.start()
        road.arrive("web", self.topic())

    def check(self, road):
        done = subprocess.run([TAILRACE, "check", "--connect", road.folder + "/run.yaml"], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, timeout=60, check=False, env={**os.environ, **road.environment})
        return done.returncode, done.stdout

    def told(self, road, *texts):
        """One line of the log tells it, and one of `check --connect`."""
        road.write("web", 1)
        road.start()
        road.says(*texts)
        road.end()
        code, said = self.check(road)
        self.assertEqual(code, 1, said)
        self.assertTrue(any(all(text in line for text in texts) for line in said.splitlines()), said)
        self.no_secret(road, said)

    def no_secret(self, road, *said):
        shown = subprocess.run([TAILRACE, "config", road.folder + "/run.yaml"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                               text=True, timeout=60, check=True).stdout
        for text in (road.said(), shown, *said):
            for secret in (WRONG, password("tailrace"), password("limited")):
                self.assertNotIn(secret, text)


class Believed(Guarded):
    def test_certificates_and_passwords(self):
        for way in ((TLS,), (MUTUAL_TLS,), (SASL_TLS, "PLAIN")):
            with self.subTest(way), self.road(*way) as road:
                self.arrive(road)
                code, said = self.check(road)
                self.assertEqual(code, 0, said)
                self.no_secret(road, said)

    def test_the_wrong_password(self):
        with self.road(SASL_TLS, "PLAIN", sasl_password=WRONG) as road:
            self.told(road, "kafka://" + self.kafka.at(SASL_TLS), "Invalid username or password")

    def test_a_password_that_becomes_wrong(self):
        """The Center that knew Kafka starts, says it on its admin port too, and goes on once it is right."""
        with self.road(SASL, "PLAIN") as road:
            self.arrive(road)
            road.end()
            with open(road.folder + "/run.yaml") as f:
                good = f.read()
            with open(road.folder + "/run.yaml", "w") as f:
                f.write(good.replace(password("tailrace"), WRONG))
            road.write("web", 10)
            road.start()
            road.says("'web'", "Invalid username or password")
            for page in ("readyz", "api/v1/status"):
                wait_for(page, PATIENCE_S, lambda page=page: "Invalid username or password" in self.asked(road, page))
                self.no_secret(road, self.asked(road, page))
            road.end()
            with open(road.folder + "/run.yaml", "w") as f:
                f.write(good)
            self.arrive(road)

    @staticmethod
    def asked(road, page):
        door = next(word for word in road.said().rpartition("admin port: ")[2].split() if word.startswith("http"))
        try:
            with urllib.request.urlopen(door.partition("metrics")[0] + page, timeout=10) as answer:
                return answer.read().decode()
        except urllib.error.HTTPError as answer:
            return answer.read().decode()

    def test_a_stranger_s_certificates(self):
        forged = self.security.certificates.at("forged.pem")
        with self.road(TLS, ssl_ca_location=self.security.stranger) as road:
            self.told(road, "certificate verify failed", "ssl.ca.location")
        with self.road(MUTUAL_TLS, ssl_certificate_location=forged, ssl_key_location=forged) as road:
            self.told(road, "alert", "the broker does not take our certificate")
        with self.road(MUTUAL_TLS, ssl_certificate_location=None, ssl_key_location=None) as road:
            self.told(road, "alert", "ssl.certificate.location")

    def test_the_wrong_port(self):
        with self.road(TLS, security_protocol="plaintext", ssl_ca_location=None) as road:
            self.told(road, "connecting to a SSL listener?")

    def test_a_file_that_is_not_there(self):
        with self.road(TLS, ssl_ca_location="/none.pem") as road:
            road.write("web", 1)
            done = road.once()
            self.assertEqual(done.returncode, 1, done.stdout)
            self.assertIn("ssl.ca.location: /none.pem cannot be read: No such file", done.stdout)

    # --- rights: T47 ---

    def test_a_topic_that_may_not_be_written_waits_alone(self):
        judge = self.kafka.judge()
        with self.road(SASL, "PLAIN", "limited", create="false", topic_metadata_propagation_max_ms="1000") as road:
            code, said = self.check(road)
            self.assertEqual(code, 1, said)
            self.assertIn("the sink's user needs Read, Write and Describe on it", said)
            judge.create_topic(self.positions(), 4, {"cleanup.policy": "compact"})
            for topic in ("web", "app"):
                judge.create_topic(self.topic(topic), 1)
            for operation in ("read", "write"):
                judge.allow("limited", "topic", self.positions(), operation)
            judge.allow("limited", "topic", self.topic(), "write")
            with open(road.folder + "/run.yaml") as f:
                settings = json.load(f)
            settings["pipelines"]["app"] = {"files": [road.folder + "/app/*.log"]}
            with open(road.folder + "/run.yaml", "w") as f:
                json.dump(settings, f)
            road.write("web", 100)
            road.write("app", 100)
            road.start()
            road.says("allow the transactional ids tailrace.*")
            judge.allow("limited", "transactional id", "*", "write")
            road.arrive("web", self.topic())
            road.says("'app'", self.topic("app"), "Topic authorization failed (this user's ACLs need Write and Describe there)")
            judge.allow("limited", "topic", self.topic("app"), "write")
            road.arrive("app", self.topic("app"))


class Tickets(Guarded):
    more = {"kerberos": True}

    def test_a_keytab(self):
        with self.road(SASL_TLS, "GSSAPI", sasl_kerberos_keytab=self.security.keytab("tailrace")) as road:
            road.environment = {"KRB5_CONFIG": self.security.kdc.conf}
            self.arrive(road)
            code, said = self.check(road)
            self.assertEqual(code, 0, said)

    def test_tickets_of_somebody_else(self):
        """As kinit leaves them: until they end."""
        kdc, cache = self.security.kdc, self.kafka.folder + "/short"
        keytab = self.kafka.folder + "/short.keytab"
        kdc.add(keytab, "brief", life="2s")
        kdc.init(cache, keytab, "brief")
        wait_for("its end", PATIENCE_S, lambda: subprocess.run(
            [program("klist"), "-s", "-c", cache], check=False, env={**os.environ, **kdc.own_environment()}).returncode)
        with self.road(SASL, "GSSAPI") as road:
            road.environment = {"KRB5_CONFIG": kdc.conf, "KRB5CCNAME": cache}
            self.told(road, "icket expired", "sasl.kerberos.keytab")

    def test_no_ticket(self):
        with self.road(SASL, "GSSAPI") as road:
            road.environment = {"KRB5_CONFIG": self.security.kdc.conf, "KRB5CCNAME": "MEMORY:none"}
            self.told(road, "No Kerberos credentials", "sasl.kerberos.keytab")

    def test_nobody_s_keytab(self):
        keytab = self.kafka.folder + "/gone.keytab"
        self.security.kdc.add(keytab, "gone")
        self.security.kdc.remove("gone")
        with self.road(SASL, "GSSAPI", sasl_kerberos_keytab=keytab) as road:
            road.environment = {"KRB5_CONFIG": self.security.kdc.conf}
            self.told(road, "gone@" + REALM, "not found in Kerberos database")


class Scram(Guarded):
    more = {"security": True, "version": "3.9.2"}

    def test_scram(self):
        for way in ((SASL, SCRAMS[0]), (SASL_TLS, SCRAMS[1])):
            with self.subTest(way), self.road(*way) as road:
                self.arrive(road)
        with self.road(SASL, SCRAMS[1], sasl_password=WRONG) as road:
            self.told(road, "invalid credentials", "the password, or")


if __name__ == "__main__":
    unittest.main(verbosity=2)
