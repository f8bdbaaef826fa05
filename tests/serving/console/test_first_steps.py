"""First run: an empty system says what to do next, and stops saying so."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from flows.house import House
from radloop.domain.access import Role, Who, granted
from radloop.domain.enums import ActorKind
from radloop.domain.ids import utc_now
from radloop.ledger import actors, sessions, tokens
from serving.console.first_steps import FirstSteps, first_steps
from tests.flows import place
from tests.flows.readings import answered
from tests.serving.console.conftest import client_of, listening

PEERS = """
[peers.local]
ae_title = "RADLOOP_SEND"
host = "127.0.0.1"
roles = ["source"]
"""
PACS = """
[peers.pacs]
ae_title = "PACS"
host = "pacs.example.org"
port = 104
roles = ["source", "results"]
"""
SEND, WHERE, ROUTE, READER, RECEIVE, SEE = range(6)


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[House]:
    yield from opened(tmp_path, PEERS)


def opened(folder: Path, more: str) -> Iterator[House]:
    made = place.make_home(folder / "home", more=more)
    yield made
    made.ledger.close()


def steps(house: House) -> FirstSteps:
    with house.ledger.write() as conn:
        actor = actors.ensure(conn, "it", ActorKind.PERSON)
        actors.set_roles(conn, actor, [Role.IT])
    roles = frozenset([Role.IT])
    found = first_steps(house, Who(actor=actor, roles=roles, permissions=granted(roles)))
    assert found is not None
    return found


def done(house: House) -> set[int]:
    return {number for number, step in enumerate(steps(house).steps) if step.done}


def test_an_empty_system_has_everything_before_it_but_what_init_made(empty: House) -> None:
    assert done(empty) == {ROUTE}
    assert all(step.command for step in steps(empty).steps)
    assert steps(empty).uploads


def test_a_named_pacs_sends_and_gets(tmp_path: Path) -> None:
    for house in opened(tmp_path, PEERS + PACS):
        assert done(house) == {SEND, WHERE, ROUTE}


def test_a_reader_may_come_with_a_token_or_from_a_directory(empty: House, tmp_path: Path) -> None:
    with empty.ledger.write() as conn:
        reader = actors.ensure(conn, "ann", ActorKind.PERSON)
    assert READER not in done(empty)
    with empty.ledger.write() as conn:
        tokens.issue(conn, reader)
    assert READER in done(empty)
    with empty.ledger.write() as conn:
        actors.disable(conn, reader, utc_now())
    assert READER not in done(empty)
    sso = '[login.oidc]\nissuer = "https://sso.example.org"\nclient_id = "radloop"\n[login.groups]\n'
    for named, there in (('radiologists = ["READER"]', True), ('it = ["IT"]', False)):
        for house in opened(tmp_path / named[:2], sso + named):
            assert (READER in done(house)) is there


@contextmanager
def browsing(house: House, *roles: Role) -> Iterator[httpx.Client]:
    with house.ledger.write() as conn:
        person = actors.ensure(conn, "somebody", ActorKind.PERSON)
        begun = sessions.begin(
            conn, person, roles, sessions.Door.LDAP, "127.0.0.1", now=utc_now(), lasts=timedelta(hours=1)
        )
    with (
        listening(house) as port,
        client_of(port, {"Cookie": f"radloop={begun.secret}"}) as browser,
    ):
        yield browser


def test_the_pages_say_it_until_the_first_answer(empty: House) -> None:
    with browsing(empty, Role.READER) as browser:
        home, worklist = browser.get("/"), browser.get("/worklist")
        for page in (home, worklist):
            assert page.status_code == 200
            for said in ("1 of 6 done", "radloop actor add NAME --role READER", "radloop demo", 'href="/upload"'):
                assert said in page.text, said
            assert 'href="/access"' not in page.text
        assert [one["done"] for one in browser.get("/api/v1/first-steps").json()].count(True) == 1
        answered(empty)
        assert browser.get("/api/v1/first-steps").json() == []
        assert browser.get("/").headers["location"] == "/worklist"
        assert "radloop demo" not in browser.get("/worklist").text
