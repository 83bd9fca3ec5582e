"""Debian's Postfix and Dovecot, run in a host of the lab on the standard ports with configurations of their own in its private /run."""
import subprocess

MAIL_UID = 5000
POSTFIX_MAIN = """
compatibility_level = 3.6
queue_directory = /run/mail/queue
data_directory = /run/mail/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
mail_owner = postfix
setgid_group = postdrop
maillog_file = /run/mail/postfix.log
maillog_file_prefixes = /run
inet_interfaces = all
inet_protocols = all
myhostname = mail.home.example
mydestination =
mynetworks = 127.0.0.0/8 [::1]/128
alias_maps =
local_recipient_maps =
virtual_mailbox_domains = home.example
virtual_mailbox_base = /run/mail/boxes
virtual_mailbox_maps = inline:{{ {user}@home.example={user}/ }}
virtual_uid_maps = static:{uid}
virtual_gid_maps = static:{uid}
virtual_minimum_uid = {uid}
smtpd_relay_restrictions = reject_unauth_destination
smtpd_peername_lookup = no
"""
POSTFIX_MASTER = """
smtp      inet  n       -       n       -       -       smtpd
pickup    unix  n       -       n       60      1       pickup
cleanup   unix  n       -       n       -       0       cleanup
qmgr      unix  n       -       n       300     1       qmgr
rewrite   unix  -       -       n       -       -       trivial-rewrite
bounce    unix  -       -       n       -       0       bounce
defer     unix  -       -       n       -       0       bounce
trace     unix  -       -       n       -       0       bounce
proxymap  unix  -       -       n       -       -       proxymap
smtp      unix  -       -       n       -       -       smtp
error     unix  -       -       n       -       -       error
retry     unix  -       -       n       -       -       error
virtual   unix  -       n       n       -       -       virtual
anvil     unix  -       -       n       -       1       anvil
postlog   unix-dgram n  -       n       -       1       postlogd
"""
DOVECOT = """
protocols = pop3
listen = *, ::
base_dir = /run/dovecot
state_dir = /run/dovecot-state
ssl = no
log_path = /run/mail/dovecot.log
first_valid_uid = {uid}
"""
# What Dovecot up to 2.3 (Debian 12) and later ones (Debian 13) are told in other words.
DOVECOT_BEFORE_2_4 = DOVECOT + """
disable_plaintext_auth = no
mail_location = maildir:/run/mail/boxes/%n
passdb {{
  driver = passwd-file
  args = scheme=PLAIN username_format=%n /run/mail/users
}}
userdb {{
  driver = static
  args = uid={uid} gid={uid} home=/run/mail/boxes/%n
}}
"""
DOVECOT_SINCE_2_4 = "dovecot_config_version = 2.4.0\ndovecot_storage_version = 2.4.0" + DOVECOT + """
auth_allow_cleartext = yes
mail_driver = maildir
mail_path = /run/mail/boxes/%{{user | username}}
passdb passwd-file {{
  default_password_scheme = PLAIN
  auth_username_format = %{{user | username}}
  passwd_file_path = /run/mail/users
}}
userdb static {{
  fields {{
    uid = {uid}
    gid = {uid}
    home = /run/mail/boxes/%{{user | username}}
  }}
}}
"""


def dovecot_configuration():
    version = subprocess.run(["dovecot", "--version"], capture_output=True, text=True, check=True).stdout
    form = DOVECOT_BEFORE_2_4 if version.startswith(("2.2.", "2.3.")) else DOVECOT_SINCE_2_4
    return form.format(uid=MAIL_UID)


class MailServers:
    """SMTP on port 25 and POP3 on port 110 for one mailbox, USER@home.example."""

    def __init__(self, host, user, password):
        self.host, self.user = host, user
        self._write("/run/mail/postfix/main.cf", POSTFIX_MAIN.format(user=user, uid=MAIL_UID))
        self._write("/run/mail/postfix/master.cf", POSTFIX_MASTER)
        self._write("/run/mail/dovecot.conf", dovecot_configuration())
        self._write("/run/mail/users", f"{user}:{password}\n")
        host.sh(f"mkdir -p /run/mail/queue /run/mail/data /run/mail/boxes /run/dovecot-state && chown postfix /run/mail/data && "
                f"chown {MAIL_UID}:{MAIL_UID} /run/mail/boxes && chown dovecot /run/mail/users")
        self.postfix = host.popen("postfix", "-c", "/run/mail/postfix", "start-fg")
        self.dovecot = host.popen("dovecot", "-F", "-c", "/run/mail/dovecot.conf")

    def _write(self, path, text):
        self.host.run("sh", "-c", 'mkdir -p "$(dirname "$1")" && cat > "$1"', "sh", path, stdin=text)

    def logs(self):
        return self.host.sh("tail -n 40 /run/mail/*.log 2>&1 || true") + self.postfix.output() + self.dovecot.output()
