"""Making a report for good: measured, written as HTML, PDF and data, signed by its digest, kept, and checked again.

The manifest lists the SHA-256 of every file; its own SHA-256 is the report's digest. The site's key signs manifest and
files, as it signs model bundles; the manifest calls its files `documents`, so that none is ever taken for a bundle's.
Files first, then the row with its audit record: what a kill leaves behind are bytes that no row names.
"""

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import structlog

from flows.audits.measuring import Audit, measure, to_json
from flows.audits.period import QUARTER, Period, whole_days_before
from flows.audits.report import document
from flows.house import House
from flows.ingest import span
from models.bundles import public_key
from radloop import audit as audit_record
from radloop.domain.errors import IntegrityError, NotFound
from radloop.domain.ids import new_id, utc_now
from radloop.domain.records import AuditEvent
from radloop.ledger import audit_reports as report_rows
from radloop.ledger import models as model_rows
from radloop.ledger.audit_reports import AuditReport, digest_of
from radloop.render.document import to_html
from radloop.settings import Schedule
from radloop.store import Keyring

log = structlog.get_logger()

ACTOR: Final = "audit"
FORMAT: Final = 2
"""1 was signed by the Ed25519 key of a radloop before model-signing."""
HTML, PDF, DATA = "report.html", "report.pdf", "data.json"
MANIFEST, SIGNATURE = "manifest.json", "report.sig"


def audit_scheduled(house: House, schedule: Schedule) -> AuditReport:
    """What a schedule's run makes: of its model or all, the first one of as many days as it says.

    Raises:
        NotFound, Transient: as `audit_due`.
    """
    first = span(schedule.since) if "since" in schedule.model_fields_set else QUARTER
    return audit_due(house, schedule.model or "", first)


def audit_due(house: House, model: str = "", first: timedelta = QUARTER) -> AuditReport:
    """The report of all whole days (UTC) since the last scheduled one ended; the first is of as long as `first`.

    So no day is left out or counted twice, and a run that is done again on the same day makes no second report.

    Raises:
        NotFound: there is no such model.
        Transient: ledger or store are away.
    """
    period = whole_days_before(utc_now(), first)
    with house.ledger.read() as conn:
        last = report_rows.newest(conn, model, ACTOR)
    if last is None:
        return make(house, period, ACTOR, model)
    return last if last.end >= period.end else make(house, Period(last.end, period.end), ACTOR, model)


def make(house: House, period: Period, actor: str, model: str = "") -> AuditReport:
    """Measure a period and keep the report of it.

    Raises:
        NotFound: there is no such model.
        Transient: ledger or store are away.
    """
    _check_model(house, model)
    report_id, at = new_id("ar"), utc_now()
    from models import signing  # noqa: PLC0415 - half a second and 40 MiB, for whoever signs or verifies

    measured = measure(house, period, model)
    files = _written(measured, report_id, actor, at)
    manifest = _manifest(measured, report_id, at, files)
    report = AuditReport(
        id=report_id,
        digest=digest_of(manifest),
        model=model,
        start=period.start,
        end=period.end,
        manifest=manifest,
        signature=signing.sign({**files, MANIFEST: manifest.encode()}, report_id, SIGNATURE, _key(house)),
        actor=actor,
        at=at,
        files={name: house.store.put(data) for name, data in files.items()},
    )
    _keep(house, report)
    return report


def verify(house: House, report_id: str) -> AuditReport:
    """A report whose manifest and files this site's key signed, and whose files are those that the manifest lists.

    Raises:
        NotFound: there is no such report.
        IntegrityError: something was changed, and what.
    """
    from models import signing  # noqa: PLC0415 - as in `make`

    with house.ledger.read() as conn:
        report = report_rows.get(conn, report_id)
    if digest_of(report.manifest) != report.digest:
        raise IntegrityError("the manifest of the report is not the one that its digest names")
    listed = _listed(report)
    if listed.keys() != report.files.keys():
        raise IntegrityError("the report does not hold the files that its manifest lists")
    files = {name: content(house, report, name) for name in listed}
    signing.verify({**files, MANIFEST: report.manifest.encode()}, report.signature, public_key(_key(house)))
    return report


def content(house: House, report: AuditReport, name: str) -> bytes:
    """One file of a report.

    Raises:
        NotFound: it has no such file, or its bytes are gone.
        IntegrityError: they were changed.
    """
    if name not in report.files:
        raise NotFound("the report has no such file")
    data = _bytes(house, report, name)
    if hashlib.sha256(data).hexdigest() != _listed(report)[name]:
        raise IntegrityError(f"{name} of the report was changed")
    return data


def save(house: House, report_id: str, folder: Path) -> tuple[Path, ...]:
    """Write a verified report with its manifest and signature into a folder, to be checked anywhere.

    Raises:
        NotFound, IntegrityError: as `verify`.
        FileExistsError: a file of this name is there already.
    """
    report = verify(house, report_id)
    files = {name: content(house, report, name) for name in report.files}
    folder.mkdir(parents=True, exist_ok=True)
    made = {**files, MANIFEST: report.manifest.encode(), SIGNATURE: report.signature}
    for name, data in made.items():
        with (folder / name).open("xb") as file:
            file.write(data)
    return tuple(folder / name for name in made)


def _check_model(house: House, model: str) -> None:
    with house.ledger.read() as conn:
        if model and model not in {one.name for one in model_rows.known(conn)}:
            raise NotFound("there is no such model")


def _written(measured: Audit, report_id: str, actor: str, at: datetime) -> Mapping[str, bytes]:
    from radloop.render.pdf import to_pdf  # noqa: PLC0415 - fonts and pictures take half a second to import

    written = document(measured, report_id, actor, at)
    return {HTML: to_html(written).encode(), PDF: to_pdf(written), DATA: to_json(measured, at)}


def _manifest(measured: Audit, report_id: str, at: datetime, files: Mapping[str, bytes]) -> str:
    """Canonical JSON: sorted keys, no spaces, ASCII."""
    facts = {
        "format": FORMAT,
        "kind": "radloop audit report",
        "id": report_id,
        "model": measured.model,
        "start": measured.period.start.isoformat(),
        "end": measured.period.end.isoformat(),
        "at": at.isoformat(),
        "documents": {name: hashlib.sha256(data).hexdigest() for name, data in files.items()},
    }
    return json.dumps(facts, sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def _keep(house: House, report: AuditReport) -> None:
    with house.ledger.write() as conn:
        report_rows.add(conn, report)
        event = AuditEvent(
            at=report.at,
            actor=report.actor,
            action="report.make",
            object_kind="audit_report",
            object_id=report.id,
            detail=f"{report.start:%Y-%m-%d} to {report.end:%Y-%m-%d}, digest {report.digest}",
        )
        audit_record.append(conn, event)
    log.info("audited", report=report.id, digest=report.digest, model=report.model or "all")


def _listed(report: AuditReport) -> Mapping[str, str]:
    try:
        facts = json.loads(report.manifest)
        listed, written = dict(facts["documents"]), int(facts["format"])
    except (ValueError, KeyError, TypeError):
        raise IntegrityError("the manifest of the report cannot be read") from None
    if written != FORMAT:
        raise IntegrityError(
            "the report is of an earlier radloop, whose signatures are not checked any more; its digest is in the "
            f"audit trail. Make it again: radloop report run --from {report.start:%Y-%m-%d} --to {report.end:%Y-%m-%d}"
        )
    return listed


def _bytes(house: House, report: AuditReport, name: str) -> bytes:
    return house.store.get(report.files[name].key)


def _key(house: House) -> bytes:
    return Keyring.load(house.settings.keys_path).signing_key
