"""The table of walls: for each threat the attack, and what has to be taken out for the attack to succeed.

A removal is a tuple of: the name of a rule of firewall/gateway_ruleset.cpp; `name -> text`, a rule bent; `policy CHAIN`, a chain that accepts
what no rule names; `priority CHAIN NUMBER`, a chain moved; `! command : undoing`, run on the gateway. {v}, {ip} stand for the family.
tools/check_walls.py sees to it that every rule is in here, or in NOT_WALLS with the reason why not, and writes the table of docs/security.md.
"""
from dataclasses import dataclass

import attacks


@dataclass
class Wall:
    threat: str  # a key of THREATS
    name: str
    answer: str  # what drpf does about it
    attack: callable  # of attacks.py; or the name of a test of its own, in another file
    removals: tuple = ()  # of tuples; the attack must succeed after each
    given: tuple = ()  # stands during all: something else that went wrong before
    settings: tuple = ()  # `key value : value afterwards` of the rule set
    no_removal: str = ""  # why there is none

    def of(self, version, parts):
        """The words of one family."""
        words = {"{v}": str(version), "{ip}": "ip" if version == 4 else "ip6", "{i}": "ip" if version == 4 else "ip -6",
                 "{visitor}": "198.51.100.20" if version == 4 else "2001:db8:51::14",
                 "{nobody}": attacks.NO_DEVICE[version], "{device_53}": "10.77.0.2:53" if version == 4 else "[fd77::2]:53",
                 "{tunnel}": "tunnel_v4 10.77.0.0/16" if version == 4 else "tunnel_v6 fd77::/64",
                 "{isp}": "198.51.100.254" if version == 4 else "2001:db8:51::fe"}
        out = []
        for part in parts:
            for word, value in words.items():
                part = part.replace(word, value)
            out.append(part)
        return tuple(out)


THREATS = {
    "D1": "taking another's port (Port Shadow)",
    "D2": "using up what all share",
    "D3": "being led to the former holder, or to somebody else",
    "D4": "using a port that is no longer one's own",
    "D5": "being told the middle of others' conversations",
    "D6": "finding out a device's real address (Port Fail)",
    "D7": "coming back in from behind (hairpin)",
    "D8": "from device to device",
    "D9": "sending in another's name",
    "D10": "inner addresses outside, outer packets inside",
    "D12": "the other address family",
    "D13": "packets that nobody should send",
    "D14": "ports and services that are not for lease",
    "D17": "other programs that change the firewall",
    "D20": "a lease as a reflector",
}
CARELESS = "! wg set tun0 peer {a} allowed-ips 0.0.0.0/0,::/0 : wg set tun0 peer {a} allowed-ips {a_own}"
LIMITS = ("connections 20 : connections 4096",)


def foreign(priority, hook, rule):
    """Another program's table with one NAT rule."""
    return ("! nft add table inet foreign; nft add chain inet foreign nat '{{ type nat hook " + f"{hook} priority {priority}; }}}}'; "
            f"nft add rule inet foreign nat {rule} : nft delete table inet foreign")


WALLS = (
    Wall("D1", "a device takes a port of the gateway or of another device, UDP", "devices' traffic is translated into ports that neither services nor leases use; proven before the start",
         attacks.shadow_udp,
         removals=(("source_ports -> iifname tun0 oifname wan masquerade",),
                   # The trap that one falls into: a range that looks high enough and holds WireGuard's port.
                   ("source_ports -> iifname tun0 oifname wan meta l4proto { tcp, udp } masquerade to :32768-60999",))),
    Wall("D1", "a device takes a port of the gateway or of another device, TCP", "the same",
         attacks.shadow_tcp,
         removals=(("source_ports -> iifname tun0 oifname wan masquerade",),)),
    Wall("D1", "another program's masquerade beside ours", "drpf translates first, so that its range holds whatever others add",
         attacks.shadow_udp, given=(foreign(100, "postrouting", "oifname wan masquerade"),),
         removals=(("priority outbound 101",),)),
    Wall("D1", "protocols without ports (GRE, ESP)", "only TCP, UDP and ping leave the tunnel",
         attacks.portless_protocols,
         removals=(("new_outbound -> iifname tun0 oifname wan ct state new accept",),)),
    Wall("D1", "the identifier of the gateway's ping", "two pings never share an answer",
         attacks.echo_identifier,
         no_removal="no rule of ours: the kernel never gives two connections the same answer"),
    Wall("D1", "a device's inner address leaves, TCP and UDP", "everything that leaves is translated",
         attacks.untranslated, removals=(("source_ports",),)),
    Wall("D1", "a device's inner address leaves, ping", "everything that leaves is translated",
         attacks.untranslated_echo, removals=(("source_icmp",),)),
    Wall("D2", "a device opens connections without end", "a limit per device; the others do not feel it",
         attacks.flood_out, settings=LIMITS, removals=(("connections_out{v}",),)),
    Wall("D2", "visitors open connections to a device without end", "a limit per device; the others do not feel it",
         attacks.flood_in, settings=LIMITS, removals=(("connections_in{v}",),)),
    Wall("D3", "a visitor's stream goes on after the lease has ended", "every packet is compared with the leases that live; the kernel's own clock ends them",
         attacks.ended_lease_heard,
         removals=(("revoked", "inbound_without_lease"),)),
    Wall("D3", "an old stream passes as the new owner's", "a connection keeps the generation that it began with",
         attacks.stale_flow_takes_new_generation,
         removals=(("mark_inbound{v} -> iifname wan ct state new ct mark set {ip} daddr . meta l4proto . th dport map @genin{v}",),
                   ("revoked", "inbound_without_lease", "new_inbound -> iifname wan oifname tun0 ct state new ct status dnat accept"))),
    Wall("D3", "a visit in the instant in which the generation has run out", "no generation, no redirect",
         attacks.visit_without_generation,
         removals=(("redirect{v} -> iifname wan dnat {ip} to {ip} daddr . meta l4proto . th dport map @dnat{v}", "inbound_without_lease",
                    "new_inbound -> iifname wan oifname tun0 ct state new ct status dnat accept"),)),
    Wall("D3", "another program's redirect leads to a device", "only leases lead to devices",
         attacks.a_foreign_redirect,
         given=(foreign(-100, "prerouting", "iifname wan udp dport 8053 dnat {ip} to {device_53}"),),
         removals=(("inbound_without_lease", "new_inbound -> iifname wan oifname tun0 ct state new ct status dnat accept"),)),
    Wall("D3", "another program takes a leased port to itself", "drpf redirects first",
         attacks.a_foreign_redirect_of_a_lease,
         given=(foreign(-100, "prerouting", "iifname wan udp dport 30001 redirect to :22"),), removals=(("priority inbound -99",),)),
    Wall("D4", "the former holder speaks and is heard on the port it lost", "both directions are compared with the leases that live",
         attacks.ended_lease_answers, removals=(("revoked",),)),
    Wall("D4", "a connection from the leased port in the instant in which the generation has run out", "no generation, no leased port",
         attacks.leased_port_without_generation,
         removals=(("keep_leased_port{v} -> iifname tun0 oifname wan snat {ip} to meta l4proto . {ip} saddr . th sport map @eim{v}",),)),
    Wall("D4", "the peer of an ended connection is left hanging", "it is reset",
         attacks.ended_lease_silent, removals=(("revoked_reset",),)),
    Wall("D5", "the middle of an old conversation is told to the new owner", "connections begin with their beginning, or not at all",
         attacks.mid_stream,
         removals=(("tcp_without_syn", "tcp_without_syn_reset"),)),
    Wall("D5", "the peer of a former owner's conversation is left hanging", "it is reset",
         attacks.mid_stream_silent, removals=(("tcp_without_syn_reset",),)),
    Wall("D5", "a device goes on with a conversation that the gateway does not know", "dropped",
         attacks.mid_stream_out,
         removals=(("tcp_without_syn_from_tunnel",),)),
    Wall("D6", "a device visits a lease around its tunnel and shows its real address", "packets from devices' outer addresses do not reach leases (or use an entry address)",
         attacks.real_address_shown,
         removals=(("port_fail{v}",),)),
    Wall("D7", "a device visits a lease through the tunnel by its public address", "leases are for visitors from outside",
         attacks.hairpin,
         removals=(("redirect{v} -> dnat {ip} to {ip} daddr . meta l4proto . th dport map @dnat{v}", "device_to_device", "policy forward"),)),
    Wall("D7", "a device reaches the gateway's services through the tunnel", "only the devices' own services answer there",
         attacks.services_through_the_tunnel, removals=(("tunnel_input",),)),
    Wall("D8", "a device reaches another device", "dropped",
         attacks.device_to_device, removals=(("device_to_device", "policy forward"),)),
    Wall("D9", "a device sends with another device's address", "each key has its addresses, checked on every packet",
         attacks.spoof_as_another_device,
         removals=(("! wg set tun0 peer {a} allowed-ips {a_own},{b_own} : "
                    "wg set tun0 peer {a} allowed-ips {a_own}; wg set tun0 peer {b} allowed-ips {b_own}",),)),
    Wall("D9", "a device sends with an address that is not of the tunnel", "the same, and the firewall once more",
         attacks.spoof_as_a_stranger,
         removals=((CARELESS, "tunnel_source{v}", "tunnel_source_route"),)),
    Wall("D9", "a device sends with such an address, and the tunnel does not check", "the firewall alone holds too",
         attacks.spoof_as_a_stranger, given=(CARELESS,),
         removals=(("tunnel_source{v}", "tunnel_source_route"),)),
    Wall("D9", "a device sends with an inner address that is routed elsewhere", "the way back must lead to the tunnel",
         attacks.spoof_as_no_device,
         given=(CARELESS, "! {i} route add {nobody} via {isp} dev wan : {i} route del {nobody}"), removals=(("tunnel_source_route",),)),
    Wall("D10", "the gateway's inner address is visited from outside", "inner addresses are valid inside only",
         attacks.inside_of_the_gateway,
         removals=(("tunnel_address_from_outside{v}", "tunnel_source_leaving{v}"),)),
    Wall("D10", "a device's inner address is visited from outside", "inner addresses are valid inside only",
         attacks.inside_of_a_device,
         removals=(("tunnel_address_from_outside{v}", "inbound_without_lease", "policy forward"),)),
    Wall("D10", "a visitor says that he is a device", "inner addresses are valid inside only",
         attacks.tunnel_source_from_outside, removals=(("tunnel_source_from_outside{v}",),)),
    Wall("D10", "the tunnel is gone, and what is for a device leaves by the default route", "what is for the tunnel goes there or nowhere",
         attacks.gateway_to_lost_device,
         given=("! {i} route add {nobody} via {visitor} dev wan : {i} route del {nobody}",), removals=(("tunnel_address_leaving{v}",),)),
    Wall("D10", "the gateway shows its inner address", "dropped on the way out",
         attacks.gateway_shows_tunnel_address, removals=(("tunnel_source_leaving{v}",),)),
    Wall("D10", "open visits leave by the default route when the tunnel is gone", "forwarded between tunnel and public side only",
         attacks.visits_to_a_lost_tunnel,
         removals=(("established_inbound -> ct state established accept",),)),
    Wall("D12", "the family that the tunnel does not carry", "dropped",
         attacks.wrong_family, settings=("tunnel_v{v} none : {tunnel}",),
         removals=(("tunnel_without_ipv{v}",),)),
    Wall("D13", "odd TCP flags from a device leave untranslated", "what the kernel calls invalid is dropped",
         attacks.odd_flags_out, removals=(("invalid", "policy forward"),)),
    Wall("D13", "odd TCP flags to a lease and beside it", "nothing reaches a device",
         attacks.odd_flags_in,
         no_removal="no rule of ours: what is invalid to the kernel is not translated, so no device sees it; the rest is D5"),
    Wall("D13", "overlapping fragments", "put together or dropped before any decision",
         attacks.overlapping_fragments,
         no_removal="no rule of ours: connection tracking puts fragments together before any rule sees them"),
    Wall("D13", "forged ICMP errors", "only errors about a device's own connection reach it",
         attacks.forged_errors, no_removal="no rule of ours: an error about no connection is invalid to the kernel"),
    Wall("D14", "services that nobody named", "closed unless named in `services_tcp` or `services_udp`",
         attacks.closed_service, removals=(("policy input",),)),
    Wall("D17", "our rules are flushed, and visitors reach inner addresses", "routing refuses what our rules have not seen",
         attacks.flushed_inward, given=("! nft delete table inet drpf",),
         removals=(("! {i} rule del pref 101",),)),
    Wall("D17", "our rules are flushed, and devices go out untranslated", "routing refuses what our rules have not seen",
         attacks.flushed_outward, given=("! nft delete table inet drpf",),
         removals=(("! {i} rule del pref 102",),)),
    Wall("D20", "visits to a lease faster than its limit", "a limit per lease; other leases do not feel it",
         attacks.flood_of_visits, settings=("lease_rate 10 : lease_rate 0",),
         removals=(("lease_rate",),)),
)

# Rules that protect nobody when they stand and open nothing when they go.
NOT_WALLS = {
    "seen": "marks what our rules have seen; without it the routing rules forward nothing at all",
    "mark_outbound4": "gives a holder's own connections its lease's generation; without it they leave from another port",
    "mark_outbound6": "as mark_outbound4",
    "clamp_outbound": "path MTU, not protection",
    "clamp_inbound": "path MTU, not protection",
    "established_outbound": "accepts what the chain's policy would drop; bounded by its interfaces as established_inbound is",
    "related_inbound": "accepts ICMP errors, which the chain's policy would drop",
    "related_outbound": "accepts ICMP errors, which the chain's policy would drop",
    "loopback": "accepts what the chain's policy would drop",
    "input_established": "accepts what the chain's policy would drop",
    "input_related": "accepts ICMP errors, which the chain's policy would drop",
    "port_mapping4": "accepts what the chain's policy would drop",
    "port_mapping6": "accepts what the chain's policy would drop",
    "device_api4": "accepts what the chain's policy would drop",
    "device_api6": "accepts what the chain's policy would drop",
    "device_echo4": "accepts what the chain's policy would drop",
    "device_echo6": "accepts what the chain's policy would drop",
    "neighbour_discovery": "accepts what the chain's policy would drop",
    "multicast_listener": "accepts what the chain's policy would drop",
    "dhcp4": "accepts what the chain's policy would drop",
    "dhcp6": "accepts what the chain's policy would drop",
    "echo4": "accepts what the chain's policy would drop",
    "echo6": "accepts what the chain's policy would drop",
    "wireguard": "accepts what the chain's policy would drop",
    "services_tcp": "accepts what the chain's policy would drop",
    "services_udp": "accepts what the chain's policy would drop",
}
