"""Ingest: a folder of files, or a peer's studies, come in as if they had been sent to us.

A folder is read in batches, each durable before the next: an import that was killed goes on where it was, since what
is held already is known by its content. A peer is asked what it has (C-FIND) and told to send it to our gateway
(C-MOVE), so those instances take the gateway's way in.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from itertools import islice
from pathlib import Path
from typing import Final

import structlog

from flows.house import House
from integrations import dimse
from radloop import audit
from radloop.domain.errors import DuplicateConflict, NotFound, RadloopError, Rejected, TooLarge, Unparsable
from radloop.domain.ids import new_id, utc_now
from radloop.domain.records import Arrival, AuditEvent, InstanceHeader
from radloop.ledger import instances as instance_rows
from radloop.ledger import studies as study_rows
from radloop.ledger.instances import Outcome, Receipt
from radloop.pixels import parse_identity, split
from radloop.settings import Peer, Schedule

log = structlog.get_logger()
ACTOR = "ingest"
FROM_FOLDER: Final = "import"
"""The name of the peer that imported instances come from."""
BATCH: Final = 32
PREAMBLE_BYTES: Final = 128
UNITS: Final = {"h": timedelta(hours=1), "d": timedelta(days=1)}


class Fate(StrEnum):
    """What became of one file."""

    STORED = "stored"
    """A new instance."""
    KNOWN = "known"
    """Held already, with the same bytes."""
    OWN = "own"
    """An object that we made: never read again."""
    BAD = "bad"
    """Left where it is; the reason is told."""


FATES: Final = {
    Outcome.STORED: Fate.STORED,
    Outcome.DUPLICATE: Fate.KNOWN,
    Outcome.OWN: Fate.OWN,
    Outcome.CONFLICT: Fate.BAD,
}


@dataclass(frozen=True, slots=True)
class FileFate:
    """One file, what became of it, and for a bad one the code of the reason."""

    path: Path
    fate: Fate
    reason: str = ""


@dataclass(frozen=True, slots=True)
class FolderSummary:
    """Counts over a folder, and every bad file."""

    stored: int
    known: int
    own: int
    bad: tuple[FileFate, ...]


@dataclass(frozen=True, slots=True)
class PeerSummary:
    """Counts over a peer's studies: found by the query, held whole already, asked for, and failed."""

    found: int
    held: int
    moved: int
    failed: int


@dataclass(frozen=True, slots=True)
class _File:
    """A file that may come in: where it lies, its bytes with a zeroed preamble, and what it says of itself."""

    path: Path
    data: bytes
    header: InstanceHeader
    content_sha256: str


def span(text: str) -> timedelta:
    """`12h` or `1d` as a time; the pattern is the settings'."""
    return int(text[:-1]) * UNITS[text[-1]]


def import_directory(house: House, folder: Path, told: Callable[[FileFate], None] = lambda _: None) -> FolderSummary:
    """Take in every DICOM file under `folder`; `told` hears of each file as soon as its fate is durable.

    Raises:
        NotFound: no such folder.
        Unavailable, StorageFull: the ledger's and the store's; what was told of is durable.
    """
    if not folder.is_dir():
        raise NotFound("there is no such folder")
    fates = []
    for fate in _import(house, dimse.files_under([folder])):
        told(fate)
        fates.append(fate)
    counts = Counter(fate.fate for fate in fates)
    done = FolderSummary(
        stored=counts[Fate.STORED],
        known=counts[Fate.KNOWN],
        own=counts[Fate.OWN],
        bad=tuple(fate for fate in fates if fate.fate is Fate.BAD),
    )
    _note(house, f"folder: {done.stored} stored, {done.known} known, {done.own} own, {len(done.bad)} bad")
    return done


def ingest_peer(house: House, peer_name: str, modality: str, back: timedelta) -> PeerSummary:
    """Have a peer send us the studies of the last `back` that we do not hold whole.

    One study that fails does not keep the others.

    Raises:
        NotFound: no such peer in the settings.
        Unavailable, RefusedByPeer: it did not answer the query.
    """
    peer = house.settings.peers.get(peer_name)
    if peer is None:
        raise NotFound(f"there is no peer {peer_name} in the settings")
    query = dimse.StudyQuery(modality=modality, since=utc_now() - back)
    remote = dimse.find_studies(peer, query, house.settings.gateway.ae_title)
    wanted = [study for study in remote if not _held(house, study)]
    moved = [_move(house, peer, study.study_uid) for study in wanted]
    done = PeerSummary(len(remote), len(remote) - len(wanted), sum(moved), len(moved) - sum(moved))
    _note(house, f"{peer_name}: {done.found} found, {done.held} held, {done.moved} moved, {done.failed} failed")
    return done


def run_schedule(house: House, schedule: Schedule) -> str:
    """Do what a schedule of the settings says, and tell it in counts alone.

    Raises:
        RadloopError: as `import_directory` and `ingest_peer`.
    """
    if schedule.folder is not None:
        folder = import_directory(house, schedule.folder)
        return f"{folder.stored} stored, {folder.known} known, {len(folder.bad)} bad"
    peer = ingest_peer(house, schedule.peer or "", schedule.modality, span(schedule.since))
    return f"{peer.found} found, {peer.held} held, {peer.moved} moved, {peer.failed} failed"


def _held(house: House, study: dimse.RemoteStudy) -> bool:
    with house.ledger.read() as conn:
        ours = study_rows.latest_of(conn, study.study_uid)
    return ours is not None and study.instances is not None and ours.instances >= study.instances


def _move(house: House, peer: Peer, study_uid: str) -> bool:
    ae_title = house.settings.gateway.ae_title
    try:
        outcome = dimse.move(peer, study_uid, ae_title, ae_title)
    except RadloopError as error:
        log.warning("study was not moved", peer=peer.name, code=error.code)
        return False
    return outcome.failed == 0


def _import(house: House, paths: Iterable[Path]) -> Iterator[FileFate]:
    remaining = iter(paths)
    while batch := tuple(islice(remaining, BATCH)):
        read = [_read(house, path) for path in batch]
        yield from (one for one in read if isinstance(one, FileFate))
        yield from _take(house, [one for one in read if isinstance(one, _File)])


def _read(house: House, path: Path) -> _File | FileFate:
    try:
        return _parse(house, path)
    except Rejected as error:
        return FileFate(path, Fate.BAD, error.code)


def _parse(house: House, path: Path) -> _File:
    try:
        if path.stat().st_size > house.settings.gateway.max_instance_bytes:
            raise TooLarge("the file is larger than the largest instance that is taken")
        data = path.read_bytes()
    except OSError as error:
        raise Unparsable(f"the file cannot be read: {type(error).__name__}") from None
    file = split(data)
    header = parse_identity(file.dataset, file.transfer_syntax_uid)
    # PS3.10 section 7.1: the preamble is zeroed, whatever stood in it; programs hide there.
    safe = bytes(PREAMBLE_BYTES) + data[PREAMBLE_BYTES:]
    return _File(path, safe, header, hashlib.sha256(file.dataset).hexdigest())


def _arrival(house: House, file: _File) -> Arrival:
    return Arrival(
        header=file.header,
        blob=house.store.put(file.data),
        content_sha256=file.content_sha256,
        peer=FROM_FOLDER,
        received_at=utc_now(),
    )


def _take(house: House, files: Sequence[_File]) -> Iterator[FileFate]:
    """Store what is new, record it in one transaction, and tell every fate."""
    with house.ledger.read() as conn:
        held = [instance_rows.known_content(conn, file.header.sop_uid) == file.content_sha256 for file in files]
    yield from (FileFate(file.path, Fate.KNOWN) for file, known in zip(files, held, strict=True) if known)
    fresh = [file for file, known in zip(files, held, strict=True) if not known]
    arrivals = [_arrival(house, file) for file in fresh]
    with house.ledger.write() as conn:
        receipts = instance_rows.record(conn, arrivals)
    for file, receipt in zip(fresh, receipts, strict=True):
        if receipt.outcome is not Outcome.STORED:
            house.store.delete(receipt.arrival.blob.key)
        yield _fate(file, receipt)


def _fate(file: _File, receipt: Receipt) -> FileFate:
    reason = DuplicateConflict.code if receipt.outcome is Outcome.CONFLICT else ""
    return FileFate(file.path, FATES[receipt.outcome], reason)


def _note(house: House, detail: str) -> None:
    event = AuditEvent(
        at=utc_now(), actor=ACTOR, action="ingest", object_kind="ingest", object_id=new_id("ig"), detail=detail
    )
    with house.ledger.write() as conn:
        audit.append(conn, event)
    log.info("ingested", outcome=detail)
