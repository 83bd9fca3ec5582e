"""A raw scan gives up the right to raw sockets as soon as its sockets are open, and goes on without it."""
import pytest

from gateway import DRPF
from namespaces import Namespaces, wait_for

RAW = 1 << 13  # CAP_NET_RAW


@pytest.fixture(name="hosts")
def fixture_hosts(tmp_path):
    namespaces = Namespaces(tmp_path)
    try:
        scanner, target = namespaces.host("scanner"), namespaces.host("target")
        namespaces.link(scanner, "eth0", target, "eth0")
        scanner.sh("ip addr add 10.45.0.1/24 dev eth0")
        target.sh("ip addr add 10.45.0.2/24 dev eth0")
        yield scanner, target
    finally:
        namespaces.close()


def effective(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return int(next(line.split()[1] for line in file if line.startswith("CapEff:")), 16)


def test_the_right_to_raw_sockets_is_given_up_when_they_are_open(hosts):
    scanner, target = hosts
    target.nft("table ip seen { chain in { type filter hook input priority 0; policy accept; tcp flags syn counter; }; }")
    scan = scanner.popen(DRPF, "scan", "--syn", "--no-discovery", "--no-resume", "--progress", "none", "--max-rate", "20", "--verbose", "-p", "1-40", "10.45.0.2")
    wait_for(lambda: "packets 0 " not in target.run("nft", "list", "table", "ip", "seen").stdout, 10, "the first probe")
    assert effective(scan.pid) & RAW == 0
    assert scan.wait(20) == 0, scan.output()
    assert "40 ports decided" in scan.output(), scan.output()
