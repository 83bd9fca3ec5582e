"""systemd itself as the first process of a host of the lab: on a copy of this machine's files that is thrown away, with nothing in it but the
units of packaging/. It shares the host's network, and has its own processes, mounts and control groups.
"""
import os
import signal
import subprocess
import tempfile

from gateway import DRPF, ROOT
from namespaces import die_with_parent, wait_for

UNITS = os.path.join(ROOT, "packaging", "systemd")
BOOT_SECONDS_MAX = 20
# Of the real system only what our units name is there, and empty: no other service of this machine is started.
EMPTY_TARGETS = ("sysinit", "basic", "network-online", "network", "multi-user", "shutdown")

BOOT = """set -e
base={folder}/boot
mkdir -p $base
mount -t tmpfs -o mode=755 tmpfs $base
mkdir $base/upper $base/work $base/root
mount -t overlay overlay -o lowerdir=/,upperdir=$base/upper,workdir=$base/work $base/root
cd $base/root
mount -t proc proc proc
mount -t sysfs sysfs sys
mount -t tmpfs -o mode=755 tmpfs run
mount -t tmpfs -o mode=755,dev tmpfs dev
for node in null zero full random urandom tty; do touch dev/$node && mount --bind /dev/$node dev/$node; done
mkdir dev/net dev/shm dev/pts dev/mqueue
ln -s pts/ptmx dev/ptmx
mknod dev/net/tun c 10 200
chmod 666 dev/net/tun
mount -t cgroup2 cgroup2 sys/fs/cgroup
rm -rf etc/systemd/system var/lib/drpf
mkdir -p etc/systemd/system etc/drpf usr/local/bin usr/lib/sysusers.d usr/lib/tmpfiles.d var/lib
for target in {targets}; do printf '[Unit]\\nDefaultDependencies=no\\n' >etc/systemd/system/$target.target; done
printf '[Unit]\\nDefaultDependencies=no\\nAllowIsolate=yes\\n' >etc/systemd/system/lab.target
cp {units}/*.service etc/systemd/system/
for unit in drpf drpf-connect@; do
  mkdir etc/systemd/system/$unit.service.d
  printf '[Service]\\nStandardOutput=append:/run/%%p.log\\nStandardError=append:/run/%%p.log\\n' >etc/systemd/system/$unit.service.d/log.conf
done
install -m 755 {drpf} usr/local/bin/drpf
cp {units}/drpf.sysusers usr/lib/sysusers.d/drpf.conf
cp {units}/drpf.tmpfiles usr/lib/tmpfiles.d/drpf.conf
chroot . systemd-sysusers drpf.conf
chroot . systemd-tmpfiles --create drpf.conf
export container=lab
exec chroot . /lib/systemd/systemd --system --unit=lab.target --log-target=console --show-status=0
"""


class NoSystemd(Exception):
    """systemd cannot be the first process here; the text says why."""


class Systemd:
    def __init__(self, host):
        self.host = host
        self.log = host.namespaces.new_file(f"{host.name}-systemd")
        # A group of its own in the machine's tree, mounted where nobody else sees it: systemd makes its slices there.
        self.groups = tempfile.mkdtemp(prefix="drpf-groups-")
        self.group = os.path.join(self.groups, os.path.basename(self.groups))
        self.process = None
        mounted = subprocess.run(["mount", "-t", "cgroup2", "cgroup2", self.groups], capture_output=True, text=True, check=False)
        if mounted.returncode != 0:
            os.rmdir(self.groups)
            raise NoSystemd(mounted.stderr.strip())
        try:
            os.mkdir(self.group)
            script = BOOT.format(folder=host.namespaces.folder, targets=" ".join(EMPTY_TARGETS), units=UNITS, drpf=DRPF)
            entered = f"echo $$ >{self.group}/cgroup.procs && exec \"$@\""
            command = ["sh", "-c", entered, "sh", "nsenter", f"--target={host.pid}", "--net", "--mount", "--pid", "unshare", "--pid", "--mount", "--uts", "--ipc", "--cgroup",
                       "--propagation=private", "--fork", "--kill-child=KILL", "sh", "-c", script]
            with open(self.log, "ab") as output:
                self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, preexec_fn=die_with_parent)
            self.pid = wait_for(self.first_process, BOOT_SECONDS_MAX, "systemd starts")
            wait_for(lambda: self.run("systemctl", "is-system-running").stdout.strip() in ("running", "degraded"), BOOT_SECONDS_MAX, "systemd runs")
        except (OSError, AssertionError) as error:
            self.close()
            with open(self.log, encoding="utf-8", errors="replace") as file:
                raise NoSystemd(f"{error}\n{file.read()[-2000:]}") from None

    def first_process(self):
        """What nsenter forks becomes unshare, and what that forks is process 1 inside."""
        if self.process.poll() is not None:
            raise OSError(f"it ended with code {self.process.returncode}")
        return below(self.process.pid, "systemd")

    def run(self, *command):
        return subprocess.run(["nsenter", f"--target={self.pid}", "--all", "--root", "--wd=/", "--", *command], stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=60, check=False)

    def systemctl(self, *arguments):
        result = self.run("systemctl", *arguments)
        if result.returncode != 0:
            state = self.run("systemctl", "status", "--no-pager", arguments[-1]).stdout
            raise AssertionError("\n".join([f"systemctl {' '.join(arguments)}: {result.stdout}{result.stderr}", state, self.text("/run/drpf.log"), self.text("/run/drpf-connect.log"), self.log_text()]))
        return result.stdout

    def show(self, unit, name):
        return self.systemctl("show", unit, f"--property={name}", "--value").strip()

    def path(self, inside):
        return f"/proc/{self.pid}/root{inside}"

    def text(self, inside):
        try:
            with open(self.path(inside), encoding="utf-8", errors="replace") as file:
                return file.read()
        except OSError as error:
            return str(error)

    def log_text(self):
        with open(self.log, encoding="utf-8", errors="replace") as file:
            return file.read()

    def main_process(self, unit):
        """As this process sees it: systemd counts in its own namespace."""
        inner = self.show(unit, "MainPID")
        for name in os.listdir("/proc"):
            if name.isdigit():
                try:
                    with open(f"/proc/{name}/status", encoding="ascii", errors="replace") as file:
                        numbers = next(line.split()[1:] for line in file if line.startswith("NSpid:"))
                    same = os.readlink(f"/proc/{name}/ns/pid") == os.readlink(f"/proc/{self.pid}/ns/pid")
                except (OSError, StopIteration):
                    continue
                if numbers[-1] == inner and same:
                    return int(name)
        raise AssertionError(f"{unit} has no process {inner}")

    def close(self):
        if self.process and self.process.poll() is None:
            child = None
            try:
                child = self.first_process()
            except OSError:
                pass
            os.kill(child or self.process.pid, signal.SIGKILL)  # with process 1 go all the others
            self.process.wait(10)
        for folder, _, _ in os.walk(self.group, topdown=False):
            wait_for(lambda folder=folder: removed(folder), 5, f"{folder} is empty")
        subprocess.run(["umount", self.groups], check=False)
        os.rmdir(self.groups)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def below(pid, name):
    """The nearest process below this one that has this name; others may end meanwhile."""
    def read(path):
        try:
            with open(path, encoding="ascii") as file:
                return file.read()
        except (FileNotFoundError, ProcessLookupError):
            return ""

    children = [int(child) for child in read(f"/proc/{pid}/task/{pid}/children").split()]
    for child in children:
        if read(f"/proc/{child}/comm").strip() == name:
            return child
    return next((found for child in children if (found := below(child, name))), None)


def removed(folder):
    try:
        os.rmdir(folder)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True
