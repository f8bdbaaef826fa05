"""Has a window of acquisitions left the ground that a model was measured on? One finding per cause.

Every stratum (site and device) is held against its own reference: a hospital whose scanners share the work in another
way has not drifted. All tests of all strata together are under one false-discovery rate (Benjamini and Hochberg 1995),
half of which goes to the few tests of many columns together.
A stratum whose software, kernel or protocol changed moves many columns: that is one finding, named by the cause.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import numpy as np
import numpy.typing as npt

from data_checks.columns import Columns
from data_checks.evidence import Evidence, chosen, lengths, moves, newcomers
from data_checks.ground import Ground, Known, Stratum, prepare, split
from data_checks.rules import Rules
from data_checks.said import said_of
from data_checks.statistics import novel
from data_checks.statistics.exact import rise
from data_checks.statistics.fdr import adjusted, halves
from data_checks.statistics.statistic import Statistic

PRIORITY: Final = ("protocol", "acquisition", "embeddings", "scores", "agreement")
"""What explains the others comes first: how an image was made before how it looks, and that before what was said."""
UNNAMED: Final = frozenset(("profile", "far"))
"""Tests of many columns together: they name a cause only where no other does."""
TOGETHER: Final = UNNAMED | {"mmd"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One cause, and what it moved.

    Args:
        cause: what changed, in words: the same words while it lasts.
        check: the suite that found it: acquisition, protocol, scores, embeddings or agreement.
        site: of the stratum.
        device: of the stratum.
        column: the column that names the cause.
        statistic: of that column over the affected rows.
        since: when the first affected row was written; None where nobody knows.
        first: id of the first affected row.
        affected: ids of the affected rows, in the order in which they arrived.
        moved: every column that moved with it.
    """

    cause: str
    check: str
    site: str
    device: str
    column: str
    statistic: Statistic
    since: datetime | None
    first: str
    affected: tuple[str, ...]
    moved: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Insufficient:
    """A stratum with too little to judge: `n` rows of the window, `m` of the reference."""

    site: str
    device: str
    n: int
    m: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """Everything that a call found: the findings, what could not be judged, how many tests there were.

    `surest` is the lowest rate of `Rules` at which there would have been a finding: a measure of how near it came.
    """

    findings: tuple[Finding, ...]
    insufficient: tuple[Insufficient, ...]
    tests: int
    surest: float


@dataclass(frozen=True, slots=True)
class _Case:
    """One stratum of a window: its rows, their positions in the window, its reference, its newcomers."""

    stratum: Stratum
    rows: Columns
    places: npt.NDArray[np.intp]
    known: Known | None
    new: Evidence | None


_Test = tuple[_Case, Evidence]


def judge(reference: Columns | Ground, window: Columns, rules: Rules | None = None) -> tuple[Finding, ...]:
    """The causes found in a window. A reference that `prepare` made ready is judged faster.

    Rows are taken in the order given, which is that of their arrival; `at` is only reported, so that a clock that
    jumps moves nothing.
    """
    return survey(reference, window, rules).findings


def survey(reference: Columns | Ground, window: Columns, rules: Rules | None = None) -> Survey:
    """`judge`, and what there was too little of to be judged."""
    ground = reference if isinstance(reference, Ground) else prepare(reference, rules or Rules())
    asked = rules or ground.rules
    cases = [_case(ground, stratum, window.take(places), places, asked) for stratum, places in split(window).items()]
    ready = [case for case in cases if _is_ready(ground, case, asked)]
    arrivals = [item for case in ready if (item := _arrival(ground, case, len(window), asked)) is not None]
    novelties = _discovered(arrivals, len(ready), asked.rate, asked)
    named = {case.stratum for case, _ in novelties}
    tests = [item for case in ready for item in _moves(case, case.stratum in named, asked)]
    causes = [_novelty(ground, test, len(window), asked) for test in novelties]
    causes += [_movement(group, asked) for group in _grouped(_discovered(tests, len(tests), asked.rate, asked))]
    return Survey(
        findings=tuple(causes),
        insufficient=tuple(_insufficient(case) for case in cases if not _is_ready(ground, case, asked)),
        tests=len(ready) + len(tests),
        surest=min(_surest(arrivals, len(ready), asked), _surest(tests, len(tests), asked)),
    )


def _case(ground: Ground, stratum: Stratum, rows: Columns, places: npt.NDArray[np.intp], rules: Rules) -> _Case:
    kept = chosen(len(rows))
    judged, known = rows.take(kept), ground.strata.get(stratum)
    return _Case(stratum, judged, places[kept], known, None if known is None else newcomers(known, judged, rules))


def _is_ready(ground: Ground, case: _Case, rules: Rules) -> bool:
    """Whether there is anything to hold the stratum against; one never seen is held against the whole reference."""
    size = ground.size if case.known is None else case.known.size
    return size >= rules.least_known and len(case.rows) >= min(rules.least, rules.least_new)


def _arrival(ground: Ground, case: _Case, total: int, rules: Rules) -> _Test | None:
    """The evidence that the stratum, or a combination of its identity columns, was never seen."""
    if case.known is not None:
        return None if case.new is None else (case, case.new)
    if len(case.rows) < rules.least:
        return None
    tried = lengths(total, rules)
    hits = [int(np.sum(case.places >= total - k)) for k in tried]
    p = min(rise(count, k, 0, ground.size) for count, k in zip(hits, tried, strict=True)) * len(tried)
    whole = np.ones(len(case.rows), np.bool_)
    return case, Evidence(check="acquisition", kind="novel", column="device", p=min(1.0, p), begin=0, rows=whole)


def _moves(case: _Case, named: bool, rules: Rules) -> Iterator[_Test]:  # noqa: FBT001 - whether its newcomers are told
    """The other tests of a stratum; without the rows whose cause is known already."""
    if case.known is None:
        return
    told = case.new if named else None
    rest = case.rows if told is None or told.rows is None else case.rows.take(~told.rows)
    left = _Case(case.stratum, rest, case.places, case.known, None)
    if len(rest) >= rules.least:
        yield from ((left, item) for item in moves(case.known, rest, rules))


def _discovered(tests: Sequence[_Test], size: int, rate: float, rules: Rules) -> list[_Test]:
    """The discoveries among `size` tests, of which those not given said nothing."""
    return [test for test, value in zip(tests, _adjusted(tests, size, rules), strict=False) if value <= rate]


def _adjusted(tests: Sequence[_Test], size: int, rules: Rules) -> npt.NDArray[np.float64]:
    p, together = np.ones(size), np.zeros(size, np.bool_)
    p[: len(tests)] = [item.p for _, item in tests]
    together[: len(tests)] = [item.kind in TOGETHER for _, item in tests]
    return adjusted(p, halves(together, rules.together))


def _surest(tests: Sequence[_Test], size: int, rules: Rules) -> float:
    return float(_adjusted(tests, size, rules).min(initial=1.0))


def _grouped(found: Sequence[_Test]) -> list[list[_Test]]:
    """The discoveries of each stratum, what explains the others first."""
    strata = dict.fromkeys(case.stratum for case, _ in found)
    groups = [[test for test in found if test[0].stratum == stratum] for stratum in strata]
    return [sorted(group, key=lambda test: _rank(test[1])) for group in groups]


def _rank(item: Evidence) -> tuple[bool, int, float]:
    return item.kind in UNNAMED, PRIORITY.index(item.check), item.p


def _novelty(ground: Ground, test: _Test, total: int, rules: Rules) -> Finding:
    case, item = test
    new = case.rows if item.rows is None else case.rows.take(item.rows)
    moved: tuple[str, ...] = ()
    size, n = ground.size, total
    if case.known is not None:
        others = [(case, other) for other in moves(case.known, new, rules)]
        moved = tuple(dict.fromkeys(o.column for _, o in _discovered(others, len(others), 0.05, rules) if o.column))
        size, n = case.known.size, len(case.rows)
    value = str(new.categorical[item.column][0]) if item.column in new.categorical else ""
    what = "a scanner never seen" if item.column == "device" else f"{item.column} {value}".strip() + ", never seen"
    statistic = novel.from_counts(len(new), n, size, rules.alpha)
    return _finding(case, item, f"{what}: {_place(case)}", new, statistic, moved)


def _movement(group: Sequence[_Test], rules: Rules) -> Finding:
    case, item = group[0]
    assert case.known is not None  # noqa: S101 - for the reader: only strata with a reference move
    begin = max(0, min(item.begin, len(case.rows) - rules.least))
    since = case.rows.take(np.arange(begin, len(case.rows)))
    moved = tuple(dict.fromkeys(other.column for _, other in group if other.column))
    statistic = said_of(case.known, since, item, rules)
    return _finding(case, item, f"{_what(item)}: {_place(case)}", since, statistic, moved)


def _what(item: Evidence) -> str:
    """What changed, in words that do not change while it lasts."""
    if item.kind == "missing":
        return f"{item.column} missing"
    words = {"protocol": f"another {item.column}", "scores": "other scores", "agreement": "more disagreement"}
    return words.get(item.check, "other images")


def _place(case: _Case) -> str:
    site, device = case.stratum
    return f"{device or 'unnamed device'} at {site or 'unnamed site'}"


def _finding(
    case: _Case, item: Evidence, cause: str, rows: Columns, statistic: Statistic, moved: tuple[str, ...]
) -> Finding:
    return Finding(
        cause=cause,
        check=item.check,
        site=case.stratum[0],
        device=case.stratum[1],
        column=item.column,
        statistic=statistic,
        since=_moment(rows.at[0]),
        first=str(rows.ids[0]),
        affected=tuple(str(one) for one in rows.ids),
        moved=moved,
    )


def _insufficient(case: _Case) -> Insufficient:
    size = 0 if case.known is None else case.known.size
    return Insufficient(site=case.stratum[0], device=case.stratum[1], n=len(case.rows), m=size)


def _moment(at: np.datetime64) -> datetime | None:
    found = at.astype("datetime64[us]").item()
    return found.replace(tzinfo=UTC) if isinstance(found, datetime) else None
