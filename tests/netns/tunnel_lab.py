"""The lab of redirect_lab.py over a real tunnel: drpf's engine on the gateway's tun0, wireguard-go on the devices.

    inet 198.51.100.20 ── isp ── wan gw tun0 ═══ WireGuard ═══ ann 10.77.0.2  (outside the tunnel: 198.51.100.31)
                                                          ═══ bob 10.77.0.3  (198.51.100.32)

Made once for many attacks: rules are taken out and put back by `without`, and each attack begins with `fresh()`.
"""
import contextlib
import itertools
import re
import subprocess

from namespaces import wait_for
from redirect_lab import PROBE_DOOR, Device, Probe, RedirectLab
from test_wireguard_engine import ENGINE

TUNNEL_V4, TUNNEL_V6 = "10.77.0.0/16", "fd77::/64"
KEEPALIVE_S = 10


def wg(*arguments, stdin=None):
    return subprocess.run(["wg", *arguments], input=stdin, capture_output=True, text=True, check=True).stdout.strip()


class TunnelDevice(Device):
    def __init__(self, host, number, wan_v4, wan_v6):
        super().__init__(host, f"10.77.0.{number}", f"fd77::{number}", wan_v4, wan_v6)
        self.private_key = wg("genkey")
        self.public_key = wg("pubkey", stdin=self.private_key)

    def own(self):
        return f"{self.v4}/32,{self.v6}/128"

    def connect(self, gateway_key, endpoint):
        self.host.popen("wireguard-go", "-f", "tunnel", env={"LOG_LEVEL": "error"})
        wait_for(lambda: self.host.run("wg", "show", "tunnel", check=False).returncode == 0, 10, "wireguard-go serves its socket")
        self.host.run("wg", "setconf", "tunnel", "/dev/stdin", stdin=f"[Interface]\nPrivateKey = {self.private_key}\n[Peer]\nPublicKey = {gateway_key}\n"
                      f"Endpoint = {endpoint}\nAllowedIPs = 0.0.0.0/0, ::/0\nPersistentKeepalive = {KEEPALIVE_S}\n")
        self.host.sh(f"ip addr add {self.v4}/32 dev tunnel; ip addr add {self.v6}/128 dev tunnel nodad; ip link set tunnel mtu 1420 up")
        for ip, address in (("ip", self.v4), ("ip -6", self.v6)):
            self.host.sh(f"{ip} route add default dev tunnel table 100; {ip} rule add from {address} lookup 100")


class TunnelLab(RedirectLab):
    SILENT_PORT = 41099  # where the visitor's host answers nothing, so that half-open connections stay so
    patience = 0.4  # seconds to wait for what must not come; where it must come, attacks are given more

    def __init__(self, lab):
        self.lab, self.gw, self.inet = lab, lab.gw, lab.inet
        private_key = wg("genkey")
        public_key = wg("pubkey", stdin=private_key)
        self.a, self.b = self._device("ann", 2), self._device("bob", 3)
        path = lab.namespaces.new_file("engine-conf")
        with open(path, "w", encoding="ascii") as file:
            file.write(f"[Interface]\nPrivateKey = {private_key}\nListenPort = 51820\n")
            for device in (self.a, self.b):
                file.write(f"[Peer]\nPublicKey = {device.public_key}\nAllowedIPs = {device.own()}\n")
        self.engine_process = self.gw.popen(ENGINE, path, "--interface", "tun0")
        self.engine_process.wait_for_output("READY")
        self.gw.sh("ip addr add 10.77.0.1/16 dev tun0; ip addr add fd77::1/64 dev tun0 nodad; ip link set tun0 mtu 1420 up")
        self.inet.sh(f"ip route add {TUNNEL_V4} via {lab.gw_v4}; ip -6 route add {TUNNEL_V6} via {lab.gw_v6}")  # an attacker's route
        self.inet.nft(f"table inet silent {{ chain out {{ type filter hook output priority 0; tcp sport {self.SILENT_PORT} tcp flags & rst == rst drop; }}; }}\n")
        self.make_door()
        self.generations = itertools.count(1000)
        self.installed, self.taken = {}, []
        # Not owned, so that a test can bend a rule with nft; that the structure is the same is another test's business.
        self.probe = Probe(self.gw)
        for setting in ("public wan", "tunnel tun0", f"tunnel_v4 {TUNNEL_V4}", f"tunnel_v6 {TUNNEL_V6}", f"host {lab.gw_v4}", f"host {lab.gw_v6}",
                        "input_tcp 22", PROBE_DOOR):
            self.probe.ask("set", setting)
        self.probe.ask("start", "no-ownership")
        self.devices_are_here(self.probe)
        for device in (self.a, self.b):
            device.connect(public_key, f"{lab.gw_v4}:51820")
        for device in (self.a, self.b):
            wait_for(lambda: device.host.run("ping", "-c1", "-W1", "-I", device.v4, "10.77.0.1", check=False).returncode == 0, 15, "the tunnel is up")

    def _device(self, name, number):
        return TunnelDevice(self.lab.add_visitor(name, 29 + number), number, self.lab.plan.address4(29 + number), self.lab.plan.address6(29 + number))

    def fresh(self):
        """No lease, no connection: nothing of the attack before."""
        if self.installed:
            for words in self.installed.values():
                self.probe.ask("remove", *words)
            self.probe.ask("commit")
            self.installed.clear()
        self.gw.sh("conntrack -q -F 2>/dev/null || conntrack -F 2>/dev/null")

    def lease(self, protocol, version, port, device, local=None, lifetime_ms=600_000):
        """Installs a lease; returns its generation."""
        generation = next(self.generations)
        words = self.words(generation, protocol, version, port, device, local, lifetime_ms)
        self.probe.ask("install", *words)
        self.probe.ask("commit")
        self.installed[protocol, version, port] = words
        return generation

    def unlease(self, protocol, version, port):
        self.probe.ask("remove", *self.installed.pop((protocol, version, port)))
        self.probe.ask("commit")

    def state(self):
        """What the gateway and the devices counted."""
        rules = [line.strip() for line in self.gw.sh("nft list table inet drpf").splitlines() if re.search(r"packets [1-9]", line)]
        return "\n".join([*rules, self.gw.sh("wg show tun0; conntrack -L 2>/dev/null; ip -s neigh"),
                          *(device.host.sh("wg show tunnel; ip -s link show tunnel; ip -s neigh") for device in (self.a, self.b))])

    # --- taking protections away

    @contextlib.contextmanager
    def settings(self, *settings):
        """Other words of the rule set, as a configuration file would give them; what stands after the colon is set afterwards."""
        for setting in settings:
            self.probe.ask("set", setting.split(" : ")[0])
        self.probe.ask("ruleset")
        try:
            yield
        finally:
            for setting in settings:
                self.probe.ask("set", setting.split(" : ")[1])
            self.probe.ask("ruleset")

    @contextlib.contextmanager
    def taken_out(self, *removals):
        """Each of: the name of a rule; `rule -> other text`; `policy CHAIN`; `! shell command in the gateway`, with ` : its undoing`."""
        rules = [removal for removal in removals if " " not in removal]
        undo = []
        for name in rules:
            self.probe.ask("set", "without", name)
        if rules:
            self.probe.ask("ruleset")
        try:
            for removal in removals:
                if removal.startswith("! "):
                    command, _, back = removal[2:].partition(" : ")
                    self.gw.sh(self.filled(command))
                    undo.append(back)
                elif removal.startswith("policy "):
                    self.gw.sh(f"nft 'chain inet drpf {removal.split()[1]} {{ policy accept; }}'")
                elif removal.startswith("priority "):
                    self.move(*removal.split()[1:])
                elif " -> " in removal:
                    self.bend(*removal.split(" -> "))
            yield
        finally:
            for back in reversed(undo):
                if back:
                    self.gw.sh(self.filled(back))
            self.probe.ask("set", "with_all yes")
            self.probe.ask("ruleset")

    def filled(self, text):
        return text.format(a=self.a.public_key, b=self.b.public_key, a_own=self.a.own(), b_own=self.b.own())

    def bend(self, name, text):
        chain, handle = self.place(name)
        self.gw.nft(f'replace rule inet drpf {chain} handle {handle} {text} comment "{name}"\n')

    def move(self, chain, priority):
        """The chain at another place among the hooks."""
        head, *body = self.gw.sh(f"nft list chain inet drpf {chain}").splitlines()
        text = re.sub(r"priority [^;]*;", f"priority {priority};", "\n".join([head, *body]))
        self.gw.nft(f"flush chain inet drpf {chain}\ndelete chain inet drpf {chain}\n{text}\n")

    def place(self, name):
        chain = None
        for line in self.gw.sh("nft -a list table inet drpf").splitlines():
            if line.strip().startswith("chain "):
                chain = line.split()[1]
            if f'comment "{name}"' in line:
                return chain, line.rsplit("handle ", 1)[1]
        raise AssertionError(f"no rule {name}")
