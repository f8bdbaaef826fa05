"""The reference, made ready once: what a window of any stratum is held against."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from data_checks.columns import Columns, Floats, codes, joined
from data_checks.rules import Rules
from data_checks.shape import Reach, Shape, reach_of, shape_of
from data_checks.statistics import mmd
from data_checks.statistics.mmd import Kernel
from data_checks.statistics.profile import Profile, profile

Codes = npt.NDArray[np.uint64]
Stratum = tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """One stratum's reference of `size` rows.

    Args:
        columns: the rows themselves.
        shape: how rows become points.
        categories: by column, the code of each row's category.
        identity: codes of the combinations of identity columns that were seen, sorted.
        profile: of all points together, where there are enough.
        reach: how far out single rows lie, where there are enough.
        kernel: of the embeddings, where there are enough.
    """

    size: int
    columns: Columns
    shape: Shape
    categories: Mapping[str, Codes]
    identity: Codes
    profile: Profile | None
    reach: Reach | None
    kernel: Kernel | None

    @property
    def numeric(self) -> Mapping[str, Floats]:
        """By column, its finite values, sorted."""
        return self.shape.numeric


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
    shape = shape_of(rows)
    kernel = (
        None if shape.axes is None or rows.embedding is None else mmd.kernel(mmd.thinned(mmd.complete(rows.embedding)))
    )
    return Known(
        size=len(rows),
        columns=rows,
        shape=shape,
        categories={name: codes(column) for name, column in rows.categorical.items()},
        identity=np.unique(identity(rows, rules)),
        profile=profile(shape.points(rows), rules.lengths),
        reach=reach_of(rows, shape),
        kernel=kernel,
    )


def identity(rows: Columns, rules: Rules) -> Codes:
    """One number per row for its combination of the identity columns."""
    names = [name for name in rules.identity if name in rows.categorical]
    return joined([rows.categorical[name] for name in names]) if names else np.zeros(len(rows), np.uint64)
