"""The cases of an audit: what a champion said of one finding of one signed study, and what readers said of it.

A reader who had seen the AI tends to agree with it (MLOPS.md, Retraining), so words that were given blinded and words
of readers who had seen it, or might have, are never mixed: a case may have one of each.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from itertools import chain
from typing import Final

from sqlalchemy import Connection

from flows.audits.period import Period
from radloop.domain.enums import Awareness, ResultStatus, Standing, VerdictKind
from radloop.domain.learning import Facts
from radloop.domain.records import Finding, ModelVersion, Result, Verdict
from radloop.domain.verdicts import is_override, last_words, reader_value
from radloop.ledger import results as result_rows
from radloop.ledger import signed as signed_rows
from radloop.ledger import verdicts as verdict_rows
from radloop.ledger.copies import in_parts
from radloop.ledger.signed import Device, Signed

UNKNOWN: Final = Device(instance_id="")


class Reading(StrEnum):
    """Whether a word is a reader's own, or one given beside the AI."""

    BLINDED = "blinded"
    """Given before the AI was shown; a word that was corrected afterwards had such a one before it."""
    SAW_AI = "saw the AI"
    """The reader had seen the AI or might have, or corrected a blinded word after seeing it."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a champion said of one signed study, and how the image was made that decided it."""

    signed: Signed
    result: Result
    device: Device


@dataclass(frozen=True, slots=True)
class Case:
    """One finding of one answer, the words of readers about it by how they read, and what subgroups are made of."""

    answer: Answer
    finding: Finding
    words: Mapping[Reading, tuple[Verdict, ...]] = field(repr=False)
    facts: Facts = field(default_factory=Facts)

    @property
    def model(self) -> ModelVersion:
        """Who said it."""
        return self.answer.result.model

    def word(self, reading: Reading) -> Verdict | None:
        """The word that counts: the signer's last, else the newest of any reader (docs/verdicts.md, Sign-off)."""
        said = [one for one in self.words[reading] if reader_value(one, self.finding) is not None]
        signer = self.answer.signed.signer
        return max(said, key=lambda one: (one.reader == signer, one.at, one.id), default=None)

    def value(self, reading: Reading) -> int | None:
        """What the reader holds to be true: 1, 0, or None where nobody said."""
        word = self.word(reading)
        return None if word is None else reader_value(word, self.finding)


@dataclass(frozen=True, slots=True)
class Addition:
    """Something that a reader saw and that the model has no name for: an ADD without a target."""

    answer: Answer
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Gathered:
    """Everything that an audit counts over. `silent`: signed versions that no champion had answered."""

    period: Period
    signed: tuple[Signed, ...]
    answers: tuple[Answer, ...]
    cases: tuple[Case, ...]
    additions: tuple[Addition, ...]
    silent: int

    @property
    def versions(self) -> tuple[ModelVersion, ...]:
        """The model versions that answered as champion, by name and age of their first answer."""
        seen: dict[str, tuple[datetime, ModelVersion]] = {}
        for answer in self.answers:
            result = answer.result
            at = min(result.created_at, seen.get(result.model.digest, (result.created_at,))[0])
            seen[result.model.digest] = (at, result.model)
        return tuple(model for _, model in sorted(seen.values(), key=lambda one: (one[1].name, one[0], one[1].digest)))


def gather(conn: Connection, period: Period, model: str = "") -> Gathered:
    """The cases of a period, of one model or of all; verdicts as they are on record now."""
    signed = signed_rows.between(conn, period.start, period.end)
    by_id = {one.version_id: one for one in signed}
    answers: list[Answer] = []
    cases: list[Case] = []
    additions: list[Addition] = []
    for some in in_parts(list(by_id)):
        found = _answers(conn, [by_id[one] for one in some], model)
        said = verdict_rows.of_versions(conn, some)
        answers += found
        cases += chain.from_iterable(_cases(one, said.get(one.signed.version_id, ())) for one in found)
        additions += chain.from_iterable(_additions(one, said.get(one.signed.version_id, ())) for one in found)
    spoken = {one.signed.version_id for one in answers}
    return Gathered(period, signed, tuple(answers), tuple(cases), tuple(additions), len(signed) - len(spoken))


def _answers(conn: Connection, signed: Sequence[Signed], model: str) -> list[Answer]:
    """What champions said aloud: a result says itself how its version stood then."""
    results = result_rows.of_versions(conn, [one.version_id for one in signed])
    made = signed_rows.devices(conn, {one.study_id for one in signed})
    return [
        Answer(one, result, _device(made.get(one.study_id, ()), result))
        for one in signed
        for result in results.get(one.version_id, ())
        if result.model.standing is Standing.CHAMPION
        and result.status is ResultStatus.OK
        and model in ("", result.model.name)
    ]


def _device(made: Sequence[Device], result: Result) -> Device:
    """Of the image that decided a finding; else of the first."""
    deciding = {finding.instance_id for finding in result.findings}
    return next((one for one in made if one.instance_id in deciding), made[0] if made else UNKNOWN)


def _cases(answer: Answer, said: Iterable[Verdict]) -> Iterable[Case]:
    mine = [one for one in said if one.result_id == answer.result.id]
    for finding in answer.result.findings:
        about = [one for one in mine if one.target == finding.target]
        yield Case(answer, finding, {reading: _last(about, reading) for reading in Reading})


def _last(said: Iterable[Verdict], reading: Reading) -> tuple[Verdict, ...]:
    # Taken before last words are: a blinded word stays one when its reader corrects it later.
    blinded = reading is Reading.BLINDED
    return last_words(one for one in said if (one.awareness is Awareness.BLINDED) is blinded)


def _additions(answer: Answer, said: Iterable[Verdict]) -> Iterable[Addition]:
    mine = (one for one in said if one.result_id == answer.result.id)
    return (Addition(answer, one) for one in mine if one.kind is VerdictKind.ADD and not one.target)


def overridden(case: Case, reading: Reading) -> bool:
    """Whether the word that counts disagrees with the model."""
    word = case.word(reading)
    return word is not None and is_override(word)
