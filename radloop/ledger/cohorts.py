"""Cohorts: frozen lists of labelled images. The manifest stays here; only its digest and counts leave the ledger."""

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from sqlalchemy import Connection, Row, insert, or_, select, text

from radloop.domain.enums import Awareness, Split
from radloop.domain.errors import IntegrityError, NotFound, Unavailable
from radloop.domain.learning import Cohort, CohortMember, Facts, Label
from radloop.ledger.copies import in_parts
from radloop.ledger.learning import cohort_members, cohorts, training_copies, training_runs

FORMAT: Final = 1
STRENGTH: Final = {Split.TEST: 0, Split.VALIDATION: 1, Split.TRAIN: 2}
"""Which split keeps an image that two could have: what measures goes before what is learned from."""
_c = cohorts.c


@dataclass(frozen=True, slots=True)
class Entry:
    """A member as the manifest lists it: with its study version (None: imported) and why it may be learned from.

    `consent` is `patient`, `policy` or `imported`.
    """

    member: CohortMember
    version_id: str | None
    consent: str


@dataclass(frozen=True, slots=True)
class Draw:
    """How members were chosen, so that the choice can be made again: the rules are the flow's, the numbers are here."""

    kind: str
    seed: int
    agreements: float
    uncertain: float


def manifest_of(model: str, target: str, draw: Draw, entries: Collection[Entry]) -> str:
    """The canonical JSON of a cohort: the same text in whatever order its members come.

    Keys are sorted and there is no white space; members stand by the digest of their content.
    """
    listed = sorted(entries, key=lambda entry: entry.member.content_sha256)
    manifest = {
        "format": FORMAT,
        "model": model,
        "target": target,
        "draw": asdict(draw),
        "members": [
            {**asdict(entry.member), "version_id": entry.version_id, "consent": entry.consent} for entry in listed
        ],
    }
    return json.dumps(manifest, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def digest_of(manifest_json: str) -> str:
    """SHA-256 (hex) of the manifest: the cohort's name everywhere else."""
    return hashlib.sha256(manifest_json.encode()).hexdigest()


def members_of(manifest_json: str) -> tuple[CohortMember, ...]:
    """The members that a manifest lists, in its order."""
    return tuple(_member(item) for item in json.loads(manifest_json)["members"])


def freeze(conn: Connection, cohort: Cohort, manifest_json: str) -> bool:
    """Keep a cohort and its manifest; False where the very same is kept already.

    Raises:
        IntegrityError: the manifest is not the one whose digest the cohort has.
        Unavailable: meanwhile another cohort placed one of its patients in another split: choose again.
    """
    if digest_of(manifest_json) != cohort.digest or members_of(manifest_json) != cohort.members:
        raise IntegrityError("a cohort and its manifest differ")
    alone(conn)
    if conn.scalar(select(_c.id).where(_c.digest == cohort.digest)) is not None:
        return False
    placed = splits_of(conn, {member.patient for member in cohort.members})
    if any(placed.get(member.patient, member.split) != member.split for member in cohort.members):
        raise Unavailable("another cohort placed one of the patients in another split meanwhile")
    values = {"id": cohort.id, "digest": cohort.digest, "model": cohort.model, "manifest": manifest_json}
    left_out = [list(one) for one in cohort.left_out]
    conn.execute(insert(cohorts).values(**values, left_out=left_out, actor=cohort.actor, at=cohort.at))
    rows = [{"cohort_id": cohort.id, "copy_id": m.copy_id, "split": m.split.value} for m in cohort.members]
    if rows:
        conn.execute(insert(cohort_members), rows)
    return True


def get(conn: Connection, id_or_digest: str) -> Cohort:
    """One cohort.

    Raises:
        NotFound: no such cohort.
    """
    row = conn.execute(select(cohorts).where(or_(_c.id == id_or_digest, _c.digest == id_or_digest))).first()
    if row is None:
        raise NotFound("there is no such cohort")
    return _cohort(row)


def latest(conn: Connection, model: str) -> Cohort | None:
    """The cohort of this model that was frozen last."""
    row = conn.execute(select(cohorts).where(_c.model == model).order_by(_c.at.desc(), _c.id.desc()).limit(1)).first()
    return _cohort(row) if row else None


def known(conn: Connection, model: str | None = None) -> tuple[Cohort, ...]:
    """Every cohort (of one model), the oldest first."""
    query = select(cohorts).order_by(_c.at, _c.id)
    return tuple(_cohort(row) for row in conn.execute(query if model is None else query.where(_c.model == model)))


def that_saw(conn: Connection, copy_id: str) -> tuple[str, ...]:
    """The ids of the cohorts that hold this copy."""
    its = cohort_members.c
    return tuple(conn.scalars(select(its.cohort_id).where(its.copy_id == copy_id).order_by(its.cohort_id)))


def digests_that_saw(conn: Connection, patient: str) -> tuple[str, ...]:
    """The digests of the model versions whose training cohorts held an image of this patient."""
    query = (
        select(training_runs.c.digest)
        .join(cohort_members, cohort_members.c.cohort_id == training_runs.c.cohort_id)
        .join(training_copies, training_copies.c.id == cohort_members.c.copy_id)
        .where(training_copies.c.patient == patient, training_runs.c.digest.is_not(None))
        .distinct()
        .order_by(training_runs.c.digest)
    )
    return tuple(conn.scalars(query))


def splits_of(conn: Connection, patients: Collection[str]) -> Mapping[str, Split]:
    """In which split earlier cohorts, of whatever model, placed these patients: for ever."""
    return _placed(conn, training_copies.c.patient, patients)


def splits_of_pixels(conn: Connection, pixels: Collection[str]) -> Mapping[str, Split]:
    """In which split earlier cohorts placed these pictures, by the digest of their pixels."""
    return _placed(conn, training_copies.c.pixel_sha256, pixels)


def _placed(conn: Connection, column: Any, values: Collection[str]) -> Mapping[str, Split]:
    placed: dict[str, Split] = {}
    for some in in_parts(values):
        query = (
            select(column.label("of"), cohort_members.c.split)
            .join(training_copies, training_copies.c.id == cohort_members.c.copy_id)
            .where(column.in_(some))
            .distinct()
        )
        for row in conn.execute(query):
            split = Split(row.split)
            placed[row.of] = min(split, placed.get(row.of, split), key=STRENGTH.__getitem__)
    return placed


def alone(conn: Connection) -> None:
    """No other cohort may be frozen until this transaction ends; SQLite has one writer anyway."""
    if conn.dialect.name == "postgresql":
        conn.execute(text("LOCK TABLE cohorts IN SHARE ROW EXCLUSIVE MODE"))


def _cohort(row: Row[Any]) -> Cohort:
    left_out: Sequence[tuple[str, int]] = [(str(reason), int(count)) for reason, count in row.left_out]
    return Cohort(
        id=row.id,
        digest=row.digest,
        model=row.model,
        members=members_of(row.manifest),
        left_out=tuple(left_out),
        actor=row.actor,
        at=row.at,
    )


def _member(item: Mapping[str, Any]) -> CohortMember:
    names = ("copy_id", "patient", "instance_id", "content_sha256", "pixel_sha256", "stratum", "probability")
    said = item["label"]
    return CohortMember(
        **{name: item[name] for name in names},
        split=Split(item["split"]),
        label=Label(**{**said, "awareness": Awareness(said["awareness"])}),
        facts=Facts(**item["facts"]),
    )
