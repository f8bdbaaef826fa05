"""Whether a process is ready: it said so, or its health endpoint does."""

import http.client
from pathlib import Path
from typing import Final

from radloop.process import announce, announced
from serving.supervisor.table import LOOPBACK, Row

PATIENCE_SECONDS: Final = 0.5


def is_ready(home: Path, row: Row) -> bool:
    """Look once. A server that cannot announce itself is announced by us when it answers."""
    if row.health is None:
        return announced(home, row.name) is not None
    if row.port is None or not _answers(row.port, row.health):
        return False
    announce(home, row.name, row.port)
    return True


def forget(home: Path, row: Row) -> None:
    """Take back what a process said of itself: it is gone."""
    (home / "run" / f"{row.name}.json").unlink(missing_ok=True)


def _answers(port: int, path: str) -> bool:
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=PATIENCE_SECONDS)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
