"""OpenVPN in user space over UDP, one to one, the ports led on by nft."""
import os
import subprocess

from subjects.subject import Subject, package

OPTIONS = ("--dev", "tun0", "--dev-type", "tun", "--proto", "udp4", "--port", "1194", "--topology", "p2p", "--disable-dco", "--verb", "4", "--dh", "none",
           "--keepalive", "10", "60", "--sndbuf", "4194304", "--rcvbuf", "4194304", "--txqueuelen", "1000")


class OpenVpn(Subject):
    cipher = ""

    @classmethod
    def with_cipher(cls, cipher):
        return type("OpenVpnWithCipher", (cls,), {"name": f"openvpn {cipher.split('-')[0].lower()}", "cipher": cipher})

    def build(self):
        self.inside = "10.77.0.2"
        prints = {end: self._certificate(end) for end in ("gw", "device")}
        ends = (("gw", self.lab.gw, "device", ["--tls-server", "--ifconfig", "10.77.0.1", self.inside]),
                ("device", self.device, "gw", ["--tls-client", "--ifconfig", self.inside, "10.77.0.1", "--remote", self.lab.gw_v4]))
        for end, host, other, more in ends:
            self.engines.append(host.popen("openvpn", *OPTIONS, "--data-ciphers", self.cipher, "--cert", self._path(end, "crt"), "--key", self._path(end, "key"),
                                           "--peer-fingerprint", prints[other], *more))
        for process in self.engines:
            process.wait_for_output("Initialization Sequence Completed", 30)
            process.wait_for_output(f"Cipher '{self.cipher}' initialized", 5)
        self.forward()
        self.answer_from("tun0")

    def _path(self, end, kind):
        return os.path.join(self.lab.folder, f"{end}.{kind}")

    def _certificate(self, end):
        """Makes one that signs itself; returns its fingerprint."""
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", f"/CN={end}",
                        "-keyout", self._path(end, "key"), "-out", self._path(end, "crt")], check=True, capture_output=True)
        text = subprocess.run(["openssl", "x509", "-noout", "-fingerprint", "-sha256", "-in", self._path(end, "crt")], check=True, capture_output=True, text=True)
        return text.stdout.strip().split("=")[1]

    def version(self):
        return f"{package('openvpn')}, {self.cipher}"
