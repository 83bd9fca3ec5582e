"""UPnP on the gateway: Debian's upnpc, unchanged, in a stock WireGuard device; and what must not be answered."""
import re
import socket
import time

import pytest
from gateway import Gateway, WireGuardDevice
from lab import Plan
from namespaces import wait_for
from traffic import Capture, TcpServer, UdpServer, tcp_visit, udp_visit

# upnpc believes in no gateway whose address is private or for documentation. These are nobody's inside a namespace.
PUBLIC = Plan(v4="9.9.9.0/24")
CONNECTION = "urn:schemas-upnp-org:service:WANIPConnection:2"
GROUP = "239.255.255.250"


class Laptop:
    """A stock WireGuard device with upnpc on it."""

    def __init__(self, lab, gateway, home=0, account="ann", name="laptop"):
        self.host = lab.homes[home]
        self.device = WireGuardDevice(self.host, gateway.add_device(account, name))
        self.ports = gateway.wait_for_ports(name)
        self.address = self.device.address(4)
        self.gateway = self.address.rsplit(".", 1)[0] + ".1"
        self.url = f"http://{self.gateway}:5351/upnp"

    def upnpc(self, *arguments, url=True):
        result = self.host.run("upnpc", *(["-u", self.url] if url is True else ["-u", url] if url else []), *map(str, arguments), check=False, seconds=40)
        return result.stdout + result.stderr

    def http(self, request, seconds=5, chunks=()):
        """Sends bytes as they are; what comes back until the end or the pause."""
        with self.host.socket() as client:
            client.settimeout(seconds)
            client.connect((self.gateway, 5351))
            answer = b""
            try:
                client.sendall(request)
                for chunk in chunks:
                    client.sendall(chunk)
            except OSError:
                pass  # refused before the end
            try:
                while chunk := client.recv(65536):
                    answer += chunk
            except OSError:
                pass
            return answer.decode(errors="replace")

    def request(self, method, path, body="", headers=None, host=None):
        fields = {"Host": host or f"{self.gateway}:5351", "Connection": "close", "Content-Length": len(body)} | (headers or {})
        head = f"{method} {path} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in fields.items() if value is not None)
        return self.http(f"{head}\r\n{body}".encode())

    def soap(self, action, arguments=None, headers=None, host=None, body=None):
        inner = "".join(f"<{name}>{value}</{name}>" for name, value in (arguments or {}).items())
        body = body or (f'<?xml version="1.0"?><s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body>'
                        f'<u:{action} xmlns:u="{CONNECTION}">{inner}</u:{action}></s:Body></s:Envelope>')
        return self.request("POST", "/upnp/control/connection", body,
                            {"Content-Type": "text/xml", "SOAPAction": f'"{CONNECTION}#{action}"'} | (headers or {}), host)

    def search(self, target="ssdp:all", to=None, seconds=0.7, count=1):
        """Size of the searches, and the answers."""
        search = f'M-SEARCH * HTTP/1.1\r\nHOST: {GROUP}:1900\r\nST: {target}\r\nMAN: "ssdp:discover"\r\nMX: 2\r\n\r\n'.encode()
        with self.host.socket(kind=socket.SOCK_DGRAM) as client:
            for _ in range(count):
                client.sendto(search, (to or GROUP, 1900))
            return len(search) * count, datagrams(client, seconds)


def datagrams(client, seconds):
    answers, end = [], time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        client.settimeout(left)
        try:
            answers.append(client.recvfrom(4096))
        except OSError:
            break
    return answers


def mapping(laptop, external, internal, client=None):
    return {"NewRemoteHost": "", "NewExternalPort": external, "NewProtocol": "TCP", "NewInternalPort": internal,
            "NewInternalClient": laptop.address if client is None else client, "NewEnabled": 1, "NewPortMappingDescription": "test", "NewLeaseDuration": 600}


def fault(answer):
    found = re.search(r"<errorCode>(\d+)</errorCode>", answer)
    return int(found[1]) if found else None


def status(answer):
    return int(answer.split()[1]) if answer.startswith("HTTP/1.1 ") else None


@pytest.fixture
def town(make_lab):
    """A lab with addresses that look public, the gateway, and a laptop in each home."""
    lab = make_lab(plan=PUBLIC)
    gateway = Gateway(lab)
    return lab, gateway, Laptop(lab, gateway), Laptop(lab, gateway, 1, "ben", "phone")


@pytest.mark.quick
def test_upnpc_finds_the_gateway_and_a_visitor_comes_in(make_lab):
    lab = make_lab(plan=PUBLIC)
    gateway = Gateway(lab)
    laptop = Laptop(lab, gateway)
    port = laptop.ports[-1]
    found = laptop.upnpc("-s", url=None)  # no URL: by a search in the tunnel
    assert f"Found valid IGD : http://{laptop.gateway}:5351/upnp/control/connection" in found, found
    assert "Connected" in found and f"ExternalIPAddress = {lab.gw_v4}" in found, found

    added = laptop.upnpc("-a", "@", 8080, port, "TCP", 3600)
    assert f"external {lab.gw_v4}:{port} TCP is redirected to internal {laptop.address}:8080" in added, added
    with TcpServer(laptop.host, 8080) as server:
        assert (tcp_visit(lab.inet, lab.gw_v4, port) or "").startswith(f"you are {lab.inet_v4} ")
        assert server.addresses() == [lab.inet_v4]
    listed = laptop.upnpc("-l")
    assert re.search(rf"TCP +{port}->{laptop.address}:8080 +'libminiupnpc'", listed) and "713" in listed, listed

    assert "returned : 0" in laptop.upnpc("-d", port, "TCP")
    assert "->" not in laptop.upnpc("-l").split("i protocol")[1].split("description")[1].split("GetGeneric")[0]
    with TcpServer(laptop.host, 8080):
        assert tcp_visit(lab.inet, lab.gw_v4, port, seconds=1) is None
    with TcpServer(laptop.host, port):
        assert tcp_visit(lab.inet, lab.gw_v4, port), "the device's own port leads to itself again"


def test_upnpc_takes_any_port_lists_and_deletes_ranges(town):
    lab, gateway, laptop, phone = town
    answer = laptop.upnpc("-n", "@", 6881, 51413, "UDP", 3600)
    port = int(re.search(rf"external {lab.gw_v4}:(\d+) UDP is redirected to internal {laptop.address}:6881", answer)[1])
    assert port in laptop.ports
    with UdpServer(laptop.host, 6881):
        assert udp_visit(lab.inet, lab.gw_v4, port)
    both = laptop.upnpc("-n", "@", 6881, 51413, "TCP", 3600)
    assert f"{lab.gw_v4}:{port} TCP" in both, "TCP and UDP of one program have one number"
    assert str(port) in laptop.upnpc("-L")
    assert "->" not in phone.upnpc("-l").split("description")[1].split("GetGeneric")[0], "another device sees nothing of it"
    laptop.upnpc("-N", 10000, 31999, "UDP", 1)
    listed = laptop.upnpc("-l")
    assert f"TCP {port}->" in listed and f"UDP {port}->" not in listed, listed


def test_a_lease_without_end_stays_while_the_device_is_there_and_ends_with_it(make_lab):
    lab = make_lab(plan=PUBLIC)
    gateway = Gateway(lab, config='[[plan]]\nname = "personal"\nlease_lifetime = "2m"\n[tunnel]\ndisconnect_after = "60s"\n')
    laptop = Laptop(lab, gateway)
    port = laptop.ports[-1]
    laptop.upnpc("-a", "@", 8080, port, "TCP")  # without a duration: 0

    def deadline():
        row = next(row for row in gateway.leases("laptop", "active") if row["public_port"] == port and row["protocol"] == "tcp")
        return row
    assert deadline()["local_port"] == 8080
    gateway.stop()
    gateway.start()
    wait_for(lambda: gateway.ports("laptop", state="active") == laptop.ports, 20, "the device is back")
    assert deadline()["local_port"] == 8080, "what was answered for survives a restart"
    with TcpServer(laptop.host, 8080):
        assert tcp_visit(lab.inet, lab.gw_v4, port)
    gateway.cli("device", "remove", "laptop")
    assert not gateway.leases("laptop")


def test_upnpc_opens_a_pinhole(town):
    lab, gateway, laptop, _ = town
    port, inside = laptop.ports[-1], laptop.device.address(6)
    url = f"http://[{inside.rsplit(':', 1)[0]}:1]:5351/upnp"
    state = laptop.upnpc("-S", url=url)
    assert "FirewallEnabled: 1" in state and "Inbound Pinhole Allowed: 1" in state, state
    added = laptop.upnpc("-A", "", 0, inside, port, "TCP", 3600, url=url)
    number = re.search(r"Pinhole ID = (\d+)", added)
    assert number, added
    with TcpServer(laptop.host, port, versions=(6,)) as server:
        assert tcp_visit(lab.inet, lab.gw_v6, port)
        assert server.addresses() == [lab.inet_v6]
    assert "IsWorking = Yes" in laptop.upnpc("-C", number[1], url=url)
    assert "with Lease Time: 600" in laptop.upnpc("-U", number[1], 600, url=url)
    assert "returned : 0" in laptop.upnpc("-D", number[1], url=url)
    assert "returned : 704" in laptop.upnpc("-D", number[1], url=url)


def test_a_taken_port_conflicts_and_a_full_quota_says_so(town):
    lab, gateway, laptop, phone = town
    assert fault(laptop.soap("AddPortMapping", mapping(laptop, phone.ports[0], 80))) == 718
    for n, port in enumerate(laptop.ports):
        assert status(laptop.soap("AddPortMapping", mapping(laptop, port, 8000 + n))) == 200
    assert fault(laptop.soap("AddAnyPortMapping", mapping(laptop, 0, 9000))) == 728
    for port in (20000, 9999):  # in the pool, and outside of it
        assert fault(laptop.soap("AddPortMapping", mapping(laptop, port, 9000))) == 728


# --- docs/security.md, port-mapping protocols

def test_nothing_is_answered_outside_the_tunnel(town):
    """P1: searches and HTTP from the Internet, also with a device's address as their source."""
    lab, gateway, laptop, _ = town
    search = f'M-SEARCH * HTTP/1.1\r\nHOST: {GROUP}:1900\r\nST: ssdp:all\r\nMAN: "ssdp:discover"\r\nMX: 1\r\n\r\n'.encode()
    with Capture(lab.inet, "eth0", "inbound and (udp src port 1900 or (tcp src port 5351 and tcp[tcpflags] & tcp-syn != 0))") as answers:
        for family, to in ((socket.AF_INET, lab.gw_v4), (socket.AF_INET6, lab.gw_v6), (socket.AF_INET, GROUP), (socket.AF_INET, laptop.gateway)):
            with lab.inet.socket(family, socket.SOCK_DGRAM) as client:
                if to == GROUP:
                    client.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(lab.inet_v4))
                client.sendto(search, (to, 1900))
        lab.inet.run("ip", "addr", "add", f"{laptop.address}/32", "dev", "eth0")
        lab.inet.run("ip", "route", "add", f"{laptop.gateway}/32", "via", lab.gw_v4, "src", laptop.address)
        for to in (lab.gw_v4, laptop.gateway):
            with lab.inet.socket(kind=socket.SOCK_DGRAM) as client:
                client.bind((laptop.address, 0))
                client.sendto(search, (to, 1900))
                assert not datagrams(client, 0.3)
        for to in (lab.gw_v4, laptop.gateway):
            assert tcp_visit(lab.inet, to, 5351, seconds=1) is None
        time.sleep(0.3)
        assert len(answers) == 0


def test_nobody_maps_for_another(town):
    """P2."""
    lab, gateway, laptop, phone = town
    before = gateway.leases()
    for client in (phone.address, "127.0.0.1", laptop.gateway, lab.gw_v4, "phone"):
        assert fault(laptop.soap("AddPortMapping", mapping(laptop, laptop.ports[0], 22, client))) == 606
        assert fault(laptop.soap("AddAnyPortMapping", mapping(laptop, 0, 22, client))) == 606
    named = {"NewRemoteHost": "", "NewExternalPort": phone.ports[0], "NewProtocol": "TCP"}
    assert status(phone.soap("AddPortMapping", mapping(phone, phone.ports[0], 8080))) == 200
    assert fault(laptop.soap("DeletePortMapping", named)) == 714
    assert fault(laptop.soap("GetSpecificPortMappingEntry", named)) == 714
    assert status(phone.soap("GetSpecificPortMappingEntry", named)) == 200
    assert len(gateway.leases()) == len(before)


def test_a_subscription_makes_the_gateway_send_nothing(town):
    """P6, CallStranger."""
    lab, gateway, laptop, phone = town
    with Capture(lab.gw, "any", "outbound and tcp[tcpflags] & (tcp-syn|tcp-ack) == tcp-syn") as connections:
        for victim in (lab.inet_v4, laptop.gateway, phone.address, laptop.address):
            for port in (22, 80, 4444):
                answer = laptop.request("SUBSCRIBE", "/upnp/event/connection", headers={
                    "CALLBACK": f"<http://{victim}:{port}/><http://{victim}:{port + 1}/>", "NT": "upnp:event", "TIMEOUT": "Second-300"})
                assert status(answer) == 412
        time.sleep(0.5)
        assert len(connections) == 0


@pytest.mark.quick
def test_a_search_is_no_amplifier(town):
    """P7: twice the bytes at most, five answers in a second at most, and each device by itself."""
    lab, gateway, laptop, phone = town
    for target in ("ssdp:all", "upnp:rootdevice", "urn:schemas-upnp-org:device:InternetGatewayDevice:1", "urn:schemas-upnp-org:device:InternetGatewayDevice:2",
                   "urn:schemas-upnp-org:service:WANIPConnection:1"):
        for to in (GROUP, laptop.gateway):
            asked, answers = laptop.search(target, to)
            assert len(answers) == 1 and answers[0][1] == (laptop.gateway, 1900), (target, to, answers)
            assert f"LOCATION:http://{laptop.gateway}:5351/upnp\r\n".encode() in answers[0][0]
            assert sum(len(answer) for answer, _ in answers) <= 2 * asked
    time.sleep(1)  # what was asked so far is forgotten by then: the limit is by the second
    asked, answers = laptop.search(count=500)
    assert 1 <= len(answers) <= 5
    assert len(phone.search()[1]) == 1
    time.sleep(1)
    # By IPv6 a program finds an IPv6 address.
    inside = laptop.device.address(6).rsplit(":", 1)[0] + ":1"
    asked = f'M-SEARCH * HTTP/1.1\r\nHOST: [FF05::C]:1900\r\nST: upnp:rootdevice\r\nMAN: "ssdp:discover"\r\nMX: 2\r\n\r\n'.encode()
    for to in ("ff05::c", inside):
        with laptop.host.socket(socket.AF_INET6, socket.SOCK_DGRAM) as client:
            client.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, laptop.host.call(socket.if_nametoindex, "wg0"))
            client.sendto(asked, (to, 1900))
            (answer, _), = datagrams(client, 0.7)
            assert f"LOCATION:http://[{inside}]:5351/upnp\r\n".encode() in answer and len(answer) <= 2 * len(asked)


def test_broken_and_hostile_requests_are_refused(town):
    """P8: bombs and mountains never reach the parser; the gateway goes on."""
    lab, gateway, laptop, _ = town
    bomb = '<!DOCTYPE a [<!ENTITY a "' + "a" * 1000 + '">' + "".join(f'<!ENTITY {b} "{"&" + a + ";" * 1}&{a};&{a};">' for a, b in zip("abcde", "bcdef")) + "]><a>&f;</a>"
    assert status(laptop.soap("GetStatusInfo", body=bomb)) == 400
    assert status(laptop.soap("GetStatusInfo", body="<a>" * 2000)) == 400
    assert status(laptop.soap("GetStatusInfo", body="x" * 9000)) == 413
    head = f"POST /upnp/control/connection HTTP/1.1\r\nHost: {laptop.gateway}\r\nSOAPAction: \"{CONNECTION}#GetStatusInfo\"\r\n"
    assert status(laptop.http((head + "Content-Length: 100000000\r\n\r\n").encode(), chunks=[b"x" * 65536] * 8)) == 413
    for length in ("", "-1", "99999999999999999999999", "0x10"):
        assert status(laptop.http((head + f"Content-Length: {length}\r\n\r\n").encode())) in (400, 413)
    assert status(laptop.http(b"GET /" + b"a" * 40000 + b" HTTP/1.1\r\n\r\n")) in (400, 431)
    answer = laptop.soap("AddPortMapping", mapping(laptop, laptop.ports[0], 8080) | {"NewPortMappingDescription": "a\nport 22 accept &#0;&#10;" + "x" * 500})
    assert status(answer) == 200 or fault(answer) == 402 or status(answer) == 400
    assert fault(laptop.soap("AddPortMapping", {})) == 402
    assert status(laptop.soap("GetStatusInfo")) == 200
    assert gateway.process.running()


def test_a_web_page_cannot_ask(town):
    """P9: another name in Host, an Origin, or no SOAPAction."""
    lab, gateway, laptop, _ = town
    wish = mapping(laptop, laptop.ports[0], 22)
    for host in ("evil.example:5351", "gateway.evil.example", "localhost"):
        assert status(laptop.soap("AddPortMapping", wish, host=host)) == 403
    assert status(laptop.soap("AddPortMapping", wish, headers={"Origin": "http://evil.example"})) == 403
    assert status(laptop.soap("AddPortMapping", wish, headers={"SOAPAction": None})) == 400
    assert status(laptop.request("OPTIONS", "/upnp/control/connection", headers={"Origin": "http://evil.example", "Access-Control-Request-Headers": "soapaction"})) == 403
    assert "->" not in laptop.upnpc("-l").split("description")[1].split("GetGeneric")[0]


def test_one_flood_does_not_stop_the_others(town):
    """P4: more than 20 requests in a second of one device are refused cheaply."""
    lab, gateway, laptop, phone = town
    answers = [status(laptop.soap("GetStatusInfo")) for _ in range(150)]
    assert 503 in answers and answers.count(200) >= 50
    assert status(phone.soap("GetStatusInfo")) == 200


def test_upnp_can_be_switched_off(make_lab):
    lab = make_lab(homes=1, plan=PUBLIC)
    gateway = Gateway(lab, config="[api]\nupnp = false\n")
    laptop = Laptop(lab, gateway)
    assert not laptop.search()[1]
    assert status(laptop.request("GET", "/upnp")) == 404
