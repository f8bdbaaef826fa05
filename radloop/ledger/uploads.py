"""Images that were handed in by hand: their bytes at rest, what the models said, and when all of it goes.

Uploads are no studies of the hospital: they have no row among them, so that nothing of them is ever sent, learned from,
counted or watched. No patient data stands here; it is in the bytes, which are deleted.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Integer,
    Row,
    String,
    Table,
    Text,
    delete,
    insert,
    select,
    update,
)
from sqlalchemy.engine import Connection

from radloop.domain.errors import NotFound
from radloop.domain.records import Blob
from radloop.ledger.tables import Utc, id_column, metadata, reference

uploads = Table(
    "uploads",
    metadata,
    id_column(),
    Column("actor", Text, nullable=False, index=True),
    Column("at", Utc, nullable=False),
    Column("delete_at", Utc, nullable=False, index=True),
    Column("state", String(16), nullable=False),
    Column("deidentify", Boolean, nullable=False),
    Column("report", JSON(none_as_null=True)),
    Column("read_at", Utc),
    Column("deleted_at", Utc),
)

upload_files = Table(
    "upload_files",
    metadata,
    id_column(),
    reference("upload_id", "uploads"),
    Column("kind", String(16), nullable=False),
    Column("ordinal", Integer, nullable=False),
    Column("blob_key", String(64), nullable=False, index=True),
    Column("blob_sha256", String(64)),
    Column("blob_size", BigInteger, nullable=False),
)

_u, _f = uploads.c, upload_files.c


class UploadState(StrEnum):
    """Where an upload stands."""

    TAKING = "TAKING"
    """Files may come in."""
    READING = "READING"
    """Models read it."""
    DONE = "DONE"
    """The report is there."""
    FAILED = "FAILED"
    """No model could be asked; it may be tried again."""
    DELETED = "DELETED"
    """Its bytes and its report are gone."""


class FileKind(StrEnum):
    """What a stored file of an upload is."""

    IMAGE = "IMAGE"
    """A DICOM image as it is read."""
    PICTURE = "PICTURE"
    """The key image of a finding (PNG)."""
    HEATMAP = "HEATMAP"
    """The heatmap over it (PNG)."""
    OBJECT = "OBJECT"
    """A DICOM object that we made: SR or SC."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """One upload. `report` is what the models said, as JSON; None until they have."""

    id: str
    actor: str
    at: datetime
    delete_at: datetime
    state: UploadState
    deidentify: bool
    report: Mapping[str, Any] | None
    read_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadFile:
    """One stored file of an upload."""

    id: str
    kind: FileKind
    ordinal: int
    blob: Blob


def add(conn: Connection, upload: Upload) -> None:
    """Begin an upload."""
    values = {name: getattr(upload, name) for name in Upload.__dataclass_fields__}
    conn.execute(insert(uploads).values(**values))


def add_files(conn: Connection, upload_id: str, files: Iterable[UploadFile]) -> None:
    """Name the bytes of an upload: from here on no sweep takes them for an orphan's."""
    rows = [
        {
            "id": one.id,
            "upload_id": upload_id,
            "kind": one.kind,
            "ordinal": one.ordinal,
            "blob_key": one.blob.key,
            "blob_sha256": one.blob.sha256,
            "blob_size": one.blob.size,
        }
        for one in files
    ]
    if rows:
        conn.execute(insert(upload_files), rows)


def get(conn: Connection, upload_id: str, actor: str) -> Upload:
    """An upload of this person; nobody sees another's.

    Raises:
        NotFound: they have none of this id, or it was deleted.
    """
    mine = (_u.id == upload_id) & (_u.actor == actor) & (_u.state != UploadState.DELETED)
    row = conn.execute(select(uploads).where(mine)).first()
    if row is None:
        raise NotFound("there is no such upload, or it has been deleted")
    return _upload(row)


def of_actor(conn: Connection, actor: str, limit: int) -> tuple[Upload, ...]:
    """This person's uploads that are still there, the newest first."""
    mine = (_u.actor == actor) & (_u.state != UploadState.DELETED)
    rows = conn.execute(select(uploads).where(mine).order_by(_u.at.desc(), _u.id).limit(limit))
    return tuple(_upload(row) for row in rows)


def files(conn: Connection, upload_id: str, kind: FileKind | None = None) -> tuple[UploadFile, ...]:
    """The stored files of an upload, in their order."""
    query = select(upload_files).where(_f.upload_id == upload_id)
    if kind is not None:
        query = query.where(_f.kind == kind)
    return tuple(_file(row) for row in conn.execute(query.order_by(_f.kind, _f.ordinal, _f.id)))


def size(conn: Connection, upload_id: str) -> tuple[int, int]:
    """How many images an upload has so far, and their bytes."""
    found = [one.blob.size for one in files(conn, upload_id, FileKind.IMAGE)]
    return len(found), sum(found)


def move(
    conn: Connection,
    upload_id: str,
    before: Iterable[UploadState],
    after: UploadState,
    report: Mapping[str, Any] | None = None,
    read_at: datetime | None = None,
) -> bool:
    """Compare-and-set of the state, with the report that comes with it; False where it stands otherwise."""
    held = (_u.id == upload_id) & _u.state.in_(list(before))
    values = {"state": after, "report": report, "read_at": read_at}
    return conn.execute(update(uploads).where(held).values(**values)).rowcount == 1


def due(conn: Connection, now: datetime, limit: int) -> tuple[str, ...]:
    """Uploads whose time is over."""
    over = (_u.delete_at <= now) & (_u.state != UploadState.DELETED)
    return tuple(conn.scalars(select(_u.id).where(over).order_by(_u.delete_at).limit(limit)))


def deleted(conn: Connection, upload_id: str, at: datetime) -> bool:
    """Note that an upload's bytes are gone, and forget its report; False where that is noted already."""
    conn.execute(delete(upload_files).where(_f.upload_id == upload_id))
    gone = {"state": UploadState.DELETED, "report": None, "deleted_at": at}
    there = (_u.id == upload_id) & (_u.state != UploadState.DELETED)
    return conn.execute(update(uploads).where(there).values(**gone)).rowcount == 1


def _upload(row: Row[Any]) -> Upload:
    values = {name: getattr(row, name) for name in Upload.__dataclass_fields__}
    return Upload(**{**values, "state": UploadState(row.state)})


def _file(row: Row[Any]) -> UploadFile:
    blob = Blob(row.blob_key, row.blob_sha256, row.blob_size)
    return UploadFile(id=row.id, kind=FileKind(row.kind), ordinal=row.ordinal, blob=blob)
