"""The part that all subjects share: a gateway, a device and a visitor on networks of their own, and the servers on the device."""
import os
import subprocess

from lab import Lab, Plan
from namespaces import wait_for
from traffic import connect

DEVICE = 30  # host number of the device on the Internet
STREAM, VISITOR, DATAGRAMS = range(3)  # the ports that a subject has to lead to the device
PORTS = (20000, 20001, 20002)
READY_SECONDS_MAX = 30
FORWARDING_RULES = """
table ip forwarded_ports {
  chain prerouting { type nat hook prerouting priority dstnat; policy accept;
    iifname "wan" meta l4proto { tcp, udp } th dport { %(ports)s } dnat to %(device)s
  }
}
"""


class Subject:
    """One way from the visitor to the device. `build` sets `inside` (where the servers listen), and `engines`."""
    name = ""
    carries_udp = True

    def __init__(self, folder, tools):
        self.tools = tools
        self.lab = Lab(folder, homes=0, plan=Plan())
        self.device = self.lab.add_visitor("device", DEVICE)
        self.visitor = self._add_far_visitor()
        self.address = self.lab.gw_v4
        self.ports = PORTS  # as the visitor sees them; on the device they are the same
        self.inside = None
        self.engines = []  # processes whose own CPU time is reported
        self.build()

    def build(self):
        raise NotImplementedError

    def version(self):
        """One line that says what was measured."""
        raise NotImplementedError

    def _add_far_visitor(self):
        """In a network of its own: a device speaks to neighbours on its own wire past any tunnel."""
        visitor = self.lab.namespaces.host("visitor")
        self.lab.namespaces.link(self.lab.isp, "far", visitor, "eth0")
        self.lab.isp.sh("ip addr add 203.0.113.1/24 dev far")
        visitor.sh("ip addr add 203.0.113.20/24 dev eth0; ip route add default via 203.0.113.1")
        return visitor

    def forward(self):
        """The ports are led to the device as an administrator would do it by hand."""
        self.lab.gw.sysctl("net.ipv4.ip_forward", 1)
        self.lab.gw.nft(FORWARDING_RULES % {"ports": ", ".join(map(str, self.ports)), "device": self.inside})

    def answer_from(self, interface, via=""):
        """As a device that keeps its own default route: only what comes from its tunnel address goes back through the tunnel."""
        self.device.sh(f"ip rule add from {self.inside} lookup 51820; ip route add default {via} dev {interface} table 51820")

    def tool(self, name):
        return os.path.join(self.tools, name)

    def serve(self):
        # Bound, because an unbound UDP server answers from the address of its default route.
        self.device.popen("iperf3", "-s", "-B", self.inside, "-p", self.ports[STREAM])
        for program, port in (("visitor_bench", VISITOR), ("datagrams_bench", DATAGRAMS)):
            self.device.popen(self.tool(program), "serve", self.inside, self.ports[port]).wait_for_output("serving")
        wait_for(self._answers, READY_SECONDS_MAX, f"{self.name} answers")

    def _answers(self):
        try:
            with connect(self.visitor, self.address, self.ports[VISITOR], 2) as connection:
                return connection.recv(1) == b"!"
        except OSError:
            return False

    def close(self):
        self.lab.close()


def first_line(*command):
    try:
        output = subprocess.run(command, capture_output=True, text=True, check=False)
        return (output.stdout + output.stderr).strip().splitlines()[0]
    except (OSError, IndexError):
        return "?"


def package(name):
    return first_line("dpkg-query", "-W", "-f", "${Package} ${Version}", name)
