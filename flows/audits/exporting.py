"""Exports of a period. Each names what went out and its digest in the audit, before anybody gets it."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from flows.audits.ai_act import to_lines
from flows.audits.cases import Gathered, gather
from flows.audits.facts import with_facts
from flows.audits.period import Period
from flows.house import House
from radloop import audit
from radloop.domain.errors import Rejected
from radloop.domain.ids import utc_now
from radloop.domain.records import AuditEvent
from radloop.ledger import references


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked for. `model` is '' for all; `identifiers`: also the hospital's own, and whole dates."""

    period: Period
    model: str
    identifiers: bool


def exported(house: House, format_: str, period: Period, actor: str, model: str = "", *, identifiers: bool) -> bytes:
    """A period in one of FORMATS, in the name of an actor.

    Raises:
        Rejected: there is no such format, or it never has identifiers.
        InvalidObject: what was made breaks its own definition.
        Transient: ledger or store are away.
    """
    if format_ not in FORMATS:
        raise Rejected(f"there is no export {format_}: {', '.join(FORMATS)}")
    if identifiers and format_ == AI_ACT:
        raise Rejected("the log of the AI Act names nobody: its ids are followed with `radloop explain`")
    wanted = Wanted(period, model, identifiers)
    data = FORMATS[format_](house, wanted)
    _record(house, format_, wanted, actor, data)
    return data


def _gathered(house: House, wanted: Wanted) -> Gathered:
    with house.ledger.read() as conn:
        found = gather(conn, wanted.period, wanted.model)
    return with_facts(house, found, {one.version_id for one in found.signed})


def _numbers(house: House, wanted: Wanted, gathered: Gathered) -> Mapping[str, str]:
    if not wanted.identifiers:
        return {}
    with house.ledger.read() as conn:
        return {one.study_id: references.patient_of(conn, one.study_id) for one in gathered.signed}


def _acr_csv(house: House, wanted: Wanted) -> bytes:
    from flows.audits.acr import Names, to_csv  # noqa: PLC0415 - each export pays for its own imports

    gathered = _gathered(house, wanted)
    return to_csv(gathered.cases, Names(wanted.identifiers, _numbers(house, wanted, gathered)))


def _acr_fhir(house: House, wanted: Wanted) -> bytes:
    from flows.audits.acr import Names  # noqa: PLC0415
    from flows.audits.acr_fhir import to_fhir  # noqa: PLC0415 - fhir.resources takes a second

    gathered = _gathered(house, wanted)
    names = Names(wanted.identifiers, _numbers(house, wanted, gathered))
    return to_fhir(gathered.cases, names, utc_now())


def _ai_act(house: House, wanted: Wanted) -> bytes:
    with house.ledger.read() as conn:
        return to_lines(conn, wanted.period, wanted.model, house.settings.site.name)


AI_ACT: Final = "ai-act"
FORMATS: Final[Mapping[str, Callable[[House, Wanted], bytes]]] = MappingProxyType(
    {"acr-csv": _acr_csv, "acr-fhir": _acr_fhir, AI_ACT: _ai_act}
)


def _record(house: House, format_: str, wanted: Wanted, actor: str, data: bytes) -> None:
    named = "with identifiers" if wanted.identifiers else "without identifiers"
    digest = hashlib.sha256(data).hexdigest()
    with house.ledger.write() as conn:
        event = AuditEvent(
            at=utc_now(),
            actor=actor,
            action="report.export",
            object_kind="export",
            object_id=format_,
            detail=f"{wanted.period}, {wanted.model or 'all models'}, {named}, SHA-256 {digest}",
        )
        audit.append(conn, event)
