"""The anchor: a small file beside the ledger that holds the end of the chain, so that cutting its tail shows."""

import hashlib
import hmac
import json
import os
from dataclasses import dataclass
from pathlib import Path

from radloop.domain.errors import IntegrityError


@dataclass(frozen=True, slots=True)
class Anchor:
    """Where the chain ended: the number of a record and its link."""

    number: int
    link: bytes


def write(path: Path, key: bytes, anchor: Anchor) -> None:
    """Put the anchor there, durably, whole or not at all.

    Raises:
        OSError: the folder is full or gone.
    """
    temporary = path.with_suffix(".new")
    said = {"number": anchor.number, "link": anchor.link.hex(), "mac": _mac(key, anchor)}
    with temporary.open("w", encoding="ascii") as file:
        json.dump(said, file)
        file.flush()
        os.fsync(file.fileno())
    temporary.chmod(0o600)
    temporary.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def read(path: Path, key: bytes) -> Anchor:
    """The promised end of the chain.

    Raises:
        IntegrityError: there is none, or it is not ours.
    """
    try:
        said = json.loads(path.read_text(encoding="ascii"))
        anchor, mac = Anchor(int(said["number"]), bytes.fromhex(said["link"])), str(said["mac"])
        expected = _mac(key, anchor)
    except FileNotFoundError:
        raise IntegrityError("the anchor is missing") from None
    except (ValueError, KeyError, TypeError, OverflowError):
        raise IntegrityError("the anchor cannot be read") from None
    if not hmac.compare_digest(mac.encode(), expected.encode()):
        raise IntegrityError("the anchor was changed")
    return anchor


def _mac(key: bytes, anchor: Anchor) -> str:
    return hmac.digest(key, b"anchor" + anchor.number.to_bytes(8, "big") + anchor.link, hashlib.sha256).hex()
