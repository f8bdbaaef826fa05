"""Stop rules: a champion that does worse on live traffic than its change plan allows is rolled back by itself.

A rule fires on evidence, not on bad luck: over at least `minimum` cases, and only where the whole 95 % Wilson interval
of the share lies on the wrong side of the limit. A latency is over its limit where surely more than half of the studies
took longer, which is what a median over the limit means.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import structlog
from sqlalchemy import Connection

from flows import standing
from flows.house import House
from flows.inference import AWAY
from models.change_plan import StopRule, read_plan
from radloop import audit
from radloop.domain.enums import Standing
from radloop.domain.errors import NotFound, Rejected, Unparsable
from radloop.domain.ids import utc_now
from radloop.domain.records import AuditEvent, ModelVersion
from radloop.domain.verdicts import is_override, last_words
from radloop.ledger import models as model_rows
from radloop.ledger import observations
from radloop.ledger import standing as standing_rows
from radloop.ledger import verdicts as verdict_rows
from radloop.ledger.observations import Place

log = structlog.get_logger()
ACTOR: Final = "runner"
NO_PREVIOUS: Final = "stop_rule.no_previous"
EVERYWHERE: Final = "all"
LONG_AGO: Final = datetime(2000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Sighting:
    """One case that a rule counts: the study version, and the measured value.

    Of agreement and error_rate: 1.0 for a verdict that agrees, for a study at which the model failed; else 0.0. Of
    latency: seconds.
    """

    version_id: str
    value: float


@dataclass(frozen=True, slots=True)
class Firing:
    """A rule that fired: on which version, where, and in words why."""

    version: ModelVersion
    rule: StopRule
    place: str
    words: str


def fired(conn: Connection, version: ModelVersion, rules: Iterable[StopRule]) -> Firing | None:
    """The first rule that fires on this champion, or None."""
    change = standing_rows.latest(conn, version.digest)
    began = change.at if change else LONG_AGO
    for rule in rules:
        since = max(began, utc_now() - timedelta(hours=rule.hours))
        seen = MEASURES[rule.measure](conn, version, since)
        if len(seen) < rule.minimum:
            continue
        for place, values in sorted(_by_place(conn, rule, seen).items()):
            if words := judged(rule, values):
                return Firing(version, rule, place, words)
    return None


def judged(rule: StopRule, values: list[float]) -> str | None:
    """Why the rule fires on these values, or None where it does not."""
    # Imported here: scipy comes with it, and most rounds see too little to judge.
    from models.evaluation.intervals import wilson  # noqa: PLC0415

    if len(values) < rule.minimum:
        return None
    if rule.measure == "latency":
        over = wilson(sum(value > rule.limit for value in values), len(values))
        return f"over {rule.limit} s in {over}, n {len(values)}" if over.low > HALF else None
    share = wilson(round(sum(values)), len(values))
    nearest = share.high if rule.measure == "agreement" else share.low
    return f"{share}, limit {rule.limit}, n {len(values)}" if rule.broken(nearest) else None


def enforce(house: House) -> tuple[Firing, ...]:
    """Roll back every champion on which a rule fires; what fired. Compare-and-set, so that it fires once.

    Raises:
        Transient: the ledger is away.
    """
    with house.ledger.read() as conn:
        champions = [one for one in model_rows.known(conn) if one.standing is Standing.CHAMPION]
        found = [firing for one in champions if (firing := fired(conn, one, rules_of(one.name)))]
    return tuple(firing for firing in found if _act(house, firing))


def rules_of(model: str) -> tuple[StopRule, ...]:
    """The stop rules of a model's change plan; none where it has no plan that can be read."""
    try:
        return read_plan(model).stop_rules
    except NotFound:
        return ()
    except Unparsable as error:
        log.error("change plan cannot be read", model=model, error=error.code)  # noqa: TRY400 - the code is the error
        return ()


def why(firing: Firing) -> str:
    """A rule that fired, as the record says it."""
    place = "" if firing.place == EVERYWHERE else f" at {firing.rule.by} {firing.place}"
    return f"stop rule {firing.rule.measure}{place}: {firing.words}"


def _act(house: House, firing: Firing) -> bool:
    """Whether this call changed something: rolled back, or noted for the first time that it cannot be."""
    version = firing.version
    with house.ledger.read() as conn:
        alone = not model_rows.standing_as(conn, version.name, Standing.PREVIOUS)
    if alone:
        return _alarmed(house, firing)
    try:
        standing.rollback(house, version.name, ACTOR, why(firing), expected=version.digest)
    except Rejected:  # somebody was quicker; the audit says who
        return False
    log.error("stop rule fired", model=version.name, digest=version.digest, measure=firing.rule.measure)
    return True


def _alarmed(house: House, firing: Firing) -> bool:
    version = firing.version
    with house.ledger.write() as conn:
        now = model_rows.champion(conn, version.name)
        if now is None or now.digest != version.digest:  # it was rolled back a moment ago: nothing is wrong
            return False
        change = standing_rows.latest(conn, version.digest)
        if standing_rows.on_record(conn, NO_PREVIOUS, version.digest, change.at if change else LONG_AGO):
            return False
        event = AuditEvent(
            at=utc_now(),
            actor=ACTOR,
            action=NO_PREVIOUS,
            object_kind="model",
            object_id=version.digest,
            detail=why(firing),
        )
        audit.append(conn, event)
    log.error("stop rule fired, nothing to roll back to", model=version.name, digest=version.digest)
    return True


def _by_place(conn: Connection, rule: StopRule, seen: list[Sighting]) -> Mapping[str, list[float]]:
    """The values by site or scanner as the rule wants it; a place without a name is no place."""
    if rule.by == EVERYWHERE:
        return {EVERYWHERE: [one.value for one in seen]}
    places = observations.places(conn, {one.version_id for one in seen})
    found: dict[str, list[float]] = defaultdict(list)
    for one in seen:
        name = PLACES[rule.by](places[one.version_id])
        if name:
            found[name].append(one.value)
    return found


def _agreement(conn: Connection, version: ModelVersion, since: datetime) -> list[Sighting]:
    """Verdicts on what this version said as champion; of a reader who changed their mind, the last word."""
    mine = {one.result_id for one in observations.spoken(conn, version.digest, since)}
    given = [one for one in verdict_rows.since(conn, version.name, since) if one.result_id in mine]
    return [Sighting(one.version_id, float(not is_override(one))) for one in last_words(given)]


def _errors(conn: Connection, version: ModelVersion, since: datetime) -> list[Sighting]:
    """Study versions: 1.0 where an attempt of this version failed. That inference was away is not its fault."""
    failed = {
        version_id
        for version_id, errors in observations.failed(conn, version.digest, since).items()
        if any(not error.startswith(AWAY) for error in errors)
    }
    answered = {one.version_id for one in observations.spoken(conn, version.digest, since)}
    return [Sighting(one, float(one in failed)) for one in sorted(failed | answered)]


def _latency(conn: Connection, version: ModelVersion, since: datetime) -> list[Sighting]:
    """Seconds from judged whole to answered, of studies for which inference was there."""
    waited = {
        version_id
        for version_id, errors in observations.failed(conn, version.digest, since).items()
        if any(error.startswith(AWAY) for error in errors)
    }
    seen = observations.spoken(conn, version.digest, since)
    return [
        Sighting(one.version_id, one.seconds)
        for one in seen
        if one.seconds is not None and one.version_id not in waited
    ]


HALF: Final = 0.5
MEASURES: Final[Mapping[str, Callable[[Connection, ModelVersion, datetime], list[Sighting]]]] = {
    "agreement": _agreement,
    "error_rate": _errors,
    "latency": _latency,
}
PLACES: Final[Mapping[str, Callable[[Place], str]]] = {
    "site": lambda place: place.site,
    "scanner": lambda place: place.scanner,
}
