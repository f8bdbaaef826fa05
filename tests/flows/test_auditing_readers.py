from dataclasses import replace

import pytest
from sqlalchemy import select

from flows.audits.business import Volume, business, reckon
from flows.audits.readers import pages_for
from flows.house import House
from radloop.domain.enums import ActorKind, VerdictKind
from radloop.domain.errors import Rejected
from radloop.domain.records import Actor
from radloop.ledger.tables import audit_events
from radloop.settings import AuditSettings, RoiSettings
from tests.flows.auditing import CALLED, NO, PERIOD, YES, Told, blinded, saw, tell

LEE = Actor("ac_lee", "dr.lee", ActorKind.PERSON)
HEAD = Actor("ac_head", "dr.head", ActorKind.PERSON)
RATES = RoiSettings(
    currency="EUR", reader_hour_cost=120.0, minutes_saved_per_study=0.5, minutes_lost_per_override=2.0,
    cost_per_year=3652.5,
)  # fmt: skip


def led(house: House, *leads: str) -> House:
    settings = house.settings.model_copy(update={"audit": AuditSettings(lead_readers=leads)})
    return replace(house, settings=settings)


def said(house: House) -> tuple[str, ...]:
    return (
        tell(house, Told(probability=CALLED, words=blinded(NO, "dr.lee"))),
        tell(house, Told(probability=CALLED, words=saw(YES, "dr.lee"))),
        tell(house, Told(probability=CALLED, words=saw(NO, "dr.abe"))),
    )


def looked_at(house: House) -> list[tuple[str, str, str]]:
    with house.ledger.read() as conn:
        c = audit_events.c
        rows = conn.execute(select(c.action, c.actor, c.detail).where(c.action.startswith("report.readers")))
        return [(row.action, row.actor, row.detail) for row in rows]


def test_a_reader_is_shown_their_own_words_and_offered_second_reads(house: House) -> None:
    mine, _, _ = said(house)
    (page,) = pages_for(house, LEE, PERIOD)
    assert (page.reader, page.words) == ("dr.lee", 2)
    assert page.counts == {"cxr_pneumonia pneumonia": {VerdictKind.REJECT: 1, VerdictKind.CONFIRM: 1}}
    assert [(one.version_id, one.kind, one.awareness) for one in page.second_reads] == [
        (mine, VerdictKind.REJECT, "BLINDED")
    ]
    assert looked_at(house) == [("report.readers", "dr.lee", "own page")]


def test_nobody_but_the_lead_reader_sees_anothers_page_and_the_refusal_is_on_record(house: House) -> None:
    said(house)
    with pytest.raises(Rejected):
        pages_for(led(house, "dr.head"), LEE, PERIOD, "dr.abe")
    assert looked_at(house) == [("report.readers.deny", "dr.lee", "another reader's page")]


def test_the_lead_reader_sees_all_in_the_order_of_names_and_one_where_one_is_named(house: House) -> None:
    said(house)
    there = led(house, "dr.head")
    assert [page.reader for page in pages_for(there, HEAD, PERIOD)] == ["dr.abe", "dr.lee"]
    assert [page.reader for page in pages_for(there, HEAD, PERIOD, "dr.lee")] == ["dr.lee"]
    assert pages_for(there, HEAD, PERIOD, "dr.head") == ()


def test_a_machine_leads_nobody(house: House) -> None:
    with pytest.raises(Rejected):
        pages_for(led(house, "console"), Actor("ac_m", "console", ActorKind.MACHINE), PERIOD, "dr.lee")


def test_the_business_case_is_reckoned_from_measured_studies_at_the_sites_rates() -> None:
    case = reckon(PERIOD, Volume(studies=1200, judged=300, overridden=60), RATES)
    assert case.hours_recovered == pytest.approx((1200 * 0.5 - 60 * 2.0) / 60)
    assert case.worth == pytest.approx(8.0 * 120)
    assert case.cost == pytest.approx(3652.5 * 90 / 365.25)
    assert case.net == pytest.approx(960 - 900)
    # At 0.475 minutes a study: (900 EUR / 120 EUR * 60 + 120) / 1200.
    assert case.break_even_minutes == pytest.approx(0.475)
    assert case.missing == ()


def test_without_a_rate_nothing_that_needs_it_is_told_and_the_key_is_named() -> None:
    case = reckon(PERIOD, Volume(1200, 300, 60), RATES.model_copy(update={"minutes_saved_per_study": None}))
    assert (case.hours_recovered, case.worth, case.net) == (None, None, None)
    assert case.cost is not None
    assert case.missing == ("minutes_saved_per_study",)
    bare = reckon(PERIOD, Volume(1200, 300, 60), RoiSettings())
    assert bare.missing == (
        "currency", "reader_hour_cost", "minutes_saved_per_study", "minutes_lost_per_override", "cost_per_year",
    )  # fmt: skip


def test_every_assumption_says_where_it_comes_from(house: House) -> None:
    said(house)
    case = business(house, PERIOD)
    from_where = {one.name: (one.value, one.source) for one in case.assumptions}
    assert from_where["studies that a model answered"] == (3, f"measured, signed {PERIOD}")
    assert from_where["of these overridden"][0] == 2
    assert from_where["cost per year"] == (None, "missing: radloop.toml, [roi] cost_per_year")


def test_a_loss_is_told_as_a_loss() -> None:
    slower = RATES.model_copy(update={"minutes_saved_per_study": -0.5})
    case = reckon(PERIOD, Volume(1200, 300, 60), slower)
    assert case.hours_recovered == pytest.approx(-12.0)
    assert case.net == pytest.approx(-12 * 120 - 900)
