"""The link from the PACS: only the site's own opens a study, for a day at most, and without a second login."""

import json
import re
from datetime import timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from typer.testing import CliRunner

from radloop import links
from radloop.domain.access import Role
from radloop.domain.errors import NotFound
from radloop.domain.ids import utc_now
from radloop.ledger import studies
from radloop.links import LinkRefused
from serving.cli.main import app
from tests.flows import place
from tests.serving.console.conftest import Console, client_of, listening

UID = "1.2.840.99"


def uid_of(console: Console) -> str:
    with console.house.ledger.read() as conn:
        version = studies.get(conn, console.result.version_id)
    assert version is not None
    return version.study_uid


def key_of(console: Console) -> str:
    return links.make_key(console.house.settings.keys_path / links.KEY_NAME)


def link(key: str, uid: str, **lasts: float) -> str:
    return "/open?" + links.query_of(key, uid, utc_now() + timedelta(**(lasts or {"minutes": 5})))


def test_a_link_of_the_pacs_opens_its_study(console: Console) -> None:
    with console.browser(Role.READER) as browser:
        answer = browser.get(link(key_of(console), uid_of(console)), headers={"Sec-Fetch-Site": "cross-site"})
        assert answer.status_code == 303
        assert answer.headers["location"] == f"/studies/{console.result.version_id}"


def test_whoever_is_not_logged_in_logs_in_and_goes_on(console: Console) -> None:
    wanted = link(key_of(console), uid_of(console))
    answer = console.http.get(wanted)
    assert answer.status_code == 303
    login = urlsplit(answer.headers["location"])
    assert login.path == "/login"
    assert parse_qs(login.query)["next"] == [wanted]


def test_with_single_sign_on_nobody_is_asked_to_press_a_button(tmp_path: Path) -> None:
    sso = '[login.oidc]\nissuer = "https://sso.example"\nclient_id = "radloop"'
    house = place.make_home(tmp_path / "sso", more=sso)
    with listening(house) as port, client_of(port) as http:
        assert http.get("/open?study=1.2&until=3&key=4").headers["location"].startswith("/login/oidc?next=%2Fopen")
        assert http.get("/worklist").headers["location"].startswith("/login?next=")
    house.ledger.close()


def test_any_other_link_opens_nothing_and_says_why(console: Console, capfd: pytest.CaptureFixture[str]) -> None:
    key, uid = key_of(console), uid_of(console)
    good = link(key, uid)
    wrong = {
        link("0" * 64, uid): "not made by the PACS",
        good.replace(f"study={uid}", f"study={uid}.1"): "not made by the PACS",
        re.sub(r"until=\d+", "until=9999999999", good): "not made by the PACS",
        good[:-1]: "not made by the PACS",
        link(key, uid, minutes=-1): "too old",
        link(key, uid, hours=25): "more than a day",
        "/open": "not complete",
        "/open?study=../../etc&until=1&key=2": "not complete",
        f"/open?study={uid}&until=%D9%A3&key=2": "not complete",
    }
    with console.browser(Role.READER) as browser:
        for path, why in wrong.items():
            answer = browser.get(path)
            assert answer.status_code == 422, path
            assert why in answer.text, path
        missing = browser.get(link(key, UID))
        assert missing.status_code == 404
        assert "has not been sent here" in missing.text
    said = capfd.readouterr()
    assert uid not in said.out + said.err
    with console.house.ledger.read() as conn:
        rows = conn.exec_driver_sql("SELECT * FROM audit_events WHERE action = 'link.refuse'").all()
    assert len(rows) == len(wrong) + 1
    assert not any(text in str(row) for row in rows for text in (uid, UID))
    with console.browser(Role.ML) as browser:
        assert browser.get(good).status_code == 403


def test_without_a_key_there_are_no_links(console: Console, tmp_path: Path) -> None:
    with console.browser(Role.READER) as browser:
        assert browser.get(f"/open?study={UID}&until=1&key=2").status_code == 404
    with pytest.raises(NotFound):
        links.read_key(tmp_path / links.KEY_NAME)
    (tmp_path / links.KEY_NAME).write_text("short\n")
    with pytest.raises(NotFound):
        links.read_key(tmp_path / links.KEY_NAME)


def test_a_link_is_good_until_its_second_and_for_a_day_at_most() -> None:
    key, now = "ab" * 32, utc_now().replace(microsecond=0)
    until = int((now + timedelta(hours=24)).timestamp())
    given = parse_qs(links.query_of(key, UID, now + timedelta(hours=24)))["key"][0]
    links.check(key, UID, until, given.upper(), now)
    links.check(key, UID, until, given, now + timedelta(hours=24))
    for at in (now - timedelta(seconds=1), now + timedelta(hours=24, seconds=1)):
        with pytest.raises(LinkRefused):
            links.check(key, UID, until, given, at)


def test_the_command_shows_the_key_and_makes_a_link_that_opens(console: Console) -> None:
    home = str(console.house.settings.home)
    run = CliRunner().invoke
    as_reader = ["--home", home, "--token", console.tokens["dr.who"]]
    shown = run(app, ["link", "key", "--json", *as_reader])
    assert shown.exit_code == 0, shown.output
    assert json.loads(shown.output)["key"] == key_of(console)
    assert (console.house.settings.keys_path / links.KEY_NAME).stat().st_mode & 0o077 == 0
    made = run(app, ["link", "make", console.result.version_id, *as_reader])
    assert made.exit_code == 0, made.output
    with console.browser(Role.READER) as browser:
        assert browser.get(made.output.strip()).headers["location"].endswith(console.result.version_id)
    assert run(app, ["link", "make", "sv_0", *as_reader]).exit_code != 0
