"""Cohorts: labelled images frozen for training and for gates, and taken back when consent is.

An image is looked at once, as inference looks at it, and its copy kept; a cohort is a hashed list of copies. Every step
may be cut short and done again: copies and labels are added where they are missing, and the same cohort is frozen once.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog

from flows.copying import copier, load_arrays
from flows.drawing import drawn
from flows.freezing import Rule, Work, freeze
from flows.guards import SHARES, Candidate, Purpose
from flows.house import House
from flows.importing import Haul, Importer, Taken
from flows.labelled_files import read_table
from models.catalog import catalog
from models.spec import ModelSpec
from radloop import audit
from radloop.domain.enums import Consent
from radloop.domain.errors import NotFound
from radloop.domain.ids import utc_now
from radloop.domain.learning import Cohort, ConsentGiven
from radloop.domain.records import AuditEvent
from radloop.ledger import cohorts as cohort_rows
from radloop.ledger import consents as consent_rows
from radloop.ledger import copies as copy_rows
from radloop.ledger import labelled as labelled_rows
from radloop.ledger.cohorts import Draw

__all__ = ["Purpose", "Taken", "Withdrawal", "build", "counts", "import_labelled", "load_arrays", "withdraw"]

log = structlog.get_logger()

IMPORT: Final = "import"
FROM_IMPORT: Final = Draw(IMPORT, 0, 0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """What a withdrawn consent came to: copies deleted now, and the digests of the models that had seen the patient."""

    patient: str
    deleted: int
    models: tuple[str, ...]


def build(house: House, model: str, actor: str, *, seed: int = 0) -> Cohort:
    """Freeze a cohort of what readers said of a model's answers, and of what earlier cohorts hold.

    All overrides, agreements drawn with known probability, all agreements near the threshold, and replay by scanner.
    The same ledger, settings and `seed` give the same cohort.

    Raises:
        NotFound: there is no such model.
        Rejected: nobody is left.
        Unavailable, StorageFull: the ledger's and the store's; copies that were made stay.
    """
    work = Work(house, card_of(model), actor)
    forget_withdrawn(house, actor)
    settings = house.settings.training
    draw = Draw("verdicts", seed, settings.agreements, settings.uncertain)
    with copier(house, work.spec) as copying:
        sifted = drawn(work, copying, draw)
    return freeze(work, sifted.kept, sifted.left_out, Rule(SHARES[Purpose.ALL], draw))


def import_labelled(
    house: House,
    folder: Path,
    labels_csv: Path,
    model: str,
    actor: str,
    *,
    purpose: Purpose = Purpose.ALL,
    site: str = "",
    told: Callable[[Taken], None] = lambda _: None,
) -> Cohort:
    """Take in an outside labelled set and freeze it. May be killed and repeated; `told` hears of every file.

    Raises:
        NotFound: there is no such model.
        Unparsable: the table of labels cannot be read.
        Rejected: nobody is left.
        Unavailable, StorageFull: the ledger's and the store's; what was taken in stays.
    """
    work = Work(house, card_of(model), actor)
    rows = read_table(folder, labels_csv, work.spec, site)
    forget_withdrawn(house, actor)
    with copier(house, work.spec) as copying:
        haul = Importer(copying, actor, told).take_in(rows, folder)
    return freeze(work, _brought(work, haul), haul.left_out, Rule(SHARES[purpose], FROM_IMPORT))


def card_of(model: str) -> ModelSpec:
    """The card of a model of the zoo.

    Raises:
        NotFound: there is no such model.
    """
    try:
        return catalog()[model]
    except KeyError:
        raise NotFound("there is no such model") from None


def counts(cohort: Cohort) -> Mapping[str, int]:
    """What may be told of a cohort outside the ledger: how many by split, label, stratum and scanner, and left out."""
    told: Counter[str] = Counter({"members": len(cohort.members)})
    for member in cohort.members:
        told[f"split {member.split}"] += 1
        told[f"split {member.split} label {member.label.value}"] += 1
        told[f"stratum {member.stratum}"] += 1
        told[f"scanner {member.facts.scanner or 'unknown'}"] += 1
    told.update({f"left out: {reason}": count for reason, count in cohort.left_out})
    return dict(sorted(told.items()))


def withdraw(house: House, patient: str, actor: str) -> Withdrawal:
    """Note that a patient (surrogate id) may not be learned from any more, and delete every training copy.

    Consent is withdrawn first, then bytes are deleted, then the rows say so: cut short anywhere, the next withdrawal,
    import or build goes on. Doing it again changes nothing.

    Raises:
        NotFound: there is no such patient.
    """
    with house.ledger.write() as conn:
        if not labelled_rows.is_patient(conn, patient):
            raise NotFound("there is no such patient")
        if consent_rows.current(conn, patient) is not Consent.WITHDRAWN:
            consent_rows.add(conn, ConsentGiven(patient=patient, consent=Consent.WITHDRAWN, actor=actor, at=utc_now()))
            audit.append(conn, _event(actor, "consent.withdraw", patient, ""))
    deleted = _forget(house, patient, actor)
    with house.ledger.read() as conn:
        return Withdrawal(patient, deleted, cohort_rows.digests_that_saw(conn, patient))


def forget_withdrawn(house: House, actor: str) -> int:
    """Delete the copies that are still there of patients who have withdrawn, by whatever door; how many."""
    with house.ledger.read() as conn:
        waiting = copy_rows.patients_who_withdrew(conn)
    return sum(_forget(house, patient, actor) for patient in waiting)


def _forget(house: House, patient: str, actor: str) -> int:
    with house.ledger.read() as conn:
        keys = copy_rows.of_patient(conn, patient)
    for key in keys.values():
        house.store.delete(key)
    if not keys:
        return 0
    with house.ledger.write() as conn:
        deleted = copy_rows.forget(conn, keys.keys())
        seen = len(cohort_rows.digests_that_saw(conn, patient))
        if deleted:
            detail = f"{deleted} training copies deleted; {seen} model versions had seen the patient"
            audit.append(conn, _event(actor, "copies.delete", patient, detail))
    log.info("training copies deleted", patient=patient, copies=deleted, models=seen)
    return deleted


def _brought(work: Work, haul: Haul) -> list[Candidate]:
    """The imported images with everything that outside readers say of them."""
    with work.house.ledger.read() as conn:
        held = copy_rows.known(conn, work.spec.name, list(haul.wanted))
        labels = copy_rows.labels_of(conn, [copy.id for copy in held.values()], work.spec.targets[0].name)
    return [
        Candidate(
            content_sha256=content,
            patient=copy.patient,
            labels=labels.get(copy.id, ()),
            stratum=IMPORT,
            wanted=haul.wanted[content],
            facts=copy.facts,
            version_id=copy.version_id,
            instance_id=copy.instance_id,
            copy_id=copy.id,
            pixel_sha256=copy.pixel_sha256,
        )
        for content, copy in sorted(held.items())
    ]


def _event(actor: str, action: str, patient: str, detail: str) -> AuditEvent:
    return AuditEvent(at=utc_now(), actor=actor, action=action, object_kind="patient", object_id=patient, detail=detail)
