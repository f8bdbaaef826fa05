"""Commit: a peer that accepted DICOM objects is asked whether it commits to keeping them (PS3.4 Annex J).

The question is noted before the wire, so that an answer always finds it; the gateway takes the answer. A question that
is lost, refused or never answered is asked again, under a new transaction, for as long as it takes.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import structlog

from flows import policies
from flows.house import House
from flows.wanted import DICOM_KINDS
from integrations.dimse import Commitment, request_commitment
from integrations.dimse.part10 import read_meta
from radloop.domain.errors import RadloopError
from radloop.domain.ids import derive_uid, new_id, utc_now
from radloop.domain.records import Delivery
from radloop.ledger import commitments as commitment_rows

log = structlog.get_logger()

ASK_AFTER: Final = timedelta(seconds=2)
"""After acceptance: the objects of one study are asked for together, once the peer has put them away."""
AT_ONCE: Final = 64
"""Objects per transaction."""


@dataclass(frozen=True, slots=True)
class Question:
    """One transaction with a peer."""

    peer: str
    transaction_uid: str
    about: tuple[Delivery, ...]


def asked_peers(house: House) -> tuple[str, ...]:
    """The peers that are asked for commitment at all."""
    return tuple(name for name, peer in house.settings.peers.items() if peer.commitment)


def is_wanted(house: House, delivery: Delivery) -> bool:
    """Whether this delivery goes on from ACCEPTED to COMMITTED."""
    return delivery.object.kind in DICOM_KINDS and delivery.peer in asked_peers(house)


def ask_due(house: House, peer: str) -> int:
    """Ask a peer about what is due, at most AT_ONCE objects; about how many.

    Raises:
        Unavailable: the ledger's.
    """
    question = _note(house, peer)
    if objects := _objects(house, question.about):
        _ask(house, question, objects)
    return len(objects)


def _note(house: House, peer: str) -> Question:
    transaction_uid = derive_uid(house.settings.site.uid_root, "commitment", new_id("tx"))
    with house.ledger.write() as conn:
        wait = policies.COMMITMENT.cap
        about = commitment_rows.ask(conn, peer, transaction_uid, utc_now(), AT_ONCE, wait)
    return Question(peer, transaction_uid, about)


def _objects(house: House, about: Collection[Delivery]) -> list[Commitment]:
    return [found for delivery in about if (found := _reference(house, delivery)) is not None]


def _reference(house: House, delivery: Delivery) -> Commitment | None:
    """The object as its own file meta information names it; None where its bytes cannot be read just now."""
    try:
        meta = read_meta(house.store.get(delivery.object.blob.key))
    except RadloopError as error:
        log.warning("commitment not asked", delivery=delivery.id, error=error.code)
        return None
    return Commitment(meta.sop_class_uid, meta.sop_uid)


def _ask(house: House, question: Question, objects: Collection[Commitment]) -> None:
    peer, ours = house.settings.peers[question.peer], house.settings.gateway.ae_title
    try:
        request_commitment(peer, tuple(objects), question.transaction_uid, ours)
    except RadloopError as error:
        log.warning("commitment not asked", peer=peer.name, error=error.code, objects=len(objects))
    else:
        log.info("commitment asked", peer=peer.name, objects=len(objects))
