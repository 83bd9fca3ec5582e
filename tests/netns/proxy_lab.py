"""A local network, a proxy host and an Internet, for the proxy's tests.

    lan 192.168.7.2, fd07::2 ── 192.168.7.1, fd07::1 proxy 5.6.7.1, 2a00:5::1 ── 5.6.7.8, 2a00:5::8 inet (and 10.9.9.1 there)

The Internet has one web server, `Origin`, that answers by path and remembers what really came to it.
"""
import socket
import ssl
import threading

from gateway import DRPF
from namespaces import Namespaces

PROXY, PROXY6, PORT = "192.168.7.1", "fd07::1", 3128
ORIGIN, ORIGIN6 = "5.6.7.8", "2a00:5::8"
NAMES = f"""127.0.0.1 localhost rebound.example
::1 ip6-localhost
{ORIGIN} o.example
{ORIGIN6} six.example
{ORIGIN} both.example
10.0.0.1 both.example
169.254.169.254 metadata.example
"""
SECONDS = 10


class Origin:
    """One thread a connection. `requests`: the raw head of each request; `connections`: how many there were."""

    def __init__(self, host, certificate):
        self.host, self.requests, self.connections, self.bodies = host, [], 0, []
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(*certificate)
        for family, address in ((socket.AF_INET, ORIGIN), (socket.AF_INET6, ORIGIN6)):
            for port, tls in ((80, False), (443, True)):
                listening = host.socket(family)
                listening.bind((address, port))
                listening.listen(64)
                threading.Thread(target=self._accept, args=(listening, tls), daemon=True).start()

    def _accept(self, listening, tls):
        while True:
            connection, _ = listening.accept()
            self.connections += 1
            threading.Thread(target=self._serve, args=(connection, tls), daemon=True).start()

    def _serve(self, connection, tls):
        try:
            connection.settimeout(SECONDS)
            if tls:
                connection = self.context.wrap_socket(connection, server_side=True)
            buffered = b""
            while True:
                while b"\r\n\r\n" not in buffered:
                    part = connection.recv(65536)
                    if not part:
                        return
                    buffered += part
                head, buffered = buffered.split(b"\r\n\r\n", 1)
                self.requests.append(head)
                path = head.split(b" ")[1].decode().split("?")[0].strip("/") or "hello"
                buffered = getattr(self, "on_" + path)(connection, head, buffered)
                if buffered is None:
                    return
        except (OSError, ValueError):
            pass
        finally:
            connection.close()

    @staticmethod
    def read(connection, buffered, size):
        while len(buffered) < size:
            part = connection.recv(65536)
            if not part:
                raise OSError("the body is cut off")
            buffered += part
        return buffered[:size], buffered[size:]

    def body(self, connection, head, buffered):
        """Reads a body by its length or its chunks, without looking twice."""
        fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
        if b"content-length" in fields:
            return self.read(connection, buffered, int(fields[b"content-length"]))
        whole = b""
        if b"transfer-encoding" in fields:
            while not whole.endswith(b"0\r\n\r\n"):
                if not buffered:
                    buffered = connection.recv(65536)
                whole, buffered = whole + buffered, b""
        return whole, buffered

    def on_hello(self, connection, head, buffered):
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-From: " + connection.getpeername()[0].encode() + b"\r\n\r\nhello")
        return buffered

    def on_echo(self, connection, head, buffered):
        if b"100-continue" in head:
            connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        body, buffered = self.body(connection, head, buffered)
        self.bodies.append(body)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        return buffered

    def on_chunked(self, connection, head, buffered):
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n5;a=b\r\nhello\r\n6\r\n world\r\n0\r\nX-Sum: 7\r\nHost: evil\r\n\r\n")
        return buffered

    def on_until_close(self, connection, head, buffered):
        connection.sendall(b"HTTP/1.0 200 OK\r\n\r\nhello until the end")

    def on_large(self, connection, head, buffered):
        size = 3_000_000
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + b"x" * size)
        return buffered

    def on_cut(self, connection, head, buffered):
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")

    def on_cut_chunks(self, connection, head, buffered):
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n64\r\nhalf")

    def on_reset(self, connection, head, buffered):
        connection.sendall(b"HTTP/1.0 200 OK\r\n\r\nhalf")
        connection.recv(1)  # until the client has seen it
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

    def on_nothing(self, connection, head, buffered):
        return None

    def on_silent(self, connection, head, buffered):
        connection.recv(1)

    def on_nonsense(self, connection, head, buffered):
        connection.sendall(b"SSH-2.0-OpenSSH\r\n\r\n")

    def on_two_lengths(self, connection, head, buffered):
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 50\r\n\r\nhello")

    def on_socket(self, connection, head, buffered):
        """Another protocol: sends back what comes, and its end."""
        connection.sendall(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n" + buffered)
        while part := connection.recv(65536):
            connection.sendall(part)


class ProxyLab:
    def __init__(self, folder):
        self.namespaces = Namespaces(folder)
        self.lan, self.gw, self.inet = (self.namespaces.host(name) for name in ("lan", "proxy", "inet"))
        self.namespaces.link(self.lan, "lan0", self.gw, "lan0")
        self.namespaces.link(self.gw, "wan0", self.inet, "wan0")
        self.lan.ip("address add 192.168.7.2/24 dev lan0", "address add fd07::2/64 dev lan0 nodad")
        self.gw.ip("address add 192.168.7.1/24 dev lan0", "address add fd07::1/64 dev lan0 nodad", "address add 5.6.7.1/24 dev wan0",
                   "address add 2a00:5::1/64 dev wan0 nodad", "route add default via 5.6.7.8")
        self.inet.ip(f"address add {ORIGIN}/24 dev wan0", f"address add {ORIGIN6}/64 dev wan0 nodad", "address add 10.9.9.1/24 dev wan0")
        names = self.namespaces.new_file("hosts")
        with open(names, "w", encoding="ascii") as file:
            file.write(NAMES)
        for host in (self.gw, self.inet):
            host.sh(f"mount --bind {names} /etc/hosts")
        self.certificate = (f"{folder}/certificate.pem", f"{folder}/key.pem")
        self.inet.run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=o.example",
                      "-addext", f"subjectAltName=DNS:o.example,DNS:six.example,IP:{ORIGIN},IP:{ORIGIN6}", "-out", self.certificate[0], "-keyout", self.certificate[1])
        self.origin = Origin(self.inet, self.certificate)

    def start(self, *arguments, host=None, wait=True):
        process = (host or self.gw).popen(DRPF, "proxy", *arguments)
        if wait:
            process.wait_for_output("READY")
        return process

    def connect(self, port=PORT, host=None, address=PROXY):
        connection = (host or self.lan).socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
        connection.settimeout(SECONDS)
        connection.connect((address, port))
        return connection

    def ask(self, request, **where):
        """What comes back until the proxy ends the connection, or b"" for a reset."""
        with self.connect(**where) as connection:
            connection.sendall(request)
            return read_all(connection)

    def close(self):
        self.namespaces.close()


def read_all(connection):
    whole = b""
    try:
        while part := connection.recv(65536):
            whole += part
    except ConnectionResetError:
        whole += b"(reset)"
    return whole


def read_exactly(connection, size):
    whole = b""
    while len(whole) < size:
        part = connection.recv(size - len(whole))
        assert part, whole
        whole += part
    return whole


def read_until(connection, end):
    whole = b""
    while end not in whole:
        part = connection.recv(65536)
        assert part, whole
        whole += part
    return whole
