"""Which presentation contexts are accepted."""

from collections.abc import Collection, Iterable

from pydicom._uid_dict import UID_dictionary
from pydicom.uid import UID
from pynetdicom.presentation import PresentationContext
from pynetdicom.sop_class import StorageCommitmentPushModel, Verification

from radloop.domain.enums import PeerRole
from radloop.settings import Peer

DICOM_ROOT = "1.2.840.10008."
# PS3.4 Annex B.5: standard storage SOP classes stand under this root; new ones appear here every year.
STORAGE_ROOT = "1.2.840.10008.5.1.4.1.1."
# PS3.6 Table A-1: storage SOP classes that stand elsewhere (non-patient objects, retired hard copy).
STORAGE_ELSEWHERE = frozenset(
    (
        "1.2.840.10008.5.1.1.27",
        "1.2.840.10008.5.1.1.29",
        "1.2.840.10008.5.1.1.30",
        "1.2.840.10008.5.1.4.34.1",
        "1.2.840.10008.5.1.4.34.7",
        "1.2.840.10008.5.1.4.34.10",
        "1.2.840.10008.5.1.4.38.1",
        "1.2.840.10008.5.1.4.39.1",
        "1.2.840.10008.5.1.4.43.1",
        "1.2.840.10008.5.1.4.44.1",
        "1.2.840.10008.5.1.4.45.1",
    )
)
# The event information of a storage commitment is small: no peer needs another one.
COMMITMENT_SYNTAXES = ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1")
TRANSFER_SYNTAXES = tuple(uid for uid, entry in UID_dictionary.items() if entry[1] == "Transfer Syntax")


def is_storage(uid: str) -> bool:
    """Whether a SOP class is taken for storage.

    Private classes are: a modality sends its private objects with the study, and a sender whose context is refused
    often reports the whole study as failed. Nothing here reads them.
    """
    return uid.startswith(STORAGE_ROOT) or uid in STORAGE_ELSEWHERE or not uid.startswith(DICOM_ROOT)


def is_commitment(uid: str) -> bool:
    """Whether a SOP class is that of storage commitment."""
    return uid == str(StorageCommitmentPushModel)


def supported(
    proposed: Iterable[PresentationContext], peer: Peer, asked: Collection[str] = ()
) -> list[PresentationContext]:
    """What we accept of `proposed`, one context per abstract syntax. `asked` are those asked for commitment.

    PS3.8 9.3.3.2: the acceptor picks one transfer syntax. The sender's first is kept, so that it need not convert.
    """
    syntaxes: dict[str, list[UID]] = {}
    for context in proposed:
        abstract = str(context.abstract_syntax)
        if _allowed(abstract, peer, asked):
            known = _COMMITMENT if is_commitment(abstract) else _KNOWN
            syntaxes.setdefault(abstract, []).extend(uid for uid in context.transfer_syntax if uid in known)
    return [_context(abstract, transfer) for abstract, transfer in syntaxes.items() if transfer]


def storage_classes() -> tuple[str, ...]:
    """The storage SOP classes that have a name, for the conformance statement."""
    return tuple(uid for uid, entry in UID_dictionary.items() if entry[1] == "SOP Class" and _is_named_storage(uid))


def _is_named_storage(uid: str) -> bool:
    return uid.startswith(STORAGE_ROOT) or uid in STORAGE_ELSEWHERE


def _allowed(abstract_syntax: str, peer: Peer, asked: Collection[str]) -> bool:
    if abstract_syntax == Verification:
        return True
    if is_commitment(abstract_syntax):
        return bool(asked)
    return PeerRole.SOURCE in peer.roles and is_storage(abstract_syntax)


def _context(abstract_syntax: str, transfer_syntaxes: list[UID]) -> PresentationContext:
    context = PresentationContext()
    context.abstract_syntax = UID(abstract_syntax)
    context.transfer_syntax = list(dict.fromkeys(transfer_syntaxes))
    if is_commitment(abstract_syntax):
        # PS3.7 D.3.3.4: here the peer is the SCP, and says so; one that proposes no role is heard as well.
        context.scu_role, context.scp_role = False, True
    return context


_KNOWN = frozenset(TRANSFER_SYNTAXES)
_COMMITMENT = frozenset(COMMITMENT_SYNTAXES)
