"""The suite `acquisition`: the catalog's checks, said as expectations of Great Expectations, run over a window.

The checks run inside the database, whichever it is. Nothing is kept by Great Expectations: the outcomes are rows of
our own ledger, and they hold counts, never values.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Select, Text, and_, func, select, true
from sqlalchemy.engine import Dialect
from sqlalchemy.engine.url import URL

from data_checks.catalog import catalog
from data_checks.check import Check, ClosedSet, Present, Range
from radloop.domain.errors import Unavailable
from radloop.ledger import Ledger
from radloop.ledger.checks import CheckOutcome
from radloop.ledger.tables import acquisitions
from radloop.settings import export

# Its own switch: nothing is reported to its makers. It reads the environment when it is imported.
export({"GX_ANALYTICS_ENABLED": "false"})

import great_expectations as gx  # noqa: E402
import great_expectations.expectations as gxe  # noqa: E402

SUITE: Final = "acquisition"
PASS, FAIL, INSUFFICIENT = "pass", "fail", "insufficient data"


@dataclass(frozen=True, slots=True)
class Window:
    """The acquisitions from `start` on and before `end`."""

    start: datetime
    end: datetime


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
    checks = tuple(catalog().values())
    scopes = dict.fromkeys(check.modalities for check in checks)
    rows = {scope: _count_rows(ledger, window, scope) for scope in scopes}
    judged = [check for check in checks if rows[check.modalities] >= check.least]
    found: dict[str, _Verdict] = {}
    for scope in scopes:
        found |= _validate(ledger, window, [check for check in judged if check.modalities == scope])
    return tuple(_outcome(check, rows[check.modalities], found.get(check.name), window) for check in checks)


def _count_rows(ledger: Ledger, window: Window, modalities: tuple[str, ...]) -> int:
    with ledger.read() as conn:
        return conn.scalar(_within(select(func.count()), window, modalities)) or 0


def _validate(ledger: Ledger, window: Window, checks: Sequence[Check]) -> dict[str, _Verdict]:
    """The verdicts on checks that speak of the same modalities, by check."""
    if not checks:
        return {}
    query = _query(checks, window, ledger.engine.dialect)
    suite = gx.ExpectationSuite(name=SUITE, expectations=[_expectation(check) for check in checks])
    with _source(ledger.url) as source:
        asset = source.add_query_asset(SUITE, query=query)
        batch = asset.add_batch_definition_whole_table(SUITE).get_batch()
        return dict(_read(one) for one in batch.validate(suite, result_format="BASIC").results)


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


def _query(checks: Sequence[Check], window: Window, dialect: Dialect) -> str:
    """The columns that the checks speak of; an absent text, which our rows keep as an empty one, is NULL."""
    columns = {check.column: acquisitions.c[check.column] for check in checks}
    values = [func.nullif(c, "") if isinstance(c.type, Text) else c for c in columns.values()]
    named = [value.label(name) for name, value in zip(columns, values, strict=True)]
    query = _within(select(acquisitions.c.instance_id, *named), window, checks[0].modalities)
    return str(query.compile(dialect=dialect, compile_kwargs={"literal_binds": True}))


def _within(query: Select[Any], window: Window, modalities: tuple[str, ...]) -> Select[Any]:
    inside = and_(acquisitions.c.at >= window.start, acquisitions.c.at < window.end)
    scope = acquisitions.c.modality.in_(modalities) if modalities else true()
    return query.select_from(acquisitions).where(inside, scope)


def _expectation(check: Check) -> Any:
    """The rule as Great Expectations says it; `meta` brings the name back."""
    common = {"column": check.column, "meta": {"check": check.name}}
    match check.rule:
        case ClosedSet(values=values):
            return gxe.ExpectColumnValuesToBeInSet(value_set=list(values), **common)
        case Range(low=low, high=high):
            return gxe.ExpectColumnValuesToBeBetween(min_value=low, max_value=high, **common)
        case Present(share=share):
            return gxe.ExpectColumnValuesToNotBeNull(mostly=share, **common)


def _read(one: Any) -> tuple[str, _Verdict]:
    name = str(one.expectation_config.meta["check"])
    if "unexpected_count" not in one.result:
        raise Unavailable(f"the check {name} could not be computed")
    return name, _Verdict(passed=bool(one.success), unexpected=int(one.result["unexpected_count"]))


def _outcome(check: Check, rows: int, verdict: _Verdict | None, window: Window) -> CheckOutcome:
    said = INSUFFICIENT if verdict is None else PASS if verdict.passed else FAIL
    detail = f"{rows} rows, at least {check.least} are needed" if verdict is None else check.promise
    return CheckOutcome(
        suite=SUITE,
        check=check.name,
        outcome=said,
        rows=rows,
        unexpected=verdict.unexpected if verdict else 0,
        detail=detail,
        window_start=window.start,
        window_end=window.end,
    )
