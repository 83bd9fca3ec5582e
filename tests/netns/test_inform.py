"""`drpf connect --inform`: the real qBittorrent and Transmission listen on the leased port, and a peer of the Internet reaches them."""
import pytest
from gateway import ConnectedDevice
from namespaces import wait_for
from torrent_programs import INFO_HASH, Qbittorrent, Transmission, bittorrent_visit, listeners

READY_SECONDS_MAX = 20
PROGRAMS = [Qbittorrent, Transmission]


def connect(host, text, *arguments, ready=True):
    device = ConnectedDevice(host, text, "--interface", "home", *arguments)
    if ready:
        device.process.wait_for_output("READY with 5 public ports", READY_SECONDS_MAX)
    return device


def reached(lab, port):
    return bittorrent_visit(lab.inet, lab.gw_v4, port) == INFO_HASH


@pytest.mark.parametrize("make", PROGRAMS)
def test_the_program_listens_on_its_public_port_and_is_reached(lab, gateway, make):
    home = lab.homes[0]
    program = make(home, lab.folder)
    before = program.listening_port()
    device = connect(home, gateway.add_device("ann", "laptop"), "--inform", f"{make.name}={program.url}")
    port = gateway.ports("laptop", state="active")[0]
    assert before != port
    device.process.wait_for_output(f"{make.name} at 127.0.0.1:{program.url.rsplit(':', 1)[1]} listens on {port}", 15)
    assert program.listening_port() == port
    wait_for(lambda: port in listeners(home), 10, "the program's listener is there")
    wait_for(lambda: reached(lab, port), 15, "a peer from outside is answered", every=0.2)
    assert bittorrent_visit(lab.inet, lab.gw_v6, port) == INFO_HASH
