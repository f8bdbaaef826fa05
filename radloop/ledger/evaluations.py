"""Evaluations: every look at a test set, counted before anything is measured, and what it came to.

A look is taken with an undecided row, which the verdicts replace. A process that dies in between has spent it.
"""

from collections.abc import Collection
from dataclasses import asdict
from typing import Any, Final

from sqlalchemy import Connection, Row, Select, func, insert, select, update

from radloop.domain.enums import GateOutcome, Split
from radloop.domain.errors import NotFound
from radloop.domain.learning import Evaluation, GateVerdict
from radloop.ledger.learning import cohort_members, cohorts, evaluations

_e = evaluations.c
ALL_OF_IT: Final = 1.0


def looks(conn: Connection, cohort_id: str, shared: float = ALL_OF_IT) -> int:
    """How many looks were taken at this cohort's test set, and at any that held `shared` of its images (0..1).

    Raises:
        NotFound: there is no such cohort, or it has no test set.
    """
    same = select(func.count()).where(_e.cohort_id.in_(_alike(conn, cohort_id, shared)))
    return int(conn.scalar(same) or 0)


def hold(conn: Connection, cohort_id: str) -> None:
    """Nobody else counts the looks of this cohort's model until the transaction ends.

    Raises:
        NotFound: there is no such cohort.
    """
    model = conn.scalar(select(cohorts.c.model).where(cohorts.c.id == cohort_id))
    if model is None:
        raise NotFound("there is no such cohort")
    conn.execute(select(cohorts.c.id).where(cohorts.c.model == model).order_by(cohorts.c.id).with_for_update()).all()


def add(conn: Connection, evaluation: Evaluation) -> None:
    """Take a look. Its number is unique in its cohort: call `hold` and `looks` in the same transaction."""
    conn.execute(insert(evaluations).values(**_values(evaluation)))


def conclude(conn: Connection, evaluation_id: str, outcome: GateOutcome, gates: Collection[GateVerdict]) -> bool:
    """Write down what a look came to, once; False where it has its verdicts already."""
    if not _undecided(conn, evaluation_id):
        return False
    found = {"outcome": outcome, "gates": [asdict(gate) for gate in gates]}
    conn.execute(update(evaluations).where(_e.id == evaluation_id).values(**found))
    return True


def get(conn: Connection, evaluation_id: str) -> Evaluation | None:
    """One evaluation."""
    return next(iter(_evaluations(conn, select(evaluations).where(_e.id == evaluation_id))), None)


def of_digest(conn: Connection, digest: str) -> tuple[Evaluation, ...]:
    """The evaluations of a version, the newest first. One without gates was cut short, or is being made."""
    return _evaluations(conn, select(evaluations).where(_e.digest == digest).order_by(_e.at.desc(), _e.id.desc()))


def known(conn: Connection, model: str | None = None) -> tuple[Evaluation, ...]:
    """Every evaluation (of one model), the newest first."""
    query = select(evaluations).order_by(_e.at.desc(), _e.id.desc())
    return _evaluations(conn, query if model is None else query.where(_e.model == model))


def _undecided(conn: Connection, evaluation_id: str) -> bool:
    gates = conn.scalar(select(_e.gates).where(_e.id == evaluation_id).with_for_update())
    return gates == []


def _alike(conn: Connection, cohort_id: str, shared: float) -> list[str]:
    """The cohorts whose test sets held that share of this one's images; this one is always among them."""
    test = cohort_members.c.split == Split.TEST
    mine = select(cohort_members.c.copy_id).where(cohort_members.c.cohort_id == cohort_id, test)
    size = len(conn.execute(mine).all())
    if not size:
        raise NotFound("there is no such cohort, or it has no test set")
    query = (
        select(cohort_members.c.cohort_id)
        .where(cohort_members.c.copy_id.in_(mine), test)
        .group_by(cohort_members.c.cohort_id)
        .having(func.count() >= shared * size)
    )
    return list(conn.scalars(query))


def _values(evaluation: Evaluation) -> dict[str, Any]:
    return {**asdict(evaluation), "gates": [asdict(gate) for gate in evaluation.gates]}


def _evaluations(conn: Connection, query: Select[Any]) -> tuple[Evaluation, ...]:
    return tuple(_evaluation(row) for row in conn.execute(query))


def _evaluation(row: Row[Any]) -> Evaluation:
    return Evaluation(
        id=row.id,
        model=row.model,
        digest=row.digest,
        champion=row.champion,
        original=row.original,
        cohort_id=row.cohort_id,
        plan_sha256=row.plan_sha256,
        look=row.look,
        alpha=row.alpha,
        outcome=GateOutcome(row.outcome),
        gates=tuple(GateVerdict(**{**gate, "outcome": GateOutcome(gate["outcome"])}) for gate in row.gates),
        actor=row.actor,
        at=row.at,
    )
