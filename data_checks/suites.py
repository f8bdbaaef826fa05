"""Checks as suites of Great Expectations, run over a window of the ledger, inside the database, whichever it is.

`acquisition`: the catalog's checks over every image, and over those that a model read the combinations and the
envelope of its baseline. `deliveries`: what peers took and how soon. Nothing is kept by Great Expectations: the
outcomes are rows of our own ledger, and its pages (`SuiteRun.pages`) are written by `data_checks.docs`. Both hold
counts, never a value of a row.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, Text, and_, case, extract, func, literal, null, select, true
from sqlalchemy.engine import Dialect
from sqlalchemy.engine.url import URL

from data_checks.catalog import catalog
from data_checks.check import Check, ClosedSet, Present, Range
from data_checks.reference import Reference
from data_checks.rules import IDENTITY
from radloop.domain.enums import DeliveryState, ResultStatus, Standing
from radloop.domain.errors import Unavailable
from radloop.ledger import Ledger
from radloop.ledger.checks import CheckOutcome
from radloop.ledger.tables import acquisitions, deliveries, results
from radloop.settings import export

# Its own switch: nothing is reported to its makers. It reads the environment when it is imported.
export({"GX_ANALYTICS_ENABLED": "false"})

import great_expectations as gx  # noqa: E402
import great_expectations.expectations as gxe  # noqa: E402
from great_expectations.render.renderer import ValidationResultsPageRenderer  # noqa: E402
from great_expectations.render.view import DefaultJinjaPageView  # noqa: E402

SUITE: Final = "acquisition"
DELIVERIES: Final = "deliveries"
PASS, FAIL, INSUFFICIENT = "pass", "fail", "insufficient data"
COMBINATION: Final = "combination"
BETWEEN: Final = " | "
ENVELOPE_SHARE: Final = 0.95
"""At least this share of the rows lies where the baseline's did."""
LEAST: Final = 10
"""Rows below which a baseline says nothing of a window (MLOPS.md: a scanner never seen is found at 10)."""
# Counts alone: no value of a row reaches a page.
RESULT_FORMAT: Final = {"result_format": "BASIC", "partial_unexpected_count": 0}
# SQLite's days as seconds.
DAY_SECONDS: Final = 86_400


@dataclass(frozen=True, slots=True)
class Window:
    """The rows from `start` on and before `end`."""

    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class Limits:
    """What deliveries are held to: `share` (0..1) of them accepted, and accepted within `seconds`."""

    seconds: float
    share: float


@dataclass(frozen=True, slots=True)
class SuiteRun:
    """The outcomes of a suite, and its pages (HTML) by name."""

    outcomes: tuple[CheckOutcome, ...]
    pages: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Suite:
    """Checks that speak of the columns of one query over the ledger; `page` names it among the pages."""

    name: str
    page: str
    rows: Select[Any]
    checks: tuple[Check, ...]


@dataclass(frozen=True, slots=True)
class _Verdict:
    """Whether a check held, and how many rows spoke against it."""

    passed: bool
    unexpected: int


def run_acquisition(ledger: Ledger, window: Window) -> tuple[CheckOutcome, ...]:
    """Hold the acquisitions of a window against every check of the catalog.

    A check that has too few rows to judge says "insufficient data", whatever those rows are.

    Raises:
        Unavailable: the ledger is away, or a check could not be computed.
    """
    return acquisition(ledger, window).outcomes


def acquisition(ledger: Ledger, window: Window) -> SuiteRun:
    """`run_acquisition`, with its pages."""
    checks = tuple(catalog().values())
    suites = [_of_scope(window, scope, checks) for scope in dict.fromkeys(check.modalities for check in checks)]
    return _in_order(checks, _run(ledger, window, suites))


def ground(ledger: Ledger, window: Window, model: str, known: Reference) -> SuiteRun:
    """Hold what a champion read against its baseline: combinations that were seen, and the envelope of each setting.

    Raises:
        Unavailable: as `run_acquisition`.
    """
    checks = (_combinations(model, known), *(_envelope(model, name, *ends) for name, ends in known.envelope.items()))
    answered = and_(
        results.c.version_id == acquisitions.c.version_id,
        results.c.model == model,
        results.c.standing == Standing.CHAMPION,
        results.c.status == ResultStatus.OK,
    )
    columns = [acquisitions.c[name] for name in known.envelope]
    query = select(acquisitions.c.instance_id, _combined().label(COMBINATION), *columns)
    suite = _Suite(
        SUITE, f"{SUITE}-{model}", query.join(results, answered).where(_inside(acquisitions.c.at, window)), checks
    )
    return _run(ledger, window, [suite])


def delivered(ledger: Ledger, window: Window, limits: Limits) -> SuiteRun:
    """Hold the deliveries that were queued in a window against what is expected of peers.

    Raises:
        Unavailable: as `run_acquisition`.
    """
    d, sqlite = deliveries.c, ledger.engine.dialect.name == "sqlite"
    taken = case((d.state == DeliveryState.PARKED, null()), else_=literal(1)).label("taken")
    ended = func.coalesce(d.accepted_at, literal(window.end, d.accepted_at.type))
    seconds = _seconds(d.queued_at, ended, sqlite=sqlite).label("seconds")
    meant = and_(_inside(d.queued_at, window), d.state != DeliveryState.DROPPED)
    checks = (
        Check(
            name="delivery_taken",
            column="taken",
            rule=Present(share=limits.share),
            promise=f"at least {limits.share:.0%} of the deliveries are taken by their peer",
            least=LEAST,
        ),
        Check(
            name="delivery_seconds",
            column="seconds",
            rule=Range(high=limits.seconds, share=limits.share),
            promise=f"at least {limits.share:.0%} of the deliveries are taken within {limits.seconds:g} s",
            least=LEAST,
        ),
    )
    return _run(ledger, window, [_Suite(DELIVERIES, DELIVERIES, select(d.id, taken, seconds).where(meant), checks)])


def insufficient(suite: str, check: str, detail: str, window: Window, rows: int = 0) -> CheckOutcome:
    """The outcome of a check that has nothing to judge by."""
    return CheckOutcome(
        suite=suite,
        check=check,
        outcome=INSUFFICIENT,
        rows=rows,
        unexpected=0,
        detail=detail,
        window_start=window.start,
        window_end=window.end,
    )


def _of_scope(window: Window, scope: tuple[str, ...], checks: Sequence[Check]) -> _Suite:
    """The checks that speak of these modalities (none named: of all)."""
    mine = tuple(check for check in checks if check.modalities == scope)
    return _Suite(SUITE, "-".join((SUITE, *scope)), _acquired(window, scope, mine), mine)


def _in_order(checks: Sequence[Check], run: SuiteRun) -> SuiteRun:
    by_name = {outcome.check: outcome for outcome in run.outcomes}
    return SuiteRun(tuple(by_name[check.name] for check in checks), run.pages)


def _run(ledger: Ledger, window: Window, suites: Sequence[_Suite]) -> SuiteRun:
    outcomes: list[CheckOutcome] = []
    pages: dict[str, str] = {}
    with _source(ledger.url) as source:
        for suite in suites:
            rows = _count(ledger, suite)
            judged = [check for check in suite.checks if rows >= check.least]
            validated = _validate(source, suite, judged, ledger.engine.dialect) if judged else None
            found = dict(_read(one) for one in validated.results) if validated else {}
            outcomes += [_outcome(suite.name, check, rows, found.get(check.name), window) for check in suite.checks]
            pages |= {suite.page: _page(validated)} if validated else {}
    return SuiteRun(tuple(outcomes), pages)


def _count(ledger: Ledger, suite: _Suite) -> int:
    with ledger.read() as conn:
        return conn.scalar(select(func.count()).select_from(suite.rows.subquery())) or 0


def _validate(source: Any, suite: _Suite, checks: Sequence[Check], dialect: Dialect) -> Any:
    query = str(suite.rows.compile(dialect=dialect, compile_kwargs={"literal_binds": True}))
    expected = gx.ExpectationSuite(name=suite.page, expectations=[_expectation(check) for check in checks])
    batch = source.add_query_asset(suite.page, query=query).add_batch_definition_whole_table(suite.page).get_batch()
    return batch.validate(expected, result_format=RESULT_FORMAT)


def _page(validated: Any) -> str:
    return str(_view().render(ValidationResultsPageRenderer().render(validated)))


@cache
def _view() -> Any:
    """One for all pages: it compiles its templates once."""
    return DefaultJinjaPageView()


@contextmanager
def _source(url: URL) -> Iterator[Any]:
    """The ledger as a data source of a context that keeps nothing; its connections end with the block."""
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    kinds = {"sqlite": context.data_sources.add_sqlite, "postgresql": context.data_sources.add_postgres}
    text = url.render_as_string(hide_password=False)
    source = kinds[url.get_backend_name()]("ledger", connection_string=text, create_temp_table=False)
    try:
        yield source
    finally:
        source.get_execution_engine().close()
        source.get_engine().dispose()


def _acquired(window: Window, modalities: tuple[str, ...], checks: Sequence[Check]) -> Select[Any]:
    """The columns that the checks speak of; an absent text, which our rows keep as an empty one, is NULL."""
    columns = {check.column: acquisitions.c[check.column] for check in checks}
    values = [func.nullif(c, "") if isinstance(c.type, Text) else c for c in columns.values()]
    named = [value.label(name) for name, value in zip(columns, values, strict=True)]
    scope = acquisitions.c.modality.in_(modalities) if modalities else true()
    return select(acquisitions.c.instance_id, *named).where(_inside(acquisitions.c.at, window), scope)


def _inside(column: ColumnElement[datetime], window: Window) -> ColumnElement[bool]:
    return and_(column >= window.start, column < window.end)


def _combined() -> ColumnElement[str]:
    """The columns that say which machine in which state it was, joined: pairs of columns are slow to check."""
    first, *rest = (acquisitions.c[name] for name in IDENTITY)
    joined: ColumnElement[str] = first
    for column in rest:
        joined = joined + BETWEEN + column
    return joined


def _combinations(model: str, known: Reference) -> Check:
    return Check(
        name=f"{model}.{COMBINATION}",
        column=COMBINATION,
        rule=ClosedSet(values=tuple(sorted(BETWEEN.join(one) for one in known.combinations))),
        promise="every combination of software, kernel, model and manufacturer was in the baseline",
        least=LEAST,
    )


def _envelope(model: str, column: str, low: float, high: float) -> Check:
    return Check(
        name=f"{model}.envelope_{column}",
        column=column,
        rule=Range(low=low, high=high, share=ENVELOPE_SHARE),
        promise=f"at least {ENVELOPE_SHARE:.0%} of the rows lie between {low:g} and {high:g}, as the baseline's did",
        least=LEAST,
    )


def _seconds(begun: ColumnElement[datetime], ended: ColumnElement[datetime], *, sqlite: bool) -> ColumnElement[Any]:
    if sqlite:
        return (func.julianday(ended) - func.julianday(begun)) * DAY_SECONDS
    return extract("epoch", ended - begun)


def _expectation(check: Check) -> Any:
    """The rule as Great Expectations says it; `meta` brings the name back."""
    common = {"column": check.column, "meta": {"check": check.name}}
    match check.rule:
        case ClosedSet(values=values):
            return gxe.ExpectColumnValuesToBeInSet(value_set=list(values), **common)
        case Range(low=low, high=high, share=share):
            return gxe.ExpectColumnValuesToBeBetween(min_value=low, max_value=high, mostly=share, **common)
        case Present(share=share):
            return gxe.ExpectColumnValuesToNotBeNull(mostly=share, **common)


def _read(one: Any) -> tuple[str, _Verdict]:
    name = str(one.expectation_config.meta["check"])
    if "unexpected_count" not in one.result:
        raise Unavailable(f"the check {name} could not be computed")
    return name, _Verdict(passed=bool(one.success), unexpected=int(one.result["unexpected_count"]))


def _outcome(suite: str, check: Check, rows: int, verdict: _Verdict | None, window: Window) -> CheckOutcome:
    if verdict is None:
        return insufficient(suite, check.name, f"{rows} rows, at least {check.least} are needed", window, rows)
    return CheckOutcome(
        suite=suite,
        check=check.name,
        outcome=PASS if verdict.passed else FAIL,
        rows=rows,
        unexpected=verdict.unexpected,
        detail=check.promise,
        window_start=window.start,
        window_end=window.end,
    )
