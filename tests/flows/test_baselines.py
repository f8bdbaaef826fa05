"""Baselines: proposed by one, approved by another, sealed, extended; and what an extension settles."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from types import SimpleNamespace

import numpy as np
import pytest

from data_checks import reference as references
from flows import baselines, watch
from flows.baselines import Source
from flows.house import House
from radloop.domain.enums import ActorKind
from radloop.domain.errors import IntegrityError, NotFound, Rejected
from radloop.domain.ids import utc_now
from radloop.domain.watching import AlarmState, BaselineState, Choice
from radloop.ledger import actors, alarms
from radloop.ledger import baselines as rows
from radloop.ledger.windows import Span
from tests.flows import cards, traffic
from tests.flows.test_watch import DAY, NEW, OLD, audited, grounded, opened, send
from tests.flows.traffic import Scanner

PERIOD = Source(span=Span(traffic.NOON - DAY, traffic.NOON + DAY))


def filled(house: House, count: int = 60, scanner: Scanner = OLD) -> None:
    with house.ledger.write() as conn:
        for name in ("ann", "bob"):
            actors.ensure(conn, name, ActorKind.PERSON)
        actors.ensure(conn, "robot", ActorKind.MACHINE)
        traffic.send(conn, scanner, count)


def test_a_baseline_is_in_force_only_by_another_persons_yes(house: House) -> None:
    filled(house)
    asked = baselines.propose(house, cards.NAME, PERIOD, "ann", "first")
    assert (asked.state, asked.rows) == (BaselineState.PROPOSED, 60)
    for actor, words in (("ann", "another person"), ("robot", "people approve"), ("nobody", "people approve")):
        with pytest.raises(Rejected, match=words):
            baselines.approve(house, asked.id, actor)
    assert len(audited(house, "baseline.approve.deny")) == 3
    done = baselines.approve(house, asked.id, "bob")
    assert (done.state, done.asked_by, done.approved_by) == (BaselineState.IN_FORCE, "ann", "bob")
    with pytest.raises(Rejected, match="not PROPOSED any more"):
        baselines.approve(house, asked.id, "bob")
    assert audited(house, "baseline.propose") == audited(house, "baseline.approve") == [asked.id]


def test_the_newest_yes_replaces_what_was_in_force(house: House) -> None:
    filled(house)
    first, second = (baselines.propose(house, cards.NAME, PERIOD, "ann", why) for why in ("one", "two"))
    for one in (first, second):
        baselines.approve(house, one.id, "bob")
    with house.ledger.read() as conn:
        assert [one.state for one in (rows.get(conn, first.id), rows.get(conn, second.id))] == ["REPLACED", "IN_FORCE"]


@pytest.mark.parametrize(
    ("source", "error"),
    [
        (Source(), NotFound),
        (Source(cohort="co_none"), NotFound),
        (Source(span=Span(traffic.NOON, traffic.NOON)), Rejected),
    ],
)
def test_a_source_without_rows_makes_no_baseline(house: House, source: Source, error: type[Exception]) -> None:
    filled(house)
    with pytest.raises(error):
        baselines.propose(house, cards.NAME, source, "ann", "why")
    with house.ledger.read() as conn:
        assert rows.known(conn) == ()


def test_the_champions_training_cohort_is_the_source_where_none_is_named(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled(house, 80)
    image = SimpleNamespace(instance_id="in_0-S1-1.0-0000003")
    members = [SimpleNamespace(instance_id=f"in_0-S1-1.0-{n:07d}") for n in range(60)]
    known = SimpleNamespace(id="co_9", model=cards.NAME, members=[*members, image, SimpleNamespace(instance_id=None)])
    monkeypatch.setattr(baselines.run_rows, "of_digest", lambda *_: SimpleNamespace(cohort_id="co_9"))
    monkeypatch.setattr(baselines.cohort_rows, "get", lambda *_: known)
    asked = baselines.propose(house, cards.NAME, Source(), "ann", "what it was trained on")
    assert (asked.cohort_id, asked.rows, asked.start) == ("co_9", 60, None)


def test_rows_that_were_changed_at_rest_are_refused(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    filled(house)
    asked = baselines.propose(house, cards.NAME, PERIOD, "ann", "first")
    other = references.pack(references.reference("e" * 64, baselines.load(house, asked).columns))
    monkeypatch.setattr(type(house.store), "get", lambda *_: other)
    with pytest.raises(IntegrityError):
        baselines.approve(house, asked.id, "bob")


def test_what_was_packed_comes_back_and_is_the_same_bytes_again(house: House) -> None:
    filled(house, scanner=Scanner(disagree=0.2))
    known = baselines.load(house, baselines.propose(house, cards.NAME, PERIOD, "ann", "first"))
    again = references.unpack(references.pack(known))
    assert references.pack(again) == references.pack(known)
    assert (again.combinations, again.envelope) == (known.combinations, known.envelope)
    assert ("1.0", "", "X1", "AcmeRay") in known.combinations
    assert known.columns.embedding is not None
    assert np.array_equal(known.columns.embedding, again.columns.embedding)
    assert np.nansum(known.columns.disagree) > 0
    assert {"score_pneumonia", "kvp", "noise"} <= known.columns.numeric.keys()
    with pytest.raises(IntegrityError):
        references.unpack(b"PK not a baseline")


def test_an_extension_for_an_alarm_is_judged_by_and_its_approval_closes_the_alarm(house: House) -> None:
    grounded(house)
    send(house, OLD, 60)
    send(house, NEW, 60, hours=10)
    watch.watch(house, DAY)
    (alarm,) = opened(house)
    asked = baselines.extend_for(house, alarm.id, "ann", "new software, looked at 20 images")
    assert opened(house)[0].state is AlarmState.OPEN, "a proposal settles nothing"
    baselines.approve(house, asked.id, "bob")
    (settled,) = opened(house)
    assert (settled.state, settled.choice, settled.who) == (AlarmState.CLOSED, Choice.EXTEND, "bob")
    send(house, NEW, 60, seed=30, hours=3)
    watch.watch(house, timedelta(hours=4))
    assert opened(house, AlarmState.OPEN) == ()
    assert audited(house, "alarm.extend") == [alarm.id]


def test_an_alarm_of_too_few_studies_cannot_be_extended_for(house: House) -> None:
    grounded(house)
    send(house, OLD, 60)
    send(house, NEW, 20, hours=10)
    watch.watch(house, DAY)
    (alarm,) = opened(house)
    with pytest.raises(Rejected, match="insufficient data"):
        baselines.extend_for(house, alarm.id, "ann", "why")


def test_two_extensions_of_one_baseline_cannot_both_come_into_force(house: House) -> None:
    grounded(house)
    now = Source(span=Span(utc_now() - DAY, utc_now()))
    send(house, OLD, 60)
    one, other = (baselines.extend(house, cards.NAME, now, "ann", why) for why in ("one", "two"))
    done = baselines.approve(house, one.id, "bob")
    assert done.rows == 460
    with pytest.raises(Rejected, match="propose it again"):
        baselines.approve(house, other.id, "bob")


def test_scores_of_another_version_are_not_held_against_the_baseline(house: House) -> None:
    grounded(house)
    with house.ledger.write() as conn:
        begin = utc_now() - timedelta(hours=5)
        traffic.send(conn, OLD, 60, begin=begin, digest="a" * 64, seed=3)
    seen = {one.check: one.outcome for one in watch.watch(house, DAY)}
    assert (seen[f"{cards.NAME}.scores"], seen[f"{cards.NAME}.embeddings"]) == ("insufficient data",) * 2
    assert seen[f"{cards.NAME}.protocol"] == "pass"
    assert opened(house) == ()


def test_alarms_are_one_per_cause_also_where_two_watches_race(house: House) -> None:
    grounded(house)
    send(house, NEW, 60)
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda _: watch.watch(house, DAY), range(2)))
    (alarm,) = opened(house)
    with house.ledger.read() as conn:
        assert len(alarms.studies_of(conn, alarm.id)) == alarm.studies == 60
