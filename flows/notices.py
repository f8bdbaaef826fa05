"""Notices: who is told of an alarm, at least once, from the ledger.

A notice is claimed with a lease before it is sent: a process that dies in between leaves it to be sent again with the
same id. What names a patient is not in the ledger's alarms, so it cannot be in a message either.
"""

from collections.abc import Callable, Mapping
from datetime import timedelta
from types import MappingProxyType
from typing import Final

import structlog
from sqlalchemy import Connection

from flows import policies
from flows.house import House
from integrations.notify import Message, post, send_mail
from radloop import audit
from radloop.domain.errors import Permanent, Transient
from radloop.domain.ids import utc_now
from radloop.domain.records import AuditEvent
from radloop.domain.watching import Alarm, Channel, Notice
from radloop.ledger import alarms as alarm_rows
from radloop.ledger import notices as notice_rows
from radloop.settings import NotifySettings

log = structlog.get_logger()
ACTOR: Final = "watch"
AT_ONCE: Final = 20
LONGEST: Final = 200
SENDERS: Final[Mapping[Channel, Callable[[NotifySettings, Message], None]]] = MappingProxyType(
    {Channel.EMAIL: send_mail, Channel.WEBHOOK: post}
)
CHOICES: Final = "acknowledge it with a reason, extend the baseline, put the scanner into the shadow, or retrain"


def channels(settings: NotifySettings) -> tuple[Channel, ...]:
    """The ways by which this site wants to be told."""
    wanted = {Channel.EMAIL: settings.smtp_host is not None, Channel.WEBHOOK: settings.webhook is not None}
    return tuple(channel for channel, is_wanted in wanted.items() if is_wanted)


def queue(conn: Connection, settings: NotifySettings, alarm_id: str) -> None:
    """Have an alarm told by every channel; once, however often it is asked."""
    for channel in channels(settings):
        notice_rows.queue(conn, alarm_id, channel, utc_now())


def tell_due(house: House) -> int:
    """Send what is due and free; how many were sent.

    Raises:
        Transient: the ledger is away.
    """
    settings, now = house.settings.notify, utc_now()
    if not channels(settings):
        return 0
    # The lease outlasts every try of this round: nobody else sends meanwhile.
    until = now + timedelta(seconds=AT_ONCE * settings.timeout_seconds)
    with house.ledger.write() as conn:
        claimed = notice_rows.claim(conn, house.owner, now, until, AT_ONCE)
    return sum(_tell(house, notice) for notice in claimed)


def message_of(notice: Notice, alarm: Alarm, link: str = "") -> Message:
    """What is told of an alarm: the cause, since when, how many studies, what spoke, and the choices."""
    cause, evidence = alarm.cause, alarm.evidence
    lines = (
        f"{cause.words}.",
        "",
        f"model: {cause.model or 'all'}",
        f"since: {alarm.since.isoformat(timespec='seconds')}",
        f"first study: {alarm.first_version or 'unknown'}",
        f"studies so far: {alarm.studies}",
        f"statistic: {said_of(alarm)}",
        "",
        f"What can be done: {CHOICES}.",
        f"radloop alarms show {alarm.id}",
        *([f"{link.rstrip('/')}/alarms/{alarm.id}"] if link else []),
    )
    facts: dict[str, str | int | float | None] = {
        "alarm": alarm.id,
        "suite": cause.suite,
        "check": cause.check,
        "model": cause.model,
        "site": cause.site,
        "device": cause.device,
        "since": alarm.since.isoformat(),
        "first_study": alarm.first_version,
        "studies": alarm.studies,
        "statistic": evidence.statistic,
        "value": evidence.value,
        "p": evidence.p,
        "n": evidence.n,
        "m": evidence.m,
        "smallest_shift": evidence.smallest_shift,
    }
    # A header is one line, whatever a scanner's name has in it.
    subject = " ".join(f"radloop: {cause.words}".split())[:LONGEST]
    return Message(id=notice.id, subject=subject, text="\n".join(lines) + "\n", facts=facts)


def said_of(alarm: Alarm) -> str:
    """The statistic of an alarm in words."""
    evidence = alarm.evidence
    p = "" if evidence.p is None else f", p {evidence.p:.2g}"
    shift = evidence.smallest_shift
    least = "none that it could have seen is known" if shift is None else f"{shift:.3g}"
    return f"{evidence.statistic} {evidence.value:.3g}{p}, n {evidence.n}, m {evidence.m}, smallest shift {least}"


def _tell(house: House, notice: Notice) -> bool:
    with house.ledger.read() as conn:
        alarm = alarm_rows.get(conn, notice.alarm_id)
    settings = house.settings.notify
    try:
        SENDERS[notice.channel](settings, message_of(notice, alarm, settings.link))
    except Transient as error:
        _later(house, notice, str(error))
        return False
    except Permanent as error:
        _dropped(house, notice, str(error))
        return False
    with house.ledger.write() as conn:
        if notice_rows.sent(conn, notice.id, utc_now()):
            audit.append(conn, _event("notice.send", notice, f"{notice.channel}, try {notice.attempts}"))
    return True


def _later(house: House, notice: Notice, error: str) -> None:
    now = utc_now()
    if now - notice.at > timedelta(seconds=house.settings.notify.give_up_seconds):
        _dropped(house, notice, error)
        return
    again = now + timedelta(seconds=policies.NOTICE.wait(notice.attempts))
    log.warning("notice waits", notice=notice.id, channel=notice.channel, error=error, attempt=notice.attempts)
    with house.ledger.write() as conn:
        notice_rows.again(conn, notice.id, error, again)


def _dropped(house: House, notice: Notice, error: str) -> None:
    log.error("notice dropped", notice=notice.id, channel=notice.channel, error=error)
    with house.ledger.write() as conn:
        if notice_rows.drop(conn, notice.id, error):
            audit.append(conn, _event("notice.drop", notice, f"{notice.channel}: {error}"))


def _event(action: str, notice: Notice, detail: str) -> AuditEvent:
    return AuditEvent(
        at=utc_now(), actor=ACTOR, action=action, object_kind="alarm", object_id=notice.alarm_id, detail=detail
    )
