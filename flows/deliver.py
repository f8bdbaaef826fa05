"""Deliver: what is due for one peer goes over its wire, and each outcome has one consequence.

SENT is committed before the wire and the outcome after it: a crash in between sends the same object under the same
identifiers again, which every peer takes as the one it has.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache, partial
from importlib import import_module
from typing import Final, Protocol

import structlog
from sqlalchemy import Connection

from flows import claims, commit, policies
from flows.house import House
from flows.wanted import DICOM_KINDS
from integrations.dimse import DimseAdapter
from radloop import audit
from radloop.domain.enums import ObjectKind
from radloop.domain.errors import ContentError, Permanent, RadloopError, RefusedByPeer, Transient, Unavailable
from radloop.domain.ids import utc_now
from radloop.domain.records import Accepted, AuditEvent, Delivery, Parcel
from radloop.ledger import commitments as commitment_rows
from radloop.ledger import deliveries as delivery_rows
from radloop.settings import Peer

log = structlog.get_logger()
ACTOR = "runner"
AT_ONCE = 16
"""Deliveries per claim: one association or connection carries them."""

Sent = Accepted | RadloopError


class Adapter(Protocol):
    """What each protocol of `integrations` exports as ADAPTER."""

    def send(self, peer: Peer, parcels: Sequence[Parcel]) -> tuple[Sent, ...]:
        """One outcome per parcel, in order; raises nothing for what a peer does."""
        ...


@dataclass(frozen=True, slots=True)
class Tried:
    """One delivery and what came of the try."""

    delivery: Delivery
    outcome: Sent
    at: datetime
    on_wire: bool = True
    """Whether the peer was asked at all: only then does its breaker mind."""


Consequence = Callable[[Connection, House, Tried], bool]


async def deliver_due(house: House, peer: str) -> int:
    """Send what is due for a peer, urgent first, at most AT_ONCE; how many were tried.

    Raises:
        Unavailable: the ledger's.
    """
    claimed = await asyncio.to_thread(claim, house, peer)
    if claimed:
        await deliver_claimed(house, peer, claimed)
    return len(claimed)


def claim(house: House, peer: str) -> tuple[Delivery, ...]:
    """Take what is due: it is SENT from here on."""
    now = utc_now()
    with house.ledger.write() as conn:
        return delivery_rows.claim(conn, peer, house.owner, now, claims.lease_end(house, now), AT_ONCE)


async def deliver_claimed(house: House, peer: str, claimed: Sequence[Delivery]) -> Counter[str]:
    """Send what was claimed and settle every outcome; how many of each there were."""
    tried = await asyncio.to_thread(_send, house, peer, claimed)
    settle = partial(asyncio.to_thread, _settle, house, peer, tried)
    await policies.patiently(policies.LEDGER, "settling deliveries", settle)
    return Counter("accepted" if isinstance(one.outcome, Accepted) else one.outcome.code for one in tried)


def adapter_for(house: House, kind: ObjectKind) -> Adapter:
    """Which protocol carries a kind."""
    return _adapters(house.settings.gateway.ae_title)[kind]


@cache
def _adapters(ae_title: str) -> Mapping[ObjectKind, Adapter]:
    """Loaded at the first delivery: the protocols' libraries take seconds to import."""
    hl7: Adapter = import_module("integrations.hl7").ADAPTER
    fhir: Adapter = import_module("integrations.fhir").ADAPTER
    pacs: Adapter = DimseAdapter(ae_title)
    others = {ObjectKind.ORU: hl7, ObjectKind.ORM: hl7, ObjectKind.DIAGNOSTIC_REPORT: fhir}
    return {**dict.fromkeys(DICOM_KINDS, pacs), **others}


def _send(house: House, peer_name: str, claimed: Sequence[Delivery]) -> tuple[Tried, ...]:
    peer = house.settings.peers.get(peer_name)
    if peer is None:
        gone = Permanent("the settings have no such peer")
        return tuple(Tried(delivery, gone, utc_now(), on_wire=False) for delivery in claimed)
    loaded = [(delivery, _load(house, delivery)) for delivery in claimed]
    broken = [
        Tried(delivery, found, utc_now(), on_wire=False)
        for delivery, found in loaded
        if isinstance(found, RadloopError)
    ]
    ready = [(delivery, found) for delivery, found in loaded if isinstance(found, Parcel)]
    return (*broken, *(tried for group in _by_adapter(house, ready) for tried in _send_group(peer, *group)))


def _load(house: House, delivery: Delivery) -> Parcel | RadloopError:
    try:
        return Parcel(delivery.object, house.store.get(delivery.object.blob.key))
    except RadloopError as error:
        return error


Group = tuple[Adapter, list[tuple[Delivery, Parcel]]]


def _by_adapter(house: House, ready: Sequence[tuple[Delivery, Parcel]]) -> list[Group]:
    """One group per protocol, so that one association or connection carries all of its objects."""
    groups: dict[Adapter, list[tuple[Delivery, Parcel]]] = {}
    for delivery, parcel in ready:
        groups.setdefault(adapter_for(house, delivery.object.kind), []).append((delivery, parcel))
    return list(groups.items())


def _send_group(peer: Peer, adapter: Adapter, ready: Sequence[tuple[Delivery, Parcel]]) -> list[Tried]:
    outcomes = adapter.send(peer, [parcel for _, parcel in ready])
    now = utc_now()
    return [Tried(delivery, outcome, now) for (delivery, _), outcome in zip(ready, outcomes, strict=True)]


def _settle(house: House, peer: str, tried: Sequence[Tried]) -> None:
    with house.ledger.write() as conn:
        for one in tried:
            consequence(one.outcome)(conn, house, one)
        _mind_breaker(conn, house, peer, tried)


def consequence(outcome: Sent) -> Consequence:
    """The row of the table that an outcome falls under."""
    return next(then for kind, then in CONSEQUENCES if isinstance(outcome, kind))


def _accept(conn: Connection, house: House, tried: Tried) -> bool:
    warnings = tried.outcome.warnings if isinstance(tried.outcome, Accepted) else ()
    audit.append(conn, _event("delivered", tried, ", ".join(warnings)))
    taken = delivery_rows.accepted(conn, tried.delivery.id, warnings, tried.at)
    if commit.is_wanted(house, tried.delivery):
        commitment_rows.expect(conn, tried.delivery.id, tried.at + commit.ASK_AFTER)
    return taken


def _try_content_again(conn: Connection, house: House, tried: Tried) -> bool:
    """RESULTS.md: an error in the content gets three tries, then a person looks at it."""
    if tried.delivery.content_errors + 1 >= house.settings.delivery.content_tries:
        return _park(conn, house, tried)
    return delivery_rows.retry(conn, tried.delivery.id, _words(tried), _next_try(house, tried), content_errors=1)


def _try_later(conn: Connection, house: House, tried: Tried) -> bool:
    peer = house.settings.peers[tried.delivery.peer]
    queued_at = delivery_rows.queued_at(conn, tried.delivery.id) or tried.at
    if tried.at - queued_at >= timedelta(seconds=peer.park_after_seconds):
        return _park(conn, house, tried)
    return delivery_rows.retry(conn, tried.delivery.id, _words(tried), _next_try(house, tried))


def _park(conn: Connection, _house: House, tried: Tried) -> bool:
    log.error("delivery parked", delivery=tried.delivery.id, peer=tried.delivery.peer, error=_words(tried))
    audit.append(conn, _event("parked", tried, _words(tried)))
    return delivery_rows.park(conn, tried.delivery.id, _words(tried))


# RESULTS.md, Delivery states: the first row that fits holds.
CONSEQUENCES: Final[tuple[tuple[type[Sent], Consequence], ...]] = (
    (Accepted, _accept),
    (ContentError, _try_content_again),
    (RefusedByPeer, _park),
    (Transient, _try_later),
    (RadloopError, _park),
)


def _next_try(house: House, tried: Tried) -> datetime:
    """When to try again: full jitter, but never before the peer said."""
    asked = tried.outcome.retry_after if isinstance(tried.outcome, Unavailable) else None
    drawn = policies.delivery(house.settings.delivery).wait(tried.delivery.attempts)
    return tried.at + timedelta(seconds=max(drawn, asked or 0.0))


def _mind_breaker(conn: Connection, house: House, peer: str, tried: Sequence[Tried]) -> None:
    """A peer that answered anything at all is there; one that failed for all counts once, however many were sent."""
    settings, outcomes = house.settings.delivery, [one.outcome for one in tried if one.on_wire]
    if not outcomes:
        return
    if any(not isinstance(outcome, Transient) for outcome in outcomes):
        delivery_rows.peer_answered(conn, peer)
        return
    open_until = utc_now() + timedelta(seconds=settings.breaker_seconds)
    if delivery_rows.peer_failed(conn, peer, settings.breaker_failures, open_until):
        log.warning("breaker is open", peer=peer)


def _words(tried: Tried) -> str:
    return f"{tried.outcome.code}: {tried.outcome}" if isinstance(tried.outcome, RadloopError) else ""


def _event(action: str, tried: Tried, detail: str) -> AuditEvent:
    about = f"{tried.delivery.object.kind} to {tried.delivery.peer}"
    return AuditEvent(
        at=utc_now(),
        actor=ACTOR,
        action=action,
        object_kind="delivery",
        object_id=tried.delivery.id,
        detail=f"{about}: {detail}" if detail else about,
    )
