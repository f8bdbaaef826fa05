"""Study versions that a model has answered, and the people who read them; no inference service is asked."""

from datetime import UTC, datetime

from flows.house import House
from flows.verdicts import Entry
from radloop.domain.enums import ActorKind, Awareness, Urgency, VerdictKind, VerdictSource
from radloop.domain.ids import utc_now
from radloop.domain.records import Acquisition, Code, Evidence, Result, SignOff
from radloop.ledger import Ledger, acquisitions, actors, instances, results, studies
from tests.flows import cards, place
from tests.radloop.ledger import rows

READER = "dr.who"
OTHER = "dr.no"
AT = datetime(2026, 3, 1, 13, 0, tzinfo=UTC)
PNEUMOTHORAX = Code("36118008", "SCT", "Pneumothorax")


def introduce(ledger: Ledger) -> None:
    """Two readers and a machine that are known here."""
    with ledger.write() as conn:
        for name in (READER, OTHER):
            actors.ensure(conn, name, ActorKind.PERSON)
        actors.ensure(conn, "ris-robot", ActorKind.MACHINE)


def answered(house: House, seed: int = 1, **changes: object) -> Result:
    """A stored chest radiograph and a champion's result on it; the version is ANSWERED."""
    ds = place.chest_study(seed)
    (receipt,) = place.arrive(house, ds)
    version_id = receipt.version_id
    assert version_id is not None
    return answer(house.ledger, version_id, **changes)


def answer(ledger: Ledger, version_id: str, **changes: object) -> Result:
    """Have a version answered, whatever its images are."""
    result = rows.result(version_id, **{"model": cards.version(), **changes})
    with ledger.write() as conn:
        images = instances.of_version(conn, version_id)
        acquisitions.add(
            conn, [Acquisition(instance_id=one.id, version_id=version_id, modality="CR") for one in images]
        )
        version = studies.get(conn, version_id)
        assert version is not None
        assert studies.complete(conn, version_id, Evidence(), utc_now(), version.instances)
        studies.claim(conn, "test", utc_now(), utc_now(), 50, only=[version_id])
        assert results.add(conn, result)
        assert studies.answer(conn, version_id, "test", None, Urgency.URGENT, utc_now())
    return result


def entry(result: Result, kind: VerdictKind = VerdictKind.CONFIRM, **changes: object) -> Entry:
    """A verdict of READER on the result's pneumonia."""
    facts = {
        "result_id": result.id,
        "target": "pneumonia",
        "kind": kind,
        "reader": READER,
        "actor": READER,
        "at": AT,
        "awareness": Awareness.SAW_AI,
        "source": VerdictSource.REST,
        "source_id": f"{kind}-1",
        **changes,
    }
    return Entry(**facts)  # type: ignore[arg-type]


def signoff(result: Result, **changes: object) -> SignOff:
    """READER closes the result's version."""
    facts = {
        "version_id": result.version_id,
        "reader": READER,
        "actor": READER,
        "at": AT,
        "source": VerdictSource.REST,
        "conclusion": "No acute finding.",
        **changes,
    }
    return SignOff(**facts)  # type: ignore[arg-type]
