"""Retraining: a frozen cohort and the champion's weights become a challenger, signed and on record.

A run is begun once, whatever happens to its process: the next `retrain` of the same work goes on from its checkpoints,
and work that came to a version already is not done again.
"""

import fcntl
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
import structlog
from sqlalchemy import Connection

from flows import cohort_checks, provenance, standing
from flows.cohorts import build, load_arrays
from flows.house import House
from flows.training_child import Child, train
from models.bundles import public_key, sign
from models.training import order as orders
from models.training.checkpoint import place
from models.training.material import material, pack
from models.training.order import Order, recipe_of
from models.training.retrain import Step
from models.training.team import best_device, described
from radloop import audit
from radloop.domain.enums import RunState, Split
from radloop.domain.errors import IntegrityError, Permanent, Rejected, Unavailable
from radloop.domain.ids import new_id, utc_now
from radloop.domain.learning import Cohort, TrainingRun
from radloop.domain.records import AuditEvent, ModelVersion
from radloop.ledger import cohorts as cohort_rows
from radloop.ledger import models as model_rows
from radloop.ledger import training_runs as run_rows
from radloop.ledger import verdicts as verdict_rows
from radloop.store import Keyring

log = structlog.get_logger()
WORKER: Final = "worker"
FIRST: Final = (0, 9, 0)
"""The version before the first, 1.0.0 being a major step."""
ORDER: Final = "order.json"
LEARNED: Final = (Split.TRAIN, Split.VALIDATION)
"""What a training may see. The test split is the gates' alone."""


@dataclass(frozen=True, slots=True)
class Job:
    """A run that is on record, what it was ordered, and where it is kept."""

    run: TrainingRun
    order: Order
    folder: Path


def retrain(
    house: House,
    model: str,
    actor: str,
    cohort: str | None = None,
    *,
    from_scratch: bool = False,
    told: Callable[[Step], None] = lambda _: None,
) -> TrainingRun:
    """Train a model on a cohort (its id or digest; None: one of all that is known now) and register a CHALLENGER.

    From the champion's weights, or from random ones where there is no champion or `from_scratch` says so. Blocks for
    minutes; `told` hears of every epoch. The same work again gives the finished run back.

    Raises:
        NotFound: there is no such model or cohort.
        Rejected: the cohort fails the suite `labels` or has too few images of a label, or the champion's bundle is
            damaged.
        Unavailable: the model is being trained just now, or the training process was killed: try again, and it goes on.
        Permanent: the training failed, or copies of the cohort were deleted; the run is on record as FAILED.
    """
    recipe_of(model)
    frozen = _cohort(house, model, actor, cohort)
    cohort_checks.hold(house, frozen, actor)
    with _alone(house, model):
        job = _begun(house, frozen, actor, from_scratch=from_scratch)
        if job.run.state is RunState.DONE:
            log.info("trained before", model=model, run=job.run.id)
            return job.run
        return _carried_out(house, job, frozen, told)


def retrain_due(house: House, model: str) -> str:
    """What a schedule does: train where enough readers disagreed since the last run, or that run was cut short."""
    with house.ledger.read() as conn:
        last = run_rows.latest(conn, model)
        new = verdict_rows.overrides_since(conn, model, last.at if last else None)
    enough = house.settings.training.overrides
    cut_short = last is not None and last.state is RunState.RUNNING
    if new < enough and not cut_short:
        return f"{new} of {enough} new overrides: not yet"
    run = retrain(house, model, WORKER, last.cohort_id if last and cut_short else None)
    return f"{run.id} {run.state}: {run.digest}"


def next_version(known: list[str]) -> str:
    """The next minor version after the newest of these; others than MAJOR.MINOR.PATCH do not count."""
    parts = [tuple(int(part) for part in one.split(".")) for one in known if one.replace(".", "").isdecimal()]
    newest = max((one for one in parts if len(one) == len(FIRST)), default=FIRST)
    return "1.0.0" if newest == FIRST else f"{newest[0]}.{newest[1] + 1}.0"


def _cohort(house: House, model: str, actor: str, cohort: str | None) -> Cohort:
    if cohort is None:
        return build(house, model, actor)
    with house.ledger.read() as conn:
        frozen = cohort_rows.get(conn, cohort)
    if frozen.model != model:
        raise Rejected(f"cohort {frozen.id} is not one of {model}")
    return frozen


@contextmanager
def _alone(house: House, model: str) -> Iterator[None]:
    """One training of a model at a time on this machine; the kernel lets go when the process dies."""
    folder = house.settings.training_path
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (folder / f"{model}.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Unavailable(f"{model} is being trained just now") from None
        yield


def _begun(house: House, cohort: Cohort, actor: str, *, from_scratch: bool) -> Job:
    """The run to carry out: a new one, the one that was cut short, or the one that is done."""
    with house.ledger.write() as conn:
        champion = None if from_scratch else model_rows.champion(conn, cohort.model)
        asked = _asked(house, cohort, actor, champion)
        run = run_rows.begin(conn, asked)
        if run.state is RunState.RUNNING:
            _note(conn, run, actor, "begin" if run.id == asked.id else "resume", f"on cohort {cohort.id}")
            _abandon(conn, house, run, actor)
        versions = [one.version for one in model_rows.known(conn) if one.name == cohort.model]
    folder = house.settings.training_path / run.id
    return Job(run, _order(run, cohort, next_version(versions), folder), folder)


def _asked(house: House, cohort: Cohort, actor: str, champion: ModelVersion | None) -> TrainingRun:
    settings = house.settings.training
    return TrainingRun(
        id=new_id("tr"),
        model=cohort.model,
        cohort_id=cohort.id,
        parent=champion.digest if champion else None,
        digest=None,
        state=RunState.RUNNING,
        commit=provenance.build(),
        device=described(best_device(settings.device)),
        threads=settings.threads or len(os.sched_getaffinity(0)),
        processes=settings.processes,
        seed=recipe_of(cohort.model).seed,
        mlflow_run=None,
        actor=actor,
        at=utc_now(),
        ended_at=None,
    )


def _abandon(conn: Connection, house: House, run: TrainingRun, actor: str) -> None:
    """Runs of other work that died on this machine will not be gone on with."""
    for other in run_rows.running(conn, run.model):
        ours = (house.settings.training_path / other.id).is_dir()
        if other.id != run.id and ours and run_rows.fail(conn, other.id, utc_now()):
            _note(conn, other, actor, "fail", "cut short, and other work took its place")


def _order(run: TrainingRun, cohort: Cohort, version: str, folder: Path) -> Order:
    """What the run is ordered; a version that it was promised before it was cut short stays its own."""
    recipe = recipe_of(run.model)
    order = Order(
        model=run.model,
        version=version,
        cohort=cohort.digest,
        parent=run.parent,
        seed=run.seed,
        plan=recipe.retrain if run.parent else recipe.schedule,
        device=run.device.split(" ", maxsplit=1)[0],
        threads=run.threads,
        processes=run.processes,
        code=run.commit,
        origin=_origin(cohort),
    )
    promised = _promised(folder)
    if promised is not None and replace(promised, version=version) == order:
        return promised
    if run.state is RunState.RUNNING:
        place(folder / ORDER, order.pack())
    return order


def _promised(folder: Path) -> Order | None:
    try:
        return orders.unpack((folder / ORDER).read_bytes())
    except (OSError, IntegrityError):
        return None


def _carried_out(house: House, job: Job, cohort: Cohort, told: Callable[[Step], None]) -> TrainingRun:
    try:
        images = _images(house, cohort)
        bundle = train(_child(house, job), images, told)
        sign(bundle, Keyring.load(house.settings.keys_path).signing_key)
        version = standing.register(house, bundle, job.run.actor, f"training run {job.run.id}")
    except (Permanent, Rejected) as error:
        _failed(house, job.run, str(error))
        raise
    with house.ledger.write() as conn:
        if run_rows.finish(conn, job.run.id, version.digest, utc_now()):
            _note(conn, job.run, job.run.actor, "finish", f"version {version.version}, {version.digest}")
        return run_rows.get(conn, job.run.id)


def _images(house: House, cohort: Cohort) -> bytes:
    """What the run learns from and chooses by, without anybody's identity."""
    (train_split, held), (chances, held_chances) = (
        [load_arrays(house, cohort, split) for split in LEARNED],
        [np.array([m.probability for m in cohort.members if m.split is split]) for split in LEARNED],
    )
    return pack(material(train_split, chances, held, held_chances))


def _child(house: House, job: Job) -> Child:
    public = public_key(Keyring.load(house.settings.keys_path).signing_key)
    parent = None
    if job.order.parent is not None:
        parent = standing.check_bundle(house, standing.known(house, job.order.parent))
    return Child(order=job.order, order_file=job.folder / ORDER, folder=job.folder, parent=parent, public=public.hex())


def _origin(cohort: Cohort) -> Mapping[str, Mapping[str, int]]:
    """How many images of each split that is seen came from which site."""
    return {split.lower(): dict(sorted(_sites(cohort, split).items())) for split in LEARNED}


def _sites(cohort: Cohort, split: Split) -> Counter[str]:
    return Counter(member.facts.site or "unknown" for member in cohort.members if member.split is split)


def _failed(house: House, run: TrainingRun, why: str) -> None:
    log.warning("training failed", run=run.id, model=run.model)
    with house.ledger.write() as conn:
        if run_rows.fail(conn, run.id, utc_now()):
            _note(conn, run, run.actor, "fail", why)


def _note(conn: Connection, run: TrainingRun, actor: str, what: str, detail: str) -> None:
    event = AuditEvent(
        at=utc_now(),
        actor=actor,
        action=f"training.{what}",
        object_kind="training",
        object_id=run.id,
        detail=f"{run.model}: {detail}",
    )
    audit.append(conn, event)
