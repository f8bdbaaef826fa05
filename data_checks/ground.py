"""The reference, made ready once: what a window of any stratum is held against."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

from data_checks.columns import Columns, Floats, Vectors, codes, joined
from data_checks.rules import Rules
from data_checks.statistics import mmd
from data_checks.statistics.ks import places
from data_checks.statistics.mmd import Kernel
from data_checks.statistics.profile import Profile, profile

Codes = npt.NDArray[np.uint64]
Stratum = tuple[str, str]
MOST_KNOWN: Final = 5000
"""Values of a stratum's reference that a distribution is known by; more sharpen nothing that matters."""
COMPONENTS: Final = 16
FURTHEST: Final = 5.0
VALUES: Final = 8
"""Different values below which a numeric column has no place in a profile: a setting rather than a measurement."""


@dataclass(frozen=True, slots=True)
class Axes:
    """The principal components of a stratum's embeddings: middle (64,), (64, r) directions scaled to unit variance."""

    middle: Floats
    directions: Floats

    def scores(self, rows: Vectors) -> Floats:
        """(n, r), NaN where a row has no embedding."""
        found: Floats = np.clip((rows - self.middle) @ self.directions, -FURTHEST, FURTHEST)
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """One stratum's reference of `size` rows.

    Args:
        columns: the rows themselves.
        numeric: by column, its finite values, sorted.
        shared: names of the numeric columns that are in the profile.
        categories: by column, the code of each row's category.
        identity: codes of the combinations of identity columns that were seen, sorted.
        axes: of the embeddings, where there are enough.
        profile: of everything together, where there is enough.
        kernel: of the embeddings, where there are enough.
    """

    size: int
    columns: Columns
    numeric: Mapping[str, Floats]
    shared: tuple[str, ...]
    categories: Mapping[str, Codes]
    identity: Codes
    axes: Axes | None
    profile: Profile | None
    kernel: Kernel | None

    def features(self, rows: Columns) -> Floats:
        """(n, d): normal scores of the shared columns, then components of the embeddings; NaN where missing."""
        return _features(self.numeric, self.shared, self.axes, rows)


@dataclass(frozen=True, slots=True)
class Ground:
    """Every stratum of a reference of `size` rows, and the rules it was made ready for."""

    size: int
    rules: Rules
    strata: Mapping[Stratum, Known]


def prepare(reference: Columns, rules: Rules) -> Ground:
    """Make a reference ready: once for as many windows as follow."""
    strata = {name: known(reference.take(rows), rules) for name, rows in split(reference).items()}
    return Ground(len(reference), rules, strata)


def split(rows: Columns) -> dict[Stratum, npt.NDArray[np.intp]]:
    """The positions of the rows of each stratum, in the order in which they arrived."""
    if not len(rows):
        return {}
    _, first, which = np.unique(joined((rows.sites, rows.devices)), return_index=True, return_inverse=True)
    order = np.argsort(which, kind="stable")
    parts = np.split(order, np.cumsum(np.bincount(which))[:-1])
    return {(str(rows.sites[at]), str(rows.devices[at])): part for at, part in zip(first, parts, strict=True)}


def known(rows: Columns, rules: Rules) -> Known:
    """One stratum's reference, made ready."""
    numeric = {name: _values(column) for name, column in rows.numeric.items()}
    shared = tuple(name for name, values in numeric.items() if _measured(values, len(rows)))
    embedded = None if rows.embedding is None else mmd.complete(rows.embedding)
    axes = None if embedded is None or len(embedded) < mmd.LEAST_KNOWN else _axes(embedded)
    features = _features(numeric, shared, axes, rows)
    kernel = None if axes is None or embedded is None else mmd.kernel(mmd.thinned(embedded))
    return Known(
        size=len(rows),
        columns=rows,
        numeric=numeric,
        shared=shared,
        categories={name: codes(column) for name, column in rows.categorical.items()},
        identity=np.unique(identity(rows, rules)),
        axes=axes,
        profile=profile(features, rules.lengths),
        kernel=kernel,
    )


def identity(rows: Columns, rules: Rules) -> Codes:
    """One number per row for its combination of the identity columns."""
    names = [name for name in rules.identity if name in rows.categorical]
    return joined([rows.categorical[name] for name in names]) if names else np.zeros(len(rows), np.uint64)


def normal_scores(ground: Floats, values: Floats) -> Floats:
    """Where values lie in a sorted reference (m,), as points of the normal distribution; NaN stays NaN."""
    below, upto = places(ground, values)
    middle = (below + upto) / 2
    found: Floats = ndtri((middle * len(ground) + 0.5) / (len(ground) + 1))
    return found


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


def _features(numeric: Mapping[str, Floats], shared: tuple[str, ...], axes: Axes | None, rows: Columns) -> Floats:
    parts = [normal_scores(numeric[name], rows.numeric[name])[:, None] for name in shared]
    if axes is not None:
        none = np.full((len(rows), axes.directions.shape[0]), np.nan, np.float32)
        parts.append(axes.scores(none if rows.embedding is None else rows.embedding))
    return np.concatenate(parts, axis=1) if parts else np.empty((len(rows), 0))
