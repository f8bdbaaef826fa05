"""Which models read which studies: the site's routes, the ledger's champions, the models' cards."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from sqlalchemy import Connection

from models.catalog import catalog
from models.spec import CARD, MANIFEST, ModelSpec, read_spec
from radloop.domain.enums import Standing
from radloop.domain.errors import IntegrityError
from radloop.domain.records import Acquisition, ModelVersion
from radloop.ledger import golive as golive_rows
from radloop.ledger import models as model_rows
from radloop.ledger import shadowed as shadowed_rows
from radloop.ledger.golive import Step
from radloop.ledger.windows import device_of
from radloop.settings import Route

NO_ROUTE = "no route matched"
NO_CARD = "no model's card takes it"
IN_SHADOW = "the scanner is in the shadow"
NOT_LIVE = "not live yet"


@dataclass(frozen=True, slots=True, kw_only=True)
class Appointment:
    """A model that is to read a study: the version, its own card, and why it may not read (None where it may)."""

    model: ModelVersion
    spec: ModelSpec
    refusal: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Who answers, and the reasons why others cannot."""

    appointments: tuple[Appointment, ...] = ()
    reasons: tuple[str, ...] = ()


NOBODY = Plan()


def routed(routes: Sequence[Route], images: Sequence[Mapping[str, str]]) -> tuple[str, ...]:
    """The names of all models whose route matches one of the images, each once, in the order of the routes."""
    names = (name for route in routes if any(route.when.matches(one) for one in images) for name in route.models)
    return tuple(dict.fromkeys(names))


def plan(conn: Connection, names: Sequence[str], images: Sequence[Acquisition], installed: Path) -> Plan:
    """Appoint the champion of every routed model; the ledger decides which version that is.

    `installed` is the folder of the installed bundles.

    Raises:
        IntegrityError: a champion's card was changed: it is read again once somebody has mended it.
    """
    if not names:
        return Plan(reasons=(NO_ROUTE,))
    found = {name: _champion(conn, name, images, installed) for name in names}
    made = Plan(
        appointments=tuple(one for one in found.values() if isinstance(one, Appointment)),
        reasons=tuple(one for one in found.values() if isinstance(one, str)),
    )
    scanners = [(one.site, device_of(one.manufacturer, one.model_name, one.station)) for one in images]
    if shadowed_rows.any_of(conn, scanners):
        return _silent(made)
    step = golive_rows.in_force(conn)
    return made if step is None else _as_live(made, images, step)


def volunteers(conn: Connection, images: Sequence[Acquisition], installed: Path) -> tuple[str, ...]:
    """The names of the models whose champion's card takes one of the images, whatever the routes say.

    Raises:
        IntegrityError: a champion's card was changed.
    """
    champions = (one for one in model_rows.known(conn) if one.standing is Standing.CHAMPION)
    found = (appoint(one, images, installed) for one in champions)
    return tuple(one.model.name for one in found if one is not None and one.refusal is None)


def appoint(model: ModelVersion, images: Sequence[Acquisition], installed: Path) -> Appointment | None:
    """This very version, with its own card; None where no bundle of it is here.

    Raises:
        IntegrityError: its card was changed.
    """
    spec = spec_of(model, installed)
    return None if spec is None else Appointment(model=model, spec=spec, refusal=spec.inapplicable(images))


def spec_of(model: ModelVersion, installed: Path) -> ModelSpec | None:
    """A version's card, as its installed bundle has it; the zoo's where that very version only lies there.

    Threshold and calibration are part of a version: no other version's card will do.

    Raises:
        IntegrityError: its card was changed.
    """
    folder = installed / model.name / model.digest
    if folder.is_dir():
        return _card(folder)
    shipped = catalog().get(model.name)
    return shipped if shipped is not None and shipped.digest == model.digest else None


@lru_cache(maxsize=64)
def _card(folder: Path) -> ModelSpec:
    spec = read_spec(folder)
    listed = json.loads((folder / MANIFEST).read_bytes())["files"].get(CARD)
    if spec.digest != folder.name or hashlib.sha256((folder / CARD).read_bytes()).hexdigest() != listed:
        raise IntegrityError("a model's card does not match its manifest")
    return spec


def _silent(plan: Plan) -> Plan:
    """The same models read, as a shadow does: what they say is kept, and shown and sent to nobody."""
    return Plan(appointments=tuple(map(_unheard, plan.appointments)), reasons=(*plan.reasons, IN_SHADOW))


def _as_live(plan: Plan, images: Sequence[Acquisition], step: Step) -> Plan:
    """The same models read; those that read images of a modality that is not live yet are not heard."""

    def is_live(one: Appointment) -> bool:
        return step.covers(image.modality for image in one.spec.readable(images) or images)

    if all(map(is_live, plan.appointments)):
        return plan
    appointments = tuple(one if is_live(one) else _unheard(one) for one in plan.appointments)
    return Plan(appointments=appointments, reasons=(*plan.reasons, NOT_LIVE))


def _unheard(one: Appointment) -> Appointment:
    return replace(one, model=replace(one.model, standing=Standing.SHADOW))


def _champion(conn: Connection, name: str, images: Sequence[Acquisition], installed: Path) -> Appointment | str:
    """The appointment, or the reason why there is none."""
    model = model_rows.champion(conn, name)
    if model is None:
        return f"{name} has no champion"
    return appoint(model, images, installed) or f"{name} is not installed"
