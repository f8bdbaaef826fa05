"""What one stratum's latest rows say, column by column: the smallest p over every length, and since which row.

Each length of the latest rows is a test of its own, and the smallest p pays for all of them (Bonferroni): a short
length finds a large change within a few rows, a long one a small change in time.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from data_checks.columns import Columns, Floats, codes
from data_checks.ground import Known, identity
from data_checks.rules import SCORE, Rules
from data_checks.shape import Reach, normal_scores
from data_checks.statistics import chi_square, cusum, far, ks, mmd, profile
from data_checks.statistics.exact import rise

MOST_ROWS: Final = 20_000
LATEST: Final = 5_000
"""Rows of a stratum that are judged: its latest ones all, of the others an even stride."""
KS_LEAST: Final = 5
EXPECTED: Final = 8.0
AS_RARE: Final = 1e3
"""Times the rarest row's chance, up to which another one is as odd: where a tail is extrapolated, that is near."""
MMD_LENGTHS: Final = (20, 50, 125, 320)
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """One test of one stratum.

    Args:
        check: the suite it belongs to.
        kind: which test.
        column: what moved, or "" for many columns together.
        p: of the strongest length, paid for all lengths.
        begin: since which row of those judged, where the test says so.
        rows: the rows that are affected, where that is not all since `begin`.
    """

    check: str
    kind: str
    column: str
    p: float
    begin: int
    rows: Mask | None = None


def chosen(size: int) -> npt.NDArray[np.intp]:
    """Which of `size` rows are judged, in their order."""
    if size <= MOST_ROWS:
        return np.arange(size)
    old = np.linspace(0, size - LATEST - 1, MOST_ROWS - LATEST).round().astype(np.intp)
    return np.concatenate([old, np.arange(size - LATEST, size)])


def lengths(size: int, rules: Rules) -> list[int]:
    """The lengths of the latest rows that are looked at."""
    return [*(length for length in rules.lengths if length < size), size]


def newcomers(known: Known, rows: Columns, rules: Rules) -> Evidence | None:
    """Combinations of identity columns that the reference never had; None where there are none."""
    new = ~np.isin(identity(rows, rules), known.identity)
    if int(new.sum()) < rules.least_new:
        return None
    tried = lengths(len(rows), rules)
    p = min(rise(int(new[-k:].sum()), k, 0, known.size) for k in tried) * len(tried)
    column = _newest(known, rows.take(new), rules)
    begin = int(np.argmax(new))
    return Evidence(check="acquisition", kind="novel", column=column, p=min(p, 1.0), begin=begin, rows=new)


def moves(known: Known, rows: Columns, rules: Rules) -> Iterator[Evidence]:
    """Every other test of a stratum that has enough rows for it."""
    if not len(rows):
        return
    tried = lengths(len(rows), rules)
    yield from _numeric(known, rows, tried, rules)
    for name in rows.categorical:
        if name not in rules.identity:
            yield from _categorical(known, rows, name, tried)
    yield from _missing(known, rows, tried)
    yield from _together(known, rows, tried)
    yield from _embedded(known, rows)
    yield from _disagreed(known, rows)


def check_of(column: str, rules: Rules) -> str:
    """The suite that a numeric column belongs to."""
    if column in rules.protocol:
        return "protocol"
    return "scores" if column.startswith(SCORE) else "acquisition"


def _newest(known: Known, new: Columns, rules: Rules) -> str:
    """The first identity column with a value that is itself new; "combination" where all were seen apart."""
    names = [name for name in rules.identity if name in new.categorical and name in known.categories]
    fresh = (name for name in names if not np.isin(codes(new.categorical[name]), known.categories[name]).all())
    return next(fresh, "combination")


def _numeric(known: Known, rows: Columns, tried: Sequence[int], rules: Rules) -> Iterator[Evidence]:
    names = [name for name in rows.numeric if len(known.numeric.get(name, ())) >= rules.least_known]
    if not names:
        return
    spots = [ks.places(known.numeric[name], rows.numeric[name]) for name in names]
    below, upto = (np.stack([pair[side] for pair in spots], axis=1) for side in (0, 1))
    sizes = np.array([len(known.numeric[name]) for name in names])
    used = [k for k in tried if k >= KS_LEAST]
    p = np.array([_tails(below[-k:], upto[-k:], sizes) for k in used]).reshape(len(used), len(names))
    for place, name in enumerate(names):
        best = float(p[:, place].min(initial=1.0)) * max(1, len(used))
        scores = normal_scores(known.numeric[name], rows.numeric[name]) if best < rules.alpha else np.zeros(1)
        yield Evidence(
            check=check_of(name, rules), kind="ks", column=name, p=min(best, 1.0), begin=since(np.nan_to_num(scores))
        )


def _tails(below: Floats, upto: Floats, sizes: npt.NDArray[np.int_]) -> Floats:
    count = np.sum(~np.isnan(below), axis=0)
    p = ks.tail(ks.distance_of(below, upto), count, sizes)
    return np.where(count >= KS_LEAST, p, 1.0)


def _categorical(known: Known, rows: Columns, name: str, tried: Sequence[int]) -> Iterator[Evidence]:
    if name not in known.columns.categorical:
        return
    ground, seen = known.categories[name], codes(rows.categorical[name])
    there, given = known.columns.categorical[name] != "", rows.categorical[name] != ""
    values = np.unique(np.concatenate([ground[there], seen[given]]))
    if not len(values):
        return
    hits = (seen[:, None] == values) & given[:, None]
    counts = np.sum((ground[there][:, None] == values), axis=0)
    p, which = _risen(hits, given, counts, tried)
    of_all = chi_square.from_counts(counts.astype(float), hits.sum(axis=0).astype(float), expected=EXPECTED)
    share = (counts[which] + 0.5) / (counts.sum() + 1)
    begin = since((hits[:, which] - share) / np.sqrt(share * (1 - share)))
    yield Evidence(check="protocol", kind="mix", column=name, p=min(1.0, 2 * min(p, of_all.p)), begin=begin)


def _risen(hits: Mask, given: Mask, counts: npt.NDArray[np.int_], tried: Sequence[int]) -> tuple[float, int]:
    """The smallest p of any category that is more frequent in any length, paid for, and which category."""
    total, best, which = int(counts.sum()), 1.0, 0
    ends = np.asarray(tried) - 1
    n, found = np.cumsum(given[::-1])[ends], np.cumsum(hits[::-1], axis=0)[ends]
    for length, place in np.argwhere(_notable(found, n[:, None], counts, total)):
        p = rise(int(found[length, place]), int(n[length]), int(counts[place]), total)
        best, which = min((best, which), (p, int(place)))
    return min(1.0, best * len(tried) * len(counts)), which


def _notable(
    found: npt.NDArray[np.int_], n: npt.NDArray[np.int_], counts: npt.NDArray[np.int_], total: int
) -> npt.NDArray[np.bool_]:
    """Where an exact tail is worth its time: more than one hit, and two standard errors more than expected."""
    share = (counts + 1.0) / (total + 1.0)
    return np.asarray((found > 1) & (found > n * share + 2 * np.sqrt(n * share * np.maximum(1 - share, 0.0))))


def _missing(known: Known, rows: Columns, tried: Sequence[int]) -> Iterator[Evidence]:
    for name, gone, before in _gaps(known, rows):
        n_before, hits = int(before.sum()), np.cumsum(gone[::-1])
        rate = (n_before + 1) / (known.size + 1)
        worth = [k for k in tried if hits[k - 1] > 1 and hits[k - 1] > 2 * k * rate]
        p = min((rise(int(hits[k - 1]), k, n_before, known.size) for k in worth), default=1.0) * len(tried)
        if worth:
            yield Evidence(
                check="acquisition", kind="missing", column=name, p=min(p, 1.0), begin=since(gone - rate), rows=gone
            )


def _gaps(known: Known, rows: Columns) -> Iterator[tuple[str, Mask, Mask]]:
    before = known.columns
    for name, column in rows.numeric.items():
        if name in before.numeric and not np.isfinite(column).all():
            yield name, ~np.isfinite(column), ~np.isfinite(before.numeric[name])
    for name, texts in rows.categorical.items():
        if name in before.categorical and (texts == "").any():
            yield name, texts == "", before.categorical[name] == ""


def _together(known: Known, rows: Columns, tried: Sequence[int]) -> Iterator[Evidence]:
    ground = known.profile
    if ground is None:
        return
    features = known.shape.points(rows)
    if not np.isfinite(features).any():
        return
    white = ground.whitened(features)
    p = profile.tails(ground, profile.squares(ground, white, tried), tried)
    begin = profile.begin(white)
    yield Evidence(check="acquisition", kind="profile", column="", p=min(1.0, float(p.min()) * len(tried)), begin=begin)
    if known.reach is not None:
        yield _far(known.reach, rows, tried)


def _far(reach: Reach, rows: Columns, tried: Sequence[int]) -> Evidence:
    """Single rows further out than the reference's own tail would have them."""
    chances = reach.chances(rows)
    best, length = min((far.rarity(chances[-k:]), k) for k in tried)
    begin = len(rows) - length + int(np.argmax(chances[-length:] <= chances[-length:].min() * AS_RARE))
    return Evidence(check="acquisition", kind="far", column="", p=min(1.0, best * len(tried)), begin=begin)


def _embedded(known: Known, rows: Columns) -> Iterator[Evidence]:
    if known.kernel is None or rows.embedding is None:
        return
    seen = mmd.complete(rows.embedding)
    used = [k for k in MMD_LENGTHS if k < len(seen)] or ([len(seen)] if len(seen) >= mmd.LEAST else [])
    tests = [mmd.of_kernel(known.kernel, mmd.thinned(seen[-k:])).p for k in used]
    if tests:
        p = min(tests) * len(tests)
        begin = max(0, len(rows) - used[int(np.argmin(tests))])
        yield Evidence(check="embeddings", kind="mmd", column="embedding", p=min(1.0, p), begin=begin)


def _disagreed(known: Known, rows: Columns) -> Iterator[Evidence]:
    found = cusum.cusum(known.columns.disagree, rows.disagree)
    if found.enough:
        said = np.flatnonzero(np.isfinite(rows.disagree))
        rate = cusum.known_rate(known.columns.disagree[np.isfinite(known.columns.disagree)])
        begin = int(said[cusum.begin(rows.disagree[said], rate)])
        yield Evidence(check="agreement", kind="cusum", column="disagree", p=found.p, begin=begin)


def since(scores: npt.NDArray[np.floating] | Mask) -> int:
    """The row from which on the mean of (n,) scores has most likely not been 0: where its likelihood ratio peaks."""
    sums = np.cumsum(np.asarray(scores, dtype=float)[::-1])
    gain = sums**2 / np.arange(1, len(sums) + 1)
    return len(sums) - 1 - int(np.argmax(gain))
