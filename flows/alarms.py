"""What people do about an alarm: acknowledge it with a reason, put its scanner into the shadow, have a model trained.

Extending the baseline is `flows.baselines`. Every choice is compare-and-set, in the name of an actor, on record.
"""

from sqlalchemy import Connection

from flows.house import House
from radloop import audit
from radloop.domain.errors import NotFound, Rejected
from radloop.domain.ids import utc_now
from radloop.domain.records import AuditEvent
from radloop.domain.watching import Alarm, Choice
from radloop.ledger import alarms as alarm_rows
from radloop.ledger import shadowed as shadowed_rows


def decide(house: House, alarm_id: str, choice: Choice, actor: str, why: str) -> Alarm:
    """ACKNOWLEDGE, RETRAIN or CLOSE: what was decided, and why.

    Raises:
        NotFound: there is no such alarm.
        Rejected: it is closed already, or no reason is given.
    """
    with house.ledger.write() as conn:
        return _decided(conn, alarm_id, choice, actor, why)


def shadow(house: House, alarm_id: str, actor: str, why: str) -> Alarm:
    """From now on, studies of the alarm's scanner are read, but nobody is shown or sent the answers.

    Raises:
        NotFound: there is no such alarm.
        Rejected: it is closed already, names no scanner, or no reason is given.
    """
    with house.ledger.write() as conn:
        alarm = alarm_rows.get(conn, alarm_id)
        if not alarm.cause.device:
            raise Rejected(f"{alarm_id} names no scanner")
        done = _decided(conn, alarm_id, Choice.SHADOW, actor, why)
        now = utc_now()
        if shadowed_rows.begin(conn, alarm.cause.site, alarm.cause.device, alarm_id, actor, why, now):
            audit.append(conn, _event(actor, "scanner.shadow", alarm_id, f"{_place(alarm)}: {why}"))
        return done


def unshadow(house: House, alarm_id: str, actor: str, why: str) -> Alarm:
    """The answers on new studies of the alarm's scanner are shown again.

    Raises:
        NotFound: there is no such alarm, or its scanner is not in the shadow.
        Rejected: no reason is given.
    """
    if not why.strip():
        raise Rejected("a reason is needed")
    with house.ledger.write() as conn:
        alarm = alarm_rows.get(conn, alarm_id)
        if not shadowed_rows.end(conn, alarm.cause.site, alarm.cause.device, actor, utc_now()):
            raise NotFound(f"the scanner of {alarm_id} is not in the shadow")
        audit.append(conn, _event(actor, "scanner.unshadow", alarm_id, f"{_place(alarm)}: {why}"))
        return alarm


def _decided(conn: Connection, alarm_id: str, choice: Choice, actor: str, why: str) -> Alarm:
    alarm = alarm_rows.decide(conn, alarm_id, choice, actor, why, utc_now())
    audit.append(conn, _event(actor, f"alarm.{choice.lower()}", alarm_id, why))
    return alarm


def _place(alarm: Alarm) -> str:
    return f"{alarm.cause.device} at {alarm.cause.site or 'unnamed site'}"


def _event(actor: str, action: str, alarm_id: str, detail: str) -> AuditEvent:
    return AuditEvent(at=utc_now(), actor=actor, action=action, object_kind="alarm", object_id=alarm_id, detail=detail)
