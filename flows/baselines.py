"""Baselines: what a model's traffic is held against. One actor proposes, another approves, and both are on record.

The rows are frozen into the store, and their digest stands in the ledger: what was approved is what is used.
"""

import hashlib
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Final

import structlog
from sqlalchemy import Connection

from data_checks import reference as references
from data_checks.columns import Columns
from data_checks.reference import Reference
from data_checks.rules import Rules
from flows.house import House
from radloop import audit
from radloop.domain.enums import ActorKind
from radloop.domain.errors import IntegrityError, NotFound, Rejected
from radloop.domain.ids import new_id, utc_now
from radloop.domain.records import AuditEvent, ModelVersion
from radloop.domain.watching import Alarm, AlarmState, Baseline, BaselineState, Choice
from radloop.ledger import actors as actor_rows
from radloop.ledger import alarms as alarm_rows
from radloop.ledger import baselines as baseline_rows
from radloop.ledger import cohorts as cohort_rows
from radloop.ledger import models as model_rows
from radloop.ledger import training_runs as run_rows
from radloop.ledger import windows
from radloop.ledger.windows import Span, WindowRows

log = structlog.get_logger()
DENIED: Final = "baseline.approve.deny"
LEAST: Final = Rules().least_known
"""Rows below which nothing could be held against a baseline."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where the rows come from: a cohort (id or digest), or a span of live traffic; neither: the champion's cohort."""

    cohort: str | None = None
    span: Span | None = None


def propose(house: House, model: str, source: Source, actor: str, why: str) -> Baseline:
    """Freeze a reference from its rows alone. Nothing is held against it before another person approves.

    Raises:
        NotFound: the model has no champion, or there is no such cohort.
        Rejected: there are too few rows, or no reason is given.
        StorageFull, Unavailable: the store's and the ledger's.
    """
    with house.ledger.read() as conn:
        champion = _champion(conn, model)
        cohort_id, rows = _gathered(conn, champion, source)
    frozen = references.reference(champion.digest, _enough(rows))
    return _proposed(house, model, frozen, Source(cohort=cohort_id, span=source.span), actor, why)


def extend(house: House, model: str, source: Source, actor: str, why: str) -> Baseline:
    """Freeze the baseline in force with further rows.

    Raises:
        NotFound: the model has no champion or no baseline.
        Rejected: there are too few rows, no reason is given, or the baseline in force is of another version.
    """
    before = _in_force(house, model)
    with house.ledger.read() as conn:
        cohort_id, rows = _gathered(conn, _champion(conn, model), source)
    frozen = references.extended(_same_version(house, model, before), _enough(rows), moved=False)
    where = Source(cohort=cohort_id, span=source.span)
    return _proposed(house, model, frozen, where, actor, why, extends=before.id)


def extend_for(house: House, alarm_id: str, actor: str, why: str) -> Baseline:
    """Freeze the baseline in force with what an alarm saw: its scanner's rows since it began take the place of older.

    The approval of it closes the alarm.

    Raises:
        NotFound: there is no such alarm, or its model has no champion or no baseline.
        Rejected: the alarm is closed, names no model, or its scanner has sent too little since.
    """
    with house.ledger.read() as conn:
        alarm = alarm_rows.get(conn, alarm_id)
    model = _model_of(alarm)
    before = _in_force(house, model)
    span = Span(alarm.since, utc_now())
    with house.ledger.read() as conn:
        rows = columns_of(windows.of_span(conn, model, _champion(conn, model).digest, span))
    mine = (rows.sites == alarm.cause.site) & (rows.devices == alarm.cause.device)
    moved = references.extended(_same_version(house, model, before), _enough(rows.take(mine)), moved=True)
    return _proposed(house, model, moved, Source(span=span), actor, why, extends=before.id, alarm_id=alarm.id)


def approve(house: House, baseline_id: str, actor: str) -> Baseline:
    """Put a proposal into force, and close the alarm that it settles, in one transaction.

    Raises:
        NotFound: there is no such baseline.
        Rejected: `actor` is no person, proposed it, or it is no proposal any more; in the audit.
        IntegrityError: its rows are not what was proposed.
    """
    with house.ledger.read() as conn:
        load(house, baseline_rows.get(conn, baseline_id))
    try:
        with house.ledger.write() as conn:
            return _approved(conn, baseline_id, actor)
    except Rejected as refused:
        with house.ledger.write() as conn:
            audit.append(conn, _event(actor, DENIED, baseline_id, str(refused)))
        raise


def load(house: House, baseline: Baseline) -> Reference:
    """The rows of a baseline.

    Raises:
        NotFound: they are gone from the store.
        IntegrityError: they are not those whose digest the ledger has.
    """
    return _unpacked(_bytes(house, baseline))


def scanners(house: House, baseline: Baseline) -> dict[tuple[str, str], int]:
    """How many rows of which (site, device) a baseline holds.

    Raises:
        NotFound, IntegrityError: as `load`.
    """
    rows = load(house, baseline).columns
    return dict(sorted(Counter(zip(rows.sites.tolist(), rows.devices.tolist(), strict=True)).items()))


def columns_of(rows: WindowRows) -> Columns:
    """A window of the ledger as the statistics read it; an id is a study version's."""
    return Columns(
        ids=rows.versions,
        at=rows.at,
        numeric=rows.numeric,
        categorical=rows.categorical,
        sites=rows.sites,
        devices=rows.devices,
        disagree=rows.disagree,
        embedding=rows.embedding,
    )


def _bytes(house: House, baseline: Baseline) -> bytes:
    data = house.store.get(baseline.blob.key)
    if hashlib.sha256(data).hexdigest() != baseline.digest:
        raise IntegrityError(f"the rows of {baseline.id} are not those that were proposed")
    return data


@lru_cache(maxsize=4)
def _unpacked(data: bytes) -> Reference:
    return references.unpack(data)


def _gathered(conn: Connection, champion: ModelVersion, source: Source) -> tuple[str | None, Columns]:
    """The rows of a source, and the id of its cohort where it is one."""
    if source.span is not None:
        return None, columns_of(windows.of_span(conn, champion.name, champion.digest, source.span))
    cohort = cohort_rows.get(conn, source.cohort or _trained_on(conn, champion))
    if cohort.model != champion.name:
        raise Rejected(f"cohort {cohort.id} is not one of {champion.name}")
    known = {member.instance_id for member in cohort.members if member.instance_id is not None}
    return cohort.id, columns_of(windows.of_instances(conn, champion.digest, known))


def _trained_on(conn: Connection, champion: ModelVersion) -> str:
    run = run_rows.of_digest(conn, champion.digest)
    if run is None:
        raise NotFound(f"{champion.name} {champion.version} was not trained here: take a period of live traffic")
    return run.cohort_id


def _champion(conn: Connection, model: str) -> ModelVersion:
    found = model_rows.champion(conn, model)
    if found is None:
        raise NotFound(f"{model} has no champion")
    return found


def _in_force(house: House, model: str) -> Baseline:
    with house.ledger.read() as conn:
        found = baseline_rows.in_force(conn, model)
    if found is None:
        raise NotFound(f"{model} has no baseline in force: propose one first")
    return found


def _same_version(house: House, model: str, baseline: Baseline) -> Reference:
    """The rows to be extended: those of one version's answers do not mix with another's."""
    found = load(house, baseline)
    with house.ledger.read() as conn:
        champion = _champion(conn, model)
    if found.digest != champion.digest:
        raise Rejected(f"{baseline.id} holds answers of an earlier version of {model}: propose a fresh baseline")
    return found


def _model_of(alarm: Alarm) -> str:
    if alarm.state is AlarmState.CLOSED:
        raise Rejected(f"{alarm.id} is closed already")
    if not alarm.cause.model:
        raise Rejected(f"{alarm.id} is about no model's ground: there is no baseline to extend")
    return alarm.cause.model


def _enough(rows: Columns) -> Columns:
    if len(rows) < LEAST:
        raise Rejected(f"{len(rows)} acquisitions with an answer, {LEAST} are needed: insufficient data")
    return rows


def _proposed(
    house: House,
    model: str,
    frozen: Reference,
    source: Source,
    actor: str,
    why: str,
    *,
    extends: str | None = None,
    alarm_id: str | None = None,
) -> Baseline:
    if not why.strip():
        raise Rejected("a reason is needed")
    data = references.pack(frozen)
    baseline = Baseline(
        id=new_id("ba"),
        model=model,
        digest=hashlib.sha256(data).hexdigest(),
        blob=house.store.put(data),
        rows=len(frozen.columns),
        state=BaselineState.PROPOSED,
        extends=extends,
        alarm_id=alarm_id,
        cohort_id=source.cohort,
        start=source.span.start if source.span else None,
        end=source.span.end if source.span else None,
        why=why,
        asked_by=actor,
        at=utc_now(),
    )
    with house.ledger.write() as conn:
        baseline_rows.add(conn, baseline)
        detail = f"{model}, {baseline.rows} rows, {baseline.digest[:12]}, {_origin(baseline)}: {why}"
        audit.append(conn, _event(actor, "baseline.propose", baseline.id, detail))
    log.info("baseline proposed", baseline=baseline.id, model=model, rows=baseline.rows)
    return baseline


def _origin(baseline: Baseline) -> str:
    parts = [
        f"extends {baseline.extends}" if baseline.extends else "",
        f"for {baseline.alarm_id}" if baseline.alarm_id else "",
        f"cohort {baseline.cohort_id}" if baseline.cohort_id else "live traffic",
    ]
    return " ".join(part for part in parts if part)


def _approved(conn: Connection, baseline_id: str, actor: str) -> Baseline:
    person = actor_rows.by_name(conn, actor)
    if person is None or person.kind is not ActorKind.PERSON:
        raise Rejected(f"{actor} is no person known here: people approve")
    now = utc_now()
    done = baseline_rows.approve(conn, baseline_id, actor, now)
    audit.append(conn, _event(actor, "baseline.approve", done.id, f"{done.model}, proposed by {done.asked_by}"))
    if done.alarm_id is not None:
        _settle(conn, done, done.alarm_id, actor, now)
    return done


def _settle(conn: Connection, done: Baseline, alarm_id: str, actor: str, now: datetime) -> None:
    if alarm_rows.get(conn, alarm_id).state is AlarmState.CLOSED:
        return
    alarm_rows.decide(conn, alarm_id, Choice.EXTEND, actor, f"{done.id}: {done.why}", now)
    event = AuditEvent(
        at=utc_now(),
        actor=actor,
        action="alarm.extend",
        object_kind="alarm",
        object_id=alarm_id,
        detail=f"by {done.id}",
    )
    audit.append(conn, event)


def _event(actor: str, action: str, baseline_id: str, detail: str) -> AuditEvent:
    return AuditEvent(
        at=utc_now(), actor=actor, action=action, object_kind="baseline", object_id=baseline_id, detail=detail
    )
