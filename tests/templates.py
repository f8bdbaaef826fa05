"""A ledger's tables by copying a file: making them takes a quarter of a second, and hundreds of tests want them."""

import atexit
import shutil
import tempfile
from functools import cache
from pathlib import Path

from radloop.ledger import Ledger


def put_ledger(path: Path) -> None:
    """A SQLite ledger of the newest revision at `path`, where none is; it was made by the migrations themselves."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(_made(), path)


@cache
def _made() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="radloop-template-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    ledger = Ledger(f"sqlite:///{folder / 'ledger.db'}")
    ledger.upgrade()
    ledger.close()
    return folder / "ledger.db"
