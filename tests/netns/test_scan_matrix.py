"""The honest matrix: every kind of scan against every behaviour, both families, each cell by its state, its reason and its sender."""
import pytest

from scan_lab import ScanLab, ports_of, protocols_of
from scan_table import TCP_KINDS, expected


@pytest.fixture(scope="module")
def matrix(tmp_path_factory):
    lab = ScanLab(tmp_path_factory.mktemp("scan"))
    lab.build_matrix()
    yield lab
    lab.close()


def wrong_cells(lab, kind, version, numbers):
    """{behaviour: (expected, found)} of all cells that differ; `numbers`: {behaviour: port}."""
    address = lab.target_address[version]
    lab.target.run("conntrack", "-F")  # or a probe may belong to a connection that an earlier scan began
    found = lab.scan(kind, address, numbers.values()).states(address)
    cells = {behaviour.name: (expected(kind, behaviour, version, lab.router_address[version]), found[number]) for behaviour, number in numbers.items()}
    return {name: cell for name, cell in cells.items() if cell[0] != cell[1]}


def cells_of(kind, version):
    return {behaviour: port for behaviour, port in ports_of(version).items() if kind in TCP_KINDS or not behaviour.tcp_only}


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("kind", TCP_KINDS + ["udp"])
def test_ports(matrix, kind, version):
    assert wrong_cells(matrix, kind, version, cells_of(kind, version)) == {}


@pytest.mark.parametrize("version", [4, 6])
def test_protocols(matrix, version):
    assert wrong_cells(matrix, "ip-protocol", version, protocols_of(version)) == {}
