from pathlib import Path

import pytest
from sqlalchemy import delete, insert, select, update

from radloop import audit
from radloop.domain.records import AuditEvent
from radloop.ledger import Ledger
from radloop.ledger.tables import audit_events, audit_seals
from tests.radloop.ledger.rows import NOW

KEY = bytes(range(32))


def event(object_id: str) -> AuditEvent:
    return AuditEvent(at=NOW, actor="it", action="view", object_kind="study", object_id=object_id)


@pytest.fixture
def anchor(tmp_path: Path) -> Path:
    return tmp_path / "audit.anchor"


@pytest.fixture
def sealed(ledger: Ledger, anchor: Path) -> Ledger:
    """Nine sealed events, in three batches."""
    sealer = audit.Sealer(ledger, KEY, anchor)
    sealer.begin()
    for batch in range(3):
        with ledger.write() as conn:
            audit.append(conn, *(event(f"st_{batch}{n}") for n in range(3)))
        assert sealer.seal() == 3
    return ledger


def fault(ledger: Ledger, anchor: Path) -> str | None:
    return audit.verify(ledger, KEY, anchor).fault


def test_a_record_that_nobody_touched_is_sound(sealed: Ledger, anchor: Path) -> None:
    assert audit.verify(sealed, KEY, anchor) == audit.Verdict(sealed=9, waiting=0, fault=None)


def test_events_that_wait_for_the_sealer_are_counted(sealed: Ledger, anchor: Path) -> None:
    with sealed.write() as conn:
        audit.append(conn, event("st_x"))
    assert audit.verify(sealed, KEY, anchor).waiting == 1


@pytest.mark.parametrize("column", ["actor", "action", "object_kind", "object_id", "detail"])
def test_an_edit_is_found(sealed: Ledger, anchor: Path, column: str) -> None:
    with sealed.write() as conn:
        victim = conn.scalar(select(audit_seals.c.event_id).where(audit_seals.c.number == 5))
        conn.execute(update(audit_events).where(audit_events.c.id == victim).values({column: "bent"}))
    assert "record 5" in fault(sealed, anchor)


def test_a_deletion_in_the_middle_is_found(sealed: Ledger, anchor: Path) -> None:
    with sealed.write() as conn:
        victim = conn.scalar(select(audit_seals.c.event_id).where(audit_seals.c.number == 5))
        conn.execute(delete(audit_seals).where(audit_seals.c.number == 5))
        conn.execute(delete(audit_events).where(audit_events.c.id == victim))
    assert "record 5 is missing" in fault(sealed, anchor)


def test_a_reorder_is_found(sealed: Ledger, anchor: Path) -> None:
    with sealed.write() as conn:
        for old, new in ((4, 104), (5, 4), (104, 5)):
            conn.execute(update(audit_seals).where(audit_seals.c.number == old).values(number=new))
    assert "record 4" in fault(sealed, anchor)


def test_a_truncation_is_found(sealed: Ledger, anchor: Path) -> None:
    with sealed.write() as conn:
        tail = list(conn.scalars(select(audit_seals.c.event_id).where(audit_seals.c.number > 7)))
        conn.execute(delete(audit_seals).where(audit_seals.c.number > 7))
        conn.execute(delete(audit_events).where(audit_events.c.id.in_(tail)))
    assert "cut off" in fault(sealed, anchor)


def test_a_missing_or_forged_anchor_is_found(sealed: Ledger, anchor: Path) -> None:
    anchor.write_text(anchor.read_text().replace('"number": 9', '"number": 8'))
    assert fault(sealed, anchor) == "the anchor was changed"
    anchor.unlink()
    assert fault(sealed, anchor) == "the anchor is missing"


def test_an_event_slipped_in_as_sealed_is_found(sealed: Ledger, anchor: Path) -> None:
    row = {
        "id": "au_x",
        "at": NOW,
        "actor": "x",
        "action": "x",
        "object_kind": "x",
        "object_id": "x",
        "detail": "",
        "sealed": True,
    }
    with sealed.write() as conn:
        conn.execute(insert(audit_events).values(**row))
    assert "the chain does not hold" in fault(sealed, anchor)


def test_another_key_does_not_verify(sealed: Ledger, anchor: Path) -> None:
    assert not audit.verify(sealed, bytes(32), anchor).sound
