"""Debian's librdkafka for tests, by ctypes: nothing of ours is between a test and the library. kafka_client.py is made of it.

A handle is closed by close(); what goes wrong is a RdKafkaError with the library's name for it.
"""
import ctypes
from ctypes import POINTER, byref, c_char_p, c_int, c_int32, c_int64, c_size_t, c_void_p

PRODUCER, CONSUMER = 0, 1
BEGINNING, END = -2, -1  # offsets
LIBRARY = "librdkafka.so.1"
PARTITION_EOF, ALL_BROKERS_DOWN, NO_RIGHT_TO_GROUP = -191, -187, 30
NONE = -1  # no offset, no timestamp


class RdKafkaError(Exception):
    """`name`: as _TIMED_OUT or UNKNOWN_TOPIC_OR_PART; `retriable`, `abortable`, `fatal` are told of transactions alone."""

    def __init__(self, code, text, retriable=False, abortable=False, fatal=False):
        self.code, self.name = code, name_of(code)
        self.text, self.retriable, self.abortable, self.fatal = text, retriable, abortable, fatal
        super().__init__("%s: %s" % (self.name, text))


class CMessage(ctypes.Structure):
    _fields_ = [("err", c_int), ("topic", c_void_p), ("partition", c_int32), ("payload", c_void_p), ("len", c_size_t),
                ("key", c_void_p), ("key_len", c_size_t), ("offset", c_int64), ("private", c_void_p)]


class CPartition(ctypes.Structure):
    _fields_ = [("topic", c_char_p), ("partition", c_int32), ("offset", c_int64), ("metadata", c_void_p),
                ("metadata_size", c_size_t), ("opaque", c_void_p), ("err", c_int), ("private", c_void_p)]


class CPartitions(ctypes.Structure):
    _fields_ = [("count", c_int), ("size", c_int), ("elements", POINTER(CPartition))]


class CBrokerMetadata(ctypes.Structure):
    _fields_ = [("id", c_int32), ("host", c_char_p), ("port", c_int)]


class CPartitionMetadata(ctypes.Structure):
    _fields_ = [("id", c_int32), ("err", c_int), ("leader", c_int32), ("replica_count", c_int), ("replicas", POINTER(c_int32)),
                ("isr_count", c_int), ("isrs", POINTER(c_int32))]


class CTopicMetadata(ctypes.Structure):
    _fields_ = [("topic", c_char_p), ("partition_count", c_int), ("partitions", POINTER(CPartitionMetadata)), ("err", c_int)]


class CMetadata(ctypes.Structure):
    _fields_ = [("broker_count", c_int), ("brokers", POINTER(CBrokerMetadata)), ("topic_count", c_int),
                ("topics", POINTER(CTopicMetadata)), ("from_id", c_int32), ("from_name", c_char_p)]


REPORT = ctypes.CFUNCTYPE(None, c_void_p, POINTER(CMessage), c_void_p)
ERROR = ctypes.CFUNCTYPE(None, c_void_p, c_int, c_char_p, c_void_p)

# What it returns, and what it takes, without "rd_kafka_" before its name.
FUNCTIONS = {
    "err2name": (c_char_p, c_int), "err2str": (c_char_p, c_int), "version_str": (c_char_p,), "last_error": (c_int,),
    "conf_new": (c_void_p,), "conf_destroy": (None, c_void_p), "conf_set_log_cb": (None, c_void_p, c_void_p),
    "conf_set": (c_int, c_void_p, c_char_p, c_char_p, c_char_p, c_size_t),
    "conf_set_dr_msg_cb": (None, c_void_p, REPORT), "conf_set_error_cb": (None, c_void_p, ERROR),
    "new": (c_void_p, c_int, c_void_p, c_char_p, c_size_t), "destroy": (None, c_void_p), "poll": (c_int, c_void_p, c_int),
    "fatal_error": (c_int, c_void_p, c_char_p, c_size_t),
    "topic_new": (c_void_p, c_void_p, c_char_p, c_void_p), "topic_destroy": (None, c_void_p), "topic_name": (c_char_p, c_void_p),
    "metadata": (c_int, c_void_p, c_int, c_void_p, POINTER(POINTER(CMetadata)), c_int),
    "metadata_destroy": (None, POINTER(CMetadata)), "clusterid": (c_char_p, c_void_p, c_int),
    "offsets_for_times": (c_int, c_void_p, POINTER(CPartitions), c_int),
    # consuming
    "topic_partition_list_new": (POINTER(CPartitions), c_int), "topic_partition_list_destroy": (None, POINTER(CPartitions)),
    "topic_partition_list_add": (POINTER(CPartition), POINTER(CPartitions), c_char_p, c_int32),
    "assign": (c_int, c_void_p, POINTER(CPartitions)), "poll_set_consumer": (c_int, c_void_p),
    "consumer_close": (c_int, c_void_p),
    "queue_get_consumer": (c_void_p, c_void_p), "queue_new": (c_void_p, c_void_p), "queue_destroy": (None, c_void_p),
    "consume_batch_queue": (c_size_t, c_void_p, c_int, POINTER(POINTER(CMessage)), c_size_t),
    "message_destroy": (None, POINTER(CMessage)), "message_errstr": (c_char_p, POINTER(CMessage)),
    "message_timestamp": (c_int64, POINTER(CMessage), POINTER(c_int)),
    "message_headers": (c_int, POINTER(CMessage), POINTER(c_void_p)),
    "header_get_all": (c_int, c_void_p, c_size_t, POINTER(c_char_p), POINTER(c_void_p), POINTER(c_size_t)),
    # producing
    "headers_new": (c_void_p, c_size_t), "headers_destroy": (None, c_void_p),
    "header_add": (c_int, c_void_p, c_char_p, c_size_t, c_char_p, c_size_t),
    "flush": (c_int, c_void_p, c_int), "init_transactions": (c_void_p, c_void_p, c_int), "begin_transaction": (c_void_p, c_void_p),
    "commit_transaction": (c_void_p, c_void_p, c_int), "abort_transaction": (c_void_p, c_void_p, c_int),
    "error_code": (c_int, c_void_p), "error_string": (c_char_p, c_void_p), "error_destroy": (None, c_void_p),
    "error_is_retriable": (c_int, c_void_p), "error_is_fatal": (c_int, c_void_p), "error_txn_requires_abort": (c_int, c_void_p),
    # making topics
    "queue_poll": (c_void_p, c_void_p, c_int), "event_destroy": (None, c_void_p), "event_error": (c_int, c_void_p),
    "event_error_string": (c_char_p, c_void_p),
    "NewTopic_new": (c_void_p, c_char_p, c_int, c_int, c_char_p, c_size_t), "NewTopic_destroy": (None, c_void_p),
    "NewTopic_set_config": (c_int, c_void_p, c_char_p, c_char_p),
    "CreateTopics": (None, c_void_p, POINTER(c_void_p), c_size_t, c_void_p, c_void_p),
    "DeleteTopic_new": (c_void_p, c_char_p), "DeleteTopic_destroy": (None, c_void_p),
    "DeleteTopics": (None, c_void_p, POINTER(c_void_p), c_size_t, c_void_p, c_void_p),
    "event_CreateTopics_result": (c_void_p, c_void_p), "event_DeleteTopics_result": (c_void_p, c_void_p),
    "CreateTopics_result_topics": (POINTER(c_void_p), c_void_p, POINTER(c_size_t)),
    "DeleteTopics_result_topics": (POINTER(c_void_p), c_void_p, POINTER(c_size_t)),
    "topic_result_error": (c_int, c_void_p), "topic_result_error_string": (c_char_p, c_void_p),
}


def load():
    """The library; None: it is not here."""
    try:
        library = ctypes.CDLL(LIBRARY)
    except OSError:
        return None
    for name, (returns, *takes) in FUNCTIONS.items():
        function = getattr(library, "rd_kafka_" + name)
        function.restype, function.argtypes = returns, takes
    library.rd_kafka_producev.restype = c_int
    return library


library = load()


def call(name, *arguments):
    return getattr(library, "rd_kafka_" + name)(*arguments)


def name_of(code):
    return call("err2name", code).decode()


def check(code, text=None):
    if code != 0:
        raise RdKafkaError(code, text or call("err2str", code).decode())


def check_error(error):
    """A rd_kafka_error_t*, which goes."""
    if not error:
        return
    said = RdKafkaError(call("error_code", error), call("error_string", error).decode(),
                        *(bool(call("error_" + what, error)) for what in ("is_retriable", "txn_requires_abort", "is_fatal")))
    call("error_destroy", error)
    raise said


def ms(seconds):
    return int(seconds * 1000)


class Handle:
    """A rd_kafka_t. `error`: what it told last, when it was polled, of what went wrong around it; it logs nothing."""

    def __init__(self, kind, properties, report=None):
        self.error = None
        self.callbacks = [ERROR(self.on_error)] + ([REPORT(report)] if report else [])  # they must live as long as it
        conf = call("conf_new")
        call("conf_set_log_cb", conf, None)
        call("conf_set_error_cb", conf, self.callbacks[0])
        if report:
            call("conf_set_dr_msg_cb", conf, self.callbacks[1])
        text = ctypes.create_string_buffer(512)
        for name, value in properties.items():
            if call("conf_set", conf, name.encode(), str(value).encode(), text, 512) != 0:
                call("conf_destroy", conf)
                raise ValueError(text.value.decode())
        self.rk = call("new", kind, conf, text, 512)
        if not self.rk:
            call("conf_destroy", conf)
            raise ValueError(text.value.decode())

    def on_error(self, _, code, text, __):
        if code != ALL_BROKERS_DOWN or not self.error:  # which says less than what came before it
            self.error = "%s: %s" % (name_of(code), (text or b"").decode(errors="replace"))

    def poll(self, seconds=0):
        return call("poll", self.rk, ms(seconds))

    def close(self):
        if self.rk:
            call("destroy", self.rk)
            self.rk = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def metadata(self, topic=None, seconds=5):
        """({broker's id: host:port}, {topic: {partition: leader}}); the topics are all, or the one; raises its error."""
        found = POINTER(CMetadata)()
        rkt = call("topic_new", self.rk, topic.encode(), None) if topic else None
        code = call("metadata", self.rk, 0 if topic else 1, rkt, byref(found), ms(seconds))
        if rkt:
            call("topic_destroy", rkt)
        check(code)
        try:
            m = found.contents
            brokers = {b.id: "%s:%d" % (b.host.decode(), b.port) for b in m.brokers[:m.broker_count]}
            topics = {}
            for t in m.topics[:m.topic_count]:
                check(t.err)
                topics[t.topic.decode()] = {p.id: p.leader for p in t.partitions[:t.partition_count]}
            return brokers, topics
        finally:
            call("metadata_destroy", found)

    def watermarks(self, topic, partition, seconds=5):
        """(low, high); to a read_committed consumer high is the last stable offset."""
        return tuple(self.end(topic, partition, which, seconds) for which in (BEGINNING, END))

    def end(self, topic, partition, which, seconds):
        """Not by query_watermark_offsets, which never comes back if the broker that it asks dies (2.0.2)."""
        asked = call("topic_partition_list_new", 1)
        try:
            place = call("topic_partition_list_add", asked, topic.encode(), partition)
            place.contents.offset = which
            check(call("offsets_for_times", self.rk, asked, ms(seconds)))
            check(place.contents.err)
            return place.contents.offset
        finally:
            call("topic_partition_list_destroy", asked)
