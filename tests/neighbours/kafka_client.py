"""A client for judging: topics and rights made, topics read to their end. Not one line of it is ours beyond Python."""
import collections
import ctypes
import socket
import struct
import subprocess
import time
from ctypes import POINTER, byref, c_char_p, c_size_t, c_void_p

import rdkafka
from rdkafka import CONSUMER, NO_RIGHT_TO_GROUP, PARTITION_EOF, PRODUCER, Handle, RdKafkaError, call, check, ms

# `timestamp`: ms since 1970; `key` and `value`: bytes or None; `headers`: a tuple of (str, bytes or None).
Record = collections.namedtuple("Record", "partition offset timestamp key headers value")
BATCH = 1000
# Of ACLs, in Kafka's numbers.
CREATE_ACLS = 30
KINDS = {"topic": 2, "group": 3, "cluster": 4, "transactional id": 5}
OPERATIONS = {"read": 3, "write": 4, "create": 5, "describe": 8}
LITERAL, ALLOW = 3, 3


def string(text):
    return struct.pack(">h", len(text.encode())) + text.encode()


def copy(address, size):
    return ctypes.string_at(address, size) if address else None


def headers_of(message):
    headers, found = c_void_p(), []
    if call("message_headers", message, byref(headers)) != 0:
        return ()
    name, value, size = c_char_p(), c_void_p(), c_size_t()
    while call("header_get_all", headers, len(found), byref(name), byref(value), byref(size)) == 0:
        found.append((name.value.decode(), copy(value.value, size.value)))
    return tuple(found)


def record_of(message):
    m = message.contents
    kind = ctypes.c_int()
    return Record(m.partition, m.offset, call("message_timestamp", message, byref(kind)), copy(m.key, m.key_len),
                  headers_of(message), copy(m.payload, m.len))


class Reader(Handle):
    """All records of partitions from their begin, in the order of each; with their ends, which are told as records are.
    Its group is never joined: the library asks for it all the same, and may hear of no right to it before all else."""

    def __init__(self, properties, topic, begins, isolation="read_committed"):
        super().__init__(CONSUMER, {
            "group.id": "judge", "enable.auto.commit": "false", "enable.partition.eof": "true", "auto.offset.reset": "error",
            "isolation.level": isolation, "fetch.wait.max.ms": 10, "check.crcs": "true", **properties})
        call("poll_set_consumer", self.rk)
        self.queue = call("queue_get_consumer", self.rk)
        partitions = call("topic_partition_list_new", len(begins))
        for partition, offset in begins.items():
            call("topic_partition_list_add", partitions, topic.encode(), partition).contents.offset = offset
        check(call("assign", self.rk, partitions))
        call("topic_partition_list_destroy", partitions)
        self.room = (POINTER(rdkafka.CMessage) * BATCH)()

    def close(self):
        call("queue_destroy", self.queue)
        call("consumer_close", self.rk)
        super().close()

    def some(self, seconds):
        """(records, {partition: where it ended})."""
        records, ends, error = [], {}, None
        for i in range(call("consume_batch_queue", self.queue, ms(seconds), self.room, BATCH)):
            message = self.room[i]
            err = message.contents.err
            if err == 0:
                records.append(record_of(message))
            elif err == PARTITION_EOF:
                ends[message.contents.partition] = message.contents.offset
            elif err > 0 and err != NO_RIGHT_TO_GROUP:  # a broker's; the library's own pass, as brokers come and go
                error = RdKafkaError(err, call("message_errstr", message).decode())
            call("message_destroy", message)
        if error:
            raise error
        return records, ends


class KafkaClient:
    """`at`: host:port,host:port; `copies` of the topics that it makes, -1: as the brokers like it; `properties`: more of
    librdkafka's."""

    def __init__(self, at, copies=-1, **properties):
        self.copies = copies
        self.properties = {"reconnect.backoff.ms": 50, "reconnect.backoff.max.ms": 500, **properties, "bootstrap.servers": at}

    def handle(self, kind=PRODUCER, **properties):
        return Handle(kind, {**self.properties, **properties})

    def brokers(self, seconds=20):
        """{id: host:port} of those that are up."""
        with self.handle() as h:
            return h.metadata(seconds=seconds)[0]

    def topics(self, seconds=20):
        """{topic: {partition: leader's id, -1: none}}."""
        with self.handle() as h:
            return h.metadata(seconds=seconds)[1]

    def partitions(self, topic, seconds=20):
        """{partition: leader}; UNKNOWN_TOPIC_OR_PART is raised."""
        with self.handle() as h:
            return h.metadata(topic, seconds)[1][topic]

    # --- making ---

    def create_topic(self, name, partitions=1, config=None, seconds=10):
        """`config`: as {"max.message.bytes": 2000}. Returns when it has its leaders, and all brokers know."""
        text = ctypes.create_string_buffer(512)
        new = call("NewTopic_new", name.encode(), partitions, self.copies, text, 512)
        for key, value in (config or {}).items():
            check(call("NewTopic_set_config", new, key.encode(), str(value).encode()))
        try:
            self.ask("CreateTopics", new, "topics", self.topic_error)
        finally:
            call("NewTopic_destroy", new)
        end = time.monotonic() + seconds
        for broker in self.brokers().values():
            while not self.led(broker, name, partitions):
                if time.monotonic() > end:
                    raise RuntimeError("topic %s has no leader for some partition, says %s" % (name, broker))
                time.sleep(0.02)

    def led(self, broker, topic, partitions):
        try:
            leaders = KafkaClient(**{**self.properties, "at": broker}).partitions(topic).values()
            return len(leaders) == partitions and -1 not in leaders
        except RdKafkaError:
            return False

    def delete_topic(self, name):
        gone = call("DeleteTopic_new", name.encode())
        try:
            self.ask("DeleteTopics", gone, "topics", self.topic_error)
        finally:
            call("DeleteTopic_destroy", gone)

    @staticmethod
    def topic_error(result):
        check(call("topic_result_error", result), (call("topic_result_error_string", result) or b"").decode())

    def allow(self, user, kind, name, operation):
        """To the user, an ACL; kinds and operations: above. librdkafka knows no ACLs of transactional ids: said by hand."""
        host, _, port = self.properties["bootstrap.servers"].partition(",")[0].rpartition(":")
        acl = struct.pack(">ib", 1, KINDS[kind]) + string(name) + struct.pack(">b", LITERAL) + string("User:" + user) + string("*")
        request = struct.pack(">hhi", CREATE_ACLS, 1, 1) + string("judge") + acl + struct.pack(">bb", OPERATIONS[operation], ALLOW)
        with socket.create_connection((host, int(port)), 10) as s, s.makefile("rb") as answer:
            s.sendall(struct.pack(">i", len(request)) + request)
            _, correlation, _, count, code = struct.unpack(">iiiih", answer.read(18))
        assert (correlation, count) == (1, 1)
        check(code)

    def ask(self, what, thing, many, error_of):
        """One of the library's calls to administer: CreateTopics and the like, of one thing."""
        with self.handle() as h:
            queue = call("queue_new", h.rk)
            call(what, h.rk, (c_void_p * 1)(thing), 1, None, queue)
            event = call("queue_poll", queue, 30000)
            call("queue_destroy", queue)
            if not event:
                raise RuntimeError("no answer to %s: %s" % (what, h.error))
            try:
                check(call("event_error", event), (call("event_error_string", event) or b"").decode())
                count = c_size_t()
                results = call("%s_result_%s" % (what, many), call("event_%s_result" % what, event), byref(count))
                for result in results[:count.value]:
                    error_of(result)
            finally:
                call("event_destroy", event)

    # --- reading ---

    def watermarks(self, topic, partition=0):
        """(low, last stable offset, high)."""
        with self.handle(CONSUMER, **{"group.id": "judge", "isolation.level": "read_uncommitted"}) as h:
            low, high = h.watermarks(topic, partition)
        with self.handle(CONSUMER, **{"group.id": "judge", "isolation.level": "read_committed"}) as h:
            return low, h.watermarks(topic, partition)[1], high

    def bounds(self, topic, seconds=30):
        """{partition: (low, high)}, whatever transactions are open. A broker that has just started may not know its partitions yet."""
        end = time.monotonic() + seconds
        while True:
            try:
                with self.handle(CONSUMER, **{"group.id": "judge", "isolation.level": "read_uncommitted"}) as h:
                    return {p: h.watermarks(topic, p) for p in h.metadata(topic)[1][topic]}
            except (RdKafkaError, TimeoutError):
                if time.monotonic() > end:
                    raise
                time.sleep(0.5)

    def read_committed(self, topic, seconds=30, isolation="read_committed"):
        """All records up to the high watermarks that it has now. An open transaction is waited for; TimeoutError: it stays open."""
        bounds = self.bounds(topic)
        short = {p: high for p, (low, high) in bounds.items() if high > low}
        records, end = [], time.monotonic() + seconds
        with Reader(self.properties, topic, {p: low for p, (low, _) in bounds.items()}, isolation) as reader:
            while short:
                if time.monotonic() > end:
                    raise TimeoutError("%s: its committed end is below the high watermarks %s" % (topic, short))
                more, ends = reader.some(0.1)
                records += more
                short = {p: high for p, high in short.items() if ends.get(p, -1) < high}
        return records

    def read_uncommitted(self, topic, seconds=30):
        return self.read_committed(topic, seconds, "read_uncommitted")

    def kcat(self, topic, seconds=60):
        """The same by kcat, several times as fast: yields records, their headers as kcat prints them: name=value,name=value."""
        self.settled(topic, seconds)
        words = [word for pair in self.properties.items() for word in ("-X", "%s=%s" % pair)]
        kcat = subprocess.Popen(["kcat", "-q", "-C", "-t", topic, "-o", "beginning", "-e", *words,
                                 "-X", "isolation.level=read_committed", "-f", r"%p %o %T %K %S %h\n%k%s"],
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        with kcat.stdout as out:
            while head := out.readline():
                *numbers, headers = head.rstrip(b"\n").split(b" ", 5)
                partition, offset, timestamp, *sizes = map(int, numbers)
                key, value = (out.read(size) if size >= 0 else None for size in sizes)
                yield Record(partition, offset, timestamp, key, headers, value)
        if kcat.wait() != 0:
            raise RuntimeError("kcat ended with %d" % kcat.returncode)

    def settled(self, topic, seconds):
        """Waits until no transaction is open at the end of any partition."""
        end, left = time.monotonic() + seconds, set(self.bounds(topic))
        while left:
            if time.monotonic() > end:
                raise TimeoutError("%s: transactions stay open in the partitions %s" % (topic, left))
            left = {p for p in left if len(set(self.watermarks(topic, p)[1:])) > 1}
