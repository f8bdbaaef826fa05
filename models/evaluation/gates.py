"""The measured gates: each a small pure function from scores to a verdict with its interval.

A version is let in only where every gate passes, so each may use the whole alpha of its look (intersection-union test,
Berger 1982, Technometrics 24:295).
"""

from math import isfinite

import numpy as np

from models.change_plan import CalibrationGate, SubgroupGate
from models.evaluation.estimate import Estimate
from models.evaluation.noninferiority import Decision, agreed, at_least, at_most, lacking, not_worse
from models.evaluation.paired import newcombe, share
from models.evaluation.resampling import (
    Measure,
    auc_of,
    brier_of,
    calibration_error_of,
    difference,
    share_of,
)
from models.evaluation.subgroups import Finding, examine, large_enough, subgroups
from models.evaluation.trial import Bools, Floats, Scores, Trial
from radloop.domain.enums import GateOutcome
from radloop.domain.learning import GateVerdict

INSUFFICIENT = GateOutcome.INSUFFICIENT_EVIDENCE
CALIBRATION = {"ece": calibration_error_of, "brier": brier_of}


def auc_noninferiority(gate: str, trial: Trial, new: Scores, old: Scores, margin: float) -> GateVerdict:
    """The AUC is not lower by more than the margin: paired DeLong, and a patient-clustered bootstrap that agrees."""
    if short := lacking(trial):
        return too_few(gate, trial, short, margin)
    paired = trial.gain(new, old)
    areas = (auc_of(trial.labels, one.probabilities) for one in (new, old))
    clustered = trial.resampled(difference(*areas))
    decision = agreed(*(not_worse(one, margin, trial.evidence) for one in (paired, clustered)))
    words = f"{decision.words}; AUC {trial.area(new).value:.3f}, was {trial.area(old).value:.3f}"
    return verdict(gate, Decision(decision.outcome, words), paired.wider(clustered), margin, len(trial.labels))


def auc_floor(gate: str, trial: Trial, new: Scores, floor: float, reach: float) -> GateVerdict:
    """The AUC is above a floor, by DeLong and by the bootstrap."""
    if short := lacking(trial):
        return too_few(gate, trial, short, floor)
    single = trial.area(new)
    clustered = trial.resampled(auc_of(trial.labels, new.probabilities))
    decision = agreed(*(at_least(one, floor, reach, trial.evidence) for one in (single, clustered)))
    return verdict(gate, decision, single.wider(clustered), floor, len(trial.labels))


def sensitivity_noninferiority(trial: Trial, new: Scores, old: Scores, margin: float) -> GateVerdict:
    """Positives that are called, each version at its own threshold: not fewer by more than the margin."""
    return _calls("sensitivity", trial, trial.positive, (new.calls, old.calls), margin)


def specificity_noninferiority(trial: Trial, new: Scores, old: Scores, margin: float) -> GateVerdict:
    """Negatives that are not called, each version at its own threshold: not fewer by more than the margin."""
    return _calls("specificity", trial, ~trial.positive, (~new.calls, ~old.calls), margin)


def share_floor(gate: str, trial: Trial, among: Bools, hits: Bools, floor: float, reach: float) -> GateVerdict:
    """The share of `among` (N,) that are `hits` (N,) is above a floor: the wider of Wilson's and the bootstrap's."""
    if short := lacking(trial):
        return too_few(gate, trial, short, floor)
    found = share(hits[among], trial.weights[among], trial.alpha).wider(trial.resampled(share_of(hits, among)))
    return verdict(gate, at_least(found, floor, reach, trial.evidence), found, floor, int(among.sum()))


def calibration_noninferiority(
    trial: Trial, new: Scores, old: Scores, gate: CalibrationGate
) -> tuple[GateVerdict, ...]:
    """ECE and Brier score are not higher by more than their margins."""
    return tuple(_not_higher(name, trial, new, old, getattr(gate, name)) for name in CALIBRATION)


def calibration_limit(name: str, trial: Trial, new: Scores, limit: float, reach: float) -> GateVerdict:
    """ECE or Brier score (`name`) is below a limit."""
    gate = f"{name}_limit"
    if short := lacking(trial):
        return too_few(gate, trial, short, limit)
    found = trial.resampled(CALIBRATION[name](trial.labels, new.probabilities))
    return verdict(gate, at_most(found, limit, reach, trial.evidence), found, limit, len(trial.labels))


def worst_subgroup(trial: Trial, new: Scores, old: Scores | None, gate: SubgroupGate) -> GateVerdict:
    """Every subgroup with enough cases stands above the floor and lost no more than the margin; the worst is shown."""
    groups = list(subgroups(trial, gate.facts))
    judged = [one for one in groups if large_enough(trial, one, gate)]
    small = [one for one in groups if not large_enough(trial, one, gate)]
    listed = f"; too small to judge: {', '.join(map(str, small))}" if small else ""
    if not judged:
        return too_few("worst_subgroup", trial, f"no subgroup is large enough{listed}", gate.margin)
    worst = min((f for one in judged for f in examine(trial, one, new, old, gate)), key=lambda found: found.rank)
    missing = [str(one) for one in small if one.fact in gate.required]
    decision = _with_missing(worst, missing)
    shown = Decision(decision.outcome, f"{decision.words} ({len(judged)} judged{listed})")
    limit = gate.floor if worst.limit > 0 else gate.margin
    return verdict("worst_subgroup", shown, worst.estimate, limit, len(worst.subgroup.rows))


def latency_ratio(
    new: tuple[float, ...], old: tuple[float, ...], factor: float, least: int, trial: Trial
) -> GateVerdict:
    """An image takes at most `factor` times the champion's seconds: the median over the same images, read in turn."""
    if min(len(new), len(old)) < least:
        return too_few("latency", trial, f"{len(new)} of {least} images", factor)
    found = _median(np.array(new) / np.array(old), trial)
    return verdict("latency", at_most(found, factor, factor - 1.0, trial.evidence), found, factor, len(new))


def latency_limit(new: tuple[float, ...], limit: float, least: int, trial: Trial) -> GateVerdict:
    """The median of seconds per image is below a limit."""
    if len(new) < least:
        return too_few("latency", trial, f"{len(new)} of {least} images", limit)
    found = _median(np.array(new), trial)
    return verdict("latency", at_most(found, limit, limit / 2, trial.evidence), found, limit, len(new))


def verdict(gate: str, decision: Decision, found: Estimate | None, margin: float | None, n: int) -> GateVerdict:
    """The record of a gate; what could not be measured is None."""
    value, low, high = (found.value, found.low, found.high) if found else (None, None, None)
    return GateVerdict(
        gate=gate,
        outcome=decision.outcome,
        value=_finite(value),
        low=_finite(low),
        high=_finite(high),
        margin=margin,
        n=n,
        words=decision.words,
    )


def too_few(gate: str, trial: Trial, short: str, margin: float) -> GateVerdict:
    """Nothing is decided below the least numbers of the plan."""
    return verdict(gate, Decision(INSUFFICIENT, f"too few cases: {short}"), None, margin, len(trial.labels))


def _calls(gate: str, trial: Trial, among: Bools, hits: tuple[Bools, Bools], margin: float) -> GateVerdict:
    if short := lacking(trial):
        return too_few(gate, trial, short, margin)
    new, old = hits
    clustered = trial.resampled(difference(share_of(new, among), share_of(old, among)))
    weights = trial.weights[among]
    found = newcombe(new[among], old[among], weights, trial.alpha).wider(clustered)
    decision = not_worse(found, margin, trial.evidence)
    before = share(old[among], weights, trial.alpha).value
    words = f"{decision.words}; {gate} {before + found.value:.3f}, was {before:.3f}"
    return verdict(gate, Decision(decision.outcome, words), found, margin, int(among.sum()))


def _not_higher(name: str, trial: Trial, new: Scores, old: Scores, margin: float) -> GateVerdict:
    if short := lacking(trial):
        return too_few(name, trial, short, margin)
    measures: list[Measure] = [CALIBRATION[name](trial.labels, one.probabilities) for one in (new, old)]
    found = trial.resampled(difference(*measures))
    return verdict(name, at_most(found, margin, margin, trial.evidence), found, margin, len(trial.labels))


def _with_missing(worst: Finding, missing: list[str]) -> Decision:
    if worst.decision.outcome is GateOutcome.FAIL or not missing:
        return Decision(worst.decision.outcome, worst.words)
    return Decision(
        INSUFFICIENT, f"must be judged and is too small: {', '.join(missing)}; worst of the others {worst.words}"
    )


def _median(values: Floats, trial: Trial) -> Estimate:
    """The median of values (n,), drawn with replacement."""
    rng = np.random.default_rng(trial.resampling.seed)
    picks = rng.integers(len(values), size=(trial.resampling.draws, len(values)))
    low, high = np.quantile(np.median(values[picks], axis=1), (trial.alpha, 1.0 - trial.alpha))
    return Estimate(float(np.median(values)), float(low), float(high), trial.alpha)


def _finite(value: float | None) -> float | None:
    return value if value is not None and isfinite(value) else None
