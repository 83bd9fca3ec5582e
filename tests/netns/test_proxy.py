"""The proxy between a local network and an Internet, judged by curl and by what really came to the other side."""
import ast
import os
import re
import socket
import struct
import time

import pytest

from gateway import ConnectedDevice, Gateway
from lab import Plan
from namespaces import wait_for
from proxy_lab import ORIGIN, ORIGIN6, PORT, PROXY, PROXY6, SECONDS, ProxyLab, read_all, read_exactly, read_until
from traffic import TcpServer

pytestmark = pytest.mark.xdist_group("proxy")
GOLDEN = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "golden", "proxy")
LOG = "/run/access.log"


@pytest.fixture(scope="module")
def proxy_lab(tmp_path_factory):
    lab = ProxyLab(tmp_path_factory.mktemp("proxy"))
    lab.proxy = lab.start("--listen", f"{PROXY}:{PORT}", "--listen", f"[{PROXY6}]:{PORT}", "--udp", "--bind-on", "5.6.7.1", "--access-log", LOG)
    lab.slow = lab.connect()  # half a request: looked at by the last test
    lab.slow.sendall(b"GET http://o.example/ HTTP/1.1\r\nHost: o.example\r\n")
    lab.slow_begun = time.monotonic()
    yield lab
    lab.close()


@pytest.fixture
def lab(proxy_lab, request):
    request.node.labs = [proxy_lab]
    return proxy_lab


def rows_of(name):
    with open(os.path.join(GOLDEN, name), encoding="utf-8") as file:
        return [line.rstrip("\n").split("\t") for line in file if not line.startswith("#")]


def socks5(host, port, command=1):
    return b"\x05" + bytes([command]) + b"\x00\x03" + bytes([len(host)]) + host.encode() + struct.pack("!H", port)


@pytest.mark.quick
def test_curl_goes_by_every_way_that_it_knows(lab):
    second = lab.start("--listen", "10.9.9.1:3128", "--allow", "5.6.7.0/24", "--reach-private", ORIGIN, host=lab.inet)
    chain = lab.start("--listen", f"{PROXY}:3129", "--reach-private", "10.9.0.0/16")
    at = f"{PROXY}:{PORT}"
    ways = [f"--proxy http://{at} http://o.example/hello", f"--proxy http://{at} https://o.example/hello", f"--proxytunnel --proxy http://{at} https://{ORIGIN}/hello",
            f"--socks4 {at} http://{ORIGIN}/hello", f"--socks4a {at} https://o.example/hello", f"--socks5 {at} http://{ORIGIN}/hello",
            f"--socks5-hostname {at} https://o.example/hello", f"--socks5-hostname {at} http://[{ORIGIN6}]/hello", f"--proxy http://{at} https://six.example/hello",
            f"--proxy http://[{PROXY6}]:{PORT} http://six.example/hello", f"--socks5-hostname [{PROXY6}]:{PORT} https://o.example/hello",
            f"--preproxy socks5h://{PROXY}:3129 --proxy http://10.9.9.1:3128 http://o.example/hello", f"--http1.0 --proxy http://{at} http://o.example/until_close",
            f"--proxy http://{at} -H 'Expect: 100-continue' -d a=b http://o.example/echo", f"--proxy http://{at} -T /etc/services -H 'Transfer-Encoding: chunked' http://o.example/echo",
            f"--proxy http://{at} http://o.example/chunked", f"--proxy http://{at} -o /dev/null -w %{{size_download}} https://o.example/large"]
    script = "".join(f"curl -sS --max-time 10 --cacert {lab.certificate[0]} -w '\\n%{{http_code}}\\n' {way} | tail -c 200 | tr '\\r\\n' '  '; echo\n" for way in ways)
    answers = lab.lan.sh(script).split("\n")[:-1]
    assert len(answers) == len(ways), answers
    for way, answer in zip(ways[:12], answers):
        assert answer.split() == ["hello", "200"], (way, answer)
    assert answers[12] == "hello until the end 200 ", answers[12]
    assert answers[13].split() == ["a=b", "200"], answers[13]
    assert answers[14].split()[-1] == "200" and lab.origin.bodies[-1].endswith(b"0\r\n\r\n"), answers[14]
    assert answers[15].split() == ["hello", "world", "200"], answers[15]
    assert answers[16] == "3000000", answers[16]
    assert "CONNECT o.example:443 - HIER_DIRECT/5.6.7.8 -" in lab.gw.sh(f"cat {LOG}")
    second.stop(), chain.stop()


def test_none_of_the_ambiguous_requests_reaches_a_server(lab):
    rows = rows_of("refused_requests.tsv")
    assert len(rows) >= 100
    lab.ask(b"GET http://o.example/hello HTTP/1.1\r\nHost: o.example\r\nConnection: close\r\n\r\n")
    came, wrong = len(lab.origin.requests), []
    for status, why, text in rows:
        request = ast.literal_eval("b'" + text.replace("'", "\\'") + "'").replace(b"{o}", b"o.example:80" if "CONNECT" not in text else b"o.example:443")
        answer = lab.ask(request)
        heads = re.findall(rb"HTTP/1\.1 (\d+)", answer)
        if heads != [status.encode()] or b"Connection: close" not in answer:
            wrong.append((why, status, answer[:200]))
    assert not wrong, wrong
    # Of a body that turned out wrong in its middle the head may have come; nothing else, and no whole message.
    assert all(head.startswith(b"POST / ") and b"Transfer-Encoding: chunked" in head for head in lab.origin.requests[came:]), lab.origin.requests[came:]


def test_none_of_the_disguised_private_hosts_is_connected_to(lab):
    traps = []
    for family, address in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):
        for port in (80, 443):
            trap = lab.gw.socket(family)
            if family == socket.AF_INET6:
                trap.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            trap.bind((address, port))
            trap.listen(64)
            trap.setblocking(False)
            traps.append(trap)
    rows = rows_of("private_destinations.tsv") + [[host, "a name"] for host in ("rebound.example", "both.example", "metadata.example", PROXY, "5.6.7.1", f"[{PROXY6}]")]
    assert len(rows) >= 70
    wrong = []
    for host, why in rows:
        bare = host.strip("[]")
        for name, request, refused in (
                ("CONNECT", f"CONNECT {host}:443 HTTP/1.1\r\nHost: {host}:443\r\n\r\n".encode(), rb"HTTP/1\.1 (400|403) "),
                ("GET", f"GET http://{host}/ HTTP/1.1\r\nHost: {host}\r\n\r\n".encode(), rb"HTTP/1\.1 (400|403) "),
                ("SOCKS 5", b"\x05\x01\x00" + socks5(bare, 443), rb"\x05\x00\x05[\x02\x08]\x00\x01"),
                ("SOCKS 4a", b"\x04\x01\x01\xbb\x00\x00\x00\x01\x00" + bare.encode() + b"\x00", rb"\x00\x5b")):
            answer = lab.ask(request)
            if not re.match(refused, answer, re.DOTALL):
                wrong.append((name, host, why, answer[:100]))
    for address in ("127.0.0.1", "10.0.0.1", "169.254.169.254", PROXY, "0.0.0.0", "192.168.7.2"):
        answer = lab.ask(b"\x05\x01\x00\x05\x01\x00\x01" + socket.inet_aton(address) + b"\x01\xbb")
        if answer[:4] != b"\x05\x00\x05\x02":
            wrong.append(("SOCKS 5", address, answer))
    assert not wrong, wrong
    for trap in traps:
        with pytest.raises(BlockingIOError):
            trap.accept()
        trap.close()


def test_connections_are_kept_on_both_sides_and_bodies_keep_their_borders(lab):
    came = lab.origin.connections
    with lab.connect() as client:
        for request, end in ((b"GET http://o.example/hello HTTP/1.1\r\nHost: o.example\r\n\r\n", b"hello"), (b"GET http://o.example/chunked HTTP/1.1\r\nHost: o.example\r\n\r\n", b"0\r\nX-Sum: 7\r\n\r\n"),
                             (b"POST http://o.example/echo HTTP/1.1\r\nHost: o.example\r\nTransfer-Encoding: chunked\r\n\r\n3;x\r\nabc\r\n0\r\n\r\n", b"3\r\nabc\r\n0\r\n\r\n"),
                             (b"HEAD http://o.example/hello HTTP/1.1\r\nHost: o.example\r\n\r\n", b"\r\n\r\n")):
            client.sendall(request)
            answer = read_until(client, end)
            assert answer.startswith(b"HTTP/1.1 200 OK\r\n") and b"Via: 1.1 drpf" in answer and b"evil" not in answer, answer
    assert lab.origin.connections == came + 1
    with lab.connect() as client:  # two requests at once, in their order
        client.sendall(b"GET http://o.example/hello HTTP/1.1\r\nHost: o.example\r\n\r\nGET http://o.example/until_close HTTP/1.1\r\nHost: o.example\r\nConnection: close\r\n\r\n")
        answer = read_all(client)
    assert answer.count(b"HTTP/1.1 200 OK") == 2 and answer.endswith(b"13\r\nhello until the end\r\n0\r\n\r\n"), answer


def test_what_goes_wrong_upstream_is_seen(lab):
    short = lab.start("--listen", f"{PROXY}:3130", "--answer-timeout", "1")
    ask = lambda path, **where: lab.ask(f"GET http://o.example/{path} HTTP/1.1\r\nHost: o.example\r\n\r\n".encode(), **where)
    for path, status, words in (("nothing", 502, b"answered nothing"), ("nonsense", 502, b"version"), ("two_lengths", 502, b"more than one Content-Length")):
        answer = ask(path)
        assert answer.startswith(b"HTTP/1.1 %d" % status) and words in answer, answer
    assert ask("silent", port=3130).startswith(b"HTTP/1.1 504"), "an upstream that never answers"
    cut = ask("cut")
    assert cut.startswith(b"HTTP/1.1 200") and b"Content-Length: 100" in cut and cut.endswith((b"half", b"half(reset)", b"(reset)")), cut
    assert b"0\r\n\r\n" not in ask("cut_chunks"), "an answer that is cut off has no end"
    with lab.connect() as client:
        client.sendall(b"GET http://o.example/reset HTTP/1.0\r\n\r\n")
        read_until(client, b"half")
    assert lab.ask(b"GET http://5.6.7.8:81/ HTTP/1.1\r\nHost: 5.6.7.8:81\r\n\r\n").startswith(b"HTTP/1.1 403")
    refused = lab.ask(b"GET http://5.6.7.8:8081/ HTTP/1.1\r\nHost: 5.6.7.8:8081\r\n\r\n")
    assert refused.startswith(b"HTTP/1.1 502") and b"Connection refused" in refused, refused
    unknown = lab.ask(b"GET http://nobody.invalid/ HTTP/1.1\r\nHost: nobody.invalid\r\n\r\n", port=3130)
    assert unknown.startswith((b"HTTP/1.1 502", b"HTTP/1.1 504")) and b"nobody.invalid" in unknown, unknown
    short.stop()


def test_ftp_addresses_are_fetched_listed_and_stored(lab, tmp_path):
    (tmp_path / "a folder").mkdir()
    (tmp_path / "a folder" / "file & more.txt").write_text("hello by ftp")
    os.chmod(tmp_path, 0o777)
    lab.inet.popen("/usr/bin/python3", "-m", "pyftpdlib", "-i", ORIGIN, "-p", "21", "-w", "-d", tmp_path)
    wait_for(lambda: ":21 " in lab.inet.sh("ss -Hltn"), what="the FTP server listens")
    curl = f"curl -sS --max-time 10 -w ' %{{http_code}}' --proxy http://{PROXY}:{PORT}"
    script = "; echo; ".join(f"{curl} {words}" for words in ("'ftp://o.example/a%20folder/file%20%26%20more.txt'", "'ftp://o.example/a%20folder/'", "'ftp://o.example/a%20folder'",
                                                            "-T /etc/hostname ftp://o.example/stored", "ftp://o.example/nothing", "'ftp://o.example/%0d%0aDELE%20stored'",
                                                            "-I ftp://o.example/stored", "ftp://anonymous:secret@o.example/stored"))
    file, listing, folder, stored, nothing, command, head, login = answers_of(lab.lan.sh(script))
    assert file == "hello by ftp 200"
    for page in (listing, folder):
        assert 'href="/a%20folder/file%20%26%20more.txt">file &amp; more.txt' in page and page.endswith(" 200"), page
    assert stored.endswith(" 200") and (tmp_path / "stored").read_bytes() == open("/etc/hostname", "rb").read(), stored
    assert nothing.endswith(" 404") and command.endswith(" 400") and login.endswith(" 200"), (nothing, command, login)
    assert f"Content-Length: {os.path.getsize('/etc/hostname')}" in head, head
    assert "secret" not in lab.gw.sh(f"cat {LOG}")


def answers_of(text):
    """What each curl printed: it ends with a status."""
    return [part.strip("\n") for part in re.split(r"(?<= \d{3})\n", text)]


@pytest.mark.parametrize("way", ["CONNECT", "SOCKS", "upgrade"])
def test_each_side_can_end_before_the_other(lab, way):
    listening = lab.inet.socket()
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.bind((ORIGIN, 8443))
    listening.listen(2)
    listening.settimeout(SECONDS)
    for client_first in (True, False):
        with lab.connect() as client:
            if way == "CONNECT":
                client.sendall(b"CONNECT o.example:8443 HTTP/1.1\r\nHost: o.example:8443\r\n\r\nearly")
                read_until(client, b"\r\n\r\n")
            elif way == "SOCKS":
                client.sendall(b"\x05\x01\x00" + socks5("o.example", 8443) + b"early")
                assert read_exactly(client, 12).startswith(b"\x05\x00\x05\x00\x00\x01")
            else:
                client.sendall(b"GET http://o.example:8443/ HTTP/1.1\r\nHost: o.example:8443\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
            server, _ = listening.accept()
            server.settimeout(SECONDS)
            if way == "upgrade":
                read_until(server, b"Upgrade: websocket")
                server.sendall(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
                read_until(client, b"\r\n\r\n")
                client.sendall(b"early")
            read_until(server, b"early")
            first, last = (client, server) if client_first else (server, client)
            first.sendall(b"first")
            first.shutdown(socket.SHUT_WR)
            assert read_all(last) == b"first"
            last.sendall(b"last" * 100_000)
            last.shutdown(socket.SHUT_WR)
            assert read_all(first) == b"last" * 100_000
            server.close()
    listening.close()


def test_socks_carries_datagrams_and_lets_one_visitor_in(lab):
    echo = lab.inet.socket(kind=socket.SOCK_DGRAM)
    echo.bind((ORIGIN, 5300))
    echo.settimeout(SECONDS)
    with lab.connect() as client, lab.lan.socket(kind=socket.SOCK_DGRAM) as program, lab.lan.socket(kind=socket.SOCK_DGRAM) as other:
        client.sendall(b"\x05\x01\x00\x05\x03\x00\x01\x00\x00\x00\x00\x00\x00")
        reply = read_exactly(client, 12)[2:]
        relay = (socket.inet_ntoa(reply[4:8]), struct.unpack("!H", reply[8:10])[0])
        assert relay[0] == PROXY
        program.settimeout(SECONDS)
        to = b"\x00\x00\x00\x01" + socket.inet_aton(ORIGIN) + struct.pack("!H", 5300)
        program.sendto(to + b"ping", relay)
        datagram, source = echo.recvfrom(100)
        assert datagram == b"ping" and source[0] == "5.6.7.1"
        other.sendto(to + b"from another port", relay)
        program.sendto(b"\x00\x00\x01" + to[3:] + b"a fragment", relay)
        program.sendto(b"\x00\x00\x00\x01" + socket.inet_aton("127.0.0.1") + b"\x14\xb4private", relay)
        program.sendto(b"\x00\x00\x00\x03\x09o.example" + struct.pack("!H", 5300) + b"by name", relay)
        assert echo.recvfrom(100)[0] == b"by name"
        echo.sendto(b"pong", source)
        assert program.recv(100) == to + b"pong"
        client.close()
        wait_for(lambda: f":{relay[1]} " not in lab.gw.sh("ss -Huan"), what="the association ends with its connection")
    with lab.connect() as client:
        client.sendall(b"\x05\x01\x00\x05\x02\x00\x01\x00\x00\x00\x00\x00\x00")  # as programs ask that do not know who will come
        reply = read_exactly(client, 12)
        assert reply[2:4] == b"\x05\x00" and socket.inet_ntoa(reply[6:10]) == "5.6.7.1", reply
        with lab.connect(host=lab.inet, address="5.6.7.1", port=struct.unpack("!H", reply[10:12])[0]) as visitor:
            visitor.sendall(b"220 data\r\n")
            second = read_until(client, b"220 data\r\n")
            assert second[:2] == b"\x05\x00" and socket.inet_ntoa(second[4:8]) == ORIGIN, second
            client.sendall(b"thanks")
            assert read_until(visitor, b"thanks") == b"thanks"


def test_the_proxy_is_closed_to_others_and_has_no_rights(lab):
    for where in ("0.0.0.0:3131", "5.6.7.1:3131", "[::]:3131"):
        refused = lab.start("--listen", where, wait=False)
        assert refused.wait() != 0 and "everybody on the Internet" in refused.output(), refused.output()
    stranger = lab.inet.socket()
    stranger.bind((ORIGIN, 0))
    lab.inet.ip(f"route add {PROXY}/32 via 5.6.7.1")
    stranger.settimeout(SECONDS)
    try:
        stranger.connect((PROXY, PORT))
        assert read_all(stranger) in (b"", b"(reset)")
    except ConnectionResetError:
        pass
    with open(f"/proc/{lab.proxy.pid}/status", encoding="ascii") as file:
        status = file.read()
    assert re.search(r"^CapEff:\s+0+$", status, re.M) and re.search(r"^CapBnd:\s+0+$", status, re.M) and re.search(r"^NoNewPrivs:\s+1$", status, re.M), status
    assert re.search(r"^Seccomp:\s+2$", status, re.M) and not re.search(r"^Uid:\s+0\s", status, re.M), status
    assert "refused 5.6.7.8" in lab.proxy.output()


def test_pages_and_settings_have_the_real_address(lab):
    pac = lab.ask(b"GET /wpad.dat HTTP/1.1\r\nHost: wpad\r\n\r\n")
    assert b"application/x-ns-proxy-autoconfig" in pac and b"PROXY 192.168.7.1:3128; SOCKS5 192.168.7.1:3128" in pac, pac
    settings = lab.gw.run(lab.proxy.command[0], "proxy", "--listen", f"{PROXY}:{PORT}", "--print-settings").stdout
    assert f"git config --global http.proxy http://{PROXY}:{PORT}" in settings
    assert lab.ask(b"\x16\x03\x01\x02\x00\x01\x00").startswith(b"HTTP/1.1 400")


def test_half_a_request_is_not_waited_for(lab):
    lab.slow.settimeout(SECONDS + 5)
    assert read_until(lab.slow, b"\r\n").startswith(b"HTTP/1.1 408")
    assert time.monotonic() - lab.slow_begun > 5
    assert lab.proxy.stop() == 0


def test_beside_a_gateway_and_beside_a_device(make_lab):
    lab = make_lab(homes=1, plan=Plan(v4="5.6.7.0/24"))
    home, inet = lab.homes[0], lab.inet_v4
    gateway = Gateway(lab, config='[proxy]\nlisten = ["10.77.0.1:3128"]\n')
    device = ConnectedDevice(home, gateway.add_device("ann", "laptop"), "--proxy", "127.0.0.1:3128")
    device.process.wait_for_output("READY with 5", 20)
    assert "proxy on 10.77.0.1:3128 for 10.77.0.0/16" in gateway.log_text() and "proxy on 127.0.0.1:3128 for 127.0.0.0/8" in device.process.output()

    def seen_by(address):
        with home.socket() as client:
            client.settimeout(SECONDS)
            client.connect((address, 3128))
            client.sendall(b"\x05\x01\x00\x05\x01\x00\x01" + socket.inet_aton(inet) + struct.pack("!H", 7777))
            assert read_exactly(client, 12)[2:4] == b"\x05\x00"
            return read_until(client, b"\n").decode()

    with TcpServer(lab.inet, 7777):
        assert f"you are {lab.gw_v4} " in seen_by("10.77.0.1"), "by the gateway's proxy"
        assert f"you are {lab.gw_v4} " in seen_by("127.0.0.1"), "by the device's own, through the tunnel"
        before = gateway.log_text().count("proxy on")
        serving = lab.gw.sh("ss -Hltnp 'sport = 3128'")
        os.kill(process_of(lab, int(re.search(r"pid=(\d+)", serving)[1])), 9)
        wait_for(lambda: gateway.log_text().count("proxy on") > before, what="the proxy is started again")
        assert f"you are {lab.gw_v4} " in seen_by("10.77.0.1")
    gateway.stop()
    wait_for(lambda: "3128" not in lab.gw.sh("ss -Hltn"), what="the proxy ends with its gateway")


def process_of(lab, inner):
    """The process that has this number inside the lab, as this process sees it."""
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/status", encoding="ascii") as file:
                    status = file.read()
            except OSError:
                continue
            numbers = re.search(r"^NSpid:\s+(.*)$", status, re.M)[1].split()
            if len(numbers) > 1 and numbers[-1] == str(inner) and os.path.samefile(f"/proc/{name}/ns/net", f"/proc/{lab.gw.pid}/ns/net"):
                return int(name)
    raise AssertionError(f"no process {inner}")
