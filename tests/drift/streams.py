"""The streams that every method sees: many without a change, and many for each named change."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

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

Codes = dict[str, dict[str, int]]
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


def export(rows: Sequence[Columns], known: Codes) -> dict[str, np.ndarray]:
    """Rows of one length each as arrays that need nothing of ours to be read, texts as numbers: those of `known`."""
    return {
        "numeric": np.stack([np.stack([one.numeric[name] for name in NUMERIC], axis=1) for one in rows]),
        "categorical": np.stack([np.stack([_coded(one, name, known) for name in CATEGORICAL], axis=1) for one in rows]),
        "device": np.stack([_numbers(one.devices, known["device"]) for one in rows]),
        "embedding": np.stack([one.embedding for one in rows if one.embedding is not None]),
    }


def codes(rows: Sequence[Columns]) -> Codes:
    """A number for each text of references."""
    texts = {name: np.concatenate([_texts(one, name) for one in rows]) for name in CATEGORICAL}
    texts["device"] = np.concatenate([one.devices for one in rows])
    return {name: {str(text): place for place, text in enumerate(np.unique(all_of))} for name, all_of in texts.items()}


def _coded(rows: Columns, name: str, known: Codes) -> np.ndarray:
    return _numbers(_texts(rows, name), known[name])


def _numbers(texts: np.ndarray, known: Mapping[str, int]) -> np.ndarray:
    """What the references never had gets the numbers that follow."""
    numbers = dict(known)
    return np.array([numbers.setdefault(str(text), len(numbers)) for text in texts])


def _texts(rows: Columns, name: str) -> np.ndarray:
    texts = rows.categorical[name]
    # The long tail of protocols is pooled for them: chi-square takes each rare name for proof, and a user would pool.
    return np.where(np.isin(texts, COMMON), texts, "other") if name == "protocol" else texts


def _stream(plan: Plan, name: str, run: int) -> Stream:
    if name == NULL:
        return Stream(count=WARM + plan.studies, seed=20_000 + run)
    place = 1 + list(CHANGES).index(name)
    return Stream(count=WARM + plan.studies, seed=30_000 + 10_000 * place + run, since=WARM, change=CHANGES[name])
