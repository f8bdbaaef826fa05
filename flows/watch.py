"""Watch: hold a window of live traffic against every suite, keep what was found, and open an alarm per cause.

Looking changes nothing; what was seen is kept in one transaction: outcomes, alarms, notices that are due, the audit.
A watch that is killed is done again by the next one, and no cause gets two alarms.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import structlog
from sqlalchemy import Connection

from flows import notices
from flows.house import House
from flows.seen import MOVED, Seen
from radloop import audit
from radloop.domain.enums import Standing
from radloop.domain.errors import Transient
from radloop.domain.ids import new_id, utc_now
from radloop.domain.records import AuditEvent
from radloop.domain.watching import Alarm, Sighting
from radloop.ledger import alarms as alarm_rows
from radloop.ledger import checks as check_rows
from radloop.ledger import models as model_rows
from radloop.ledger.checks import CheckOutcome

if TYPE_CHECKING:
    from data_checks.suites import Window

log = structlog.get_logger()
ACTOR = "watch"


def watch(house: House, back: timedelta) -> tuple[CheckOutcome, ...]:
    """Check the last `back`; where there is too little to judge, an outcome says "insufficient data".

    Raises:
        Unavailable: the ledger is away.
        NotFound, IntegrityError: the rows of a baseline are gone or damaged.
    """
    # Great Expectations takes seconds to import: whoever imports this module does not wait for it.
    from data_checks.suites import Window  # noqa: PLC0415

    end = utc_now()
    seen = look(house, Window(end - back, end))
    opened = _keep(house, seen)
    _show(house, seen)
    failed = [one.check for one in seen.outcomes if one.outcome == "fail"]
    log.info("watched", outcomes=summary(seen.outcomes), failed=failed, opened=[alarm.id for alarm in opened])
    _tell(house)
    return seen.outcomes


def look(house: House, window: "Window") -> Seen:
    """Every suite over one window; nothing is kept.

    Raises:
        Unavailable, NotFound, IntegrityError: as `watch`.
    """
    from data_checks.suites import Limits, acquisition, delivered  # noqa: PLC0415
    from flows import broken_rules, drift  # noqa: PLC0415 - scipy comes with it

    images = acquisition(house.ledger, window)
    limits = Limits(house.settings.watch.delivery_seconds, house.settings.watch.delivery_share)
    sent = delivered(house.ledger, window, limits)
    with house.ledger.read() as conn:
        champions = [one for one in model_rows.known(conn) if one.standing is Standing.CHAMPION]
    drifted = sum((drift.of_model(house, one, window) for one in champions), Seen())
    by_rule = broken_rules.of_acquisitions(house, images.outcomes, window, drifted.told)
    by_peer = broken_rules.of_deliveries(house, sent.outcomes, window)
    return (
        Seen(images.outcomes, pages=images.pages) + drifted + Seen(sent.outcomes, pages=sent.pages) + by_rule + by_peer
    )


def summary(outcomes: Sequence[CheckOutcome]) -> str:
    """How many checks came out how, in words: "11 pass, 2 insufficient data"."""
    return ", ".join(f"{n} {word}" for word, n in sorted(Counter(one.outcome for one in outcomes).items()))


def _keep(house: House, seen: Seen) -> tuple[Alarm, ...]:
    """Write everything down; the alarms that were opened just now."""
    with house.ledger.write() as conn:
        check_rows.add(conn, seen.outcomes)
        noticed = [_notice(conn, house, sighting) for sighting in seen.sightings]
        audit.append(conn, _event("watch", "suite", new_id("wa"), summary(seen.outcomes)))
    return tuple(alarm for alarm in noticed if alarm is not None)


def _notice(conn: Connection, house: House, sighting: Sighting) -> Alarm | None:
    """The alarm that a sighting opens, or None where there is one of its cause."""
    alarm, opened = alarm_rows.see(conn, _folded(conn, sighting), utc_now())
    if not opened:
        return None
    audit.append(conn, _event("alarm.open", "alarm", alarm.id, f"{alarm.cause.suite}: {alarm.cause.words}"))
    notices.queue(conn, house.settings.notify, alarm.id)
    return alarm


def _folded(conn: Connection, sighting: Sighting) -> Sighting:
    """While a movement's alarm is open, what else moves at that scanner is part of it: it has one cause."""
    cause = sighting.cause
    if cause.check != MOVED:
        return sighting
    there = alarm_rows.open_at(conn, cause.model, cause.site, cause.device)
    keys = [key for key, alarm in there.items() if alarm.cause.check == MOVED]
    return replace(sighting, key=keys[0]) if keys and sighting.key not in keys else sighting


def _show(house: House, seen: Seen) -> None:
    """The pages are for people to look at: where they cannot be written, the watch has been kept all the same."""
    from data_checks import docs  # noqa: PLC0415

    try:
        docs.write(house.settings.data_docs_path, seen.pages, seen.outcomes)
    except OSError as error:
        log.warning("data docs cannot be written", error=type(error).__name__)


def _tell(house: House) -> None:
    """At once, where it goes; the runner tries again what does not."""
    try:
        notices.tell_due(house)
    except Transient as error:
        log.warning("notices wait", error=error.code)


def _event(action: str, kind: str, object_id: str, detail: str) -> AuditEvent:
    return AuditEvent(at=utc_now(), actor=ACTOR, action=action, object_kind=kind, object_id=object_id, detail=detail)
