"""What a gateway that was taken over could still do: rights, system calls, programs, memory, files."""
import base64
import os
import re
import signal
import socket
import stat

import pytest
from gateway import DRPF, Gateway, WireGuardDevice
from injection import EACCES, EPERM, Injection
from namespaces import wait_for
from traffic import TcpServer, tcp_visit

NET_BIND_SERVICE, NET_ADMIN = 1 << 10, 1 << 12
AF_PACKET, SOCK_DGRAM, SOCK_RAW, AF_INET, PR_GET_DUMPABLE = 17, 2, 3, 2, 3
USER = 987
# As a distribution has it: the device is for everybody, and the kernel asks for the right when it is used.
WITH_USER = f"""mount -t tmpfs -o mode=755,dev tmpfs /dev/net && mknod -m 666 /dev/net/tun c 10 200 && chmod 666 /dev/net/tun
cp /etc/passwd /run/passwd && echo 'drpf:x:{USER}:{USER}::/var/lib/drpf:/usr/sbin/nologin' >>/run/passwd && mount --bind /run/passwd /etc/passwd"""


def status(pid, thread=None):
    with open(f"/proc/{pid}/task/{thread or pid}/status", encoding="ascii", errors="replace") as file:
        return dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)


def threads(pid):
    return [int(name) for name in os.listdir(f"/proc/{pid}/task")]


def children(pid):
    found = []
    for thread in threads(pid):
        with open(f"/proc/{pid}/task/{thread}/children", encoding="ascii") as file:
            found += [int(name) for name in file.read().split()]
    return found


def assert_confined(pid, capabilities, uid=0, filters=1):
    for thread in threads(pid):
        fields = status(pid, thread)
        for name in ("CapPrm", "CapEff", "CapBnd"):
            assert int(fields[name], 16) == capabilities, (thread, name, fields[name])
        assert int(fields["CapInh"], 16) == int(fields["CapAmb"], 16) == 0
        assert fields["NoNewPrivs"] == "1" and fields["Seccomp"] == "2", thread
        assert int(fields["Seccomp_filters"]) >= filters
        assert fields["Uid"].split() == [str(uid)] * 4 and fields["Gid"].split() == [str(uid)] * 4
        if uid:
            assert fields["Groups"].split() in ([], [str(uid)]), "no group but its own (systemd names that one here, too)"


@pytest.mark.quick
def test_every_thread_has_two_capabilities_and_a_filter(lab, gateway):
    assert len(threads(gateway.process.pid)) >= 4
    assert_confined(gateway.process.pid, NET_ADMIN | NET_BIND_SERVICE)
    aside = children(gateway.process.pid)
    assert len(aside) == 1, "the process that runs nft"
    assert_confined(aside[0], NET_ADMIN)


def test_the_running_gateway_is_refused_what_it_does_not_need(lab, gateway):
    with Injection(gateway.process.pid) as inside:
        assert inside.call("getpid") > 0  # the way in works
        assert inside.call("socket", AF_PACKET, SOCK_RAW, 0) == EPERM
        assert inside.call("socket", AF_INET, SOCK_RAW, socket.IPPROTO_TCP) == EPERM
        held = inside.call("socket", AF_INET, SOCK_DGRAM, 0)
        assert held >= 0, "an ordinary socket, so the refusals above are the filter's"
        assert inside.call("prctl", PR_GET_DUMPABLE) == 0
    assert gateway.cli_json("status")  # and it goes on as if nothing had been


@pytest.mark.parametrize("call", ["execve", "ptrace", "mount", "setns", "unshare"])
def test_what_only_an_intruder_would_try_ends_the_gateway(lab, gateway, call):
    with Injection(gateway.process.pid) as inside:
        inside.call(call, 0, 0, 0)
    assert gateway.process.wait(5) == -signal.SIGSYS
    gateway.start()  # and the next one comes up


# Root's own files: none of these needs a capability.
AT_FDCWD, AF_UNIX, SOCK_STREAM = -100 & 0xffffffffffffffff, 1, 1
ROOTS_FILES = {"/etc/shadow": os.O_RDONLY, "/etc/profile": os.O_WRONLY | os.O_APPEND, "/etc/passwd": os.O_WRONLY | os.O_APPEND,
               "/etc/cron.d/drpf-was-here": os.O_WRONLY | os.O_CREAT, "/proc/self/root/etc/shadow": os.O_RDONLY, "/var/lib": os.O_RDONLY}
TRY_THEM = """import os, socket
for path, flags in {files!r}.items():
    os.close(os.open(path, flags, 0o600))
socket.socket(socket.AF_UNIX).connect("/run/foreign.sock")
print("all of it")"""


@pytest.fixture
def roots_own(lab):
    """Files that belong to root, in an /etc that may be spoilt, and a socket of somebody else."""
    lab.gw.sh("mkdir -p /run/etc/upper /run/etc/work && mount -t overlay overlay -o lowerdir=/etc,upperdir=/run/etc/upper,workdir=/run/etc/work /etc")
    lab.gw.sh("mkdir -p /etc/cron.d && touch /etc/shadow /etc/profile")
    listener = lab.gw.popen("socat", "UNIX-LISTEN:/run/foreign.sock,fork", "OPEN:/dev/null")
    wait_for(lambda: lab.gw.run("test", "-S", "/run/foreign.sock", check=False).returncode == 0, 10, "a socket of another")
    return listener


@pytest.mark.wall("D21", "a gateway that stays root uses root's files, without any capability", None)
@pytest.mark.wall("D21", "it speaks to other programs by their unix sockets", None)
def test_as_root_it_reaches_no_file_and_no_socket_of_root(lab, roots_own):
    gateway = Gateway(lab)
    for pid in (gateway.process.pid, children(gateway.process.pid)[0]):  # and the one that runs nft
        assert status(pid)["Uid"].split() == ["0"] * 4
        with Injection(pid) as inside:
            for path, flags in ROOTS_FILES.items():
                assert inside.call("openat", AT_FDCWD, inside.text(path), flags, 0o600) == EACCES, path
            assert inside.call("openat", AT_FDCWD, inside.text("/proc/self/status"), os.O_RDONLY, 0) > 0, "what it needs"
            assert inside.call("socket", AF_UNIX, SOCK_STREAM, 0) == EPERM
    filters = {int(status(gateway.process.pid, thread)["Seccomp_filters"]) for thread in threads(gateway.process.pid)}
    assert len(filters) == 1, "of all threads alike"
    assert gateway.cli_json("status")["warnings"] == [] and roots_own.running()


@pytest.mark.wall("D21", "a gateway that stays root uses root's files, without any capability", None, "the same rights without Landlock")
@pytest.mark.wall("D21", "it speaks to other programs by their unix sockets", None, "the same rights without the filter")
def test_root_without_capabilities_reaches_all_of_it(lab, roots_own):
    done = lab.gw.run("setpriv", "--no-new-privs", "--inh-caps=-all", "--bounding-set=-all", "/usr/bin/python3", "-I", "-c", TRY_THEM.format(files=ROOTS_FILES))
    assert done.stdout.strip() == "all of it" and roots_own.running()


def test_nft_is_still_run_for_repairs_and_reloads(lab, gateway):
    device = WireGuardDevice(lab.homes[0], gateway.add_device("ann", "laptop"))
    port = gateway.wait_for_ports("laptop")[0]
    gateway.write_config("[limits]\nconnections_per_device = 77\n")
    gateway.has_config = True
    gateway.stop()
    gateway.start()
    gateway.write_config("[limits]\nconnections_per_device = 78\n")
    gateway.reload()
    assert "ct count over 78" in lab.gw.run("nft", "list", "table", "inet", "drpf").stdout, "the rule set is changed by nft"
    with TcpServer(lab.homes[0], port):
        lab.homes[0].run("ping", "-c1", "-W2", "10.77.0.1", check=False)
        wait_for(lambda: tcp_visit(lab.inet, lab.gw_v4, port, seconds=1), 20, "visitors come in")
    assert device.process.running() and "firewall" in gateway.cli("check")


@pytest.fixture
def drpf_user(lab):
    lab.gw.sh(WITH_USER)
    return USER


def gateway_for_user(lab, **options):
    """In places that another user than root can reach."""
    gateway = Gateway(lab, start=False, **options)
    gateway.state, gateway.socket = "/var/lib/drpf", "/run/drpf/drpf.sock"
    return gateway


def try_everything(lab, gateway):
    """A device connects and is visited, the tunnel's interface is deleted and comes back, the gateway ends well."""
    WireGuardDevice(lab.homes[0], gateway.add_device("ann", "laptop", plan="business"))
    port = gateway.wait_for_ports("laptop")[0]
    with TcpServer(lab.homes[0], port):
        for address in (lab.gw_v4, lab.gw_v6):
            assert tcp_visit(lab.inet, address, port)
        gateway.cli("lease", "add", "laptop", "20110/tcp", "--local", port)
        assert tcp_visit(lab.inet, lab.gw_v4, 20110)
        assert {row["finding"] for row in gateway.cli_json("lease", "test", "20110/tcp")} == {"answers"}
        assert gateway.cli_json("check")
        gateway.reload()
        assert tcp_visit(lab.inet, lab.gw_v4, 20110)
        for _ in range(3):  # an interface is made with the rights that are left
            lab.gw.sh("ip link del drpf0")
            wait_for(lambda: tcp_visit(lab.inet, lab.gw_v4, 20110, seconds=1), 10, "visitors come in again")
        assert {row["finding"] for row in gateway.cli_json("lease", "test", "20110/tcp")} == {"answers"}
    assert gateway.cli_json("status")["repaired"]["counts"]["the tunnel's interface, which was gone"] == 3
    assert gateway.stop() == 0


def test_started_by_root_it_goes_on_as_its_own_user(lab, drpf_user):
    gateway = gateway_for_user(lab)
    gateway.start()
    assert_confined(gateway.process.pid, NET_ADMIN | NET_BIND_SERVICE, drpf_user)
    assert_confined(children(gateway.process.pid)[0], NET_ADMIN, drpf_user)
    assert f"{drpf_user} {drpf_user} 700" == lab.gw.sh("stat -c '%u %g %a' /var/lib/drpf").strip()
    try_everything(lab, gateway)
    gateway.start()  # on what it has left
    assert gateway.stop() == 0


def test_a_state_of_root_is_taken_over_by_the_user(lab):
    gateway = gateway_for_user(lab)
    gateway.start()
    gateway.add_device("ann", "laptop")
    gateway.stop()
    assert lab.gw.sh("stat -c %u /var/lib/drpf/*").split()[0] == "0"
    lab.gw.sh(WITH_USER)
    gateway.start()
    assert set(lab.gw.sh("stat -c %u /var/lib/drpf/*").split()) == {str(USER)}
    assert [row["name"] for row in gateway.cli_json("device", "list")] == ["laptop"]


def test_every_file_it_writes_is_its_own(lab, gateway):
    gateway.add_device("ann", "laptop")
    seen = []
    for folder, folders, files in os.walk(gateway.state):
        assert stat.S_IMODE(os.stat(folder).st_mode) == 0o700, folder
        for name in files:
            path = os.path.join(folder, name)
            assert stat.S_IMODE(os.stat(path).st_mode) == 0o600, path
            seen.append(name)
    assert any(name.endswith("-wal") for name in seen) and len(seen) >= 2
    assert stat.S_IMODE(os.stat(gateway.socket).st_mode) == 0o660
    lab.gw.sh('test "$(stat -c %a /run/wireguard/drpf0.sock)" = 600 || test "$(stat -c %a /var/run/wireguard/drpf0.sock)" = 600')


def private_key(gateway):
    return base64.b64decode(gateway.host.run("wg", "show", "drpf0", "private-key").stdout)


def mappings_with(pid, secret):
    """The memory mappings that hold these bytes: (name, flags)."""
    found = []
    with open(f"/proc/{pid}/smaps", encoding="ascii", errors="replace") as file:
        areas = re.split(r"^(?=[0-9a-f]+-[0-9a-f]+ )", file.read(), flags=re.MULTILINE)
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        for area in areas:
            head = re.match(r"([0-9a-f]+)-([0-9a-f]+) (\S+) \S+ \S+ (\d+) *(.*)", area)
            if not head or "r" not in head[3]:
                continue
            begin, end = int(head[1], 16), int(head[2], 16)
            try:
                memory.seek(begin)
                content = memory.read(end - begin)
            except (OSError, OverflowError):
                continue
            if content.count(secret):
                found.append((head[5] or "anonymous", int(head[4]), re.search(r"VmFlags: (.*)", area)[1].split(), content.count(secret)))
    return found


def test_no_core_dump_holds_a_key(lab, gateway):
    pid = gateway.process.pid
    gateway.add_device("ann", "laptop")
    key = private_key(gateway)
    areas = mappings_with(pid, key)
    assert areas, "the gateway does hold its key: the search can find it"
    # core(5): 0 = no memory of any kind is dumped, whatever else is set; and the process is not dumped at all.
    with open(f"/proc/{pid}/coredump_filter", encoding="ascii") as file:
        assert int(file.read(), 16) == 0
    assert all(inode == 0 or "dd" in flags for _, inode, flags, _ in areas), "no file of this host holds it"
    with open(f"/proc/{pid}/limits", encoding="ascii") as file:
        assert re.search(r"Max core file size +0 +0 ", file.read())
    assert sum(count for *_, count in areas) <= KEY_COPIES_MAX, areas


KEY_COPIES_MAX = 12


def keys_of(configuration):
    """Of a device's configuration: each secret as bytes and as text."""
    texts = re.findall(r"^(?:PrivateKey|PresharedKey) = (\S+)$", configuration, re.MULTILINE)
    assert len(texts) == 2
    return [form for text in texts for form in (base64.b64decode(text), text.encode())]


@pytest.mark.parametrize("connects", [False, True])
def test_a_removed_device_leaves_no_key_behind(lab, gateway, connects):
    configuration = gateway.add_device("ann", "laptop")
    secrets = keys_of(configuration)
    if connects:
        device = WireGuardDevice(lab.homes[0], configuration)
        gateway.wait_for_ports("laptop")
        device.disconnect()
    pid = gateway.process.pid
    assert all(mappings_with(pid, secret) for secret in secrets[::2]), "the gateway keeps them for `device config`: the search can find them"
    gateway.cli("device", "remove", "laptop")
    # What is still on a stack goes with the next work.
    wait_for(lambda: gateway.cli_json("status") and not any(mappings_with(pid, secret) for secret in secrets), 10, "its keys are nowhere")
    assert gateway.stop() == 0
    for folder, _, files in os.walk(gateway.state):
        for name in files:
            with open(os.path.join(folder, name), "rb") as file:
                content = file.read()
            assert not any(secret in content for secret in secrets), name


def test_a_thousand_readers_of_events_at_once(lab, gateway):
    readers = []
    try:
        for _ in range(1000):
            reader = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            wait_for(lambda: reader.connect_ex(gateway.socket) == 0, 10, "a place in the queue of the socket")
            reader.settimeout(10)
            reader.sendall(b"GET /v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
            readers.append(reader)
        for reader in readers:
            assert reader.recv(64).startswith(b"HTTP/1.1 200 ")
        gateway.cli("account", "add", "ann")
        for reader in readers:
            text = b""
            while b'"change"' not in text:
                part = reader.recv(4096)
                assert part, text
                text += part
    finally:
        for reader in readers:
            reader.close()
    assert gateway.cli_json("status")


# What packaging/drpf.service asks systemd for, where this can be had without systemd: its user, its rights, a file system that is read-only
# but for its own places, no devices but the tunnel's, nobody else's processes.
SANDBOX = """set -e
mkdir -p /run/drpf /run/wireguard /var/lib/drpf
chown {user}:{user} /run/drpf /run/wireguard /var/lib/drpf
chmod 700 /var/lib/drpf
mount -t tmpfs -o mode=1777 tmpfs /run/private-tmp
mount -o remount,bind,ro / 2>/dev/null || mount --bind / / && mount -o remount,bind,ro /
mount --bind /sys /sys && mount -o remount,bind,ro /sys
mount --bind /proc/sys /proc/sys && mount -o remount,bind,ro /proc/sys
mount -o remount,bind,hidepid=invisible /proc 2>/dev/null || mount -o remount,hidepid=2 /proc
for folder in ipv4 ipv6; do mount --bind /proc/sys/net/$folder /proc/sys/net/$folder; mount -o remount,bind,rw /proc/sys/net/$folder; done
! touch /etc/drpf-was-here 2>/dev/null
! sh -c 'echo 1 >/proc/sys/kernel/sysrq' 2>/dev/null
exec prlimit --nofile=16384 setpriv --reuid {user} --regid {user} --clear-groups --no-new-privs --inh-caps -all,+net_admin,+net_bind_service \\
  --ambient-caps -all,+net_admin,+net_bind_service --bounding-set -all,+net_admin,+net_bind_service \\
  {drpf} gateway --state /var/lib/drpf --socket /run/drpf/drpf.sock
"""


def test_it_works_with_no_more_than_its_unit_gives_it(lab, drpf_user):
    gateway = gateway_for_user(lab)
    lab.gw.sh("mkdir -p /run/private-tmp")
    gateway.process = lab.gw.popen("unshare", "--mount", "--propagation=private", "sh", "-c", SANDBOX.format(user=drpf_user, drpf=DRPF), log=gateway.log)
    gateway.process.wait_for_output("READY", 20)
    gateway.process.pid = wait_for(lambda: gateway_pid(gateway.process.pid), 5, "the gateway's own process")
    assert_confined(gateway.process.pid, NET_ADMIN | NET_BIND_SERVICE, drpf_user)
    try_everything(lab, gateway)


def gateway_pid(pid):
    """The process itself, or the one below it that is drpf: unshare and the shell have become it by exec."""
    with open(f"/proc/{pid}/comm", encoding="ascii") as file:
        if file.read().strip() == "drpf":
            return pid
    return next((found for child in children(pid) if (found := gateway_pid(child))), None)
