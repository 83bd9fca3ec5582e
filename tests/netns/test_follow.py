"""`drpf connect --follow`: a public port comes when a named program listens, and goes when it stops."""
import os
import shutil
import signal

import pytest
from gateway import DRPF, ConnectedDevice, Gateway
from namespaces import wait_for
from torrent_programs import INFO_HASH, Qbittorrent, bittorrent_visit
from traffic import tcp_visit, udp_visit

READY_SECONDS_MAX = 20
# A plan with nothing by itself, so that what there is was asked for; and one that hands everything out at once.
ON_DEMAND = """[[plan]]
name = "on-demand"
ports_max = 5
ports_at_connect = 0
"""
SERVER = """import socket, sys
for spec in sys.argv[1:]:
    kind, address, port = spec.split(",")
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    held = socket.socket(family, socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM)
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    held.bind((address, int(port)))
    globals().setdefault("all", []).append((kind, held))
    kind == "tcp" and held.listen(16)
import threading
def serve(kind, held):
    while True:
        if kind == "tcp":
            connection, peer = held.accept()
            connection.sendall(f"you are {peer[0]} {peer[1]}\\n".encode())
            connection.close()
        else:
            data, peer = held.recvfrom(65536)
            held.sendto(f"you are {peer[0]} {peer[1]}: ".encode() + data, peer)
threads = [threading.Thread(target=serve, args=one) for one in all]
[thread.start() for thread in threads]
"""


def program(host, folder, name, *listening, before=()):
    """Python under another name, so that the kernel and /proc/PID/exe call it so."""
    binary = os.path.join(folder, name)
    if not os.path.exists(binary):
        shutil.copy("/usr/bin/python3", binary)
    return host.popen(*before, binary, "-c", SERVER, *listening)


def connect(host, text, *arguments):
    device = ConnectedDevice(host, text, "--interface", "home", *arguments)
    device.process.wait_for_output("READY", READY_SECONDS_MAX)
    return device


@pytest.fixture
def on_demand(lab):
    return Gateway(lab, config=ON_DEMAND)


def leases(gateway, local_port, protocol="tcp"):
    return sorted({row["public_port"] for row in gateway.leases("laptop", "active") if row["local_port"] == local_port and row["protocol"] == protocol})


def test_a_port_comes_and_goes_with_the_program(lab, on_demand, tmp_path):
    home, hook = lab.homes[0], tmp_path / "hook"
    device = connect(home, on_demand.add_device("ann", "laptop", plan="on-demand"), "--follow", "game-server,other",
                     "--on-lease", f"echo {{{{EVENT}}}} {{{{LOCAL_PORT}}}} {{{{PROTOCOL}}}} {{{{PROGRAM}}}} >>{hook}")
    assert on_demand.leases("laptop") == []
    game = program(home, lab.folder, "game-server", "tcp,0.0.0.0,25565", "udp,0.0.0.0,25565", "tcp,127.0.0.1,25566", "tcp,192.168.1.2,25567", "tcp,0.0.0.0,8080")
    program(home, lab.folder, "game-server2", "tcp,0.0.0.0,25568")
    device.process.wait_for_output("game-server listens on 25565 (tcp+udp): public 198.51.100.1:", 10)
    port, = leases(on_demand, 25565)
    assert leases(on_demand, 25565, "udp") == [port]
    assert tcp_visit(lab.inet, lab.gw_v4, port).startswith(f"you are {lab.inet_v4} ")
    assert udp_visit(lab.inet, lab.gw_v4, port) is not None
    assert {row["local_port"] for row in on_demand.leases("laptop")} == {25565}, "not loopback, not another address, not 8080, not another name"
    assert "8080 (tcp), where programs are administered: it stays closed" in device.process.output()
    game.kill()
    device.process.wait_for_output("game-server does not listen on 25565 (tcp+udp) any more", 10)
    wait_for(lambda: on_demand.leases("laptop") == [], 5, "no lease is left")
    # The two protocols may end one after the other; that is a change in between.
    wait_for(lambda: hook.exists() and hook.read_text().strip() and hook.read_text().splitlines()[-1].startswith("end 25565 "), 5, "the hook has run at the end")
    assert hook.read_text().splitlines()[0] == "lease 25565 tcp+udp game-server"
    # Started again, it has a port again.
    program(home, lab.folder, "game-server", "tcp,0.0.0.0,25565")
    port, = wait_for(lambda: leases(on_demand, 25565), 10, "a lease again")
    assert tcp_visit(lab.inet, lab.gw_v4, port) is not None
    assert device.disconnect() == 0
    assert on_demand.leases("laptop", "active") == []


def test_a_device_that_holds_all_its_ports_leads_one_of_them_there(lab, gateway):
    home = lab.homes[0]
    device = connect(home, gateway.add_device("ann", "laptop"), "--follow", "game-server")
    ports = gateway.ports("laptop", state="active")
    # On its first port it is reached already; another port of the program takes the highest.
    game = program(home, lab.folder, "game-server", f"tcp,0.0.0.0,{ports[0]}", "tcp,0.0.0.0,25565")
    assert wait_for(lambda: leases(gateway, 25565), 10, "a port leads there") == [ports[4]]
    assert f"game-server listens on {ports[0]} (tcp): a public port leads there already" in device.process.output()
    for port in (ports[0], ports[4]):
        assert tcp_visit(lab.inet, lab.gw_v4, port) is not None
    game.kill()
    wait_for(lambda: leases(gateway, ports[4]) == [ports[4]], 10, "the port leads to its own number again")
    assert gateway.ports("laptop", state="active") == ports


def test_programs_of_other_users_are_seen_and_the_watching_process_has_no_other_rights(lab, on_demand):
    home = lab.homes[0]
    device = connect(home, on_demand.add_device("ann", "laptop", plan="on-demand"), "--follow", "game-server")
    program(home, lab.folder, "game-server", "tcp,0.0.0.0,25565", before=("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"))
    wait_for(lambda: leases(on_demand, 25565), 10, "a lease")
    def children():
        with open(f"/proc/{device.process.pid}/task/{device.process.pid}/children", encoding="ascii") as file:
            return file.read().split()

    # Another one is there for as long as nft writes which ports are let in.
    watcher, = wait_for(lambda: len(alone := children()) == 1 and alone, 5, "one process beside it stays")
    with open(f"/proc/{watcher}/status", encoding="ascii") as file:
        status = dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)
    assert int(status["CapPrm"], 16) == 1 << 19 | 1 << 2 and int(status["CapBnd"], 16) == 1 << 19 | 1 << 2
    assert status["NoNewPrivs"] == "1" and status["Seccomp"] == "2"
    os.kill(int(watcher), signal.SIGKILL)
    device.process.wait_for_output("the process that looks for programs has ended", 10)
    wait_for(lambda: on_demand.leases("laptop") == [], 10, "rather closed than open for nobody")


def test_without_the_rights_it_says_so_and_follows_its_own_users_programs(lab, on_demand):
    home = lab.homes[0]
    text = on_demand.add_device("ann", "laptop", plan="on-demand")
    path = os.path.join(lab.folder, "home.conf")
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    device = home.popen("setpriv", "--bounding-set=-all,+net_admin", "--inh-caps=-all,+net_admin", DRPF, "connect", path, "--interface", "home", "--follow", "game-server")
    device.wait_for_output("only programs of this user are followed", READY_SECONDS_MAX)
    device.wait_for_output("READY", READY_SECONDS_MAX)
    program(home, lab.folder, "game-server", "tcp,0.0.0.0,25565", before=("setpriv", "--bounding-set=-all", "--inh-caps=-all"))
    wait_for(lambda: leases(on_demand, 25565), 10, "a lease")


def test_it_asks_again_after_the_gateway_was_away(lab, on_demand):
    home = lab.homes[0]
    connect(home, on_demand.add_device("ann", "laptop", plan="on-demand"), "--follow", "game-server")
    program(home, lab.folder, "game-server", "tcp,0.0.0.0,25565")
    port, = wait_for(lambda: leases(on_demand, 25565), 10, "a lease")
    on_demand.cli("lease", "remove", f"{port}/tcp")
    again, = wait_for(lambda: leases(on_demand, 25565), 10, "a lease again")
    assert tcp_visit(lab.inet, lab.gw_v4, again) is not None


def test_qbittorrent_is_followed_to_whatever_port_it_takes(lab, on_demand):
    home = lab.homes[0]
    device = connect(home, on_demand.add_device("ann", "laptop", plan="on-demand"), "--follow", "qbittorrent-nox")
    program = Qbittorrent(home, lab.folder)
    port, = wait_for(lambda: leases(on_demand, 6881), 20, "a lease for qBittorrent")
    wait_for(lambda: bittorrent_visit(lab.inet, lab.gw_v4, port) == INFO_HASH, 15, "a peer from outside is answered", every=0.2)
    device.process.wait_for_output("qbittorrent-nox listens on 8080 (tcp), where programs are administered", 20)
    assert leases(on_demand, 8080) == []
    program.stop()
    wait_for(lambda: on_demand.leases("laptop") == [], 10, "no lease is left")
