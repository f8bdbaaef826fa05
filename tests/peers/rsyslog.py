"""A real rsyslog that takes RFC 5425 from whoever shows a certificate of our test authority, and keeps it in a file."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.peers.certificates import Certificates
from tests.peers.programs import free_port, need, running

CONF = """
global(workDirectory="{folder}" maxMessageSize="64k" defaultNetstreamDriver="ossl"
  defaultNetstreamDriverCAFile="{ca}" defaultNetstreamDriverCertFile="{certificate}"
  defaultNetstreamDriverKeyFile="{key}")
module(load="imtcp" StreamDriver.Name="ossl" StreamDriver.Mode="1" StreamDriver.AuthMode="x509/certvalid")
input(type="imtcp" port="{port}" address="127.0.0.1")
template(name="whole" type="string" string="%timereported:::date-rfc3339% %app-name% %msgid% %syslogpriority% %msg%\\n")
action(type="omfile" file="{kept}" template="whole" asyncWriting="off")
"""
DRIVERS = ("/usr/lib/*/rsyslog/lmnsd_ossl.so", "/usr/lib/rsyslog/lmnsd_ossl.so")


@dataclass(frozen=True)
class Rsyslog:
    folder: Path
    certificates: Certificates
    port: int

    @property
    def kept(self) -> Path:
        """What came, one message a line."""
        return self.folder / "kept.log"

    def lines(self) -> list[str]:
        return self.kept.read_text(encoding="utf-8").splitlines() if self.kept.exists() else []

    @contextmanager
    def running(self) -> Iterator[None]:
        """It listens within the block, and ends with it; what it kept stays."""
        program = need("rsyslogd", "rsyslog rsyslog-openssl")
        if not any(Path("/").glob(pattern.lstrip("/")) for pattern in DRIVERS):
            pytest.skip("rsyslog has no TLS: apt-get install rsyslog-openssl")
        conf, theirs = self.folder / "rsyslog.conf", self.certificates
        conf.write_text(
            CONF.format(
                folder=self.folder, ca=theirs.ca, certificate=theirs.certificate, key=theirs.key, port=self.port,
                kept=self.kept,
            )
        )  # fmt: skip
        command = [program, "-n", "-f", str(conf), "-i", str(self.folder / "rsyslog.pid")]
        with running(command, self.folder / "rsyslog.out", self.port):
            yield


def rsyslog(folder: Path, certificates: Certificates) -> Rsyslog:
    """One that is not running yet, on a free port."""
    folder.mkdir(parents=True, exist_ok=True)
    return Rsyslog(folder, certificates, free_port())
