"""What ./dev bench path compares: each file is one way from a visitor to a server behind a gateway."""
from subjects.drpf_ends import BothEnds, DrpfDevice, DrpfGateway
from subjects.haproxy import Haproxy
from subjects.openvpn import OpenVpn
from subjects.plain import PlainRedirect
from subjects.ssh import ReverseSsh
from subjects.wireguard_go import WireGuardGo

# In the order of the table; the words are those of --only and --without.
KINDS = {"drpf": BothEnds, "drpf-gateway": DrpfGateway, "drpf-connect": DrpfDevice, "wireguard-go": WireGuardGo, "openvpn-aes": OpenVpn.with_cipher("AES-256-GCM"),
         "openvpn-chacha": OpenVpn.with_cipher("CHACHA20-POLY1305"), "ssh": ReverseSsh, "haproxy": Haproxy, "plain": PlainRedirect}
