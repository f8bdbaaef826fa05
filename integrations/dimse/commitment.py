"""Storage commitment, as its user (PS3.4 Annex J): asked by N-ACTION, answered by N-EVENT-REPORT to the gateway."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as Items
from pynetdicom.presentation import build_context
from pynetdicom.sop_class import StorageCommitmentPushModel

from integrations.dimse.association import DEFAULT_AE_TITLE, associate
from integrations.dimse.statuses import query_error
from radloop.domain.errors import Unavailable
from radloop.settings import Peer

# PS3.4 J.3.2 and J.3.5: the well-known instance, and the action "Request Storage Commitment".
WELL_KNOWN_INSTANCE = "1.2.840.10008.1.20.1.1"
REQUEST_STORAGE_COMMITMENT = 1


@dataclass(frozen=True, slots=True)
class Commitment:
    """An object whose keeping is asked for."""

    sop_class_uid: str
    sop_uid: str = field(repr=False)


def request_commitment(
    peer: Peer, objects: Sequence[Commitment], transaction_uid: str, ae_title: str = DEFAULT_AE_TITLE
) -> None:
    """Ask `peer` to commit to keeping `objects`; its answer names `transaction_uid`.

    Raises:
        Unavailable, RefusedByPeer: as the peer's answer says.
    """
    with associate(peer, ae_title, [build_context(StorageCommitmentPushModel)]) as session, session.waiting():
        try:
            response, _ = session.assoc.send_n_action(
                _action(objects, transaction_uid),
                REQUEST_STORAGE_COMMITMENT,
                StorageCommitmentPushModel,
                WELL_KNOWN_INSTANCE,
                session.next_message_id(),
            )
        except RuntimeError:
            raise Unavailable(f"peer {peer.name} ended the association") from None
        if error := query_error(peer.name, "N-ACTION", session.read(response)):
            raise error


def _action(objects: Sequence[Commitment], transaction_uid: str) -> Dataset:
    action = Dataset()
    action.TransactionUID = transaction_uid
    action.ReferencedSOPSequence = Items([_reference(one) for one in objects])
    return action


def _reference(one: Commitment) -> Dataset:
    reference = Dataset()
    reference.ReferencedSOPClassUID = one.sop_class_uid
    reference.ReferencedSOPInstanceUID = one.sop_uid
    return reference
