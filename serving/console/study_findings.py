"""The findings of a study for one reader: in one list over all models, urgent first, with what readers said of each."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from radloop.domain.access import Permission, Who
from radloop.domain.acquired import QualityNote
from radloop.domain.enums import Awareness, ResultStatus
from radloop.domain.records import Finding, Result, Verdict
from radloop.ledger.votes import Vote
from serving.console.api.wire import CodeOut, VerdictOut, verdict_of
from serving.console.study_out import FindingSeen, ResultSeen, TargetAsked


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What models said of a study version and readers of that, and who looks at it."""

    who: Who
    results: Sequence[Result]
    verdicts: Sequence[Verdict]
    votes: Sequence[Vote]
    notes: Sequence[QualityNote]


@dataclass(frozen=True, slots=True)
class _Place:
    """A finding and where it stands in its result."""

    result: Result
    ordinal: int
    finding: Finding

    @property
    def weight(self) -> tuple[int, bool, float]:
        return self.finding.urgency.rank, self.finding.positive, self.finding.probability


def findings_of(told: Told, *, signed: bool) -> tuple[FindingSeen, ...]:
    """Every finding, numbered: urgent first, then called, then by probability."""
    places = sorted(_places(told), key=lambda one: one.weight, reverse=True)
    return tuple(_seen(number, place, told, signed=signed) for number, place in enumerate(places, 1))


def asked(told: Told) -> tuple[TargetAsked, ...]:
    """What a blinded reader is asked, in the order of the models' cards, which says nothing of the answer."""
    return tuple(
        TargetAsked(
            number=number,
            result_id=place.result.id,
            finding=place.finding.target,
            meaning=place.finding.code.meaning,
        )
        for number, place in enumerate(_places(told), 1)
    )


def result_seen(result: Result, told: Told) -> ResultSeen:
    """Which model answered, and what is to be said of it."""
    votes = (one.useful for one in told.votes if one.result_id == result.id and one.actor == told.who.actor.name)
    added = (one for one in told.verdicts if one.result_id == result.id and not one.target)
    return ResultSeen(
        id=result.id,
        model=result.model.name,
        model_version=result.model.version,
        qualification=result.model.qualification,
        digest=result.model.digest,
        status=result.status,
        reason=result.reason or "",
        at=result.created_at,
        quality=tuple(note.detail for note in told.notes if note.result_id == result.id),
        added=tuple(map(verdict_of, added)),
        useful=next(votes, None),
    )


def _places(told: Told) -> Iterator[_Place]:
    for result in told.results:
        if result.status is ResultStatus.OK:
            yield from (_Place(result, ordinal, one) for ordinal, one in enumerate(result.findings))


def _seen(number: int, place: _Place, told: Told, *, signed: bool) -> FindingSeen:
    finding, result = place.finding, place.result
    own, others = _said(place, told, signed=signed)
    return FindingSeen(
        number=number,
        result_id=result.id,
        ordinal=place.ordinal,
        model=result.model.name,
        model_version=result.model.version,
        finding=finding.target,
        code=CodeOut(value=finding.code.value, scheme=finding.code.scheme, meaning=finding.code.meaning),
        probability=finding.probability,
        threshold=finding.threshold,
        called=finding.positive,
        urgency=finding.urgency,
        severity=finding.severity,
        laterality=finding.laterality,
        location=finding.location.meaning if finding.location else "",
        instance_id=finding.instance_id,
        box=finding.box,
        heatmap=bool(finding.heatmap_key and finding.picture_key),
        awareness=_awareness(own),
        own=own,
        others=others,
    )


def _said(place: _Place, told: Told, *, signed: bool) -> tuple[VerdictOut | None, tuple[VerdictOut, ...]]:
    """One's own last word; others' after it, so that nobody is led. Who does not read sees all."""
    about = [one for one in told.verdicts if (one.result_id, one.target) == (place.result.id, place.finding.target)]
    mine = next((verdict_of(one) for one in about if one.reader == told.who.actor.name), None)
    if mine is None and not signed and told.who.may(Permission.READ):
        return None, ()
    return mine, tuple(verdict_of(one) for one in about if one.reader != told.who.actor.name)


def _awareness(own: VerdictOut | None) -> Awareness:
    """Of a verdict that is given now, beside the AI's answer."""
    blinded = own is not None and own.awareness in (Awareness.BLINDED, Awareness.CORRECTED)
    return Awareness.CORRECTED if blinded else Awareness.SAW_AI
