"""The paths under /api: verdicts and sign-offs in, answers out."""

import hashlib
from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any, Final

from fastapi import APIRouter, Header, Path, Response
from prometheus_client import Counter

from flows.final_report import shown
from flows.house import House
from flows.signing_off import sign_off_once
from flows.verdicts import Entry, enter_once
from radloop.domain.access import Permission, Who
from radloop.domain.enums import Awareness, VerdictSource
from radloop.domain.errors import NotFound
from radloop.domain.ids import utc_now
from radloop.domain.records import Actor, SignOff
from radloop.ledger import openings as opening_rows
from radloop.ledger import results as result_rows
from radloop.ledger import studies as study_rows
from radloop.ledger import verdicts as verdict_rows
from serving.console import seen
from serving.console.api.wire import (
    KEY_LENGTH,
    Receipt,
    Refusal,
    ResultOut,
    SignOffIn,
    SignOffOut,
    VerdictIn,
    code_of,
    receipt_of,
    result_of,
    signoff_of,
)
from serving.console.identity import HouseHere, may, reader_for

REFUSALS: Final[dict[int | str, dict[str, Any]]] = {
    int(status): {"model": Refusal}
    for status in (
        HTTPStatus.UNAUTHORIZED,
        HTTPStatus.FORBIDDEN,
        HTTPStatus.NOT_FOUND,
        HTTPStatus.CONFLICT,
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        HTTPStatus.UNPROCESSABLE_ENTITY,
        HTTPStatus.SERVICE_UNAVAILABLE,
    )
}


def as_file(kind: str) -> dict[int | str, dict[str, Any]]:
    """For the OpenAPI of a path that answers with a file: its media type."""
    return {int(HTTPStatus.OK): {"content": {kind: {}}}}


OurId = Annotated[str, Path(pattern=r"^[a-z]{2}_[0-9a-f]{1,28}$")]
IdempotencyKey = Annotated[
    str | None,
    Header(min_length=1, max_length=KEY_LENGTH, description="names this verdict, so that sending it again is safe"),
]

Viewer = Annotated[Who, may(Permission.VIEW_STUDIES)]
Reader = Annotated[Who, may(Permission.READ)]

api = APIRouter(prefix="/api/v1", responses=REFUSALS)
verdicts_entered = Counter("radloop_console_verdicts", "Verdicts that came in over REST.", ("kind",), registry=None)
signoffs_entered = Counter("radloop_console_signoffs", "Sign-offs that came in over REST.", registry=None)


@api.post("/results/{result_id}/verdicts", status_code=HTTPStatus.CREATED, response_model=Receipt)
def post_verdict(
    result_id: OurId,
    said: VerdictIn,
    response: Response,
    who: Reader,
    house: HouseHere,
    idempotency_key: IdempotencyKey = None,
) -> Receipt:
    """Enter a verdict: 201 the first time, 200 for the same again, 409 for its id with another content."""
    at = said.at or utc_now()
    reader = reader_for(who.actor, said.reader)
    key = idempotency_key or said.id or _derived(result_id, said, reader, at)
    entry = Entry(
        result_id=result_id,
        target=said.finding,
        kind=said.kind,
        reader=reader,
        actor=who.actor.name,
        at=at,
        awareness=_awareness(house, result_id, said.awareness, reader, at),
        source=VerdictSource.REST,
        source_id=_source_id(who.actor, key),
        text=said.text,
        code=code_of(said.code),
        severity=said.severity,
        laterality=said.laterality,
    )
    entered = enter_once(house, entry)
    _count(response, new=entered.new)
    if entered.new:
        verdicts_entered.labels(kind=entry.kind).inc()
    return receipt_of(entered.verdict)


@api.get("/results/{result_id}", response_model=ResultOut)
def get_result(result_id: OurId, who: Viewer, house: HouseHere) -> ResultOut:
    """One answer of a model, with the verdicts on it."""
    with house.ledger.read() as conn:
        result = result_rows.get(conn, result_id)
        if result is None or not shown(result):
            raise NotFound("there is no such result")
        found = result_of(result, verdict_rows.of_result(conn, result_id))
    seen.record(house, [seen.view(who, "result", "result", result_id)])
    return found


@api.get("/studies/{version_id}/results", response_model=list[ResultOut])
def get_results(version_id: OurId, who: Viewer, house: HouseHere) -> list[ResultOut]:
    """Every answer on one study version that was shown, with the verdicts."""
    with house.ledger.read() as conn:
        if study_rows.get(conn, version_id) is None:
            raise NotFound("there is no such study version")
        said = verdict_rows.of_version(conn, version_id)
        results = result_rows.of_version(conn, version_id)
        found = [result_of(one, said) for one in results if shown(one)]
    seen.record(house, [seen.view(who, "result", "result", one.id) for one in found])
    return found


@api.post("/studies/{version_id}/signoff", status_code=HTTPStatus.CREATED, response_model=SignOffOut)
def post_signoff(version_id: OurId, said: SignOffIn, response: Response, who: Reader, house: HouseHere) -> SignOffOut:
    """Close a study version: 201 the first time, 200 for the same again, 409 where it is signed otherwise."""
    signoff = SignOff(
        version_id=version_id,
        reader=reader_for(who.actor, said.reader),
        actor=who.actor.name,
        at=said.at or utc_now(),
        source=VerdictSource.REST,
        conclusion=said.conclusion,
    )
    closed = sign_off_once(house, signoff)
    _count(response, new=closed.new)
    if closed.new:
        signoffs_entered.inc()
    return signoff_of(closed.signoff)


def _awareness(house: House, result_id: str, said: Awareness, reader: str, at: datetime) -> Awareness:
    """As it was said; but nobody is blinded to what the record says they were shown before."""
    if said is not Awareness.BLINDED:
        return said
    with house.ledger.read() as conn:
        result = result_rows.get(conn, result_id)
        opening = opening_rows.find(conn, result.version_id, reader) if result else None
    was_shown = opening is not None and opening.ai_shown_at is not None and opening.ai_shown_at <= at
    return Awareness.SAW_AI if was_shown else said


def _count(response: Response, *, new: bool) -> None:
    response.status_code = HTTPStatus.CREATED if new else HTTPStatus.OK


def _source_id(actor: Actor, key: str) -> str:
    """Keys are each sender's own; whatever is in one, what is kept says nothing."""
    return hashlib.sha256(f"{actor.id}\x1f{key}".encode(errors="backslashreplace")).hexdigest()


def _derived(result_id: str, said: VerdictIn, reader: str, at: datetime) -> str:
    """Without a key: the same reader, finding, kind and time is the same verdict."""
    return "\x1f".join((result_id, said.finding, said.kind, reader, at.isoformat()))
