"""`drpf firewall`: what its rules say is what the kernel does; the way back is the kernel's own; others' tables are told."""
import json
import os
import random

from conftest import LONGER
from gateway import DRPF, ROOT
from lab import Lab
from namespaces import wait_for
from traffic import TcpServer, connect, read_line, tcp_visit

CHECK = os.environ.get("DRPF_HOST_FIREWALL_CHECK", os.path.join(ROOT, "build", "test", "tests", "host_firewall_check"))
STATE = "/run/firewall"
TRIAL = 4  # seconds
SILENT = 0.4  # seconds without an answer are none
UFW = """### tuple ### allow tcp 22 0.0.0.0/0 any 198.51.100.0/24 in comment=686f6d65
### tuple ### deny any any 0.0.0.0/0 any 203.0.113.7 in
### tuple ### route:allow tcp 80 any any any in
"""
# As Docker writes it: a port of the machine is led on to a container.
PUBLISHED = """
table ip nat {
  chain DOCKER { tcp dport 8088 counter dnat to 172.30.0.2:80; }
  chain PREROUTING { type nat hook prerouting priority dstnat; policy accept; fib daddr type local counter jump DOCKER; }
}
"""


class Machine:
    """The gateway's host of the lab, without a gateway: a machine with a personal firewall."""

    def __init__(self, lab):
        self.lab, self.host = lab, lab.gw

    def __call__(self, *words, session=None, **options):
        # Whoever runs these tests over ssh has such a session, and it is not this machine's.
        environment = {"SSH_CONNECTION": session or "", **options.pop("env", {})}
        return self.host.run(DRPF, "firewall", *words, "--state", STATE, env=environment, **options)

    def refused(self, *words, **options):
        outcome = self(*words, check=False, **options)
        assert outcome.returncode != 0, outcome.stdout
        return outcome

    def status(self):
        return json.loads(self("status", "--json").stdout)

    def answers(self, port):
        return tcp_visit(self.lab.inet, self.lab.gw_v4, port) is not None

    def silent(self, port, address=None):
        return tcp_visit(self.lab.inet, address or self.lab.gw_v4, port, seconds=SILENT) is None

    def nft(self, text):
        self.host.nft(text)


class Session:
    """A connection from the visitor to port 22, and what sshd would say of it."""

    def __init__(self, machine):
        self.connection = connect(machine.lab.inet, machine.lab.gw_v4, 22, 5)
        read_line(self.connection)
        self.text = f"{machine.lab.inet_v4} {self.connection.getsockname()[1]} {machine.lab.gw_v4} 22"

    def lives(self, seconds=SILENT):
        try:
            self.connection.settimeout(seconds)
            self.connection.sendall(b"x\n")
            return bool(self.connection.recv(100))
        except OSError:
            return False


def test_a_machine_behind_its_firewall(tmp_path):
    with Lab(tmp_path / "lab", homes=0) as lab:
        machine = Machine(lab)
        servers = [TcpServer(lab.gw, port) for port in (22, 80, 2222, 20000)]
        try:
            what_is_allowed_comes_in(machine)
            the_way_back(machine)
            what_ends_is_said_before(machine)
            panic(machine)
            leases_are_followed(machine)
            trouble_changes_nothing(machine)
            others_beside_it(machine)
            machine("off")
            assert "drpf_host" not in lab.gw.run("nft", "list", "ruleset").stdout
            assert machine.answers(80)
        finally:
            for server in servers:
                server.close()


def what_is_allowed_comes_in(machine):
    lab = machine.lab
    machine("allow", "ssh,2223/tcp", "from", "198.51.100.0/24", "--commit")
    assert machine.answers(80)  # it is not on yet
    machine("on", "--commit")
    assert machine.answers(22) and machine.silent(80)
    assert machine.silent(22, lab.gw_v6) and machine.silent(80, lab.gw_v6)
    lab.gw.run("ping", "-c1", "-W2", lab.inet_v4)
    lab.inet.run("ping", "-c1", "-W2", lab.gw_v6)
    # Without the last rule of the chain everything comes in: it is the one that keeps the others out.
    handle = next(line.split()[-1] for line in lab.gw.run("nft", "-a", "list", "chain", "inet", "drpf_host", "judge_input").stdout.splitlines() if '"default"' in line)
    machine.nft(f"delete rule inet drpf_host judge_input handle {handle}")
    assert machine.answers(80)
    machine("on", "--commit")  # twice is the same as once
    assert machine.silent(80)
    # Others see the same, by their own reading of the kernel's rules.
    own = {(row["port"], row["protocol"]): row for row in json.loads(lab.gw.run(DRPF, "ports", "--mine", "--json").stdout)}
    assert own[80, "tcp"]["reachable_from"] == "nobody", own[80, "tcp"]
    assert own[22, "tcp"]["reachable_from"] == "some", own[22, "tcp"]
    assert json.loads(machine("test", lab.inet_v4, "ssh", "--json").stdout)[0]["rule"] == 1
    assert json.loads(machine("test", lab.inet_v6, "ssh", "--json").stdout)[0]["treatment"] == "deny"
    assert machine.answers(22)
    status = machine.status()
    assert status["on"] and status["in_kernel"] and status["refused_packets"] > 0
    assert status["rules"][0]["packets"] > 0 and status["rules"][0]["nobody_listens"] == ["2223/tcp"]
    assert {(row["interface"], row["port"]) for row in status["open"]} == {("wan", "22/tcp")}
    refused = json.loads(machine("log", "--json").stdout)
    assert any(row["source"] == lab.inet_v4 and row["port"] == 80 and row["service"] == "http" for row in refused), refused
    machine("limit", "2222")
    assert all(machine.answers(2222) for _ in range(6))
    assert any(machine.silent(2222) for _ in range(3))  # a sixth of a minute gives a place back
    machine("reject", "out", "to", lab.inet_v4)
    assert tcp_visit(lab.gw, lab.inet_v4, 9) is None
    assert machine.answers(22)  # answers are not what goes out
    machine("remove", "reject", "out", "to", lab.inet_v4)


def the_way_back(machine):
    session = Session(machine)
    tried = machine("remove", "1", "--trial", TRIAL, session=session.text)
    assert "this cuts the session" in tried.stderr and "on trial" in tried.stdout
    assert not session.lives() and machine.silent(22)
    wait_for(lambda: not machine.silent(22), 10, "the kernel takes the change back, with no program of ours alive")
    assert session.lives(5)
    assert "taken back" in machine("status").stdout and "nothing" not in machine("rules").stdout
    assert "no change waits" in machine.refused("confirm").stderr
    # With elements that do not end nothing comes back.
    machine("remove", "1", "--trial", TRIAL, session=session.text)
    machine.nft("flush set inet drpf_host on_trial; add element inet drpf_host on_trial { ipv4, ipv6 }")
    wait_for(lambda: machine.silent(22), 5)
    assert all(machine.silent(22) for _ in range(int(TRIAL / SILENT) + 2))
    machine("on", "--commit")
    # What would cut the session is not done for good, unless that is said.
    assert "would cut the session" in machine.refused("deny", "from", machine.lab.inet_v4, "--commit", session=session.text).stderr
    assert machine.answers(22)
    machine("allow", "http", "--trial", 20, session=session.text)
    machine("confirm", session=session.text)
    assert all(machine.answers(80) for _ in range(10)) and machine.status()["trial_seconds_left"] is None
    session.connection.close()


def what_ends_is_said_before(machine):
    with connect(machine.lab.inet, machine.lab.gw_v4, 80, 5) as connection:
        read_line(connection)
        said = machine("deny", "http").stdout
        assert "1 connection ends" in said and f"{machine.lab.inet_v4}:{connection.getsockname()[1]}" in said and "takes the place of rule" in said
        connection.settimeout(SILENT)
        connection.sendall(b"x\n")
        try:
            assert not connection.recv(100)
        except OSError:
            pass


def panic(machine):
    session, other = Session(machine), Session(machine)
    machine("panic", session=session.text)
    assert session.lives(5) and not other.lives() and machine.silent(22)
    assert machine.status()["panic"] and "panic" in machine.refused("allow", "http").stderr
    machine("on", "--commit")
    assert other.lives(5) and machine.answers(22)
    session.connection.close()
    other.connection.close()


def leases_are_followed(machine):
    machine.host.sh("mkdir -p /run/leases && echo 20000 > /run/leases/laptop.ports")
    machine("allow", "in", "on", "wan", "leased", "--leased-ports", "/run/leases")
    assert machine.answers(20000)
    machine.host.sh(": > /run/leases/laptop.ports")
    machine("follow-leases", "--leased-ports", "/run/leases")
    assert machine.silent(20000)


def trouble_changes_nothing(machine):
    rules = machine.host.run("cat", f"{STATE}/rules").stdout
    assert "did you mean ssh" in machine.refused("allow", "shs").stderr
    machine.refused("allow", "ssh", "from", "10.0.0.0/33")
    machine.host.run("sh", "-c", f"echo allow shs >> {STATE}/rules")
    assert "line " in machine.refused("allow", "http").stderr
    assert machine.answers(22) and machine.silent(80)
    # At the start of the machine such a file does not leave it open.
    machine.nft("delete table inet drpf_host")
    assert "put last" in machine("restore").stderr
    assert machine.answers(22) and machine.silent(80)
    machine.host.run("sh", "-c", f"cat > {STATE}/rules", stdin=rules)
    machine.host.run("sh", "-c", f"mkdir {STATE}/profiles && echo mine > {STATE}/profiles/mine")
    assert "a name without ports" in machine.refused("allow", "http").stderr
    machine.nft("delete table inet drpf_host")
    machine("restore")
    assert machine.silent(80)
    machine.host.run("rm", "-r", f"{STATE}/profiles")
    simple = machine.host.run("setpriv", "--reuid=65534", "--clear-groups", "--bounding-set=-all", "--inh-caps=-all", DRPF, "firewall", "status", check=False)
    assert simple.returncode == 77 and "root" in simple.stderr
    # A disk that is full.
    machine.host.sh("mkdir /run/full && mount -t tmpfs -o size=16k none /run/full && head -c 16k /dev/zero > /run/full/filler || true")
    full = machine.host.run(DRPF, "firewall", "off", "--state", "/run/full", check=False)
    assert full.returncode == 1 and "No space left" in full.stderr, full.stderr
    assert machine.silent(80)
    # A kernel that lacks something.
    machine.host.sh("""mkdir /run/old && cat > /run/old/nft <<'END'
#!/bin/sh
case "$*" in *-f*) for last; do :; done; if [ "$last" = - ]; then text=$(cat); else text=$(cat "$last"); fi
case "$text" in *"limit rate"*) echo "Error: Could not process rule: No such file or directory" >&2; exit 1;; *) exit 0;; esac;; esac
exec /usr/sbin/nft "$@"
END
chmod +x /run/old/nft""")
    old = machine.refused("allow", "http", env={"PATH": "/run/old:" + os.environ["PATH"]})
    assert old.returncode == 69 and "rates" in old.stderr, old.stderr
    assert machine.host.run("cat", f"{STATE}/rules").stdout == rules


def others_beside_it(machine):
    lab = machine.lab
    box = lab.namespaces.host("box")
    lab.namespaces.link(lab.gw, "docker0", box, "eth0")
    lab.gw.ip("addr add 172.30.0.1/24 dev docker0")
    box.ip("addr add 172.30.0.2/24 dev eth0", "route add default via 172.30.0.1")
    lab.gw.sysctl("net.ipv4.ip_forward", 1)
    machine.nft(PUBLISHED)
    with TcpServer(box, 80, versions=(4,)):
        assert machine.silent(8088)
        machine("allow", "8088/tcp")
        assert machine.answers(8088)
        machine("remove", "allow", "8088/tcp")
        assert machine.silent(8088)
        status = machine.status()
        assert status["published"] == [{"port": "8088/tcp", "to": "172.30.0.2:80", "program": "docker"}]
        assert "docker" in machine("status").stdout
        machine.nft("flush chain inet drpf_host judge_published")  # the wall of the forward path
        assert machine.answers(8088)
    machine.host.sh("mkdir -p /run/ufw")
    machine.host.run("sh", "-c", "cat > /run/ufw/user.rules", stdin=UFW)
    taken = machine("import", "ufw", "--ufw-folder", "/run/ufw").stdout
    assert "2 rules of ufw taken over, 1 not" in taken and "route:allow" in taken
    exported = machine("export").stdout
    assert 'allow in 22/tcp from 198.51.100.0/24 comment "home"' in exported and "deny in any from 203.0.113.7/32" in exported
    machine.host.run("sh", "-c", "cat > /run/exported", stdin=exported)
    machine("import", "/run/exported")
    assert machine("export").stdout == exported


def test_the_kernel_means_what_the_evaluator_means(tmp_path):
    seed = int(os.environ.get("DRPF_SEED", random.randrange(1 << 31)))
    print("seed", seed)
    with Lab(tmp_path / "lab", homes=0) as lab:
        rule_sets = 1200 if LONGER else 300  # every packet with a source port of its own
        outcome = lab.inet.run(CHECK, str(seed), str(rule_sets), "50", check=False, seconds=1500 if LONGER else 170)
        assert outcome.stdout.startswith(f"ok {rule_sets} "), f"seed {seed}: {outcome.stdout}{outcome.stderr}"
