"""The process that runs nft for a gateway which may not start programs: it dies, it hangs, it is killed together with its supervisor. What stands
goes on standing, and nothing is concluded from its silence."""
import contextlib
import os
import resource
import signal
import socket

import pytest
from gateway import Gateway, WireGuardDevice
from namespaces import wait_for
from traffic import TcpServer, tcp_visit

LIMIT = "[limits]\nconnections_per_device = {}\n"


def only_child_of(pid):
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
        child, = file.read().split()
    return int(child)


class Served:
    """A gateway with a leased port that is served, and a service of its host that nobody named."""

    def __init__(self, lab, arguments=()):
        self.lab = lab
        self.gateway = Gateway(lab, config=LIMIT.format(77), arguments=arguments)
        WireGuardDevice(lab.homes[0], self.gateway.add_device("ann", "laptop", plan="business"))
        self.port = self.gateway.wait_for_ports("laptop")[0]
        self.supervisor = only_child_of(self.gateway.process.pid)
        self.servers = TcpServer(lab.homes[0], self.port), TcpServer(lab.gw, 8080)

    def __enter__(self):
        for server in self.servers:
            server.__enter__()
        return self

    def __exit__(self, *why):
        for server in self.servers:
            server.__exit__(*why)

    def assert_walls_stand(self):
        for public in (self.lab.gw_v4, self.lab.gw_v6):
            assert tcp_visit(self.lab.inet, public, self.port)
            assert tcp_visit(self.lab.inet, public, 8080, seconds=0.5) is None

    def limit_in_kernel(self):
        return "77" if "ct count over 77" in self.lab.gw.run("nft", "list", "table", "inet", "drpf").stdout else "78"


@pytest.fixture
def served(lab):
    with Served(lab) as served:
        yield served


def test_with_no_descriptor_left_rules_are_put_back_and_nobody_is_named_for_it(lab):
    with Served(lab, arguments=("--plain-table",)) as served, contextlib.ExitStack() as stack:
        pid = served.gateway.process.pid
        of_before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        used = {int(name) for name in os.listdir(f"/proc/{pid}/fd")}
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (max(used) + 1, of_before[1]))
        for _ in range(300):  # takes whatever is left
            client = stack.enter_context(socket.socket(socket.AF_UNIX))
            client.setblocking(False)  # it cannot even be accepted
            with contextlib.suppress(BlockingIOError):
                client.connect(served.gateway.socket)
                client.send(b"GET /v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
        os.kill(only_child_of(served.supervisor), signal.SIGKILL)
        lab.gw.sh("nft delete table inet drpf")
        wait_for(lambda: "ct count over 77" in lab.gw.run("nft", "list", "table", "inet", "drpf", check=False).stdout, 10, "the table is put back")
        wait_for(lambda: tcp_visit(lab.inet, lab.gw_v4, served.port), 5, "the lease is open again")
        stack.close()
        resource.prlimit(pid, resource.RLIMIT_NOFILE, of_before)
        said = served.gateway.log_text()
        assert "supervisor" not in said and "ends whenever it is asked" not in said, said
        assert wait_for(lambda: served.gateway.cli_result("status").returncode == 0, 5, "administrators are answered")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP], ids=["it dies", "it hangs"])
def test_another_one_takes_its_place(served, number):
    for limit in (78, 77):
        os.kill(only_child_of(served.supervisor), number)
        served.gateway.write_config(LIMIT.format(limit))
        served.gateway.reload()
        assert served.limit_in_kernel() == str(limit)
        served.assert_walls_stand()
    if number == signal.SIGKILL:
        os.kill(only_child_of(served.supervisor), number)
        wait_for(lambda: "another one was started" in served.gateway.log_text(), 10, "it is told")
    assert served.gateway.cli_json("status")["warnings"] == []


def test_without_it_the_rules_stand_and_everything_else_goes_on(served):
    gateway, lab = served.gateway, served.lab
    os.kill(served.supervisor, signal.SIGKILL)
    wait_for(lambda: any("nft" in warning for warning in gateway.cli_json("status")["warnings"]), 10, "it is told")
    for _ in range(3):
        assert "nft" in gateway.reload(refused=True)
        served.assert_walls_stand()
    # What goes without nft goes on: leases come and go.
    gateway.cli("lease", "add", "laptop", "20110/tcp", "--local", served.port)
    assert tcp_visit(lab.inet, lab.gw_v4, 20110)
    gateway.cli("lease", "remove", "20110/tcp")
    assert tcp_visit(lab.inet, lab.gw_v4, 20110, seconds=0.5) is None
    assert len(gateway.log_text().splitlines()) < 40, gateway.log_text()
    assert gateway.stop() == 0
    gateway.start()
    wait_for(lambda: tcp_visit(lab.inet, lab.gw_v4, served.port, seconds=1), 30, "visitors come in again")
