"""For whoever watches over the process: no token, no patient data."""

from http import HTTPStatus

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from radloop.ledger import actors as actor_rows
from serving.console.api.readings import signoffs_entered, verdicts_entered
from serving.console.identity import HouseHere
from serving.console.watched import registry_of

health = APIRouter(include_in_schema=False)
registry = CollectorRegistry()
for metric in (verdicts_entered, signoffs_entered):
    registry.register(metric)


@health.get("/livez")
async def livez() -> Response:
    """The process answers."""
    return Response(status_code=HTTPStatus.OK)


@health.get("/readyz")
def readyz(house: HouseHere) -> Response:
    """The ledger answers too; 503 where it does not."""
    with house.ledger.read() as conn:
        actor_rows.by_name(conn, "")
    return Response(status_code=HTTPStatus.OK)


@health.get("/metrics")
def metrics(house: HouseHere) -> Response:
    """Prometheus text: what this process counted, and what the ledger knows of alarms and checks."""
    with house.ledger.read() as conn:
        watched = generate_latest(registry_of(conn))
    return Response(generate_latest(registry) + watched, media_type=CONTENT_TYPE_LATEST)
