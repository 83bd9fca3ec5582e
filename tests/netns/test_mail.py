"""docs/mail-server.md, step by step: Debian's Postfix and Dovecot at home, on their standard ports, reached through leases."""
import pytest
from gateway import WireGuardDevice
from mail_servers import MailServers
from namespaces import wait_for
from traffic import tcp_visit


@pytest.mark.timeout(180)
def test_mail_arrives_and_is_fetched_through_leases(lab, gateway):
    home = lab.homes[0]
    WireGuardDevice(home, gateway.add_device("ann", "mail"))
    smtp, pop3 = gateway.wait_for_ports("mail")[:2]
    gateway.cli("lease", "set", smtp, "--local", 25)
    gateway.cli("lease", "set", pop3, "--local", 110)
    servers = MailServers(home, "ann", "secret")
    try:
        wait_for(lambda: (tcp_visit(lab.inet, lab.gw_v4, smtp) or "").startswith("220 "), 30, "Postfix greets through its lease")
        wait_for(lambda: (tcp_visit(lab.inet, lab.gw_v4, pop3) or "").startswith("+OK"), 30, "Dovecot greets through its lease")
        lab.inet.run("swaks", "--server", lab.gw_v4, "--port", smtp, "--helo", "visitor.example", "--from", "visitor@example.net",
                     "--to", "ann@home.example", "--header", "Subject: by a lease", "--body", "hello at home")
        url = f"pop3://{lab.gw_v4}:{pop3}"
        message = wait_for(lambda: lab.inet.run("curl", "-sS", "-u", "ann:secret", f"{url}/1", check=False).stdout, 20, "the message is in the mailbox")
        assert "Subject: by a lease" in message and "hello at home" in message
        assert f"[{lab.inet_v4}]" in message  # Postfix saw the visitor's own address
        assert f"rip={lab.inet_v4}" in home.run("cat", "/run/mail/dovecot.log").stdout  # and so did Dovecot
        # And over IPv6, by curl.
        lab.inet.run("sh", "-c", f"printf 'Subject: by IPv6\\r\\n\\r\\nhello again\\r\\n' | curl -sS --mail-from visitor@example.net "
                                 f"--mail-rcpt ann@home.example --upload-file - 'smtp://[{lab.gw_v6}]:{smtp}/visitor.example'")
        second = wait_for(lambda: lab.inet.run("curl", "-sS", "-u", "ann:secret", f"pop3://[{lab.gw_v6}]:{pop3}/2", check=False).stdout, 20, "the second message")
        assert "Subject: by IPv6" in second and lab.inet_v6 in second
        # It is no open relay, for it sees who comes from outside.
        refused = lab.inet.run("swaks", "--server", lab.gw_v4, "--port", smtp, "--from", "visitor@example.net", "--to", "other@example.org", check=False)
        assert refused.returncode != 0 and "Relay access denied" in refused.stdout + refused.stderr
    except AssertionError as error:
        raise AssertionError(f"{error}\n{servers.logs()}") from None
