"""A real rsyslog that takes RFC 5425 from whoever shows a certificate of our test authority, and keeps it in a file.

With GnuTLS: the OpenSSL driver of rsyslog 8.2302 closes a descriptor once too often at the end of a connection, by then
perhaps that of the next connection or of the file, and so loses what it had taken (`docs/audit-record.md`).
"""

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.peers import programs
from tests.peers.certificates import Certificates
from tests.peers.programs import free_port, need

CONF = """
global(workDirectory="{folder}" maxMessageSize="64k" defaultNetstreamDriver="gtls"
  defaultNetstreamDriverCAFile="{ca}" defaultNetstreamDriverCertFile="{certificate}"
  defaultNetstreamDriverKeyFile="{key}")
module(load="imtcp" StreamDriver.Name="gtls" StreamDriver.Mode="1" StreamDriver.AuthMode="x509/certvalid")
input(type="imtcp" port="{port}" address="127.0.0.1")
template(name="whole" type="string" string="%timereported:::date-rfc3339% %app-name% %msgid% %syslogpriority% %msg%\\n")
action(type="omfile" file="{kept}" template="whole" asyncWriting="off")
"""
DRIVERS = ("/usr/lib/*/rsyslog/lmnsd_gtls.so", "/usr/lib/rsyslog/lmnsd_gtls.so")


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
        program = need("rsyslogd", "rsyslog rsyslog-gnutls")
        if not any(Path("/").glob(pattern.lstrip("/")) for pattern in DRIVERS):
            pytest.skip("rsyslog has no TLS: apt-get install rsyslog-gnutls")
        conf, theirs = self.folder / "rsyslog.conf", self.certificates
        conf.write_text(
            CONF.format(
                folder=self.folder, ca=theirs.ca, certificate=theirs.certificate, key=theirs.key, port=self.port,
                kept=self.kept,
            )
        )  # fmt: skip
        command = [program, "-n", "-f", str(conf), "-i", str(self.folder / "rsyslog.pid")]
        with (self.folder / "rsyslog.out").open("wb") as output:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=programs._die_with_parent,  # noqa: PLW1509 - one system call, no lock taken
            )
        try:
            self._await(process)
            yield
        finally:
            programs._stop(process)

    def _await(self, process: "subprocess.Popen[bytes]") -> None:
        deadline = time.monotonic() + programs.START_SECONDS
        while not listens(self.port):
            assert process.poll() is None, (self.folder / "rsyslog.out").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.02)


def listens(port: int) -> bool:
    """Whether somebody listens on that port of loopback, by what the kernel says.

    It is not asked by a connection: one that speaks no TLS is an error to a server that speaks nothing else.
    """
    wanted, listening = f"0100007F:{port:04X}", "0A"
    rows = [line.split() for line in Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]]
    return any(row[1] == wanted and row[3] == listening for row in rows)


def rsyslog(folder: Path, certificates: Certificates) -> Rsyslog:
    """One that is not running yet, on a free port."""
    folder.mkdir(parents=True, exist_ok=True)
    return Rsyslog(folder, certificates, free_port())
