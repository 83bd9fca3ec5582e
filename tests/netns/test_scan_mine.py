"""`drpf scan --mine` and `[audit]`: one's own leases from outside, what changed since the last time, what should not be open."""
import json

from gateway import DRPF, Gateway, WireGuardDevice
from lab import Lab
from namespaces import wait_for
from traffic import TcpServer


def view(host, *arguments):
    result = host.run(DRPF, "scan", "--mine", "--json", *arguments, check=False)
    assert result.returncode in (0, 3), result.stderr
    return json.loads(result.stdout)


def states(seen, protocol="tcp"):
    return {row["port"]: row["state"] for row in seen["ports"] if row["protocol"] == protocol and ":" not in row["address"]}


def test_own_leases_are_seen_from_outside(tmp_path):
    with Lab(tmp_path / "lab") as lab:
        gateway = Gateway(lab, config='[audit]\nevery = "1s"\n')
        device = WireGuardDevice(lab.homes[0], gateway.add_device("ann", "laptop"))
        WireGuardDevice(lab.homes[1], gateway.add_device("ben", "tower"))
        ports = gateway.wait_for_ports("laptop")
        others = gateway.wait_for_ports("tower")
        gateway.cli("lease", "add", "laptop", f"{ports[0]}/tcp", "--local", "6379")
        for home in lab.homes:  # or its ICMP errors, one a second, would be what takes time here
            home.sysctl("net.ipv4.icmp_ratelimit", 0)
            home.sysctl("net.ipv6.icmp.ratelimit", 0)
        kept, told = str(tmp_path / "kept"), ["--socket", gateway.socket]
        with TcpServer(lab.homes[0], 6379):
            first = view(lab.gw, *told, "--since", kept)
            assert states(first) == {port: "open" if port == ports[0] else "closed" for port in ports + others}
            assert first["changes"] == []
            assert first["warnings"] and all(f":{ports[0]}/tcp" in text and "redis" in text for text in first["warnings"])
            wait_for(lambda: "audit: risk: " in gateway.log_text(), 40, "the audit warns")
            with TcpServer(lab.homes[0], ports[1]):
                second = view(lab.gw, *told, "--since", kept)
                assert second["changes"] and all(f":{ports[1]}/tcp is open now" in text for text in second["changes"]), second["changes"]
                # A device sees its own leases, and nobody else's.
                own = view(lab.homes[0], "--gateway", "10.77.0.1", "--since", str(tmp_path / "own"))
                assert {row["port"] for row in own["ports"]} == set(ports)
                assert states(own)[ports[1]] == "open" and {row["device"] for row in own["ports"]} == {"laptop"}
                # By itself.
                wait_for(lambda: f"{ports[1]}/tcp is open now" in gateway.log_text(), 40, "the audit tells what opened")
            assert any("redis" in text for text in gateway.cli_json("status")["warnings"])
            third = view(lab.gw, *told, "--since", kept)
            assert any(f":{ports[1]}/tcp was open and is closed now (nobody_listens)" in text for text in third["changes"])
        # What it found is known after a restart, and the warning goes with its reason.
        wait_for(lambda: not gateway.cli_json("status")["warnings"], 40, "nothing to warn of any more")
        gateway.stop()
        gateway.start()
        with TcpServer(lab.homes[0], ports[2]):
            wait_for(lambda: f"{ports[2]}/tcp is open now" in gateway.log_text(), 40, "compared with what was found before the restart")
    assert device
