"""Which models read which studies: the site's routes, the ledger's champions, the models' cards."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from models.catalog import catalog
from models.spec import ModelSpec
from radloop.domain.records import Acquisition, ModelVersion
from radloop.ledger import models as model_rows
from radloop.settings import Route

NO_ROUTE = "no route matched"


@dataclass(frozen=True, slots=True, kw_only=True)
class Appointment:
    """A model that is to answer a study: the champion, its card, and why it may not read (None where it may)."""

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


def plan(conn: Connection, names: Sequence[str], images: Sequence[Acquisition]) -> Plan:
    """Appoint the champion of every routed model; the ledger decides which version that is."""
    if not names:
        return Plan(reasons=(NO_ROUTE,))
    found = {name: _appoint(conn, name, images) for name in names}
    return Plan(
        appointments=tuple(one for one in found.values() if isinstance(one, Appointment)),
        reasons=tuple(one for one in found.values() if isinstance(one, str)),
    )


def _appoint(conn: Connection, name: str, images: Sequence[Acquisition]) -> Appointment | str:
    """The appointment, or the reason why there is none."""
    spec, model = catalog().get(name), model_rows.champion(conn, name)
    if spec is None:
        return f"{name} is not installed"
    if model is None:
        return f"{name} has no champion"
    return Appointment(model=model, spec=spec, refusal=spec.inapplicable(images))
