"""slapd (OpenLDAP) as the site's directory: its own configuration, data, certificate and port."""

import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.peers.certificates import Certificates
from tests.peers.programs import free_port, need, running

PACKAGE = "slapd"
SUFFIX = "dc=example,dc=org"
LOOKER = f"cn=looker,{SUFFIX}"
LOOKER_PASSWORD = "looks people up"

CONFIGURATION = """
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
include /etc/ldap/schema/nis.schema
modulepath /usr/lib/ldap
moduleload back_mdb
moduleload ppolicy
pidfile {home}/pid
TLSCACertificateFile {tls.ca}
TLSCertificateFile {tls.certificate}
TLSCertificateKeyFile {tls.key}
# Nothing is said in the clear, and nobody may bind without a password unless a test wants it so.
security ssf=128
{allow}
database mdb
suffix "dc=example,dc=org"
rootdn "cn=admin,dc=example,dc=org"
directory {home}/data
maxsize 16777216
overlay ppolicy
ppolicy_default "cn=policy,dc=example,dc=org"
ppolicy_use_lockout
access to attrs=userPassword by anonymous auth by * none
access to * by dn.exact="cn=looker,dc=example,dc=org" read by anonymous auth by * none
"""


@dataclass(frozen=True)
class Slapd:
    """A running slapd."""

    ldaps_port: int
    ldap_port: int

    @property
    def url(self) -> str:
        """Where it speaks TLS from the start."""
        return f"ldaps://127.0.0.1:{self.ldaps_port}"

    @property
    def plain_url(self) -> str:
        """Where TLS begins with StartTLS."""
        return f"ldap://127.0.0.1:{self.ldap_port}"


@contextmanager
def slapd(tls: Certificates, ldif: str, *, allow: str = "") -> Iterator[Slapd]:
    """slapd with these entries, and `LOOKER`, who may read all but passwords."""
    program, add = need("slapd", PACKAGE), need("slapadd", PACKAGE)
    ldaps_port, ldap_port = free_port(), free_port()
    with tempfile.TemporaryDirectory(prefix="slapd-") as folder:
        home = Path(folder)
        (home / "data").mkdir()
        configuration = home / "slapd.conf"
        configuration.write_text(CONFIGURATION.format(home=home, tls=tls, allow=allow))
        subprocess.run(
            [add, "-f", str(configuration)], input=ldif, encoding="utf-8", check=True, capture_output=True, timeout=30
        )
        urls = f"ldaps://127.0.0.1:{ldaps_port} ldap://127.0.0.1:{ldap_port}"
        # -d keeps it in the foreground.
        with running([program, "-f", str(configuration), "-h", urls, "-d", "0"], home / "log", ldaps_port):
            yield Slapd(ldaps_port, ldap_port)
