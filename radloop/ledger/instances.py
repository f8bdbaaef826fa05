"""Instances as they arrive, and the study versions they open."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Row, and_, bindparam, func, insert, select, text, update

from radloop.domain.enums import StudyState, Urgency
from radloop.domain.ids import new_id
from radloop.domain.records import Arrival, Blob, Instance, InstanceHeader
from radloop.ledger.tables import instances, objects, orders, studies, study_versions

DICOM_MEDIA_TYPE = "application/dicom"
ARRIVALS_LOCK = 0x7261646C  # any constant of ours; PostgreSQL advisory locks are named by numbers


_OWN = select(objects.c.identifier).where(
    objects.c.identifier.in_(bindparam("uids", expanding=True)), objects.c.media_type == DICOM_MEDIA_TYPE
)
_KNOWN = select(instances.c.sop_uid, instances.c.content_sha256, instances.c.id, instances.c.version_id).where(
    instances.c.sop_uid.in_(bindparam("uids", expanding=True))
)
_EARLIER = study_versions.alias("earlier")
_NEWEST = (
    select(studies.c.study_uid, study_versions)
    .join(studies, study_versions.c.study_id == studies.c.id)
    .where(
        studies.c.study_uid.in_(bindparam("uids", expanding=True)),
        study_versions.c.number
        == select(func.max(_EARLIER.c.number)).where(_EARLIER.c.study_id == studies.c.id).scalar_subquery(),
    )
    .with_for_update(of=study_versions)
)
_TOUCH = (
    update(study_versions)
    .where(study_versions.c.id == bindparam("version"))
    .values(instances=bindparam("count"), modalities=bindparam("found"))
)
_INSERT = insert(instances)


class Outcome(StrEnum):
    """What became of an arrival."""

    STORED = "STORED"
    """A new instance, in the version that the receipt names."""
    DUPLICATE = "DUPLICATE"
    """The same UID with the same bytes: already held, the surplus blob may go."""
    CONFLICT = "CONFLICT"
    """The same UID with other bytes: refuse and quarantine."""
    OWN = "OWN"
    """An object that we made comes back: acknowledge, never read again."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """The ledger's word on one arrival; ids are None for OWN."""

    outcome: Outcome
    arrival: Arrival
    instance_id: str | None = None
    version_id: str | None = None


@dataclass(slots=True)
class _Version:
    """The version that arrivals of one study go into, while a batch is recorded."""

    id: str
    count: int
    modalities: set[str]


def record(conn: Connection, arrivals: Sequence[Arrival]) -> tuple[Receipt, ...]:
    """Give every arrival its row, in order. Arrivals of one call may repeat each other.

    A study whose newest version is no longer RECEIVING gets the next version, which counts all instances of the study.
    """
    if conn.dialect.name == "postgresql":
        # Two gateways may meet the same new study: one batch at a time is what SQLite does by itself.
        conn.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": ARRIVALS_LOCK})
    uids = {arrival.header.sop_uid for arrival in arrivals}
    own = _own(conn, uids)
    known = _known(conn, uids)
    newest = _newest(conn, {arrival.header.study_uid for arrival in arrivals})
    versions: dict[str, _Version] = {}
    rows: list[dict[str, Any]] = []
    receipts = []
    for arrival in arrivals:
        uid = arrival.header.sop_uid
        if uid in own:
            receipts.append(Receipt(Outcome.OWN, arrival))
            continue
        if uid not in known:
            version = _version_for(conn, arrival, versions, newest)
            rows.append(_row(arrival, version))
            known[uid] = (arrival.content_sha256, rows[-1]["id"], version.id)
            receipts.append(Receipt(Outcome.STORED, arrival, rows[-1]["id"], version.id))
            continue
        content, instance_id, version_id = known[uid]
        outcome = Outcome.DUPLICATE if content == arrival.content_sha256 else Outcome.CONFLICT
        receipts.append(Receipt(outcome, arrival, instance_id, version_id))
    if rows:
        conn.execute(_INSERT, rows)
        conn.execute(_TOUCH, [_touched(version) for version in versions.values()])
    return tuple(receipts)


def known_content(conn: Connection, sop_uid: str) -> str | None:
    """The content digest of an instance that we hold, or None."""
    return conn.scalar(select(instances.c.content_sha256).where(instances.c.sop_uid == sop_uid))


def of_version(conn: Connection, version_id: str) -> tuple[Instance, ...]:
    """Every instance of the study up to this version, in the order of arrival."""
    wanted = (
        select(study_versions.c.study_id, study_versions.c.number).where(study_versions.c.id == version_id).subquery()
    )
    query = (
        _select()
        .join(wanted, and_(study_versions.c.study_id == wanted.c.study_id, study_versions.c.number <= wanted.c.number))
        .order_by(instances.c.received_at, instances.c.id)
    )
    return tuple(_instance(row) for row in conn.execute(query))


def get(conn: Connection, instance_id: str) -> Instance | None:
    """One instance."""
    row = conn.execute(_select().where(instances.c.id == instance_id)).first()
    return _instance(row) if row else None


def _own(conn: Connection, uids: set[str]) -> set[str]:
    return set(conn.scalars(_OWN, {"uids": list(uids)}))


def _known(conn: Connection, uids: set[str]) -> dict[str, tuple[str, str, str]]:
    found = conn.execute(_KNOWN, {"uids": list(uids)})
    return {row.sop_uid: (row.content_sha256, row.id, row.version_id) for row in found}


def _newest(conn: Connection, study_uids: set[str]) -> dict[str, Row[Any]]:
    """The newest version of each study that is known, held until this transaction ends."""
    return {row.study_uid: row for row in conn.execute(_NEWEST, {"uids": list(study_uids)})}


def _touched(version: _Version) -> dict[str, Any]:
    return {"version": version.id, "count": version.count, "found": sorted(version.modalities)}


def _version_for(
    conn: Connection, arrival: Arrival, versions: dict[str, _Version], newest: Mapping[str, Row[Any]]
) -> _Version:
    uid = arrival.header.study_uid
    if uid not in versions:
        versions[uid] = _open_version(conn, arrival, newest.get(uid))
    version = versions[uid]
    version.count += 1
    if arrival.header.modality:
        version.modalities.add(arrival.header.modality)
    return version


def _open_version(conn: Connection, arrival: Arrival, newest: Row[Any] | None) -> _Version:
    if newest is None:
        return _add_version(conn, _add_study(conn, arrival.header), None, arrival)
    if newest.state == StudyState.RECEIVING:
        return _Version(newest.id, newest.instances, set(newest.modalities))
    return _add_version(conn, newest.study_id, newest, arrival)


def _add_study(conn: Connection, header: InstanceHeader) -> str:
    study_id = new_id("st")
    conn.execute(
        insert(studies).values(
            id=study_id,
            study_uid=header.study_uid,
            patient_id=header.patient_id,
            issuer=header.issuer,
            accession_number=header.accession_number,
        )
    )
    return study_id


def _add_version(conn: Connection, study_id: str, previous: Row[Any] | None, arrival: Arrival) -> _Version:
    version = _Version(
        new_id("sv"), previous.instances if previous else 0, set(previous.modalities if previous else ())
    )
    conn.execute(
        insert(study_versions).values(
            id=version.id,
            study_id=study_id,
            number=previous.number + 1 if previous else 1,
            state=StudyState.RECEIVING,
            urgency=Urgency.ROUTINE,
            priority_rank=max(_ordered_rank(conn, arrival.header), previous.priority_rank if previous else 0),
            peer=arrival.peer,
            instances=version.count,
            modalities=[],
            received_at=arrival.received_at,
            attempts=0,
        )
    )
    return version


def _ordered_rank(conn: Connection, header: InstanceHeader) -> int:
    if not header.accession_number:
        return 0
    query = select(orders.c.priority).where(
        orders.c.accession_number == header.accession_number, orders.c.patient_id == header.patient_id
    )
    return max((Urgency(priority).rank for priority in conn.scalars(query)), default=0)


def _row(arrival: Arrival, version: _Version) -> dict[str, Any]:
    header = arrival.header
    return {
        "id": new_id("in"),
        "version_id": version.id,
        "sop_uid": header.sop_uid,
        "series_uid": header.series_uid,
        "sop_class_uid": header.sop_class_uid,
        "transfer_syntax_uid": header.transfer_syntax_uid,
        "modality": header.modality,
        "content_sha256": arrival.content_sha256,
        "blob_key": arrival.blob.key,
        "blob_size": arrival.blob.size,
        "peer": arrival.peer,
        "received_at": arrival.received_at,
    }


def _select() -> Any:
    return (
        select(instances, studies.c.study_uid, studies.c.patient_id, studies.c.issuer, studies.c.accession_number)
        .join(study_versions, instances.c.version_id == study_versions.c.id)
        .join(studies, study_versions.c.study_id == studies.c.id)
    )


def _instance(row: Row[Any]) -> Instance:
    return Instance(
        id=row.id,
        version_id=row.version_id,
        header=InstanceHeader(
            study_uid=row.study_uid,
            series_uid=row.series_uid,
            sop_uid=row.sop_uid,
            sop_class_uid=row.sop_class_uid,
            transfer_syntax_uid=row.transfer_syntax_uid,
            modality=row.modality,
            patient_id=row.patient_id,
            issuer=row.issuer,
            accession_number=row.accession_number,
        ),
        blob=Blob(row.blob_key, None, row.blob_size),
        peer=row.peer,
        received_at=row.received_at,
    )


def count(conn: Connection) -> int:
    """How many instances are held."""
    return conn.scalar(select(func.count()).select_from(instances)) or 0
