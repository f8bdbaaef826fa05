"""Where readers and models disagree: counted without names for everybody, and study by study for the reader alone.

An override is held against nobody. What a reader is shown of their own are offers of a second read; no reader is
compared with another.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from flows.audits.accuracy import Group
from flows.audits.cases import Case, Gathered, Reading
from flows.house import House
from flows.story import folder_of
from models.spec import read_spec
from radloop.domain.enums import Urgency, VerdictKind
from radloop.domain.errors import IntegrityError
from radloop.domain.records import ModelVersion, Verdict
from radloop.domain.verdicts import is_override

NO_NAME = ""
"""The target of what a reader added and the model has no name for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kinds:
    """How often readers said what of one finding, each case by the word that counts. `called`: the model had it."""

    group: Group
    called: bool
    counts: Mapping[VerdictKind, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Missed:
    """A finding that a reader saw and the model did not call, in a study under our own id.

    `urgency` is what the card, or the site over it, makes of the finding where it is called with certainty; None where
    that is not known any more, or the model has no name for it. `target` is then the reader's code.
    """

    version_id: str
    model: str
    version: str
    target: str
    probability: float | None
    urgency: Urgency | None
    severity: str | None
    reading: Reading | None
    at: datetime

    @property
    def critical(self) -> bool:
        """Whether somebody should look at it first; what is not known is not taken for harmless."""
        return self.urgency is None or self.urgency.rank > 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SecondRead:
    """One study on which a reader and a model disagree, for a second look by that reader."""

    version_id: str
    model: str
    version: str
    target: str
    called: bool
    probability: float
    threshold: float
    kind: VerdictKind
    awareness: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ReaderPage:
    """What one reader said in the period, and the studies that a second read is offered of. For that reader."""

    reader: str
    words: int
    counts: Mapping[str, Mapping[VerdictKind, int]]
    """By `model target`."""
    second_reads: tuple[SecondRead, ...]


def kinds(gathered: Gathered) -> tuple[Kinds, ...]:
    """Counts by finding, reading and the model's call; findings of which nobody said anything are left out."""
    found: dict[tuple[Group, bool], Counter[VerdictKind]] = defaultdict(Counter)
    for case in gathered.cases:
        for reading in Reading:
            if (word := case.word(reading)) is not None:
                found[_group(case, reading), case.finding.positive][word.kind] += 1
    return tuple(Kinds(group=group, called=called, counts=dict(counts)) for (group, called), counts in found.items())


def missed(house: House, gathered: Gathered) -> tuple[Missed, ...]:
    """What a reader saw and no call of the model was beside, the most urgent first."""
    worth: dict[tuple[str, str], Urgency | None] = {}
    rows = []
    for case in gathered.cases:
        seen = [(reading, word) for reading in Reading if (word := case.word(reading)) and case.value(reading) == 1]
        if seen and not case.finding.positive:
            key = (case.model.digest, case.finding.target)
            if key not in worth:
                worth[key] = _worth(house, case.model, case.finding.target)
            rows.append(_missed(case, *seen[0], worth[key]))
    rows += [_added(addition.answer.result.model, addition.verdict) for addition in gathered.additions]
    return tuple(sorted(rows, key=lambda one: (-(one.urgency.rank if one.urgency else 3), one.at, one.version_id)))


def reader_pages(gathered: Gathered) -> tuple[ReaderPage, ...]:
    """A page for every reader who said anything, in the order of their names."""
    said: dict[str, list[tuple[Case, Verdict]]] = defaultdict(list)
    for case in gathered.cases:
        for word in _everyones(case):
            said[word.reader].append((case, word))
    return tuple(_page(reader, said[reader]) for reader in sorted(said))


def _everyones(case: Case) -> Iterator[Verdict]:
    """The newest word of each reader, blinded or not."""
    newest: dict[str, Verdict] = {}
    for word in sorted((word for said in case.words.values() for word in said), key=lambda one: (one.at, one.id)):
        newest[word.reader] = word
    yield from newest.values()


def _page(reader: str, said: Iterable[tuple[Case, Verdict]]) -> ReaderPage:
    counts: dict[str, Counter[VerdictKind]] = defaultdict(Counter)
    second: list[SecondRead] = []
    for case, word in said:
        counts[f"{case.model.name} {case.finding.target}"][word.kind] += 1
        if is_override(word):
            second.append(_second(case, word))
    return ReaderPage(
        reader=reader,
        words=sum(sum(one.values()) for one in counts.values()),
        counts={name: dict(counts[name]) for name in sorted(counts)},
        second_reads=tuple(sorted(second, key=lambda one: (one.at, one.version_id))),
    )


def _second(case: Case, word: Verdict) -> SecondRead:
    return SecondRead(
        version_id=word.version_id,
        model=case.model.name,
        version=case.model.version,
        target=case.finding.target,
        called=case.finding.positive,
        probability=case.finding.probability,
        threshold=case.finding.threshold,
        kind=word.kind,
        awareness=word.awareness.value,
        at=word.at,
    )


def _group(case: Case, reading: Reading) -> Group:
    model = case.model
    return Group(
        model=model.name, version=model.version, digest=model.digest, target=case.finding.target, reading=reading
    )


def _worth(house: House, model: ModelVersion, target: str) -> Urgency | None:
    """The urgency of a certain finding: the site's rule, else the card's."""
    rule = house.settings.escalation.get(model.name, {}).get(target)
    if rule is not None:
        return rule.urgency
    try:
        return read_spec(folder_of(house, model.name, model.digest)).urgency_of(target, 1.0)
    except (IntegrityError, KeyError):
        return None


def _missed(case: Case, reading: Reading, word: Verdict, urgency: Urgency | None) -> Missed:
    return Missed(
        version_id=word.version_id,
        model=case.model.name,
        version=case.model.version,
        target=case.finding.target,
        probability=case.finding.probability,
        urgency=urgency,
        severity=word.severity,
        reading=reading,
        at=word.at,
    )


def _added(model: ModelVersion, word: Verdict) -> Missed:
    # Of the code only value and scheme: its meaning may be a reader's own words.
    named = f"{word.code.scheme} {word.code.value}" if word.code else NO_NAME
    return Missed(
        version_id=word.version_id,
        model=model.name,
        version=model.version,
        target=named,
        probability=None,
        urgency=None,
        severity=word.severity,
        reading=None,
        at=word.at,
    )
