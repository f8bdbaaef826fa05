"""Training runs: who trained which version on which cohort, and how it ended.

At most one run of the same work is under way: `begin` gives back the one that is, or was, instead of a second.
"""

from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Row, Select, insert, select, text, update

from radloop.domain.enums import RunState
from radloop.domain.errors import NotFound
from radloop.domain.learning import TrainingRun
from radloop.ledger.learning import training_runs
from radloop.ledger.tables import models

_t = training_runs.c
SAME_WORK: Final = ("model", "cohort_id", "parent", "commit", "device", "threads", "processes", "seed")
"""What two runs share that give the same weights."""
AS_IT_IS: Final = ("id", *SAME_WORK, "digest", "mlflow_run", "actor", "at", "ended_at")


def begin(conn: Connection, run: TrainingRun) -> TrainingRun:
    """Keep a run that begins now; or, where the same work is under way or came to a version, that run instead."""
    _alone(conn)
    same = [_t[name].is_not_distinct_from(getattr(run, name)) for name in SAME_WORK]
    kept = _t.state == RunState.RUNNING
    registered = (_t.state == RunState.DONE) & _t.digest.in_(select(models.c.digest))
    found = _runs(conn, _newest(select(training_runs).where(*same, kept | registered)).limit(1))
    if found:
        return found[0]
    begun = replace(run, state=RunState.RUNNING, digest=None, ended_at=None)
    values = {name: getattr(begun, name) for name in AS_IT_IS}
    conn.execute(insert(training_runs).values(**values, state=begun.state))
    return begun


def finish(conn: Connection, run_id: str, digest: str, at: datetime) -> bool:
    """The run came to the version `digest`; False where it is not under way (any more)."""
    return _end(conn, run_id, state=RunState.DONE, digest=digest, ended_at=at)


def fail(conn: Connection, run_id: str, at: datetime) -> bool:
    """The run came to nothing; False where it is not under way (any more)."""
    return _end(conn, run_id, state=RunState.FAILED, ended_at=at)


def mirrored(conn: Connection, run_id: str, mlflow_run: str) -> None:
    """MLflow shows the run, under this name of its own."""
    conn.execute(update(training_runs).where(_t.id == run_id).values(mlflow_run=mlflow_run))


def get(conn: Connection, run_id: str) -> TrainingRun:
    """One run.

    Raises:
        NotFound: no such run.
    """
    found = _runs(conn, select(training_runs).where(_t.id == run_id))
    if not found:
        raise NotFound("there is no such training run")
    return found[0]


def of_digest(conn: Connection, digest: str) -> TrainingRun | None:
    """The run that made a version, or None: it came from elsewhere."""
    return next(iter(_runs(conn, _newest(select(training_runs).where(_t.digest == digest)))), None)


def latest(conn: Connection, model: str) -> TrainingRun | None:
    """The run of a model that began last and did not fail."""
    query = select(training_runs).where(_t.model == model, _t.state != RunState.FAILED)
    return next(iter(_runs(conn, _newest(query).limit(1))), None)


def running(conn: Connection, model: str) -> tuple[TrainingRun, ...]:
    """The runs of a model that are under way, or were when their process died; the newest first."""
    return _runs(conn, _newest(select(training_runs).where(_t.model == model, _t.state == RunState.RUNNING)))


def known(conn: Connection, model: str | None = None) -> tuple[TrainingRun, ...]:
    """Every run (of one model), the newest first."""
    query = select(training_runs)
    return _runs(conn, _newest(query if model is None else query.where(_t.model == model)))


def to_mirror(conn: Connection) -> tuple[TrainingRun, ...]:
    """The runs that have ended and that MLflow does not show yet, the oldest first."""
    query = select(training_runs).where(_t.state != RunState.RUNNING, _t.mlflow_run.is_(None))
    return _runs(conn, query.order_by(_t.at, _t.id))


def _end(conn: Connection, run_id: str, **values: Any) -> bool:
    condition = (_t.id == run_id, _t.state == RunState.RUNNING)
    return conn.execute(update(training_runs).where(*condition).values(**values)).rowcount == 1


def _alone(conn: Connection) -> None:
    """No other run may begin until this transaction ends; SQLite has one writer anyway."""
    if conn.dialect.name == "postgresql":
        conn.execute(text("LOCK TABLE training_runs IN SHARE ROW EXCLUSIVE MODE"))


def _newest(query: Select[Any]) -> Select[Any]:
    return query.order_by(_t.at.desc(), _t.id.desc())


def _runs(conn: Connection, query: Select[Any]) -> tuple[TrainingRun, ...]:
    return tuple(_run(row) for row in conn.execute(query))


def _run(row: Row[Any]) -> TrainingRun:
    return TrainingRun(state=RunState(row.state), **{name: getattr(row, name) for name in AS_IT_IS})
