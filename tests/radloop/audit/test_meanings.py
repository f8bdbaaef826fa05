"""What the actions of the record mean: the one table, the code that writes them, and the page that tells them."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radloop.audit import atna, meanings
from radloop.domain.errors import IntegrityError
from radloop.ledger.audit_log import Entry
from tests.radloop.audit import written
from tests.radloop.audit.schema import faults

PAGE = Path(__file__).parents[3] / "docs" / "audit-record.md"
CONSOLE = (
    "login", "login.fail", "logout", "logout.everywhere", "session.end", "view.worklist", "view.study", "view.image",
    "view.result", "view.audit", "search", "export", "upload", "schedule.create", "golive", "hold", "unhold", "vote",
    "deny", "break-glass", "audit.export",
)  # fmt: skip


def test_every_action_that_the_code_writes_is_in_the_table() -> None:
    search = written.search()
    found = search.actions()
    assert search.unresolved == [], "a place writes an action that cannot be read from the code: name it plainly"
    assert {action: place for action, place in found.items() if meanings.known(action) is None} == {}
    assert len(found) > 80, "the search has lost its way"


def test_what_the_console_writes_is_in_the_table() -> None:
    assert [action for action in CONSOLE if meanings.known(action) is None] == []


def test_the_page_holds_the_table() -> None:
    assert meanings.table() in PAGE.read_text(encoding="utf-8"), (
        "run: python -c 'from radloop.audit import meanings; print(meanings.table())'"
    )


def test_an_action_of_another_version_has_a_meaning_too() -> None:
    assert meanings.meaning("brand.new") is meanings.UNKNOWN
    assert meanings.meaning("schedule.anything") is meanings.MEANINGS["schedule.*"]


ENTRY = Entry(
    id="au_1", number=1, link=bytes(32), at=datetime(2026, 1, 1, tzinfo=UTC), actor="a", role="", address="",
    action="login", object_kind="session", object_id="se_1", detail="",
)  # fmt: skip
SOURCE = atna.Source("host", "site")


@pytest.mark.parametrize("action", sorted(meanings.MEANINGS))
def test_every_action_s_message_keeps_to_the_schema(action: str) -> None:
    assert faults(atna.message(_with(action=action), SOURCE)) == []


def _with(**changes: object) -> Entry:
    return Entry(**{**{name: getattr(ENTRY, name) for name in Entry.__slots__}, **changes})  # type: ignore[arg-type]


text = st.text(min_size=1).filter(lambda one: one.strip() != "")


@given(actor=st.text(), role=text, address=st.text(), object_id=text, detail=st.text(), kind=text)
def test_no_text_breaks_a_message_or_a_line(
    actor: str, role: str, address: str, object_id: str, detail: str, kind: str
) -> None:
    entry = _with(actor=actor, role=role, address=address, object_id=object_id, detail=detail, object_kind=kind)
    said = atna.message(entry, SOURCE)
    assert b"\n" not in said
    assert said.isascii()
    assert faults(said) == []
    assert atna.witnessed([said]) == {1: bytes(32)}


def test_links_are_read_from_what_others_kept_however_they_quote_it() -> None:
    said = atna.message(_with(number=41, link=b"x" * 32), SOURCE)
    for kept in (said, b"May 4 host " + said + b"\n", said.replace(b'"', b'\\"')):
        assert atna.witnessed([kept, kept]) == {41: b"x" * 32}
    with pytest.raises(IntegrityError, match="two records of number 41"):
        atna.witnessed([said, atna.message(_with(number=41, link=b"y" * 32), SOURCE)])


def test_a_record_that_is_not_sealed_witnesses_nothing() -> None:
    assert atna.witnessed([atna.message(_with(number=None, link=None), SOURCE)]) == {}
