"""Rules that a window broke, told by the scanner that broke them, or by the peer that did not take its deliveries."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, TypeVar

from sqlalchemy import ColumnElement, Text, and_, func, or_, select, true

from data_checks.catalog import catalog
from data_checks.check import Check, ClosedSet, Present, Range
from flows.house import House
from flows.seen import Seen, Told
from radloop.domain.enums import DeliveryState
from radloop.domain.watching import Cause, Evidence, Sighting
from radloop.ledger import alarms as alarm_rows
from radloop.ledger.checks import CheckOutcome
from radloop.ledger.tables import acquisitions, deliveries
from radloop.ledger.windows import device_of

if TYPE_CHECKING:
    from data_checks.suites import Window

FAIL: Final = "fail"
SHARE: Final = "share"
Place = tuple[str, str]
P = TypeVar("P")


@dataclass(frozen=True, slots=True)
class Broken:
    """What broke a rule at one place: since when, and the study versions, of how many rows there."""

    since: datetime
    versions: tuple[str, ...]
    rows: int

    @property
    def share(self) -> float:
        """How many of the place's rows, 0..1; one version may have several."""
        return min(1.0, len(self.versions) / self.rows) if self.rows else 0.0


def of_acquisitions(house: House, outcomes: Sequence[CheckOutcome], window: "Window", told: Told) -> Seen:
    """A sighting for each scanner that broke a rule of the catalog, where nothing else explains it already."""
    failed = [catalog()[one.check] for one in outcomes if one.outcome == FAIL and one.check in catalog()]
    least = house.settings.watch.least
    found = (
        _of_scanner(check, place, broken)
        for check in failed
        for place, broken in _by_scanner(house, check, window).items()
        if len(broken.versions) >= least and (*place, check.column) not in told and _beyond(check, broken)
    )
    return Seen(sightings=tuple(found))


def of_deliveries(house: House, outcomes: Sequence[CheckOutcome], window: "Window") -> Seen:
    """A sighting for each peer that did not take what it was sent, or took it late."""
    least = house.settings.watch.least
    found = (
        _of_peer(one, peer, broken)
        for one in outcomes
        if one.outcome == FAIL
        for peer, broken in _by_peer(house, one.check, window).items()
        if len(broken.versions) >= least and broken.share > 1.0 - house.settings.watch.delivery_share
    )
    return Seen(sightings=tuple(found))


def _beyond(check: Check, broken: Broken) -> bool:
    """Whether a scanner's own share of broken rows is more than the rule allows."""
    allowed = 0.0 if isinstance(check.rule, ClosedSet) else 1.0 - check.rule.share
    return broken.share > allowed


def _by_scanner(house: House, check: Check, window: "Window") -> Mapping[Place, Broken]:
    a = acquisitions.c
    inside = and_(a.at >= window.start, a.at < window.end)
    scope = a.modality.in_(check.modalities) if check.modalities else true()
    place = (a.site, a.manufacturer, a.model_name, a.station)
    with house.ledger.read() as conn:
        rows = conn.execute(
            select(*place, a.version_id, a.at).where(inside, scope, _violates(check)).order_by(a.at, a.instance_id)
        ).all()
        counted = conn.execute(select(*place, func.count()).where(inside, scope).group_by(*place)).all()
    totals: dict[Place, int] = defaultdict(int)
    for site, manufacturer, model_name, station, count in counted:
        totals[site, device_of(manufacturer, model_name, station)] += count
    found = (((r.site, device_of(r.manufacturer, r.model_name, r.station)), r.at, r.version_id) for r in rows)
    return _grouped(found, totals)


def _violates(check: Check) -> ColumnElement[bool]:
    """The rows that speak against a rule; rows without a value speak only against one that asks for a value."""
    column: ColumnElement[Any] = acquisitions.c[check.column]
    is_text = isinstance(column.type, Text)
    empty = or_(column.is_(None), column == "") if is_text else column.is_(None)
    match check.rule:
        case ClosedSet(values=values):
            return and_(~empty, column.not_in(values))
        case Range(low=low, high=high):
            beyond = [column < low] if low is not None else []
            beyond += [column > high] if high is not None else []
            return and_(~empty, or_(*beyond))
        case Present():
            return empty


def _by_peer(house: House, check: str, window: "Window") -> Mapping[str, Broken]:
    d = deliveries.c
    inside = and_(d.queued_at >= window.start, d.queued_at < window.end, d.state != DeliveryState.DROPPED)
    late = house.settings.watch.delivery_seconds
    query = select(d.peer, d.version_id, d.queued_at, d.accepted_at, d.state).where(inside).order_by(d.queued_at, d.id)
    with house.ledger.read() as conn:
        rows = conn.execute(query).all()
    totals: dict[str, int] = defaultdict(int)
    for row in rows:
        totals[row.peer] += 1
    if check == "delivery_taken":
        bad = [row for row in rows if row.state == DeliveryState.PARKED]
    else:
        bad = [row for row in rows if ((row.accepted_at or window.end) - row.queued_at).total_seconds() > late]
    return _grouped(((row.peer, row.queued_at, row.version_id) for row in bad), totals)


def _grouped(found: Iterable[tuple[P, datetime, str]], totals: Mapping[P, int]) -> dict[P, Broken]:
    since: dict[P, datetime] = {}
    versions: dict[P, list[str]] = defaultdict(list)
    for place, at, version in found:
        since.setdefault(place, at)
        versions[place].append(version)
    return {
        place: Broken(since[place], tuple(dict.fromkeys(ids)), totals.get(place, 0)) for place, ids in versions.items()
    }


def _of_scanner(check: Check, place: Place, broken: Broken) -> Sighting:
    site, device = place
    words = f"{check.name} broken ({check.promise}): {device or 'unnamed device'} at {site or 'unnamed site'}"
    cause = Cause(suite="acquisition", check=check.name, model="", site=site, device=device, words=words)
    return _sighting(cause, broken)


def _of_peer(one: CheckOutcome, peer: str, broken: Broken) -> Sighting:
    words = f"{one.check} broken ({one.detail}): peer {peer}"
    return _sighting(Cause(suite=one.suite, check=one.check, model="", site=peer, device="", words=words), broken)


def _sighting(cause: Cause, broken: Broken) -> Sighting:
    evidence = Evidence(
        statistic=SHARE,
        value=broken.share,
        p=None,
        n=broken.rows,
        m=0,
        smallest_shift=1 / broken.rows if broken.rows else None,
    )
    key = alarm_rows.key_of("rule", cause.suite, cause.check, cause.site, cause.device)
    return Sighting(key=key, cause=cause, evidence=evidence, since=broken.since, versions=broken.versions)
