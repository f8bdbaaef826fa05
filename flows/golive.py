"""Going live step by step: one modality first, hourly figures, then wider, or a stop.

What is not live is read all the same, in silence: every figure is there before a reader is shown the first answer, and
no study is held up or hidden by a step.
"""

import re
from collections.abc import Sequence
from typing import Final

from sqlalchemy import Connection

from radloop import audit
from radloop.domain.errors import Rejected
from radloop.domain.ids import utc_now
from radloop.domain.records import AuditEvent
from radloop.ledger import Ledger
from radloop.ledger import golive as rows
from radloop.ledger.golive import Step

MODALITY: Final = re.compile(r"[A-Z0-9_ ]{1,16}")
"""A code string (PS3.5 table 6.2-1, CS)."""


def widen(ledger: Ledger, actor: str, why: str, modalities: Sequence[str] | None) -> Step:
    """Have these modalities answered aloud from here on, beside those that are; None: all of them.

    Raises:
        Rejected: nothing is gained by it, no reason is given, or a name is no modality.
        Unavailable: the ledger's.
    """
    wanted = None if modalities is None else _modalities(modalities)
    with ledger.write() as conn:
        before = rows.in_force(conn)
        if before is None or before.modalities is None:
            raise Rejected("everything is live already: stop first, then widen one modality after the other")
        live = None if wanted is None else tuple(sorted({*before.modalities, *wanted}))
        if live == before.modalities:
            raise Rejected("these are live already")
        return _take(conn, actor, why, live)


def stop(ledger: Ledger, actor: str, why: str) -> Step:
    """Have every answer from here on kept, and shown and sent to nobody.

    Raises:
        Rejected: nothing is live, or no reason is given.
        Unavailable: the ledger's.
    """
    with ledger.write() as conn:
        before = rows.in_force(conn)
        if before is not None and before.modalities == ():
            raise Rejected("nothing is live already")
        return _take(conn, actor, why, ())


def said(step: Step | None) -> str:
    """What is live, in words."""
    if step is None or step.modalities is None:
        return "Everything is live."
    if not step.modalities:
        return "Nothing is live: every study is read in silence, and nobody is shown or sent an answer."
    return f"Live: {', '.join(step.modalities)}. Everything else is read in silence."


def _take(conn: Connection, actor: str, why: str, live: tuple[str, ...] | None) -> Step:
    if not why.strip():
        raise Rejected("why: a reason is needed")
    step = Step(modalities=live, actor=actor, why=why.strip(), at=utc_now())
    step_id = rows.take(conn, step)
    words = "all" if live is None else ", ".join(live) or "none"
    audit.append(
        conn,
        AuditEvent(
            at=step.at,
            actor=actor,
            action="golive",
            object_kind="golive",
            object_id=step_id,
            detail=f"live: {words}; {step.why}",
        ),
    )
    return step


def _modalities(names: Sequence[str]) -> tuple[str, ...]:
    found = tuple(name.strip().upper() for name in names)
    if not found or not all(MODALITY.fullmatch(name) for name in found):
        raise Rejected("modalities: names as DICOM has them, e.g. DX, CT")
    return found
