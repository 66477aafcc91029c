"""A proxy in front of each broker of a Kafka that does to requests and answers what networks do: cuts at byte n, comes late,
swallows; and one that lets nothing through to a broker at all. Clients are told of the proxies alone.
"""
import dataclasses
import os
import random
import socket
import struct
import sys
import threading

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from kafka_servers import ON_LOOPBACK  # noqa: E402

CUT_REQUEST = "cut request"    # `at` bytes of it reach the broker, then the connection ends
CUT_ANSWER = "cut answer"      # the broker has done it; `at` bytes of what it says come, then the connection ends
LATE_REQUEST = "late request"  # the broker gets it after `seconds` (None: at heal()), though the client may have gone
LATE_ANSWER = "late answer"    # the broker has done it; the client hears after `seconds`
SWALLOW_REQUEST = "swallow request"  # neither gets anything more, the connection stays open until heal()
SWALLOW_ANSWER = "swallow answer"    # the same, but the broker has done it
KINDS = (CUT_REQUEST, CUT_ANSWER, LATE_REQUEST, LATE_ANSWER, SWALLOW_REQUEST, SWALLOW_ANSWER)
APIS = {0: "Produce", 1: "Fetch", 2: "ListOffsets", 3: "Metadata", 10: "FindCoordinator", 17: "SaslHandshake", 18: "ApiVersions",
        22: "InitProducerId", 24: "AddPartitionsToTxn", 26: "EndTxn", 36: "SaslAuthenticate"}


@dataclasses.dataclass
class Fault:
    """What is done to the next `times` requests of that `api` (None: any) to the broker with the number `to` (None: any)."""
    kind: str
    api: str = None
    to: int = None
    at: int = 0
    seconds: float = None
    times: int = 1
    hard: bool = True  # a cut is a RST, else a FIN

    def is_for(self, api, broker):
        return self.times > 0 and self.api in (None, api) and self.to in (None, broker.number)


class Cut(Exception):
    pass


def frames(s):
    """Kafka's: four bytes of length, and so many bytes; with their head."""
    held = b""
    while True:
        while len(held) >= 4 and len(held) >= (end := 4 + struct.unpack(">i", held[:4])[0]):
            yield held[:end]
            held = held[end:]
        lacking = 4 + struct.unpack(">i", held[:4])[0] - len(held) if len(held) >= 4 else 1
        pieces = [held]
        while lacking > 0:
            data = s.recv(1 << 20)
            if not data:
                return
            pieces.append(data)
            lacking -= len(data)
        held = b"".join(pieces)


class Connection:
    """Of one client to one broker: a thread each way. `decided`: {correlation id: Fault} of answers that are to come."""

    def __init__(self, faults, broker, client):
        self.faults, self.broker, self.client, self.decided = faults, broker, client, {}
        self.server = socket.create_connection((ON_LOOPBACK, broker.ports[faults.listener]), 10)
        self.server.settimeout(None)
        for s in (client, self.server):
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for pump in (self.to_broker, self.to_client):
            threading.Thread(target=self.run, args=(pump,), daemon=True).start()

    def run(self, pump):
        hard = False
        try:
            pump()
        except Cut as cut:
            hard, = cut.args
        except OSError:
            pass
        self.close(hard)

    def to_broker(self):
        for frame in frames(self.client):
            api, _, correlation = struct.unpack(">hhi", frame[4:12])
            fault = self.faults.pick(APIS.get(api, str(api)), self.broker)
            self.faults.pause(self.broker)
            if fault and fault.kind in (CUT_ANSWER, LATE_ANSWER, SWALLOW_ANSWER):
                self.decided[correlation] = fault
            elif fault:
                self.apply(fault, frame, self.server)
            self.server.sendall(frame)

    def to_client(self):
        for frame in frames(self.server):
            self.faults.pause(self.broker)
            fault = self.decided.pop(struct.unpack(">i", frame[4:8])[0], None)
            if fault:
                self.apply(fault, frame, self.client)
            self.client.sendall(frame)

    def apply(self, fault, frame, target):
        if fault.kind in (CUT_REQUEST, CUT_ANSWER):
            target.sendall(frame[:fault.at])
            raise Cut(fault.hard)
        if fault.kind in (LATE_REQUEST, LATE_ANSWER):
            self.faults.healed.wait(fault.seconds)  # and what follows on this connection waits behind it
        else:
            self.faults.healed.wait()
            raise Cut(False)

    def close(self, hard=False):
        for s in (self.client, self.server):
            try:
                if hard:
                    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                s.shutdown(socket.SHUT_RD if hard else socket.SHUT_RDWR)  # wakes who reads from it
            except OSError:
                pass
            s.close()


class KafkaFaults:
    """Doors to all brokers of `kafka`, made with doors=True. `add` a Fault; `fired` lists (kind, api, broker) of those done."""

    listener = "PLAINTEXT"

    def __init__(self, kafka):
        self.lock, self.faults, self.fired, self.sockets = threading.Lock(), [], [], []
        self.random, self.rate = random.Random(0), 0
        self.healed = threading.Event()
        self.open = {broker.number: threading.Event() for broker in kafka.brokers}
        for broker in kafka.brokers:
            self.open[broker.number].set()
            door = socket.create_server((ON_LOOPBACK, broker.advertised[self.listener]))
            self.sockets.append(door)
            threading.Thread(target=self.accept, args=(door, broker), daemon=True).start()

    def add(self, kind, **words):
        with self.lock:
            self.healed.clear()
            self.faults.append(Fault(kind, **words))

    def at_random(self, rate, seed=0):
        """Besides: `rate` (0 to 1) of all requests get some fault; nothing is swallowed. 0 ends it."""
        with self.lock:
            self.healed.clear()
            self.random, self.rate = random.Random(seed), rate

    def part(self, *numbers):
        """Nothing passes to or from these brokers any more; connections stay open."""
        for number in numbers:
            self.open[number].clear()

    def heal(self):
        """No fault is left, what was swallowed is cut, what is late comes, and all brokers are reached; what was parted goes on."""
        with self.lock:
            self.faults, self.rate = [], 0
            self.healed.set()
        for passes in self.open.values():
            passes.set()

    def end(self):
        self.heal()
        for s in self.sockets:
            s.shutdown(socket.SHUT_RDWR)
            s.close()

    def pause(self, broker):
        self.open[broker.number].wait()

    def pick(self, api, broker):
        with self.lock:
            fault = next((f for f in self.faults if f.is_for(api, broker)), None)
            if fault:
                fault.times -= 1
            elif self.random.random() < self.rate:
                fault = Fault(self.random.choice(KINDS[:-2]), at=self.random.choice((0, 1, 4, 100, 10_000)),
                              seconds=self.random.random(), hard=self.random.random() < .5)
            if fault:
                self.fired.append((fault.kind, api, broker.number))
            return fault

    def accept(self, door, broker):
        while True:
            try:
                client, _ = door.accept()
            except OSError:
                return
            try:
                Connection(self, broker, client)
            except OSError:  # the broker is dead
                client.close()
