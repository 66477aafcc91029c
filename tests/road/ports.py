"""A port for a server of a test or a measurement."""
import random
import socket

GIVEN = set()


def free_port():
    """Below those that the system gives away by itself: nobody shall get it before it is used; nor another caller here."""
    while True:
        port = random.randrange(20000, 32000)
        if port in GIVEN:
            continue
        with socket.socket() as s:
            try:
                s.bind(("127.0.0.1", port))
                GIVEN.add(port)
                return port
            except OSError:
                continue
