"""Samba as an Active Directory domain controller: a domain of its own, LDAP only. Its ports cannot be chosen."""

import os
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.peers.certificates import Certificates
from tests.peers.programs import need, running

PACKAGE = "samba samba-ad-dc samba-ad-provision"
LDAPS = 636
SUFFIX = "DC=example,DC=org"
ADMINISTRATORS = "Adm1nistrators' own"

CONFIGURATION = """[global]
netbios name = DC1
realm = EXAMPLE.ORG
workgroup = EXAMPLE
server role = active directory domain controller
server services = ldap
interfaces = 127.0.0.1/8
bind interfaces only = yes
vfs objects = dfs_samba4 acl_xattr xattr_tdb
private dir = {home}/private
lock directory = {home}/lock
state directory = {home}/state
cache directory = {home}/cache
pid directory = {home}/run
ncalrpc dir = {home}/ncalrpc
winbindd socket directory = {home}/winbindd
binddns dir = {home}/bind-dns
log file = {home}/log
tls enabled = yes
tls cafile = {tls.ca}
tls certfile = {tls.certificate}
tls keyfile = {tls.key}
[sysvol]
path = {home}/state/sysvol
read only = no
[netlogon]
path = {home}/state/sysvol/scripts
read only = no
"""


@dataclass(frozen=True)
class Samba:
    """A running domain controller."""

    tool: str
    configuration: Path
    url: str = f"ldaps://127.0.0.1:{LDAPS}"

    def do(self, *words: str) -> None:
        """`samba-tool WORDS`."""
        command = [self.tool, *words, "-s", str(self.configuration)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


@contextmanager
def samba(tls: Certificates) -> Iterator[Samba]:
    """A fresh domain example.org; skips the test where there can be none."""
    program, tool = need("samba", PACKAGE), need("samba-tool", PACKAGE)
    _need_ports()
    with tempfile.TemporaryDirectory(prefix="samba-") as folder:
        home = Path(folder)
        for name in ("private", "lock", "state", "cache", "run", "ncalrpc", "winbindd", "bind-dns"):
            (home / name).mkdir(mode=0o755)
        tls.key.chmod(0o600)  # it refuses any other
        peer = Samba(tool, home / "smb.conf")
        peer.configuration.write_text(CONFIGURATION.format(home=home, tls=tls))
        peer.do(
            *("domain", "provision", "--realm=EXAMPLE.ORG", "--domain=EXAMPLE", "--server-role=dc"),
            *("--dns-backend=NONE", "--host-name=dc1", "--host-ip=127.0.0.1", f"--adminpass={ADMINISTRATORS}"),
        )
        command = [program, "--interactive", "--model=single", "-s", str(peer.configuration)]
        with running(command, home / "output", LDAPS):
            yield peer


def _need_ports() -> None:
    if os.getuid() != 0:
        pytest.skip("Samba listens on ports 389 and 636 only, and only root may")
    for port in (389, LDAPS):
        with socket.socket() as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                sock.bind(("127.0.0.1", port))
            except OSError:
                pytest.skip(f"port {port}, which Samba needs, is taken")
