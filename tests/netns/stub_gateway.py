"""A stand-in for the gateway, for what the real one does not do on purpose: Debian's wireguard-go, a fixed redirect, and an API whose
answers and silences the test chooses."""
import http.server
import json
import socket
import socketserver
import threading

from namespaces import wait_for

TUNNEL_GATEWAY, TUNNEL_DEVICE = "10.77.0.1", "10.77.0.2"
TUNNEL_GATEWAY_V6, TUNNEL_DEVICE_V6 = "fd77::1", "fd77::2"
API_PORT = 5351
RULES = """
table inet stub {{
  chain in {{ type nat hook prerouting priority -100; policy accept;
    iifname "wan" ip daddr {v4} meta l4proto {{ tcp, udp }} th dport 20000-20009 dnat ip to 10.77.0.2
    iifname "wan" ip6 daddr {v6} meta l4proto {{ tcp, udp }} th dport 20000-20009 dnat ip6 to fd77::2
  }}
  chain out {{ type nat hook postrouting priority 100; policy accept;
    iifname "wg0" oifname "wan" masquerade
  }}
}}
"""


def keys(host):
    private = host.run("wg", "genkey").stdout.strip()
    return private, host.run("wg", "pubkey", stdin=private).stdout.strip()


def leases(first, count=2, state="active"):
    return [{"account": "ann", "device": "home", "protocol": protocol, "public_address": "198.51.100.1", "public_port": port,
             "local_address": TUNNEL_DEVICE, "local_port": port, "kind": "automatic", "state": state, "expires_at": None}
            for port in range(first, first + count) for protocol in ("tcp", "udp")]


class Api:
    """GET /v1/self, GET /v1/self/events, POST /v1/self/disconnect on the gateway's tunnel address."""

    def __init__(self, host, ports):
        self.lock = threading.Condition()
        self.leases, self.version, self.goodbyes, self.closing = ports, 0, 0, False
        api = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def body(self):
                return json.dumps({"account": "ann", "device": "home", "leases": api.leases}).encode()

            def do_GET(self):
                if self.path == "/v1/self":
                    self.send_response(200)
                    self.send_header("Content-Type", "application/json")
                    self.send_header("Content-Length", str(len(self.body())))
                    self.end_headers()
                    self.wfile.write(self.body())
                elif self.path == "/v1/self/events":
                    self.send_response(200)
                    self.send_header("Content-Type", "application/x-ndjson")
                    self.send_header("Transfer-Encoding", "chunked")
                    self.end_headers()
                    self.stream()

            def stream(self):
                seen = -1
                while True:
                    with api.lock:
                        changed = api.lock.wait_for(lambda: api.version != seen or api.closing, 15)
                        if api.closing:
                            return
                        line = (self.body() if changed else b'{"event":"heartbeat"}') + b"\n"
                        seen = api.version
                    self.wfile.write(b"%x\r\n%s\r\n" % (len(line), line))
                    self.wfile.flush()

            def do_POST(self):
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                api.goodbyes += self.path == "/v1/self/disconnect"
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_):
                pass

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = True

            def handle_error(self, *_):
                pass  # a client that went away

        self.server = Server((TUNNEL_GATEWAY, API_PORT), Handler, bind_and_activate=False)
        self.server.socket.close()
        self.server.socket = host.socket(socket.AF_INET, socket.SOCK_STREAM)
        self.server.allow_reuse_address = True
        self.server.server_bind()
        self.server.server_activate()
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True)
        self.thread.start()

    def publish(self, ports):
        with self.lock:
            self.leases = ports
            self.version += 1
            self.lock.notify_all()

    def close(self):
        with self.lock:
            self.closing = True
            self.lock.notify_all()
        self.server.shutdown()
        self.server.server_close()


class StubGateway:
    def __init__(self, lab, host=None, api=True, ports=None, endpoint=None, v6=True):
        self.lab, self.host, self.v6 = lab, host or lab.gw, v6
        self.private, self.public = keys(self.host)
        self.device_private, self.device_public = keys(self.host)
        self.endpoint = endpoint or lab.gw_v4
        self.host.sh("sysctl -q -w net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1")
        self.host.nft(RULES.format(v4=lab.gw_v4, v6=lab.gw_v6))
        self.ports = leases(20000) if ports is None else ports
        self.has_api, self.api = api, None
        self.start()

    def start(self):
        host = self.host
        self.process = host.popen("wireguard-go", "-f", "wg0", env={"LOG_LEVEL": "error", "WG_PROCESS_FOREGROUND": "1"})
        wait_for(lambda: host.run("wg", "show", "wg0", check=False).returncode == 0, 10, "wireguard-go serves its socket")
        host.run("wg", "setconf", "wg0", "/dev/stdin", stdin=f"[Interface]\nPrivateKey = {self.private}\nListenPort = 51820\n"
                 f"[Peer]\nPublicKey = {self.device_public}\nAllowedIPs = {TUNNEL_DEVICE}/32, {TUNNEL_DEVICE_V6}/128\n")
        host.sh(f"ip addr add {TUNNEL_GATEWAY}/16 dev wg0; ip addr add {TUNNEL_GATEWAY_V6}/64 dev wg0; ip link set wg0 mtu 1420 up")
        if self.has_api:
            self.api = Api(host, self.ports)

    def kill(self):
        """As a machine that loses its power: no answer, no reset."""
        if self.api:
            self.host.nft("table inet silent { chain out { type filter hook output priority 0; ip saddr 10.77.0.1 drop; }; }")
            self.api.close()
        self.process.kill()

    def restart(self):
        self.host.run("nft", "delete", "table", "inet", "silent", check=False)
        self.start()

    def configuration(self, allowed="0.0.0.0/0, ::/0", interface="", keepalive=25):
        addresses = f"{TUNNEL_DEVICE}/32" + (f", {TUNNEL_DEVICE_V6}/128" if self.v6 else "")
        return (f"[Interface]\nPrivateKey = {self.device_private}\nAddress = {addresses}\n{interface}\n"
                f"[Peer]\nPublicKey = {self.public}\nAllowedIPs = {allowed}\nEndpoint = {self.endpoint}:51820\nPersistentKeepalive = {keepalive}\n")

    def last_handshake(self):
        return int(self.host.run("wg", "show", "wg0", "latest-handshakes").stdout.split()[1])

    def device_endpoint(self):
        return self.host.run("wg", "show", "wg0", "endpoints").stdout.split()[1]

    def close(self):
        if self.api:
            self.api.close()
