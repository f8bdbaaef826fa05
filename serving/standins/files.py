"""Where a stand-in keeps what it got."""

import os
from pathlib import Path


def keep(folder: Path, name: str, data: bytes) -> Path:
    """Write `data` to `folder/name`, so that a reader sees all of it or nothing. Not durable."""
    path = folder / name
    temporary = folder / f".{name}.{os.urandom(4).hex()}"
    temporary.write_bytes(data)
    temporary.replace(path)
    return path


def made(folder: Path) -> Path:
    """`folder`, made for us alone where it is missing."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder
