"""The servers that are measured side by side, and how each is started so that all do the same work.

All serve guests from /srv/ftp with uploads into /srv/ftp/up, or the local user through PAM, without logs and without name
service; in TLS with the same certificate. The client chooses version and cipher suite: mostly TLS
1.2, with AES-256-GCM.
"""
import grp
import os
import re
import shutil
import subprocess

from host import NOBODY, write

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))

VSFTPD = """listen=YES
anonymous_enable=YES
local_enable={local}
write_enable=YES
anon_upload_enable=YES
anon_other_write_enable=YES
anon_root=/srv/ftp
chroot_local_user=YES
allow_writeable_chroot=YES
pam_service_name=vsbench
max_clients=0
max_per_ip=0
max_login_fails=3
secure_chroot_dir=/srv/empty
"""
VSFTPD_TLS = """ssl_enable=YES
allow_anon_ssl=YES
force_local_logins_ssl=NO
force_local_data_ssl=NO
require_ssl_reuse=YES
ssl_ciphers=HIGH
rsa_cert_file=/srv/tls/{kind}.pem
rsa_private_key_file=/srv/tls/{kind}.key
"""
PROFTPD = """{modules}
ServerType standalone
ServerName bench
DefaultServer on
Port 21
DefaultAddress 127.0.0.1
SocketBindTight on
UseIPv6 off
User nobody
Group {nobody}
MaxInstances 10000
UseReverseDNS off
WtmpLog off
SystemLog none
TransferLog none
PidFile /srv/run/proftpd.pid
ScoreboardFile /srv/run/proftpd.scoreboard
DelayTable none
AllowOverwrite on
RequireValidShell off
UseSendfile on
AuthOrder mod_auth_pam.c* mod_auth_unix.c
AuthPAMConfig vsbench
DefaultRoot ~
<IfModule mod_delay.c>
DelayEngine off
</IfModule>
{tls}
<Anonymous /srv/ftp>
User ftp
Group {nobody}
UserAlias anonymous ftp
</Anonymous>
"""
PROFTPD_TLS = """TLSEngine on
TLSProtocol TLSv1.2 TLSv1.3
TLSRequired off
TLSVerifyClient off
TLSECCertificateFile /srv/tls/ec.pem
TLSECCertificateKeyFile /srv/tls/ec.key
"""


class Server:
    """One contender: what it is called, and what it is started with."""

    def __init__(self, name, key, program):
        self.name, self.key, self.program = name, key, program

    def command(self, local, kind):
        """The words that start it; `kind` is that of the certificate, or None without TLS."""
        raise NotImplementedError


class Vsftpd(Server):
    """Ours and the original: the same file for both."""

    def command(self, local, kind):
        text = VSFTPD.format(local="YES" if local else "NO")
        write("/srv/bench.conf", text + (VSFTPD_TLS.format(kind=kind) if kind else ""))
        return [self.program, "/srv/bench.conf"]


class PureFtpd(Server):
    def command(self, local, kind):
        words = [self.program, "-4", "-S", "127.0.0.1,21", "-H", "-c", "10000", "-f", "none", "-L", "300000:10"]
        words += ["-g", "/srv/run/pure-ftpd.pid", "-p", "10000:32000", "-l", "pam", "-u", "1"]
        words += ["-A", "-E"] if local else ["-e"]
        return words + (["-Y", "1", "-2", f"/srv/tls/{kind}.both"] if kind else [])


class ProFtpd(Server):
    modules = None

    def command(self, local, kind):
        modules = f"ModulePath {self.modules}\n" if self.modules else ""
        tls = ""
        if kind:
            modules += "LoadModule mod_tls.c\n"
            tls = PROFTPD_TLS if kind == "ec" else PROFTPD_TLS.replace("TLSEC", "TLSRSA").replace("/ec", "/rsa")
        write("/srv/bench.conf", PROFTPD.format(modules=modules, tls=tls, nobody=grp.getgrgid(NOBODY).gr_name))
        return [self.program, "-n", "-q", "-c", "/srv/bench.conf"]


class Bare(Server):
    """The limits: see tests/load/bare.rs."""

    def command(self, local, kind):
        kind = kind or "ec"
        return [self.program, "bare", f"cert=/srv/tls/{kind}.pem", f"key=/srv/tls/{kind}.key"]


def original():
    found = subprocess.run([TOP + "/scripts/reference-server"], capture_output=True, text=True)
    if found.returncode != 0:
        print("The original is not here, so there are no ratios to it: scripts/install-test-tools fetches it.")
        return []
    path = found.stdout.strip()
    with open(path, "rb") as file:
        version = re.search(rb"vsFTPd ([0-9.]+)", file.read())
    name = f"vsftpd {version.group(1).decode()}" if version else "vsftpd"
    return [Vsftpd(name, "original", shutil.copy(path, "/srv/bin/original"))]


def version(program, option):
    """What a peer says its version is. Its libraries are missing if it says nothing."""
    try:
        said = subprocess.run([program, option], capture_output=True, text=True)
    except OSError:
        return None
    number = re.search(r"[Vv](?:ersion )?([0-9]+\.[0-9.]+[a-z]?)", said.stdout + said.stderr)
    return number.group(1) if number else None


def peers():
    found = []
    for kind, key, title, option in (
        (PureFtpd, "pure-ftpd", "Pure-FTPd", "--help"),
        (ProFtpd, "proftpd", "ProFTPD", "-v"),
    ):
        unpacked = f"{TOP}/target/peers/usr/sbin/{key}"
        program = shutil.which(key) or (unpacked if os.path.exists(unpacked) else None)
        number = version(program, option) if program else None
        if not number:
            print(f"{title} is not here: scripts/install-peers fetches it.")
            continue
        server = kind(f"{title} {number}", key, program)
        if program == unpacked and key == "proftpd":
            server.modules = f"{TOP}/target/peers/usr/lib/proftpd"
        found.append(server)
    return found


def contenders(program, load, with_peers):
    """Ours first, the limits last."""
    ours = [Vsftpd("vsftpd-rs", "ours", shutil.copy(program, "/srv/bin/ours"))]
    return ours + original() + (peers() if with_peers else []) + [Bare("bare", "bare", load)]
