"""ssh -R from the device to the gateway: TCP only, ended and begun anew at both ends."""
import os
import subprocess

from subjects.subject import Subject, package


class ReverseSsh(Subject):
    name = "ssh -R"
    carries_udp = False

    def build(self):
        self.inside = "127.0.0.1"
        for name in ("host", "user"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self._path(name)], check=True)
        configuration = self._path("sshd_config")
        with open(configuration, "w", encoding="ascii") as file:
            file.write(f"ListenAddress {self.lab.gw_v4}:2222\nHostKey {self._path('host')}\nAuthorizedKeysFile {self._path('user')}.pub\nStrictModes no\n"
                       "GatewayPorts yes\nPermitRootLogin prohibit-password\nUsePAM no\nPidFile none\n")
        self.lab.gw.sh("mkdir -p -m 755 /run/sshd")
        server = self.lab.gw.popen("/usr/sbin/sshd", "-D", "-e", "-f", configuration)
        server.wait_for_output("Server listening")
        forwards = [word for port in self.ports for word in ("-R", f"0.0.0.0:{port}:{self.inside}:{port}")]
        client = self.device.popen("ssh", "-N", "-p", "2222", "-i", self._path("user"), "-o", "IdentitiesOnly=yes", "-o", "StrictHostKeyChecking=no",
                                   "-o", "UserKnownHostsFile=/dev/null", "-o", "ExitOnForwardFailure=yes", *forwards, f"root@{self.lab.gw_v4}")
        self.engines = [server, client]

    def _path(self, name):
        return os.path.join(self.lab.folder, f"ssh-{name}")

    def version(self):
        return package("openssh-server")
