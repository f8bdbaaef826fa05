import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection, delete, insert, select, text, update
from sqlalchemy.exc import IntegrityError

from radloop import audit
from radloop.audit import walking
from radloop.audit.chain import canonical
from radloop.domain.errors import Unavailable
from radloop.domain.records import AuditEvent
from radloop.ledger import Ledger
from radloop.ledger.tables import audit_events, audit_forwarded, audit_seals
from tests.radloop.audit.bending import unprotect
from tests.radloop.ledger.rows import NOW

KEY = bytes(range(32))
FACTS = ("id", "at", "actor", "action", "object_kind", "object_id", "detail", "role", "address")


def event(object_id: str) -> AuditEvent:
    return AuditEvent(at=NOW, actor="it", action="view", object_kind="study", object_id=object_id)


@pytest.fixture
def anchor(tmp_path: Path) -> Path:
    return tmp_path / "audit.anchor"


@pytest.fixture
def sealed(ledger: Ledger, anchor: Path) -> Ledger:
    """Nine sealed events, in three batches; those of the second came by the door."""
    sealer = audit.Sealer(ledger, KEY, anchor)
    sealer.begin()
    for batch in range(3):
        acting = audit.Acting(role="READER", address="10.0.0.7") if batch == 1 else audit.Acting()
        with ledger.write() as conn, audit.acting_as(acting):
            audit.append(conn, *(event(f"st_{batch}{n}") for n in range(3)))
        assert sealer.seal() == 3
    return ledger


def fault(ledger: Ledger, anchor: Path) -> str | None:
    return audit.verify(ledger, KEY, anchor).fault


def victim(conn: Connection, number: int) -> str:
    return str(conn.scalar(select(audit_seals.c.event_id).where(audit_seals.c.number == number)))


def test_a_record_that_nobody_touched_is_sound(sealed: Ledger, anchor: Path) -> None:
    assert audit.verify(sealed, KEY, anchor) == audit.Verdict(sealed=9, waiting=0, fault=None)


def test_events_that_wait_for_the_sealer_are_counted(sealed: Ledger, anchor: Path) -> None:
    with sealed.write() as conn:
        audit.append(conn, event("st_x"))
    assert audit.verify(sealed, KEY, anchor).waiting == 1


@given(text_=st.text(), micro=st.sampled_from([0, 1, 120000]) | st.integers(0, 999_999))
def test_the_chain_s_text_is_that_of_the_records_of_before(text_: str, micro: int) -> None:
    at = NOW.replace(microsecond=micro)
    facts = [7, "au_1", at.isoformat(), text_, "view", "study", "st", text_]
    kept = at.strftime("%Y-%m-%d %H:%M:%S.%f")
    for role, address in (("", ""), ("READER", ""), ("", text_ or "x")):
        wanted = [*facts, role, address] if role or address else facts
        made = canonical(7, "au_1", kept, text_, "view", "study", "st", text_, role, address)
        assert made == json.dumps(wanted, ensure_ascii=True, separators=(",", ":")).encode()


def bend(ledger: Ledger, number: int, **values: object) -> dict[str, object]:
    """Change a record as an attacker would; what was there."""
    with ledger.write() as conn:
        unprotect(conn)
        which = audit_events.c.id == victim(conn, number)
        before = conn.execute(select(*(audit_events.c[name] for name in values)).where(which)).one()
        conn.execute(update(audit_events).where(which).values(**values))
    return dict(before._mapping)


def test_an_edit_of_any_column_is_found_and_undoing_it_heals_the_record(sealed: Ledger, anchor: Path) -> None:
    for number in (5, 8):
        for column in FACTS[1:]:
            before = bend(sealed, number, **{column: NOW + timedelta(microseconds=1) if column == "at" else "bent"})
            assert fault(sealed, anchor) == f"record {number} was changed, moved or follows a deleted one"
            bend(sealed, number, **before)
    assert fault(sealed, anchor) is None


def test_a_role_and_an_address_that_are_taken_away_are_missed(sealed: Ledger, anchor: Path) -> None:
    bend(sealed, 5, role="", address="")
    assert "record 5" in (fault(sealed, anchor) or "")


def test_a_value_that_is_no_text_is_a_fault_and_no_crash(sealed: Ledger, anchor: Path) -> None:
    if not sealed.sqlite:
        pytest.skip("PostgreSQL keeps no bytes in a text column")
    with sealed.write() as conn:
        unprotect(conn)
        bent = text("UPDATE audit_events SET detail = x'00ff', at = 5 WHERE id = :id")
        conn.execute(bent, {"id": victim(conn, 5)})
    assert "record 5" in (fault(sealed, anchor) or "")


def test_a_deletion_in_the_middle_is_found(sealed: Ledger, anchor: Path) -> None:
    with sealed.write() as conn:
        unprotect(conn)
        gone = victim(conn, 5)
        conn.execute(delete(audit_seals).where(audit_seals.c.number == 5))
        conn.execute(delete(audit_events).where(audit_events.c.id == gone))
    assert "record 5 is missing" in (fault(sealed, anchor) or "")


def test_a_deletion_that_closes_the_gap_is_found(sealed: Ledger, anchor: Path) -> None:
    with sealed.write() as conn:
        unprotect(conn)
        conn.execute(delete(audit_seals).where(audit_seals.c.number == 5))
        for number in range(6, 10):
            conn.execute(update(audit_seals).where(audit_seals.c.number == number).values(number=number - 1))
    assert "record 5 was changed" in (fault(sealed, anchor) or "")


def test_an_event_that_is_deleted_under_its_seal_is_found(sealed: Ledger, anchor: Path) -> None:
    with sealed.write() as conn:
        unprotect(conn)
        if sealed.sqlite:
            conn.execute(text("PRAGMA defer_foreign_keys = ON"))
            conn.execute(update(audit_seals).where(audit_seals.c.number == 5).values(event_id=victim(conn, 4)))
        else:
            conn.execute(delete(audit_events).where(audit_events.c.id == victim(conn, 5)))
    assert "record 5" in (fault(sealed, anchor) or "")


def test_a_reorder_is_found(sealed: Ledger, anchor: Path) -> None:
    with sealed.write() as conn:
        unprotect(conn)
        for old, new in ((4, 104), (5, 4), (104, 5)):
            conn.execute(update(audit_seals).where(audit_seals.c.number == old).values(number=new))
    assert "record 4" in (fault(sealed, anchor) or "")


def cut_after(ledger: Ledger, number: int) -> None:
    with ledger.write() as conn:
        unprotect(conn)
        tail = list(conn.scalars(select(audit_seals.c.event_id).where(audit_seals.c.number > number)))
        conn.execute(delete(audit_seals).where(audit_seals.c.number > number))
        conn.execute(delete(audit_events).where(audit_events.c.id.in_(tail)))


def test_a_truncation_is_found(sealed: Ledger, anchor: Path) -> None:
    cut_after(sealed, 7)
    assert "cut off" in (fault(sealed, anchor) or "")


def test_a_record_that_is_emptied_is_found(sealed: Ledger, anchor: Path) -> None:
    cut_after(sealed, 0)
    assert "cut off" in (fault(sealed, anchor) or "")


@pytest.mark.parametrize("forge", [lambda said: {**said, "number": 7}, lambda said: {**said, "link": "00" * 32}])
def test_a_rewritten_anchor_is_found(
    sealed: Ledger, anchor: Path, forge: Callable[[dict[str, object]], dict[str, object]]
) -> None:
    cut_after(sealed, 7)
    anchor.write_text(json.dumps(forge(json.loads(anchor.read_text()))))
    assert fault(sealed, anchor) == "the anchor was changed"


def test_a_missing_or_unreadable_anchor_is_found(sealed: Ledger, anchor: Path) -> None:
    anchor.write_text("{}")
    assert fault(sealed, anchor) == "the anchor cannot be read"
    anchor.unlink()
    assert fault(sealed, anchor) == "the anchor is missing"


def with_an_old_anchor(ledger: Ledger, anchor: Path) -> None:
    """Bring back the genuine anchor of a week ago, and cut the record where it was then."""
    old = anchor.read_text()
    with ledger.write() as conn:
        audit.append(conn, event("st_later"))
    audit.Sealer(ledger, KEY, anchor).seal()
    cut_after(ledger, 9)
    anchor.write_text(old)


def test_an_old_anchor_brought_back_over_a_cut_record_is_found_by_what_was_forwarded(
    sealed: Ledger, anchor: Path
) -> None:
    with sealed.write() as conn:
        conn.execute(insert(audit_forwarded).values(target="log:6514", number=10, at=NOW))
    with_an_old_anchor(sealed, anchor)
    assert "10 were forwarded" in (fault(sealed, anchor) or "")


def test_an_old_anchor_brought_back_over_a_cut_record_is_found_by_what_others_kept(
    sealed: Ledger, anchor: Path
) -> None:
    with_an_old_anchor(sealed, anchor)
    assert fault(sealed, anchor) is None
    said = audit.verify(sealed, KEY, anchor, {10: bytes(32)}).fault
    assert said == "the chain ends at 9, outside 10 are kept: its end was cut off"


def test_a_chain_made_anew_is_not_the_one_that_others_kept(sealed: Ledger, anchor: Path) -> None:
    said = audit.verify(sealed, KEY, anchor, {3: bytes(32)})
    assert said.fault == "record 3 is not the one that is kept outside"


def test_an_event_slipped_in_as_sealed_is_found(sealed: Ledger, anchor: Path) -> None:
    row = dict.fromkeys(FACTS, "x") | {"at": NOW, "sealed": True}
    with sealed.write() as conn:
        conn.execute(insert(audit_events).values(**row))
    assert "the chain does not hold" in (fault(sealed, anchor) or "")


def test_an_event_that_is_to_be_sealed_twice_is_found(sealed: Ledger, anchor: Path) -> None:
    with sealed.write() as conn:
        unprotect(conn)
        conn.execute(update(audit_events).where(audit_events.c.id == victim(conn, 5)).values(sealed=False))
    assert not audit.verify(sealed, KEY, anchor).sound
    audit.Sealer(sealed, KEY, anchor).seal()
    assert not audit.verify(sealed, KEY, anchor).sound


@pytest.fixture
def apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nine records are walked by three processes, as millions are."""
    monkeypatch.setattr(walking, "ALONE", 3)
    monkeypatch.setattr(walking, "processors", lambda: 3)


def test_processes_side_by_side_find_what_one_finds(sealed: Ledger, anchor: Path, apart: None) -> None:
    assert audit.verify(sealed, KEY, anchor) == audit.Verdict(sealed=9, waiting=0, fault=None)
    bend(sealed, 6, detail="bent")
    bent = audit.Verdict(sealed=5, waiting=0, fault="record 6 was changed, moved or follows a deleted one")
    assert audit.verify(sealed, KEY, anchor) == bent


def test_wherever_the_stretches_meet_nothing_slips_through(sealed: Ledger, apart: None) -> None:
    def first_fault(conn: Connection) -> str | None:
        walked = [walking.walk(conn, KEY, part) for part in walking.stretches(conn, 9, {})]
        assert len(walked) == 3
        return next((one.fault for one in walked if one.fault), None)

    for number in range(1, 10):
        with pytest.raises(Unavailable), sealed.write() as conn:
            unprotect(conn)
            conn.execute(update(audit_events).where(audit_events.c.id == victim(conn, number)).values(detail="bent"))
            assert first_fault(conn) == f"record {number} was changed, moved or follows a deleted one"
            raise Unavailable("undone")
        with pytest.raises(Unavailable), sealed.write() as conn:
            unprotect(conn)
            conn.execute(delete(audit_seals).where(audit_seals.c.number == number))
            assert first_fault(conn) == f"record {number} is missing"
            raise Unavailable("undone")
        with pytest.raises(Unavailable), sealed.write() as conn:
            unprotect(conn)
            conn.execute(update(audit_seals).where(audit_seals.c.number == number).values(chain=bytes(32)))
            assert first_fault(conn) == f"record {number} was changed, moved or follows a deleted one"
            raise Unavailable("undone")
    with sealed.read() as conn:
        assert first_fault(conn) is None


def test_another_key_does_not_verify(sealed: Ledger, anchor: Path) -> None:
    assert not audit.verify(sealed, bytes(32), anchor).sound


@pytest.mark.parametrize("table", [audit_events, audit_seals])
def test_the_database_itself_refuses_to_change_or_delete_what_is_on_record(sealed: Ledger, table: object) -> None:
    bent = (
        [update(audit_events).values({column: "x"}) for column in FACTS if column != "at"]
        + [update(audit_events).values(at=NOW + timedelta(days=1)), update(audit_events).values(sealed=False)]
        + [update(audit_events).values(sealed=True), delete(audit_events)]
        if table is audit_events
        else [update(audit_seals).values(chain=bytes(32)), update(audit_seals).values(number=1), delete(audit_seals)]
    )
    for statement in bent:
        with pytest.raises(IntegrityError, match="append-only"), sealed.write() as conn:
            conn.execute(statement)
    with sealed.read() as conn:
        assert len(conn.execute(select(audit_events).where(audit_events.c.sealed.is_(True))).all()) == 9


def test_an_event_that_waits_is_as_safe_as_a_sealed_one(ledger: Ledger) -> None:
    with ledger.write() as conn:
        audit.append(conn, event("st_x"))
    for statement in (delete(audit_events), update(audit_events).values(detail="x", sealed=True)):
        with pytest.raises(IntegrityError, match="append-only"), ledger.write() as conn:
            conn.execute(statement)
