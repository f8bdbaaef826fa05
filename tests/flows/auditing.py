"""A quarter of signed studies for audits: by rule, so that every number of a report can be reckoned by hand."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count

from sqlalchemy import Connection, insert, update

from flows.audits.period import Period
from flows.house import House
from radloop.domain.enums import (
    Awareness,
    DeliveryState,
    ObjectKind,
    Standing,
    StudyState,
    Urgency,
    VerdictKind,
    VerdictSource,
)
from radloop.domain.ids import new_id
from radloop.domain.records import Acquisition, Code, ModelVersion, SignOff, Verdict
from radloop.ledger import acquisitions, instances, objects, results, signoffs, verdicts
from radloop.ledger.tables import deliveries, study_versions
from tests.flows import cards
from tests.radloop.ledger import rows

START = datetime(2026, 1, 1, tzinfo=UTC)
END = START + timedelta(days=90)
PERIOD = Period(START, END)
SECRET = "SECRET"
"""Stands in every identifier of a patient: it may be in no report."""
_serial = count(1)


@dataclass(frozen=True, kw_only=True)
class Told:
    """One signed study: what the model said and what readers did. `words`: kind and awareness of each reader."""

    probability: float = 0.9
    words: tuple[tuple[str, VerdictKind, Awareness], ...] = ()
    signer: str = "dr.lee"
    patient: str = ""
    site: str = "north"
    scanner: tuple[str, str, str] = ("ACME", "One", "R1")
    model: ModelVersion = field(default_factory=cards.version)
    standing: Standing = Standing.CHAMPION
    urgency: Urgency | None = None
    at: datetime = START + timedelta(days=30)
    wait: timedelta = timedelta(hours=2)
    delivered: timedelta | None = timedelta(seconds=20)


def tell(house: House, told: Told) -> str:
    """Put it on record; the id of its study version."""
    number = next(_serial)
    study = f"1.2.3.{number}"
    received = told.at - told.wait
    with house.ledger.write() as conn:
        arrival = rows.arrival(
            study, f"{study}.1", f"c{number}", patient_id=told.patient or f"{SECRET}-{number}",
            accession_number=f"{SECRET}-A{number}",
        )  # fmt: skip
        (receipt,) = instances.record(conn, [arrival])
        assert receipt.instance_id is not None
        assert receipt.version_id is not None
        maker, name, station = told.scanner
        row = Acquisition(
            instance_id=receipt.instance_id, version_id=receipt.version_id, modality="CR", body_part="CHEST",
            view="PA", manufacturer=maker, model_name=name, station=station, software="1.0",
        )  # fmt: skip
        acquisitions.add(conn, [row])
        times = {"received_at": received, "completed_at": received, "answered_at": received + timedelta(seconds=5)}
        mine = update(study_versions).where(study_versions.c.id == receipt.version_id)
        conn.execute(mine.values(state=StudyState.SIGNED, peer=told.site, **times))
        _answer_and_sign(conn, told, receipt.version_id, receipt.instance_id, received)
    return receipt.version_id


def answer_and_sign(house: House, version_id: str, told: Told) -> None:
    """The same of a study that arrived with its pixels."""
    with house.ledger.write() as conn:
        _answer_and_sign(conn, told, version_id, None, told.at - told.wait)


def _answer_and_sign(
    conn: Connection, told: Told, version_id: str, instance_id: str | None, received: datetime
) -> None:
    result_id = _answer(conn, told, version_id, instance_id, received)
    for reader, kind, awareness in told.words:
        assert verdicts.add(conn, verdict(version_id, result_id, reader, kind, awareness, told.at))
    signoff = SignOff(
        version_id=version_id, reader=told.signer, actor="gateway", at=told.at, source=VerdictSource.HL7_ORU,
        conclusion=f"{SECRET} words",
    )  # fmt: skip
    assert signoffs.add(conn, signoff)


def verdict(
    version_id: str, result_id: str, reader: str, kind: VerdictKind, awareness: Awareness, at: datetime
) -> Verdict:
    """A word on pneumonia."""
    return Verdict(
        id=new_id("ve"), result_id=result_id, version_id=version_id, target="pneumonia", kind=kind, reader=reader,
        actor=reader, at=at, awareness=awareness, source=VerdictSource.REST, source_id=new_id("s"),
        text=f"{SECRET} text",
    )  # fmt: skip


def _answer(conn: Connection, told: Told, version_id: str, instance_id: str | None, received: datetime) -> str:
    model = ModelVersion(
        name=told.model.name, version=told.model.version, digest=told.model.digest, standing=told.standing,
        qualification=told.model.qualification,
    )  # fmt: skip
    urgency = told.urgency or (Urgency.URGENT if told.probability >= 0.85 else Urgency.ROUTINE)
    finding = rows.finding(
        probability=told.probability,
        urgency=urgency,
        instance_id=instance_id,
        code=Code("233604007", "SCT", "Pneumonia"),
    )
    made = rows.result(version_id, model=model, findings=(finding,), created_at=received + timedelta(seconds=4))
    assert results.add(conn, made)
    if told.delivered is not None:
        sent = rows.stored(made.id, ObjectKind.SR, f"2.25.{next(_serial)}")
        objects.add(conn, sent)
        accepted = received + timedelta(seconds=5) + told.delivered
        conn.execute(
            insert(deliveries).values(
                id=new_id("de"),
                object_id=sent.id,
                version_id=version_id,
                peer="pacs",
                state=DeliveryState.ACCEPTED,
                urgency_rank=0,
                attempts=1,
                content_errors=0,
                queued_at=received,
                next_at=received,
                accepted_at=accepted,
            )
        )
    return made.id


YES, NO, ADD = VerdictKind.CONFIRM, VerdictKind.REJECT, VerdictKind.ADD
BLIND, SAW = Awareness.BLINDED, Awareness.SAW_AI
CALLED, SILENT = 0.9, 0.1


def blinded(kind: VerdictKind, reader: str = "dr.lee") -> tuple[tuple[str, VerdictKind, Awareness], ...]:
    """One blinded word."""
    return ((reader, kind, BLIND),)


def saw(kind: VerdictKind, reader: str = "dr.lee") -> tuple[tuple[str, VerdictKind, Awareness], ...]:
    """One word of a reader who saw the AI."""
    return ((reader, kind, SAW),)


def tell_all(house: House, told: Iterable[Told]) -> tuple[str, ...]:
    """Several; the ids of their study versions."""
    return tuple(tell(house, one) for one in told)


def square(true: int, false: int, missed: int, quiet: int, make: Callable[..., Told] = Told) -> list[Told]:
    """So many blinded true positives, false positives, false negatives and true negatives."""
    return [
        *(make(probability=CALLED, words=blinded(YES)) for _ in range(true)),
        *(make(probability=CALLED, words=blinded(NO)) for _ in range(false)),
        *(make(probability=SILENT, words=blinded(ADD)) for _ in range(missed)),
        *(make(probability=SILENT, words=blinded(YES)) for _ in range(quiet)),
    ]
