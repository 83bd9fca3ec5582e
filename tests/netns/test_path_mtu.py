"""The tunnel's own packets are in no table of connections, and routers' errors about them arrive all the same."""
import pytest

from gateway import Gateway, WireGuardDevice
from namespaces import wait_for

NARROW = 1300
FAR = {4: ("203.0.113.1", "203.0.113.20", 24), 6: ("2001:db8:77::1", "2001:db8:77::20", 64)}


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
    far.sh(f"ip route add {inside.rsplit('.', 1)[0]}.0/24 dev wg0")
    wait_for(lambda: far.run("ping", "-n", "-c", 1, "-W", 1, f"{inside.rsplit('.', 1)[0]}.1", check=False).returncode == 0, 20, "the tunnel is up")
    assert "51820" not in lab.gw.sh("conntrack -L -p udp -f ipv4; conntrack -L -p udp -f ipv6")
    lab.gw.run("ping", "-n", "-c", 1, "-W", 1, "-s", NARROW, inside, check=False)
    wait_for(lambda: f"mtu {NARROW}" in lab.gw.sh(f"ip route get {outside}"), 5, "the gateway knows how narrow the path is")
