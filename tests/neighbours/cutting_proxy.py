"""A proxy in front of a ZooKeeper server that cuts a client's connection at a request which it is told of."""
import os
import socket
import struct
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../road"))
from ports import free_port  # noqa: E402

CREATE = 1


class CuttingProxy:
    """`cut`: "before" a create below `part` reaches the server, or "after" it was done there; once, then None again."""

    def __init__(self, port, part):
        self.port, self.part, self.cut, self.cuts = port, part.encode(), None, 0
        self.own_port = free_port()
        self.at = "127.0.0.1:%d" % self.own_port
        self.door = socket.create_server(("127.0.0.1", self.own_port))
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                client, _ = self.door.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self.port))
            threading.Thread(target=self.to_server, args=(client, server), daemon=True).start()
            threading.Thread(target=self.to_client, args=(server, client), daemon=True).start()

    @staticmethod
    def to_client(server, client):
        try:
            while data := server.recv(65536):
                client.sendall(data)
        except OSError:
            pass
        CuttingProxy.close(client, server)

    def to_server(self, client, server):
        held = b""
        try:
            while data := client.recv(65536):
                held += data
                while len(held) >= 4 and len(held) >= 4 + struct.unpack(">i", held[:4])[0]:
                    end = 4 + struct.unpack(">i", held[:4])[0]
                    frame, held = held[:end], held[end:]
                    if self.is_it(frame):
                        return self.sever(frame, client, server)
                    server.sendall(frame)
        except OSError:
            pass
        return self.close(client, server)

    def is_it(self, frame):
        return self.cut and len(frame) > 12 and struct.unpack(">i", frame[8:12])[0] == CREATE and self.part in frame

    def sever(self, frame, client, server):
        how, self.cut = self.cut, None
        self.cuts += 1
        client.shutdown(socket.SHUT_RDWR)  # it hears nothing more
        if how == "after":
            server.sendall(frame)
            time.sleep(0.3)  # the server does it
        self.close(client, server)

    @staticmethod
    def close(*sockets):
        for s in sockets:
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            s.close()

    def end(self):
        self.door.close()
