"""Notices: one per alarm and channel, sent at least once, tried again, given up on in the end; nothing of a patient."""

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from flows import notices, policies
from flows.house import House, open_house
from flows.policies import Backoff
from radloop.domain.ids import utc_now
from radloop.domain.watching import Alarm, Cause, Evidence, NoticeState, Sighting
from radloop.ledger import alarms
from radloop.ledger import notices as rows
from radloop.ledger.tables import audit_events
from radloop.settings import load_settings
from tests.flows import traffic
from tests.peers.hook import Hook, webhook
from tests.peers.mail import MailServer, mail_server

NOTIFY = """
[notify]
smtp_host = "127.0.0.1"
smtp_port = {mail}
smtp_security = "none"
sender = "radloop@example.org"
recipients = ["it@example.org"]
webhook = "{hook}"
webhook_secret_file = "{secret}"
timeout_seconds = 5
give_up_seconds = 3600
"""
WORDS = "another kvp:\nA X1 at pacs"


@pytest.fixture
def mail() -> Iterator[MailServer]:
    with mail_server() as server:
        yield server


@pytest.fixture
def hook() -> Iterator[Hook]:
    with webhook() as server:
        yield server


@pytest.fixture
def told(
    house: House, mail: MailServer, hook: Hook, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[House]:
    """The home, with both channels, and no wait between tries."""
    monkeypatch.setattr(policies, "NOTICE", Backoff(0.0, 0.0))
    secret = tmp_path / "secret"
    secret.write_text("s3cret")
    more = NOTIFY.format(mail=mail.port, hook=hook.url, secret=secret)
    file = house.settings.home / "radloop.toml"
    file.write_text(file.read_text() + more)
    opened = open_house(load_settings(house.settings.home))
    yield opened
    opened.ledger.close()


def alarm(house: House) -> Alarm:
    """An alarm that was opened, with a study behind it; its notices are queued in the same transaction."""
    with house.ledger.write() as conn:
        versions = traffic.send(conn, traffic.Scanner(), 1)
        sighting = Sighting(
            key=alarms.key_of("x"),
            cause=Cause(
                suite="protocol",
                check="moved",
                model="m",
                site="pacs",
                device="A X1",
                words="another kvp:\nA X1 at pacs",
            ),
            evidence=Evidence(statistic="ks", value=0.4, p=1e-9, n=60, m=400, smallest_shift=0.3),
            since=traffic.NOON,
            versions=tuple(versions),
        )
        made, _ = alarms.see(conn, sighting, utc_now())
        for _ in range(2):
            notices.queue(conn, house.settings.notify, made.id)
    return made


def states(house: House, made: Alarm) -> dict[str, NoticeState]:
    with house.ledger.read() as conn:
        return {one.channel: one.state for one in rows.of_alarm(conn, made.id)}


def test_each_channel_is_told_once_of_an_alarm_with_all_that_is_known_of_it(
    told: House, mail: MailServer, hook: Hook
) -> None:
    made = alarm(told)
    assert notices.tell_due(told) == 2
    assert notices.tell_due(told) == 0
    assert states(told, made) == {"email": NoticeState.SENT, "webhook": NoticeState.SENT}
    (letter,), (body,) = mail.mails, hook.bodies
    text = letter.get_payload(decode=True).decode()  # type: ignore[union-attr]
    for word in (made.id, "another kvp", "n 60, m 400", "smallest shift 0.3", made.first_version, "acknowledge"):
        assert str(word) in text
    assert letter["Subject"] == "radloop: another kvp: A X1 at pacs"
    said = json.loads(body)
    assert (said["alarm"], said["n"], said["first_study"]) == (made.id, 60, made.first_version)


def test_what_could_not_be_sent_is_tried_again_under_the_same_id(told: House, hook: Hook, mail: MailServer) -> None:
    made = alarm(told)
    hook.answers = [503, 500, 204]
    sent = [notices.tell_due(told) for _ in range(3)]
    assert (sent, len(mail.mails)) == ([1, 0, 1], 1)
    assert states(told, made)["webhook"] == NoticeState.SENT
    assert len({headers["X-Radloop-Notice"] for headers in hook.headers}) == 1
    assert len(hook.bodies) == 3


def test_a_process_that_died_while_it_sent_leaves_the_notice_to_be_sent_again(told: House, hook: Hook) -> None:
    alarm(told)
    now = utc_now()
    with told.ledger.write() as conn:
        claimed = rows.claim(conn, "runner-dead", now, now + timedelta(seconds=1), 20)
    assert len(claimed) == 2
    assert notices.tell_due(told) == 0, "the lease of the dead one still holds"
    with told.ledger.write() as conn:
        assert rows.claim(conn, "another", now, now + timedelta(seconds=1), 20) == ()
        assert len(rows.claim(conn, "another", now + timedelta(seconds=2), now + timedelta(seconds=2), 20)) == 2


def test_a_refusal_for_good_is_dropped_and_on_record_and_so_is_what_was_tried_for_too_long(
    told: House, hook: Hook, mail: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = alarm(told)
    hook.answers = [410]
    mail.refuse["MAIL"] = "451 later"
    notices.tell_due(told)
    assert states(told, made) == {"email": NoticeState.QUEUED, "webhook": NoticeState.DROPPED}
    later = utc_now() + timedelta(hours=2)
    monkeypatch.setattr(notices, "utc_now", lambda: later)
    notices.tell_due(told)
    assert states(told, made)["email"] == NoticeState.DROPPED
    e = audit_events.c
    with told.ledger.read() as conn:
        details = list(conn.scalars(select(e.detail).where(e.action == "notice.drop")))
    assert sorted(details) == ["email: the mail server says later: 451", "webhook: the webhook refused: 410"]


def test_a_site_that_names_no_channel_queues_nothing(house: House) -> None:
    made = alarm(house)
    assert states(house, made) == {}
    assert notices.tell_due(house) == 0
