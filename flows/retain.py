"""Retention: what the site's policy deletes, when, and what is kept all the same.

One mechanism, three ways to it: the runner once a minute, a schedule, and a person at the command line. Each obeys a
policy only once somebody has seen what that very policy would delete: a slip in radloop.toml empties no hospital.
A patient's withdrawn consent is no policy: copies that it left are deleted whatever the policy says.
"""

import asyncio
import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Final

import structlog
from sqlalchemy import Connection

from flows import policies
from flows.forgetting import Gone, forget, weighed
from flows.house import House
from radloop import audit
from radloop.domain.errors import Rejected
from radloop.domain.ids import new_id, utc_now
from radloop.domain.records import AuditEvent
from radloop.ledger import copies as copy_rows
from radloop.ledger import retained
from radloop.ledger.retained import Bound, Candidate, Part, Preview
from radloop.settings import RetentionSettings

log = structlog.get_logger()

ACTOR: Final = "runner"
SCHEDULED: Final = "retain"
AT_ONCE: Final = 50
EVERY_SECONDS: Final = 60.0
STEP: Final = timedelta(hours=1)
LOOK_FIRST: Final = (
    "nobody has seen what this retention policy deletes: run `radloop retain --dry-run`, read it, then run it again"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """How many days after sign-off each part is deleted (None: never), and whether audit reports come first."""

    pictures_days: float | None
    reports_days: float | None
    keep_for_audits: bool

    @property
    def text(self) -> str:
        """Canonical JSON."""
        return json.dumps(asdict(self), sort_keys=True, separators=(",", ":"))

    @property
    def digest(self) -> str:
        """SHA-256 (hex) of the text: another policy has another."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    def bounds(self, now: datetime) -> Mapping[Part, Bound]:
        """By part that is ever deleted: what must have been signed by when."""
        days = {Part.PICTURES: self.pictures_days, Part.REPORTS: self.reports_days}
        return {
            part: Bound(now - timedelta(days=given), self.keep_for_audits)
            for part, given in days.items()
            if given is not None
        }


@dataclass(frozen=True, slots=True)
class Due:
    """A part of a study version whose time is over; `kept_by` says what keeps it all the same, and is else empty."""

    version_id: str
    part: Part
    signed_at: datetime
    gone: Gone
    kept_by: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run would do now. `copies`: training copies of patients who took their consent back, by surrogate id."""

    policy: Policy
    due: tuple[Due, ...]
    copies: Mapping[str, int]

    @property
    def going(self) -> tuple[Due, ...]:
        """What would be deleted."""
        return tuple(one for one in self.due if not one.kept_by)

    @property
    def kept(self) -> tuple[Due, ...]:
        """What would be deleted if nothing kept it."""
        return tuple(one for one in self.due if one.kept_by)


@dataclass(frozen=True, slots=True)
class Done:
    """What a run did: versions by part, how much that was, and training copies."""

    versions: Mapping[Part, int]
    gone: Gone
    copies: int


def policy_of(settings: RetentionSettings) -> Policy:
    """The policy that radloop.toml states."""
    return Policy(
        pictures_days=settings.pictures_days,
        reports_days=settings.reports_days,
        keep_for_audits=settings.keep_for_audits,
    )


def preview(house: House, actor: str) -> Plan:
    """What a run would delete now and what it would keep, and why; that somebody looked is noted, and nothing else.

    Raises:
        Unavailable: the ledger's.
    """
    policy, now = policy_of(house.settings.retention), utc_now()
    with house.ledger.read() as conn:
        plan = _plan(conn, policy, now)
    with house.ledger.write() as conn:
        retained.add_preview(conn, new_id("rp"), Preview(policy.digest, actor, now), policy.text)
        audit.append(conn, _event(actor, "retain.preview", policy, f"{len(plan.going)} due, {len(plan.kept)} kept"))
    return plan


def retain(house: House, actor: str) -> Done:
    """Delete what is due, and nothing that anything keeps.

    Raises:
        Rejected: nobody has seen what this policy deletes.
        Unavailable: the ledger's, or a backup is being made; what is noted as gone is gone, the rest is still due.
        StorageFull: the store's; as before.
    """
    return _retain(house, actor, utc_now(), None)


def is_seen(house: House) -> bool:
    """Whether what somebody looked at last is the policy that is in force; else nothing is deleted by it."""
    with house.ledger.read() as conn:
        return retained.seen(conn, policy_of(house.settings.retention).digest)


class Clock:
    """The time of day, for as long as it runs as the machine's own clock does: it decides what is deleted."""

    def __init__(self) -> None:
        self._ahead = utc_now().timestamp() - time.monotonic()

    def now(self) -> datetime | None:
        """The time; None once somebody has set it by more than `STEP`."""
        now = utc_now()
        moved = abs(now.timestamp() - time.monotonic() - self._ahead)
        return now if moved <= STEP.total_seconds() else None


async def keep_retaining(house: House) -> None:
    """Look once a minute, until the clock is set: what it then says is not to be trusted with deleting.

    A policy that nobody has looked at is said once, and waits.
    """
    clock = Clock()
    seen = await policies.patiently(policies.LEDGER, "retention", partial(asyncio.to_thread, is_seen, house))
    if not seen and policy_of(house.settings.retention).bounds(utc_now()):
        log.warning("retention waits for a dry run", command="radloop retain --dry-run")
    while (now := clock.now()) is not None:
        look = partial(asyncio.to_thread, _retain_some, house, now)
        await policies.patiently(policies.LEDGER, "retention", look)
        await asyncio.sleep(EVERY_SECONDS)
    log.error("the clock was set: the runner deletes nothing more until it is started again")
    await asyncio.Event().wait()


def _retain_some(house: House, now: datetime) -> Done | None:
    """As `retain`, a little at a time; None where the policy waits for somebody to look."""
    try:
        return _retain(house, ACTOR, now, AT_ONCE)
    except Rejected:
        return None


def _retain(house: House, actor: str, now: datetime, at_once: int | None) -> Done:
    copies = _sweep_copies(house, actor)
    bounds = policy_of(house.settings.retention).bounds(now)
    if bounds and not is_seen(house):
        raise Rejected(LOOK_FIRST)
    done = {part: _forget_all(house, part, bound, actor, at_once) for part, bound in bounds.items()}
    gone = sum((one for found in done.values() for one in found), Gone())
    return Done({part: len(found) for part, found in done.items()}, gone, copies)


def _forget_all(house: House, part: Part, bound: Bound, actor: str, at_once: int | None) -> list[Gone]:
    done: list[Gone] = []
    while at_once is None or not done:
        with house.ledger.read() as conn:
            due = retained.due(conn, part, bound, at_once or AT_ONCE)
        if not due:
            break
        found = (forget(house, part, bound, version_id, actor) for version_id in due)
        done += [one for one in found if one is not None]
    return done


def _sweep_copies(house: House, actor: str) -> int:
    """Copies that a withdrawal left behind, as where it was killed half-way; how many there were."""
    with house.ledger.read() as conn:
        left = copy_rows.patients_who_withdrew(conn)
    if not left:
        return 0
    from flows.cohorts import forget_withdrawn  # noqa: PLC0415 - the models' libraries come with it

    return forget_withdrawn(house, actor)


def _plan(conn: Connection, policy: Policy, now: datetime) -> Plan:
    found = [one for part, bound in policy.bounds(now).items() for one in retained.candidates(conn, part, bound)]
    copies = {patient: len(copy_rows.of_patient(conn, patient)) for patient in copy_rows.patients_who_withdrew(conn)}
    counted: set[str] = set()
    return Plan(policy, tuple(_due(conn, one, counted) for one in found), copies)


def _due(conn: Connection, one: Candidate, counted: set[str]) -> Due:
    """Images that two versions of a study share go with the first of them, and are `counted` once."""
    named = retained.blobs(conn, one.part, one.version_id)
    keys = {key: size for key, size in named.items() if key not in counted}
    if not one.kept_by:
        counted.update(keys)
    return Due(one.version_id, one.part, one.signed_at, weighed(keys), one.kept_by)


def _event(actor: str, action: str, policy: Policy, detail: str) -> AuditEvent:
    return AuditEvent(
        at=utc_now(),
        actor=actor,
        action=action,
        object_kind="retention",
        object_id=policy.digest,
        detail=detail,
    )
