"""One thread that serves every device of the soak: an echo on TCP and UDP that forgets each visitor as soon as he is gone."""
import selectors
import socket
import threading

from traffic import ANY

CLOSE_WITH_RESET = b"\x01\x00\x00\x00\x00\x00\x00\x00"  # struct linger: on, 0 s


class EchoServers:
    def __init__(self):
        self.selector = selectors.DefaultSelector()
        self.lock = threading.Lock()
        self.listening = set()  # (host name, port)
        self.closing = False
        self.thread = threading.Thread(target=self._run, name="echo servers", daemon=True)
        self.thread.start()

    def serve(self, host, port):
        with self.lock:
            if (host.name, port) in self.listening:
                return
            self.listening.add((host.name, port))
        for version in (4, 6):
            family, address = ANY[version]
            for kind, ready in ((socket.SOCK_STREAM, self._accept), (socket.SOCK_DGRAM, self._answer)):
                held = host.socket(family, kind)
                held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if version == 6:
                    held.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                held.bind((address, port))
                if kind == socket.SOCK_STREAM:
                    held.listen(64)
                held.setblocking(False)
                self.selector.register(held, selectors.EVENT_READ, ready)

    def _run(self):
        while not self.closing:
            for key, _ in self.selector.select(0.5):
                try:
                    key.data(key.fileobj)
                except BlockingIOError:
                    pass
                except OSError:
                    self._forget(key.fileobj)

    def _accept(self, listener):
        connection, _ = listener.accept()
        connection.setblocking(False)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, CLOSE_WITH_RESET)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 30)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 10)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 2)
        self.selector.register(connection, selectors.EVENT_READ, self._echo)

    def _echo(self, connection):
        data = connection.recv(65536)
        if not data:
            self._forget(connection)
            return
        connection.send(data)

    @staticmethod
    def _answer(receiver):
        data, peer = receiver.recvfrom(2048)
        try:
            receiver.sendto(data, peer)
        except OSError:
            pass  # the tunnel is down at this moment

    def _forget(self, connection):
        try:
            self.selector.unregister(connection)
        except (KeyError, ValueError):
            pass
        connection.close()

    def close(self):
        self.closing = True
        self.thread.join(5)
