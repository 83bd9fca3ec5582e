"""OpenVPN as a way in, with Debian's own client: one file is all it needs, and everything of the leases holds as by WireGuard."""
import os
import signal
import socket
import time

from gateway import Gateway, WireGuardDevice
from namespaces import wait_for
from traffic import TcpServer, UdpServer, tcp_visit, udp_visit

CONFIG = "[openvpn]\nenabled = true\n"
INSIDE = "10.77.0.1"


class OpenVpnDevice:
    """The stock client with the file as it was printed. Only name servers are left alone: the lab has none."""

    def __init__(self, host, text, name="laptop"):
        self.host, self.path = host, os.path.join(host.namespaces.folder, f"{name}.ovpn")
        with open(self.path, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(self.path, 0o600)
        self.start()

    def start(self):
        self.process = self.host.popen("openvpn", "--config", self.path, "--dev", "tun9")
        self.process.wait_for_output("Initialization Sequence Completed", 20)

    def address(self):
        return self.host.run("ip", "-4", "-o", "addr", "show", "tun9").stdout.split("inet ")[1].split("/")[0]

    def again(self, seen):
        """Waits until it has connected once more."""
        self.process.wait_for_output("Initialization Sequence Completed", 40, after=seen)

    def seen(self):
        return len(self.process.output())


def visit_both(lab, host, port):
    with TcpServer(host, port), UdpServer(host, port):
        assert tcp_visit(lab.inet, lab.gw_v4, port).startswith(f"you are {lab.inet_v4} ")
        assert udp_visit(lab.inet, lab.gw_v4, port)


def daemon_of(gateway):
    """The process that the gateway's child started, by its network and its command line."""
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                if file.read() == b"openvpn\0--config\0stdin\0" and os.readlink(f"/proc/{pid}/ns/net") == os.readlink(f"/proc/{gateway.process.pid}/ns/net"):
                    return int(pid)
        except OSError:
            pass  # it has ended meanwhile
    return None


def test_a_device_comes_by_openvpn_and_stays_itself(lab):
    gateway = Gateway(lab, config=CONFIG)
    gateway.cli("account", "add", "ann")
    printed = gateway.cli("device", "add", "ann", "laptop", "--openvpn")
    assert printed == gateway.cli("device", "config", "laptop", "--openvpn")
    device = OpenVpnDevice(lab.homes[0], printed)
    ports = gateway.wait_for_ports("laptop")
    address = gateway.cli_json("device", "show", "laptop")["tunnel_v4"]
    assert device.address() == address
    visit_both(lab, device.host, ports[0])

    assert "on UDP port 1194, in user space on drpf1, 1 devices connected" in gateway.cli("status")

    # Programs ask for ports by NAT-PMP.
    answer = device.host.run("natpmpc", "-g", INSIDE).stdout
    assert f"Public IP address : {lab.gw_v4}" in answer, answer

    # The daemon has no right, and its own user where that may open the device.
    pid = wait_for(lambda: daemon_of(gateway), 5, "the daemon")
    with open(f"/proc/{pid}/status", encoding="utf-8") as file:
        status = dict(line.split(":\t", 1) for line in file.read().splitlines() if ":\t" in line)
    assert int(status["CapEff"], 16) == int(status["CapPrm"], 16) == int(status["CapBnd"], 16) == 0 and status["NoNewPrivs"] == "1"
    everybody = os.stat("/dev/net/tun").st_mode & 0o006 == 0o006  # else it has to be root to open it
    assert (status["Uid"].split()[0] != "0") == everybody

    # Killed, it comes back, and so does the device, with its ports.
    seen = device.seen()
    os.kill(pid, signal.SIGTERM)
    device.again(seen)
    assert wait_for(lambda: gateway.ports("laptop", state="active"), 20, "ports again") == ports
    visit_both(lab, device.host, ports[1])

    # The gateway is killed.
    seen = device.seen()
    gateway.kill()
    gateway.start()
    device.again(seen)
    assert gateway.wait_for_ports("laptop") == ports
    wait_for(lambda: gateway.cli_json("status")["ways_in"][1]["devices_connected"] == 1, 10, "the device is here by OpenVPN")
    visit_both(lab, device.host, ports[0])

    # The same device by WireGuard: the newer way wins, the ports are the same.
    device.process.stop(signal.SIGTERM, 10)
    wireguard = WireGuardDevice(device.host, gateway.cli("device", "config", "laptop"))
    wait_for(lambda: gateway.cli_json("status")["ways_in"][0]["devices_connected"] == 1, 15, "the device is here by WireGuard")
    assert gateway.wait_for_ports("laptop") == ports
    visit_both(lab, device.host, ports[0])
    wireguard.disconnect()


def test_a_removed_device_is_gone_at_once_and_a_suspended_one_comes_back(lab):
    gateway = Gateway(lab, config=CONFIG)
    gateway.cli("account", "add", "ann")
    device = OpenVpnDevice(lab.homes[0], gateway.cli("device", "add", "ann", "laptop", "--openvpn"))
    port = gateway.wait_for_ports("laptop")[0]
    inside, outside = in_tunnel(device.host, port), lab.inet.socket(kind=socket.SOCK_DGRAM)
    outside.bind(("0.0.0.0", 40000))
    outside.settimeout(5)

    outside.sendto(b"before", (lab.gw_v4, port))
    _, visitor = inside.recvfrom(100)
    inside.sendto(b"answer", visitor)
    assert outside.recvfrom(100)[0] == b"answer"

    seen = device.seen()
    gateway.cli("account", "set", "ann", "--suspend")
    assert not passes(inside, outside, visitor, lab.gw_v4, port)
    gateway.cli("account", "set", "ann", "--resume")
    device.again(seen)
    assert port in gateway.wait_for_ports("laptop")
    outside.sendto(b"again", (lab.gw_v4, port))
    assert inside.recvfrom(100)[0] == b"again"

    # A second machine with the same file: the newer wins, the older is told to stop.
    second = OpenVpnDevice(lab.homes[1], open(device.path, encoding="utf-8").read(), name="second")
    wait_for(lambda: not device.process.running(), 15, "the older client has stopped")
    wait_for(lambda: port in gateway.ports("laptop", state="active"), 10, "ports of the newer")
    visit_both(lab, second.host, port)

    inside = in_tunnel(second.host, port)
    gateway.cli("device", "remove", "laptop")
    assert not passes(inside, outside, (lab.inet_v4, 40000), lab.gw_v4, port)
    wait_for(lambda: not second.process.running(), 15, "the client of a removed device has stopped")


def in_tunnel(host, port):
    """A socket that sends by the tunnel alone: the stopped client's other way is its own affair."""
    one = host.socket(kind=socket.SOCK_DGRAM)
    one.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"tun9")
    one.bind(("0.0.0.0", port))
    one.settimeout(5)
    return one


def passes(inside, outside, visitor, address, port):
    """Whether within a second any packet comes through, either way, of those sent from now on."""
    for one in (inside, outside):
        one.settimeout(0.02)
    until = time.monotonic() + 1
    while time.monotonic() < until:
        outside.sendto(b"late", (address, port))
        try:
            inside.sendto(b"late", visitor)
        except OSError:
            pass  # its tunnel is gone
        for one in (inside, outside):
            try:
                if one.recvfrom(100)[0] == b"late":
                    return True
            except TimeoutError:
                pass
    for one in (inside, outside):
        one.settimeout(5)
    return False
