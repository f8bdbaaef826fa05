"""Frozen records of what watches over live traffic: baselines, alarms, notices, and scanners in the shadow.

Ids are our own surrogates; `device` is "manufacturer model station" as acquisitions have it, `site` the peer that sent.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from radloop.domain.records import Blob


class BaselineState(StrEnum):
    """Where a frozen reference distribution stands."""

    PROPOSED = "PROPOSED"
    """Waits for another person's yes; nothing is held against it."""
    IN_FORCE = "IN_FORCE"
    """What live traffic of its model is held against. At most one per model."""
    REPLACED = "REPLACED"
    """Another one is in force by now."""


class AlarmState(StrEnum):
    """Where an alarm stands. One that is not closed takes up whatever is seen of its cause."""

    OPEN = "OPEN"
    """Nobody has decided yet. It blocks the promotion of its model."""
    ACKNOWLEDGED = "ACKNOWLEDGED"
    """A person has said why it may be lived with, or what is being done; it blocks nothing."""
    CLOSED = "CLOSED"
    """Its cause is over, or has become part of the baseline; seen again, it is a new alarm."""


class Choice(StrEnum):
    """What a person did about an alarm."""

    ACKNOWLEDGE = "ACKNOWLEDGE"
    EXTEND = "EXTEND"
    """The moved acquisitions became part of the reference, approved by another person."""
    SHADOW = "SHADOW"
    """The scanner's studies are read, but nobody is shown the answers."""
    RETRAIN = "RETRAIN"
    """A new version shall learn what moved."""
    CLOSE = "CLOSE"


class NoticeState(StrEnum):
    """Where a notice stands on its way."""

    QUEUED = "QUEUED"
    SENT = "SENT"
    DROPPED = "DROPPED"
    """Tried for as long as the settings allow, or refused for good; the alarm stays where it is."""


class Channel(StrEnum):
    """By which way people are told."""

    EMAIL = "email"
    WEBHOOK = "webhook"


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """A frozen reference distribution of one model.

    `blob` holds the rows (`data_checks.reference`); `digest` is the SHA-256 (hex) of its plain bytes. It was taken
    from `cohort_id`, or from the acquisitions of `start` to `end`; `extends` is the baseline whose rows it holds too,
    and `alarm_id` the alarm that is to be settled by it.
    """

    id: str
    model: str
    digest: str
    blob: Blob
    rows: int
    state: BaselineState
    extends: str | None
    alarm_id: str | None
    cohort_id: str | None
    start: datetime | None
    end: datetime | None
    why: str
    asked_by: str
    at: datetime
    approved_by: str | None = None
    approved_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """What an alarm is about.

    `model` is '' where no model is concerned; `device` '' where all of a site's are; `site` '' where all are.
    `words` say it to a person: "software 2.1, kernel SHARP on AcmeRay X1".
    """

    suite: str
    check: str
    model: str
    site: str
    device: str
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What spoke: a statistic over `n` rows of the window and `m` of the reference.

    `smallest_shift` is the smallest that so many rows could have shown, in the statistic's own unit. None where the
    statistic has no such number.
    """

    statistic: str
    value: float
    p: float | None
    n: int
    m: int
    smallest_shift: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """A cause as one window showed it: since when, and the study versions that it touched, the first one first.

    While an alarm with the same `key` is not closed, there is no second. Words may change while a cause lasts
    (another column shows it best), its key may not.
    """

    key: str
    cause: Cause
    evidence: Evidence
    since: datetime
    versions: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """One cause that a person has to decide on. `studies` counts the study versions that it has touched so far."""

    id: str
    cause: Cause
    evidence: Evidence
    since: datetime
    first_version: str | None
    studies: int
    state: AlarmState
    opened_at: datetime
    last_seen: datetime
    choice: Choice | None = None
    who: str | None = None
    why: str | None = None
    decided_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """One alarm to be told by one channel."""

    id: str
    alarm_id: str
    channel: Channel
    state: NoticeState
    attempts: int
    next_at: datetime
    at: datetime
    sent_at: datetime | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Shadowed:
    """A scanner whose studies are read and shown to nobody, from `at` until `ended_at` (None: still)."""

    id: str
    site: str
    device: str
    alarm_id: str
    actor: str
    why: str
    at: datetime
    ended_by: str | None = None
    ended_at: datetime | None = None
