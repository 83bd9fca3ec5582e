"""Another configuration, a program of the host, another tunnel prefix: nobody loses a port or an address that he was not asked about."""
import signal
import time

from gateway import Gateway, WgQuickFile
from lab import Plan
from traffic import TcpServer

PORT = 24550


def held(gateway):
    """Every lease as its holder knows it; hosts may be called otherwise."""
    return sorted((row["device"], row["public_address"], row["public_port"], row["protocol"], row["local_port"]) for row in gateway.leases())


def with_a_lease(gateway, port=PORT):
    gateway.add_device("ann", "laptop")
    gateway.cli("lease", "add", "laptop", f"{port}/tcp")
    return held(gateway)


def refused_start(gateway):
    seen = len(gateway.log_text())
    gateway.start(wait=False)
    code = gateway.process.wait(20)
    return code, gateway.log_text()[seen:]


def test_a_program_on_a_leased_port_ends_no_lease_and_the_gateways_own_sockets_are_nobodys(lab):
    gateway = Gateway(lab, config="")
    before = with_a_lease(gateway)
    with TcpServer(lab.gw, PORT), TcpServer(lab.gw, PORT + 1):
        log = gateway.reload()
        assert held(gateway) == before
        assert f"port {PORT}/tcp is leased to device laptop" in log
        assert "5351" not in log and "1900" not in log, "the gateway's own doors are no strangers"
        assert "a program of the gateway's host" in gateway.cli_result("lease", "add", "laptop", f"{PORT + 1}/tcp").stderr
        gateway.stop()
        gateway.start()
        assert held(gateway) == before
        findings = gateway.cli_result("check").stdout
        assert "5351" not in findings and "port 1900" not in findings
    gateway.reload()
    gateway.cli("lease", "add", "laptop", f"{PORT + 1}/tcp")


def test_whoever_asks_faster_than_files_are_read_is_answered_for_all_together(lab):
    gateway = Gateway(lab, config="")
    before = with_a_lease(gateway)
    seen = len(gateway.log_text())
    begun = time.monotonic()
    asked = 0
    while time.monotonic() - begun < 4:
        # Written in two pieces, as an editor may: what is read in between is refused or says nothing, and ends nothing.
        gateway.write_config("[leases]\ngrace = ")
        gateway.process.send_signal(signal.SIGHUP)
        gateway.write_config(f'[leases]\ngrace = "{asked + 1}m"\n')
        gateway.process.send_signal(signal.SIGHUP)
        asked += 2
        assert held(gateway) == before, "the gateway answers meanwhile, and nothing is lost"
    gateway.cli("reload")
    read = gateway.log_text()[seen:]
    outcomes = read.count("configuration read again") + read.count("the configuration stays as it was")
    assert asked > 2 * outcomes > 2, (asked, outcomes)
    assert gateway.cli("reload") and held(gateway) == before


def test_two_gateways_are_told_to_reload_at_once(make_lab):
    gateways = [Gateway(make_lab(homes=0), config="") for _ in range(2)]
    before = [with_a_lease(gateway) for gateway in gateways]
    seen = [len(gateway.log_text()) for gateway in gateways]
    for gateway in gateways:
        gateway.write_config('[leases]\ngrace = "2h"\n')
        gateway.process.send_signal(signal.SIGHUP)
    for gateway, start in zip(gateways, seen):
        gateway.process.wait_for_output("changed are [leases] grace", 10, after=start)
    assert [held(gateway) for gateway in gateways] == before


def test_a_pool_that_holds_the_gateways_own_sockets_ends_no_lease(lab):
    gateway = Gateway(lab, config='[ports]\npool = "1024-5000"\n')
    before = with_a_lease(gateway, port=1900)
    gateway.reload()
    assert held(gateway) == before


def test_host_tables_for_a_second_address_keep_the_leases_of_the_first(make_lab):
    lab = make_lab(homes=0, plan=Plan(gateway=[1, 2]))
    first, second = lab.plan.address4(1), lab.plan.address4(2)
    gateway = Gateway(lab, config="")
    before = with_a_lease(gateway)
    (address,) = {row[1] for row in before if "." in row[1]}
    other = ({first, second} - {address}).pop()
    tables = "".join(f'[[host]]\nname = "{name}"\nipv4 = "{ipv4}"\n' for name, ipv4 in (("one", address), ("two", other)))
    for restarted in (False, True):
        for text in (tables, ""):
            gateway.write_config(text)
            if restarted:
                gateway.stop()
                gateway.start()
            else:
                gateway.reload()
            assert [row for row in held(gateway) if row[1] == address] == [row for row in before if row[1] == address]


def test_a_change_that_ends_leases_is_refused_with_the_list_and_taken_when_it_is_asked_for(lab):
    gateway = Gateway(lab, config="")
    before = with_a_lease(gateway)
    smaller = '[ports]\npool = "10000-20000"\n'
    gateway.write_config(smaller)
    log = gateway.reload(refused=True)
    assert f"port {PORT}/tcp of host main (device laptop of account ann)" in log and held(gateway) == before
    gateway.stop()
    code, log = refused_start(gateway)
    assert code == 78 and f"port {PORT}/tcp" in log
    gateway.write_config("")
    gateway.start()
    assert held(gateway) == before
    gateway.write_config(smaller + "[leases]\nchanges_may_end = true\n")
    gateway.reload()
    assert held(gateway) == []


def test_a_tunnel_prefix_that_comes_back_gives_every_device_its_address_and_leaves_nothing_behind(lab):
    gateway = Gateway(lab, config="")
    addresses = [WgQuickFile(gateway.add_device("ann", name)).addresses() for name in ("laptop", "phone")]
    gateway.cli("device", "remove", "laptop")
    gateway.stop()
    gateway.write_config('[tunnel]\nipv4 = "10.99.0.0/16"\n')
    code, log = refused_start(gateway)
    assert code == 78 and "device phone of account ann" in log
    gateway.arguments.append("--end-leases")
    gateway.start()
    assert WgQuickFile(gateway.cli("device", "config", "phone")).address(4).startswith("10.99.")
    assert "10.77." not in lab.gw.sh("ip rule show; ip route show"), "the former network left nothing"
    assert "looks at the bit" not in gateway.cli_result("check").stdout
    gateway.stop()
    gateway.write_config("")
    gateway.start()
    assert WgQuickFile(gateway.cli("device", "config", "phone")).addresses() == addresses[1]
    assert "10.99." not in lab.gw.sh("ip rule show; ip route show")
