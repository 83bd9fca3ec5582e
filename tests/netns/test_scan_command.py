"""`drpf scan` as people use it: letters, ranges, banners, forms in files, and what is written about scans of strangers."""
import contextlib
import json
import socket
import threading
import xml.etree.ElementTree as ElementTree

import pytest

from gateway import DRPF
from namespaces import Namespaces

OWN, HOST, HOST_V6, SILENT, STRANGER = "10.43.0.1", "10.43.0.2", "fd43::2", "10.43.0.3", "203.0.113.9"
GREETING = b"SSH-2.0-test \x1b[2J\r\n"


class Greeter:
    """Says its greeting to whoever connects."""

    def __init__(self, host, address, port):
        self.listener = host.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
        self.listener.bind((address, port))
        self.listener.listen()
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                visitor = self.listener.accept()[0]
            except OSError:
                return
            with visitor, contextlib.suppress(OSError):  # a connect scan leaves at once
                visitor.sendall(GREETING)

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


@pytest.fixture(scope="module")
def net(tmp_path_factory):
    """Two machines on one link; the far one has a silent address and one that is not private."""
    namespaces = Namespaces(tmp_path_factory.mktemp("scan"))
    near, far = namespaces.host("near"), namespaces.host("far")
    namespaces.link(near, "e0", far, "e0")
    for host, last in ((near, 1), (far, 2)):
        host.run("ip", "addr", "add", f"10.43.0.{last}/24", "dev", "e0")
        host.run("ip", "addr", "add", f"fd43::{last}/64", "dev", "e0", "nodad")
        host.run("ip", "link", "set", "e0", "up")
    far.run("ip", "addr", "add", SILENT, "dev", "e0")
    far.run("ip", "addr", "add", STRANGER, "dev", "e0")
    near.run("ip", "route", "add", f"{STRANGER}/32", "dev", "e0")
    far.nft(f"table ip t {{ chain i {{ type filter hook input priority 0; ip daddr {SILENT} drop\n}}\n}}\n")
    greeters = [Greeter(far, "0.0.0.0", 22), Greeter(far, "::", 8022)]
    yield near
    for greeter in greeters:
        greeter.close()
    namespaces.close()


def hosts(net, *words, code=0):
    done = net.run(DRPF, "scan", "--json", "--no-resume", *words, check=False)
    assert done.returncode == code, done
    return {host["address"]: host for host in json.loads(done.stdout)}


@pytest.mark.quick
def test_the_table_and_its_reasons(net):
    done = net.run(DRPF, "scan", HOST, "-p", "ssh,23")
    lines = [line.split() for line in done.stdout.splitlines()]
    assert ["PORT", "STATE", "SERVICE", "REASON"] in lines
    assert ["22/tcp", "open", "ssh", "syn-ack"] in lines and ["23/tcp", "closed", "telnet", "reset"] in lines


@pytest.mark.parametrize("kind", ["--syn", "--connect"])
def test_a_range_finds_who_is_there(net, kind):
    found = hosts(net, kind, "10.43.0.1-5", "-p", "22,23")
    assert {address: host["status"] for address, host in found.items()} == {
        OWN: "up", HOST: "up", SILENT: "down", "10.43.0.4": "down", "10.43.0.5": "down"}
    assert [port["state"] for port in found[HOST]["ports"]] == ["open", "closed"]
    assert [port["state"] for port in found[OWN]["ports"]] == ["closed", "closed"], "this machine's own address is asked as others are"
    assert found[SILENT]["ports"] == []
    asked = hosts(net, kind, SILENT, "-p", "22")[SILENT]
    assert asked["ports"][0]["state"] == "filtered" and "nothing answered" in asked["notes"][0], "a host that is named is asked in any case"


@pytest.mark.parametrize("address, port", [(HOST, 22), (HOST_V6, 8022)])
def test_banners_are_shown_and_cannot_move_the_cursor(net, address, port):
    port_said = hosts(net, "-sV", address, "-p", str(port))[address]["ports"][0]
    assert port_said["banner"].encode() == GREETING and port_said["service_guess"] == "ssh"
    table = net.run(DRPF, "scan", "--banner", address, "-p", str(port)).stdout
    assert r"SSH-2.0-test \x1b[2J\r\n" in table and "\x1b" not in table


def test_the_usual_letters_and_files_in_every_form(net, tmp_path):
    done = net.run(DRPF, "scan", "-sS", "-Pn", "-n", "-T4", "-p22,23", "-oA", tmp_path / "all", "--output", f"csv:{tmp_path}/all.csv", HOST)
    assert "22/tcp" in done.stdout and "no effect" in done.stderr
    root = ElementTree.parse(tmp_path / "all.xml").getroot()
    assert {port.get("portid"): port.find("state").get("state") for port in root.iter("port")} == {"22": "open", "23": "closed"}
    assert "22/open/tcp//ssh//" in (tmp_path / "all.gnmap").read_text()
    assert "22/tcp" in (tmp_path / "all.nmap").read_text()
    assert f"{HOST},,tcp,22,open,syn-ack,ssh," in (tmp_path / "all.csv").read_text()


def test_a_scan_of_strangers_is_refused_or_written_down(net, tmp_path):
    log = tmp_path / "drpf" / "scan.log"
    audited = ["unshare", "-m", "sh", "-ec", 'mount --bind "$0" /var/log; exec "$@"', tmp_path]
    refused = net.run(*audited, DRPF, "scan", STRANGER, "-p", "22", check=False)
    assert refused.returncode == 1 and "--i-own-these" in refused.stderr and not log.exists()
    allowed = net.run(*audited, DRPF, "scan", STRANGER, "-p", "22", "--i-own-these", "--max-rate", "50")
    assert "22/tcp" in allowed.stdout
    line, = log.read_text().splitlines()
    assert "root (uid 0)" in line and f"scans {STRANGER}; syn: 1 port at up to 50 packets/s" in line
    # What cannot be written down is not done.
    log.unlink()
    log.mkdir()
    assert net.run(*audited, DRPF, "scan", STRANGER, "-p", "22", "--i-own-these", check=False).returncode == 1
