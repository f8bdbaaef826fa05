"""The audit record, taken out: as CSV, as FHIR AuditEvents, as the audit messages of DICOM.

Records are made page by page while they are written, so that a record of any size needs no room. That somebody takes
them is on record before the first byte leaves; what was recorded later than that is not in the export.
"""

import csv
import io
import json
import re
import socket
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from flows.house import House
from radloop import audit
from radloop.audit.atna import Source, message
from radloop.audit.meanings import known, meaning
from radloop.domain.access import Role
from radloop.domain.ids import utc_now
from radloop.domain.records import AuditEvent
from radloop.ledger import actors, audit_log
from radloop.ledger.audit_log import Entry, Selection

PAGE: Final = 1000
COLUMNS: Final = (
    "number", "at", "actor", "role", "address", "action", "meaning", "object_kind", "object_id", "detail", "record",
    "link",
)  # fmt: skip
# A spreadsheet runs what begins with one of these.
RUN_BY_SPREADSHEETS: Final = ("=", "+", "-", "@", "\t", "\r", "\n")
OUR_ID: Final = re.compile(r"[a-z]{2}_[0-9a-f]{20}")


class Form(StrEnum):
    """What an export is written as."""

    CSV = "csv"
    """A row for each record, UTF-8 with a byte order mark."""
    FHIR = "fhir"
    """One Bundle (collection) of FHIR R4B AuditEvents, JSON."""
    ATNA = "atna"
    """AuditMessage elements of PS3.15 A.5.1, a line each, in one AuditMessages element."""


@dataclass(frozen=True, slots=True)
class Writing:
    """How a form is written: before, each record, between two of them, after."""

    head: Callable[[datetime], bytes]
    record: Callable[[Entry, Source], bytes]
    between: bytes
    tail: bytes


def export_audit(house: House, selection: Selection, form: Form, actor: str) -> Iterator[bytes]:
    """The records of a selection, the oldest first, in pieces. Its own row is committed when this returns.

    Raises:
        Unavailable, StorageFull: the ledger's, here or while the pieces are taken.
        InvalidObject: while they are taken: a record breaks the form's own definition.
    """
    now = utc_now()
    bounded = replace(selection, until=min(selection.until or now, now))
    with house.ledger.write() as conn:
        event = AuditEvent(
            at=now,
            actor=actor,
            action="audit.export",
            object_kind="export",
            object_id=str(form),
            detail=_said(selection, known_actor=actors.by_name(conn, selection.actor or "") is not None),
        )
        audit.append(conn, event)
    return _pieces(house, bounded, _WRITINGS[form](), now)


def source_of(house: House) -> Source:
    """Who we are in audit messages."""
    return Source(host=socket.gethostname(), site=house.settings.site.name)


def _pieces(house: House, selection: Selection, writing: Writing, at: datetime) -> Iterator[bytes]:
    source, begun = source_of(house), False
    yield writing.head(at)
    for page in _pages(house, selection):
        made = writing.between.join(writing.record(entry, source) for entry in page)
        yield writing.between + made if begun else made
        begun = True
    yield writing.tail


def _pages(house: House, selection: Selection) -> Iterator[tuple[Entry, ...]]:
    """A look at the ledger for each: a slow reader keeps no transaction open."""
    place = None
    while True:
        with house.ledger.read() as conn:
            page = audit_log.onward(conn, selection, place, PAGE)
        if not page:
            return
        yield page
        place = page[-1].place


def _csv() -> Writing:
    def head(_: datetime) -> bytes:
        return b"\xef\xbb\xbf" + _csv_line(COLUMNS)

    return Writing(head=head, record=_csv_record, between=b"", tail=b"")


def _csv_record(entry: Entry, _: Source) -> bytes:
    number = "" if entry.number is None else str(entry.number)
    link = entry.link.hex() if entry.link else ""
    words = meaning(entry.action).words
    cells = (
        number, entry.at.isoformat(), entry.actor, entry.role, entry.address, entry.action, words, entry.object_kind,
        entry.object_id, entry.detail, entry.id, link,
    )  # fmt: skip
    return _csv_line(tuple(_harmless(cell) for cell in cells))


def _csv_line(cells: tuple[str, ...]) -> bytes:
    with io.StringIO() as line:
        csv.writer(line).writerow(cells)
        return line.getvalue().encode("utf-8", "replace")


def _harmless(cell: str) -> str:
    """A quote before what a spreadsheet would run; it shows, and is taken for text."""
    return f"'{cell}" if cell.startswith(RUN_BY_SPREADSHEETS) else cell


def _fhir() -> Writing:
    from flows.audit_fhir import to_fhir  # noqa: PLC0415 - fhir.resources takes a second

    def head(at: datetime) -> bytes:
        begun = {"resourceType": "Bundle", "type": "collection", "timestamp": at.isoformat()}
        return json.dumps(begun)[:-1].encode() + b', "entry": [\n'

    def record(entry: Entry, source: Source) -> bytes:
        resource = to_fhir(entry, source)
        return json.dumps({"fullUrl": f"urn:radloop:{entry.id}", "resource": resource}).encode()

    return Writing(head=head, record=record, between=b",\n", tail=b"\n]}\n")


def _atna() -> Writing:
    def head(_: datetime) -> bytes:
        return b'<?xml version="1.0" encoding="UTF-8"?>\n<AuditMessages>\n'

    return Writing(head=head, record=message, between=b"\n", tail=b"\n</AuditMessages>\n")


_WRITINGS: Final[Mapping[Form, Callable[[], Writing]]] = MappingProxyType(
    {Form.CSV: _csv, Form.FHIR: _fhir, Form.ATNA: _atna}
)


def _said(selection: Selection, *, known_actor: bool) -> str:
    """The filters in words. What was typed in is told only where it is known to be of ours, so never of a patient."""
    id_, role, action = selection.object_id, selection.role, selection.action
    told = {
        "since": selection.since.isoformat() if selection.since else None,
        "until": selection.until.isoformat() if selection.until else None,
        "actor": (selection.actor if known_actor else "unknown") if selection.actor else None,
        "action": (action if known(action) else "unknown") if action else None,
        "object": (id_ if OUR_ID.fullmatch(id_) else "unknown") if id_ else None,
        "role": (role if role in set(Role) else "unknown") if role else None,
    }
    return ", ".join(f"{name} {value}" for name, value in told.items() if value) or "all"
