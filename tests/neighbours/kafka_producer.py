#!/usr/bin/env python3
"""A producer for tests, transactional or not; as a program one that can be killed: each line of its input is a call, [name, arguments...]
in JSON, each line of its output an error's name or null.

  kafka_producer.py PROPERTIES      a JSON object of librdkafka's
"""
import ctypes
import json
import os
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import rdkafka  # noqa: E402
from rdkafka import PRODUCER, Handle, RdKafkaError, call, check, check_error, ms, name_of  # noqa: E402

# What follows in the variable arguments of rd_kafka_producev.
END, TOPIC, PARTITION, VALUE, KEY, FLAGS, TIMESTAMP, HEADER = 0, 1, 3, 4, 5, 7, 8, 9
COPY = ctypes.c_int(2)
ANY = -1  # partition

# What our programs use too, so that nothing waits long after an outage.
QUICK = {"reconnect.backoff.ms": 50, "reconnect.backoff.max.ms": 500, "linger.ms": 0}


def piece(kind, value):
    return (kind, value, ctypes.c_size_t(len(value))) if value is not None else ()


class Producer(Handle):
    """`reports`: of each record that was produced, in the order in which they came, (partition, offset, the error's name or None)."""

    def __init__(self, at, transactional_id=None, **properties):
        self.reports = []
        own = {"bootstrap.servers": at, **QUICK, **({"transactional.id": transactional_id} if transactional_id else {})}
        super().__init__(PRODUCER, {**own, **{name.replace("_", "."): value for name, value in properties.items()}}, self.on_report)

    def on_report(self, _, message, __):
        m = message.contents
        self.reports.append((m.partition, m.offset, name_of(m.err) if m.err else None))

    def init(self, seconds=20):
        check_error(call("init_transactions", self.rk, ms(seconds)))

    def begin(self):
        check_error(call("begin_transaction", self.rk))

    def produce(self, topic, value, key=None, partition=ANY, headers=(), timestamp=None):
        value, key = (x.encode() if isinstance(x, str) else x for x in (value, key))
        words = [TOPIC, topic.encode(), PARTITION, ctypes.c_int32(partition), *piece(VALUE, value), *piece(KEY, key), FLAGS, COPY]
        if timestamp is not None:
            words += [TIMESTAMP, ctypes.c_int64(timestamp)]
        for name, content in headers:
            words += [HEADER, name.encode(), content, ctypes.c_ssize_t(len(content))]
        check(rdkafka.library.rd_kafka_producev(ctypes.c_void_p(self.rk), *words, END))

    def flush(self, seconds=20):
        check(call("flush", self.rk, ms(seconds)))

    def commit(self, seconds=20):
        check_error(call("commit_transaction", self.rk, ms(seconds)))

    def abort(self, seconds=20):
        check_error(call("abort_transaction", self.rk, ms(seconds)))

    def transaction(self, *records, topic=None):
        """A whole one. A record is a tuple of produce()'s arguments, or with `topic` a value."""
        self.begin()
        for record in records:
            self.produce(*((topic, record) if topic else record))
        self.commit()


class Apart:
    """A Producer in a process of its own; its methods are that one's. kill() is kill -9."""

    def __init__(self, at, transactional_id=None, environment=None, **properties):
        self.process = subprocess.Popen([sys.executable, os.path.abspath(__file__), json.dumps([at, transactional_id, properties])],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                        env={**os.environ, **(environment or {})})

    def __getattr__(self, name):
        def ask(*arguments):
            self.process.stdin.write(json.dumps([name, *arguments]) + "\n")
            self.process.stdin.flush()
            said = json.loads(self.process.stdout.readline())
            if said:
                raise RdKafkaError(*said)
        return ask

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()


def main():
    at, transactional_id, properties = json.loads(sys.argv[1])
    producer = Producer(at, transactional_id, **properties)
    for line in sys.stdin:
        name, *arguments = json.loads(line)
        try:
            getattr(producer, name)(*arguments)
            said = None
        except RdKafkaError as e:
            said = [e.code, e.text, e.retriable, e.abortable, e.fatal]
        print(json.dumps(said), flush=True)


if __name__ == "__main__":
    main()
