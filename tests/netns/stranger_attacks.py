"""Attacks as those of attacks.py: of strangers with forged or odd packets, and of devices on the gateway's neighbours."""
import contextlib
import time

import packets
from attacks import UDP


def forged_path(net, version):
    """A stranger says that the path is narrow: to a device that is at another port, and to somebody who is no device at all."""
    believed = {}
    for whom in (net.a.wan_v4 if version == 4 else net.a.wan_v6, net.visitor(version)):
        about = packets.udp(version, net.public(version), whom, 51820, 9, b"x" * 20)
        packets.send(net.b.host, version, packets.path_too_narrow(version, net.b.wan_v4 if version == 4 else net.b.wan_v6, net.public(version), 1290, about))
        believed[whom] = lambda whom=whom: "mtu 1290" in net.gw.run("ip", "route", "get", whom).stdout
    end = time.monotonic() + net.patience
    while time.monotonic() < end and not any(one() for one in believed.values()):
        time.sleep(0.05)
    through = [whom for whom, one in believed.items() if one()]
    net.gw.sh("ip route flush cache; ip -6 route flush cache")
    return through


# Whom only the gateway's neighbours may ask: clouds' metadata, its own networks, carriers' customers; the last one behind a translator.
NEIGHBOURS = {4: ("169.254.169.254", "10.99.0.1", "172.16.5.5", "192.168.77.1", "100.100.100.200", "192.0.0.192", "168.63.129.16"),
              6: ("fd00:ec2::254", "fc00::1", "64:ff9b::a9fe:a9fe")}


def neighbours_of_the_gateway(net, version):
    """A device asks them in the gateway's name, by the gateway's own way."""
    length, ip = (32, "ip") if version == 4 else (128, "ip -6")
    for address in NEIGHBOURS[version]:
        net.inet.sh(f"ip addr add {address}/{length} dev eth0 {'nodad' if version == 6 else ''}")
        net.gw.sh(f"{ip} route add {address} via {net.visitor(version)} dev wan")
    try:
        with contextlib.ExitStack() as stack:
            for address in NEIGHBOURS[version]:
                asked = stack.enter_context(net.inet.socket(packets.FAMILY[version], UDP))
                asked.bind((address, 4080))
                stack.enter_context(net.a.socket(version, UDP)).sendto(b"the gateway's secrets", (address, 4080))
                asked.settimeout(net.patience / 4)
                with contextlib.suppress(TimeoutError):
                    if asked.recv(100):
                        return [address]
        return []
    finally:
        for address in NEIGHBOURS[version]:
            net.gw.sh(f"{ip} route del {address}")
            net.inet.sh(f"ip addr del {address}/{length} dev eth0")
