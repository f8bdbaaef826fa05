"""What patients said about being learned from. Rows are added, never changed: the newest counts."""

from dataclasses import asdict

from sqlalchemy import Connection, insert, select

from radloop.domain.enums import Consent
from radloop.domain.ids import new_id
from radloop.domain.learning import ConsentGiven
from radloop.ledger.learning import consents

_c = consents.c


def add(conn: Connection, given: ConsentGiven) -> None:
    """Keep what a patient said."""
    conn.execute(insert(consents).values(id=new_id("cs"), **asdict(given)))


def history(conn: Connection, patient: str) -> tuple[ConsentGiven, ...]:
    """Everything that a patient (our surrogate id) said, the newest first."""
    # Said at the same instant, the withdrawal counts: WITHDRAWN sorts after TRAINING.
    query = select(consents).where(_c.patient == patient).order_by(_c.at.desc(), _c.consent.desc())
    return tuple(
        ConsentGiven(patient=row.patient, consent=Consent(row.consent), actor=row.actor, at=row.at)
        for row in conn.execute(query)
    )


def current(conn: Connection, patient: str) -> Consent | None:
    """What a patient said last; None where they were never asked."""
    newest = next(iter(history(conn, patient)), None)
    return newest.consent if newest else None


def may_learn(conn: Connection, patient: str, policy: str) -> bool:
    """Whether this patient's studies may be learned from: their own word, else the site's `[consent] policy`."""
    said = current(conn, patient)
    return policy == "training" if said is None else said is Consent.TRAINING
