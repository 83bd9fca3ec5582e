"""Hosts made of namespaces: each has its own network, /run, /proc and /sys; all of a lab share one process namespace.

Nothing has a global name, so any number of labs may stand side by side, and nothing has to be swept up: the first process of the
process namespace dies with this Python process, however that ends, and the kernel takes everything else down with it.
"""
import atexit
import concurrent.futures
import ctypes
import os
import select
import shlex
import signal
import socket
import subprocess
import time

CLONE_NEWNET = 0x40000000
PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None, use_errno=True)
COMMAND_SECONDS_MAX = 30

# /run is private, so that /run/wireguard/wg0.sock or /run/drpf of two hosts are two files; so is what a daemon keeps in /var/lib.
HOST_SETUP = """set -e
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t tmpfs -o mode=755 tmpfs /run
mount -t tmpfs -o mode=755 tmpfs /var/lib
mkdir -m 755 /run/lock /run/wireguard
echo 'nameserver 192.0.2.53' > /run/resolv.conf
if [ -f /etc/resolv.conf ]; then mount --bind /run/resolv.conf /etc/resolv.conf; fi
ip link set lo up
for key in net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0 net.ipv4.conf.all.send_redirects=0 \
  net.ipv4.conf.default.send_redirects=0 net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0 net.ipv6.conf.default.accept_ra=0 \
  net.ipv4.ping_group_range='0 2147483647'; do
  sysctl -q -w "$key"
done
echo ready
exec sleep infinity"""
INIT = "import signal\nsignal.signal(signal.SIGCHLD, signal.SIG_IGN)\nprint('ready', flush=True)\nwhile True: signal.pause()"


class LabError(RuntimeError):
    pass


def die_with_parent():
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def wait_for(condition, seconds=10, what=None, every=0.02):
    """Returns the first true value of condition(); raises AssertionError after `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {what or getattr(condition, '__doc__', None) or condition}")
        time.sleep(every)


def wait_for_line(stream, wanted, seconds, process):
    deadline = time.monotonic() + seconds
    seen = b""
    while wanted not in seen:
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([stream], [], [], left)[0]:
            raise LabError(f"no {wanted!r} within {seconds} s: {seen!r}")
        part = os.read(stream.fileno(), 4096)
        if not part:
            raise LabError(f"ended with code {process.wait()} before {wanted!r}: {seen.decode(errors='replace')}")
        seen += part


def only_child(process, seconds=5):
    """The process that nsenter forked: the command itself."""
    def children():
        with open(f"/proc/{process.pid}/task/{process.pid}/children", encoding="ascii") as file:
            return file.read().split()
    return int(wait_for(lambda: process.poll() is not None or children(), seconds, "the command starts")[0]) if process.poll() is None else None


class Process:
    """A program running in a host, with its output in a file."""

    def __init__(self, host, command, log, environment):
        self.host, self.command, self.log = host, command, log
        with open(log, "ab") as output:
            self.outer = subprocess.Popen(host.entering(command), stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
                                          env=environment, preexec_fn=die_with_parent)
        try:
            self.pid = only_child(self.outer)  # as this process sees it
        except (OSError, TypeError, AssertionError):
            self.pid = None  # it has ended already

    def running(self):
        return self.outer.poll() is None

    def send_signal(self, number):
        if self.running() and self.pid:
            os.kill(self.pid, number)

    def wait(self, seconds=10):
        try:
            return self.outer.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still running after {seconds} s: {shlex.join(self.command)}\n{self.output()}") from None

    def stop(self, number=signal.SIGTERM, seconds=10):
        self.send_signal(number)
        return self.wait(seconds)

    def kill(self):
        return self.stop(signal.SIGKILL)

    def output(self):
        with open(self.log, encoding="utf-8", errors="replace") as file:
            return file.read()

    def wait_for_output(self, text, seconds=10, after=0):
        """Waits until the output beyond its first `after` characters holds `text`."""
        def there():
            output = self.output()[after:]
            if text in output:
                return True
            if not self.running():
                raise AssertionError(f"{shlex.join(self.command)} ended with code {self.outer.returncode} before {text!r}:\n{self.output()}")
            return False
        wait_for(there, seconds, f"{text!r} in the output of {shlex.join(self.command)}, which is:\n{self.output()}")


class Host:
    def __init__(self, namespaces, name):
        self.name, self.namespaces = name, namespaces
        self.holder = subprocess.Popen(["nsenter", f"--target={namespaces.init_pid}", "--pid", "unshare", "--net", "--mount", "--propagation=private",
                                        "sh", "-c", HOST_SETUP], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                       preexec_fn=die_with_parent)
        wait_for_line(self.holder.stdout, b"ready", 20, self.holder)
        self.pid = only_child(self.holder)
        self.net = os.open(f"/proc/{self.pid}/ns/net", os.O_RDONLY)
        self.inside = concurrent.futures.ThreadPoolExecutor(1, initializer=self._enter)
        self.processes = []

    def _enter(self):
        if LIBC.setns(self.net, CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), f"cannot enter the network namespace of {self.name}")

    def entering(self, command):
        return ["nsenter", f"--target={self.pid}", "--net", "--mount", "--pid", "--", *map(str, command)]

    def run(self, *command, check=True, seconds=COMMAND_SECONDS_MAX, stdin="", env=None):
        """Runs a command in the host (working directory /); returns a CompletedProcess with text output."""
        result = subprocess.run(self.entering(command), input=stdin, capture_output=True, text=True, timeout=seconds,
                                env=dict(os.environ, **(env or {})), preexec_fn=die_with_parent)
        if check and result.returncode != 0:
            raise AssertionError(f"{self.name}: {shlex.join(map(str, command))} ended with code {result.returncode}\n{result.stdout}{result.stderr}")
        return result

    def sh(self, script, **options):
        return self.run("sh", "-ec", script, **options).stdout

    def popen(self, *command, env=None, log=None):
        """Starts a program; it is killed with the lab if it still runs then."""
        command = [str(part) for part in command]
        log = log or self.namespaces.new_file(f"{self.name}-{os.path.basename(command[0])}")
        process = Process(self, command, log, dict(os.environ, **(env or {})))
        self.processes.append(process)
        return process

    def socket(self, family=socket.AF_INET, kind=socket.SOCK_STREAM, protocol=0):
        """A socket of this process that lives in the host's network."""
        return self.inside.submit(socket.socket, family, kind, protocol).result(10)

    def call(self, function, *arguments):
        """Calls a function in a thread that is in the host's network namespace."""
        return self.inside.submit(function, *arguments).result(COMMAND_SECONDS_MAX)

    def sysctl(self, name, value=None):
        if value is None:
            return self.run("sysctl", "-n", name).stdout.strip()
        return self.run("sysctl", "-q", "-w", f"{name}={value}")

    def nft(self, text):
        return self.run("nft", "-f", "-", stdin=text)

    def close(self):
        self.inside.shutdown(wait=False)
        self.holder.stdout.close()  # many open pipes make the kernel give every new one a page only
        os.close(self.net)


class Namespaces:
    """All hosts of one lab and the folder of their logs."""

    def __init__(self, folder):
        self.folder = str(folder)
        os.makedirs(self.folder, exist_ok=True)
        self.hosts, self.files = {}, 0
        self.init = subprocess.Popen(["unshare", "--pid", "--fork", "--kill-child=KILL", "/usr/bin/python3", "-c", INIT], stdin=subprocess.DEVNULL,
                                     stdout=subprocess.PIPE, stderr=subprocess.STDOUT, preexec_fn=die_with_parent)
        atexit.register(self.close)
        try:
            wait_for_line(self.init.stdout, b"ready", 20, self.init)
        except LabError as error:
            raise LabError(f"cannot make namespaces ({error}); these tests need root") from None
        self.init_pid = only_child(self.init)

    def new_file(self, stem):
        self.files += 1
        return os.path.join(self.folder, f"{self.files:02}-{stem}.log")

    def host(self, name):
        assert name not in self.hosts, name
        self.hosts[name] = Host(self, name)
        return self.hosts[name]

    def link(self, a, a_name, b, b_name, mtu=1500):
        """A cable between two hosts, both ends up."""
        a.run("ip", "link", "add", a_name, "mtu", mtu, "type", "veth", "peer", "name", b_name, "mtu", mtu, "netns", self.inner_pid(b))
        for host, name in ((a, a_name), (b, b_name)):
            host.run("ip", "link", "set", name, "up")

    def inner_pid(self, host):
        """The host's first process as seen inside the lab's process namespace."""
        with open(f"/proc/{host.pid}/status", encoding="ascii") as file:
            return next(line.split()[-1] for line in file if line.startswith("NSpid:"))

    def logs(self):
        """The last lines of every log, for a failed test."""
        parts = []
        for name in sorted(os.listdir(self.folder)):
            path = os.path.join(self.folder, name)
            if name.endswith(".log"):
                with open(path, encoding="utf-8", errors="replace") as file:
                    lines = file.read().splitlines()
                parts.append(f"----- {name}\n" + "\n".join(lines[-60:]))
        return "\n".join(parts)

    def close(self):
        if self.init is None:
            return
        atexit.unregister(self.close)
        for host in self.hosts.values():
            host.close()
        os.kill(self.init_pid, signal.SIGKILL)
        self.init.wait(10)
        self.init.stdout.close()
        for process in [process.outer for host in self.hosts.values() for process in host.processes] + [host.holder for host in self.hosts.values()]:
            process.wait(10)
        self.init = None
