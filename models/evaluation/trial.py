"""What a gate looks at: labels, patients, facts, and what each version said of the same images."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from models.change_plan import Evidence, Resampling
from models.evaluation.delong import delong
from models.evaluation.estimate import Estimate
from models.evaluation.resampling import Measure, Sample, estimate
from radloop.domain.learning import Facts

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Scores:
    """One version on the test set: `probabilities` (N,), 0..1, calibrated, and its own operating threshold."""

    probabilities: Floats
    threshold: float

    @property
    def calls(self) -> Bools:
        """What it calls positive, (N,)."""
        return self.probabilities >= self.threshold

    def of(self, rows: npt.NDArray[np.intp]) -> "Scores":
        """The same version on some of the images."""
        return Scores(self.probabilities[rows], self.threshold)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One look at a test set. `labels` (N,) 0 or 1, `groups` (N,) patients, `facts` N; `alpha` is this look's.

    `weights` (N,): how many images of the traffic each one stands for, the inverse of the chance of being drawn
    (Horvitz and Thompson 1952). A set that holds all overrides and a tenth of the agreements would otherwise show the
    champion at its worst.
    """

    labels: Floats
    groups: npt.NDArray[np.str_]
    weights: Floats
    facts: Sequence[Facts]
    alpha: float
    evidence: Evidence
    resampling: Resampling

    @property
    def positive(self) -> Bools:
        """Which images show the finding, (N,)."""
        return self.labels > 0.5

    def of(self, rows: npt.NDArray[np.intp]) -> "Trial":
        """The same look at some of the images."""
        facts = [self.facts[row] for row in rows]
        per_row = {name: getattr(self, name)[rows] for name in ("labels", "groups", "weights")}
        return replace(self, **per_row, facts=facts)

    def resampled(self, measure: Measure) -> Estimate:
        """A measure with bounds at this look's alpha, patients drawn whole."""
        sample = Sample(self.groups, self.weights)
        return estimate(measure, sample, self.alpha, self.resampling.draws, self.resampling.seed)

    def area(self, one: Scores) -> Estimate:
        """An AUC by DeLong."""
        return delong(self.labels, one.probabilities, weights=self.weights).area(self.alpha)

    def gain(self, one: Scores, other: Scores) -> Estimate:
        """What the AUC of one version is above that of another, by paired DeLong."""
        both = delong(self.labels, one.probabilities, other.probabilities, weights=self.weights)
        return both.difference(self.alpha)
