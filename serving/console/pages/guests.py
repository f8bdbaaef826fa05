"""MLflow under /mlflow and Prefect under /prefect, for those who may: what is asked for, what is changed, nothing more.

Both servers trust whoever reaches them, and both can be told to read any file or run any program of this machine (an
experiment's artifact location, a run's command, webhooks, the assistant that answers to loopback). So every path that
is passed on is listed. What is not is done by `radloop`, or on the pages Operations and Models, by our own rules.
"""

import re
from collections.abc import Callable, Coroutine
from typing import Annotated, Any, Final

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from radloop.domain.access import Permission, Who
from serving.console.identity import HouseHere, for_guests, may
from serving.console.proxy import Guest, forward

guests = APIRouter(include_in_schema=False)
ModelViewer = Annotated[Who, may(Permission.VIEW_MODELS)]
Trainer = Annotated[Who, may(Permission.TRAIN)]
OperationsViewer = Annotated[Who, may(Permission.VIEW_OPERATIONS)]
Operator = Annotated[Who, may(Permission.OPERATE)]
Endpoint = Callable[..., Coroutine[Any, Any, Response]]

MLFLOW: Final = Guest(
    name="mlflow",
    title="MLflow",
    prefix="/mlflow",
    served=re.compile(
        r"/|/static-files/.+|/graphql|/health|/version|/get-artifact|/model-versions/get-artifact"
        r"|/(ajax-)?api/[23]\.0/mlflow-artifacts/artifacts(/.+)?"
        r"|/(ajax-)?api/[23]\.0/mlflow/(artifacts|datasets|experiments|logged-models|metrics|model-versions"
        r"|registered-models|runs|server-info|traces|unified-traces|get-trace-artifact)(/.+)?"
    ),
    kept=("/static-files/",),
)
PREFECT: Final = Guest(
    name="prefect",
    title="Prefect",
    prefix="/prefect",
    served=re.compile(
        r"/(?!api(/|$)).*"
        r"|/api/(health|ready|version|hello|flows|flow_runs|flow_run_states|task_runs|task_run_states|deployments"
        r"|work_pools|work_queues|concurrency_limits|v2/concurrency_limits|automations|events|logs|saved_searches"
        r"|artifacts|ui)(/.*)?"
        r"|/api/admin/(settings|version)"
    ),
    mount="/prefect",
    bare=("/api/",),
    kept=("/assets/",),
)

# Their pages ask by POST for much that they only read.
MLFLOW_ASKS: Final = (
    *("runs/search", "experiments/search", "experiments/search-datasets", "logged-models/search", "traces/search"),
    *("datasets/search", "metrics/get-history-bulk-interval"),
)
MLFLOW_CHANGES: Final = (
    *("experiments/set-experiment-tag", "experiments/update", "experiments/delete", "experiments/restore"),
    *("runs/set-tag", "runs/delete-tag", "runs/update", "runs/delete", "runs/restore"),
    *("registered-models/set-tag", "registered-models/update", "model-versions/set-tag", "model-versions/update"),
)
PREFECT_ASKS: Final = (
    *("{noun}/filter", "{noun}/count", "{noun}/paginate", "{noun}/history", "{noun}/lateness"),
    *("ui/{noun}/{question}", "work_pools/{name}/workers/filter", "work_pools/{name}/get_scheduled_flow_runs"),
    *("deployments/get_scheduled_flow_runs", "events/count-by/{question}", "v2/concurrency_limits/filter"),
)
PREFECT_CHANGES: Final = (
    *("flow_runs/{run_id}/set_state", "deployments/{deployment_id}/pause_deployment"),
    *("deployments/{deployment_id}/resume_deployment",),
)


@guests.get("/mlflow")
def get_mlflow_door(_: ModelViewer) -> Response:
    """To its first page: what that asks for is relative to it."""
    return RedirectResponse("/mlflow/")


@guests.get("/prefect")
def get_prefect_door(_: OperationsViewer) -> Response:
    """To its first page."""
    return RedirectResponse("/prefect/")


async def see_mlflow(request: Request, house: HouseHere, _: ModelViewer) -> Response:
    """A page or a question of MLflow's."""
    return await forward(request, house, MLFLOW)


@for_guests
async def ask_mlflow(request: Request, house: HouseHere, _: ModelViewer) -> Response:
    """A question of MLflow's, put by POST."""
    return await forward(request, house, MLFLOW)


@for_guests
async def change_mlflow(request: Request, house: HouseHere, _: Trainer) -> Response:
    """What changes something in MLflow. No version answers by it: the ledger decides that."""
    return await forward(request, house, MLFLOW)


async def see_prefect(request: Request, house: HouseHere, _: OperationsViewer) -> Response:
    """A page or a question of Prefect's."""
    return await forward(request, house, PREFECT)


@for_guests
async def ask_prefect(request: Request, house: HouseHere, _: OperationsViewer) -> Response:
    """A question of Prefect's, put by POST."""
    return await forward(request, house, PREFECT)


@for_guests
async def change_prefect(request: Request, house: HouseHere, _: Operator) -> Response:
    """What changes something in Prefect."""
    return await forward(request, house, PREFECT)


def _post(prefix: str, below: tuple[str, ...], endpoint: Endpoint) -> None:
    for one in below:
        guests.add_api_route(f"{prefix}/{one}", endpoint, methods=["POST"])


# `served` says what base and version may be.
_post("/mlflow", ("graphql",), ask_mlflow)
_post("/mlflow/{base}/{version}/mlflow", MLFLOW_ASKS, ask_mlflow)
_post("/mlflow/{base}/{version}/mlflow", MLFLOW_CHANGES, change_mlflow)
_post("/prefect/api", PREFECT_ASKS, ask_prefect)
_post("/prefect/api", PREFECT_CHANGES, change_prefect)
guests.add_api_route("/mlflow/{path:path}", see_mlflow, methods=["GET", "HEAD"])
guests.add_api_route("/prefect/{path:path}", see_prefect, methods=["GET", "HEAD"])
