"""The lab itself: what the other tests take for granted about it."""
import os
import signal
import subprocess
import sys

import pytest
from namespaces import wait_for
from traffic import Capture, TcpServer, UdpServer, syn_scan, tcp_visit, udp_scan, udp_visit


@pytest.mark.quick
def test_a_home_reaches_the_internet_through_its_router(lab):
    with TcpServer(lab.inet, 80) as server, UdpServer(lab.inet, 53):
        assert tcp_visit(lab.homes[0], lab.inet_v4, 80).startswith("you are 198.51.100.11 ")
        assert tcp_visit(lab.homes[1], lab.inet_v4, 80).startswith("you are 198.51.100.12 ")
        assert tcp_visit(lab.homes[0], lab.inet_v6, 80).startswith("you are 2001:db8:a1::2 ")
        assert udp_visit(lab.homes[0], lab.inet_v4, 53).startswith("you are 198.51.100.11 ")
        assert server.addresses() == ["198.51.100.11", "198.51.100.12", "2001:db8:a1::2"]


def test_nobody_reaches_a_home(lab):
    with TcpServer(lab.homes[0], 80), UdpServer(lab.homes[0], 53):
        lab.inet.sh("ip route add 192.168.1.0/24 via 198.51.100.11")
        for address in ("192.168.1.2", "198.51.100.11", "2001:db8:a1::2"):
            assert tcp_visit(lab.inet, address, 80, seconds=0.5) is None
            assert udp_visit(lab.inet, address, 53, seconds=0.3) is None


def test_a_scan_finds_what_is_open_and_nothing_else(lab):
    with TcpServer(lab.gw, 22), TcpServer(lab.gw, 31999), UdpServer(lab.gw, 500):
        for address in (lab.gw_v4, lab.gw_v6):
            answers = syn_scan(lab.inet, address, range(1, 65536))
            assert sorted(port for port, answer in answers.items() if answer == "open") == [22, 31999]
            assert len(answers) > 65000  # a host without rules resets the rest
            assert udp_scan(lab.inet, address, range(400, 600)) == {500}


def test_a_capture_sees_the_packets(lab):
    with Capture(lab.inet, "eth0", "udp port 5555") as seen:
        assert udp_visit(lab.gw, lab.inet_v4, 5555, tries=1, seconds=0.1) is None
        seen.wait_for_packets(1)
    assert len(seen) == 1 and f"{lab.gw_v4}." in seen.lines[0]


def test_a_killed_process_takes_its_lab_with_it(tmp_path):
    script = (f"import sys; sys.path.insert(0, {os.path.dirname(os.path.abspath(__file__))!r})\n"
              f"from lab import Lab\nlab = Lab({str(tmp_path)!r}, homes=1)\n"
              "sleeper = lab.homes[0].popen('sleep', '1000')\n"
              "print(lab.namespaces.init_pid, lab.gw.pid, sleeper.pid, flush=True)\nsys.stdin.read()")
    process = subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    pids = [int(pid) for pid in process.stdout.readline().split()]
    assert len(pids) == 3 and all(os.path.exists(f"/proc/{pid}") for pid in pids)
    process.send_signal(signal.SIGKILL)
    process.wait()
    wait_for(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in pids), 10, "the lab is gone")
