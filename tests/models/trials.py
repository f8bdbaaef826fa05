"""Simulated test sets: binormal readers of the same images, whose AUC is known."""

from dataclasses import replace
from math import sqrt
from typing import Any

import numpy as np

from models.change_plan import ChangePlan, read_plan
from models.evaluation.panel import Contest, Timings
from models.evaluation.trial import Floats, Scores, Trial
from radloop.domain.learning import Facts

SEPARATION = 4.0
"""Distance of the two classes in standard deviations: an AUC of 0.998."""


def plan() -> ChangePlan:
    """The plan of a model of the zoo, with fewer draws."""
    real = read_plan("cxr_pneumonia")
    return real.model_copy(update={"resampling": real.resampling.model_copy(update={"draws": 1000})})


def labels(n: int, seed: int = 0) -> Floats:
    return (np.random.default_rng([seed, 0]).random(n) < 0.5).astype(np.float64)


def trial(n: int, seed: int = 0, images_per_patient: int = 1, **changes: Any) -> Trial:
    rules = plan()
    facts = [
        Facts(site="ABC"[i % 3], scanner="XY"[i % 2], sex="FM"[i // 3 % 2], age_band=("20-39", "40-59")[i // 7 % 2])
        for i in range(n)
    ]
    made = Trial(
        labels=labels(n, seed),
        groups=np.array([f"patient {i // images_per_patient}" for i in range(n)]),
        weights=np.ones(n),
        facts=facts,
        alpha=0.025,
        evidence=rules.evidence,
        resampling=rules.resampling,
    )
    return replace(made, **changes)


def reader(of: Trial, name: int, separation: float = SEPARATION, own: float = 0.2, seed: int = 0) -> Scores:
    """One version's calibrated probabilities. Readers share most of what makes an image hard; `own` is their own."""
    n = len(of.labels)
    shared = np.random.default_rng([seed, 1]).normal(size=n)
    alone = np.random.default_rng([seed, 2, name]).normal(size=n)
    evidence = separation * (of.labels - 0.5) + sqrt(1 - own**2) * shared + own * alone
    return Scores(1 / (1 + np.exp(-separation * evidence)), 0.5)


def contest(of: Trial, challenger: Scores, seed: int = 0) -> Contest:
    rng = np.random.default_rng([seed, 3])
    first, second = (tuple((0.01 + 0.001 * rng.random(40)).tolist()) for _ in range(2))
    champion, original = (reader(of, name, seed=seed) for name in (2, 3))
    return Contest(
        challenger=challenger,
        champion=champion,
        original=original,
        timings=Timings(challenger=first, champion=second),
    )
