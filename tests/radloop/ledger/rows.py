"""Arrivals and results for tests, as short as they can be."""

from datetime import UTC, datetime

from radloop.domain.enums import ObjectKind, Qualification, ResultStatus, Standing, Urgency
from radloop.domain.ids import new_id
from radloop.domain.records import Arrival, Blob, Code, Finding, InstanceHeader, ModelVersion, Result, Run, StoredObject

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
MODEL = ModelVersion(
    name="cxr", version="1", digest="d" * 64, standing=Standing.CHAMPION, qualification=Qualification.RESEARCH
)


def arrival(study: str = "1.2.3", sop: str = "1.2.3.4", content: str = "c1", **header: str) -> Arrival:
    facts = {
        "study_uid": study,
        "series_uid": study + ".1",
        "sop_uid": sop,
        "sop_class_uid": "1.2.840.10008.5.1.4.1.1.1",
        "transfer_syntax_uid": "1.2.840.10008.1.2.1",
        "modality": "CR",
        "patient_id": "P1",
        "issuer": "",
        "accession_number": "A1",
        **header,
    }
    blob = Blob(new_id("b"), "s" * 64, 1000)
    return Arrival(header=InstanceHeader(**facts), blob=blob, content_sha256=content, peer="pacs", received_at=NOW)


def finding(**changes: object) -> Finding:
    facts = {
        "target": "pneumonia",
        "code": Code("233604007", "SCT", "Pneumonia"),
        "probability": 0.92,
        "threshold": 0.5,
        "urgency": Urgency.URGENT,
        **changes,
    }
    return Finding(**facts)  # type: ignore[arg-type]


def result(version_id: str, **changes: object) -> Result:
    facts = {
        "id": new_id("rs"),
        "version_id": version_id,
        "model": MODEL,
        "status": ResultStatus.OK,
        "reason": None,
        "findings": (finding(box=(1.0, 2.0, 3.0, 4.0), location=Code("39607008", "SCT", "Lung")),),
        "run": Run(batch=1, device="cpu", threads=2, build="b", seconds=0.1),
        "predecessor_id": None,
        "created_at": NOW,
        **changes,
    }
    return Result(**facts)  # type: ignore[arg-type]


def stored(result_id: str, kind: ObjectKind = ObjectKind.SR, identifier: str = "2.25.1") -> StoredObject:
    return StoredObject(
        id=new_id("ob"),
        result_id=result_id,
        kind=kind,
        ordinal=1,
        identifier=identifier,
        media_type="application/dicom" if kind in (ObjectKind.SR, ObjectKind.SC) else "text/plain",
        blob=Blob(new_id("b"), "s" * 64, 10),
    )
