"""A planned restart, and an upgrade to another program file: open connections go on, the tunnels are back before any client's timer."""
import shutil
import socket
import statistics
import threading
import time

import gateway as gateways
import pytest
from conftest import LONGER
from gateway import ConnectedDevice, Gateway, WireGuardDevice
from namespaces import wait_for
from traffic import TcpServer, UdpServer, connect, read_line

RESTARTS = 100 if LONGER else 6
DATAGRAM_SECONDS = 0.005
BACK_SECONDS_MAX = 1.0  # the median; a client's own timers begin at 15 s
CLIENT_TIMER_SECONDS = 15


class Datagrams(threading.Thread):
    """A visitor's numbered datagrams, one each 5 ms, and when each answer came."""

    def __init__(self, host, address, port):
        super().__init__(daemon=True)
        self.socket = host.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.connect((address, port))
        self.socket.settimeout(0.2)
        self.sent, self.answers, self.ending = 0, {}, threading.Event()
        self.reader = threading.Thread(target=self._read, daemon=True)

    def run(self):
        self.reader.start()
        while not self.ending.wait(DATAGRAM_SECONDS):
            try:
                self.socket.send(b"%d" % self.sent)
            except OSError:
                pass  # an ICMP error of an earlier one
            self.sent += 1

    def _read(self):
        while not self.ending.is_set():
            try:
                answer = self.socket.recv(2048)
            except OSError:
                continue
            self.answers[int(answer.rsplit(b" ", 1)[1])] = time.monotonic()

    def last_answer(self):
        return max(list(self.answers.values()), default=0)

    def stop(self):
        self.ending.set()
        self.join(5)
        self.reader.join(5)


@pytest.mark.parametrize("client", [WireGuardDevice, ConnectedDevice], ids=["wireguard-go", "drpf-connect"])
@pytest.mark.timeout(1800 if LONGER else 180)
def test_a_planned_restart_and_an_upgrade_keep_connections_and_bring_the_tunnels_back(lab, client, tmp_path, monkeypatch):
    programs = [str(tmp_path / "drpf-old"), str(tmp_path / "drpf-new")]
    for program in programs:
        shutil.copy(gateways.DRPF, program)
    gateway = Gateway(lab)
    device = client(lab.homes[0], gateway.add_device("ann", "laptop"))
    ports = gateway.wait_for_ports("laptop")
    with TcpServer(lab.homes[0], ports[0]), UdpServer(lab.homes[0], ports[1]):
        visitor = connect(lab.inet, lab.gw_v4, ports[0])
        visitor.settimeout(30)
        read_line(visitor)
        datagrams = Datagrams(lab.inet, lab.gw_v4, ports[1])
        datagrams.start()
        wait_for(lambda: len(datagrams.answers) > 20, 10, "datagrams are answered")

        silences, backs, starts = [], [], []
        for number in range(RESTARTS):
            monkeypatch.setattr(gateways, "DRPF", programs[number % 2])  # another file: an upgrade
            before = gateway.process
            stopping = time.monotonic()
            assert gateway.stop() == 0 and not before.running()
            silent_since = datagrams.last_answer()
            started = time.monotonic()
            gateway.start()
            starts.append(time.monotonic() - started)
            wait_for(lambda: datagrams.last_answer() > started, CLIENT_TIMER_SECONDS - 5, "datagrams are answered again")
            back = min(when for when in list(datagrams.answers.values()) if when > started)
            silences.append(back - min(silent_since, stopping))
            backs.append(back - started)
            assert gateway.ports("laptop", state="active") == ports
            # Half a second of traffic, so that each restart meets a stream in full swing.
            answered = len(datagrams.answers)
            wait_for(lambda: len(datagrams.answers) > answered + 50, 10, "the stream is in full swing")
            visitor.sendall(b"restart %d\n" % number)
            assert read_line(visitor) == f"restart {number}"
        datagrams.stop()
        visitor.close()
    lost = datagrams.sent - len(datagrams.answers)
    print(f"{RESTARTS} restarts, every one with another program file: READY after p50 {statistics.median(starts):.2f} s, the tunnel back after p50 {statistics.median(backs):.2f} s; silent p50 "
          f"{statistics.median(silences):.2f} s, longest {max(silences):.2f} s; {lost} of {datagrams.sent} datagrams unanswered")
    assert statistics.median(backs) < BACK_SECONDS_MAX
    assert device.process.running()
