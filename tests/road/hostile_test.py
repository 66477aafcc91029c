#!/usr/bin/env python3
"""What may come to a socket: random bytes, HTTP, TLS, giant lengths, half a frame, a thousand silent connections;
while a good agent's lines arrive complete, and nothing ends but the stranger's connection."""
import os
import random
import socket
import struct
import threading
import time

import daemons_test
from program import main

TLS_HELLO = bytes.fromhex("16030100f5010000f10303") + bytes(range(200))


class Hostile(daemons_test.DaemonsTest):
    def rss_kib(self, role):
        with open("/proc/%d/status" % self.running[role].pid) as file:
            return next(int(line.split()[1]) for line in file if line.startswith("VmRSS"))

    def connect(self, where):
        if isinstance(where, str):
            s = socket.socket(socket.AF_UNIX)
        else:
            s = socket.socket()
        s.settimeout(2)
        s.connect(where)
        return s

    def say(self, where, data, linger=0.0):
        try:
            with self.connect(where) as s:
                s.sendall(data)
                time.sleep(linger)
                while s.recv(4096):
                    pass
        except OSError:
            pass  # being cut off is what it came for

    def strangers(self, rnd):
        prefix = struct.Struct("<I")
        yield b""
        yield b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
        yield TLS_HELLO
        yield b"\x00" * 100_000
        yield b"\xff" * 100_000
        for _ in range(40):
            yield rnd.randbytes(rnd.randrange(1, 5000))
            # As if it were a frame: each of the first words very large.
            yield b"".join(prefix.pack(rnd.choice((0, 1, 20, 1 << 20, (1 << 32) - 1))) for _ in range(5)) + rnd.randbytes(50)

    def test_strangers_cost_nobody_else_anything(self):
        seed = int.from_bytes(os.urandom(4), "big")
        rnd = random.Random(seed)
        print("seed", seed)
        for role in self.ROLES:
            self.up(role)
        doors = (self.dir + "/local.sock", ("127.0.0.1", self.port))
        self.until("the doors", lambda: "takes an agent" in self.said() and "takes Locals" in self.said())
        over, written = threading.Event(), [0]

        def write():
            while not over.is_set():
                self.write("a.log", b"line %d\n" % written[0], "ab")
                written[0] += 1
                time.sleep(0.005)

        writer = threading.Thread(target=write)
        writer.start()
        try:
            self.until("lines", lambda: self.lines())
            silent = [self.connect(doors[1]) for _ in range(1000)]
            for data in self.strangers(rnd):
                for door in doors:
                    self.say(door, data)
            before = written[0]
            self.until("lines behind them", lambda: self.lines().count(b"\n") > before, 30)
            # Who is silent is cut off.
            self.until("the end of the silent", lambda: not self.alive(silent), 30)
            for s in silent:
                s.close()
        finally:
            over.set()
            writer.join()
        self.until("all lines", lambda: self.lines().count(b"\n") >= written[0], 30)
        self.assertEqual(self.lines(), b"".join(b"line %d\n" % i for i in range(written[0])))
        for role in self.ROLES:
            self.assertIsNone(self.running[role].poll(), role + " has ended")
            self.assertLess(self.rss_kib(role), 200_000)
        self.assertLess(len(self.said()), 100_000, "a line for each stranger")
        for role in self.ROLES:
            self.down(role, 15)

    def alive(self, sockets):
        n = 0
        for s in sockets:
            s.setblocking(False)
            try:
                while s.recv(4096):
                    pass
            except BlockingIOError:
                n += 1
            except OSError:
                pass
        return n


if __name__ == "__main__":
    main()
