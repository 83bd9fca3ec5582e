"""What `drpf check` calls good, the gateway starts with and takes at a reload; what it refuses, both refuse, with the same words."""
import json
import os
import re

import pytest
from gateway import DRPF, Gateway
from lab import Lab
from namespaces import wait_for

REFUSED_CODES = (69, 78)

# The file, and what its refusal says. V4, V6: the host's own public addresses.
WRONG = [
    ("a = ", "not TOML"),
    ("[ports]\npool = \"1-2\"\npool = \"3-4\"", "not TOML"),
    ("[ports\n", "not TOML"),
    ("[nothing]\n", "unknown key"),
    ("[ports]\npol = 1", "unknown key"),
    ("[[host]]\nadress = \"a\"", "unknown key"),
    ("[[host]]\nname = \"Main\"", "cannot be a name"),
    ("[[host]]\n[[host]]\n", "two hosts named"),
    ("[[host]]\nname = \"a\"\n[[host]]\nname = \"b\"", "share the address"),
    ("[[host]]\nname = \"a\"\nipv4 = \"V4\"\n[[host]]\nname = \"b\"\nipv4 = \"V4\"", "belongs to the host"),
    ("[[host]]\nname = \"a\"\nipv4 = \"V4\"\n[[host]]\nname = \"b\"\ninterfaces = [\"wan\"]", "share the address"),
    ("[[host]]\ninterfaces = [\"eth9\"]", "[[host]] interfaces: this machine has no interface 'eth9'"),
    ("[[host]]\ninterfaces = [\"wan\", \"eth9\"]", "[[host]] interfaces: this machine has no interface 'eth9'"),
    ("[[host]]\ninterfaces = [\"eth9\"]\nipv4 = \"V4\"", "[[host]] interfaces: this machine has no interface 'eth9'"),
    ("[[host]]\ninterfaces = [\"a;b\"]", "cannot be the name of an interface"),
    ("[[host]]\ninterfaces = [\"\"]", "cannot be the name of an interface"),
    ("[[host]]\ninterfaces = [\"lo\"]", "has no global address on lo"),
    ("[[host]]\nipv4 = \"198.51.100.77\"", "[[host]] ipv4: 198.51.100.77 is not an address of this machine"),
    ("[[host]]\nipv4 = \"V4\"\nipv6 = \"2001:db8:51::77\"", "[[host]] ipv6: 2001:db8:51::77 is not an address of this machine"),
    ("[[host]]\nipv4 = \"127.0.0.1\"", "no address that others can reach"),
    ("[[host]]\nipv6 = \"fe80::1\"", "no address that others can reach"),
    ("[[host]]\nipv4 = \"10.77.3.4\"", "inside the tunnel's"),
    ("[entry]\nipv4 = \"10.77.3.4\"", "inside the tunnel's"),
    ("[entry]\nipv4 = \"224.0.0.1\"", "no address that others can reach"),
    ("[entry]\nname = \"a b\"", "not a host name"),
    ("[entry]\nname = \"vpn.example.org:51820\"", "not a host name"),
    ("[entry]\nname = \".\"", "not a host name"),
    ("[tunnel]\ninterface = \"a;b\"", "cannot be the name of an interface"),
    ("[tunnel]\ninterface = \"a/b\"", "cannot be the name of an interface"),
    ("[tunnel]\ninterface = \"all\"", "means something else to the kernel"),
    ("[tunnel]\ninterface = \"default\"", "means something else to the kernel"),
    ("[tunnel]\ninterface = \"lo\"", "means something else to the kernel"),
    ("[tunnel]\ninterface = \"wan\"", "[tunnel] interface: 'wan' is an interface of this machine already"),
    ("[tunnel]\nipv4 = \"127.0.0.0/8\"", "no device can have"),
    ("[tunnel]\nipv4 = \"169.254.0.0/16\"", "no device can have"),
    ("[tunnel]\nipv4 = \"224.0.0.0/8\"", "no device can have"),
    ("[tunnel]\nipv4 = \"0.0.0.0/8\"", "no device can have"),
    ("[tunnel]\nipv4 = \"240.0.0.0/16\"", "no device can have"),
    ("[tunnel]\nipv4 = \"10.77.0.0/30\"", "too small"),
    ("[tunnel]\nipv4 = \"198.51.100.0/24\"", "lies inside the tunnel"),
    ("[tunnel]\nipv6 = \"fe80::/64\"", "no device can have"),
    ("[tunnel]\nipv6 = \"ff02::/64\"", "no device can have"),
    ("[tunnel]\nipv6 = \"::/64\"", "no device can have"),
    ("[tunnel]\nipv6 = \"::ffff:0:0/96\"", "no device can have"),
    ("[tunnel]\nipv6 = \"2001:db8:51::/64\"", "lies inside the tunnel"),
    ("[tunnel]\nipv6 = \"fd00::/120\"", "does not go with"),
    ("[tunnel]\nwireguard_port = 20000", "overlaps"),
    ("[tunnel]\nwireguard_port = 5351", "the gateway itself answers"),
    ("[tunnel]\nwireguard_port = 1900", "the gateway itself answers"),
    ("[tunnel]\nmtu = 1200", "at least 1280"),
    ("[tunnel]\nengine = \"fast\"", "no such word"),
    ("[tunnel]\ncrypto_workers = 17", "from 0 to 16"),
    ("[tunnel]\ndns = [\"0.0.0.0\"]", "no address of a name server"),
    ("[tunnel]\ndns = [\"::1\"]", "no address of a name server"),
    ("[ports]\npool = \"23-31999\"", "the devices' API"),
    ("[ports]\npool = \"1-31999\"", "overlaps the TCP service 22"),
    ("[ports]\npool = \"10000-40000\"", "overlaps"),
    ("[ports]\nsnat = \"20000-40000\"", "overlaps"),
    ("[ports]\nephemeral = \"600-4000\"", "[ports] ephemeral: the kernel gives no ports below 1024"),
    ("[ports]\nsnat = \"40000-40100\"", "too few"),
    ("[ports]\nservices_tcp = [20000]", "overlaps"),
    ("[ports]\nsnat = \"3000-8000\"", "the devices' API"),
    ("[ports]\nsnat = \"61000-65535\"", "a program of this host that listens on tcp port 65000"),
    ("[api]\nport = 20000", "overlaps"),
    ("[leases]\nquarantine = \"60s\"", "out of bounds"),
    ("[leases]\ndefault_plan = \"gold\"", "no plan 'gold'"),
    ("[[plan]]\nname = \"personal\"\nlease_lifetime = \"10d\"", "10d is out of bounds"),
    ("[[plan]]\nname = \"personal\"\nlease_lifetime = \"1s\"", "out of bounds"),
    ("[[plan]]\nname = \"a\"\nports_max = 1\nports_at_connect = 2", "more than ports_max"),
    ("[limits]\naccounts_max = 0", "from 1 to"),
    ("[daemon]\nuser = \"nobody-of-that-name\"", "[daemon] user: there is no user 'nobody-of-that-name'"),
    ("[daemon]\nuser = \"\"", "[daemon] user: there is no user ''"),
    ("[ports]\r\npool = \"1-2\"\r\npol = 1\r\n", "unknown key"),
    ("\ufeff[nothing]\n", "unknown key"),
    ("[ports]\npool = \"10000-31", "not TOML"),
    ("[ports]\npool =", "not TOML"),
    ("[ports", "not TOML"),
    ("[tunnel]\ndns = [\"9.9.9.9\",", "not TOML"),
    ("[ports]\npool = \"\0\"", "not TOML"),
    ("\ufeff\ufeff[ports]\n", "possible in comments only"),
]

GOOD = [
    "",
    "# nothing\r\n[ports]\r\n",
    "\ufeff[api]\n",
    "[[host]]\n",
    "[[host]]\nname = \"first\"\nipv4 = \"V4\"",
    "[[host]]\nipv4 = \"V4\"\nipv6 = \"V6\"",
    "[[host]]\ninterfaces = [\"wan\"]",
    "[[host]]\ninterfaces = [\"wan\"]\nipv4 = \"V4\"",
    "[[host]]\nname = \"a\"\nipv4 = \"V4\"\n[[host]]\nname = \"b\"\nipv6 = \"V6\"",
    "[entry]\nipv4 = \"198.51.100.90\"",
    "[entry]\nname = \"vpn.example.org\"",
    "[entry]\nname = \"2001:db8::7\"",
    "[tunnel]\nengine = \"embedded\"",
    "[tunnel]\ninterface = \"vpn\"",
    "[tunnel]\ninterface = \"vpn.1\"",
    "[tunnel]\ninterface = \"vpn+\"",
    "[tunnel]\nipv4 = \"10.0.0.0/8\"",
    "[tunnel]\nipv4 = \"100.64.0.0/29\"",
    "[tunnel]\nipv6 = \"none\"",
    "[tunnel]\nipv6 = \"fd00:1::/32\"",
    "[tunnel]\nipv6 = \"fd00:1::/112\"",
    "[tunnel]\nwireguard_port = 443",
    "[tunnel]\nwireguard_port = 1900\n[api]\nupnp = false",
    "[tunnel]\nmtu = 9000",
    "[tunnel]\nmtu = 576\nipv6 = \"none\"",
    "[tunnel]\noffload = \"none\"",
    "[tunnel]\noffload = \"no-gso\"",
    "[tunnel]\ncrypto_workers = 16",
    "[tunnel]\ndns = [\"9.9.9.9\", \"2620:fe::fe\"]",
    "[tunnel]\ndisconnect_after = \"1h\"",
    "[ports]\npool = \"20000\"",
    "[ports]\npool = \"10000-31999\"\nreserved = [\"10000-31999\"]",
    "[ports]\nsnat = \"40000-41023\"",
    "[ports]\nephemeral = \"1024-2047\"\nservices_tcp = [22, 80]\nservices_udp = [53]",
    "[ports]\nservices_tcp = []",
    "[leases]\ngrace = \"0s\"\nquarantine = \"120s\"",
    "[leases]\ngrace = \"365d\"\nquarantine = \"30d\"\nhistory = \"365d\"",
    "[leases]\nhistory = \"0s\"",
    "[audit]\nevery = \"1s\"",
    "[[plan]]\nname = \"family\"\nlease_lifetime = \"7d\"\n[leases]\ndefault_plan = \"family\"",
    "[[plan]]\nname = \"personal\"\nports_max = 0",
    "[api]\nport = 8080\nupnp = false",
    "[limits]\nconnections_per_device = 1000000\npackets_per_lease_per_s = 10000000\nrequests_per_device_per_s = 1000000",
    "[limits]\nconnections_per_device = 16\npackets_per_lease_per_s = 0\nrequests_per_device_per_s = 0",
    "[limits]\naccounts_max = 1\ndevices_per_account_max = 1\napi_body_max = 1024\napi_connections_max = 8",
    "[daemon]\nuser = \"root\"",
]


@pytest.fixture(scope="module")
def hosts(tmp_path_factory):
    """A gateway that runs, and one that does not."""
    with Lab(tmp_path_factory.mktemp("configuration"), homes=0) as lab:
        running = Gateway(lab, config="")
        still = Gateway(lab, config="", host=lab._on_the_internet("still", "wan", [2]), state="/var/lib/drpf", start=False)
        still.socket = "/run/drpf/drpf.sock"
        for gateway in (running, still):
            gateway.host.popen("socat", "-u", "TCP4-LISTEN:65000,fork", "OPEN:/dev/null")
        yield running, still


def write(gateway, text):
    number = 1 if gateway.host is gateway.lab.gw else 2
    gateway.write_config(text.replace("V4", gateway.lab.plan.address4(number)).replace("V6", gateway.lab.plan.address6(number)))


def check(gateway):
    """The exit code, and what standard error says of the file."""
    done = gateway.cli_result("check", "--json", "--config", gateway.config)
    said = re.search(r"drpf: (.*)\n  cure: (.*)", done.stderr)
    if not said:
        assert {row["level"] for row in json.loads(done.stdout)} <= {"good", "note", "warning"}, done.stdout
    return done.returncode, said and said.groups()


def reload(gateway):
    """What the log says of the file."""
    seen = len(gateway.log_text())
    gateway.process.send_signal(1)
    words = re.compile(r"configuration read again|the configuration stays as it was: .*")
    return wait_for(lambda: words.search(gateway.log_text()[seen:]), 10, "the file was read again").group()


def start(gateway):
    """The exit code where it does not start, and the log."""
    seen = len(gateway.log_text()) if gateway.process else 0
    gateway.start(wait=False)
    wait_for(lambda: not gateway.process.running() or "READY" in gateway.log_text()[seen:], 20, "it starts or ends")
    ready = "READY" in gateway.log_text()[seen:]
    code = gateway.stop() if ready else gateway.process.wait()
    return None if ready else code, gateway.log_text()[seen:]


def test_there_are_enough():
    assert len(WRONG) >= 60 and len(GOOD) >= 40


@pytest.mark.parametrize("text, says", WRONG)
def test_what_check_refuses_does_not_start_and_is_not_taken(hosts, text, says):
    for gateway in hosts:
        write(gateway, text)
        code, said = check(gateway)
        assert code in REFUSED_CODES and said and says in said[0] and said[1], (code, said)
        if gateway is hosts[0]:
            log = reload(gateway)
            assert "the configuration stays as it was" in log
            asked = gateway.cli_result("reload")
            assert asked.returncode == code and said[0] in asked.stderr, (asked.returncode, code, asked.stderr)
        else:
            started, log = start(gateway)
            assert started == code, (started, code, log)
        assert said[0] in log and said[1] in log, (said, log)


@pytest.mark.parametrize("text", GOOD)
def test_what_check_calls_good_starts_and_is_taken(hosts, text):
    for gateway in hosts:
        write(gateway, text)
        assert check(gateway) == (0, None)
        if gateway is hosts[0]:
            log = reload(gateway)
            assert log == "configuration read again" or "needs a restart of the gateway" in log, log
        else:
            started, log = start(gateway)
            assert started is None, log
    write(hosts[0], "")


@pytest.mark.parametrize("text, key", [
    ("[tunnel]\ncrypto_workers = 1", "[tunnel] crypto_workers"), ("[audit]\nevery = \"6h\"", "[audit] every"),
    ("[limits]\napi_body_max = 2048", "[limits] api_body_max"), ("[limits]\napi_connections_max = 9", "[limits] api_connections_max"),
    ("[leases]\nhistory = \"0s\"", "[leases] history"), ("[api]\nupnp = false\nport = 80", "[api] port, [api] upnp")])
def test_a_key_that_is_taken_up_at_the_start_is_refused_by_name(hosts, text, key):
    write(hosts[0], "")
    assert reload(hosts[0]) == "configuration read again"
    write(hosts[0], text)
    assert f"a change of {key} needs a restart" in reload(hosts[0])


def test_a_file_that_does_not_name_services_keeps_sshs_port_open(tmp_path):
    with Lab(tmp_path, homes=0) as lab:
        # In the mounts of the gateway alone.
        gateway = Gateway(lab, config="[leases]\ngrace = \"12h\"\n", start=False)
        lab.gw.sh("mount -t tmpfs none /etc/ssh; echo Port 2222 >/etc/ssh/sshd_config")
        gateway.start()

        def open_ports():
            chain = lab.gw.run("nft", "list", "chain", "inet", "drpf", "input").stdout
            return {int(port) for port in re.findall(r"tcp dport \{? ?(2222|22)\b", chain)}

        assert open_ports() == {2222}
        gateway.write_config("[ports]\nservices_tcp = []\n")
        assert reload(gateway) == "configuration read again" and open_ports() == set()
        gateway.write_config("[leases]\ngrace = \"13h\"\n")
        assert reload(gateway) == "configuration read again" and open_ports() == {2222}


def test_what_is_missing_decides_the_exit_code(hosts):
    """As docs/exit-codes.md has them, and nothing of the gateway's is left behind."""
    still = hosts[1]
    write(still, "")
    for spoil, says, code in (("mount --bind /dev/null /usr/sbin/nft", "nft", 69), ("mount -t tmpfs none /dev/net", "/dev/net/tun", 69)):
        done = still.host.run("unshare", "-m", "sh", "-ec", f"{spoil}; exec {DRPF} gateway --config {still.config} --state {still.state} --socket {still.socket}",
                              check=False, seconds=30)
        assert done.returncode == code and says in done.stdout + done.stderr, (done.returncode, done.stdout, done.stderr)
    write(still, "[daemon]\nuser = \"nobody\"\n")
    shut = "mount -t tmpfs none /dev/net; mknod -m 600 /dev/net/tun c 10 200"
    for verb in (f"check --config {still.config} --socket {still.socket}", f"gateway --config {still.config} --state {still.state} --socket {still.socket}"):
        done = still.host.run("unshare", "-m", "sh", "-ec", f"{shut}; exec {DRPF} {verb}", check=False, seconds=30)
        assert done.returncode == 78 and "'nobody' may not open /dev/net/tun" in done.stdout + done.stderr, (done.returncode, done.stdout, done.stderr)
    write(still, "")
    done = still.host.run("setpriv", "--reuid", "65534", "--clear-groups", DRPF, "gateway", "--state", "/tmp/none", check=False, seconds=30)
    assert done.returncode == 77 and "CAP_NET_ADMIN" in done.stdout + done.stderr, (done.returncode, done.stdout, done.stderr)
    for path, reason in (("/nonexistent.toml", "No such file or directory"), ("/etc", "Is a directory")):
        for verb in ("check", "gateway"):
            done = still.host.run(DRPF, verb, "--config", path, check=False, seconds=30)
            assert done.returncode == 78 and reason in done.stdout + done.stderr, (done.returncode, done.stdout, done.stderr)


def test_what_is_no_file_or_may_not_be_read_is_not_taken(hosts):
    """A folder, nothing at all, and what only others may read: the gateway goes on with what it has."""
    running = hosts[0]
    write(running, "")

    def folder():
        os.remove(running.config)
        os.mkdir(running.config)

    for spoil, reason in ((folder, "Is a directory"), (lambda: os.rmdir(running.config), "No such file or directory"),
                          (lambda: (write(running, ""), os.chmod(running.config, 0)), "Permission denied")):
        spoil()
        asked = running.cli_result("reload")
        assert asked.returncode == 78 and reason in asked.stderr and "cure: " in asked.stderr, (asked.returncode, asked.stderr)
        assert reason == "Permission denied" or (check(running)[0] == 78 and reason in check(running)[1][0])
        assert "the configuration stays as it was" in reload(running)
        assert running.cli_result("status").returncode == 0
    os.remove(running.config)
    write(running, "")
    assert reload(running) == "configuration read again"


def test_the_apis_port_is_not_another_programs(hosts):
    still = hosts[1]
    write(still, "[api]\nport = 65000\n")
    code, said = check(still)
    assert code == 78 and "[api] port: a program of this host listens on tcp port 65000" in said[0]
    assert start(still)[0] == 78
