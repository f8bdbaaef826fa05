"""When a measured number passes, fails, or says nothing. The table stands in docs/gates.md."""

from dataclasses import dataclass

import numpy as np

from models.change_plan import Evidence
from models.evaluation.estimate import Estimate, power
from models.evaluation.paired import effective
from models.evaluation.trial import Trial
from radloop.domain.enums import GateOutcome


@dataclass(frozen=True, slots=True)
class Decision:
    """An outcome and why, in words."""

    outcome: GateOutcome
    words: str


def at_least(found: Estimate, limit: float, reach: float, evidence: Evidence) -> Decision:
    """Whether a measure (more is better) is shown to lie above `limit`.

    `reach`: how far above the limit the truth is supposed to lie: for non-inferiority the margin, where limit is its
    negative and equal versions lie at 0. Power is reckoned for that truth; a lower bound beyond it needs no power,
    since it has shown more than was asked.
    """
    chance = power(found.error, reach, found.alpha)
    if not np.isfinite([found.value, found.low, found.high]).all():
        return Decision(GateOutcome.INSUFFICIENT_EVIDENCE, "it could not be measured")
    if found.high < limit:
        return Decision(GateOutcome.FAIL, f"shown to be beyond the limit of {abs(limit):.3g}")
    if found.low <= limit:
        words = f"neither side of the limit of {abs(limit):.3g} is shown (power {chance:.0%})"
        return Decision(GateOutcome.INSUFFICIENT_EVIDENCE, words)
    if chance < evidence.power and found.low <= limit + reach:
        words = f"power {chance:.0%}, {evidence.power:.0%} are needed: too few cases"
        return Decision(GateOutcome.INSUFFICIENT_EVIDENCE, words)
    return Decision(GateOutcome.PASS, f"shown to be within the limit of {abs(limit):.3g}")


def at_most(found: Estimate, limit: float, reach: float, evidence: Evidence) -> Decision:
    """Whether a measure (less is better) is shown to lie below `limit`; as `at_least`."""
    return at_least(-found, -limit, reach, evidence)


def not_worse(found: Estimate, margin: float, evidence: Evidence) -> Decision:
    """Whether a difference (more is better) is shown to be no loss greater than `margin`."""
    return at_least(found, -margin, margin, evidence)


def agreed(first: Decision, second: Decision) -> Decision:
    """What two ways of measuring the same say together: what both say, or that they do not agree."""
    if first.outcome is second.outcome:
        return first
    words = f"DeLong says {first.outcome} and the bootstrap {second.outcome}: they must agree"
    return Decision(GateOutcome.INSUFFICIENT_EVIDENCE, words)


def lacking(trial: Trial) -> str:
    """What there is too little of for any decision, in words; '' where there is enough.

    Positives and negatives of unequal weight count as the number of equal ones that they are worth.
    """
    counts = {
        "positives": (int(effective(trial.weights[trial.positive])), trial.evidence.positives),
        "negatives": (int(effective(trial.weights[~trial.positive])), trial.evidence.negatives),
        "patients": (len(np.unique(trial.groups)), trial.evidence.patients),
    }
    return ", ".join(f"{n} {what} of {least}" for what, (n, least) in counts.items() if n < least)
