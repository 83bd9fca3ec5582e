"""The tunnel's own packets are in no table of connections, and routers' errors about them arrive all the same."""
import packets
import pytest

from gateway import Gateway, WireGuardDevice
from namespaces import wait_for

NARROW = 1300
FAR = {4: ("203.0.113.1", "203.0.113.20", 24), 6: ("2001:db8:77::1", "2001:db8:77::20", 64)}


@pytest.mark.wall("D2", "such an error about a device's own address and port stops its tunnel", None)
@pytest.mark.parametrize("version", [4, 6])
def test_a_narrow_path_to_a_device_is_found_out(make_lab, version):
    lab = make_lab(homes=0)
    router, outside, length = FAR[version]
    far = lab.namespaces.host("far")
    lab.namespaces.link(lab.isp, "far", far, "eth0", mtu=NARROW)
    ip, nodad = ("ip", "") if version == 4 else ("ip -6", "nodad")
    lab.isp.sh(f"ip addr add {router}/{length} dev far {nodad}")
    far.sh(f"ip addr add {outside}/{length} dev eth0 {nodad}; {ip} route add default via {router}")
    gateway = Gateway(lab)
    text = gateway.add_device("ann", "phone")
    if version == 6:
        text = text.replace(f"{lab.gw_v4}:", f"[{lab.gw_v6}]:")
    device = WireGuardDevice(far, text, routes=False)
    inside = device.address(4)
    inside6 = device.address(6)
    far.sh(f"ip route add {inside.rsplit('.', 1)[0]}.0/24 dev wg0; ip -6 route add {inside6.rsplit('::', 1)[0]}::/64 dev wg0")
    wait_for(lambda: far.run("ping", "-n", "-c", 1, "-W", 1, f"{inside.rsplit('.', 1)[0]}.1", check=False).returncode == 0, 20, "the tunnel is up")
    assert "51820" not in lab.gw.sh("conntrack -L -p udp -f ipv4; conntrack -L -p udp -f ipv6")
    lab.gw.run("ping", "-n", "-c", 1, "-W", 1, "-s", NARROW, inside, check=False)
    wait_for(lambda: f"mtu {NARROW}" in lab.gw.sh(f"ip route get {outside}"), 5, "the gateway knows how narrow the path is")
    for inner in (inside, inside6):  # too narrow for the least packet of IPv6: it comes in fragments
        assert lab.gw.run("ping", "-n", "-c", 1, "-W", 5, "-s", NARROW, inner, check=False).returncode == 0, inner
    narrower = {4: 552, 6: 1280}[version]
    about = packets.udp(version, lab.gw_v4 if version == 4 else lab.gw_v6, outside, 51820, device.port(), b"x" * 20)
    stranger = lab.inet_v4 if version == 4 else lab.inet_v6
    packets.send(lab.inet, version, packets.path_too_narrow(version, stranger, lab.gw_v4 if version == 4 else lab.gw_v6, narrower, about))
    wait_for(lambda: f"mtu {narrower}" in lab.gw.sh(f"ip route get {outside}"), 5, "the gateway believes a stranger who knows address and port")
    for inner in (inside, inside6):
        assert lab.gw.run("ping", "-n", "-c", 1, "-W", 5, "-s", NARROW, inner, check=False).returncode == 0, inner
