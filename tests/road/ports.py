"""A port for a server of a test or a measurement."""
import random
import socket


def free_port():
    """Below those that the system gives away by itself: nobody shall get it before it is used."""
    while True:
        port = random.randrange(20000, 32000)
        with socket.socket() as s:
            try:
                s.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue
