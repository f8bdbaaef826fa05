"""What radloop's judge says at each look: the lowest rate at which it would have found something."""

from collections.abc import Iterator, Sequence

import numpy as np

from data_checks.columns import Columns
from data_checks.ground import Ground, prepare
from data_checks.judging import survey
from data_checks.rules import Rules
from tests.drift.streams import Run

WINDOW = 1500
"""The latest studies that a look is given; the judge chooses its own lengths of them."""


def grounds(references: Sequence[Columns]) -> list[Ground]:
    """Every reference, made ready."""
    return [prepare(one, Rules()) for one in references]


def scores(
    grounds: Sequence[Ground], rows: Sequence[Columns], runs: Sequence[Run], at: range, limit: float
) -> np.ndarray:
    """(runs, looks): minus the common logarithm of that rate; NaN after the first look that reaches `limit`."""
    found = np.full((len(runs), len(at)), np.nan)
    for place, ((_, number), stream) in enumerate(zip(runs, rows, strict=True)):
        looked = list(_looked(grounds[number % len(grounds)], stream, at, limit))
        found[place, : len(looked)] = looked
    return found


def _looked(ground: Ground, stream: Columns, at: range, limit: float) -> Iterator[float]:
    for seen in at:
        found = survey(ground, stream.take(np.arange(max(0, seen - WINDOW), seen)))
        score = -float(np.log10(max(found.surest, 1e-300)))
        yield score
        if score >= limit:
            return
