"""Every wall of walls.py stands, and falls when what carries it is taken out; IPv4 and IPv6, over a real tunnel."""
import pytest
from lab import Lab
from tunnel_lab import TunnelLab
from walls import WALLS, readable

PATIENCE_S_MAX = 5  # for an attack that must succeed


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
