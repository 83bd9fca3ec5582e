"""The kernel's redirect to a device on the wire: no tunnel, no encryption, no protections. The ceiling."""
import platform

from subjects.subject import Subject

WIRE_GATEWAY, WIRE_DEVICE = "10.9.0.1", "10.9.0.2"


class WireDevice(Subject):
    def wire(self):
        self.inside = WIRE_DEVICE
        self.lab.gw.sh(f"ip addr add {WIRE_GATEWAY}/24 dev wan")
        self.device.sh(f"ip addr add {WIRE_DEVICE}/24 dev eth0")
        self.answer_from("eth0", f"via {WIRE_GATEWAY}")


class PlainRedirect(WireDevice):
    name = "plain redirect"

    def build(self):
        self.wire()
        self.forward()

    def version(self):
        return f"Linux {platform.release()}"
