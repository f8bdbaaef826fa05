"""What radloop's judge says at each look: the lowest rate at which it would have found something."""

from collections.abc import Iterator, Sequence

import numpy as np

from data_checks.columns import Columns
from data_checks.ground import Ground, prepare
from data_checks.judging import survey
from data_checks.rules import Rules
from serving.cli.simulate_rows import Pools
from tests.drift.streams import Plan, Run, looks, reference, streams

NAME = "radloop"
WINDOW = 1500
"""The latest studies that a look is given; the judge chooses its own lengths of them."""


def scores(pools: Pools, plan: Plan, runs: Sequence[Run], limit: float | None) -> np.ndarray:
    """(runs, looks): minus the common logarithm of that rate; NaN after the first look that reaches `limit`."""
    grounds = _grounds(pools, plan)
    rows = [
        list(_looked(grounds[number % plan.references], stream, looks(plan), limit))
        for (_, number), stream in zip(runs, streams(pools, plan, runs), strict=True)
    ]
    return np.array([row + [np.nan] * (len(looks(plan)) - len(row)) for row in rows])


def _looked(ground: Ground, stream: Columns, at: range, limit: float | None) -> Iterator[float]:
    for seen in at:
        found = survey(ground, stream.take(np.arange(max(0, seen - WINDOW), seen)))
        score = -float(np.log10(max(found.surest, 1e-300)))
        yield score
        if limit is not None and score >= limit:
            return


def _grounds(pools: Pools, plan: Plan) -> list[Ground]:
    return [prepare(reference(pools, plan, number), Rules()) for number in range(plan.references)]
