"""drpf at both ends, and each end against stock wireguard-go."""
import gateway as gateway_module
from namespaces import wait_for

from subjects.subject import PORTS, Subject, first_line, package
from subjects.wireguard_go import Keys, setconf, start_wireguard_go


class Leased(Subject):
    """drpf gateway, and ports that it leased."""

    def add_device(self):
        # One visitor opens more connections than the whole world may by default.
        self.gateway = gateway_module.Gateway(self.lab, "[limits]\npackets_per_lease_per_s = 0\n")
        return self.gateway.add_device("bench", "device")

    def take_ports(self):
        self.ports = tuple(self.gateway.wait_for_ports("device", 5)[:len(PORTS)])

    def version(self):
        return first_line(gateway_module.DRPF, "--version")


class BothEnds(Leased):
    name = "drpf"

    def build(self):
        self.connected = gateway_module.ConnectedDevice(self.device, self.add_device())
        self.inside = self.connected.address()
        self.take_ports()
        self.engines = [self.gateway.process, self.connected.process]


class DrpfGateway(Leased):
    name = "drpf + stock device"

    def build(self):
        stock = gateway_module.WireGuardDevice(self.device, self.add_device())
        self.inside = stock.address()
        self.take_ports()
        self.engines = [self.gateway.process, stock.process]

    def version(self):
        return f"{super().version()}, {package('wireguard-go')}"


class DrpfDevice(Subject):
    name = "stock + drpf connect"
    gateway_tunnel, inside_address = "10.77.0.1", "10.77.0.2"

    def build(self):
        self.inside = self.inside_address
        keys = Keys(self.lab.gw, self.device)
        server = start_wireguard_go(self.lab.gw)
        setconf(self.lab.gw, keys.private[self.lab.gw], keys.public[self.device], f"{self.inside}/32", listen=True)
        self.lab.gw.sh(f"ip addr add {self.gateway_tunnel}/24 dev wg0; ip link set wg0 mtu 1420 up")
        self.forward()
        text = (f"[Interface]\nPrivateKey = {keys.private[self.device]}\nAddress = {self.inside}/32\n[Peer]\nPublicKey = {keys.public[self.lab.gw]}\n"
                f"AllowedIPs = 0.0.0.0/0\nEndpoint = {self.lab.gw_v4}:51820\nPersistentKeepalive = 25\n")
        connected = gateway_module.ConnectedDevice(self.device, text)
        self.engines = [server, connected.process]
        wait_for(lambda: self.inside in self.device.sh("ip -o addr"), 20, "drpf connect has made its interface")

    def version(self):
        return f"{package('wireguard-go')}, {first_line(gateway_module.DRPF, '--version')}"
