"""The statistic of a finding: the test that found it, said of the affected rows, with sizes and smallest shift."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

import numpy as np

from data_checks.columns import Columns
from data_checks.evidence import Evidence
from data_checks.ground import Known
from data_checks.rules import Rules
from data_checks.statistics import chi_square, cusum, envelope, ks, missing, mmd, profile
from data_checks.statistics.statistic import Statistic, insufficient


def said_of(known: Known, rows: Columns, item: Evidence, rules: Rules) -> Statistic:
    """What the affected rows come to against their reference."""
    return SAYERS[item.kind](known, rows, item.column, rules.alpha)


def _ks(known: Known, rows: Columns, column: str, alpha: float) -> Statistic:
    return ks.ks(known.columns.numeric[column], rows.numeric[column], alpha)


def _mix(known: Known, rows: Columns, column: str, alpha: float) -> Statistic:
    return chi_square.chi_square(known.columns.categorical[column], rows.categorical[column], alpha)


def _missing(known: Known, rows: Columns, column: str, alpha: float) -> Statistic:
    if column in rows.numeric:
        before, gone = ~np.isfinite(known.columns.numeric[column]), ~np.isfinite(rows.numeric[column])
    else:
        before, gone = known.columns.categorical[column] == "", rows.categorical[column] == ""
    return missing.missing(before, gone, alpha)


def _profile(known: Known, rows: Columns, column: str, alpha: float) -> Statistic:  # noqa: ARG001 - all columns
    if known.profile is None:
        return insufficient("profile", len(rows), known.size)
    return profile.statistic(known.profile, known.profile.whitened(known.shape.points(rows)), alpha)


def _far(known: Known, rows: Columns, column: str, alpha: float) -> Statistic:  # noqa: ARG001 - all columns
    if known.reach is None:
        return insufficient("envelope", len(rows), known.size)
    return envelope.envelope(known.reach.tail.values, known.reach.distances(rows), alpha)


def _mmd(known: Known, rows: Columns, column: str, alpha: float) -> Statistic:  # noqa: ARG001 - the embedding
    if known.kernel is None or rows.embedding is None:
        return insufficient("mmd", len(rows), known.size)
    seen = mmd.thinned(mmd.complete(rows.embedding))
    if not len(seen):
        return insufficient("mmd", 0, known.size)
    return mmd.of_kernel(known.kernel, seen, alpha)


def _cusum(known: Known, rows: Columns, column: str, alpha: float) -> Statistic:  # noqa: ARG001 - the disagreement
    return cusum.cusum(known.columns.disagree, rows.disagree, alpha)


SAYERS: Final[Mapping[str, Callable[[Known, Columns, str, float], Statistic]]] = MappingProxyType(
    {
        "ks": _ks,
        "mix": _mix,
        "missing": _missing,
        "profile": _profile,
        "far": _far,
        "mmd": _mmd,
        "cusum": _cusum,
    }
)
