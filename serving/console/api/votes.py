"""The path of the usefulness vote: one click on a result; the newest click of each reader counts."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict

from flows.final_report import shown
from radloop import audit
from radloop.domain.access import Permission, Who
from radloop.domain.errors import NotFound
from radloop.domain.ids import utc_now
from radloop.domain.records import AuditEvent
from radloop.ledger import results as result_rows
from radloop.ledger import votes as vote_rows
from radloop.ledger.votes import Vote
from serving.console.api.readings import REFUSALS, OurId
from serving.console.identity import HouseHere, may, reader_for

votes = APIRouter(prefix="/api/v1", responses=REFUSALS, tags=["reading"])
Reader = Annotated[Who, may(Permission.READ)]


class VoteIn(BaseModel):
    """Whether the result was of use."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    useful: bool


class VoteOut(BaseModel):
    """The vote on record."""

    result_id: str
    useful: bool
    at: datetime
    thanks: str


@votes.post("/results/{result_id}/vote")
def post_vote(result_id: OurId, said: VoteIn, house: HouseHere, who: Reader) -> VoteOut:
    """Say whether a result was of use; again with another word to change it."""
    vote = Vote(result_id=result_id, actor=reader_for(who.actor, None), useful=said.useful, at=utc_now())
    with house.ledger.write() as conn:
        result = result_rows.get(conn, result_id)
        if result is None or not shown(result):
            raise NotFound("there is no such result")
        if vote_rows.cast(conn, vote):
            audit.append(conn, _event(vote))
    return VoteOut(result_id=result_id, useful=vote.useful, at=vote.at, thanks="Thank you for saying so.")


def _event(vote: Vote) -> AuditEvent:
    return AuditEvent(
        at=vote.at,
        actor=vote.actor,
        action="vote",
        object_kind="result",
        object_id=vote.result_id,
        detail="useful" if vote.useful else "not useful",
    )
