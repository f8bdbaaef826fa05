"""Orders and patient updates from the RIS; each HL7 message takes effect once."""

from typing import Any

from sqlalchemy import Connection, Row, insert, or_, select, update

from radloop.domain.enums import Urgency
from radloop.domain.ids import new_id, utc_now
from radloop.domain.records import Code, Order
from radloop.ledger import studies as study_rows
from radloop.ledger.tables import hl7_messages, orders, studies


def first_time(conn: Connection, peer: str, control_id: str, sha256: str, kind: str) -> bool:
    """Note a message (peer, MSH-10); False where it was taken before. Call it in the transaction of its effect.

    A control id that comes again with other content is another message: senders restart their counters.
    """
    row = conn.execute(
        select(hl7_messages.c.id, hl7_messages.c.sha256)
        .where(hl7_messages.c.peer == peer, hl7_messages.c.control_id == control_id)
        .with_for_update()
    ).first()
    if row is not None and row.sha256 == sha256:
        return False
    values = {"sha256": sha256, "kind": kind, "at": utc_now()}
    if row is not None:
        conn.execute(update(hl7_messages).where(hl7_messages.c.id == row.id).values(**values))
    else:
        conn.execute(insert(hl7_messages).values(id=new_id("hm"), peer=peer, control_id=control_id, **values))
    return True


def record(conn: Connection, order: Order, peer: str) -> str:
    """Keep an order, or bring the one with the same accession and patient up to date; its id.

    Raises the priority of a study of that accession which still waits.
    """
    same = (orders.c.accession_number == order.accession_number, orders.c.patient_id == order.patient_id)
    values = {
        "placer_number": order.placer_number,
        "filler_number": order.filler_number,
        "issuer": order.issuer,
        "priority": order.priority,
        "procedure": _code_values(order.procedure),
        "expected_instances": order.expected_instances,
        "peer": peer,
        "at": utc_now(),
    }
    order_id = conn.scalar(select(orders.c.id).where(*same).with_for_update())
    if order_id is not None:
        conn.execute(update(orders).where(orders.c.id == order_id).values(**values))
    else:
        order_id = new_id("or")
        key = {"accession_number": order.accession_number, "patient_id": order.patient_id}
        conn.execute(insert(orders).values(id=order_id, **key, **values))
    study_rows.raise_priority(conn, order.accession_number, order.patient_id, order.priority)
    return order_id


def find(conn: Connection, accession_number: str, patient_id: str) -> Order | None:
    """The newest order for this accession and patient."""
    if not accession_number:
        return None
    query = select(orders).where(orders.c.accession_number == accession_number, orders.c.patient_id == patient_id)
    row = conn.execute(query.order_by(orders.c.at.desc()).limit(1)).first()
    return _order(row) if row else None


def of_study(conn: Connection, study_id: str) -> Order | None:
    """The newest order for the accession and patient of a study."""
    keys = select(studies.c.accession_number, studies.c.patient_id).where(studies.c.id == study_id)
    found = conn.execute(keys).first()
    return find(conn, found.accession_number, found.patient_id) if found else None


def update_patient(conn: Connection, patient_id: str, issuer: str) -> int:
    """ADT^A08: the issuer of a patient's id is known better now; how many orders it touched."""
    condition = (orders.c.patient_id == patient_id, or_(orders.c.issuer == "", orders.c.issuer == issuer))
    return conn.execute(update(orders).where(*condition).values(issuer=issuer)).rowcount


def _code_values(code: Code | None) -> list[str] | None:
    return [code.value, code.scheme, code.meaning] if code else None


def _order(row: Row[Any]) -> Order:
    return Order(
        accession_number=row.accession_number,
        placer_number=row.placer_number,
        filler_number=row.filler_number,
        patient_id=row.patient_id,
        issuer=row.issuer,
        priority=Urgency(row.priority),
        procedure=Code(*row.procedure) if row.procedure else None,
        expected_instances=row.expected_instances,
    )
