"""What a cohort asks of the ledger about studies that readers have judged."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, select

from radloop.ledger.copies import in_parts
from radloop.ledger.learning import patients
from radloop.ledger.tables import instances, study_versions


@dataclass(frozen=True, slots=True)
class StoredImage:
    """One received image: where its bytes are, the digest of its encoded data set, and the peer that sent it."""

    id: str
    content_sha256: str
    key: str
    peer: str


def images(conn: Connection, instance_ids: Collection[str]) -> Mapping[str, StoredImage]:
    """These images by their ids."""
    its = instances.c
    found: dict[str, StoredImage] = {}
    for some in in_parts(instance_ids):
        for row in conn.execute(select(its.id, its.content_sha256, its.blob_key, its.peer).where(its.id.in_(some))):
            found[row.id] = StoredImage(row.id, row.content_sha256, row.blob_key, row.peer)
    return found


def studies_of(conn: Connection, version_ids: Collection[str]) -> Mapping[str, str]:
    """The study (our id) of each of these versions."""
    its = study_versions.c
    found: dict[str, str] = {}
    for some in in_parts(version_ids):
        found |= {row.id: row.study_id for row in conn.execute(select(its.id, its.study_id).where(its.id.in_(some)))}
    return found


def is_patient(conn: Connection, patient: str) -> bool:
    """Whether a patient has this surrogate id."""
    return conn.scalar(select(patients.c.id).where(patients.c.id == patient)) is not None
