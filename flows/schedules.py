"""Schedules as IT handles them: list, make, remove, pause, resume, run now.

What there is, radloop.toml and the ledger say; when it runs, Prefect does, which the worker keeps told.

for row in schedules.show(settings, ledger).rows: ...
schedules.pause(settings, ledger, "night")
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

import httpx
import structlog
from pydantic import ValidationError

from flows import prefect_rest
from radloop import audit
from radloop.domain.errors import DuplicateConflict, NotFound, Rejected, Unavailable
from radloop.domain.ids import utc_now
from radloop.domain.records import AuditEvent
from radloop.ledger import Ledger, kept_schedules
from radloop.settings import Schedule, Settings

log = structlog.get_logger()
POOL: Final = "radloop"
NAME: Final = re.compile(r"[a-z][a-z0-9_-]{0,31}")
ENDED: Final = ("RUNNING", "COMPLETED", "FAILED", "CRASHED", "CANCELLED")


class Source(StrEnum):
    """Where a schedule is written down."""

    SETTINGS = "radloop.toml"
    LEDGER = "console"
    """Made in the console, or by `radloop schedule add`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleRow:
    """One schedule: what it runs and when, and how its newest run ended (Prefect's own word for the state).

    `registered` is False until the worker has told Prefect of it, and while Prefect is away.
    """

    name: str
    flow: str
    cron: str
    paused: bool
    source: Source
    registered: bool = False
    next_at: datetime | None = None
    last_at: datetime | None = None
    last_state: str | None = None


@dataclass(frozen=True, slots=True)
class Shown:
    """Every schedule by name, and whether Prefect answered: without it nothing runs by the clock."""

    rows: tuple[ScheduleRow, ...]
    prefect: bool


def known(settings: Settings, ledger: Ledger) -> Mapping[str, tuple[Schedule, Source]]:
    """Every schedule by name; what radloop.toml names beats what the ledger keeps.

    Raises:
        Unavailable: the ledger's.
    """
    with ledger.read() as conn:
        kept = kept_schedules.known(conn)
    found = {name: (schedule, Source.LEDGER) for name in kept if (schedule := _read(name, kept[name])) is not None}
    found.update({name: (schedule, Source.SETTINGS) for name, schedule in settings.schedules.items()})
    return dict(sorted(found.items()))


def completed(settings: Settings, ledger: Ledger) -> Settings:
    """The settings with the ledger's schedules among their own.

    Raises:
        Unavailable: the ledger's.
    """
    schedules = {name: schedule for name, (schedule, _) in known(settings, ledger).items()}
    return settings.model_copy(update={"schedules": schedules})


def named(settings: Settings, ledger: Ledger, name: str) -> Schedule:
    """One schedule.

    Raises:
        NotFound: there is none of this name.
        Unavailable: the ledger's.
    """
    found = known(settings, ledger).get(name)
    if found is None:
        raise NotFound(f"there is no schedule {name}")
    return found[0]


def show(settings: Settings, ledger: Ledger) -> Shown:
    """Every schedule, with what Prefect says of it where that answers.

    Raises:
        Unavailable: the ledger's.
    """
    rows = {
        name: ScheduleRow(name=name, flow=one.flow, cron=one.cron, paused=one.paused, source=source)
        for name, (one, source) in known(settings, ledger).items()
    }
    try:
        with prefect_rest.asking(settings) as prefect:
            there = prefect_rest.deployments(prefect, POOL)
            said = tuple(_with(prefect, row, there[name]) if name in there else row for name, row in rows.items())
    except Unavailable:
        return Shown(tuple(rows.values()), prefect=False)
    return Shown(said, prefect=True)


def add(settings: Settings, ledger: Ledger, name: str, schedule: Schedule, actor: str) -> None:
    """Make a schedule; the worker tells Prefect of it within seconds.

    Raises:
        Rejected: its name, its peer or its folder cannot be.
        DuplicateConflict: there is one of this name.
    """
    _check(settings, name, schedule)
    body = schedule.model_dump(mode="json", exclude_defaults=True)
    with ledger.write() as conn:
        if name in settings.schedules or not kept_schedules.keep(conn, name, body, actor, utc_now()):
            raise DuplicateConflict(f"there is a schedule {name} already")
        audit.append(conn, _event(actor, "schedule.add", name, f"{schedule.flow}, {schedule.cron}"))


def remove(settings: Settings, ledger: Ledger, name: str, actor: str) -> None:
    """Have a schedule of the ledger run no more; the worker tells Prefect within seconds.

    Raises:
        Rejected: it stands in radloop.toml, where only whoever keeps that takes it out.
        NotFound: there is none of this name.
    """
    if name in settings.schedules:
        raise Rejected(f"[schedules.{name}] stands in radloop.toml: take it out there, or pause it here")
    with ledger.write() as conn:
        if not kept_schedules.forget(conn, name):
            raise NotFound(f"there is no schedule {name}")
        audit.append(conn, _event(actor, "schedule.remove", name))


def pause(settings: Settings, ledger: Ledger, name: str, actor: str) -> None:
    """Keep a schedule, but do not run it, until `resume`; a restart changes nothing in this.

    Raises:
        NotFound: no such schedule, or the worker has not registered it yet.
        Unavailable: the Prefect server is away.
    """
    _tell(settings, ledger, name, "pause_deployment")
    _record(ledger, actor, "schedule.pause", name)


def resume(settings: Settings, ledger: Ledger, name: str, actor: str) -> None:
    """Run a schedule by its clock again.

    Raises:
        NotFound, Unavailable: as `pause`.
    """
    _tell(settings, ledger, name, "resume_deployment")
    _record(ledger, actor, "schedule.resume", name)


def run_now(settings: Settings, ledger: Ledger, name: str, actor: str) -> str:
    """Have a schedule's flow run once, by the worker, within some seconds; the name that Prefect gave the run.

    Raises:
        NotFound, Unavailable: as `pause`.
    """
    made = _tell(settings, ledger, name, "create_flow_run")
    _record(ledger, actor, "schedule.run", name)
    return str(made["name"])


def _check(settings: Settings, name: str, schedule: Schedule) -> None:
    if not NAME.fullmatch(name):
        raise Rejected("name: a letter, then letters, digits, - and _, all small, at most 32")
    if schedule.peer is not None and schedule.peer not in settings.peers:
        raise Rejected(f"peer: there is no [peers.{schedule.peer}] in the settings")
    if schedule.folder is not None and not _is_outside(settings, schedule):
        raise Rejected("folder: an absolute path outside of our own home is needed")


def _is_outside(settings: Settings, schedule: Schedule) -> bool:
    """Our own files, keys among them, are nothing to import."""
    folder, home = schedule.folder, settings.home.resolve()
    if folder is None or not folder.is_absolute():
        return False
    folder = folder.resolve()
    return not folder.is_relative_to(home) and not home.is_relative_to(folder)


def _read(name: str, body: kept_schedules.Body) -> Schedule | None:
    try:
        return Schedule.model_validate(body)
    except ValidationError as error:  # kept by another version of ours
        log.warning("a kept schedule cannot be read", schedule=name, faults=error.error_count())
        return None


def _tell(settings: Settings, ledger: Ledger, name: str, verb: str) -> Any:
    named(settings, ledger, name)
    with prefect_rest.asking(settings) as prefect:
        found = prefect_rest.deployments(prefect, POOL).get(name)
        if found is None:
            raise NotFound(f"the worker has not registered the schedule {name} yet")
        return prefect_rest.ask(prefect, f"deployments/{found['id']}/{verb}")


def _with(prefect: httpx.Client, row: ScheduleRow, deployment: prefect_rest.Answer) -> ScheduleRow:
    coming = prefect_rest.first_run(prefect, deployment, "EXPECTED_START_TIME_ASC", ("SCHEDULED",))
    ended = prefect_rest.first_run(prefect, deployment, "START_TIME_DESC", ENDED)
    paused = bool(deployment["paused"])
    return replace(
        row,
        paused=paused,
        registered=True,
        next_at=_at(coming.get("expected_start_time")) if not paused else None,
        last_at=_at(ended.get("start_time")),
        last_state=ended.get("state_name"),
    )


def _at(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _record(ledger: Ledger, actor: str, action: str, name: str) -> None:
    with ledger.write() as conn:
        audit.append(conn, _event(actor, action, name))


def _event(actor: str, action: str, name: str, detail: str = "") -> AuditEvent:
    return AuditEvent(at=utc_now(), actor=actor, action=action, object_kind="schedule", object_id=name, detail=detail)
