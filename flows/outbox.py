"""What a person does about deliveries: send again, or give up. Either all that were named, or none."""

from collections.abc import Sequence
from typing import Final

from sqlalchemy import Connection

from radloop import audit
from radloop.domain.enums import DeliveryState
from radloop.domain.errors import NotFound, Rejected
from radloop.domain.ids import utc_now
from radloop.domain.records import AuditEvent
from radloop.ledger import deliveries as delivery_rows

RESEND: Final = "delivery.resend"
DROP: Final = "delivery.drop"


def resend(conn: Connection, actor: str, delivery_ids: Sequence[str]) -> None:
    """Send deliveries again, with the same bytes and identifiers.

    Raises:
        NotFound: one of them is not there, or its peer has taken it.
    """
    for delivery_id in delivery_ids:
        if not delivery_rows.resend(conn, delivery_id):
            raise _nothing(delivery_id)
        audit.append(conn, _event(actor, RESEND, delivery_id, ""))


def drop(conn: Connection, actor: str, delivery_ids: Sequence[str], why: str) -> None:
    """Give deliveries up.

    Raises:
        Rejected: no reason is given.
        NotFound: one of them is not there, is under way, or its peer has taken it.
    """
    if not why.strip():
        raise Rejected("why: a reason is needed")
    for delivery_id in delivery_ids:
        if not delivery_rows.drop(conn, delivery_id):
            raise _nothing(delivery_id)
        audit.append(conn, _event(actor, DROP, delivery_id, why.strip()))


def parked(conn: Connection, peer: str | None = None) -> tuple[str, ...]:
    """The ids of all parked deliveries, of one peer where it is named."""
    found = delivery_rows.unfinished(conn)
    return tuple(one.id for one in found if one.state is DeliveryState.PARKED and peer in (None, one.peer))


def _nothing(delivery_id: str) -> NotFound:
    return NotFound(f"there is no open delivery {delivery_id}; nothing was changed")


def _event(actor: str, action: str, delivery_id: str, detail: str) -> AuditEvent:
    return AuditEvent(
        at=utc_now(), actor=actor, action=action, object_kind="delivery", object_id=delivery_id, detail=detail
    )
