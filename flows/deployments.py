"""The settings' schedules as Prefect deployments, and the questions of `flows.schedules` put to the server.

Import this after `flows.environment` was exported: it imports prefect.
"""

from contextlib import suppress
from typing import Any, Final

from prefect import Flow
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.client.schemas.filters import (
    DeploymentFilter,
    DeploymentFilterId,
    FlowRunFilter,
    FlowRunFilterState,
    FlowRunFilterStateType,
    WorkPoolFilter,
    WorkPoolFilterName,
)
from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy, FlowRun, StateType
from prefect.client.schemas.responses import DeploymentResponse
from prefect.client.schemas.sorting import FlowRunSort
from prefect.exceptions import ObjectAlreadyExists, ObjectNotFound
from prefect.types.entrypoint import EntrypointType
from prefect.workers.process import ProcessWorker

from flows import runs
from flows.schedules import ScheduleRow, server_url
from radloop.domain.errors import NotFound
from radloop.settings import Schedule, Settings

POOL: Final = "radloop"
FLOWS: Final[dict[str, Flow[Any, Any]]] = {
    "ingest": runs.ingest,
    "watch": runs.watch,
    "retrain": runs.retrain,
    "audit": runs.audit,
    "retain": runs.retain,
}
# A run that takes longer than its cron's interval is not joined by a second one.
ONE_AT_A_TIME: Final = ConcurrencyLimitConfig(limit=1, collision_strategy=ConcurrencyLimitStrategy.CANCEL_NEW)


async def register(settings: Settings) -> None:
    """Make the server's deployments those of the settings. May be done again at any time.

    A schedule that a person paused stays paused.
    """
    async with _client(settings) as client:
        await _ensure_pool(client)
        there = {found.name: found for found in await _deployments(client)}
        for name, found in there.items():
            if name not in settings.schedules:
                await client.delete_deployment(found.id)
        for name, schedule in settings.schedules.items():
            before = there.get(name)
            await _register(name, schedule, paused=schedule.paused or (before is not None and before.paused))


def _client(settings: Settings) -> PrefectClient:
    # By its address: Prefect's own get_client asks the environment as it was when prefect was first imported.
    return PrefectClient(f"{server_url(settings)}/api")


async def _ensure_pool(client: PrefectClient) -> None:
    template = ProcessWorker.get_default_base_job_template()
    with suppress(ObjectAlreadyExists):
        await client.create_work_pool(WorkPoolCreate(name=POOL, type=ProcessWorker.type, base_job_template=template))


async def rows(settings: Settings) -> tuple[ScheduleRow, ...]:
    """What is registered, by name."""
    async with _client(settings) as client:
        found = sorted(await _deployments(client), key=lambda one: one.name)
        return tuple([await _row(client, settings, one) for one in found if one.name in settings.schedules])


async def set_paused(settings: Settings, name: str, *, paused: bool) -> None:
    """Pause or resume."""
    async with _client(settings) as client:
        found = await _find(client, settings.schedules[name].flow, name)
        await (client.pause_deployment(found.id) if paused else client.resume_deployment(found.id))


async def run_once(settings: Settings, name: str) -> str:
    """Start a run; Prefect's name of it."""
    async with _client(settings) as client:
        found = await _find(client, settings.schedules[name].flow, name)
        run = await client.create_flow_run_from_deployment(found.id)
        return run.name


async def _register(name: str, schedule: Schedule, *, paused: bool) -> None:
    # A module path, not a file's: the flow's process imports the installed package, wherever it is started.
    deployment = await FLOWS[schedule.flow].ato_deployment(
        name=name,
        cron=schedule.cron,
        paused=paused,
        parameters={"schedule": name},
        work_pool_name=POOL,
        concurrency_limit=ONE_AT_A_TIME,
        entrypoint_type=EntrypointType.MODULE_PATH,
    )
    await deployment.aapply()


async def _deployments(client: PrefectClient) -> list[DeploymentResponse]:
    pool = WorkPoolFilter(name=WorkPoolFilterName(any_=[POOL]))
    return await client.read_deployments(work_pool_filter=pool)


async def _find(client: PrefectClient, flow: str, name: str) -> DeploymentResponse:
    try:
        return await client.read_deployment_by_name(f"{flow}/{name}")
    except ObjectNotFound:
        raise NotFound(f"the worker has not registered the schedule {name} yet") from None


async def _row(client: PrefectClient, settings: Settings, found: DeploymentResponse) -> ScheduleRow:
    schedule = settings.schedules[found.name]
    coming = await _first_run(client, found, FlowRunSort.EXPECTED_START_TIME_ASC, (StateType.SCHEDULED,))
    ended = await _first_run(
        client,
        found,
        FlowRunSort.START_TIME_DESC,
        (StateType.RUNNING, StateType.COMPLETED, StateType.FAILED, StateType.CRASHED, StateType.CANCELLED),
    )
    return ScheduleRow(
        name=found.name,
        flow=schedule.flow,
        cron=schedule.cron,
        paused=found.paused,
        next_at=coming.expected_start_time if coming and not found.paused else None,
        last_at=ended.start_time if ended else None,
        last_state=ended.state_name if ended else None,
    )


async def _first_run(
    client: PrefectClient, found: DeploymentResponse, sort: FlowRunSort, states: tuple[StateType, ...]
) -> FlowRun | None:
    of_states = FlowRunFilter(state=FlowRunFilterState(type=FlowRunFilterStateType(any_=list(states))))
    of_one = DeploymentFilter(id=DeploymentFilterId(any_=[found.id]))
    runs_found = await client.read_flow_runs(flow_run_filter=of_states, deployment_filter=of_one, sort=sort, limit=1)
    return runs_found[0] if runs_found else None
