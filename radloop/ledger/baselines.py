"""Baselines: what each model's traffic is held against. Proposed by one actor, in force by another's yes."""

from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from radloop.domain.errors import NotFound, Rejected
from radloop.domain.records import Blob
from radloop.domain.watching import Baseline, BaselineState
from radloop.ledger.watching import baselines

_b = baselines.c


def add(conn: Connection, baseline: Baseline) -> None:
    """Keep a proposal."""
    values = asdict(baseline)
    blob, start, end = baseline.blob, values.pop("start"), values.pop("end")
    values.pop("blob")
    conn.execute(
        insert(baselines).values(
            **values,
            blob_key=blob.key,
            blob_sha256=blob.sha256,
            blob_size=blob.size,
            period_start=start,
            period_end=end,
        )
    )


def approve(conn: Connection, baseline_id: str, actor: str, at: datetime) -> Baseline:
    """Put a proposal into force; the one that was in force is replaced. Compare-and-set.

    Raises:
        NotFound: there is no such baseline.
        Rejected: it is no proposal any more, `actor` proposed it, or it extends one that is in force no longer.
    """
    found = get(conn, baseline_id)
    if found.asked_by == actor:
        raise Rejected(f"{actor} proposed {baseline_id}: another person must approve it")
    now = in_force(conn, found.model)
    if found.extends is not None and (now is None or now.id != found.extends):
        raise Rejected(f"{baseline_id} extends a baseline that is not in force: propose it again")
    if now is not None:
        _move(conn, now.id, BaselineState.IN_FORCE, state=BaselineState.REPLACED)
    approved = {"state": BaselineState.IN_FORCE, "approved_by": actor, "approved_at": at}
    _move(conn, baseline_id, BaselineState.PROPOSED, **approved)
    return get(conn, baseline_id)


def get(conn: Connection, baseline_id: str) -> Baseline:
    """One baseline.

    Raises:
        NotFound: there is no such baseline.
    """
    row = conn.execute(select(baselines).where(_b.id == baseline_id)).first()
    if row is None:
        raise NotFound("there is no such baseline")
    return _baseline(row)


def in_force(conn: Connection, model: str) -> Baseline | None:
    """What this model's traffic is held against, or None."""
    query = select(baselines).where(_b.model == model, _b.state == BaselineState.IN_FORCE)
    row = conn.execute(query).first()
    return _baseline(row) if row else None


def known(conn: Connection, model: str | None = None) -> tuple[Baseline, ...]:
    """Every baseline (of one model), the newest first."""
    query = select(baselines).order_by(_b.at.desc(), _b.id.desc())
    rows = conn.execute(query if model is None else query.where(_b.model == model))
    return tuple(_baseline(row) for row in rows)


def _move(conn: Connection, baseline_id: str, before: BaselineState, **values: Any) -> None:
    condition = (_b.id == baseline_id, _b.state == before)
    if conn.execute(update(baselines).where(*condition).values(**values)).rowcount != 1:
        raise Rejected(f"{baseline_id} is not {before} any more")


def _baseline(row: Row[Any]) -> Baseline:
    return Baseline(
        id=row.id,
        model=row.model,
        digest=row.digest,
        blob=Blob(row.blob_key, row.blob_sha256, row.blob_size),
        rows=row.rows,
        state=BaselineState(row.state),
        extends=row.extends,
        alarm_id=row.alarm_id,
        cohort_id=row.cohort_id,
        start=row.period_start,
        end=row.period_end,
        why=row.why,
        asked_by=row.asked_by,
        at=row.at,
        approved_by=row.approved_by,
        approved_at=row.approved_at,
    )
