"""A home as `radloop init` makes it, without models: they are another room's."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from radloop.domain.enums import ObjectKind, Qualification, ResultStatus, Signal, Standing, Urgency
from radloop.domain.ids import new_id, utc_now
from radloop.domain.records import (
    Arrival,
    Blob,
    Code,
    Evidence,
    Finding,
    InstanceHeader,
    ModelVersion,
    StoredObject,
)
from radloop.domain.records import (
    Result as ModelResult,
)
from radloop.ledger import deliveries, instances, objects, results, studies
from serving.cli.desk import Desk
from serving.cli.main import app
from serving.cli.setup import prepare
from tests.templates import put_ledger

STUDY_UID = "1.2.826.0.1.3680043.8.498.1"


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    monkeypatch.setattr("models.catalog.catalog", dict)
    monkeypatch.delenv("RADLOOP_TOKEN", raising=False)
    made = Desk(tmp_path / "home")
    put_ledger(made.home / "ledger.db")
    prepare(made)
    yield made
    made.ledger.close()


def cli(desk: Desk, *argv: str) -> Result:
    """`radloop ARGV` on this home, in this process."""
    return CliRunner().invoke(app, [*argv, "--home", str(desk.home)], env={"COLUMNS": "200", "NO_COLOR": "1"})


@pytest.fixture
def delivery(desk: Desk) -> str:
    """A study that was answered, with one delivery queued; its id."""
    header = InstanceHeader(
        study_uid=STUDY_UID,
        series_uid=f"{STUDY_UID}.1",
        sop_uid=f"{STUDY_UID}.1.1",
        sop_class_uid="1.2.840.10008.5.1.4.1.1.1",
        transfer_syntax_uid="1.2.840.10008.1.2.1",
        modality="CR",
        patient_id="P",
        issuer="",
        accession_number="A",
    )
    blob = Blob("ab" * 16, "cd" * 32, 10)
    arrival = Arrival(header=header, blob=blob, content_sha256="ef" * 32, peer="local", received_at=utc_now())
    with desk.ledger.write() as conn:
        instances.record(conn, [arrival])
        version = studies.latest(conn, None, None)[0]
        evidence = Evidence(signal=Signal.SINGLE_IMAGE, expected=1, missing=0)
        assert studies.complete(conn, version.id, evidence, utc_now(), 1)
        studies.claim(conn, "test", utc_now(), utc_now(), 1)
        result = _result(version.id)
        results.add(conn, result)
        made = StoredObject(
            id=new_id("ob"), result_id=result.id, kind=ObjectKind.SR, ordinal=0, identifier="2.25.1",
            media_type="application/dicom", blob=blob,
        )  # fmt: skip
        objects.add(conn, made)
        deliveries.queue(conn, made, version.id, "pacs", Urgency.URGENT)
        assert studies.answer(conn, version.id, "test", None, Urgency.URGENT, utc_now())
        return deliveries.unfinished(conn)[0].id


def _result(version_id: str) -> ModelResult:
    model = ModelVersion(
        name="cxr", version="1", digest="d" * 64, standing=Standing.CHAMPION, qualification=Qualification.RESEARCH
    )
    finding = Finding(
        target="pneumonia", code=Code("233604007", "SCT", "Pneumonia"), probability=0.92, threshold=0.5,
        urgency=Urgency.URGENT,
    )  # fmt: skip
    return ModelResult(
        id=new_id("rs"), version_id=version_id, model=model, status=ResultStatus.OK, reason=None, findings=(finding,),
        run=None, predecessor_id=None, created_at=utc_now(),
    )  # fmt: skip
