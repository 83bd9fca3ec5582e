"""haproxy relays TCP to a device on the wire: no tunnel and no encryption."""
import os

from subjects.plain import WIRE_GATEWAY, WireDevice
from subjects.subject import package


class Haproxy(WireDevice):
    name = "haproxy"
    carries_udp = False

    def build(self):
        self.wire()
        path = os.path.join(self.lab.folder, "haproxy.cfg")
        with open(path, "w", encoding="ascii") as file:
            file.write("global\n  maxconn 4000\ndefaults\n  mode tcp\n  timeout connect 5s\n  timeout client 1m\n  timeout server 1m\n")
            for port in self.ports:
                file.write(f"listen port{port}\n  bind {self.lab.gw_v4}:{port}\n  server device {self.inside}:{port} source {WIRE_GATEWAY}\n")
        self.engines = [self.lab.gw.popen("haproxy", "-db", "-f", path)]

    def version(self):
        return package("haproxy")
