"""Handshakes from addresses that are nobody's, faster than anybody could work on them: who has a tunnel keeps it, and who is new gets in."""
import os

import pytest

from namespaces import wait_for
from test_wireguard_engine import ENGINE, make_pair, send_by_tcp  # noqa: F401

FLOOD = os.path.join(os.path.dirname(ENGINE), "handshake_flood")
RATE = 5000  # per second; well above what is worked on unseen
SPOOFED = "198.18.0.0/15"


def flood(sender, target, *options):
    target.host.sh(f"ip route add {SPOOFED} via {sender.outer[4]}")  # where the answers go, and are thrown away
    process = sender.host.popen(FLOOD, target.public_key, target.outer[4], target.port, RATE, 60, *options)
    process.wait_for_output("READY")
    return process


# The first is flooded, the second is new. A first try is answered with a cookie, and the next one, five seconds later, carries it.
@pytest.mark.wall("D2", "handshakes in the name of many keep new devices out, and the tunnel busy", None)
@pytest.mark.parametrize("kinds", [("ours", "go"), ("ours", "ours")], ids="-".join)
def test_a_new_device_gets_in_during_a_flood(make_pair, kinds):  # noqa: F811
    pair = make_pair(*kinds)
    a, b = pair.a, pair.b
    a.start(b, endpoint=False)
    flooding = flood(b, a)
    wait_for(lambda: a.counters()["cookies_sent"] > RATE / 2, 20, "the engine asks for cookies")
    b.start(a)
    # Twenty seconds, because a loaded machine may lose a message and with it a try.
    assert b.ping(a.inner[4], deadline=20) == 1
    if b.kind == "go":
        assert "Receiving cookie response" in b.process.output()
    assert send_by_tcp(b, a, a.inner[4], 2_000_000)
    assert flooding.running()
    assert a.counters()["not_authentic"] == 0


def test_a_flood_that_does_not_know_the_key_is_not_answered(make_pair):  # noqa: F811
    pair = make_pair("ours", "go")
    pair.start()
    a, b = pair.a, pair.b
    assert b.ping(a.inner[4]) == 1
    before = a.counters()
    flood(b, a, "--no-mac1")
    wait_for(lambda: a.counters()["handshake_dropped"] > before["handshake_dropped"] + RATE, 20, "the flood is looked at")
    assert a.counters()["cookies_sent"] == 0
    assert send_by_tcp(b, a, a.inner[4], 1_000_000)
