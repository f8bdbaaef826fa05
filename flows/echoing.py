"""Whether a peer is there: C-ECHO over DICOM, a connection over MLLP, its CapabilityStatement over FHIR.

MLLP has no question without an effect at the other side, so a connection (with TLS where it is set) is all that is
tried there, and the answer says so.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from flows.house import House
from radloop import audit
from radloop.domain.errors import NotFound, RadloopError
from radloop.domain.ids import utc_now
from radloop.domain.records import AuditEvent
from radloop.settings import Peer

SECONDS: Final = 5.0
"""The longest that a person waits for one connection, and for one answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Echo:
    """What one way to a peer said: `how` is what was tried, `words` why it failed ('' where it did not)."""

    how: str
    answered: bool
    seconds: float
    words: str


def echo(house: House, name: str, actor: str) -> tuple[Echo, ...]:
    """Try every way to a peer that the settings give. Blocks for some seconds.

    Raises:
        NotFound: the settings have no such peer, or give no way to it.
    """
    peer = house.settings.peers.get(name)
    if peer is None:
        raise NotFound(f"there is no [peers.{name}] in the settings")
    tried = tuple(_try(how, attempt) for how, attempt in _ways(_hurried(peer), house.settings.gateway.ae_title))
    if not tried:
        raise NotFound(f"the settings give no way to {name}: it only comes to us")
    _record(house, name, actor, tried)
    return tried


def _ways(peer: Peer, ae_title: str) -> Iterator[tuple[str, Callable[[], object]]]:
    # The protocols' libraries take a second to import, and memory: not before somebody asks.
    if peer.host and peer.port and peer.ae_title:
        from integrations import dimse  # noqa: PLC0415

        yield "DICOM C-ECHO", lambda: dimse.echo(peer, ae_title)
    if peer.mllp:
        from integrations import hl7  # noqa: PLC0415

        yield "MLLP connection (no message is sent)", lambda: hl7.reach(peer)
    if peer.fhir:
        from integrations import fhir  # noqa: PLC0415

        yield "FHIR CapabilityStatement", lambda: fhir.capabilities(peer)


def _try(how: str, attempt: Callable[[], object]) -> Echo:
    begun = time.monotonic()
    try:
        attempt()
    except RadloopError as error:
        return Echo(how=how, answered=False, seconds=time.monotonic() - begun, words=str(error))
    return Echo(how=how, answered=True, seconds=time.monotonic() - begun, words="")


def _hurried(peer: Peer) -> Peer:
    limits = {name: min(getattr(peer, name), SECONDS) for name in ("connect_seconds", "answer_seconds")}
    return peer.model_copy(update=limits)


def _record(house: House, name: str, actor: str, tried: tuple[Echo, ...]) -> None:
    detail = "; ".join(f"{one.how}: {'answered' if one.answered else 'no answer'}" for one in tried)
    event = AuditEvent(at=utc_now(), actor=actor, action="peer.echo", object_kind="peer", object_id=name, detail=detail)
    with house.ledger.write() as conn:
        audit.append(conn, event)
