"""A window of the ledger as arrays: one row per acquisition, in order, with what was said beside it."""

from datetime import timedelta

import numpy as np
from sqlalchemy import update

from radloop.domain.ids import utc_now
from radloop.domain.watching import AlarmState, Cause, Choice, Evidence, Sighting
from radloop.ledger import Ledger, alarms, windows
from radloop.ledger.tables import acquisitions, instances, results
from radloop.ledger.windows import Span
from tests.flows import cards, traffic
from tests.flows.traffic import NOON, Scanner

ALL = Span(NOON - timedelta(days=1), NOON + timedelta(days=1))


def test_rows_come_in_order_with_scores_embeddings_and_the_readers_word(ledger: Ledger) -> None:
    with ledger.write() as conn:
        ids = traffic.send(conn, Scanner(disagree=0.5), 20)
        found = windows.of_span(conn, cards.NAME, cards.DIGEST, ALL)
    assert found.versions.tolist() == ids
    assert found.at[0] == np.datetime64("2026-03-01T12:00:00")
    assert (found.sites[0], found.devices[0]) == ("pacs", "AcmeRay X1 S1")
    assert found.embedding is not None
    assert (found.embedding.shape, found.embedding.dtype) == ((20, 64), np.float32)
    assert {0.0, 1.0} == set(found.disagree.tolist())
    assert np.isfinite(found.numeric["score_pneumonia"]).all()
    assert np.isnan(found.numeric["echo_time"]).all()
    assert set(found.categorical["software"].tolist()) == {"1.0"}
    assert "description" not in found.categorical, "free text is not read"


def test_an_empty_span_is_no_rows_and_the_newest_of_many_are_read(ledger: Ledger) -> None:
    with ledger.write() as conn:
        ids = traffic.send(conn, Scanner(), 20)
        empty = windows.of_span(conn, cards.NAME, cards.DIGEST, Span(NOON, NOON))
        newest = windows.of_span(conn, cards.NAME, cards.DIGEST, ALL, most=5)
        assert len(windows.of_span(conn, "another", cards.DIGEST, ALL)) == 0
    assert (len(empty), empty.embedding) == (0, None)
    assert newest.versions.tolist() == ids[-5:]


def test_what_another_version_said_stands_beside_no_row(ledger: Ledger) -> None:
    with ledger.write() as conn:
        traffic.send(conn, Scanner(disagree=1.0), 5)
        found = windows.of_span(conn, cards.NAME, "e" * 64, ALL)
    assert (len(found), found.embedding, np.isnan(found.disagree).all()) == (5, None, True)
    assert "score_pneumonia" not in found.numeric


def test_a_series_is_one_acquisition_and_its_row_is_an_image_that_was_read(ledger: Ledger) -> None:
    with ledger.write() as conn:
        ids = traffic.send(conn, Scanner(), 6)
        for table in (acquisitions, instances):
            conn.execute(update(table).values(modality="CT"))
        conn.execute(update(instances).values(series_uid="1.4"))
        assert len(windows.of_span(conn, cards.NAME, cards.DIGEST, ALL)) == 1
        conn.execute(update(instances).where(instances.c.version_id == ids[3]).values(series_uid="1.5"))
        conn.execute(update(results).where(results.c.version_id == ids[0]).values(digest="e" * 64))
        found = windows.of_span(conn, cards.NAME, cards.DIGEST, ALL)
    assert set(found.versions.tolist()) == {ids[1], ids[3]}


def test_images_of_a_cohort_are_rows_whether_they_were_read_or_not(ledger: Ledger) -> None:
    with ledger.write() as conn:
        traffic.send(conn, Scanner(), 3, name="a")
        found = windows.of_instances(conn, "e" * 64, ["in_a-0000001", "in_a-0000000", "in_none"])
    assert found.versions.tolist() == ["sv_a-0000000", "sv_a-0000001"]


def test_more_images_can_be_asked_for_than_a_database_takes_parameters(ledger: Ledger) -> None:
    with ledger.write() as conn:
        traffic.send(conn, Scanner(), 3, name="a")
        asked = [f"in_none-{number}" for number in range(70_000)]
        found = windows.of_instances(conn, cards.DIGEST, [*asked, "in_a-0000002"])
    assert found.versions.tolist() == ["sv_a-0000002"]


def test_an_alarm_is_opened_once_counts_each_study_once_and_is_new_after_it_was_closed(ledger: Ledger) -> None:
    with ledger.write() as conn:
        ids = traffic.send(conn, Scanner(), 5)
    now = utc_now()
    cause = Cause(suite="protocol", check="moved", model="m", site="pacs", device="x", words="another kvp")
    evidence = Evidence(statistic="ks", value=0.5, p=0.001, n=3, m=50, smallest_shift=None)
    first = Sighting(key="k", cause=cause, evidence=evidence, since=NOON, versions=tuple(ids[:3]))
    again = Sighting(key="k", cause=cause, evidence=evidence, since=NOON, versions=tuple(ids[2:]))
    with ledger.write() as conn:
        (made, opened), (seen, reopened) = alarms.see(conn, first, now), alarms.see(conn, again, now)
        assert (opened, reopened, made.studies, seen.studies) == (True, False, 3, 5)
        assert (seen.id, seen.first_version, alarms.studies_of(conn, made.id)) == (made.id, ids[0], tuple(sorted(ids)))
        assert [one.id for one in alarms.blocking(conn, "m")] == [made.id]
        assert alarms.blocking(conn, "other") == ()
        alarms.decide(conn, made.id, Choice.CLOSE, "ann", "over", now)
        assert alarms.blocking(conn, "m") == ()
        anew, opened = alarms.see(conn, first, now)
        assert (opened, anew.id != made.id, anew.studies) == (True, True, 3)
        assert alarms.counts(conn) == {("OPEN", "protocol", "m"): 1, ("CLOSED", "protocol", "m"): 1}
        assert len(alarms.known(conn, [AlarmState.OPEN])) == 1
