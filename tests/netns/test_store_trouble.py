"""The store in trouble: a full disk, a read-only one, damaged files, a second gateway, backups. Leases that are there go on."""
import os
import re
import shutil
import sqlite3
import stat

import pytest
from conftest import LONGER
from gateway import Gateway, WireGuardDevice, call
from namespaces import wait_for
from traffic import TcpServer, tcp_visit

SMALL_DISK = 2 * 1024 * 1024


@pytest.fixture
def small(lab, request):
    """A gateway whose state directory is a disk of 2 MiB, with one connected device."""
    folder = os.path.join(lab.gw.namespaces.folder, "small")
    os.makedirs(folder)
    lab.gw.sh(f"mount -t tmpfs -o size={SMALL_DISK},mode=700 tmpfs {folder}")
    gateway = Gateway(lab, state=f"{folder}/state")
    gateway.disk = folder
    gateway.device = WireGuardDevice(lab.homes[0], gateway.add_device("ann", "laptop"))
    gateway.device.ports = gateway.wait_for_ports("laptop")
    return gateway


def fill(gateway):
    """Not one byte is left."""
    gateway.host.run("sh", "-c", f"cat /dev/zero > {gateway.disk}/fill", check=False)
    assert gateway.host.run("sh", "-c", f"echo x > {gateway.disk}/more", check=False).returncode != 0


def inner_pid(process):
    """As the programs of the lab see it."""
    with open(f"/proc/{process.pid}/status", encoding="ascii") as file:
        return next(line for line in file if line.startswith("NSpid:")).split()[-1]


def kernel_ports(host):
    """Public TCP ports that the kernel redirects."""
    text = host.run("nft", "list", "table", "inet", "drpf").stdout
    return {int(port) for port in re.findall(r"tcp \. (\d{5})", text)}


def test_on_a_full_disk_leases_live_are_released_and_renewed_and_new_ones_are_refused(lab, small):
    assert os.path.exists(f"/proc/{small.process.pid}/root{small.state}/ballast")
    fill(small)
    for number in range(400):
        refused = small.cli_result("account", "add", f"b{number}")
        if refused.returncode != 0:
            break
    assert refused.returncode == 1 and "disk is full" in refused.stderr and "free space" in refused.stderr, refused.stderr
    assert number == 0, "at once, so that room stays for what must go on"
    small.cli("account", "set", "ann", "--plan", "business")
    refused = small.cli_result("lease", "add", "laptop", "any")
    assert refused.returncode == 1 and "disk is full" in refused.stderr, refused.stderr
    assert any("disk is full" in warning for warning in small.cli_json("status")["warnings"])

    # What is there goes on: visited, changed, released, disconnected and connected again, many times more than the ballast is large.
    port = small.device.ports[0]
    with TcpServer(lab.homes[0], port):
        assert tcp_visit(lab.inet, lab.gw_v4, port)
        for number in range(300):
            assert call(small.socket, "PATCH", f"/v1/leases/main/tcp/{small.device.ports[1]}", {"local_port": 1000 + number})[0] == 200
        small.cli("lease", "remove", small.device.ports[2])
        assert small.device.ports[2] not in kernel_ports(lab.gw)
        small.cli("account", "set", "ann", "--suspend")
        assert tcp_visit(lab.inet, lab.gw_v4, port, seconds=1) is None
        small.cli("account", "set", "ann", "--resume")
        small.device.disconnect()
        small.kill()
        small.start()  # also a start takes no more than there is
        lease = next(row for row in small.leases("laptop") if row["public_port"] == small.device.ports[1] and row["protocol"] == "tcp")
        assert lease["local_port"] == 1299
        assert small.device.ports[2] not in small.ports("laptop")

    lab.gw.run("rm", "-f", f"{small.disk}/fill", f"{small.disk}/more")
    small.cli("account", "add", "bob")
    wait_for(lambda: not small.cli_json("status")["warnings"], 15, "nothing is warned of any more")
    assert os.path.getsize(f"/proc/{small.process.pid}/root{small.state}/ballast") >= 256 * 1024


def test_a_read_only_disk_is_said_at_the_start_with_the_cure_and_the_kernel_keeps_the_leases(lab, small):
    assert small.stop() == 0
    lab.gw.run("mount", "-o", "remount,ro", small.disk)
    small.start(wait=False)
    assert small.process.wait(20) == 1
    assert "read-only" in small.log_text() and "Cure" in small.log_text(), small.log_text()
    assert set(small.device.ports) <= kernel_ports(lab.gw)
    lab.gw.run("mount", "-o", "remount,rw", small.disk)
    small.start()
    assert small.ports("laptop") == small.device.ports


def test_a_damaged_store_is_refused_with_the_cure_while_the_kernel_keeps_the_leases(lab, gateway, tmp_path):
    device = WireGuardDevice(lab.homes[0], gateway.add_device("ann", "laptop"))
    ports = gateway.wait_for_ports("laptop")
    backup = str(tmp_path / "monday.db")
    said = gateway.cli("backup", backup)
    assert "private keys" in said and stat.S_IMODE(os.stat(backup).st_mode) == 0o600
    assert gateway.cli_json("backup", backup, "--force")["leases"] == 10
    assert gateway.cli_result("backup", backup).returncode == 1
    assert gateway.stop() == 0  # after a kill the journal would still hold what is scribbled over here

    database = os.path.join(gateway.state, "drpf.db")
    with open(database, "r+b") as file:
        file.seek(4096)
        file.write(b"\xa5" * 8192)
    for _ in range(2):
        gateway.start(wait=False)
        assert gateway.process.wait(20) == 1
        assert "damaged" in gateway.log_text() and "drpf restore" in gateway.log_text()
        assert set(ports) <= kernel_ports(lab.gw)

    restored = gateway.cli("restore", backup, "--state", gateway.state)
    assert "kept" in restored and len([name for name in os.listdir(gateway.state) if "before-restore" in name and not name.endswith("-wal")]) == 1
    gateway.start()
    assert gateway.wait_for_ports("laptop") == ports
    with TcpServer(lab.homes[0], ports[0]):
        wait_for(lambda: tcp_visit(lab.inet, lab.gw_v4, ports[0], seconds=1), 20, "the device is back")
    refused = gateway.cli_result("restore", backup, "--state", gateway.state, "--force")
    assert refused.returncode == 1 and f"process {inner_pid(gateway.process)}" in refused.stderr, refused.stderr
    assert device.process.running()


def test_of_two_gateways_on_one_state_directory_the_second_says_who_holds_it(lab, gateway):
    second = Gateway(lab, start=False)
    second.log += "-second"
    second.socket += "-second"
    second.start(wait=False)
    assert second.process.wait(20) == 1
    assert f"process {inner_pid(gateway.process)} (drpf)" in second.log_text(), second.log_text()
    assert gateway.cli_json("status")["leases_active"] == 0


def test_a_newer_store_is_refused_and_left_as_it_is(lab, gateway):
    assert gateway.stop() == 0
    path = os.path.join(gateway.state, "drpf.db")
    database = sqlite3.connect(path)
    database.execute("PRAGMA user_version = 99")
    database.close()
    with open(path, "rb") as file:
        before = file.read()
    gateway.start(wait=False)
    assert gateway.process.wait(20) == 1
    assert "version 99" in gateway.log_text() and "newer" in gateway.log_text()
    with open(path, "rb") as file:
        assert file.read() == before


def test_files_that_others_may_read_are_made_private_and_it_is_said(lab, gateway):
    assert gateway.stop() == 0
    path = os.path.join(gateway.state, "drpf.db")
    os.chmod(path, 0o644)
    gateway.start()
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    assert "was open to other users (mode 644)" in gateway.log_text()
    assert gateway.stop() == 0
    os.chmod(gateway.state, 0o777)
    gateway.start(wait=False)
    assert gateway.process.wait(20) == 1
    assert f"chmod 700 {gateway.state}" in gateway.log_text()


def test_a_truncated_store_is_refused_and_a_truncated_journal_loses_only_its_torn_end(lab, gateway):
    gateway.add_device("ann", "laptop")
    gateway.kill()  # the journal stays
    path = os.path.join(gateway.state, "drpf.db")
    journal = path + "-wal"
    kept = {name: open(name, "rb").read() for name in (path, journal)}
    assert len(kept[journal]) > 5000
    with open(journal, "r+b") as file:
        file.truncate(len(kept[journal]) - 100)  # in the middle of the last frame: as a commit that was never acknowledged
    gateway.start()
    assert [row["name"] for row in gateway.cli_json("account", "list")] == ["ann"]
    gateway.kill()
    shutil.rmtree(gateway.state)
    os.mkdir(gateway.state, 0o700)
    with open(path, "wb") as file:
        file.write(kept[path][:6000])
    os.chmod(path, 0o600)
    gateway.start(wait=False)
    assert gateway.process.wait(20) == 1
    assert "damaged" in gateway.log_text()


if LONGER:  # needs loop devices, which not every machine has

    def test_a_disk_that_fails_while_the_gateway_runs_changes_nothing_and_opens_nothing(lab):
        folder = os.path.join(lab.gw.namespaces.folder, "disk")
        os.makedirs(folder)
        mount = f"mount -o loop {folder}.img {folder}"
        lab.gw.sh(f"truncate -s 16M {folder}.img && mkfs.ext4 -q {folder}.img && {mount}")
        gateway = Gateway(lab, state=f"{folder}/state")
        device = WireGuardDevice(lab.homes[0], gateway.add_device("ann", "laptop"))
        ports = gateway.wait_for_ports("laptop")
        lab.gw.run("mount", "-o", "remount,abort", folder)  # as the kernel does when a write fails: no more are tried

        for refused in (gateway.cli_result("account", "add", "bob"), gateway.cli_result("lease", "remove", ports[2])):
            assert refused.returncode == 1 and "disk I/O error" in refused.stderr and "kernel's log" in refused.stderr
        assert any("cannot be written" in warning for warning in gateway.cli_json("status")["warnings"])
        with TcpServer(lab.homes[0], ports[0]):
            assert tcp_visit(lab.inet, lab.gw_v4, ports[0])
        gateway.kill()
        gateway.start(wait=False)
        assert gateway.process.wait(20) == 1
        assert set(ports) <= kernel_ports(lab.gw)
        lab.gw.sh(f"umount {folder}; e2fsck -fy {folder}.img >/dev/null || test $? -eq 1; {mount}")
        gateway.start()
        assert gateway.ports("laptop") == ports
        assert [row["name"] for row in gateway.cli_json("account", "list")] == ["ann"]
        assert device.process.running()


def test_a_reload_that_the_book_does_not_take_leaves_the_rule_set_as_it_was(lab):
    gateway = Gateway(lab, config='[ports]\npool = "10000-31999"\n')
    WireGuardDevice(lab.homes[0], gateway.add_device("ann", "laptop"))
    port = gateway.wait_for_ports("laptop")[0]
    book, away = os.path.join(gateway.state, "drpf.db"), os.path.join(gateway.state, "away")
    with TcpServer(lab.homes[0], port):
        os.rename(book, away)
        with open(book, "w", encoding="ascii") as file:
            file.write("another book")
        before = lab.gw.run("nft", "-t", "list", "table", "inet", "drpf").stdout
        gateway.write_config(f'[ports]\npool = "{port + 1}-31999"\n[leases]\nchanges_may_end = true\n')
        assert "another file now" in gateway.reload(refused=True)
        assert lab.gw.run("nft", "-t", "list", "table", "inet", "drpf").stdout.count(f"{port + 1}-31999") == 0
        assert [line for line in before.splitlines() if "counter" not in line] == [
            line for line in lab.gw.run("nft", "-t", "list", "table", "inet", "drpf").stdout.splitlines() if "counter" not in line]
        assert tcp_visit(lab.inet, lab.gw_v4, port)
        os.rename(away, book)
        gateway.cli("account", "add", "ben")
    assert gateway.ports("laptop")[0] == port


def test_a_book_that_is_removed_under_the_gateway_is_there_again_with_the_next_write(lab):
    gateway = Gateway(lab)
    device = WireGuardDevice(lab.homes[0], gateway.add_device("ann", "laptop"))
    ports = gateway.wait_for_ports("laptop")
    os.remove(os.path.join(gateway.state, "drpf.db"))
    gateway.cli("account", "add", "ben")
    wait_for(lambda: "had been removed by somebody" in gateway.log_text(), 30, "it is told")
    gateway.kill()
    gateway.start()
    assert {row["name"] for row in gateway.cli_json("account", "list")} == {"ann", "ben"}
    assert gateway.wait_for_ports("laptop") == ports and device.process.running()


def test_no_book_is_begun_where_there_was_one(lab):
    gateway = Gateway(lab)
    gateway.add_device("ann", "laptop")
    assert gateway.stop() == 0
    os.remove(os.path.join(gateway.state, "drpf.db"))
    gateway.start(wait=False)
    assert gateway.process.wait(20) != 0
    assert "is missing, but" in gateway.log_text() and "drpf restore" in gateway.log_text()
