"""C-MOVE of a study in the study root model (PS3.4 section C.4.2)."""

from dataclasses import dataclass

from pydicom.dataset import Dataset
from pynetdicom.presentation import build_context
from pynetdicom.sop_class import (
    StudyRootQueryRetrieveInformationModelMove,
)

from integrations.dimse.association import DEFAULT_AE_TITLE, associate
from integrations.dimse.statuses import PENDING, query_error
from radloop.domain.errors import Unavailable
from radloop.settings import Peer

MOVE = StudyRootQueryRetrieveInformationModelMove
PATIENCE = 10
"""A peer may be silent for this many times answer_seconds: it answers after a sub-operation, or only after all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MoveOutcome:
    """The sub-operations of a C-MOVE, as the peer counted them. `warning` is its status where it was not success."""

    completed: int
    failed: int
    warnings: int
    remaining: int
    warning: str = ""


def move(peer: Peer, study_uid: str, destination_ae: str, ae_title: str = DEFAULT_AE_TITLE) -> MoveOutcome:
    """Ask `peer` to send a study to `destination_ae`, and wait until it says that it did.

    Raises:
        Unavailable, RefusedByPeer: as the peer's answer says; 0xA801 means that it does not know the destination.
    """
    with associate(peer, ae_title, [build_context(MOVE)]) as session:
        try:
            responses = session.assoc.send_c_move(_keys(study_uid), destination_ae, MOVE, session.next_message_id())
        except RuntimeError:
            raise Unavailable(f"peer {peer.name} ended the association") from None
        while True:
            with session.waiting(peer.answer_seconds * PATIENCE):
                response, _ = next(responses, (Dataset(), None))
            if (status := session.read(response)) not in PENDING:
                break
    if error := query_error(peer.name, "C-MOVE", status):
        raise error
    return _outcome(response)


def _keys(study_uid: str) -> Dataset:
    keys = Dataset()
    keys.QueryRetrieveLevel = "STUDY"
    keys.StudyInstanceUID = study_uid
    return keys


def _outcome(status: Dataset) -> MoveOutcome:
    def count(kind: str) -> int:
        return int(status.get(f"NumberOf{kind}Suboperations") or 0)

    return MoveOutcome(
        completed=count("Completed"),
        failed=count("Failed"),
        warnings=count("Warning"),
        remaining=count("Remaining"),
        warning=f"0x{status.Status:04X}" if status.Status else "",
    )
