"""wireguard-go at both ends, the ports led on by nft: Debian's, or any other binary."""
import os

from namespaces import wait_for

from subjects.subject import Subject, first_line, package


class Keys:
    def __init__(self, *hosts):
        self.private = {host: host.run("wg", "genkey").stdout.strip() for host in hosts}
        self.public = {host: host.run("wg", "pubkey", stdin=key).stdout.strip() for host, key in self.private.items()}


def start_wireguard_go(host, binary="wireguard-go"):
    process = host.popen(binary, "-f", "wg0", env={"LOG_LEVEL": "error", "WG_PROCESS_FOREGROUND": "1"})
    wait_for(lambda: host.run("wg", "show", "wg0", check=False).returncode == 0, 10, f"{binary} serves its socket")
    return process


def setconf(host, private_key, peer, allowed, listen=False, endpoint=None):
    text = f"[Interface]\nPrivateKey = {private_key}\n" + ("ListenPort = 51820\n" if listen else "") + f"[Peer]\nPublicKey = {peer}\nAllowedIPs = {allowed}\n"
    if endpoint:
        text += f"Endpoint = {endpoint}\nPersistentKeepalive = 25\n"
    host.run("wg", "setconf", "wg0", "/dev/stdin", stdin=text)


class WireGuardGo(Subject):
    name = "wireguard-go"
    binary = "wireguard-go"
    gateway_tunnel = "10.77.0.1"

    @classmethod
    def with_binary(cls, path):
        path = os.path.abspath(path)
        return type("OtherWireGuardGo", (cls,), {"name": os.path.basename(path) + " *", "binary": path})

    def build(self):
        gw, device = self.lab.gw, self.device
        self.inside = "10.77.0.2"
        keys = Keys(gw, device)
        self.engines = [start_wireguard_go(host, self.binary) for host in (gw, device)]
        setconf(gw, keys.private[gw], keys.public[device], f"{self.inside}/32", listen=True)
        setconf(device, keys.private[device], keys.public[gw], "0.0.0.0/0", endpoint=f"{self.lab.gw_v4}:51820")
        for host, address in ((gw, self.gateway_tunnel), (device, self.inside)):
            host.sh(f"ip addr add {address}/24 dev wg0; ip link set wg0 mtu 1420 up")
        self.forward()
        self.answer_from("wg0")

    def version(self):
        return package("wireguard-go") if self.binary == WireGuardGo.binary else f"{self.binary}: {first_line(self.binary, '--version')}"
