"""The log of a period as Article 12 of Regulation (EU) 2024/1689 (the AI Act) has it: JSON Lines, an event a line.

Article 12(3) spells out four things for remote biometric identification alone (Annex III, point 1(a)); for medical
devices Article 12(2) leaves the content open. The four are given all the same, since they are what a reviewer asks
for, read for a model that looks at images: when it was used, against which reference, on what, and who checked. An
authority decides what binds a site, not this file. Nobody's name is in it: readers are the ids of their actors.
"""

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from itertools import chain
from typing import Final, TypeAlias

from sqlalchemy import Connection

from flows.audits.measuring import plain
from flows.audits.period import Period
from radloop.domain.learning import StandingChange
from radloop.domain.records import Finding, Result, SignOff, Verdict
from radloop.domain.verdicts import is_override
from radloop.ledger import actors as actor_rows
from radloop.ledger import lineage
from radloop.ledger import models as model_rows
from radloop.ledger import results as result_rows
from radloop.ledger import signed as signed_rows
from radloop.ledger import signoffs as signoff_rows
from radloop.ledger import standing as standing_rows
from radloop.ledger import verdicts as verdict_rows
from radloop.ledger.copies import in_parts
from radloop.ledger.signed import Failure

Line: TypeAlias = dict[str, object]
FORMAT: Final = 1
UNKNOWN: Final = "unknown"
"""Who is no actor any more."""


def to_lines(conn: Connection, period: Period, model: str, site: str) -> bytes:
    """The log: a head, then uses, failed attempts and changes of standing, each kind in order of time."""
    people = {one.name: one.id for one in actor_rows.known(conn)}
    lines = chain(
        [_head(period, model, site)],
        _uses(conn, period, model, people),
        (_failed(one) for one in signed_rows.failures(conn, period.start, period.end, model)),
        _changes(conn, period, model, people),
    )
    return "".join(json.dumps(line, default=plain, sort_keys=True) + "\n" for line in lines).encode()


def _head(period: Period, model: str, site: str) -> Line:
    return {
        "event": "log",
        "format": FORMAT,
        "regulation": "Regulation (EU) 2024/1689, Article 12(1) and (2); Article 12(3)(a) to (d) where it applies",
        "keep": "at least six months, unless other law says otherwise (Articles 19(1) and 26(6))",
        "from": period.start,
        "before": period.end,
        "model": model or None,
        "site": site,
    }


def _uses(conn: Connection, period: Period, model: str, people: Mapping[str, str]) -> Iterator[Line]:
    references: dict[str, Line] = {}
    used = signed_rows.used(conn, period.start, period.end, model)
    for some in in_parts(list(used)):
        versions = {used[one] for one in some}
        results = _results(conn, some, versions)
        images = signed_rows.contents(conn, versions)
        said = verdict_rows.of_versions(conn, versions)
        signed = signoff_rows.of_versions(conn, versions)
        for result in results:
            digest = result.model.digest
            if digest not in references:
                references[digest] = _reference(conn, digest)
            mine = [one for one in said.get(result.version_id, ()) if one.result_id == result.id]
            yield {
                **_use(result),
                "reference": references[digest],
                "input": _input(result, images.get(result.version_id, ())),
                "verified_by": _verified(mine, signed.get(result.version_id), people),
            }


def _results(conn: Connection, wanted: Sequence[str], versions: Collection[str]) -> list[Result]:
    found = {result.id: result for mine in result_rows.of_versions(conn, versions).values() for result in mine}
    return [found[one] for one in wanted]


def _use(result: Result) -> Line:
    """Article 12(3)(a): the period of the use, as the inference service timed it."""
    took = timedelta(seconds=result.run.seconds) if result.run else timedelta()
    return {
        "event": "use",
        "use": result.id,
        "started_at": result.created_at - took,
        "ended_at": result.created_at,
        "model": _model(result),
        "status": result.status,
        "reason": result.reason,
        "output": [_output(finding) for finding in result.findings],
    }


def _model(result: Result) -> Line:
    model = result.model
    return {
        "name": model.name,
        "version": model.version,
        "digest": model.digest,
        "standing": model.standing,
        "qualification": model.qualification,
    }


def _output(finding: Finding) -> Line:
    return {
        "finding": finding.target,
        "code": f"{finding.code.scheme} {finding.code.value}",
        "probability": finding.probability,
        "threshold": finding.threshold,
        "urgency": finding.urgency,
    }


def _reference(conn: Connection, digest: str) -> Line:
    """Article 12(3)(b): what an image is held against: the version's weights and card, and what they were made from."""
    return {
        "bundle_sha256": digest,
        "cohorts": list(dict.fromkeys(run.cohort_id for run in lineage.ancestry(conn, digest))),
        "registered_at": lineage.registered_at(conn, digest),
    }


def _input(result: Result, images: Sequence[tuple[str, str]]) -> Line:
    """Article 12(3)(c): by our own ids, and the SHA-256 of the encoded data set."""
    deciding = {finding.instance_id for finding in result.findings if finding.positive}
    return {
        "study_version": result.version_id,
        "images": [{"id": one, "sha256": sha256, "led_to_a_finding": one in deciding} for one, sha256 in images],
    }


def _verified(said: Iterable[Verdict], signed: SignOff | None, people: Mapping[str, str]) -> list[Line]:
    """Article 12(3)(d): who checked it. The reader who spoke, and who or what entered it."""
    lines: list[Line] = [
        {
            "person": people.get(one.reader, UNKNOWN),
            "entered_by": people.get(one.actor, one.source),
            "act": f"verdict {one.kind.lower()}",
            "finding": one.target or None,
            "override": is_override(one),
            "awareness": one.awareness,
            "at": one.at,
        }
        for one in said
    ]
    if signed is not None:
        person = people.get(signed.reader, UNKNOWN)
        entered = people.get(signed.actor, signed.source)
        lines.append({"person": person, "entered_by": entered, "act": "sign-off", "at": signed.at})
    return lines


def _failed(one: Failure) -> Line:
    """A try at a result that made none: a situation that Article 12(2)(a) and (c) ask about."""
    return {
        "event": "failed attempt",
        "study_version": one.version_id,
        "model": {"name": one.model, "digest": one.digest},
        "error": one.error,
        "at": one.at,
    }


def _changes(conn: Connection, period: Period, model: str, people: Mapping[str, str]) -> Iterator[Line]:
    """Steps of a version's standing: what Article 12(2)(a) calls a modification is made by these."""
    names = [model] if model else sorted({one.name for one in model_rows.known(conn)})
    changes = (change for name in names for change in standing_rows.history(conn, name))
    return (_changed(one, people) for one in changes if _within(one.at, period))


def _changed(one: StandingChange, people: Mapping[str, str]) -> Line:
    # Why is a person's own words: it stays in the ledger, under this id.
    row = asdict(one)
    return {
        "event": "standing",
        **{name: row[name] for name in ("id", "model", "digest", "before", "after", "at")},
        "by": people.get(one.actor, one.actor),
    }


def _within(at: datetime, period: Period) -> bool:
    return period.start <= at < period.end
