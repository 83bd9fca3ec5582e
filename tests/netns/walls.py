"""The table of walls: for each threat the attack, and what has to be taken out for the attack to succeed.

A removal is a tuple of: the name of a rule of firewall/gateway_ruleset.cpp; `name -> text`, a rule bent; `policy CHAIN`, a chain that accepts
what no rule names; `priority CHAIN NUMBER`, a chain moved; `! command : undoing`, run on the gateway. {v}, {ip} stand for the family.
tools/check_walls.py sees to it that every rule is in here, or in NOT_WALLS with the reason why not, and writes the table of docs/security.md.
"""
import re
from dataclasses import dataclass

import attacks
import door_attacks
import odd_attacks
import share_attacks
import stranger_attacks


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
    carrier: str = ""  # where the removals do not tell

    def of(self, version, parts):
        """The words of one family."""
        words = {"{v}": str(version), "{ip}": "ip" if version == 4 else "ip6", "{i}": "ip" if version == 4 else "ip -6",
                 "{visitor}": "198.51.100.20" if version == 4 else "2001:db8:51::14",
                 "{nobody}": attacks.NO_DEVICE[version], "{device_53}": "10.77.0.2:53" if version == 4 else "[fd77::2]:53",
                 "{tunnel}": "tunnel_v4 10.77.0.0/16" if version == 4 else "tunnel_v6 fd77::/64",
                 "{iptables}": "iptables" if version == 4 else "ip6tables", "{containers}": "172.17.0.0/16" if version == 4 else "fd17::/64",
                 "{container_53}": "172.17.0.2:53" if version == 4 else "[fd17::2]:53",
                 "{stranger}": attacks.STRANGER[version],
                 "{outer}": "ip saddr" if version == 4 else "ip6 saddr & ffff:ffff:ffff:ffff::",
                 "{isp}": "198.51.100.254" if version == 4 else "2001:db8:51::fe"}
        out = []
        for part in parts:
            for word, value in words.items():
                part = part.replace(word, value)
            out.append(part)
        return tuple(out)


def readable(part):
    """A removal in the words of the table."""
    part = part.split(" : ")[0]
    if " -> " in part:
        name, text = part.split(" -> ")
        return f"`{shown(name)}` bent to `{shown(text)}`"
    if part.startswith("! "):
        return f"`{shown(part[2:])}`"
    if part.startswith("policy "):
        return f"chain `{part.split()[1]}` accepts"
    if part.startswith("priority "):
        return f"chain `{part.split()[1]}` after others'"
    return f"`{shown(part)}`" if re.fullmatch(r"[\w{}]+", part) else part


def shown(text):
    for word, value in (("{v}", "4"), ("{ip}", "ip"), ("{i}", "ip"), ("{{", "{"), ("}}", "}"), ("{a_own},{b_own}", "A's,B's"), ("{a}", "A"), ("{outer}", "ip saddr")):
        text = text.replace(word, value)
    return text


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
    "D11": "leading a device past its tunnel",
    "D12": "the other address family",
    "D13": "packets that nobody should send",
    "D14": "ports and services that are not for lease",
    "D15": "ports that were somebody else's a moment ago",
    "D17": "other programs that change the firewall",
    "D18": "helpers that read along (NAT slipstreaming)",
    "D19": "abuse of a lease",
    "D20": "a lease as a reflector",
    "D21": "taking over the gateway's own process",
    "D22": "using a device: by its gateway, or by machines behind it",
}
CARELESS = "! wg set tun0 peer {a} allowed-ips 0.0.0.0/0,::/0 : wg set tun0 peer {a} allowed-ips {a_own}"
# A kernel that takes packets with its own addresses as source, as IPv6's always does.
TAKES_ITS_OWN = "! sysctl -qw net.ipv4.conf.wan.accept_local=1 : sysctl -qw net.ipv4.conf.wan.accept_local=0"
GATEWAY = "test_walls_gateway.py::test_"
CONNECT = "test_connect.py::test_"
DEVICE = "test_device_network.py::test_"
FENCES = "test_device_fences.py::test_"
CONFINEMENT = "test_confinement.py::test_as_root_it_reaches_no_file_and_no_socket_of_root"
LIMITS = ("connections 20 : connections 4096",)


def foreign(priority, hook, rule):
    """Another program's table with one NAT rule."""
    return ("! nft add table inet foreign; nft add chain inet foreign nat '{{ type nat hook " + f"{hook} priority {priority}; }}}}'; "
            f"nft add rule inet foreign nat {rule} : nft delete table inet foreign")


FTP_HELPER = ("! nft add table inet foreign; nft 'add ct helper inet foreign ftp {{ type \"ftp\" protocol tcp; }}'; "
              "nft add chain inet foreign helpers '{{ type filter hook prerouting priority -150; }}'; "
              "nft add rule inet foreign helpers tcp dport 21 ct helper set ftp : nft delete table inet foreign")
GONE = "for t in 'ip nat' 'ip filter' 'ip mangle' 'ip6 nat' 'ip6 filter' 'ip6 mangle'; do nft delete table $t 2>/dev/null || true; done"
IPTABLES = ("! for t in iptables ip6tables; do $t -A FORWARD -j ACCEPT; $t -t nat -A PREROUTING -p udp --dport 1 -j ACCEPT; $t -F; $t -t nat -F; "
            "$t -X; $t -P FORWARD ACCEPT; $t -t nat -A POSTROUTING -o wan -j MASQUERADE; done : " + GONE)
# What it does at its start, with a container that publishes a leased port; without FORWARD DROP, which closes more than we do.
DOCKER = ("! {iptables} -t nat -N DOCKER; {iptables} -t nat -A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER; "
          "{iptables} -t nat -A POSTROUTING -s {containers} ! -o docker0 -j MASQUERADE; "
          "{iptables} -t nat -A DOCKER ! -i docker0 -p udp --dport 30001 -j DNAT --to-destination {container_53}; {iptables} -N DOCKER-USER; "
          "{iptables} -A FORWARD -j DOCKER-USER; {iptables} -A DOCKER-USER -j RETURN; {iptables} -A FORWARD -o docker0 -j ACCEPT : " + GONE)
FIREWALLD_TABLE = ("nft add table inet firewalld; nft add chain inet firewalld nat_POSTROUTING '{{ type nat hook postrouting priority srcnat + 10; }}'; "
                   "nft add rule inet firewalld nat_POSTROUTING oifname != lo masquerade; "
                   "nft add chain inet firewalld filter_FORWARD '{{ type filter hook forward priority filter + 10; }}'; "
                   "nft add rule inet firewalld filter_FORWARD accept")
FIREWALLD = f"! {FIREWALLD_TABLE}; nft delete table inet firewalld; {FIREWALLD_TABLE} : nft delete table inet firewalld"

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
    Wall("D2", "an account uses up the source ports of connections to one address", "an account has an eighth of them; the others do not feel it",
         share_attacks.ports_to_one_address, settings=("to_one_address 20 : to_one_address 0",), removals=(("one_address{v}",),)),
    Wall("D2", "a device fills the table of connections by talking with the gateway itself", "512 conversations per device",
         share_attacks.talks_with_the_gateway, settings=("to_gateway 20 : to_gateway 512",), removals=(("connections_here{v}",),)),
    Wall("D2", "visitors open connections to a device without end", "a limit per device; the others do not feel it",
         stranger_attacks.flood_in, settings=LIMITS, removals=(("connections_in{v}",),)),
    Wall("D2", "datagrams of many that nobody answers take all places of a device's visitors", "a visit that is not answered within three seconds has no place",
         stranger_attacks.unanswered_visits, settings=LIMITS, removals=(("unanswered_udp{v}",),)),
    Wall("D2", "connections of many that nobody completes take all places of a device's visitors", "the same, and two seconds where the visitor does not go on",
         stranger_attacks.half_open_visits, settings=LIMITS, removals=(("unanswered_tcp{v}",),)),
    Wall("D2", "visitors of one network take all places of a lease", "a /24 or /64 has half of a device's share at most",
         stranger_attacks.one_network_fills_the_share, settings=LIMITS, removals=(("visitor_share{v}",),)),
    Wall("D2", "visitors of one lease take all places of the device's others", "a lease has three quarters of its device's share at most",
         stranger_attacks.one_lease_fills_the_share, settings=LIMITS, removals=(("lease_share{v}",),)),
    Wall("D2", "a device's places are used up, and nobody knows", "the log and `drpf status` name the device",
         GATEWAY + "a_device_whose_share_is_used_up_is_named", (("`connections_per_device = 4096`",),), carrier="`full4`"),
    Wall("D2", "handshakes in the name of many fill the host's table of connections", "the tunnel's own packets take no place in it",
         attacks.handshakes_fill_the_table, removals=(("wireguard_untracked",), ("wireguard_answers_untracked",))),
    Wall("D2", "one forged ICMP error from anywhere narrows the path to a device or a server", "errors about the tunnel's packets are believed about the exact address and port of a device that is here, 20 a second",
         stranger_attacks.forged_path, removals=(("wireguard_error{v} -> ct state untracked meta l4proto { icmp, 58 } accept",),)),
    Wall("D2", "such an error about a device's own address and port stops its tunnel", "nobody inside is told of less than 1,280 bytes, and what is too long for the path goes in fragments",
         "test_path_mtu.py::test_a_narrow_path_to_a_device_is_found_out", carrier="the engine",
         no_removal="no rule of ours; the engine's unit tests take each step by itself"),
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
    Wall("D6", "a device comes to where somebody visits from, and the visit is cut", "visits that are open go on",
         share_attacks.open_visit_where_a_device_comes,
         removals=(("port_fail{v} -> iifname wan {outer} @endpoints{v} udp dport 30001 drop",),)),
    Wall("D7", "a device visits a lease through the tunnel by its public address", "leases are for visitors from outside",
         attacks.hairpin,
         removals=(("redirect{v} -> dnat {ip} to {ip} daddr . meta l4proto . th dport map @dnat{v}", "device_to_device", "policy forward"),)),
    Wall("D7", "a device reaches the gateway's services through the tunnel", "only the devices' own services answer there",
         attacks.services_through_the_tunnel, removals=(("tunnel_input", "tunnel_other_address{v}"),)),
    Wall("D7", "a service of the gateway is reached by the interface of its own visits", "from there only leases are reached",
         door_attacks.services_through_the_door, removals=(("probe_input",),)),
    Wall("D8", "a device speaks first to the address that the gateway visits it from", "there only answers pass",
         door_attacks.device_to_the_door,
         removals=(("new_outbound -> iifname tun0 oifname { wan, drpf-probe } ct state new meta l4proto { tcp, udp } accept",),)),
    Wall("D8", "a device asks the gateway's neighbours in its name (metadata of clouds, private networks)",
         "closed unless named in `private_networks`; answers to visitors pass",
         stranger_attacks.neighbours_of_the_gateway, removals=(("closed_network{v}",),)),
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
         given=(CARELESS, "! {i} route add {nobody} via {isp} dev wan : {i} route del {nobody}",
                "! nft add element inet drpf here{v} '{{ {nobody} . tun0 }}' : nft delete element inet drpf here{v} '{{ {nobody} . tun0 }}'"),
         removals=(("tunnel_source_route",),)),
    Wall("D9", "a device sends by a tunnel that it is not here by", "an address is valid on the interface by which its device came last, and on no other",
         attacks.spoof_by_another_tunnel, removals=(("tunnel_source{v}",),)),
    Wall("D9", "a visitor says that he is the gateway on a visit of its own", "that address is valid on its own interface only",
         door_attacks.door_source_from_outside, removals=(("probe_source_from_outside{v}", "source_elsewhere"),)),
    Wall("D9", "a visit by the gateway's own interface in another's name", "that interface has one address",
         door_attacks.spoof_through_the_door, removals=(("probe_source{v}",),)),
    Wall("D9", "a visitor says that he is a closed service of the gateway, and a device answers it",
         "a visit begins with a source that answers leave to by a public interface; and devices speak to the tunnel's addresses alone",
         stranger_attacks.closed_service_by_own_source, given=(TAKES_ITS_OWN,), removals=(("source_elsewhere", "tunnel_other_address{v}"),)),
    Wall("D9", "such a conversation goes on", "what is closed to devices is closed before what goes on is let through",
         stranger_attacks.closed_service_by_own_source, given=(TAKES_ITS_OWN, "source_elsewhere"), removals=(("tunnel_other_address{v}",),)),
    Wall("D9", "a visitor says that he is a host behind the gateway", "dropped: answers to him would not leave by a public interface",
         stranger_attacks.visit_from_behind, given=("! {i} route add {stranger} dev lo : {i} route del {stranger} dev lo",), removals=(("source_elsewhere",),)),
    Wall("D9", "a visitor with an address that nobody has", "dropped", stranger_attacks.visit_by_nobody, removals=(("source_nobody{v}",),)),
    Wall("D9", "a handshake that somebody recorded is sent again after kill -9",
         "its stamp is kept with where the device is; and an initiation alone moves nothing: the first packet of the session does",
         GATEWAY + "a_recorded_handshake_is_not_believed_after_a_kill", carrier="the engine",
         no_removal="no rule of ours; the engine's unit tests take each step by itself"),
    Wall("D10", "the gateway's inner address is visited from outside", "inner addresses are valid inside only",
         attacks.inside_of_the_gateway,
         removals=(("tunnel_address_from_outside{v}", "tunnel_source_leaving{v}"),)),
    Wall("D10", "a device's inner address is visited from outside", "inner addresses are valid inside only",
         attacks.inside_of_a_device,
         removals=(("tunnel_address_from_outside{v}", "inbound_without_lease", "policy forward"),)),
    Wall("D10", "a visitor says that he is a device", "inner addresses are valid inside only",
         door_attacks.tunnel_source_from_outside, removals=(("tunnel_source_from_outside{v}", "source_elsewhere"),)),
    Wall("D10", "the tunnel is gone, and what is for a device leaves by the default route", "what is for the tunnel goes there or nowhere",
         attacks.gateway_to_lost_device,
         given=("! {i} route add {nobody} via {visitor} dev wan : {i} route del {nobody}",), removals=(("tunnel_address_leaving{v}",),)),
    Wall("D10", "the gateway shows its inner address", "dropped on the way out",
         attacks.gateway_shows_tunnel_address, removals=(("tunnel_source_leaving{v}",),)),
    Wall("D10", "the gateway shows its inner address in what belongs to no connection (the kernel's own errors)", "dropped on the way out",
         attacks.gateway_shows_tunnel_address_untracked, removals=(("tunnel_source_untracked{v}",),)),
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
    Wall("D13", "packets that die on the way to a device show the way (traceroute)", "errors about a visit carry the public address alone",
         attacks.path_of_a_visit, no_removal="no rule of ours: the kernel translates errors about translated connections"),
    Wall("D13", "IP options and extension headers reach a device as they were sent", "what has any is dropped",
         odd_attacks.options_to_a_device, removals=(("options{v}",),)),
    Wall("D13", "routers and devices write inner addresses into options, which come out in answers, errors and what devices send", "what has any is dropped, either way",
         odd_attacks.options_tell_inner_addresses, removals=(("options{v}",),)),
    Wall("D13", "Multipath TCP tells either side the other's further addresses", "taken out of a connection's beginning, which makes it an ordinary one",
         odd_attacks.multipath_tcp, removals=(("multipath_tcp", "multipath_tcp_twice"),)),
    Wall("D13", "the option of Multipath TCP is there twice", "dropped: the kernel takes out the first one only",
         odd_attacks.multipath_tcp_twice, removals=(("multipath_tcp_twice",),)),
    Wall("D13", "a packet says that it goes first (DSCP)", "cleared either way",
         odd_attacks.precedence, removals=(("precedence{v}",),)),
    Wall("D13", "a redirect, or an error that nobody knows, about a device's own connection", "only errors that are errors pass",
         odd_attacks.errors_that_are_none, removals=(("related_inbound{v} -> iifname wan oifname tun0 ct state related meta l4proto { icmp, 58 } accept",),)),
    Wall("D13", "a device asks others for their time, masks and names by ICMP", "ping alone leaves",
         odd_attacks.only_ping_leaves, removals=(("echo_outbound{v} -> iifname tun0 oifname wan ct state new meta l4proto { icmp, 58 } accept",),)),
    Wall("D14", "services that nobody named", "closed unless named in `services_tcp` or `services_udp`",
         attacks.closed_service, removals=(("policy input",),)),
    Wall("D14", "every port, from source ports that rules may trust (DHCP, names, time)", "what is let in for the host's own sake comes from the link alone",
         stranger_attacks.all_ports, removals=(("dhcp4 -> udp sport 67 udp dport 68 accept", "dhcp6 -> udp sport 547 udp dport 546 accept"),)),
    Wall("D17", "our rules are flushed, and visitors reach inner addresses", "routing refuses what our rules have not seen",
         attacks.flushed_inward, given=("! nft delete table inet drpf",),
         removals=(("! {i} rule del pref 101",),)),
    Wall("D17", "our rules are flushed, and devices go out untranslated", "routing refuses what our rules have not seen",
         attacks.flushed_outward, given=("! nft delete table inet drpf",),
         removals=(("! {i} rule del pref 102",),)),
    Wall("D17", "iptables: all chains flushed, its own masquerade", "other tables are not ours, and ours is not theirs", attacks.shadow_udp,
         given=(IPTABLES,), removals=(("source_ports -> iifname tun0 oifname wan masquerade",),)),
    Wall("D17", "Docker starts and publishes a leased port", "drpf redirects first", attacks.a_foreign_redirect_of_a_lease, given=(DOCKER,),
         removals=(("priority inbound -99",),)),
    Wall("D17", "firewalld reloads: its table goes and comes, with masquerade and accept", "drpf translates first, and drops what it must by itself",
         attacks.shadow_udp, given=(FIREWALLD,), removals=(("priority outbound 120",),)),
    Wall("D17", "firewalld accepts all forwarding", "what drpf drops nobody else can accept", attacks.inside_of_a_device, given=(FIREWALLD,),
         removals=(("tunnel_address_from_outside{v}", "inbound_without_lease", "policy forward"),)),
    Wall("D17", "another program keeps devices' packets out of connection tracking", "what is not tracked is not forwarded", attacks.untranslated,
         given=("! nft add table inet foreign; nft add chain inet foreign raw '{{ type filter hook prerouting priority raw; }}'; "
                "nft add rule inet foreign raw iifname tun0 notrack : nft delete table inet foreign",),
         removals=(("new_outbound -> iifname tun0 oifname wan meta l4proto { tcp, udp } accept",),)),
    Wall("D18", "another program's FTP helper opens a port of the device that a server was told of", "of what helpers expect, only ICMP errors pass",
         attacks.helper_opens_a_port, given=(FTP_HELPER,),
         removals=(("related_inbound{v} -> iifname wan oifname tun0 ct state related accept",),)),
    Wall("D20", "visits to a lease faster than its limit", "a limit per lease; other leases do not feel it",
         attacks.flood_of_visits, settings=("lease_rate 10 : lease_rate 0",),
         removals=(("lease_rate",),)),
    Wall("D20", "the gateway answers with more than it was sent", "what is closed is silent; resets and echoes are no larger than what asks for them",
         attacks.answers_larger_than_questions, removals=(("policy input",),)),
    # What the running gateway, or a device, carries; these have tests of their own.
    Wall("D2", "the host's connection table fills up, and nobody knows", "the log and `drpf status` say so at 80 %",
         GATEWAY + "a_filling_connection_table_is_said", (("`connection_table_alarm = 100`",),), carrier="`connection_table_alarm`"),
    Wall("D2", "one account takes ports and gives them back until the pool is empty", "what rests because of an account, and what it holds, are twice its plan at most",
         GATEWAY + "what_rests_because_of_an_account_is_bounded", (("a plan of 15 ports",),), carrier="the lease book"),
    Wall("D2", "handshakes in the name of many keep new devices out, and the tunnel busy",
         "who cannot be answered is not worked for: under load a cookie goes to the address that a handshake says it is from, and it must come back",
         "test_handshake_flood.py::test_a_new_device_gets_in_during_a_flood", carrier="the engine's cookies",
         no_removal="how much a flood takes without it is the machine's speed; the gate's unit tests take each step by itself"),
    Wall("D6", "a device visits a lease around its tunnel, by the running gateway", "outer addresses are known before a device's first packet passes",
         GATEWAY + "a_device_s_outer_address_does_not_reach_leases", (("`[entry] ipv4` names another address",),),
         carrier="`port_fail4`, and the tunnel's waiting for it"),
    Wall("D6", "a device sends in the name of a visitor, who is then shut out of all leases", "an address is a device's once a packet from there has answered one of ours; six moves a minute",
         GATEWAY + "a_false_outer_address_shuts_nobody_out", carrier="the engine, which asks for a proof",
         no_removal="no rule of ours; the engine's unit tests take it out (`NamesOfOthers`)"),
    Wall("D2", "one device's streams and requests use the API up", "four streams and twenty requests a second of each of its addresses; more streams are refused, more requests wait",
         GATEWAY + "one_device_does_not_use_the_api_up", (("the streams are two devices'",),), carrier="the API's server"),
    Wall("D10", "packets for the tunnel's address from a device's own network", "dropped by `drpf connect`",
         CONNECT + "packets_for_the_tunnel_address_from_outside_are_dropped", (("`drpf connect` is not there",),), carrier="the device's own rules"),
    Wall("D9", "a machine beside a device, or behind it, speaks in the device's name", "the tunnel's address is a source on the device itself alone, and what goes into the tunnel bears it",
         FENCES + "nobody_beside_a_device_speaks_in_its_name", (("the device's `claiming`",),), carrier="the device's own rules"),
    Wall("D22", "a machine behind a device that masquerades asks for ports in the device's name, or ends them", "of what a device forwards nothing reaches the gateway's doors, unless it is named",
         FENCES + "machines_behind_a_device_do_not_ask_in_its_name", (("the device's `asking`",),), carrier="the device's own rules"),
    Wall("D22", "a hostile gateway reaches a device's servers, its neighbours, or the world by its line", "out of a tunnel come answers, visits to leases and what is named",
         FENCES + "only_answers_and_leases_come_out_of_the_tunnel", (("`--let-in all`",),), carrier="the device's own rules"),
    Wall("D11", "a hostile network's routes lead past the tunnel (TunnelVision, TunnelCrack)", "what does not go into the tunnel does not leave",
         CONNECT + "no_route_of_a_hostile_network_leads_past_the_tunnel", (("`--no-kill-switch`",),), carrier="the device's own rules"),
    Wall("D11", "an error or a kill opens a device, or what it forwards leaves past its tunnel",
         "the kill switch is a state of the machine, for what it sends and what it forwards; only the user's word takes it away",
         DEVICE + "only_the_users_word_opens_it", (("the device's `passing` and its routing rules",),), carrier="the device's own rules and routes"),
    Wall("D11", "what belongs into a tunnel of some networks, or answers a visitor, leaves when the tunnel is gone",
         "it leaves by the tunnel or not at all", DEVICE + "what_belongs_into_the_tunnel_leaves_by_it_or_not_at_all", (("`drpf connect` is not there",),),
         carrier="the device's own rules and routes of last resort"),
    Wall("D12", "IPv6 leaves beside a tunnel that has none", "what does not go into the tunnel does not leave",
         CONNECT + "ipv6_does_not_leak_past_a_tunnel_without_it", (("`--no-kill-switch`",),), carrier="the device's own rules"),
    Wall("D14", "ports that are not for lease, asked for at every door", "refused with the reason: outside the pool, reserved, or somebody listens there",
         GATEWAY + "reserved_ports_are_refused_at_every_door", (("`[ports] reserved = []`",),),
         carrier="the lease book"),
    Wall("D14", "a plan of ports that overlap", "no start; nothing is touched", GATEWAY + "overlapping_ranges_are_no_start",
         no_removal="ranges that do not overlap are what every other test starts with", carrier="the proof at the start"),
    Wall("D15", "another account takes a port that was given back a moment ago", "it rests for ten minutes, and never less than two",
         GATEWAY + "a_released_port_rests_for_others_and_not_for_its_own", (("the ports are the same account's",),),
         carrier="the lease book, `quarantine`"),
    Wall("D17", "another program undoes what holds a device in its tunnel", "it is put back and said; meanwhile rules and routes hold each by itself",
         DEVICE + "whatever_others_do_it_is_put_back_and_nothing_leaves", (("firewall and routing rules together, while nobody repairs",),),
         carrier="the device's own rules and routes, its self-repair"),
    Wall("D19", "abuse of a port, and nobody knows whose it was", "`drpf who ADDRESS PORT --at TIME` tells the account, seven days back",
         GATEWAY + "address_port_and_time_lead_to_the_account", (('`[leases] history = "0s"`',),), carrier="`history`"),
    Wall("D19", "abuse goes on after the account is known", "`drpf account set NAME --suspend` closes its ports, and its tunnels carry nothing",
         GATEWAY + "a_suspended_account_is_cut_off_within_a_second", (("`drpf account set ann --resume`",),),
         carrier="the lease book, the engine's allowed addresses"),
    Wall("D17", "firewalld or ufw beside drpf keeps devices out, and nobody knows", "the start's log, `drpf status` and `drpf check` name the chain, with a cure that opens nothing else",
         "test_neighbours.py::test_a_neighbour_is_named_and_its_cure_lets_devices_in", removals=(("the cure is not carried out",),), carrier="each packet followed through all chains"),
    Wall("D21", "a gateway that stays root uses root's files, without any capability", "only its own files are in its reach", CONFINEMENT, removals=(("the same rights without Landlock",),), carrier="Landlock"),
    Wall("D21", "it speaks to other programs by their unix sockets", "once it serves, it opens no more of its own", CONFINEMENT, removals=(("the same rights without the filter",),), carrier="a seccomp filter"),
    Wall("D20", "one device floods the gateway with requests for ports", "20 a second and a burst are looked at, the rest costs next to nothing",
         "test_port_mapping.py::test_a_flood_of_requests_is_dropped_before_the_gateway", (("request_rate{v}",),)),
    Wall("D20", "visits faster than the default allows", "1,000 new visits a second to one lease", GATEWAY + "by_default_visits_to_a_lease_are_bounded",
         no_removal="see `lease_rate` above", carrier="`packets_per_lease_per_s`"),
)

# Rules that protect nobody when they stand and open nothing when they go.
NOT_WALLS = {
    "seen": "marks what our rules have seen; without it the routing rules forward nothing at all",
    "mark_outbound4": "gives a holder's own connections its lease's generation; without it they leave from another port",
    "mark_outbound6": "as mark_outbound4",
    "owner4": "says whose connections `one_address4` counts together; without it all accounts' count together",
    "owner6": "as owner4",
    "owner_counted4": "takes back what owner4 has written on the packet",
    "owner_counted6": "as owner_counted4",
    "clamp_outbound": "path MTU, not protection",
    "clamp_inbound": "path MTU, not protection",
    "established_outbound": "accepts what the chain's policy would drop; bounded by its interfaces as established_inbound is",
    "related_outbound4": "accepts ICMP errors, which the chain's policy would drop",
    "related_outbound6": "accepts ICMP errors, which the chain's policy would drop",
    "loopback": "accepts what the chain's policy would drop",
    "input_established": "accepts what the chain's policy would drop",
    "input_related": "accepts ICMP errors, which the chain's policy would drop",
    "port_mapping4": "accepts what the chain's policy would drop",
    "port_mapping6": "accepts what the chain's policy would drop",
    "device_api4": "accepts what the chain's policy would drop",
    "device_api6": "accepts what the chain's policy would drop",
    "upnp_search4": "accepts what the chain's policy would drop",
    "upnp_search6": "accepts what the chain's policy would drop",
    "device_echo4": "accepts what the chain's policy would drop",
    "device_echo6": "accepts what the chain's policy would drop",
    "wireguard_errors4": "keeps errors about the tunnel's own packets, for path MTU discovery; without it they are dropped",
    "wireguard_errors6": "as wireguard_errors4",
    "neighbour_discovery": "accepts what the chain's policy would drop",
    "multicast_listener": "accepts what the chain's policy would drop",
    "echo4": "accepts what the chain's policy would drop",
    "echo6": "accepts what the chain's policy would drop",
    "wireguard": "accepts what the chain's policy would drop",
    "proxy_device4": "accepts what the chain's policy would drop",
    "proxy_device6": "accepts what the chain's policy would drop",
    "proxy_local4": "accepts what the chain's policy would drop; the proxy itself looks at who comes",
    "proxy_local6": "accepts what the chain's policy would drop; the proxy itself looks at who comes",
    "services_tcp": "accepts what the chain's policy would drop",
    "services_udp": "accepts what the chain's policy would drop",
}
