import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from radloop.domain.enums import ActorKind, Urgency
from radloop.domain.errors import Unavailable
from radloop.domain.records import Acquisition, Blob, Code, Order
from radloop.ledger import Ledger, acquisitions, actors, instances, orders, quarantine, studies, tokens
from radloop.ledger.tables import metadata
from tests.radloop.ledger.rows import arrival

ORDER = Order(
    accession_number="A1",
    placer_number="PL",
    filler_number="FI",
    patient_id="P1",
    issuer="H",
    priority=Urgency.URGENT,
    procedure=Code("36643-5", "LN", "XR Chest 2 Views"),
)


def test_a_token_is_kept_as_its_digest_and_ends_with_the_next_one(ledger: Ledger) -> None:
    with ledger.write() as conn:
        actor = actors.ensure(conn, "dr.who", ActorKind.PERSON)
        assert actors.ensure(conn, "dr.who", ActorKind.PERSON) == actor
        first = tokens.issue(conn, actor)
        assert tokens.owner_of(conn, first) == actor
        second = tokens.issue(conn, actor)
        assert tokens.owner_of(conn, first) is None
        assert tokens.owner_of(conn, second) == actor


def test_a_message_takes_effect_once_and_an_order_is_brought_up_to_date(ledger: Ledger) -> None:
    with ledger.write() as conn:
        assert orders.first_time(conn, "ris", "M1", "h1", "ORM")
        assert not orders.first_time(conn, "ris", "M1", "h1", "ORM")
        assert orders.first_time(conn, "ris", "M1", "h2", "ORM")
        assert orders.record(conn, ORDER, "ris") == orders.record(conn, ORDER, "ris")
        assert orders.find(conn, "A1", "P1") == ORDER
        assert orders.find(conn, "A1", "other patient") is None
        assert orders.find(conn, "", "P1") is None


def test_an_order_after_the_images_raises_the_study_that_waits(ledger: Ledger) -> None:
    with ledger.write() as conn:
        instances.record(conn, [arrival("1.1", "1.1.1", accession_number="B1"), arrival("1.2", "1.2.1")])
        orders.record(conn, ORDER, "ris")
        for version in studies.receiving(conn):
            studies.complete(conn, version.id, version.evidence, version.received_at, 1)
        (first,) = studies.claim(conn, "r", arrival().received_at, arrival().received_at, 1)
        assert first.study_uid == "1.2"


def test_what_is_quarantined_is_counted_by_reason(ledger: Ledger) -> None:
    with ledger.write() as conn:
        quarantine.add(conn, "unparsable", "pacs", Blob("k", "s" * 64, 3))
        quarantine.add(conn, "too-large", "pacs", None, "a detail")
        assert quarantine.counts(conn) == {"too-large": 1, "unparsable": 1}
        assert {q.reason for q in quarantine.latest(conn)} == {"unparsable", "too-large: a detail"}


def test_an_acquisition_row_is_kept_once_and_reads_back_as_it_was(ledger: Ledger) -> None:
    with ledger.write() as conn:
        (receipt,) = instances.record(conn, [arrival()])
        row = Acquisition(
            instance_id=receipt.instance_id,
            version_id=receipt.version_id,
            modality="CR",
            kvp=120.0,
            missing_tags=("View",),
        )
        assert acquisitions.add(conn, [row]) == 1
        assert acquisitions.add(conn, [row]) == 0
        assert acquisitions.of_instances(conn, [receipt.instance_id]) == (row,)


def test_an_upgrade_can_be_repeated_and_matches_the_tables(ledger: Ledger) -> None:
    ledger.upgrade()
    with ledger.read() as conn:
        assert compare_metadata(MigrationContext.configure(conn), metadata) == []


def test_a_locked_ledger_is_unavailable_after_a_bounded_wait(tmp_path) -> None:
    url = f"sqlite:///{tmp_path / 'l.db'}"
    holder, other = Ledger(url), Ledger(url, busy_seconds=0.2)
    holder.upgrade()
    with holder.write(), pytest.raises(Unavailable), other.write():
        pass
    holder.close()
    other.close()


def test_a_ledger_that_is_away_is_unavailable() -> None:
    away = Ledger("postgresql+psycopg://nobody@127.0.0.1:1/none", busy_seconds=1)
    with pytest.raises(Unavailable), away.read():
        pass
    away.close()
