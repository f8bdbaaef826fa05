"""Training copies, and the labels that came with imported ones.

A copy's row outlives its bytes, so that what saw a deleted image can still be told.
"""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import islice
from typing import Any, Final

from sqlalchemy import Connection, Row, and_, func, insert, select, update

from radloop.domain.enums import Awareness, Consent
from radloop.domain.learning import Facts, Label, TrainingCopy
from radloop.domain.records import Blob
from radloop.ledger.learning import consents, imported_labels, training_copies
from radloop.ledger.once import add_once

IMPORTED: Final = "import"
"""The origin of a label that came with an image."""
AT_ONCE: Final = 500
"""Ids per question: a database binds some thousands of values at most."""
_c = training_copies.c


def add(conn: Connection, copy: TrainingCopy) -> bool:
    """Keep a copy; False where this image has one for this model. One whose bytes were deleted gets them again."""
    same = and_(_c.model == copy.model, _c.content_sha256 == copy.content_sha256)
    bytes_of = _bytes(copy.blob)
    if conn.execute(update(training_copies).where(same, _c.blob_key.is_(None)).values(**bytes_of)).rowcount:
        return True
    return add_once(conn, training_copies, **_row(copy), **bytes_of)


def known(conn: Connection, model: str, contents: Collection[str]) -> Mapping[str, TrainingCopy]:
    """The copies whose bytes are there, by the content digest of their image."""
    found = _found(conn, _c.model == model, _c.content_sha256, contents)
    return {copy.content_sha256: copy for copy in found}


def get_many(conn: Connection, ids: Sequence[str]) -> tuple[TrainingCopy, ...]:
    """The copies of these ids whose bytes are there, in the order of the ids; those that were deleted are missing."""
    found = {copy.id: copy for copy in _found(conn, None, _c.id, ids)}
    return tuple(found[copy_id] for copy_id in ids if copy_id in found)


def of_patient(conn: Connection, patient: str) -> Mapping[str, str]:
    """The store keys of a patient's copies that are still there, by copy id."""
    rows = conn.execute(select(_c.id, _c.blob_key).where(_c.patient == patient, _c.blob_key.is_not(None)))
    return {row.id: row.blob_key for row in rows}


def patients_who_withdrew(conn: Connection) -> tuple[str, ...]:
    """Patients whose last word is WITHDRAWN and of whom a copy is still there."""
    newest = (
        select(consents.c.patient, func.max(consents.c.at).label("at")).group_by(consents.c.patient).subquery("newest")
    )
    query = (
        select(consents.c.patient)
        .join(newest, and_(newest.c.patient == consents.c.patient, newest.c.at == consents.c.at))
        .join(training_copies, _c.patient == consents.c.patient)
        .where(consents.c.consent == Consent.WITHDRAWN, _c.blob_key.is_not(None))
        .distinct()
        .order_by(consents.c.patient)
    )
    return tuple(conn.scalars(query))


def forget(conn: Connection, ids: Collection[str]) -> int:
    """Note that the bytes of these copies are gone; how many had been there."""
    gone = {"blob_key": None, "blob_sha256": None, "blob_size": None}
    return sum(
        conn.execute(update(training_copies).where(_c.id.in_(some), _c.blob_key.is_not(None)).values(**gone)).rowcount
        for some in in_parts(ids)
    )


def label(conn: Connection, copy_id: str, given: Label, at: datetime) -> bool:
    """Keep what an outside reader says of an imported image; a newer word replaces the old. False: nothing is new."""
    its = imported_labels.c
    same = and_(its.copy_id == copy_id, its.target == given.target, its.reader == given.reader)
    said = {"value": given.value, "awareness": given.awareness.value}
    now = conn.execute(select(its.value, its.awareness).where(same)).first()
    if now is not None:
        if (now.value, now.awareness) == (given.value, given.awareness):
            return False
        conn.execute(update(imported_labels).where(same).values(**said, at=at))
        return True
    values = {"copy_id": copy_id, "target": given.target, "reader": given.reader, **said, "at": at}
    conn.execute(insert(imported_labels).values(**values))
    return True


def labels_of(conn: Connection, copy_ids: Collection[str], target: str) -> Mapping[str, tuple[Label, ...]]:
    """What outside readers say of one target in these copies, by copy id, reader by reader."""
    its = imported_labels.c
    found: dict[str, list[Label]] = defaultdict(list)
    for some in in_parts(copy_ids):
        query = select(imported_labels).where(its.copy_id.in_(some), its.target == target).order_by(its.reader)
        for row in conn.execute(query):
            found[row.copy_id].append(_label(row))
    return {copy_id: tuple(labels) for copy_id, labels in found.items()}


def in_parts(values: Collection[str]) -> Iterator[list[str]]:
    """The values, a bounded number at a time."""
    rest = iter(values)
    while some := list(islice(rest, AT_ONCE)):
        yield some


def _found(conn: Connection, which: Any, column: Any, values: Collection[str]) -> Iterator[TrainingCopy]:
    for some in in_parts(values):
        query = select(training_copies).where(column.in_(some), _c.blob_key.is_not(None))
        yield from (_copy(row) for row in conn.execute(query if which is None else query.where(which)))


def _label(row: Row[Any]) -> Label:
    awareness = Awareness(row.awareness)
    return Label(target=row.target, value=row.value, reader=row.reader, awareness=awareness, origin=IMPORTED)


def _row(copy: TrainingCopy) -> dict[str, Any]:
    return {
        "id": copy.id,
        "model": copy.model,
        "patient": copy.patient,
        "version_id": copy.version_id,
        "instance_id": copy.instance_id,
        "content_sha256": copy.content_sha256,
        "pixel_sha256": copy.pixel_sha256,
        "site": copy.facts.site,
        "scanner": copy.facts.scanner,
        "sex": copy.facts.sex,
        "age_band": copy.facts.age_band,
        "at": copy.at,
    }


def _bytes(blob: Blob) -> dict[str, Any]:
    return {"blob_key": blob.key, "blob_sha256": blob.sha256, "blob_size": blob.size}


def _copy(row: Row[Any]) -> TrainingCopy:
    return TrainingCopy(
        id=row.id,
        model=row.model,
        patient=row.patient,
        version_id=row.version_id,
        instance_id=row.instance_id,
        content_sha256=row.content_sha256,
        pixel_sha256=row.pixel_sha256,
        blob=Blob(row.blob_key, row.blob_sha256, row.blob_size),
        facts=Facts(site=row.site, scanner=row.scanner, sex=row.sex, age_band=row.age_band),
        at=row.at,
    )
