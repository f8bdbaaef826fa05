"""What was measured, as numbers for `metrics.json` and words for the card."""

import platform
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from importlib.metadata import version

import numpy as np
import numpy.typing as npt
import torch

from models.evaluation import Interval, auc, bootstrap, brier, calibration_error, sensitivity, specificity
from models.training.cohort import Cohort
from models.training.crossval import Operating, OutOfFold, held_back
from models.training.probe import style_scores
from models.training.recipes import Recipe

PACKAGES = ("torch", "monai", "numpy", "scikit-learn")


@dataclass(frozen=True, slots=True)
class Report:
    """Out-of-fold measures with 95 % intervals, the shape of the data, and how it was run."""

    measures: Mapping[str, Interval]
    by_member: tuple[float, ...]
    by_fold: tuple[float, ...]
    data: Mapping[str, int]
    run: Mapping[str, str | int]


def report(recipe: Recipe, cohort: Cohort, oof: OutOfFold, final: Operating) -> Report:
    """Measure the out-of-fold votes. AUC pools the folds; the rest is calibrated and cut by the other folds."""
    probabilities, calls = held_back(recipe, oof, cohort.labels)
    pooled = final.probabilities(oof.votes)
    style = style_scores(recipe, cohort)
    y = cohort.labels
    measures = {
        "auc": lambda rows: auc(y[rows], pooled[rows]),
        "sensitivity": lambda rows: sensitivity(y[rows], calls[rows]),
        "specificity": lambda rows: specificity(y[rows], calls[rows]),
        "brier": lambda rows: brier(y[rows], probabilities[rows]),
        "ece": lambda rows: calibration_error(y[rows], probabilities[rows]),
        "style_auc": lambda rows: auc(y[rows], style[rows]),
    }
    return Report(
        measures={name: bootstrap(measure, cohort.groups, seed=recipe.seed) for name, measure in measures.items()},
        by_member=tuple(round(auc(y, votes), 4) for votes in oof.votes.T),
        by_fold=tuple(round(auc(y[oof.fold == k], pooled[oof.fold == k]), 4) for k in range(recipe.folds)),
        data=_shape(recipe, cohort),
        run=_run(recipe),
    )


def as_json(recipe: Recipe, found: Report, final: Operating) -> Mapping[str, object]:
    """The report as plain JSON; numbers rounded to 1e-4."""
    return {
        "model": recipe.name,
        "version": recipe.version,
        "out_of_fold": {name: _interval(one) for name, one in found.measures.items()},
        "auc_by_member": list(found.by_member),
        "auc_by_fold": list(found.by_fold),
        "operating": {"threshold": final.threshold, "weights": list(final.weights)},
        "data": dict(found.data),
        "run": dict(found.run),
    }


def as_card(recipe: Recipe, found: Report, final: Operating) -> str:
    """The model card: the recipe's own text with the measured numbers in it."""
    text = (resources.files("models.training") / "cards" / f"{recipe.name}.md").read_text("utf-8")
    words = {name: str(one) for name, one in found.measures.items()}
    return text.format(
        version=recipe.version,
        threshold=f"{final.threshold:.4f}",
        escalate_at=recipe.target.escalate_at,
        escalates_to=recipe.target.escalates_to.value,
        folds=", ".join(f"{one:.3f}" for one in found.by_fold),
        linear=f"{found.by_member[0]:.3f}",
        residual=", ".join(f"{one:.3f}" for one in found.by_member[1:]) or "none",
        **words,
        **{name: str(count) for name, count in found.data.items()},
    )


def _interval(one: Interval) -> Mapping[str, float]:
    return {"value": round(one.value, 4), "low": round(one.low, 4), "high": round(one.high, 4)}


def _shape(recipe: Recipe, cohort: Cohort) -> Mapping[str, int]:
    positives = int(cohort.labels.sum())
    return {
        "images": len(cohort.labels),
        "positives": positives,
        "negatives": len(cohort.labels) - positives,
        "groups": _distinct(cohort.groups),
        "phantoms": 2 * recipe.phantoms,
    }


def _distinct(groups: npt.NDArray[np.intp]) -> int:
    return len(np.unique(groups))


def _run(recipe: Recipe) -> Mapping[str, str | int]:
    """What must be the same for the same weights: another thread count sums in another order."""
    packages = {name: version(name) for name in PACKAGES}
    return {
        "seed": recipe.seed,
        "device": "cpu",
        "precision": "float32",
        "threads": torch.get_num_threads(),
        "machine": platform.machine(),
        **packages,
    }
