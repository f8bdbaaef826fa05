"""Sending files, for `radloop send PATH...`."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from pydicom.uid import DeflatedExplicitVRLittleEndian

from integrations.dimse.association import DEFAULT_AE_TITLE
from integrations.dimse.part10 import Meta, read_file_meta
from integrations.dimse.transfer import Item, in_memory, store
from radloop.domain.errors import RadloopError, Unparsable
from radloop.domain.records import Accepted
from radloop.settings import Peer


@dataclass(frozen=True, slots=True)
class FileOutcome:
    """What became of one file: taken, refused, or (`Unparsable`) not DICOM and left where it is."""

    path: Path
    outcome: Accepted | RadloopError


def files_under(paths: Iterable[Path]) -> tuple[Path, ...]:
    """The files named, and every file in the folders named, in a stable order; DICOMDIR is an index, not an object."""
    found: dict[Path, None] = {}
    for path in paths:
        inside = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
        found.update((p, None) for p in inside if p.name != "DICOMDIR")
    return tuple(found)


def send_files(peer: Peer, paths: Iterable[Path], ae_title: str = DEFAULT_AE_TITLE) -> Iterator[FileOutcome]:
    """Send files by C-STORE with the transfer syntax that they are stored in; yield each as soon as its fate is known.

    Files that are not DICOM come first: they are found before the association is opened. Raises nothing for
    what a peer or a file does.
    """
    files, items = list(paths), []
    for index, path in enumerate(files):
        try:
            meta = read_file_meta(path)
            items.append(Item(index, meta, path.stat().st_size, partial(_as_stored, path, meta)))
        except Unparsable as error:
            yield FileOutcome(path, error)
        except OSError as error:
            yield FileOutcome(path, Unparsable(f"cannot be read: {type(error).__name__}"))
    for item, outcome in store(peer, ae_title, items):
        yield FileOutcome(files[item.index], outcome)


@contextmanager
def _as_stored(path: Path, meta: Meta) -> Iterator[Path]:
    """The file itself, or a padded copy in memory: PS3.5 section A.5 wants a deflated data set of even length."""
    if meta.transfer_syntax_uid == DeflatedExplicitVRLittleEndian and (path.stat().st_size - meta.offset) % 2:
        with in_memory(path.read_bytes() + b"\0") as padded:
            yield padded
    else:
        yield path
