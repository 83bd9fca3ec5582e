"""Who acts in the soak. Each actor runs in a thread of its own until told to stop, and counts what it did and what failed."""
import http.client
import json
import os
import random
import socket
import threading
import time
from collections import Counter, deque

from gateway import ConnectedDevice, WireGuardDevice
from traffic import connect, family_of

API_PORT = 5351
REQUESTED_TO = range(8080, 8090)  # where the leases lead that a device asked for: one each
LATENCIES_KEPT = 20_000


class Ledger:
    """Counts of everything, and how long the last answers took; shared by all actors."""

    def __init__(self):
        self.lock = threading.Lock()
        self.counts, self.failures = Counter(), Counter()
        self.latencies = deque(maxlen=LATENCIES_KEPT)
        self.examples = {}

    def done(self, what, count=1):
        with self.lock:
            self.counts[what] += count

    def failed(self, what, why):
        with self.lock:
            self.failures[what] += 1
            self.examples.setdefault(what, f"{time.strftime('%H:%M:%S')} {why}")

    def took(self, seconds):
        with self.lock:
            self.latencies.append(seconds)

    def take_latencies(self):
        with self.lock:
            taken = list(self.latencies)
            self.latencies.clear()
        return taken


class Actor(threading.Thread):
    """`pause`: mean seconds between two steps; they come at random, as in life."""
    pause = 1.0

    def __init__(self, soak, name):
        super().__init__(name=name, daemon=True)
        self.soak, self.ledger, self.random = soak, soak.ledger, random.Random(f"{soak.seed}-{name}")

    def run(self):
        while not self.soak.stopping.wait(min(self.random.expovariate(1 / self.pause), 5 * self.pause)):
            try:
                self.step()
            except Exception as error:  # an actor that dies would make a quiet soak: what went wrong is counted and shown instead
                if not self.soak.stopping.is_set():
                    self.ledger.failed(self.name, f"{type(error).__name__}: {error}")

    def step(self):
        raise NotImplementedError


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=20)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class InnerConnection(http.client.HTTPConnection):
    """From a device, through its tunnel."""

    def __init__(self, host, address):
        super().__init__(address, API_PORT, timeout=6)
        self.inside = host

    def connect(self):
        self.sock = connect(self.inside, self.host, self.port, self.timeout)


def ask(connection, method, path, body=None, ledger=None):
    """Status and JSON of one request."""
    start = time.monotonic()
    headers = {"Content-Type": "application/json"} if body is not None else {}
    connection.request(method, path, None if body is None else json.dumps(body), headers)
    response = connection.getresponse()
    text = response.read()
    if ledger:
        ledger.took(time.monotonic() - start)
    return response.status, json.loads(text) if text else None


class Administrator(Actor):
    """Reads, makes and removes accounts, devices and leases over the unix socket; opens event streams, reads some, leaves others unread."""
    pause = 0.5

    def __init__(self, soak, name):
        super().__init__(soak, name)
        self.made, self.number, self.streams = [], 0, []

    def ask(self, method, path, body=None, expected=(200, 201, 204)):
        connection = UnixConnection(self.soak.gateway.socket)
        try:
            status, answer = ask(connection, method, path, body, self.ledger)
        finally:
            connection.close()
        self.ledger.done("administration requests")
        if status not in expected:
            raise RuntimeError(f"{method} {path} answered {status}: {answer}")
        return answer

    def step(self):
        self.random.choices((self.read, self.add, self.remove, self.lease, self.stream), (8, 1, 1, 4, 1))[0]()

    def read(self):
        self.ask("GET", self.random.choice(("/v1/status", "/v1/leases", "/v1/devices", "/v1/accounts")))

    def add(self):
        if len(self.made) >= 20:
            return self.remove()
        self.number += 1
        account = f"passing{self.number}"
        self.ask("POST", "/v1/accounts", {"name": account, "plan": "business"})
        self.made.append(account)
        self.ask("POST", "/v1/devices", {"account": account, "name": f"{account}-nas"})
        self.ask("GET", f"/v1/devices/{account}-nas/config")
        return self.ask("POST", "/v1/leases", {"device": f"{account}-nas", "count": self.random.randint(1, 5)})

    def remove(self):
        if self.made:
            self.ask("DELETE", f"/v1/accounts/{self.made.pop(self.random.randrange(len(self.made)))}")

    def lease(self):
        if not self.made:
            return
        device = f"{self.random.choice(self.made)}-nas"
        for row in self.ask("POST", "/v1/leases", {"device": device, "protocol": "both", "local_port": 110})[:1]:
            where = f"{row['host']}/{row['protocol']}/{row['public_port']}"
            self.ask("PATCH", f"/v1/leases/{where}", {"local_port": self.random.randint(1024, 60000)})
            self.ask("DELETE", f"/v1/leases/{where}")
            other = "udp" if row["protocol"] == "tcp" else "tcp"
            self.ask("DELETE", f"/v1/leases/{row['host']}/{other}/{row['public_port']}")

    def stream(self):
        held = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        held.settimeout(5)
        held.connect(self.soak.gateway.socket)
        held.sendall(b"GET /v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
        self.ledger.done("event streams")
        self.streams.append(held)
        if len(self.streams) > 6:
            self.streams.pop(self.random.randrange(len(self.streams))).close()


class DeviceLife(Actor):
    """Connects one device, uses its own API, leaves with or without a good-bye, comes back."""
    pause = 3.0

    def __init__(self, soak, home, kind, steady=False):
        super().__init__(soak, home.name)
        self.home, self.kind, self.steady = home, kind, steady
        self.device = None
        self.ports = []
        self.own = []  # leases that it asked for: (host, protocol, public port, local port)
        self.up_since = 0.0
        self.configuration = soak.gateway.add_device(f"owner-{home.name}", home.name, plan="business")

    def connected(self):
        return self.device is not None and time.monotonic() - self.up_since > 5

    def visited_ports(self):
        return list(self.ports) + [port for _, _, port, _ in self.own] if self.connected() else []

    def step(self):
        if self.device is None:
            self.come()
            return
        if not self.connected():
            return
        actions = {self.renew: 10, self.release: 6, self.look: 6}
        if not self.steady:
            actions[self.leave] = 1.5
        self.random.choices(list(actions), list(actions.values()))[0]()

    def come(self):
        self.device = WireGuardDevice(self.home, self.configuration) if self.kind == "wireguard-go" else ConnectedDevice(
            self.home, self.configuration, "--interface", "wg0", "--no-kill-switch")
        self.up_since = time.monotonic()
        self.ledger.done("connects")
        if not self.ports:
            if self.kind == "wireguard-go":  # stock WireGuard is silent until something is sent
                self.home.run("ping", "-c1", "-W2", self.gateway_address(), check=False)
            self.ports = self.soak.gateway.wait_for_ports(self.home.name, seconds=60)
            for port in self.ports + list(REQUESTED_TO):
                self.soak.servers.serve(self.home, port)

    def gateway_address(self):
        return self.device.address().rsplit(".", 1)[0] + ".1"

    def ask(self, method, path, body=None):
        connection = InnerConnection(self.home, self.gateway_address())
        try:
            status, answer = ask(connection, method, path, body)
        finally:
            connection.close()
        self.ledger.done("device requests")
        return status, answer

    def look(self):
        status, answer = self.ask("GET", "/v1/self")
        if status != 200:
            raise RuntimeError(f"GET /v1/self answered {status}: {answer}")

    def renew(self):
        """Asks for a new lease, or renews one that it has by asking for the same again."""
        body = {"local_port": self.random.choice(REQUESTED_TO), "lifetime_s": 60, "protocol": self.random.choice(("tcp", "udp"))}
        renewal = self.own and self.random.random() < 0.5
        if renewal:
            host, protocol, port, local_port = self.random.choice(self.own)
            body |= {"host": host, "protocol": protocol, "port": port, "local_port": local_port}
        elif len(self.own) >= 10:
            return self.release()
        status, answer = self.ask("POST", "/v1/self/leases", body)
        if status == 201:
            row = answer[0]
            key = (row["host"], row["protocol"], row["public_port"], row["local_port"])
            if key not in self.own:
                self.own.append(key)
            self.ledger.done("renewals" if renewal else "requests")
        elif renewal and status == 409:  # it had ended
            self.own.remove((host, protocol, port, local_port))
        else:
            raise RuntimeError(f"POST /v1/self/leases {body} answered {status}: {answer}")
        return None

    def release(self):
        if self.own:
            host, protocol, port, _ = self.own.pop(self.random.randrange(len(self.own)))
            status, answer = self.ask("DELETE", f"/v1/self/leases/{host}/{protocol}/{port}")
            if status not in (204, 404):  # 404: it had ended
                raise RuntimeError(f"DELETE of {port}/{protocol} answered {status}: {answer}")
            self.ledger.done("releases")

    def leave(self):
        device, self.device = self.device, None
        if self.kind == "wireguard-go" or self.random.random() < 0.5:
            device.kill() if self.kind != "wireguard-go" else device.disconnect()
            self.ledger.done("kill -9 of clients")
        else:
            device.disconnect()
            self.ledger.done("good-byes")
        if os.path.exists(device.process.log):
            os.truncate(device.process.log, 0)


class Visitors(Actor):
    """Visits whatever is leased at the moment, by both protocols and both families, and keeps a few connections open."""
    pause = 0.12

    def __init__(self, soak, name):
        super().__init__(soak, name)
        self.open = []

    def step(self):
        device = self.random.choice(self.soak.devices)
        ports = device.visited_ports()
        if not ports:
            return
        port = self.random.choice(ports)
        address = self.random.choice((self.soak.lab.gw_v4, self.soak.lab.gw_v6))
        undisturbed = self.soak.undisturbed()
        by = self.random.choice((self.tcp, self.udp))
        answered = by(address, port)
        if device.steady and port in device.ports and undisturbed and self.soak.undisturbed():
            # Only here may it be said who is at fault: nobody has left, killed, flushed or reloaded anything.
            self.ledger.done("visits that must succeed")
            if not answered:
                self.ledger.failed("visits that must succeed", f"{by.__name__} {address} port {port}")
        self.ledger.done("visits answered" if answered else "visits to who was away")

    def tcp(self, address, port):
        try:
            connection = connect(self.soak.lab.inet, address, port, seconds=3)
        except OSError:
            return False
        try:
            connection.sendall(b"soak" * 64)
            answered = bool(connection.recv(1024))
        except OSError:
            answered = False
        if answered and self.random.random() < 0.02:
            self.open.append(connection)
            if len(self.open) > 10:
                self.open.pop(0).close()
        else:
            connection.close()
        return answered

    def udp(self, address, port):
        with self.soak.lab.inet.socket(family_of(address), socket.SOCK_DGRAM) as sender:
            sender.settimeout(1)
            for _ in range(3):
                try:
                    sender.connect((address, port))
                    sender.send(b"soak" * 16)
                    if sender.recv(1024):
                        return True
                except OSError:
                    continue
        return False


class Disturbances(Actor):
    """Reloads, clock jumps, foreign flushes; and restarts of the gateway where they were asked for."""
    pause = 20.0

    def step(self):
        actions = {self.reload: 4, self.bad_reload: 1, self.jump: 2, self.flush: 1, self.forget_flows: 1, self.flush_rules: 1}
        if self.soak.restarts:
            actions |= {self.kill_gateway: 2, self.restart_gateway: 2}
        self.soak.disturb(self.random.choices(list(actions), list(actions.values()))[0])

    def reload(self):
        self.soak.write_configuration()
        self.soak.gateway.reload()
        self.ledger.done("reloads")

    def bad_reload(self):
        self.soak.gateway.write_config("[ports]\npool = \"nowhere\"\n")
        self.soak.gateway.reload()
        self.ledger.done("refused reloads")
        time.sleep(1)
        self.soak.write_configuration()

    def jump(self):
        self.soak.set_clock(self.random.choice((0, 3600, -3600, 86400, -86400, 30, -30)))
        self.ledger.done("clock jumps")

    def flush(self):
        self.soak.lab.gw.run("nft", "flush", "ruleset", check=False)
        self.ledger.done("foreign flushes of the rule set")

    def forget_flows(self):
        self.soak.lab.gw.run("conntrack", "-F", check=False)
        self.ledger.done("foreign flushes of the flows")

    def flush_rules(self):
        self.soak.lab.gw.sh("ip rule del priority 100 || true; ip -6 rule del priority 100 || true")
        self.ledger.done("removed routing rules")

    def kill_gateway(self):
        self.soak.gateway.kill()
        self.soak.gateway.start()
        self.ledger.done("kill -9 of the gateway")

    def restart_gateway(self):
        self.soak.gateway.stop()
        self.soak.gateway.start()
        self.ledger.done("restarts of the gateway")
