"""Consent: what patients say about being learned from. Opt-in, unless the site's policy says otherwise."""

from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection

from flows.house import House
from radloop import audit
from radloop.domain.enums import Consent
from radloop.domain.errors import Rejected
from radloop.domain.ids import utc_now
from radloop.domain.learning import ConsentGiven
from radloop.domain.records import AuditEvent
from radloop.ledger import consents as consent_rows
from radloop.ledger import patients as patient_rows

ACTIONS: Final = {Consent.TRAINING: "consent.give", Consent.WITHDRAWN: "consent.withdraw"}


@dataclass(frozen=True, slots=True)
class Standing:
    """What holds for one patient (our surrogate id) now: their own word where there is one, else the policy."""

    patient: str
    said: Consent | None
    may_learn: bool


def give(house: House, patient_id: str, issuer: str | None, actor: str) -> str:
    """The patient agrees; the surrogate id. Without an issuer, the only one under which the number is known.

    Raises:
        Rejected: there is no number, or it is known under several issuers.
    """
    with house.ledger.write() as conn:
        known = _issuers(conn, house, patient_id, issuer)
        if len(known) > 1:
            raise Rejected("this number is known under several issuers: name one")
        patient = patient_rows.ensure(conn, patient_id, known[0])
        _note(conn, patient, Consent.TRAINING, actor)
    return patient


def take_back(house: House, patient_id: str, issuer: str | None, actor: str) -> tuple[str, ...]:
    """The patient does not agree (any more); their surrogate ids. Without an issuer, under every one that is known.

    From here on no cohort takes them in. What was made of them before is `flows.cohorts.withdraw`'s.

    Raises:
        Rejected: there is no number.
    """
    with house.ledger.write() as conn:
        patients = [patient_rows.ensure(conn, patient_id, one) for one in _issuers(conn, house, patient_id, issuer)]
        for patient in patients:
            _note(conn, patient, Consent.WITHDRAWN, actor)
    return tuple(patients)


def show(house: House, patient_id: str, issuer: str | None) -> tuple[Standing, ...]:
    """What holds for everyone known under this number."""
    policy = house.settings.consent.policy
    with house.ledger.read() as conn:
        known = [patient_rows.find(conn, patient_id, one) for one in _issuers(conn, house, patient_id, issuer)]
        return tuple(
            Standing(one, consent_rows.current(conn, one), consent_rows.may_learn(conn, one, policy))
            for one in known
            if one is not None
        )


def _issuers(conn: Connection, house: House, patient_id: str, issuer: str | None) -> tuple[str, ...]:
    """The one that is given, else those known, else the site's own."""
    if issuer is not None:
        return (issuer,)
    return patient_rows.issuers(conn, patient_id) or (house.settings.site.assigning_authority,)


def _note(conn: Connection, patient: str, consent: Consent, actor: str) -> None:
    """Keep what was said, unless it was said last."""
    if consent_rows.current(conn, patient) is consent:
        return
    at = utc_now()
    consent_rows.add(conn, ConsentGiven(patient=patient, consent=consent, actor=actor, at=at))
    audit.append(
        conn,
        AuditEvent(
            at=at,
            actor=actor,
            action=ACTIONS[consent],
            object_kind="patient",
            object_id=patient,
        ),
    )
