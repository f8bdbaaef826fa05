"""Cross-validation by patient: every image is judged by networks that never saw its patient."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold

from models.spec import Calibration
from models.training.cohort import Cohort
from models.training.fit import fit, votes, weights_of
from models.training.recipes import Recipe

Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class OutOfFold:
    """Each member's logit of every image (N, members), and the fold (N,) that held the image back."""

    votes: Numbers
    fold: npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Operating:
    """What turns votes into an answer, all of it from out-of-fold votes."""

    weights: tuple[float, ...]
    calibration: Calibration
    threshold: float

    def probabilities(self, ballots: Numbers) -> Numbers:
        """Calibrated probabilities (N,) of votes (N, members)."""
        logits = ballots @ np.array(self.weights)
        return np.asarray(1 / (1 + np.exp(-(self.calibration.slope * logits + self.calibration.intercept))))


@dataclass(frozen=True, slots=True)
class Job:
    """One training run of `train` rows from its own seed, so runs may go in any order and beside each other."""

    recipe: Recipe
    cohort: Cohort
    extra: Cohort
    train: npt.NDArray[np.intp]
    seed: int

    def weights(self) -> bytes:
        """The trained committee as fp16 safetensors."""
        return weights_of(fit(self.recipe, self.cohort, self.train, self.extra, self.seed))


def jobs(recipe: Recipe, cohort: Cohort, extra: Cohort) -> list[Job]:
    """One job per fold, and a last one on everything: the one that is shipped."""
    held = [train for train, _ in splits(recipe, cohort)]
    rows = [*held, np.arange(len(cohort.labels))]
    seeds = [*(recipe.seed + 100 * (number + 1) for number in range(len(held))), recipe.seed]
    return [Job(recipe, cohort, extra, train, seed) for train, seed in zip(rows, seeds, strict=True)]


def out_of_fold(recipe: Recipe, cohort: Cohort, weights: Sequence[bytes]) -> OutOfFold:
    """What each fold's weights, read back from fp16, say of the images held back from them."""
    ballots = np.zeros((len(cohort.labels), recipe.members + 1))
    fold = np.zeros(len(cohort.labels), np.intp)
    for number, (_, test) in enumerate(splits(recipe, cohort)):
        ballots[test], fold[test] = votes(recipe, weights[number], cohort.small[test]), number
    return OutOfFold(ballots, fold)


def splits(recipe: Recipe, cohort: Cohort) -> list[tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]]:
    """Rows to train on and rows held back, per fold; no group is in both, and classes are balanced."""
    folder = StratifiedGroupKFold(recipe.folds, shuffle=True, random_state=recipe.seed)
    return list(folder.split(np.zeros(len(cohort.labels)), cohort.labels, cohort.groups))


def operating(
    recipe: Recipe, ballots: Numbers, labels: npt.NDArray[np.float32], counts: Numbers | None = None
) -> Operating:
    """Weights, Platt scaling (Platt 1999) and the threshold of Youden's index, from these votes.

    `counts` (N,) is how much each image counts, where they were not drawn alike.
    """
    weights = _weights(recipe, ballots)
    logits = ballots @ np.array(weights)
    platt = LogisticRegression(C=1e4).fit(logits[:, None], labels > 0.5, sample_weight=counts)
    calibration = Calibration(
        method="platt", slope=round(float(platt.coef_[0, 0]), 6), intercept=round(float(platt.intercept_[0]), 6)
    )
    draft = Operating(weights, calibration, 0.5)
    return Operating(weights, calibration, _youden(draft.probabilities(ballots), labels, counts))


def held_back(recipe: Recipe, oof: OutOfFold, labels: npt.NDArray[np.float32]) -> tuple[Numbers, npt.NDArray[np.bool_]]:
    """Probabilities and calls of every image, calibrated and cut by what the other folds alone say."""
    probabilities, calls = np.zeros(len(labels)), np.zeros(len(labels), bool)
    for number in range(recipe.folds):
        inside = oof.fold == number
        others = operating(recipe, oof.votes[~inside], labels[~inside])
        probabilities[inside] = others.probabilities(oof.votes[inside])
        calls[inside] = probabilities[inside] >= others.threshold
    return probabilities, calls


def _weights(recipe: Recipe, ballots: Numbers) -> tuple[float, ...]:
    """The recipe's shares, over the spread of the votes: a loud member has no more say."""
    linear = (1 - recipe.share) / float(ballots[:, 0].std())
    if not recipe.members:
        return (linear,)
    each = recipe.share / float(ballots[:, 1:].mean(axis=1).std()) / recipe.members
    return (round(linear, 6), *(round(each, 6) for _ in range(recipe.members)))


def _youden(probabilities: Numbers, labels: npt.NDArray[np.float32], counts: Numbers | None = None) -> float:
    """The threshold, half-way between two scores, with the largest sensitivity + specificity - 1."""
    scores = np.unique(probabilities)
    cuts = (scores[1:] + scores[:-1]) / 2 if len(scores) > 1 else scores
    positive, counts = labels > 0.5, np.ones(len(labels)) if counts is None else counts

    def share(rows: npt.NDArray[np.bool_], cut: float) -> float:
        return float(np.average(probabilities[rows] >= cut, weights=counts[rows]))

    gains = [share(positive, cut) - share(~positive, cut) for cut in cuts]
    return round(float(cuts[int(np.argmax(gains))]), 4)
