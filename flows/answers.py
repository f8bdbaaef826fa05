"""From what inference says to what the ledger keeps: findings by the card's table, results with their predecessor."""

from collections.abc import Mapping
from datetime import datetime

from models.spec import ModelSpec, TargetSpec
from radloop.domain.enums import ResultStatus
from radloop.domain.errors import Unavailable
from radloop.domain.ids import new_id
from radloop.domain.records import Finding, InferenceAnswer, ModelVersion, Result, TargetScore
from radloop.settings import Escalation

ROUNDING = 4
"""Batch shapes differ by about 2e-7: digits that would differ are not kept."""


def answered(
    version_id: str,
    model: ModelVersion,
    spec: ModelSpec,
    answer: InferenceAnswer,
    overrides: Mapping[str, Escalation],
    at: datetime,
) -> Result:
    """The result that an answer of the service makes. `overrides` is the site's table for this model.

    Raises:
        Unavailable: the answer does not score every target of the card, each once and within 0..1.
    """
    ok = answer.status is ResultStatus.OK
    return Result(
        id=new_id("rs"),
        version_id=version_id,
        model=model,
        status=answer.status,
        reason=answer.reason,
        findings=_findings(spec, answer, overrides) if ok else (),
        run=answer.run,
        predecessor_id=None,
        created_at=at,
    )


def not_applicable(version_id: str, model: ModelVersion, reason: str, at: datetime) -> Result:
    """The result of a study that lies outside the model's card."""
    return Result(
        id=new_id("rs"),
        version_id=version_id,
        model=model,
        status=ResultStatus.NOT_APPLICABLE,
        reason=reason,
        findings=(),
        run=None,
        predecessor_id=None,
        created_at=at,
    )


def _findings(spec: ModelSpec, answer: InferenceAnswer, overrides: Mapping[str, Escalation]) -> tuple[Finding, ...]:
    scores = {score.target: score for score in answer.scores}
    if len(scores) != len(answer.scores) or set(scores) != {target.name for target in spec.targets}:
        raise Unavailable("inference did not score every target of the card once")
    return tuple(_finding(spec, target, scores[target.name], overrides) for target in spec.targets)


def _finding(spec: ModelSpec, target: TargetSpec, score: TargetScore, overrides: Mapping[str, Escalation]) -> Finding:
    if not 0.0 <= score.probability <= 1.0:
        raise Unavailable("inference gave a probability outside 0..1")
    probability = round(score.probability, ROUNDING)
    return Finding(
        target=target.name,
        code=target.code,
        probability=probability,
        threshold=round(target.threshold, ROUNDING),
        urgency=spec.urgency_of(target.name, probability, overrides),
        location=target.location,
        instance_id=score.instance_id,
        picture_key=score.picture_key,
        heatmap_key=score.heatmap_key,
        box=score.box,
    )
