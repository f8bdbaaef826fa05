"""The authority and certificates that `radloop certs` makes, and such that must not do."""

from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from pathlib import Path

from radloop.certificates import AUTHORITY, SERVER, Described, Subject, issue, keep, make_authority
from radloop.domain.ids import utc_now

LONG_AGO = timedelta(days=500)
LOOPBACK = ("localhost", "127.0.0.1")


@dataclass(frozen=True)
class Trial:
    """One authority's folder; every certificate is made when it is first asked for."""

    folder: Path

    @property
    def ca(self) -> Path:
        return self.folder / "ca.pem"

    @cached_property
    def server(self) -> Described:
        """This host's."""
        return self.issued(SERVER, hosts=LOOPBACK)

    @cached_property
    def modality(self) -> Described:
        """For the AE title MODALITY."""
        return self.issued("modality", ae_title="MODALITY")

    @cached_property
    def other(self) -> Described:
        """Of the same authority, for another AE title."""
        return self.issued("other", ae_title="OTHER")

    @cached_property
    def ris(self) -> Described:
        """For a host, without an AE title."""
        return self.issued("ris", hosts=("ris.example.org",))

    @cached_property
    def expired(self) -> Described:
        """For MODALITY, until a hundred days ago."""
        return self.issued("expired", ae_title="MODALITY", hosts=LOOPBACK, ago=LONG_AGO)

    def issued(
        self, name: str, *, hosts: tuple[str, ...] = (), ae_title: str | None = None, ago: timedelta = timedelta()
    ) -> Described:
        """One more."""
        subject = Subject(name=name, hosts=hosts, ae_title=ae_title)
        return keep(self.folder, issue(self.folder, subject, utc_now() - ago))

    def table(self, name: str, one: Described | None = None, *, ca: bool = True) -> str:
        """A `tls` table of radloop.toml: `[NAME]` with this host's files, or those of `one`."""
        shown = one or self.server
        lines = [f"[{name}]", f'certificate = "{shown.certificate}"', f'key = "{shown.key}"']
        return "\n".join((*lines, *([f'ca = "{self.ca}"'] if ca else []), ""))


def trial(folder: Path) -> Trial:
    """A new authority."""
    keep(folder, make_authority(utc_now() - LONG_AGO))
    assert (folder / f"{AUTHORITY}.pem").exists()
    return Trial(folder)
