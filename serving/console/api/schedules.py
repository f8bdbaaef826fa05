"""The paths /api/v1/schedules: flows that run by the clock, listed, made, removed, paused, resumed, run now."""

from datetime import datetime
from http import HTTPStatus
from pathlib import Path as FilePath
from typing import Annotated, Any

from fastapi import APIRouter, Path
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from flows import schedules as verbs
from radloop.domain.access import Permission, Who
from radloop.settings import Schedule
from serving.console.api.readings import REFUSALS
from serving.console.identity import HouseHere, may
from serving.console.refusals import Malformed

schedules = APIRouter(prefix="/api/v1/schedules", responses=REFUSALS, tags=["operations"])
Viewer = Annotated[Who, may(Permission.VIEW_OPERATIONS)]
Operator = Annotated[Who, may(Permission.OPERATE)]
Named = Annotated[str, Path(pattern=r"^[a-z][a-z0-9_-]{0,31}$")]


class ScheduleIn(BaseModel):
    """A new schedule: as a table `[schedules.NAME]` of radloop.toml would have it. Cron times are UTC."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,31}$")]
    flow: Annotated[str, Field(max_length=16, description="ingest, watch, retrain, audit or retain")]
    cron: Annotated[str, Field(max_length=100, description='when, e.g. "0 3 * * *"')]
    paused: bool = False
    peer: Annotated[str, Field(max_length=32)] | None = None
    folder: Annotated[str, Field(max_length=1000)] | None = None
    modality: Annotated[str, Field(max_length=16)] = ""
    model: Annotated[str, Field(max_length=64)] | None = None
    since: Annotated[str, Field(max_length=8)] = "1d"


class ScheduleOut(BaseModel):
    """A schedule: when it runs (cron, UTC), where it is written down, and what Prefect says of it."""

    model_config = ConfigDict(from_attributes=True)

    name: str
    flow: str
    cron: str
    paused: bool
    source: str
    registered: bool
    next_at: datetime | None
    last_at: datetime | None
    last_state: str | None


class SchedulesOut(BaseModel):
    """Every schedule; `prefect` is false while Prefect is away: then nothing runs by the clock."""

    prefect: bool
    schedules: tuple[ScheduleOut, ...]


class NamedOut(BaseModel):
    """The schedule that was changed."""

    name: str


class RunOut(BaseModel):
    """A run that begins within seconds, by the name that Prefect gave it."""

    name: str
    run: str


@schedules.get("")
def list_schedules(house: HouseHere, _: Viewer) -> SchedulesOut:
    """Every schedule of radloop.toml and of the ledger, by name."""
    shown = verbs.show(house.settings, house.ledger)
    return SchedulesOut(prefect=shown.prefect, schedules=tuple(map(ScheduleOut.model_validate, shown.rows)))


@schedules.post("", status_code=HTTPStatus.CREATED)
def post_schedule(said: ScheduleIn, house: HouseHere, who: Operator) -> NamedOut:
    """Make a schedule; the worker takes it up within seconds, without a restart."""
    verbs.add(house.settings, house.ledger, said.name, _schedule(said), who.actor.name)
    return NamedOut(name=said.name)


@schedules.delete("/{name}")
def delete_schedule(name: Named, house: HouseHere, who: Operator) -> NamedOut:
    """Remove a schedule that was made here; those of radloop.toml are taken out there."""
    verbs.remove(house.settings, house.ledger, name, who.actor.name)
    return NamedOut(name=name)


@schedules.post("/{name}/pause")
def post_pause(name: Named, house: HouseHere, who: Operator) -> NamedOut:
    """Keep a schedule, but do not run it."""
    verbs.pause(house.settings, house.ledger, name, who.actor.name)
    return NamedOut(name=name)


@schedules.post("/{name}/resume")
def post_resume(name: Named, house: HouseHere, who: Operator) -> NamedOut:
    """Run a paused schedule by its clock again."""
    verbs.resume(house.settings, house.ledger, name, who.actor.name)
    return NamedOut(name=name)


@schedules.post("/{name}/run")
def post_run(name: Named, house: HouseHere, who: Operator) -> RunOut:
    """Run a schedule's flow once, now."""
    return RunOut(name=name, run=verbs.run_now(house.settings, house.ledger, name, who.actor.name))


def _schedule(said: ScheduleIn) -> Schedule:
    """By the rules of radloop.toml.

    Raises:
        Malformed: it breaks one; the message says which part, and what was expected.
    """
    given: dict[str, Any] = said.model_dump(exclude={"name"}, exclude_none=True)
    try:
        return Schedule.model_validate({**given, **({"folder": FilePath(said.folder)} if said.folder else {})})
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = f"{first['loc'][0]}: " if first["loc"] else ""
        raise Malformed(where + first["msg"].removeprefix("Value error, ")) from None
