"""Schedules as Prefect deployments.

Import this after `flows.environment` was exported: it imports prefect.
"""

from collections.abc import Mapping
from contextlib import suppress
from types import MappingProxyType
from typing import Any, Final

from prefect import Flow
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.client.schemas.filters import WorkPoolFilter, WorkPoolFilterName
from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy
from prefect.client.schemas.responses import DeploymentResponse
from prefect.exceptions import ObjectAlreadyExists
from prefect.types.entrypoint import EntrypointType
from prefect.workers.process import ProcessWorker

from flows import runs
from flows.prefect_rest import server_url
from flows.schedules import POOL
from radloop.settings import Schedule, Settings

FLOWS: Final[dict[str, Flow[Any, Any]]] = {
    "ingest": runs.ingest,
    "watch": runs.watch,
    "retrain": runs.retrain,
    "audit": runs.audit,
    "retain": runs.retain,
}
# A run that takes longer than its cron's interval is not joined by a second one.
ONE_AT_A_TIME: Final = ConcurrencyLimitConfig(limit=1, collision_strategy=ConcurrencyLimitStrategy.CANCEL_NEW)


async def register(settings: Settings, told: Mapping[str, Schedule] = MappingProxyType({})) -> None:
    """Make the server's deployments those of `flows.schedules.completed` settings. May be done again at any time.

    A schedule that a person paused stays paused. Those that were `told` before, and are the same, are left alone: to
    tell them again would take away their next run for some seconds, and it may be due.
    """
    async with _client(settings) as client:
        await _ensure_pool(client)
        there = {found.name: found for found in await _deployments(client)}
        for name, found in there.items():
            if name not in settings.schedules:
                await client.delete_deployment(found.id)
        for name, schedule in settings.schedules.items():
            if name in there and told.get(name) == schedule:
                continue
            before = there.get(name)
            await _register(name, schedule, paused=schedule.paused or (before is not None and before.paused))


def _client(settings: Settings) -> PrefectClient:
    # By its address: Prefect's own get_client asks the environment as it was when prefect was first imported.
    return PrefectClient(f"{server_url(settings)}/api")


async def _ensure_pool(client: PrefectClient) -> None:
    template = ProcessWorker.get_default_base_job_template()
    with suppress(ObjectAlreadyExists):
        await client.create_work_pool(WorkPoolCreate(name=POOL, type=ProcessWorker.type, base_job_template=template))


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
