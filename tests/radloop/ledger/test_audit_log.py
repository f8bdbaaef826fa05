"""Looking through the audit record: every filter against a plain loop over all rows, page by page, both ways."""

import itertools
import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from radloop import audit
from radloop.domain.records import AuditEvent
from radloop.ledger import Ledger, audit_forwarded, audit_log
from radloop.ledger.audit_log import Entry, Place, Selection
from tests.radloop.ledger.rows import NOW

ACTORS = ("runner", "reader1", "reader2")
ACTIONS = ("view.study", "view.image", "viewer", "login", "login.fail")
ROLES = ("", "READER", "READER,APPROVER", "LEAD_READER")


@pytest.fixture
def record(ledger: Ledger, tmp_path: Path) -> Ledger:
    """Sixty rows, four at each moment, of which all but the last batch are sealed."""
    rows = [
        AuditEvent(
            at=NOW + timedelta(seconds=n // 4),
            actor=ACTORS[n % 3],
            action=ACTIONS[n % 5],
            object_kind="study_version",
            object_id=f"sv_{n % 7}",
            detail=f"row {n}",
            role=ROLES[n % 4],
            address="10.0.0.1" if n % 4 else "",
        )
        for n in range(60)
    ]
    with ledger.write() as conn:
        audit.append(conn, *rows[:48])
    sealer = audit.Sealer(ledger, bytes(32), tmp_path / "anchor")
    sealer.begin()
    assert sealer.seal() == 48
    with ledger.write() as conn:
        audit.append(conn, *rows[48:])
    return ledger


def everything(ledger: Ledger) -> list[Entry]:
    with ledger.read() as conn:
        return list(audit_log.onward(conn, Selection(), None, 1000))


def fits(entry: Entry, chosen: Selection) -> bool:
    action = chosen.action
    return (
        chosen.actor in (None, entry.actor)
        and (action is None or entry.action == action or entry.action.startswith(action + "."))
        and chosen.object_id in (None, entry.object_id)
        and (chosen.role is None or chosen.role in entry.role.split(","))
        and (chosen.since is None or entry.at >= chosen.since)
        and (chosen.until is None or entry.at < chosen.until)
    )


SELECTIONS = [
    Selection(actor=actor, action=action, object_id=object_id, role=role, since=since, until=until)
    for actor, action, object_id, role, (since, until) in itertools.product(
        (None, "reader1", "nobody"),
        (None, "view", "login", "none"),
        (None, "sv_3"),
        (None, "READER", "APPROVER"),
        ((None, None), (NOW + timedelta(seconds=3), NOW + timedelta(seconds=11))),
    )
]


def test_every_combination_of_filters_finds_what_a_plain_loop_finds(record: Ledger) -> None:
    whole = everything(record)
    assert len(whole) == 60
    with record.read() as conn:
        for chosen in SELECTIONS:
            wanted = [entry for entry in whole if fits(entry, chosen)]
            assert list(audit_log.onward(conn, chosen, None, 100)) == wanted
            assert list(audit_log.page(conn, chosen, None, 100)) == wanted[::-1]


@pytest.mark.parametrize("turn", [audit_log.page, audit_log.onward])
def test_pages_that_follow_one_another_miss_nothing_and_show_nothing_twice(
    record: Ledger, turn: Callable[..., tuple[Entry, ...]]
) -> None:
    for chosen in (Selection(), Selection(action="view"), Selection(actor="runner"), Selection(role="READER")):
        found: list[Entry] = []
        place: Place | None = None
        with record.read() as conn:
            while page := turn(conn, chosen, place, 3):
                found += page
                place = page[-1].place
        wanted = [entry for entry in everything(record) if fits(entry, chosen)]
        assert found == (wanted if turn is audit_log.onward else wanted[::-1])


def test_a_record_that_waits_for_the_sealer_has_no_number_yet(record: Ledger) -> None:
    whole = everything(record)
    assert [entry.number for entry in whole[:48]] == list(range(1, 49))
    assert {(entry.number, entry.link) for entry in whole[48:]} == {(None, None)}
    (fifth,) = (entry for entry in whole if entry.detail == "row 5")
    assert (fifth.role, fifth.address, fifth.actor) == ("READER", "10.0.0.1", "reader2")


def test_what_was_typed_is_text_and_no_pattern(record: Ledger) -> None:
    with record.read() as conn:
        for odd in ("%", "_", "view.%", "'", "\\"):
            assert audit_log.page(conn, Selection(action=odd, object_id="sv_3")) == ()
            assert audit_log.page(conn, Selection(action=odd)) == ()
            assert audit_log.page(conn, Selection(role=odd, actor="reader1")) == ()


def test_the_choices_of_a_filter_are_the_actions_that_are_there(record: Ledger) -> None:
    with record.read() as conn:
        assert audit_log.actions(conn) == tuple(sorted(ACTIONS))


def test_the_chain_s_own_order_from_a_number_on(record: Ledger) -> None:
    with record.read() as conn:
        assert [entry.number for entry in audit_log.sealed_after(conn, 45, 2)] == [46, 47]


def test_how_far_a_target_got_never_goes_back(ledger: Ledger) -> None:
    with ledger.write() as conn:
        assert audit_forwarded.position(conn, "log:6514") == 0
        for number in (5, 9, 7):
            audit_forwarded.advance(conn, "log:6514", number, NOW)
        assert audit_forwarded.position(conn, "log:6514") == 9
        assert audit_forwarded.position(conn, "other:6514") == 0


def test_a_page_follows_an_index_and_never_walks_the_table(record: Ledger) -> None:
    """What makes a page of a million rows as fast as one of a thousand: SQLite's own plan of each question."""
    if not record.sqlite:
        pytest.skip("PostgreSQL plans a table of sixty rows as what it is")
    asked: list[str] = []
    with record.read() as conn:
        raw = conn.connection.dbapi_connection
        assert raw is not None
        raw.set_trace_callback(asked.append)
        for chosen in SELECTIONS:
            audit_log.page(conn, chosen, None, 3)
        raw.set_trace_callback(None)
        plans = {
            str(row[-1])
            for sql in {one for one in asked if "audit_events" in one}
            for row in raw.execute("EXPLAIN QUERY PLAN " + sql)
        }
    assert any("audit_events" in step for step in plans)
    assert [step for step in plans if re.fullmatch(r"SCAN audit_events( USING INTEGER PRIMARY KEY)?", step)] == []
