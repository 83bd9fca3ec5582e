"""Debian's qBittorrent and Transmission in a host of the lab, each with a configuration of its own, and a visitor that speaks BitTorrent."""
import base64
import http.client
import json
import os
import socket
import urllib.parse

from namespaces import wait_for
from traffic import family_of

WEB_PORT, RPC_PORT = 8080, 9091
INFO_HASH = bytes(range(20))
MAGNET = f"magnet:?xt=urn:btih:{INFO_HASH.hex()}&dn=made-up"
USER, PASSWORD = "admin", "adminadmin"  # qBittorrent 4.5 begins with these
FORM, SESSION = {"Content-Type": "application/x-www-form-urlencoded"}, "X-Transmission-Session-Id"
QBITTORRENT_CONFIG = """[LegalNotice]
Accepted=true

[BitTorrent]
Session\\Port={port}
Session\\DHTEnabled=false
Session\\LSDEnabled=false

[Preferences]
WebUI\\LocalHostAuth={login}
WebUI\\Port={web_port}
"""


def exchange(host, port, method, path, body="", headers=None):
    """One exchange with a server in the host on 127.0.0.1; returns status, headers and body."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    connection.sock = host.socket(socket.AF_INET, socket.SOCK_STREAM)
    connection.sock.settimeout(5)
    connection.sock.connect(("127.0.0.1", port))
    try:
        connection.request(method, path, body.encode(), headers or {})
        answer = connection.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read().decode()
    finally:
        connection.close()


class Qbittorrent:
    name = "qbittorrent"

    def __init__(self, host, folder, port=6881, login=False, web_port=WEB_PORT, program="qbittorrent-nox", start=True):
        self.host, self.profile, self.login, self.web_port, self.program = host, os.path.join(folder, f"qbittorrent-{host.name}"), login, web_port, program
        os.makedirs(os.path.join(self.profile, "qBittorrent", "config"))
        with open(os.path.join(self.profile, "qBittorrent", "config", "qBittorrent.conf"), "w", encoding="utf-8") as file:
            file.write(QBITTORRENT_CONFIG.format(port=port, login=str(login).lower(), web_port=web_port))
        self.port, self.url = web_port, f"http://{USER + '@' if login else ''}127.0.0.1:{web_port}"
        self.cookie = ""
        if start:
            self.start()

    def start(self):
        self.process = self.host.popen(self.program, f"--profile={self.profile}", env={"TMPDIR": "/run"})
        wait_for(self._answers, 30, "qBittorrent's Web UI answers", every=0.1)
        self.add(MAGNET)
        return self

    def _answers(self):
        try:
            return exchange(self.host, self.web_port, "GET", "/")[0] > 0
        except OSError:
            return False

    def call(self, path, **form):
        if self.login and not self.cookie:
            _, headers, _ = exchange(self.host, self.web_port, "POST", "/api/v2/auth/login", urllib.parse.urlencode({"username": USER, "password": PASSWORD}),
                                 FORM)
            self.cookie = headers["set-cookie"].split(";")[0]
        status, _, body = exchange(self.host, self.web_port, "POST", path, urllib.parse.urlencode(form), {**FORM, "Cookie": self.cookie})
        assert status == 200, (path, status, body)
        return body

    def add(self, magnet):
        self.call("/api/v2/torrents/add", urls=magnet)

    def listening_port(self):
        return json.loads(self.call("/api/v2/app/preferences"))["listen_port"]

    def stop(self):
        self.cookie = ""
        return self.process.stop(seconds=20)


class Transmission:
    name = "transmission"

    def __init__(self, host, folder, port=51413, login=False, start=True):
        self.host, self.folder, self.login = host, os.path.join(folder, f"transmission-{host.name}"), login
        os.makedirs(self.folder)
        self.configure(port)
        self.port, self.url = RPC_PORT, f"http://{USER + '@' if login else ''}127.0.0.1:{RPC_PORT}"
        if start:
            self.start()

    def configure(self, port, **more):
        settings = {"peer-port": port, "port-forwarding-enabled": True, "dht-enabled": False, "lpd-enabled": False, "utp-enabled": False,
                    "rpc-authentication-required": self.login, "rpc-username": USER, "rpc-password": PASSWORD, "encryption": 0,
                    "download-dir": self.folder, **more}
        with open(os.path.join(self.folder, "settings.json"), "w", encoding="utf-8") as file:
            json.dump(settings, file)

    def start(self):
        self.process = self.host.popen("transmission-daemon", "--foreground", "--config-dir", self.folder, env={"TR_CURL_VERBOSE": ""})
        wait_for(self._answers, 30, "Transmission's RPC answers", every=0.1)
        self.call("torrent-add", filename=MAGNET)
        return self

    def _answers(self):
        try:
            return exchange(self.host, RPC_PORT, "GET", "/transmission/rpc")[0] > 0
        except OSError:
            return False

    def call(self, method, **arguments):
        body = json.dumps({"method": method, "arguments": arguments})
        headers = {"Authorization": "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()} if self.login else {}
        _, answer, _ = exchange(self.host, RPC_PORT, "POST", "/transmission/rpc", body, headers)
        status, _, text = exchange(self.host, RPC_PORT, "POST", "/transmission/rpc", body, {**headers, SESSION: answer[SESSION.lower()]})
        assert status == 200, (status, text)
        return json.loads(text)["arguments"]

    def listening_port(self):
        return self.call("session-get")["peer-port"]

    def stop(self):
        return self.process.stop(seconds=20)


def bittorrent_visit(host, address, port, seconds=3):
    """Shakes hands as a peer that wants the made-up torrent: the info hash of the answer, None if nobody answers."""
    visitor = host.socket(family_of(address), socket.SOCK_STREAM)
    visitor.settimeout(seconds)
    with visitor:
        try:
            visitor.connect((address, port))
            visitor.sendall(b"\x13BitTorrent protocol" + bytes(8) + INFO_HASH + b"-XX0001-123456789012")
            answer = b""
            while len(answer) < 68 and (part := visitor.recv(68 - len(answer))):
                answer += part
        except OSError:
            return None
    return answer[28:48] if answer.startswith(b"\x13BitTorrent protocol") else None


def listeners(host, protocol="t"):
    """Ports on which somebody listens, as ss shows them: {port: set of program names}."""
    found = {}
    for line in host.run("ss", "-Hnlp" + protocol).stdout.splitlines():
        port = int(line.split()[3].rsplit(":", 1)[1])
        found.setdefault(port, set()).update(part.split('"')[0] for part in line.split('(("')[1:])
    return found
