"""Programs that ask for ports, unchanged, over wg-quick with wireguard-go: Transmission, qBittorrent, and C programs with their libraries."""
import json
import os
import re
import subprocess
import threading

import pytest
from gateway import ROOT, ConnectedDevice, Gateway, WireGuardDevice
from lab import Plan
from namespaces import wait_for
from torrent_programs import INFO_HASH, Qbittorrent, Transmission, bittorrent_visit
from traffic import Capture, TcpServer, UdpServer, tcp_visit, udp_visit

CLIENTS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "clients")
WG_QUICK = {"WG_QUICK_USERSPACE_IMPLEMENTATION": "wireguard-go", "LOG_LEVEL": "error"}
GATEWAY, ME = "10.77.0.1", "10.77.0.2"
FINDABLE = "0.0.0.0/8"
NAT_PMP_OUT_OF_RESOURCES = -53  # as libnatpmp names it
PUBLIC = Plan(v4="9.9.9.0/24")  # libminiupnpc believes in no gateway with an address for documentation
TRACKER_PORT = 6969


class Laptop:
    """A home that is connected with the configuration as it was generated; `findable` takes what its comment offers."""

    def __init__(self, lab, gateway, findable=True, inbound_only=False):
        self.lab, self.gateway, self.host = lab, gateway, lab.homes[0]
        text = gateway.add_device("ann", "laptop")
        if inbound_only:
            text = gateway.cli("device", "config", "laptop", "--inbound-only")
        elif findable:
            text, count = re.subn(r"^# .*: (PostUp = ip route add 0\.0\.0\.0/8 .*)$", r"\1", text, flags=re.MULTILINE)
            assert count == 1, text
        self.path, self.log = os.path.join(lab.folder, "wg0.conf"), os.path.join(lab.folder, "00-wg-quick.log")
        with open(self.path, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(self.path, 0o600)
        self.host.sh(f"wg-quick up {self.path} >{self.log} 2>&1 || {{ cat {self.log} >&2; exit 1; }}", env=WG_QUICK)
        self.ports = gateway.wait_for_ports("laptop")

    def local_port(self, public, protocol="tcp"):
        """Where a public port leads."""
        return next(row["local_port"] for row in self.gateway.leases("laptop")
                    if (row["public_port"], row["protocol"]) == (public, protocol) and ":" not in row["public_address"])

    def public_port(self, local, protocol="tcp"):
        """The public port that leads to a local one, None if there is none."""
        return next((port for port in self.ports if self.local_port(port, protocol) == local), None)

    def wait_for_public_port(self, local, protocol="tcp", seconds=25):
        return wait_for(lambda: self.public_port(local, protocol), seconds, f"a public port leads to {local}/{protocol}", every=0.2)


class Tracker:
    """Answers announces in lab.inet and remembers the ports that programs say they have."""

    def __init__(self, lab):
        self.magnet = f"magnet:?xt=urn:btih:{bytes(range(20, 40)).hex()}&tr=http://{lab.inet_v4}:{TRACKER_PORT}/announce"
        self.listener, self.announced = lab.inet.socket(), []
        self.listener.bind((lab.inet_v4, TRACKER_PORT))
        self.listener.listen(50)
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                connection, (address, _) = self.listener.accept()
            except OSError:
                return
            with connection:
                connection.settimeout(2)
                try:
                    if found := re.match(rb"GET /announce\?.*?&port=(\d+)", connection.recv(4096)):
                        self.announced.append((address, int(found[1])))
                    connection.sendall(b"HTTP/1.0 200 OK\r\n\r\nd8:intervali1800e12:min intervali1e5:peers0:e")
                except OSError:
                    pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.close()


@pytest.fixture(scope="session")
def build(tmp_path_factory):
    """build("natpmp", "natpmp_client"): the path of a program made of one of our sources and the library."""
    def make(library, name):
        path = tmp_path_factory.mktemp("clients") / name
        subprocess.run(["cc", "-Wall", "-Wextra", "-Werror", "-O1", "-o", path, os.path.join(CLIENTS, f"{name}.c"), f"-l{library}"], check=True)
        return path
    return make


def ask(host, program, *arguments):
    """(words by name, exit code) of what a C program prints."""
    result = host.run(program, *arguments, check=False)
    return dict(line.split(" ", 1) for line in result.stdout.splitlines()), result.returncode


def is_reached(lab, port):
    wait_for(lambda: bittorrent_visit(lab.inet, lab.gw_v4, port, seconds=1) == INFO_HASH, 15, "a peer from outside is answered", every=0.2)


# --- the gateway is found

def test_libnatpmp_finds_the_gateway_and_maps_both_protocols(lab, gateway, build):
    laptop, client = Laptop(lab, gateway), build("natpmp", "natpmp_client")
    assert ask(laptop.host, client, "address") == ({"gateway": GATEWAY, "address": lab.gw_v4}, 0)
    assert f"using gateway : {GATEWAY}" in laptop.host.run("natpmpc").stdout
    words, _ = ask(laptop.host, client, "map", "udp", 4000, 0, 600)
    local, public, lifetime = map(int, words["mapped"].split())
    assert (local, lifetime) == (4000, 600) and public in laptop.ports
    assert ask(laptop.host, client, "map", "tcp", 4000, 1, 99999999)[0]["mapped"].split()[:2] == ["4000", str(public)]
    with TcpServer(laptop.host, 4000), UdpServer(laptop.host, 4000), TcpServer(lab.inet, 80):
        assert tcp_visit(lab.inet, lab.gw_v4, public).startswith(f"you are {lab.inet_v4} ")
        assert udp_visit(lab.inet, lab.gw_v4, public)
        assert tcp_visit(laptop.host, lab.inet_v4, 80).startswith(f"you are {lab.gw_v4} "), "the rest goes into the tunnel as before"
    assert ask(laptop.host, client, "map", "tcp", 4000, 0, 0) == ({"mapped": "4000 0 0"}, 0)
    assert (laptop.local_port(public), laptop.local_port(public, "udp")) == (public, 4000)
    for number in range(4):
        assert ask(laptop.host, client, "map", "udp", 4001 + number, 0, 600)[1] == 0
    assert ask(laptop.host, client, "map", "udp", 4005, 0, 600) == ({"error": str(NAT_PMP_OUT_OF_RESOURCES)}, 1)
    laptop.host.run("wg-quick", "down", laptop.path, env=WG_QUICK)
    assert FINDABLE.split("/", maxsplit=1)[0] not in laptop.host.run("ip", "route").stdout


def test_without_the_route_a_program_asks_the_home_router(lab, gateway, build):
    """What the comment in the configuration is for."""
    laptop = Laptop(lab, gateway, findable=False)
    client = build("natpmp", "natpmp_client")
    with Capture(lab.routers[0], "lan", "udp dst port 5351") as asked:
        laptop.host.popen(client, "address")
        asked.wait_for_packets()
    laptop.host.run("ip", "route", "add", FINDABLE, "via", GATEWAY, "dev", "wg0", "onlink")
    assert ask(laptop.host, client, "address")[0]["gateway"] == GATEWAY


def test_an_inbound_only_device_is_findable_and_keeps_its_own_way(lab, gateway, build):
    laptop, client = Laptop(lab, gateway, inbound_only=True), build("natpmp", "natpmp_client")
    assert ask(laptop.host, client, "address")[0]["gateway"] == GATEWAY
    public = int(ask(laptop.host, client, "map", "tcp", 4000, 0, 600)[0]["mapped"].split()[1])
    with TcpServer(laptop.host, 4000), TcpServer(lab.inet, 80):
        assert tcp_visit(lab.inet, lab.gw_v4, public).startswith(f"you are {lab.inet_v4} ")
        assert tcp_visit(laptop.host, lab.inet_v4, 80).startswith("you are 198.51.100.11 ")


def test_routes_by_hand_with_the_gateway_as_next_hop(lab, gateway, build):
    """Without wg-quick; `drpf connect` sets a route by itself. The gateway is on-link, whatever the length of the address."""
    client = build("natpmp", "natpmp_client")
    device = WireGuardDevice(lab.homes[0], gateway.add_device("ann", "laptop"))
    gateway.wait_for_ports("laptop")
    for half in ("0.0.0.0/1", "128.0.0.0/1"):
        device.host.run("ip", "route", "replace", half, "via", GATEWAY, "dev", "wg0", "onlink")
    assert ask(device.host, client, "address")[0]["gateway"] == GATEWAY
    other = ConnectedDevice(lab.homes[1], gateway.add_device("bob", "phone"), "--interface", "home")
    other.process.wait_for_output("READY", 20)
    assert ask(other.host, client, "address")[0] == {"gateway": GATEWAY, "address": lab.gw_v4}
    assert ask(other.host, client, "map", "tcp", 4000, 0, 600)[1] == 0


def test_the_script_in_the_documentation(lab, gateway):
    laptop = Laptop(lab, gateway, findable=False)
    with open(os.path.join(ROOT, "docs", "port-mapping.md"), encoding="utf-8") as file:
        script = file.read().split("### A shell script")[1].split("```sh\n")[1].split("```")[0]
    laptop.host.popen("sh", "-c", script)
    told = wait_for(lambda: laptop.host.run("cat", "/run/public-port", check=False).stdout.strip(), 10, "the script knows the port")
    public = int(told)
    with TcpServer(laptop.host, public), UdpServer(laptop.host, public):
        assert tcp_visit(lab.inet, lab.gw_v4, public) and udp_visit(lab.inet, lab.gw_v4, public)


# --- NAT-PMP and PCP by whole programs

def test_transmission_by_nat_pmp(lab, gateway):
    laptop = Laptop(lab, gateway)
    with Tracker(lab) as tracker:
        program = Transmission(laptop.host, lab.folder, start=False)
        program.configure(51413, **{"message-level": 3})
        program.start()
        public = laptop.wait_for_public_port(51413)
        program.process.wait_for_output("Port Forwarding (NAT-PMP) Port 51413 forwarded successfully")
        program.process.wait_for_output('"Starting" to "Forwarded"')
        assert laptop.local_port(public, "udp") == public, "it asks for TCP only; the UDP port of that number is nobody else's"
        is_reached(lab, public)
        program.call("torrent-add", filename=tracker.magnet)
        wait_for(lambda: (lab.gw_v4, public) in tracker.announced, 20, "it tells trackers the public port")


def test_qbittorrent_by_pcp(lab, gateway):
    laptop = Laptop(lab, gateway)
    with Tracker(lab) as tracker, Capture(lab.gw, "drpf0", "udp dst port 5351 and udp[8] = 2 and udp[9] = 1") as pcp, \
            Capture(lab.gw, "drpf0", "udp dst port 5351 and udp[8] = 0") as nat_pmp:
        program = Qbittorrent(laptop.host, lab.folder)
        public = laptop.wait_for_public_port(6881)
        assert laptop.wait_for_public_port(6881, "udp") == public, "TCP and UDP share the number"
        for protocol in ("TCP", "UDP"):
            wanted = f"successfully mapped port using NAT-PMP. local: {ME} external port: {protocol}/{public}"
            wait_for(lambda: wanted in program.call("/api/v2/log/main"), 10, wanted)
        pcp.wait_for_packets(2)
        assert len(nat_pmp) == 0, "libtorrent goes back to NAT-PMP only where PCP is not understood"
        is_reached(lab, public)
        program.add(tracker.magnet)
        wait_for(lambda: (lab.gw_v4, public) in tracker.announced, 20, "it tells trackers the public port")
        program.call("/api/v2/app/setPreferences", json=json.dumps({"upnp": False}))
        wait_for(lambda: laptop.public_port(6881) is None and laptop.public_port(6881, "udp") is None, 10, "it takes its mappings back")


def test_qbittorrent_says_that_the_quota_is_reached(lab, gateway):
    laptop = Laptop(lab, gateway)
    for protocol in ("udp", "tcp"):
        for number in range(5):
            laptop.host.run("natpmpc", "-a", "0", 2000 + number, protocol, "600")
    program = Qbittorrent(laptop.host, lab.folder)
    wanted = f"could not map port using NAT-PMP[{ME}]: user exceeded quota"
    wait_for(lambda: program.call("/api/v2/log/main").count(wanted) == 2, 10, wanted, every=0.2)
    assert sorted(laptop.local_port(port) for port in laptop.ports) == list(range(2000, 2005)), "nothing of the others was taken"
    assert "account ann holds 5 of 5 ports of plan personal" in gateway.log_text()


# --- UPnP: no route with a next hop is needed

def test_libminiupnpc_adds_shows_and_removes(make_lab, build):
    lab = make_lab(homes=1, plan=PUBLIC)
    laptop, client = Laptop(lab, Gateway(lab), findable=False), build("miniupnpc", "upnp_client")
    own = laptop.ports[0]
    added, code = ask(laptop.host, client, "add", 4001, own, "tcp", 0)
    assert (added, code) == ({"local": ME, "address": lab.gw_v4, "mapped": str(own)}, 0)
    assert ask(laptop.host, client, "show", own, "tcp")[0]["leads"].startswith(f"to {ME}:4001 ")
    picked = [ask(laptop.host, client, "any", 4000, 1, protocol, 600)[0]["mapped"] for protocol in ("udp", "tcp")]
    assert picked[0] == picked[1] and int(picked[0]) in laptop.ports, "TCP and UDP share the number"
    with TcpServer(laptop.host, 4001), UdpServer(laptop.host, 4000):
        assert tcp_visit(lab.inet, lab.gw_v4, own).startswith(f"you are {lab.inet_v4} ")
        assert udp_visit(lab.inet, lab.gw_v4, int(picked[0]))
    assert ask(laptop.host, client, "remove", own, "tcp") == ({"removed": str(own)}, 0)
    assert ask(laptop.host, client, "show", own, "tcp") == ({"error": "714"}, 1)
    assert laptop.local_port(own) == own
    assert ask(laptop.host, client, "add", 80, 80, "tcp", 600) == ({"error": "718"}, 1)


def transmission_by_upnp(host, folder, port):
    program = Transmission(host, folder, start=False)
    program.configure(port, **{"message-level": 3})
    program.start()
    program.process.wait_for_output("Port Forwarding (UPnP) Port forwarding successful!", 15)
    program.process.wait_for_output('to "Forwarded"')
    return lambda: program.call("session-set", **{"port-forwarding-enabled": False})


def qbittorrent_by_upnp(host, folder, port):
    program = Qbittorrent(host, folder, port=port)
    for protocol in ("TCP", "UDP"):
        wanted = f"successfully mapped port using UPnP. local: {ME} external port: {protocol}/{port}"
        wait_for(lambda: wanted in program.call("/api/v2/log/main"), 15, wanted, every=0.2)
    return lambda: program.call("/api/v2/app/setPreferences", json=json.dumps({"upnp": False}))


@pytest.mark.parametrize("mapped_by", [transmission_by_upnp, qbittorrent_by_upnp])
def test_programs_by_upnp(make_lab, build, mapped_by):
    """AddPortMapping names the port: the program is given one of the device's own, as `drpf connect --inform` does."""
    lab = make_lab(homes=1, plan=PUBLIC)
    laptop, client = Laptop(lab, Gateway(lab), findable=False), build("miniupnpc", "upnp_client")
    port = laptop.ports[2]
    assert ask(laptop.host, client, "show", port, "tcp")[0]["error"] == "714"
    switch_off = mapped_by(laptop.host, lab.folder, port)
    for protocol in ("tcp", "udp"):
        assert ask(laptop.host, client, "show", port, protocol)[0]["leads"].startswith(f"to {ME}:{port} ")
    is_reached(lab, port)
    switch_off()
    for protocol in ("tcp", "udp"):
        wait_for(lambda: ask(laptop.host, client, "show", port, protocol)[0].get("error") == "714", 10, "it takes its mappings back")
