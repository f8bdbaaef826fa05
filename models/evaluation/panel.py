"""All gates of the plan in their order, and what they come to together."""

from collections.abc import Sequence
from dataclasses import dataclass

from models.change_plan import ChangePlan
from models.evaluation import gates
from models.evaluation.trial import Scores, Trial
from radloop.domain.enums import GateOutcome
from radloop.domain.learning import GateVerdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Timings:
    """Seconds per image at batch 1, the same images in turn. `champion` is empty where there is none."""

    challenger: tuple[float, ...]
    champion: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Contest:
    """What the versions said of the test set. Without a champion the plan's floors decide."""

    challenger: Scores
    champion: Scores | None
    original: Scores | None
    timings: Timings


def judge(trial: Trial, contest: Contest, plan: ChangePlan) -> tuple[GateVerdict, ...]:
    """Every measured gate: against champion and original, or for a first champion against the floors."""
    if contest.champion is None:
        return (*_floors(trial, contest, plan), *_against_original(trial, contest, plan))
    return (*_against(trial, contest, contest.champion, plan), *_against_original(trial, contest, plan))


def overall(verdicts: Sequence[GateVerdict]) -> GateOutcome:
    """FAIL where any gate failed; else insufficient where any could not decide, or there is none; else PASS."""
    found = {one.outcome for one in verdicts} or {GateOutcome.INSUFFICIENT_EVIDENCE}
    order = (GateOutcome.FAIL, GateOutcome.INSUFFICIENT_EVIDENCE, GateOutcome.PASS)
    return next(outcome for outcome in order if outcome in found)


def _against(trial: Trial, contest: Contest, champion: Scores, plan: ChangePlan) -> tuple[GateVerdict, ...]:
    new, rules = contest.challenger, plan.gates
    seconds = contest.timings
    return (
        gates.auc_noninferiority("auc_champion", trial, new, champion, rules.auc.margin),
        gates.sensitivity_noninferiority(trial, new, champion, rules.sensitivity.margin),
        gates.specificity_noninferiority(trial, new, champion, rules.specificity.margin),
        gates.worst_subgroup(trial, new, champion, rules.subgroup),
        *gates.calibration_noninferiority(trial, new, champion, rules.calibration),
        gates.latency_ratio(seconds.challenger, seconds.champion, rules.latency.factor, rules.latency.images, trial),
    )


def _against_original(trial: Trial, contest: Contest, plan: ChangePlan) -> tuple[GateVerdict, ...]:
    if contest.original is None:
        return ()
    margin = plan.gates.auc.margin
    return (gates.auc_noninferiority("auc_original", trial, contest.challenger, contest.original, margin),)


def _floors(trial: Trial, contest: Contest, plan: ChangePlan) -> tuple[GateVerdict, ...]:
    new, rule, positive = contest.challenger, plan.bootstrap, trial.positive
    seconds, images = contest.timings.challenger, plan.gates.latency.images
    return (
        gates.auc_floor("auc_floor", trial, new, rule.auc, rule.reach),
        gates.share_floor("sensitivity_floor", trial, positive, new.calls, rule.sensitivity, rule.reach),
        gates.share_floor("specificity_floor", trial, ~positive, ~new.calls, rule.specificity, rule.reach),
        gates.worst_subgroup(trial, new, None, plan.gates.subgroup),
        gates.calibration_limit("ece", trial, new, rule.ece, rule.reach),
        gates.calibration_limit("brier", trial, new, rule.brier, rule.reach),
        gates.latency_limit(seconds, rule.seconds, images, trial),
    )
