"""A house with a PACS, a RIS, an EHR and readers, and a study in it that its model has answered."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydicom import Dataset
from sqlalchemy import func, select

from flows import claims
from flows.house import House
from radloop.domain.enums import ActorKind, ObjectKind
from radloop.domain.ids import utc_now
from radloop.domain.records import Evidence, Result, StudyVersion, Verdict
from radloop.ledger import actors, objects, results, studies, unmatched, verdicts
from radloop.ledger.tables import audit_events, deliveries
from tests.flows import place
from tests.flows.conftest import announce_fake
from tests.flows.fake_inference import FakeInference, fake_inference

SETTINGS = """
[peers.pacs]
ae_title = "PACS"
host = "127.0.0.1"
port = 1
roles = ["results"]
[peers.ris]
mllp = "127.0.0.1:1"
roles = ["reports", "orders"]
[peers.ehr]
fhir = "http://127.0.0.1:1/fhir"
roles = ["reports"]
[readers.marie]
ids = ["mcurie", "D1"]
names = ["CURIE^MARIE"]
[readers.otto]
names = ["HAHN^OTTO"]
[[phrases]]
model = "cxr_pneumonia"
finding = "pneumonia"
absent = ['no (evidence of |signs? of )?(pneumonia|consolidation)']
present = ['pneumonia', 'consolidation']
"""


@contextmanager
def hospital(home: Path, more: str = "") -> Iterator[tuple[House, FakeInference]]:
    """The house, its readers known, and a model server."""
    house = place.make_home(home, more=SETTINGS + more)
    with house.ledger.write() as conn:
        for name in ("marie", "otto"):
            actors.ensure(conn, name, ActorKind.PERSON)
    try:
        with fake_inference(house.store) as service:
            announce_fake(house, service)
            yield house, service
    finally:
        asyncio.run(house.http.aclose())
        house.ledger.close()


def answer_all(house: House) -> list[str]:
    """Complete, claim and read everything that waits; how each ended."""
    with house.ledger.write() as conn:
        for version in studies.receiving(conn):
            studies.complete(conn, version.id, Evidence(), utc_now(), version.instances)

    async def read() -> list[str]:
        return [(await claims.read_claimed(house, version)).split()[0] for version in claims.claim(house, 50)]

    return asyncio.run(read())


def answered_study(house: House, ds: Dataset) -> tuple[StudyVersion, Result]:
    """A study that arrived and was answered."""
    place.arrive(house, ds)
    assert answer_all(house) == ["ANSWERED"]
    version = newest(house)
    with house.ledger.read() as conn:
        (result,) = results.of_version(conn, version.id)
    return version, result


def newest(house: House) -> StudyVersion:
    with house.ledger.read() as conn:
        return studies.latest(conn, 1, None)[0]


def sr_of(house: House, result: Result) -> bytes:
    """Our own SR, as it is sent."""
    with house.ledger.read() as conn:
        (report,) = [one for one in objects.of_result(conn, result.id) if one.kind is ObjectKind.SR]
    return house.store.get(report.blob.key)


def verdicts_of(house: House, result: Result) -> tuple[Verdict, ...]:
    with house.ledger.read() as conn:
        return verdicts.of_result(conn, result.id)


def reasons(house: House) -> list[str]:
    """Why something was not matched, in order."""
    with house.ledger.read() as conn:
        return sorted(row.reason for row in unmatched.latest(conn))


def audited(house: House, action: str) -> list[str]:
    """The details of the audit rows of an action."""
    with house.ledger.read() as conn:
        return list(conn.scalars(select(audit_events.c.detail).where(audit_events.c.action == action)))


def queued(house: House) -> int:
    """How many deliveries there are."""
    with house.ledger.read() as conn:
        return conn.scalar(select(func.count()).select_from(deliveries)) or 0
