"""For whoever watches over the process: no token, no patient data."""

from http import HTTPStatus

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from radloop.ledger import actors as actor_rows
from serving.console.identity import HouseHere
from serving.console.readings import signoffs_entered, verdicts_entered

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
def metrics() -> Response:
    """Prometheus text."""
    return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)
