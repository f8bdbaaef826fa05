"""Standing: a version is registered, stands in the shadow, is approved by people, answers, and is rolled back.

Every verb names its actor and is compare-and-set in the ledger; a refusal is in the audit although the change is not.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import structlog
from sqlalchemy import Connection

from flows import warmth
from flows.approving import Case, Decision, decide, gather
from flows.house import House
from models.bundles import install, public_key, verify
from models.spec import read_spec
from radloop import audit
from radloop.domain.enums import ApprovalKind, Qualification, Standing
from radloop.domain.errors import IntegrityError, NotFound, Rejected, Unavailable
from radloop.domain.ids import new_id, utc_now
from radloop.domain.learning import Approval
from radloop.domain.records import AuditEvent, ModelVersion
from radloop.ledger import approvals as approval_rows
from radloop.ledger import models as model_rows
from radloop.ledger import standing as standing_rows
from radloop.ledger.standing import Act, Rollback
from radloop.store import Keyring

log = structlog.get_logger()
SHIPPED: Final = "shipped with radloop"


def register(house: House, bundle_folder: Path, actor: str, why: str) -> ModelVersion:
    """Install a bundle that this site's key signed, as CHALLENGER. A second registration is the same.

    Raises:
        Rejected: it is unsigned, signed by another key or damaged, or its name and version are another bundle's.
    """
    with refusals_on_record(house, "model.register.deny", actor, bundle_folder.name):
        digest = _verified(house, bundle_folder)
        # What is installed is what was verified, also where somebody wrote in between.
        home = _installed(house, bundle_folder, digest)
        version = _first_standing(home, Standing.CHALLENGER)
        with house.ledger.write() as conn:
            standing_rows.enter(conn, version, Act(actor, why))
            return _known(conn, digest)


def ship(house: House, bundle_folder: Path, actor: str) -> ModelVersion:
    """Install a bundle of the zoo: the first version of a model answers, a later one waits for gates and approvals.

    Raises:
        IntegrityError: it does not match its manifest.
    """
    home = install(bundle_folder, house.settings.models_path, _signing_key(house))
    with house.ledger.write() as conn:
        name = read_spec(home).name
        first = model_rows.champion(conn, name) is None
        version = _first_standing(home, Standing.CHAMPION if first else Standing.CHALLENGER)
        standing_rows.enter(conn, version, Act(actor, SHIPPED))
        return _known(conn, version.digest)


def shadow(house: House, digest: str, actor: str, why: str) -> ModelVersion:
    """CHALLENGER -> SHADOW: from now on it answers live traffic silently. One per model; twice is once.

    Raises:
        NotFound: no version has this digest.
        Rejected: it is no challenger, or its bundle is damaged.
    """
    with refusals_on_record(house, "model.shadow.deny", actor, digest):
        check_bundle(house, known(house, digest))
        with house.ledger.write() as conn:
            return standing_rows.shadow(conn, digest, Act(actor, why))


def approve(house: House, digest: str, actor: str, kind: ApprovalKind = ApprovalKind.PROMOTE) -> ModelVersion:
    """One person's yes. The last one that the plan asks for promotes, or qualifies, in the same transaction.

    Raises:
        NotFound: no version has this digest.
        Rejected: a rule of `flows.approving` forbids it, or the champion changed meanwhile; in the audit.
        Unavailable: inference is away, so the version could not be warmed up: approve again later.
    """
    with refusals_on_record(house, f"approval.{kind.lower()}.deny", actor, digest):
        check_bundle(house, known(house, digest))
        with house.ledger.read() as conn:
            last = decide(gather(conn, digest, actor, kind)).enough
        if last and kind is ApprovalKind.PROMOTE:
            warm(house, known(house, digest))
        with house.ledger.write() as conn:
            return _approved(conn, digest, actor, kind)


def promote(house: House, digest: str, actor: str, why: str) -> ModelVersion:
    """Make a version champion on the approvals that are on record, where they suffice: after a cut, or a late gate.

    Raises:
        NotFound: no version has this digest.
        Rejected: the approvals on record do not suffice, or its bundle is damaged; in the audit.
        Unavailable: inference is away.
    """
    with refusals_on_record(house, "model.promote.deny", actor, digest):
        check_bundle(house, known(house, digest))
        warm(house, known(house, digest))
        with house.ledger.write() as conn:
            case = gather(conn, digest, None, ApprovalKind.PROMOTE)
            if not decide(case).enough:
                raise Rejected(f"{len(case.given)} of {case.people} approvals are on record")
            return standing_rows.promote(conn, digest, Act(actor, why), expected=case.champion)


def rollback(house: House, model: str, actor: str, why: str, expected: str | None = None) -> Rollback:
    """PREVIOUS answers again, the champion becomes CHALLENGER. Needs nothing but the ledger, so it is quick.

    Raises:
        Rejected: there is nothing to roll back to, or `expected` (a digest) is champion no more; in the audit.
    """
    with refusals_on_record(house, "model.rollback.deny", actor, model), house.ledger.write() as conn:
        done = standing_rows.roll_back(conn, model, Act(actor, why), expected=expected)
    log.warning("rolled back", model=model, to=done.restored.digest, by=actor)
    return done


def known(house: House, digest: str) -> ModelVersion:
    """The version of that digest.

    Raises:
        NotFound: there is none.
    """
    with house.ledger.read() as conn:
        return _known(conn, digest)


def check_bundle(house: House, version: ModelVersion) -> Path:
    """The folder of a version's installed bundle, whole and signed by this site's key.

    Raises:
        Rejected: it is missing, damaged, unsigned or signed by another key.
    """
    folder = house.settings.models_path / version.name / version.digest
    if not folder.is_dir():
        raise Rejected(f"the bundle of {version.name} {version.version} is not installed")
    if _verified(house, folder) != version.digest:
        raise Rejected(f"the bundle of {version.name} {version.version} is another one")
    return folder


def warm(house: House, version: ModelVersion) -> None:
    """Have inference load a version, and read a golden study with it, before it may be asked.

    Raises:
        Rejected: inference refuses it.
        Unavailable: inference is away.
    """
    refused = warmth.warm(house, version.name, [version.digest]).refused
    if version.digest in refused:
        raise Rejected(f"inference refuses {version.name} {version.version}: {refused[version.digest]}")


@contextmanager
def refusals_on_record(house: House, action: str, actor: str, object_id: str) -> Iterator[None]:
    """A refusal leaves an audit row of its own: the transaction of the change is gone with the change."""
    try:
        yield
    except Rejected as refused:
        event = AuditEvent(
            at=utc_now(), actor=actor, action=action, object_kind="model", object_id=object_id[:64], detail=str(refused)
        )
        with house.ledger.write() as conn:
            audit.append(conn, event)
        raise


def _approved(conn: Connection, digest: str, actor: str, kind: ApprovalKind) -> ModelVersion:
    version = _known(conn, digest)
    model_rows.hold(conn, version.name)
    case = gather(conn, digest, actor, kind)
    decision = decide(case)
    _keep(conn, case, actor)
    if not decision.enough:
        return case.version
    return COMPLETE[kind](conn, case, decision)


def _keep(conn: Connection, case: Case, actor: str) -> None:
    approval = Approval(
        id=new_id("ap"),
        digest=case.version.digest,
        kind=case.kind,
        actor=actor,
        evaluation_id=case.examined.id if case.examined else None,
        at=utc_now(),
    )
    approval_rows.add(conn, approval)
    audit.append(conn, _event(case, actor, "approval", f"{case.kind} of {case.version.version}"))


def _promoted(conn: Connection, case: Case, decision: Decision) -> ModelVersion:
    act = Act(decision.approvers[-1], f"approved by {' and '.join(decision.approvers)}")
    return standing_rows.promote(conn, case.version.digest, act, expected=case.champion)


def _qualified(conn: Connection, case: Case, decision: Decision) -> ModelVersion:
    version = case.version
    if not model_rows.qualify(conn, version.digest, Qualification.RESEARCH, Qualification.PRODUCT):
        raise Rejected(f"{version.name} {version.version} is {version.qualification} already")
    detail = f"RESEARCH to PRODUCT, approved by {' and '.join(decision.approvers)}"
    audit.append(conn, _event(case, decision.approvers[-1], "model.qualify", detail))
    return _known(conn, version.digest)


COMPLETE: Final = {ApprovalKind.PROMOTE: _promoted, ApprovalKind.QUALIFY: _qualified}
"""What the last approval brings about."""


def _event(case: Case, actor: str, action: str, detail: str) -> AuditEvent:
    return AuditEvent(
        at=utc_now(), actor=actor, action=action, object_kind="model", object_id=case.version.digest, detail=detail
    )


def _known(conn: Connection, digest: str) -> ModelVersion:
    found = model_rows.get(conn, digest)
    if found is None:
        raise NotFound("no model version has this digest")
    return found


def _verified(house: House, folder: Path) -> str:
    try:
        return verify(folder, public_key(_signing_key(house)))
    except IntegrityError as error:
        raise Rejected(f"the version cannot be trusted: {error}") from error
    except OSError as error:
        raise Unavailable("the bundle cannot be read") from error


def _installed(house: House, folder: Path, digest: str) -> Path:
    try:
        home = install(folder, house.settings.models_path, _signing_key(house))
    except IntegrityError as error:
        raise Rejected(f"the version cannot be installed: {error}") from error
    if home.name != digest:
        raise Rejected("the bundle changed while it was installed")
    return home


def _first_standing(home: Path, standing: Standing) -> ModelVersion:
    spec = read_spec(home)
    return ModelVersion(
        name=spec.name,
        version=spec.version,
        digest=spec.digest,
        standing=standing,
        qualification=spec.qualification,
    )


def _signing_key(house: House) -> bytes:
    return Keyring.load(house.settings.keys_path).signing_key
