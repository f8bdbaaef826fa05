"""What the figures of a model card show: ROC, reliability and subgroups, of labels and probabilities (N,)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from models.evaluation.delong import delong
from models.evaluation.intervals import Interval, wilson
from radloop.domain.errors import Unparsable
from radloop.domain.learning import Facts
from radloop.render.figures import Bin, Row

Floats = npt.NDArray[np.float64]
FACTS: Final = ("site", "scanner", "sex", "age_band")
LEAST: Final = 2
"""DeLong's variance needs so many of each kind; what is below is named, not drawn."""
SIDE: Final = 0.025
"""One-sided: intervals of 95 %."""


@dataclass(frozen=True, slots=True, eq=False)
class Curves:
    """`roc` (M, 2): 1 - specificity and sensitivity. `operating`: the same at the threshold. `n` images."""

    roc: Floats
    area: Interval | None
    operating: tuple[float, float] | None
    bins: tuple[Bin, ...]
    subgroups: tuple[Row, ...]
    n: int
    source: str


def curves_of(
    labels: npt.NDArray[np.float32], probabilities: Floats, facts: Sequence[Facts], threshold: float, source: str
) -> Curves:
    """All three, computed."""
    positive = labels > 0.5
    called = probabilities >= threshold
    operating = (_share(called, ~positive), _share(called, positive)) if _both(positive) else None
    return Curves(
        roc=roc_of(positive, probabilities),
        area=area_of(positive, probabilities),
        operating=operating,
        bins=reliability_of(positive, probabilities),
        subgroups=subgroups_of(positive, probabilities, facts),
        n=len(labels),
        source=source,
    )


def roc_of(positive: npt.NDArray[np.bool_], probabilities: Floats) -> Floats:
    """(M, 2) from (0, 0) to (1, 1), one corner for each distinct probability."""
    order = np.argsort(-probabilities, kind="stable")
    hits, ends = positive[order], np.flatnonzero(np.diff(probabilities[order], append=np.nan) != 0)
    sensitivity = np.cumsum(hits)[ends] / max(1, int(positive.sum()))
    fall_out = np.cumsum(~hits)[ends] / max(1, int((~positive).sum()))
    return np.vstack([[0.0, 0.0], np.column_stack([fall_out, sensitivity])])


def area_of(positive: npt.NDArray[np.bool_], probabilities: Floats) -> Interval | None:
    """The area under it with its 95 % interval (DeLong 1988); None with fewer than two cases of a kind.

    Where every positive is above every negative DeLong's variance is 0, which is no certainty: then the interval is
    Wilson's of a share that was always hit among as many cases as the rarer kind has.
    """
    fewer = min(int(positive.sum()), int((~positive).sum()))
    if fewer < LEAST:
        return None
    found = delong(positive, probabilities).area(SIDE)
    if found.value in (0.0, 1.0):
        return wilson(round(found.value) * fewer, fewer)
    return Interval(found.value, found.low, found.high)


def reliability_of(positive: npt.NDArray[np.bool_], probabilities: Floats, bins: int = 10) -> tuple[Bin, ...]:
    """Equal-width bins that hold something, with Wilson's 95 % interval of the share of positives."""
    place = np.minimum((probabilities * bins).astype(int), bins - 1)
    found = []
    for one in np.unique(place):
        inside = place == one
        observed = wilson(int(positive[inside].sum()), int(inside.sum()))
        mean = float(probabilities[inside].mean())
        found.append(Bin(mean, observed.value, observed.low, observed.high, int(inside.sum())))
    return tuple(found)


def subgroups_of(positive: npt.NDArray[np.bool_], probabilities: Floats, facts: Sequence[Facts]) -> tuple[Row, ...]:
    """A row for every value of every fact that is known of some image; the AUC of its images."""
    rows = []
    for fact in FACTS:
        values = np.array([getattr(one, fact) for one in facts], dtype=np.str_)
        for value in sorted(set(values.tolist()) - {""}):
            inside = values == value
            area = area_of(positive[inside], probabilities[inside])
            rows.append(_row(f"{fact.replace('_', ' ')} {value}", area, int(inside.sum())))
    return tuple(rows)


def _row(name: str, area: Interval | None, n: int) -> Row:
    if area is None:
        return Row(name, None, None, None, f"n {n}")
    return Row(name, area.value, area.low, area.high, f"n {n}")


def curves_in(metrics: Mapping[str, object]) -> Curves | None:
    """Curves that a bundle's docs/metrics.json holds under `curves`: `roc` as pairs, `reliability` as rows of five.

    Raises:
        Unparsable: there is something under `curves` that is no curve.
    """
    held = metrics.get("curves")
    if held is None:
        return None
    try:
        points = np.array(held["roc"], np.float64).reshape(-1, 2)  # type: ignore[index]
        bins = tuple(Bin(float(p), float(o), float(lo), float(hi), int(n)) for p, o, lo, hi, n in held["reliability"])  # type: ignore[index]
    except (KeyError, TypeError, ValueError) as error:
        raise Unparsable("the curves in docs/metrics.json cannot be read") from error
    return Curves(points, None, None, bins, (), sum(one.n for one in bins), "docs/metrics.json of the bundle")


def _both(positive: npt.NDArray[np.bool_]) -> bool:
    return bool(positive.any() and (~positive).any())


def _share(called: npt.NDArray[np.bool_], among: npt.NDArray[np.bool_]) -> float:
    return float(called[among].mean())
