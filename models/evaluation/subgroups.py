"""Scanner, site, sex and age band, one by one: what is gained overall must not be paid for by some."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.change_plan import SubgroupGate
from models.evaluation.estimate import Estimate
from models.evaluation.noninferiority import Decision, at_least, not_worse
from models.evaluation.paired import effective
from models.evaluation.resampling import auc_of, difference
from models.evaluation.trial import Scores, Trial
from radloop.domain.enums import GateOutcome

SEVERITY = (GateOutcome.FAIL, GateOutcome.INSUFFICIENT_EVIDENCE, GateOutcome.PASS)


@dataclass(frozen=True, slots=True)
class Subgroup:
    """The rows (n,) of one value of one fact."""

    fact: str
    value: str
    rows: npt.NDArray[np.intp]

    def __str__(self) -> str:
        return f"{self.fact} {self.value}"


@dataclass(frozen=True, slots=True)
class Finding:
    """One measure of one subgroup, held against its limit."""

    subgroup: Subgroup
    measure: str
    estimate: Estimate
    limit: float
    decision: Decision

    @property
    def rank(self) -> tuple[int, float]:
        """The worst first: by outcome, then by how far the bound is from the limit."""
        return SEVERITY.index(self.decision.outcome), self.estimate.low - self.limit

    @property
    def words(self) -> str:
        """What was found, for a person."""
        return f"{self.subgroup}: {self.measure} {self.estimate.value:+.3f}, {self.decision.words}"


def subgroups(trial: Trial, facts: Sequence[str]) -> Iterator[Subgroup]:
    """Every known value of every fact; images of which it is unknown belong to none."""
    for fact in facts:
        rows = defaultdict(list)
        for row, known in enumerate(trial.facts):
            rows[str(getattr(known, fact))].append(row)
        yield from (Subgroup(fact, value, np.array(rows[value], np.intp)) for value in sorted(rows) if value)


def large_enough(trial: Trial, subgroup: Subgroup, gate: SubgroupGate) -> bool:
    """Whether there are enough cases of both kinds to say anything of it."""
    part = trial.of(subgroup.rows)
    positives, negatives = effective(part.weights[part.positive]), effective(part.weights[~part.positive])
    return int(positives) >= gate.positives and int(negatives) >= gate.negatives


def examine(
    trial: Trial, subgroup: Subgroup, challenger: Scores, champion: Scores | None, gate: SubgroupGate
) -> tuple[Finding, ...]:
    """Its AUC against the floor and, where there is a champion, what it lost against it.

    The wider of DeLong's interval and the patient-clustered bootstrap's counts.
    """
    part, new = trial.of(subgroup.rows), challenger.of(subgroup.rows)
    area = auc_of(part.labels, new.probabilities)
    found = part.area(new).wider(part.resampled(area))
    floor = at_least(found, gate.floor, gate.margin, trial.evidence)
    above = Finding(subgroup, "AUC", found, gate.floor, floor)
    if champion is None:
        return (above,)
    old = champion.of(subgroup.rows)
    gain = part.gain(new, old).wider(part.resampled(difference(area, auc_of(part.labels, old.probabilities))))
    return above, Finding(subgroup, "AUC change", gain, -gate.margin, not_worse(gain, gate.margin, trial.evidence))
