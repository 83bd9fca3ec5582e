"""The lab: an Internet with a gateway, a visitor, and homes behind NAT routers that let nothing in.

    inet 198.51.100.20 ──┐                       ┌── router1 198.51.100.11 ── home1 192.168.1.2
                         ├── isp (bridge, .254) ─┤
    gw   198.51.100.1 ───┘                       └── router2 198.51.100.12 ── home2 192.168.1.2

IPv6 beside it: 2001:db8:51::/64 on the bridge, 2001:db8:a<n>::/64 in home n, which its router lets out and not in.
"""
import ipaddress
from dataclasses import dataclass, field

from namespaces import Namespaces

HOME_NETWORK = "192.168.1"
ROUTER_RULES = """
table inet router {
  chain forward { type filter hook forward priority 0; policy drop;
    ct state established,related accept
    iifname "lan" oifname "wan" accept
  }
  chain input { type filter hook input priority 0; policy drop;
    ct state established,related accept
    iifname { "lan", "lo" } accept
    meta l4proto 58 accept
  }
  chain nat { type nat hook postrouting priority 100; policy accept;
    oifname "wan" ip version 4 masquerade
  }
}
"""


@dataclass
class Plan:
    """The addresses of the Internet; a test that needs others (several public addresses, say) passes its own."""
    v4: str = "198.51.100.0/24"
    v6: str = "2001:db8:51::/64"
    gateway: list = field(default_factory=lambda: [1])  # host numbers of the gateway's public addresses
    inet: int = 20
    isp: int = 254
    router: int = 10  # of home n: router + n

    def address4(self, number):
        return str(ipaddress.ip_network(self.v4)[number])

    def address6(self, number):
        return str(ipaddress.ip_network(self.v6)[number])


class Lab:
    def __init__(self, folder, homes=2, plan=None):
        self.plan = plan or Plan()
        self.namespaces = Namespaces(folder)
        self.folder = self.namespaces.folder
        self.isp = self.namespaces.host("isp")
        self.isp.ip("link add br0 type bridge forward_delay 0 stp_state 0 mcast_snooping 0", "link set br0 up", *self._addresses("br0", [self.plan.isp]))
        self._forwarding(self.isp)
        self.gw = self._on_the_internet("gw", "wan", self.plan.gateway)
        self.inet = self._on_the_internet("inet", "eth0", [self.plan.inet])
        self.gw_v4, self.gw_v6 = self.plan.address4(self.plan.gateway[0]), self.plan.address6(self.plan.gateway[0])
        self.inet_v4, self.inet_v6 = self.plan.address4(self.plan.inet), self.plan.address6(self.plan.inet)
        self.routers, self.homes = [], []
        for number in range(1, homes + 1):
            self.add_home(number)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.namespaces.close()

    def add_visitor(self, name, number):
        """One more host on the Internet."""
        return self._on_the_internet(name, "eth0", [number])

    def add_home(self, number):
        """Router and one machine of home `number`; returns the machine."""
        router = self._on_the_internet(f"router{number}", "wan", [self.plan.router + number])
        self._forwarding(router)
        router.nft(ROUTER_RULES)
        router.ip("link add lan type bridge forward_delay 0 stp_state 0 mcast_snooping 0", "link set lan up",
                  f"addr add {HOME_NETWORK}.1/24 dev lan", f"addr add {self.home_v6(number, 1)}/64 dev lan nodad")
        self.isp.ip(f"route add {self.home_v6(number, 0)}/64 via {self.plan.address6(self.plan.router + number)}")
        self.routers.append(router)
        home = self.add_machine(f"home{number}", number, 2)
        self.homes.append(home)
        return home

    def add_machine(self, name, home_number, number):
        """One more machine in a home."""
        router = self.namespaces.hosts[f"router{home_number}"]
        machine = self.namespaces.host(name)
        self.namespaces.link(router, f"lan{number}", machine, "eth0")
        router.ip(f"link set lan{number} master lan")
        machine.ip(f"addr add {HOME_NETWORK}.{number}/24 dev eth0", f"addr add {self.home_v6(home_number, number)}/64 dev eth0 nodad",
                   f"route add default via {HOME_NETWORK}.1", f"route add default via {self.home_v6(home_number, 1)}")
        return machine

    def home_v6(self, home_number, number):
        return str(ipaddress.ip_network(f"2001:db8:a{home_number}::/64")[number])

    def _on_the_internet(self, name, interface, numbers):
        host = self.namespaces.host(name)
        self.namespaces.link(self.isp, name, host, interface)
        self.isp.ip(f"link set {name} master br0")
        host.ip(*self._addresses(interface, numbers), f"route add default via {self.plan.address4(self.plan.isp)}",
                f"route add default via {self.plan.address6(self.plan.isp)}")
        return host

    def _addresses(self, interface, numbers):
        v4_length, v6_length = self.plan.v4.split("/")[1], self.plan.v6.split("/")[1]
        return [line for number in numbers for line in (f"addr add {self.plan.address4(number)}/{v4_length} dev {interface}",
                                                        f"addr add {self.plan.address6(number)}/{v6_length} dev {interface} nodad")]

    @staticmethod
    def _forwarding(host):
        host.sysctl("net.ipv4.ip_forward", 1)
        host.sysctl("net.ipv6.conf.all.forwarding", 1)
