#!/usr/bin/env python3
"""Every way to be believed by a Kafka, and what is said to those who are not, asked of real brokers and a real KDC."""
import os
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import rdkafka  # noqa: E402
from kafka_producer import Apart  # noqa: E402
from kafka_security import MUTUAL_TLS, SASL, SASL_TLS, SCRAMS, TLS  # noqa: E402
from kafka_test import WithKafka  # noqa: E402
from programs import wait_for  # noqa: E402
from rdkafka import RdKafkaError  # noqa: E402

SCRAM_MENDED = (2, 6, 1)  # librdkafka's, with which brokers from 4.0 on take its SCRAM


def version():
    return tuple(map(int, rdkafka.call("version_str").decode().split("-")[0].split(".")))


class Guarded(WithKafka):
    def client(self, listener, mechanism=None, user="tailrace", transactional_id="lane", **other):
        return self.producer(transactional_id, init=False, at=self.kafka.at(listener),
                             **{**self.kafka.security.client(listener, mechanism, user), **other})

    def believed(self, listener, mechanism=None):
        topic = self.topic(more="-%s-%s" % (listener, mechanism))
        a = self.client(listener, mechanism)
        a.init()
        a.transaction("a", topic=topic)
        self.assertEqual(self.values(topic), ["a"])

    def not_believed(self, said, listener, mechanism=None, **other):
        """Transactions say only time-out; the rest is told by the last error."""
        a = self.client(listener, mechanism, **other)
        error = self.refused("_TIMED_OUT", a.init, 2)
        self.assertEqual(self.kind(error), "retriable")
        wait_for("the error", 20, lambda: a.poll(0.1) and a.error)
        self.assertRegex(a.error, said)


class Believed(Guarded):
    more = {"security": True}

    def test_certificates_and_passwords(self):
        for way in ((TLS,), (MUTUAL_TLS,), (SASL, "PLAIN"), (SASL_TLS, "PLAIN")):
            with self.subTest(way):
                self.believed(*way)

    def test_the_wrong_password(self):
        self.not_believed("^_AUTHENTICATION: .*Invalid username or password", SASL, "PLAIN", sasl_password="wrong")

    def test_a_stranger_s_certificates(self):
        forged = self.kafka.security.certificates.at("forged.pem")
        self.not_believed("^_SSL: .*certificate verify failed", TLS, ssl_ca_location=self.kafka.security.stranger)
        self.not_believed("^_(TRANSPORT|SSL): .*alert", MUTUAL_TLS, ssl_certificate_location=forged, ssl_key_location=forged)
        self.not_believed("^_(TRANSPORT|SSL): .*alert", MUTUAL_TLS, ssl_certificate_location="", ssl_key_location="")

    def test_scram_and_a_broker_from_4_on(self):
        if version() >= SCRAM_MENDED:
            return self.believed(SASL, SCRAMS[0])
        return self.not_believed("^_AUTHENTICATION: .*invalid credentials", SASL, SCRAMS[0])

    # --- rights ---

    def limited(self, transactional_id=None, **other):
        return self.client(SASL, "PLAIN", "limited", transactional_id, topic_metadata_propagation_max_ms=1000, **other)

    def test_transactional_ids_forbidden_but_a_topic_allowed(self):
        topic = self.topic()
        self.judge.allow("limited", "topic", topic, "write")
        self.assertEqual(self.kind(self.refused("TRANSACTIONAL_ID_AUTHORIZATION_FAILED", self.limited("forbidden").init)), "fatal")
        a = self.limited(enable_idempotence="true")
        a.produce(topic, "a")
        a.flush()
        self.assertEqual(self.values(topic), ["a"])

    def test_a_topic_forbidden(self):
        forbidden, allowed = self.topic(more="-forbidden"), self.topic(more="-allowed")
        self.judge.allow("limited", "topic", allowed, "write")
        self.judge.allow("limited", "transactional id", "id", "write")
        a = self.limited("id")
        a.init()
        self.refused("TOPIC_AUTHORIZATION_FAILED", a.metadata, forbidden)
        self.assertEqual(a.metadata(allowed)[1], {allowed: {0: 1}})
        a.begin()
        a.produce(allowed, "a")
        self.refused("TOPIC_AUTHORIZATION_FAILED", a.produce, forbidden, "b")  # as it has been asked for
        a.commit()
        self.assertEqual(self.values(allowed), ["a"])

    def test_a_topic_that_may_be_seen_but_not_written(self):
        topic = self.topic()
        self.judge.allow("limited", "topic", topic, "describe")
        self.judge.allow("limited", "transactional id", "seen", "write")
        a = self.limited("seen")
        a.init()
        a.metadata(topic)
        a.begin()
        a.produce(topic, "a")
        self.assertEqual(self.kind(self.refused("TOPIC_AUTHORIZATION_FAILED", a.commit)), "abortable")
        self.assertEqual([error for _, _, error in a.reports], ["_PURGE_QUEUE"])
        self.assertEqual(self.kind(self.refused("INVALID_TXN_STATE", a.abort)), "fatal")  # there was nothing to abort

    def test_a_topic_that_may_be_written_but_not_read(self):
        """Who writes positions must read them too."""
        topic = self.topic()
        self.judge.allow("limited", "topic", topic, "write")
        self.client(SASL, "PLAIN", "limited", None).produce(topic, "a")
        wait_for("it", 20, lambda: self.values(topic))
        reader = self.kafka.client(SASL, "PLAIN", "limited")
        self.assertEqual(reader.watermarks(topic), (0, 1, 1))
        self.refused("TOPIC_AUTHORIZATION_FAILED", reader.read_committed, topic)


class Tickets(Guarded):
    more = {"kerberos": True}

    def commit(self, listener, user="tailrace", **other):
        security = self.kafka.security
        with Apart(self.kafka.at(listener), "lane", environment=security.environment(user),
                   **{**security.client(listener, "GSSAPI", user), **other}) as a:
            a.init(2)
            a.begin()
            a.produce(self.made, listener)
            a.commit()

    def test_tickets(self):
        topic = self.topic()
        for listener in (SASL, SASL_TLS):
            self.commit(listener)
        self.assertEqual(self.values(topic), [SASL, SASL_TLS])

    def test_no_ticket(self):
        self.topic()
        for user, other in (("nobody", {}), ("tailrace", {"sasl.kerberos.service.name": "other"})):
            with self.subTest(user):
                error = self.refused("_TIMED_OUT", self.commit, SASL, user, **other)
                self.assertEqual(self.kind(error), "retriable")

    def test_who_has_a_ticket_but_no_right(self):
        self.topic()
        self.refused("TRANSACTIONAL_ID_AUTHORIZATION_FAILED", self.commit, SASL, "limited")


class Scram(Guarded):
    more = {"security": True, "version": "3.9.2"}

    def test_scram(self):
        for way in ((SASL, SCRAMS[0]), (SASL, SCRAMS[1]), (SASL_TLS, SCRAMS[1])):
            with self.subTest(way):
                self.believed(*way)
        self.not_believed("^_AUTHENTICATION: .*invalid credentials", SASL, SCRAMS[1], sasl_password="wrong")


if __name__ == "__main__":
    unittest.main()
