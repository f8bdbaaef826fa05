"""Is anything stuck, and what is to be done? One answer, for the page and for `radloop status --stuck`.

for trouble in stuck.troubles(standstill.look(settings, ledger, processes)): ...
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Final

from flows.standstill import Process, Record, Seen
from radloop.ledger.stalled import NOTHING, Breaker, Stalled

GIGABYTE: Final = 10**9
LEAST_FREE: Final = 2 * GIGABYTE
LOW_SHARE: Final = 0.1
LOW_AT_MOST: Final = 50 * GIGABYTE
"""A disk is low below 2 GB, or below a tenth of it where that is less than 50 GB."""
MORE_THAN_USUAL: Final = 3.0
SET_ASIDE_LEAST: Final = 3
FINE: Final = "Nothing is stuck."


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """Something does not go on by itself.

    Args:
        what: in words, without a name of a patient or of a study.
        since: when it began, where that is known.
        count: of how many things, 1 where it is one.
        do: what a person does about it.
        place: the part of the page that shows more.
    """

    what: str
    since: datetime | None
    count: int
    do: str
    place: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Standstill:
    """A kind of thing in the ledger that should have moved by now: where it is counted, its words, what is done."""

    of: Callable[[Record], Stalled]
    one: str
    many: str
    how: str
    do: str
    place: str


Rule = Callable[[Seen], Iterator[Trouble]]

WITHOUT: Final[Mapping[str, str]] = MappingProxyType(
    {
        "gateway": "Nothing comes in: senders keep their studies and repeat them. Free disk space, or see {log}.",
        "inference": "Studies wait and are answered later; none is lost. It starts again by itself: see {log}.",
        "runner": "Studies wait and nothing is delivered; none is lost. It starts again by itself: see {log}.",
        "console": "Pages do not open. It starts again by itself: see {log}.",
        "prefect": "Schedules do not run; studies are answered all the same. See {log}.",
        "worker": "Schedules do not run; studies are answered all the same. See {log}.",
        "mlflow": "Training and registering wait; models answer from their signed copies. See {log}.",
    }
)
NAMES: Final[Mapping[str, str]] = MappingProxyType({"mlflow": "MLflow"})
OTHERWISE: Final = "See {log}."


def troubles(seen: Seen) -> tuple[Trouble, ...]:
    """Everything that is stuck, what hurts most first; empty where all is well."""
    return tuple(trouble for rule in RULES for trouble in rule(seen))


def verdict(found: tuple[Trouble, ...]) -> str:
    """The answer in one sentence."""
    if not found:
        return FINE
    return f"{found[0].what}." if len(found) == 1 else f"{len(found)} things need a person. First: {found[0].what}."


def _ledger(seen: Seen) -> Iterator[Trouble]:
    if seen.record is None:
        do = "Nothing is acknowledged meanwhile, so senders repeat. Check database and disk, then radloop status."
        yield Trouble(what="The ledger cannot be read", since=None, count=1, do=do, place="processes")


def _is_down(seen: Seen) -> bool:
    return bool(seen.processes) and all(process.state == "STOPPED" for process in seen.processes)


def _processes(seen: Seen) -> Iterator[Trouble]:
    if _is_down(seen):
        yield Trouble(what="radloop is not running", since=None, count=1, do="radloop up --wait", place="processes")
        return
    for process in seen.processes:
        if not process.ready and not process.begins:
            yield _down(process.name, _how(process), process.failures)


def _away(seen: Seen) -> Iterator[Trouble]:
    said = {process.name for process in seen.processes if not process.ready}
    for name in seen.away:
        if name not in said and not _is_down(seen):
            yield _down(name, "does not answer", 1)


def _how(process: Process) -> str:
    if process.failures:
        return f"died {process.failures} times in a row and is started again"
    return {"UNREADY": "cannot take work now", "STOPPED": "does not run"}.get(process.state, "is not ready")


def _down(name: str, how: str, count: int) -> Trouble:
    words = WITHOUT.get(name.partition("-")[0], OTHERWISE)
    do = words.format(log=f"logs/{name}.log")
    return Trouble(
        what=f"{NAMES.get(name, name.capitalize())} {how}", since=None, count=max(count, 1), do=do, place="processes"
    )


def _disk(seen: Seen) -> Iterator[Trouble]:
    disk = seen.disk
    if disk is not None and disk.free < max(LEAST_FREE, min(LOW_SHARE * disk.total, LOW_AT_MOST)):
        what = f"The disk is low: {disk.free / GIGABYTE:.1f} GB of {disk.total / GIGABYTE:.0f} GB are free"
        do = "Let retention delete what is due (radloop retain, a dry run first), or give the store more room."
        yield Trouble(what=what, since=None, count=1, do=do, place="storage")


def _breakers(seen: Seen) -> Iterator[Trouble]:
    for breaker in seen.record.breakers if seen.record else ():
        yield _breaker(breaker)


def _breaker(breaker: Breaker) -> Trouble:
    waiting = breaker.waiting
    what = f"{breaker.peer} does not take deliveries: it failed {breaker.failures} times in a row"
    do = f"{waiting.count} wait for it and go out by themselves once it answers. Test it below, and call its keepers."
    return Trouble(what=what, since=waiting.since, count=max(waiting.count, 1), do=do, place="peers")


def _quarantine(seen: Seen) -> Iterator[Trouble]:
    record = seen.record
    if record is None or record.set_aside < SET_ASIDE_LEAST:
        return
    if record.set_aside > MORE_THAN_USUAL * record.set_aside_usually:
        what = (
            f"Quarantine grows: {record.set_aside} set aside in the last hour, usually {record.set_aside_usually:.1f}"
        )
        do = "See the reasons below: mostly one sender that changed. What was set aside is kept."
        yield Trouble(what=what, since=None, count=record.set_aside, do=do, place="quarantine")


def _stalled(kind: Standstill) -> Rule:
    def rule(seen: Seen) -> Iterator[Trouble]:
        found = kind.of(seen.record) if seen.record else NOTHING
        if found.count:
            number = f"{found.count} {kind.one if found.count == 1 else kind.many}"
            what = f"{number} {kind.how}"
            yield Trouble(what=what, since=found.since, count=found.count, do=kind.do, place=kind.place)

    return rule


STUDIES: Final = (
    Standstill(
        of=lambda record: record.unanswered,
        one="study",
        many="studies",
        how="whole for over two minutes, without an answer",
        do="See whether runner and inference work; every study keeps its place, urgent ones first.",
        place="studies",
    ),
    Standstill(
        of=lambda record: record.receiving,
        one="study",
        many="studies",
        how="still open though nothing arrives any more",
        do="The runner judges when a study is whole: see whether it works (logs/runner.log).",
        place="studies",
    ),
    Standstill(
        of=lambda record: record.abandoned,
        one="piece of work",
        many="pieces of work",
        how="claimed by a runner that is gone",
        do="No runner took over: see whether one works (logs/runner.log).",
        place="studies",
    ),
)
DELIVERIES: Final = (
    Standstill(
        of=lambda record: record.parked,
        one="delivery",
        many="deliveries",
        how="parked: no try of ours will help",
        do="Read why, mend it at the peer or in radloop.toml, then resend; or drop with a reason.",
        place="parked",
    ),
    Standstill(
        of=lambda record: record.overdue,
        one="delivery",
        many="deliveries",
        how="due and not sent",
        do="Their peers answer, but nobody sends: see whether the runner works (logs/runner.log).",
        place="peers",
    ),
)
WORDS: Final = (
    Standstill(
        of=lambda record: record.unsealed,
        one="audit record",
        many="audit records",
        how="not sealed",
        do="The runner seals: see whether it works (logs/runner.log). Until then a record could be bent unseen.",
        place="processes",
    ),
    Standstill(
        of=lambda record: record.untold,
        one="notice",
        many="notices",
        how="of alarms that nobody got",
        do="Check [notify] in radloop.toml. The alarms themselves stand on the page Drift and audits.",
        place="notices",
    ),
)
RULES: Final[tuple[Rule, ...]] = (
    _ledger,
    _processes,
    _away,
    _disk,
    *map(_stalled, STUDIES),
    _breakers,
    *map(_stalled, DELIVERIES),
    _quarantine,
    *map(_stalled, WORDS),
)
