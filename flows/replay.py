"""Replay: a version reads stored studies, as silently as a shadow, so that it can be compared sooner."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from flows import shadow
from flows.house import House
from flows.shadow import Comparison
from radloop import audit
from radloop.domain.enums import Standing
from radloop.domain.errors import Rejected
from radloop.domain.ids import utc_now
from radloop.domain.records import AuditEvent, ModelVersion
from radloop.ledger import comparisons
from radloop.ledger import studies as study_rows


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """What a replay did: studies that were to be read, those answered and those failed, and the comparison."""

    due: int
    answered: int
    failed: int
    comparison: tuple[Comparison, ...]


async def replay(
    house: House, version: ModelVersion, since: datetime, actor: str, tell: Callable[[], object] = lambda: None
) -> Replayed:
    """Have a version read every study received since a time that a champion answered and it did not.

    May be killed and repeated: what is on record is not asked again. `tell` is called after each study.

    Raises:
        Rejected: it is the champion: what it says is sent.
        Unavailable: the ledger is away.
    """
    if version.standing is Standing.CHAMPION:
        raise Rejected(f"{version.name} {version.version} is the champion: it answers aloud")
    due = _begin(house, version, since, actor)
    answered = 0
    for study_id in due:
        with house.ledger.read() as conn:
            study = study_rows.get(conn, study_id)
        answered += study is not None and await shadow.answer_silently(house, study, version)
        tell()
    found = shadow.comparison(house, version)
    return Replayed(due=len(due), answered=answered, failed=len(due) - answered, comparison=found)


def _begin(house: House, version: ModelVersion, since: datetime, actor: str) -> tuple[str, ...]:
    with house.ledger.write() as conn:
        due = comparisons.due(conn, version, since)
        event = AuditEvent(
            at=utc_now(),
            actor=actor,
            action="model.replay",
            object_kind="model",
            object_id=version.digest,
            detail=f"{len(due)} studies",
        )
        audit.append(conn, event)
    return due
