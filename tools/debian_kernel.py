#!/usr/bin/python3
"""Runs a command under Debian's own kernel, in a virtual machine that sees this machine's files and no network.

The machine that runs the tests decides which kernel they meet; this brings another one: the kernel that most servers have, with WireGuard
inside. QEMU emulates the processor (no KVM needed), so everything takes some ten times as long: what is right is found out, not what is fast.
The files are this machine's, read-only; what the command writes lives in the virtual machine's memory and ends with it.

  debian_kernel.py [--folder build/kernel] [--seconds-max 600] -- COMMAND...
"""
import argparse
import glob
import os
import re
import select
import shlex
import shutil
import signal
import subprocess
import sys
import time

PACKAGE = "linux-image-amd64"
INITRAMFS_MODULES = ("virtio_pci", "9pnet_virtio", "9p", "overlay")
MEMORY_MIB = 2048
BOOT_SECONDS_MAX = 120
EXIT_LINE = re.compile(r"^COMMAND-EXITED (\d+)\r?$", re.MULTILINE)

# The first program: it finds this machine's root, lays a writable layer over it, and goes there.
INIT = """#!/bin/busybox sh
/bin/busybox mkdir -p /proc /sys /dev /below /layer /whole
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t sysfs sysfs /sys
/bin/busybox mount -t devtmpfs dev /dev
for module in $(/bin/busybox cat /modules.order); do /bin/busybox insmod $module || echo "module $module is not there"; done
/bin/busybox mount -t 9p -o trans=virtio,version=9p2000.L,msize=512000,cache=loose,ro host /below || echo "no root"
/bin/busybox mount -t tmpfs -o size=75% tmpfs /layer
/bin/busybox mkdir /layer/upper /layer/work
/bin/busybox mount -t overlay -o lowerdir=/below,upperdir=/layer/upper,workdir=/layer/work overlay /whole
for place in proc sys dev; do /bin/busybox mount --move /$place /whole/$place; done
exec /bin/busybox switch_root /whole /bin/sh {second}
"""

# The second, on this machine's files.
SECOND = """#!/bin/sh
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8
mkdir -p /dev/pts /dev/shm /lib/modules
mount -t devpts devpts /dev/pts
mount -t tmpfs tmpfs /dev/shm
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /tmp
mount -t cgroup2 cgroup2 /sys/fs/cgroup
ln -s /proc/self/fd /dev/fd
for number in 0 1 2; do ln -s /proc/self/fd/$number /dev/$(echo "stdin stdout stderr" | cut -d" " -f$((number + 1))); done
mount --bind {modules} /lib/modules
mkdir -p /run/lock /run/netns /var/run
ip link set lo up
for module in tun veth nf_tables nf_conntrack nf_conntrack_netlink wireguard; do modprobe $module || echo "no $module"; done
cd {folder}
echo "running on Linux $(uname -r)"
setsid -c sh -c {command} </dev/console
echo "COMMAND-EXITED $?"
sync
echo o > /proc/sysrq-trigger
sleep 60
"""


def fetch_kernel(folder):
    """The newest kernel of the package lists, unpacked; returns its version."""
    depends = subprocess.run(["apt-cache", "depends", PACKAGE], capture_output=True, text=True, check=True).stdout
    package = re.search(r"Depends: (linux-image-\S+)", depends)[1]
    version = package.removeprefix("linux-image-")
    if not os.path.exists(f"{folder}/{version}/complete"):
        shutil.rmtree(folder, ignore_errors=True)
        os.makedirs(f"{folder}/{version}")
        subprocess.run(["apt-get", "download", "-q", package], cwd=folder, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        archive = glob.glob(f"{folder}/*.deb")[0]
        subprocess.run(["dpkg-deb", "-x", archive, f"{folder}/{version}"], check=True)
        os.remove(archive)
        subprocess.run(["depmod", "-b", f"{folder}/{version}", version], check=True)
        with open(f"{folder}/{version}/complete", "w", encoding="utf-8"):
            pass
    return version


def needed_modules(tree, version):
    found = []
    for module in INITRAMFS_MODULES:
        shown = subprocess.run(["modprobe", "-d", tree, "-S", version, "--show-depends", module], capture_output=True, text=True, check=True).stdout
        found += [line.split()[1] for line in shown.splitlines() if line.startswith("insmod ")]
    return list(dict.fromkeys(found))


def make_initramfs(tree, version, path, second):
    root = path + ".root"
    shutil.rmtree(root, ignore_errors=True)
    os.makedirs(f"{root}/bin")
    shutil.copy("/bin/busybox", f"{root}/bin/busybox")
    names = []
    for module in needed_modules(tree, version):
        names.append(os.path.basename(module))
        shutil.copy(module, root)
    with open(f"{root}/modules.order", "w", encoding="utf-8") as file:
        file.write("\n".join("/" + name for name in names))
    with open(f"{root}/init", "w", encoding="utf-8") as file:
        file.write(INIT.replace("{second}", second))
    os.chmod(f"{root}/init", 0o755)
    files = subprocess.run(["find", ".", "-print0"], cwd=root, capture_output=True, check=True).stdout
    with open(path, "wb") as file:
        subprocess.run(["cpio", "-0", "-o", "-H", "newc", "--quiet"], cwd=root, input=files, stdout=file, check=True)
    shutil.rmtree(root)


def run(folder, command, seconds_max):
    """The command's exit code; 124 when it took too long, 125 when the machine did not come so far."""
    folder = os.path.abspath(folder)
    version = fetch_kernel(folder)
    tree = f"{folder}/{version}"
    second, initramfs = f"{folder}/second.{os.getpid()}.sh", f"{folder}/initramfs.{os.getpid()}"
    with open(second, "w", encoding="utf-8") as file:
        file.write(SECOND.format(modules=f"{tree}/lib/modules", folder=shlex.quote(os.getcwd()), command=shlex.quote(command)))
    make_initramfs(tree, version, initramfs, second)
    machine = subprocess.Popen(
        ["qemu-system-x86_64", "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-m", str(MEMORY_MIB), "-nodefaults", "-display", "none",
         "-no-reboot", "-serial", "stdio", "-kernel", f"{tree}/boot/vmlinuz-{version}", "-initrd", initramfs,
         "-append", "console=ttyS0 quiet panic=-1 mitigations=off", "-net", "none",
         "-virtfs", "local,path=/,mount_tag=host,security_model=none,readonly=on,multidevs=remap"],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    signal.signal(signal.SIGTERM, lambda *_: machine.kill())
    os.set_blocking(machine.stdout.fileno(), False)
    text, began, started = "", time.monotonic(), False
    try:
        while True:
            select.select([machine.stdout], [], [], 1)
            piece = machine.stdout.read()
            if piece:
                shown = piece.decode("utf-8", "replace").replace("\r\n", "\n")
                text += shown
                sys.stdout.write(shown)
                sys.stdout.flush()
            elif piece == b"":
                break
            exited = EXIT_LINE.search(text)
            if exited:
                return int(exited[1])
            started = started or "running on Linux" in text
            if time.monotonic() - began > (seconds_max if started else BOOT_SECONDS_MAX):
                print(f"\nended after {time.monotonic() - began:.0f} s")
                return 124 if started else 125
        return 125
    finally:
        machine.kill()
        machine.wait()
        for path in (second, initramfs):
            os.remove(path)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", default="build/kernel", help="where the kernel is kept")
    parser.add_argument("--seconds-max", type=int, default=600)
    parser.add_argument("command", nargs="+")
    arguments = parser.parse_args()
    return run(arguments.folder, arguments.command[0] if len(arguments.command) == 1 else shlex.join(arguments.command), arguments.seconds_max)


if __name__ == "__main__":
    sys.exit(main())
