"""The path /api/v1/first-steps: what an empty system still needs, for whoever sets it up."""

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict

from serving.console.api.readings import REFUSALS
from serving.console.first_steps import first_steps as steps_of
from serving.console.identity import Anybody, HouseHere

first_steps = APIRouter(prefix="/api/v1", responses=REFUSALS, tags=["first run"])


class StepOut(BaseModel):
    """One thing to do: a command as it is typed, a page of the console; either may be empty."""

    model_config = ConfigDict(from_attributes=True)

    title: str
    done: bool
    how: str
    command: str
    link: str


@first_steps.get("/first-steps")
def get_first_steps(house: HouseHere, who: Anybody) -> tuple[StepOut, ...]:
    """The steps until the first answer, done or not; none from then on."""
    found = steps_of(house, who)
    return tuple(StepOut.model_validate(step) for step in found.steps) if found else ()
