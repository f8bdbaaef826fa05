"""Drift: what a champion read in a window, held against its baseline. Without a baseline there is nothing to say."""

import math
from datetime import datetime
from typing import TYPE_CHECKING, Final

import numpy as np
from threadpoolctl import threadpool_limits

from data_checks.columns import Columns
from data_checks.ground import Ground, prepare
from data_checks.judging import Finding, Survey, survey
from data_checks.reference import comparable
from data_checks.rules import Rules
from flows.baselines import columns_of, load
from flows.house import House
from flows.seen import MOVED, Seen
from radloop.domain.records import ModelVersion
from radloop.domain.watching import Cause, Evidence, Sighting
from radloop.ledger import alarms as alarm_rows
from radloop.ledger import baselines as baseline_rows
from radloop.ledger import windows
from radloop.ledger.checks import CheckOutcome
from radloop.ledger.windows import Span

if TYPE_CHECKING:
    from data_checks.suites import Window

SUITES: Final = ("acquisition", "protocol", "scores", "embeddings", "agreement")
AGREEMENT: Final = "agreement"
NOVEL: Final = "novel"
PASS, FAIL, INSUFFICIENT = "pass", "fail", "insufficient data"
LONGEST: Final = 500


def of_model(house: House, champion: ModelVersion, window: "Window") -> Seen:
    """Every suite of drift over what the champions of a model read in a window.

    Raises:
        NotFound, IntegrityError: the baseline's rows are gone or damaged.
        Unavailable: the ledger is away.
    """
    from data_checks.suites import ground  # noqa: PLC0415 - Great Expectations takes seconds to import

    with house.ledger.read() as conn:
        baseline = baseline_rows.in_force(conn, champion.name)
    if baseline is None:
        return Seen(tuple(_outcome(suite, champion, window, "no baseline is in force") for suite in SUITES))
    known = load(house, baseline)
    with house.ledger.read() as conn:
        span = Span(window.start, window.end)
        rows = columns_of(windows.of_span(conn, champion.name, champion.digest, span))
    seen = judged(champion, *comparable(known, champion.digest, rows), window)
    by_rule = ground(house.ledger, window, champion.name, known)
    return seen + Seen(outcomes=by_rule.outcomes, pages=by_rule.pages)


def judged(champion: ModelVersion, known: Columns, rows: Columns, window: "Window") -> Seen:
    """Outcomes, one per suite, and a sighting per cause, of rows against those that are known."""
    # Small matrices: threads that wait for each other cost more than they bring, many times more on a busy machine.
    with threadpool_limits(limits=1):
        ready = prepare(known, Rules())
        found = survey(ready, rows)
    told = ((one.site, one.device, column) for one in found.findings for column in (one.column, *one.moved))
    return Seen(
        outcomes=tuple(
            _of_suite(suite, champion, found, _judged(ready, found, rows), rows, window) for suite in SUITES
        ),
        sightings=tuple(_sighting(champion.name, one, window.start) for one in found.findings),
        told=frozenset(told),
    )


def _judged(ready: Ground, found: Survey, rows: Columns) -> tuple[int, int]:
    """How many scanners were held against rows of their own, and how many had too few for that."""
    thin = {(one.site, one.device) for one in found.insufficient}
    strata = set(zip(rows.sites.tolist(), rows.devices.tolist(), strict=True))
    able = sum(one in ready.strata and one not in thin for one in strata)
    return able, len(strata) - able


def _of_suite(
    suite: str, champion: ModelVersion, found: Survey, scanners: tuple[int, int], rows: Columns, window: "Window"
) -> CheckOutcome:
    mine = [one for one in found.findings if one.check == suite]
    able, thin = scanners
    if mine:
        affected = len({version for one in mine for version in one.affected})
        return _outcome(suite, champion, window, "; ".join(one.cause for one in mine), FAIL, len(rows), affected)
    if not able:
        said = f"{len(rows)} acquisitions of {thin} scanners, too few of each or of its baseline"
        return _outcome(suite, champion, window, said, rows=len(rows))
    if not _spoken(suite, rows):
        said = f"{len(rows)} acquisitions, none with what this suite looks at"
        return _outcome(suite, champion, window, said, rows=len(rows))
    said = f"{able} scanners judged, {thin} with insufficient data"
    return _outcome(suite, champion, window, said, PASS, len(rows))


def _spoken(suite: str, rows: Columns) -> bool:
    """Whether the window has anything of what the suite looks at."""
    match suite:
        case "scores":
            return any(name.startswith("score") for name in rows.numeric)
        case "embeddings":
            return rows.embedding is not None
        case "agreement":
            return bool(np.isfinite(rows.disagree).any())
        case _:
            return len(rows) > 0


def _outcome(
    suite: str,
    champion: ModelVersion,
    window: "Window",
    detail: str,
    outcome: str = INSUFFICIENT,
    rows: int = 0,
    unexpected: int = 0,
) -> CheckOutcome:
    return CheckOutcome(
        suite=suite,
        check=f"{champion.name}.{suite}",
        outcome=outcome,
        rows=rows,
        unexpected=unexpected,
        detail=detail[:LONGEST],
        window_start=window.start,
        window_end=window.end,
    )


def _sighting(model: str, one: Finding, start: datetime) -> Sighting:
    statistic = one.statistic
    cause = Cause(suite=one.check, check=_check(one), model=model, site=one.site, device=one.device, words=one.cause)
    evidence = Evidence(
        statistic=statistic.name,
        value=_finite(statistic.value) or 0.0,
        p=_finite(statistic.p),
        n=statistic.n,
        m=statistic.m,
        smallest_shift=_finite(statistic.smallest_shift),
    )
    versions = tuple(dict.fromkeys((one.first, *one.affected)))
    return Sighting(key=_key(cause), cause=cause, evidence=evidence, since=one.since or start, versions=versions)


def _check(one: Finding) -> str:
    """`novel`: something never seen; `moved`: a known scanner sends other images; else the suite's own name."""
    if one.statistic.name == NOVEL:
        return NOVEL
    return AGREEMENT if one.check == AGREEMENT else MOVED


def _key(cause: Cause) -> str:
    """What was never seen is a cause by its name; a movement is one by its scanner and suite, whatever column tells."""
    which = cause.words if cause.check == NOVEL else cause.suite
    return alarm_rows.key_of(cause.check, cause.model, cause.site, cause.device, which)


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
