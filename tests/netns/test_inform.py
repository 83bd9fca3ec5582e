"""`drpf connect --inform`: the real qBittorrent and Transmission listen on the leased port, and a peer of the Internet reaches them."""
import json
import os

import pytest
from gateway import DRPF, ConnectedDevice
from namespaces import wait_for
from torrent_programs import INFO_HASH, PASSWORD, RPC_PORT, Qbittorrent, Transmission, bittorrent_visit, listeners

READY_SECONDS_MAX = 20
PROGRAMS = [Qbittorrent, Transmission]


def connect(host, text, *arguments):
    device = ConnectedDevice(host, text, "--interface", "home", *arguments)
    device.process.wait_for_output("READY with 5 public ports", READY_SECONDS_MAX)
    return device


def is_reached(lab, port):
    wait_for(lambda: bittorrent_visit(lab.inet, lab.gw_v4, port) == INFO_HASH, 20, "a peer from outside is answered", every=0.2)


@pytest.mark.parametrize("make", PROGRAMS)
def test_the_program_listens_on_its_public_port_and_is_reached(lab, gateway, make):
    home = lab.homes[0]
    program = make(home, lab.folder)
    before = program.listening_port()
    device = connect(home, gateway.add_device("ann", "laptop"), "--inform", f"{make.name}={program.url}")
    ports = gateway.ports("laptop", state="active")
    assert before not in ports
    device.process.wait_for_output(f"{make.name} at 127.0.0.1:{program.port} listens on {ports[0]}", 15)
    assert program.listening_port() == ports[0]
    wait_for(lambda: ports[0] in listeners(home), 10, "the program's listener is there")
    is_reached(lab, ports[0])
    assert bittorrent_visit(lab.inet, lab.gw_v6, ports[0]) == INFO_HASH
    # The first port ends: the program is moved to the next.
    for protocol in ("tcp", "udp"):
        gateway.cli("lease", "remove", f"{ports[0]}/{protocol}")
    device.process.wait_for_output(f"{make.name} at 127.0.0.1:{program.port} listens on {ports[1]}", 15)
    assert program.listening_port() == ports[1]
    is_reached(lab, ports[1])
    # The tunnel goes and comes back under the running program.
    assert device.disconnect() == 0
    device.start()
    device.process.wait_for_output("READY with 4 public ports", READY_SECONDS_MAX)
    device.process.wait_for_output(f"{make.name} at 127.0.0.1:{program.port} listens on {ports[1]}", 15)
    is_reached(lab, ports[1])


def test_logins_by_file_and_by_environment(lab, gateway, tmp_path):
    home, path = lab.homes[0], tmp_path / "home.conf"
    first, second = Qbittorrent(home, lab.folder, login=True), Transmission(home, lab.folder, login=True)
    path.write_text(gateway.add_device("ann", "laptop"))
    secret, wrong = tmp_path / "password", tmp_path / "wrong"
    secret.write_text(PASSWORD + "\n")
    wrong.write_text("not it\n")
    arguments = ["--interface", "home", "--inform", f"qbittorrent={first.url},password-file={secret}", "--inform", f"transmission={second.url},port=2"]
    open_to_others = home.run(DRPF, "connect", path, *arguments, check=False, env={"DRPF_TRANSMISSION_PASSWORD": PASSWORD})
    assert open_to_others.returncode == 64 and f"chmod 600 {secret}" in open_to_others.stderr
    secret.chmod(0o600)
    wrong.chmod(0o600)
    without = home.run(DRPF, "connect", path, *arguments, check=False)
    assert without.returncode == 64 and "DRPF_TRANSMISSION_PASSWORD" in without.stderr
    device = home.popen(DRPF, "connect", path, *arguments, "--inform", f"qbittorrent={first.url},port=3,password-file={wrong}",
                        env={"DRPF_TRANSMISSION_PASSWORD": PASSWORD})
    device.wait_for_output("READY with 5 public ports", READY_SECONDS_MAX)
    ports = gateway.ports("laptop", state="active")
    device.wait_for_output(f"transmission at 127.0.0.1:{RPC_PORT} listens on {ports[1]}", 15)
    device.wait_for_output(f"qbittorrent at 127.0.0.1:{first.port} listens on {ports[0]}", 15)
    device.wait_for_output(f"qbittorrent at 127.0.0.1:{first.port} refuses user admin and the password", 15)
    assert (first.listening_port(), second.listening_port()) == (ports[0], ports[1])
    assert PASSWORD not in device.output() and "not it" not in device.output()
    with open(f"/proc/{device.pid}/cmdline", encoding="utf-8") as file:
        assert PASSWORD not in file.read()


def test_it_waits_for_the_program_and_tells_it_again_when_it_has_forgotten(lab, gateway):
    home = lab.homes[0]
    program = Transmission(home, lab.folder, start=False)
    device = connect(home, gateway.add_device("ann", "laptop"), "--inform", f"transmission={program.url}", "--status-file", f"{lab.folder}/status")
    port = gateway.ports("laptop", state="active")[0]
    informed = f"transmission at 127.0.0.1:{RPC_PORT} listens on {port}"
    device.process.wait_for_output(f"cannot reach transmission at 127.0.0.1:{RPC_PORT}", 10)
    program.start()
    device.process.wait_for_output(informed, 40)
    assert device.process.output().count("cannot reach transmission") == 1
    program.process.kill()
    seen = len(device.process.output())
    program.configure(port=51413)
    program.start()
    device.process.wait_for_output(informed, 45, after=seen)
    assert program.listening_port() == port
    with open(f"{lab.folder}/status", encoding="utf-8") as file:
        status = json.load(file)
    assert status["state"] == "connected" and status["port"] == port and status["device"] == "laptop" and len(status["ports"]) == 5
    assert device.disconnect() == 0
    with open(f"{lab.folder}/status", encoding="utf-8") as file:
        assert json.load(file)["state"] == "stopped"


def test_hooks_for_each_port_and_as_gluetun_has_them(lab, gateway, tmp_path):
    home, out = lab.homes[0], tmp_path / "hooks"
    device = connect(home, gateway.add_device("ann", "laptop"),
                     "--on-lease", f"echo {{{{EVENT}}}} {{{{PORT}}}}/{{{{PROTOCOL}}}} $DRPF_LOCAL_PORT >>{out}.lease",
                     "--on-up", f'/bin/sh -c "echo ports {{{{PORTS}}}} first {{{{PORT}}}} on {{{{VPN_INTERFACE}}}} >>{out}.gluetun"',
                     "--on-down", f"echo gone {{{{PORTS}}}} >>{out}.gluetun")
    ports = gateway.ports("laptop", state="active")

    def lines(name):
        return open(f"{out}.{name}", encoding="ascii").read().splitlines() if os.path.exists(f"{out}.{name}") else []

    wait_for(lambda: len(lines("lease")) == 5 and lines("gluetun"), 10, "all hooks have run")
    assert lines("lease") == [f"lease {port}/tcp+udp {port}" for port in ports]
    gateway.cli("lease", "set", f"{ports[0]}/tcp", "--local", "110")
    wait_for(lambda: lines("lease")[5:], 10, "a change")
    gateway.cli("lease", "remove", f"{ports[4]}/tcp")
    gateway.cli("lease", "remove", f"{ports[4]}/udp")
    wait_for(lambda: lines("lease")[-1] == f"end {ports[4]}/udp {ports[4]}", 10, "an end")
    assert f"change {ports[0]}/tcp+udp 110" in lines("lease")
    assert device.disconnect() == 0
    assert lines("lease")[-4:] == [f"end {port}/tcp+udp {110 if port == ports[0] else port}" for port in ports[:4]]
    assert lines("gluetun")[0] == f"ports {','.join(map(str, ports))} first {ports[0]} on home"
    assert lines("gluetun")[-1] == f"gone {','.join(map(str, ports[:4]))}"
