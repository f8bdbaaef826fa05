"""The streams that every method sees: many without a change, and many for each named change."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from data_checks.columns import Columns
from models.phantoms.pool import NUMERIC
from models.phantoms.scanners import CHANGES, PROTOCOLS
from serving.cli.simulate_rows import Pools, Stream, draw

CATEGORICAL = ("software", "kernel", "protocol")
"""The others never vary within a scanner: a test of them costs time and finds nothing."""
COMMON = tuple(name for name, _ in PROTOCOLS)
NULL = "null"
STEP = 20
"""Studies between two looks."""
WARM = 400
"""Studies of a stream before its change."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How much is run: phantoms per pool, runs without and with each change, studies after the change, references.

    `most` is the upper end of the interval of false alarms in 5,000 studies that thresholds are set to. A short run has
    too few studies to hold any rate: it shows that everything runs.
    """

    pool: int
    null_runs: int
    runs: int
    studies: int
    references: int
    most: float = 1.0
    reference_studies: int = 1600


FULL = Plan(pool=240, null_runs=200, runs=200, studies=480, references=8)
MIDDLE = Plan(pool=240, null_runs=60, runs=24, studies=480, references=4, most=3.0)
SMALL = Plan(pool=24, null_runs=16, runs=4, studies=200, references=2, most=40.0, reference_studies=800)


Run = tuple[str, int]
"""A scenario, which is the name of a change or `NULL`, and the number of a run of it."""


def reference(pools: Pools, plan: Plan, number: int) -> Columns:
    """One of the references; run r has number r modulo their count."""
    return draw(pools, Stream(count=plan.reference_studies, seed=10_000 + number))


def streams(pools: Pools, plan: Plan, runs: Sequence[Run]) -> Iterator[Columns]:
    """The stream of each run."""
    for name, number in runs:
        yield draw(pools, _stream(plan, name, number))


def looks(plan: Plan) -> range:
    """After how many studies each look is taken: from the first one after the change on, or where it would be."""
    return range(WARM + STEP, WARM + plan.studies + 1, STEP)


def export(path: Path, rows: list[Columns], codes: dict[str, dict[str, int]]) -> None:
    """Streams of one length as arrays that need nothing of ours to be read."""
    devices = codes["device"]
    parts = {
        "numeric": [np.stack([one.numeric[name] for name in NUMERIC], axis=1) for one in rows],
        "categorical": [np.stack([_coded(one, name, codes) for name in CATEGORICAL], axis=1) for one in rows],
        "device": [np.array([devices.setdefault(str(name), len(devices)) for name in one.devices]) for one in rows],
        "embedding": [one.embedding for one in rows if one.embedding is not None],
    }
    with path.open("wb") as out:
        np.savez(out, **{name: np.stack(part) for name, part in parts.items()})


def coder() -> dict[str, dict[str, int]]:
    """Numbers for texts, the same in all files of one worker."""
    return {name: {} for name in (*CATEGORICAL, "device")}


def _coded(rows: Columns, name: str, codes: dict[str, dict[str, int]]) -> np.ndarray:
    known = codes[name]
    texts = rows.categorical[name]
    if name == "protocol":
        # Its long tail is pooled for them: chi-square takes each rare name for proof, and a user of it would pool.
        texts = np.where(np.isin(texts, COMMON), texts, "other")
    return np.array([known.setdefault(str(text), len(known)) for text in texts])


def _stream(plan: Plan, name: str, run: int) -> Stream:
    if name == NULL:
        return Stream(count=WARM + plan.studies, seed=20_000 + run)
    place = 1 + list(CHANGES).index(name)
    return Stream(count=WARM + plan.studies, seed=30_000 + 10_000 * place + run, since=WARM, change=CHANGES[name])
