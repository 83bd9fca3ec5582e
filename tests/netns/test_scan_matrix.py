"""The honest matrix: every kind of scan against every behaviour, both families, each cell by its state, its reason and its sender."""
import pytest

from conftest import LONGER
from scan_lab import ScanLab, ports_of, protocols_of
from scan_table import TCP_KINDS, expected

REPEATS = 20 if LONGER else 1  # without one that differs


@pytest.fixture(scope="module")
def matrix(tmp_path_factory):
    lab = ScanLab(tmp_path_factory.mktemp("scan"))
    lab.build_matrix()
    yield lab
    lab.close()


def wrong_cells(lab, kind, version, numbers):
    """{behaviour: [(expected, found), ...]} of all cells that differ; `numbers`: {behaviour: port}."""
    address = lab.target_address[version]
    wrong = {}
    for _ in range(REPEATS):
        lab.target.run("conntrack", "-F")  # or a probe may belong to a connection that an earlier scan began
        found = lab.scan(kind, address, numbers.values()).states(address)
        for behaviour, number in numbers.items():
            cell = expected(kind, behaviour, version, lab.router_address[version])
            if found[number] != cell:
                wrong.setdefault(behaviour.name, []).append((cell, found[number]))
    return wrong


def cells_of(kind, version):
    return {behaviour: port for behaviour, port in ports_of(version).items() if kind in TCP_KINDS or not behaviour.tcp_only}


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("kind", [pytest.param(kind, marks=pytest.mark.quick) if kind in ("syn", "connect") else kind for kind in TCP_KINDS + ["udp"]])
def test_ports(matrix, kind, version):
    assert wrong_cells(matrix, kind, version, cells_of(kind, version)) == {}


@pytest.mark.parametrize("version", [4, 6])
def test_protocols(matrix, version):
    assert wrong_cells(matrix, "ip-protocol", version, protocols_of(version)) == {}


@pytest.mark.parametrize("version", [4, 6])
def test_a_reset_by_the_router_is_told_from_one_by_the_host(matrix, version):
    numbers = {behaviour.name: port for behaviour, port in ports_of(version).items()}
    address = matrix.target_address[version]
    found = matrix.scan("syn", address, [numbers[name] for name in ("open", "closed", "tcp-reset-target", "tcp-reset-router")]).hosts[address]
    assert "nearer than the host" in found[numbers["tcp-reset-router"]]["note"]
    assert not any("note" in found[numbers[name]] for name in ("open", "closed", "tcp-reset-target")), found


def test_the_matrix_is_as_large_as_it_says():
    cells = sum(len(cells_of(kind, version)) for kind in TCP_KINDS + ["udp"] for version in (4, 6)) + sum(len(protocols_of(version)) for version in (4, 6))
    assert cells >= 400, cells
