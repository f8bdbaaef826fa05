"""Reading time with and without a model's answer at hand, by modality, where the RIS tells times.

Nobody is timed: the ledger does not keep whose reading it was. Studies with and without an answer differ in more than
the answer, so a difference is a hint and no proof.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from sqlalchemy import Connection

from flows.audits.accuracy import DRAWS, LEAST, SEED, Measured
from flows.audits.period import Period
from radloop.ledger import reading_times
from radloop.ledger.reading_times import Read

Floats = npt.NDArray[np.float64]
INTERVAL: Final = (2.5, 97.5)
MINUTE: Final = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadTimes:
    """One modality. Medians in seconds, None below LEAST readings; `saved`: minutes, without minus with an answer."""

    modality: str
    without: float | None
    without_n: int
    beside: float | None
    beside_n: int
    saved: Measured


def reading(conn: Connection, period: Period) -> tuple[ReadTimes, ...]:
    """A row for every modality of which times are on record; nothing where the RIS sends none."""
    by_modality: dict[str, list[Read]] = defaultdict(list)
    for one in reading_times.between(conn, period.start, period.end):
        by_modality["/".join(one.modalities)].append(one)
    return tuple(_row(modality, by_modality[modality]) for modality in sorted(by_modality))


def _row(modality: str, reads: Iterable[Read]) -> ReadTimes:
    seconds: dict[bool, list[float]] = {True: [], False: []}
    for one in reads:
        seconds[one.answered].append(one.seconds)
    without, beside = seconds[False], seconds[True]
    return ReadTimes(
        modality=modality,
        without=_median(without),
        without_n=len(without),
        beside=_median(beside),
        beside_n=len(beside),
        saved=_saved(without, beside),
    )


def _median(seconds: Sequence[float]) -> float | None:
    return float(np.median(seconds)) if len(seconds) >= LEAST else None


def _saved(without: Sequence[float], beside: Sequence[float]) -> Measured:
    """The difference of the medians in minutes, with its percentile bootstrap interval (Efron 1979)."""
    fewer = min(len(without), len(beside))
    if fewer < LEAST:
        return Measured(None, None, None, fewer)
    rng = np.random.default_rng(SEED)
    drawn = (_drawn(without, rng) - _drawn(beside, rng)) / MINUTE
    low, high = np.percentile(drawn, INTERVAL)
    value = (float(np.median(without)) - float(np.median(beside))) / MINUTE
    return Measured(value, float(low), float(high), len(without) + len(beside))


def _drawn(seconds: Sequence[float], rng: np.random.Generator) -> Floats:
    drawn = rng.choice(np.array(seconds, np.float64), size=(DRAWS, len(seconds)))
    return np.asarray(np.median(drawn, axis=1), np.float64)
