"""The verbs as Prefect flows: what is shown, scheduled and called from outside. This module alone decorates.

Parameters and names are our own surrogate ids and the names of peers. A flow that the runner calls shows work that is
under way already; one that is called by itself does the work.
"""

import asyncio
from collections.abc import Mapping, Sequence

from prefect import flow, task
from prefect.client.schemas.objects import State
from prefect.states import Completed

from flows import claims, schedules, works
from flows import deliver as delivering
from flows import house as houses
from flows import ingest as ingesting
from flows import retain as retaining
from flows import watch as watching
from radloop.settings import Schedule

# Results and prints stay out of Prefect: the ledger is the truth.


@flow(name="triage", validate_parameters=False, persist_result=False)
async def triage(version_ids: Sequence[str]) -> None:
    """Read study versions: one task each, side by side."""
    await asyncio.gather(*(read_study.with_options(task_run_name=one)(one) for one in version_ids))


@task(name="read study", persist_result=False)
async def read_study(version_id: str) -> State[None]:
    """Fetch, check, infer, encode and queue one version."""
    work = works.under_way.get({}).get(version_id)
    return Completed(message=await works.outcome_of(work or asyncio.ensure_future(_read_alone(version_id))))


@flow(name="deliver", validate_parameters=False, persist_result=False)
async def deliver(deliveries: Mapping[str, Sequence[str]]) -> None:
    """Send deliveries, by peer: one task per peer, so that a dead one delays no other."""
    tasks = (send.with_options(task_run_name=f"to {peer}")(peer, ids) for peer, ids in deliveries.items())
    await asyncio.gather(*tasks)


@task(name="send", persist_result=False)
async def send(peer: str, delivery_ids: Sequence[str]) -> State[None]:
    """Send deliveries to one peer."""
    found = [works.under_way.get({}).get(one) for one in delivery_ids]
    under_way = dict.fromkeys(work for work in found if work is not None)
    if not under_way:
        return Completed(message=f"{await delivering.deliver_due(houses.current(), peer)} tried")
    return Completed(message=", ".join([await works.outcome_of(work) for work in under_way]))


@flow(name="ingest", validate_parameters=False, persist_result=False)
async def ingest(schedule: str) -> State[None]:
    """Take in what a schedule names: a folder, or a peer's studies."""
    wanted = _schedule(schedule)
    return Completed(message=await asyncio.to_thread(ingesting.run_schedule, houses.current(), wanted))


@flow(name="watch", validate_parameters=False, persist_result=False)
async def watch(schedule: str) -> State[None]:
    """Hold the newest acquisitions against the suite."""
    house = houses.current()
    back = ingesting.span(_schedule(schedule).since)
    return Completed(message=watching.summary(await asyncio.to_thread(watching.watch, house, back)))


@flow(name="retrain", validate_parameters=False, persist_result=False, retries=2, retry_delay_seconds=30)
async def retrain(schedule: str) -> State[None]:
    """Train a schedule's model again where enough readers disagreed; a try that was killed is gone on with."""
    from flows.retrain import retrain_due  # noqa: PLC0415 - torch comes with it

    model = _schedule(schedule).model or ""
    return Completed(message=await asyncio.to_thread(retrain_due, houses.current(), model))


@flow(name="audit", validate_parameters=False, persist_result=False)
async def audit(schedule: str) -> State[None]:
    """Report on the signed studies since a schedule's last report."""
    from flows.audits.keeping import audit_scheduled  # noqa: PLC0415 - scipy comes with it

    report = await asyncio.to_thread(audit_scheduled, houses.current(), _schedule(schedule))
    return Completed(message=f"{report.id}: {report.digest}")


@flow(name="retain", validate_parameters=False, persist_result=False)
async def retain(schedule: str) -> State[None]:  # noqa: ARG001 - every scheduled flow is told its schedule
    """Delete what the retention policy says is due."""
    done = await asyncio.to_thread(retaining.retain, houses.current(), retaining.SCHEDULED)
    return Completed(message=f"{done.gone.objects} stored objects and {done.copies} training copies deleted")


@flow(name="promote", validate_parameters=False, persist_result=False)
async def promote(model: str, digest: str, actor: str, cohort: str | None = None) -> State[None]:
    """Hold a version against champion and original: every gate of its change plan."""
    from flows.promote import evaluate  # noqa: PLC0415 - torch comes with it

    found = await asyncio.to_thread(evaluate, houses.current(), model, digest, actor, cohort)
    return Completed(message=f"{found.id}: {found.outcome}")


def _schedule(name: str) -> Schedule:
    house = houses.current()
    return schedules.named(house.settings, house.ledger, name)


async def _read_alone(version_id: str) -> str:
    house = houses.current()
    claimed = await asyncio.to_thread(claims.claim, house, 1, (version_id,))
    return await claims.read_claimed(house, claimed[0]) if claimed else "not due"
