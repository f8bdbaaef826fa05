"""What readers signed in a period, and where it came from: what an audit counts over. Queries only."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select

from radloop.domain.enums import VerdictSource
from radloop.domain.learning import Facts
from radloop.ledger.copies import in_parts
from radloop.ledger.learning import signoffs, training_copies
from radloop.ledger.tables import acquisitions, attempts, instances, results, studies, study_versions

_v = study_versions.c
_s = signoffs.c


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """One study version that a reader closed. Ids are ours; `signer` and `source` say who and by which door.

    `patient` is equal for studies of one patient and names nobody: it holds within one answer of `between` only.
    `study_uid` and `accession_number` are patient data, for exports that were asked to name them.
    """

    version_id: str
    study_id: str
    patient: str
    site: str
    modalities: tuple[str, ...]
    received_at: datetime
    completed_at: datetime | None
    answered_at: datetime | None
    signed_at: datetime
    signer: str
    source: VerdictSource
    study_uid: str = field(repr=False)
    accession_number: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """How an image was made, as far as a report tells it; '' where the header does not say."""

    instance_id: str
    modality: str = ""
    body_part: str = ""
    view: str = ""
    manufacturer: str = ""
    model_name: str = ""
    station: str = ""
    software: str = ""
    protocol: str = ""

    @property
    def name(self) -> str:
        """Maker, model and station: what a site calls a scanner."""
        return " ".join(filter(None, (self.manufacturer, self.model_name, self.station)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A try at a result that made none; `error` is in our own words."""

    version_id: str
    model: str
    digest: str
    error: str
    at: datetime


def between(conn: Connection, start: datetime, end: datetime) -> tuple[Signed, ...]:
    """The study versions signed from `start` on and before `end`, in order of time."""
    query = (
        select(
            _s.version_id, _s.reader, _s.source, _s.at.label("signed_at"),
            _v.study_id, _v.peer, _v.modalities, _v.received_at, _v.completed_at, _v.answered_at,
            studies.c.study_uid, studies.c.accession_number, studies.c.patient_id, studies.c.issuer,
        )
        .join(study_versions, _v.id == _s.version_id)
        .join(studies, studies.c.id == _v.study_id)
        .where(_s.at >= start, _s.at < end)
        .order_by(_s.at, _s.version_id)
    )  # fmt: skip
    names: dict[tuple[str, ...], str] = {}
    return tuple(_signed(row, names) for row in conn.execute(query))


def devices(conn: Connection, study_ids: Collection[str]) -> Mapping[str, tuple[Device, ...]]:
    """How the images of these studies were made, by study and in the order of the images' ids."""
    found: dict[str, list[Device]] = defaultdict(list)
    names = tuple(Device.__dataclass_fields__)
    for some in in_parts(study_ids):
        query = (
            select(_v.study_id, *(acquisitions.c[name] for name in names))
            .join(study_versions, _v.id == acquisitions.c.version_id)
            .where(_v.study_id.in_(some))
            .order_by(acquisitions.c.instance_id)
        )
        for row in conn.execute(query):
            found[row.study_id].append(Device(**{name: getattr(row, name) for name in names}))
    return {study: tuple(made) for study, made in found.items()}


def learned(conn: Connection, version_ids: Collection[str]) -> Mapping[str, Facts]:
    """Site, scanner, sex and age band of those studies of which a training copy is on record, by version id."""
    found: dict[str, Facts] = {}
    c = training_copies.c
    for some in in_parts(version_ids):
        query = select(c.version_id, c.site, c.scanner, c.sex, c.age_band).where(c.version_id.in_(some))
        for row in conn.execute(query.order_by(c.at, c.id)):
            found[row.version_id] = Facts(site=row.site, scanner=row.scanner, sex=row.sex, age_band=row.age_band)
    return found


def first_images(conn: Connection, study_ids: Collection[str]) -> Mapping[str, str]:
    """Where one image of each study lies in the store: the first that arrived."""
    found: dict[str, str] = {}
    for some in in_parts(study_ids):
        query = (
            select(_v.study_id, instances.c.blob_key)
            .join(study_versions, _v.id == instances.c.version_id)
            .where(_v.study_id.in_(some))
            .order_by(instances.c.received_at, instances.c.id)
        )
        for row in conn.execute(query):
            found.setdefault(row.study_id, row.blob_key)
    return found


def contents(conn: Connection, version_ids: Iterable[str]) -> Mapping[str, tuple[tuple[str, str], ...]]:
    """Our id and the SHA-256 (hex, of the encoded data set) of every image of these versions, by version id."""
    found: dict[str, list[tuple[str, str]]] = defaultdict(list)
    later, own = study_versions.alias("later"), study_versions.alias("own")
    for some in in_parts(list(version_ids)):
        # A version holds all images of the study up to it.
        query = (
            select(own.c.id.label("version_id"), instances.c.id, instances.c.content_sha256)
            .join(later, (later.c.study_id == own.c.study_id) & (later.c.number <= own.c.number))
            .join(instances, instances.c.version_id == later.c.id)
            .where(own.c.id.in_(some))
            .order_by(instances.c.received_at, instances.c.id)
        )
        for row in conn.execute(query):
            found[row.version_id].append((row.id, row.content_sha256))
    return {version: tuple(images) for version, images in found.items()}


def used(conn: Connection, start: datetime, end: datetime, model: str = "") -> Mapping[str, str]:
    """The study version of every result made from `start` on and before `end`, by result id; of one model or all."""
    r = results.c
    query = select(r.id, r.version_id).where(r.at >= start, r.at < end)
    mine = query.where(r.model == model) if model else query
    return {row.id: row.version_id for row in conn.execute(mine.order_by(r.at, r.id))}


def failures(conn: Connection, start: datetime, end: datetime, model: str = "") -> tuple[Failure, ...]:
    """The tries that made no result, from `start` on and before `end`, in order of time; of one model or all."""
    a = attempts.c
    query = select(a.version_id, a.model, a.digest, a.error, a.at).where(a.at >= start, a.at < end)
    mine = query.where(a.model == model) if model else query
    return tuple(Failure(**row) for row in conn.execute(mine.order_by(a.at, a.id)).mappings())


def _signed(row: Any, names: dict[tuple[str, ...], str]) -> Signed:
    # A study without a patient id is nobody else's.
    who = (row.patient_id, row.issuer) if row.patient_id else (row.study_id,)
    return Signed(
        version_id=row.version_id,
        study_id=row.study_id,
        patient=names.setdefault(who, f"p{len(names) + 1}"),
        site=row.peer,
        modalities=tuple(row.modalities),
        received_at=row.received_at,
        completed_at=row.completed_at,
        answered_at=row.answered_at,
        signed_at=row.signed_at,
        signer=row.reader,
        source=VerdictSource(row.source),
        study_uid=row.study_uid,
        accession_number=row.accession_number,
    )
