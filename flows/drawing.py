"""What a cohort is built from: readers' verdicts, drawn by rule, and replay of earlier cohorts."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import chain, islice
from typing import Final

from sqlalchemy import Connection

from flows.copying import Copier, Origin
from flows.freezing import Work
from flows.guards import Candidate, Reason, Sifted, chance
from flows.labelled_files import header_says, merged
from models.spec import ModelSpec
from radloop import audit
from radloop.domain.enums import Split
from radloop.domain.errors import IntegrityError, NotFound, Rejected
from radloop.domain.ids import utc_now
from radloop.domain.learning import CohortMember, Facts, Label, TrainingCopy
from radloop.domain.records import AuditEvent, Finding, Verdict
from radloop.domain.verdicts import is_override, reader_value
from radloop.ledger import acquisitions as acquisition_rows
from radloop.ledger import cohorts as cohort_rows
from radloop.ledger import consents as consent_rows
from radloop.ledger import copies as copy_rows
from radloop.ledger import instances as instance_rows
from radloop.ledger import labelled as labelled_rows
from radloop.ledger import patients as patient_rows
from radloop.ledger import results as result_rows
from radloop.ledger import verdicts as verdict_rows
from radloop.ledger.cohorts import Draw
from radloop.ledger.labelled import StoredImage
from radloop.pixels import read_header

OVERRIDE: Final = "override"
AGREEMENT: Final = "agreement"
UNCERTAIN: Final = "uncertain"
REPLAY: Final = "replay"
REPLAYED: Final = 500
"""Training images of each scanner that are replayed at most: a scanner with thousands does not drown the others."""
BATCH: Final = 32
"""Copies that become durable together."""
ROUNDING: Final = 1e-9


@dataclass(frozen=True, slots=True)
class Word:
    """One verdict on the model's target, with the finding that it is about and what it makes of it: 1 or 0."""

    verdict: Verdict
    finding: Finding
    value: int

    @property
    def label(self) -> Label:
        """As a label."""
        said = self.verdict
        return Label(target=said.target, value=self.value, reader=said.reader, awareness=said.awareness, origin=said.id)


@dataclass(frozen=True, slots=True)
class Judged:
    """One study that readers have judged: the newest word of each, in order of time, its image and its patient.

    `image` is None where it is not known which of several shows the finding, or where it is no longer stored.
    """

    study_id: str
    words: tuple[Word, ...]
    patient: str
    image: StoredImage | None

    @property
    def last(self) -> Word:
        """The newest word of all."""
        return self.words[-1]


@dataclass(frozen=True, slots=True)
class Chosen:
    """A study that was drawn: why, and with which known probability."""

    judged: Judged
    image: StoredImage
    stratum: str
    probability: float


def drawn(work: Work, copying: Copier, draw: Draw) -> Sifted:
    """The candidates of a built cohort, copied, and what was left out on the way.

    Raises:
        Transient: ledger, store or decoder failed; copies that were made stay.
    """
    judged, earlier = _judged(work), _earlier(work)
    chosen, left_out = _chosen(judged, draw, earlier)
    held = _held(work, copying, chosen, left_out)
    candidates = _candidates(work, chosen, held)
    replay = _replay(work, judged, earlier, draw.seed)
    left_out.update(replay.left_out)
    return Sifted((*candidates, *replay.kept), left_out)


def stratum_of(judged: Judged, draw: Draw) -> tuple[str, float] | None:
    """Why a study is drawn and with which probability; None where it is not.

    Agreements are drawn by the hash of study and seed, so that the draw can be made again and audited.
    """
    finding = judged.last.finding
    if any(is_override(word.verdict) for word in judged.words):
        return OVERRIDE, 1.0
    if abs(finding.probability - finding.threshold) <= draw.uncertain + ROUNDING:
        return UNCERTAIN, 1.0
    if chance(AGREEMENT, str(draw.seed), judged.study_id) < draw.agreements:
        return AGREEMENT, draw.agreements
    return None


def replayed(members: Iterable[CohortMember], seed: int) -> list[CohortMember]:
    """Earlier members, as many training images of each scanner as of every other, at most REPLAYED; with what chance.

    What validates and tests is replayed whole.
    """
    by_scanner: dict[str, list[CohortMember]] = defaultdict(list)
    others: list[CohortMember] = []
    for member in members:
        (by_scanner[member.facts.scanner] if member.split is Split.TRAIN else others).append(member)
    kept = [replace(member, probability=1.0) for member in others]
    for found in by_scanner.values():
        found.sort(key=lambda member: chance(REPLAY, str(seed), member.content_sha256))
        share = min(1.0, REPLAYED / len(found))
        kept += [replace(member, probability=share) for member in found[:REPLAYED]]
    return kept


def _earlier(work: Work) -> Mapping[str, CohortMember]:
    """The members of all earlier cohorts of the model, by content, as the newest one lists them."""
    with work.house.ledger.read() as conn:
        return {m.content_sha256: m for cohort in cohort_rows.known(conn, work.spec.name) for m in cohort.members}


def _chosen(
    judged: Sequence[Judged], draw: Draw, earlier: Mapping[str, CohortMember]
) -> tuple[list[Chosen], Counter[str]]:
    """What is drawn now, and agreements that an earlier draw took: those are replayed with the chance they had."""
    chosen: list[Chosen] = []
    left_out: Counter[str] = Counter()
    for one in judged:
        before = earlier.get(one.image.content_sha256) if one.image else None
        why = stratum_of(one, draw) or ((REPLAY, before.probability) if before else None)
        if why is None:
            left_out[Reason.NOT_DRAWN] += 1
        elif one.image is None:
            left_out[Reason.WHICH_IMAGE] += 1
        else:
            chosen.append(Chosen(one, one.image, *why))
    return chosen, left_out


def _judged(work: Work) -> tuple[Judged, ...]:
    """Every study with a verdict on the model's target, whichever version of the model it was about."""
    target = work.spec.targets[0].name
    with work.house.ledger.read() as conn:
        said = [one for one in verdict_rows.since(conn, work.spec.name, None) if one.target == target]
        words = _words(conn, said)
        studies = labelled_rows.studies_of(conn, {word.verdict.version_id for word in words})
        found: dict[str, list[Word]] = defaultdict(list)
        for word in words:
            found[studies[word.verdict.version_id]].append(word)
        by_study = {study: newest(found[study]) for study in sorted(found)}
        shown = {study: _instance(conn, work.spec, last) for study, last in by_study.items()}
        images = labelled_rows.images(conn, {instance for instance in shown.values() if instance})
    patients = _patients(work, by_study)
    return tuple(
        Judged(study, last, patients[study], images.get(shown[study] or "")) for study, last in by_study.items()
    )


def _patients(work: Work, studies: Collection[str]) -> Mapping[str, str]:
    """Our id of each study's patient, given to those who have none, some at a time: the gateway writes too."""
    found: dict[str, str] = {}
    for some in copy_rows.in_parts(studies):
        with work.house.ledger.write() as conn:
            found |= {study: patient_rows.of_study(conn, study) for study in some}
    return found


def newest(words: Iterable[Word]) -> tuple[Word, ...]:
    """The newest word of each reader, in order of time: a reader who judges again has changed their mind."""
    last: dict[str, Word] = {}
    for word in sorted(words, key=_when):
        last[word.verdict.reader] = word
    return tuple(sorted(last.values(), key=_when))


def _when(word: Word) -> tuple[datetime, str]:
    return word.verdict.at, word.verdict.id


def _words(conn: Connection, said: Sequence[Verdict]) -> list[Word]:
    findings: dict[tuple[str, str], Finding] = {}
    for some in copy_rows.in_parts({verdict.version_id for verdict in said}):
        for result in chain.from_iterable(result_rows.of_versions(conn, some).values()):
            findings |= {(result.id, finding.target): finding for finding in result.findings}
    words = []
    for verdict in said:
        finding = findings.get((verdict.result_id, verdict.target))
        value = reader_value(verdict, finding)
        if finding is not None and value is not None:
            words.append(Word(verdict, finding, value))
    return words


def _instance(conn: Connection, spec: ModelSpec, words: Sequence[Word]) -> str | None:
    """The image that a study's label is about: the one that decided the model's answer, or its only one.

    Where the reader sees what the model did not, and the study has several images, nobody said which one shows it.
    """
    word = words[-1]
    missed = not word.finding.positive and any(said.value for said in words)
    if word.finding.instance_id and not missed:
        return word.finding.instance_id
    of_version = [instance.id for instance in instance_rows.of_version(conn, word.verdict.version_id)]
    readable = spec.readable(acquisition_rows.of_instances(conn, of_version))
    return readable[0].instance_id if len(readable) == 1 else None


def _held(work: Work, copying: Copier, chosen: Sequence[Chosen], left_out: Counter[str]) -> Mapping[str, TrainingCopy]:
    """The training copies of what was chosen, by content; what is missing is made, a durable batch at a time."""
    contents = [one.image.content_sha256 for one in chosen]
    with work.house.ledger.read() as conn:
        known = copy_rows.known(conn, work.spec.name, contents)
        policy = work.house.settings.consent.policy
        # Not even copied without consent. The guard asks again when the cohort is frozen, and counts it.
        missing = [
            one
            for one in chosen
            if one.image.content_sha256 not in known and consent_rows.may_learn(conn, one.judged.patient, policy)
        ]
    rest = iter(missing)
    while batch := list(islice(rest, BATCH)):
        made = list(copying.threads.map(lambda one: _copy(work, copying, one), batch))
        left_out.update(one for one in made if isinstance(one, Reason))
        _keep(work, [one for one in made if isinstance(one, TrainingCopy)])
    with work.house.ledger.read() as conn:
        return copy_rows.known(conn, work.spec.name, contents)


def _copy(work: Work, copying: Copier, one: Chosen) -> TrainingCopy | Reason:
    try:
        data = work.house.store.get(one.image.key)
        facts = merged(Facts(site=one.image.peer), header_says(read_header(data)))
    except NotFound:
        return Reason.GONE
    except (IntegrityError, Rejected):
        return Reason.UNDECODABLE
    version_id = one.judged.last.verdict.version_id
    origin = Origin(one.image.content_sha256, one.judged.patient, facts, version_id, one.image.id)
    return copying.copy(data, origin)


def _keep(work: Work, copies: Sequence[TrainingCopy]) -> None:
    with work.house.ledger.write() as conn:
        added = sum(copy_rows.add(conn, copy) for copy in copies)
        if added:
            event = AuditEvent(
                at=utc_now(),
                actor=work.actor,
                action="copies.add",
                object_kind="model",
                object_id=work.spec.name,
                detail=f"{added} training copies",
            )
            audit.append(conn, event)


def _candidates(work: Work, chosen: Sequence[Chosen], held: Mapping[str, TrainingCopy]) -> Iterator[Candidate]:
    """With every reader's word, outside readers' too. One without a copy goes on only to be counted by its guard."""
    with work.house.ledger.read() as conn:
        outside = copy_rows.labels_of(conn, [copy.id for copy in held.values()], work.spec.targets[0].name)
        policy = work.house.settings.consent.policy
        for one in chosen:
            copy = held.get(one.image.content_sha256)
            if copy is None and consent_rows.may_learn(conn, one.judged.patient, policy):
                continue  # counted when it could not be copied
            yield Candidate(
                content_sha256=one.image.content_sha256,
                patient=one.judged.patient,
                labels=(*(word.label for word in one.judged.words), *(outside.get(copy.id, ()) if copy else ())),
                stratum=one.stratum,
                probability=one.probability,
                facts=copy.facts if copy else Facts(),
                version_id=one.judged.last.verdict.version_id,
                instance_id=one.image.id,
                copy_id=copy.id if copy else "",
                pixel_sha256=copy.pixel_sha256 if copy else "",
            )


def _replay(work: Work, judged: Sequence[Judged], earlier: Mapping[str, CohortMember], seed: int) -> Sifted:
    """Earlier members of studies that no verdict is about, with what outside readers say of them now."""
    seen = {one.image.content_sha256 for one in judged if one.image}
    studies = {one.study_id for one in judged}
    with work.house.ledger.read() as conn:
        held = {copy.id: copy for copy in copy_rows.get_many(conn, [member.copy_id for member in earlier.values()])}
        of = labelled_rows.studies_of(conn, {copy.version_id for copy in held.values() if copy.version_id})
        labels = copy_rows.labels_of(conn, held, work.spec.targets[0].name)
    rest = [member for content, member in earlier.items() if content not in seen]
    present = [
        member for member in rest if (copy := held.get(member.copy_id)) and of.get(copy.version_id or "") not in studies
    ]
    # Bytes go when consent is withdrawn.
    withdrawn = sum(member.copy_id not in held for member in rest)
    candidates = tuple(_again(member, held[member.copy_id], labels) for member in replayed(present, seed))
    return Sifted(candidates, Counter({Reason.NO_CONSENT.value: withdrawn} if withdrawn else {}))


def _again(member: CohortMember, copy: TrainingCopy, labels: Mapping[str, tuple[Label, ...]]) -> Candidate:
    return Candidate(
        content_sha256=member.content_sha256,
        patient=member.patient,
        labels=labels.get(member.copy_id, (member.label,)),
        stratum=REPLAY,
        probability=member.probability,
        facts=member.facts,
        version_id=copy.version_id,
        instance_id=member.instance_id,
        copy_id=member.copy_id,
        pixel_sha256=member.pixel_sha256,
    )
