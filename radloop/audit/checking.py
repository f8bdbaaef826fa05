"""Checking: the whole chain is walked, and held against what was promised of it outside the ledger."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

from sqlalchemy import Connection, func, select

from radloop.audit import anchor as anchors
from radloop.audit.anchor import Anchor
from radloop.audit.chain import tip
from radloop.audit.walking import Walked, stretches, walk, walking_apart
from radloop.domain.errors import IntegrityError
from radloop.ledger import Ledger
from radloop.ledger.tables import audit_events, audit_forwarded

NOTHING: Final[Mapping[int, bytes]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Verdict:
    """What `verify` found: how many sealed rows hold, how many wait for the sealer, and the first fault, if any."""

    sealed: int
    waiting: int
    fault: str | None

    @property
    def sound(self) -> bool:
        """Whether nothing was bent."""
        return self.fault is None


def verify(ledger: Ledger, key: bytes, anchor: Path, witnessed: Mapping[int, bytes] = NOTHING) -> Verdict:
    """Walk the whole chain and compare it with the anchor, and with links by number that others kept (`witnessed`).

    Raises:
        Unavailable: the ledger's.
    """
    try:
        # Before the ledger is looked at: the chain only grows, so it must hold what was promised until now.
        promised: Anchor | str = anchors.read(anchor, key)
    except IntegrityError as missing:
        promised = str(missing)
    with ledger.read() as conn:
        if not ledger.sqlite:
            conn.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        waiting = _count(conn, waiting=True)
        if isinstance(promised, str):
            return Verdict(0, waiting, promised)
        if witnessed.get(promised.number, promised.link) != promised.link:
            return Verdict(0, waiting, f"the anchor is not what is kept outside of record {promised.number}")
        found = _walk(ledger, conn, key, {**witnessed, promised.number: promised.link})
        fault = found.fault or _cut(conn, found.holds, promised.number, witnessed)
        if fault is None and found.holds != _count(conn, waiting=False) - waiting:
            fault = "rows claim to be sealed that the chain does not hold"
    return Verdict(found.holds, waiting, fault)


def _walk(ledger: Ledger, conn: Connection, key: bytes, kept: Mapping[int, bytes]) -> Walked:
    last, _ = tip(conn)
    parts = stretches(conn, last, kept)
    if len(parts) == 1:
        return walk(conn, key, parts[0])
    holds = 0
    with walking_apart(ledger, key, parts) as found:
        for part in found:
            holds += part.holds
            if part.fault is not None:
                return Walked(holds, part.fault)
    return Walked(holds, None)


def _cut(conn: Connection, count: int, anchored: int, witnessed: Mapping[int, bytes]) -> str | None:
    """Whether more was sealed once than the chain holds now, in words."""
    if count < anchored:
        return f"the chain ends at {count}, the anchor says {anchored}: its end was cut off"
    if count < (kept := max(witnessed, default=0)):
        return f"the chain ends at {count}, outside {kept} are kept: its end was cut off"
    forwarded = conn.scalar(select(func.max(audit_forwarded.c.number))) or 0
    if count < forwarded:
        return f"the chain ends at {count}, but {forwarded} were forwarded: its end was cut off"
    return None


def _count(conn: Connection, *, waiting: bool) -> int:
    query = select(func.count()).select_from(audit_events)
    return conn.scalar(query.where(audit_events.c.sealed.is_(False)) if waiting else query) or 0
