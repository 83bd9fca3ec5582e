"""What a device may try to take more than its share of what all have, and what others' shares must leave alone. As attacks.py."""
import contextlib

from attacks import ALLOWED, FLOOD, INSIDE, SILENCE_S, UDP, arrivals, arrived, beyond
from redirect_lab import new_socket


def ports_to_one_address(net, version):
    """The same, all of them to one server: connections there have the same source ports to choose from, whoever's they are."""
    with new_socket(net.inet, version, UDP, 4001), contextlib.ExitStack() as stack:
        for _ in range(ALLOWED // 2):  # another port is the same address
            stack.enter_context(net.a.socket(version, UDP)).sendto(b"a", (net.visitor(version), 4001))
        receiver = stack.enter_context(new_socket(net.inet, version, UDP, 4000))
        for _ in range(FLOOD):
            stack.enter_context(net.a.socket(version, UDP)).sendto(b"a", (net.visitor(version), 4000))
        got = beyond(net, receiver, ALLOWED // 2)
        stack.enter_context(net.b.socket(version, UDP)).sendto(b"b", (net.visitor(version), 4000))
        assert arrived(receiver, b"b", 5)
        return got[ALLOWED // 2:]


def talks_with_the_gateway(net, version):
    """Conversations with the gateway itself take places in its table of connections too."""
    with contextlib.ExitStack() as stack:
        receiver = stack.enter_context(new_socket(net.gw, version, UDP, 5351))
        for _ in range(FLOOD):
            stack.enter_context(net.a.socket(version, UDP)).sendto(b"a", (INSIDE[version], 5351))
        got = beyond(net, receiver, ALLOWED)
        stack.enter_context(net.b.socket(version, UDP)).sendto(b"b", (INSIDE[version], 5351))
        assert arrived(receiver, b"b", 5)
        return got[ALLOWED:]


def open_visit_where_a_device_comes(net, version):
    """Somebody visits, and a device comes to his address (of one NAT, say): is the visit cut?"""
    net.lease("udp", version, 30001, net.b)
    own = net.a.wan_v4 if version == 4 else net.a.wan_v6
    with net.b.socket(version, UDP, 30001) as holder, new_socket(net.a.host, version, UDP) as visitor:
        visitor.sendto(b"first", (net.public(version), 30001))
        holder.sendto(b"answer", arrivals(holder, 5)[0][1])
        assert arrived(visitor, b"answer", 5)
        net.probe.ask("endpoint", own, 60_000)
        try:
            visitor.sendto(b"second", (net.public(version), 30001))
            return [] if arrived(holder, b"second", SILENCE_S) else ["an open visit was cut"]
        finally:
            net.probe.ask("endpoint", own, 1)
