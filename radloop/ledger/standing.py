"""How a model version's standing moves: a table of allowed steps, each compare-and-set, each on record.

    (none) -> CHALLENGER -> SHADOW -> CHAMPION -> PREVIOUS -> CHALLENGER
                                 PREVIOUS -> CHAMPION, CHAMPION -> CHALLENGER: a rollback

Every step writes its row of `standing_changes` and its audit row in the transaction of the change. Between any two
transactions a model has at most one champion; once it has had one, exactly one.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final

from sqlalchemy import Connection, Row, func, insert, select

from radloop import audit
from radloop.domain.enums import Standing
from radloop.domain.errors import NotFound, Rejected
from radloop.domain.ids import new_id, utc_now
from radloop.domain.learning import StandingChange
from radloop.domain.records import AuditEvent, ModelVersion
from radloop.ledger import models
from radloop.ledger.learning import standing_changes
from radloop.ledger.tables import audit_events

Step = tuple[Standing | None, Standing]
STEPS: Final[Mapping[Step, str]] = MappingProxyType(
    {
        (None, Standing.CHALLENGER): "model.register",
        # The first version of a model that comes with radloop.
        (None, Standing.CHAMPION): "model.register",
        (Standing.CHALLENGER, Standing.SHADOW): "model.shadow",
        (Standing.SHADOW, Standing.CHALLENGER): "model.leave_shadow",
        (Standing.SHADOW, Standing.CHAMPION): "model.promote",
        # A model without a champion has nothing to be compared with: `promote` allows it there only.
        (Standing.CHALLENGER, Standing.CHAMPION): "model.promote",
        (Standing.CHAMPION, Standing.PREVIOUS): "model.step_down",
        (Standing.PREVIOUS, Standing.CHALLENGER): "model.retire",
        (Standing.PREVIOUS, Standing.CHAMPION): "model.restore",
        (Standing.CHAMPION, Standing.CHALLENGER): "model.roll_back",
    }
)
"""Every allowed step, and what the audit calls it."""

_c = standing_changes.c


@dataclass(frozen=True, slots=True)
class Act:
    """In whose name and why a standing moves. `why` names no patient."""

    actor: str
    why: str


@dataclass(frozen=True, slots=True)
class Rollback:
    """What a rollback did: who answers again, and who answered until then."""

    restored: ModelVersion
    demoted: ModelVersion


def enter(conn: Connection, version: ModelVersion, act: Act) -> bool:
    """Keep a new version with the standing that it carries; False where its digest is known already.

    Raises:
        Rejected: another digest has this name and version, or nothing may begin so.
    """
    same = [one for one in models.hold(conn, version.name) if one.version == version.version]
    if same and same[0].digest != version.digest:
        raise Rejected(f"{version.name} {version.version} is another bundle already: give this one its own version")
    if not models.register(conn, version):
        return False
    _note(conn, version, None, version.standing, act)
    return True


def step(conn: Connection, version: ModelVersion, after: Standing, act: Act) -> ModelVersion:
    """Take one step from the standing that `version` carries.

    Raises:
        Rejected: there is no such step, or the version stands otherwise by now.
    """
    if (version.standing, after) not in STEPS:
        raise Rejected(f"{_called(version)} is {version.standing}: it cannot become {after}")
    if not models.move(conn, version.digest, version.standing, after):
        raise Rejected(f"{_called(version)} is not {version.standing} any more")
    _note(conn, version, version.standing, after, act)
    return replace(version, standing=after)


def shadow(conn: Connection, digest: str, act: Act) -> ModelVersion:
    """Put a challenger into the shadow; the one that was there is a challenger again. Twice is once.

    Raises:
        NotFound: no version has this digest.
        Rejected: it is no challenger.
    """
    version, others = _held(conn, digest)
    if version.standing is Standing.SHADOW:
        return version
    for other in others:
        if other.standing is Standing.SHADOW:
            step(conn, other, Standing.CHALLENGER, replace(act, why=f"makes room for {version.version}"))
    return step(conn, version, Standing.SHADOW, act)


def promote(conn: Connection, digest: str, act: Act, *, expected: str | None) -> ModelVersion:
    """Make a version champion, only while `expected` (a digest, or None) is the champion.

    The old champion becomes PREVIOUS, an older PREVIOUS a CHALLENGER again.

    Raises:
        NotFound: no version has this digest.
        Rejected: another champion than expected, or no step leads there.
    """
    version, others = _held(conn, digest)
    now = {other.standing: other for other in others}
    champion, previous = now.get(Standing.CHAMPION), now.get(Standing.PREVIOUS)
    if (champion.digest if champion else None) != expected:
        raise Rejected("another version is champion than the one it was compared with")
    if champion and version.standing is Standing.CHALLENGER:
        raise Rejected(f"{_called(version)} is CHALLENGER: it has to stand in the shadow first")
    after = replace(act, why=f"{version.version} was promoted")
    if champion:
        if previous:
            step(conn, previous, Standing.CHALLENGER, after)
        step(conn, champion, Standing.PREVIOUS, after)
    return step(conn, version, Standing.CHAMPION, act)


def roll_back(conn: Connection, name: str, act: Act, *, expected: str | None = None) -> Rollback:
    """PREVIOUS answers again, the champion becomes CHALLENGER; only while `expected` is champion, where given.

    Raises:
        Rejected: there is no champion or no previous one, or another champion than expected.
    """
    now = {version.standing: version for version in models.hold(conn, name)}
    champion, previous = now.get(Standing.CHAMPION), now.get(Standing.PREVIOUS)
    if champion is None or previous is None:
        raise Rejected(f"{name} has no {'champion' if champion is None else 'previous version to roll back to'}")
    if expected is not None and champion.digest != expected:
        raise Rejected("another version is champion by now")
    demoted = step(conn, champion, Standing.CHALLENGER, act)
    return Rollback(step(conn, previous, Standing.CHAMPION, act), demoted)


def latest(conn: Connection, digest: str) -> StandingChange | None:
    """The newest step of a version: since when, by whom and why it stands as it does."""
    query = select(standing_changes).where(_c.digest == digest).order_by(_c.at.desc(), _c.id.desc()).limit(1)
    row = conn.execute(query).first()
    return _change(row) if row else None


def newest(conn: Connection) -> dict[str, StandingChange]:
    """The newest step of every version, by digest."""
    last = select(_c.digest, func.max(_c.at).label("at")).group_by(_c.digest).subquery()
    query = select(standing_changes).join(last, (_c.digest == last.c.digest) & (_c.at == last.c.at))
    return {row.digest: _change(row) for row in conn.execute(query)}


def history(conn: Connection, name: str) -> tuple[StandingChange, ...]:
    """Every step of every version of a model, the oldest first."""
    query = select(standing_changes).where(_c.model == name).order_by(_c.at, _c.id)
    return tuple(_change(row) for row in conn.execute(query))


def on_record(conn: Connection, action: str, digest: str, since: datetime) -> bool:
    """Whether the audit has this of the version since a time."""
    e = audit_events.c
    same = (e.at >= since, e.action == action, e.object_kind == "model", e.object_id == digest)
    return conn.scalar(select(e.id).where(*same).limit(1)) is not None


def _held(conn: Connection, digest: str) -> tuple[ModelVersion, tuple[ModelVersion, ...]]:
    """The version and all others of its model, locked."""
    found = models.get(conn, digest)
    if found is None:
        raise NotFound("no model version has this digest")
    of_name = models.hold(conn, found.name)
    version = next(one for one in of_name if one.digest == digest)
    return version, tuple(one for one in of_name if one.digest != digest)


def _called(version: ModelVersion) -> str:
    return f"{version.name} {version.version}"


def _note(conn: Connection, version: ModelVersion, before: Standing | None, after: Standing, act: Act) -> None:
    at = utc_now()
    conn.execute(
        insert(standing_changes).values(
            id=new_id("st"),
            model=version.name,
            digest=version.digest,
            before=before,
            after=after,
            actor=act.actor,
            why=act.why,
            at=at,
        )
    )
    event = AuditEvent(
        at=at,
        actor=act.actor,
        action=STEPS[before, after],
        object_kind="model",
        object_id=version.digest,
        detail=f"{_called(version)} {before or 'none'} to {after}: {act.why}",
    )
    audit.append(conn, event)


def _change(row: Row[Any]) -> StandingChange:
    return StandingChange(
        id=row.id,
        model=row.model,
        digest=row.digest,
        before=Standing(row.before) if row.before else None,
        after=Standing(row.after),
        actor=row.actor,
        why=row.why,
        at=row.at,
    )
