"""Attacks as those of attacks.py: of strangers with forged or odd packets, and of devices on the gateway's neighbours."""
import time

import packets


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
