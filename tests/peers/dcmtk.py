"""dcmtk's storescp, well-behaved or not."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.peers.programs import free_port, need, running

PACKAGE = "dcmtk"


@dataclass(frozen=True)
class StoreScp:
    """A running storescp: its port, its AE title, and the folder that it writes to."""

    port: int
    ae_title: str
    folder: Path

    @property
    def files(self) -> list[Path]:
        """What it has stored."""
        return sorted(self.folder.iterdir())


@contextmanager
def storescp(*options: str, ae_title: str = "STORESCP", port: int | None = None) -> Iterator[StoreScp]:
    """storescp with bit-preserving storage and further options: "--refuse", "--abort-after", "--sleep-after 5"..."""
    program = need("storescp", PACKAGE)
    with tempfile.TemporaryDirectory(prefix="storescp-") as home:
        folder, port = Path(home, "received"), port or free_port()
        folder.mkdir()
        command = [program, "--fork", "+xa", "+B", "-uf", "-aet", ae_title, "-od", str(folder)]
        words = [word for option in options for word in option.split()]
        with running([*command, *words, str(port)], Path(home, "log"), port):
            yield StoreScp(port, ae_title, folder)
