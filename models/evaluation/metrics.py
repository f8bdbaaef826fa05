"""Measures of a binary classifier. `labels` and `scores` are (N,); labels 0 or 1, probabilities 0..1."""

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

Numbers = npt.NDArray[np.float64] | npt.NDArray[np.float32] | npt.NDArray[np.int64] | npt.NDArray[np.bool_]


def auc(labels: Numbers, scores: Numbers) -> float:
    """The area under the ROC curve (Mann-Whitney U over all pairs, ties count half); nan with one class only."""
    positive = _set(labels)
    n_positive, n_negative = int(positive.sum()), int((~positive).sum())
    if not n_positive or not n_negative:
        return float("nan")
    ranks = rankdata(np.asarray(scores))
    return float((ranks[positive].sum() - n_positive * (n_positive + 1) / 2) / (n_positive * n_negative))


def sensitivity(labels: Numbers, called: Numbers) -> float:
    """The share of positives that were called positive; nan without any."""
    return _share(_set(called), _set(labels))


def specificity(labels: Numbers, called: Numbers) -> float:
    """The share of negatives that were called negative; nan without any."""
    return _share(~_set(called), ~_set(labels))


def brier(labels: Numbers, probabilities: Numbers) -> float:
    """The mean squared error of the probabilities (Brier 1950): 0 is perfect, 0.25 is a coin."""
    return float(np.mean((np.asarray(probabilities, np.float64) - np.asarray(labels, np.float64)) ** 2))


def calibration_error(labels: Numbers, probabilities: Numbers, bins: int = 10) -> float:
    """Expected calibration error (Naeini 2015): the mean gap between probability and frequency, equal-width bins."""
    y, p = np.asarray(labels, np.float64), np.asarray(probabilities, np.float64)
    place = np.minimum((p * bins).astype(int), bins - 1)
    gaps = (abs(float(y[place == b].mean() - p[place == b].mean())) * int((place == b).sum()) for b in np.unique(place))
    return float(sum(gaps) / len(y))


def _set(values: Numbers) -> npt.NDArray[np.bool_]:
    return np.asarray(values, np.float64) > 0.5


def _share(hits: npt.NDArray[np.bool_], among: npt.NDArray[np.bool_]) -> float:
    return float(hits[among].mean()) if among.any() else float("nan")
