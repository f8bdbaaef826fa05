"""MLflow under /mlflow and Prefect under /prefect, each for those who may: reading is one permission, writing another.

Their pages ask by POST for much that they only read; those paths are listed. Whatever is not counts as writing.
"""

from typing import Annotated, Final

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from radloop.domain.access import Permission, Who
from serving.console.identity import HouseHere, for_guests, may
from serving.console.proxy import Guest, forward

guests = APIRouter(include_in_schema=False)

MLFLOW: Final = Guest(name="mlflow", title="MLflow", prefix="/mlflow", kept=("/static-files/",))
PREFECT: Final = Guest(
    name="prefect", title="Prefect", prefix="/prefect", mount="/prefect", bare=("/api/",), kept=("/assets/",)
)
ModelViewer = Annotated[Who, may(Permission.VIEW_MODELS)]
Trainer = Annotated[Who, may(Permission.TRAIN)]
OperationsViewer = Annotated[Who, may(Permission.VIEW_OPERATIONS)]
Operator = Annotated[Who, may(Permission.OPERATE)]

READS: Final = ("GET", "HEAD")
WRITES: Final = ("POST", "PUT", "PATCH", "DELETE")
MLFLOW_READ_BY_POST: Final = (
    "graphql",
    *(
        f"{base}/{path}"
        for base in ("api", "ajax-api")
        for path in (
            "2.0/mlflow/runs/search",
            "2.0/mlflow/experiments/search",
            "2.0/mlflow/experiments/search-datasets",
            "2.0/mlflow/logged-models/search",
            "2.0/mlflow/metrics/get-history-bulk-interval",
            "3.0/mlflow/traces/search",
        )
    ),
)
PREFECT_READ_BY_POST: Final = tuple(
    f"api/{path}"
    for path in (
        "{noun}/filter",
        "{noun}/count",
        "{noun}/paginate",
        "{noun}/history",
        "{noun}/lateness",
        "{noun}/get_scheduled_flow_runs",
        "ui/{noun}/{question}",
    )
)


@guests.get("/mlflow")
def get_mlflow_door(_: ModelViewer) -> Response:
    """To its first page: what it asks for is relative to that."""
    return RedirectResponse("/mlflow/")


@guests.get("/prefect")
def get_prefect_door(_: OperationsViewer) -> Response:
    """To its first page."""
    return RedirectResponse("/prefect/")


async def read_mlflow(request: Request, house: HouseHere, _: ModelViewer) -> Response:
    """What changes nothing in MLflow."""
    return await forward(request, house, MLFLOW)


@for_guests
async def ask_mlflow(request: Request, house: HouseHere, _: ModelViewer) -> Response:
    """What changes nothing in MLflow, asked by POST."""
    return await forward(request, house, MLFLOW)


@for_guests
async def write_mlflow(request: Request, house: HouseHere, _: Trainer) -> Response:
    """What changes something in MLflow. No version answers by it: the ledger decides that."""
    return await forward(request, house, MLFLOW)


async def read_prefect(request: Request, house: HouseHere, _: OperationsViewer) -> Response:
    """What changes nothing in Prefect."""
    return await forward(request, house, PREFECT)


@for_guests
async def ask_prefect(request: Request, house: HouseHere, _: OperationsViewer) -> Response:
    """What changes nothing in Prefect, asked by POST."""
    return await forward(request, house, PREFECT)


@for_guests
async def write_prefect(request: Request, house: HouseHere, _: Operator) -> Response:
    """What changes something in Prefect."""
    return await forward(request, house, PREFECT)


# The first path that fits counts.
for path in MLFLOW_READ_BY_POST:
    guests.add_api_route(f"/mlflow/{path}", ask_mlflow, methods=["POST"])
for path in PREFECT_READ_BY_POST:
    guests.add_api_route(f"/prefect/{path}", ask_prefect, methods=["POST"])
for prefix, read, write in (("/mlflow", read_mlflow, write_mlflow), ("/prefect", read_prefect, write_prefect)):
    guests.add_api_route(f"{prefix}/{{path:path}}", read, methods=list(READS))
    guests.add_api_route(f"{prefix}/{{path:path}}", write, methods=list(WRITES))
