"""From candidates to a frozen cohort: every guard, the manifest, and the row, in one transaction."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import structlog
from sqlalchemy import Connection

from flows.guards import Alike, Candidate, Known, Shares, label_for, sift_all, strongest
from flows.house import House
from models.preparation import Floats
from models.spec import ModelSpec
from models.training.cohort import group
from models.training.copies import unpack
from models.training.recipes import RECIPES
from radloop import audit
from radloop.domain.enums import Consent
from radloop.domain.errors import NotFound, Rejected, Unavailable
from radloop.domain.ids import new_id, utc_now
from radloop.domain.learning import Cohort, CohortMember, TrainingCopy
from radloop.domain.records import AuditEvent
from radloop.ledger import cohorts as cohort_rows
from radloop.ledger import consents as consent_rows
from radloop.ledger import copies as copy_rows
from radloop.ledger.cohorts import Draw, Entry

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Work:
    """What every step of one command needs: the house, the model's card, and in whose name it is done."""

    house: House
    spec: ModelSpec
    actor: str


@dataclass(frozen=True, slots=True)
class Rule:
    """How patients are divided, and how members were chosen."""

    shares: Shares
    draw: Draw


def freeze(work: Work, candidates: Sequence[Candidate], left_out: Counter[str], rule: Rule) -> Cohort:
    """Hold the candidates against every guard and keep those that pass; the same members are the same cohort.

    Raises:
        Rejected: nobody is left.
        Unavailable: consent was withdrawn, or another cohort placed one of the patients, meanwhile: try again.
    """
    alike = _alike(work, candidates)
    with work.house.ledger.read() as conn:
        policy = work.house.settings.consent.policy
        asked = [_consented(conn, one, policy) for one in candidates]
        sifted = sift_all(asked, _known(conn, asked, alike), rule.shares)
    counted = Counter(left_out) + sifted.left_out
    if not sifted.kept:
        raise Rejected(f"nothing is left for a cohort ({_words(counted)})")
    entries = [_entry(one) for one in sifted.kept]
    manifest = cohort_rows.manifest_of(work.spec.name, work.spec.targets[0].name, rule.draw, entries)
    # Sifted outside, so that the gateway does not wait for us; what could have changed meanwhile is asked again.
    with work.house.ledger.write() as conn:
        _refuse_withdrawn(conn, sifted.kept)
        return _kept(conn, work, manifest, counted)


def _refuse_withdrawn(conn: Connection, kept: Sequence[Candidate]) -> None:
    there = copy_rows.get_many(conn, [one.copy_id for one in kept])
    if len(there) < len(kept) or {one.patient for one in kept} & {*copy_rows.patients_who_withdrew(conn)}:
        raise Unavailable("a patient withdrew consent meanwhile: try again")


def _known(conn: Connection, candidates: Sequence[Candidate], alike: Alike) -> Known:
    return Known(
        there=frozenset(copy.id for copy in copy_rows.get_many(conn, [one.copy_id for one in candidates])),
        patients=cohort_rows.splits_of(conn, {one.patient for one in candidates}),
        pixels=cohort_rows.splits_of_pixels(conn, {one.pixel_sha256 for one in candidates}),
        alike=alike,
    )


def _kept(conn: Connection, work: Work, manifest: str, left_out: Counter[str]) -> Cohort:
    cohort = Cohort(
        id=new_id("co"),
        digest=cohort_rows.digest_of(manifest),
        model=work.spec.name,
        members=cohort_rows.members_of(manifest),
        left_out=tuple(sorted((str(reason), count) for reason, count in left_out.items())),
        actor=work.actor,
        at=utc_now(),
    )
    if not cohort_rows.freeze(conn, cohort, manifest):
        return cohort_rows.get(conn, cohort.digest)
    event = AuditEvent(
        at=cohort.at,
        actor=work.actor,
        action="cohort.freeze",
        object_kind="cohort",
        object_id=cohort.id,
        detail=f"{cohort.model} {cohort.digest}: {len(cohort.members)} members, {left_out.total()} left out",
    )
    audit.append(conn, event)
    log.info("cohort frozen", cohort=cohort.id, digest=cohort.digest, members=len(cohort.members))
    return cohort


def _consented(conn: Connection, one: Candidate, policy: str) -> Candidate:
    """With the word on which it is learned from: the patient's own, the site's, or that of whoever brought the set."""
    said = consent_rows.current(conn, one.patient)
    if one.version_id is None:
        basis = None if said is Consent.WITHDRAWN else "imported"
    elif consent_rows.may_learn(conn, one.patient, policy):
        basis = "policy" if said is None else "patient"
    else:
        basis = None
    return replace(one, consent=basis)


def _alike(work: Work, candidates: Sequence[Candidate]) -> Alike:
    """Groups among the candidates and the earlier members, where the images carry no patient identity."""
    recipe = RECIPES.get(work.spec.name)
    if recipe is None or not recipe.near_duplicates or not candidates:
        return Alike()
    with work.house.ledger.read() as conn:
        splits = {m.copy_id: m.split for c in cohort_rows.known(conn, work.spec.name) for m in c.members}
        ids = sorted({one.copy_id for one in candidates} | splits.keys())
        copies = copy_rows.get_many(conn, ids)
    pictures = [(copy, picture) for copy in copies if (picture := _picture(work.house, copy)) is not None]
    numbers = group([copy.patient for copy, _ in pictures], [picture for _, picture in pictures])
    groups = {copy.id: f"group {number}" for (copy, _), number in zip(pictures, numbers.tolist(), strict=True)}
    earlier = [
        Candidate(content_sha256="", patient="", labels=(), stratum="", copy_id=copy_id, split=split)
        for copy_id, split in splits.items()
        if copy_id in groups
    ]
    made = Alike(groups)
    return Alike(groups, strongest(earlier, made.group_of))


def _picture(house: House, copy: TrainingCopy) -> Floats | None:
    try:
        return unpack(house.store.get(copy.blob.key)).large.astype(np.float32)
    except NotFound:  # withdrawn this moment
        return None


def _entry(one: Candidate) -> Entry:
    assert one.split and one.consent  # noqa: S101 - the guards have seen to it
    label = label_for(one.labels, one.split)
    assert label  # noqa: S101 - as above
    member = CohortMember(
        copy_id=one.copy_id,
        patient=one.patient,
        instance_id=one.instance_id,
        content_sha256=one.content_sha256,
        pixel_sha256=one.pixel_sha256,
        split=one.split,
        label=label,
        facts=one.facts,
        stratum=one.stratum,
        probability=one.probability,
    )
    return Entry(member, one.version_id, one.consent)


def _words(counted: Counter[str]) -> str:
    return ", ".join(f"{count} {reason}" for reason, count in sorted(counted.items())) or "nothing was found"
