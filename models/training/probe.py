"""How much of the answer lies in the style of the picture: a probe that sees no anatomy.

It reads the histogram of grey levels and the strength of each spatial frequency, and nothing about where
anything is. What it scores is what a source, a scanner or an era gives away.
"""

import numpy as np
import numpy.typing as npt
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from models.training.cohort import Cohort
from models.training.crossval import splits
from models.training.recipes import Recipe

LEVELS = 32


def style_scores(recipe: Recipe, cohort: Cohort) -> npt.NDArray[np.float64]:
    """The probe's out-of-fold scores (N,), on the model's own folds."""
    seen = np.stack([np.concatenate([_levels(image), _frequencies(image)]) for image in cohort.large])
    scores = np.zeros(len(cohort.labels))
    for train, test in splits(recipe, cohort):
        model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=1000))
        scores[test] = model.fit(seen[train], cohort.labels[train] > 0.5).decision_function(seen[test])
    return scores


def _levels(image: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    return np.sqrt(np.histogram(image, bins=LEVELS, range=(0, 1))[0] / image.size)


def _frequencies(image: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """The mean log power on each ring of the Fourier plane, under a Hann window."""
    side = image.shape[0]
    window = np.hanning(side)
    power = np.abs(np.fft.fftshift(np.fft.fft2((image - image.mean()) * window[:, None] * window))) ** 2
    steps = np.arange(side) - side // 2
    ring = np.hypot(steps[:, None], steps[None, :]).astype(int)
    inside = ring < side // 2
    totals = np.bincount(ring[inside], np.log(power[inside] + 1e-3))
    return totals / np.bincount(ring[inside])
