"""Live traffic by the thousand, straight into the ledger's tables: what triage would have left, without the reading."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import numpy as np
from sqlalchemy import Connection, insert

from radloop.ledger.acquired import PIXEL_COLUMNS, embeddings, pixel_facts
from radloop.ledger.learning import verdicts
from radloop.ledger.tables import acquisitions, findings, instances, results, studies, study_versions
from tests.flows import cards

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


@dataclass(frozen=True, kw_only=True)
class Scanner:
    """How a scanner's images come out; `shift` moves what its pixels and embeddings look like, in SD."""

    site: str = "pacs"
    manufacturer: str = "AcmeRay"
    model_name: str = "X1"
    station: str = "S1"
    software: str = "1.0"
    kernel: str = ""
    view: str = "PA"
    kvp: float | None = 110.0
    shift: float = 0.0
    disagree: float | None = None
    """The share of its answers that readers disagree with; None: nobody says anything."""
    changes: dict[str, object] = field(default_factory=dict)


def send(
    conn: Connection,
    scanner: Scanner,
    count: int,
    *,
    begin: datetime = NOON,
    minutes: float = 1.0,
    seed: int = 0,
    digest: str = cards.DIGEST,
    name: str = "",
) -> list[str]:
    """`count` studies of one image each, one every `minutes`; the ids of their versions, in order."""
    rng = np.random.default_rng(seed)
    name = name or f"{seed}-{scanner.station}-{scanner.software}"
    at = [begin + timedelta(minutes=minutes) * n for n in range(count)]
    ids = [f"{name}-{n:07d}"[-29:] for n in range(count)]
    pixels = rng.normal(0.5 + 0.1 * scanner.shift, 0.1, (count, len(PIXEL_COLUMNS)))
    vectors = rng.normal(scanner.shift, 1.0, (count, 64)).astype("<f4")
    scores = rng.beta(2, 5, count)
    kvp = None if scanner.kvp is None else scanner.kvp + rng.normal(0, 3, count)
    rows = list(zip(ids, at, strict=True))
    conn.execute(insert(studies), [_study(one) for one in ids])
    conn.execute(insert(study_versions), [_version(one, when, scanner.site) for one, when in rows])
    conn.execute(insert(instances), [_instance(one, when, scanner.site) for one, when in rows])
    conn.execute(
        insert(acquisitions),
        [
            _acquisition(one, when, scanner, None if kvp is None else float(kvp[n]))
            for n, (one, when) in enumerate(rows)
        ],
    )
    conn.execute(
        insert(pixel_facts),
        [
            {"instance_id": f"in_{one}", "at": when, **dict(zip(PIXEL_COLUMNS, map(float, pixels[n]), strict=True))}
            for n, (one, when) in enumerate(rows)
        ],
    )
    conn.execute(insert(results), [_result(one, when, digest) for one, when in rows])
    conn.execute(insert(findings), [_finding(one, float(scores[n])) for n, one in enumerate(ids)])
    conn.execute(
        insert(embeddings),
        [
            {
                "result_id": f"re_{one}",
                "instance_id": f"in_{one}",
                "at": when,
                "model": cards.NAME,
                "digest": digest,
                "vector": vectors[n].tobytes(),
            }
            for n, (one, when) in enumerate(rows)
        ],
    )
    if scanner.disagree is not None:
        said = rng.random(count) < scanner.disagree
        conn.execute(insert(verdicts), [_verdict(one, when, bool(said[n])) for n, (one, when) in enumerate(rows)])
    return [f"sv_{one}" for one in ids]


def _study(one: str) -> dict[str, object]:
    return {"id": f"st_{one}", "study_uid": f"1.2.{one}", "patient_id": "P", "issuer": "", "accession_number": ""}


def _version(one: str, at: datetime, site: str) -> dict[str, object]:
    return {
        "id": f"sv_{one}", "study_id": f"st_{one}", "number": 1, "state": "ANSWERED", "urgency": "ROUTINE",
        "priority_rank": 0, "peer": site, "instances": 1, "modalities": ["CR"], "received_at": at,
        "completed_at": at, "answered_at": at, "attempts": 0,
    }  # fmt: skip


def _instance(one: str, at: datetime, site: str) -> dict[str, object]:
    return {
        "id": f"in_{one}", "version_id": f"sv_{one}", "sop_uid": f"1.3.{one}", "series_uid": f"1.4.{one}",
        "sop_class_uid": "1.2.840.10008.5.1.4.1.1.1", "transfer_syntax_uid": "1.2.840.10008.1.2.1", "modality": "CR",
        "content_sha256": "c", "blob_key": f"b_{one}", "blob_size": 1, "peer": site, "received_at": at,
    }  # fmt: skip


def _acquisition(one: str, at: datetime, scanner: Scanner, kvp: float | None) -> dict[str, object]:
    return {
        "instance_id": f"in_{one}", "version_id": f"sv_{one}", "at": at, "modality": "CR", "body_part": "CHEST",
        "view": scanner.view, "description": "", "manufacturer": scanner.manufacturer,
        "model_name": scanner.model_name, "station": scanner.station, "software": scanner.software,
        "protocol": "CHEST PA", "photometric": "MONOCHROME2", "kernel": scanner.kernel,
        "transfer_syntax": "1.2.840.10008.1.2.1", "kvp": kvp, "exposure": 2.0, "spacing": 0.15, "rows": 1024,
        "columns": 1024, "frames": 1, "bits_stored": 12, "missing_tags": [], "site": scanner.site, "sequence": "",
        **scanner.changes,
    }  # fmt: skip


def _result(one: str, at: datetime, digest: str) -> dict[str, object]:
    return {
        "id": f"re_{one}", "version_id": f"sv_{one}", "model": cards.NAME, "model_version": "1.0.0", "digest": digest,
        "standing": "CHAMPION", "qualification": "RESEARCH", "status": "OK", "at": at,
    }  # fmt: skip


def _finding(one: str, probability: float) -> dict[str, object]:
    return {
        "result_id": f"re_{one}", "ordinal": 0, "target": "pneumonia", "code": {}, "probability": probability,
        "threshold": 0.5, "urgency": "ROUTINE",
    }  # fmt: skip


def _verdict(one: str, at: datetime, disagrees: bool) -> dict[str, object]:
    return {
        "id": f"ve_{one}", "result_id": f"re_{one}", "version_id": f"sv_{one}", "target": "pneumonia",
        "kind": "REJECT" if disagrees else "CONFIRM", "reader": "ann", "actor": "ann", "at": at,
        "awareness": "BLINDED", "source": "REST", "source_id": one, "text": "",
    }  # fmt: skip
