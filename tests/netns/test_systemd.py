"""The units of packaging/systemd: how exposed they leave the machine, and whether drpf works behind their walls."""
import os
import re
import shutil
import signal
import subprocess

import pytest
from gateway import ConnectedDevice, Gateway, WireGuardDevice
from namespaces import wait_for
from systemd_lab import UNITS, NoSystemd, Systemd
from test_confinement import NET_ADMIN, NET_BIND_SERVICE, assert_confined, status, threads
from test_device_network import OUTSIDE, Chatter, is_open
from traffic import Capture, TcpServer, tcp_visit

EXPOSURE_MAX = 2.0


@pytest.mark.quick
@pytest.mark.parametrize("unit", ["drpf.service", "drpf-connect@.service", "drpf-connect-closed@.service"])
def test_a_unit_leaves_little_exposed(unit):
    result = subprocess.run(["systemd-analyze", "security", "--offline=yes", "--no-pager", os.path.join(UNITS, unit)], capture_output=True, text=True, check=False)
    exposure = re.search(r"Overall exposure level for \S+: ([0-9.]+)", result.stdout)
    assert exposure, result.stderr
    assert float(exposure[1]) <= EXPOSURE_MAX, result.stdout
    assert "Unknown" not in result.stderr and "ignoring" not in result.stderr, result.stderr


@pytest.fixture
def boot():
    """boot(host): systemd on that host. Where the machine allows no systemd beside its own, the sandbox of test_confinement.py stands alone."""
    booted = []

    def start(host):
        try:
            booted.append(Systemd(host))
        except NoSystemd as reason:
            pytest.skip(f"systemd does not start here: {reason}")
        return booted[-1]

    yield start
    for systemd in booted:
        systemd.close()


class UnitGateway(Gateway):
    """The gateway as a unit: started by systemctl, asked over its socket."""

    def __init__(self, lab, systemd):
        super().__init__(lab, start=False)
        self.systemd = systemd
        systemd.systemctl("start", "drpf")
        inner = subprocess.run(["sed", "-n", "s/^NSpid://p", f"/proc/{systemd.pid}/status"], capture_output=True, text=True, check=True).stdout.split()[-2]
        self.socket = os.path.join(f"/proc/{inner}/root", "run/drpf/drpf.sock")

    def log_text(self):
        return self.systemd.text("/run/drpf.log")


def test_the_gateway_under_its_unit(lab, boot):
    systemd = boot(lab.gw)
    gateway = UnitGateway(lab, systemd)
    assert systemd.show("drpf", "ActiveState") == "active"
    main = systemd.main_process("drpf")
    user = int(status(main)["Uid"].split()[0])
    assert user != 0
    assert_confined(main, NET_ADMIN | NET_BIND_SERVICE, user, filters=2)
    with open(f"/proc/{main}/limits", encoding="ascii") as file:
        assert re.search(r"Max locked memory +unlimited|Max locked memory +\d+ ", file.read())

    WireGuardDevice(lab.homes[0], gateway.add_device("ann", "laptop"))
    ports = gateway.wait_for_ports("laptop")
    with TcpServer(lab.homes[0], ports[0]):
        for address in (lab.gw_v4, lab.gw_v6):
            assert tcp_visit(lab.inet, address, ports[0]), gateway.log_text()
        assert lab.gw.sysctl("net.ipv4.ip_forward") == "1"

        systemd.systemctl("reload", "drpf")
        wait_for(lambda: "configuration read again" in gateway.log_text(), 10, "it reads its configuration again")
        assert systemd.show("drpf", "ActiveState") == "active" and tcp_visit(lab.inet, lab.gw_v4, ports[0])

        with open(systemd.path("/etc/drpf/drpf.toml"), "w", encoding="ascii") as file:
            file.write("[ports]\npol = 1\n")
        os.chmod(systemd.path("/etc/drpf/drpf.toml"), 0o644)
        assert systemd.run("systemctl", "reload", "drpf").returncode != 0, "a bad file fails the reload"
        assert "unknown key 'pol'" in gateway.log_text()
        assert systemd.show("drpf", "ActiveState") == "active" and tcp_visit(lab.inet, lab.gw_v4, ports[0])
        os.unlink(systemd.path("/etc/drpf/drpf.toml"))
        systemd.systemctl("reload", "drpf")

        lab.gw.sh("ip link del drpf0")
        wait_for(lambda: tcp_visit(lab.inet, lab.gw_v4, ports[0], seconds=1), 10, "the tunnel's interface is made again behind these walls, too")
        assert systemd.main_process("drpf") == main

        os.kill(main, signal.SIGKILL)
        wait_for(lambda: gateway.log_text().count("READY") == 2, 15, "systemd starts it again")
        assert gateway.ports("laptop") == ports
        wait_for(lambda: tcp_visit(lab.inet, lab.gw_v4, ports[0], seconds=1), 60, "visitors come in again")
    systemd.systemctl("stop", "drpf")
    assert systemd.show("drpf", "Result") == "success", gateway.log_text()
    assert tcp_visit(lab.inet, lab.gw_v4, ports[0], seconds=0.5) is None


def test_it_is_alive_for_the_watchdog_and_dead_when_it_hangs(lab, boot):
    systemd = boot(lab.gw)
    with open(systemd.path("/etc/systemd/system/drpf.service.d/watchdog.conf"), "w", encoding="ascii") as file:
        file.write("[Service]\nWatchdogSec=2s\nWatchdogSignal=KILL\n")
    systemd.systemctl("daemon-reload")
    gateway = UnitGateway(lab, systemd)
    main = systemd.main_process("drpf")
    wait_for(lambda: int(systemd.show("drpf", "WatchdogTimestampMonotonic")) - int(systemd.show("drpf", "ActiveEnterTimestampMonotonic")) > 3_000_000, 15,
             "it has said that it lives, for longer than it may be silent")
    assert gateway.log_text().count("READY") == 1
    os.kill(main, signal.SIGSTOP)
    wait_for(lambda: gateway.log_text().count("READY") == 2, 20, "one that hangs is replaced")


def test_a_device_under_its_unit(lab, gateway, boot):
    home = lab.homes[0]
    text = gateway.add_device("ann", "laptop")
    systemd = boot(home)
    with open(systemd.path("/etc/drpf/laptop.conf"), "w", encoding="ascii") as file:
        file.write(text)
    os.chmod(systemd.path("/etc/drpf/laptop.conf"), 0o600)
    with open(systemd.path("/etc/drpf/laptop.env"), "w", encoding="ascii") as file:
        file.write("DRPF_CONNECT=--no-kill-switch\n")
    systemd.systemctl("start", "drpf-connect@laptop")  # returns when it has its ports
    ports = gateway.wait_for_ports("laptop")
    assert systemd.text("/run/drpf-connect/laptop.ports").split() == [str(port) for port in ports]
    main = systemd.main_process("drpf-connect@laptop")
    for thread in threads(main):
        assert int(status(main, thread)["CapEff"], 16) == NET_ADMIN and status(main, thread)["NoNewPrivs"] == "1"
    with TcpServer(home, ports[0]):
        assert tcp_visit(lab.inet, lab.gw_v4, ports[0])
    systemd.systemctl("stop", "drpf-connect@laptop")
    assert systemd.show("drpf-connect@laptop", "Result") == "success"
    assert gateway.ports("laptop", state="active") == []


def test_a_device_under_its_unit_is_opened_by_stop_alone(lab, gateway, boot):
    home = lab.homes[0]
    text = gateway.add_device("ann", "laptop")
    systemd = boot(home)
    with open(systemd.path("/etc/drpf/laptop.conf"), "w", encoding="ascii") as file:
        file.write(text)
    os.chmod(systemd.path("/etc/drpf/laptop.conf"), 0o600)
    systemd.systemctl("start", "drpf-connect@laptop")
    with Chatter(lab, home), Capture(lab.routers[0], "lan2", OUTSIDE) as outside:
        systemd.systemctl("restart", "drpf-connect@laptop")  # as an update does it
        os.kill(systemd.main_process("drpf-connect@laptop"), signal.SIGKILL)
        wait_for(lambda: systemd.show("drpf-connect@laptop", "NRestarts") != "0" and systemd.show("drpf-connect@laptop", "ActiveState") == "active", 15,
                 "systemd starts it again")
        gateway.wait_for_ports("laptop")
    assert outside.lines == []
    assert systemd.show("drpf-connect-closed@laptop", "ActiveState") == "active"
    systemd.systemctl("stop", "drpf-connect@laptop")
    wait_for(lambda: "drpf_connect" not in home.run("nft", "list", "tables").stdout, 10, "the user's word opens it")
    assert is_open(lab, home)


def test_a_device_under_its_unit_follows_programs(lab, gateway, boot):
    home = lab.homes[0]
    text = gateway.add_device("ann", "laptop")
    systemd = boot(home)
    with open(systemd.path("/etc/drpf/laptop.conf"), "w", encoding="ascii") as file:
        file.write(text)
    os.chmod(systemd.path("/etc/drpf/laptop.conf"), 0o600)
    with open(systemd.path("/etc/drpf/laptop.env"), "w", encoding="ascii") as file:
        file.write("DRPF_CONNECT=--no-kill-switch --follow game-server\n")
    os.mkdir(systemd.path("/etc/systemd/system/drpf-connect@laptop.service.d"))
    shutil.copy(os.path.join(UNITS, "drpf-connect-follow.conf"), systemd.path("/etc/systemd/system/drpf-connect@laptop.service.d/follow.conf"))
    systemd.systemctl("start", "drpf-connect@laptop")
    server = systemd.path("/usr/local/bin/game-server")
    shutil.copy("/usr/bin/socat", server)
    with open(systemd.path("/etc/systemd/system/game.service"), "w", encoding="ascii") as file:
        file.write("[Unit]\nDefaultDependencies=no\n[Service]\nUser=65534\nExecStart=/usr/local/bin/game-server TCP-LISTEN:25565,fork,reuseaddr EXEC:cat\n")
    systemd.systemctl("start", "game")
    wait_for(lambda: [row for row in gateway.leases("laptop", "active") if row["local_port"] == 25565], 15, f"a lease\n{systemd.text('/run/drpf-connect.log')}")
    main = systemd.main_process("drpf-connect@laptop")
    assert int(status(main, main)["CapPrm"], 16) == NET_ADMIN
    assert "only programs of this user" not in systemd.text("/run/drpf-connect.log")


def test_a_hook_has_no_rights(lab, gateway, tmp_path):
    seen = tmp_path / "hook"
    device = ConnectedDevice(lab.homes[0], gateway.add_device("ann", "laptop"), "--on-change", f"grep -E '^(Cap|NoNewPrivs)' /proc/self/status >{seen}.new; mv {seen}.new {seen}")
    gateway.wait_for_ports("laptop")
    wait_for(seen.exists, 10, "the hook has run")
    fields = dict(line.split(":\t") for line in seen.read_text().splitlines())
    assert int(fields["CapEff"], 16) == int(fields["CapPrm"], 16) == int(fields["CapAmb"], 16) == 0 and fields["NoNewPrivs"] == "1"
    for thread in threads(device.process.pid):
        fields = status(device.process.pid, thread)
        assert int(fields["CapEff"], 16) == int(fields["CapBnd"], 16) == NET_ADMIN and fields["Seccomp"] == "2"
    assert device.disconnect() == 0, "it still clears its firewall and routes"
    assert "inet" not in lab.homes[0].run("nft", "list", "tables").stdout
