"""N-EVENT-REPORT of storage commitment: read, put on record, and only then acknowledged (PS3.4 J.3.3).

The peer is the SCP and opens the association. What it says of a transaction that it was not asked in changes nothing.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from struct import Struct
from typing import Final

import structlog

from radloop import audit
from radloop.domain.enums import DeliveryState
from radloop.domain.errors import Permanent, Rejected, TooLarge, Transient, Unparsable
from radloop.domain.ids import utc_now
from radloop.domain.records import AuditEvent
from radloop.ledger import Ledger
from radloop.ledger import commitments as commitment_rows
from radloop.ledger.commitments import Answer, Verdict
from radloop.pixels.elements import Element, elements
from serving.gateway.association import EventReport
from serving.gateway.contexts import is_commitment
from serving.gateway.readiness import Readiness
from serving.gateway.statuses import NO_SUCH_CLASS, NO_SUCH_EVENT, NO_SUCH_INSTANCE, TAKEN, Status, of_event_error

log = structlog.get_logger(__name__)

ACTOR: Final = "gateway"
# PS3.4 J.3.5: the well-known instance; Table J.3-2: all is kept, or failures exist.
WELL_KNOWN_INSTANCE: Final = "1.2.840.10008.1.20.1.1"
EVENT_TYPES: Final = frozenset((1, 2))
# PS3.4 Table J.3-2.
REFERENCED_SOP_INSTANCE_UID: Final = 0x00081155
TRANSACTION_UID: Final = 0x00081195
FAILURE_REASON: Final = 0x00081197
FAILED_SOP_SEQUENCE: Final = 0x00081198
REFERENCED_SOP_SEQUENCE: Final = 0x00081199
ITEM: Final = 0xFFFEE000
# PS3.3 C.14.1.1.
FAILURE_REASONS: Final = {
    0x0110: "processing failure",
    0x0112: "no such object instance",
    0x0119: "class/instance conflict",
    0x0122: "referenced SOP class not supported",
    0x0131: "duplicate transaction UID",
    0x0213: "resource limitation",
}
ACTIONS: Final = {
    DeliveryState.COMMITTED: "committed",
    DeliveryState.QUEUED: "not committed",
    DeliveryState.PARKED: "parked",
}
_US: Final = Struct("<H")
_UID: Final = re.compile(rb"[0-9][0-9.]{0,63}")


@dataclass(frozen=True, slots=True)
class CommitmentAnswers:
    """Answers N-EVENT-REPORT. `tries`: as often is an object sent that the peer does not keep."""

    ledger: Ledger
    readiness: Readiness
    tries: int

    def report(self, report: EventReport) -> int:
        """The status of one report (PS3.7 section 10.1.1.1.8); 0x0000 only for what is on record."""
        status = _misdirected(report) or self._take(report)
        if status is not TAKEN:
            log.warning("event report not taken", reason=status.words, peers=sorted(report.peers))
        return status.code

    def _take(self, report: EventReport) -> Status:
        try:
            self._record(read_answer(report))
        except Transient as error:
            self.readiness.failed(error)
            return of_event_error(error)
        except (Permanent, Rejected) as error:
            return of_event_error(error)
        return TAKEN

    def _record(self, answer: Answer) -> None:
        now = utc_now()
        with self.ledger.write() as conn:
            verdicts = commitment_rows.answer(conn, answer, self.tries, now)
            if verdicts:
                audit.append(conn, *(_event(verdict) for verdict in verdicts))
        for verdict in verdicts:
            log.info("commitment answered", delivery=verdict.delivery.id, state=verdict.state, error=verdict.error)


def read_answer(report: EventReport) -> Answer:
    """What the event information says (PS3.4 Table J.3-2).

    Raises:
        TooLarge: it was let go, beyond the limit.
        Unparsable: it is no data set of its transfer syntax, or has no transaction.
    """
    if report.data is None:
        raise TooLarge("event information beyond the limit")
    data, syntax = report.data, report.transfer_syntax_uid
    found = {element.tag: element for element in elements(data, syntax)}
    return Answer(
        transaction_uid=_uid(data, found.get(TRANSACTION_UID)),
        peers=report.peers,
        kept=frozenset(_instance(item) for item in _items(data, found.get(REFERENCED_SOP_SEQUENCE), syntax)),
        failed={_instance(item): _reason(item) for item in _items(data, found.get(FAILED_SOP_SEQUENCE), syntax)},
    )


def _misdirected(report: EventReport) -> Status | None:
    if not is_commitment(report.sop_class_uid):
        return NO_SUCH_CLASS
    if report.sop_uid != WELL_KNOWN_INSTANCE:
        return NO_SUCH_INSTANCE
    return None if report.event_type in EVENT_TYPES else NO_SUCH_EVENT


@dataclass(frozen=True, slots=True)
class _Item:
    """One item of a sequence: its bytes, and where its elements lie."""

    data: memoryview
    elements: dict[int, Element]


def _items(data: memoryview, sequence: Element | None, syntax: str) -> Iterator[_Item]:
    if sequence is None:
        return
    inside = data[sequence.start : sequence.start + sequence.length]
    for found in elements(inside, syntax):
        if found.tag == ITEM:
            item = inside[found.start : found.start + found.length]
            yield _Item(item, {element.tag: element for element in elements(item, syntax)})


def _instance(item: _Item) -> str:
    return _uid(item.data, item.elements.get(REFERENCED_SOP_INSTANCE_UID))


def _reason(item: _Item) -> str:
    element = item.elements.get(FAILURE_REASON)
    if element is None or element.length != _US.size:
        return "not committed: no reason given"
    (code,) = _US.unpack_from(item.data, element.start)
    return f"not committed: 0x{code:04X} {FAILURE_REASONS.get(code, 'not in the standard')}"


def _uid(data: memoryview, element: Element | None) -> str:
    raw = b"" if element is None else bytes(data[element.start : element.start + element.length]).rstrip(b"\0 ")
    if not _UID.fullmatch(raw):
        raise Unparsable("event information without a UID that it must have")
    return raw.decode("ascii")


def _event(verdict: Verdict) -> AuditEvent:
    about = f"{verdict.delivery.object.kind} to {verdict.delivery.peer}"
    return AuditEvent(
        at=utc_now(),
        actor=ACTOR,
        action=ACTIONS[verdict.state],
        object_kind="delivery",
        object_id=verdict.delivery.id,
        detail=f"{about}: {verdict.error}" if verdict.error else about,
    )
