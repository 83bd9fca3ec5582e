"""`drpf scan` as people use it: letters, ranges, banners, forms in files, and what is written about scans of strangers."""
import contextlib
import json
import signal
import socket
import threading
import xml.etree.ElementTree as ElementTree

import pytest

from gateway import DRPF
from namespaces import Namespaces
from odd_host import Asked, like_a_kernel

OWN, HOST, HOST_V6, SILENT, STRANGER = "10.43.0.1", "10.43.0.2", "fd43::2", "10.43.0.3", "203.0.113.9"
DROWSY, ELSEWHERE = "10.43.0.8", "10.47.0.9"
ASLEEP = {"--syn": "10.43.0.6", "--connect": "10.43.0.7"}  # late answers to the one kind of scan do not help the other
WAKES_AFTER = 1.2
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


class Sleeper:
    """Devices whose radio sleeps: some answer even ARP late; for the others an access point does that, and they are late with everything else."""

    def __init__(self, host, interface, late_with_arp, late_with_tcp):
        self.late_with_arp, self.late_with_tcp = list(map(socket.inet_aton, late_with_arp)), late_with_tcp
        self.sockets = []
        for protocol, answer in ((0x0806, self._answer_arp), (0x0800, self._answer_tcp)):
            made = host.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(protocol))
            made.bind((interface, protocol))
            self.sockets.append(made)
            threading.Thread(target=self._serve, args=(made, answer), daemon=True).start()

    def _serve(self, made, answer):
        with contextlib.suppress(OSError):
            while frame := made.recv(2000):
                for said in answer(frame, made.getsockname()[4]):
                    threading.Timer(WAKES_AFTER, self._send, (made, said)).start()

    def _answer_arp(self, frame, mac):
        if frame[20:22] == b"\0\1" and frame[38:42] in self.late_with_arp:
            yield frame[6:12] + mac + frame[12:20] + b"\0\2" + mac + frame[38:42] + frame[22:32]

    def _answer_tcp(self, frame, mac):
        asked = Asked(frame[14:])
        if asked.destination in self.late_with_tcp:
            yield from (frame[6:12] + mac + frame[12:14] + answer for answer in like_a_kernel(asked, {22}))

    @staticmethod
    def _send(made, frame):
        with contextlib.suppress(OSError):
            made.send(frame)

    def close(self):
        for made in self.sockets:
            made.close()


@pytest.fixture(scope="module")
def net(tmp_path_factory):
    """Two machines on one link; the far one has a silent address, three that are asleep, and one that is not private. What is sent to its address
    elsewhere comes back over a second link."""
    namespaces = Namespaces(tmp_path_factory.mktemp("scan"))
    near, far = namespaces.host("near"), namespaces.host("far")
    namespaces.link(near, "e0", far, "e0")
    for host, last in ((near, 1), (far, 2)):
        host.run("ip", "addr", "add", f"10.43.0.{last}/24", "dev", "e0")
        host.run("ip", "addr", "add", f"fd43::{last}/64", "dev", "e0", "nodad")
        host.run("ip", "link", "set", "e0", "up")
    namespaces.link(near, "e1", far, "e1")
    near.ip("addr add 10.46.0.1/24 dev e1", f"route add {STRANGER}/32 dev e0", f"route add {ELSEWHERE} via {HOST} dev e0 src 10.46.0.1",
            "route add unreachable 10.99.0.0/24")
    far.ip("addr add 10.46.0.2/24 dev e1", *(f"addr add {address}/32 dev e0" for address in (SILENT, STRANGER, *ASLEEP.values(), DROWSY, ELSEWHERE)))
    far.sysctl("net.ipv4.conf.e0.rp_filter", 0)
    # The kernel itself keeps silent about the addresses that are asleep.
    far.nft(f"table arp t {{ chain i {{ type filter hook input priority 0; arp daddr ip {{ {', '.join(ASLEEP.values())} }} drop\n}}\n}}\n")
    far.nft(f"table ip t {{ chain i {{ type filter hook input priority 0; ip daddr {{ {SILENT}, {DROWSY} }} drop\n}}\n}}\n")
    greeters = [Greeter(far, "0.0.0.0", 22), Greeter(far, "::", 8022), Sleeper(far, "e0", ASLEEP.values(), [DROWSY])]
    near.hardware = far.sh("cat /sys/class/net/e0/address").strip()
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
        OWN: "up", HOST: "up", SILENT: "up", "10.43.0.4": "down", "10.43.0.5": "down"}
    assert [port["state"] for port in found[HOST]["ports"]] == ["open", "closed"]
    assert [port["state"] for port in found[OWN]["ports"]] == ["closed", "closed"], "this machine's own address is asked as others are"
    assert found["10.43.0.4"]["status_reason"] == "nothing answered ARP"
    assert found[SILENT]["status_reason"] == "arp-response" and found[SILENT]["hardware_address"] == net.hardware
    assert [port["state"] for port in found[SILENT]["ports"]] == ["filtered", "filtered"] and "nothing answered but ARP" in found[SILENT]["notes"][0]


def test_only_looking_says_who_is_there_and_why(net):
    found = hosts(net, "-sn", HOST_V6, "fe80::77%e0", "10.43.0.2-3")
    assert {address: (host["status"], host.get("hardware_address")) for address, host in found.items()} == {
        HOST: ("up", net.hardware), SILENT: ("up", net.hardware), HOST_V6: ("up", net.hardware), "fe80::77%e0": ("down", None)}
    assert found[SILENT]["status_reason"] == "arp-response"
    refused = net.run(DRPF, "scan", "-p", "22", "fe80::77", check=False)
    assert refused.returncode == 64 and "here: e0, e1" in refused.stderr


@pytest.mark.parametrize("kind", ["--syn", "--connect"])
def test_a_device_that_sleeps_is_waited_for(net, kind):
    found = hosts(net, kind, ASLEEP[kind], DROWSY, "-p", "22,23")
    assert {address: [port["state"] for port in host["ports"]] for address, host in found.items()} == {
        address: ["open", "closed"] for address in (ASLEEP[kind], DROWSY)}


def test_answers_may_come_by_another_interface(net):
    assert [port["state"] for port in hosts(net, "--syn", ELSEWHERE, "-p", "22,23")[ELSEWHERE]["ports"]] == ["open", "closed"]


@pytest.mark.parametrize("kind", ["--syn", "--connect", "--udp"])
def test_a_trouble_of_this_machine_is_not_the_targets(net, kind):
    """No route to one, no way for a family, a name that nobody knows: all said, and everything else goes on."""
    done = net.run(DRPF, "scan", kind, "--format", "jsonl", "--no-resume", "-p", "23", "10.99.0.1", HOST, "fd99::1", "nowhere.invalid", check=False)
    assert done.returncode == 3, done
    *found, last = map(json.loads, done.stdout.splitlines())
    assert {host["address"]: (host["ports"][0]["state"], host["ports"][0]["reason"], host["ports"][0].get("note")) for host in found} == {
        HOST: ("closed", "port-unreach" if kind == "--udp" else "reset", None),
        "10.99.0.1": ("undecided", "local-error", "this machine has no route to it"), "fd99::1": ("undecided", "local-error", "this machine has no route to it")}
    assert any("nowhere.invalid" in line for line in last["summary"]["undecided_ports"])
    assert ["2 ports of 2 hosts could not be asked" in warning for warning in last["summary"]["warnings"]] == [True]


def test_raw_probes_go_around_own_rules_unless_told_not_to(net):
    net.nft("table inet own {\n  chain output {\n    type filter hook output priority 0; policy accept;\n    tcp dport 22 reject\n  }\n}\n")
    try:
        around = net.run(DRPF, "scan", "--syn", "-p", "22,23", "--no-resume", HOST)
        assert "inet own output" in around.stderr and "--through-own-rules" in around.stderr and "22/tcp  open" in around.stdout
        for words in (["--syn", "--through-own-rules"], ["--connect"]):
            ports = hosts(net, *words, "-p", "22,23", HOST, code=3)[HOST]["ports"]
            assert [(port["state"], port.get("note")) for port in ports] == [("undecided", "a rule of this machine has refused the probe"), ("closed", None)]
    finally:
        net.run("nft", "delete", "table", "inet", "own")


def test_lists_come_through_a_pipe_and_as_other_systems_save_them(net):
    done = net.run(DRPF, "scan", "-iL", "-", "-p", "22/tcp", "--json", "--no-resume", stdin=f"\ufeff{HOST}\r\n")
    assert [host["address"] for host in json.loads(done.stdout)] == [HOST]


def test_a_terminal_that_goes_leaves_a_report_and_a_resume_file(net, tmp_path):
    slow = [DRPF, "scan", "--syn", "-p", "1000-2000", "--max-rate", "100", "--progress", "json", HOST]
    scan = net.popen(*slow, "--output", f"json:{tmp_path}/scan.json", "--resume-file", tmp_path / "scan.resume")
    heedless = net.popen("nohup", *slow, "--no-resume")
    for one in (scan, heedless):
        one.wait_for_output('"done"')
    heedless.send_signal(signal.SIGHUP)
    assert scan.stop(signal.SIGHUP) == 130, scan.output()
    heedless.wait_for_output('"done"', after=len(heedless.output()))
    assert heedless.stop() == 130
    assert json.loads((tmp_path / "scan.json").read_text())[0]["interrupted"] and (tmp_path / "scan.resume").exists()


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
