"""Who gets what: a table from a peer's role and protocol to the kinds of objects that it takes.

A site may keep RESEARCH answers away from a peer: once the model is PRODUCT, its answers go there too.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from integrations.objects.context import PriorityMessage
from radloop.domain.enums import ObjectKind, PeerRole, ResultStatus, Urgency
from radloop.domain.records import Result
from radloop.settings import Peer, SiteSettings

DICOM_KINDS: Final = frozenset(
    (ObjectKind.SR, ObjectKind.SC, ObjectKind.SEG, ObjectKind.KOS, ObjectKind.GSPS, ObjectKind.PDF)
)
MESSAGES: Final = {"ORM": PriorityMessage.ORM_O01, "OMI": PriorityMessage.OMI_O23}


@dataclass(frozen=True, slots=True)
class Want:
    """Peers with this role and a protocol that `reached` finds get these kinds, from this urgency on."""

    role: PeerRole
    reached: Callable[[Peer], bool]
    kinds: frozenset[ObjectKind]
    from_urgency: Urgency = Urgency.ROUTINE


# RESULTS.md: SR and pictures to the PACS, ORU and the priority upgrade to the RIS, DiagnosticReport to the EHR.
WANTS: Final = (
    Want(PeerRole.RESULTS, lambda peer: peer.port is not None, DICOM_KINDS),
    Want(PeerRole.REPORTS, lambda peer: peer.mllp is not None, frozenset((ObjectKind.ORU,))),
    Want(PeerRole.REPORTS, lambda peer: peer.fhir is not None, frozenset((ObjectKind.DIAGNOSTIC_REPORT,))),
    Want(
        PeerRole.ORDERS,
        lambda peer: peer.mllp is not None and peer.priority_upgrade in MESSAGES,
        frozenset((ObjectKind.ORM,)),
        Urgency.URGENT,
    ),
)
EVERY_KIND: Final = frozenset(ObjectKind)
# What a result of each status may become; one that is no reading becomes an SR only where the site asks for it.
KINDS_OF_STATUS: Final = {
    ResultStatus.OK: EVERY_KIND,
    ResultStatus.NOT_APPLICABLE: frozenset((ObjectKind.SR,)),
    ResultStatus.UNAVAILABLE: frozenset((ObjectKind.SR,)),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipients:
    """The peers that get one kind in one form. `message` is the form of the priority upgrade."""

    kind: ObjectKind
    ordinal: int
    message: PriorityMessage
    peers: tuple[str, ...]


def recipients(
    result: Result, peers: Mapping[str, Peer], site: SiteSettings, made: Collection[ObjectKind]
) -> tuple[Recipients, ...]:
    """What this result becomes, and for whom. `made` are the kinds that an encoder makes."""
    if result.status is not ResultStatus.OK and not site.not_applicable_sr:
        return ()
    kinds = [kind for kind in ObjectKind if kind in made and kind in KINDS_OF_STATUS[result.status]]
    found = ((kind, [peer for peer in peers.values() if _wants(peer, kind, result)]) for kind in kinds)
    return tuple(one for kind, takers in found if takers for one in _forms(kind, takers))


def _wants(peer: Peer, kind: ObjectKind, result: Result) -> bool:
    return result.model.qualification in peer.qualifications and any(
        want.role in peer.roles
        and kind in want.kinds
        and want.reached(peer)
        and result.urgency.rank >= want.from_urgency.rank
        for want in WANTS
    )


def _forms(kind: ObjectKind, takers: Iterable[Peer]) -> Iterable[Recipients]:
    """One form, except for the priority upgrade: there each form that some peer wants is an object of its own."""
    by_form: dict[PriorityMessage, list[str]] = {}
    for peer in takers:
        form = MESSAGES.get(peer.priority_upgrade) if kind is ObjectKind.ORM else None
        by_form.setdefault(form or PriorityMessage.ORM_O01, []).append(peer.name)
    return (
        Recipients(kind=kind, ordinal=tuple(PriorityMessage).index(form), message=form, peers=tuple(names))
        for form, names in by_form.items()
    )
