"""How one stratum's rows become points: normal scores of what was measured, and components of the embeddings."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from scipy.special import ndtri

from data_checks.columns import Columns, Floats, Vectors
from data_checks.statistics import mmd, profile
from data_checks.statistics.ks import places
from data_checks.statistics.tail import Tail, tail

MOST_KNOWN: Final = 5000
"""Values of a stratum's reference that a distribution is known by; more sharpen nothing that matters."""
COMPONENTS: Final = 16
FURTHEST: Final = 5.0
VALUES: Final = 8
"""Different values below which a numeric column has no place among the points: a setting rather than a measurement."""
FOLDS: Final = 5
LEAST_APART: Final = 100
"""Rows below which nothing is said of single ones: a tail of fewer than 10 values is none."""
MOST_APART: Final = 1000
"""Rows whose distances teach how far out rows lie, evenly spread over the reference: their tail is learned from few."""


@dataclass(frozen=True, slots=True)
class Axes:
    """The principal components of a stratum's embeddings: middle (64,), (64, r) directions scaled to unit variance."""

    middle: Floats
    directions: Floats

    def scores(self, rows: Vectors) -> Floats:
        """(n, r), NaN where a row has no embedding."""
        found: Floats = (rows - self.middle) @ self.directions
        return found


@dataclass(frozen=True, slots=True)
class Shape:
    """What points are made by.

    Args:
        numeric: by column, its finite values in the reference, sorted.
        shared: names of the numeric columns that take part.
        axes: of the embeddings, where there are enough.
    """

    numeric: Mapping[str, Floats]
    shared: tuple[str, ...]
    axes: Axes | None

    def points(self, rows: Columns) -> Floats:
        """(n, d); NaN where missing. No point lies much further out than the reference: a mean withstands one."""
        parts = [normal_scores(self.numeric[name], rows.numeric[name])[:, None] for name in self.shared]
        return _beside(parts, np.clip(self._components(rows), -FURTHEST, FURTHEST))

    def reaches(self, rows: Columns) -> Floats:
        """(n, d); the same, but a value beyond the reference goes on in its standard deviations."""
        parts = [_normal(self.numeric[name], rows.numeric[name])[:, None] for name in self.shared]
        return _beside(parts, self._components(rows))

    def _components(self, rows: Columns) -> Floats:
        if self.axes is None:
            return np.empty((len(rows), 0))
        none = np.full((len(rows), len(self.axes.middle)), np.nan, np.float32)
        return self.axes.scores(none if rows.embedding is None else rows.embedding)


@dataclass(frozen=True, slots=True)
class Reach:
    """How far out a reference's rows lie: a shape, what makes its points round, the tail of their distances."""

    shape: Shape
    middle: Floats
    whiten: Floats
    tail: Tail

    def distances(self, rows: Columns) -> Floats:
        """(n,) from the middle of the reference, in its standard deviations."""
        return _distances(self.shape, self.middle, self.whiten, rows)

    def chances(self, rows: Columns) -> Floats:
        """(n,) how often a row of the reference lies as far out."""
        return self.tail.chances(self.distances(rows))


def shape_of(rows: Columns) -> Shape:
    """The shape of a stratum's reference."""
    numeric = {name: _values(column) for name, column in rows.numeric.items()}
    shared = tuple(name for name, values in numeric.items() if _measured(values, len(rows)))
    embedded = None if rows.embedding is None else mmd.complete(rows.embedding)
    axes = None if embedded is None or len(embedded) < mmd.LEAST_KNOWN else _axes(embedded)
    return Shape(numeric, shared, axes)


def reach_of(rows: Columns, shape: Shape) -> Reach | None:
    """How far out the reference's rows lie, each from the others: a fold's distances by what the other folds teach.

    None where the others are too few to teach the same shape: distances in fewer directions would all be shorter.
    """
    if len(rows) < LEAST_APART or not (shape.shared or shape.axes):
        return None
    some = rows.take(np.linspace(0, len(rows) - 1, min(len(rows), MOST_APART)).round().astype(np.intp))
    fold = np.arange(len(some)) % FOLDS
    parts = [_apart(shape, some.take(fold != one), some.take(fold == one)) for one in range(FOLDS)]
    distances = [one for one in parts if one is not None]
    return Reach(shape, *_round(shape, rows), tail(np.concatenate(distances))) if len(distances) == FOLDS else None


def normal_scores(ground: Floats, values: Floats) -> Floats:
    """Where values lie in a sorted reference (m,), as points of the normal distribution; NaN stays NaN."""
    below, upto = places(ground, values)
    middle = (below + upto) / 2
    found: Floats = ndtri((middle * len(ground) + 0.5) / (len(ground) + 1))
    return found


def _normal(ground: Floats, values: Floats) -> Floats:
    beyond = np.where(values > ground[-1], values - ground[-1], np.minimum(values - ground[0], 0.0))
    found: Floats = normal_scores(ground, values) + beyond / max(float(ground.std()), 1e-12)
    return found


def _apart(wanted: Shape, known: Columns, rows: Columns) -> Floats | None:
    shape = replace(shape_of(known), shared=wanted.shared)
    if (shape.axes is None) is not (wanted.axes is None):
        return None
    return _distances(shape, *_round(shape, known), rows)


def _round(shape: Shape, rows: Columns) -> tuple[Floats, Floats]:
    points = shape.points(rows)
    middle = np.nan_to_num(np.nanmean(points, axis=0)) if points.size else np.zeros(points.shape[1])
    return middle, profile.whitening(np.nan_to_num(points - middle, nan=0.0))


def _distances(shape: Shape, middle: Floats, whiten: Floats, rows: Columns) -> Floats:
    found: Floats = np.linalg.norm(np.nan_to_num(shape.reaches(rows) - middle, nan=0.0) @ whiten, axis=1)
    return found


def _beside(parts: list[Floats], components: Floats) -> Floats:
    return np.concatenate([*parts, components], axis=1)


def _values(column: Floats) -> Floats:
    values = np.sort(column[np.isfinite(column)])
    if len(values) <= MOST_KNOWN:
        return values
    return values[np.linspace(0, len(values) - 1, MOST_KNOWN).round().astype(np.intp)]


def _measured(values: Floats, size: int) -> bool:
    return len(values) >= 0.8 * min(size, MOST_KNOWN) and len(np.unique(values)) >= VALUES


def _axes(rows: Floats) -> Axes:
    middle = rows.mean(axis=0)
    values, vectors = np.linalg.eigh(np.cov(rows - middle, rowvar=False))
    kept = values > 1e-6 * max(float(values[-1]), 1e-12)
    chosen = np.flatnonzero(kept)[::-1][:COMPONENTS]
    return Axes(middle, vectors[:, chosen] / np.sqrt(values[chosen]))
