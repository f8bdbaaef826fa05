"""The shadow: a version answers live traffic silently, after the champion, and the two are compared.

What is due is derived from the ledger: a study that the champion has answered and the shadow has not. A shadow's answer
is stored and compared; it makes no object, raises no urgency, and no study waits for it.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from statistics import fmean, median
from typing import TYPE_CHECKING, Final

import structlog
from sqlalchemy import Connection

from flows import triage
from flows.house import House
from flows.inference import AWAY
from radloop.domain.enums import Standing
from radloop.domain.errors import RadloopError
from radloop.domain.ids import utc_now
from radloop.domain.records import ModelVersion, StudyVersion
from radloop.ledger import comparisons
from radloop.ledger import models as model_rows
from radloop.ledger import results as result_rows
from radloop.ledger import standing as standing_rows
from radloop.ledger import studies as study_rows
from radloop.ledger.comparisons import Pair

if TYPE_CHECKING:
    from models.evaluation.intervals import Interval

log = structlog.get_logger()
AT_A_TIME: Final = 4
"""Studies that the shadow reads between two looks at what else is due."""
LOOKBACK: Final = timedelta(days=2)
"""What it has not read in this time it reads no more: after a long pause the newest traffic counts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """A silent version beside the champion, for one target ('': all together).

    `agreement` is the share of answers that both call alike, each at its own operating threshold; `difference` the mean
    of the absolute differences of the probabilities; `disagreements` are study versions; latencies are medians in
    seconds. None where there is nothing to compare.
    """

    target: str
    studies: int
    agreement: "Interval"
    difference: float | None
    disagreements: tuple[str, ...]
    silent_seconds: float | None
    champion_seconds: float | None


def compare(pairs: Sequence[Pair]) -> tuple[Comparison, ...]:
    """All targets together first, then each by its name."""
    by_target: dict[str, list[Pair]] = defaultdict(list)
    for pair in pairs:
        by_target[pair.target].append(pair)
    return (compared("", pairs), *(compared(target, by_target[target]) for target in sorted(by_target)))


def compared(target: str, pairs: Sequence[Pair]) -> Comparison:
    """One row of the comparison."""
    # Imported here: scipy comes with it, and the runner compares nothing.
    from models.evaluation.intervals import wilson  # noqa: PLC0415

    apart = [pair.version_id for pair in pairs if not agree(pair)]
    return Comparison(
        target=target,
        studies=len({pair.version_id for pair in pairs}),
        agreement=wilson(len(pairs) - len(apart), len(pairs)),
        difference=fmean(abs(pair.silent - pair.champion) for pair in pairs) if pairs else None,
        disagreements=tuple(dict.fromkeys(apart)),
        silent_seconds=_median(pair.silent_seconds for pair in pairs),
        champion_seconds=_median(pair.champion_seconds for pair in pairs),
    )


def agree(pair: Pair) -> bool:
    """Whether both call the target alike, each at its own operating threshold."""
    return (pair.silent >= pair.silent_threshold) == (pair.champion >= pair.champion_threshold)


def comparison(house: House, version: ModelVersion) -> tuple[Comparison, ...]:
    """What the ledger says of a version's silent answers."""
    with house.ledger.read() as conn:
        return compare(comparisons.pairs(conn, version.digest))


async def answer_due(house: House, busy: Callable[[], bool]) -> int:
    """Have every shadow read a few of the studies that are due for it, one after the other; how many it answered.

    It stops as soon as `busy` says that a study waits for its champion.

    Raises:
        Transient: the ledger is away.
    """
    done = 0
    for version, study in await asyncio.to_thread(_due, house):
        if busy():
            break
        done += await answer_silently(house, study, version)
    return done


async def answer_silently(house: House, study: StudyVersion, version: ModelVersion) -> bool:
    """One study read by a version that nobody hears; a failure is noted as an attempt, and touches nothing else.

    Raises:
        Transient: the ledger is away.
    """
    (outcome,) = await asyncio.gather(triage.read_silently(house, study, version), return_exceptions=True)
    if not isinstance(outcome, BaseException):
        return True
    if not isinstance(outcome, Exception):  # cancelled
        raise outcome
    said = str(outcome) if isinstance(outcome, RadloopError) else type(outcome).__name__
    log.warning("silent attempt failed", version=study.id, digest=version.digest, error=said)
    if not said.startswith(AWAY):  # an outage is no try: the study stays due
        await asyncio.to_thread(_note, house, study, version, said)
    return False


def _due(house: House) -> list[tuple[ModelVersion, StudyVersion]]:
    with house.ledger.read() as conn:
        shadows = [version for version in model_rows.known(conn) if version.standing is Standing.SHADOW]
        return [(version, study) for version in shadows for study in _studies_due(conn, version)]


def _studies_due(conn: Connection, version: ModelVersion) -> Iterable[StudyVersion]:
    since = utc_now() - LOOKBACK
    began = standing_rows.latest(conn, version.digest)
    ids = comparisons.due(conn, version, max(since, began.at) if began else since, AT_A_TIME)
    return [study for study in map(partial(study_rows.get, conn), ids) if study is not None]


def _note(house: House, study: StudyVersion, version: ModelVersion, error: str) -> None:
    with house.ledger.write() as conn:
        result_rows.note_attempt(conn, study.id, version.name, version.digest, error)


def _median(values: Iterable[float | None]) -> float | None:
    found = [value for value in values if value is not None]
    return median(found) if found else None
