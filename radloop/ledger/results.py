"""Results and their findings, and the attempts that made none."""

from collections import defaultdict
from collections.abc import Collection
from dataclasses import asdict
from typing import Any

from sqlalchemy import Connection, Row, Select, insert, select

from radloop.domain.enums import Laterality, Qualification, ResultStatus, Severity, Standing, Urgency
from radloop.domain.ids import new_id, utc_now
from radloop.domain.records import Code, Finding, ModelVersion, Result, Run
from radloop.ledger.tables import attempts, findings, results, study_versions


def add(conn: Connection, result: Result) -> bool:
    """Keep a result; False where this model digest has answered this version already."""
    same = (results.c.version_id == result.version_id, results.c.digest == result.model.digest)
    if conn.scalar(select(results.c.id).where(*same)) is not None:
        return False
    conn.execute(
        insert(results).values(
            id=result.id,
            version_id=result.version_id,
            predecessor_id=result.predecessor_id,
            model=result.model.name,
            model_version=result.model.version,
            digest=result.model.digest,
            standing=result.model.standing,
            qualification=result.model.qualification,
            status=result.status,
            reason=result.reason,
            run=asdict(result.run) if result.run else None,
            at=result.created_at,
        )
    )
    if result.findings:
        conn.execute(insert(findings), [_finding_row(result.id, n, f) for n, f in enumerate(result.findings)])
    return True


def of_version(conn: Connection, version_id: str) -> tuple[Result, ...]:
    """Every result of a version, in the order they were made."""
    return _results(conn, select(results).where(results.c.version_id == version_id))


def of_versions(conn: Connection, version_ids: Collection[str]) -> dict[str, list[Result]]:
    """Results of many versions, by version id."""
    grouped: dict[str, list[Result]] = defaultdict(list)
    for result in _results(conn, select(results).where(results.c.version_id.in_(version_ids))):
        grouped[result.version_id].append(result)
    return grouped


def get(conn: Connection, result_id: str) -> Result | None:
    """One result."""
    return next(iter(_results(conn, select(results).where(results.c.id == result_id))), None)


def predecessor(conn: Connection, version_id: str, model: str) -> Result | None:
    """What the same model (any version of it) said aloud of the newest earlier version of the same study."""
    this = select(study_versions).where(study_versions.c.id == version_id).subquery()
    query = (
        select(results)
        .join(study_versions, results.c.version_id == study_versions.c.id)
        .join(this, study_versions.c.study_id == this.c.study_id)
        .where(study_versions.c.number < this.c.number, results.c.model == model)
        .where(results.c.standing == Standing.CHAMPION)
        .order_by(study_versions.c.number.desc(), results.c.at.desc())
        .limit(1)
    )
    return next(iter(_results(conn, query)), None)


def note_attempt(conn: Connection, version_id: str, model: str, digest: str, error: str) -> None:
    """A try that made no result. It sends nothing."""
    values = {"id": new_id("at"), "version_id": version_id, "model": model, "digest": digest, "error": error}
    conn.execute(insert(attempts).values(**values, at=utc_now()))


def _results(conn: Connection, query: Select[Any]) -> tuple[Result, ...]:
    rows = conn.execute(query.order_by(results.c.at, results.c.id)).all()
    found: dict[str, list[Finding]] = defaultdict(list)
    wanted = findings.c.result_id.in_([row.id for row in rows])
    for row in conn.execute(select(findings).where(wanted).order_by(findings.c.ordinal)):
        found[row.result_id].append(_finding(row))
    return tuple(_result(row, tuple(found[row.id])) for row in rows)


def _finding_row(result_id: str, ordinal: int, finding: Finding) -> dict[str, Any]:
    return {**asdict(finding), "result_id": result_id, "ordinal": ordinal}


def _finding(row: Row[Any]) -> Finding:
    return Finding(
        target=row.target,
        code=Code(**row.code),
        probability=row.probability,
        threshold=row.threshold,
        urgency=Urgency(row.urgency),
        severity=Severity(row.severity) if row.severity else None,
        location=Code(**row.location) if row.location else None,
        laterality=Laterality(row.laterality) if row.laterality else None,
        instance_id=row.instance_id,
        picture_key=row.picture_key,
        heatmap_key=row.heatmap_key,
        box=tuple(row.box) if row.box else None,
    )


def _result(row: Row[Any], found: tuple[Finding, ...]) -> Result:
    return Result(
        id=row.id,
        version_id=row.version_id,
        model=ModelVersion(
            name=row.model,
            version=row.model_version,
            digest=row.digest,
            standing=Standing(row.standing),
            qualification=Qualification(row.qualification),
        ),
        status=ResultStatus(row.status),
        reason=row.reason,
        findings=found,
        run=Run(**row.run) if row.run else None,
        predecessor_id=row.predecessor_id,
        created_at=row.at,
    )
