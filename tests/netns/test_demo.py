"""`drpf demo`: the show as root and as an ordinary user, what it says where something is missing, and that it leaves nothing behind."""
import json
import os
import re
import select
import shutil
import signal
import subprocess
import tempfile
import time

import pytest
from gateway import DRPF
from namespaces import die_with_parent, wait_for

SHOW_SECONDS_MAX = 120
LINES_MAX = 50
FACTS = {
    "given ports: home-1", "given ports: home-2", "TCP: home-1", "UDP: home-1", "TCP: home-2", "UDP: home-2", "TCP over IPv6: home-1", "POP3", "diagnosis", "cured",
    "TCP scan", "TCP scan over IPv6", "UDP scan", "from home 1 to home 2", "from home 2 to home 1", "false source", "ports stop", "same ports",
    "leases there", "closed meanwhile", "open connection", "other home",
}
# /dev/net/tun as Debian's udev makes it: for everybody.
TUN_FOR_ALL = "mount -t tmpfs none /dev/net && mknod -m 666 /dev/net/tun c 10 200"
TUN_FOR_ROOT = "mount -t tmpfs none /dev/net && mknod -m 600 /dev/net/tun c 10 200"
NO_TUN = "mount -t tmpfs none /dev/net"
ROOT = []
NOBODY = ["runuser", "-u", "nobody", "--"]
NAMESPACE_KINDS = ("pid", "net", "mnt")


@pytest.fixture(scope="module")
def drpf():
    """The binary where everybody may run it."""
    folder = tempfile.mkdtemp(prefix="drpf-test-demo-")
    os.chmod(folder, 0o755)
    yield shutil.copy(DRPF, folder)
    shutil.rmtree(folder)


def in_changed_machine(change, user, *command):
    """The command where `change` was done to the mounts, for it alone."""
    return ["unshare", "-m", "sh", "-ec", f'{change}\nexec "$@"', "sh", *user, *map(str, command)]


def run(command):
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=SHOW_SECONDS_MAX, cwd="/", check=False)


class Ground:
    """Interfaces, /run and /var/lib that only one demo has, so that whatever is found there afterwards is its own."""

    def __init__(self):
        ready = "mount -t tmpfs none /run && mount -t tmpfs none /var/lib && echo && exec sleep infinity"
        self.holder = subprocess.Popen(["unshare", "--net", "--mount", "--propagation=private", "sh", "-ec", ready], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                       preexec_fn=die_with_parent)
        assert self.holder.stdout.read(1), "no namespaces of its own for a demo"
        self.before = self.traces()

    def inside(self, *command):
        return ["nsenter", f"--target={self.holder.pid}", "--net", "--mount", "--", *command]

    def traces(self):
        """What a careless demo would leave: interfaces, named namespaces, files."""
        look = "ip -o link; for folder in /run /run/netns /run/wireguard /run/drpf /var/lib /etc/drpf; do ls -A $folder 2>&1; done"
        return subprocess.run(self.inside("sh", "-c", look), capture_output=True, text=True, check=False).stdout

    def close(self):
        self.holder.kill()
        self.holder.wait()


@pytest.fixture
def ground():
    ground = Ground()
    yield ground
    ground.close()


class RunningDemo:
    """`drpf demo` until it is ended; knows the process namespace of its stage."""

    def __init__(self, ground, *command):
        self.ground = ground
        self.process = subprocess.Popen(ground.inside(*command), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd="/",
                                        start_new_session=True, preexec_fn=die_with_parent)
        self.text = ""
        self.namespaces = {}  # open files by number

    def wait_for(self, wanted, seconds=SHOW_SECONDS_MAX, then=lambda: None):
        deadline = time.monotonic() + seconds
        while wanted not in self.text:
            left = deadline - time.monotonic()
            assert left > 0 and select.select([self.process.stdout], [], [], left)[0], f"no {wanted!r} within {seconds} s:\n{self.text}"
            part = os.read(self.process.stdout.fileno(), 65536)
            assert part, f"ended with {self.process.wait()} before {wanted!r}:\n{self.text}"
            self.text += part.decode()
        then()
        own = namespaces_of(os.getpid()) | namespaces_of(self.ground.holder.pid)
        for pid in descendants(self.process.pid):
            for kind in NAMESPACE_KINDS:
                self.hold(f"/proc/{pid}/ns/{kind}", own)
        assert self.namespaces

    def hold(self, path, own):
        """Keeps a namespace's number from being given to another one, which a test beside us may make at any moment."""
        try:
            file = open(path, "rb")
        except OSError:
            return
        number = os.fstat(file.fileno()).st_ino
        if number not in own:
            self.namespaces.setdefault(number, file)

    def freeze(self):
        os.killpg(self.process.pid, signal.SIGSTOP)

    def thaw(self):
        os.killpg(self.process.pid, signal.SIGCONT)

    def end(self, number):
        self.process.send_signal(number)
        return self.process.wait(SHOW_SECONDS_MAX)

    def what_is_left(self):
        return [pid for pid in map(int, filter(str.isdigit, os.listdir("/proc"))) if namespaces_of(pid) & self.namespaces.keys()]


def descendants(pid):
    try:
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
            children = [int(child) for child in file.read().split()]
    except OSError:
        return []
    return children + [below for child in children for below in descendants(child)]


def namespaces_of(pid):
    try:
        return {os.stat(f"/proc/{pid}/ns/{kind}").st_ino for kind in NAMESPACE_KINDS}
    except OSError:
        return set()


@pytest.mark.timeout(SHOW_SECONDS_MAX + 20)
@pytest.mark.parametrize("user", [ROOT, NOBODY], ids=["root", "ordinary user"])
def test_every_fact_is_observed(drpf, user):
    done = run(in_changed_machine(TUN_FOR_ALL, user, drpf, "demo", "--once", "--json", "--logs"))
    result = json.loads(done.stdout)
    assert set(result) == {"held", "facts"} and all(set(fact) == {"name", "held", "detail"} for fact in result["facts"])
    not_held = [fact for fact in result["facts"] if not fact["held"]]
    assert done.returncode == 0 and result["held"] is True and not_held == [], done.stderr
    assert {fact["name"] for fact in result["facts"]} == FACTS and len(result["facts"]) == len(FACTS)


WALLS = {
    "the input chain lets everything in": ("s/policy drop/policy accept/", {"TCP scan", "TCP scan over IPv6", "ports stop", "closed meanwhile"}),
    "devices may speak to each other": (r's/\(iifname "drpf0" oifname "drpf0" counter\) drop/\1 accept/', {"from home 1 to home 2", "from home 2 to home 1"}),
}


@pytest.mark.parametrize("wall", WALLS)
def test_a_gateway_without_a_wall_is_found_out(drpf, tmp_path, wall):
    """The show must not hold where something is wrong: the gateway's rules are changed on their way into the kernel."""
    edit, facts = WALLS[wall]
    program = tmp_path / "nft"
    program.write_text(f"#!/bin/sh\nif [ \"$1\" = -f ]; then sed '{edit}' | {shutil.which('nft')} \"$@\"; else exec {shutil.which('nft')} \"$@\"; fi\n")
    program.chmod(0o755)
    done = run(["env", f"PATH={tmp_path}:{os.environ['PATH']}", drpf, "demo", "--once", "--json"])
    result = json.loads(done.stdout)
    assert done.returncode == 1 and result["held"] is False
    assert {fact["name"] for fact in result["facts"] if not fact["held"]} == facts


def test_it_runs_where_root_has_no_other_user(drpf):
    """As in a container that maps one user only."""
    done = run(in_changed_machine(TUN_FOR_ALL, NOBODY, "unshare", "-r", drpf, "demo", "--once", "--json"))
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("program, package", [("/usr/bin/wireguard-go", "wireguard-go"), ("/usr/sbin/nginx", "nginx-light"),
                                              ("/usr/lib/dovecot/pop3-login", "dovecot-pop3d"), ("/usr/bin/curl", "curl")])
def test_a_missing_program_is_named_with_its_package(drpf, program, package):
    done = run(in_changed_machine(f"mount --bind /dev/null {program}", ROOT, drpf, "demo", "--once", "--json"))
    assert done.returncode == 69 and done.stdout == ""
    assert os.path.basename(program) in done.stderr and f"sudo apt install {package}\n" in done.stderr


def test_all_that_is_missing_is_said_at_once(drpf):
    change = f"{NO_TUN}\nmount --bind /dev/null /usr/bin/wg\nmount --bind /dev/null /usr/bin/socat"
    done = run(in_changed_machine(change, ROOT, drpf, "demo", "--once"))
    assert done.returncode == 69
    for wanted in ("wg, socat", "apt install wireguard-tools socat", "/dev/net/tun does not exist", "modprobe tun"):
        assert wanted in done.stderr


def test_a_tun_device_that_only_root_may_open_is_said(drpf):
    done = run(in_changed_machine(TUN_FOR_ROOT, NOBODY, drpf, "demo", "--once"))
    assert done.returncode == 69
    assert "/dev/net/tun cannot be opened by user 65534: Permission denied" in done.stderr and "sudo chmod 666 /dev/net/tun" in done.stderr


@pytest.mark.parametrize("kind", ["user", "net", "pid", "mnt"])
def test_a_kernel_that_refuses_namespaces_is_quoted(drpf, kind):
    # The limit counts in the user namespace that it is written in, and below.
    refuse = f'echo 0 > /proc/sys/user/max_{kind}_namespaces; exec "$@"'
    done = run(in_changed_machine(TUN_FOR_ALL, NOBODY, "unshare", "-r", "sh", "-ec", refuse, "sh", drpf, "demo", "--once"))
    assert done.returncode == 69
    assert f"user.max_{kind}_namespaces is 0" in done.stderr and f"sudo sysctl user.max_{kind}_namespaces=" in done.stderr


def test_it_stays_up_and_leaves_nothing_behind(drpf, ground):
    demo = RunningDemo(ground, drpf, "demo")
    demo.wait_for("LEAD TO PORTS")
    demo.wait_for("home-2")
    show = demo.text[:demo.text.index("Try in another terminal")]
    assert "Every fact was observed" in show and "✘" not in show
    assert len(show.splitlines()) <= LINES_MAX
    # The commands that it names work as they stand there.
    curl, *others = [line.strip().removeprefix("sudo ") for line in demo.text[len(show):].splitlines() if line.startswith("  ")][:3]
    assert "home 1 saw 198.51.100.20" in subprocess.run(curl, shell=True, capture_output=True, text=True, check=True).stdout
    for command in others:
        subprocess.run(command, shell=True, capture_output=True, check=True)
    # The table follows what they changed.
    port = re.search(r"(\d+)/tcp", others[0]).group(1)
    wait_for(lambda: demo.wait_for("\n") or re.search(rf"home-1 +{port} +tcp +110 ", demo.text) or read_more(demo), 10, f"a line for {port}")
    assert demo.end(signal.SIGINT) == 0
    assert wait_for(lambda: not demo.what_is_left(), 5, "nothing is left")
    assert ground.traces() == ground.before


def read_more(demo):
    if select.select([demo.process.stdout], [], [], 0)[0]:
        demo.text += os.read(demo.process.stdout.fileno(), 65536).decode()


@pytest.mark.parametrize("number, code", [(signal.SIGINT, 130), (signal.SIGTERM, 130), (signal.SIGKILL, -signal.SIGKILL)])
def test_nothing_is_left_when_the_show_is_cut_short(drpf, ground, number, code):
    demo = RunningDemo(ground, drpf, "demo", "--once")
    demo.wait_for("3 A leased port", then=demo.freeze)  # or the show is over before a busy machine has looked at all of it
    assert len(demo.namespaces) >= 3 and len(demo.what_is_left()) > 10
    demo.process.send_signal(number)
    demo.thaw()
    assert demo.process.wait(SHOW_SECONDS_MAX) == code
    assert wait_for(lambda: not demo.what_is_left(), 5, "nothing is left")
    assert ground.traces() == ground.before
