"""Other firewalls on the gateway's host, as Debian has them: `drpf check` names them, and its cure, carried out, lets devices in and opens nothing else."""
import re
import socket

import pytest
from gateway import Gateway, WireGuardDevice
from lab import Lab
from namespaces import wait_for
from test_check import faults
from traffic import TcpServer, tcp_visit

KEPT_CLOSED, SEEN_BY_DRPF = 8022, 8099  # a service that neither names; one that drpf lets in, and the neighbour does not
CONFIG = f"[ports]\nservices_tcp = [{SEEN_BY_DRPF}]\n"
PRIVATE_FILES = """mkdir -p /run/etc/upper /run/etc/work /run/dbus
mount -t overlay overlay -o lowerdir=/etc,upperdir=/run/etc/upper,workdir=/run/etc/work /etc
mount -t tmpfs tmpfs /var/log"""
BUS = """<busconfig><type>system</type><listen>unix:path=/run/dbus/system_bus_socket</listen><auth>EXTERNAL</auth><policy context="default">
<allow user="*"/><allow own="*"/><allow send_type="method_call"/><allow send_type="signal"/><allow send_requested_reply="true" send_type="method_return"/>
<allow send_requested_reply="true" send_type="error"/><allow receive_type="method_call"/><allow receive_type="method_return"/><allow receive_type="error"/>
<allow receive_type="signal"/></policy></busconfig>"""


class Firewalld:
    owner = "firewalld"

    def __init__(self, host):
        self.host = host
        host.run("tee", "/run/bus.conf", stdin=BUS)
        self.bus = host.popen("dbus-daemon", "--config-file=/run/bus.conf", "--nofork")
        wait_for(lambda: host.run("test", "-S", "/run/dbus/system_bus_socket", check=False).returncode == 0, 10, "the bus is there")
        self.daemon = host.popen("firewalld", "--nofork", "--nopid")
        wait_for(lambda: host.run("firewall-cmd", "--state", check=False).returncode == 0, 20, "firewalld runs", every=0.2)

    def walls(self):
        """The rules that keep out, as they stand in the kernel."""
        return re.findall(r"reject with icmpx admin-prohibited", self.host.run("nft", "list", "table", "inet", "firewalld").stdout)

    def reload(self):
        self.host.run("firewall-cmd", "--reload")

    def stop(self):
        self.daemon.stop()
        self.bus.stop()
        self.host.sh("nft delete table inet firewalld 2>/dev/null || true")


class Ufw:
    owner = "ufw"

    def __init__(self, host):
        self.host = host
        host.run("ufw", "--force", "enable")

    def walls(self):
        return re.findall(r"policy drop", "".join(self.host.run("nft", "list", "table", family, "filter").stdout for family in ("ip", "ip6")))

    def reload(self):
        self.host.run("ufw", "reload")

    def stop(self):
        self.host.run("ufw", "--force", "disable")
        self.host.sh("nft delete table ip filter; nft delete table ip6 filter")


def commands_of(cure):
    """What can be pasted: from the first command on."""
    return re.search(r": ((firewall-cmd|ufw) .*)$", cure).group(1)


def asks_by_nat_pmp(home, gateway_address="10.77.0.1"):
    """The public address, asked of the gateway through the tunnel."""
    with home.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.settimeout(1)
        try:
            asking.sendto(b"\0\0", (gateway_address, 5351))
            return len(asking.recv(64)) == 12
        except OSError:
            return False


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    with Lab(tmp_path_factory.mktemp("neighbours"), homes=1) as lab:
        lab.gw.sh(PRIVATE_FILES)
        gateway = Gateway(lab, config=CONFIG)
        with TcpServer(lab.gw, KEPT_CLOSED), TcpServer(lab.gw, SEEN_BY_DRPF), TcpServer(lab.inet, 80):
            yield gateway


@pytest.mark.wall("D17", "firewalld or ufw beside drpf keeps devices out, and nobody knows", None)
@pytest.mark.wall("D17", "firewalld or ufw beside drpf keeps devices out, and nobody knows", None, "the cure is not carried out")  # the first half
@pytest.mark.parametrize("kind", [Firewalld, Ufw])
def test_a_neighbour_is_named_and_its_cure_lets_devices_in(house, kind):
    gateway, lab = house, house.lab
    configuration = gateway.add_device(kind.owner, kind.owner)  # of its own: the one before may be here still
    home, public = lab.homes[0], (lab.gw_v4, lab.gw_v6)
    assert faults(gateway) == ([], 0) and tcp_visit(lab.inet, lab.gw_v4, SEEN_BY_DRPF)
    neighbour = kind(lab.gw)
    device = None
    try:
        found, code = faults(gateway)
        assert code == 1 and found and {row["subject"] for row in found} == {f"firewall ({kind.owner})"}, found
        assert {row["level"] for row in found} == {"problem"}, found
        assert any("handshakes of devices" in row["message"] for row in found) and any("what devices send" in row["message"] for row in found)
        assert any(kind.owner in text for text in gateway.cli_json("status")["warnings"])
        device = WireGuardDevice(home, configuration)
        wait_for(lambda: int(home.run("wg", "show", "wg0", "transfer").stdout.split()[2]), 20, "the device asks to get in")
        assert not gateway.leases(kind.owner, "active") and home.run("wg", "show", "wg0", "latest-handshakes").stdout.split()[1] == "0", "nobody gets in"
        walls = neighbour.walls()
        for row in found:
            lab.gw.run("sh", "-c", commands_of(row["cure"]))
        assert faults(gateway) == ([], 0), "cured"
        assert gateway.cli_json("status")["warnings"] == []

        port = gateway.wait_for_ports(kind.owner, seconds=40)[0]
        for _ in range(2):  # and after the neighbour has read its rules again
            with TcpServer(home, port):
                for address in public:
                    wait_for(lambda: tcp_visit(lab.inet, address, port, seconds=2), 20, "visitors come in")  # noqa: B023
            assert tcp_visit(home, lab.inet_v4, 80) and tcp_visit(home, lab.inet_v6, 80), "a device gets out"
            assert wait_for(lambda: asks_by_nat_pmp(home), 10, "a device asks for its public address")
            # No wall is out: the neighbour's own stand, and so do ours.
            assert len(neighbour.walls()) >= len(walls) and not tcp_visit(lab.inet, lab.gw_v4, SEEN_BY_DRPF, seconds=1)
            for host, address in ((lab.inet, lab.gw_v4), (home, "10.77.0.1"), (home, lab.gw_v4)):
                assert not tcp_visit(host, address, KEPT_CLOSED, seconds=1)
            neighbour.reload()
        assert faults(gateway) == ([], 0)
    finally:
        if device:
            device.disconnect()
        neighbour.stop()
    assert faults(gateway) == ([], 0) and tcp_visit(lab.inet, lab.gw_v4, SEEN_BY_DRPF), "the neighbour was what kept it closed"
