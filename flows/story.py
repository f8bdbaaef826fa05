"""Everything that the ledger and the bundle say around one result, gathered in one view of the ledger."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy import Connection

from flows.house import House
from models.bundles import contents, public_key, verify
from models.catalog import catalog
from radloop.domain.errors import IntegrityError, NotFound
from radloop.domain.learning import Approval, Cohort, Evaluation, StandingChange, TrainingRun
from radloop.domain.records import (
    Acquisition,
    AuditEvent,
    Delivery,
    Instance,
    ModelVersion,
    Result,
    SignOff,
    StoredObject,
    StudyVersion,
    Verdict,
)
from radloop.ledger import acquisitions as acquisition_rows
from radloop.ledger import approvals as approval_rows
from radloop.ledger import cohorts as cohort_rows
from radloop.ledger import deliveries as delivery_rows
from radloop.ledger import evaluations as evaluation_rows
from radloop.ledger import instances as instance_rows
from radloop.ledger import lineage
from radloop.ledger import models as model_rows
from radloop.ledger import objects as object_rows
from radloop.ledger import results as result_rows
from radloop.ledger import signoffs as signoff_rows
from radloop.ledger import studies as study_rows
from radloop.ledger import verdicts as verdict_rows
from radloop.ledger.checks import CheckOutcome
from radloop.ledger.lineage import CopyUse
from radloop.store import Keyring


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleFacts:
    """The bundle of a model version on this machine.

    `fault` says why it cannot be trusted, None where it is whole and signed by this site's key. `weights` are paths in
    the bundle with their SHA-256 (hex). `shipped`: it came with radloop.
    """

    fault: str | None
    weights: tuple[tuple[str, str], ...]
    shipped: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """A training run, and the cohort that it learned from with its copies (None: the cohort is not on record)."""

    run: TrainingRun
    cohort: Cohort | None
    copies: tuple[CopyUse, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where a model version comes from and how it stands, everything oldest first.

    `version` is None where the ledger does not know the digest.
    """

    digest: str
    version: ModelVersion | None
    registered_at: datetime | None
    bundle: BundleFacts
    trained: tuple[Trained, ...]
    evaluations: tuple[Evaluation, ...]
    approvals: tuple[Approval, ...]
    changes: tuple[StandingChange, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """One result with all that it rests on and all that came of it. `contents`: data set digests by instance id."""

    result: Result
    version: StudyVersion
    instances: tuple[Instance, ...]
    contents: Mapping[str, str]
    acquisitions: Mapping[str, Acquisition]
    checks: tuple[CheckOutcome, ...]
    origin: Origin
    objects: tuple[StoredObject, ...]
    deliveries: tuple[Delivery, ...]
    verdicts: tuple[Verdict, ...]
    signoff: SignOff | None
    forgotten_at: datetime | None
    events: tuple[AuditEvent, ...]


def story_of(house: House, conn: Connection, result_id: str) -> Story:
    """All of it, for one result.

    Raises:
        NotFound: there is no such result.
    """
    result = result_rows.get(conn, result_id)
    version = study_rows.get(conn, result.version_id) if result else None
    if result is None or version is None:
        raise NotFound("there is no such result")
    found = instance_rows.of_version(conn, version.id)
    ids = [one.id for one in found]
    return Story(
        result=result,
        version=version,
        instances=found,
        contents=lineage.content_digests(conn, ids),
        acquisitions={row.instance_id: row for row in acquisition_rows.of_instances(conn, ids)},
        checks=lineage.checks_around(conn, ids),
        origin=origin_of(house, conn, result.model.name, result.model.digest),
        objects=object_rows.of_result(conn, result.id),
        deliveries=_deliveries(conn, result),
        verdicts=verdict_rows.of_result(conn, result.id),
        signoff=signoff_rows.of_version(conn, version.id),
        forgotten_at=signoff_rows.forgotten_at(conn, version.id),
        events=lineage.events_of(conn, result.id),
    )


def origin_of(house: House, conn: Connection, name: str, digest: str) -> Origin:
    """Where a model version comes from and how it stands."""
    return Origin(
        digest=digest,
        version=model_rows.get(conn, digest),
        registered_at=lineage.registered_at(conn, digest),
        bundle=bundle_facts(house, name, digest),
        trained=tuple(_trained(conn, run) for run in lineage.runs_of(conn, digest)),
        evaluations=tuple(reversed(evaluation_rows.of_digest(conn, digest))),
        approvals=approval_rows.of_digest(conn, digest),
        changes=lineage.changes_of(conn, name, digest),
    )


def bundle_facts(house: House, name: str, digest: str) -> BundleFacts:
    """What lies under a model's name and digest here, and whether it can be trusted."""
    folder = folder_of(house, name, digest)
    shipped = digest in {spec.digest for spec in catalog().values()}
    if not folder.is_dir():
        return BundleFacts(fault="no such bundle is installed here", weights=(), shipped=shipped)
    try:
        return BundleFacts(fault=_fault(house, folder, digest), weights=_weights(folder), shipped=shipped)
    except IntegrityError as error:
        return BundleFacts(fault=str(error), weights=(), shipped=shipped)


def folder_of(house: House, name: str, digest: str) -> Path:
    """Where a bundle is installed."""
    return house.settings.models_path / name / digest


def trusted(house: House, name: str, digest: str) -> Path:
    """The folder of an installed bundle that is whole, signed by this site's key, and of this very digest.

    Raises:
        NotFound: it is not installed here.
        IntegrityError: it cannot be trusted.
    """
    folder = folder_of(house, name, digest)
    if not folder.is_dir():
        raise NotFound("no such bundle is installed here")
    if fault := _fault(house, folder, digest):
        raise IntegrityError(fault)
    return folder


def _fault(house: House, folder: Path, digest: str) -> str | None:
    public = public_key(Keyring.load(house.settings.keys_path).signing_key)
    try:
        return None if verify(folder, public) == digest else "the bundle is not what its folder says"
    except IntegrityError as error:
        return str(error)


def _weights(folder: Path) -> tuple[tuple[str, str], ...]:
    return tuple(
        (path, hashlib.sha256(data).hexdigest())
        for path, data in contents(folder).items()
        if path.endswith(".safetensors")
    )


def _trained(conn: Connection, run: TrainingRun) -> Trained:
    try:
        cohort = cohort_rows.get(conn, run.cohort_id)
    except NotFound:
        return Trained(run=run, cohort=None, copies=())
    return Trained(run=run, cohort=cohort, copies=lineage.copies_in(conn, cohort.id))


def _deliveries(conn: Connection, result: Result) -> tuple[Delivery, ...]:
    of_version = delivery_rows.of_versions(conn, [result.version_id])
    return tuple(one for one in of_version if one.object.result_id == result.id)
