"""Watch: hold a window of the acquisitions against the suite, and keep what it found."""

from collections import Counter
from collections.abc import Sequence
from datetime import timedelta

import structlog

from flows.house import House
from radloop import audit
from radloop.domain.ids import new_id, utc_now
from radloop.domain.records import AuditEvent
from radloop.ledger import checks as check_rows
from radloop.ledger.checks import CheckOutcome

log = structlog.get_logger()
ACTOR = "watch"


def watch(house: House, back: timedelta) -> tuple[CheckOutcome, ...]:
    """Check the acquisitions of the last `back`; an empty window says "insufficient data" for every check.

    Raises:
        Unavailable: the ledger is away.
    """
    # Great Expectations takes seconds to import: whoever imports this module does not wait for it.
    from data_checks.suites import Window, run_acquisition  # noqa: PLC0415

    end = utc_now()
    outcomes = run_acquisition(house.ledger, Window(end - back, end))
    _keep(house, outcomes)
    counted = summary(outcomes)
    log.info("watched", outcomes=counted, failed=[one.check for one in outcomes if one.outcome == "fail"])
    return outcomes


def summary(outcomes: Sequence[CheckOutcome]) -> str:
    """How many checks came out how, in words: "11 pass, 2 insufficient data"."""
    return ", ".join(f"{n} {word}" for word, n in sorted(Counter(one.outcome for one in outcomes).items()))


def _keep(house: House, outcomes: Sequence[CheckOutcome]) -> None:
    event = AuditEvent(
        at=utc_now(),
        actor=ACTOR,
        action="watch",
        object_kind="suite",
        object_id=new_id("wa"),
        detail=summary(outcomes),
    )
    with house.ledger.write() as conn:
        check_rows.add(conn, outcomes)
        audit.append(conn, event)
