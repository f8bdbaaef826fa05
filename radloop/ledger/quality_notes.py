"""What the checks at the door remarked. A note is kept once, however often its check runs."""

import hashlib
from collections import defaultdict
from collections.abc import Collection, Iterable
from typing import Any

from sqlalchemy import Connection, Row, Select, select

from radloop.domain.acquired import NoteOutcome, QualityNote
from radloop.ledger.acquired import quality_notes
from radloop.ledger.once import add_once

_n = quality_notes.c


def note_id(version_id: str, result_id: str | None, instance_id: str | None, check: str, detail: str = "") -> str:
    """The id of what this check says of this: the same whenever it is said again."""
    named = "\x1f".join((version_id, result_id or "", instance_id or "", check, detail))
    return f"qn_{hashlib.sha256(named.encode()).hexdigest()[:24]}"


def add(conn: Connection, notes: Iterable[QualityNote]) -> int:
    """Keep notes that are not kept yet; how many were new."""
    return sum(
        add_once(
            conn,
            quality_notes,
            id=note.id,
            version_id=note.version_id,
            result_id=note.result_id,
            instance_id=note.instance_id,
            check=note.check,
            outcome=note.outcome,
            detail=note.detail,
            at=note.at,
        )
        for note in notes
    )


def of_version(conn: Connection, version_id: str) -> tuple[QualityNote, ...]:
    """Every note on a study version, in order of time."""
    return _notes(conn, select(quality_notes).where(_n.version_id == version_id))


def of_versions(conn: Connection, version_ids: Collection[str]) -> dict[str, list[QualityNote]]:
    """Every note on these study versions, by version id."""
    grouped: dict[str, list[QualityNote]] = defaultdict(list)
    for note in _notes(conn, select(quality_notes).where(_n.version_id.in_(version_ids))):
        grouped[note.version_id].append(note)
    return grouped


def of_result(conn: Connection, result_id: str) -> tuple[QualityNote, ...]:
    """Every note on the images as a result has them, in order of time."""
    return _notes(conn, select(quality_notes).where(_n.result_id == result_id))


def _notes(conn: Connection, query: Select[Any]) -> tuple[QualityNote, ...]:
    return tuple(_note(row) for row in conn.execute(query.order_by(_n.at, _n.check, _n.id)))


def _note(row: Row[Any]) -> QualityNote:
    return QualityNote(
        id=row.id,
        version_id=row.version_id,
        result_id=row.result_id,
        instance_id=row.instance_id,
        check=row.check,
        outcome=NoteOutcome(row.outcome),
        detail=row.detail,
        at=row.at,
    )
