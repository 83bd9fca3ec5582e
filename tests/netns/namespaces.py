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

CLONE_FS, CLONE_NEWNS, CLONE_NEWPID, CLONE_NEWNET = 0x200, 0x20000, 0x20000000, 0x40000000
MS_BIND, MS_REC, MS_PRIVATE = 0x1000, 0x4000, 0x40000
PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None, use_errno=True)
COMMAND_SECONDS_MAX = 30

# The first process of a host sees the process namespace, so it mounts /proc; it takes little.
HOLDER = "mount -t proc proc /proc && echo ready && exec sleep infinity"
HOST_SYSCTLS = {
    "net.ipv4.conf.all.rp_filter": 0, "net.ipv4.conf.default.rp_filter": 0, "net.ipv4.conf.all.send_redirects": 0, "net.ipv4.conf.default.send_redirects": 0,
    "net.ipv6.conf.all.accept_dad": 0, "net.ipv6.conf.default.accept_dad": 0, "net.ipv6.conf.default.accept_ra": 0, "net.ipv4.ping_group_range": "0 2147483647",
}
# Nobody's children are reaped by the kernel where the first process ignores their end. A shell would undo that.
INIT = ["/usr/bin/python3", "-I", "-S", "-c", "import os, signal; signal.signal(signal.SIGCHLD, signal.SIG_IGN); os.write(1, b'ready'); "
        "os.execvp('sleep', ['sleep', 'infinity'])"]


PATIENCE_MIN = 20  # seconds


class LabError(RuntimeError):
    pass


def die_with_parent():
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def wait_for(condition, seconds=10, what=None, every=0.02):
    """Returns the first true value of condition(); raises AssertionError after `seconds`, or PATIENCE_MIN if that is longer: how soon something comes
    true depends on what else this machine does, so a wait only says when to give up, and a test that is about time looks at a clock itself."""
    seconds = max(seconds, PATIENCE_MIN)
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
    """The process that unshare forked: the command itself."""
    def children():
        with open(f"/proc/{process.pid}/task/{process.pid}/children", encoding="ascii") as file:
            return file.read().split()
    return int(wait_for(lambda: process.poll() is not None or children(), seconds, "the command starts")[0]) if process.poll() is None else None


def checked(result):
    """What a function of libc returned, when that is no error."""
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def mount(kind, target, flags=0, options=None, source=None):
    encoded = [part.encode() if part else None for part in (source or kind, target, kind)]
    checked(LIBC.mount(*encoded, ctypes.c_ulong(flags), options.encode() if options else None))


class Process:
    """A program running in a host, with its output in a file."""

    def __init__(self, host, command, log, environment):
        self.host, self.command, self.log = host, command, log
        with open(log, "ab") as output:
            self.outer = host.spawn(command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, env=environment)
        self.pid = self.outer.pid  # as this process sees it

    def running(self):
        return self.outer.poll() is None

    def send_signal(self, number):
        if self.running():
            os.kill(self.pid, number)

    def wait(self, seconds=10):
        try:
            return self.outer.wait(max(seconds, PATIENCE_MIN))
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
    """Two threads of this process stand in it: one in all its namespaces, which starts programs (so that no nsenter is needed, of which a test would
    run hundreds), and one in its network alone, which makes sockets and calls Python functions."""

    def __init__(self, namespaces, name):
        self.name, self.namespaces = name, namespaces
        self.starter = concurrent.futures.ThreadPoolExecutor(1)
        self.holder = self.starter.submit(self._make).result(COMMAND_SECONDS_MAX)
        wait_for_line(self.holder.stdout, b"ready", 20, self.holder)
        self.pid = self.holder.pid
        self.net = os.open(f"/proc/{self.pid}/ns/net", os.O_RDONLY)
        self.inside = concurrent.futures.ThreadPoolExecutor(1, initializer=self._enter)
        self.spawned = [self.holder]
        for key, value in HOST_SYSCTLS.items():
            self.sysctl(key, value)
        self.ip("link set lo up")

    def _make(self):
        """Gives the calling thread namespaces of its own, below the lab's process namespace; returns the first process in them."""
        with open(f"/proc/{self.namespaces.init_pid}/ns/pid", "rb") as pids:
            checked(LIBC.setns(pids.fileno(), CLONE_NEWPID))
        checked(LIBC.unshare(CLONE_FS | CLONE_NEWNS | CLONE_NEWNET))
        os.chdir("/")
        mount("none", "/", MS_REC | MS_PRIVATE)
        mount("sysfs", "/sys")
        # Private, so that /run/wireguard/wg0.sock or /run/drpf of two hosts are two files; so is what a daemon keeps in /var/lib.
        for folder in ("/run", "/var/lib"):
            mount("tmpfs", folder, options="mode=755")
        for folder in ("/run/lock", "/run/wireguard"):
            os.mkdir(folder, 0o755)
        with open("/run/resolv.conf", "w", encoding="ascii") as file:
            file.write("nameserver 192.0.2.53\n")
        if os.path.isfile("/etc/resolv.conf"):
            mount("none", "/etc/resolv.conf", MS_BIND, source="/run/resolv.conf")
        return subprocess.Popen(["sh", "-c", HOLDER], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

    def _enter(self):
        checked(LIBC.setns(self.net, CLONE_NEWNET))

    def spawn(self, command, **options):
        """A program in the host (working directory /), as subprocess.Popen."""
        process = self.starter.submit(subprocess.Popen, [str(part) for part in command], **options).result(COMMAND_SECONDS_MAX)
        self.spawned = [other for other in self.spawned if other.returncode is None] + [process]
        return process

    def run(self, *command, check=True, seconds=COMMAND_SECONDS_MAX, stdin="", env=None):
        """Runs a command in the host; returns a CompletedProcess with text output."""
        with self.spawn(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=dict(os.environ, **(env or {}))) as process:
            try:
                out, err = process.communicate(stdin, seconds)
            except BaseException:
                process.kill()
                raise
        if check and process.returncode != 0:
            raise AssertionError(f"{self.name}: {shlex.join(map(str, command))} ended with code {process.returncode}\n{out}{err}")
        return subprocess.CompletedProcess(command, process.returncode, out, err)

    def ip(self, *lines, version=None):
        """Commands of ip, without that word, by one process; `version` for those that do not tell it by their addresses."""
        return self.run("ip", *([f"-{version}"] if version else []), "-batch", "-", stdin="".join(line + "\n" for line in lines))

    def sh(self, script, **options):
        return self.run("sh", "-ec", script, **options).stdout

    def popen(self, *command, env=None, log=None):
        """Starts a program; it is killed with the lab if it still runs then."""
        command = [str(part) for part in command]
        log = log or self.namespaces.new_file(f"{self.name}-{os.path.basename(command[0])}")
        return Process(self, command, log, dict(os.environ, **(env or {})))

    def socket(self, family=socket.AF_INET, kind=socket.SOCK_STREAM, protocol=0):
        """A socket of this process that lives in the host's network."""
        return self.inside.submit(socket.socket, family, kind, protocol).result(10)

    def call(self, function, *arguments):
        """Calls a function in a thread that is in the host's network namespace."""
        return self.inside.submit(function, *arguments).result(COMMAND_SECONDS_MAX)

    def sysctl(self, name, value=None):
        return self.call(self._sysctl, name, value)

    @staticmethod
    def _sysctl(name, value):
        with open("/proc/sys/" + name.replace(".", "/"), "r" if value is None else "w", encoding="ascii") as file:
            return file.read().strip() if value is None else file.write(str(value))

    def nft(self, text):
        return self.run("nft", "-f", "-", stdin=text)

    def close(self):
        self.inside.shutdown(wait=False)
        self.starter.shutdown(wait=False)
        self.holder.stdout.close()  # many open pipes make the kernel give every new one a page only
        os.close(self.net)


class Namespaces:
    """All hosts of one lab and the folder of their logs."""

    def __init__(self, folder):
        self.folder = str(folder)
        os.makedirs(self.folder, exist_ok=True)
        self.hosts, self.files = {}, 0
        self.init = subprocess.Popen(["unshare", "--pid", "--fork", "--kill-child=KILL", *INIT], stdin=subprocess.DEVNULL,
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
        a.ip(f"link add {a_name} mtu {mtu} type veth peer name {b_name} mtu {mtu} netns {self.inner_pid(b)}", f"link set {a_name} up")
        b.ip(f"link set {b_name} up")

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
        # It takes all others along, and ends itself when they have been waited for.
        for host in self.hosts.values():
            for process in host.spawned:
                process.wait(10)
        self.init.wait(10)
        self.init.stdout.close()
        self.init = None
