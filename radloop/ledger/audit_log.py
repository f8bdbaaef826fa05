"""Looking through the audit record: pages by filters, the newest first for people, the oldest first for exports.

A page costs the same in a record of a thousand rows and of a million: it follows an index from where the page before
ended, once for each action (or role) that the filters leave.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Row, Select, asc, desc, func, literal, or_, select, tuple_, union_all

from radloop.ledger.tables import audit_events, audit_seals

_e = audit_events.c
_COLUMNS: Final[tuple[Any, ...]] = (
    _e.id, _e.at, _e.actor, _e.role, _e.address, _e.action, _e.object_kind, _e.object_id, _e.detail,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page ended."""

    at: datetime
    id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which records. `action` also takes those that begin with it and a full stop: "view" has "view.study".

    `since` is included, `until` is not; `role` is one of those that the actor came with.
    """

    actor: str | None = None
    action: str | None = None
    object_id: str | None = None
    role: str | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One record. `number` and `link` are those of the chain; None until it is sealed."""

    id: str
    number: int | None
    link: bytes | None
    at: datetime
    actor: str
    role: str
    address: str
    action: str
    object_kind: str
    object_id: str
    detail: str

    @property
    def place(self) -> Place:
        """To go on from here."""
        return Place(self.at, self.id)


def page(conn: Connection, selection: Selection, after: Place | None = None, limit: int = 100) -> tuple[Entry, ...]:
    """The newest that are older than `after`, the newest first."""
    beyond = [] if after is None else [_e.at <= after.at, tuple_(_e.at, _e.id) < _literal(after)]
    ids = _found(conn, selection, beyond, limit, desc)
    return _entries(conn, ids)


def onward(conn: Connection, selection: Selection, after: Place | None = None, limit: int = 100) -> tuple[Entry, ...]:
    """The oldest that are newer than `after`, the oldest first."""
    beyond = [] if after is None else [_e.at >= after.at, tuple_(_e.at, _e.id) > _literal(after)]
    ids = _found(conn, selection, beyond, limit, asc)
    return _entries(conn, ids)


def sealed_after(conn: Connection, number: int, limit: int) -> tuple[Entry, ...]:
    """Sealed records in the order of the chain, from the one after `number` on."""
    query = select(audit_seals.c.number, audit_seals.c.chain, *_COLUMNS).join_from(audit_seals, audit_events)
    wanted = query.where(audit_seals.c.number > number).order_by(audit_seals.c.number).limit(limit)
    return tuple(_entry(row) for row in conn.execute(wanted))


def actions(conn: Connection) -> tuple[str, ...]:
    """Every action that is in the record, in order: the choices of a filter."""
    return tuple(_distinct(conn, _e.action))


def _found(
    conn: Connection, selection: Selection, beyond: list[ColumnElement[bool]], limit: int, way: Callable[[Any], Any]
) -> list[str]:
    """Ids of one page, in order."""
    common = [*_conditions(selection), *beyond]
    branches = [
        select(_e.id, _e.at).where(*branch, *common).order_by(way(_e.at), way(_e.id)).limit(limit).subquery()
        for branch in _branches(conn, selection)
    ]
    if not branches:
        return []
    every = union_all(*(select(branch.c.id, branch.c.at) for branch in branches)).subquery()
    return list(conn.scalars(select(every.c.id).order_by(way(every.c.at), way(every.c.id)).limit(limit)))


def _branches(conn: Connection, selection: Selection) -> Iterator[list[ColumnElement[bool]]]:
    """Equalities that an index answers in the order of time; together they are what is looked for."""
    roles = (
        [] if selection.role is None else [one for one in _distinct(conn, _e.role) if selection.role in one.split(",")]
    )
    if selection.role is not None and not roles:
        return
    if selection.object_id is not None:
        yield [_e.object_id == selection.object_id]
    elif selection.actor is not None:
        yield from ([_e.actor == selection.actor, _e.action == one] for one in _matching(conn, selection.action))
    elif selection.action is not None:
        yield from ([_e.action == one] for one in _matching(conn, selection.action))
    elif selection.role is not None:
        # The index leaves out rows without a role, and must be told that we do.
        yield from ([_e.role == one, _e.role != literal("", literal_execute=True)] for one in roles)
    else:
        yield []


def _conditions(selection: Selection) -> list[ColumnElement[bool]]:
    """All filters. Those that a branch answers already cost nothing more."""
    found: list[ColumnElement[bool]] = []
    if selection.object_id is not None and selection.actor is not None:
        found.append(_e.actor == selection.actor)
    if selection.object_id is not None and selection.action is not None:
        begun = _e.action.startswith(selection.action + ".", autoescape=True)
        found.append(or_(_e.action == selection.action, begun))
    if selection.role is not None:
        found.append((literal(",") + _e.role + ",").contains(f",{selection.role},", autoescape=True))
    if selection.since is not None:
        found.append(_e.at >= selection.since)
    if selection.until is not None:
        found.append(_e.at < selection.until)
    return found


def _matching(conn: Connection, wanted: str | None) -> Iterator[str]:
    for action in _distinct(conn, _e.action):
        if wanted is None or action == wanted or action.startswith(wanted + "."):
            yield action


def _distinct(conn: Connection, column: Any) -> Iterator[str]:
    """The values of an indexed column in order, one step of the index for each."""
    first: Select[Any] = select(func.min(column)).where(column != literal("", literal_execute=True))
    value = conn.scalar(first)
    while value is not None:
        yield str(value)
        value = conn.scalar(first.where(column > value))


def _entries(conn: Connection, ids: list[str]) -> tuple[Entry, ...]:
    joined = audit_events.outerjoin(audit_seals, audit_seals.c.event_id == _e.id)
    query = select(audit_seals.c.number, audit_seals.c.chain, *_COLUMNS).select_from(joined).where(_e.id.in_(ids))
    found = {row.id: _entry(row) for row in conn.execute(query)}
    return tuple(found[id_] for id_ in ids)


def _entry(row: Row[*tuple[Any, ...]]) -> Entry:
    return Entry(
        id=row.id,
        number=row.number,
        link=None if row.chain is None else bytes(row.chain),
        at=row.at,
        actor=row.actor,
        role=row.role,
        address=row.address,
        action=row.action,
        object_kind=row.object_kind,
        object_id=row.object_id,
        detail=row.detail,
    )


def _literal(place: Place) -> Any:
    return tuple_(literal(place.at, _e.at.type), literal(place.id, _e.id.type))
