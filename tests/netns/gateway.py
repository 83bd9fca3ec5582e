"""The real `drpf gateway` in a host of the lab, and devices that connect to it: stock wireguard-go and `drpf connect`."""
import ipaddress
import json
import os
import re
import signal
import socket

from namespaces import wait_for

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
DRPF = os.path.abspath(os.environ.get("DRPF", os.path.join(ROOT, "build", "release", "drpf")))
READY_SECONDS_MAX = 20
ENGINE = os.environ.get("DRPF_ENGINE")  # of all gateways here, where another than the usual one is to be tried


class Gateway:
    """Starts at once and waits for READY. `config` is the text of a configuration file, None for none."""

    def __init__(self, lab, config=None, host=None, state=None, start=True, arguments=()):
        self.lab, self.host = lab, host or lab.gw
        self.folder = os.path.join(lab.folder, f"drpf-{self.host.name}")
        os.makedirs(self.folder, exist_ok=True)
        self.state = state or os.path.join(self.folder, "state")
        self.socket = os.path.join(self.folder, "drpf.sock")
        self.config = os.path.join(self.folder, "drpf.toml")
        self.arguments = list(arguments)
        self.log = os.path.join(lab.folder, f"00-gateway-{self.host.name}.log")
        if ENGINE:
            config = f'[tunnel]\nengine = "{ENGINE}"\n' + (config or "").replace("[tunnel]\n", "")
        self.has_config = config is not None
        if self.has_config:
            self.write_config(config)
        self.process = None
        if start:
            self.start()

    def write_config(self, text):
        with open(self.config, "w", encoding="utf-8") as file:
            file.write(text)

    def start(self, wait=True):
        seen = os.path.getsize(self.log) if os.path.exists(self.log) else 0
        command = [DRPF, "gateway", "--state", self.state, "--socket", self.socket] + self.arguments
        if self.has_config:
            command += ["--config", self.config]
        self.process = self.host.popen(*command, log=self.log)
        if wait:
            self.process.wait_for_output("READY", READY_SECONDS_MAX, after=seen)
        return self

    def stop(self):
        return self.process.stop(signal.SIGTERM, 20)

    def kill(self):
        return self.process.kill()

    def reload(self, refused=False):
        """Has the configuration read again, and sees that it is taken (or refused); returns what the log said meanwhile."""
        seen = len(self.log_text())
        self.process.send_signal(signal.SIGHUP)
        self.process.wait_for_output("the configuration stays as it was" if refused else "configuration read again", 10, after=seen)
        return self.log_text()[seen:]

    def log_text(self):
        return self.process.output()

    def cli_result(self, *arguments, **options):
        """The CompletedProcess of an admin command, whatever its exit code."""
        return self.host.run(DRPF, *arguments, env={"DRPF_SOCKET": self.socket}, check=False, **options)

    def cli(self, *arguments):
        """Standard output of an admin command that must succeed."""
        result = self.cli_result(*arguments)
        assert result.returncode == 0, f"drpf {' '.join(map(str, arguments))} ended with {result.returncode}:\n{result.stdout}{result.stderr}"
        return result.stdout

    def cli_json(self, *arguments):
        return json.loads(self.cli(*arguments, "--json"))

    def add_device(self, account, device, plan=None):
        """Makes the account if it is new; returns the device's wg-quick configuration."""
        known = [row["name"] for row in self.cli_json("account", "list")]
        if account not in known:
            self.cli("account", "add", account, *(["--plan", plan] if plan else []))
        return self.cli("device", "add", account, device)

    def leases(self, device=None, state=None):
        rows = self.cli_json("lease", "list")
        return [row for row in rows if (device is None or row["device"] == device) and (state is None or row["state"] == state)]

    def ports(self, device, protocol="tcp", state=None):
        """Public ports of the device on the first public IPv4 address, in order."""
        return sorted({row["public_port"] for row in self.leases(device, state) if row["protocol"] == protocol})

    def wait_for_ports(self, device, count=5, seconds=20, state="active"):
        return wait_for(lambda: len(ports := self.ports(device, state=state)) == count and ports, seconds, f"{device} has {count} ports in state {state}")


class WgQuickFile:
    """What a wg-quick configuration says, in parts."""

    def __init__(self, text):
        self.text = text
        self.sections = []
        for line in text.splitlines():
            line = line.split("#")[0].strip()
            if line.startswith("["):
                self.sections.append((line.strip("[]").lower(), []))
            elif "=" in line:
                key, value = (part.strip() for part in line.split("=", 1))
                self.sections[-1][1].append((key.lower(), value))

    def values(self, section, key):
        return [part.strip() for name, pairs in self.sections if name == section for found, value in pairs if found == key.lower() for part in value.split(",")]

    def addresses(self):
        return self.values("interface", "Address")

    def address(self, version):
        return next(str(ipaddress.ip_interface(text).ip) for text in self.addresses() if ipaddress.ip_interface(text).version == version)

    def gateway6(self):
        """The gateway's own address inside, in IPv6: each gateway has a prefix of its own."""
        return str(ipaddress.ip_network(f"{self.address(6)}/64", strict=False)[1])

    def without_wg_quick_keys(self):
        """The text that `wg setconf` takes."""
        only_wg_quick = ("address", "dns", "mtu", "table", "preup", "postup", "predown", "postdown", "saveconfig")
        return "\n".join(line for line in self.text.splitlines() if line.split("=")[0].strip().lower() not in only_wg_quick) + "\n"


class WireGuardDevice:
    """A stock client: Debian's wireguard-go and wg, with the routes that wg-quick would make; everything goes into the tunnel."""

    def __init__(self, host, text, interface="wg0", routes=True):
        self.host, self.interface, self.file = host, interface, WgQuickFile(text)
        self.process = host.popen("wireguard-go", "-f", interface, env={"LOG_LEVEL": "error", "WG_PROCESS_FOREGROUND": "1"})
        wait_for(lambda: host.run("wg", "show", interface, check=False).returncode == 0, 10, "wireguard-go serves its socket")
        host.run("wg", "setconf", interface, "/dev/stdin", stdin=self.file.without_wg_quick_keys())
        for address in self.file.addresses():
            host.run("ip", "addr", "add", address, "dev", interface)
        mtu = (self.file.values("interface", "MTU") or ["1420"])[0]
        host.run("ip", "link", "set", interface, "mtu", mtu, "up")
        if routes:
            self._route()

    def _route(self):
        host = self.host
        endpoint = self.file.values("peer", "Endpoint")[0].rsplit(":", 1)[0].strip("[]")
        for allowed in self.file.values("peer", "AllowedIPs"):
            network = ipaddress.ip_network(allowed, strict=False)
            family = "-6" if network.version == 6 else "-4"
            if network.prefixlen == 0:
                if network.version == ipaddress.ip_address(endpoint).version:
                    via = host.run("ip", family, "route", "show", "default").stdout.split("via ")[1].split()[0]
                    host.run("ip", family, "route", "replace", endpoint, "via", via)
                for half in network.subnets():
                    host.run("ip", family, "route", "replace", half, "dev", self.interface)
            elif not host.run("ip", family, "route", "show", network, "dev", self.interface).stdout.strip():
                host.run("ip", family, "route", "replace", network, "dev", self.interface)

    def address(self, version=4):
        return self.file.address(version)

    def port(self):
        """Outside the tunnel."""
        return int(self.host.run("wg", "show", self.interface, "listen-port").stdout)

    def latest_handshake(self):
        return int(self.host.run("wg", "show", self.interface, "latest-handshakes").stdout.split()[1])

    def disconnect(self):
        """As a machine that is switched off: no good-bye."""
        self.process.kill()


class ConnectedDevice:
    """`drpf connect` with a configuration file."""

    def __init__(self, host, text, *arguments, folder=None):
        self.host, self.file = host, WgQuickFile(text)
        folder = folder or host.namespaces.folder
        self.path = os.path.join(folder, f"{host.name}.conf")
        with open(self.path, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(self.path, 0o600)
        self.ports_file = os.path.join(folder, f"{host.name}.ports")
        self.arguments = arguments
        self.start()

    def start(self):
        self.process = self.host.popen(DRPF, "connect", self.path, "--ports-file", self.ports_file, *self.arguments)

    def address(self, version=4):
        return self.file.address(version)

    def disconnect(self):
        """Says good-bye: SIGTERM."""
        return self.process.stop(signal.SIGTERM, 15)

    def kill(self):
        return self.process.kill()


class NoAnswer(Exception):
    """The gateway was not there, or died over it."""


def call(path, method, target, body=None, seconds=10):
    """One exchange with the admin API; (status, value). Raises NoAnswer when the answer is not whole."""
    text = json.dumps(body) if body is not None else ""
    request = f"{method} {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {len(text)}\r\n\r\n{text}"
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(seconds)
    try:
        connection.connect(path)
        connection.sendall(request.encode())
        answer = b""
        while part := connection.recv(1 << 20):
            answer += part
    except OSError as error:
        raise NoAnswer from error
    finally:
        connection.close()
    head, split, rest = answer.partition(b"\r\n\r\n")
    length = re.search(rb"content-length: *(\d+)", head, re.IGNORECASE)
    if not split or (length and len(rest) < int(length[1])):
        raise NoAnswer
    return int(head.split()[1]), json.loads(rest) if rest else None
