"""A real PostgreSQL of our own: a fresh cluster in a temporary folder, on a Unix socket and a free port."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from radloop.process import free_port
from tests.peers.programs import need

WHERE = "/usr/lib/postgresql"
OWNER = "postgres"


def binaries() -> Path | None:
    """The folder of the newest installed server programs (Debian: postgresql)."""
    return max(Path(WHERE).glob("*/bin"), key=lambda path: int(path.parent.name), default=None)


@contextmanager
def postgres() -> Iterator[str]:
    """Run a server, and give the SQLAlchemy URL of its empty database."""
    where = binaries() or Path(need("postgres", "postgresql")).parent
    # Not below pytest's folder: that is closed to other users, and PostgreSQL refuses to run as root.
    folder = Path(tempfile.mkdtemp(prefix="radloop-pg-"))
    data, port = folder / "data", free_port()
    user = OWNER if os.geteuid() == 0 else None
    if user:
        shutil.chown(folder, OWNER)
    options = f"-c listen_addresses=127.0.0.1 -c port={port} -c unix_socket_directories={folder} -c fsync=off"

    def run(*argv: str) -> None:
        subprocess.run(argv, check=True, user=user, cwd="/", stdout=subprocess.DEVNULL, timeout=60)

    run(str(where / "initdb"), "-D", str(data), "-A", "trust", "-U", "radloop", "-E", "UTF8", "--no-sync")
    run(str(where / "pg_ctl"), "-D", str(data), "-w", "-l", str(folder / "log"), "-o", options, "start")
    try:
        yield f"postgresql+psycopg://radloop@127.0.0.1:{port}/postgres"
    finally:
        run(str(where / "pg_ctl"), "-D", str(data), "-w", "-m", "immediate", "stop")
        shutil.rmtree(folder)
