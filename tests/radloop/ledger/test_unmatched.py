"""What other systems call our rows by, and what could not be matched: on both databases."""

from datetime import UTC, datetime

from sqlalchemy import insert

from radloop.domain.enums import Urgency
from radloop.domain.records import Order
from radloop.ledger import Ledger, orders, references, unmatched
from radloop.ledger.tables import studies as study_table
from radloop.ledger.unmatched import Unmatched, derive_id

AT = datetime(2026, 3, 4, tzinfo=UTC)


def row(*key: str, reason: str = "no-study") -> Unmatched:
    return Unmatched(id=derive_id(*key, reason), version_id=None, peer="ris", reason=reason, at=AT)


def test_a_row_is_kept_once_and_counted_by_reason(ledger: Ledger) -> None:
    with ledger.write() as conn:
        assert [unmatched.add(conn, row("a")), unmatched.add(conn, row("a")), unmatched.add(conn, row("b"))] == [
            True,
            False,
            True,
        ]
        unmatched.add(conn, row("a", reason="contradictory"))
    with ledger.read() as conn:
        assert unmatched.counts(conn) == {"contradictory": 1, "no-study": 2}
        assert {one.id for one in unmatched.latest(conn)} == {
            row("a").id,
            row("b").id,
            row("a", reason="contradictory").id,
        }
        assert unmatched.latest(conn, 1)[0].at == AT


def test_an_id_says_nothing_of_what_it_was_made_of() -> None:
    assert derive_id("ris", "ACC-7") == derive_id("ris", "ACC-7") != derive_id("risACC", "-7")
    assert "ACC-7" not in derive_id("ris", "ACC-7")


def test_a_study_is_found_by_its_accession_or_a_number_of_its_order_and_its_patient(ledger: Ledger) -> None:
    with ledger.write() as conn:
        for study, accession in (("st_1", "A1"), ("st_2", ""), ("st_3", "")):
            values = {"study_uid": f"1.2.{study[-1]}", "patient_id": "P1", "issuer": "", "accession_number": accession}
            conn.execute(insert(study_table).values(id=study, **values))
        for accession, numbers in (("A1", ("PL1", "FI1")), ("", ("PL2", "FI2"))):
            order = Order(
                accession_number=accession,
                placer_number=numbers[0],
                filler_number=numbers[1],
                patient_id="P1",
                issuer="",
                priority=Urgency.ROUTINE,
            )
            orders.record(conn, order, "ris")
    with ledger.read() as conn:
        for number in ("A1", "PL1", "FI1"):
            assert references.studies_of(conn, number, "P1") == ("st_1",)
            assert references.studies_of(conn, number, "P2") == ()
        assert references.studies_of(conn, "PL2", "P1") == ()
        assert references.studies_of(conn, "", "P1") == ()
        assert references.patient_of(conn, "st_1") == "P1"
        assert references.read_version(conn, "st_1") is None
        assert references.reports_of(conn, [f"1.2.3.{n}" for n in range(1200)]) == ()


def test_a_message_is_taken_once_it_is_noted_with_its_content(ledger: Ledger) -> None:
    with ledger.write() as conn:
        assert not references.message_taken(conn, "ris", "1", "a")
        assert orders.first_time(conn, "ris", "1", "a", "REPORT")
        assert references.message_taken(conn, "ris", "1", "a")
        assert not references.message_taken(conn, "ris", "1", "b")
        assert not references.message_taken(conn, "pacs", "1", "a")
