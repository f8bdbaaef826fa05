"""What is counted of adoption, against a handful of answers whose fate is known."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from flows.adoption import measure
from radloop.domain.enums import Awareness, ResultStatus, Standing, VerdictKind, VerdictSource
from radloop.domain.ids import new_id
from radloop.domain.records import Result, Verdict
from radloop.ledger import Ledger, adoption, instances, openings, results, verdicts, votes
from radloop.ledger.openings import Opening
from radloop.ledger.votes import Vote
from tests.radloop.ledger import rows

ZURICH = ZoneInfo("Europe/Zurich")
SUNDAY_NIGHT = datetime(2026, 3, 1, 23, 30, tzinfo=UTC)
"""Monday, the 2nd of March, in Zurich."""
MINUTE = timedelta(minutes=1)


def answer(ledger: Ledger, number: int, at: datetime = rows.NOW, **changes: object) -> Result:
    arrival = replace(rows.arrival(study=f"1.2.{number}", sop=f"1.2.{number}.4", content=f"c{number}"), received_at=at)
    with ledger.write() as conn:
        version_id = instances.record(conn, [arrival])[0].version_id
        assert version_id is not None
        made = rows.result(version_id, created_at=at, **changes)
        results.add(conn, made)
    return made


def opened(ledger: Ledger, result: Result, actor: str, after: timedelta) -> None:
    at = result.created_at + after
    with ledger.write() as conn:
        openings.record(conn, Opening(version_id=result.version_id, actor=actor, at=at, blinded=False, ai_shown_at=at))


def said(ledger: Ledger, result: Result, reader: str, kind: VerdictKind, after: timedelta = MINUTE) -> None:
    verdict = Verdict(
        id=new_id("ve"),
        result_id=result.id,
        version_id=result.version_id,
        target="pneumonia",
        kind=kind,
        reader=reader,
        actor=reader,
        at=result.created_at + after,
        awareness=Awareness.SAW_AI,
        source=VerdictSource.REST,
        source_id=new_id("x"),
    )
    with ledger.write() as conn:
        verdicts.add(conn, verdict)


def voted(ledger: Ledger, result: Result, actor: str, *, useful: bool) -> None:
    with ledger.write() as conn:
        votes.cast(conn, Vote(result_id=result.id, actor=actor, useful=useful, at=rows.NOW))


@pytest.fixture
def week(ledger: Ledger) -> Ledger:
    """Four answers that readers could see, three that they could not."""
    first, second, third, _ = (answer(ledger, number) for number in range(4))
    opened(ledger, first, "ann", 10 * MINUTE)
    opened(ledger, first, "bob", 2 * MINUTE)
    opened(ledger, second, "ann", -5 * MINUTE)
    opened(ledger, third, "bob", 4 * MINUTE)
    said(ledger, first, "ann", VerdictKind.REJECT)
    said(ledger, first, "ann", VerdictKind.CONFIRM, 2 * MINUTE)
    said(ledger, first, "bob", VerdictKind.CONFIRM)
    said(ledger, second, "ann", VerdictKind.MODIFY)
    voted(ledger, first, "ann", useful=True)
    voted(ledger, first, "bob", useful=False)
    voted(ledger, first, "bob", useful=True)
    voted(ledger, second, "ann", useful=False)
    shadow = replace(rows.MODEL, standing=Standing.SHADOW)
    for number, changes in enumerate(({"model": shadow}, {"status": ResultStatus.NOT_APPLICABLE, "findings": ()})):
        unseen = answer(ledger, 10 + number, **changes)
        opened(ledger, unseen, "ann", MINUTE)
        voted(ledger, unseen, "ann", useful=True)
    return ledger


def test_what_became_of_each_answer_is_counted_once(week: Ledger) -> None:
    with week.read() as conn:
        (found,) = adoption.by_week(conn, rows.NOW - timedelta(days=7), ZURICH)
    assert (found.model, found.week) == ("cxr", date(2026, 2, 23))
    assert (found.shown, found.opened, found.waits) == (4, 3, (120.0, 240.0))
    assert (found.confirmed, found.overridden) == (2, 1)
    assert (found.useful, found.useless) == (2, 1)


def test_a_week_begins_on_monday_at_the_site(ledger: Ledger) -> None:
    answer(ledger, 1)
    answer(ledger, 2, SUNDAY_NIGHT)
    with ledger.read() as conn:
        found = adoption.by_week(conn, rows.NOW - timedelta(days=1), ZURICH)
    assert [one.week for one in found] == [date(2026, 3, 2), date(2026, 2, 23)]
    (both,) = adoption.together(found)
    assert (both.week, both.shown) == (None, 2)


def test_a_measure_has_its_interval_and_says_so_where_there_is_nothing(week: Ledger) -> None:
    found = measure(week, 2, ZURICH, rows.NOW)
    (model,) = found.models
    assert found.since == date(2026, 2, 16)
    assert model.opened.value == 0.75
    assert model.opened.low < 0.75 < model.opened.high
    assert (model.timed, model.median_seconds, model.p90_seconds) == (2, 120.0, 240.0)
    assert (model.agreed.hits, model.agreed.among, model.overrides) == (2, 3, 1)
    answer(week, 77, model=replace(rows.MODEL, name="ct"))
    (ct, cxr) = measure(week, 2, ZURICH, rows.NOW).models
    assert (cxr.model, ct.model, ct.useful.value, ct.median_seconds) == ("cxr", "ct", None, None)
    assert measure(week, 1, ZURICH, rows.NOW + timedelta(days=30)).models == ()


def test_no_figure_names_a_reader(week: Ledger) -> None:
    assert "ann" not in repr(measure(week, 2, ZURICH, rows.NOW))
