"""Every wall of walls.py stands, and falls when what carries it is taken out; IPv4 and IPv6, over a real tunnel."""
import os
import random

import pytest
from lab import Lab
from odd_packets import try_odd_packets
from tunnel_lab import TunnelLab
from walls import WALLS, readable

PATIENCE_S_MAX = 5  # for an attack that must succeed
ODD_PACKETS = 200_000 if os.environ.get("DRPF_LONGER") == "1" else 4_000  # from each side


@pytest.fixture(scope="module")
def net(request, tmp_path_factory):
    with Lab(tmp_path_factory.mktemp("walls"), homes=0) as lab:
        yield TunnelLab(lab)


def cases():
    for version in (4, 6):
        for wall in WALLS:
            if isinstance(wall.attack, str):
                continue  # a test of its own
            group = pytest.mark.xdist_group(f"walls{version}")
            title = f"{wall.threat}: {wall.name}, IPv{version}"
            yield pytest.param(wall, version, None, marks=[group, pytest.mark.wall(wall.threat, wall.name, version)], id=title)
            for removal in wall.removals:
                without = " and ".join(map(readable, removal))
                yield pytest.param(wall, version, removal, marks=[group, pytest.mark.wall(wall.threat, wall.name, version, without)],
                                   id=f"{title}, without {without}")


@pytest.mark.parametrize("wall, version, removal", cases())
def test_wall(net, wall, version, removal):
    net.fresh()
    net.patience = TunnelLab.patience if removal is None else PATIENCE_S_MAX
    with net.settings(*wall.of(version, wall.settings)), net.taken_out(*wall.of(version, wall.given + (removal or ()))):
        through = wall.attack(net, version)
        if removal is not None and not through:
            print(net.state())  # where it went instead: the next who reads this failure cannot ask any more
    if removal is None:
        assert not through, f"got through: {through}"
    else:
        assert through, "the attack fails although its wall was taken out: it proves nothing"


@pytest.mark.parametrize("version", [pytest.param(version, marks=pytest.mark.xdist_group(f"walls{version}")) for version in (4, 6)])
def test_odd_packets_bring_no_surprise(net, version):
    seed = int(os.environ.get("DRPF_ODD_SEED", random.randrange(1 << 32) if os.environ.get("DRPF_LONGER") == "1" else version))
    print("DRPF_ODD_SEED =", seed)
    net.fresh()
    surprises, seen = try_odd_packets(net, version, seed, ODD_PACKETS)
    assert not surprises, surprises
    assert seen["device"] > ODD_PACKETS / 200 and seen["outside"] > ODD_PACKETS / 200, f"hardly anything passed: {seen}"


@pytest.mark.parametrize("version, wall", [pytest.param(version, wall, marks=pytest.mark.xdist_group(f"walls{version}"))
                                           for version in (4, 6) for wall in ("options{v}", "precedence{v}", "multipath_tcp multipath_tcp_twice")])
def test_odd_packets_surprise_without_a_wall(net, version, wall):
    net.fresh()
    with net.taken_out(*wall.replace("{v}", str(version)).split()):
        assert try_odd_packets(net, version, 1, ODD_PACKETS)[0], "the model lets everything pass: it proves nothing"
