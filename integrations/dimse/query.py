"""C-FIND in the study root model: which studies a peer has, and how many instances (PS3.4 Annex C)."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

from pydicom.dataset import Dataset
from pynetdicom.presentation import build_context
from pynetdicom.sop_class import (
    StudyRootQueryRetrieveInformationModelFind,
)

from integrations.dimse.association import DEFAULT_AE_TITLE, Session, associate
from integrations.dimse.statuses import PENDING, query_error
from radloop.domain.errors import TooLarge, Unavailable
from radloop.settings import Peer

FIND = StudyRootQueryRetrieveInformationModelFind
MOST_MATCHES = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyQuery:
    """Which studies to look for. `since` and `until` count in whole days of the peer's local time; '' matches all."""

    modality: str = ""
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteStudy:
    """A study that a peer has. `instances` is None where it does not count them."""

    study_uid: str = field(repr=False)
    modalities: tuple[str, ...]
    instances: int | None


def find_studies(peer: Peer, query: StudyQuery, ae_title: str = DEFAULT_AE_TITLE) -> tuple[RemoteStudy, ...]:
    """The studies of `peer` that match, in its own order.

    Raises:
        Unavailable, RefusedByPeer: as the peer's answer says.
        TooLarge: more than 100,000 matches.
    """
    keys = _keys("STUDY", StudyInstanceUID="", NumberOfStudyRelatedInstances="")
    keys.StudyDate = _date_range(query.since, query.until)
    keys.ModalitiesInStudy = query.modality
    with associate(peer, ae_title, [build_context(FIND)]) as session:
        found = [_remote_study(match) for match in _find(session, keys)]
    return tuple(study for study in found if study.study_uid and _has(study, query.modality))


def count_instances(peer: Peer, study_uid: str, ae_title: str = DEFAULT_AE_TITLE) -> int | None:
    """How many instances `peer` has of a study; None where it does not know the study.

    Asks for NumberOfStudyRelatedInstances, and counts the images of each series where the peer does not say.

    Raises:
        Unavailable, RefusedByPeer: as the peer's answer says.
    """
    with associate(peer, ae_title, [build_context(FIND)]) as session:
        keys = _keys("STUDY", StudyInstanceUID=study_uid, NumberOfStudyRelatedInstances="")
        studies = list(_find(session, keys))
        if not studies:
            return None
        said = _number(studies[0], "NumberOfStudyRelatedInstances")
        return _count_images(session, study_uid) if said is None else said


def _count_images(session: Session, study_uid: str) -> int:
    # PS3.4 C.4.1.2.1: a query below study level names a single value of every unique key above it.
    series = list(_find(session, _keys("SERIES", StudyInstanceUID=study_uid, SeriesInstanceUID="")))
    total = 0
    for one in series:
        uid = str(one.get("SeriesInstanceUID", ""))
        images = _find(session, _keys("IMAGE", StudyInstanceUID=study_uid, SeriesInstanceUID=uid, SOPInstanceUID=""))
        total += sum(1 for _ in images)
    return total


def _find(session: Session, keys: Dataset) -> Iterator[Dataset]:
    """The matches of one C-FIND."""
    peer, matches = session.peer.name, 0
    try:
        responses = session.assoc.send_c_find(keys, FIND, msg_id=session.next_message_id())
    except RuntimeError:
        raise Unavailable(f"peer {peer} ended the association") from None
    while True:
        with session.waiting():
            response, match = next(responses, (Dataset(), None))
        if (status := session.read(response)) not in PENDING:
            break
        matches += 1
        if matches > MOST_MATCHES:
            session.assoc.abort()
            raise TooLarge(f"peer {peer} has more than {MOST_MATCHES} matches: narrow the query")
        if match is not None:
            yield match
    if error := query_error(peer, "C-FIND", status):
        raise error


def _keys(level: str, **values: str) -> Dataset:
    keys = Dataset()
    keys.QueryRetrieveLevel = level
    for keyword, value in values.items():
        setattr(keys, keyword, value)
    return keys


def _date_range(since: datetime | None, until: datetime | None) -> str:
    # PS3.4 C.2.2.2.5.1: "A-B", "A-" or "-B"; empty matches every date.
    if since is None and until is None:
        return ""
    return "-".join(f"{day:%Y%m%d}" if day else "" for day in (since, until))


def _remote_study(match: Dataset) -> RemoteStudy:
    modalities = match.get("ModalitiesInStudy") or ()
    return RemoteStudy(
        study_uid=str(match.get("StudyInstanceUID", "")),
        modalities=(modalities,) if isinstance(modalities, str) else tuple(str(m) for m in modalities),
        instances=_number(match, "NumberOfStudyRelatedInstances"),
    )


def _has(study: RemoteStudy, modality: str) -> bool:
    # PS3.4 C.3.4: ModalitiesInStudy is an optional key; a peer that does not match on it returns every study.
    return not (modality and study.modalities) or modality in study.modalities


def _number(match: Dataset, keyword: str) -> int | None:
    try:
        return int(match.get(keyword))
    except (TypeError, ValueError, OverflowError):
        return None
